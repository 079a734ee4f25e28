"""The nodes of a job are read from what each batch system says, as recorded or documented."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dask_hpc.errors import LaunchError
from dask_hpc.launch.allocation import expand, find_allocation

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("text", "hosts"),
    [
        ("node1", ("node1",)),
        ("node[1-3]", ("node1", "node2", "node3")),
        ("gpu[08-10,17],login1", ("gpu08", "gpu09", "gpu10", "gpu17", "login1")),
        ("r[1-2]n[1,3]-ib", ("r1n1-ib", "r1n3-ib", "r2n1-ib", "r2n3-ib")),
        ("a,b-c,d1", ("a", "b-c", "d1")),
        ("", ()),
    ],
)
def test_a_list_of_slurm_is_expanded(text: str, hosts: tuple[str, ...]) -> None:
    assert expand(text) == hosts


@pytest.mark.parametrize("name", ["PBS_NODEFILE", "OAR_NODEFILE", "PE_HOSTFILE"])
def test_a_file_of_nodes_names_each_once(name: str, tmp_path: Path) -> None:
    file = tmp_path / "nodes"
    lines = {
        "PE_HOSTFILE": "n1 4 all.q@n1 UNDEFINED\nn2 2 all.q@n2 UNDEFINED\n",
    }.get(name, "n1\nn1\nn2\n\nn1\n")
    file.write_text(lines, encoding="utf-8")
    found = find_allocation({name: str(file)})
    assert found.hosts == ("n1", "n2")
    assert found.told_by == name


def test_pairs_of_lsf_are_read() -> None:
    assert find_allocation({"LSB_MCPU_HOSTS": "hostA 4 hostB 2"}).hosts == ("hostA", "hostB")


def test_without_a_word_about_nodes_there_is_no_guess() -> None:
    with pytest.raises(LaunchError, match="nothing says which nodes the job has") as caught:
        find_allocation({"PATH": "/bin"})
    assert "take jobs of one node" in caught.value.hint


def test_a_file_that_cannot_be_read_is_named() -> None:
    with pytest.raises(LaunchError, match="PBS_NODEFILE names a file of nodes that cannot be read"):
        find_allocation({"PBS_NODEFILE": "/no/such/file"})
