"""What Grid Engine has to start programs on the nodes of a job, on a real one: here it has one."""

from __future__ import annotations

import asyncio
import shlex
import sys
from typing import TYPE_CHECKING

import pytest

import dask_hpc
from dask_hpc.batch.model import JobSpec, Resources, Tag
from dask_hpc.batch.queue import Queue
from dask_hpc.batch.sge import SGE
from dask_hpc.process.local import LocalRunner
from tests.integration.places import wait_for
from tests.launch.test_supervise import REPORT

if TYPE_CHECKING:
    from tests.beds.beds import SgeBed

pytestmark = pytest.mark.bed("sge")


def test_qrsh_runs_a_program_of_a_job_and_brings_its_exit_code(sge: SgeBed) -> None:
    place = sge.directory("qrsh")
    queue = Queue(SGE.from_facts({"pe": "mpi", "memory_resource": ""}), LocalRunner(), user="root")
    size = ("--nodes", "1", "--cores", "2", "--scripts", str(place))
    launch = (sys.executable, "-m", "dask_hpc.launch.supervise", "--launcher", "qrsh", *size)
    report = REPORT.replace('"fail" in sys.argv and node == "1"', '"fail" in sys.argv')
    program = (sys.executable, "-c", report, str(place), "fail", "a 'b'", "$HOME")
    body = (
        f'export PYTHONPATH={shlex.quote(_source())} A_WORD="it\'s $((40 + 2))"',
        shlex.join([*launch, "--", *program]),
        f"echo $? >{shlex.quote(str(place / 'code'))}",
    )
    job = JobSpec(
        tag=Tag("qrsh-test"),
        resources=Resources(cores=2, memory=2**20, walltime=60),
        body="\n".join(body),
        log=str(place / "log"),
    )
    ids = asyncio.run(queue.submit(job))
    try:
        code = place / "code"
        wait_for(lambda: code.exists() and code.read_text(), what="the program ends")
    finally:
        asyncio.run(queue.cancel(ids))
    assert code.read_text() == "3\n"
    words, _, word, _ = eval((place / "node-0").read_text())
    assert (words, word) == (["fail", "a 'b'", "$HOME"], "it's 42")
    assert not [*place.glob("*.task")]


def _source() -> str:
    (package,) = dask_hpc.__path__
    return package.removesuffix("/dask_hpc")
