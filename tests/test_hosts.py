"""Which machine this is, and which process a record means."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from dask_hpc._clock import until_now
from dask_hpc._hosts import ProcessMark, host_name, is_alive, mark_of, own_mark

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process
        process.kill()


def test_the_name_of_this_machine_is_short() -> None:
    assert host_name()
    assert "." not in host_name()


def test_this_process_lives() -> None:
    assert own_mark() == mark_of(os.getpid())
    assert is_alive(own_mark()) is True


def test_a_process_lives_until_it_ends(sleeper: subprocess.Popen[bytes]) -> None:
    mark = mark_of(sleeper.pid)
    assert mark is not None
    assert (mark.host, mark.pid) == (host_name(), sleeper.pid)
    assert is_alive(mark) is True
    sleeper.kill()
    assert until_now(lambda: not is_alive(mark), 30)  # also while nobody asked for its exit code
    sleeper.wait()
    assert is_alive(mark) is False
    assert mark_of(sleeper.pid) is None


def test_another_process_with_the_same_id_is_not_it(sleeper: subprocess.Popen[bytes]) -> None:
    mark = mark_of(sleeper.pid)
    assert mark is not None
    assert is_alive(replace(mark, started=mark.started - 1)) is False


def test_a_process_of_another_machine_cannot_be_judged() -> None:
    assert is_alive(ProcessMark(host="elsewhere", pid=os.getpid(), started=1)) is None


def test_a_process_of_another_pid_namespace_cannot_be_judged() -> None:
    assert is_alive(replace(own_mark(), space="pid:[1]")) is None
    assert is_alive(replace(own_mark(), space="")) is True


def test_a_process_that_never_was_has_no_mark() -> None:
    assert mark_of(2**22 + 1) is None  # past the largest id that Linux gives


@pytest.mark.parametrize("name", [b"a) Z 1 2", b"(()", b"\xff\xfe", b"two\nlines"])
def test_a_program_may_have_any_name(tmp_path: Path, name: bytes) -> None:
    program = os.fsencode(tmp_path) + b"/" + name
    shutil.copy(b"/bin/sleep", program)
    with subprocess.Popen([program, "60"]) as process:
        mark = mark_of(process.pid)
        process.kill()
    plain = own_mark()
    assert mark is not None
    assert mark.started >= plain.started
