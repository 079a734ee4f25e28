"""Whatever a user writes into a job is refused, or arrives as it is: nothing of it is ever run.

One bash stays for all scripts of a dialect: the program of a job, and what its script calls, are
functions of that shell, so that a script costs two forks.
"""

from __future__ import annotations

import base64
import os
import re
import shlex
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dask_hpc.batch.model import JobSpec, Resources, Tag
from dask_hpc.batch.script import Program, job_body
from dask_hpc.errors import ConfigError
from dask_hpc.plugins import BATCH_SYSTEMS, load, names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dask_hpc.batch.system import BatchSystem

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

MARKS = {
    "htcondor": "", "local": "#LOCAL", "lsf": "#BSUB", "moab": "#PBS", "oar": "#OAR",
    "pbs": "#PBS", "sge": "#$", "slurm": "#SBATCH", "torque": "#PBS",
}  # fmt: skip
READS_ON = ("lsf", "sge")  # also after the first command
_PACKED = re.compile(r"echo ([A-Za-z0-9+/=]+) \| base64 -d")
_PIECES = (
    "$(touch alas)", "`touch alas`", "; touch alas;", "\ntouch alas\n", "&& touch alas",
    "| touch alas", "'; touch alas; '", '"; touch alas; "', ") touch alas (", ">alas",
    "<(touch alas)", "\n#$ -N other\n", "\n#BSUB -J other\n", "\n#PBS -N other\n", "-N other",
    "-l h=1", "name=1", "${HOME}", "$HOME", "$((1+1))", "%s", "{index}", "{0}", "EOF\n", "\\",
    "\\\n", "'", '"', "''", "!!", "#", "#$", "*", "~", "-", "--", "=", ",", ":", " ", "\t", "\r",
    "\0", "\x1b", "é", "码", "\u2028", "\u202e", "a", "b", "0", ".", "..", "alas",
)  # fmt: skip
TEXT = st.lists(st.sampled_from(_PIECES) | st.text(max_size=3), max_size=5).map("".join)
# A path is a file's: without those two; and "{index}" has its meaning there.
_IN_PATHS = TEXT.map(lambda text: re.sub(r"[/\0]|\{index\}", "-", text))
_REFUSABLE = ("tag", "queue", "account", "directive", "comment")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """The texts of a job that somebody else wrote."""

    word: str
    value: str
    path: str = "place"
    tag: str = "climate-abcd2345"
    queue: str = ""
    account: str = ""
    directive: str = ""
    comment: str = ""


@st.composite
def cases(draw: Callable[[Any], Any]) -> Case:
    """Draw texts; few of those that are mostly refused, so that many jobs are not."""
    odd = draw(st.sets(st.sampled_from(_REFUSABLE), max_size=2))
    return Case(
        word=draw(TEXT),
        value=draw(TEXT),
        path=draw(st.just("place") | _IN_PATHS.map("place{}".format)),
        **{name: draw(TEXT) for name in sorted(odd)},
    )


# What says there that this is the first job of an array.
_IN_JOBS = {
    "OAR_ARRAY_INDEX": "1",
    "DASK_HPC_CONDOR_INDEX": "0",
    "DASK_HPC_LOCAL_ARRAY_INDEX": "0",
}
_SHELL = """\
date() { echo 1700000000; }
uname() { echo node1; }
mv() { :; }
chmod() { :; }
grep() { return 1; }
dump() { printf '%s\\0' "$DASK_HPC_TEXT" "$PYTHONPATH" "$@" >"$dumped"; }
"""


