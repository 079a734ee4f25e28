"""``dask-hpc run`` on a Grid Engine of separate hosts: results, and what goes wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.integration.hosts import sge_site
from tests.integration.run_on_nodes import (
    test_a_node_that_dies_is_told_and_survived_if_it_may_be_missing,
    test_a_script_that_a_signal_ended_is_reported,
    test_the_first_node_is_told_when_it_dies_and_the_run_is_over,
    test_workers_of_every_node_compute_and_the_exit_code_is_passed_on,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.hosts import Site

__all__ = [
    "test_a_node_that_dies_is_told_and_survived_if_it_may_be_missing",
    "test_a_script_that_a_signal_ended_is_reported",
    "test_the_first_node_is_told_when_it_dies_and_the_run_is_over",
    "test_workers_of_every_node_compute_and_the_exit_code_is_passed_on",
]

pytestmark = [pytest.mark.bed("sge"), pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with sge_site() as found:
        yield found
