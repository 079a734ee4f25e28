"""Where conda's environments are, found without running it: that takes a second."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_ROOTS = ("miniforge3", "mambaforge", "miniconda3", "anaconda3", "micromamba")
_BASE = "base"


def find(name: str, *, environ: Mapping[str, str] = os.environ) -> Path | None:
    """Return the prefix of a conda environment, or nothing if there is none of this name.

    Looked for in the directories that conda's variables name, in its own list of environments
    (``~/.conda/environments.txt``), and where its installers put it.
    """
    if not name or "/" in name:
        return None
    return next((prefix for prefix in _candidates(name, environ) if _is_one(prefix)), None)


def _candidates(name: str, environ: Mapping[str, str]) -> Iterator[Path]:
    home = Path(environ.get("HOME") or "/")
    for variable in ("CONDA_ENVS_PATH", "CONDA_ENVS_DIRS"):
        yield from (Path(one) / name for one in environ.get(variable, "").split(":") if one)
    roots = [Path(environ["MAMBA_ROOT_PREFIX"])] if environ.get("MAMBA_ROOT_PREFIX") else []
    if program := environ.get("CONDA_EXE"):
        roots.append(Path(program).parent.parent)
    roots += [home / root for root in _ROOTS]
    for root in roots:
        yield root if name == _BASE else root / "envs" / name
    yield home / ".conda" / "envs" / name
    yield from (prefix for prefix in _listed(home) if prefix.name == name)


def _listed(home: Path) -> Iterator[Path]:
    try:
        text = (home / ".conda" / "environments.txt").read_text(encoding="utf-8")
    except OSError:
        return
    yield from (Path(line.strip()) for line in text.splitlines() if line.strip())


def _is_one(prefix: Path) -> bool:
    return (prefix / "conda-meta").is_dir()
