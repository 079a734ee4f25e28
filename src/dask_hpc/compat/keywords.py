"""The keywords of a job: which there are, and what they say with the configuration behind them."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dask.utils import parse_bytes
from distributed.deploy.local import nprocesses_nthreads

from dask_hpc.compat.jobqueue_config import DEFAULTS, value_of
from dask_hpc.compat.renamed import EVERYWHERE, PROJECT

if TYPE_CHECKING:
    from collections.abc import Mapping

STOCK_COMMAND = "distributed.cli.dask_worker"

COMMON = (
    "cores", "memory", "processes", "interface", "death_timeout", "local_directory", "extra",
    "worker_command", "worker_extra_args", "job_extra", "job_extra_directives", "env_extra",
    "job_script_prologue", "job_script_epilogue", "header_skip", "job_directives_skip",
    "log_directory", "shebang", "python", "job_name",
)  # fmt: skip
OF_A_CALL = ("nanny", "protocol", "security", "config_name")
_KEYS = {"job_name": "name"}  # the others are their keyword with hyphens


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a call and the configuration say together."""

    section: str
    values: Mapping[str, Any]
    nanny: bool = True
    protocol: str | None = None
    security: Any = None
    own: tuple[str, ...] = field(default=())

    def __getitem__(self, keyword: str) -> Any:
        return self.values[keyword]

    @property
    def cores(self) -> int:
        """Cores of a job."""
        return int(self.values["cores"])

    @property
    def memory(self) -> int:
        """Bytes of a job."""
        return int(parse_bytes(self.values["memory"]))

    @property
    def processes(self) -> int:
        """Worker processes of a job."""
        return int(self.values["processes"] or nprocesses_nthreads(self.cores)[0])

    @property
    def python(self) -> str:
        """What runs Python in a job: one word, or a whole prefix."""
        return str(self.values["python"] or sys.executable)

    @property
    def worker_command(self) -> str:
        """The module of the worker."""
        return str(self.values["worker_command"] or STOCK_COMMAND)


def key_of(keyword: str) -> str:
    """Return the key of the configuration that a keyword has."""
    return _KEYS.get(keyword, keyword.replace("_", "-"))


def system_of(kind: type) -> str | None:
    """Return the section that a class of jobs inherits from: that of the nearest of ours."""
    names = (vars(one).get("config_name") for one in kind.__mro__)
    return next((name for name in names if name in DEFAULTS), None)


def read_keywords(kind: type, given: Mapping[str, Any], *, own: tuple[str, ...]) -> Said:
    """Return what a job of this class is, with the configuration for what the call leaves out.

    Raises
    ------
    TypeError
        If a keyword is unknown.
    ValueError
        If the class has no configuration, or nobody says how large a job is.
    """
    for keyword in given:
        if keyword not in (*COMMON, *OF_A_CALL, *own):
            raise TypeError(
                f"{kind.__name__}.__init__() got an unexpected keyword argument {keyword!r}"
            )
    section = given.get("config_name") or config_name_of(kind)
    system = system_of(kind)
    values = {keyword: given.get(keyword) for keyword in (*COMMON, *own)}
    for keyword, value in values.items():
        if value is None:
            values[keyword] = value_of(section, system, key=key_of(keyword))
    _check_size(kind, values)
    renamed = (*EVERYWHERE, PROJECT) if {"project", "account"} <= set(own) else EVERYWHERE
    for one in renamed:
        values[one.new] = one.choose(values[one.old], values[one.new])
    return Said(
        section=section,
        values=values,
        nanny=given.get("nanny", True),
        protocol=given.get("protocol"),
        security=given.get("security"),
        own=own,
    )


def config_name_of(kind: type) -> str:
    """Return the section of the configuration that a class of jobs names.

    Raises
    ------
    ValueError
        If it names none.
    """
    name = getattr(kind, "config_name", None)
    if name is None:
        raise ValueError(
            f"The class {kind} is required to have a 'config_name' class variable.\n"
            "If you have created this class, please add a 'config_name' class variable."
        )
    return str(name)


def _check_size(kind: type, values: Mapping[str, Any]) -> None:
    cores, memory = values["cores"], values["memory"]
    if cores is None or memory is None:
        cluster = kind.__name__.replace("Job", "Cluster")
        raise ValueError(
            "You must specify how much cores and memory per job you want to use, for example:\n"
            f"cluster = {cluster}(cores={cores or 8}, memory={memory or '24GB'!r})"
        )
