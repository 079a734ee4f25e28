"""Another user of the same machine gets nowhere with a cluster as it is by default."""

from __future__ import annotations

import json
import os
import subprocess
from contextlib import suppress
from typing import TYPE_CHECKING

import psutil
import pytest

from dask_hpc import HPCCluster
from dask_hpc.security.certificates import create_certificates
from tests.beds.beds import state
from tests.beds.foreign import foreign_environment
from tests.places import scratch

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import OtherUser
    from tests.integration.places import Place

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user"),
    pytest.mark.timeout(240),
]

# Runs as the other user: every address in every way that somebody without our keys has.
INTRUDER = """
import asyncio, json, socket, sys
from distributed import Security, rpc

keys = sys.argv[1]
own = dict(tls_client_cert=f"{keys}/client.pem", tls_client_key=f"{keys}/client-key.pem")
WAYS = {
    "tcp": ("tcp", Security(require_encryption=False)),
    "no certificate": ("tls", Security(tls_ca_file=f"{keys}/ca.pem", require_encryption=True)),
    "another authority": (
        "tls", Security(tls_ca_file=f"{keys}/ca.pem", require_encryption=True, **own)
    ),
}

def careless(security):
    args = security.get_connection_args("client")
    if context := args.get("ssl_context"):
        import ssl
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return args

async def enter(scheme, security, address):
    try:
        async with rpc(f"{scheme}://{address}", connection_args=careless(security)) as server:
            return f"IN: {str(await asyncio.wait_for(server.identity(), 30))[:60]}"
    except Exception as error:
        return f"refused: {type(error).__name__}"

def http(address):
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=3) as stream:
            stream.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n")
            stream.settimeout(3)
            answer = stream.recv(200)
    except OSError:
        return "refused"
    return "IN: HTTP" if answer.startswith(b"HTTP") else "refused"

async def main():
    found = {}
    for address in sys.argv[2:]:
        for name, (scheme, security) in WAYS.items():
            found[f"{address} by {name}"] = await enter(scheme, security, address)
        found[f"{address} by http"] = http(address)
    print(json.dumps(found))

import dask
with dask.config.set({"distributed.comm.timeouts.connect": "2s"}):
    asyncio.run(main())
"""


ASK = """
import socket, sys
with socket.socket(socket.AF_UNIX) as stream:
    stream.connect(sys.argv[1])
    stream.sendall(b"GET /json/counts.json HTTP/1.0\\r\\n\\r\\n")
    while data := stream.recv(4096):
        print(data.decode())
"""


@pytest.fixture(scope="module", params=["here", "job"])
def cluster(place: Place, request: pytest.FixtureRequest) -> Iterator[HPCCluster]:
    """A cluster with two workers, as it is without any setting about security."""
    before = os.umask(0)  # the most careless
    try:
        cluster = HPCCluster(**place.small, name=place.name(), scheduler=request.param)
        cluster.scale(jobs=1)
        cluster.wait_for_workers(2, timeout=60)
    finally:
        os.umask(before)
    yield cluster
    cluster.shutdown()


def listening(place: Place) -> list[str]:
    """Return every address on which a process of the cluster listens."""
    found = set()
    for process in [*place.processes(), psutil.Process()]:
        for host, port in ports_of(process):
            found.add(f"{'127.0.0.1' if host in ('0.0.0.0', '::') else host}:{port}")
    return sorted(found)


def ports_of(process: psutil.Process) -> list[tuple[str, int]]:
    """Return host and port of all that a process listens on; nothing if it has ended."""
    with suppress(psutil.NoSuchProcess, FileNotFoundError):
        connections = process.net_connections("tcp")
        return [(*each.laddr,) for each in connections if each.status == psutil.CONN_LISTEN]
    return []


def addresses(cluster: HPCCluster) -> set[str]:
    """Return the addresses of scheduler, workers and nannies, without their scheme."""
    workers = cluster.scheduler_info["workers"]
    nannies = {worker["nanny"] for worker in workers.values()}
    return {one.split("://")[1] for one in {cluster.scheduler_address, *workers, *nannies}}


