"""dask-mpi's own tests, from its wheel and unmodified, against it and against ours: a table.

``python -m tests.mpi.conformance [--flavour openmpi|mpich] [--directory DIR]``
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import venv
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from tests.beds.beds import CHECKOUT, Flavour, MPIBed, control, make
from tests.compat.conformance import Outcome, read

if TYPE_CHECKING:
    from collections.abc import Mapping

VERSION = "2026.3.0"
_SECONDS = 900
_SCRIPT = "#!{python}\nfrom {module} import {name}\nif __name__ == '__main__':\n    {name}()\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """Whose code the tests are run against, and where its command is."""

    name: str
    module: str
    command: str


THEIRS = Side(name="dask-mpi", module="dask_mpi.cli", command="main")
OURS = Side(name="ours", module="dask_hpc.cli.mpi", command="plain")


def fetch(directory: Path) -> Path:
    """Return a folder with dask-mpi alone, from its published wheel."""
    folder = directory / f"dask-mpi-{VERSION}"
    if not (folder / "dask_mpi").is_dir():
        words = ["--quiet", "--no-deps", "--only-binary=:all:", "--target", str(folder)]
        argv = [sys.executable, "-m", "pip", "install", *words, f"dask-mpi=={VERSION}"]
        subprocess.run(argv, check=True)
    return folder


def lay_out(side: Side, wheel: Path, *, room: Path, launcher: str) -> None:
    """Make an environment with the command and mpirun, and the package that the tests import."""
    package = room / "dask_mpi"
    if side is THEIRS:
        shutil.copytree(wheel / "dask_mpi", package)
    else:
        shutil.copytree(wheel / "dask_mpi" / "tests", package / "tests")
        (package / "__init__.py").write_text(
            "from dask_hpc.compat.mpi import *\n", encoding="utf-8"
        )
    (room / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    # The tests look for both beside the Python that runs them.
    venv.create(room / "env", with_pip=False, symlinks=True)
    python = room / "env" / "bin" / "python"
    (site,) = (room / "env").glob("lib/python*/site-packages")
    (site / "others.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    # Not a link: MPICH's looks for its other programs beside itself.
    _write(python.with_name("mpirun"), f'#!/bin/sh\nexec {shutil.which(launcher)} "$@"\n')
    text = _SCRIPT.format(python=python, module=side.module, name=side.command)
    _write(python.with_name("dask-mpi"), text)


def _write(command: Path, text: str) -> None:
    command.write_text(text, encoding="utf-8")
    command.chmod(0o755)


def run(room: Path, environ: Mapping[str, str]) -> dict[str, Outcome]:
    """Run the tests of a room; return each one's outcome by its name."""
    report, python = room / "report.xml", room / "env" / "bin" / "python"
    words = ["-q", "-p", "no:cacheprovider", "-rA", f"--junitxml={report}", "dask_mpi/tests"]
    with (room / "log").open("w") as log:
        subprocess.run(
            [python, "-m", "pytest", *words],
            cwd=room,
            env={**environ, "PATH": f"{python.parent}:{environ['PATH']}"},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            timeout=_SECONDS,
            check=False,
        )
    return read(report)


def variables(bed: MPIBed, flavour: Flavour, *, room: Path) -> dict[str, str]:
    """Return the environment of a run: this machine has fewer processors than tasks."""
    own = bed.variables(flavour, mpi4py=True)
    found = {
        **os.environ,
        **own,
        "PYTHONPATH": f"{room}:{own['PYTHONPATH']}",
        "DASK_HPC_HOME": str(room / "home"),
    }
    if flavour == "openmpi":
        found["OMPI_MCA_rmaps_base_oversubscribe"] = "1"
        found["OMPI_MCA_hwloc_base_binding_policy"] = "none"
        if os.geteuid() == 0:
            found["ALLOW_RUN_AS_ROOT"] = "1"  # of the tests themselves
    return found


def judged(them: Outcome, us: Outcome) -> Outcome:
    """Return what the table says of a test."""
    if them.how == "skipped":
        return Outcome(how="deselected", why=them.why)
    if them.how == "failed" and us.how == "passed":
        return Outcome(how="passed", why=f"fails with dask-mpi itself: {them.why}")
    return us


def compare(flavour: Flavour, directory: Path) -> int:
    """Print the table of a library of MPI; return how many tests pass there and not here."""
    bed = make("mpi")
    if not isinstance(bed, MPIBed):
        raise TypeError(bed)
    control(bed.script, "start", timeout=600)
    wheel = fetch(directory)
    found: list[dict[str, Outcome]] = []
    for side in (THEIRS, OURS):
        room = Path(tempfile.mkdtemp(prefix=f"{side.name}-{flavour}-", dir=directory))
        lay_out(side, wheel, room=room, launcher=f"mpirun.{flavour}")
        found.append(run(room, variables(bed, flavour, room=room)))
        sys.stdout.write(f"{side.name} with {flavour}: {room}\n")
    them, us = found
    missing = Outcome(how="failed", why="did not run")
    table = {name: judged(one, us.get(name, missing)) for name, one in sorted(them.items())}
    for name, outcome in table.items():
        sys.stdout.write(f"{outcome.how:10} {name}  {outcome.why}\n")
    counted = [outcome.how for outcome in table.values() if outcome.how != "deselected"]
    passed = counted.count("passed")
    theirs = sum(one.how == "passed" for one in them.values())
    sys.stdout.write(f"{flavour}: {passed} of {len(counted)} pass; with dask-mpi {theirs}\n")
    worse = [name for name in table if them[name].how == "passed" and table[name].how != "passed"]
    return len(worse) + (not counted)


def main() -> int:
    """Print the tables; return whether something that passes with dask-mpi does not with ours."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--flavour", choices=get_args(Flavour), action="append")
    parser.add_argument("--directory", type=Path, default=Path(tempfile.gettempdir()) / "dask-hpc")
    options = parser.parse_args()
    options.directory.mkdir(parents=True, exist_ok=True)
    if CHECKOUT in options.directory.resolve().parents:
        parser.error("--directory must be outside of the tree")
    flavours = options.flavour or get_args(Flavour)
    return 1 if sum(compare(flavour, options.directory) for flavour in flavours) else 0


if __name__ == "__main__":
    raise SystemExit(main())
