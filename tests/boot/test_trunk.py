"""The trunk forks only what is safe to fork, and nothing outlives it."""

from __future__ import annotations

import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from dask_hpc.boot.trunk import has_threads
from tests.boot.stage import Stage, alive, eventually, new_stage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage() -> AsyncIterator[Stage]:
    async with new_stage() as stage:
        yield stage


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.slow
@pytest.mark.parametrize("victim", ["trunk", "supervisor"])
async def test_nothing_outlives(stage: Stage, victim: str) -> None:
    host = await stage.host(victim)
    workers = set(stage.workers(victim).values())
    family = host.family()
    trunk = host.trunk()
    (supervisor,) = [child for child in trunk.children() if child.pid not in workers]
    assert {supervisor.pid, *workers} < {each.pid for each in family}
    (trunk if victim == "trunk" else supervisor).kill()
    await eventually(lambda: not alive(family), 30)
    assert await host.exit_code() == 137
    await eventually(lambda: not stage.workers(victim))


_FORK = """
import signal, socket, sys, threading
from dask_hpc.boot.trunk import Trunk

def work(channel, name):
    return 0

def supervise(control):
    return {supervise}

stop = threading.Event()
{before}
try:
    code = Trunk(work).run(supervise)
except Exception as error:
    code = f"{{type(error).__name__}}: {{error}}"
print(code)
stop.set()
"""


def run_trunk(supervise: str, before: str = "") -> str:
    code = _FORK.format(supervise=supervise, before=before)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    return done.stdout.strip() or done.stderr


@pytest.mark.parametrize(
    ("supervise", "status"),
    [
        ("0", "0"),
        ("7", "7"),
        ("1 / 0", "1"),
        ("sys.exit(5)", "1"),
        ("signal.raise_signal(signal.SIGKILL)", "137"),
    ],
)
def test_the_trunk_ends_as_its_supervisor_does(supervise: str, status: str) -> None:
    assert run_trunk(supervise) == status


def test_a_process_with_threads_is_not_forked() -> None:
    said = run_trunk("0", "threading.Thread(target=stop.wait, daemon=True).start()")
    assert said == "LaunchError: cannot fork workers: an import left a thread running"


def test_threads_are_seen() -> None:
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait)
    thread.start()
    assert has_threads()
    stop.set()
    thread.join()
