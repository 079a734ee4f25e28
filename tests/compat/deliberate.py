"""The tests of dask-jobqueue that ask for what is different here on purpose, and why.

The page ``docs/howto/from-dask-jobqueue.md`` tells users the same.
"""

from __future__ import annotations

_COMMAND = "jobs run dask-hpc's worker host, not `dask worker`"
_KEYS = "certificates stay in the cluster's private directory, and are always there"
_CORE = "test_jobqueue_core"

# Modules that are in neither run.
NOT_OFFERED = {
    "test_runner.py": "it makes a runner of its own of the inner parts of dask-jobqueue's"
}

DELIBERATE = {
    **{
        f"{module}::test_job_script": _COMMAND
        for module in (
            "test_htcondor",
            "test_lsf",
            "test_oar",
            "test_pbs",
            "test_sge",
            "test_slurm",
        )
    },
    "test_lsf::test_config": _COMMAND,
    "test_pbs::test_config": _COMMAND,
    f"{_CORE}::test_default_number_of_worker_processes": _COMMAND,
    f"{_CORE}::test_dashboard_link": "the dashboard opens by a link for one browser, once",
    f"{_CORE}::test_forward_ip": "the scheduler listens where nodes reach it, not everywhere",
    f"{_CORE}::test_security": _COMMAND,
    f"{_CORE}::test_security_temporary": _KEYS,
    f"{_CORE}::test_security_temporary_defaults": _KEYS,
    "test_slurm::test_worker_name_uses_cluster_name": "workers are named after their job",
}
