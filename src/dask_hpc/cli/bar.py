"""A bar that fills while something is computed; plain lines where there is no terminal."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dask_hpc.cli.output import Output

_LINES = 5  # in all, where there is no terminal


class Bar(Protocol):
    """How far something is."""

    def reach(self, done: int) -> None:
        """Show that so many are done."""


class _Bar:
    def __init__(self, show: Callable[[int], None]) -> None:
        self._show = show

    def reach(self, done: int) -> None:
        """Show that so many are done."""
        self._show(done)


@contextmanager
def bar(output: Output, text: str, *, total: int) -> Iterator[Bar]:
    """Show a bar until the block ends."""
    if not output.is_interactive:
        yield _lines(output, text, total=total)
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=output.notes_console()) as progress:
        task = progress.add_task(text, total=total)
        yield _Bar(lambda done: progress.update(task, completed=done))


def _lines(output: Output, text: str, *, total: int) -> _Bar:
    said = 0

    def show(done: int) -> None:
        nonlocal said
        step = done * _LINES // total
        if step > said:
            said = step
            output.note(f"{text}: {done} of {total}")

    return _Bar(show)
