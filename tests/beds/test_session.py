"""What a session leaves behind is found and ended, and what it cannot start is told apart."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from typing import TYPE_CHECKING

import pytest

from dask_hpc._clock import until_now
from tests.beds.beds import CHECKOUT, SESSION_VARIABLE, BedUnavailable, SgeBed, control
from tests.beds.session import _end_jobs, end_leftovers

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import OtherUser

NAP = ["/usr/bin/env", "sleep", "997533"]


def test_a_process_that_left_its_parent_is_found_by_its_mark() -> None:
    session = uuid.uuid4().hex
    environ = {**os.environ, SESSION_VARIABLE: session, "PYTEST_CURRENT_TEST": "the culprit"}
    subprocess.run(["setsid", "-f", *NAP], env=environ, check=True, stdout=subprocess.DEVNULL)
    (said,) = end_leftovers(session, seconds=0)
    assert "started by the culprit: " in said
    assert said.endswith("sleep 997533")
    assert end_leftovers(session, seconds=0) == []


def test_a_process_that_ends_in_time_is_no_leftover() -> None:
    session = uuid.uuid4().hex
    environ = {**os.environ, SESSION_VARIABLE: session}
    subprocess.run(["setsid", "-f", "sleep", "0.1"], env=environ, check=True)
    assert end_leftovers(session, seconds=5) == []


def test_a_job_that_is_left_on_grid_engine_is_found_and_ended(sge: SgeBed) -> None:
    before = sge.jobs()
    done = sge.run("qsub", "-terse", "-N", "left", "-o", "/dev/null", stdin="sleep 997533\n")
    (said,) = _end_jobs(sge, before, 0)
    assert said.split()[0] == done.stdout.strip()
    assert " left " in said
    assert until_now(lambda: sge.jobs() == before, 20)


def test_what_cannot_work_here_differs_from_what_failed(tmp_path: Path) -> None:
    script = tmp_path / "bed.sh"
    script.write_text("#!/bin/sh\necho $1 went wrong\nexit $2\n", encoding="utf-8")
    script.chmod(0o755)
    for code, possible in ((77, False), (1, True)):
        with pytest.raises(BedUnavailable, match="start went wrong") as caught:
            control(script, "start", str(code))
        assert caught.value.possible is possible


def test_beds_say_that_they_need_root(other_user: OtherUser) -> None:
    for name in ("slurm.sh", "sshd.sh", "htcondor.sh"):
        done = other_user("/bin/bash", CHECKOUT / "tests" / "beds" / name, "start")
        assert (done.returncode, "only root" in done.stderr) == (77, True)


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="no bed is possible without root")
@pytest.mark.parametrize(("ci", "outcome"), [("", "skipped"), ("true", "error")])
def test_a_possible_bed_that_does_not_start_fails_in_ci(
    tmp_path: Path, ci: str, outcome: str
) -> None:
    blocked = tmp_path / "file"
    blocked.touch()  # no state directory can be made below it
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "tests/beds/test_slurm.py", "-k", "by_itself"],
        env={**os.environ, "CI": ci, "DASK_HPC_BEDS": str(blocked / "state")},
        capture_output=True,
        text=True,
        check=False,
        cwd=CHECKOUT,
    )
    assert f"1 {outcome}" in done.stdout.splitlines()[-1], done.stdout
