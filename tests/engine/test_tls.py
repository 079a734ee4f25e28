"""Who may connect, from the files of a cluster."""

from __future__ import annotations

import pickle
import ssl
from typing import TYPE_CHECKING, Any

import pytest
from distributed import Scheduler
from distributed.core import connect

from dask_hpc.engine.tls import cluster_security
from dask_hpc.errors import SecurityError
from dask_hpc.security.certificates import create_certificates

if TYPE_CHECKING:
    from pathlib import Path

ROLES = ["scheduler", "worker", "client"]


def test_every_role_has_its_certificate_by_path(tmp_path: Path) -> None:
    files = create_certificates(tmp_path / "tls", name="climate")
    security = cluster_security(tmp_path / "tls", secure=True)
    assert security.require_encryption
    assert security.tls_ca_file == str(files.authority)
    for role in ROLES:
        found = security.get_tls_config_for_role(role)
        assert found["cert"] == str(tmp_path / "tls" / f"{role}.pem")
        assert found["key"] == str(tmp_path / "tls" / f"{role}-key.pem")


@pytest.mark.parametrize("role", ROLES)
def test_both_ends_of_a_connection_want_a_certificate(tmp_path: Path, role: str) -> None:
    create_certificates(tmp_path / "tls", name="climate")
    security = cluster_security(tmp_path / "tls", secure=True)
    listening = security.get_listen_args(role)["ssl_context"]
    connecting = security.get_connection_args(role)["ssl_context"]
    assert listening.verify_mode == connecting.verify_mode == ssl.CERT_REQUIRED


def test_a_context_is_made_once_and_by_a_copy_anew(tmp_path: Path) -> None:
    create_certificates(tmp_path / "tls", name="climate")
    security = cluster_security(tmp_path / "tls", secure=True)
    copy = pickle.loads(pickle.dumps(security))
    for arguments in ("get_connection_args", "get_listen_args"):
        first = getattr(security, arguments)("worker")
        again = getattr(security, arguments)("worker")
        assert first == again
        assert first["ssl_context"] is again["ssl_context"]
        assert first["ssl_context"] is not getattr(security, arguments)("client")["ssl_context"]
        of_copy = getattr(copy, arguments)("worker")["ssl_context"]
        assert of_copy.get_ca_certs() == first["ssl_context"].get_ca_certs()
        assert of_copy is not first["ssl_context"]
    assert repr(copy) == repr(security)


def test_without_encryption_no_file_is_looked_for(tmp_path: Path) -> None:
    security = cluster_security(tmp_path / "nothing", secure=False)
    assert not security.require_encryption
    assert security.get_connection_args("client").get("ssl_context") is None


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    create_certificates(tmp_path / "tls", name="climate")
    (tmp_path / "tls" / "worker-key.pem").chmod(0o644)
    with pytest.raises(SecurityError, match=r"worker-key\.pem is open to others"):
        cluster_security(tmp_path / "tls", secure=True)


@pytest.mark.parametrize("whose", ["nobody's", "another cluster's"])
async def test_a_stranger_is_not_answered(tmp_path: Path, whose: str) -> None:
    create_certificates(tmp_path / "tls", name="climate")
    security = cluster_security(tmp_path / "tls", secure=True)
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if whose == "another cluster's":
        other = create_certificates(tmp_path / "other", name="climate")
        context.load_cert_chain(other.directory / "client.pem", other.directory / "client-key.pem")
    async with Scheduler(
        host="127.0.0.1", port=0, dashboard=False, protocol="tls", security=security
    ) as scheduler:
        ours = await ask(scheduler.address, **security.get_connection_args("client"))
        assert ours["type"] == "Scheduler"
        with pytest.raises(OSError, match=r"(?i)ssl|tls|closed|timed out"):
            await ask(scheduler.address, ssl_context=context)


async def ask(address: str, **arguments: Any) -> Any:
    comm = await connect(address, timeout=2, **arguments)
    try:
        # With TLS 1.3 a server refuses a certificate after the client believes to be in.
        await comm.write({"op": "identity", "reply": True})
        return await comm.read()
    finally:
        await comm.close()
