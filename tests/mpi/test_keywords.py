"""What `initialize` and `execute` take, before they look for other tasks."""

from typing import Any

import pytest

from dask_hpc import mpi
from dask_hpc.errors import ConfigError

NONSENSE: Any = {"nonsense": 1}
OTHER: Any = {"client_rank": 1}


def test_a_keyword_that_is_unknown_is_named() -> None:
    for function in (mpi.initialize, mpi.execute):
        with pytest.raises(TypeError, match="unexpected keyword argument 'nonsense'"):
            function(**NONSENSE)


def test_a_keyword_of_the_other_one_is_unknown_too() -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'client_rank'"):
        mpi.initialize(**OTHER)


def test_without_a_scheduler_an_address_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PMI_RANK", "0")
    monkeypatch.setenv("PMI_SIZE", "1")
    with pytest.raises(ConfigError, match="scheduler=False needs a scheduler_address"):
        mpi.execute(scheduler=False)
