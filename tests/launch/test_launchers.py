"""The command lines of launchers."""

from __future__ import annotations

from pathlib import Path

import pytest

from dask_hpc.launch.launchers import LAUNCHERS, Nodes

TWO = Nodes(hosts=("n1", "n2"), cores=4)
SCRIPT = Path("/home/it's mine/a.task")
QUOTED = """'/home/it'"'"'s mine/a.task'"""


def lines(name: str) -> list[tuple[str, ...]]:
    return [command.argv for command in LAUNCHERS[name].commands(TWO, SCRIPT)]


def test_srun_makes_one_step_for_all_nodes() -> None:
    (line,) = lines("srun")
    assert line[0] == "srun"
    assert {"--nodes=2", "--ntasks=2", "--cpus-per-task=4", "--overlap"} < set(line)
    assert line[-2:] == ("bash", str(SCRIPT))


def test_mpirun_is_told_the_hosts() -> None:
    (line,) = lines("mpirun")
    assert line == ("mpirun", "-np", "2", "-host", "n1,n2", "bash", str(SCRIPT))


@pytest.mark.parametrize(
    ("name", "second"),
    [
        ("pbsdsh", ("pbsdsh", "-n", "1", "--", "bash", str(SCRIPT), "1")),
        ("torque-pbsdsh", ("pbsdsh", "-h", "n2", "bash", str(SCRIPT), "1")),
        ("blaunch", ("blaunch", "-z", "n2", "bash", str(SCRIPT), "1")),
        ("qrsh", ("qrsh", "-inherit", "n2", f"bash {QUOTED} 1")),
        ("local", ("bash", str(SCRIPT), "1")),
    ],
)
def test_others_start_each_node(name: str, second: tuple[str, ...]) -> None:
    found = lines(name)
    assert len(found) == 2
    assert found[1] == second


@pytest.mark.parametrize("name", ["ssh", "oarsh"])
def test_a_login_is_for_the_other_nodes_and_quotes_for_their_shell(name: str) -> None:
    first, second = lines(name)
    assert first == ("bash", str(SCRIPT), "0")
    assert second[0] == name
    assert second[-2:] == ("n2", f"bash {QUOTED} 1")
    assert "BatchMode=yes" in second


def test_every_launcher_says_in_the_script_which_node_it_is() -> None:
    assert all(launcher.node.startswith("$") for launcher in LAUNCHERS.values())
