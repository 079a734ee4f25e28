"""Every error that dask-hpc raises on purpose.

* HPCError                      .hint: what to do next; .transient: asking again may help
  x ConfigError                 a value that a person wrote
  x BatchError                  .result: the command that failed
    + CommandMissing
    + SubmitRejected
      . LimitReached            fewer jobs, or later, may pass
    + BatchUnavailable          transient
    + UnreadableOutput
  x JobError                    .job, .state, .log_tail
    + JobFailed
    + JobLost
    + JobTimedOut
  x LaunchError
  x SoftwareError
  x ClusterError
    + ClusterNotFound
    + ClusterElsewhere          .site
    + ClusterExists
    + StartTimeout
    + ControllerUnreachable     transient
  x SessionError
    + TunnelError
  x SecurityError
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from dask_hpc.process.runner import Result


class HPCError(Exception):
    """Base class of every error raised on purpose."""

    transient: ClassVar[bool] = False

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class ConfigError(HPCError):
    """A setting, option or argument that cannot be what it is."""


class BatchError(HPCError):
    """A command of the batch system failed."""

    def __init__(self, message: str, *, result: Result | None = None, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.result = result


class CommandMissing(BatchError):
    """The program is not installed here, or not on the path."""


class SubmitRejected(BatchError):
    """The batch system refused the job for good."""


class LimitReached(SubmitRejected):
    """The user may not queue so many jobs: fewer of them, or later, may pass."""


class BatchUnavailable(BatchError):
    """The batch system did not answer; asking again may work."""

    transient = True


class UnreadableOutput(BatchError):
    """A command succeeded, but its output is not in a known form."""


class JobError(HPCError):
    """A job did not do what it was submitted for."""

    def __init__(
        self, message: str, *, job: str = "", state: str = "", log_tail: str = "", hint: str = ""
    ) -> None:
        super().__init__(message, hint=hint)
        self.job = job
        self.state = state
        self.log_tail = log_tail


class JobFailed(JobError):
    """The job ended by itself, before or without its work being done."""


class JobLost(JobError):
    """The batch system knows the job no more, and nothing says how it ended."""


class JobTimedOut(JobError):
    """The job reached the end of its walltime."""


class LaunchError(HPCError):
    """Tasks could not be started on the nodes of an allocation."""


class SoftwareError(HPCError):
    """A software environment is missing, broken or does not fit."""


class ClusterError(HPCError):
    """A cluster is not as it was asked to be."""


class ClusterNotFound(ClusterError):
    """No cluster has this name."""


class ClusterElsewhere(ClusterError):
    """The cluster is on a site that ssh reaches, and not on this machine's."""

    def __init__(self, message: str, *, site: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.site = site


class ClusterExists(ClusterError):
    """The name is in use."""


class StartTimeout(ClusterError, TimeoutError):
    """Something did not start in time."""


class ControllerUnreachable(ClusterError):
    """The cluster's record exists, but its scheduler does not answer."""

    transient = True


class SessionError(HPCError):
    """A Jupyter session is not as it was asked to be."""


class TunnelError(SessionError):
    """The way to a session is broken."""


class SecurityError(HPCError):
    """Others could read or write what must be private."""
