"""What commands print: on a terminal, in a log, for a program."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import click
import pytest
from click.testing import CliRunner

from dask_hpc.cli.output import Output, reports, resource_options, site_option
from dask_hpc.errors import ConfigError
from dask_hpc.sites.settings import RESOURCES, describe

if TYPE_CHECKING:
    from dask_hpc.sites.layer import Layer


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def streams() -> tuple[io.StringIO, io.StringIO]:
    return io.StringIO(), io.StringIO()


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "60")
    return Terminal()


def output(streams: tuple[io.StringIO, io.StringIO]) -> Output:
    return Output(data=streams[0], notes=streams[1])


def test_data_and_notes_go_to_different_streams(streams: tuple[io.StringIO, io.StringIO]) -> None:
    out = output(streams)
    out.write("data")
    out.note("note")
    assert [stream.getvalue() for stream in streams] == ["data\n", "note\n"]


def test_a_table_elsewhere_is_plain_aligned_lines(
    streams: tuple[io.StringIO, io.StringIO],
) -> None:
    output(streams).table(("name", "n"), [("a", 1), ("longer", None), ("b\nc\x1b[2J", "[red]")])
    lines = ["name     n", "a        1", "longer", "b\ufffdc\ufffd[2J  [red]"]
    assert streams[0].getvalue().splitlines() == lines


def test_a_table_without_rows_is_its_headings(streams: tuple[io.StringIO, io.StringIO]) -> None:
    output(streams).table(("name", "n"), [])
    assert streams[0].getvalue() == "name  n\n"


def test_a_table_on_a_terminal_folds_what_is_too_long(terminal: Terminal) -> None:
    Output(data=terminal).table(("name", "words"), [("a", "[red]" + "x" * 80), ("b\x1b[2J", "y")])
    text = terminal.getvalue()
    assert "[red]" in text
    assert text.count("x") == 80
    assert "\x1b[2J" not in text


def test_a_terminal_without_colour_stays_without(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    Output(data=terminal).table(("name",), [("a",)])
    assert "\x1b[3" not in terminal.getvalue()


def test_a_dumb_terminal_gets_plain_lines(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "dumb")
    out = Output(data=terminal, notes=terminal)
    out.table(("name",), [("a",)])
    with out.waiting("waiting"):
        pass
    assert terminal.getvalue() == "name\na\nwaiting\n"


def test_waiting_elsewhere_says_each_new_thing_once(
    streams: tuple[io.StringIO, io.StringIO],
) -> None:
    with output(streams).waiting("pending") as line:
        for text in ("pending", "pending: priority", "pending: priority", "running", "pending"):
            line.update(text)
    assert streams[0].getvalue() == ""
    assert streams[1].getvalue().splitlines() == [
        "pending", "pending: priority", "running", "pending",
    ]  # fmt: skip


def test_waiting_on_a_terminal_moves_one_line(terminal: Terminal) -> None:
    with Output(notes=terminal).waiting("pending") as line:
        line.update("[red]running")
    text = terminal.getvalue()
    assert "[red]running" in text
    assert text.endswith("\x1b[2K")


def test_json_is_json(streams: tuple[io.StringIO, io.StringIO]) -> None:
    output(streams).json({"a": [1, None, "\x1b"]})
    assert json.loads(streams[0].getvalue()) == {"a": [1, None, "\x1b"]}
    assert "\x1b" not in streams[0].getvalue()


@click.command()
@site_option
@resource_options
@reports
def report(output: Output, site: str | None, resources: Layer) -> None:
    values = {".".join(path): said.value for path, said in resources.values.items()}
    output.json([site, output.as_json, values])


def reported(*arguments: str) -> Any:
    done = CliRunner().invoke(report, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_a_command_gets_its_resources_checked_and_nothing_that_was_not_given() -> None:
    assert reported() == [None, False, {}]
    arguments = ["--json", "--site", "slurm", "--cores", "4", "--memory", "1GB"]
    assert reported(*arguments) == ["slurm", True, {"cores": 4, "memory": 10**9}]


def test_options_that_hold_lines_may_be_repeated() -> None:
    arguments = ["--prologue", "module load a", "--prologue", "b", "--directives=--exclusive"]
    assert reported(*arguments)[2] == {
        "prologue": ["module load a", "b"],
        "directives": ["--exclusive"],
    }


@pytest.mark.parametrize("word", RESOURCES)
def test_every_word_of_a_job_is_an_option_with_its_help(word: str) -> None:
    parameter = next(parameter for parameter in report.params if parameter.name == word)
    assert isinstance(parameter, click.Option)
    assert parameter.opts == [f"--{word.replace('_', '-')}"]
    assert (parameter.help or "").startswith(describe(word))


def test_a_wrong_value_is_named_by_its_option() -> None:
    done = CliRunner().invoke(report, ["--cores", "four"])
    assert isinstance(done.exception, ConfigError)
    assert str(done.exception) == "--cores 'four' is not a whole number of at least 1"
