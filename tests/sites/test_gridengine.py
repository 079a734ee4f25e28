"""What a Grid Engine calls things is read from its own answers."""

from __future__ import annotations

import pytest

from dask_hpc.sites.gridengine import find_names

COMPLEXES = """\
#name               shortcut   type      relop requestable consumable default  urgency
#--------------------------------------------------------------------------------------
arch                a          STRING    ==    YES         NO         NONE     0
{memory}
mem_free            mf         MEMORY    <=    YES         NO         0        0
slots               s          INT       <=    YES         YES        1        1000
# >#< starts a comment but comments are not saved across edits --------
"""
H_VMEM = "h_vmem              h_vmem     MEMORY    <=    YES         YES        1G       0"
PER_JOB = "mem_req             mem_req    MEMORY    <=    YES         JOB        0        0"
GPU = "gpu                 gpu        INT       <=    YES         YES        0        0"
UNSEEN = "m_mem_free          mfree      MEMORY    <=    NO          YES        0        0"


def answers(memory: str, **rules: str) -> dict[tuple[str, ...], str]:
    found = {("qconf", "-sc"): COMPLEXES.format(memory=memory), ("qconf", "-spl"): "\n".join(rules)}
    return found | {
        ("qconf", "-sp", name): f"pe_name {name}\nallocation_rule    {rule}\nslots 999\n"
        for name, rule in rules.items()
    }


async def asked(said: dict[tuple[str, ...], str]) -> dict[str, str]:
    async def ask(argv: tuple[str, ...]) -> str:
        return said.get(argv, "")

    return await find_names(ask)


async def test_the_environment_of_one_host_is_found() -> None:
    found = await asked(answers(H_VMEM, mpi="$fill_up", rr="$round_robin", threads="$pe_slots"))
    assert found["pe"] == "threads"


@pytest.mark.parametrize(
    ("rows", "name", "per_slot"),
    [
        (H_VMEM, "h_vmem", "yes"),
        (f"{H_VMEM}\n{PER_JOB}", "mem_req", "no"),
        (f"{UNSEEN}\n{H_VMEM}", "h_vmem", "yes"),
    ],
)
async def test_the_memory_that_is_consumed_is_asked_for(
    rows: str, name: str, per_slot: str
) -> None:
    found = await asked(answers(rows))
    assert found == {"memory_resource": name, "memory_per_slot": per_slot}


async def test_gpus_are_found() -> None:
    assert await asked(answers(GPU)) == {"gpu_resource": "gpu", "gpu_per_slot": "yes"}


async def test_where_nothing_is_said_nothing_is_known() -> None:
    assert await asked({}) == {}
