"""How each container engine runs a program of an image, as a table. No I/O."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dask_hpc.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Entrance:
    """The words before a program that run it in an image, and the shell lines before them."""

    words: tuple[str, ...]
    prologue: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """An image; the directory that it must show; whether it gets the node's GPUs."""

    image: str
    directory: str
    gpus: bool


def enter(engine: str, image: str, *, directory: Path, gpus: bool) -> Entrance:
    """Return how to get into an image; ``engine`` is one of `ENGINES`.

    Raises
    ------
    ConfigError
        If the image or the directory cannot be named to the engine.
    """
    if image.startswith("-") or not image.isprintable():
        raise ConfigError(f"image {image!r} is no name of an image", hint=f"write {engine}:IMAGE")
    if engine in _COLONS and set(":,") & set(str(directory)):
        raise ConfigError(
            f"{engine} cannot show {str(directory)!r}: the path holds a colon or a comma",
            hint="keep clusters in another directory: DASK_HPC_HOME names it",
        )
    return ENGINES[engine](Wanted(image=image, directory=str(directory), gpus=gpus))


# In jobs of all engines: no packages of the user's home directory, which are for another Python.
_CLEAN = "export PYTHONNOUSERSITE=1"


def _apptainer(program: str, wanted: Wanted) -> Entrance:
    # It shows the home directory, /tmp and the working directory, and takes further ones here.
    variable = f"{program.upper()}_BIND"
    shown = f"{shlex.quote(wanted.directory)}${{TMPDIR:+,$TMPDIR}}"
    gpus = ("--nv",) if wanted.gpus else ()
    return Entrance(
        words=(program, "exec", *gpus, wanted.image),
        prologue=(_CLEAN, f'export {variable}="${{{variable}:+${variable},}}"{shown}'),
    )


def _shifter(wanted: Wanted) -> Entrance:
    # The site says what it shows: homes and file systems, as a rule. GPUs are there by themselves.
    return Entrance(words=("shifter", f"--image={wanted.image}"), prologue=(_CLEAN,))


def _podman(wanted: Wanted) -> Entrance:
    here = wanted.directory
    options = ("--rm", "--network=host", "--env-host", f"--volume={here}:{here}")
    gpus = ("--gpu",) if wanted.gpus else ()
    return Entrance(words=("podman-hpc", "run", *options, *gpus, wanted.image), prologue=(_CLEAN,))


def _charliecloud(wanted: Wanted) -> Entrance:
    options = ("--write-fake", f"--bind={wanted.directory}")
    return Entrance(words=("ch-run", *options, wanted.image, "--"), prologue=(_CLEAN,))


_COLONS = ("apptainer", "singularity", "podman-hpc", "charliecloud")
ENGINES: Mapping[str, Callable[[Wanted], Entrance]] = {
    "apptainer": lambda wanted: _apptainer("apptainer", wanted),
    "singularity": lambda wanted: _apptainer("singularity", wanted),
    "shifter": _shifter,
    "podman-hpc": _podman,
    "charliecloud": _charliecloud,
}
