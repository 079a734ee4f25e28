"""``dask-hpc status`` and ``why`` say in time that the scheduler's own job ends."""

from __future__ import annotations

import json
import re
import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.places import Place

WORDS = r"^the scheduler's own job ends in (1m|59s|58s|57s|56s|55s).*: its workers end with it$"


@pytest.fixture(scope="module")
def name(local_place: Place) -> Iterator[str]:
    """A cluster without workers, whose scheduler's job has an hour left."""
    name = local_place.name()
    local_place.ask("up", "local", "--walltime", "1h", "--name", name, "--jobs", "0")
    yield name
    local_place.ask("down", name)


def said(place: Place, name: str, command: str) -> str:
    done = place.dask_hpc(command, name)
    assert done.returncode == 0, done
    return done.stdout


def set_end(place: Place, name: str, *, left: float) -> None:
    path = place.directory(name) / "record.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "end_time": time.time() + left}))


@pytest.mark.parametrize("command", ["status", "why"])
def test_it_is_told_when_it_is_near(local_place: Place, name: str, command: str) -> None:
    set_end(local_place, name, left=3500)
    assert "own job ends" not in said(local_place, name, command)
    set_end(local_place, name, left=60)
    path = local_place.directory(name) / "record.json"
    record = json.loads(path.read_text())
    path.write_text(json.dumps({**record, "created": record["end_time"] - 3600}))
    assert re.search(WORDS, said(local_place, name, command), re.M)


def test_programs_get_the_time(local_place: Place, name: str) -> None:
    ends = local_place.ask("status", name)["report"]["ends"]
    assert 3400 < ends - time.time() < 3600
    assert local_place.ask("why", name)["ends"] == ends
