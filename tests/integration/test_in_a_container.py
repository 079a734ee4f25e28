"""Workers run in a real container: an image with distributed, entered by Charliecloud."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests.beds.beds import USER

if TYPE_CHECKING:
    from tests.beds.beds import Debian13Bed

pytestmark = [pytest.mark.bed("debian13_slurm"), pytest.mark.timeout(300)]

PROGRAM = """
import json, sys
from pathlib import Path
from dask_hpc import HPCCluster

def look():
    import getpass, os, sys, dask_hpc
    return {
        "image": os.path.exists("/image"),
        "python": sys.executable,
        "dask_hpc": dask_hpc.__file__,
        "job": os.environ["SLURM_JOB_ID"],
        "user": os.getuid(),
    }

def square(number):
    return number * number

(env,) = sys.argv[1:]
size = {"cores": 2, "processes": 2, "memory": "600MB", "walltime": "10m"}
with HPCCluster(site="slurm", name="boxed", env=env, **size) as cluster:
    cluster.scale(jobs=2)
    with cluster.get_client() as client:
        client.wait_for_workers(4, timeout=60)
        looks = client.run(look)
        total = sum(client.gather(client.map(square, range(100))))
        directory = str(cluster.spec.directory)
print(json.dumps({"looks": [*looks.values()], "total": total, "directory": directory}))
"""


@pytest.fixture(scope="module")
def seen(debian13_slurm: Debian13Bed) -> dict[str, Any]:
    """What a cluster of a plain user computed, and what its workers saw."""
    bed = debian13_slurm
    home = subprocess.run(
        bed.argv("mktemp", "-d", bed.shared / "home.XXXXXX", user=USER),
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    setting = ("env", f"DASK_HPC_HOME={home}")
    program = (bed.python, "-c", PROGRAM, f"charliecloud:{bed.image()}")
    probe = bed.argv(bed.python, "-c", "import dask_hpc", user=USER)
    if subprocess.run(probe, capture_output=True, check=False).returncode:
        pytest.skip("users of the bed may not read this checkout")
    done = subprocess.run(
        bed.argv(*setting, *program, user=USER, cwd=home),
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_the_result_is_right(seen: dict[str, Any]) -> None:
    assert seen["total"] == 328350


def test_workers_are_those_of_two_jobs_in_the_image(seen: dict[str, Any]) -> None:
    looks = seen["looks"]
    assert len(looks) == 4
    assert len({look["job"] for look in looks}) == 2
    assert all(look["image"] for look in looks)
    assert {look["python"] for look in looks} == {"/usr/bin/python3"}


def test_dask_hpc_comes_with_the_cluster(seen: dict[str, Any]) -> None:
    assert {look["dask_hpc"] for look in seen["looks"]} == {
        f"{seen['directory']}/lib/dask_hpc/__init__.py"
    }
