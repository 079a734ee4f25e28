"""Yaml text: what is said in it, in which line; and what it must not hold."""

from __future__ import annotations

import datetime as dt
import re

import pytest

from dask_hpc.errors import ConfigError
from dask_hpc.sites.layer import Leaf, Origin, Source, Table
from dask_hpc.sites.values import Scalar
from dask_hpc.sites.yamltext import read_word, read_yaml


def at(line: int) -> Origin:
    return Origin(source=Source.FILE, place=f"x.yaml:{line}")


def test_a_text_is_a_tree_that_knows_its_lines() -> None:
    text = "cores: 4\nlocal:\n  memory: 3 GB\nprologue:\n- a\n- 7\n"
    assert read_yaml(text, at) == Table(
        origin=at(1),
        items={
            "cores": Leaf(scalar=Scalar(value=4, text="4"), origin=at(1)),
            "local": Table(
                origin=at(2),
                items={"memory": Leaf(scalar=Scalar(value="3 GB", text="3 GB"), origin=at(3))},
            ),
            "prologue": Leaf(scalar=Scalar(value=["a", "7"]), origin=at(4)),
        },
    )


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n"])
def test_a_text_without_content_says_nothing(text: str) -> None:
    found = read_yaml(text, at)
    assert not (isinstance(found, Table) and found.items)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("4", 4),
        ("on", True),
        ("null", None),
        ("", None),
        ("007", 7),
        ("2026-11-20", dt.date(2026, 11, 20)),
        ("2026-99-99", "2026-99-99"),
        ("a: b", "a: b"),
        ("#x", "#x"),
        ("*x", "*x"),
    ],
)
def test_a_word_keeps_its_text_beside_what_yaml_takes_it_for(text: str, value: object) -> None:
    assert read_word(text) == Scalar(value=value, text=text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "cores: 1\nname: !!python/object/apply:os.system [id]",
            "x.yaml:2: tag 'tag:yaml.org,2002:python/object/apply:os.system' is not allowed",
        ),
        ("a:\n- !!python/name:os.system x", "x.yaml:2: tag 'tag:yaml.org,2002:python/name:os"),
        ("!!python/object:x.Y\na: 1", "x.yaml:1: tag 'tag:yaml.org,2002:python/object:x.Y'"),
        ("a: !mine 1", "x.yaml:1: tag '!mine' is not allowed"),
        ("a: &x 1\nb: *x", "x.yaml:2: not plain yaml: aliases are not allowed"),
        ("a: &x\n  b: *x", "x.yaml:2: not plain yaml: aliases are not allowed"),
        ("a: 1\nb: 2\na: 3", "x.yaml:3: key 'a' stands twice"),
        ("? [a]\n: 1", "x.yaml:1: a key is not a word"),
        ("a:\n- b: 1", "x.yaml:2: a table or a list in a list"),
        ("a: 1\n b: 2", "x.yaml:2: not plain yaml: mapping values are not allowed here"),
        ("a: 1\n--- \nb: 2", "x.yaml:2: not plain yaml: but found another document"),
        ("a: \x07", "x.yaml:1: not plain yaml: unacceptable character #x0007"),
        ("[" * 600, "x.yaml:1: nested too deeply"),
    ],
)
def test_what_is_not_plain_is_refused_with_its_line(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}") as caught:
        read_yaml(text, at)
    assert caught.value.hint
