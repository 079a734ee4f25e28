"""The bounds and the patience of an adaptive pool, as people say them."""

from __future__ import annotations

import pytest

from dask_hpc.controller.adaptive import Bounds
from dask_hpc.deploy.amounts import Amount, Patience, bounds_of, patience_of
from dask_hpc.errors import ConfigError
from tests.cluster.specs import a_spec

SPEC = a_spec()  # jobs of two workers, four cores and 16 GB


@pytest.mark.parametrize(
    ("low", "high", "jobs"),
    [
        (Amount(workers=1), Amount(workers=16), (1, 8)),
        (Amount(jobs=1), Amount(cores=16), (1, 4)),
        (Amount(cores=5), Amount(memory="100GB"), (2, 6)),
        (Amount(memory="17GB"), Amount(jobs=3), (2, 3)),
        (Amount(), Amount(), (0, 1000)),
    ],
)
def test_bounds_are_whole_jobs_in_whatever_words(
    low: Amount, high: Amount, jobs: tuple[int, int]
) -> None:
    bounds = bounds_of(low, high, spec=SPEC, patience=Patience())
    assert (bounds.minimum, bounds.maximum) == jobs


def test_a_minimum_above_the_maximum_is_refused() -> None:
    with pytest.raises(ConfigError, match="minimum of 3 jobs is above the maximum of 2"):
        bounds_of(Amount(jobs=3), Amount(workers=5), spec=SPEC, patience=Patience())


def test_patience_is_said_in_dask_words() -> None:
    patience = patience_of("2s", 5, target_duration="10 minutes")
    bounds = bounds_of(Amount(), Amount(jobs=1), spec=SPEC, patience=patience)
    assert bounds == Bounds(minimum=0, maximum=1, interval=2.0, wait_count=5, target_duration=600.0)
    assert patience_of(5, 3, target_duration=None) == Patience()


@pytest.mark.parametrize(
    ("interval", "wait_count", "target", "words"),
    [
        ("soon", 3, None, "interval 'soon'"),
        ("5s", 0, None, "wait_count 0 is less than 1"),
        ("5s", 3, "later", "target_duration 'later'"),
    ],
)
def test_patience_that_makes_no_sense_is_refused(
    interval: str, wait_count: int, target: str | None, words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        patience_of(interval, wait_count, target_duration=target)
