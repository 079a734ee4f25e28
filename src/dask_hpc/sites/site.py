"""The front door of this room: which site it is, and everything that is known of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

import msgspec

from dask_hpc.sites.detect import LOCAL, detect, facts_of
from dask_hpc.sites.layer import Layer
from dask_hpc.sites.profile import site_settings
from dask_hpc.sites.settings import of_the_user

if TYPE_CHECKING:
    from dask_hpc.process.runner import Runner
    from dask_hpc.sites.settings import Settings, SiteSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A place where jobs can run: which one, why that one, and what its batch system needs."""

    name: str
    reason: str
    said: SiteSettings
    facts: dict[str, str] = field(default_factory=dict)

    @property
    def settings(self) -> Settings:
        """What is set for it."""
        return self.said.settings

    @property
    def system(self) -> str:
        """The name of its batch system."""
        return cast("str", self.settings.system)


async def find_site(runner: Runner, call: Layer | None = None) -> Site:
    """Return the site that a call names, else the one that is set, else the one that is detected.

    Parameters
    ----------
    runner
        Where the batch system's commands run.
    call
        What the caller says, by `from_keywords` or `from_options`; ``site`` is one of its words.

    Raises
    ------
    ConfigError
        If the site is unknown, or something that is written about it is wrong.
    """
    asked = call or Layer()
    said = asked.over(of_the_user()).get("site")
    if said is not None and said.value is not None:
        name, reason = str(said.value), f"{said.origin.spelled(('site',))} names it"
    else:
        found = await detect(runner)
        name, reason = found.site, found.reason
    settled = site_settings(name, asked)
    return Site(name=name, reason=reason, said=settled, facts=await _facts(settled, runner))


async def _facts(said: SiteSettings, runner: Runner) -> dict[str, str]:
    system = cast("str", said.settings.system)
    if system == LOCAL:
        return local_facts(said.settings)
    return {**await facts_of(system, runner), **said.settings.facts}


def local_facts(settings: Settings) -> dict[str, str]:
    """Return what is set for the local queue; the rest is the machine's or an earlier call's."""
    stated = msgspec.structs.asdict(settings.local)
    return {name: str(value) for name, value in stated.items() if value is not None}
