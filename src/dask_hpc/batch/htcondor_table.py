"""How HTCondor's listings are read: JSON, numbers, exit codes. Nothing here knows a command."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from dask_hpc.batch.htcondor_words import UNAVAILABLE
from dask_hpc.errors import BatchError, BatchUnavailable, UnreadableOutput

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dask_hpc.process.runner import Result

_MOST = 10**12  # larger numbers are no times, ids or codes
_PREFIX = re.compile(r"^(?:ERROR|Error): *")


def words(result: Result) -> str:
    """Return what HTCondor said about itself, without its prefixes, on one line."""
    # "Submitting job(s)....." on standard output is no news.
    text = result.stderr if result.stderr.strip() else result.stdout
    lines = (_PREFIX.sub("", line.strip()) for line in text.splitlines())
    telling = [line for line in dict.fromkeys(lines) if line]
    return "; ".join(telling[:4])[:400]


def check_answer(result: Result) -> None:
    """Raise what a failed query means."""
    if not result.exit_code:
        return
    if any(sign in result.stderr for sign in UNAVAILABLE):
        raise BatchUnavailable(
            f"htcondor did not answer: {words(result)}",
            result=result,
            hint="it is asked again; nothing is concluded from its silence",
        )
    program = result.command.argv[0]
    raise BatchError(
        f"{program} failed with exit code {result.exit_code}: {words(result)}", result=result
    )


def ads(result: Result) -> list[Mapping[str, object]]:
    """Return the attributes of each ClassAd of an answer; nothing at all is an empty one.

    Raises
    ------
    UnreadableOutput
        If the answer is anything else than JSON.
    """
    # condor_q prints nothing, not even brackets, if no job fits (measured with 23.9).
    if not result.stdout.strip():
        return []
    found = _decoded(result.stdout)
    if found is None:
        raise UnreadableOutput(
            f"{result.command.argv[0]} printed no table: {result.words[:200]!r}", result=result
        )
    return found


def _decoded(text: str) -> list[Mapping[str, object]] | None:
    # A site's banner may be around it.
    begin = re.search(r"^\[", text, re.MULTILINE)
    try:
        answer, _ = json.JSONDecoder().raw_decode(text[begin.start() :] if begin else "")
    except (ValueError, RecursionError):
        return None
    is_table = isinstance(answer, list) and all(isinstance(each, dict) for each in answer)
    return answer if is_table else None


def number(ad: Mapping[str, object], name: str) -> int | None:
    """Return an attribute that is a number; expressions come as text, and are none."""
    value = ad.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if 0 <= value < _MOST else None


def text_of(ad: Mapping[str, object], name: str) -> str:
    """Return an attribute as text, empty if it is absent."""
    value = ad.get(name)
    return value.strip() if isinstance(value, str) else ""


def moment(ad: Mapping[str, object], name: str) -> float | None:
    """Return seconds since the epoch; nothing for 0."""
    value = number(ad, name)
    return float(value) if value else None


def exit_code(ad: Mapping[str, object]) -> int | None:
    """Return the exit code of a shell of a job that ended by itself."""
    if ad.get("ExitBySignal") is True:
        signal = number(ad, "ExitSignal")
        return None if signal is None else 128 + signal
    return number(ad, "ExitCode")
