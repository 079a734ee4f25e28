"""Scratch space on the node, and what its file system is worth."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from dask_hpc._hosts import host_name
from dask_hpc.cluster.storage import checked, file_system_of, make_scratch, remark_on
from dask_hpc.errors import ConfigError

# the directory -----------------------------------------------------------------------------------


def test_scratch_space_is_private_and_new_below_the_directory_that_is_set(weird_path: Path) -> None:
    environ = {"TMPDIR": str(weird_path), "JOB": "77"}
    first, second = (
        make_scratch("$TMPDIR/dask/$JOB", spills=True, environ=environ).path for _ in range(2)
    )
    assert first != second
    assert first.parent == weird_path / "dask" / "77"
    assert stat.S_IMODE(first.stat().st_mode) == 0o700


def test_a_directory_that_is_set_and_cannot_be_used_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    place = tmp_path / "file" / "dask"
    with pytest.raises(ConfigError) as caught:
        make_scratch(str(place), spills=True, environ={"TMPDIR": str(tmp_path)})
    assert str(caught.value) == f"{place} cannot be used on {host_name()}: not a directory"
    assert "local_directory" in caught.value.hint
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_a_variable_that_is_not_set_makes_no_directory_of_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="NOWHERE is not set there"):
        make_scratch("$NOWHERE/dask", spills=True, environ={"HOME": str(tmp_path)})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("path", ["scratch", "./x", "~/scratch", ""])
def test_where_a_job_happens_to_start_is_no_place(path: str) -> None:
    with pytest.raises(ConfigError, match="is not an absolute path") as caught:
        checked(path)
    assert "write the whole path" in caught.value.hint


def test_without_a_setting_it_is_where_the_job_keeps_temporary_files(tmp_path: Path) -> None:
    scratch = make_scratch(None, spills=True, environ={"TMPDIR": str(tmp_path)})
    assert (scratch.path.parent, scratch.passed) == (tmp_path, ())


@pytest.mark.parametrize("spills", [True, False])
def test_a_place_for_temporary_files_that_is_of_another_machine_is_passed_over(
    tmp_path: Path, spills: bool
) -> None:
    (tmp_path / "file").touch()
    there = tmp_path / "file" / "x"
    scratch = make_scratch(None, spills=spills, environ={"TMPDIR": str(there)})
    scratch.path.rmdir()
    assert scratch.path.parent == Path("/tmp")
    assert scratch.passed == (f"{there} cannot be used on {host_name()}: not a directory",)


def test_an_odd_word_for_it_is_none() -> None:
    scratch = make_scratch(None, spills=True, environ={"TMPDIR": "tmp", "HOME": "/home/ada"})
    scratch.path.rmdir()
    assert scratch.path.parent == Path("/tmp")


# its file system ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["tmpfs", "ramfs"])
def test_spilling_to_memory_is_remarked_on(kind: str) -> None:
    remark = remark_on(Path("/dev/shm/x"), kind, spills=True)
    assert remark
    assert remark.text == f"/dev/shm/x is on {kind}: what workers spill there stays in memory"
    assert remark.hint == "spill: false, or a local_directory on a disk of the node"


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "lustre", "gpfs", "beegfs", "ceph", "fuse.sshfs"])
def test_spilling_over_the_network_is_remarked_on(kind: str) -> None:
    remark = remark_on(Path("/home/u"), kind, spills=True)
    assert remark
    assert remark.text.startswith(f"/home/u is on {kind}, over the network")
    assert "local_directory" in remark.hint


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs", "overlay", "zfs", ""])
def test_a_disk_is_as_it_should_be(kind: str) -> None:
    assert remark_on(Path("/tmp/x"), kind, spills=True) is None


@pytest.mark.parametrize("kind", ["tmpfs", "nfs4"])
def test_where_nothing_is_spilled_there_is_nothing_to_say(kind: str) -> None:
    assert remark_on(Path("/tmp/x"), kind, spills=False) is None


def test_the_memory_of_this_machine_is_known_as_such() -> None:
    assert file_system_of(Path("/dev/shm")) == "tmpfs"
    assert file_system_of(Path("/proc/self")) == "proc"


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
