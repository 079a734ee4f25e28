"""Commands that are counted while they do what they do."""

from __future__ import annotations

import os
import subprocess
import time
from typing import TYPE_CHECKING

from benchmarks.calls import counted

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_calls_are_counted_and_passed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = tmp_path / "real"
    real.mkdir()
    for name in ("sbatch", "squeue"):
        (real / name).write_text(f'#!/bin/sh\necho {name} "$@"; exit 3\n')
        (real / name).chmod(0o755)
    path = f"{real}:{os.environ['PATH']}"
    monkeypatch.setenv("PATH", path)
    with counted(tmp_path) as calls:
        assert calls.of("sbatch") == 0
        done = subprocess.run(
            ["sbatch", "a b"], capture_output=True, text=True, check=False, timeout=10
        )
        assert (done.stdout, done.returncode) == ("sbatch a b\n", 3)
        subprocess.run(["squeue"], capture_output=True, check=False, timeout=10)
        assert (calls.of("sbatch"), calls.of("squeue"), calls.of("scancel")) == (1, 1, 0)
        assert calls.of("squeue", since=time.time() + 60) == 0
        assert calls.of("squeue", since=time.time() - 60) == 1
    assert os.environ["PATH"] == path
    assert [entry.name for entry in tmp_path.iterdir()] == ["real"]
