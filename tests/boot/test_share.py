"""What part of its node a task has."""

import pytest

from dask_hpc.boot.share import Node, look_at_node


@pytest.mark.parametrize(
    ("node", "tasks", "threads"),
    [
        (Node(processors=16, bound=16, memory=1), 4, 4),  # none is bound: they share
        (Node(processors=16, bound=4, memory=1), 4, 4),  # each has processors of its own
        (Node(processors=16, bound=8, memory=1), 4, 4),  # two share a socket
        (Node(processors=16, bound=1, memory=1), 4, 1),
        (Node(processors=2, bound=2, memory=1), 4, 1),  # more tasks than processors
        (Node(processors=7, bound=7, memory=1), 2, 3),
    ],
)
def test_tasks_never_have_more_threads_than_their_node_has_processors(
    node: Node, tasks: int, threads: int
) -> None:
    assert node.threads(tasks) == threads


def test_memory_is_divided() -> None:
    assert Node(processors=1, bound=1, memory=100).memory_of(3) == 33


def test_a_job_of_slurm_has_the_processors_that_slurm_gave_it() -> None:
    assert look_at_node({"SLURM_CPUS_ON_NODE": "1"}).processors == 1
    assert look_at_node({}).memory > 2**20
