"""Cores, memory and processes count the same wherever they are written."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import dask
import pytest
from distributed import Client

from dask_hpc import HPCCluster
from tests.integration.places import place_at, run, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.integration.places import Place

pytestmark = pytest.mark.bed("slurm")

# Held jobs show what was asked for, and cost nothing.
SETTINGS = """\
cores: 4
memory: 800 MB
processes: 2
walltime: 10 min
directives: [--hold]
"""
SOURCES = ("a call", "a profile", "dask's configuration", "the environment")


@pytest.fixture(scope="module")
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    """Slurm alone: it shows what a job asks for."""
    with place_at(request, "slurm") as found:
        yield found


@pytest.fixture(scope="module", params=SOURCES)
def cluster(place: Place, request: pytest.FixtureRequest) -> Iterator[HPCCluster]:
    """A cluster whose size is written in one of these sources."""
    with ExitStack() as stack:
        site, given = write(request.param, place.home, stack)
        yield stack.enter_context(HPCCluster(site=site, name=place.name(), **given))


def write(source: str, home: Path, stack: ExitStack) -> tuple[str, dict[str, Any]]:
    """Write the settings; return the name of the site, and the keywords of the call."""
    patch = stack.enter_context(pytest.MonkeyPatch.context())
    if source == "a profile":
        profiles = home / "config" / "dask-hpc"
        profiles.mkdir(parents=True)
        (profiles / "mine.yaml").write_text(f"system: slurm\n{SETTINGS}")
        return "mine", {}
    if source == "dask's configuration":
        directory = home / "dask"
        directory.mkdir()
        lines = [f"  {line}" for line in SETTINGS.splitlines()]
        (directory / "hpc.yaml").write_text("\n".join(["hpc:", *lines]))
        stack.enter_context(dask.config.set(dask.config.collect([str(directory)], env={})))
        return "slurm", {}
    values = dict(line.split(": ") for line in SETTINGS.splitlines())
    values["directives"] = "--hold"
    if source == "the environment":
        for key, value in values.items():
            patch.setenv(f"DASK_HPC__{key.upper()}", value)
        return "slurm", {}
    return "slurm", values


def asked(cluster: HPCCluster) -> list[list[str]]:
    """Return the cores and the memory that Slurm sees in the jobs of a cluster."""
    lines = run("squeue", "-h", "-r", "-o", "%j %C %m").splitlines()
    return [line.split()[1:] for line in lines if line.startswith(f"{cluster.name}-")]


@pytest.mark.parametrize(
    ("size", "jobs"),
    [({"cores": 9}, 3), ({"memory": "2.4GB"}, 3), ({"n": 5}, 3), ({"jobs": 2}, 2), ({"n": 0}, 0)],
    ids=str,
)
def test_scale_counts_what_a_job_brings(
    cluster: HPCCluster, size: dict[str, Any], jobs: int
) -> None:
    cluster.scale(**size)
    assert (cluster.report().wanted, cluster.report().workers_per_job) == (jobs, 2)
    wait_for(lambda: asked(cluster) == [["4", "763M"]] * jobs)


@pytest.mark.parametrize(
    ("bounds", "jobs"),
    [
        ({"minimum_cores": 9}, (3, 1000)),
        ({"maximum_cores": 16}, (0, 4)),
        ({"minimum_memory": "1.7GB", "maximum_memory": "2.5GB"}, (3, 3)),
        ({"minimum": 3, "maximum": 9}, (2, 4)),
        ({"minimum_jobs": 1, "maximum_cores": 15}, (1, 3)),
    ],
    ids=str,
)
def test_bounds_count_what_a_job_brings(
    cluster: HPCCluster, bounds: dict[str, Any], jobs: tuple[int, int]
) -> None:
    adaptation = cluster.adapt(**bounds)
    assert (adaptation.minimum, adaptation.maximum) == jobs
    report = cluster.report()
    assert (report.minimum, report.maximum) == jobs


def test_the_work_is_given_as_many_cores_as_the_bounds_allow(cluster: HPCCluster) -> None:
    cluster.scale(0)
    with Client(cluster) as client:
        work = client.map(pow, range(400), [2] * 400)
        cluster.adapt(maximum_cores=16, interval="0.2s")
        wait_for(lambda: asked(cluster) == [["4", "763M"]] * 4)
        client.cancel(work)
        del work
        wait_for(lambda: asked(cluster) == [])
        cluster.scale(0)
