"""``dask-hpc run`` on separate hosts with two networks: results, traffic, and what goes wrong."""

from __future__ import annotations

import re
import secrets
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import dask_hpc
from tests.beds.beds import CHECKOUT, SlurmBed
from tests.examples.test_examples import counted_by_one_process
from tests.integration.own_slurm import own_slurm
from tests.integration.places import PROGRAM, wait_for
from tests.integration.test_foreign_environment import whoever_can_read_us

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

pytestmark = [pytest.mark.bed("slurm_net"), pytest.mark.timeout(240)]

NODES = ("node1", "node2", "node3", "node4")
SIZE = (
    *("--site=slurm", "--nodes=4", "--cores=2", "--processes=2", "--memory=800MB"),
    *("--walltime=10m", "--interface=ib0"),
)
MOVED = 40  # megabytes, at least, from node to node
SCRIPT = """
import sys, time
from pathlib import Path
from distributed import Client

if __name__ == "__main__":
    with Client() as client:
        workers = client.scheduler_info(n_workers=-1)["workers"]
        print(len(workers), "workers of", len({each["host"] for each in workers.values()}), "hosts")
        here = client.scheduler.address.rpartition(":")[0]
        away = [each for each in workers if not each.startswith(here)]
        parts = [client.submit(bytes, 5_000_000, workers=each, pure=False) for each in away]
        wholes = [
            client.submit(lambda *all: sum(map(len, all)), *parts, workers=each, pure=False)
            for each in away[:2]
        ]
        print("bytes:", client.gather(wholes))
        if len(sys.argv) > 2:
            Path(sys.argv[2]).touch()
            while len(client.scheduler_info(n_workers=-1)["workers"]) > 5:
                time.sleep(0.2)
            time.sleep(12)
            print("sum:", sum(client.gather(client.map(lambda number: number**2, range(10)))))
    sys.exit(int(sys.argv[1]))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A Slurm of separate hosts, who uses it, and where that user keeps things."""

    bed: SlurmBed
    user: str
    place: Path

    def run(
        self, *words: str | Path, name: str, program: tuple[str, ...] = (*PROGRAM, "run")
    ) -> subprocess.CompletedProcess[str]:
        """Call ``dask-hpc run`` on the login node and wait for its end."""
        environ = {
            "DASK_HPC_HOME": str(self.place / "home"),
            "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
            "PYTHONPATH": str(Path(dask_hpc.__file__).parents[1]),
        }
        argv = (*program, *SIZE, "--name", name, *words)
        return self.bed.run(
            *argv, user=self.user, cwd=self.place, env=environ, timeout=180, check=False
        )

    def script(self, text: str) -> Path:
        """Return a program that all hosts see."""
        path = self.place / f"{secrets.token_hex(4)}.py"
        self.bed.run("tee", path, user=self.user, stdin=text)
        return path

    def traffic(self) -> dict[str, float]:
        """Return the megabytes that all nodes together have sent, by interface."""
        totals = dict.fromkeys(("eth0", "ib0"), 0.0)
        for host in NODES:
            paths = [f"/sys/class/net/{one}/statistics/tx_bytes" for one in totals]
            counts = self.bed.run("cat", *paths, host=host).stdout.split()
            for interface, count in zip(totals, counts, strict=True):
                totals[interface] += int(count) / 1e6
        return totals

    def left(self, name: str) -> list[str]:
        """Say what is left of a run: jobs, processes on any host, files but its logs."""
        jobs = [job for job in self.bed.jobs() if f"{name}-" in job]
        mark = f"/clusters/{name}"
        # Who looks is not what is looked for.
        look = f"pgrep -af '{mark[:-1]}[{mark[-1]}]' || :"
        seen = [
            self.bed.run("bash", "-c", look, host=host).stdout for host in ("login", *self.nodes())
        ]
        clusters = self.place / "home" / "clusters"
        return [*jobs, *filter(None, seen), *map(str, clusters.glob("*"))]

    def nodes(self) -> list[str]:
        """Return the nodes that are there."""
        ok = [self.bed.run("true", host=host, check=False).returncode == 0 for host in NODES]
        return [host for host, is_up in zip(NODES, ok, strict=True) if is_up]


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """A Slurm of separate hosts of our own: a node of it gets killed."""
    with own_slurm(separate=True) as bed:
        user = whoever_can_read_us(bed)
        yield Site(bed=bed, user=user, place=bed.directory("run", user=user))


def name_of_run() -> str:
    return f"run-{secrets.token_hex(3)}"


def test_an_example_gives_the_right_result(site: Site) -> None:
    name = name_of_run()
    example = ("sh", str(CHECKOUT / "examples" / "slurm.sh"))
    done = site.run(name=name, program=example)
    assert done.returncode == 0, done.stdout + done.stderr
    first, *words = done.stdout.splitlines()
    assert first == "dask-hpc: 7 workers on 4 nodes"
    assert words == counted_by_one_process()
    assert site.left(name) == []


def test_what_workers_send_each_other_goes_over_the_network_that_was_named(site: Site) -> None:
    name, script = name_of_run(), site.script(SCRIPT)
    before = site.traffic()
    done = site.run(script, "3", name=name)
    after = site.traffic()
    sent = {interface: after[interface] - before[interface] for interface in after}
    sys.stdout.write(f"megabytes that the nodes sent: {sent}\n")
    assert done.returncode == 3, done.stdout + done.stderr
    assert "7 workers of 4 hosts" in done.stdout
    assert "bytes: [30000000, 30000000]" in done.stdout
    assert sent["ib0"] > MOVED
    assert sent["eth0"] < sent["ib0"] / 10
    assert site.left(name) == []


def test_a_script_that_a_signal_ended_is_reported(site: Site) -> None:
    name = name_of_run()
    done = site.run("bash", "-c", "kill -SEGV $$", name=name)
    assert done.returncode == 128 + signal.SIGSEGV
    assert f"the script was ended by signal {signal.SIGSEGV.value}" in done.stdout
    assert site.left(name) == []


@pytest.mark.parametrize("least", [5, 7])
def test_a_node_that_dies_is_told_and_survived_if_it_may_be_missing(site: Site, least: int) -> None:
    name, script = name_of_run(), site.script(SCRIPT)
    begun = site.place / f"{name}.begun"
    with ThreadPoolExecutor() as pool:
        running = pool.submit(site.run, f"--min-workers={least}", script, "0", begun, name=name)
        wait_for(lambda: begun.exists() or running.done(), 100)
        assert not running.done(), running.result()
        with site.bed.without_node(4, announced=False):
            done = running.result(timeout=150)
            assert site.left(name) == []
    said = done.stdout + done.stderr
    if least == 5:
        assert done.returncode == 0, said
        assert re.search(r"sum: 285", done.stdout), said
    else:
        assert done.returncode == 125, said
        assert "5 workers of 7 are left, 7 are needed: the script is ended" in done.stdout
