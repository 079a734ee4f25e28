"""What ``dask-hpc run`` over several nodes must show on every system, with a `site` of its own."""

from __future__ import annotations

import re
import signal
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.integration.places import wait_for

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

    from tests.integration.hosts import Site

    Running = Future[subprocess.CompletedProcess[str]]

COMPUTES = """
import sys, time
from pathlib import Path
from dask_hpc.launch.allocation import find_allocation
from distributed import Client

def squares(client):
    return sum(client.gather(client.map(lambda number: number**2, range(10), pure=False)))

if __name__ == "__main__":
    with Client() as client:
        workers = client.scheduler_info(n_workers=-1)["workers"]
        print(len(workers), "workers over", client.scheduler.address.partition(":")[0])
        print("sum:", squares(client))
        if len(sys.argv) > 2:
            Path(sys.argv[2]).write_text(" ".join(find_allocation().hosts))
            while len(client.scheduler_info(n_workers=-1)["workers"]) > len(workers) - 2:
                time.sleep(0.2)
            time.sleep(12)
            print("sum of those who are left:", squares(client))
    sys.exit(int(sys.argv[1]))
"""


@pytest.mark.parametrize("code", [0, 3])
def test_workers_of_every_node_compute_and_the_exit_code_is_passed_on(
    site: Site, code: int
) -> None:
    name = site.new_name()
    nodes = len(site.nodes) if code else 1
    done = site.run(f"--nodes={nodes}", site.script(COMPUTES), str(code), name=name)
    assert done.returncode == code, done.stdout + done.stderr
    # One is left out on the first node. To whoever looks, OAR's nodes are one machine.
    seen = 1 if site.name == "oar" else nodes
    assert re.search(rf"dask-hpc: {2 * nodes - 1} workers? on {seen} nodes?\n", done.stdout)
    assert f"{2 * nodes - 1} workers over tls" in done.stdout
    assert "sum: 285" in done.stdout
    assert site.left(name) == []


def test_a_script_that_a_signal_ended_is_reported(site: Site) -> None:
    name = site.new_name()
    done = site.run("bash", "-c", "kill -SEGV $$", name=name)
    assert done.returncode == 128 + signal.SIGSEGV, done.stdout + done.stderr
    assert f"the script was ended by signal {signal.SIGSEGV.value}" in done.stdout
    assert site.left(name) == []


@contextmanager
def in_the_middle(site: Site, least: int, *, name: str) -> Iterator[tuple[Running, list[str]]]:
    """Give a run whose script computes, and the nodes of its job."""
    script, begun = site.script(COMPUTES), site.place / f"{name}.begun"
    with ThreadPoolExecutor() as pool:
        running = pool.submit(site.run, f"--min-workers={least}", script, "0", begun, name=name)
        wait_for(lambda: running.done() or (begun.exists() and begun.read_text()), 100)
        assert not running.done(), running.result()
        yield running, begun.read_text().split()


@pytest.mark.parametrize("may_be_missing", [2, 0])
def test_a_node_that_dies_is_told_and_survived_if_it_may_be_missing(
    site: Site, may_be_missing: int
) -> None:
    name = site.new_name()
    least = site.workers - may_be_missing
    with (
        in_the_middle(site, least, name=name) as (running, nodes),
        site.without_node(nodes[-1]),
    ):
        done = running.result(timeout=150)
        assert site.left(name) == []
    said = done.stdout + done.stderr
    if may_be_missing:
        assert done.returncode == 0, said
        assert "sum of those who are left: 285" in done.stdout, said
    else:
        assert done.returncode == 125, said
        told = f"{least - 2} worker.* of {least} are left, {least} are needed: the script is ended"
        assert re.search(told, done.stdout), said


def test_the_first_node_is_told_when_it_dies_and_the_run_is_over(site: Site) -> None:
    name = site.new_name()
    with in_the_middle(site, 1, name=name) as (running, nodes), site.without_node(nodes[0]):
        done = running.result(timeout=150)
    assert done.returncode == 125, done.stdout + done.stderr
    assert "the first node of job" in done.stderr
    assert "is lost: scheduler and script were there" in done.stderr
    # Grid Engine forgets the job when its node is back.
    assert site.left(name) == []
