"""Open files, ports and memory."""

from __future__ import annotations

import socket
import subprocess
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from dask_hpc._hosts import host_name
from dask_hpc.engine.limits import check_ports, free_ports, memory_of_job
from dask_hpc.errors import LaunchError

if TYPE_CHECKING:
    from pathlib import Path


def listening(stack: ExitStack, port: int = 0) -> int:
    """Listen at a port until the stack ends, and return which that is."""
    listener = stack.enter_context(socket.socket())
    listener.bind(("", port))
    listener.listen()
    return int(listener.getsockname()[1])


def two_neighbours(stack: ExitStack) -> int:
    """Return a port that is taken while the next one is free."""
    while True:
        port = listening(stack)
        with socket.socket() as probe:
            try:
                probe.bind(("", port + 1))
            except OSError:
                continue
        return port


def test_the_ports_of_a_range_that_are_taken_are_passed_over() -> None:
    with ExitStack() as stack:
        taken = two_neighbours(stack)
        found = list(free_ports(f"{taken}:{taken + 1}"))
        assert found == [taken + 1]


def test_a_range_may_be_one_port() -> None:
    with ExitStack() as stack:
        taken = two_neighbours(stack)
        assert list(free_ports(f"{taken + 1}")) == [taken + 1]
        assert list(free_ports(f"{taken}")) == []


def test_a_port_that_was_just_given_up_is_free() -> None:
    with ExitStack() as stack:
        port = listening(stack)
        client = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
        client.close()
    assert list(free_ports(str(port))) == [port]


def test_ports_are_looked_at_where_they_are_to_be_used() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.2", 0))
        other.listen()
        port = other.getsockname()[1]
        assert list(free_ports(str(port), "127.0.0.1")) == [port]
        assert list(free_ports(str(port), "127.0.0.2")) == []


def test_a_range_with_too_few_free_ports_is_refused_with_the_numbers() -> None:
    with ExitStack() as stack:
        taken = two_neighbours(stack)
        check_ports(f"{taken + 1}:{taken + 1}", 0)
        check_ports(None, 100)
        with pytest.raises(LaunchError) as caught:
            check_ports(f"{taken}:{taken + 1}", 16)
    assert str(caught.value) == (
        f"1 of the ports {taken}:{taken + 1} are free on {host_name()}, and 16 workers need 32: "
        "each has a nanny that listens, too"
    )
    assert caught.value.hint == "give a wider range in ports; jobs on one node share it"


# memory ------------------------------------------------------------------------------------------

GIB = 2**30


@pytest.mark.parametrize(
    ("own", "limits", "allowed"),
    [
        # Version 2: the least one on the way up counts; the root has no file.
        ("0::/jobs/77/step\n", {"jobs/77/memory.max": "2147483648\n"}, 2 * GIB),
        ("0::/jobs/77\n", {"jobs/77/memory.max": "max\n", "jobs/memory.max": "1073741824"}, GIB),
        ("0::/jobs/77\n", {"jobs/77/memory.max": "max\n"}, 4 * GIB),
        ("0::/\n", {}, 4 * GIB),
        # Version 1, where no limit is a huge one; Slurm has its jobs there on many sites.
        (
            "5:cpuset:/\n4:cpu,memory:/slurm/uid_0/job_77/step_0\n0::/\n",
            {
                "memory/memory.limit_in_bytes": "9223372036854771712\n",
                "memory/slurm/uid_0/job_77/memory.limit_in_bytes": "3221225472\n",
            },
            3 * GIB,
        ),
        ("4:memory:/a\n", {"memory/a/memory.limit_in_bytes": "99999999999999\n"}, 4 * GIB),
        ("4:cpu:/a\n", {"memory/a/memory.limit_in_bytes": "1"}, 4 * GIB),
        ("", {}, 4 * GIB),
    ],
)
def test_a_job_has_what_it_asked_for_or_less(
    tmp_path: Path, own: str, limits: dict[str, str], allowed: int
) -> None:
    (tmp_path / "own").write_text(own)
    for name, value in limits.items():
        path = tmp_path / "fs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(value)
    found = memory_of_job(4 * GIB, root=tmp_path / "fs", own=tmp_path / "own")
    assert found == allowed


def test_where_no_such_groups_are_a_job_has_what_it_asked_for(tmp_path: Path) -> None:
    assert memory_of_job(GIB, root=tmp_path, own=tmp_path / "none") == GIB


def test_a_process_of_tests_may_have_a_little_memory() -> None:
    assert memory_of_job(2**20) == 2**20


# open files --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("before", "after"), [((64, 256), 256), ((256, 256), 256)])
def test_a_scheduler_may_open_as_many_files_as_the_system_allows(
    before: tuple[int, int], after: int
) -> None:
    code = (
        "import resource; from dask_hpc.engine.limits import raise_open_file_limit as raise_it; "
        f"resource.setrlimit(resource.RLIMIT_NOFILE, {before}); "
        "print(raise_it(), *resource.getrlimit(resource.RLIMIT_NOFILE))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(after)] * 3


@pytest.mark.parametrize(("configured", "tried"), [("30s", "120s"), ("200s", "200s")])
def test_a_process_that_is_ready_for_thousands_opens_files_and_has_patience(
    configured: str, tried: str
) -> None:
    code = (
        "import resource, dask.config; from dask_hpc.engine.limits import make_ready_for_thousands;"
        f"dask.config.set({{'distributed.comm.timeouts.connect': {configured!r}}});"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (64, 256)); make_ready_for_thousands();"
        "print(*resource.getrlimit(resource.RLIMIT_NOFILE),"
        " dask.config.get('distributed.comm.timeouts.connect'))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["256", "256", tried]
