"""Keywords of dask-jobqueue that have another name by now: the old ones work, with a warning."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

# As dask-jobqueue words it: people filter warnings by their text.
_STILL = (
    "You are still using it (even if only set to []; please also check config files). "
    "If you did not set {new} yet, {old} will be respected for now, "
    "but it will be removed in a future release. "
    "If you already set {new}, {old} is ignored and you can remove it."
)
_PROJECT = (
    "project has been renamed to account as this kwarg was used wit -A option. "
    "You are still using it (please also check config files). "
    "If you did not set account yet, project will be respected for now, "
    "but it will be removed in a future release. "
    "If you already set account, project is ignored and you can remove it."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Renamed:
    """One keyword under its old and its new name."""

    old: str
    new: str
    words: str = "{old} has been renamed to {new}. " + _STILL

    def choose(self, old: Any, new: Any) -> Any:
        """Return what is meant: the new one if it says anything."""
        if old is None:
            return new
        warnings.warn(
            self.words.format(old=self.old, new=self.new), FutureWarning, stacklevel=_CALLER
        )
        return new or old


_CALLER = 6  # the line that made the job, through the constructors between

EVERYWHERE = (
    Renamed(old="extra", new="worker_extra_args"),
    Renamed(old="job_extra", new="job_extra_directives"),
    Renamed(old="env_extra", new="job_script_prologue"),
    Renamed(old="header_skip", new="job_directives_skip"),
)
PROJECT = Renamed(old="project", new="account", words=_PROJECT)
