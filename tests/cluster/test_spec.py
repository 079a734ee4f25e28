from __future__ import annotations

from dataclasses import replace

import pytest

from tests.cluster.specs import GB, a_spec


@pytest.mark.parametrize(
    ("cores", "processes", "threads"), [(36, 1, 36), (36, 4, 9), (36, 5, 7), (2, 4, 1)]
)
def test_the_workers_of_a_node_share_its_cores_and_have_one_thread_at_least(
    cores: int, processes: int, threads: int
) -> None:
    worker = replace(a_spec().worker, cores=cores)
    assert a_spec(worker=worker, processes=processes).threads == threads


def test_the_workers_of_a_node_share_its_memory() -> None:
    worker = replace(a_spec().worker, memory=20 * GB)
    assert a_spec(worker=worker, processes=4).memory_limit == 5 * GB


def test_a_job_brings_its_workers_on_each_of_its_nodes() -> None:
    worker = replace(a_spec().worker, nodes=3)
    assert a_spec(worker=worker, processes=4).workers_per_job == 12
