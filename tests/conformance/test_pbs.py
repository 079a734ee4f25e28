"""The contract of PBS, on a stand-in that answers as a recorded one did."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from dask_hpc.batch.pbs import PBS
from dask_hpc.batch.queue import Queue
from dask_hpc.process.local import LocalRunner
from dask_hpc.sites.specs import user_name
from dask_hpc.testing import conformance
from dask_hpc.testing.conformance import Bench
from tests.standins.pbs.server import pbs_server

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("check", conformance.CHECKS, ids=lambda check: check.__name__)
async def test_the_contract_is_kept(
    check: Callable[[Bench], Awaitable[None]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = Queue(PBS(), LocalRunner(), user=user_name())
    (tmp_path / "logs").mkdir()
    bench = Bench(queue=queue, directory=tmp_path / "logs")
    # More cores than a node has: PBS takes the job, and lets it wait for ever.
    bench = replace(bench, waiting=replace(bench.small, cores=12))
    with pbs_server("openpbs", tmp_path / "server", monkeypatch):
        await check(bench)
