"""What is here: batch systems that answer, the profile that fits, and why it is the one to take."""

from __future__ import annotations

import asyncio
import os
import re
import socket
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from dask_hpc import plugins
from dask_hpc.errors import BatchError, CommandMissing
from dask_hpc.process.runner import Command
from dask_hpc.sites import gridengine, profile

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dask_hpc.process.runner import Runner
    from dask_hpc.sites.settings import Recognise

_DEADLINE = 10.0
_SHORTLY = 2.0  # for what is worth no longer wait
LOCAL = "local"


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """A command that tells which batch system is installed; its answer holds the version."""

    system: str
    argv: tuple[str, ...]
    answer: re.Pattern[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a probe's command said; nothing if it did not end in time."""

    text: str = ""
    installed: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """Something that an installation may lack, and a command that says so.

    It is absent if the command's answer holds ``absent``, or lacks ``present``.
    """

    name: str
    argv: tuple[str, ...]
    absent: re.Pattern[str] | None = None
    present: re.Pattern[str] | None = None

    def read(self, answer: Answer) -> str:
        """Return ``yes`` or ``no``; a command that hangs says nothing against it."""
        text = answer.text
        lacks = (self.absent and self.absent.search(text)) or (
            text and self.present and not self.present.search(text)
        )
        return "no" if lacks or not answer.installed else "yes"


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """A word that an installation has its own of, and a command that says it."""

    name: str
    argv: tuple[str, ...]
    answer: re.Pattern[str]

    def read(self, answer: Answer) -> str:
        """Return the word; nothing if it is not said."""
        match = self.answer.search(answer.text)
        return match[1] if match else ""


# In the order in which they are taken if several are found. Sites keep wrappers with the names of
# an old system in front of a new one: Slurm brings qsub and qstat, so it is asked first.
PROBES = (
    Probe(system="slurm", argv=("sinfo", "--version"), answer=re.compile(r"slurm\S*\s+(\d\S*)")),
    Probe(system="pbs", argv=("qstat", "--version"), answer=re.compile(r"pbs_version = (\S+)")),
    Probe(
        system="torque", argv=("qstat", "--version"), answer=re.compile(r"^Version: (\S+)", re.M)
    ),
    Probe(system="lsf", argv=("bsub", "-V"), answer=re.compile(r"(?i:lsf|openlava)\D*(\d[\w.]*)")),
    Probe(
        system="sge",
        argv=("qconf", "-help"),
        answer=re.compile(r"^(?:SGE|GE|OGS/GE|UGE|AGE|OCS|GCS)\S* (\S+)", re.M),
    ),
    Probe(system="oar", argv=("oarsub", "--version"), answer=re.compile(r"OAR\D*(\d\S*)")),
    Probe(
        system="htcondor",
        argv=("condor_version",),
        answer=re.compile(r"\$CondorVersion: (\S+)"),
    ),
)
# What a dialect must know beyond the version: the command, and what it says where there is none.
_SERVER = ("qstat", "-B", "-f")
_DEFAULT_QUEUE = Value(
    name="default_queue", argv=_SERVER, answer=re.compile(r"^\s*default_queue = (\S+)", re.M)
)
_FACTS: Mapping[str, tuple[Feature | Value, ...]] = {
    "slurm": (
        Feature(
            name="accounting",
            argv=("sacct", "-X", "-n", "-P", "-S", "now", "-o", "JobID"),
            absent=re.compile("accounting storage is disabled"),
        ),
    ),
    "pbs": (
        Feature(name="history", argv=_SERVER, present=re.compile(r"job_history_enable = True")),
        _DEFAULT_QUEUE,
    ),
    "torque": (_DEFAULT_QUEUE,),
    "moab": (_DEFAULT_QUEUE,),
    "oar": (
        Feature(name="json", argv=("oarstat", "-J"), absent=re.compile("No Perl JSON module")),
    ),
    "lsf": (
        Feature(
            name="json",
            argv=("bjobs", "-json", "-o", "jobid"),
            absent=re.compile(r"(?i)(invalid|illegal|unknown) option|usage:"),
        ),
    ),
}
# What says the names of an installation's nodes: the network of any of them is that of all.
_NODES: Mapping[str, tuple[str, ...]] = {"slurm": ("sinfo", "-h", "-o", "%N")}
_HOST_NAME = re.compile(r"[\w.-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A batch system that is installed here."""

    system: str
    version: str
    command: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a profile may know a site by."""

    hosts: tuple[str, ...]
    environ: Mapping[str, str]
    exists: Callable[[str], bool] = field(default=lambda path: Path(path).exists())


@dataclass(frozen=True, slots=True, kw_only=True)
class Detection:
    """The site to take, with the reason, and everything that was found."""

    site: str
    reason: str
    found: tuple[Found, ...] = ()


def surroundings() -> Surroundings:
    """Return those of this process."""
    name = socket.gethostname()
    return Surroundings(hosts=(name, name.partition(".")[0]), environ=os.environ)


async def detect(
    runner: Runner,
    *,
    here: Surroundings | None = None,
    where: tuple[Path, ...] | None = None,
) -> Detection:
    """Find out which site this is.

    Raises
    ------
    ConfigError
        If a profile is wrong: it might have been the one.
    """
    found = await find_systems(runner)
    around = here or surroundings()
    fits = [
        (name, why)
        for name in _most_particular_first(where or profile.directories())
        if (why := recognised(profile.find(name, where).settings.recognise, around))
    ]
    return choose(fits, found, supported=plugins.names(plugins.BATCH_SYSTEMS))


async def find_systems(runner: Runner) -> tuple[Found, ...]:
    """Return the batch systems whose commands are here, in the order of our table."""
    asked = {probe.argv: probe for probe in PROBES}
    answers = await asyncio.gather(*(_ask(runner, argv) for argv in asked))
    texts = dict(zip(asked, answers, strict=True))
    return tuple(
        Found(system=probe.system, version=match[1], command=" ".join(probe.argv))
        for probe in PROBES
        if (match := probe.answer.search(texts[probe.argv].text))
    )


async def facts_of(system: str, runner: Runner) -> dict[str, str]:
    """Return what a batch system's dialect must know of this installation of it."""
    probes = [probe for probe in PROBES if probe.system == system]
    wanted = _FACTS.get(system, ())
    asked = [*(probe.argv for probe in probes), *dict.fromkeys(one.argv for one in wanted)]
    asking = asyncio.gather(*(_ask(runner, argv) for argv in asked))
    answers, node = await asyncio.gather(asking, _node_of(system, runner))
    texts = dict(zip(asked, answers, strict=True))
    versions = [match[1] for one in probes if (match := one.answer.search(texts[one.argv].text))]
    facts = {"version": versions[0]} if versions else {}
    facts |= {one.name: said for one in wanted if (said := one.read(texts[one.argv]))}
    if node:
        facts["node"] = node
    if system == "sge":
        facts |= await gridengine.find_names(partial(_said, runner))
    return facts


async def _said(runner: Runner, argv: tuple[str, ...]) -> str:
    return (await _ask(runner, argv)).text


async def _node_of(system: str, runner: Runner) -> str:
    if system not in _NODES:
        return ""
    return first_node((await _ask(runner, _NODES[system], seconds=_SHORTLY)).text)


def first_node(text: str) -> str:
    """Return the first name in lists of hosts as Slurm writes them, ``"n[01-04,7],gpu1"``."""
    for line in text.splitlines():
        name = re.sub(r"\[(\w+)[^]]*\]", r"\1", line.strip()).partition(",")[0]
        if _HOST_NAME.fullmatch(name):
            return name
    return ""


def recognised(wanted: Recognise, here: Surroundings) -> str:
    """Return why a profile fits this place, or nothing if it does not."""
    reasons = []
    if wanted.hosts:
        pairs = [(h, p) for p in wanted.hosts for h in here.hosts if fnmatchcase(h, p)]
        if not pairs:
            return ""
        reasons.append(f"host name {pairs[0][0]} fits {pairs[0][1]!r}")
    for name, pattern in wanted.environment.items():
        if not fnmatchcase(here.environ.get(name, ""), pattern) or name not in here.environ:
            return ""
        reasons.append(f"variable {name} fits {pattern!r}")
    for path in wanted.files:
        if not here.exists(path):
            return ""
        reasons.append(f"{path} exists")
    return " and ".join(reasons)


def choose(
    fits: list[tuple[str, str]], found: tuple[Found, ...], *, supported: tuple[str, ...]
) -> Detection:
    """Return the site to take: the first profile that fits, else the first system, else local."""
    usable = [one for one in found if one.system in supported]
    if fits:
        (site, why), *rest = fits
        also = f"; {', '.join(name for name, _ in rest)} would fit too" if rest else ""
        return Detection(site=site, reason=why + also, found=found)
    if usable:
        first = usable[0]
        others = "".join(_too(one, supported) for one in found if one is not first)
        reason = f"{first.system} {first.version} is installed here{others}"
        return Detection(site=first.system, reason=reason, found=found)
    if found:
        names = ", ".join(f"{one.system} {one.version}" for one in found)
        reason = f"no batch system that this version supports is installed here; {names} is"
        return Detection(site=LOCAL, reason=reason, found=found)
    return Detection(site=LOCAL, reason="no batch system is installed here")


def _too(one: Found, supported: tuple[str, ...]) -> str:
    unless = "" if one.system in supported else ", which this version does not support"
    return f"; {one.system} {one.version} too{unless}"


def _most_particular_first(where: tuple[Path, ...]) -> list[str]:
    names = [file.stem for place in reversed(where) for file in sorted(place.glob("*.yaml"))]
    return list(dict.fromkeys(names))


async def _ask(runner: Runner, argv: tuple[str, ...], *, seconds: float = _DEADLINE) -> Answer:
    try:
        result = await runner.run(Command(argv=argv, env={"LC_ALL": "C"}), timeout=seconds)
    except CommandMissing:
        return Answer(installed=False)
    except BatchError:
        return Answer()
    # Many print their version on standard error, and exit with an error after it.
    return Answer(text=f"{result.stdout}\n{result.stderr}")
