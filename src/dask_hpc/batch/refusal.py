"""How batch systems refuse a job, and what would help: rows of the tables of their words.

What is told of a submission that gave no job is told here, for all of them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dask_hpc.errors import BatchUnavailable, SubmitRejected

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dask_hpc.process.runner import Result


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Words that a system refuses a job with, and what would help."""

    words: re.Pattern[str]
    hint: str
    error: type[SubmitRejected] = SubmitRejected


def refusal(
    words: str,
    hint: str,
    *,
    error: type[SubmitRejected] = SubmitRejected,
    ignores_case: bool = False,
) -> Refusal:
    """Return the row for a regular expression."""
    return Refusal(words=re.compile(words, re.I if ignores_case else 0), hint=hint, error=error)


def fitting(rows: Iterable[Refusal], text: str) -> Refusal | None:
    """Return the first row whose words are in a text."""
    return next((row for row in rows if row.words.search(text)), None)


def refused(
    who: str, said: str, *, row: Refusal | None, otherwise: str, result: Result
) -> SubmitRejected:
    """Return the error for a refused submission; ``otherwise`` is the hint where no row has one."""
    kind = row.error if row else SubmitRejected
    hint = (row and row.hint) or otherwise
    return kind(f"{who} refused the job: {said}", result=result, hint=hint)


def unclear(who: str, said: str, *, result: Result) -> BatchUnavailable:
    """Return the error for a submission of which nobody knows whether it was one."""
    ended = f"{result.command.argv[0]} ended with exit code {result.exit_code}"
    return BatchUnavailable(
        f"{who} did not answer: {said or ended}",
        result=result,
        hint="the job may have been submitted: it is looked for by its name",
    )
