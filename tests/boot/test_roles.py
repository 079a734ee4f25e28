"""Who does what, and how many tasks that takes."""

import pytest

from dask_hpc.boot.roles import Layout, Role, WorldTooSmallException

S, C, W = Role(scheduler=True), Role(client=True), Role(worker=True)
ALL = Role(scheduler=True, client=True, worker=True)


@pytest.mark.parametrize(
    ("layout", "roles"),
    [
        (Layout(client_rank=1), [S, C, W, W]),
        (Layout(client_rank=2, scheduler_rank=3), [W, W, C, S]),
        (Layout(client_rank=2, scheduler_rank=2), [W, W, Role(scheduler=True, client=True)]),
        (Layout(client_rank=0, exclusive_workers=False), [ALL, W]),
        (Layout(client_rank=0, exclusive_workers=False), [ALL]),
        (Layout(), [S, W]),
        (Layout(scheduler_rank=1), [W, S]),
        (Layout(exclusive_workers=False), [Role(scheduler=True, worker=True)]),
        (Layout(scheduler_rank=None), [W]),
    ],
)
def test_every_task_has_its_role(layout: Layout, roles: list[Role]) -> None:
    size = len(roles)
    assert [layout.role_of(rank, size=size) for rank in range(size)] == roles


@pytest.mark.parametrize(
    ("layout", "size", "needs"),
    [
        (Layout(client_rank=1), 2, 3),
        (Layout(client_rank=1, least=3), 1, 3),
        (Layout(client_rank=0), 1, 2),
        (Layout(), 1, 2),
        (Layout(scheduler_rank=3), 3, 4),
    ],
)
def test_too_few_tasks_are_refused_with_the_number_that_it_takes(
    layout: Layout, size: int, needs: int
) -> None:
    with pytest.raises(WorldTooSmallException, match=f"that needs {needs}: ") as refused:
        layout.role_of(0, size=size)
    assert f"mpirun -np {needs}" in refused.value.hint
    assert isinstance(refused.value, RuntimeError)  # as dask-mpi's
