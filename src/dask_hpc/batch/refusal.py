"""How batch systems refuse a job, and what would help: rows of the tables of their words."""

from __future__ import annotations

import re
from dataclasses import dataclass

from dask_hpc.errors import SubmitRejected


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
