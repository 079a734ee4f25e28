"""The facts about this machine, this user and a site."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dask_hpc.sites.doctor import SiteFacts, Trouble
from dask_hpc.sites.examine import examine, exposed, file_system_of
from dask_hpc.sites.settings import from_keywords
from dask_hpc.testing import ScriptedRunner

if TYPE_CHECKING:
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
    assert facts.profiles == 4
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


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/home/u/x", "nfs4"),
        ("/home", "nfs4"),
        ("/homes", "ext4"),
        ("/a b/c", "lustre"),
        ("/t", "xfs"),
    ],
)
def test_a_file_system_is_that_of_the_nearest_mount(tmp_path: Path, path: str, kind: str) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(
        "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
        "30 22 0:50 / /home rw,relatime shared:2 - nfs4 server:/home rw,vers=4.2\n"
        "31 22 0:51 / /a\\040b rw - lustre 10.0.0.1@tcp:/fs rw\n"
        "32 22 0:52 / /t rw - tmpfs tmpfs rw\n"
        "33 32 0:53 / /t rw - xfs /dev/sdb rw\n"
    )
    assert file_system_of(Path(path), mounts) == kind


def test_a_machine_without_that_list_has_unknown_file_systems(tmp_path: Path) -> None:
    assert file_system_of(tmp_path, tmp_path / "nowhere") == ""
