"""What no job could use is refused before anything is submitted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from dask_hpc.errors import ConfigError
from dask_hpc.sites.places import check_places
from tests.sites.test_specs import site, spec

if TYPE_CHECKING:
    from tests.sites.conftest import WriteProfile


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"ports": "8700:8707", "local_directory": "/local/$USER", "contact_address": "gate:8786"},
        {"ports": "1:65535", "local_directory": "$TMPDIR/dask", "contact_address": "$GATE:x"},
    ],
)
def test_what_a_job_may_be_able_to_use_is_taken(settings: dict[str, Any]) -> None:
    check_places(site(**settings), processes=4)


@pytest.mark.parametrize(
    ("settings", "message", "hint"),
    [
        (
            {"ports": "8700:8706"},
            "ports '8700:8706' has 7 ports, and 4 workers of a node need 8",
            "each worker has a nanny that listens, too",
        ),
        ({"ports": "8786"}, "ports '8786' has 1 port, and 4 workers of a node need 8", "wider"),
        (
            {"local_directory": "scratch/x"},
            "local_directory 'scratch/x' is not an absolute path",
            "write the whole path",
        ),
        ({"local_directory": "~/x"}, "local_directory '~/x' is not an absolute path", "home"),
        (
            {"contact_address": "gate:"},
            "contact_address 'gate:' is not an address",
            "a host, or host and port",
        ),
    ],
)
def test_what_it_cannot_use_is_refused(settings: dict[str, Any], message: str, hint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check_places(site(**settings), processes=4)
    assert str(caught.value) == message
    assert hint in caught.value.hint


def test_the_place_where_it_is_written_is_named(users: WriteProfile) -> None:
    path = users("alpine", "system: slurm\nports: 8700:8701\n")
    with pytest.raises(ConfigError, match="ports '8700:8701' has 2 ports") as caught:
        check_places(site("alpine"), processes=2)
    assert str(caught.value).startswith(f"{path}:2: ports ")


def test_a_pool_is_looked_at_too() -> None:
    with pytest.raises(ConfigError, match="local_directory 'x' is not an absolute path"):
        spec(pools={"big": {"local_directory": "x"}})
    with pytest.raises(ConfigError, match="has 3 ports, and 2 workers of a node need 4"):
        spec(ports="8700:8702", pools={"big": {"cores": 2, "processes": 2}})


def test_what_is_said_of_places_is_in_the_spec_for_each_pool() -> None:
    found = spec(
        spill=False,
        contact_address="gate:8786",
        interface="ib0",
        pools={"disk": {"spill": True, "local_directory": "$TMPDIR", "interface": "eth0"}},
    )
    assert (found.spill, found.contact_address) == (False, "gate:8786")
    assert (found.interface, found.scheduler_interface) == ("ib0", None)
    disk = found.of("disk")
    assert (disk.spill, disk.local_directory, disk.interface) == (True, "$TMPDIR", "eth0")
