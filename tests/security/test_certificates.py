"""Certificates on real connections: who is let in, and who is not."""

from __future__ import annotations

import os
import socket
import ssl
import stat
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from dask_hpc._clock import SystemClock
from dask_hpc.errors import SecurityError
from dask_hpc.security.certificates import create_certificates
from dask_hpc.security.tls_files import Role, TLSFiles

if TYPE_CHECKING:
    from pathlib import Path

_DAY = 86400.0


class _Shifted(SystemClock):
    """The machine's clock, some days off."""

    def __init__(self, days: float) -> None:
        self._seconds = days * _DAY

    def time(self) -> float:
        return super().time() + self._seconds


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("clusters")


@pytest.fixture(scope="module")
def ours(place: Path) -> TLSFiles:
    return create_certificates(place / "ours", name="climate")


@pytest.fixture(scope="module")
def theirs(place: Path) -> TLSFiles:
    return create_certificates(place / "theirs", name="climate")


def _context(
    purpose: ssl.Purpose, files: TLSFiles, role: Role, *, trusts: TLSFiles
) -> ssl.SSLContext:
    # As distributed makes it; Python 3.13 adds the strict flag by itself.
    context = ssl.create_default_context(purpose, cafile=str(trusts.authority))
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    context.load_cert_chain(files.certificate(role), files.key(role))
    return context


def _server_context(files: TLSFiles, role: Role) -> ssl.SSLContext:
    return _context(ssl.Purpose.CLIENT_AUTH, files, role, trusts=files)


def _client_context(files: TLSFiles, role: Role, *, trusts: TLSFiles) -> ssl.SSLContext:
    return _context(ssl.Purpose.SERVER_AUTH, files, role, trusts=trusts)


def _serve(listener: socket.socket, context: ssl.SSLContext) -> str:
    connection, _ = listener.accept()
    try:
        with context.wrap_socket(connection, server_side=True) as stream:
            stream.sendall(stream.recv(16).upper())
    except OSError as error:
        connection.close()
        return str(error)
    return "served"


def _call(port: int, context: ssl.SSLContext) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        try:
            with context.wrap_socket(connection) as stream:
                stream.sendall(b"hello")
                return stream.recv(16)
        except OSError:
            return b""


def _talk(server: ssl.SSLContext, client: ssl.SSLContext) -> tuple[str, bytes]:
    """Return what the server says of a connection, and what the client heard."""
    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as pool:
        listener.settimeout(10)
        served = pool.submit(_serve, listener, server)
        heard = _call(listener.getsockname()[1], client)
        return served.result(10), heard


@pytest.mark.parametrize("server", Role)
@pytest.mark.parametrize("client", Role)
def test_every_role_talks_to_every_role(ours: TLSFiles, server: Role, client: Role) -> None:
    said = _talk(_server_context(ours, server), _client_context(ours, client, trusts=ours))
    assert said == ("served", b"HELLO")


def test_a_certificate_of_another_cluster_is_refused(ours: TLSFiles, theirs: TLSFiles) -> None:
    client = _client_context(theirs, Role.CLIENT, trusts=ours)
    said, heard = _talk(_server_context(ours, Role.SCHEDULER), client)
    assert "unable to get local issuer" in said or "signature failure" in said
    assert heard == b""


def test_a_server_of_another_cluster_is_refused(ours: TLSFiles, theirs: TLSFiles) -> None:
    client = _client_context(ours, Role.CLIENT, trusts=ours)
    said, heard = _talk(_server_context(theirs, Role.SCHEDULER), client)
    assert (said != "served", heard) == (True, b"")


def test_a_client_without_a_certificate_is_refused(ours: TLSFiles) -> None:
    client = ssl.create_default_context(cafile=str(ours.authority))
    client.check_hostname = False
    said, heard = _talk(_server_context(ours, Role.SCHEDULER), client)
    assert "did not return a certificate" in said
    assert heard == b""


def test_a_certificate_that_a_role_signed_is_refused(
    ours: TLSFiles, theirs: TLSFiles, place: Path
) -> None:
    # Whoever takes a worker's key must not be able to let others in.
    chain = place / "chain.pem"
    links = (theirs.certificate(Role.CLIENT), ours.certificate(Role.WORKER))
    chain.write_bytes(b"".join(path.read_bytes() for path in links))
    client = _client_context(ours, Role.CLIENT, trusts=ours)
    client.load_cert_chain(chain, theirs.key(Role.CLIENT))
    said, heard = _talk(_server_context(ours, Role.SCHEDULER), client)
    assert (said != "served", heard) == (True, b"")


