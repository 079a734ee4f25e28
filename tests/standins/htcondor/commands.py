"""The five commands: what they take, and what they print, as recorded from HTCondor 23.9.

Jobs inherit nothing of the environment, and their output is written while they run.
"""

from __future__ import annotations

import getpass
import json
import re
import shlex
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.standins.htcondor.description import Description, RefusedError, words
from tests.standins.jobs import CANCELLED, ENDED, HELD, RUNNING, WAITING, Job, Jobs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_IDLE, _RUNS, _REMOVED, _COMPLETED, _HELD = 1, 2, 3, 4, 5
_STATES = {WAITING: _IDLE, HELD: _HELD, RUNNING: _RUNS, ENDED: _COMPLETED}
_VALUED = ("-append", "-a", "-name", "-attributes", "-constraint")
_BATCH = re.compile(r'JobBatchName == "([^"]*)"')
_OWNER = re.compile(r'Owner == "([^"]*)"')


def _parsed(argv: Sequence[str]) -> tuple[list[tuple[str, str]], list[str]]:
    """Return options with their values, and the other words."""
    options: list[tuple[str, str]] = []
    rest: list[str] = []
    left = iter(argv)
    for word in left:
        if word in _VALUED:
            options.append((word, next(left, "")))
        elif word.startswith("-") and word != "-":
            options.append((word, ""))
        else:
            rest.append(word)
    return options, rest


def condor_submit(argv: Sequence[str]) -> int:
    """Take a description in."""
    options, files = _parsed(argv)
    file = files[0] if files else "-"
    text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
    try:
        said = Description(text, [value for name, value in options if name in ("-append", "-a")])
        cluster = _submit(Jobs.here(), said)
    except RefusedError as error:
        sys.stderr.write(f"\nERROR: {error}\n")
        return 1
    if any(name == "-terse" for name, _ in options):
        sys.stdout.write(f"{cluster}.0 - {cluster}.{said.count - 1}\n")
    else:
        dots = "." * said.count
        sys.stdout.write(f"Submitting job(s){dots}\n{said.count} job(s) submitted to cluster ")
        sys.stdout.write(f"{cluster}.\n")
    return 0


def _submit(jobs: Jobs, said: Description) -> int:
    if not said.value("executable", {}):
        raise RefusedError("No 'executable' parameter was provided")
    cluster = jobs.next_id()
    jobs.submit([_job(said, cluster, process) for process in range(said.count)])
    return cluster


def _job(said: Description, cluster: int, process: int) -> Job:
    known = {name: str(cluster) for name in ("clusterid", "cluster")}
    known |= {name: str(process) for name in ("procid", "process")} | {"dollar": "$"}
    argv = [said.value("executable", known), *words(said.value("arguments", known))]
    pairs = (word.partition("=") for word in words(said.value("environment", known)))
    named = said.value("batch_name", known) or said.value("my.jobbatchname", known)
    length = said.number("allowed_job_duration", known)
    return Job(
        id=f"{cluster}.{process}",
        name=named.strip('"'),
        script=f"#!/bin/sh\nexec {shlex.join(argv)}\n",
        environ={name: value for name, _, value in pairs},
        directory=str(Path.cwd()),
        index=process,
        slots=max(1, said.number("request_cpus", known) or said.number("requestcpus", known)),
        walltime=float(length) if length else None,
        output=said.value("output", known),
        more={"user": getpass.getuser()},
    )


def condor_q(argv: Sequence[str]) -> int:
    """List the jobs in the queue: ``-json -attributes NAMES -constraint EXPRESSION``."""
    options = dict(_parsed(argv)[0])
    where = options.get("-constraint", "")
    owners, names = _OWNER.findall(where), _BATCH.findall(where)
    return _print(
        options,
        lambda job: (
            job.state != ENDED
            and (not owners or job.more["user"] in owners)
            and (not names or job.name in names)
        ),
    )


def condor_history(argv: Sequence[str]) -> int:
    """List jobs that ended: ``-json -attributes NAMES CLUSTER...``."""
    options, clusters = _parsed(argv)
    return _print(
        dict(options),
        lambda job: job.state == ENDED and job.id.partition(".")[0] in clusters,
    )


def _print(options: dict[str, str], is_shown: Callable[[Job], bool]) -> int:
    wanted = options.get("-attributes", "").split(",")
    ads = [
        {name: value for name, value in _attributes(job).items() if name in wanted}
        for job in Jobs.here().all()
        if is_shown(job)
    ]
    if ads:
        inner = "\n,\n".join(json.dumps(ad, indent=2) for ad in ads)
        sys.stdout.write(f"[\n{inner}\n]\n")
    return 0


def _attributes(job: Job) -> dict[str, Any]:
    cluster, _, process = job.id.partition(".")
    was_removed = job.state == ENDED and job.why == CANCELLED
    found: dict[str, Any] = {
        "ClusterId": int(cluster),
        "ProcId": int(process),
        "JobStatus": _REMOVED if was_removed else _STATES[job.state],
        "JobBatchName": job.name,
        "Owner": job.more["user"],
        "NumJobStarts": int(bool(job.started)),
        "EnteredCurrentStatus": int(job.ended or job.started or job.submitted),
    }
    if job.started:
        host = f"slot1_1@{socket.gethostname()}"
        found |= {"JobCurrentStartDate": int(job.started)}
        found |= {"RemoteHost" if job.state == RUNNING else "LastRemoteHost": host}
    if was_removed:
        found |= {"RemoveReason": f"via condor_rm (by user {job.more['user']})"}
    elif job.state == ENDED and job.code is not None:
        by_signal = job.code > 128
        found |= {"CompletionDate": int(job.ended), "ExitBySignal": by_signal}
        found |= {"ExitSignal" if by_signal else "ExitCode": job.code - 128 * by_signal}
    return found


def condor_rm(argv: Sequence[str]) -> int:
    """End jobs."""
    jobs = Jobs.here()
    removed = []
    for word in _parsed(argv)[1]:
        found = [job for job in _named(jobs, word) if job.state != ENDED]
        removed += [job.number for job in found]
        if found and "." in word:
            sys.stdout.write(f"Job {word} marked for removal\n")
        elif found:
            sys.stdout.write(f"All jobs in cluster {word} have been marked for removal\n")
        elif "." in word:
            sys.stderr.write(f"\nJob {word} not found\n")
        else:
            sys.stderr.write(f"\nCouldn't find/remove all jobs in cluster {word}\n")
    jobs.cancel(removed)
    return 0 if removed else 1


def _named(jobs: Jobs, word: str) -> Iterator[Job]:
    return (job for job in jobs.all() if word in (job.id, job.id.partition(".")[0]))


def condor_version(argv: Sequence[str]) -> int:
    """Say which one this is."""
    sys.stdout.write("$CondorVersion: 23.9.6 2026-07-12 PackageID: 23.9.6 stand-in $\n")
    return 1 if argv else 0
