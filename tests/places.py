"""Places for tests that the fixtures of pytest are too few for."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def scratch() -> Iterator[Path]:
    """Enter with a directory for one example: a fixture's is the same for all of a property."""
    with tempfile.TemporaryDirectory(prefix="dh") as path:
        yield Path(path)
