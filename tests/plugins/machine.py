"""Abacus itself: a toy of a batch system, whose jobs really run."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any

from tests.standins.jobs import ENDED, WAITING, Job, Jobs

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

QUEUES = ("beads", "rods")
_REFUSED = 2


def main(argv: Sequence[str]) -> int:
    """Do what is said, and print the answer."""
    verb, *words = argv
    verbs: dict[str, Callable[[Jobs, Sequence[str]], Any]] = {
        "submit": _submit,
        "list": _list,
        "cancel": _cancel,
        "queues": lambda *_: QUEUES,
    }
    answer = verbs[verb](Jobs.here(), words)
    if isinstance(answer, str):
        sys.stderr.write(f"{answer}\n")
        return _REFUSED
    sys.stdout.write(json.dumps(answer))
    return 0


def _submit(jobs: Jobs, words: Sequence[str]) -> list[str] | str:
    count, script = int(words[0]), sys.stdin.read()
    lines = (line.removeprefix("#ABACUS ") for line in script.split("\n") if "#ABACUS " in line)
    asked = dict(line.partition("=")[::2] for line in lines)
    if asked.get("queue", QUEUES[0]) not in QUEUES:
        return f"there is no queue {asked['queue']}"
    number = jobs.next_id()
    made = [
        Job(
            id=f"{number}.{index}" if count > 1 else f"{number}",
            name=asked["name"],
            script=script,
            environ=_environ(f"{number}.{index}" if count > 1 else f"{number}", index),
            directory=os.environ["HOME"],
            index=index,
            slots=int(asked["cores"]),
            walltime=float(asked["seconds"]) if "seconds" in asked else None,
            output=asked["log"].replace("{index}", str(index)),
        )
        for index in range(count)
    ]
    jobs.submit(made)
    return [job.id for job in made]


def _environ(job: str, index: int) -> dict[str, str]:
    return {**os.environ, "ABACUS_JOB": job, "ABACUS_INDEX": str(index)}


def _list(jobs: Jobs, words: Sequence[str]) -> list[dict[str, Any]]:
    return [_told(job) for job in jobs.all() if job.name in words]


def _told(job: Job) -> dict[str, Any]:
    state, why = job.state, ""
    if state == ENDED:
        state, why = job.why or ("failed" if job.code else ENDED), ""
    elif state == WAITING:
        why = "beads"
    ends = job.started + job.walltime if job.started and job.walltime else None
    told = {"id": job.id, "name": job.name, "index": job.index, "state": state, "why": why}
    return {**told, "ends": ends, "code": job.code if state in (ENDED, "failed") else None}


def _cancel(jobs: Jobs, words: Sequence[str]) -> list[str]:
    wanted = [job for job in jobs.all() if job.id in words]
    jobs.cancel(job.number for job in wanted)
    return [job.id for job in wanted]
