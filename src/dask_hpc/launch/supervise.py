"""Runs a program on every node of the job that this is a process of, until it has ended on all.

``python -m dask_hpc.launch.supervise --launcher NAME --nodes N --cores C --scripts DIR -- PROGRAM
…``; the program gets ``--node N`` (counted from 0) and ``--began SECONDS`` (since the epoch, on
all nodes the same) appended. The exit code is the first one of a node that failed. Signals go to
the launcher, which passes them on to the nodes.
"""

from __future__ import annotations

import argparse
import os
import re
import secrets
import shlex
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dask_hpc._clock import SystemClock
from dask_hpc._files import write_private
from dask_hpc.errors import HPCError, LaunchError
from dask_hpc.launch.allocation import find_allocation
from dask_hpc.launch.launchers import LAUNCHERS, Launcher, Nodes
from dask_hpc.process.child import environment

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import FrameType

    from dask_hpc.process.runner import Command

_PASSED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2)
# What is true of one node, or of one process, alone.
_OF_A_NODE = re.compile(
    r"TMPDIR|TMP|TEMP|HOSTNAME|PWD|OLDPWD|SHLVL|_|XDG_.*|DISPLAY|SSH_.*|TERM"
    r"|SLURMD_NODENAME|SLURM_(NODEID|PROCID|LOCALID|TASK_PID|STEP.*|TOPOLOGY.*|GTIDS|LAUNCH.*)"
    r"|PBS_(NODENUM|TASKNUM|VNODENUM|JOBDIR|MOMPORT|JOBCOOKIE)|.*VISIBLE_DEVICES|GPU_DEVICE_ORDINAL"
    r"|LS_EXECCWD|LSB_(JOBRES.*|EXECHOSTS)|OMPI_.*|PMI_.*|PMIX_.*"
)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# Signals are listened for before there is a program, and reach it when there is one.
_SCRIPT = """\
dask_hpc_child= dask_hpc_told=
dask_hpc_tell() {{
  dask_hpc_told=$1
  [ -z "$dask_hpc_child" ] || kill -s "$1" "$dask_hpc_child" 2>/dev/null
}}
trap 'dask_hpc_tell TERM' TERM INT HUP USR2
trap 'dask_hpc_tell USR1' USR1
{exports}
dask_hpc_node={node}
{program} --node "$dask_hpc_node" --began {began} </dev/null &
dask_hpc_child=$!
[ -z "$dask_hpc_told" ] || dask_hpc_tell "$dask_hpc_told"
while :; do
  wait "$dask_hpc_child"; dask_hpc_code=$?
  kill -0 "$dask_hpc_child" 2>/dev/null || break
done
# As in the script of a job: a signal may have cut the last wait short.
if [ "$dask_hpc_code" -gt 128 ]; then
  wait "$dask_hpc_child" 2>/dev/null; dask_hpc_again=$?
  [ "$dask_hpc_again" -eq 127 ] || dask_hpc_code=$dask_hpc_again
fi
exit "$dask_hpc_code"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """What runs on the nodes, and by whom it is started there."""

    launcher: Launcher
    nodes: Nodes
    script: Path
    program: tuple[str, ...]
    began: float

    def text(self, environ: Mapping[str, str]) -> str:
        """Return the script of a node: some launchers bring none of the job's environment."""
        exports = (
            f"export {name}={shlex.quote(value)}"
            for name, value in environ.items()
            if _NAME.fullmatch(name) and not _OF_A_NODE.fullmatch(name)
        )
        return _SCRIPT.format(
            exports="\n".join(exports),
            node=self.launcher.node,
            program=shlex.join(self.program),
            began=self.began,
        )


class Supervisor:
    """Starts the commands of a launcher, passes signals on to them, and waits for their end."""

    def __init__(self, errand: Errand) -> None:
        self._errand = errand
        self._children: list[subprocess.Popen[bytes]] = []
        self._told: list[int] = []

    def run(self) -> int:
        """Return the first exit code that is not 0, or 0."""
        for listened in _PASSED_ON:
            signal.signal(listened, self._pass_on)
        errand = self._errand
        write_private(errand.script, errand.text(os.environ))
        try:
            for command in errand.launcher.commands(errand.nodes, errand.script):
                self._children.append(_start(command))
                for number in self._told:  # while it was not there yet
                    self._children[-1].send_signal(number)
            codes = [child.wait() for child in self._children]
        except LaunchError:
            self._pass_on(signal.SIGTERM, None)
            raise
        finally:
            for child in self._children:
                child.wait()
            errand.script.unlink(missing_ok=True)
        return next((code if code > 0 else 128 - code for code in codes if code), 0)

    def _pass_on(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - signal's signature
        self._told.append(number)
        for child in self._children:
            if child.poll() is None:
                child.send_signal(number)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a program on every node of the job."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--launcher", choices=LAUNCHERS, required=True)
    parser.add_argument("--cores", type=int, required=True)
    parser.add_argument("--nodes", type=int, required=True)
    parser.add_argument("--scripts", type=Path, required=True)
    parser.add_argument("program", nargs="+")
    options = parser.parse_args(arguments)
    try:
        hosts = _hosts(options.launcher, count=options.nodes)
        errand = Errand(
            launcher=LAUNCHERS[options.launcher],
            nodes=Nodes(hosts=hosts, cores=options.cores),
            script=options.scripts / f"{secrets.token_hex(6)}.task",
            program=tuple(options.program),
            began=SystemClock().time(),
        )
        return Supervisor(errand).run()
    except HPCError as error:
        sys.stderr.write(f"error: {error}\nhint: {error.hint}\n")
        return 1


def _hosts(launcher: str, *, count: int) -> tuple[str, ...]:
    if launcher == "local":
        return ("localhost",) * count
    found = find_allocation()
    if len(found.hosts) < count:
        sys.stderr.write(
            f"the job has {len(found.hosts)} nodes by {found.told_by}, {count} were asked for\n"
        )
    return found.hosts


def _start(command: Command) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(command.argv, env=environment(command), stdin=subprocess.DEVNULL)
    except OSError as error:
        raise LaunchError(
            f"{command.argv[0]} cannot be run: {error.strerror}",
            hint="set launcher to one that is on the nodes, as ssh",
        ) from None


if __name__ == "__main__":
    raise SystemExit(main())
