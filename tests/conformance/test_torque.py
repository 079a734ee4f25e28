"""The contract of Torque, on a stand-in that answers as a recorded one did."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from dask_hpc.batch.queue import Queue
from dask_hpc.batch.torque import Torque
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
    queue = Queue(Torque(), LocalRunner(), user=user_name())
    (tmp_path / "logs").mkdir()
    bench = Bench(queue=queue, directory=tmp_path / "logs")
    # Torque refuses what it never could run; the other nodes are busy.
    bench = replace(bench, waiting=replace(bench.small, nodes=4))
    with pbs_server("torque", tmp_path / "server", monkeypatch):
        await check(bench)
