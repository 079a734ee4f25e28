"""The contract on the simulated batch system, which the controller's tests rest on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dask_hpc.testing import FakeClock, FakeSystem, conformance
from dask_hpc.testing.conformance import Bench

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path


@pytest.mark.parametrize("check", conformance.CHECKS, ids=lambda check: check.__name__)
async def test_the_contract_is_kept(
    check: Callable[[Bench], Awaitable[None]], tmp_path: Path
) -> None:
    clock = FakeClock()
    fake = FakeSystem(clock, start_delay=1.0)
    await check(Bench(queue=fake.queue(), directory=tmp_path, clock=clock))
    assert not [job for job in fake.jobs.values() if not job.state.is_final]
