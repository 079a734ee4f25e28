"""``dask-hpc why``."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.integration.places import Standing


def test_it_shows_what_was_decided_and_why(standing: Standing) -> None:
    done = standing.place.dask_hpc("why", standing.name)
    assert done.returncode == 0, done
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["time", "what", "why"]
    assert lines[1].endswith("scaled to 1 job")
    assert any("submitted 2" in line and "0 of 1 wanted job" in line for line in lines)
    assert lines[-1] == "waits for nothing"


def test_programs_get_all_of_it(standing: Standing) -> None:
    answer = standing.place.ask("why", standing.name)
    assert (answer["waits_for"], answer["trouble"]) == ("", None)
    assert [one["what"] for one in answer["decisions"]][:1] == ["scale"]
    assert all(one["why"] and one["time"] > 0 for one in answer["decisions"])


def test_what_is_not_there_is_answered_with_the_nearest(standing: Standing) -> None:
    done = standing.place.dask_hpc("why", f"{standing.name}x")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.endswith(f"hint: did you mean {standing.name!r}?\n")
