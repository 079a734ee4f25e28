"""How Torque's listings are read: jobs in XML, queues in text. Knows no command."""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING

from dask_hpc.batch.model import JobId
from dask_hpc.batch.pbs_table import ID, Record
from dask_hpc.errors import UnreadableOutput

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from dask_hpc.process.runner import Result

# Everybody's names and variables are in the answer, also such as are no XML; but every < in them
# is written as &lt;. So the elements are found one by one, and one bad name hides no other job.
_DOCUMENT = re.compile(r"<Data>(.*?)</Data>|<Data\s*/>", re.DOTALL)
_JOB = re.compile(r"<Job>(.*?)</Job>", re.DOTALL)
_ELEMENT = re.compile(r"<(\w+)>([^<]*)</\1>")
_PARTS = re.compile(r"<(Resource_List|resources_used)>((?:<(\w+)>[^<]*</\3>)*)</\1>")
_QUEUE = re.compile(r"^Queue: (\S+)$", re.MULTILINE)
_ATTRIBUTE = re.compile(r"^    ([\w.]+) = (.*)$", re.MULTILINE)


def records(result: Result) -> Iterator[Record]:
    """Yield the jobs of an answer.

    Raises
    ------
    UnreadableOutput
        If it is cut off, or none.
    """
    text = result.stdout
    whole = sum(1 for _ in _DOCUMENT.finditer(text))
    # Some releases print nothing at all if there is no job; then they complain of nothing either.
    is_none = not whole and (text.strip() or result.stderr.strip())
    if is_none or whole != text.count("<Data"):
        raise UnreadableOutput(
            f"{result.command.argv[0]} printed no listing: {result.words[:200]!r}", result=result
        )
    for job in _JOB.finditer(text):
        fields = dict(_fields(job[1]))
        if ID.fullmatch(fields.get("Job_Id", "")):
            yield Record(id=JobId(fields["Job_Id"]), fields=fields)


def _fields(job: str) -> Iterator[tuple[str, str]]:
    for part in _PARTS.finditer(job):
        for name, value in _ELEMENT.findall(part[2]):
            yield f"{part[1]}.{name}", html.unescape(value)
    for name, value in _ELEMENT.findall(_PARTS.sub("", job)):
        yield name, html.unescape(value)


def queues(result: Result) -> Mapping[str, Mapping[str, str]]:
    """Return the attributes of each queue.

    Raises
    ------
    UnreadableOutput
        If there is no queue.
    """
    # Long lines go on in the next one, after a tab.
    _, *pieces = _QUEUE.split(result.stdout.replace("\n\t", ""))
    found = {
        name: dict(_ATTRIBUTE.findall(text))
        for name, text in zip(pieces[::2], pieces[1::2], strict=True)
    }
    if not found:
        raise UnreadableOutput(
            f"{result.command.argv[0]} printed no queue: {result.words[:200]!r}", result=result
        )
    return found
