"""GPUs that Slurm gives a job, here files that stand for them: one for each worker."""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING

import pytest
from distributed import Client

from dask_hpc import HPCCluster
from tests.beds.beds import CHECKOUT
from tests.integration.places import place_at

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.places import Place

pytestmark = pytest.mark.bed("slurm")


@pytest.fixture(scope="module")
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    with place_at(request, "slurm") as found:
        yield found


def test_each_worker_has_a_gpu_of_its_own(place: Place) -> None:
    options = {**place.small, "gpus": 2, "cores": 2, "resources": {"GPU": 1}}
    with HPCCluster(**options, name=place.name()) as cluster, Client(cluster) as client:
        cluster.scale(jobs=1)
        client.wait_for_workers(2, timeout=60)
        seen = client.run(lambda: os.environ["CUDA_VISIBLE_DEVICES"])
        assert sorted(seen.values()) == ["0", "1"]
        assert client.submit(sum, [1, 2], resources={"GPU": 1}).result(timeout=30) == 3


def test_a_class_of_workers_that_is_not_ours_has_one_for_each_gpu(place: Place) -> None:
    options = {**place.small, "gpus": 2, "worker_class": "tests.boot.kinds.Minding"}
    prologue = [f"export PYTHONPATH={shlex.quote(str(CHECKOUT))}"]
    with HPCCluster(**options, prologue=prologue, name=place.name()) as cluster:
        cluster.scale(jobs=1)
        with Client(cluster) as client:
            client.wait_for_workers(2, timeout=60)
            seen = client.run(
                lambda: (os.environ["CUDA_VISIBLE_DEVICES"], "OWN_WORKER" in os.environ)
            )
            assert sorted(seen.values()) == [("0", True), ("1", True)]
