"""How each launcher starts one bash script on every node of a job, as a table. No I/O."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dask_hpc.process.runner import Command

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Nodes:
    """The hosts of a job, that of its script first, and the cores it may use of each."""

    hosts: Sequence[str]
    cores: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Launcher:
    """One way to run a script on every node.

    ``node`` is a shell word that says in the script on which node it is, counted from 0.
    ``commands`` returns what, all together, runs it everywhere and ends when it has ended.
    """

    node: str
    commands: Callable[[Nodes, Path], tuple[Command, ...]]


# Variables of the job that say how large a step is; those that say which job it is must stay.
_STEPS = (
    r"SRUN_",
    r"SLURM_(MEM_PER|CPUS_PER|TRES_PER|GPUS_PER|CPU_BIND|MPI_TYPE|DISTRIBUTION|NTASKS|NPROCS)",
    r"SLURM_(EXPORT_ENV|KILL_BAD_EXIT|WAIT|UNBUFFEREDIO|LABELIO)",
)
# With a terminal, what runs there is hung up when the connection ends. Nobody answers questions.
_SSH = ("-tt", "-o", "BatchMode=yes", "-o", "LogLevel=ERROR")


def _srun(nodes: Nodes, script: Path) -> tuple[Command, ...]:
    count = len(nodes.hosts)
    options = (
        # Steps share the nodes; those of a node that fails do not end the others.
        "--overlap", f"--nodes={count}", f"--ntasks={count}", "--ntasks-per-node=1",
        "--kill-on-bad-exit=0", "--wait=0", "--no-kill",
        # From 22.05 to 23.02 srun did not take it from the job.
        f"--cpus-per-task={nodes.cores}",
        "--cpu-bind=none", "--mpi=none", "--export=ALL", "--unbuffered",
    )  # fmt: skip
    return (Command(argv=("srun", *options, "bash", str(script)), drop=_STEPS),)


def _mpirun(nodes: Nodes, script: Path) -> tuple[Command, ...]:
    count, hosts = str(len(nodes.hosts)), ",".join(nodes.hosts)
    return (Command(argv=("mpirun", "-np", count, "-host", hosts, "bash", str(script))),)


def _each(*words: str, as_text: bool = False) -> Launcher:
    """Return a launcher with one command a node: these words, then the script with its number.

    ``HOST`` and ``NODE`` stand for the node; ``as_text`` is for those who hand what follows to a
    shell.
    """

    def commands(nodes: Nodes, script: Path) -> tuple[Command, ...]:
        return tuple(
            Command(argv=_on_node(words, script, node=node, host=host, as_text=as_text))
            for node, host in enumerate(nodes.hosts)
        )

    return Launcher(node="$1", commands=commands)


def _on_node(
    words: tuple[str, ...], script: Path, *, node: int, host: str, as_text: bool
) -> tuple[str, ...]:
    task = ("bash", str(script), str(node))
    if words[:1] in _LOGINS and node == 0:
        return task  # the script of the job is there already
    start = tuple({"HOST": host, "NODE": str(node)}.get(word, word) for word in words)
    return (*start, shlex.join(task)) if as_text else (*start, *task)


_LOGINS = (("ssh",), ("oarsh",))

LAUNCHERS: Mapping[str, Launcher] = {
    "srun": Launcher(node="$SLURM_PROCID", commands=_srun),
    # One line of the node file for each node, as jobs of ours ask for them.
    "pbsdsh": _each("pbsdsh", "-n", "NODE", "--"),
    # Torque's has a line for each processor, but may be told a host.
    "torque-pbsdsh": _each("pbsdsh", "-h", "HOST"),
    # Without a host it would start a task on every slot.
    "blaunch": _each("blaunch", "-z", "HOST"),
    # For parallel environments with `control_slaves TRUE`.
    "qrsh": _each("qrsh", "-inherit", "HOST", as_text=True),
    "oarsh": _each("oarsh", *_SSH, "HOST", as_text=True),
    "ssh": _each("ssh", *_SSH, "HOST", as_text=True),
    "mpirun": Launcher(node="${OMPI_COMM_WORLD_RANK:-${PMIX_RANK:-$PMI_RANK}}", commands=_mpirun),
    # This machine stands for all nodes.
    "local": _each(),
}
