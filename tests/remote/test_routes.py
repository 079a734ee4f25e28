"""The ways from a laptop to JupyterLab on a node of a site of separate hosts, each in turn.

The login node forwards neither sockets nor ports, so that whatever works needs none of that.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from dask_hpc._clock import until_now
from tests.beds.beds import USER, state
from tests.jupyter.guest import Guest
from tests.remote.computers import SITE, cluster_at, computer_at, network_of
from tests.remote.laptop import write_program

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.beds.beds import SlurmBed
    from tests.remote.computers import Cluster, Computer

pytestmark = [pytest.mark.bed("slurm_net", "sshd"), pytest.mark.timeout(300)]

SMALL = ("--cores=1", "--memory=500MB", "--walltime=20m", "--jobs=0")
PORT = 2223
STRICT = f"""Host strict
  HostName 10.74.0.1
  Port {PORT}
  HostKeyAlias 10.74.0.1
  ProxyJump jump
Host *"""
# Nothing but Slurm gets from the login node to the nodes; each packet that opens a connection.
OPENS = 'oifname "eth0" tcp flags & (syn | ack) == syn tcp dport'
NO_SSH = f"{OPENS} 22 reject with tcp reset"
SLURM_ALONE = f"{OPENS} != 6818 drop"
SLURM_AND_SSH = f"{OPENS} != {{ 22, 6818 }} drop"
REFUSED = "echo 'srun: error: not on this site' >&2; exit 1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A JupyterLab there, with a kernel that knows a word."""

    cluster: Cluster
    laptop: Computer
    name: str
    kernel: str

    @property
    def verdicts(self) -> dict[str, str]:
        """What is remembered there of each way."""
        (path,) = (self.cluster.place / "state" / "routes").iterdir()
        return {each["route"]: each["reason"] for each in json.loads(path.read_text())["found"]}

    def forget(self) -> None:
        """Let nothing be remembered."""
        shutil.rmtree(self.cluster.place / "state" / "routes", ignore_errors=True)

    async def ask(self, link: str, *, host: str = "laptop") -> str:
        """Return what the kernel says over a way from a host."""
        with network_of(host):
            guest = Guest(link)
            await guest.enter()
            kernel = await guest.rejoin(self.kernel)
            return await kernel.run("print(word * 50_000, end='')")

    def tells(self, words: str) -> bool:
        """Whether the command on the laptop comes to say something."""
        return until_now(lambda: words in self.laptop.said, 100, every=0.2)


@pytest.fixture(scope="module")
def cluster(slurm_net: SlurmBed) -> Iterator[Cluster]:
    """A login node that forwards nothing, with a key of its user for the nodes."""
    with cluster_at(slurm_net) as found, strict_login(found):
        client = state() / "sshd" / "client"
        lines = (
            *("Host *", "StrictHostKeyChecking yes", "LogLevel ERROR", "IdentitiesOnly yes"),
            f"IdentityFile {client}/id_ed25519.{USER}",
            f"UserKnownHostsFile {found.place}/known_hosts",
        )
        shutil.copy(client / "known_hosts", found.place / "known_hosts")
        (found.place / "ssh").write_text("\n".join([*lines, ""]))
        put(found, "ssh", f'exec /usr/bin/ssh -F "{found.place}/ssh" "$@"')
        program = found.place / "dask-hpc"
        first, _, rest = program.read_text().partition("\n")
        program.write_text(f'{first}\nexport PATH="{found.place}/bin:$PATH"\n{rest}')
        yield found


def put(cluster: Cluster, name: str, text: str) -> Path:
    """Have another program of this name on the login node."""
    path = cluster.place / "bin" / name
    write_program(path, text, mode=0o755)
    return path


@contextmanager
def strict_login(cluster: Cluster) -> Iterator[None]:
    """Have another ssh server on the login node, which forwards neither sockets nor ports."""
    rules, pid = cluster.place / "sshd", cluster.place / "sshd.pid"
    common = (state() / "sshd" / "etc" / "net").read_text().replace("PidFile none", "")
    no = "AllowStreamLocalForwarding no\nAllowTcpForwarding no\n"
    rules.write_text(f"{no}Port {PORT}\nPidFile {pid}\n{common}")
    cluster.bed.run("/usr/sbin/sshd", "-f", rules, host="login")
    assert until_now(pid.exists, 30)
    try:
        yield
    finally:
        cluster.bed.run("kill", pid.read_text().strip(), host="login")


@contextmanager
def firewall(cluster: Cluster, *rules: str) -> Iterator[None]:
    """Let the login node have a firewall towards the nodes."""
    chain = "add chain inet routes out { type filter hook output priority 0; }"
    lines = ["add table inet routes", chain, *(f"add rule inet routes out {r}" for r in rules)]
    cluster.bed.run("nft", "; ".join(lines), host="login")
    try:
        yield
    finally:
        cluster.bed.run("nft", "delete table inet routes", host="login")


