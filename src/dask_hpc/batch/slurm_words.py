"""Slurm's words and ours, as tables. Nothing here runs."""

from __future__ import annotations

import re

from dask_hpc.batch.model import JobState
from dask_hpc.batch.refusal import refusal
from dask_hpc.errors import LimitReached

# https://slurm.schedmd.com/job_state_codes.html
STATES = {
    "PENDING": JobState.PENDING,
    "CONFIGURING": JobState.PENDING,
    "POWER_UP_NODE": JobState.PENDING,
    "REQUEUED": JobState.PENDING,
    "REQUEUE_FED": JobState.PENDING,
    "REQUEUE_HOLD": JobState.HELD,
    "RESV_DEL_HOLD": JobState.HELD,
    "SPECIAL_EXIT": JobState.HELD,
    "RUNNING": JobState.RUNNING,
    "EXPEDITING": JobState.RUNNING,
    "RESIZING": JobState.RUNNING,
    "SIGNALING": JobState.RUNNING,
    "STAGE_OUT": JobState.RUNNING,
    "UPDATE_DB": JobState.RUNNING,
    "SUSPENDED": JobState.SUSPENDED,
    "STOPPED": JobState.SUSPENDED,
    "COMPLETING": JobState.COMPLETING,
    "COMPLETED": JobState.DONE,
    "FAILED": JobState.FAILED,
    "BOOT_FAIL": JobState.FAILED,
    "DEADLINE": JobState.FAILED,
    "LAUNCH_FAILED": JobState.FAILED,
    "RECONFIG_FAIL": JobState.FAILED,
    "OUT_OF_MEMORY": JobState.OUT_OF_MEMORY,
    "TIMEOUT": JobState.TIMED_OUT,
    "NODE_FAIL": JobState.LOST,
    "PREEMPTED": JobState.PREEMPTED,
    "CANCELLED": JobState.CANCELLED,
    # The job goes on in another cluster of the federation.
    "REVOKED": JobState.UNKNOWN,
}

# https://slurm.schedmd.com/job_reason_codes.html
WAITING = {
    "Resources": "waits for nodes to become free",
    "Priority": "other jobs are ahead of it",
    "Dependency": "waits for another job to end",
    "DependencyNeverSatisfied": "waits for a job that ended otherwise: it will never start",
    "BeginTime": "its earliest start is not reached, or it was requeued a moment ago",
    "JobHeldUser": "held by its owner: scontrol release lets it go",
    "JobHeldAdmin": "held by the administrators",
    "JobHoldMaxRequeue": "held, because it was requeued too often",
    "JobArrayTaskLimit": "its array may not run more tasks at once",
    "ReqNodeNotAvail": "its nodes are down, drained or reserved, perhaps for a maintenance "
    "that it would run into: a shorter walltime may start",
    "Reservation": "waits for its reservation",
    "ReservationDeleted": "its reservation is gone: it will never start",
    "Licenses": "waits for a license",
    "Cleaning": "what is left of its last run is being cleaned up",
    "Prolog": "its nodes are being prepared",
    "NodeDown": "a node that it needs is down",
    "BadConstraints": "no node is as it asks for: it will never start",
    "PartitionConfig": "no node of the partition has what it asks for: ask for less, "
    "or for another queue",
    "PartitionDown": "the partition is closed",
    "PartitionInactive": "the partition starts no jobs now",
    "PartitionNodeLimit": "asks for more nodes than the partition allows: ask for fewer nodes, "
    "or for another queue",
    "PartitionTimeLimit": "asks for more time than the partition allows: ask for a shorter "
    "walltime, or for another queue",
    "AccountNotAllowed": "its account may not use the partition: it will never start",
    "QOSNotAllowed": "its QOS may not be used in the partition: it will never start",
    "InvalidAccount": "its account is not valid: it will never start",
    "InvalidQOS": "its QOS is not valid: it will never start",
    "MaxMemPerLimit": "asks for more memory than a job may have: ask for less",
    "AssociationJobLimit": "your account runs as many jobs as it may",
    "AssociationResourceLimit": "your account uses as much as it may",
    "AssociationTimeLimit": "your account has used up its time",
    "QOSJobLimit": "the QOS runs as many jobs as it may",
    "QOSResourceLimit": "the QOS uses as much as it may",
    "QOSTimeLimit": "the QOS has used up its time",
    "QOSUsageThreshold": "the QOS asks for a better record of use",
    "BurstBufferResources": "waits for a burst buffer",
    "BurstBufferStageIn": "its data is being copied to the burst buffer",
    "SchedDefer": "the scheduler is busy and tries again",
    "None": "not looked at by the scheduler yet",
}

# Limits are named by a rule: AssocGrpCpuLimit, QOSMaxJobsPerUserLimit. The first that fits.
WAITING_RULES = (
    (re.compile(r"(Assoc|QOS)Max.*PerJob"), "asks for more than one job may have: ask for less"),
    (re.compile(r"(Assoc|QOS)Max\w*PerNode"), "asks for more of a node than it may: ask for less"),
    (re.compile(r"QOSMin"), "asks for less than its QOS demands"),
    (re.compile(r"AssocGrp\w*(Minutes|RunMinutes)"), "your account has used up its share of time"),
    (re.compile(r"AssocGrp"), "the jobs of your account use as much as they may together"),
    (re.compile(r"QOSGrp"), "the jobs of its QOS use as much as they may together"),
    (re.compile(r"AssocMax"), "your jobs use as much as your account allows"),
    (re.compile(r"QOSMax|MaxBillingPer"), "your jobs use as much as the QOS allows"),
    (re.compile(r"Reservation"), "its reservation cannot be used now"),
    (re.compile(r"Nodes required"), "its nodes are down, drained or reserved"),
)

