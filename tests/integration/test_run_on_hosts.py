"""``dask-hpc run`` on separate hosts with two networks: results, traffic, and what goes wrong."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from tests.beds.beds import CHECKOUT
from tests.examples.test_examples import counted_by_one_process
from tests.integration.hosts import slurm_site
from tests.integration.run_on_nodes import (
    test_a_node_that_dies_is_told_and_survived_if_it_may_be_missing,
    test_a_script_that_a_signal_ended_is_reported,
    test_the_first_node_is_told_when_it_dies_and_the_run_is_over,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.hosts import Site

__all__ = [
    "test_a_node_that_dies_is_told_and_survived_if_it_may_be_missing",
    "test_a_script_that_a_signal_ended_is_reported",
    "test_the_first_node_is_told_when_it_dies_and_the_run_is_over",
]

pytestmark = [pytest.mark.bed("slurm_net"), pytest.mark.timeout(240)]

MOVED = 40  # megabytes, at least, from node to node
MOVES = """
import sys
from distributed import Client

if __name__ == "__main__":
    with Client() as client:
        workers = client.scheduler_info(n_workers=-1)["workers"]
        here = client.scheduler.address.rpartition(":")[0]
        away = [each for each in workers if not each.startswith(here)]
        parts = [client.submit(bytes, 5_000_000, workers=each, pure=False) for each in away]
        wholes = [
            client.submit(lambda *all: sum(map(len, all)), *parts, workers=each, pure=False)
            for each in away[:2]
        ]
        print("bytes:", client.gather(wholes))
    sys.exit(3)
"""


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with slurm_site() as found:
        yield found


def test_an_example_gives_the_right_result(site: Site) -> None:
    name = site.new_name()
    example = ("sh", str(CHECKOUT / "examples" / "slurm.sh"))
    done = site.run(name=name, program=example)
    assert done.returncode == 0, done.stdout + done.stderr
    first, *words = done.stdout.splitlines()
    assert first == "dask-hpc: 7 workers on 4 nodes"
    assert words == counted_by_one_process()
    assert site.left(name) == []


def test_what_workers_send_each_other_goes_over_the_network_that_was_named(
    site: Site,
) -> None:
    name, script = site.new_name(), site.script(MOVES)
    before = megabytes_sent(site)
    done = site.run(script, name=name)
    after = megabytes_sent(site)
    sent = {interface: after[interface] - before[interface] for interface in after}
    sys.stdout.write(f"megabytes that the nodes sent: {sent}\n")
    assert done.returncode == 3, done.stdout + done.stderr
    assert "dask-hpc: 7 workers on 4 nodes" in done.stdout
    assert "bytes: [30000000, 30000000]" in done.stdout
    assert sent["ib0"] > MOVED
    assert sent["eth0"] < sent["ib0"] / 10
    assert site.left(name) == []


def megabytes_sent(site: Site) -> dict[str, float]:
    """Return what all nodes together have sent, by interface."""
    totals = dict.fromkeys(("eth0", "ib0"), 0.0)
    for host in site.nodes:
        paths = [f"/sys/class/net/{one}/statistics/tx_bytes" for one in totals]
        counts = site.bed.run("cat", *paths, host=host).stdout.split()
        for interface, count in zip(totals, counts, strict=True):
            totals[interface] += int(count) / 1e6
    return totals
