"""A file that tells programs which know no names where a scheduler is."""

from __future__ import annotations

import json
import os
import stat
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from distributed import Client, Security

from dask_hpc.cluster.directory import ClusterDirectory
from dask_hpc.cluster.record import read_cluster
from dask_hpc.engine.schedulerfile import remove_scheduler_file
from dask_hpc.engine.start import start_scheduler
from tests.boot.stage import entries, new_cluster

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from dask_hpc.cluster.record import ClusterRecord


@asynccontextmanager
async def running(path: Path, **changes: Any) -> AsyncIterator[ClusterRecord]:
    with new_cluster(scheduler_file=path, **changes) as spec:
        scheduler = await start_scheduler(spec)
        try:
            yield read_cluster(ClusterDirectory(spec.directory))
        finally:
            await scheduler.close()


def said(path: Path) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads(path.read_text())
    return facts


def is_there(path: Path) -> bool:
    return path.exists()


def is_private(path: Path) -> bool:
    return stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "scheduler.json"


async def test_a_client_of_distributed_gets_in_with_what_it_says(path: Path) -> None:
    async with running(path) as record:
        facts = said(path)
        assert facts["address"] == record.address
        assert (facts["cluster"], facts["nonce"]) == ("boot", record.nonce)
        security = Security(**facts["security"])
        client = Client(scheduler_file=str(path), security=security, asynchronous=True)
        async with client:
            assert await client.scheduler.identity()


async def test_without_encryption_the_file_is_enough(path: Path) -> None:
    async with running(path, secure=False):
        assert said(path)["security"] == {"require_encryption": False}
        async with Client(scheduler_file=str(path), asynchronous=True) as client:
            assert await client.scheduler.identity()


async def test_it_is_private_and_holds_no_key(path: Path) -> None:
    before = os.umask(0)
    try:
        async with running(path):
            assert is_private(path)
            assert "-----BEGIN" not in str(said(path))
            assert entries(path.parent) == [path]
    finally:
        os.umask(before)


async def test_it_takes_the_place_of_an_older_one(path: Path) -> None:
    async with running(path) as first, running(path) as second:
        assert said(path)["nonce"] == second.nonce != first.nonce


async def test_a_place_where_it_cannot_be_is_no_reason_not_to_start(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(path / "nowhere"):
        assert "the scheduler file cannot be written" in caplog.text


async def test_it_is_removed_with_its_scheduler_and_never_another_ones(path: Path) -> None:
    async with running(path) as record:
        remove_scheduler_file(path, nonce="0000")
        remove_scheduler_file(path, nonce="")
        assert is_there(path)
        remove_scheduler_file(path, nonce=record.nonce)
        assert not is_there(path)
        remove_scheduler_file(path, nonce=record.nonce)
        remove_scheduler_file(None, nonce=record.nonce)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"address": "x"}'])
def test_what_is_none_of_ours_stays(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text)
    remove_scheduler_file(path, nonce="00ff")
    assert path.read_text() == text
