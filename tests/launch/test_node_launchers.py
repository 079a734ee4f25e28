"""Launchers of batch systems that cannot be here, by commands that do what is known of them."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from dask_hpc._clock import until_now
from tests import standins
from tests.launch.test_supervise import Supervised

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(standins.__file__).parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A launcher, where its command is, and the variable of a job that names its nodes."""

    launcher: str
    place: str
    nodes: str

    def environ(self, directory: Path) -> dict[str, Any]:
        path = f"{HERE / self.place}{os.pathsep}{os.environ['PATH']}"
        if self.nodes == "LSB_MCPU_HOSTS":
            return {"PATH": path, self.nodes: "node1 4 node2 4"}
        file = directory / "nodes"
        # Torque has a line for each processor, PBS one for each chunk.
        lines = 2 if self.launcher == "torque-pbsdsh" else 1
        file.write_text("node1\n" * lines + "node2\n" * lines)
        return {"PATH": path, self.nodes: str(file), "PBS_JOBID": "42.server"}


KINDS = [
    Kind(launcher="pbsdsh", place="pbs/openpbs", nodes="PBS_NODEFILE"),
    Kind(launcher="torque-pbsdsh", place="pbs/torque", nodes="PBS_NODEFILE"),
    Kind(launcher="blaunch", place="lsf", nodes="LSB_MCPU_HOSTS"),
]


@pytest.fixture(params=KINDS, ids=lambda kind: kind.launcher)
def kind(request: pytest.FixtureRequest) -> Kind:
    found: Kind = request.param
    return found


@pytest.fixture
def supervised(weird_path: Path) -> Iterator[Supervised]:
    found = Supervised(weird_path)
    yield found
    for process in found.processes:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def test_each_node_gets_the_program_and_the_environment_of_the_job(
    supervised: Supervised, kind: Kind
) -> None:
    environ: dict[str, Any] = {**kind.environ(supervised.place), "A_WORD": "it's $HOME"}
    process = supervised.start("a b", launcher=kind.launcher, **environ)
    assert process.wait(30) == 0
    for node in range(2):
        words, _, word, _ = eval((supervised.place / f"node-{node}").read_text())
        assert (words, word) == (["a b"], "it's $HOME")
    assert not (supervised.place / "node-2").exists()
    assert supervised.scripts == []


def test_the_exit_code_of_the_other_node_comes_back(supervised: Supervised, kind: Kind) -> None:
    environ = kind.environ(supervised.place)
    assert supervised.start("fail", launcher=kind.launcher, **environ).wait(30) == 3


def test_the_order_to_end_reaches_both(supervised: Supervised, kind: Kind) -> None:
    process = supervised.start("stay", launcher=kind.launcher, **kind.environ(supervised.place))
    assert supervised.has("node-0", "node-1")
    process.send_signal(signal.SIGTERM)
    assert until_now(lambda: process.poll() == 0, 20)
    assert supervised.has("heard-0-SIGTERM", "heard-1-SIGTERM")
