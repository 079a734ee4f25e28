"""A detached cluster that nobody uses ends by itself, and not before."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import dask
import pytest
from distributed import Client, fire_and_forget

from dask_hpc import HPCCluster, clusters
from dask_hpc.errors import ControllerUnreachable
from tests.integration.places import wait_for

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.places import Place

TIMEOUT = 5.0  # seconds: on a busy machine a client needs some to connect


def up(place: Place, *words: str) -> str:
    """Return the name of a new cluster that is patient for a few seconds."""
    name = place.name()
    patience = ("--idle-timeout", str(TIMEOUT))
    place.ask("up", *place.small_options, "--name", name, *words, *patience)
    return name


def ends(place: Place, name: str) -> None:
    """Wait for the end of a cluster, and check that it goes on to cost nothing, nor is a secret."""
    wait_for(lambda: not place.live_jobs(name))
    wait_for(lambda: not place.processes(), 30)
    (cluster,) = [each for each in place.ask("ls") if each["name"] == name]
    assert cluster["state"] == "ended"
    assert "idle" in cluster["reason"]
    assert "idle" in place.dask_hpc("status", name).stdout
    assert not (place.directory(name) / "tls").exists()
    assert place.ask("down", name) == [{"name": name, "left": []}]
    assert place.left(name) == []


def passes(seconds: float) -> None:
    begin = time.monotonic()
    wait_for(lambda: time.monotonic() - begin > seconds)


def test_workers_without_work_do_not_keep_it(place: Place) -> None:
    ends(place, up(place, "--workers", "2"))


def test_a_client_and_tasks_that_wait_keep_it(place: Place, tmp_path: Path) -> None:
    if place.site != "local":
        pytest.skip("no matter of the batch system")
    name = up(place, "--jobs", "0")
    done = tmp_path / "done"
    with HPCCluster.from_name(name) as cluster, Client(cluster) as client:
        passes(1.5 * TIMEOUT)
        assert clusters()[name].state == "running"
        fire_and_forget(client.submit(done.touch))
    passes(1.5 * TIMEOUT)
    assert place.ask("scale", name, "1")["wanted"] == 1
    wait_for(done.exists)
    ends(place, name)


def test_whoever_holds_it_is_told_that_it_has_ended(place: Place) -> None:
    if place.site != "local":
        pytest.skip("no matter of the batch system")
    name = up(place, "--jobs", "0")
    with HPCCluster.from_name(name) as cluster:
        place.ask("down", name)
        with (
            dask.config.set({"distributed.comm.timeouts.connect": "1s"}),
            pytest.raises(ControllerUnreachable, match="does not answer"),
        ):
            cluster.scale(1)


def waiting(place: Place) -> str:
    """Return the name of a cluster whose only job can never start."""
    name = place.name()
    words = ("--cores", "64", "--jobs", "1", "--idle-timeout", str(TIMEOUT), "--detach")
    place.ask("up", place.site, "--name", name, *words)
    wait_for(lambda: len(place.live_jobs(name)) == 2)
    return name


def test_jobs_that_wait_in_the_queue_do_not_keep_it(place: Place) -> None:
    if place.site != "local":
        pytest.skip("no matter of the batch system")
    ends(place, waiting(place))


def test_jobs_that_wait_keep_it_while_tasks_wait_for_them(place: Place, tmp_path: Path) -> None:
    if place.site != "local":
        pytest.skip("no matter of the batch system")
    name = waiting(place)
    wait_for(lambda: clusters()[name].state == "running")
    with HPCCluster.from_name(name) as cluster, Client(cluster) as client:
        fire_and_forget(client.submit((tmp_path / "done").touch))
    passes(2 * TIMEOUT)
    assert clusters()[name].state == "running"
    assert place.ask("down", name) == [{"name": name, "left": []}]
