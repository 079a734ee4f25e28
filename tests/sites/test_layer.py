"""Settings of one source over those of another."""

from __future__ import annotations

from typing import Any

import pytest

from dask_hpc.errors import ConfigError
from dask_hpc.sites.layer import DEFAULT, Layer, Origin, Source, build, check, merge
from dask_hpc.sites.settings import Settings
from dask_hpc.sites.sources import read_mapping


def layer(source: Source, **values: Any) -> Layer:
    return check(read_mapping(values, source), Settings)


def test_a_later_layer_hides_an_earlier_one_key_by_key() -> None:
    merged = merge(
        [
            layer(Source.DASK, cores=1, queues={"a": {"max_jobs": 5, "max_nodes": 2}}),
            layer(Source.CALL, cores=8, queues={"a": {"max_jobs": 9}}),
        ]
    )
    settings = build(merged, Settings)
    assert settings.cores == 8
    assert (settings.queues["a"].max_jobs, settings.queues["a"].max_nodes) == (9, 2)
    assert merged.origin("cores").source is Source.CALL
    assert merged.origin("queues", "a", "max_nodes").source is Source.DASK
    assert merged.origin("memory") is DEFAULT


def test_nothing_in_a_later_layer_takes_back_what_an_earlier_one_said() -> None:
    merged = merge([layer(Source.DASK, queue="a", cores=8), layer(Source.CALL, queue=None)])
    assert build(merged, Settings).queue is None
    assert merged.origin("queue") is DEFAULT
    assert build(merged, Settings).cores == 8


def test_a_table_that_holds_nothing_says_nothing() -> None:
    assert layer(Source.FILE, queues=None, local=None) == Layer()


def test_a_queue_without_limits_is_a_queue_all_the_same() -> None:
    merged = merge(
        [
            layer(Source.FILE, queues={"a": {}, "b": None, "c": {"max_jobs": 1}}),
            layer(Source.CALL, queues={"c": {}}),
        ]
    )
    queues = build(merged, Settings).queues
    assert set(queues) == {"a", "b", "c"}
    assert queues["c"].max_jobs == 1


@pytest.mark.parametrize(
    ("origin", "label", "where"),
    [
        (Origin(source=Source.FILE, place="/x.yaml:3"), "/x.yaml:3", "/x.yaml:3: local.cores"),
        (Origin(source=Source.DASK), "dask configuration", "hpc.local.cores"),
        (
            Origin(source=Source.ENVIRONMENT),
            "environment DASK_HPC__LOCAL__CORES",
            "DASK_HPC__LOCAL__CORES",
        ),
        (Origin(source=Source.CALL), "call", "local.cores"),
        (DEFAULT, "default", "local.cores"),
    ],
)
def test_an_origin_says_where_a_setting_is_written(origin: Origin, label: str, where: str) -> None:
    path = ("local", "cores")
    assert origin.label(path) == label
    assert origin.where(path) == where


def test_an_option_is_spelled_as_on_the_command_line() -> None:
    origin = Origin(source=Source.OPTION)
    assert origin.where(("local_directory",)) == "--local-directory"
    assert origin.label(("local_directory",)) == "option --local-directory"


@pytest.mark.parametrize(
    ("values", "message", "hint"),
    [
        ({"coers": 1}, "keyword 'coers' is unknown", "did you mean 'cores'?"),
        ({"local-directory": "/x"}, "keyword 'local-directory' is unknown", "did you mean 'local_"),
        ({"zzz": 1}, "keyword 'zzz' is unknown", "known are: account, client_lease, command"),
        ({"local": {"core": 1}}, "keyword 'local.core' is unknown", "did you mean 'local.cores'?"),
        (
            {"queues": {"a": {"max_job": 1}}},
            "keyword 'queues.a.max_job' is unknown",
            "did you mean 'queues.a.max_jobs'?",
        ),
        ({"local": 3}, "local '3' is not a table", "known keys are: cores, grace, idle, memory"),
        ({"queues": ["a"]}, "queues \"['a']\" is not a table", "known keys are: names of your own"),
        (
            {"cores": {"a": 1}},
            "cores is a table, not a whole number of at least 1",
            "write a whole number of at least 1",
        ),
        ({"queues": {"a\nb": {}}}, "queues 'a\\nb' holds a control character", "write plain text"),
    ],
)
def test_a_name_or_value_that_the_definition_does_not_know_is_refused(
    values: dict[str, Any], message: str, hint: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        layer(Source.CALL, **values)
    assert str(caught.value) == message
    assert caught.value.hint.startswith(hint)
