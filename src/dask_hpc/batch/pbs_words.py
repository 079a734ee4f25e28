"""The words of PBS and Torque and ours, as tables. Nothing here runs."""

from __future__ import annotations

import re

from dask_hpc.batch.model import JobState
from dask_hpc.batch.refusal import refusal
from dask_hpc.errors import LimitReached

# OpenPBS, man pbs_job_attributes, job_state; Torque's letters are among them. Jobs in ENDED have
# no state here: how they ended is told by their exit status.
STATES = {
    "Q": JobState.PENDING,
    "T": JobState.PENDING,
    "W": JobState.PENDING,
    "H": JobState.HELD,
    "R": JobState.RUNNING,
    "E": JobState.COMPLETING,
    "S": JobState.SUSPENDED,
    "U": JobState.SUSPENDED,
    # M: the job goes on at another server, which nobody asks.
}
ENDED = frozenset("FXC")  # finished, finished element of an array, Torque's completed

# What a job used too much of, in the comment of PBS and in the exit status of both.
EXCEEDED = {
    "walltime": JobState.TIMED_OUT,
    "mem": JobState.OUT_OF_MEMORY,
    "vmem": JobState.OUT_OF_MEMORY,
    "pmem": JobState.OUT_OF_MEMORY,
    "pvmem": JobState.OUT_OF_MEMORY,
}
# OpenPBS, src/include/job.h, JOB_EXEC_*: what is not here and below 0 could not be started.
PBS_CODES = {
    -4: JobState.LOST,
    -5: JobState.LOST,
    -6: JobState.LOST,
    -20: JobState.LOST,
    -26: JobState.OUT_OF_MEMORY,
    -27: JobState.OUT_OF_MEMORY,
    -29: JobState.TIMED_OUT,
}
# Torque, src/include/job.h, JOB_EXEC_*. The same numbers mean something else in PBS.
TORQUE_CODES = {
    -4: JobState.LOST,
    -5: JobState.LOST,
    -6: JobState.LOST,
    -10: JobState.OUT_OF_MEMORY,
    -11: JobState.TIMED_OUT,
}
# Substates of jobs that ended without an exit status.
CANCELLED, FINISHED, FAILED = "91", "92", "93"

HOLDS = {
    "u": "held by you: qrls lets it go",
    "o": "held by an operator: ask who runs the system",
    "s": "held by the system: a job that it depends on, or too many failed starts",
    "p": "held because the password of its user is not valid",
}

_LESS = "ask for less, or for another queue"


def _why(pattern: str, sentence: str) -> tuple[re.Pattern[str], str]:
    return re.compile(pattern), sentence


# What the schedulers write into the comment of a waiting job: OpenPBS,
# src/scheduler/job_info.cpp; Torque, src/scheduler.cc. The first that fits.
WAITING = (
    _why(r"Execution_Time", "waits for the time at which it may start"),
    _why(r"Can Never Run", f"it will never start: {_LESS}"),
    _why(r"Not enough total nodes", f"there are not so many nodes: it will never start; {_LESS}"),
    _why(r"largest placement set", f"too large for every group of nodes: {_LESS}"),
    _why(r"limit (has been )?reached on resource|limit on resource",
         "jobs of you, your group, your project or the queue use as much as they may together"),
    _why(r"queue resource", "jobs of the queue use as much as they may together"),
    _why(r"server resource", "all jobs together use as much as they may"),
    _why(r"Insufficient amount of resource",
         "no node has so much free now; if no node has so much at all, it never starts"),
    _why(r"[Uu]ser.*limit", "you run as many jobs as you may"),
    _why(r"[Gg]roup.*limit", "your group runs as many jobs as it may"),
    _why(r"[Pp]roject.*limit", "your project runs as many jobs as it may"),
    _why(r"concurrent running subjobs", "its array may not run more jobs at once"),
    _why(r"job limit|run(ning)? limit", "the queue or its nodes run as many jobs as they may"),
    _why(r"[Qq]ueue not started", "the queue starts no jobs now"),
    _why(r"[Qq]ueue not an execution queue", "waits for a queue that runs jobs"),
    _why(r"top job", "jobs of higher priority start first"),
    _why(r"strict sorted order|starving", "jobs of higher priority start first"),
    _why(r"reservation", "its nodes are reserved: a shorter walltime may start"),
    _why(r"[Dd]edicated [Tt]ime", "it would run into a maintenance: a shorter walltime may start"),
    _why(r"prime", "waits for the hours in which its queue runs"),
    _why(r"shares|mission share", "your share of the machine is used up"),
    _why(r"threshold", "its priority is too low to start"),
    _why(r"[Nn]ode is (in an ineligible|of an ineligible)|Nodes not available",
         "its nodes are down, drained or not for it"),
    _why(r"Not enough (free nodes|of the right type of nodes)|No available resources|Too few free|"
         r"node is in use|pack placement", "waits for nodes to become free"),
    _why(r"does not exist", "asks for something that does not exist: it will never start"),
    _why(r"Failed to run", "its last start failed: the system tries again"),
    _why(r"PBS license|provision", "its nodes are being prepared"),
    _why(r"Draining system", "the system is being emptied for a job that waited for long"),
)  # fmt: skip

