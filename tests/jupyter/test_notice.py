"""What JupyterLab says before its job ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import dask_hpc
from dask_hpc.jupyter.notice import notice_of

ENDS = 1_800_000_000.0
LONGEST = 140  # characters that JupyterLab shows
NAME = "a" * 40


def kind(left: float, *, begun: float = ENDS - 7200) -> str | None:
    found = notice_of("rain", ends=ENDS, begun=begun, now=ENDS - left)
    return found.kind if found else None


@pytest.mark.parametrize(
    ("left", "said"),
    [(1801, None), (1800, "warning"), (301, "warning"), (300, "error"), (1, "error"), (0, None)],
)
def test_it_warns_half_an_hour_and_five_minutes_before_the_end(
    left: float, said: str | None
) -> None:
    assert kind(left) == said


def test_a_short_job_is_not_near_its_end_from_the_start() -> None:
    begun = ENDS - 600
    assert kind(600, begun=begun) is None
    assert kind(299, begun=begun) == "error"
    assert kind(100, begun=ENDS - 200) is None


def test_a_job_without_an_end_says_nothing() -> None:
    assert notice_of("rain", ends=None, begun=0.0, now=1.0) is None


def test_each_warning_is_another_one_and_stays_the_same() -> None:
    ids = [
        found.id
        for left in (1800, 1000, 300, 200)
        if (found := notice_of("rain", ends=ENDS, begun=0.0, now=ENDS - left))
    ]
    assert ids[0] == ids[1] != ids[2] == ids[3]
    later = notice_of("rain", ends=ENDS + 600, begun=0.0, now=ENDS)
    assert later
    assert later.id not in ids


@pytest.mark.parametrize("next_job", ["", "1234567890[17].server.example.org"])
def test_it_says_what_to_do_within_what_jupyterlab_shows(next_job: str) -> None:
    found = notice_of(NAME, ends=ENDS, begun=0.0, now=ENDS - 1790, next_job=next_job)
    assert found
    assert len(found.words) <= LONGEST
    assert found.words.startswith("Ends in 30m, kernels with it: save")
    assert (f"dask-hpc extend {NAME}" in found.words) is (not next_job)
    assert next_job in found.words


def test_the_extension_is_what_its_description_says() -> None:
    room = Path(dask_hpc.__file__).parent / "jupyter/frontend/labextensions/dask-hpc"
    build = json.loads((room / "package.json").read_text())["jupyterlab"]["_build"]
    assert (room / build["load"]).is_file()
