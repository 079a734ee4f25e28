"""What an environment holds is asked of its interpreter, and compared with ours."""

from __future__ import annotations

import sys
import venv
from typing import TYPE_CHECKING

import pytest

from dask_hpc.errors import SoftwareError
from dask_hpc.software.contents import Contents, check, here, look

if TYPE_CHECKING:
    from pathlib import Path

OURS = Contents(python=(3, 11), packages={"distributed": "2026.8.0", "dask": "2026.8.0"})


def test_this_environment_says_of_itself_what_it_is() -> None:
    assert look(sys.executable) == here()
    assert here().python == sys.version_info[:2]
    assert "distributed" in here().packages


def test_an_environment_without_distributed_cannot_have_workers(tmp_path: Path) -> None:
    venv.create(tmp_path / "bare", symlinks=True)
    python = str(tmp_path / "bare" / "bin" / "python")
    with pytest.raises(SoftwareError, match="has no distributed") as caught:
        check(python, look(python), client=here())
    assert caught.value.hint.startswith(f"{python} -m pip install distributed")


def test_the_same_environment_differs_in_nothing() -> None:
    assert check("python", OURS, client=OURS) == ()


def test_differences_are_named() -> None:
    other = Contents(python=(3, 12), packages={"distributed": "2025.1.0"})
    assert check("python", other, client=OURS) == (
        "Python 3.12, here 3.11",
        "distributed 2025.1.0, here 2026.8.0",
        "dask missing, here 2026.8.0",
    )


def test_a_python_that_is_too_old_is_refused() -> None:
    with pytest.raises(SoftwareError, match=r"is Python 3.6; workers need 3.11"):
        check("python", Contents(python=(3, 6), packages={}), client=OURS)


@pytest.mark.parametrize("text", ["exit 3", "echo alas >&2; exit 1", "echo no json"])
def test_an_interpreter_that_does_not_work_is_said(text: str, tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    python.chmod(0o755)
    with pytest.raises(SoftwareError, match="does not say what it holds"):
        look(str(python))
