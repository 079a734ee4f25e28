"""Open files and ports."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from contextlib import ExitStack

import pytest

from dask_hpc.engine.limits import check_interface, free_port
from dask_hpc.errors import ConfigError, LaunchError


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


def test_the_first_free_port_of_a_range_is_found() -> None:
    with ExitStack() as stack:
        taken = two_neighbours(stack)
        assert free_port(f"{taken}:{taken + 5}") == taken + 1


def test_a_range_may_be_one_port() -> None:
    with ExitStack() as stack:
        taken = two_neighbours(stack)
        assert free_port(f"{taken + 1}") == taken + 1


def test_a_port_that_was_just_given_up_is_free() -> None:
    with ExitStack() as stack:
        port = listening(stack)
        client = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
        client.close()
    assert free_port(str(port)) == port


def test_a_range_that_is_taken_is_an_error() -> None:
    with ExitStack() as stack:
        taken = listening(stack)
        with pytest.raises(LaunchError, match=f"every port of {taken} is in use") as caught:
            free_port(str(taken))
    assert caught.value.hint == "give a wider range"


def test_an_interface_that_is_not_there_is_refused_with_those_that_are() -> None:
    check_interface("lo")
    check_interface(None)
    with pytest.raises(ConfigError, match="has no network interface 'ib7'") as caught:
        check_interface("ib7")
    assert re.search(r"\blo\b", caught.value.hint)


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
