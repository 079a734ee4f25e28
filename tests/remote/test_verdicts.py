"""What is remembered of the ways to the nodes of a site."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from dask_hpc._files import read_record, write_record
from dask_hpc.remote.verdicts import Verdict, Verdicts, recall, refused_lately, remember

if TYPE_CHECKING:
    from pathlib import Path

FOUND = (
    Verdict(route="ssh", works=False, reason="ssh gives no answer: refused", hint="ask the site"),
    Verdict(route="job", works=True, reason="it works"),
    Verdict(route="tls", works=True, reason="it works"),
)


def test_the_first_that_works_is_the_one_to_take(home: Path) -> None:
    remember("alpine", FOUND)
    known = recall("alpine")
    assert known
    assert known.found == FOUND
    assert known.taken == "job"
    assert str(known.found[0]) == "ssh: ssh gives no answer: refused"
    assert (home / "routes" / "alpine.json").stat().st_mode & 0o777 == 0o600
    assert recall("elsewhere") is None


def test_where_none_works_none_is_taken(home: Path) -> None:
    remember(home.name, FOUND[:1])
    known = recall(home.name)
    assert known
    assert known.taken == ""
    assert refused_lately(home.name) == FOUND[:1]
    path = home / "routes" / f"{home.name}.json"
    write_record(path, replace(known, time=known.time - 20))
    assert refused_lately(home.name) == ()
    remember(home.name, FOUND)
    assert refused_lately(home.name) == ()


def test_what_is_old_is_found_out_again(home: Path) -> None:
    remember("alpine", FOUND)
    path = home / "routes" / "alpine.json"
    known = read_record(path, Verdicts)
    write_record(path, replace(known, time=known.time - 8 * 86400))
    assert recall("alpine") is None


def test_what_is_damaged_or_not_ours_alone_is_not_believed(home: Path) -> None:
    remember("alpine", FOUND)
    path = home / "routes" / "alpine.json"
    path.chmod(0o644)
    assert recall("alpine") is None
    path.chmod(0o600)
    path.write_text("{")
    assert recall("alpine") is None


def test_where_nothing_can_be_written_it_is_not_remembered(home: Path) -> None:
    (home / "routes").write_text("a file")
    remember("alpine", FOUND)
    assert recall("alpine") is None
    assert [each.name for each in home.iterdir()] == ["routes"]
