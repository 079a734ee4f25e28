"""In which environment Slurm's commands run."""

from __future__ import annotations

from dask_hpc.process.runner import Command

# A user's defaults would change what is asked and what is answered; in a job, the variables of
# that job would be taken for the new one's. Which Slurm to talk to is the one exception.
DROP = (r"(SBATCH|SQUEUE|SACCT|SINFO|SCANCEL)_", r"SLURM_(?!CONF$)")
# The submitter's login session does not exist on the node, yet sbatch takes its variables there.
SESSION = (r"XDG_(SESSION|RUNTIME|SEAT|VTNR)", r"DBUS_")
# Only queries get these: sbatch would take LC_ALL into the job. Times become seconds since the
# epoch: https://slurm.schedmd.com/squeue.html#OPT_SLURM_TIME_FORMAT
_ENV = {"LC_ALL": "C", "SLURM_TIME_FORMAT": "%s"}


def query(*argv: str, stdin: str | None = None) -> Command:
    """Return a command that submits nothing."""
    return Command(argv=argv, stdin=stdin, env=_ENV, drop=DROP)
