"""The facts about this machine, this user and a site."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest

from dask_hpc.sites import profile
from dask_hpc.sites.doctor import SiteFacts, Trouble
from dask_hpc.sites.examine import examine, exposed
from dask_hpc.sites.settings import from_keywords
from dask_hpc.testing import ScriptedRunner

if TYPE_CHECKING:
    from pathlib import Path

    from tests.sites.conftest import WriteProfile

SLURM = from_keywords({"site": "slurm"})


def slurm_here(recordings: Path) -> ScriptedRunner:
    runner = ScriptedRunner()
    runner.answer("sinfo", "--version", stdout="slurm 22.05.8\n")
    runner.play(recordings / "slurm" / "sinfo.txt")
    return runner


def names_in(path: Path) -> list[str]:
    return [entry.name for entry in path.iterdir()]


@pytest.fixture
def open_home(home: Path) -> Path:
    home.chmod(0o755)
    return home


async def test_facts_are_those_of_this_interpreter_and_its_packages(
    home: Path, recordings: Path
) -> None:
    facts = await examine(slurm_here(recordings), SLURM)
    assert facts.python == tuple(sys.version_info[:3])
    assert facts.distributed
    assert facts.cryptography
    assert facts.open_files > 0
    assert (facts.home.path, facts.home.exists, facts.home.is_writable) == (home, True, True)
    assert facts.home.trouble is None
    assert facts.home.file_system
    assert facts.home.free > 0


async def test_the_batch_system_is_asked_for_its_queues(home: Path, recordings: Path) -> None:
    site = (await examine(slurm_here(recordings), SLURM)).site
    assert isinstance(site, SiteFacts)
    assert (site.name, site.reason, site.system) == ("slurm", "site names it", "slurm")
    assert [queue.name for queue in site.queues] == ["batch", "debug", "preempt", "scavenge"]
    assert names_in(home) == []


@pytest.mark.usefixtures("home")
async def test_a_batch_system_that_is_not_there_is_a_fact() -> None:
    site = (await examine(ScriptedRunner(), SLURM)).site
    assert isinstance(site, SiteFacts)
    assert site.trouble
    assert site.trouble.text == "sinfo is not installed"


@pytest.mark.usefixtures("home")
async def test_a_site_that_cannot_be_used_is_a_fact() -> None:
    site = (await examine(ScriptedRunner(), from_keywords({"site": "slrm"}))).site
    assert site == Trouble(text="site 'slrm' is unknown", hint="did you mean 'slurm'?")


@pytest.mark.usefixtures("home")
async def test_every_profile_is_looked_at(users: WriteProfile, recordings: Path) -> None:
    good, bad = users("good", "system: slurm\n"), users("bad", "coers: 3\n")
    ignored = good.with_suffix(".yml")
    ignored.write_text("")
    facts = await examine(slurm_here(recordings), SLURM)
    assert facts.profiles == len(profile.names())  # ours, and these two
    assert {"good", "bad"} < set(profile.names())
    assert facts.bad_profiles == (
        Trouble(text=f"{bad}:1: key 'coers' is unknown", hint="did you mean 'cores'?"),
    )
    assert facts.ignored_profiles == (ignored,)


async def test_a_home_that_is_missing_is_judged_by_what_is_above_it(
    home: Path, monkeypatch: pytest.MonkeyPatch, recordings: Path
) -> None:
    monkeypatch.setenv("DASK_HPC_HOME", str(home / "a" / "b"))
    found = (await examine(slurm_here(recordings), SLURM)).home
    assert (found.path, found.exists, found.is_writable) == (home / "a" / "b", False, True)
    assert not (home / "a").exists()


async def test_a_home_that_others_can_enter_is_a_fact(open_home: Path, recordings: Path) -> None:
    found = (await examine(slurm_here(recordings), SLURM)).home
    assert found.trouble == Trouble(
        text=f"{open_home} is open to others (mode 0755)", hint=f"chmod go= {open_home}"
    )


async def test_clusters_that_are_open_or_without_a_record_are_facts(
    home: Path, recordings: Path
) -> None:
    for name, mode in (("open", 0o755), ("closed", 0o700)):
        (home / "clusters" / name).mkdir(parents=True)
        (home / "clusters" / name).chmod(mode)
    (home / "clusters" / "closed" / "record.json").write_text("{}")
    facts = await examine(slurm_here(recordings), SLURM)
    assert facts.leftovers == (home / "clusters" / "open",)
    assert [trouble.text for trouble in facts.exposed] == [
        f"{home / 'clusters' / 'open'} is open to others (mode 0755)"
    ]


def test_a_closed_directory_closes_what_is_below_it(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    (tmp_path / "log").write_text("")
    (tmp_path / "log").chmod(0o644)
    assert list(exposed(tmp_path)) == []


def test_an_open_directory_is_looked_through(weird_path: Path) -> None:
    weird_path.chmod(0o755)
    for name, mode in (("key.pem", 0o644), ("cert.pem", 0o600)):
        (weird_path / name).write_text("")
        (weird_path / name).chmod(mode)
    (weird_path / "link").symlink_to("/etc/passwd")
    assert [trouble.text for trouble in exposed(weird_path)] == [
        f"{weird_path} is open to others (mode 0755)",
        f"{weird_path / 'key.pem'} is open to others (mode 0644)",
    ]


def test_a_directory_that_goes_away_is_nothing(tmp_path: Path) -> None:
    assert list(exposed(tmp_path / "gone")) == []


# network and scratch space -----------------------------------------------------------------------


async def places(runner: ScriptedRunner, **settings: Any) -> SiteFacts:
    found = (await examine(runner, from_keywords(settings))).site
    assert isinstance(found, SiteFacts)
    return found


@pytest.mark.usefixtures("home")
async def test_jobs_on_this_machine_need_no_network(tmp_path: Path) -> None:
    found = await places(ScriptedRunner(), site="local")
    assert found.network == ""
    found = await places(ScriptedRunner(), site="local", interface="lo")
    assert found.network == "lo 127.0.0.1: the site names it"


@pytest.mark.usefixtures("home")
async def test_elsewhere_the_address_of_a_scheduler_here_is_a_fact(recordings: Path) -> None:
    found = await places(slurm_here(recordings), site="slurm")
    assert isinstance(found.network, str)
    address, _, why = found.network.partition(": ")
    assert len(address.split()) == 2
    assert why


@pytest.mark.usefixtures("home")
async def test_an_interface_that_is_not_here_is_a_fact(recordings: Path) -> None:
    runner = slurm_here(recordings)
    found = await places(runner, site="slurm", interface="lo", scheduler_interface="ib7")
    assert isinstance(found.network, Trouble)
    assert "has no network interface 'ib7'" in found.network.text
    assert found.network.hint.endswith("else set scheduler_interface")


@pytest.mark.usefixtures("home")
async def test_spilling_to_the_memory_of_this_machine_is_a_fact() -> None:
    found = await places(ScriptedRunner(), site="local", local_directory="/dev/shm")
    assert found.scratch
    assert found.scratch.text.startswith("/dev/shm is on tmpfs: what workers spill there")
    found = await places(ScriptedRunner(), site="local", local_directory="/dev/shm", spill=False)
    assert found.scratch is None


@pytest.mark.usefixtures("home")
async def test_a_variable_that_jobs_on_this_machine_do_not_have_is_a_fact() -> None:
    found = await places(ScriptedRunner(), site="local", local_directory="$NO_SUCH_SCRATCH")
    assert found.scratch
    assert "NO_SUCH_SCRATCH is not set" in found.scratch.text


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("directory", ["$NO_SUCH_SCRATCH", "/dev/shm", "/no/such/place", None])
async def test_what_nodes_may_have_otherwise_is_none(
    recordings: Path, directory: str | None
) -> None:
    keywords = {"local_directory": directory} if directory else {}
    found = await places(slurm_here(recordings), site="slurm", **keywords)
    assert found.scratch is None
