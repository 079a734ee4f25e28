"""What is submitted is the script, byte for byte, whatever the job's name and their number."""

from __future__ import annotations

import base64
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dask_hpc.batch.model import JobId, JobSpec, Resources, Tag
from dask_hpc.cluster.spec import ClusterSpec, Home
from dask_hpc.compat import jobs
from dask_hpc.compat.scripts import supplied
from dask_hpc.plugins import BATCH_SYSTEMS, load

KINDS: dict[str, Any] = {
    "slurm": jobs.SLURMJob, "pbs": jobs.PBSJob, "moab": jobs.MoabJob, "sge": jobs.SGEJob,
    "lsf": jobs.LSFJob, "oar": jobs.OARJob, "htcondor": jobs.HTCondorJob, "local": jobs.LocalJob,
}  # fmt: skip
WORKER = Resources(cores=2, memory=10**9)
SPEC = ClusterSpec(
    name="climate", site="here", system="", user="me", home=Home.HERE, directory=Path("/d/climate"),
    worker=WORKER, scheduler=WORKER, processes=1, python="/usr/bin/python3",
)  # fmt: skip
JOB = JobSpec(tag=Tag("climate-abcdefgh"), resources=WORKER, body="true", log="/d/{index}.log")


def made(name: str, **keywords: Any) -> tuple[Any, Any]:
    extra = {"disk": "1GB"} if name == "htcondor" else {}
    extra |= {"memory_per_core_property_name": "not_applicable"} if name == "oar" else {}
    job = KINDS[name](cores=2, memory="1GB", **extra, **keywords)
    system = load(BATCH_SYSTEMS, name).from_facts({})
    return job, supplied(job, replace(SPEC, system=name), system=system)


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("name", KINDS)
def test_the_script_is_the_same_for_every_submission(name: str, count: int) -> None:
    job, system = made(name)
    command = system.submit_command(JOB, count)
    sent = command.stdin
    if name == "oar":
        packed = command.argv[-1].split("echo ")[1].split(" ")[0]
        sent = base64.b64decode(packed).decode()
    assert sent == system.text
    assert JOB.tag not in system.text
    assert str(job.job_header or "") in system.text
    assert any(JOB.tag in word for word in (*command.argv, *command.env.values()))


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("A=1;B=two words", "A=1 B='two words' "),
        ("\"A=1 B='two words'\"", "A=1 B='two words' "),
        (None, ""),
    ],
)
def test_a_description_keeps_the_variables_of_its_user(said: str | None, kept: str) -> None:
    extra = {"Environment": said} if said else {}
    _, system = made("htcondor", job_extra_directives=extra)
    (line,) = (one for one in system.text.splitlines() if one.startswith("environment ="))
    assert line.startswith(f'environment = "{kept}DASK_HPC_JOB_NAME=$(dask_hpc_tag) ')


def test_a_description_keeps_the_universe_of_its_user() -> None:
    _, plain = made("htcondor")
    assert "universe = vanilla" in plain.text.splitlines()
    _, system = made("htcondor", job_extra_directives={"universe": "docker"})
    found = [line for line in system.text.splitlines() if line.startswith("universe")]
    assert found == ["universe = docker"]


def test_a_class_with_commands_of_its_own_is_obeyed() -> None:
    class Wrapped(jobs.SLURMJob):
        submit_command = "site-submit --fast"
        cancel_command = "site-cancel"

    job = Wrapped(cores=1, memory="1GB")
    system = supplied(job, SPEC, system=load(BATCH_SYSTEMS, "slurm").from_facts({}))
    assert system.submit_command(JOB).argv[:3] == ("site-submit", "--fast", "--parsable")
    (cancel,) = system.cancel_commands([JobId("7")])
    assert cancel.argv == ("site-cancel", "7")


def test_logs_stay_where_the_header_has_them(tmp_path: Path) -> None:
    _, system = made("slurm", log_directory=str(tmp_path / "logs"))
    assert f"#SBATCH -o {tmp_path}/logs/dask-worker-%J.out" in system.text
    assert not any(word.startswith("--output") for word in system.submit_command(JOB).argv)
    assert "readlink" in system.text  # the cluster finds them there
