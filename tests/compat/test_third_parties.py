"""Packages of sites that build on dask-jobqueue, in the shapes that public ones have.

A site's package has classes of jobs and clusters of its own, ships a yaml with its sections, and
its users have a client of the cluster, often with adaptive scaling.
"""

from __future__ import annotations

import socket
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import dask
import pytest
from distributed import Client
from distributed.core import Status

from dask_hpc.compat import jobqueue
from dask_hpc.compat.jobs import quote_arguments
from tests.integration.places import wait_for
from tests.integration.systems import SystemPlace, system_at

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.timeout(120)


def variable(client: Client, name: str) -> str | None:
    """Return a variable of the environment of a worker."""
    found: str | None = client.submit(
        lambda name: __import__("os").environ.get(name), name, pure=False
    ).result(90)
    return found


def workers(client: Client) -> list[Any]:
    return [*client.scheduler_info(n_workers=-1)["workers"].values()]


# A pool of HTCondor: required keywords, a header that is changed, jobs that start themselves ------


class PoolJob(jobqueue.HTCondorJob):
    """As packages have it that talk to the pool in their own way, one job at a time."""

    executable = "/usr/bin/env"
    config_name = "pool"
    known: ClassVar[set[int]] = set()

    def __init__(self, scheduler: Any = None, name: Any = None, *, image: str, **keywords: Any):
        assert "security" in keywords  # some take it out
        keywords["python"] = f"IMAGE={image} {sys.executable}"
        super().__init__(scheduler=scheduler, name=name, **keywords)
        self.job_header_dict.update({"+SingularityImage": f'"{image}"'})

    def job_script(self) -> str:
        return self._script_template % {
            "shebang": self.shebang,
            "job_header": "\n".join(f"{key} = {say}" for key, say in self.job_header_dict.items()),
            "quoted_arguments": quote_arguments(self._command_template.split(" ")),
            "executable": self.executable,
        }

    async def start(self) -> None:
        if "initialdir" not in self.job_header_dict:
            raise RuntimeError("the files are not ready")
        with self.job_file() as path:
            out = await self._call(["condor_submit", "-terse", path])
        number = int(out.partition(".")[0])
        self.known.add(number)
        self.job_id = number  # type: ignore[assignment]  # as they do
        self.status = Status.running

    async def close(self) -> None:
        if self._cluster:
            raise AssertionError("only distributed's own cluster sets it")
        await self._call(["condor_rm", str(self.job_id)])
        self.known.discard(int(str(self.job_id)))
        self.status = Status.closed
        self._event_finished.set()


class PoolCluster(jobqueue.HTCondorCluster):
    """It prepares files for its jobs once it has started."""

    job_cls = PoolJob
    config_name = "pool"

    def __init__(self, *, image: str = "python:latest", **keywords: Any) -> None:
        keywords.setdefault("scheduler_options", {"host": f"{socket.gethostname()}:0"})
        super().__init__(image=image, **keywords)

    async def _start(self) -> None:
        await super()._start()
        self.scratch = tempfile.TemporaryDirectory()
        self._job_kwargs.setdefault("job_extra_directives", {})["initialdir"] = self.scratch.name

    async def _close(self) -> None:
        await super()._close()
        self.scratch.cleanup()


@pytest.fixture
def pool(request: pytest.FixtureRequest) -> Iterator[SystemPlace]:
    with system_at(request, "htcondor") as found:
        yield found


@pytest.mark.usefixtures("pool")
def test_a_pool_whose_jobs_start_and_end_in_their_own_way() -> None:
    section = {"cores": 1, "memory": "300MB", "disk": "1GB", "processes": 1}
    with dask.config.set({"jobqueue.pool": section}):
        with PoolCluster() as cluster, Client(cluster) as client:
            cluster.scale(jobs=2)
            client.wait_for_workers(2, timeout=90)
            assert variable(client, "IMAGE") == "python:latest"
            assert '+SingularityImage = "python:latest"' in cluster.job_script()
            assert len(PoolJob.known) == 2
            cluster.scale(jobs=1)
            wait_for(lambda: len(workers(client)) == 1, 60, what="one of them leaves")
            scratch = Path(cluster.scratch.name)
            assert scratch.is_dir()
        wait_for(lambda: not PoolJob.known, what="the jobs are closed in their own way")
        assert not scratch.exists()


