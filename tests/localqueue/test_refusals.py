"""Bad input, in the process of the test: the words are the same as a person sees."""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING, Protocol

import pytest

from dask_hpc.localqueue.commands import main

if TYPE_CHECKING:
    from pathlib import Path


class Say(Protocol):
    """Runs a command and returns its exit code, its answer and its complaints."""

    def __call__(self, *words: str, script: bytes = b"") -> tuple[int, str, str]: ...


@pytest.fixture
def say(home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Say:
    def run(*words: str, script: bytes = b"") -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(script)))
        code = main(words)
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


@pytest.mark.parametrize(
    ("words", "script", "error", "hint"),
    [
        (["sumbit"], "", "command 'sumbit' is unknown", "known are: submit"),
        (["submit", "--queue=gpu"], "#!/bin/sh\n", 'queue "gpu" is unknown', "may use: local"),
        (["submit"], "#!/bin/sh\n#LOCAL --nodes=2\n", "2 nodes were asked for", "ask for 1"),
        (["submit"], "echo\n", "the script begins with 'echo'", '"#!/bin/sh"'),
        (["submit"], "", "the script begins with ''", '"#!/bin/sh"'),
        (["submit"], "#!/bin/sh\r\ntrue\r\n", "line ends of DOS", "dos2unix"),
        (["submit"], "#!/bin/sh\n\udcff\n", "the script is not UTF-8", "iconv"),
        (["submit", "--output=/no/such/x"], "#!/bin/sh\n", "/no/such is not a directory", "mkdir"),
        (["cancel", "12; rm"], "", "'12; rm' is no job id", "as in 12"),
        (["history", "-1"], "", "'-1' is no job id", "as in 12"),
        (["status", "hello"], "", "argument 'hello' is unknown", "--tag=NAME"),
        (["queues", "x"], "", "argument 'x' is unknown", "takes none"),
    ],
)
def test_bad_input_is_refused_with_words_and_a_hint(
    say: Say, words: list[str], script: str, error: str, hint: str
) -> None:
    code, out, err = say(*words, script=script.encode(errors="surrogateescape"))
    assert (code, out) == (1, "")
    first, second = err.splitlines()
    assert first.startswith("error: ")
    assert error in first
    assert second.startswith("hint: ")
    assert hint in second
    assert say("status")[1] == '{"jobs": []}\n'


def test_no_command_at_all_gets_the_usage(say: Say) -> None:
    code, out, err = say()
    assert (code, out) == (1, "")
    assert err.startswith("usage: ")
