"""``dask-hpc demo``."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.places import Place


def of_demos() -> list[str]:
    """Return the command line of every process of a demo's own queue."""
    found = psutil.process_iter(["cmdline"])
    words = (" ".join(process.info["cmdline"] or ()) for process in found)
    return [line for line in words if "dask-hpc-demo-" in line]


def test_it_computes_loses_a_job_gets_over_it_and_leaves_nothing(
    place: Place, tmp_path: Path
) -> None:
    site = () if place.site == "local" else ("--site", place.site)
    jobs = {job.id for job in place.all_jobs()}
    done = place.dask_hpc("demo", *site, env={"TMPDIR": "/tmp"}, timeout=100)
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
    assert [job for job in place.all_jobs() if job.is_live and job.id not in jobs] == []
    assert place.left() == []


def test_programs_get_its_figures(place: Place) -> None:
    if place.site != "local":
        return
    done = place.dask_hpc("demo", "--json", timeout=100)
    assert done.returncode == 0, done
    answer = json.loads(done.stdout)
    assert (answer["primes"], answer["left"]) == (92938, "nothing")
    assert answer["lost"] != answer["replaced_by"]
