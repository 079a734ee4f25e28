"""What is kept of a run is what was measured."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from benchmarks import facts
from tests.benchmarks.figures import ALL, FACTS

if TYPE_CHECKING:
    from pathlib import Path


def test_a_run_that_was_kept_is_shown_again_as_it_was(
    tmp_path: Path,
) -> None:
    assert facts.load(facts.save(FACTS, ALL, place=tmp_path / "results")) == (FACTS, ALL)


def test_what_is_kept_is_json_for_everybody(
    tmp_path: Path,
) -> None:
    text = facts.save(FACTS, ALL, place=tmp_path).read_text(encoding="utf-8")

    def refuse(word: str) -> float:
        raise AssertionError(word)

    kept = json.loads(text, parse_constant=refuse)
    assert kept["runs"][1]["values"]["theirs"]["after scancel s"] == [None]


def test_the_facts_of_this_machine_are_there() -> None:
    found = facts.look()
    assert found.cores >= 1
    assert found.memory > 2**28
    assert found.processor
