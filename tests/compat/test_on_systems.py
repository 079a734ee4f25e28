"""The drop-in on every batch system: what `job_script` says is what is submitted, and it runs."""

from __future__ import annotations

import base64
import os
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from distributed import Client

from dask_hpc.compat import jobqueue
from tests.integration.as_user import run_as_user
from tests.integration.places import wait_for
from tests.integration.systems import AS_USER, SystemPlace, system_at

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.beds.beds import UsersBed

pytestmark = pytest.mark.timeout(180)

SMALL: dict[str, Any] = {"cores": 1, "memory": "300MB"}
TORQUE = {"resource_spec": "nodes=1:ppn=1"}  # as its users say it, for the header has PBS's words
# The class, the keywords that it needs, and the command that submits.
KINDS: dict[str, tuple[Any, dict[str, Any], str]] = {
    "slurm": (jobqueue.SLURMCluster, {}, "sbatch"),
    "sge": (jobqueue.SGECluster, {}, "qsub"),
    "pbs": (jobqueue.PBSCluster, {}, "qsub"),
    "torque": (jobqueue.PBSCluster, TORQUE, "qsub"),
    "moab": (jobqueue.MoabCluster, TORQUE, "msub"),
    "lsf": (jobqueue.LSFCluster, {}, "bsub"),
    "htcondor": (jobqueue.HTCondorCluster, {"disk": "1GB"}, "condor_submit"),
    "oar": (jobqueue.OARCluster, {"memory_per_core_property_name": "not_applicable"}, "oarsub"),
}
BEDS = ("slurm", "sge")
BEDS_OF_USERS = ("oar", "htcondor")
LOSING = ("slurm", "sge", "pbs", "lsf")  # how jobs are replaced is the same for all, and takes long
EVERY: list[Any] = (
    [os.environ[AS_USER]]
    if AS_USER in os.environ
    else [
        *(pytest.param(name, marks=pytest.mark.bed(name)) for name in BEDS),
        *(name for name in KINDS if name not in (*BEDS, *BEDS_OF_USERS)),
    ]
)
_SHIM = """#!/bin/bash
printf %s "${{@: -1}}" >{file}.word
cat >{file}.$$ && cp {file}.$$ {file}
exec {program} "$@" <{file}.$$
"""


@pytest.fixture(scope="module", params=EVERY)
def system(request: pytest.FixtureRequest) -> Iterator[SystemPlace]:
    with system_at(request, request.param) as found:
        yield found


@pytest.fixture
def captured(system: SystemPlace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that has what the command of the last submission was given."""
    name = KINDS[system.site][2]
    file = tmp_path / "script"
    shim = tmp_path / "bin" / name
    shim.parent.mkdir()
    shim.write_text(_SHIM.format(file=file, program=shutil.which(name)), encoding="utf-8")
    shim.chmod(0o755)
    monkeypatch.setenv("PATH", f"{shim.parent}{os.pathsep}{os.environ['PATH']}")
    return file


def script_in(file: Path) -> str:
    """Return the script that was submitted: OAR gets it in a word, all others on their input."""
    if text := file.read_text(encoding="utf-8"):
        return text
    packed = re.search(r"echo (\S+)", file.with_suffix(".word").read_text(encoding="ascii"))
    assert packed is not None
    return base64.b64decode(packed[1]).decode()


def squares(client: Client, count: int) -> int:
    """Return the sum of squares; workers know nothing of this module."""
    return sum(client.gather(client.map(lambda number: number * number, range(count))))


def names(client: Client) -> set[str]:
    return {each["name"] for each in client.scheduler_info(n_workers=-1)["workers"].values()}


def lose_a_job(system: SystemPlace, cluster: Any, client: Client) -> None:
    """Cancel one behind the cluster's back, and wait for the workers of another one."""
    before = names(client)
    (lost, *_) = [job.job_id for job in cluster.workers.values()]
    system.cancel(lost)
    wait_for(lambda: len(names(client) - before) == 1, 90, what="another job comes")


def test_what_is_submitted_is_the_job_script_and_a_lost_job_is_replaced(
    system: SystemPlace, captured: Path
) -> None:
    kind, keywords, _ = KINDS[system.site]
    with kind(**SMALL, **keywords) as cluster, Client(cluster) as client:
        script = cluster.job_script()
        assert (cluster.job_header or "") in script
        cluster.scale(jobs=2)
        client.wait_for_workers(2, timeout=90)
        assert script_in(captured) == script == cluster.job_script()
        assert squares(client, 20) == 2470
        if system.site in LOSING:
            lose_a_job(system, cluster, client)
        cluster.scale(0)
        wait_for(lambda: not names(client), 60, what="all workers leave")
        assert not cluster.worker_spec


@pytest.mark.skipif(AS_USER in os.environ, reason="runs all of the above, and not itself")
@pytest.mark.timeout(400)
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.bed(name)) for name in BEDS_OF_USERS]
)
def test_all_of_this_where_root_submits_no_jobs(request: pytest.FixtureRequest, name: str) -> None:
    bed: UsersBed = request.getfixturevalue(name)
    assert "1 passed" in run_as_user(bed, Path(__file__), system=name, seconds=380)