@pytest.fixture(scope="module")
def site(cluster: Cluster) -> Iterator[Site]:
    """Start a JupyterLab; the first way to it is looked for."""
    name = f"way-{secrets.token_hex(2)}"
    up = ("up", SITE, "--lab", "--name", name, *SMALL)
    with computer_at("laptop", cluster, reached="strict", config=(STRICT,)) as laptop:
        with laptop.opened(*up) as (link, _), network_of("laptop"):
            kernel = asyncio.run(started(link))
        yield Site(cluster=cluster, laptop=laptop, name=name, kernel=kernel)
        done = laptop.dask_hpc("down", name)
        assert (done.returncode, done.stdout) == (0, f"{name} is gone\n"), done.stderr


async def started(link: str) -> str:
    """Start a kernel and return its number."""
    guest = Guest(link)
    await guest.enter()
    kernel = await guest.kernel()
    await kernel.run("word = 'rain'")
    return kernel.number


@pytest.mark.parametrize("route", ["ssh", "job", "tls"])
async def test_each_way_leads_to_the_same_kernel(site: Site, route: str) -> None:
    words = ("attach", site.name, f"--route={route}")
    with site.laptop.opened(*words) as (link, _):
        assert await site.ask(link) == "rain" * 50_000


async def test_the_first_that_works_is_taken_and_remembered(site: Site) -> None:
    assert site.verdicts == {"ssh": "it works"}
    assert site.laptop.prompts == 0


async def test_where_nodes_take_no_ssh_the_batch_system_is_asked(site: Site) -> None:
    with firewall(site.cluster, NO_SSH), site.laptop.opened("attach", site.name) as (link, _):
        assert await site.ask(link) == "rain" * 50_000
    assert list(site.verdicts) == ["ssh", "job"]
    assert "connect to host node1 port 22: Connection refused" in site.verdicts["ssh"]
    # From then on ssh is not tried before.
    before = site.verdicts
    with site.laptop.opened("attach", site.name) as (link, _):
        assert await site.ask(link) == "rain" * 50_000
    assert site.verdicts == before


async def test_where_both_are_refused_the_keys_of_the_cluster_open_a_port(site: Site) -> None:
    srun = put(site.cluster, "srun", REFUSED)
    with firewall(site.cluster, NO_SSH), site.laptop.opened("attach", site.name) as (link, _):
        assert await site.ask(link) == "rain" * 50_000
    srun.unlink()
    assert list(site.verdicts) == ["ssh", "job", "tls"]
    assert site.verdicts["job"] == "srun gives no answer: srun: error: not on this site"
    done = site.laptop.dask_hpc("status", site.name)
    assert "way to it by job: srun gives no answer: srun: error: not on this site" in done.stdout
    assert "way to it by tls: it works" in done.stdout
    site.forget()


async def test_without_any_connection_but_slurms_its_own_way_works(site: Site) -> None:
    with firewall(site.cluster, NO_SSH, SLURM_ALONE):
        with site.laptop.opened("attach", site.name, "-v") as (link, _):
            assert await site.ask(link) == "rain" * 50_000
            assert site.tells("tls: ")
            assert site.tells("hint: a firewall may be between them")
        said = site.laptop.said
    assert "direct: it is on node1, this is login" in said
    assert "port 22: Connection refused" in said
    assert "hint: the nodes of this site may take no ssh" in said
    assert "job: it works" in said
    site.forget()


@pytest.fixture
def closed(site: Site) -> Iterator[None]:
    """Let no way work that begins on the login node."""
    srun = put(site.cluster, "srun", REFUSED)
    known = site.cluster.place / "known_hosts"
    hosts = known.read_text()
    known.write_text("")
    with firewall(site.cluster, SLURM_AND_SSH):
        yield
    srun.unlink()
    known.write_text(hosts)
    site.forget()


@pytest.mark.usefixtures("closed")
async def test_where_none_works_each_check_that_fails_is_named(site: Site) -> None:
    with site.laptop.opened("attach", site.name) as (link, _), network_of("laptop"):
        guest = Guest(link)
        await guest.enter()
        page = (await guest.fetch(f"{guest.room}/lab")).body.decode()
        assert site.tells("there is no way to JupyterLab on node1")
    assert "there is no way to JupyterLab on node1" in page
    assert "direct: it is on node1, this is login" in page
    assert "Host key verification failed" in page
    assert "job: srun gives no answer: srun: error: not on this site" in page
    assert "no answer in 5 s" in page
    assert "forwarding request failed" in page.partition("jump: ssh gives no answer: ")[2]
    assert "compare its key" in page


@pytest.mark.usefixtures("closed")
async def test_a_computer_whose_own_key_opens_the_nodes_jumps_over_the_login_node(
    site: Site,
) -> None:
    name = f"{site.name}@{SITE}"
    with computer_at("desk", site.cluster, reached="cluster-key") as desk:
        for words in (("attach", name, "--route=jump", "-v"), ("attach", name)):
            with desk.opened(*words) as (link, _):
                assert await site.ask(link, host="desk") == "rain" * 50_000
                if "-v" in words:
                    assert until_now(lambda: "jump: it works" in desk.said, 100, every=0.2)
        known = json.loads((desk.here / "state" / "routes" / f"{SITE}.json").read_text())
        assert [each["route"] for each in known["found"]] == ["jump"]