class Shell:
    """A bash that runs one script after the other, in a directory of its own."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.home = root / "home"
        self.home.mkdir()
        self._dumped, self._script = root / "dumped", root / "script"
        environ = {"PATH": "/usr/bin:/bin", "HOME": str(self.home), "dumped": str(self._dumped)}
        environ |= {"USER": "me", "LOGNAME": "me", "LC_ALL": "C.UTF-8"}
        environ |= _IN_JOBS
        self._bash = subprocess.Popen(
            ["bash"],
            env=environ,
            cwd=self.home,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self._say(_SHELL)

    def run(self, script: str) -> list[str]:
        """Return what the program of a script saw when it ran."""
        self._script.write_text(script, encoding="utf-8", newline="")
        self._dumped.unlink(missing_ok=True)
        path = shlex.quote(str(self._script))
        self._say(f"( . {path} ) </dev/null >/dev/null 2>&1; printf '\\1'\n")
        self._answer()
        if not self._dumped.exists():
            return []
        return self._dumped.read_bytes().decode().split("\0")[:-1]

    def close(self) -> None:
        """End it."""
        assert self._bash.stdin
        self._bash.stdin.close()
        self._bash.wait(10)

    def _say(self, text: str) -> None:
        assert self._bash.stdin
        self._bash.stdin.write(text.encode())
        self._bash.stdin.flush()

    def _answer(self) -> None:
        assert self._bash.stdout
        said = b""
        while not said.endswith(b"\1"):
            more = os.read(self._bash.stdout.fileno(), 65536)
            assert more, "a script has ended the shell"
            said += more


@pytest.fixture(scope="module")
def shell() -> Iterator[Shell]:
    with tempfile.TemporaryDirectory(prefix="dh", dir="/dev/shm") as path:
        shell = Shell(Path(path))
        yield shell
        shell.close()


def job_of(case: Case, system: BatchSystem, place: Path) -> JobSpec:
    """Return the job; its log and records are in a place whose name is one of the texts."""
    program = Program(
        argv=("dump", case.word, f"--{case.word}"),
        prologue=(),
        environment={"DASK_HPC_TEXT": case.value},
        python_path=place,
    )
    tag = Tag(case.tag)
    body = job_body(program, system.variables, tag=tag, records=place / "jobs", walltime=60)
    resources = Resources(
        cores=1,
        memory=2**20,
        walltime=60,
        queue=case.queue or None,
        account=case.account or None,
        directives=(case.directive,) if case.directive else (),
    )
    log = f"{place}/log.{{index}}"
    return JobSpec(tag=tag, resources=resources, body=body, log=log, comment=case.comment)


def script_of(system: BatchSystem, job: JobSpec) -> str:
    """Return what the nodes run of what is handed in."""
    command = system.submit_command(job)
    handed_in = command.stdin or command.argv[-1]
    if packed := _PACKED.search(handed_in):
        return base64.b64decode(packed[1]).decode()
    return handed_in


def directives_in(script: str, name: str) -> list[str]:
    """Return the lines that the batch system takes for directives."""
    lines = script.split("\n")
    if name not in READS_ON:
        lines = list(takewhile(lambda line: line.startswith("#") or not line.strip(), lines))
    return [line for line in lines if line.lstrip().startswith(MARKS[name])]


def complaints(scripts: list[str]) -> str:
    """Return what ``bash -n`` says of scripts, each of which has run to its end."""
    text = "\n".join(scripts).encode()
    argv = ["bash", "-n", "/dev/stdin"]
    return subprocess.run(argv, input=text, capture_output=True, check=False).stderr.decode()


def checked(case: Case, system: BatchSystem, shell: Shell) -> str:
    """Check one case; return the script that it made, or nothing if it is refused."""
    place = shell.root / case.path
    try:
        job = job_of(case, system, place)
        script = script_of(system, job)
        directives = system.directives(job)
    except ConfigError:
        return ""
    (place / "jobs").mkdir(parents=True)
    try:
        seen = shell.run(script)
        slot = ["--slot", f"{case.tag}.0", "--job"]
        told = [case.value, str(place), case.word, f"--{case.word}", *slot]
        assert seen[: len(told)] == told
        assert [*shell.home.iterdir()] == []
        assert {path.name for path in place.iterdir()} <= {"jobs", "log.0"}
        assert all(path.name.startswith(f"{case.tag}.0.") for path in (place / "jobs").iterdir())
    finally:
        shutil.rmtree(place)
    if MARKS[system.name]:
        marked = [line for line in directives if line.startswith(MARKS[system.name])]
        assert directives_in(script, system.name) == marked
    return script


@pytest.mark.parametrize("name", names(BATCH_SYSTEMS))
def test_no_text_is_run_or_changed_on_its_way_into_a_job(
    name: str, shell: Shell, pytestconfig: pytest.Config
) -> None:
    system = load(BATCH_SYSTEMS, name).from_facts({})
    count = pytestconfig.getoption("--texts")
    scripts: list[str] = []

    @settings(max_examples=count, database=None)
    @given(case=cases())
    def check(case: Case) -> None:
        scripts.append(checked(case, system, shell))

    check()
    accepted = [script for script in scripts if script]
    assert len(accepted) > count / 5
    assert complaints(accepted) == ""


def test_every_dialect_of_ours_is_tried() -> None:
    assert set(MARKS) == set(names(BATCH_SYSTEMS))
