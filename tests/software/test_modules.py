"""Modules are loaded in the job, also where it knows nothing of them yet."""

from __future__ import annotations

import subprocess

import pytest

from dask_hpc.errors import ConfigError
from dask_hpc.software.modules import load

SHOW = "module() { printf '<%s>' \"$@\"; }\n"


def test_modules_are_loaded_in_their_order() -> None:
    script = SHOW + "\n".join(load("python/3.11, it's-odd"))
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "<load><python/3.11><it's-odd>"


@pytest.mark.parametrize("names", ["", "a,,b", " "])
def test_no_name_is_refused(names: str) -> None:
    with pytest.raises(ConfigError, match="names no module"):
        load(names)
