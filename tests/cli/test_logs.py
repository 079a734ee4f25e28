"""``dask-hpc logs``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.integration.places import PROGRAM

if TYPE_CHECKING:
    from tests.integration.places import Place, Standing


def test_it_shows_controller_scheduler_and_workers(standing: Standing) -> None:
    done = standing.place.dask_hpc("logs", standing.name)
    assert done.returncode == 0, done
    assert done.stdout.startswith("==> journal.jsonl <==\n")
    assert done.stdout.count("==> ") == 3
    assert "Scheduler at:" in done.stdout
    assert "Registered to:" in done.stdout


def test_one_job_alone_can_be_asked_for(standing: Standing) -> None:
    logs = standing.place.ask("logs", standing.name, "--job", "2")
    ((name, text),) = logs.items()
    assert name.startswith(standing.name)
    assert "Registered to:" in text
    assert "Scheduler at:" not in text


def test_a_job_that_is_not_its_own_is_told(standing: Standing) -> None:
    done = standing.place.dask_hpc("logs", standing.name, "--job", "77")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"error: job '77' of {standing.name!r} is unknown, or has not begun\n"
        "hint: those that began: 1, 2\n"
    )


def test_followed_it_goes_on_until_the_cluster_ends(place: Place) -> None:
    name = place.name()
    place.ask("up", *place.small_options, "--name", name, "--jobs", "0")
    with place.start(*PROGRAM, "logs", name, "-f") as process:
        assert process.stdout
        assert process.stdout.readline() == "==> journal.jsonl <==\n"
        place.ask("scale", name, "2")
        for line in process.stdout:
            if "Registered to:" in line:
                break
        else:
            raise AssertionError("nothing came")
        place.ask("down", name)
        _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
