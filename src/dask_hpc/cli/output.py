"""What a command prints, and the options that many share. Data on stdout, the rest on stderr."""

from __future__ import annotations

import functools
import io
import json
import os
import re
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol, TextIO

import click

from dask_hpc.sites.settings import RESOURCES, Settings, describe, from_options
from dask_hpc.sites.values import Lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rich.console import Console

    from dask_hpc.sites.layer import Layer

# What a batch system says may hold what makes a terminal do things.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class WaitingLine(Protocol):
    """The line that says what is being waited for."""

    def update(self, text: str) -> None:
        """Say something else."""


class Output:
    """Where the words of a command go.

    On a terminal there are tables and a line that moves; elsewhere plain lines, one for each
    thing that is said, so that a log can be read.
    """

    def __init__(
        self, *, as_json: bool = False, data: TextIO | None = None, notes: TextIO | None = None
    ) -> None:
        self.as_json = as_json
        self._data = data or sys.stdout
        self._notes = notes or sys.stderr

    def write(self, text: str) -> None:
        """Print a line of data."""
        click.echo(text, file=self._data)

    def note(self, text: str) -> None:
        """Print a line about what is going on."""
        click.echo(_plain(text), file=self._notes)

    def json(self, value: object) -> None:
        """Print a value as JSON."""
        self.write(json.dumps(value, indent=2, default=str))

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """Print rows under their headings; ``None`` is an empty cell."""
        cells = [["" if cell is None else _plain(str(cell)) for cell in row] for row in rows]
        if _is_terminal(self._data):
            _print_table(columns, cells, stream=self._data)
            return
        widths = [max(map(len, column)) for column in zip(columns, *cells, strict=True)]
        for row in (columns, *cells):
            padded = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            self.write("  ".join(padded).rstrip())

    @property
    def is_interactive(self) -> bool:
        """Whether somebody watches what is going on."""
        return _is_terminal(self._notes)

    def notes_console(self) -> Console:
        """Return what draws moving things where the notes go."""
        from rich.console import Console

        return Console(file=self._notes)

    @property
    def is_screen(self) -> bool:
        """Whether somebody looks at the data itself."""
        return _is_terminal(self._data)

    @contextmanager
    def redrawing(self) -> Iterator[Callable[[Callable[[Output], None]], None]]:
        """Give what shows something on a terminal again and again, in the same place."""
        from rich.console import Console
        from rich.live import Live

        with Live(console=Console(file=self._data), auto_refresh=False) as live:

            def show(write: Callable[[Output], None]) -> None:
                page = io.StringIO()
                write(Output(data=page, notes=self._notes))
                live.update(_as_lines(page.getvalue()), refresh=True)

            yield show

    @contextmanager
    def waiting(self, text: str) -> Iterator[WaitingLine]:
        """Show what is being waited for, until the block ends."""
        if not self.is_interactive:
            line = _PlainLine(self)
            line.update(text)
            yield line
            return
        with self.notes_console().status(_as_text(text)) as status:
            yield _MovingLine(lambda words: status.update(_as_text(words)))


class _PlainLine:
    """A new line whenever there is something new to say."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._said = ""

    def update(self, text: str) -> None:
        """Say it, unless it was the last thing said."""
        if text != self._said:
            self._said = text
            self._output.note(text)


class _MovingLine:
    """One line of a terminal, over and over."""

    def __init__(self, show: Callable[[str], None]) -> None:
        self._show = show

    def update(self, text: str) -> None:
        """Replace what it says."""
        self._show(text)


def _print_table(columns: Sequence[str], cells: list[list[str]], *, stream: TextIO) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in cells:
        table.add_row(*(_as_text(cell) for cell in row))
    Console(file=stream).print(table)


def _as_text(words: str) -> Any:
    from rich.text import Text

    return Text(_plain(words))  # and not markup: a queue may be called [red]


def _as_lines(words: str) -> Any:
    from rich.text import Text

    # Not wrapped: of a long reason the begin is enough, and the table stays a table.
    lines = [_plain(line) for line in words.splitlines()]
    return Text("\n".join(lines), no_wrap=True, overflow="ellipsis")


def _plain(text: str) -> str:
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)


def _is_terminal(stream: TextIO) -> bool:
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def reports(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command ``--json``, and an `Output` as its first argument."""

    @click.option("--json", "as_json", is_flag=True, help="print JSON")
    @functools.wraps(command)
    def with_output(*arguments: Any, as_json: bool, **options: Any) -> Any:
        return command(Output(as_json=as_json), *arguments, **options)

    return with_output


def site_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command ``--site``."""
    return click.option("--site", metavar="SITE", help=describe("site"))(command)


def resource_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command an option for each word of a job's resources; it gets them as ``resources``.

    That is a `Layer`, which already knows that a value is none, and where it stands.
    """

    @functools.wraps(command)
    def with_resources(*arguments: Any, **options: Any) -> Any:
        given = {word: options.pop(word) for word in RESOURCES}
        layer: Layer = from_options(given)
        return command(*arguments, resources=layer, **options)

    decorated: Callable[..., Any] = with_resources
    for word in reversed(RESOURCES):
        is_many = _takes_lines(word)
        option = click.option(
            f"--{word.replace('_', '-')}",
            word,
            metavar=_METAVARS.get(word, "WORD"),
            multiple=is_many,
            help=f"{describe(word)}; may be given several times" if is_many else describe(word),
        )
        decorated = option(decorated)
    return decorated


_METAVARS = {
    "cores": "N", "memory": "SIZE", "processes": "N", "nodes": "N", "gpus": "N",
    "walltime": "TIME", "ports": "A:B", "local_directory": "PATH", "env": "PATH",
    "directives": "LINE", "prologue": "LINE",
}  # fmt: skip


def _takes_lines(word: str) -> bool:
    return isinstance(getattr(Settings(), word), Lines)
