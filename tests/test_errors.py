"""The tree of errors is the one that its module draws, and each error carries what it promises."""

from __future__ import annotations

import inspect
import re

import pytest

from dask_hpc import errors
from dask_hpc.errors import BatchError, BatchUnavailable, HPCError, JobFailed
from dask_hpc.process.runner import Command, Result

_DRAWN = re.compile(r"^( *)[*x+.] (\w+)( +\S.*)?$", re.MULTILINE)
_KINDS = {
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, HPCError) and kind.__module__ == errors.__name__
}


def _drawn() -> dict[str, str]:
    """Return the parent of each error of the drawing."""
    parents, above = {}, ["Exception"]
    for indent, name, _ in _DRAWN.findall(errors.__doc__ or ""):
        depth = len(indent) // 2
        above[depth + 1 :] = [name]
        parents[name] = above[depth]
    return parents


def _parent(kind: type[HPCError]) -> str:
    # A second base is one of Python's own, such as TimeoutError.
    ours = (base.__name__ for base in kind.__bases__ if base in _KINDS)
    return next(ours, "Exception")


def test_the_drawing_shows_every_error_in_its_place() -> None:
    assert _drawn() == {kind.__name__: _parent(kind) for kind in _KINDS}


def test_the_drawing_says_what_is_worth_another_try() -> None:
    said = {name for _, name, words in _DRAWN.findall(errors.__doc__ or "") if "transient" in words}
    assert said - {"HPCError"} == {kind.__name__ for kind in _KINDS if kind.transient}


@pytest.mark.parametrize("kind", sorted(_KINDS, key=repr))
def test_every_error_has_a_message_and_a_hint(kind: type[HPCError]) -> None:
    error = kind("no such thing", hint="try another")
    assert (str(error), error.hint) == ("no such thing", "try another")
    assert kind("no such thing").hint == ""
    assert inspect.getdoc(kind)


def test_an_error_of_the_batch_system_keeps_the_command_that_failed() -> None:
    result = Result(command=Command(argv=("squeue",)), exit_code=1, stdout="", stderr="no\n")
    assert BatchUnavailable("no answer", result=result).result is result
    assert BatchError("no answer").result is None


def test_an_error_of_a_job_keeps_the_job_and_the_end_of_its_log() -> None:
    error = JobFailed("job 7 failed", job="7", state="failed", log_tail="ImportError")
    assert (error.job, error.state, error.log_tail) == ("7", "failed", "ImportError")


def test_words_of_a_result_are_its_errors_or_else_its_output() -> None:
    result = Result(command=Command(argv=("x",)), exit_code=0, stdout=" out\n", stderr=" \n")
    assert result.words == "out"
