from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dask_hpc.controller.adaptive import AdaptiveTarget, Bounds


def looks(bounds: Bounds, *demands: int, workers_per_job: int = 1) -> list[int]:
    target = AdaptiveTarget(bounds)
    return [target.look(demand, workers_per_job) for demand in demands]


def test_it_grows_at_once() -> None:
    assert looks(Bounds(minimum=0, maximum=100), 1, 5, 80) == [1, 5, 80]


def test_it_shrinks_to_the_most_that_the_last_three_looks_asked_for() -> None:
    assert looks(Bounds(minimum=0, maximum=100), 80, 2, 5, 3, 0, 0, 0) == [80, 80, 80, 5, 5, 3, 0]


def test_it_has_as_much_patience_as_it_was_told() -> None:
    bounds = Bounds(minimum=0, maximum=100, wait_count=1)
    assert looks(bounds, 8, 2, 5, 0) == [8, 2, 5, 0]
    assert looks(replace(bounds, wait_count=2), 8, 2, 5, 0, 0) == [8, 8, 5, 5, 0]


def test_one_quiet_look_takes_nobody_away() -> None:
    assert looks(Bounds(minimum=0, maximum=100), 10, 0, 10, 0, 10) == [10] * 5


def test_it_stays_between_its_bounds() -> None:
    assert looks(Bounds(minimum=2, maximum=7), 0, 100, 0, 0, 0) == [2, 7, 7, 7, 2]


@pytest.mark.parametrize(("demand", "jobs"), [(0, 0), (1, 1), (4, 1), (5, 2), (8, 2), (9, 3)])
def test_jobs_are_whole(demand: int, jobs: int) -> None:
    assert looks(Bounds(minimum=0, maximum=100), demand, workers_per_job=4) == [jobs]


@given(
    bounds=st.tuples(st.integers(0, 9), st.integers(0, 9)).map(sorted),
    demands=st.lists(st.integers(0, 50), min_size=1),
    workers_per_job=st.integers(1, 5),
)
def test_enough_jobs_for_the_work_are_wanted_as_far_as_the_bounds_allow(
    bounds: list[int], demands: list[int], workers_per_job: int
) -> None:
    low, high = bounds
    wanted = looks(Bounds(minimum=low, maximum=high), *demands, workers_per_job=workers_per_job)
    for demand, jobs in zip(demands, wanted, strict=True):
        assert low <= jobs <= high
        assert jobs == high or jobs * workers_per_job >= demand
