"""The one environment that every contender runs in: a private venv, the same distributed for all.

It holds dask-hpc as it stands here, what that needs, and the tools that it is compared with; of
everything that the developer's environment has too, the same version. What would make one
contender faster than another by accident (variables of Python, settings of dask) is left out.
"""

from __future__ import annotations

import compileall
import hashlib
import importlib.metadata
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

CHECKOUT = Path(__file__).parents[1]
VENV = Path(__file__).with_name(".venv")
PYTHON = VENV / "bin" / "python"
JOBQUEUE = "dask-jobqueue==0.9.0"
_STAMP = VENV / "made-of"
_BUILD = "setuptools>=77"
_DROPPED = ("PYTHON", "DASK", "OMP_", "OPENBLAS_", "MKL_", "SLURM_", "SBATCH_", "MALLOC_")
_OURS = "DASK_HPC_BENCH"


def enter(module: str = "benchmarks", *, also: Sequence[str] = ()) -> None:
    """Go on in the benchmarks' own environment, which is made if it is not there.

    ``also`` are further packages, for what users have makes every import longer.
    """
    if Path(sys.prefix) == VENV and plain(os.environ) == os.environ:
        # As whoever installs it does; here the source may be newer than what was made of it.
        compileall.compile_dir(CHECKOUT / "src" / "dask_hpc", quiet=1)
        return
    make([*requirements(CHECKOUT / "pyproject.toml"), *also], pins(_installed()))
    os.chdir(CHECKOUT)
    argv = [str(PYTHON), "-m", module, *sys.argv[1:]]
    os.execve(PYTHON, argv, plain(os.environ))


def plain(environ: Mapping[str, str]) -> dict[str, str]:
    """Return an environment without what changes how Python, dask or Slurm behave."""
    return {
        name: value
        for name, value in environ.items()
        if name.startswith(_OURS) or not name.startswith(_DROPPED)
    }


def requirements(project: Path) -> list[str]:
    """Return what the project needs to run, and the tools to compare it with."""
    needs = tomllib.loads(project.read_text(encoding="utf-8"))["project"]["dependencies"]
    return [*needs, JOBQUEUE]


def pins(installed: Iterable[tuple[str, str]]) -> list[str]:
    """Return the constraint that gives each package the version that is installed here."""
    return sorted(f"{name}=={version}" for name, version in installed if name != "dask-hpc")


def _installed() -> list[tuple[str, str]]:
    return [(one.name, one.version) for one in importlib.metadata.distributions()]


def make(needs: list[str], constraints: list[str]) -> None:
    """Make the environment, unless the one that is there is made of the same."""
    recipe = "\n".join([sys.version, str(CHECKOUT), *needs, "", *constraints])
    mark = hashlib.sha256(recipe.encode()).hexdigest()
    if _STAMP.is_file() and _STAMP.read_text(encoding="utf-8") == mark:
        return
    sys.stderr.write(f"making {VENV}\n")
    shutil.rmtree(VENV, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", VENV], check=True)
    pinned = VENV / "constraints.txt"
    pinned.write_text("\n".join(constraints) + "\n", encoding="utf-8")
    _install("--constraint", str(pinned), *needs, _BUILD)
    _install("--no-deps", "--no-build-isolation", "--editable", str(CHECKOUT))
    _STAMP.write_text(mark, encoding="utf-8")


def _install(*words: str) -> None:
    argv = [str(PYTHON), "-m", "pip", "--quiet", "--disable-pip-version-check", "--no-input"]
    subprocess.run([*argv, "install", *words], check=True, stdin=subprocess.DEVNULL)
