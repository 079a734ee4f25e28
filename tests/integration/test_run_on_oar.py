"""``dask-hpc run`` on OAR, of which each node can be powered off: results, and what goes wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.integration.hosts import oar_site
from tests.integration.run_on_nodes import (
    test_a_node_that_dies_is_told_and_survived_if_it_may_be_missing,
    test_a_script_that_a_signal_ended_is_reported,
    test_workers_of_every_node_compute_and_the_exit_code_is_passed_on,
)

if TYPE_CHECKING:
    from tests.beds.beds import OarBed
    from tests.integration.hosts import Site

__all__ = [
    "test_a_node_that_dies_is_told_and_survived_if_it_may_be_missing",
    "test_a_script_that_a_signal_ended_is_reported",
    "test_workers_of_every_node_compute_and_the_exit_code_is_passed_on",
]

pytestmark = [pytest.mark.bed("oar"), pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def site(oar: OarBed) -> Site:
    return oar_site(oar)
