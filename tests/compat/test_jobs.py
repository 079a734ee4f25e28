"""The header of each system's job, word for word."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import dask
import pytest

from dask_hpc.compat import headers, jobs
from dask_hpc.compat.job import Job

if TYPE_CHECKING:
    from pathlib import Path

HEADERS: list[tuple[Any, dict[str, Any], list[str]]] = [
    (
        jobs.SLURMJob,
        {"queue": "regular", "account": "geo", "job_extra_directives": ["--exclusive"]},
        [
            "#SBATCH -J dask-worker", "#SBATCH -p regular", "#SBATCH -A geo", "#SBATCH -n 1",
            "#SBATCH --cpus-per-task=8", "#SBATCH --mem=27G", "#SBATCH -t 00:30:00",
            "#SBATCH --exclusive",
        ],
    ),
    (
        jobs.PBSJob,
        {"queue": "regular", "job_directives_skip": ["walltime"]},
        ["#PBS -N dask-worker", "#PBS -q regular", "#PBS -l select=1:ncpus=8:mem=27GB"],
    ),
    (
        jobs.MoabJob,
        {"resource_spec": "nodes=1:ppn=8", "walltime": "1:00:00"},
        ["#PBS -N dask-worker", "#PBS -l nodes=1:ppn=8", "#PBS -l walltime=1:00:00"],
    ),
    (
        jobs.SGEJob,
        {"project": "geo", "resource_spec": "h_vmem=4G"},
        [
            "#$ -N dask-worker", "#$ -P geo", "#$ -l h_vmem=4G", "#$ -l h_rt=00:30:00", "#$ -cwd",
            "#$ -j y",
        ],
    ),
    (
        jobs.LSFJob,
        {"project": "geo", "lsf_units": "mb"},
        [
            "#BSUB -J dask-worker", '#BSUB -P "geo"', "#BSUB -n 8", '#BSUB -R "span[hosts=1]"',
            "#BSUB -M 28000", "#BSUB -W 00:30",
        ],
    ),
    (
        jobs.OARJob,
        {"memory_per_core_property_name": "memcore", "job_extra_directives": ["-p gpu='YES'"]},
        [
            "#OAR -n dask-worker", "#OAR -l /nodes=1/core=8,walltime=00:30:00",
            "#OAR -p gpu='YES'", "#OAR -p 'gpu='YES' AND memcore>=3338'",
        ],
    ),
    (jobs.LocalJob, {"queue": "any", "walltime": "1:00:00"}, []),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "keywords", "lines"), HEADERS)
def test_a_header_has_the_lines_that_sites_know(
    kind: Any, keywords: dict[str, Any], lines: list[str]
) -> None:
    job = kind(cores=8, memory="28GB", **keywords)
    assert job.job_header.splitlines() == lines


def test_a_submit_description_has_the_statements_that_sites_know() -> None:
    job = jobs.HTCondorJob(
        cores=4, memory="100MB", disk="1GB", job_extra_directives={"+Extra": "True"},
        submit_command_extra=["-name", "a host"],
    )  # fmt: skip
    assert {
        "RequestCpus = MY.DaskWorkerCores",
        "MY.DaskWorkerDisk = 1000000000",
        "+Extra = True",
    } <= {*job.job_script().splitlines()}
    assert job.submit_command == "condor_submit -name 'a host'"
    with pytest.raises(ValueError, match="how much disk"):
        jobs.HTCondorJob(cores=1, memory="1GB")


def test_the_worker_of_a_job_alone_is_the_stock_one() -> None:
    job = jobs.SLURMJob(
        "tcp://192.0.2.1:8786", name="w", cores=8, memory="16GiB", interface="ib0",
        local_directory="$TMPDIR", nanny=False, job_script_prologue=["module load python"],
    )  # fmt: skip
    script = job.job_script()
    assert "-m distributed.cli.dask_worker tcp://192.0.2.1:8786 --name w --nthreads 2" in script
    assert script.rstrip().endswith(
        "--memory-limit 4.00GiB --nworkers 4 --no-nanny --death-timeout 60 "
        "--local-directory $TMPDIR --interface ib0"
    )
    assert script.index("module load") < script.index("distributed.cli")


def test_old_keywords_work_and_warn_once_each() -> None:
    with pytest.warns(FutureWarning, match="env_extra has been renamed to job_script_prologue"):
        job = jobs.SLURMJob(cores=1, memory="1GB", env_extra=["module load a"])
    assert "module load a" in job.job_script()
    with pytest.warns(FutureWarning, match="project has been renamed to account"):
        job = jobs.PBSJob(cores=1, memory="1GB", project="old", account="new")
    assert "-A new" in str(job.job_header)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        jobs.SGEJob(cores=1, memory="1GB", project="geo")  # its name there


def test_a_named_section_inherits_what_it_does_not_say() -> None:
    sections = {
        "slurm": {"queue": "regular", "walltime": "02:00:00", "cores": 4, "memory": "8GB"},
        "big": {"memory": "64GB", "queue": None},
    }
    with dask.config.set(jobqueue=sections):
        job = jobs.SLURMJob(config_name="big")
    assert job.worker_cores == 4
    assert job.worker_memory == 64_000_000_000
    assert "-t 02:00:00" in str(job.job_header)
    assert "SBATCH -p" not in str(job.job_header)


def test_a_key_may_be_written_with_underscores() -> None:
    with dask.config.set({"jobqueue.slurm.job_cpu": 3}):
        assert "--cpus-per-task=3" in str(jobs.SLURMJob(cores=1, memory="1GB").job_header)


def test_memory_is_rounded_up_in_the_units_of_each_system() -> None:
    sizes = [1, 1234, 12345678, 1234567890]
    assert [headers.slurm_format_bytes_ceil(size) for size in sizes] == ["1K", "2K", "12M", "2G"]
    assert headers.pbs_format_bytes_ceil(15_000_000_000) == "14GB"
    assert headers.lsf_format_bytes_ceil(1234567890, lsf_units="gb") == "2"


def test_the_unit_of_lsf_is_that_of_its_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lsf.conf").write_text("LSF_UNIT_FOR_LIMITS=MB\nLSF_UNIT_FOR_LIMITS=GB # now\n")
    monkeypatch.setenv("LSF_ENVDIR", str(tmp_path))
    assert headers.lsf_detect_units() == "gb"


async def test_a_command_that_fails_is_an_error_with_what_it_said() -> None:
    assert await Job._call(["echo", "hello"]) == "hello\n"
    with pytest.raises(RuntimeError, match="Exit code: 3"):
        await Job._call(["echo no >&2; exit 3"], shell=True)
