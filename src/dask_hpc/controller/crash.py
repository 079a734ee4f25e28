"""The end of a controller in the midst of what it does: how tests see that nothing is lost then."""

from __future__ import annotations

import itertools
import os

from dask_hpc import _envvars

_CODE = 86
_effects = itertools.count(1)


def side_effect() -> None:
    """Count what was just done to the world; end this process at once if it was the one named."""
    number = next(_effects)
    if _envvars.CRASH_AT.get() == str(number):
        os._exit(_CODE)
