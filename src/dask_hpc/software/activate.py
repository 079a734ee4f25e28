"""The shell lines that activate an environment: what conda and venv do, without their tools."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def activation(prefix: Path) -> tuple[str, ...]:
    """Return the lines for an environment; none if the prefix is that of no environment.

    They need neither conda nor the environment of whoever submits. Packages of conda have scripts
    that set what they need (as where GDAL's data is).
    """
    if (prefix / "conda-meta").is_dir():
        return (
            *_entered(prefix, variable="CONDA_PREFIX"),
            'for dask_hpc_script in "$CONDA_PREFIX"/etc/conda/activate.d/*.sh; do',
            '  [ ! -r "$dask_hpc_script" ] || . "$dask_hpc_script"',
            "done",
        )
    if (prefix / "pyvenv.cfg").is_file():
        return _entered(prefix, variable="VIRTUAL_ENV")
    return ()


def _entered(prefix: Path, *, variable: str) -> tuple[str, ...]:
    return (
        f"export {variable}={shlex.quote(str(prefix))}",
        f'export PATH="${variable}/bin:$PATH"',
    )
