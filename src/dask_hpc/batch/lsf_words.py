"""LSF's words and ours, as tables. Nothing here runs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial

from dask_hpc.batch.model import JobState
from dask_hpc.batch.refusal import refusal
from dask_hpc.errors import LimitReached

# The words of bjobs; what EXIT means is told by the tables below.
EXITED = "EXIT"
STATES = {
    "PEND": JobState.PENDING,
    "WAIT": JobState.PENDING,
    "PROV": JobState.PENDING,
    "PSUSP": JobState.HELD,
    "RUN": JobState.RUNNING,
    "USUSP": JobState.SUSPENDED,
    "SSUSP": JobState.SUSPENDED,
    "DONE": JobState.DONE,
    # The host of the job does not answer: it may come back.
    "UNKWN": JobState.UNKNOWN,
    "ZOMBI": JobState.UNKNOWN,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """What a reason for the end of a job means."""

    state: JobState
    plain: str


def _ending(state: JobState, plain: str) -> Ending:
    return Ending(state=state, plain=plain)


_KILLED = "was cancelled"
_WALLTIME = "reached its walltime"
_MEMORY = "needed more memory than it asked for"

# https://www.ibm.com/docs/SSWRJV_10.1.0/lsf_admin/termination_reasons_lsf.html; OpenLava has none.
ENDINGS = {
    "TERM_RUNLIMIT": _ending(JobState.TIMED_OUT, _WALLTIME),
    "TERM_DEADLINE": _ending(JobState.TIMED_OUT, "its deadline came"),
    "TERM_WINDOW": _ending(JobState.TIMED_OUT, "the time window of its queue closed"),
    "TERM_CPULIMIT": _ending(JobState.FAILED, "used more processor time than it may"),
    "TERM_MEMLIMIT": _ending(JobState.OUT_OF_MEMORY, _MEMORY),
    "TERM_SWAP": _ending(JobState.OUT_OF_MEMORY, "needed more swap space than it may"),
    "TERM_OWNER": _ending(JobState.CANCELLED, _KILLED),
    "TERM_FORCE_OWNER": _ending(JobState.CANCELLED, _KILLED),
    "TERM_BUCKET_KILL": _ending(JobState.CANCELLED, _KILLED),
    "TERM_ADMIN": _ending(JobState.CANCELLED, "was cancelled by the administrators"),
    "TERM_FORCE_ADMIN": _ending(JobState.CANCELLED, "was cancelled by the administrators"),
    "TERM_ORPHAN_SYSTEM": _ending(JobState.CANCELLED, "the job that it waited for ended otherwise"),
    "TERM_PREEMPT": _ending(JobState.PREEMPTED, "had to make room for another job"),
    "TERM_LOAD": _ending(JobState.PREEMPTED, "its host was loaded too much"),
    "TERM_REQUEUE_OWNER": _ending(JobState.CANCELLED, "was queued again"),
    "TERM_REQUEUE_ADMIN": _ending(JobState.CANCELLED, "was queued again by the administrators"),
    "TERM_RC_RECLAIM": _ending(JobState.LOST, "its rented host was taken back"),
    "TERM_REMOVE_HUNG_JOB": _ending(JobState.LOST, "its host did not answer any more"),
    "TERM_ZOMBIE": _ending(JobState.LOST, "it ended while LSF did not watch"),
    "TERM_PRE_EXEC_FAIL": _ending(JobState.FAILED, "its node could not be prepared"),
    "TERM_CWD_NOTEXIST": _ending(JobState.FAILED, "its directory does not exist on the node"),
    "TERM_PROCESSLIMIT": _ending(JobState.FAILED, "had more processes than it may"),
    "TERM_THREADLIMIT": _ending(JobState.FAILED, "had more threads than it may"),
    "TERM_EXTERNAL_SIGNAL": _ending(JobState.FAILED, "a signal ended it that was not LSF's"),
}
# Exit codes of OpenLava (measured): SIGINT of bkill, SIGUSR2 at the run limit.
CODES = {
    130: _ending(JobState.CANCELLED, _KILLED),
    140: _ending(JobState.TIMED_OUT, _WALLTIME),
}
OVER_LIMIT = _ending(JobState.TIMED_OUT, _WALLTIME)
KILLED = _ending(JobState.CANCELLED, _KILLED)
FAILED = _ending(JobState.FAILED, "")

# Recorded with OpenLava are slots, dependencies, start times, holds, new jobs; the others are after
# the manual of LSF, and not seen. A job has several reasons, of which most are of hosts that it
# could not have anyway: the first of this table counts.
WAITING = (
    ("suspended by the user while pending", "held by its owner: bresume lets it go"),
    ("suspended by LSF admin", "held by the administrators"),
    ("suspended by the administrator", "held by the administrators"),
    ("suspended by user", "stopped by its owner: bresume lets it go on"),
    ("dependency condition", "waits for another job to end"),
    ("specified start time", "its earliest start is not reached"),
    ("no suitable hosts", "no host is as it asks for: ask for less, or for another queue"),
    ("array has reached its job slot limit", "its array may not run more jobs at once"),
    ("per-user job slot limit", "your jobs use as many slots as the queue allows"),
    ("User has reached", "your jobs use as many slots as you may"),
    ("per-host job slot limit", "its hosts run as many jobs as the queue allows"),
    ("queue has reached its job slot limit", "the queue runs as many jobs as it may"),
    ("queue is inactiv", "the queue starts no jobs now"),
    ("run window", "the time window of its queue ends too soon: a shorter walltime may start"),
    ("Resource limit", "its users, queue or project use as much as they may"),
    ("limit defined", "its users, queue or project use as much as they may"),
    ("Job slot limit reached", "waits for slots to become free"),
    ("Not enough", "waits for slots to become free"),
    ("ot enough job slot", "waits for slots to become free"),
    ("reserving resource", "waits for memory or another resource to become free"),
    ("resource reservation not satisfied", "waits for memory or another resource to become free"),
    ("resource requirements not satisfied", "no host has what it asks for now"),
    ("Load threshold reached", "the hosts are loaded too much"),
    ("Just started a job recently", "its host started another job a moment ago"),
    ("Closed by", "its hosts are closed by the administrators"),
    ("Load information unavailable", "its hosts do not answer"),
    ("waiting for scheduling", "not looked at by the scheduler yet"),
    ("re-scheduling", "not looked at by the scheduler yet"),
)  # fmt: skip

# Words that say: not now. A client that finds no daemon goes on trying until its deadline.
UNAVAILABLE = re.compile(
    r"not responding|LSF library call|sending/receiving|Connection re(?:fused|set)|timed? ?out|"
    r"LIM is down|LIM is unknown|not ready yet|Cannot connect|"
    r"not accepting connections|Please wait|temporarily unavailable",
    re.IGNORECASE,
)
NO_CONFIGURATION = re.compile(r"lsf\.conf|ego\.conf")

# A command that cancels several jobs complains of those that are gone, among others. The last
# one is said of jobs that are being cancelled already.
GONE = ("already finished", "No matching job found", "is not found", "Operation is in progress")
# All that bjobs and bhist say of a user without jobs, with exit code 255.
NOTHING = re.compile(r"\s*(?:No (?:unfinished |matching |recent )?jobs? found\.?\s*)+")


_refusal = partial(refusal, ignores_case=True)

_FEWER = "you may not queue more jobs now: ask for fewer, or wait until some end"

# The first that fits.
REFUSALS = (
    _refusal(r"array index too large|array .*too large", "one array may not hold so many jobs; "
             "bparams -l shows MAX_JOB_ARRAY_SIZE", error=LimitReached),
    _refusal(r"pending job threshold|too many (pending )?jobs|job limit|MAX_PEND", _FEWER,
             error=LimitReached),
    _refusal(r"No such queue|cannot use queue|queue .*(closed|not (open|accept))|not permitted to "
             r"use the queue|unknown queue", "dask-hpc queues shows the queues"),
    _refusal(r"RUNLIMIT|run ?limit", "ask for a shorter walltime, or another queue; "
             "dask-hpc queues shows the limits"),
    _refusal(r"MEMLI?MI?T|memory limit", "ask for less memory, or another queue; dask-hpc queues "
             "shows the limits; bparams -a and lsf.conf tell the unit"),
    _refusal(r"processors requested|job slots|PROCLIMIT|TASKLIMIT|number of (tasks|processors)",
             "ask for fewer cores or nodes, or another queue; dask-hpc queues shows the limits"),
    _refusal(r"resource requirement", "see the -R directives of your settings; lsinfo lists the "
             "resources"),
    _refusal(r"gpu", "ask for fewer gpus, or another queue"),
    _refusal(r"project|user group", "set account="),
    _refusal(r"Bad job name", "see the name of the cluster"),
    _refusal(r"esub|eauth", "your site checks jobs when they are submitted: see its words"),
    _refusal(r"permission|not (allowed|permitted|authorized)|root",
             "may you submit from here, and as this user"),
    _refusal(r"lsf\.conf|ego\.conf", "is this a machine where bsub works"),
    _refusal(r"illegal option|invalid option|unrecognized|Usage:",
             "see the directives of your settings"),
)  # fmt: skip

# Without one of these words, it is not known whether the job was submitted.
REFUSED = re.compile(r"not submitted|request aborted|Usage:|illegal option|lsf\.conf|ego\.conf")
OTHERWISE = "see the words of bsub; dask-hpc up --dry-run prints the script"


def plain_waiting(reason: str) -> str:
    """Return why a job waits in plain words, or nothing if its reasons are not in the table."""
    return next((plain for sign, plain in WAITING if sign in reason), "")
