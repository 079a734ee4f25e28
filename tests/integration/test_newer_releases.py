"""The contract and the engine on what Debian 13 has: the same tests, run by its Python on it."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.beds.beds import CHECKOUT

if TYPE_CHECKING:
    from tests.beds.beds import Debian13Bed

pytestmark = pytest.mark.timeout(600)

ENGINE = "tests/integration/test_every_system.py"
SYSTEMS = [
    pytest.param(name, marks=pytest.mark.bed(name)) for name in ("debian13_slurm", "debian13_oar")
]


@pytest.fixture
def bed(request: pytest.FixtureRequest) -> Debian13Bed:
    found: Debian13Bed = request.getfixturevalue(request.param)
    return found


def run(bed: Debian13Bed, *paths: str, only: str) -> None:
    """Run the tests of files whose names have a word in them, as root of the machine."""
    options = ("-q", "--no-header", "-W", "ignore", "--durations=3", "-k", only)
    argv = bed.argv(bed.python, "-m", "pytest", *options, *paths, cwd=CHECKOUT)
    done = subprocess.run(argv, capture_output=True, text=True, timeout=580, check=False)
    said = done.stdout[-6000:] + done.stderr[-1000:]
    assert done.returncode == 0, said
    assert re.search(r"\d+ passed", said), said
    if skipped := re.search(r"^SKIPPED .*", said, re.MULTILINE):
        pytest.skip(skipped[0])


@pytest.mark.parametrize("bed", SYSTEMS, indirect=True)
def test_the_contract_is_kept(bed: Debian13Bed) -> None:
    run(bed, f"tests/conformance/test_{bed.system}.py", only=bed.system)


@pytest.mark.parametrize("bed", SYSTEMS, indirect=True)
def test_a_cluster_scales_adapts_and_is_found_again(bed: Debian13Bed) -> None:
    run(bed, ENGINE, only=bed.system)


def test_a_job_of_slurm_has_several_nodes(debian13_slurm: Debian13Bed) -> None:
    run(debian13_slurm, "tests/integration/test_several_nodes.py", only="nodes")
