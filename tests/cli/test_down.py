"""``dask-hpc down``."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.integration.places import wait_for

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.places import Place, Standing


def test_nothing_is_left_of_a_cluster_and_the_others_go_on(place: Place) -> None:
    gone, other = place.name(), place.name()
    place.ask("up", *place.small_options, "--name", other, "--jobs", "0")
    place.ask("up", *place.small_options, "--name", gone, "--workers", "2")
    done = place.dask_hpc("down", gone)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{gone} is gone\n", "")
    assert place.left(gone) == []
    assert [(one["name"], one["state"]) for one in place.ask("ls")] == [(other, "running")]
    assert place.ask("down", other) == [{"name": other, "left": []}]
    assert place.left() == []


def test_a_cluster_that_has_only_just_been_submitted_ends_too(place: Place) -> None:
    name = place.name()
    place.ask("up", *place.small_options, "--name", name, "--workers", "2", "--detach")
    assert place.ask("down", name) == [{"name": name, "left": []}]
    wait_for(lambda: not place.left(name), 30)


@pytest.mark.parametrize("lost", ["record.json", "tls", "journal.jsonl"])
def test_the_jobs_of_a_damaged_cluster_are_found_all_the_same(
    local_place: Place, lost: str
) -> None:
    name = local_place.name()
    local_place.ask("up", *local_place.small_options, "--name", name, "--workers", "2")
    path = local_place.directory(name) / lost
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
    assert local_place.ask("down", name) == [{"name": name, "left": []}]
    wait_for(lambda: not local_place.left(name), 30)


def test_a_cluster_whose_batch_system_nobody_knows_is_not_forgotten(local_place: Place) -> None:
    name = local_place.name()
    words = ("up", *local_place.small_options, "--name", name, "--detach")
    assert local_place.dask_hpc(*words, env={"DASK_HPC__SCHEDULER_CORES": "64"}).returncode == 0
    (job,) = local_place.live_jobs(name)
    spec = local_place.directory(name) / "spec.json"
    text = spec.read_text()
    spec.write_text(text.replace('"version": 1', '"version": 0'))
    done = local_place.dask_hpc("down", name)
    assert done.returncode == 1
    assert f"jobs named {job.tag} may still be there, and {spec} has version 0" in done.stderr
    assert local_place.live_jobs(name) == [job]
    spec.write_text(text)
    assert local_place.ask("down", name) == [{"name": name, "left": []}]
    assert local_place.left(name) == []


def test_an_empty_directory_is_removed(standing: Standing) -> None:
    directory = standing.place.directory("half-made")
    directory.mkdir(mode=0o700)
    done = standing.place.dask_hpc("down", "half-made")
    assert (done.returncode, done.stdout) == (0, "half-made is gone\n"), done
    assert not directory.exists()


def test_a_directory_that_others_may_read_is_refused(standing: Standing) -> None:
    directory = standing.place.directory("open")
    directory.mkdir()
    directory.chmod(0o755)
    done = standing.place.dask_hpc("down", "open")
    assert done.returncode == 1
    assert done.stderr == (
        f"error: {directory} is open to others (mode 0755)\nhint: chmod go= {directory}\n"
    )
    directory.rmdir()


def test_what_is_not_there_is_answered_with_the_nearest(standing: Standing) -> None:
    done = standing.place.dask_hpc("down", standing.name, f"{standing.name}x")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.endswith(f"hint: did you mean {standing.name!r}?\n")
    assert standing.place.ask("status", standing.name)["state"] == "running"  # nor the first


@pytest.mark.parametrize("words", [(), ("a", "--all")])
def test_it_must_be_told_what_to_end(standing: Standing, words: tuple[str, ...]) -> None:
    done = standing.place.dask_hpc("down", *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "error: give the names of clusters, or --all\nhint: see dask-hpc down --help\n"
    )
    assert standing.place.ask("status", standing.name)["state"] == "running"


def test_all_of_none_is_nothing(local_place: Place, home: Path) -> None:
    done = local_place.dask_hpc("down", "--all", env={"DASK_HPC_HOME": str(home)})
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
