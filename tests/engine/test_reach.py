"""At which of its addresses a scheduler is found. Those that do not answer are real, too."""

from __future__ import annotations

import asyncio
import socket
import time
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from distributed import Security

from dask_hpc.cluster.directory import ClusterDirectory
from dask_hpc.cluster.record import ClusterRecord, read_cluster
from dask_hpc.engine.reach import Search, address_from_here
from dask_hpc.engine.start import start_scheduler
from dask_hpc.engine.tls import cluster_security
from tests.boot.stage import new_cluster

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from dask_hpc.cluster.spec import ClusterSpec


def security_of(spec: ClusterSpec) -> Security:
    return cluster_security(ClusterDirectory(spec.directory).tls, secure=spec.secure)


@asynccontextmanager
async def running(*, secure: bool = True) -> AsyncIterator[tuple[str, Security]]:
    """Give the address of a scheduler, and what lets in there."""
    with new_cluster(secure=secure) as spec:
        scheduler = await start_scheduler(spec)
        try:
            yield scheduler.address, security_of(spec)
        finally:
            await scheduler.close()


def url(listener: socket.socket, protocol: str = "tls") -> str:
    host, port = listener.getsockname()
    return f"{protocol}://{host}:{port}"


@contextmanager
def nobody() -> Iterator[str]:
    """Give an address that refuses."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield url(bound)


@contextmanager
def black_hole() -> Iterator[str]:
    """Give an address from which no answer comes: the queue of its listener is full."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield url(listener)


@contextmanager
def mute() -> Iterator[str]:
    """Give an address where somebody listens, and says nothing."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield url(listener)


async def test_a_scheduler_that_answers_is_found_at_its_first_address() -> None:
    with nobody() as other:
        async with running() as (address, security):
            search = Search((address, other), security)
            assert await search.once(5) == address
    assert search.tried == ()


async def test_without_encryption_it_is_found_too() -> None:
    async with running(secure=False) as (address, security):
        assert address.startswith("tcp://")
        assert await Search((address,), security).once(5) == address


async def test_where_nobody_listens_the_next_address_is_taken_at_once() -> None:
    begin = time.monotonic()
    with nobody() as refusing:
        async with running() as (address, security):
            search = Search((refusing, address), security)
            assert await search.once(30) == address
    assert time.monotonic() - begin < 25
    assert [(one.address, one.error) for one in search.tried] == [(refusing, "refused")]


async def test_where_no_answer_comes_from_the_next_address_is_taken_after_a_while() -> None:
    with black_hole() as silent:
        async with running() as (address, security):
            search = Search((silent, address), security)
            begin = time.monotonic()
            assert await search.once(3) == address
            assert time.monotonic() - begin > 0.9
    (tried,) = search.tried
    assert (tried.address, tried.error) == (silent, "timed out after 1 s")


async def test_a_scheduler_that_has_no_time_to_answer_is_not_left_for_another_address() -> None:
    """Its kernel has answered: the network is as it should be."""
    with mute() as busy:
        async with running() as (address, security):
            assert await Search((busy, address), security).once(1) == busy


async def test_an_address_of_another_cluster_is_not_taken() -> None:
    async with running() as (address, _), running() as (other, security):
        search = Search((address, other), security)
        assert await search.once(10) == other
    (tried,) = search.tried
    assert tried.address == address
    assert tried.error == "who listens there is not this cluster's scheduler"


async def test_other_addresses_are_taken_from_the_scheduler_of_the_cluster_alone() -> None:
    with nobody() as refusing, mute() as busy:
        async with running() as (other, _), running() as (_, security):
            search = Search((refusing, other, busy), security)
            assert await search.once(1) is None
    words = {one.address: one.error for one in search.tried}
    assert words == {
        refusing: "refused",
        other: "who listens there is not this cluster's scheduler",
        busy: "is silent after 1 s",
    }


@pytest.mark.parametrize(
    ("address", "error"),
    [
        ("tls://no-such-host.invalid:1", "its name stands for no address here"),
        ("tls://127.0.0.1:0", "refused"),
        ("tls://256.0.0.1:1", "its name stands for no address here"),
    ],
)
async def test_what_is_wrong_is_said_plainly(address: str, error: str) -> None:
    search = Search((address,), Security(require_encryption=False))
    assert await search.once(5) is None
    assert [one.error for one in search.tried] == [error]


async def test_nothing_is_left_running_when_nobody_answers() -> None:
    with black_hole() as silent, nobody() as refusing:
        search = Search((silent, refusing), Security(require_encryption=False))
        assert await search.once(0.3) is None
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_client_takes_the_address_that_it_can_reach() -> None:
    with new_cluster() as spec, nobody() as refusing:
        scheduler = await start_scheduler(spec)
        record = read_cluster(ClusterDirectory(spec.directory))
        security = security_of(spec)

        async def found(record: ClusterRecord) -> str:
            return await address_from_here(record, security, seconds=2)

        try:
            assert await found(record) == scheduler.address
            there = (refusing, scheduler.address)
            moved = replace(record, address=refusing, addresses=there)
            assert await found(moved) == scheduler.address
        finally:
            await scheduler.close()
        # What is said of it then is about the address that it gave.
        assert await found(moved) == refusing
        assert await found(replace(record, addresses=())) == record.address
