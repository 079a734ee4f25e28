"""Jobs and queues as OpenLava 4.0 prints them, and as fields of ``bjobs -json``."""

from __future__ import annotations

import os
import time

from tests.standins.jobs import CANCELLED, ENDED, HELD, OUT_OF_TIME, RUNNING, WAITING, Job

_HOST = "login1"
_WORDS = {WAITING: "PEND", HELD: "PSUSP", RUNNING: "RUN"}
_REASONS = {
    WAITING: "Job slot limit reached: 1 host;",
    HELD: "The job was suspended by the user while pending: 1 host;",
}
_TERMS = {
    CANCELLED: "TERM_OWNER: job killed by owner",
    OUT_OF_TIME: "TERM_RUNLIMIT: job killed after reaching LSF run time limit",
}
_WIDTH, _FOLD = 79, " " * 21
_THRESHOLDS = """\
           r15s   r1m  r15m   ut      pg    io   ls    it    tmp    swp    mem
 loadSched   -     -     -     -       -     -    -     -     -      -      -  
 loadStop    -     -     -     -       -     -    -     -     -      -      -  
"""  # noqa: W291 - as recorded


def word(job: Job) -> str:
    """Return the state of a job."""
    if job.state == ENDED:
        return "DONE" if job.code == 0 else "EXIT"
    return _WORDS[job.state]


def fields(job: Job) -> dict[str, str]:
    """Return what ``bjobs -o`` knows of a job, by the names of the manual."""
    number, _, _ = job.id.partition("[")
    ends = job.ended or (job.started and job.walltime and job.started + job.walltime)
    has_failed = word(job) == "EXIT"
    return {
        "jobid": number,
        "jobindex": str(job.index),
        "stat": word(job),
        "exit_code": str(job.code) if has_failed and job.code is not None else "",
        "exit_reason": _TERMS.get(job.why, "") if has_failed else "",
        "pend_reason": _REASONS.get(job.state, ""),
        "job_name": job.name,
        "exec_host": _HOST if job.started else "",
        "start_time": _moment(job.started),
        "finish_time": f"{_moment(ends or 0)} L" if ends else "",
        "estimated_start_time": "",
    }


def unfolded(job: Job) -> str:
    """Return what ``bjobs -UF`` prints of a job."""
    command = job.script.rstrip("\n").replace("\n", ";")
    head = (
        f"Job <{job.id}>, Job Name <{job.name}>, User <{job.more['user']}>, Project "
        f"<{job.more['project']}>, Status <{word(job)}>, Queue <{job.more['queue']}>, "
        f"Command <{command}>"
    )
    output = f", Output File <{job.more['output']}>" if job.more["output"] else ""
    lines = [head, f"{_event(job.submitted)}: Submitted from host <{_HOST}>, CWD <$HOME>{output};"]
    lines += _run_limit(job)
    if job.started:
        index = f"[{job.index}] started" if job.index else "Started"
        lines += [f"{_event(job.started)}: {index} on <{_HOST}>, Execution Home </home/x>;"]
    if job.state == ENDED:
        lines += [f"{_event(job.ended)}: {_ending(job)}{_used(job, '.')}"]
    if job.state in _REASONS:
        lines += [" PENDING REASONS:", f" {_REASONS[job.state]}"]
    details = " RESOURCE REQUIREMENT DETAILS:\n Combined: \n Effective: \n"
    return "\n".join(lines) + f"\n\n SCHEDULING PARAMETERS:\n{_THRESHOLDS}\n{details}"


def history(job: Job) -> list[str]:
    """Return the lines of ``bhist -l`` before they are folded."""
    command = job.script.rstrip("\n").replace("\n", ";")
    head = "Job" if job.index else "Job Id"
    user, project, queue = (job.more[name] for name in ("user", "project", "queue"))
    names = f"Job Name <{job.name}>, User <{user}>, Project <{project}>"
    lines = [
        f"{head} <{job.id}>, {names}, Command <{command}>",
        f"{_event(job.submitted)}: Submitted from host <{_HOST}> to Queue <{queue}>, CWD <$HOME>;",
        *_run_limit(job),
    ]
    if job.started:
        index = f"[{job.index}] dispatched" if job.index else "Dispatched"
        lines += [f"{_event(job.started)}: {index} to <{_HOST}>;"]
        lines += [f"{_event(job.started)}: Starting (Pid {job.group});"]
    if job.why == CANCELLED:
        signal = f"Signal <KILL> requested by user or administrator <{user}>;"
        lines += [f"{_event(job.ended or job.started)}: {signal}"]
    if job.state == ENDED:
        lines += [f"{_event(job.ended)}: {_ending(job)}{_used(job, ';')}"]
    lines += [
        "",
        f"Summary of time in seconds spent in various states by  {_event(time.time())}",
        "  PEND     PSUSP    RUN      USUSP    SSUSP    UNKWN    TOTAL",
        "  2        0        1        0        0        0        3           ",
        "",
    ]
    return lines


def folded(lines: list[str]) -> str:
    """Return lines as ``-l`` folds them, in the middle of words."""
    found = []
    for line in lines:
        found.append(line[:_WIDTH])
        rest = line[_WIDTH:]
        step = _WIDTH - len(_FOLD)
        found += [_FOLD + rest[start : start + step] for start in range(0, len(rest), step)]
    return "\n".join(found) + "\n"


def queue_text(name: str, minutes: int, *, is_default: bool) -> str:
    """Return what ``bqueues -l`` prints of a queue."""
    default = "  This is the default queue." if is_default else ""
    return f"""
QUEUE: {name}
  -- Jobs of a stand-in{default}

PARAMETERS/STATISTICS
PRIO NICE     STATUS       MAX JL/U JL/P JL/H NJOBS  PEND  RUN  SSUSP USUSP  RSV
  50   0    Open:Active     -     4   -    -     0     0     0     0     0    0

Interval for a host to accept two jobs is 0 seconds

 RUNLIMIT                
 {minutes:.1f} min of {_HOST}

SCHEDULING PARAMETERS
{_THRESHOLDS}
USERS:  all users
HOSTS:  all hosts used by the OpenLava system
"""  # noqa: W291 - as recorded


def _run_limit(job: Job) -> list[str]:
    if not job.more["minutes"]:
        return []
    return ["", " RUNLIMIT                ", f" {float(job.more['minutes']):.1f} min of {_HOST}"]


def _ending(job: Job) -> str:
    if job.code == 0:
        return "Done successfully"
    return "Exited" if job.code is None else f"Exited with exit code {job.code}"


def _used(job: Job, stop: str) -> str:
    return "" if job.code is None else f". The CPU time used is 0.0 seconds{stop}"


def _event(moment: float) -> str:
    return time.strftime("%a %b %e %H:%M:%S", time.localtime(moment))


def _moment(moment: float) -> str:
    has_year = os.environ.get("LSB_DISPLAY_YEAR", "").upper() == "Y"
    form = "%b %e %H:%M:%S %Y" if has_year else "%b %e %H:%M"
    return time.strftime(form, time.localtime(moment)) if moment else ""
