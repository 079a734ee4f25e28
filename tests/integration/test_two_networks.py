"""On hosts with several networks: which one is taken, and what is said when it is the wrong one."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import dask_hpc
from tests.integration.test_foreign_environment import whoever_can_read_us

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.beds.beds import SlurmBed

pytestmark = [pytest.mark.bed("slurm_net"), pytest.mark.timeout(300)]

PROGRAM = """
import json, sys, time
from dask_hpc import HPCCluster
from dask_hpc._clock import until_now
from dask_hpc.cluster.directory import directory_of
from dask_hpc.cluster.jobrecords import JobRecords
from dask_hpc.cluster.record import read_cluster

keywords = json.loads(sys.argv[1])
size = {"cores": 1, "processes": 1, "memory": "300MB", "walltime": "10m"}
with HPCCluster(site="slurm", directives=["--nodelist=node1"], **size, **keywords) as cluster:
    directory = directory_of(cluster.name)
    record, jobs = read_cluster(directory), JobRecords(directory.jobs)
    cluster.scale(jobs=1)

    def is_over():
        jobs.refresh()
        return jobs.unreachable or cluster.report().workers
    until_now(is_over, 60, every=0.1)
    since = time.time() - min((one.time for one in jobs.starts.values()), default=0)
    unreachable = [(one.message, one.hint) for one in jobs.unreachable.values()]
    workers = list(cluster.scheduler_info["workers"]) if not unreachable else []
    until_now(lambda: not unreachable or cluster.report().trouble, 5, every=0.1)
    trouble = cluster.report().trouble
    cluster.scale(0)
    logs = "".join(path.read_text() for path in directory.logs.iterdir())
print(json.dumps({
    "address": record.address,
    "addresses": record.addresses,
    "interfaces": record.interfaces,
    "network": record.network,
    "seconds": since,
    "unreachable": unreachable,
    "workers": workers,
    "trouble": [trouble.message, trouble.hint] if trouble else None,
    "logs": logs,
}))
"""


def run(bed: SlurmBed, **keywords: Any) -> Any:
    """Start a cluster from the login node and return what it says of its network."""
    user = whoever_can_read_us(bed)
    environ = {
        "DASK_HPC_HOME": str(bed.directory("home", user=user)),
        "PYTHONPATH": str(Path(dask_hpc.__file__).parents[1]),
    }
    program = (sys.executable, "-c", PROGRAM, json.dumps(keywords))
    return json.loads(bed.run(*program, user=user, env=environ, timeout=120).stdout)


def port_of(address: str) -> str:
    return address.rpartition(":")[2]


def test_a_scheduler_is_where_the_route_to_the_nodes_begins(slurm_net: SlurmBed) -> None:
    said = run(slurm_net)
    assert said["network"] == "eth0 10.77.0.1: the route to node node1"
    port = port_of(said["address"])
    outside = [f"tls://10.7{net}.0.1:{port}" for net in (6, 4)]
    assert said["addresses"] == [f"tls://10.77.0.1:{port}", *outside]
    interfaces = {"eth0": "10.77.0.1/24", "wan0": "10.76.0.1/24", "dmz0": "10.74.0.1/24"}
    assert said["interfaces"] == interfaces
    assert [worker.rpartition(":")[0] for worker in said["workers"]] == ["tls://10.77.0.11"]
    assert "workers listen at eth0 10.77.0.11: the route to the scheduler" in said["logs"]
    assert said["unreachable"] == []


def test_the_wrong_interface_is_told_with_the_right_one(slurm_net: SlurmBed) -> None:
    said = run(slurm_net, scheduler_interface="wan0")
    assert said["network"] == "wan0 10.76.0.1: scheduler_interface names it"
    check_told(said, "no route to it")


@pytest.fixture
def swallowed(slurm_net: SlurmBed) -> Iterator[None]:
    """Whatever node1 sends to the login node's outer address gets lost on another node."""
    route = ("10.76.0.1", "via", "10.77.0.12")
    slurm_net.run("ip", "route", "add", *route, host="node1")
    yield
    slurm_net.run("ip", "route", "del", *route, host="node1")


@pytest.mark.usefixtures("swallowed")
def test_packets_that_get_lost_are_told_within_seconds(slurm_net: SlurmBed) -> None:
    said = run(slurm_net, scheduler_interface="wan0")
    check_told(said, "timed out after 9 s")


def check_told(said: Any, error: str) -> None:
    ((message, hint),) = said["unreachable"]
    place = f"tls://10.76.0.1:{port_of(said['address'])}"
    assert message == f"worker host node1 cannot reach the scheduler at {place} ({error})"
    assert hint == "scheduler_interface=eth0: node1 is on its network, 10.77.0.0/24"
    assert said["seconds"] < 15
    assert said["trouble"] == [message, hint]
    assert message in said["logs"]


@pytest.mark.usefixtures("swallowed")
def test_another_address_of_the_scheduler_is_taken_if_there_is_one(slurm_net: SlurmBed) -> None:
    said = run(slurm_net, contact_address="10.76.0.1")
    port = port_of(said["address"])
    assert said["address"] == f"tls://10.76.0.1:{port}"
    assert said["unreachable"] == []
    assert len(said["workers"]) == 1
    assert (
        f"the scheduler is reached at tls://10.77.0.1:{port}, and not at tls://10.76.0.1:{port} "
        "(timed out after 3 s); hint: scheduler_interface=eth0 spares the search"
    ) in said["logs"]


FROM_OUTSIDE = """
import json
from dask_hpc import HPCCluster
from dask_hpc.cluster.directory import directory_of
from dask_hpc.cluster.record import read_cluster

size = {"cores": 1, "processes": 1, "memory": "500MB", "walltime": "10m"}
cluster = HPCCluster(
    site="slurm", scheduler="job", submit_from="login", interface="ib0", **size
)
try:
    record = read_cluster(directory_of(cluster.name))
    cluster.scale(jobs=1)
    with cluster.get_client() as client:
        client.wait_for_workers(1, timeout=60)
        total = client.submit(sum, [1, 2]).result(timeout=30)
        workers = list(client.scheduler_info()["workers"])
        seen = client.scheduler.address
finally:
    cluster.shutdown()
print(json.dumps({"record": record.address, "seen": seen, "workers": workers, "total": total}))
"""


def test_a_login_node_that_is_not_on_the_network_of_the_nodes_takes_the_other_way(
    slurm_net: SlurmBed,
) -> None:
    user = whoever_can_read_us(slurm_net)
    environ = {
        "DASK_HPC_HOME": str(slurm_net.directory("home", user=user)),
        "PYTHONPATH": str(Path(dask_hpc.__file__).parents[1]),
    }
    program = (sys.executable, "-c", FROM_OUTSIDE)
    said = json.loads(slurm_net.run(*program, user=user, env=environ, timeout=150).stdout)
    assert said["total"] == 3
    assert said["record"].startswith("tls://10.78.0.")
    assert said["seen"].startswith("tls://10.77.0.")
    assert all(worker.startswith("tls://10.78.0.") for worker in said["workers"])
