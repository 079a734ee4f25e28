"""Tasks that tell each other things by files: late ones, and what is left of old ones."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from dask_hpc.boot.meeting import FIRST, FileMeeting, Over
from dask_hpc.boot.ranks import Ranks

if TYPE_CHECKING:
    from pathlib import Path


def tasks(directory: Path, size: int) -> list[FileMeeting]:
    return [
        FileMeeting(
            Ranks(rank=rank, size=size, local_size=size, told_by="a test", launch="x"), directory
        )
        for rank in range(size)
    ]


def test_a_task_that_comes_when_all_is_over_is_told_so_and_is_waited_for(tmp_path: Path) -> None:
    first, second, late = tasks(tmp_path / "x", 3)
    first.tell(FIRST, "here")
    assert second.hear(FIRST, of=0, accept=bool, seconds=30) == "here"
    with ThreadPoolExecutor() as pool:
        ending = pool.submit(first.leave, last=True)
        leaving = pool.submit(second.leave, last=False)
        with pytest.raises(Over, match="task 2 came when the cluster had ended"):
            late.hear(FIRST, of=0, accept=lambda _: False, seconds=30)
        assert not ending.done()
        late.leave(last=False)
        ending.result(timeout=30)
        leaving.result(timeout=30)
    assert not first.directory.exists()


def test_what_is_left_of_a_launch_that_was_cut_off_is_not_believed(tmp_path: Path) -> None:
    first, second = tasks(tmp_path / "x", 2)
    first.tell(FIRST, "old")
    first.tell("end", "done")
    first.leave(last=True, patience=0.0)
    assert not first.directory.exists()
    first.directory.mkdir(mode=0o700)
    (first.directory / "over").touch(mode=0o600)
    first.tell(FIRST, "new")
    assert second.hear(FIRST, of=0, accept=lambda words: words == "new", seconds=30) == "new"
    assert [path.name for path in first.directory.iterdir() if path.is_file()] == [FIRST]
