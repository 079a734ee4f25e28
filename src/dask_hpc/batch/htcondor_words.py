"""HTCondor's words and numbers and ours, as tables. Nothing here runs."""

from __future__ import annotations

import re
from dataclasses import dataclass

from dask_hpc.batch.model import JobState
from dask_hpc.batch.refusal import refusal
from dask_hpc.errors import LimitReached

# JobStatus: https://htcondor.readthedocs.io/en/latest/classad-attributes/job-classad-attributes.html
# 3 is removed, in the queue until its processes have ended. How a job ended that is completed,
# removed or held, its other attributes say.
STATES = {
    1: JobState.PENDING,
    2: JobState.RUNNING,
    3: JobState.COMPLETING,
    4: JobState.DONE,
    5: JobState.HELD,
    6: JobState.COMPLETING,
    7: JobState.SUSPENDED,
}
COMPLETED, REMOVED, HELD = 4, 3, 5

# Codes of jobs that wait to be released: by their owner, by submission, for their input. Held for
# any other reason, a job has failed, and the description has it removed.
WAITING_HOLDS = {
    1: "held by its owner: condor_release lets it go",
    15: "submitted on hold: condor_release lets it go",
    16: "waits for its input to be copied",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """What a hold means for the job that it ended."""

    state: JobState
    sentence: str


def _failed(sentence: str) -> Ending:
    return Ending(state=JobState.FAILED, sentence=sentence)


HOLDS = {
    3: _failed("its own policy held it"),
    4: _failed("its credential is broken"),
    6: _failed("its shell could not be started on the machine"),
    7: _failed("its log could not be opened: is its directory there"),
    8: _failed("its input could not be opened"),
    9: _failed("its log could not be opened: is its directory there"),
    10: _failed("its input could not be opened"),
    12: _failed("its output could not be copied back"),
    13: _failed("its input could not be copied"),
    14: _failed("its directory is not there on the machine"),
    21: _failed("the machine's policy held it"),
    22: _failed("its event log could not be opened"),
    26: _failed("the policy of the site held it"),
    34: _failed("used more of the machine than it asked for"),
    46: Ending(state=JobState.TIMED_OUT, sentence="reached its walltime"),
    47: Ending(state=JobState.TIMED_OUT, sentence="reached its walltime"),
}
OTHER_HOLD = _failed("HTCondor held it")
UNSAID = Ending(state=JobState.HELD, sentence="held, and HTCondor does not say why")
# HoldReasonSubCode of 21 (HTCondor 23.9, measured) and 34 (in its source).
MACHINE_HOLDS = (21, 34)
OUT_OF_MEMORY = Ending(
    state=JobState.OUT_OF_MEMORY, sentence="needed more memory than it asked for"
)
SUB_CODES = {102: OUT_OF_MEMORY, 104: _failed("needed more disk than it asked for")}

CANCELLED = Ending(state=JobState.CANCELLED, sentence="")
EVICTED = Ending(state=JobState.PREEMPTED, sentence="had to leave its machine")
BY_POLICY = "PeriodicRemove"

WAITING_RULES = (
    (
        re.compile(r"(?i)no match found"),
        "no machine that is free is as it asks for: condor_q -better-analyze says more",
    ),
    (re.compile(r"(?i)priority"), "other users are ahead of you"),
    (re.compile(r"(?i)limit|quota"), "a limit of the site is reached"),
    (re.compile(r"^$"), "not looked at by the negotiator yet"),
)
WAITS = "waits for a machine"

# Words on standard error that say: not now.
UNAVAILABLE = (
    "Can't find address of local schedd",
    "Failed to fetch ads",
    "Failed to connect",
    "communication error",
    "condor_schedd is not",
    "condor_rm: (null)",
    "Can't find address",
    "SECMAN:",
    "CEDAR:",
    "Connection refused",
    "Connection timed out",
    "timed out",
    "Failed to end classad message",
    "Failed to commit",
)

# A command that removes several jobs complains of those that are gone, among others.
GONE = re.compile(
    r"Job \d+\.\d+ (not found|already marked for removal)"
    r"|Couldn't find/remove all jobs in cluster \d+",
    re.ASCII,
)


# The first that fits.
REFUSALS = (
    refusal(r"would exceed MAX_JOBS\w*", "you may not queue more jobs now: ask for fewer, or wait "
             "until some end", error=LimitReached),
    refusal(r"Cannot allocate a cluster id", "submit as yourself, not as root"),
    refusal(r"unknown host", "condor_status -schedd names the schedds"),
    refusal(r"Executable file", "is this a machine where jobs can be submitted"),
    refusal(r"Parse error in expression|Failed to parse|on Line \d+", "see the directives of your "
             "settings; dask-hpc up --dry-run prints the description"),
    refusal(r"'[^']*' universe", "see the directives of your settings"),
    refusal(r"CONDOR_CONFIG", "is this a machine where condor_submit works"),
)  # fmt: skip

OTHERWISE = "see the words of condor_submit; dask-hpc up --dry-run prints the description"


def plain_waiting(reason: str) -> str:
    """Return why a job is idle in plain words."""
    return next((sentence for pattern, sentence in WAITING_RULES if pattern.search(reason)), WAITS)
