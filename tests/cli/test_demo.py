"""``dask-hpc demo``."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import psutil
import pytest

from tests.integration.places import run

if TYPE_CHECKING:
    from tests.integration.places import Place


def of_demos() -> list[str]:
    """Return the command line of every process of a demo's own queue."""
    found = psutil.process_iter(["cmdline"])
    words = (" ".join(process.info["cmdline"] or ()) for process in found)
    return [line for line in words if "dask-hpc-demo-" in line]


def test_it_computes_loses_a_job_gets_over_it_and_leaves_nothing(local_place: Place) -> None:
    done = local_place.dask_hpc("demo", timeout=100)
    assert done.returncode == 0, done
    first, second, third = done.stdout.splitlines()
    assert first == "92938 primes below 1200000, as it should be"
    lost, came = re.findall(r"job (\S+)", second)
    assert lost != came
    assert third.endswith(" from nothing to nothing; left behind: nothing")
    assert f"job {lost} was killed behind the cluster's back" in done.stderr
    assert "counting primes: 60 of 60" in done.stderr
    assert "Traceback" not in done.stderr
    assert "WARNING" not in done.stderr
    assert of_demos() == []
    assert not [path.name for path in local_place.directory("").glob("dask-*")]


@pytest.mark.bed("slurm")
def test_it_does_so_on_a_real_batch_system(local_place: Place) -> None:
    before = set(run("squeue", "-h", "-r", "-o", "%i").split())
    done = local_place.dask_hpc("demo", "--site", "slurm", "--json", timeout=100)
    assert done.returncode == 0, done
    answer = json.loads(done.stdout)
    assert (answer["primes"], answer["left"]) == (92938, "nothing")
    assert answer["lost"] != answer["replaced_by"]
    live = run("squeue", "-h", "-r", "-o", "%i %j").splitlines()
    assert [job for job in live if " dask-" in job and job.split()[0] not in before] == []
    assert not [path.name for path in local_place.directory("").glob("dask-*")]
