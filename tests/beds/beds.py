"""A typed handle for each real system that tests talk to."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SCRIPTS = Path(__file__).parent
CHECKOUT = SCRIPTS.parents[1]
USER = "hpcuser"
SESSION_VARIABLE = "DASK_HPC_TEST_SESSION"
_IMPOSSIBLE = 77  # what the scripts exit with where they cannot work at all

Flavour = Literal["openmpi", "mpich"]
Debian13System = Literal["slurm", "oar"]
Name = Literal[
    "data", "chromium", "hub", "mpi", "slurm", "slurm_net", "oar", "sge", "sge_net", "htcondor",
    "debian13_slurm", "debian13_oar", "sshd",
]  # fmt: skip


class BedUnavailable(Exception):
    """A bed that did not start; ``possible`` says whether it could have."""

    def __init__(self, reason: str, *, possible: bool) -> None:
        super().__init__(reason)
        self.possible = possible


def state() -> Path:
    """Return the directory that all beds keep their files in."""
    return Path(os.environ.get("DASK_HPC_BEDS") or "/var/lib/dask-hpc-beds")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bed:
    """A system that is up."""

    script: Path
    options: tuple[str, ...] = ()
    environ: Mapping[str, str] = field(default_factory=dict)

    @property
    def shared(self) -> Path:
        """A directory that every host and every user sees at this path; anybody may write here."""
        return state() / "shared"

    def control(self, verb: str, *words: str, timeout: float = 120) -> str:
        """Run a verb of the bed's script and return what it says."""
        return control(self.script, verb, *words, *self.options, timeout=timeout)


