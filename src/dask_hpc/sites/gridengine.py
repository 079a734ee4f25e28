"""What a Grid Engine calls its parallel environments and resources: every site chooses its own."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

# Of those that are consumed, the one whose name says most clearly that it is memory to be used.
_MEMORY = ("m_mem_free", "mem_req", "mem_free", "h_vmem", "virtual_free")
_GPU = ("gpu", "gpus", "ngpus", "nvidia")
_MOST = 32  # parallel environments that are looked at
_PER_SLOT = "YES"  # JOB: for the job as a whole


async def find_names(ask: Callable[[tuple[str, ...]], Awaitable[str]]) -> dict[str, str]:
    """Return the facts that Grid Engine's dialect needs, as far as qconf says them.

    Parameters
    ----------
    ask
        Runs a command and returns what it said, nothing if it failed.
    """
    names, resources = await asyncio.gather(ask(("qconf", "-spl")), ask(("qconf", "-sc")))
    environments = names.split()[:_MOST]
    rules = await asyncio.gather(*(ask(("qconf", "-sp", name)) for name in environments))
    facts = dict(_resource_facts(resources))
    on_one_host = [n for n, rule in zip(environments, rules, strict=True) if _is_one_host(rule)]
    if on_one_host:
        facts["pe"] = on_one_host[0]
    return facts


def _is_one_host(text: str) -> bool:
    return any(line.split() == ["allocation_rule", "$pe_slots"] for line in text.splitlines())


def _resource_facts(text: str) -> Iterator[tuple[str, str]]:
    rows = [line.split() for line in text.splitlines() if not line.startswith("#")]
    # name, shortcut, type, relation, requestable, consumable, default, urgency
    found = {row[0]: row for row in rows if len(row) == 8 and row[4] != "NO" and row[5] != "NO"}
    for key, candidates in (("memory", _MEMORY), ("gpu", _GPU)):
        if name := next((name for name in candidates if name in found), None):
            yield f"{key}_resource", name
            yield f"{key}_per_slot", "yes" if found[name][5] == _PER_SLOT else "no"
