"""The size of the queue."""

from __future__ import annotations

import os

import pytest

from dask_hpc.errors import ConfigError
from dask_hpc.localqueue.machine import Settings, size, stated_settings, updated
from dask_hpc.localqueue.model import Machine


def test_the_size_is_what_this_process_may_use() -> None:
    there = size(Settings())
    assert there.cores == len(os.sched_getaffinity(0))
    assert 0 < there.memory <= os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def test_stated_sizes_may_be_larger_than_the_machine() -> None:
    stated = {"DASK_HPC__LOCAL__CORES": "4000", "DASK_HPC__LOCAL__MEMORY": "10 TB"}
    assert size(stated_settings(stated)) == Machine(cores=4000, memory=10**13)


def test_every_setting_has_its_variable() -> None:
    values = {"CORES": "16", "MEMORY": "8GB", "GRACE": "2", "IDLE": "1 min"}
    environ = {f"DASK_HPC__LOCAL__{name}": value for name, value in values.items()}
    assert stated_settings(environ) == Settings(cores=16, memory=8 * 10**9, grace=2, idle=60)


def test_empty_variables_state_nothing() -> None:
    assert stated_settings({"DASK_HPC__LOCAL__CORES": ""}) == Settings()


def test_a_bad_setting_names_its_variable() -> None:
    with pytest.raises(ConfigError, match="DASK_HPC__LOCAL__CORES 'many' is not a whole number"):
        stated_settings({"DASK_HPC__LOCAL__CORES": "many"})


def test_what_is_stated_later_wins_and_leaves_the_rest() -> None:
    before = Settings(cores=4, memory=10**9)
    assert updated(before, Settings(cores=8)) == Settings(cores=8, memory=10**9)
