"""``dask-hpc run`` on batch systems other than Slurm: result, exit code, and nothing left."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.integration.systems import AS_USER, SystemPlace, system_at

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.beds.beds import OarBed

pytestmark = pytest.mark.timeout(240)

SYSTEMS = (
    [os.environ[AS_USER]]
    if AS_USER in os.environ
    else [pytest.param("sge", marks=pytest.mark.bed("sge"))]
)
SCRIPT = """
import sys
from distributed import Client

if __name__ == "__main__":
    with Client() as client:
        workers = client.scheduler_info(n_workers=-1)["workers"]
        print(len(workers), "workers over", client.scheduler.address.partition(":")[0])
        print(sum(client.gather(client.map(lambda number: number**2, range(10)))))
    sys.exit(int(sys.argv[1]))
"""


@pytest.fixture(scope="module", params=SYSTEMS)
def system(request: pytest.FixtureRequest) -> Iterator[SystemPlace]:
    with system_at(request, request.param) as found:
        yield found


@pytest.fixture
def script(system: SystemPlace) -> Path:
    path = system.home / "it's a script.py"
    path.write_text(SCRIPT, encoding="utf-8")
    return path


@pytest.fixture
def logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the logs of a run go elsewhere than where the tests were started."""
    monkeypatch.chdir(tmp_path)


def run(system: SystemPlace, *words: str | Path, name: str) -> subprocess.CompletedProcess[str]:
    """Call ``dask-hpc run`` and wait for its end."""
    size = (f"--site={system.site}", "--cores=4", "--processes=4", "--memory=1200MB")
    argv = (*size, "--walltime=10m", "--name", name, *map(str, words))
    return system.dask_hpc("run", *argv, timeout=150)


@pytest.mark.usefixtures("logs")
def test_a_script_computes_in_a_job(system: SystemPlace, script: Path) -> None:
    name = system.name()
    done = run(system, script, "0", name=name)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 workers over tls" in done.stdout
    assert "285" in done.stdout
    assert system.left(name) == []


# OAR has two nodes. Grid Engine has one, and an environment that would spread over more: so the
# launcher of both is there, and on one of them a node less than was asked for.
MORE = {"sge": ("--nodes=2", "--min-workers=3"), "oar": ("--nodes=2",)}
COME = {"sge": 3, "oar": 7}


@pytest.mark.usefixtures("logs")
def test_its_launcher_brings_the_workers_of_all_nodes_and_the_exit_code_is_passed_on(
    system: SystemPlace, script: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if system.site == "sge":
        monkeypatch.setenv("DASK_HPC__FACTS", "{'pe_nodes': 'mpi'}")
        monkeypatch.setenv("DASK_HPC__DEATH_TIMEOUT", "6s")
    name = system.name()
    done = run(system, *MORE[system.site], script, "3", name=name)
    assert done.returncode == 3, done.stdout + done.stderr
    assert f"{COME[system.site]} workers over tls" in done.stdout
    assert "285" in done.stdout
    assert system.left(name) == []


@pytest.mark.skipif(AS_USER in os.environ, reason="runs all of the above, and not itself")
def test_all_of_this_on_oar_which_takes_no_jobs_of_root(oar: OarBed) -> None:
    checkout = Path(__file__).parents[2]
    probe = oar.argv(sys.executable, "-c", "import dask_hpc, pytest", cwd=checkout)
    if subprocess.run(probe, capture_output=True, check=False).returncode:
        pytest.skip("users of the bed may not read this checkout or its Python")
    options = ("-q", "-p", "no:cacheprovider", "--no-header", "-W", "ignore")
    words = ("env", f"{AS_USER}=oar", sys.executable, "-m", "pytest", *options, __file__)
    argv = oar.argv(*words, cwd=checkout)
    done = subprocess.run(argv, capture_output=True, text=True, timeout=220, check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-1000:]
    assert "2 passed" in done.stdout
