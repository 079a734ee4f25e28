"""OAR's words and ours, as tables. Nothing here runs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial

from dask_hpc.batch.model import JobState
from dask_hpc.batch.refusal import refusal
from dask_hpc.errors import LimitReached

# The states of the table jobs, OAR 2.5. How a job ended that is Terminated or in Error, its exit
# code or its events say.
STATES = {
    "Waiting": JobState.PENDING,
    "toAckReservation": JobState.PENDING,
    "toLaunch": JobState.PENDING,
    "Launching": JobState.PENDING,
    "Hold": JobState.HELD,
    "Running": JobState.RUNNING,
    "Suspended": JobState.SUSPENDED,
    "Resuming": JobState.SUSPENDED,
    "Finishing": JobState.COMPLETING,
    "toError": JobState.COMPLETING,
    "Terminated": JobState.DONE,
    "Error": JobState.FAILED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """What an event means for the job that it ended."""

    state: JobState
    sentence: str


# Types of events of jobs in Error, the most telling first: add_new_event in OAR's source.
ENDINGS = {
    "BESTEFFORT_KILL": Ending(
        state=JobState.PREEMPTED, sentence="had to make room for another job"
    ),
    "WALLTIME": Ending(state=JobState.TIMED_OUT, sentence="reached its walltime"),
    "WORKING_DIRECTORY": Ending(
        state=JobState.FAILED, sentence="the directory that it was submitted from is not there"
    ),
    "OUTPUT_FILES": Ending(state=JobState.FAILED, sentence="its log could not be opened"),
    "USER_SHELL": Ending(state=JobState.FAILED, sentence="your login shell does not work there"),
    "PROLOGUE_ERROR": Ending(state=JobState.LOST, sentence="its node could not be prepared"),
    "SERVER_PROLOGUE_EXIT_CODE_ERROR": Ending(
        state=JobState.LOST, sentence="its nodes could not be prepared"
    ),
    "SERVER_PROLOGUE_TIMEOUT": Ending(
        state=JobState.LOST, sentence="its nodes could not be prepared in time"
    ),
    "CPUSET_MANAGER_FILE": Ending(state=JobState.LOST, sentence="its nodes could not be prepared"),
    "CANNOT_WRITE_NODE_FILE": Ending(state=JobState.LOST, sentence="its node is broken"),
    "CANNOT_WRITE_PID_FILE": Ending(state=JobState.LOST, sentence="its node is broken"),
    "CANNOT_CREATE_TMP_DIRECTORY": Ending(state=JobState.LOST, sentence="its node is broken"),
    "SSH_TRANSFER_TIMEOUT": Ending(state=JobState.LOST, sentence="its node did not answer"),
    "LAUNCHING_OAREXEC_TIMEOUT": Ending(state=JobState.LOST, sentence="its node did not answer"),
    "BIPBIP_CHALLENGE": Ending(state=JobState.LOST, sentence="its node did not answer"),
    "EXIT_VALUE_OAREXEC": Ending(state=JobState.LOST, sentence="its node failed"),
    "EXTERMINATE_JOB": Ending(state=JobState.LOST, sentence="its node did not answer"),
}
CANCELLED = Ending(state=JobState.CANCELLED, sentence="")
ENDED_BY_OAR = Ending(state=JobState.LOST, sentence="OAR ended it: its node may have failed")
UNSAID = Ending(state=JobState.FAILED, sentence="OAR does not say why it failed")

# A request to end a job says whose it was: "User oar requested to frag the job 3".
END_REQUEST = "FRAG_JOB_REQUEST"
BY_OAR = "User oar requested"

# What the schedulers write to a job's message. The first that fits.
WAITING_RULES = (
    (re.compile(r"(?i)quota_exceeded"), "you use as much as you may"),
    (
        re.compile(r"(?i)no_matching_slot|no enough matching resources|cannot find enough"),
        "no resources as it asks for are free: fewer cores or nodes, or a shorter walltime, may do",
    ),
    (re.compile(r"(?i)container.*does not exist"), "its container is not there: it will not start"),
    (re.compile(r"(?i)container"), "waits for its container to start"),
    (re.compile(r"(?i)no enough tokens|token value"), "waits for a license"),
    (re.compile(r"(?i)dependency"), "waits for another job to end"),
    (re.compile(r"(?i)will never run"), "what it asks for cannot be: it will never start"),
    (re.compile(r"(?i)reservation"), "its reservation cannot be used now"),
    # A summary of the request, with what the scheduler computed in brackets.
    (re.compile(r"^R=\d.*\("), "waits for resources to become free"),
    (re.compile(r"^(R=\d|$)"), "not looked at by the scheduler yet"),
)
WAITS = "waits for what OAR names"
HELD = "held by its owner: oarresume lets it go"

# Words on standard error that say: not now. A failed query may end with exit code 0 after them.
UNAVAILABLE = (
    "DBI connect(",
    "DB connection error",
    "I will retry to connect to the database",
    "Cannot connect to executor",
    "Could not connect to the socket",
    "Connection refused",
    "Connection timed out",
    "could not connect to server",
    "connection to server",
    "no connection to the server",
    "server closed the connection",
    "terminating connection",
    "the database system is",
    "MySQL server has gone away",
    "Lost connection to MySQL",
    "Can't connect to",
    "Too many connections",
    "too many clients",
    "Resource temporarily unavailable",
)
NO_JSON = "No Perl JSON module"
STATEMENT_FAILED = "execute failed"

# oardel says the second of a job that it does not know, too.
GONE = ("This job was already killed", "You are not the right user")


_refusal = partial(refusal, ignores_case=True)

# The first that fits. Sites write admission rules of their own, in words of their own.
REFUSALS = (
    _refusal(r"(more than|maximum|too many|limit)\D*\d* *(waiting|running|queued|array)? *"
             r"(sub-?)?jobs", "you may not queue more jobs now: ask for fewer, or wait until some "
             "end", error=LimitReached),
    _refusal(r"root and oar users", "submit as yourself"),
    _refusal(r"there are not enough resources", "ask for fewer cores or nodes, or less memory; "
             "dask-hpc queues shows what there is"),
    _refusal(r"queue .* does not exist", "the site's documentation names its queues; without "
             "queue= it is the default one"),
    _refusal(r"bad resource request|column .* does not exist|unknown column", "oarnodes shows the "
             "properties that directives can name"),
    _refusal(r"cannot recognize", "see the directives of your settings"),
    _refusal(r"unknown job type", "see the types in the directives of your settings"),
    _refusal(r"unknown option|invalid value|requires an argument", "see the directives of your "
             "settings"),
)  # fmt: skip

OTHERWISE = "see the words of oarsub; dask-hpc up --dry-run prints the script"


def plain_waiting(message: str, state: JobState) -> str:
    """Return why a job waits in plain words."""
    if state is JobState.HELD:
        return HELD
    found = (sentence for pattern, sentence in WAITING_RULES if pattern.search(message))
    return next(found, WAITS)