ENDED = {
    "NonZeroExitCode": "its script ended with an error",
    "RaisedSignal": "a signal ended it",
    "JobLaunchFailure": "could not be launched or was killed: is the directory of its log there "
    "on the nodes, and had it enough memory",
    "TimeLimit": "reached its walltime",
    "OutOfMemory": "needed more memory than it asked for",
    "NodeDown": "its node went down",
    "NodeFail": "its node failed",
    "SystemFailure": "Slurm itself failed",
    "InactiveLimit": "was inactive for too long",
    "BadConstraints": "no node is as it asks for",
    "DeadLine": "could not end before its deadline",
    "Deadline": "could not end before its deadline",
    "ReservationDeleted": "its reservation was deleted",
    "Preempted": "had to make room for another job",
}

ENDED_STATES = {
    JobState.TIMED_OUT: "reached its walltime",
    JobState.OUT_OF_MEMORY: "needed more memory than it asked for",
    JobState.LOST: "its node failed",
    JobState.PREEMPTED: "had to make room for another job",
}

# Words on standard error that say: not now. Most are of src/common/slurm_errno.c.
UNAVAILABLE = (
    "Unable to contact slurm controller",
    "Unable to contact slurmdbd",
    "Socket timed out",
    "Connection refused",
    "Connection timed out",
    "Connection reset",
    "Communication connection failure",
    "Communications shutdown error",
    "Zero Bytes were transmitted or received",
    "Message receive failure",
    "Message send failure",
    "Slurm backup controller in standby mode",
    "Problem talking to the database",
    "Resource temporarily unavailable",
    "Too many requests",
    "Munge encode failed",
    "Munge decode failed",
    # The directory of users may fail for a moment: squeue then lists nothing, with exit code 0.
    "Invalid user:",
)

# A command that cancels several jobs complains of those that are gone, among others.
GONE = ("Invalid job id specified", "Job/step already completing or completed")

NO_ACCOUNTING = "Slurm accounting storage is disabled"


# The first line of sbatch at MaxJobCount; it then tries again by itself for two minutes.
QUEUE_FULL = "temporarily unable to accept job"

_FEWER = "you may not queue more jobs now: ask for fewer, or wait until some end"

# The first that fits. Slurm names the limit on a line of its own before the general sentence.
REFUSALS = (
    refusal(r"(Assoc|QOS)\w*Submit\w*Limit", _FEWER, error=LimitReached),
    refusal(r"MaxWall\w*|time limit is invalid", "ask for a shorter walltime, or another queue; "
             "dask-hpc queues shows the limits"),
    refusal(r"(Assoc|QOS)(Max|Min|Grp)\w+", "ask for less, or name another account or queue"),
    refusal(r"violates accounting/QOS policy", _FEWER, error=LimitReached),
    refusal(r"Invalid job array specification|array index", "one array may not hold so many jobs",
             error=LimitReached),
    refusal(rf"{QUEUE_FULL}|MaxJobCount", _FEWER, error=LimitReached),
    refusal(r"(?i)invalid partition", "dask-hpc queues shows the partitions"),
    refusal(r"not permitted to use this partition|partition is (down|inactive)|"
             r"required partition not available", "dask-hpc queues shows the partitions"),
    refusal(r"Invalid account|Invalid qos", "set account=, or directives for the QOS; "
             "sacctmgr show assoc user=$USER lists yours"),
    refusal(r"(?i)memory specification|--mem", "ask for less memory; dask-hpc queues shows what "
             "a node has"),
    refusal(r"(?i)generic resource|\bgres\b", "ask for fewer gpus, or another queue"),
    refusal(r"(node|partition) configuration (is )?not available|processors requested|Node count",
             "ask for fewer cores or nodes, or less memory; dask-hpc queues shows the limits"),
    refusal(r"feature specification", "sinfo -o %f lists the features for --constraint"),
    refusal(r"reservation", "scontrol show reservation lists the reservations"),
    refusal(r"unrecognized option|[Ii]nvalid option", "see the directives of your settings"),
    refusal(r"configuration (source|file)", "is this a machine where sbatch works"),
)  # fmt: skip

OTHERWISE = "see the words of sbatch; dask-hpc up --dry-run prints the script"


def plain_reason(reason: str, state: JobState) -> str:
    """Return the reason of a job in this state in plain words, or nothing if it has none."""
    # Slurm goes on with details: ReqNodeNotAvail, UnavailableNodes:node[1-3]
    word = reason.partition(",")[0].strip()
    if state.is_final:
        return ENDED.get(word) or ENDED_STATES.get(state, "")
    if not state.is_waiting:
        return ""
    rules = (sentence for pattern, sentence in WAITING_RULES if pattern.match(word))
    return WAITING.get(word) or next(rules, "")
