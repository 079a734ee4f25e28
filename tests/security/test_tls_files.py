"""Where certificates lie, and that files which others could reach are refused."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from dask_hpc.errors import SecurityError
from dask_hpc.security.certificates import create_certificates
from dask_hpc.security.tls_files import Role, TLSFiles

if TYPE_CHECKING:
    from pathlib import Path

_NAMES = (
    *("ca.pem", "scheduler.pem", "scheduler-key.pem"),
    *("worker.pem", "worker-key.pem", "client.pem", "client-key.pem"),
)


@pytest.fixture
def files(tmp_path: Path) -> TLSFiles:
    return create_certificates(tmp_path / "tls", name="climate")


def test_every_file_has_its_name(tmp_path: Path) -> None:
    files = TLSFiles(tmp_path)
    assert tuple(path.name for path in files.all) == _NAMES
    assert files.authority == tmp_path / "ca.pem"
    assert files.certificate(Role.WORKER) == tmp_path / "worker.pem"
    assert files.key(Role.CLIENT) == tmp_path / "client-key.pem"


def test_files_that_are_ours_alone_are_fine(files: TLSFiles) -> None:
    files.check()


@pytest.mark.parametrize("name", _NAMES)
@pytest.mark.parametrize("mode", [0o640, 0o620, 0o604, 0o602])
def test_a_file_that_others_can_reach_is_refused(files: TLSFiles, name: str, mode: int) -> None:
    path = files.directory / name
    path.chmod(mode)
    with pytest.raises(SecurityError, match=f"{name} is open to others .mode 0{mode:o}") as caught:
        files.check()
    assert caught.value.hint == f"chmod go= {path}"


def test_a_directory_that_others_can_enter_is_refused(files: TLSFiles) -> None:
    files.directory.chmod(0o711)
    with pytest.raises(SecurityError, match="tls is open to others"):
        files.check()


@pytest.mark.parametrize("name", _NAMES)
def test_a_missing_file_is_refused(files: TLSFiles, name: str) -> None:
    (files.directory / name).unlink()
    with pytest.raises(SecurityError, match=f"{name} is missing"):
        files.check()


@pytest.mark.parametrize("name", _NAMES)
def test_a_symbolic_link_is_refused(files: TLSFiles, name: str) -> None:
    path = files.directory / name
    path.rename(path.with_suffix(".moved"))
    path.symlink_to(path.with_suffix(".moved"))
    with pytest.raises(SecurityError, match=f"{name} is a symbolic link"):
        files.check()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_of_somebody_else_is_refused(files: TLSFiles) -> None:
    os.chown(files.key(Role.WORKER), 65534, 65534)
    with pytest.raises(SecurityError, match="belongs to user id 65534"):
        files.check()


def test_no_secret_is_in_an_error(files: TLSFiles) -> None:
    key = files.key(Role.CLIENT)
    secret = key.read_text(encoding="utf-8").splitlines()[1]
    key.chmod(0o644)
    with pytest.raises(SecurityError) as caught:
        files.check()
    assert secret not in str(caught.value) + caught.value.hint


def test_jobs_can_import_it_with_the_standard_library_alone() -> None:
    code = (
        "import sys; import dask_hpc.security.tls_files; "
        "print({'cryptography', 'distributed', 'dask', 'msgspec'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
