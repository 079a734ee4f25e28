from __future__ import annotations

import os
import py_compile
import resource
import stat
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dask_hpc
from dask_hpc.cluster import slot
from dask_hpc.cluster.directory import ClusterDirectory, check_name, directories, directory_of
from dask_hpc.errors import ClusterExists, ClusterNotFound, ConfigError, SecurityError

if TYPE_CHECKING:
    from collections.abc import Iterator

# Only these may import more than the standard library, in a job or on the user's side.
DASK_AND_USER = (
    *("engine", "boot", "cli", "compat", "deploy", "jupyter", "mpi.py", "sites", "testing"),
)


@contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def tree(directory: ClusterDirectory) -> dict[str, int]:
    """Return the mode of everything below a directory."""
    return {
        str(path.relative_to(directory.path)): stat.S_IMODE(path.lstat().st_mode)
        for path in (directory.path, *directory.path.rglob("*"))
    }


@pytest.fixture
def directory(home: Path) -> ClusterDirectory:
    return directory_of("climate")


# making and removing ------------------------------------------------------------------------------


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077])
def test_nobody_else_can_enter_or_read_anything(directory: ClusterDirectory, mask: int) -> None:
    with umask(mask):
        directory.create()
    modes = tree(directory)
    files = {name: mode for name, mode in modes.items() if (directory.path / name).is_file()}
    assert {mode for name, mode in modes.items() if name not in files} == {0o700}
    assert set(files.values()) == {0o600}
    for above in (directory.path.parent, directory.path.parent.parent):
        assert stat.S_IMODE(above.stat().st_mode) == 0o700


def test_the_umask_of_the_program_is_not_touched(directory: ClusterDirectory) -> None:
    with umask(0o027):
        directory.create()
        assert os.umask(0o027) == 0o027


def test_a_new_directory_has_its_rooms_and_nothing_that_exists_later(
    directory: ClusterDirectory,
) -> None:
    directory.create()
    assert sorted(path.name for path in directory.path.iterdir()) == ["jobs", "lib", "logs", "tls"]
    assert list(directory.jobs.iterdir()) == list(directory.logs.iterdir()) == []


def test_a_name_is_used_once(directory: ClusterDirectory) -> None:
    directory.create()
    directory.record.touch()
    with pytest.raises(ClusterExists, match="'climate' exists") as error:
        directory.create()
    assert "dask-hpc down climate" in error.value.hint
    assert directory.record.exists()


def test_a_removed_name_is_free_again(directory: ClusterDirectory) -> None:
    directory.create()
    (directory.tls / "key.pem").touch()
    directory.remove()
    assert not directory.path.exists()
    directory.create()


def test_what_is_gone_already_can_be_removed(directory: ClusterDirectory) -> None:
    directory.remove()
    directory.create()
    directory.tls.rmdir()
    directory.remove()
    assert not directory.path.exists()


def test_a_start_that_fails_half_way_leaves_the_name_free(directory: ClusterDirectory) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))  # stands in for a full disk
    try:
        with pytest.raises(OSError, match="too large"):
            directory.create()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not directory.path.exists()


def test_a_place_that_others_can_enter_is_refused(home: Path, directory: ClusterDirectory) -> None:
    home.chmod(0o755)
    with pytest.raises(SecurityError, match="open to others"):
        directory.create()
    assert not directory.path.exists()


def test_any_place_will_do(weird_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DASK_HPC_HOME", str(weird_path / "state"))
    directory = directory_of("climate")
    directory.create()
    directory.check()
    assert [one.path for one in directories()] == [weird_path / "state" / "clusters" / "climate"]


# checking -----------------------------------------------------------------------------------------


def test_a_cluster_that_is_not_there_is_not_found(directory: ClusterDirectory) -> None:
    with pytest.raises(ClusterNotFound, match="no cluster named 'climate'"):
        directory.check()


def test_a_directory_that_others_can_enter_is_not_trusted(directory: ClusterDirectory) -> None:
    directory.create()
    directory.check()
    directory.path.chmod(0o750)
    with pytest.raises(SecurityError):
        directory.check()


def test_a_link_is_not_trusted(directory: ClusterDirectory) -> None:
    directory.create()
    link = directory_of("link")
    link.path.symlink_to(directory.path)
    with pytest.raises(SecurityError):
        link.check()


# names --------------------------------------------------------------------------------------------


@settings(max_examples=30)
@given(name=st.from_regex(r"[a-z0-9]([a-z0-9_-]{0,38}[a-z0-9])?", fullmatch=True))
def test_a_name_of_small_letters_digits_and_dashes_is_the_directorys(name: str) -> None:
    assert check_name(name) == name
    assert directory_of(name).path.name == name


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a/b", "/etc", "a b", "A", "-a", "a-", "_a", "a.b", "a\n", "a" * 41,
             "$(id)", "a,b", "%a", "²"]
)  # fmt: skip
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="cannot be used") as error:
        directory_of(name)
    assert "as in climate-2" in error.value.hint


def test_clusters_are_found_in_the_order_of_their_names(home: Path) -> None:
    assert directories() == ()
    for name in ("b", "a", "c"):
        directory_of(name).create()
    (home / "clusters" / "note.txt").touch()
    assert [directory.path.name for directory in directories()] == ["a", "b", "c"]


# the copy of this package that jobs import --------------------------------------------------------


def test_the_copy_is_the_source_unchanged_and_whole(directory: ClusterDirectory) -> None:
    # Whole, because it hides an installation whose names the user's own modules may import.
    directory.create()
    package, copy = Path(dask_hpc.__file__).parent, directory.code / "dask_hpc"
    copied = {".py", ".yaml", ".json", ".js"}
    for path in (each for each in package.rglob("*") if each.suffix in copied):
        assert (copy / path.relative_to(package)).read_bytes() == path.read_bytes()
    kinds = {path.suffix for path in copy.rglob("*") if path.is_file()}
    assert kinds - {".pyc"} == copied


def test_jobs_compile_nothing_that_is_compiled_here(directory: ClusterDirectory) -> None:
    py_compile.compile(slot.__file__, doraise=True)
    directory.create()
    (cache,) = (directory.code / "dask_hpc/cluster/__pycache__").glob("slot.*.pyc")
    code = "import sys; sys.path.insert(0, sys.argv[1]); import dask_hpc.cluster.slot"
    python = [sys.executable, "-I", "-S", "-B", "-v", "-c", code, str(directory.code)]
    run = subprocess.run(python, capture_output=True, text=True, check=True, timeout=30)
    assert f"# {cache} matches" in run.stderr


def test_controller_and_all_below_need_the_standard_library_alone(
    directory: ClusterDirectory,
) -> None:
    directory.create()
    found = [path.relative_to(directory.code) for path in directory.code.rglob("*.py")]
    modules = [
        ".".join(path.with_suffix("").parts).removesuffix(".__init__")
        for path in found
        if path.parts[1] not in DASK_AND_USER
        and path.name not in ("__main__.py", "certificates.py", "far.py")
    ]
    assert len(modules) > 20
    code = f"import sys; sys.path.insert(0, sys.argv[1])\nimport {', '.join(sorted(modules))}"
    run = subprocess.run(
        [sys.executable, "-I", "-S", "-B", "-c", code, str(directory.code)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (run.returncode, run.stderr) == (0, "")
