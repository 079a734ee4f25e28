"""A relay that a batch system puts into a job, to a socket that sends back what it gets.

``python -m tests.remote.attaching SYSTEM JOB NODE`` where the commands of the system are.
"""

from __future__ import annotations

import asyncio
import os
import sys
from typing import TYPE_CHECKING

from dask_hpc.batch.model import JobId
from dask_hpc.remote.line import RelayLine
from dask_hpc.remote.shells import Seat, attached, environment_at
from tests.beds.beds import CHECKOUT
from tests.places import scratch
from tests.remote.test_relay import RELAY, echo, receive

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dask_hpc.remote.line import RelayChannel

_PATIENCE = 100.0  # seconds


async def _carry(seat: Seat) -> None:
    with scratch() as folder:
        async with echo(folder) as socket:
            relay = ("env", f"PYTHONPATH={CHECKOUT / 'src'}", *RELAY, str(socket))
            argv = attached(seat, ("/bin/sh", "-c", 'cd / && exec "$@"', "relay", *relay))
            line = RelayLine(argv, env={**os.environ, **environment_at(seat)})
            await line.start(_PATIENCE)
            channels = [await line.open() for _ in range(3)]
            await asyncio.gather(*(_talk(channel) for channel in channels))
            await line.close()
            assert line._process
            assert line._process.returncode == 0


async def _talk(channel: RelayChannel) -> None:
    text = os.urandom(500_000)
    sending = asyncio.ensure_future(channel.write(text))
    assert await receive(channel, len(text)) == text
    await sending


def main(arguments: Sequence[str]) -> None:
    """Say so if all went there and back."""
    system, job, node = arguments
    seat = Seat(system=system, job=JobId(job), node=node, is_here=False, is_alone=False)
    asyncio.run(_carry(seat))
    sys.stdout.write("all of it came back\n")


if __name__ == "__main__":
    main(sys.argv[1:])
