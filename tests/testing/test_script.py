"""What the script of a simulated job does."""

from __future__ import annotations

import pytest

from dask_hpc.testing.script import Play, play


def test_a_script_of_known_words_is_played() -> None:
    lines = ["# a comment", "echo begun", "", "sleep 2", 'echo "it is $NAME"', "sleep 1", "exit 7"]
    found = play(lines, {"NAME": "x"})
    assert found == Play(says=((0, "begun"), (2, "it is x")), seconds=3, exit_code=7)
    assert [found.said(after) for after in (0, 1.9, 2)] == [
        "begun\n",
        "begun\n",
        "begun\nit is x\n",
    ]


def test_a_script_ends_with_code_0_by_itself() -> None:
    assert play(["echo a"], {}) == Play(says=((0, "a"),), seconds=0, exit_code=0)


@pytest.mark.parametrize("line", ["serve --port 1", "sleep 5 &", "echo 'open", "f() {"])
def test_anything_else_runs_until_somebody_ends_it(line: str) -> None:
    assert play(["echo a", line, "exit 3"], {}) == Play(says=((0, "a"),), seconds=None)