# A centre with several machines: a yaml of sections, a class that is chosen by the machine --------

SECTIONS = """
jobqueue:
  pbs:
    name: dask-worker-old
    cores: 36
    memory: 109GB
    walltime: '01:00:00'
    resource-spec: select=1:ncpus=36:mem=109GB
  small:
    name: dask-worker-small
    cores: 2
    memory: 600MB
    processes: 2
    interface: null
    queue: debug
    walltime: '00:10:00'
    resource-spec: nodes=1:ppn=2
    log-directory: ${LOGS}/of-jobs
    job-extra: ['-r n']
    env-extra: ['export CENTRE=here']
    death-timeout: 60
"""
MACHINES: dict[str, Any] = {"small": jobqueue.PBSCluster, "unknown": jobqueue.LocalCluster}
MACHINE: Any = MACHINES["small"]


class CentreCluster(MACHINE):
    """It has nothing of its own but the machine's class and section."""

    def __init__(self, **keywords: Any) -> None:
        super().__init__(config_name="small", **keywords)


@pytest.fixture
def centre(request: pytest.FixtureRequest) -> Iterator[SystemPlace]:
    with system_at(request, "torque") as found:
        yield found


@pytest.mark.usefixtures("centre")
def test_a_centre_with_named_sections_in_a_yaml(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOGS", str(tmp_path))
    (tmp_path / "jobqueue.yaml").write_text(SECTIONS, encoding="utf-8")
    said = dask.config.expand_environment_variables(dask.config.collect([str(tmp_path)]))
    with dask.config.set(said):
        with pytest.warns(FutureWarning, match="job_extra has been renamed"):
            cluster = CentreCluster()
        with cluster, Client(cluster) as client:
            assert cluster.job_header.splitlines() == [
                "#PBS -N dask-worker-small",
                "#PBS -q debug",
                "#PBS -l nodes=1:ppn=2",
                "#PBS -l walltime=00:10:00",
                f"#PBS -e {tmp_path}/of-jobs/",
                f"#PBS -o {tmp_path}/of-jobs/",
                "#PBS -r n",
            ]
            cluster.scale(jobs=1)
            client.wait_for_workers(2, timeout=90)
            assert variable(client, "CENTRE") == "here"
            assert [*(tmp_path / "of-jobs").iterdir()]


# Workers in a container, an adaptive cluster, a client of it --------------------------------------


class ContainerJob(jobqueue.SLURMJob):
    """As packages have it that put words before Python."""

    def __init__(self, *arguments: Any, container: tuple[str, ...] = (), **keywords: Any) -> None:
        self.container = container
        if container:
            keywords["python"] = " ".join([*container, sys.executable])
        super().__init__(*arguments, **keywords)


class ContainerCluster(jobqueue.SLURMCluster):
    """The cluster that goes with it."""

    job_cls = ContainerJob


@pytest.fixture
def slurm_place(request: pytest.FixtureRequest) -> Iterator[SystemPlace]:
    with system_at(request, "slurm") as found:
        yield found


@pytest.mark.bed("slurm")
@pytest.mark.usefixtures("slurm_place")
def test_workers_in_a_container_that_come_and_go_with_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # where Slurm puts the logs of jobs that name no place for them
    container = ("env", "SINGULARITY_CONTAINER=python.sif")
    with (
        ContainerCluster(container=container, cores=1, memory="300MB") as cluster,
        Client(cluster) as client,
    ):
        cluster.adapt(minimum=0, maximum=2, interval="200ms", wait_count=2)
        assert variable(client, "SINGULARITY_CONTAINER") == "python.sif"
        squares = client.map(lambda number: number**2, range(20))
        assert sum(client.gather(squares)) == 2470
        del squares
        wait_for(lambda: not workers(client) and not cluster.workers, 60, what="all of them leave")
