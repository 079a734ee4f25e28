"""The end of the scheduler's own job is told in time, and not before."""

from __future__ import annotations

import pytest

from dask_hpc.cluster.lifetime import farewell, notice

HOUR = 3600.0


@pytest.mark.parametrize(
    ("walltime", "seconds"), [(24 * HOUR, 900), (HOUR, 900), (1200.0, 300), (60.0, 15), (None, 900)]
)
def test_the_notice_is_a_quarter_of_an_hour_or_of_the_walltime(
    walltime: float | None, seconds: float
) -> None:
    assert notice(walltime) == seconds


@pytest.mark.parametrize(
    ("left", "words"),
    [
        (HOUR, ""),
        (901.0, ""),
        (900.0, "the scheduler's own job ends in 15m: its workers end with it"),
        (480.0, "the scheduler's own job ends in 8m: its workers end with it"),
        (0.0, "the scheduler's own job should have ended: its workers end with it"),
        (-5.0, "the scheduler's own job should have ended: its workers end with it"),
    ],
)
def test_it_is_told_from_then_on(left: float, words: str) -> None:
    assert farewell(1000.0, walltime=4 * HOUR, now=1000.0 - left) == words


def test_a_job_without_an_end_says_nothing() -> None:
    assert farewell(None, walltime=None, now=0.0) == ""
