"""Grid Engine's words and ours, as tables. Nothing here runs."""

from __future__ import annotations

import re

from dask_hpc.batch.model import JobState
from dask_hpc.batch.refusal import refusal
from dask_hpc.errors import LimitReached

# qstat(1) puts letters together, as in "hqw" and "dr". The first letter of this table that a state
# holds decides: what was told to go is going, whatever else it does; a hold stops no running job.
LETTERS = (
    ("E", JobState.FAILED),  # could not be started; stays in the queue until somebody deletes it
    ("d", JobState.COMPLETING),
    ("s", JobState.SUSPENDED),
    ("S", JobState.SUSPENDED),
    ("T", JobState.SUSPENDED),
    ("r", JobState.RUNNING),
    ("t", JobState.RUNNING),  # on its way to the node
    ("h", JobState.HELD),
    ("q", JobState.PENDING),
    ("w", JobState.PENDING),
    ("R", JobState.PENDING),  # alone: about to be started again
)
KNOWN_LETTERS = frozenset("EdsSTrthqwR")

# What a queue instance on a node shows that starts no jobs: qstat(1), "states".
CLOSED_LETTERS = frozenset("uEdDCSsco")

# "failed" of accounting: https://manpages.debian.org/gridengine-common/sge_status.5.en.html
RESCHEDULED = frozenset({24, 25})
LIMIT_ENFORCED = 37
SIGNALLED = frozenset({17, 100})
LOST = frozenset({18, 19, 21})
# The job ran to its end; something after it failed.
AFTERWARDS = frozenset({0, 12, 13, 14, 15, 16, 30})

FAILED = {
    1: "failed before it began, on its node",
    7: "the prolog of its node could not be started",
    8: "the prolog of its node failed",
    10: "its parallel environment could not be started",
    18: "its node, or what watched over it there, died",
    19: "its node, or what watched over it there, died",
    21: "its node did not know it: was it started anew",
    26: "its log could not be opened",
    27: "its shell is not there on the node",
    28: "its working directory is not there on the node",
    30: "its script exited with 100, which Grid Engine takes for an error of the job",
}
KILLED = "a signal killed it: it was cancelled, or killed on its node"
OUT_OF_TIME = "reached its walltime"
OUT_OF_MEMORY = "needed more memory than it asked for"


def _why(words: str, sentence: str) -> tuple[re.Pattern[str], str]:
    return re.compile(words), sentence


# src/libs/sched/msg_schedd.h; the first that fits.
PLAIN = (
    _why(
        r"can't open output file", "its log cannot be written on the node: is the directory there"
    ),
    _why(
        r"can't chdir|changing (in)?to working dir",
        "its working directory is not there on the node",
    ),
    _why(r"exit_status of job start = 100", FAILED[30]),
    _why(r"searching requested shell|shell .*not found", FAILED[27]),
    _why(
        r"[Jj]ob is in error state|dropped because of error state",
        "could not be started: qdel removes it, qmod -cj lets it try again",
    ),
    _why(r"[Jj]ob is in hold state|dropped because of hold", "held: qrls lets it go"),
    _why(r"job dependencies", "waits for another job to end"),
    _why(r"execution time not reached", "its earliest start is not reached"),
    _why(r"max_aj_instances|concurrency", "its array may not run more tasks at once"),
    _why(r"user limitations", "you run as many jobs as you may"),
    _why(
        r"exceeds? limit.* (in rule|resource quota)|dynamical limit",
        "a resource quota of the site is used up: qquota shows yours",
    ),
    _why(
        r"no access to PE|access list|no permission",
        "you may not use what it asks for: it will never start",
    ),
    _why(
        r"job runtime of \d+ sec",
        "asks for more time than the queue allows: ask for a shorter "
        "walltime, or for another queue",
    ),
    _why(
        r"total slots of PE|allocation rule is not suitable",
        "its parallel environment cannot hold so many cores: ask for fewer",
    ),
    _why(
        r"no matching PE|not in PE list|not of parallel type",
        "the queue does not have its parallel environment: it will never start there",
    ),
    _why(
        r"in PE .* only offers|insufficient slots|requested are not available for parallel",
        "waits for as many free cores as it asks for, on one node",
    ),
    _why(
        r"because of cluster queue",
        "asks for more than the queue allows: ask for a shorter walltime, or for another queue",
    ),
    _why(r"offers only h[clv]:slots", "waits for free cores"),
    _why(
        r"offers only .*(mem|vmem|virtual|rss)",
        "waits for memory: no node has as much free now, and perhaps none ever has",
    ),
    _why(r"offers only .*gpu", "waits for gpus"),
    _why(r"offers only", "no node has all that it asks for now, and perhaps none ever has"),
    _why(r"not contained in its hard queue list|not of type batch", "its queue has no free node"),
    _why(
        r"calendar will disable", "the queue closes before it would end: ask for a shorter walltime"
    ),
    _why(r"advance reservation", "its reservation cannot be used now"),
    _why(r"clean up of a previous run", "what is left of its last run is being cleaned up"),
    _why(r"overload", "its nodes have too much to do"),
    _why(r"because (it is|they are) full|overload or full", "waits for nodes to become free"),
    _why(r"disabled", "its queue is closed"),
    _why(r"suspended", "its queue is suspended"),
    _why(r"temporarily not available", "its nodes are down"),
)

