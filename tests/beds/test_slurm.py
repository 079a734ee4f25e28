"""The Slurm beds are what tests of the project take them for."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from dask_hpc._clock import until_now
from tests.beds.beds import CHECKOUT, USER, SlurmBed

if TYPE_CHECKING:
    from collections.abc import Iterator

CLIENTS = ("sbatch", "squeue", "scancel", "sinfo", "scontrol", "sacct", "srun")
BOTH = pytest.mark.parametrize(
    "bed",
    [pytest.param(name, marks=pytest.mark.bed(name)) for name in ("slurm", "slurm_net")],
    indirect=True,
)
CONNECT = """
import socket, sys
try:
    socket.create_connection((sys.argv[1], 6818), timeout=2)
except ConnectionRefusedError:
    raise SystemExit("refused")
except OSError:
    raise SystemExit("unreachable")
"""


@pytest.fixture
def bed(request: pytest.FixtureRequest) -> Iterator[SlurmBed]:
    found = request.getfixturevalue(request.param)
    assert isinstance(found, SlurmBed)
    yield found
    found.cancel_submitted()


def becomes(bed: SlurmBed, job: str, *states: str, seconds: float = 30) -> bool:
    return until_now(lambda: bed.job_state(job) in states, seconds, every=0.1)


def lines_of(path: Path, *, count: int = 1, seconds: float = 60) -> list[str]:
    def read() -> list[str]:
        return path.read_text(encoding="utf-8").splitlines() if path.exists() else []

    until_now(lambda: len(read()) >= count, seconds, every=0.1)
    return read()


def is_running(command: str) -> bool:
    found = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True)
    return command in found.stdout.splitlines()


@BOTH
@pytest.mark.parametrize("user", ["root", USER])
def test_a_job_runs_as_the_user_who_submitted_it(bed: SlurmBed, user: str) -> None:
    output = bed.directory("as", user=user) / "output"
    bed.submit("--export=NONE", "-o", output, script="id -un; echo $SLURM_CONF", user=user)
    assert lines_of(output, count=2) == [user, bed.environ["SLURM_CONF"]]


@BOTH
def test_an_array_runs_every_element(bed: SlurmBed) -> None:
    output = bed.directory("array")
    bed.submit("--array=1-5", "-o", output / "%a", script="echo $SLURM_ARRAY_TASK_ID")
    found = [lines_of(output / str(number)) for number in range(1, 6)]
    assert found == [[str(number)] for number in range(1, 6)]


@BOTH
def test_a_job_hears_that_it_is_cancelled(bed: SlurmBed) -> None:
    output = bed.directory("cancel") / "output"
    script = "trap 'echo told; exit' TERM\necho up\nwhile :; do sleep 0.1; done"
    job = bed.submit("-o", output, script=script)
    assert lines_of(output) == ["up"]
    bed.run("scancel", job)
    assert becomes(bed, job, "CANCELLED")
    assert "told" in lines_of(output, count=3)  # beside what Slurm says about it


@BOTH
def test_a_job_that_asks_for_too_much_waits_with_a_reason(bed: SlurmBed) -> None:
    job = bed.submit("-p", "debug", "--begin=now+1hour", script="true")
    assert bed.run("squeue", "-h", "-o", "%T %r", "-j", job).stdout.split() == [
        "PENDING",
        "BeginTime",
    ]


@BOTH
def test_a_node_without_power_takes_its_jobs_along(bed: SlurmBed) -> None:
    job = bed.submit("--no-requeue", "-w", "node2", script="sleep 997531")
    assert becomes(bed, job, "RUNNING")
    with bed.without_node(2, announced=True):
        assert becomes(bed, job, "NODE_FAIL")
        processes = subprocess.run(
            ["ps", "-eo", "args"], capture_output=True, text=True, check=True
        )
        assert "sleep 997531" not in processes.stdout.splitlines()
    again = bed.submit("-w", "node2", script="sleep 60")
    assert becomes(bed, again, "RUNNING")


@BOTH
def test_a_paused_controller_answers_nobody_and_forgets_nothing(bed: SlurmBed) -> None:
    job = bed.submit(script="sleep 60")
    assert becomes(bed, job, "RUNNING")
    with bed.paused(), pytest.raises(subprocess.TimeoutExpired):
        bed.run("squeue", timeout=4)
    assert becomes(bed, job, "RUNNING")


@BOTH
def test_ending_the_wrapper_ends_the_command(bed: SlurmBed) -> None:
    mark = bed.directory("wrapper") / "mark"
    wrapper = subprocess.Popen(
        bed.argv("bash", "-c", f"echo $$ > {mark}; exec sleep 997532"), text=True
    )
    assert lines_of(mark)
    wrapper.kill()
    wrapper.wait()
    assert until_now(lambda: not is_running("sleep 997532"), 30)


@BOTH
def test_a_signal_reaches_the_command_below_its_wrappers(bed: SlurmBed) -> None:
    mark = bed.directory("signal") / "mark"
    script = f"trap 'echo told >> {mark}; exit' USR1; echo up > {mark}; while :; do sleep 0.1; done"
    command = subprocess.Popen(bed.argv("bash", "-c", script), text=True)
    assert lines_of(mark) == ["up"]
    bed.send_signal(command, signal.SIGUSR1)
    assert lines_of(mark, count=2) == ["up", "told"]
    assert command.wait(timeout=30) == 0


@BOTH
def test_daemons_carry_nothing_that_tests_find_processes_by(bed: SlurmBed) -> None:
    """A test that ends what it finds by a variable would end the bed as well."""
    run = Path(bed.environ["SLURM_CONF"]).parents[1] / "run"
    recorded = [path for path in run.glob("*.pid") if not path.name.endswith(".self.pid")]
    pids = [int(path.read_text(encoding="utf-8").split()[0]) for path in recorded]
    carried = {name for pid in pids for name in psutil.Process(pid).environ()}
    assert len(pids) == 6
    assert not [name for name in carried if name.startswith(("DASK", "PYTEST"))]


@pytest.mark.bed("slurm")
def test_our_process_finds_the_plain_bed_by_itself() -> None:
    found = subprocess.run(["sinfo", "-h", "-o", "%R"], capture_output=True, text=True, check=True)
    assert set(found.stdout.split()) == {"batch", "debug", "preempt", "scavenge"}


def test_nodes_have_no_slurm_commands(slurm_net: SlurmBed) -> None:
    for command in CLIENTS:
        for path in (command, f"/usr/bin/{command}"):
            done = slurm_net.run("env", path, "--version", host="node1", check=False)
            assert done.returncode == 127, (path, done)
    assert slurm_net.run("sbatch", "--version").stdout.startswith("slurm")


def test_jobs_have_no_slurm_commands(slurm_net: SlurmBed) -> None:
    output = slurm_net.directory("commands") / "output"
    slurm_net.submit("-o", output, script="sbatch --version; echo $?")
    said = lines_of(output, count=2)
    assert "command not found" in said[0]
    assert said[1] == "127"


def test_every_host_has_its_own_tmp(slurm_net: SlurmBed) -> None:
    hosts = ("login", "node1", "node2", "laptop")
    for directory in ("/tmp", "/dev/shm"):
        for host in hosts:
            slurm_net.run("touch", f"{directory}/seen-by-{host}", host=host)
        for host in hosts:
            names = slurm_net.run("ls", directory, host=host).stdout.split()
            assert [name for name in names if name.startswith("seen-by")] == [f"seen-by-{host}"]


def test_every_host_sees_the_shared_directory_the_checkout_and_this_python(
    slurm_net: SlurmBed,
) -> None:
    shared = slurm_net.directory("shared")
    for host in ("login", "node1", "node4"):
        slurm_net.run("touch", shared / host, host=host)
        slurm_net.run(sys.executable, "-c", "import psutil", host=host)
        assert slurm_net.run("ls", CHECKOUT / "pyproject.toml", host=host).returncode == 0
    assert {path.name for path in shared.iterdir()} == {"login", "node1", "node4"}


@pytest.mark.parametrize(
    ("source", "address", "answer"),
    [
        ("laptop", "10.76.0.1", "refused"),  # login: there, and nothing listens on slurmd's port
        ("laptop", "10.77.0.11", "unreachable"),
        ("login", "10.77.0.11", ""),
        ("login", "10.78.0.11", "unreachable"),
        ("node1", "10.77.0.12", ""),
        ("node1", "10.78.0.12", ""),
        ("node1", "10.76.0.1", "unreachable"),
    ],
)
def test_networks_reach_as_far_as_they_should(
    slurm_net: SlurmBed, source: str, address: str, answer: str
) -> None:
    done = slurm_net.run("/usr/bin/python3", "-c", CONNECT, address, host=source, check=False)
    assert done.stderr.strip() == answer


def test_hosts_have_names_of_their_own(slurm_net: SlurmBed) -> None:
    for host in ("laptop", "login", "node3"):
        assert slurm_net.run("hostname", host=host).stdout.strip() == host


def test_multi_node_job_knows_its_nodes(slurm_net: SlurmBed) -> None:
    output = slurm_net.directory("nodes") / "output"
    slurm_net.submit("-N2", "-o", output, script="echo $SLURM_JOB_NODELIST; hostname")
    assert lines_of(output, count=2) == ["node[1-2]", "node1"]
