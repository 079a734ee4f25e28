"""Every setting of a site in a row."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dask_hpc.sites.listing import Entry, entries
from dask_hpc.sites.profile import site_settings
from dask_hpc.sites.settings import Settings, from_keywords

if TYPE_CHECKING:
    from tests.sites.conftest import WriteProfile


def test_a_setting_stands_with_its_value_its_words_and_its_origin(users: WriteProfile) -> None:
    text = "system: slurm\nmemory: 100GB\nprologue:\n- a\n- b\nqueues:\n  cpu: {max_jobs: 3}\n"
    path = users("alpine", text)
    found = {entry.path: entry for entry in entries(site_settings("alpine"))}
    assert found["memory",] == Entry(
        path=("memory",), value=100 * 10**9, text="100GB", origin=f"{path}:2"
    )
    assert found["prologue",] == Entry(
        path=("prologue",), value=("a", "b"), text="", origin=f"{path}:3"
    )
    assert found["queues", "cpu", "max_jobs"].origin == f"{path}:7"
    assert found["cores",] == Entry(path=("cores",), value=1, text="", origin="default")


def test_every_setting_is_listed_in_the_order_of_the_definition() -> None:
    names = list(dict.fromkeys(entry.path[0] for entry in entries(site_settings("local"))))
    free = (
        "queues",
        "pools",
        "resources",
        "facts",
    )  # names of the user's own, of which there are none
    expected = [name for name in Settings.__struct_fields__ if name not in free]
    assert names == expected


def test_a_pool_lists_only_what_it_says(users: WriteProfile) -> None:
    users("alpine", "system: slurm\ncores: 8\npools:\n  gpu: {gpus: 1, resources: {GPU: 1}}\n")
    found = {entry.path: entry.value for entry in entries(site_settings("alpine"))}
    pool = {path: value for path, value in found.items() if path[0] == "pools"}
    assert pool == {("pools", "gpu", "gpus"): 1, ("pools", "gpu", "resources", "GPU"): 1.0}


def test_what_was_taken_back_is_a_default(users: WriteProfile) -> None:
    users("alpine", "system: slurm\nqueue: null\n")
    said = site_settings("alpine", from_keywords({"cores": 3}))
    found = {entry.path: entry for entry in entries(said)}
    assert found["queue",] == Entry(path=("queue",), value=None, text="", origin="default")
    assert found["cores",].origin == "call"
