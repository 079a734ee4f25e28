"""A queue for each test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.localqueue.program import LocalQueue

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def queue(home: Path, tmp_path: Path) -> Iterator[LocalQueue]:
    """A queue that nobody else uses; its daemon ends with the test."""
    queue = LocalQueue(home=home, work=tmp_path)
    yield queue
    queue.close()
