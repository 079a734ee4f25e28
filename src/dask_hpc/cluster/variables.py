"""Variables in what a person wrote, to be expanded where a job runs."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from dask_hpc._hosts import host_name
from dask_hpc.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

_VARIABLE = re.compile(r"\$(?:(\w+)|\{([^}]*)\})")
# Those that sites set to directories of a job on its node.
_OF_JOBS = re.compile(r"(?i)(TMP|TEMP|SCRATCH|LOCAL|JOBFS).*")


def expand(text: str, environ: Mapping[str, str] = os.environ, *, setting: str) -> str:
    """Return a setting with its variables, ``$NAME`` or ``${NAME}``, replaced by their values.

    Raises
    ------
    ConfigError
        If one of them is not set, or empty, where this runs.
    """

    def value(match: re.Match[str]) -> str:
        name = match[1] or match[2]
        if found := environ.get(name):
            return found
        raise ConfigError(
            f"{setting} {text!r} cannot be used on {host_name()}: {name} is not set there",
            hint=_hint(environ),
        )

    return _VARIABLE.sub(value, text)


def _hint(environ: Mapping[str, str]) -> str:
    known = [name for name in environ if re.search(_OF_JOBS, name) and environ[name][:1] == "/"]
    if known:
        return f"set there are {', '.join(f'{name}={environ[name]}' for name in sorted(known))}"
    return "variables are those of the job: its batch system, prologue and environment set them"
