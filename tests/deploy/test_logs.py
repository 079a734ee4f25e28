"""Logs of a cluster."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from dask_hpc.cluster.directory import ClusterDirectory
from dask_hpc.controller.report import Decision
from dask_hpc.deploy.logs import decision_lines, job_logs

if TYPE_CHECKING:
    from pathlib import Path


def test_decisions_are_lines_with_their_time() -> None:
    decisions = [Decision(time=0.0, what="scale", why="scaled to 2 jobs")] * 2
    lines = decision_lines(decisions).splitlines()
    assert len(lines) == 2
    assert re.fullmatch(r"19(70-01-01|69-12-31) \d\d:\d\d:\d\d scale: scaled to 2 jobs", lines[0])


def test_every_file_of_a_job_is_there_with_its_end(tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    logs.mkdir()
    (logs / "b.log").write_text("\n".join(map(str, range(1000))))
    (logs / "a.log").write_bytes(b"\xff ends without a line")
    os.mkfifo(logs / "pipe")
    found = job_logs(ClusterDirectory(tmp_path))
    assert list(found) == ["a.log", "b.log"]
    assert found["b.log"].splitlines()[-1] == "999"
    assert len(found["b.log"].splitlines()) == 200
    assert found["a.log"].endswith("ends without a line")


def test_a_cluster_without_logs_has_none(tmp_path: Path) -> None:
    assert job_logs(ClusterDirectory(tmp_path)) == {}