ENDED_STATES = {
    JobState.TIMED_OUT: "reached its walltime",
    JobState.OUT_OF_MEMORY: "needed more memory than it asked for",
    JobState.LOST: "its node failed",
}

# Words on standard error that say: not now.
UNAVAILABLE = (
    "cannot connect to server",
    "Couldn't connect to cluster",
    "Unable to communicate with",
    "Cannot connect to specified server",
    "could not connect to trqauthd",
    "Connection refused",
    "Connection timed out",
    "Connection reset",
    "End of File",
    "Premature end of message",
    "Server shutting down",
    "connection table full",
    "server internal error",
    "System error",
    "Server could not connect to MOM",
    "Resource temporarily unavailable",
    "Invalid credential",
    "Expired credential",
    # Moab's
    "lost connection to server",
    "cannot request service",
)
# Nobody answers because nobody is named: asking again does not help.
NOT_SET_UP = "pbsconf error"

# A job that a command was to cancel, and that is over or about to be.
GONE = (
    "Unknown Job Id",
    "nonexistent job id",
    "Job has finished",
    "finished array subjob",
    "Request invalid for state of job",
)
# What a query for several jobs says of some of them.
FORGOTTEN = ("Unknown Job Id", "Job has finished", "not configured to maintain job history")


_FEWER = "you may not queue more jobs now: ask for fewer, or wait until some end"
_QUEUES = "dask-hpc queues shows the queues and their limits"

# The first that fits. OpenPBS, src/lib/Liblog/pbs_messages.c; Torque, src/include/pbs_error_db.h.
REFUSALS = (
    refusal(r"would exceed .*limit on resource", f"ask for less: {_QUEUES}"),
    refusal(r"would exceed .*limit|Maximum number of jobs", _FEWER, error=LimitReached),
    refusal(r"Array job exceeds|Bad Job Array Request|array size too large",
             "one array may not hold so many jobs", error=LimitReached),
    refusal(r"violates queue and/or server resource limits|exceeds queue resource limits|"
             r"Resource limit exceeds",
             f"ask for less memory, fewer cores or nodes, or a shorter walltime: {_QUEUES}"),
    refusal(r"Unknown queue|No default queue", _QUEUES),
    refusal(r"Queue is not enabled|Access to queue is denied|rejected by all possible",
             f"name another queue: {_QUEUES}"),
    refusal(r"Invalid Account|[Ii]nvalid account|project", "set account=, or directives"),
    refusal(r"Unknown resource", "see the directives of your settings; a site may count gpus "
             "under another name: then set gpus to 0 and name them in directives"),
    refusal(r"Illegal attribute or resource value|cannot be used with|illegal -\w value|"
             r"directive error|invalid option|usage: ", "see the directives of your settings; "
             "dask-hpc up --dry-run prints the script"),
    refusal(r"Bad UID|can not be run as root", "jobs are not taken from this user: "
             "root may not submit"),
    refusal(r"pbsconf error|pbs_default", "is this a machine where qsub works"),
)  # fmt: skip

OTHERWISE = "see the words of the command; dask-hpc up --dry-run prints the script"


def plain_reason(reason: str, state: JobState, *, holds: str = "") -> str:
    """Return the reason of a job in this state in plain words, or nothing if it has none.

    ``holds`` are the letters of its holds.
    """
    if state.is_final:
        return ENDED_STATES.get(state, "")
    if not state.is_waiting:
        return ""
    held = [HOLDS[letter] for letter in holds if letter in HOLDS]
    if state is JobState.HELD and held:
        return held[0]
    return next((sentence for pattern, sentence in WAITING if pattern.search(reason)), "")