def test_a_self_signed_certificate_is_refused(ours: TLSFiles, place: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = _read(ours.certificate(Role.CLIENT)).subject
    now = datetime.now(tz=UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    forged = place / "forged.pem"
    encodings = (Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    forged.write_bytes(certificate.public_bytes(Encoding.PEM) + key.private_bytes(*encodings))
    client = _client_context(ours, Role.CLIENT, trusts=ours)
    client.load_cert_chain(forged)
    said, heard = _talk(_server_context(ours, Role.SCHEDULER), client)
    assert "self-signed" in said
    assert heard == b""


@pytest.mark.parametrize(
    ("shift", "days", "words"), [(-91, 90, "expired"), (1, 90, "not yet valid")]
)
def test_a_certificate_out_of_its_time_is_refused(
    place: Path, shift: float, days: float, words: str
) -> None:
    files = create_certificates(place / words, name="old", days=days, clock=_Shifted(shift))
    client = _client_context(files, Role.CLIENT, trusts=files)
    client.verify_mode = ssl.CERT_NONE  # the server's word is asked for
    said, heard = _talk(_server_context(files, Role.SCHEDULER), client)
    assert words in said
    assert heard == b""


def test_a_node_whose_clock_is_behind_accepts_them(place: Path) -> None:
    files = create_certificates(place / "ahead", name="new", clock=_Shifted(9 / 24 / 60))
    client = _client_context(files, Role.CLIENT, trusts=files)
    assert _talk(_server_context(files, Role.SCHEDULER), client)[0] == "served"


def test_only_the_roles_certificates_and_keys_are_written(ours: TLSFiles) -> None:
    assert sorted(ours.directory.iterdir()) == sorted(ours.all)
    authority = _read(ours.authority)
    for role in Role:
        key = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        key.load_cert_chain(ours.certificate(role), ours.key(role))
        assert _read(ours.certificate(role)).public_key() != authority.public_key()


def test_they_are_valid_from_ten_minutes_ago_for_the_days_asked(place: Path) -> None:
    files = create_certificates(place / "short", name="short", days=2.5)
    certificate = _read(files.certificate(Role.WORKER))
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    assert begin.timestamp() == pytest.approx(time.time() - 600, abs=30)
    assert end.timestamp() == pytest.approx(time.time() + 2.5 * _DAY, abs=30)


@pytest.mark.parametrize("name", ["", "x" * 300, "ünï 码", "a/b\n"])
def test_any_name_can_stand_in_a_certificate(tmp_path: Path, name: str) -> None:
    files = create_certificates(tmp_path / "tls", name=name)
    client = _client_context(files, Role.CLIENT, trusts=files)
    assert _talk(_server_context(files, Role.SCHEDULER), client)[0] == "served"


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077])
def test_files_are_private_whatever_the_umask(tmp_path: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        files = create_certificates(tmp_path / "a" / "tls", name="x")
    finally:
        os.umask(before)
    assert {stat.S_IMODE(path.stat().st_mode) for path in files.all} == {0o600}
    assert stat.S_IMODE(files.directory.stat().st_mode) == 0o700


def test_an_open_directory_is_refused_and_gets_no_key(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    with pytest.raises(SecurityError, match="open to others"):
        create_certificates(tmp_path, name="x")
    assert not list(tmp_path.iterdir())


def test_a_planted_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    directory = tmp_path / "tls"
    directory.mkdir(mode=0o700)
    (directory / "client-key.pem").symlink_to(tmp_path / "trap")
    files = create_certificates(directory, name="x")
    files.check()
    assert not (tmp_path / "trap").exists()


def test_making_all_of_them_takes_less_than_fifty_milliseconds(tmp_path: Path) -> None:
    times = []
    for number in range(5):
        begin = time.perf_counter()
        create_certificates(tmp_path / str(number), name="x")
        times.append(time.perf_counter() - begin)
    assert min(times) < 0.05


def _read(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())
