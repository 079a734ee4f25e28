"""A scheduler file says where a scheduler is; an old one, or a foreign one, is not trusted."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest
from distributed import Scheduler

from dask_hpc._files import write_private
from dask_hpc.boot.whereabouts import Whereabouts, find_by_file, read_whereabouts
from dask_hpc.engine.tls import cluster_security
from dask_hpc.errors import ClusterError, ConfigError, SecurityError
from dask_hpc.security.certificates import create_certificates

if TYPE_CHECKING:
    from pathlib import Path


def facts(address: str, tls: Path | None = None) -> str:
    security = {"tls_ca_file": str(tls / "ca.pem")} if tls else {}
    return json.dumps({"address": address, "nonce": "n", "security": security})


def test_a_file_names_the_address_and_the_directory_of_the_certificates(tmp_path: Path) -> None:
    write_private(tmp_path / "s", facts("tls://h:1", tmp_path / "tls"))
    found = read_whereabouts(tmp_path / "s")
    assert found == Whereabouts(address="tls://h:1", tls=str(tmp_path / "tls"), nonce="n")


def test_a_file_of_distributed_itself_may_be_open_to_all(tmp_path: Path) -> None:
    path = tmp_path / "s"
    path.write_text(json.dumps({"address": "tcp://h:1"}))
    path.chmod(0o644)
    assert read_whereabouts(path) == Whereabouts(address="tcp://h:1")


def test_a_file_with_certificates_that_others_may_change_is_refused(tmp_path: Path) -> None:
    write_private(tmp_path / "s", facts("tls://h:1", tmp_path / "tls"))
    (tmp_path / "s").chmod(0o666)
    with pytest.raises(SecurityError, match="is open to others"):
        read_whereabouts(tmp_path / "s")


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '"x"'])
def test_what_is_no_scheduler_file_is_said_to_be_none(tmp_path: Path, text: str) -> None:
    write_private(tmp_path / "s", text)
    with pytest.raises(ConfigError, match="is no scheduler file"):
        read_whereabouts(tmp_path / "s")


async def test_a_missing_file_is_waited_for_and_then_named(tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match=r"no scheduler within 0.2 s: .*/s is not there"):
        await find_by_file(tmp_path / "s", seconds=0.2)


async def test_an_old_file_is_not_trusted(tmp_path: Path) -> None:
    write_private(tmp_path / "s", facts("tcp://127.0.0.1:1"))
    with pytest.raises(ClusterError, match=r"nobody answers at tcp://127.0.0.1:1, which .* an old"):
        await find_by_file(tmp_path / "s", seconds=0.2)


async def test_a_scheduler_that_comes_later_is_found(tmp_path: Path) -> None:
    write_private(tmp_path / "s", facts("tcp://127.0.0.1:1"))
    finding = asyncio.ensure_future(find_by_file(tmp_path / "s", seconds=10))
    async with Scheduler(host="127.0.0.1", port=0, dashboard=False) as scheduler:
        write_private(tmp_path / "s", facts(scheduler.address))
        assert (await finding).address == scheduler.address


async def test_who_took_the_port_of_an_old_scheduler_is_not_taken_for_it(tmp_path: Path) -> None:
    for name in ("own", "other"):
        create_certificates(tmp_path / name, name=name)
    other = cluster_security(tmp_path / "other", secure=True)
    async with Scheduler(
        host="127.0.0.1", port=0, dashboard=False, protocol="tls", security=other
    ) as scheduler:
        ours = Whereabouts(address=scheduler.address, tls=str(tmp_path / "own"))
        theirs = Whereabouts(address=scheduler.address, tls=str(tmp_path / "other"))
        assert await theirs.is_alive()
        assert not await ours.is_alive()
