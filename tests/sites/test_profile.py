"""Profiles: which there are, what they inherit, what they must not say."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dask_hpc.errors import ConfigError, SecurityError
from dask_hpc.sites import profile
from dask_hpc.sites.settings import from_keywords, from_options

if TYPE_CHECKING:
    from pathlib import Path

    from tests.sites.conftest import WriteProfile

SYSTEMS = ("htcondor", "lsf", "moab", "oar", "pbs", "sge", "slurm", "torque")


def test_the_local_queue_and_the_batch_systems_are_always_there(places: tuple[Path, ...]) -> None:
    assert profile.names(places) == tuple(sorted(("local", *SYSTEMS)))
    for name in profile.names(places):
        assert profile.find(name, places).settings.system == name
        assert profile.find(name, places).settings.description


def test_a_users_profile_lies_over_the_systems_and_that_over_ours(
    places: tuple[Path, ...],
) -> None:
    ours, system, user = places
    (system / "slurm.yaml").write_text("cores: 4\nqueue: a\naccount: b\n")
    (user / "slurm.yaml").write_text("queue: c\n")
    found = profile.find("slurm", places)
    assert found.files == (ours / "slurm.yaml", system / "slurm.yaml", user / "slurm.yaml")
    assert (found.settings.cores, found.settings.queue, found.settings.account) == (4, "c", "b")


def test_a_site_has_what_we_know_of_its_batch_system(places: tuple[Path, ...]) -> None:
    ours, system, _ = places
    (system / "alpine.yaml").write_text("system: slurm\ncores: 4\n")
    found = profile.find("alpine", places)
    assert found.files == (ours / "slurm.yaml", system / "alpine.yaml")
    assert found.settings.cores == 4
    assert "alpine" in profile.names(places)


def test_a_users_words_about_a_system_hold_for_that_site_alone(places: tuple[Path, ...]) -> None:
    _, system, user = places
    (system / "alpine.yaml").write_text("system: slurm\n")
    (user / "slurm.yaml").write_text("queue: mine\n")
    assert profile.find("alpine", places).settings.queue is None


def test_the_users_own_place_follows_the_xdg_specification(
    users: WriteProfile, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = users("alpine", "system: slurm\n")
    assert profile.find("alpine").files[-1] == path
    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert profile.user_directory() == tmp_path / ".config" / "dask-hpc"


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("slrm", "did you mean 'slurm'?"),
        ("zzz", "sites are: htcondor, local, lsf, moab, oar"),
        ("", "sites are"),
    ],
)
def test_an_unknown_site_is_refused_with_the_nearest(
    places: tuple[Path, ...], name: str, hint: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        profile.find(name, places)
    assert str(caught.value) == f"site {name!r} is unknown"
    assert caught.value.hint.startswith(hint)


@pytest.mark.parametrize(
    ("text", "line", "message", "hint"),
    [
        ("system: slurm\ncoers: 4\n", 2, "key 'coers' is unknown", "did you mean 'cores'?"),
        ("queues:\n  a:\n    max_job: 4\n", 3, "key 'queues.a.max_job' is unknown", "did you mean"),
        ("memory: 10XB\n", 1, "memory '10XB' is not an amount of memory", "write a number"),
        ("name: x\n", 1, "key 'name' does not belong in a profile", "a profile is called as its"),
        ("site: x\n", 1, "key 'site' does not belong in a profile", "a profile is called as its"),
        ("env: !!python/object/apply:os.system ['id']\n", 1, "tag 'tag:yaml.org,2002:python", "s"),
        ('prologue: |\n  a\n\nqueue: "a\\tb\\x1b"\n', 4, "queue 'a\\tb\\x1b' holds a control", "w"),
    ],
)
def test_a_mistake_in_a_profile_is_named_with_file_and_line(
    users: WriteProfile, text: str, line: int, message: str, hint: str
) -> None:
    path = users("alpine", text)
    with pytest.raises(ConfigError) as caught:
        profile.find("alpine")
    assert str(caught.value).startswith(f"{path}:{line}: {message}")
    assert caught.value.hint.startswith(hint)


def test_a_profile_that_everybody_can_write_is_refused(users: WriteProfile) -> None:
    users("alpine", "system: slurm\n").chmod(0o666)
    with pytest.raises(SecurityError, match=r"alpine.yaml can be written by everybody$"):
        profile.find("alpine")


def test_a_profile_that_cannot_be_read_is_named(users: WriteProfile) -> None:
    path = users("alpine", "")
    path.unlink()
    path.symlink_to(path.parent / "nowhere")
    with pytest.raises(ConfigError) as caught:
        profile.find("alpine")
    assert str(caught.value) == f"{path} cannot be read: No such file or directory"


def test_a_call_lies_over_the_environment_and_that_over_profiles(
    users: WriteProfile, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = users("alpine", "system: slurm\ncores: 2\nqueue: a\naccount: x\n")
    monkeypatch.setenv("DASK_HPC__QUEUE", "b")
    monkeypatch.setenv("DASK_HPC__ACCOUNT", "y")
    said = profile.site_settings("alpine", from_keywords({"account": "z"}))
    settings = said.settings
    assert (settings.cores, settings.queue, settings.account) == (2, "b", "z")
    assert said.where("cores") == f"{path}:2: cores"
    assert said.where("queue") == "DASK_HPC__QUEUE"
    assert said.where("account") == "account"


def test_a_site_must_say_its_batch_system(users: WriteProfile) -> None:
    path = users("alpine", "cores: 4\n")
    with pytest.raises(ConfigError) as caught:
        profile.site_settings("alpine")
    assert str(caught.value) == "site 'alpine' does not say its batch system"
    assert caught.value.hint == f'write "system: slurm", or another one, in {path}'


def test_an_unknown_batch_system_is_named_where_it_stands(users: WriteProfile) -> None:
    path = users("alpine", "cores: 4\nsystem: slrm\n")
    with pytest.raises(ConfigError) as caught:
        profile.site_settings("alpine")
    assert str(caught.value) == f"{path}:2: system 'slrm' is unknown"
    assert caught.value.hint == "did you mean 'slurm'?"


def test_a_call_may_say_the_site_and_the_name() -> None:
    said = profile.site_settings("local", from_options({"site": "local", "name": "x"}))
    assert said.settings.name == "x"
