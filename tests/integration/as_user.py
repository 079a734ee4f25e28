"""Tests run again as a user of a bed, with its Python: some systems take no jobs of root."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.integration.systems import AS_USER

if TYPE_CHECKING:
    from tests.beds.beds import UsersBed

CHECKOUT = Path(__file__).parents[2]


def run_as_user(bed: UsersBed, *files: Path, system: str, seconds: float) -> str:
    """Run the tests of these files that are about a system; return what pytest says at the end."""
    # The Python of a bed has what the tests need, and not us.
    python = ("env", f"{AS_USER}={system}", f"PYTHONPATH={CHECKOUT / 'src'}", bed.python)
    probe = bed.argv(*python, "-c", "import dask_hpc, pytest", cwd=CHECKOUT)
    if subprocess.run(probe, capture_output=True, check=False).returncode:
        pytest.skip("users of the bed may not read this checkout or its Python")
    options = ("-q", "-p", "no:cacheprovider", "--no-header", "-W", "ignore", "-k", system)
    argv = bed.argv(*python, "-m", "pytest", *options, *files, cwd=CHECKOUT)
    done = subprocess.run(argv, capture_output=True, text=True, timeout=seconds, check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-1000:]
    return done.stdout
