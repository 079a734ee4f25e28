"""A program is run on every node: started here by the local launcher, in real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from dask_hpc._clock import until_now

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

REPORT = """
import os, signal, sys, time
place, (_, node, _, began) = sys.argv[1], sys.argv[-4:]
def leave(number, frame):
    open(f"{place}/heard-{node}-{signal.Signals(number).name}", "w").close()
    raise SystemExit(0)
signal.signal(signal.SIGTERM, leave)
signal.signal(signal.SIGUSR1, leave)
with open(f"{place}/node-{node}", "w") as stream:
    stream.write(repr((sys.argv[2:-4], began, os.environ.get("A_WORD"), os.environ.get("TMPDIR"))))
if "stay" in sys.argv:
    time.sleep(60)
raise SystemExit(3 if "fail" in sys.argv and node == "1" else 0)
"""


class Supervised:
    """A supervisor in a process of its own."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.processes: list[subprocess.Popen[str]] = []

    def start(
        self, *words: str, launcher: str = "local", nodes: int = 2, **environ: str
    ) -> subprocess.Popen[str]:
        size = ("--nodes", str(nodes), "--cores", "1", "--scripts", str(self.place))
        module = ("-m", "dask_hpc.launch.supervise", "--launcher", launcher, *size, "--")
        program = (sys.executable, "-c", REPORT, str(self.place), *words)
        process = subprocess.Popen(
            [sys.executable, *module, *program],
            env={**os.environ, **environ},
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.processes.append(process)
        return process

    def has(self, *names: str) -> bool:
        return until_now(lambda: all((self.place / name).exists() for name in names), 20)

    @property
    def scripts(self) -> list[Path]:
        return list(self.place.glob("*.task"))


@pytest.fixture
def supervised(weird_path: Path) -> Iterator[Supervised]:
    found = Supervised(weird_path)
    yield found
    for process in found.processes:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def test_each_node_gets_the_program_with_its_number(supervised: Supervised) -> None:
    words = ("it's", "a $HOME `id`", "")
    process = supervised.start(*words, nodes=3, A_WORD='"quoted" $PATH\nand more', TMPDIR="/mine")
    assert process.wait(30) == 0
    begins = set()
    for node in range(3):
        argv, began, word, _ = eval((supervised.place / f"node-{node}").read_text())
        assert argv == list(words)
        begins.add(float(began))
        assert word == '"quoted" $PATH\nand more'
    assert len(begins) == 1
    assert supervised.scripts == []


def test_the_exit_code_is_that_of_the_node_that_failed(supervised: Supervised) -> None:
    assert supervised.start("fail").wait(30) == 3


@pytest.mark.parametrize("name", ["SIGTERM", "SIGUSR1"])
def test_signals_are_passed_on(supervised: Supervised, name: str) -> None:
    process = supervised.start("stay")
    assert supervised.has("node-0", "node-1")
    process.send_signal(signal.Signals[name])
    assert process.wait(20) == 0
    assert supervised.has(f"heard-0-{name}", f"heard-1-{name}")
    assert supervised.scripts == []


def test_the_script_of_a_node_is_private(supervised: Supervised) -> None:
    supervised.start("stay")
    assert supervised.has("node-0")
    (script,) = supervised.scripts
    assert script.stat().st_mode & 0o777 == 0o600


def test_a_launcher_that_is_not_there_is_said(supervised: Supervised) -> None:
    process = supervised.start(launcher="blaunch", LSB_MCPU_HOSTS="a 1 b 1")
    _, said = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "error: blaunch cannot be run: No such file or directory" in said
    assert "hint: set launcher to one that is on the nodes" in said
    assert supervised.scripts == []


def test_without_nodes_it_says_what_is_missing(supervised: Supervised) -> None:
    process = supervised.start(launcher="ssh")
    _, said = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "nothing says which nodes the job has" in said
