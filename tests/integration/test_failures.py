"""What goes wrong on a real machine: lost jobs, refused ones, ones that die at once."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

import pytest

from dask_hpc import HPCCluster
from dask_hpc.errors import JobFailed, SubmitRejected
from tests.integration.places import run, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.integration.places import Place

NOWHERE = {
    "local": 'queue "nowhere" is unknown',
    "slurm": "invalid partition specified: nowhere",
}


@pytest.fixture
def clusters(place: Place) -> Iterator[list[HPCCluster]]:
    """Clusters that are shut down whatever happens."""
    made: list[HPCCluster] = []
    yield made
    for cluster in made:
        cluster.shutdown()


# a job that is refused ---------------------------------------------------------------------------


@pytest.mark.parametrize("home", ["here", "job"])
def test_a_refused_submission_raises_the_words_of_the_batch_system(
    place: Place, clusters: list[HPCCluster], home: str
) -> None:
    keep = {"scheduler_queue": "batch"} if place.site == "slurm" else {"scheduler_queue": "local"}
    options: dict[str, Any] = {**place.small, **keep, "queue": "nowhere", "scheduler": home}
    cluster = HPCCluster(**options, name=place.name())
    clusters.append(cluster)
    begin = time.monotonic()
    with pytest.raises(SubmitRejected, match=NOWHERE[place.site]) as caught:
        cluster.scale(2)
    assert time.monotonic() - begin < 20
    assert "queues" in caught.value.hint or "queue" in caught.value.hint
    assert cluster.jobs() == ()
    with pytest.raises(JobFailed, match=NOWHERE[place.site]):
        cluster.wait_for_workers(2, timeout=20)


def test_the_next_scale_works_after_a_refusal(place: Place) -> None:
    if place.site != "slurm":
        return  # the local queue has nothing that can be closed and opened
    options = {**place.small, "queue": "scavenge", "name": place.name()}
    with HPCCluster(**options) as cluster:
        run("scontrol", "update", "PartitionName=scavenge", "State=INACTIVE")
        try:
            with pytest.raises(SubmitRejected) as caught:
                cluster.scale(2)
            assert "sbatch: error:" in str(caught.value) or "partition" in str(caught.value).lower()
        finally:
            run("scontrol", "update", "PartitionName=scavenge", "State=UP")
        cluster.scale(2)
        cluster.wait_for_workers(2, timeout=60)


def test_up_says_why_it_was_refused_and_leaves_nothing(place: Place) -> None:
    done = place.dask_hpc("up", *place.small_options, "--queue", "nowhere", "--name", "never")
    assert done.returncode == 1
    assert NOWHERE[place.site] in done.stderr
    assert "hint: " in done.stderr
    assert place.left("never") == []


# a job that dies at once -------------------------------------------------------------------------


@pytest.fixture
def submissions(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file in which every call of sbatch leaves a line; on the local queue it stays empty."""
    log = tmp_path / "sbatch.log"
    log.touch()
    if place.site == "slurm":
        shim = tmp_path / "bin" / "sbatch"
        shim.parent.mkdir()
        shim.write_text(f'#!/bin/sh\necho "$*" >>{log}\nexec /usr/bin/sbatch "$@"\n')
        shim.chmod(0o755)
        monkeypatch.setenv("PATH", f"{shim.parent}:{os.environ['PATH']}")
    return log


@pytest.mark.parametrize("wanted", [1, 4])
def test_a_prologue_that_fails_is_told_with_its_log_and_not_tried_for_ever(
    place: Place, clusters: list[HPCCluster], submissions: Path, wanted: int
) -> None:
    lines = ["echo the module system is down", "exit 7"]
    cluster = HPCCluster(**place.small, name=place.name(), prologue=lines)
    clusters.append(cluster)
    cluster.scale(jobs=wanted)

    def first_death() -> float:
        ends = place.directory(cluster.name).glob("jobs/*.end")
        return min((path.stat().st_mtime for path in ends), default=0.0)

    wait_for(first_death, 30)
    wait_for(lambda: cluster.report().trouble, 30)
    trouble = cluster.report().trouble
    assert "exit code 7" in trouble.message
    assert "the module system is down" in trouble.log_tail
    with pytest.raises(JobFailed, match="exit code 7") as caught:
        cluster.wait_for_workers(1, timeout=60)
    assert "the module system is down" in str(caught.value)
    jobs = place.jobs(cluster.name)
    assert wanted <= len(jobs) <= wanted + 3
    if place.site == "slurm":
        assert len(submissions.read_text().splitlines()) <= wanted + 3
    said = place.dask_hpc("why", cluster.name)
    assert "the module system is down" in said.stdout
    wait_for(lambda: not place.live_jobs(cluster.name), 30)


def test_up_shows_the_log_of_a_job_that_dies_and_leaves_nothing(place: Place) -> None:
    name = place.name()
    words = ("--prologue", "echo the module system is down; exit 7")
    begin = time.monotonic()
    done = place.dask_hpc("up", *place.small_options, *words, "--name", name)
    assert done.returncode == 1
    assert time.monotonic() - begin < 60
    assert "exit code 7" in done.stderr
    assert "the module system is down" in done.stderr
    wait_for(lambda: not place.left(name), 30)