@dataclass(frozen=True, slots=True, kw_only=True)
class HostsBed(Bed):
    """A batch system whose hosts may be ``separate``; else every host is this machine.

    Hosts are ``login``, ``node1`` and so on; ``user`` is who runs commands unless said otherwise.
    """

    separate: bool = False
    user: str = "root"

    def argv(
        self,
        *argv: str | Path,
        host: str = "login",
        user: str = "",
        cwd: str | Path = "/",
        env: Mapping[str, str] | None = None,
    ) -> list[str]:
        """Return the command line that runs a command on a host as a user.

        The environment is the caller's, with a plain PATH and the bed's variables.
        """
        setting = [f"{name}={value}" for name, value in {**self.environ, **(env or {})}.items()]
        place = [host] if self.separate else []
        return [
            *(str(self.script), "exec", *self.options, *place),
            *("-u", user or self.user, "-C", str(cwd)),
            *("--", "env", *setting, *map(str, argv)),
        ]

    def run(
        self,
        *argv: str | Path,
        host: str = "login",
        user: str = "",
        cwd: str | Path = "/",
        env: Mapping[str, str] | None = None,
        stdin: str = "",
        timeout: float = 60,
        check: bool = True,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command on a host as a user; with ``check``, it must succeed."""
        command = self.argv(*argv, host=host, user=user, cwd=cwd, env=env)
        done = subprocess.run(
            command, input=stdin, timeout=timeout, capture_output=True, text=True, check=False
        )
        if check and done.returncode:
            raise AssertionError(
                f"{argv} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
            )
        return done

    def directory(self, name: str, *, user: str = "") -> Path:
        """Return a new private directory of the user that all hosts see."""
        template = self.shared / f"{name}.XXXXXX"
        return Path(self.run("mktemp", "-d", template, user=user).stdout.strip())

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Let the server answer nothing."""
        self.control("pause")
        try:
            yield
        finally:
            self.control("resume")

    @contextlib.contextmanager
    def without_node(self, number: int) -> Iterator[None]:
        """Power a node off; the batch system is not told."""
        self.control("kill-node", str(number))
        try:
            yield
        finally:
            self.control("start-node", str(number))


@dataclass(frozen=True, slots=True, kw_only=True)
class SlurmBed(HostsBed):
    """A Slurm with four nodes of four processors; ``separate`` hosts or all on this machine.

    Separate ones are ``login``, ``node1`` to ``node4`` and ``laptop``. Users are ``root`` and
    `USER`.
    """

    def send_signal(self, process: subprocess.Popen[str], number: int) -> None:
        """Send a signal to the command that `argv` runs, which may have a wrapper as its parent."""
        if not self.separate:
            process.send_signal(number)
        for child in psutil.Process(process.pid).children() if self.separate else ():
            child.send_signal(number)

    def submit(self, *options: str | Path, script: str, user: str = "root") -> str:
        """Submit a shell script with options of sbatch and return the job's id."""
        options = ("-J", _session_name(), "-o", "/dev/null", *options)
        text = f"#!/bin/bash\n{script}\n"
        return self.run("sbatch", "--parsable", *options, user=user, stdin=text).stdout.strip()

    def job_state(self, job: str) -> str:
        """Return Slurm's word for the state of a job; finished ones are known for ten minutes."""
        return self.run("squeue", "-h", "-t", "all", "-o", "%T", "-j", job).stdout.strip()

    def jobs(self) -> tuple[str, ...]:
        """Return every job that has not ended, as id, name, user and state."""
        return tuple(self.run("squeue", "-h", "-o", "%i %j %u %T").stdout.splitlines())

    def cancel(self, *ids: str) -> None:
        """Cancel anybody's jobs."""
        self.run("scancel", *ids)

    def cancel_submitted(self) -> None:
        """Cancel what this session submitted by `submit`, and nothing of another session."""
        for user in ("root", USER):
            self.run("scancel", "-n", _session_name(), user=user)

    @contextlib.contextmanager
    def without_node(self, number: int, *, announced: bool = False) -> Iterator[None]:
        """Power a node off; unless announced, slurmctld finds out by itself in 10 to 16 s."""
        self.control("kill-node", str(number), *(["--now"] if announced else []))
        try:
            yield
        finally:
            self.control("start-node", str(number))


@dataclass(frozen=True, slots=True, kw_only=True)
class UsersBed(HostsBed):
    """A system that takes no jobs of root: `USER` submits."""

    user: str = USER

    @property
    def python(self) -> str:
        """The interpreter that its users have."""
        return sys.executable


@dataclass(frozen=True, slots=True, kw_only=True)
class OarBed(UsersBed):
    """An OAR with two nodes of four cores, and node3, which is switched off.

    The nodes are the addresses 127.0.0.11 and 127.0.0.12 of this machine.
    """

    def jobs(self) -> tuple[str, ...]:
        """Return every job that has not ended: its id first, then what oarstat says of it."""
        return tuple(self.run("oarstat").stdout.splitlines()[2:])


@dataclass(frozen=True, slots=True, kw_only=True)
class HTCondorBed(UsersBed):
    """An HTCondor with one machine of eight processors, in a root of Debian 13."""

    @property
    def python(self) -> str:
        """The root's own Python, with what the tests need; it runs in the root only."""
        return self.control("python").strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class SgeBed(HostsBed):
    """A Grid Engine with one node of eight slots, or with three that are ``separate`` hosts.

    Those are ``login`` and ``node1`` to ``node3``. Users are ``root`` and `USER`.
    """

    def jobs(self) -> tuple[str, ...]:
        """Return every job that has not ended: its id first, then what qstat says of it."""
        return tuple(self.run("qstat", "-u", "*").stdout.splitlines()[2:])

    def cancel(self, *ids: str) -> None:
        """Cancel anybody's jobs; some may have ended by now."""
        self.run("qdel", *ids, check=False)

    def variables(self) -> dict[str, str]:
        """Return what tells the commands of Grid Engine which one to talk to; its ports move."""
        lines = self.control("env").splitlines()
        pairs = (line.removeprefix("export ").partition("=") for line in lines)
        return {name: value for name, _, value in pairs}


@dataclass(frozen=True, slots=True, kw_only=True)
class Debian13Bed(Bed):
    """A machine of Debian 13 with its Slurm or its OAR; whole tests are run in it."""

    system: Debian13System

    @property
    def python(self) -> str:
        """The root's own Python, with what the tests need; it runs in the machine only."""
        return self.control("python").strip()

    @property
    def shared(self) -> Path:
        """A directory that everybody may write to, there and here."""
        return state() / "debian13" / self.system / "shared"

    def argv(self, *argv: str | Path, user: str = "root", cwd: str | Path = "/") -> list[str]:
        """Return the command line that runs a command in the machine as a user."""
        place = (self.system, "-u", user, "-C", str(cwd))
        setting = [f"{name}={value}" for name, value in self.environ.items()]
        return [str(self.script), "exec", *place, "--", "env", *setting, *map(str, argv)]

    def image(self) -> Path:
        """Return a directory that is an image for containers: with distributed, and /image."""
        return Path(self.control("image").strip())


@dataclass(frozen=True, slots=True, kw_only=True)
class SshBed(Bed):
    """SSH servers: login, login-2fa, gate and inner; beside slurm_net also netlogin and node1 .."""

    def config(self, *, user: str = "root") -> Path:
        """Return the configuration for ``ssh -F``, with a key that this user may use."""
        path = state() / "sshd" / "client" / "config"
        return path if user == "root" else path.with_suffix(f".{user}")

    @property
    def answers(self) -> dict[str, str]:
        """Variables that make ssh answer the prompts of login-2fa without a terminal."""
        return {"SSH_ASKPASS": str(SCRIPTS / "askpass.sh"), "SSH_ASKPASS_REQUIRE": "force"}

    def run(self, host: str, *argv: str, timeout: float = 30) -> subprocess.CompletedProcess[str]:
        """Run a command by the user's own ssh."""
        command = ["ssh", "-F", str(self.config()), host, "--", *argv]
        return subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class MPIBed(Bed):
    """OpenMPI and MPICH, with mpi4py or without: how to start tasks on this machine."""

    def argv(self, flavour: Flavour, tasks: int) -> list[str]:
        """Return the words before a command."""
        if flavour == "mpich":
            return ["mpirun.mpich", "-np", str(tasks)]
        # As root, with more tasks than processors, and none bound to one.
        options = ("--oversubscribe", "--allow-run-as-root", "--bind-to", "none")
        return ["mpirun.openmpi", *options, "-np", str(tasks)]

    def variables(self, flavour: Flavour, *, mpi4py: bool) -> dict[str, str]:
        """Return what the environment must have."""
        paths = [str(CHECKOUT / "src"), *([str(state() / "mpi" / "site")] if mpi4py else [])]
        found = {"PYTHONPATH": os.pathsep.join(paths)}
        if flavour == "mpich":
            found["LD_LIBRARY_PATH"] = str(state() / "mpi" / "mpich")
        return found


def _session_name() -> str:
    return f"test-{os.environ.get(SESSION_VARIABLE, 'by-hand')[:8]}"


def _slurm(*, separate: bool) -> SlurmBed:
    kind = "slurm-net" if separate else "slurm"
    return SlurmBed(
        script=SCRIPTS / "slurm.sh",
        options=("--net",) if separate else (),
        environ={"SLURM_CONF": str(state() / kind / "etc" / "slurm.conf")},
        separate=separate,
    )


def _debian13(system: Debian13System) -> Debian13Bed:
    return Debian13Bed(
        script=SCRIPTS / "debian13.sh",
        options=(system,),
        environ={
            "PYTHONPATH": str(CHECKOUT / "src"),
            "PYTHONDONTWRITEBYTECODE": "1",  # for this Python in the checkout
            "SLURM_CONF": str(state() / "debian13" / "slurm" / "slurm" / "etc" / "slurm.conf"),
        },
        system=system,
    )


def make(name: Name) -> Bed:
    """Return the handle of a bed, which need not be up yet."""
    if name == "chromium":
        return Bed(script=SCRIPTS / "chromium.sh")
    if name == "hub":
        return Bed(script=SCRIPTS / "hub.sh")
    if name == "data":
        return Bed(script=SCRIPTS / "data.sh")
    if name == "mpi":
        return MPIBed(script=SCRIPTS / "mpi.sh")
    if name == "sshd":
        return SshBed(script=SCRIPTS / "sshd.sh")
    if name == "oar":
        return OarBed(script=SCRIPTS / "oar.sh")
    if name == "htcondor":
        return HTCondorBed(script=SCRIPTS / "htcondor.sh")
    if name == "debian13_slurm":
        return _debian13("slurm")
    if name == "debian13_oar":
        return _debian13("oar")
    if name in ("sge", "sge_net"):
        net = name == "sge_net"
        return SgeBed(script=SCRIPTS / "sge.sh", options=("--net",) * net, separate=net)
    return _slurm(separate=name == "slurm_net")


def control(script: Path, verb: str, *words: str, timeout: float = 120) -> str:
    """Run a verb of a bed's script.

    Raises
    ------
    BedUnavailable
        If it fails.
    """
    # Separate hosts shall see this Python, wherever it lives.
    keep = os.pathsep.join([sys.prefix, os.environ.get("BED_KEEP", "")])
    environ = {**os.environ, "BED_KEEP": keep, "DASK_HPC_BEDS": str(state())}
    # A file and no pipe: a daemon that kept the other end open would keep us waiting.
    with tempfile.TemporaryFile("w+", encoding="utf-8") as output:
        try:
            done = subprocess.run(
                [script, verb, *words],
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=timeout,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise BedUnavailable(str(error), possible=True) from error
        output.seek(0)
        said = output.read()
    if done.returncode:
        reason = "; ".join(said.strip().splitlines()[-3:]) or f"exit code {done.returncode}"
        raise BedUnavailable(reason, possible=done.returncode != _IMPOSSIBLE)
    return said
