"""The definition of all settings, and what the user's own say."""

from __future__ import annotations

from typing import Any

import dask
import pytest

from dask_hpc.errors import ConfigError
from dask_hpc.sites.layer import Source, is_table, kind_below, struct_fields
from dask_hpc.sites.settings import (
    RESOURCES,
    Settings,
    describe,
    from_keywords,
    from_options,
    of_the_user,
    settle,
)
from dask_hpc.sites.values import expected


def leaves(kind: Any = Settings, path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], Any]]:
    if not is_table(kind):
        return [(path, kind)]
    names = struct_fields(kind) or {"any": None}
    return [leaf for name in names for leaf in leaves(kind_below(kind, name), (*path, name))]


@pytest.mark.parametrize("path", [path for path, _ in leaves() if "any" not in path], ids=".".join)
def test_every_setting_says_what_it_is(path: tuple[str, ...]) -> None:
    assert describe(*path)


@pytest.mark.parametrize(("path", "kind"), leaves(), ids=str)
def test_every_setting_can_say_what_it_expects(path: tuple[str, ...], kind: Any) -> None:
    assert expected(kind), path


def test_the_words_of_a_job_are_those_of_the_interface() -> None:
    assert set(RESOURCES) == {
        "cores", "memory", "processes", "nodes", "gpus", "walltime", "queue", "account",
        "interface", "scheduler_interface", "ports", "local_directory", "env", "directives",
        "prologue",
    }  # fmt: skip
    assert set(RESOURCES) <= set(Settings.__struct_fields__)


def test_settings_have_modest_defaults() -> None:
    settings = Settings()
    assert (settings.cores, settings.nodes, settings.gpus) == (1, 1, 0)
    times = [settings.walltime, settings.death_timeout, settings.drain_timeout]
    assert [float(seconds) for seconds in times] == [3600, 60, 30]
    assert settings.secure
    assert settings.memory is None


def test_keywords_that_are_none_say_nothing() -> None:
    layer = from_keywords({"cores": None, "memory": "1GB"})
    assert list(layer.values) == [("memory",)]


def test_options_that_were_not_given_say_nothing() -> None:
    layer = from_options({"cores": None, "prologue": (), "directives": ("--exclusive",)})
    assert list(layer.values) == [("directives",)]
    assert layer.values[("directives",)].origin.source is Source.OPTION


def test_the_environment_lies_over_dask_configuration_and_a_call_over_both() -> None:
    with dask.config.set({"hpc": {"cores": 2, "queue": "a", "account": 7}}):
        layer = of_the_user({"DASK_HPC__QUEUE": "b", "DASK_HPC__ACCOUNT": "c"})
    said = settle("x", (layer, from_keywords({"account": "d"})))
    assert (said.settings.cores, said.settings.queue, said.settings.account) == (2, "b", "d")
    assert said.layer.origin("cores").source is Source.DASK
    assert said.layer.origin("queue").source is Source.ENVIRONMENT
    assert said.layer.origin("account").source is Source.CALL


def test_dask_may_write_a_hyphen_for_an_underscore_but_not_in_the_name_of_a_queue() -> None:
    with dask.config.set({"hpc": {"local-directory": "/x", "queues": {"a-b": {"max-jobs": 3}}}}):
        settings = settle("x", (of_the_user({}),)).settings
    assert settings.local_directory == "/x"
    assert settings.queues["a-b"].max_jobs == 3


def test_what_dask_took_from_the_environment_is_said_by_the_environment_alone() -> None:
    # Dask has put these into its own configuration, as it does when it is imported.
    environ = {
        "DASK_HPC__CORES": "4",
        "DASK_HPC__LOCAL": "{cores: 8}",
        "DASK_HPC__QUEUES__Fat__MAX_JOBS": "3",
    }
    with dask.config.set(dask.config.collect_env(environ)):
        layer = of_the_user(environ)
    assert {found.origin.source for found in layer.values.values()} == {Source.ENVIRONMENT}
    assert settle("x", (layer,)).settings.local.cores == 8


def test_a_mistake_in_the_environment_is_not_laid_at_the_door_of_dask() -> None:
    environ = {"DASK_HPC__CROES": "4"}
    with (
        dask.config.set(dask.config.collect_env(environ)),
        pytest.raises(ConfigError, match=r"^variable 'DASK_HPC__CROES' is unknown$"),
    ):
        of_the_user(environ)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"coers": 1}, "key 'hpc.coers' is unknown"),
        ({"cores": "x"}, "hpc.cores 'x' is not a whole number of at least 1"),
        (3, "hpc in the dask configuration is not a table"),
    ],
)
def test_a_mistake_in_dask_configuration_is_named_as_it_stands_there(
    values: object, message: str
) -> None:
    with dask.config.set({"hpc": values}), pytest.raises(ConfigError) as caught:
        of_the_user({})
    assert str(caught.value) == message


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        Settings().cores = 3  # type: ignore[misc]


def test_a_call_that_is_refused_names_what_was_given() -> None:
    with pytest.raises(ConfigError, match=r"^--memory '10XB' is not an amount of memory$"):
        from_options({"memory": "10XB"})
    with pytest.raises(ConfigError, match=r"^memory '10XB' is not an amount of memory$"):
        from_keywords({"memory": "10XB"})
