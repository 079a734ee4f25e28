"""Computers outside of a site, its hosts, and what is to be seen and done there; all are hosts."""

from __future__ import annotations

import ctypes
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.beds.beds import CHECKOUT, SCRIPTS, USER, state
from tests.remote.laptop import write_program

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.beds.beds import SlurmBed

_CLONE_NEWNET = 0x40000000
_LIBC = ctypes.CDLL(None, use_errno=True)


def tmp_of(host: str) -> Path:
    """Return where this process sees the ``/tmp`` of a separate host."""
    return state() / "net" / f"tmp.{host}"


@contextmanager
def network_of(host: str) -> Iterator[None]:
    """Let the sockets that this thread makes be those of a separate host."""
    pid = (state() / "net" / f"host.{host}.pid").read_text().split()[0]
    own, there = Path("/proc/thread-self/ns/net"), Path(f"/proc/{pid}/ns/net")
    with own.open("rb") as back, there.open("rb") as away:
        _enter(away.fileno())
        try:
            yield
        finally:
            _enter(back.fileno())


def _enter(network: int) -> None:
    if _LIBC.setns(network, _CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


@contextmanager
def cut(bed: SlurmBed, host: str, *, interface: str) -> Iterator[None]:
    """Let a separate host drop, without a word, all that comes in by an interface."""
    words = "add table inet cut; add chain inet cut gate { type filter hook input priority 0; }"
    rule = f'add rule inet cut gate iifname "{interface}" drop'
    bed.run("nft", f"{words}; {rule}", host=host)
    try:
        yield
    finally:
        bed.run("nft", "delete table inet cut", host=host)


SITE = "alpine"
CONFIG = "sshd/client/config.laptop"
_HOSTS = ("laptop", "desk", "jump", "login", "node1", "node2", "node3", "node4")
_PATIENCE = 120.0  # seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """A Slurm of separate hosts where dask-hpc is, with state of the test's own.

    ``place`` is a directory there, which its hosts share.
    """

    bed: SlurmBed
    place: Path

    @property
    def clusters(self) -> Path:
        """Where its clusters have their files."""
        return self.place / "state" / "clusters"

    @property
    def work(self) -> Path:
        """Where the commands of its users are run, and what JupyterLab shows."""
        return self.place / "work"

    def traces(self) -> set[str]:
        """Return every process and every file of the user on any host, but for `place`."""
        found = set()
        for host in _HOSTS:
            run = self.bed.run
            for command in (_PROCESSES, _FILES):
                lines = run(*command, host=host, check=False).stdout.splitlines()
                found |= {f"{host}: {line}" for line in lines if "<defunct>" not in line}
        return found


_PROCESSES = ("ps", "-U", USER, "-o", "pid=,args=")
_FILES = ("find", "/tmp", "/dev/shm", "-user", USER)


@contextmanager
def cluster_at(bed: SlurmBed) -> Iterator[Cluster]:
    """Have dask-hpc on the login host; at the end no job is left, and no cluster."""
    place = bed.directory("far", user=USER)
    found = Cluster(bed=bed, place=place)
    program = CHECKOUT / ".venv" / "bin" / "dask-hpc"
    own = {"CONFIG_DIR": "jupyter", "DATA_DIR": "jupyter-data"}
    write_program(
        place / "dask-hpc",
        f"export DASK_HPC_HOME={place}/state IPYTHONDIR={place}/ipython\n"
        + "".join(f"export JUPYTER_{name}={place}/{path}\n" for name, path in own.items())
        + f'cd {place}/work\nexec {program} "$@"',
        mode=0o755,
    )
    found.work.mkdir()
    settings = place / "jupyter/lab/user-settings/@jupyterlab/apputils-extension"
    settings.mkdir(parents=True)
    (settings / "notification.jupyterlab-settings").write_text('{"fetchNews": "false"}')
    _give(place)
    yield found
    mine = [job for job in bed.jobs() if f" {USER} " in job]
    bed.run("scancel", "--user", USER)
    left = [path.name for path in found.clusters.glob("*")]
    shutil.rmtree(place, ignore_errors=True)
    assert not left
    assert not [job for job in mine if "COMPLETING" not in job]


@dataclass(frozen=True, slots=True, kw_only=True)
class Computer:
    """Programs, state and configuration of a user on a host outside of the site.

    ``there`` is a directory of its own ``/tmp``, as it is called there.
    """

    bed: SlurmBed
    host: str
    there: Path

    @property
    def here(self) -> Path:
        """That directory, as this process sees it."""
        return tmp_of(self.host) / self.there.name

    @property
    def prompts(self) -> int:
        """How often ssh has asked."""
        asked = self.here / "asked"
        return len(asked.read_text().splitlines()) if asked.exists() else 0

    @property
    def said(self) -> str:
        """What the command that `opened` runs has said beside the link."""
        return (self.here / "said").read_text()

    def argv(self, *argv: str | Path) -> list[str]:
        """Return the command line that runs a program there as the user."""
        environ = {
            "HOME": str(self.there),
            "TMPDIR": str(self.there),
            "DASK_HPC_HOME": str(self.there / "state"),
            "PATH": f"{self.there / 'bin'}:/usr/bin:/bin",
            "XDG_RUNTIME_DIR": str(self.there / "run"),
            "XDG_CONFIG_HOME": str(self.there / "config"),
            "SSH_ASKPASS": str(self.there / "askpass"),
            "SSH_ASKPASS_REQUIRE": "force",
        }
        return self.bed.argv(*argv, host=self.host, user=USER, cwd=self.there, env=environ)

    def dask_hpc(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run ``dask-hpc`` there to its end."""
        return subprocess.run(
            self.argv(*_PROGRAM, *words),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_PATIENCE,
            check=False,
        )

    @contextmanager
    def opened(self, *words: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
        """Run ``dask-hpc`` there, which prints a link and stays; give the link."""
        with (
            (self.here / "said").open("w") as said,
            subprocess.Popen(
                self.argv(*_PROGRAM, *words),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=said,
                text=True,
            ) as process,
        ):
            try:
                assert process.stdout
                link = process.stdout.readline().strip()
                assert link.startswith("http://127.0.0.1:"), self.said
                yield link, process
            finally:
                if process.poll() is None:
                    self.bed.send_signal(process, signal.SIGINT)
                process.wait(_PATIENCE)

    def kill(self, *words: str) -> None:
        """Kill every process of the user there whose command line has these words."""
        listed = self.bed.run(*_PROCESSES, host=self.host, check=False).stdout
        for line in listed.splitlines():
            pid, _, argv = line.strip().partition(" ")
            if all(word in argv for word in words):
                self.bed.run("kill", "-KILL", pid, host=self.host, check=False)


_PROGRAM = (sys.executable, "-m", "dask_hpc.cli.main")


@contextmanager
def computer_at(
    host: str, cluster: Cluster, *, reached: str, config: Sequence[str] = ()
) -> Iterator[Computer]:
    """Give a computer whose user knows the cluster as a site, reached under a name of ssh's.

    ``config`` are more lines for the configuration of ssh.
    """
    bed = cluster.bed
    there = Path(bed.run("mktemp", "-d", "/tmp/dh.XXXXXX", host=host, user=USER).stdout.strip())
    found = Computer(bed=bed, host=host, there=there)
    here = found.here
    write_program(here / "bin" / "ssh", f'exec /usr/bin/ssh -F "{there}/ssh" "$@"')
    (here / "ssh").write_text("\n".join([*config, f"Include {state() / CONFIG}", ""]))
    answer = SCRIPTS / "askpass.sh"
    write_program(here / "askpass", f'echo "$1" >>"{there}/asked"; exec "{answer}" "$@"')
    profile = here / "config" / "dask-hpc" / f"{SITE}.yaml"
    profile.parent.mkdir(parents=True)
    profile.write_text(
        f"system: slurm\nhost: {reached}\ncommand: {cluster.place}/dask-hpc\n"
        "processes: 1\nsubmit_from: login\n"
    )
    (here / "run").mkdir(mode=0o700)
    _give(here)
    try:
        yield found
    finally:
        found.kill(str(there))
        shutil.rmtree(here)


def _give(place: Path) -> None:
    for path in (place, *place.rglob("*")):
        shutil.chown(path, USER, USER)