def test_every_port_refuses_whoever_has_no_key_of_ours(
    cluster: HPCCluster, place: Place, other_user: OtherUser
) -> None:
    ports = set(listening(place)) | addresses(cluster)
    assert len(addresses(cluster)) == 5  # a scheduler, two workers, two nannies
    with scratch() as folder:
        folder.chmod(0o755)
        keys = folder / "tls"
        keys.mkdir(mode=0o700)
        create_certificates(keys, name="intruder")
        for path in [keys, *keys.iterdir()]:
            os.chown(path, 65534, 65534)
        python = foreign_environment() / "bin/python"
        done = other_user(python, "-c", INTRUDER, keys, *sorted(ports), timeout=200)
    assert done.returncode == 0, done.stderr
    answers: dict[str, str] = json.loads(done.stdout)
    assert len(answers) == 4 * len(ports)
    assert [way for way, answer in answers.items() if not answer.startswith("refused")] == []


def test_the_intruder_would_get_in_if_nothing_were_encrypted(
    place: Place, other_user: OtherUser
) -> None:
    # Else the test above could not fail.
    with scratch() as keys, HPCCluster(**place.small, name=place.name(), secure=False) as open_one:
        keys.chmod(0o755)
        tls = keys / "tls"
        tls.mkdir(mode=0o700)
        create_certificates(tls, name="intruder")
        for path in [tls, *tls.iterdir()]:
            os.chown(path, 65534, 65534)
        address = open_one.scheduler_address.split("://")[1]
        python = foreign_environment() / "bin/python"
        done = other_user(python, "-c", INTRUDER, tls, address)
    assert json.loads(done.stdout)[f"{address} by tcp"].startswith("IN"), done


def test_nothing_listens_that_is_not_encrypted(cluster: HPCCluster, place: Place) -> None:
    ours = addresses(cluster)
    foreign = []
    for process in place.processes():
        for host, port in ports_of(process):
            if not any(address.endswith(f":{port}") for address in ours):
                foreign.append((process.cmdline(), host, port))
    assert foreign == []


def test_every_file_is_private_whatever_the_umask(
    cluster: HPCCluster, place: Place, other_user: OtherUser
) -> None:
    directory = place.directory(cluster.name)
    assert {"record.json", "spec.json", "tls", "jobs", "logs", "lib"} <= {
        path.name for path in directory.iterdir()
    }
    for name in ("", "record.json", "tls/client-key.pem", "logs", "lib"):
        assert other_user("ls", directory / name).returncode != 0
    assert other_user("cat", directory / "tls/client-key.pem").returncode != 0
    for secret in [*directory.glob("tls/*"), directory / "record.json", directory / "spec.json"]:
        assert not secret.stat().st_mode & 0o077, secret


def test_the_dashboard_is_for_its_user_alone(
    cluster: HPCCluster, place: Place, other_user: OtherUser
) -> None:
    dashboard = place.directory(cluster.name) / "dashboard.sock"
    ask = ["/usr/bin/python3", "-c", ASK, str(dashboard)]
    mine = subprocess.run(ask, capture_output=True, text=True, timeout=20, check=False)
    assert '"workers"' in mine.stdout, mine
    theirs = other_user(*ask)
    assert theirs.returncode != 0
    assert "PermissionError" in theirs.stderr


def test_no_key_is_in_a_command_line_an_environment_a_script_or_a_log(
    cluster: HPCCluster, place: Place
) -> None:
    directory = place.directory(cluster.name)
    secrets = [line for path in directory.glob("tls/*-key.pem") for line in _text(path)]
    assert len(secrets) >= 6
    places: dict[str, str] = {}
    for process in place.processes():
        with suppress(psutil.NoSuchProcess):
            places[f"process {process.pid}"] = f"{process.cmdline()} {process.environ()}"
    assert places
    for path in [*directory.glob("logs/*"), directory / "record.json", directory / "journal.jsonl"]:
        places[path.name] = path.read_text(errors="replace")
    for job in place.live_jobs(cluster.name):
        places[f"script of {job.id}"] = place.script(job.id)
    for name, text in places.items():
        assert not [secret for secret in secrets if secret in text], name


def _text(path: Path) -> list[str]:
    """Return the lines of a key that are not its frame."""
    return [line for line in path.read_text().splitlines() if line and "-----" not in line]


def test_a_home_that_others_may_read_is_refused(place: Place) -> None:
    with scratch() as folder:
        home = folder / "open"
        home.mkdir()
        home.chmod(0o755)
        env = {"DASK_HPC_HOME": str(home)}
        done = place.dask_hpc("up", *place.small_options, "--name", "never", env=env)
        assert done.returncode == 1
        assert f"error: {home} is open to others (mode 0755)\nhint: chmod" in done.stderr
        assert list(home.rglob("*")) == []


def test_the_beds_directory_can_be_passed_by_others() -> None:
    # What the intruder runs lies there.
    assert state().stat().st_mode & 0o055 == 0o055
