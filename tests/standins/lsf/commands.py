"""The five commands: what they take, and what they print, as recorded from OpenLava.

With the setting ``form`` of ``openlava``, bjobs knows no ``-json`` and bsub no newer option;
else they are as the manual of LSF 10.1 says. ``minute`` is how many seconds a minute of a run
limit takes, ``keep`` for how many seconds bjobs remembers ended jobs.
"""

from __future__ import annotations

import getpass
import json
import os
import re
import sys
import time
from typing import TYPE_CHECKING

from tests.standins.jobs import (
    CANCELLED,
    ENDED,
    HELD,
    OUT_OF_TIME,
    RUNNING,
    WAITING,
    Job,
    Jobs,
)
from tests.standins.lsf.listings import (
    fields,
    folded,
    history,
    queue_text,
    unfolded,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

QUEUES = {"debug": 30, "normal": 1440}  # run limits in minutes; the last is the default
_MOST_SLOTS, _MOST_ELEMENTS = 64, 1000
_TOKEN = re.compile(r'"([^"]*)"|\'([^\']*)\'|(\S+)')
_PLAIN_OPTIONS = {"-x", "-H", "-B", "-N", "-r"}
_OPTIONS = {"-J", "-o", "-n", "-R", "-M", "-W", "-q", "-P"}
_NEWER_PLAIN, _NEWER = {"-rn"}, {"-Jd", "-gpu"}
_NAME = re.compile(r"([^\[\]]*)(?:\[1-(\d+)\])?")
_ID = re.compile(r"(\d+)(?:\[([\d,-]+)\])?")
_REFUSED = 255
_USAGE = """\
bjobs: invalid option -- 'j'
Usage: bjobs [-h] [-V] [-w |-l] [-W] [-a] [-d] [-p] [-s] [-r] [-g job_group]
             [-A] [-m host_name] [-q queue_name] [-u user_name | -u all]
             [-P project_name] [-N host_spec] [-J name_spec] [-UF] [-WL|-WP|-WF] [-noheader]
             [jobId | "jobId[idxList]" ...]
"""


class RefusedError(Exception):
    """What a command says before it leaves with 255."""


def _fail(words: str) -> int:
    sys.stderr.write(words if words.endswith("\n") else f"{words}\n")
    return _REFUSED


def bsub(argv: Sequence[str]) -> int:
    """Take a script in."""
    jobs = Jobs.here()
    script = sys.stdin.read()
    is_openlava = jobs.settings().get("form") == "openlava"
    try:
        options = _options([*_embedded(script), *argv], is_openlava=is_openlava)
        number = _submit(jobs, script, options)
    except RefusedError as error:
        return _fail(f"{error}. Job not submitted.")
    queue = options.get("-q")
    to = f"queue <{queue}>" if queue else f"default queue <{[*QUEUES][-1]}>"
    if "BSUB_QUIET" not in os.environ:
        sys.stdout.write(f"Job <{number}> is submitted to {to}.\n")
    return 0


def _embedded(script: str) -> Iterator[str]:
    for line in script.split("\n"):
        if not line.startswith("#BSUB"):
            continue
        for match in _TOKEN.finditer(line.removeprefix("#BSUB")):
            if match[0].startswith("#"):
                break
            yield next(group for group in match.groups() if group is not None)


def _options(words: Sequence[str], *, is_openlava: bool) -> dict[str, str]:
    plain = _PLAIN_OPTIONS if is_openlava else _PLAIN_OPTIONS | _NEWER_PLAIN
    valued = _OPTIONS if is_openlava else _OPTIONS | _NEWER
    found: dict[str, str] = {}
    left = list(words)
    while left:
        word = left.pop(0)
        if word in valued and left:
            found[word] = left.pop(0)
        elif word in plain:
            found[word] = ""
        else:
            raise RefusedError(f"bsub: illegal option -- {word}\n")
    return found


def _submit(jobs: Jobs, script: str, options: dict[str, str]) -> int:
    if not script.strip():
        raise RefusedError("No command is specified")
    queue = options.get("-q", [*QUEUES][-1])
    if queue not in QUEUES:
        raise RefusedError(f"{queue}: No such queue")
    slots, minutes = _slots(options.get("-n", "1")), _minutes(options.get("-W"))
    if minutes and minutes > QUEUES[queue]:
        raise RefusedError("RUNLIMIT: Cannot exceed queue's hard limit(s)")
    memory = options.get("-M", "0")
    if not memory.isdecimal():
        raise RefusedError(f"{memory}: MEMLIMT value should be a positive integer")
    match = _NAME.fullmatch(options.get("-J", ""))
    if match is None:
        raise RefusedError("Bad job name")
    if match[2] and int(match[2]) > _MOST_ELEMENTS:
        raise RefusedError("Job array index too large")
    number = jobs.next_id()
    minute = float(jobs.settings().get("minute", "60"))
    more = {"queue": queue, "minutes": str(minutes or ""), "user": getpass.getuser()}
    more |= {"project": options.get("-P", "default"), "output": options.get("-o", "")}
    indices = range(1, int(match[2]) + 1) if match[2] else [0]
    jobs.submit(
        Job(
            id=f"{number}[{index}]" if index else str(number),
            name=f"{match[1]}[{index}]" if index else match[1],
            script=script,
            environ=_environ(number, index, last=match[2], name=options.get("-J", ""), queue=queue),
            directory=os.getcwd(),  # noqa: PTH109 - as the shell has it
            index=index,
            slots=slots,
            walltime=minutes * minute if minutes else None,
            delivery=options.get("-o", "").replace("%J", str(number)).replace("%I", str(index)),
            signals=("SIGINT", "SIGTERM", "SIGKILL"),
            late_signals=("SIGUSR2", "SIGKILL"),
            more=more,
            state=HELD if "-H" in options else WAITING,
        )
        for index in indices
    )
    return number


def _environ(number: int, index: int, *, last: str | None, name: str, queue: str) -> dict[str, str]:
    found = dict(os.environ)
    found |= {
        "LSB_JOBID": str(number), "LSB_JOBINDEX": str(index), "LSB_JOBNAME": name,
        "LSB_QUEUE": queue, "LSB_HOSTS": "login1", "LSB_MCPU_HOSTS": "login1 1 ",
        "LSB_DJOB_NUMPROC": "1", "LSB_SUB_HOST": "login1",
    }  # fmt: skip
    if last:
        found |= {"LSB_JOBINDEX_END": last, "LSB_JOBINDEX_STEP": "1"}
    return found


def _slots(text: str) -> int:
    if not text.isdecimal():
        raise RefusedError("The number of processors must be a positive integer")
    if int(text) > _MOST_SLOTS:
        raise RefusedError("Too many processors requested")
    return int(text)


def _minutes(text: str | None) -> int | None:
    if text is None:
        return None
    match = re.fullmatch(r"(?:(\d+):)?(\d+)", text)
    if match is None:
        raise RefusedError(f"{text}: Bad RUNLIMIT specification")
    return int(match[1] or 0) * 60 + int(match[2])


def bjobs(argv: Sequence[str]) -> int:
    """List jobs: ``-a -u USER`` and either ``-json -o FIELDS`` or ``-UF``."""
    jobs = Jobs.here()
    settings = jobs.settings()
    words = list(argv)
    if "-json" in words and settings.get("form") == "openlava":
        return _fail(_USAGE)
    user = words[words.index("-u") + 1] if "-u" in words else getpass.getuser()
    remembered = time.time() - float(settings.get("keep", "3600"))
    shown = [
        job
        for job in jobs.all()
        if job.more["user"] == user
        and (job.state != ENDED or ("-a" in words and job.ended >= remembered))
    ]
    if not shown:
        return _fail("No job found" if "-a" in words else "No unfinished job found")
    if "-json" in words:
        wanted = words[words.index("-o") + 1].split()
        records = [{name.upper(): fields(job)[name] for name in wanted} for job in shown]
        answer = {"COMMAND": "bjobs", "JOBS": len(records), "RECORDS": records}
        sys.stdout.write(json.dumps(answer, indent=2) + "\n")
        return 0
    sys.stdout.write("\n" + f"{'-' * 78}\n".join(unfolded(job) for job in shown))
    return 0


def bhist(argv: Sequence[str]) -> int:
    """Tell what happened to jobs: ``-l ID...``."""
    known = [job for word in argv if word != "-l" for job in _named(Jobs.here(), word)]
    if not known:
        sys.stdout.write("No matching job found\n")
        return _REFUSED
    sys.stdout.write("\n" + f"{'-' * 78}\n\n".join(folded(history(job)) for job in known))
    return 0


def bkill(argv: Sequence[str]) -> int:
    """End jobs."""
    jobs = Jobs.here()
    code = 0
    numbers = []
    for word in argv:
        found = _named(jobs, word)
        if not found:
            code = _fail(f"Job <{word}>: No matching job found")
        for job in found:
            if job.state == ENDED:
                code = _fail(f"Job <{job.id}>: Job has already finished")
            elif job.state == RUNNING and job.why in (CANCELLED, OUT_OF_TIME):
                code = _fail(f"Job <{job.id}>: Operation is in progress")
            else:
                numbers.append(job.number)
                sys.stdout.write(f"Job <{job.id}> is being terminated\n")
    jobs.cancel(numbers)
    return code


def _named(jobs: Jobs, word: str) -> list[Job]:
    match = _ID.fullmatch(word)
    if match is None:
        return []
    indices: set[int] = set()
    for part in filter(None, (match[2] or "").split(",")):
        first, _, last = part.partition("-")
        indices |= set(range(int(first), int(last or first) + 1))
    return [
        job
        for job in jobs.all()
        if job.id.partition("[")[0] == match[1] and (not indices or job.index in indices)
    ]


def bqueues(argv: Sequence[str]) -> int:
    """List queues: ``-l``."""
    texts = [
        queue_text(name, minutes, is_default=name == [*QUEUES][-1])
        for name, minutes in QUEUES.items()
    ]
    sys.stdout.write(f"\n{'-' * 79}\n".join(texts))
    return 0
