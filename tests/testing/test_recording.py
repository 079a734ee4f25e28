"""Recorded commands of real systems."""

from __future__ import annotations

from pathlib import Path

import pytest

from dask_hpc.testing import read_recording

RECORDINGS = Path(__file__).parents[1] / "recordings"


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "recording.txt"
    path.write_bytes(text.encode())
    return path


def test_every_part_is_read(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "# system: x\n--- file job.sh ---\n#!/bin/sh\n--- command ---\nA=1 B='x y' cmd 'a b' -c\n"
        "--- stdout ---\none\r\n\ntwo\n--- stderr ---\nalas\n--- exit code ---\n7\n",
    )
    recording = read_recording(path)
    assert recording.argv == ("cmd", "a b", "-c")
    assert recording.stdout == "one\r\n\ntwo\n"
    assert recording.stderr == "alas\n"
    assert recording.exit_code == 7
    assert recording.result.command.argv == recording.argv


def test_a_missing_newline_at_the_end_is_kept_missing(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "--- command ---\ncmd\n--- stdout ---\n{}\n[no newline at end]\n--- stderr ---\n"
        "--- exit code ---\n0\n",
    )
    assert read_recording(path).stdout == "{}"


@pytest.mark.parametrize("part", ["command", "stdout", "stderr", "exit code"])
def test_a_file_without_a_part_is_refused(part: str, tmp_path: Path) -> None:
    parts = {"command": "cmd\n", "stdout": "", "stderr": "", "exit code": "0\n"}
    del parts[part]
    text = "".join(f"--- {name} ---\n{body}" for name, body in parts.items())
    with pytest.raises(ValueError, match=part):
        read_recording(written(tmp_path, text))


@pytest.mark.parametrize(
    "path",
    sorted(RECORDINGS.rglob("*.txt")),
    ids=lambda path: path.relative_to(RECORDINGS).as_posix(),
)
def test_every_recording_can_be_read(path: Path) -> None:
    assert read_recording(path).argv
