"""dask-jobqueue's own tests, from its wheel, against it and against the drop-in: a table.

``python -m tests.compat.conformance [-E SYSTEM]... [--directory DIR]``; without ``-E``, without a
batch system and with each one that is a bed or has a stand-in.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path

from distributed import Security

from tests.compat.batch_systems import BEDS, Absent, Place, batch_system
from tests.compat.deliberate import DELIBERATE, NOT_OFFERED
from tests.integration.systems import RARE_STAND_INS, STAND_INS

SOURCE = Path(__file__).parents[2] / "src"
VERSION = "0.9.0"
ENOUGH = 0.95
NONE = "none"
_SECONDS = 1800
_SECONDS_OF_A_TEST = 150  # those of dask-jobqueue wait up to a minute for their queue, twice

# Module of dask-jobqueue: what of ours has its names.
_NAMES = "from dask_hpc.compat.jobqueue import *\n"
_MODULES = {
    "__init__": _NAMES + f"from . import config\n__version__ = {VERSION!r}\n",
    "core": _NAMES,
    "config": "from dask_hpc.compat.jobqueue_config import reconfigure\nreconfigure()\n",
    "local": _NAMES,
    "slurm": _NAMES + "from dask_hpc.compat.headers import slurm_format_bytes_ceil\n",
    "runner": "from dask_hpc.compat.runner import *\n",
    "pbs": _NAMES + "from dask_hpc.compat.headers import pbs_format_bytes_ceil\n",
    "moab": _NAMES,
    "sge": _NAMES,
    "lsf": _NAMES + "from dask_hpc.compat.headers import lsf_format_bytes_ceil, lsf_detect_units\n",
    "oar": _NAMES + "from dask_hpc.compat.headers import return_last_job_property\n",
    "htcondor": _NAMES + "from dask_hpc.compat.jobs import quote_arguments, quote_environment\n",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How one test went."""

    how: str
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """The figures of one system."""

    passed: int
    deselected: int
    all: int

    def __str__(self) -> str:
        failed = self.all - self.deselected - self.passed
        return f"{self.passed:10} {failed:10} {self.deselected:10}"

    @property
    def is_enough(self) -> bool:
        """Whether enough of the tests that count pass."""
        return self.passed >= ENOUGH * (self.all - self.deselected)


def fetch(directory: Path) -> Path:
    """Return a folder with dask-jobqueue alone, from its published wheel."""
    folder = directory / f"dask-jobqueue-{VERSION}"
    if not (folder / "dask_jobqueue").is_dir():
        argv = [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-deps",
            "--only-binary=:all:",
        ]
        argv += ["--target", str(folder), f"dask-jobqueue=={VERSION}"]
        subprocess.run(argv, check=True)
    return folder


def theirs(wheel: Path, room: Path) -> None:
    """Lay out dask-jobqueue itself, with our fixtures beside its tests."""
    shutil.copytree(wheel / "dask_jobqueue", room / "dask_jobqueue")
    _add_fixtures(room)


def ours(wheel: Path, room: Path) -> None:
    """Lay out a package of that name which has the drop-in's names, and the same tests."""
    package = room / "dask_jobqueue"
    shutil.copytree(wheel / "dask_jobqueue" / "tests", package / "tests")
    for name, text in _MODULES.items():
        (package / f"{name}.py").write_text(text, encoding="utf-8")
    _add_fixtures(room)