# Where the system says nothing more (schedd_job_info is off on many sites).
WAITING = {
    JobState.PENDING: "waits for its turn: qalter -w p tells whether it can start at all",
    JobState.HELD: "held, or waits for another job: qrls lets a held one go",
    JobState.FAILED: "could not be started: qdel removes it, qmod -cj lets it try again",
}

# Words that say: not now, or: nobody knows whether.
UNAVAILABLE = (
    "commlib error",
    "unable to send message to qmaster",
    "unable to contact qmaster",
    "unable to receive message from qmaster",
    "can't connect",
    "cannot connect",
    "failed receiving gdi request",
    "Error reading answer list",
    "error getting answer",
    "got select error",
    "got send error",
    "got read error",
    "Connection refused",
    "Connection reset",
    "Connection timed out",
    "Resource temporarily unavailable",
    "receive timeout",
    "response timeout",
    "can't resolve",
    "is not responding",
    # The directory of users may fail for a moment.
    "can't get user",
    "getpwuid",
)

# A command that cancels several jobs says of each what became of it.
GONE = re.compile(
    r"does not exist|already in deletion|has (registered|deleted|marked)|not found", re.IGNORECASE
)
NOT_IN_HISTORY = re.compile(r"job (id|name|number) \S+ not found|no jobs? running since startup")
NO_ACCOUNTING = re.compile(r"(accounting\S*: No such file|no such file.*accounting)", re.IGNORECASE)


_FEWER = "you may not queue more jobs now: ask for fewer, or wait until some end"

# The first that fits; the last ones are how every refusal is told from a broken answer.
REFUSALS = (
    refusal(r"more than \d+ tasks", "one array may not hold so many jobs", error=LimitReached),
    refusal(r"only \d+ jobs are allowed|jobs? limit|too many jobs", _FEWER, error=LimitReached),
    refusal(r"unknown queue|[Qq]ueue .* does not exist|no suitable queues",
             "dask-hpc queues shows the queues"),
    refusal(r"parallel environment", "qconf -spl lists the parallel environments: the fact pe "
             "of your site names the one for the cores of one node"),
    refusal(r"unknown resource|not a memory value|is not (requestable|a \w+ value)",
             "qconf -sc lists the resources: facts of your site name those of memory and gpus"),
    refusal(r"project", "set account= to a project of yours; qconf -sprjl lists them"),
    refusal(r"not allowed to submit|access|(user|group) id",
             "ask the site whether you may submit"),
    refusal(r"object ?name|-N option", "give the cluster a name that begins with a letter"),
    refusal(r"(invalid|unknown) option|argument", "see the directives of your settings"),
    refusal(r"SGE_ROOT|initialize environment", "is this a machine where qsub works"),
    refusal(r"Unable to run job: |denied|job rejected|^qsub: |Unable to read script", ""),
)  # fmt: skip

OTHERWISE = "see the words of qsub; dask-hpc up --dry-run prints the script"


def plain_reason(reason: str, state: JobState) -> str:
    """Return why a job waits, or could not be started, in plain words; else nothing."""
    if state not in WAITING:
        return ""
    found = (sentence for pattern, sentence in PLAIN if pattern.search(reason))
    return next(found, WAITING[state])
