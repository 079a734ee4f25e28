"""The drop-in on every batch system: what `job_script` says is what is submitted, and it runs."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from distributed import Client

from dask_hpc.compat import jobqueue
from tests.integration.places import wait_for
from tests.integration.systems import system_at

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.integration.systems import SystemPlace

pytestmark = pytest.mark.timeout(180)

KINDS: dict[str, Any] = {
    "slurm": jobqueue.SLURMCluster,
    "sge": jobqueue.SGECluster,
    "pbs": jobqueue.PBSCluster,
    "lsf": jobqueue.LSFCluster,
}
SUBMITS = {"slurm": "sbatch", "sge": "qsub", "pbs": "qsub", "lsf": "bsub"}
_SHIM = """#!/bin/bash
cat >{file}.$$ && cp {file}.$$ {file}
exec {program} "$@" <{file}.$$
"""


@pytest.fixture(
    scope="module",
    params=[
        pytest.param("slurm", marks=pytest.mark.bed("slurm")),
        pytest.param("sge", marks=pytest.mark.bed("sge")),
        "pbs",
        "lsf",
    ],
)
def system(request: pytest.FixtureRequest) -> Iterator[SystemPlace]:
    with system_at(request, request.param) as found:
        yield found


@pytest.fixture
def captured(system: SystemPlace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that has the script of the last submission."""
    name = SUBMITS[system.site]
    file = tmp_path / "script"
    shim = tmp_path / "bin" / name
    shim.parent.mkdir()
    shim.write_text(_SHIM.format(file=file, program=shutil.which(name)), encoding="utf-8")
    shim.chmod(0o755)
    monkeypatch.setenv("PATH", f"{shim.parent}{os.pathsep}{os.environ['PATH']}")
    return file


def squares(client: Client, count: int) -> int:
    """Return the sum of squares; workers know nothing of this module."""
    return sum(client.gather(client.map(lambda number: number * number, range(count))))


def names(client: Client) -> set[str]:
    return {each["name"] for each in client.scheduler_info(n_workers=-1)["workers"].values()}


def test_what_is_submitted_is_the_job_script_and_a_lost_job_is_replaced(
    system: SystemPlace, captured: Path
) -> None:
    kind = KINDS[system.site]
    with kind(cores=1, memory="300MB") as cluster, Client(cluster) as client:
        script = cluster.job_script()
        assert cluster.job_header in script
        cluster.scale(jobs=2)
        client.wait_for_workers(2, timeout=90)
        assert captured.read_text(encoding="utf-8") == script == cluster.job_script()
        assert squares(client, 20) == 2470
        before = names(client)
        (lost, *_) = [job.job_id for job in cluster.workers.values()]
        system.cancel(lost)
        wait_for(lambda: len(names(client) - before) == 1, 90, what="another job comes")
        cluster.scale(0)
        wait_for(lambda: not names(client), what="all workers leave")
        assert not cluster.worker_spec
