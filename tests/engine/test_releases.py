"""A feature that a release of distributed does not fit is left out, and that is said once."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import distributed
import pytest

from dask_hpc.engine.lease import LEASE
from dask_hpc.engine.lease_client import RECONNECTION
from dask_hpc.engine.registration import REGISTRATION
from dask_hpc.engine.releases import Call, Feature, fits

if TYPE_CHECKING:
    from pathlib import Path


class Parent:
    def __init__(self) -> None:
        self.inherited = 1


class Child(Parent):
    def __init__(self) -> None:
        super().__init__()
        self.own = 1

    def act(self, one: int, *, two: int) -> int:
        return one + two + self.own


def feature(*calls: Call, attributes: tuple[str, ...] = ()) -> Feature:
    return Feature(
        name="test",
        otherwise="nothing happens",
        calls=calls,
        attributes=tuple((Child, name) for name in attributes),
    )


@pytest.mark.parametrize("here", [LEASE, RECONNECTION, REGISTRATION])
def test_this_release_fits(here: Feature) -> None:
    assert fits(here)


def test_what_is_there_fits() -> None:
    call = Call(owner=Child, name="act", parameters=("one", "two"))
    assert fits(feature(call, attributes=("own", "inherited")))


@pytest.mark.parametrize(
    ("strange", "words"),
    [
        (feature(Call(owner=Child, name="gone")), "no gone"),
        (
            feature(Call(owner=Child, name="act", parameters=("one", "three", "four"))),
            "act without three, four",
        ),
        (feature(attributes=("own", "another")), "no Child.another"),
    ],
)
def test_what_is_missing_is_named_once(
    strange: Feature, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert not fits(strange)
    assert not fits(strange)
    said = f"distributed {distributed.__version__} does not fit the test of dask-hpc ({words})"
    assert [record.getMessage() for record in caplog.records] == [f"{said}: nothing happens"]


# A release in which three things have other names than in those that we know.
STRANGE = """
import asyncio, sys
from pathlib import Path
from distributed import Client, Scheduler, Worker, versions

compare, ensure = versions.error_message, Client._ensure_connected
versions.error_message = lambda ours, theirs, its, source_name="": compare(ours, theirs, its)
Client._ensure_connected = lambda self, seconds=None, timeout_=None: ensure(self, seconds)
Scheduler.remove_client = lambda self, client, why=None, _do=Scheduler.remove_client: _do(
    self, client
)
from dask_hpc.engine.lease_client import HPCClient
from dask_hpc.engine.scheduler import HPCScheduler

async def main():
    options = {"host": "127.0.0.1", "port": 0, "protocol": "tcp", "dashboard": False}
    socket = Path(sys.argv[1], "s")
    async with HPCScheduler(dashboard_socket=socket, client_lease=60, **options) as scheduler:
        async with Worker(scheduler.address, nthreads=1, host="127.0.0.1", dashboard=False):
            async with HPCClient(scheduler.address, asynchronous=True) as client:
                future = client.submit(abs, -1)
                print(await future)
                client.scheduler_comm.abort()
                while future.status != "cancelled" or client.status != "running":
                    await asyncio.sleep(0.01)
                print(await client.submit(abs, -2), client.lease)
    print(versions.error_message.__name__)

asyncio.run(main())
"""


@pytest.mark.slow
def test_with_a_strange_release_it_is_distributed_s_own(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", STRANGE, tmp_path],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout.split() == ["1", "2", "0.0", "<lambda>"], done.stderr
    for feature in (LEASE, RECONNECTION, REGISTRATION):
        assert done.stderr.count(f"does not fit the {feature.name} of dask-hpc") == 1
