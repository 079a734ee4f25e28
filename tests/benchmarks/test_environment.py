"""The one environment of all contenders: the versions of here, nothing that favours one."""

from __future__ import annotations

from pathlib import Path

from benchmarks.environment import pins, plain, requirements

CHECKOUT = Path(__file__).parents[2]


def test_variables_that_change_python_or_dask_are_left_out() -> None:
    environ = {
        "PATH": "/bin",
        "HOME": "/root",
        "PYTHONDONTWRITEBYTECODE": "1",
        "DASK_DISTRIBUTED__WORKER__NANNY": "false",
        "DASK_HPC_HOME": "/home/me/clusters",
        "DASK_HPC_BENCH_WORKERS": "100",
        "SLURM_JOB_ID": "7",
    }
    assert plain(environ) == {
        "PATH": "/bin",
        "HOME": "/root",
        "DASK_HPC_BENCH_WORKERS": "100",
    }


def test_what_the_project_needs_is_there_with_what_it_is_compared_to() -> None:
    needs = requirements(CHECKOUT / "pyproject.toml")
    assert any(need.startswith("distributed") for need in needs)
    assert needs[-1] == "dask-jobqueue==0.9.0"


def test_versions_are_those_of_here_but_for_the_project_itself() -> None:
    assert pins([("tornado", "6.6"), ("dask-hpc", "0.1.0"), ("dask", "2026.8.0")]) == [
        "dask==2026.8.0",
        "tornado==6.6",
    ]
