from __future__ import annotations

import pytest

from dask_hpc._hosts import host_name
from dask_hpc.cluster.variables import expand
from dask_hpc.errors import ConfigError

ENVIRON = {"USER": "ada", "TMPDIR": "/local/77", "EMPTY": "", "SCRATCH": "/s/ada", "TERM": "x"}


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("/scratch/x", "/scratch/x"),
        ("$TMPDIR", "/local/77"),
        ("$TMPDIR/dask", "/local/77/dask"),
        ("/local/${USER}_x", "/local/ada_x"),
        ("/a$", "/a$"),
    ],
)
def test_variables_are_those_of_the_job(text: str, expanded: str) -> None:
    assert expand(text, ENVIRON, setting="local_directory") == expanded


@pytest.mark.parametrize("text", ["$NOWHERE/dask", "/x/${NOWHERE}", "$TMPDIR/$NOWHERE"])
def test_a_variable_that_is_not_set_is_named_with_those_that_are(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        expand(text, ENVIRON, setting="local_directory")
    assert str(caught.value) == (
        f"local_directory {text!r} cannot be used on {host_name()}: NOWHERE is not set there"
    )
    assert caught.value.hint == "set there are SCRATCH=/s/ada, TMPDIR=/local/77"


def test_an_empty_variable_is_none() -> None:
    with pytest.raises(ConfigError, match="EMPTY is not set there") as caught:
        expand("$EMPTY/dask", {"EMPTY": "", "HOME": "/home/ada"}, setting="local_directory")
    assert "HOME" not in caught.value.hint


@pytest.mark.parametrize("text", ["${TMPDIR:-/tmp}", "${}"])
def test_what_a_shell_would_do_more_is_not_guessed(text: str) -> None:
    with pytest.raises(ConfigError, match="is not set there"):
        expand(text, ENVIRON, setting="local_directory")
