"""Whether a job could start in a queue now."""

from __future__ import annotations

from typing import Any

import pytest

from dask_hpc.batch.model import BatchQueue, Resources
from dask_hpc.errors import ConfigError
from dask_hpc.sites.fit import Chance, Fit, fit, named
from dask_hpc.sites.settings import QueueLimits
from dask_hpc.sites.values import Duration

GIB = 2**30
QUEUE: dict[str, Any] = {
    "name": "cpu", "max_walltime": 86400.0, "max_nodes": 2, "nodes": 8, "free_nodes": 3,
    "cores_per_node": 36, "memory_per_node": 100 * GIB,
}  # fmt: skip
JOB: dict[str, Any] = {"cores": 36, "memory": 100 * GIB, "walltime": 86400.0}


def judged(queue: dict[str, Any], job: dict[str, Any], limits: QueueLimits | None = None) -> Fit:
    return fit(BatchQueue(**{**QUEUE, **queue}), Resources(**{**JOB, **job}), limits=limits)


def test_a_job_that_fits_could_start_now() -> None:
    assert judged({}, {}) == Fit(chance=Chance.NOW)


@pytest.mark.parametrize(
    ("queue", "job", "chance", "reason"),
    [
        ({}, {"walltime": 90000}, Chance.NEVER, "walltime 1d1h is more than the 1d"),
        ({}, {"nodes": 3}, Chance.NEVER, "nodes 3 is more than the 2"),
        ({}, {"cores": 37}, Chance.NEVER, "cores 37 is more than the 36 of a node"),
        (
            {},
            {"memory": 101 * GIB},
            Chance.NEVER,
            "memory 101 GiB is more than the 100 GiB of a node",
        ),
        ({}, {"gpus": 1}, Chance.NEVER, "gpus 1 is more than the 0 of a node"),
        ({"free_nodes": 1}, {"nodes": 2}, Chance.LATER, "1 of 8 nodes are free"),
        ({"is_open": False}, {}, Chance.LATER, "it is closed"),
        ({"max_walltime": None, "max_nodes": None}, {"nodes": 3, "walltime": 9e9}, Chance.NOW, ""),
        ({"cores_per_node": 0, "memory_per_node": 0}, {"cores": 99}, Chance.NOW, ""),
        ({}, {"walltime": None}, Chance.NOW, ""),
    ],
)
def test_a_job_that_does_not_fit_says_why(
    queue: dict[str, Any], job: dict[str, Any], chance: Chance, reason: str
) -> None:
    assert judged(queue, job) == Fit(chance=chance, reason=reason)


def test_the_profile_may_be_stricter_than_the_batch_system() -> None:
    limits = QueueLimits(max_walltime=Duration(3600), max_nodes=1)
    assert judged({}, {}, limits).reason == "walltime 1d is more than the 1h of the profile"
    assert judged({}, {"walltime": 60, "nodes": 2}, limits).reason == (
        "nodes 2 is more than the 1 of the profile"
    )


def test_a_queue_is_found_by_its_name() -> None:
    queues = [BatchQueue(name="cpu"), BatchQueue(name="long")]
    assert named(queues, None, system="slurm") == queues
    assert named(queues, "long", system="slurm") == queues[1:]


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("cpus", "did you mean 'cpu'?"),
        ("zzz", "queues you may use: cpu, long"),
    ],
)
def test_a_queue_that_is_not_there_is_refused(name: str, hint: str) -> None:
    queues = [BatchQueue(name="cpu"), BatchQueue(name="long")]
    with pytest.raises(ConfigError) as caught:
        named(queues, name, system="slurm")
    assert str(caught.value) == f"queue {name!r} is unknown to slurm"
    assert caught.value.hint == hint
