"""Which site this is, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dask_hpc.errors import BatchUnavailable
from dask_hpc.sites.detect import (
    Detection,
    Found,
    Surroundings,
    choose,
    detect,
    facts_of,
    find_systems,
    first_node,
    recognised,
)
from dask_hpc.sites.settings import Recognise
from dask_hpc.sites.values import Lines
from dask_hpc.testing import ScriptedRunner

if TYPE_CHECKING:
    from pathlib import Path

NOWHERE = Surroundings(hosts=("laptop",), environ={}, exists=lambda _: False)
SLURM = Found(system="slurm", version="22.05.8", command="sinfo --version")
PBS = Found(system="pbs", version="23.06.06", command="qstat --version")


def machine(**answers: str) -> ScriptedRunner:
    runner = ScriptedRunner()
    for program, said in answers.items():
        runner.answer(program, stdout=said)
    return runner


@pytest.mark.parametrize(
    ("program", "said", "system", "version"),
    [
        ("sinfo", "slurm-wlm 22.05.8\n", "slurm", "22.05.8"),
        ("sinfo", "slurm 23.11.10\n", "slurm", "23.11.10"),
        ("qstat", "pbs_version = 23.06.06\n", "pbs", "23.06.06"),
        ("qstat", "Version: 7.0.0\nCommit: abc\n", "torque", "7.0.0"),
        ("bsub", "IBM Spectrum LSF Standard 10.1.0.0, Jun 15 2016\n", "lsf", "10.1.0.0"),
        ("bsub", "OpenLava Project 4.0dev4, Jan 1 2020\n", "lsf", "4.0dev4"),
        ("qconf", "SGE 8.1.9\nusage: qconf [options]\n", "sge", "8.1.9"),
        ("oarsub", "OAR version : 2.5.9\n", "oar", "2.5.9"),
        ("condor_version", "$CondorVersion: 23.9.6 2024-08-08 $\n", "htcondor", "23.9.6"),
    ],
)
async def test_a_batch_system_is_known_by_what_its_command_says(
    program: str, said: str, system: str, version: str
) -> None:
    (found,) = await find_systems(machine(**{program: said}))
    assert (found.system, found.version) == (system, version)
    assert found.command.startswith(program)


@pytest.mark.parametrize("said", ["", "usage: qstat [-f]\n", "command not supported\n"])
async def test_a_command_that_says_something_else_is_no_batch_system(said: str) -> None:
    assert await find_systems(machine(qstat=said)) == ()


async def test_a_version_may_stand_on_standard_error_beside_an_exit_code() -> None:
    runner = ScriptedRunner()
    runner.answer("qstat", stderr="Version: 6.1.2\n", exit_code=2)
    (found,) = await find_systems(runner)
    assert found.system == "torque"


async def test_a_command_that_hangs_is_no_batch_system() -> None:
    runner = machine(qstat="pbs_version = 23.06.06\n")
    runner.fail("sinfo", error=BatchUnavailable("sinfo did not end within 10 s"))
    assert [found.system for found in await find_systems(runner)] == ["pbs"]


async def test_no_batch_system_means_the_local_queue(places: tuple[Path, ...]) -> None:
    assert await detect(ScriptedRunner(), here=NOWHERE, where=places) == Detection(
        site="local", reason="no batch system is installed here"
    )


async def test_one_batch_system_is_the_one_to_take(places: tuple[Path, ...]) -> None:
    runner = machine(sinfo="slurm 23.11.10\n")
    found = await detect(runner, here=NOWHERE, where=places)
    assert (found.site, found.reason) == ("slurm", "slurm 23.11.10 is installed here")


@pytest.mark.parametrize(
    ("found", "supported", "site", "reason"),
    [
        (
            (SLURM, PBS),
            ("local", "slurm", "pbs"),
            "slurm",
            "slurm 22.05.8 is installed here; pbs 23.06.06 too",
        ),
        (
            (SLURM, PBS),
            ("local", "slurm"),
            "slurm",
            (
                "slurm 22.05.8 is installed here; pbs 23.06.06 too, "
                "which this version does not support"
            ),
        ),
        (
            (PBS,),
            ("local", "slurm"),
            "local",
            "no batch system that this version supports is installed here; pbs 23.06.06 is",
        ),
    ],
)
def test_the_others_are_named_in_the_reason(
    found: tuple[Found, ...], supported: tuple[str, ...], site: str, reason: str
) -> None:
    chosen = choose([], found, supported=supported)
    assert (chosen.site, chosen.reason, chosen.found) == (site, reason, found)


async def test_a_profile_that_fits_goes_before_a_batch_system(places: tuple[Path, ...]) -> None:
    _, system, user = places
    profile = "system: slurm\nrecognise:\n  hosts: login*\n"
    (system / "alpine.yaml").write_text(profile)
    (system / "beta.yaml").write_text(profile)
    (user / "mine.yaml").write_text(profile.replace("login*", "elsewhere"))
    here = Surroundings(hosts=("login7.example.org", "login7"), environ={})
    found = await detect(machine(sinfo="slurm 23.11.10\n"), here=here, where=places)
    assert found.site == "alpine"
    assert found.reason == "host name login7.example.org fits 'login*'; beta would fit too"
    assert [one.system for one in found.found] == ["slurm"]


async def test_a_users_profile_goes_before_the_systems(places: tuple[Path, ...]) -> None:
    _, system, user = places
    profile = "system: slurm\nrecognise:\n  hosts: login*\n"
    (system / "alpine.yaml").write_text(profile)
    (user / "mine.yaml").write_text(profile)
    here = Surroundings(hosts=("login7",), environ={})
    assert (await detect(ScriptedRunner(), here=here, where=places)).site == "mine"


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        (Recognise(), ""),
        (Recognise(hosts=Lines(["a", "log*"])), "host name login7 fits 'log*'"),
        (Recognise(hosts=Lines(["a"])), ""),
        (Recognise(environment={"HOST_SITE": "al*"}), "variable HOST_SITE fits 'al*'"),
        (Recognise(environment={"HOST_SITE": "al*", "MISSING": "*"}), ""),
        (Recognise(files=Lines(["/etc/alpine"])), "/etc/alpine exists"),
        (Recognise(files=Lines(["/etc/alpine", "/etc/beta"])), ""),
        (Recognise(hosts=Lines(["a"]), files=Lines(["/etc/alpine"])), ""),
        (
            Recognise(hosts=Lines(["login?"]), files=Lines(["/etc/alpine"])),
            "host name login7 fits 'login?' and /etc/alpine exists",
        ),
    ],
)
def test_a_site_is_recognised_if_everything_that_is_said_of_it_holds(
    wanted: Recognise, reason: str
) -> None:
    here = Surroundings(
        hosts=("login7",),
        environ={"HOST_SITE": "alpine"},
        exists=lambda path: path == "/etc/alpine",
    )
    assert recognised(wanted, here) == reason


async def test_slurm_is_asked_for_its_version_and_its_accounting() -> None:
    runner = machine(sinfo="slurm 23.11.10\n", sacct="")
    assert await facts_of("slurm", runner) == {"version": "23.11.10", "accounting": "yes"}
    assert {command.argv[0] for command in runner.commands} == {"sinfo", "sacct"}


async def test_slurm_without_accounting_says_so(recordings: Path) -> None:
    runner = machine(sinfo="slurm 23.11.10\n")
    runner.play(recordings / "slurm" / "no-accounting-sacct.txt")
    assert (await facts_of("slurm", runner))["accounting"] == "no"


async def test_slurm_without_the_command_has_no_accounting() -> None:
    assert (await facts_of("slurm", machine(sinfo="slurm 23.11.10\n")))["accounting"] == "no"


async def test_accounting_that_does_not_answer_now_may_do_so_later() -> None:
    runner = machine(sinfo="slurm 23.11.10\n")
    runner.fail("sacct", error=BatchUnavailable("sacct did not end within 10 s"))
    assert (await facts_of("slurm", runner))["accounting"] == "yes"


async def test_a_node_of_slurm_is_a_fact() -> None:
    runner = ScriptedRunner()
    runner.answer("sinfo", "-h", "-o", "%N", stdout="nid[000001-000128,000200],gpu[1-2]\n")
    runner.answer("sinfo", "--version", stdout="slurm 23.11.10\n")
    assert (await facts_of("slurm", runner))["node"] == "nid000001"
    runner = ScriptedRunner()
    runner.fail("sinfo", error=BatchUnavailable("sinfo did not end within 2 s"))
    assert "node" not in await facts_of("slurm", runner)


@pytest.mark.parametrize(
    ("text", "node"),
    [
        ("node[1-4]\n", "node1"),
        ("nid[000001-000128,000200],gpu[1-2]\n", "nid000001"),
        ("login-gpu7\nn[1-2]\n", "login-gpu7"),
        ("rack[1-2]n[01-16].cluster\n", "rack1n01.cluster"),
        ("\nslurm 23.11.10\n(null)\n", ""),
        ("", ""),
    ],
)
def test_the_first_of_a_list_of_nodes_is_found(text: str, node: str) -> None:
    assert first_node(text) == node


async def test_a_batch_system_that_we_do_not_ask_has_no_facts() -> None:
    assert await facts_of("local", ScriptedRunner()) == {}