def _add_fixtures(room: Path) -> None:
    shutil.copy(
        Path(__file__).with_name("wheel_conftest.py"),
        room / "dask_jobqueue" / "tests" / "conftest.py",
    )
    (room / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    _add_certificate(room / "dask_jobqueue" / "tests")


def _add_certificate(tests: Path) -> None:
    """Make the certificate that a test takes for every role, and that the wheel does not have."""
    made = Security.temporary()
    (tests / "ca.pem").write_text(made.tls_ca_file, encoding="utf-8")
    (tests / "key.pem").write_text(made.tls_scheduler_key, encoding="utf-8")


def run(room: Path, place: Place) -> dict[str, Outcome]:
    """Run the tests of a room; return each one's outcome by its name."""
    home = room / "home"
    home.mkdir()
    environ = {
        "HOME": str(home),
        "DASK_HPC_HOME": str(home / "state"),
        "PYTHONPATH": os.pathsep.join([str(room), str(SOURCE)]),
        "CI_SHARED_SPACE": str(room),
        **place.settings,
    }
    if place.mark != "slurm":
        environ["PATH"] = os.pathsep.join([str(_silent_slurm(room)), os.environ["PATH"]])
    if place.user:
        subprocess.run(["chown", "-R", place.user, str(room)], check=True)
    setting = ["env", f"--chdir={room}", *(f"{name}={value}" for name, value in environ.items())]
    report = room / "report.xml"
    with (room / "log").open("w") as log:
        subprocess.run(
            [*place.before, *setting, *_pytest(report, place)],
            cwd=room,
            stdout=log,
            stderr=log,
            timeout=_SECONDS,
            check=False,
        )
    if not report.exists():
        log_end = (room / "log").read_text(encoding="utf-8")[-2000:]
        raise RuntimeError(f"the tests did not run to their end:\n{log_end}")
    return read(report)


def _pytest(report: Path, place: Place) -> list[str]:
    argv = [place.python, "-m", "pytest", "-v", "-p", "no:cacheprovider", f"--junitxml={report}"]
    argv += [f"--timeout={_SECONDS_OF_A_TEST}", "dask_jobqueue/tests"]
    argv += [f"--ignore=dask_jobqueue/tests/{name}" for name in NOT_OFFERED]
    return [*argv, "-E", place.mark] if place.mark else argv


def _silent_slurm(room: Path) -> Path:
    """Return a folder with a sinfo that knows no cores: one module asks it while it is imported."""
    folder = room / "bin"
    folder.mkdir()
    program = folder / "sinfo"
    program.write_text("#!/bin/sh\necho 'CPUS(A/I/O/T)'\necho 0/0/0/0\n", encoding="utf-8")
    program.chmod(0o755)
    return folder


def read(report: Path) -> dict[str, Outcome]:
    """Return the outcomes that a report of pytest tells of."""
    found: dict[str, Outcome] = {}
    for case in ET.parse(report).iter("testcase"):
        name = f"{case.get('classname', '').rpartition('.')[2]}::{case.get('name')}"
        bad = next((one for one in case if one.tag in ("failure", "error", "skipped")), None)
        how = "passed" if bad is None else "skipped" if bad.tag == "skipped" else "failed"
        why = "" if bad is None else (bad.get("message") or "").partition("\n")[0][:100]
        found[name] = Outcome(how=how, why=why)
    return found


def judged(name: str, them: Outcome, us: Outcome) -> Outcome:
    """Return what the table says of a test."""
    plain = name.partition("[")[0]
    if them.how != "passed":
        why = f"{them.how} with dask-jobqueue itself: {them.why}"
        return Outcome(how="deselected", why=why)
    if plain in DELIBERATE:
        return Outcome(how="deselected", why=f"deliberate: {DELIBERATE[plain]}")
    return us


def compare(wheel: Path, place: Place) -> dict[str, Outcome]:
    """Return what the table says of each test, without a batch system or with one."""
    outcomes = []
    for lay_out in (theirs, ours):
        room = Path(tempfile.mkdtemp(prefix=f"{lay_out.__name__}-", dir=place.rooms))
        lay_out(wheel, room)
        outcomes.append(run(room, place))
    them, us = outcomes
    missing = Outcome(how="failed", why="did not run")
    return {name: judged(name, one, us.get(name, missing)) for name, one in sorted(them.items())}


def show(table: dict[str, Outcome], name: str) -> Counts:
    """Print a table; return its figures."""
    for test, outcome in table.items():
        sys.stdout.write(f"{outcome.how:10} -E {name}: {test}  {outcome.why}\n")
    sys.stdout.flush()
    how = [outcome.how for outcome in table.values()]
    return Counts(passed=how.count("passed"), deselected=how.count("deselected"), all=len(how))


def main() -> int:
    """Print the tables; return whether enough of what passes there passes here, everywhere."""
    parser = argparse.ArgumentParser(description=__doc__)
    # One that is real is no stand-in.
    systems = dict.fromkeys((NONE, *BEDS, *STAND_INS, *RARE_STAND_INS))
    parser.add_argument("-E", dest="systems", action="append", choices=systems)
    parser.add_argument("--directory", type=Path, help="keep the wheel and what was run here")
    options = parser.parse_args()
    found: dict[str, Counts | Absent] = {}
    with tempfile.TemporaryDirectory(prefix="dask-hpc-") as temporary:
        directory = options.directory or Path(temporary)
        wheel = fetch(directory)
        for name in options.systems or systems:
            system = None if name == NONE else name
            rooms = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=directory)) / "rooms"
            try:
                with batch_system(system, rooms) as place:
                    found[name] = show(compare(wheel, place), name)
            except Absent as error:
                found[name] = error
    return summary(found)


def summary(found: dict[str, Counts | Absent]) -> int:
    """Print the figures of every system; return the exit code that they mean."""
    for name, why in NOT_OFFERED.items():
        sys.stdout.write(f"deselected {name}  {why}\n")
    sys.stdout.write(f"{'':10} {'passed':>10} {'failed':>10} {'deselected':>10}\n")
    for name, one in found.items():
        sys.stdout.write(f"{name:10} {one if isinstance(one, Counts) else f'not here: {one}'}\n")
    known = [one for one in found.values() if isinstance(one, Counts)]
    return 0 if known and all(one.is_enough for one in known) else 1


if __name__ == "__main__":
    raise SystemExit(main())
