"""A software environment as users have it: distributed with what it brings, and nothing of ours."""

from __future__ import annotations

import fcntl
import subprocess
from importlib.metadata import version
from typing import TYPE_CHECKING

from tests.beds.beds import state

if TYPE_CHECKING:
    from pathlib import Path

# Users of a site may run it: it lies below no private directory, nor does its interpreter.
_PYTHON = "/usr/bin/python3"


def foreign_environment() -> Path:
    """Return the environment's directory; it is made once for each release of distributed."""
    wanted = f"distributed=={version('distributed')}", f"dask=={version('dask')}"
    place = state() / "environments" / wanted[0].replace("==", "-")
    place.parent.mkdir(parents=True, exist_ok=True)
    with place.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (place / "ready").exists():
            _run(_PYTHON, "-m", "venv", "--clear", str(place))
            _run(str(place / "bin/python"), "-m", "pip", "install", "--quiet", *wanted)
            (place / "ready").touch()
    return place


def _run(*argv: str) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode:
        raise AssertionError(f"{argv} failed: {done.stderr[-2000:]}")
