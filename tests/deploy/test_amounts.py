from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dask_hpc.deploy.amounts import Amount, jobs_at_least, jobs_at_most
from dask_hpc.errors import ConfigError
from tests.cluster.specs import a_spec

# Jobs of two workers, four cores and 16 GB.
SPEC = a_spec()
WIDE = replace(SPEC, worker=replace(SPEC.worker, nodes=3))


@pytest.mark.parametrize(
    ("amount", "least", "most"),
    [
        (Amount(workers=0), 0, 0),
        (Amount(workers=1), 1, 0),
        (Amount(workers=2), 1, 1),
        (Amount(workers=3), 2, 1),
        (Amount(jobs=0), 0, 0),
        (Amount(jobs=7), 7, 7),
        (Amount(cores=4), 1, 1),
        (Amount(cores=5), 2, 1),
        (Amount(memory="16GB"), 1, 1),
        (Amount(memory="16.5 GB"), 2, 1),
        (Amount(memory="1 TB"), 63, 62),
        (Amount(memory=32 * 10**9), 2, 2),
        (Amount(memory=0), 0, 0),
    ],
)
def test_an_amount_is_so_many_jobs_rounded_up_or_down(
    amount: Amount, least: int, most: int
) -> None:
    assert jobs_at_least(amount, SPEC) == least
    assert jobs_at_most(amount, SPEC) == most


@pytest.mark.parametrize(
    "amount", [Amount(workers=6), Amount(jobs=1), Amount(cores=12), Amount(memory="48GB")]
)
def test_a_job_of_several_nodes_brings_what_all_of_them_have(amount: Amount) -> None:
    assert jobs_at_least(amount, WIDE) == jobs_at_most(amount, WIDE) == 1


def test_a_size_must_be_said_in_one_way() -> None:
    with pytest.raises(ConfigError, match="in several ways: workers, memory") as error:
        jobs_at_least(Amount(workers=0, memory="1GB"), SPEC)
    assert error.value.hint == "give one of workers, jobs, cores and memory"
    with pytest.raises(ConfigError, match="in no way"):
        jobs_at_most(Amount(), SPEC)


@pytest.mark.parametrize("amount", [Amount(workers=-1), Amount(jobs=-2), Amount(cores=-3)])
def test_a_negative_size_is_refused(amount: Amount) -> None:
    with pytest.raises(ConfigError, match="is negative") as error:
        jobs_at_least(amount, SPEC)
    assert "0 ends every job" in error.value.hint


@pytest.mark.parametrize("memory", ["-1GB", -1, "16 GBit", "much"])
def test_memory_that_is_no_amount_is_refused(memory: str | int) -> None:
    with pytest.raises(ConfigError, match="memory"):
        jobs_at_least(Amount(memory=memory), SPEC)


def test_whether_anything_is_said() -> None:
    assert not Amount().is_given
    for amount in (Amount(workers=0), Amount(jobs=0), Amount(cores=0), Amount(memory=0)):
        assert amount.is_given


@given(amount=st.integers(0, 10**18), memory=st.integers(1, 10**13))
def test_huge_amounts_are_counted_to_the_byte(amount: int, memory: int) -> None:
    spec = replace(SPEC, worker=replace(SPEC.worker, memory=memory))
    jobs = jobs_at_least(Amount(memory=amount), spec)
    assert (jobs - 1) * memory < amount <= jobs * memory
    fewer = jobs_at_most(Amount(memory=amount), spec)
    assert fewer * memory <= amount < (fewer + 1) * memory
