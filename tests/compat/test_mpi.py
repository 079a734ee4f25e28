"""The names of dask-mpi, with its places of arguments and its words for what is wrong."""

import pytest

from dask_hpc import mpi
from dask_hpc.compat import mpi as dask_mpi


def test_it_has_the_names_of_dask_mpi() -> None:
    assert set(dask_mpi.__all__) == {
        "WorldTooSmallException",
        "execute",
        "initialize",
        "send_close_signal",
    }
    assert set(dask_mpi.__all__) == set(mpi.__all__)


def test_an_argument_is_not_given_twice() -> None:
    with pytest.raises(TypeError, match="'interface' is given twice"):
        dask_mpi.initialize("ib0", interface="ib1")


def test_there_are_no_more_arguments_than_dask_mpi_has() -> None:
    with pytest.raises(TypeError, match="13 arguments are given, at most 12"):
        dask_mpi.initialize(*range(13))
