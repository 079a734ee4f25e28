"""How each container engine is entered: golden words, and a shell that reads the lines."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from dask_hpc.errors import ConfigError
from dask_hpc.software.container import ENGINES, enter

HERE = Path("/scratch/me/dask hpc")
WORDS = {
    "apptainer": ("apptainer", "exec", "it.sif"),
    "singularity": ("singularity", "exec", "it.sif"),
    "shifter": ("shifter", "--image=it.sif"),
    "podman-hpc": (
        *("podman-hpc", "run", "--rm", "--network=host", "--env-host"),
        *("--volume=/scratch/me/dask hpc:/scratch/me/dask hpc", "it.sif"),
    ),
    "charliecloud": ("ch-run", "--write-fake", "--bind=/scratch/me/dask hpc", "it.sif", "--"),
}
WITH_GPUS = {"apptainer": "--nv", "singularity": "--nv", "podman-hpc": "--gpu"}


def variable(lines: tuple[str, ...], name: str, **environ: str) -> str:
    script = "\n".join([*lines, f'printf %s "${name}"'])
    done = subprocess.run(
        ["bash", "-euc", script], env=environ, capture_output=True, text=True, check=True
    )
    return done.stdout


def test_there_are_words_for_every_engine() -> None:
    assert WORDS.keys() == ENGINES.keys()


@pytest.mark.parametrize("engine", ENGINES)
def test_the_words_before_a_program(engine: str) -> None:
    assert enter(engine, "it.sif", directory=HERE, gpus=False).words == WORDS[engine]


@pytest.mark.parametrize("engine", ENGINES)
def test_gpus_are_asked_for_where_that_is_needed(engine: str) -> None:
    words = enter(engine, "it.sif", directory=HERE, gpus=True).words
    more = set(words) - set(WORDS[engine])
    assert more == {WITH_GPUS[engine]} if engine in WITH_GPUS else not more


@pytest.mark.parametrize(
    ("environ", "shown"),
    [
        ({}, str(HERE)),
        ({"TMPDIR": "/local/7"}, f"{HERE},/local/7"),
        ({"APPTAINER_BIND": "/data"}, f"/data,{HERE}"),
    ],
)
def test_apptainer_shows_the_cluster_and_what_was_asked_for(
    environ: dict[str, str], shown: str
) -> None:
    lines = enter("apptainer", "it.sif", directory=HERE, gpus=False).prologue
    assert variable(lines, "APPTAINER_BIND", **environ) == shown


def test_packages_of_the_home_directory_stay_outside() -> None:
    for engine in ENGINES:
        lines = enter(engine, "it.sif", directory=HERE, gpus=False).prologue
        assert variable(lines, "PYTHONNOUSERSITE") == "1"


@pytest.mark.parametrize("image", ["--privileged", "a\nb"])
def test_what_is_no_image_is_refused(image: str) -> None:
    with pytest.raises(ConfigError, match="is no name of an image"):
        enter("apptainer", image, directory=HERE, gpus=False)


def test_a_directory_that_cannot_be_shown_is_refused() -> None:
    with pytest.raises(ConfigError, match="holds a colon or a comma"):
        enter("apptainer", "it.sif", directory=Path("/a:b"), gpus=False)
