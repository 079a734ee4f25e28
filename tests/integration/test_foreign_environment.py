"""Jobs run in an environment that has distributed and not us, on hosts without batch commands."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

import dask_hpc
from tests.beds.beds import USER, HostsBed, SlurmBed
from tests.beds.foreign import foreign_environment

pytestmark = [pytest.mark.bed("slurm_net"), pytest.mark.timeout(300)]

PROGRAM = """
import json, sys
from pathlib import Path
from dask_hpc import HPCCluster

def look():
    import importlib.util, shutil, socket, sys, dask_hpc
    ours = ["rich", "msgspec", "cryptography", "platformdirs"]
    return {
        "host": socket.gethostname(),
        "python": sys.prefix,
        "dask_hpc": dask_hpc.__file__,
        "extra": [name for name in ours if importlib.util.find_spec(name)],
        "commands": [name for name in ("sbatch", "squeue", "scancel") if shutil.which(name)],
    }

def square(number):
    return number * number

size = {"cores": 2, "processes": 2, "memory": "600MB", "walltime": "10m"}
with HPCCluster(site="slurm", name="foreign", env=sys.argv[1], **size) as cluster:
    cluster.scale(jobs=2)
    with cluster.get_client() as client:
        client.wait_for_workers(4, timeout=60)
        looks = client.run(look)
        total = sum(client.gather(client.map(square, range(100))))
    directory = Path(cluster.spec.directory)
    cluster.scale(0)
    logs = {path.name: path.read_text() for path in directory.joinpath("logs").iterdir()}
print(json.dumps({"looks": list(looks.values()), "total": total, "logs": logs}))
"""


def whoever_can_read_us(bed: HostsBed) -> str:
    """Return a plain user, if the checkout and its Python are open to one, else root."""
    done = bed.run(sys.executable, "-c", "import dask_hpc", user=USER, check=False)
    return "root" if done.returncode else USER


@pytest.fixture(scope="module")
def seen(slurm_net: SlurmBed) -> dict[str, Any]:
    """What a cluster on separate hosts computed, and what its workers saw."""
    user = whoever_can_read_us(slurm_net)
    home = slurm_net.directory("home", user=user)
    environ = {
        "DASK_HPC_HOME": str(home),
        "PYTHONPATH": str(Path(dask_hpc.__file__).parents[1]),
    }
    program = (sys.executable, "-c", PROGRAM, foreign_environment())
    done = slurm_net.run(*program, user=user, env=environ, timeout=200)
    left = slurm_net.run("find", home / "clusters", "-mindepth", "1", user=user).stdout
    answer: dict[str, Any] = json.loads(done.stdout)
    return {**answer, "left": left, "home": str(home)}


def test_the_result_is_right(seen: dict[str, Any]) -> None:
    assert seen["total"] == 328350


def test_jobs_ran_on_the_nodes_in_that_environment(seen: dict[str, Any]) -> None:
    looks = seen["looks"]
    assert len(looks) == 4
    assert all(look["host"].startswith("node") for look in looks)
    assert {look["python"] for look in looks} == {str(foreign_environment())}


def test_nothing_that_only_we_need_was_there(seen: dict[str, Any]) -> None:
    assert [look["extra"] for look in seen["looks"]] == [[]] * 4


def test_our_files_came_from_the_directory_of_the_cluster(seen: dict[str, Any]) -> None:
    place = f"{seen['home']}/clusters/foreign/lib/dask_hpc/__init__.py"
    assert {look["dask_hpc"] for look in seen["looks"]} == {place}


def test_the_nodes_have_no_batch_commands(seen: dict[str, Any]) -> None:
    assert [look["commands"] for look in seen["looks"]] == [[]] * 4


def test_no_job_had_anything_to_complain(seen: dict[str, Any]) -> None:
    assert len(seen["logs"]) == 2
    for name, text in seen["logs"].items():
        assert "distributed.worker" in text, name
        assert "Traceback" not in text, text
        assert "ModuleNotFoundError" not in text, text


def test_nothing_was_left(seen: dict[str, Any], slurm_net: SlurmBed) -> None:
    assert seen["left"] == ""
    assert not [job for job in slurm_net.jobs() if "foreign-" in job]
