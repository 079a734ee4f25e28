"""The contract on the embedded local queue: real processes of this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dask_hpc.batch.local import Local
from dask_hpc.batch.queue import Queue
from dask_hpc.process.local import LocalRunner
from dask_hpc.sites.specs import user_name
from dask_hpc.testing import conformance
from dask_hpc.testing.conformance import Bench

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("check", conformance.CHECKS, ids=lambda check: check.__name__)
async def test_the_contract_is_kept(
    check: Callable[[Bench], Awaitable[None]], tmp_path: Path
) -> None:
    system = Local(cores=8, memory=2**32)
    queue = Queue(system, LocalRunner(), user=user_name())
    await check(Bench(queue=queue, directory=tmp_path))
