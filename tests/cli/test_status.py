"""``dask-hpc status``."""

from __future__ import annotations

import os
import pty
import re
import signal
import urllib.error
import urllib.request
from typing import TYPE_CHECKING

import pytest

from tests.integration.places import PROGRAM, wait_for

if TYPE_CHECKING:
    from tests.integration.places import Place, Standing


def test_it_shows_the_cluster_and_each_job(standing: Standing) -> None:
    done = standing.place.dask_hpc("status", standing.name)
    assert done.returncode == 0, done
    lines = done.stdout.splitlines()
    assert lines[0] == f"{standing.name}: running on local, scheduler in job 1"
    assert lines[1].startswith("address tls://127.0.0.1:")
    assert lines[2] == "2 of 2 workers, 1 job up"
    assert lines[3].split() == ["job", "state", "for", "workers", "host", "ends", "in", "reason"]
    assert lines[4].split()[:2] == ["2", "running"]
    assert len(lines) == 5


def test_programs_get_all_of_it(standing: Standing) -> None:
    status = standing.place.ask("status", standing.name)
    assert (status["name"], status["state"], status["trouble"]) == (standing.name, "running", "")
    (job,) = status["report"]["jobs"]
    assert (job["job"], job["phase"], job["workers"]) == ("2", "running", 2)
    assert job["slot"].startswith(f"{standing.name}-")


def test_with_watch_a_log_gets_a_line_for_each_change(local_place: Place) -> None:
    name = local_place.name()
    local_place.ask("up", *local_place.small_options, "--name", name, "--workers", "2")
    with local_place.start(*PROGRAM, "status", name, "--watch") as process:
        assert process.stdout
        lines = iter(process.stdout)
        assert next(line for line in lines if "of 2 workers" in line)
        local_place.ask("scale", name, "0")
        changed = next(line for line in lines if "0 of 0 workers" in line)
        process.send_signal(signal.SIGINT)
        rest, err = process.communicate(timeout=20)
    assert re.match(r"\d\d:\d\d:\d\d 0 of 0 workers", changed)
    assert (process.returncode, err) == (0, "")
    assert name not in rest
    local_place.ask("down", name)


def test_with_watch_a_terminal_is_drawn_anew_with_a_link_that_works(standing: Standing) -> None:
    master, slave = pty.openpty()
    environ = {"TERM": "xterm", "COLUMNS": "150", "LINES": "40"}
    with standing.place.start(
        *PROGRAM, "status", standing.name, "--watch", stdout=slave, env=environ
    ) as process:
        os.close(slave)
        said, link = "", None
        while not link or said.count("of 2 workers") < 2:
            said += os.read(master, 65536).decode()
            link = re.search(r"dashboard (http://127\.0\.0\.1:\d+/\w+/status\?token=[\w-]+)", said)
        with urllib.request.urlopen(link[1], timeout=20) as answer:
            assert answer.status == 200
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
    os.close(master)
    assert (process.returncode, err) == (0, "")
    with pytest.raises(urllib.error.URLError, match="refused"):
        urllib.request.urlopen(link[1], timeout=20)


def test_with_watch_programs_get_all_of_it_each_time(standing: Standing) -> None:
    with standing.place.start(*PROGRAM, "status", standing.name, "--watch", "--json") as process:
        assert process.stdout
        ends = (line for line in process.stdout if line == "}\n")
        assert next(ends)
        assert next(ends)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (0, "")


def test_with_watch_what_is_not_there_is_told(standing: Standing) -> None:
    done = standing.place.dask_hpc("status", "spam", "--watch")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: there is no cluster named 'spam'\n")


def test_what_is_not_there_is_answered_with_the_nearest(standing: Standing) -> None:
    wrong = f"{standing.name}x"
    done = standing.place.dask_hpc("status", wrong)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"error: there is no cluster named {wrong!r}\nhint: did you mean {standing.name!r}?\n"
    )


@pytest.mark.parametrize("wrong", ["../etc", "A", "a b", ""])
def test_what_cannot_be_a_name_is_told(standing: Standing, wrong: str) -> None:
    done = standing.place.dask_hpc("status", wrong)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"error: cluster name {wrong!r} cannot be used\nhint: ")


def test_a_scheduler_in_the_queue_is_shown_with_its_reason(place: Place) -> None:
    name = place.name()
    with_env = {"DASK_HPC__SCHEDULER_CORES": "64"}
    begun = place.dask_hpc("up", *place.small_options, "--name", name, "--detach", env=with_env)
    assert begun.returncode == 0, begun
    status = place.ask("status", name)
    assert (status["state"], status["report"]) == ("starting", None)
    assert status["trouble"] == f"the scheduler of {name!r} has not started yet"
    done = place.dask_hpc("status", name)
    assert done.stdout.startswith(f"{name}: starting on {place.site}, ")
    assert place.dask_hpc("down", name).returncode == 0
    wait_for(lambda: not place.left(name), 30)
