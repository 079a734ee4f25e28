"""What people write, and what becomes of it."""

from __future__ import annotations

import math
import re
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Meta

from dask_hpc.errors import ConfigError
from dask_hpc.sites.values import (
    Duration,
    Lines,
    Memory,
    Patience,
    Ports,
    Scalar,
    convert,
    expected,
)

COUNT = Annotated[int, Meta(ge=1)]
PLACE = Literal["node", "login"]
AMOUNT = 'write a number and one of kB, MB, GB, TB, KiB, MiB, GiB, TiB, as in "100GB"'
DURATION = 'write "2h", "90min", "1h30m", "02:00:00" or "1-12:00:00"'


def scalar(value: object) -> Scalar:
    return Scalar(value=value, text=str(value))


@pytest.mark.parametrize(
    ("value", "kind", "result"),
    [
        (4, COUNT, 4),
        ("4", COUNT, 4),
        ("100GB", Memory, 100 * 10**9),
        ("1 GiB", Memory | None, 2**30),
        (2**30, Memory, 2**30),
        ("2h", Duration, 7200.0),
        (90, Duration, 90.0),
        ("never", Patience, math.inf),
        (math.inf, Patience, math.inf),
        ("30m", Patience, 1800.0),
        ("8786", Ports, "8786"),
        (8786, Ports, "8786"),
        ("8700:8799", Ports, "8700:8799"),
        ("module load x", Lines, ("module load x",)),
        ("a\nb\n", Lines, ("a", "b")),
        (["a", "b\nc"], Lines, ("a", "b", "c")),
        (("a",), Lines, ("a",)),
        ("\tindented", Lines, ("\tindented",)),
        (True, bool, True),
        ("true", bool, True),
        ("login", PLACE, "login"),
    ],
)
def test_a_value_becomes_what_the_setting_wants(value: object, kind: Any, result: object) -> None:
    assert convert(scalar(value), kind, where="x") == result


@pytest.mark.parametrize(("value", "text"), [(7, "007"), (True, "on"), (1.5, "1.50")])
def test_a_word_stays_as_it_was_written_whatever_yaml_takes_it_for(
    value: object, text: str
) -> None:
    assert convert(Scalar(value=value, text=text), str | None, where="account") == text


@pytest.mark.parametrize(
    ("value", "kind", "message", "hint"),
    [
        ("four", COUNT, "x 'four' is not a whole number of at least 1", "write a whole number of"),
        (0, COUNT, "x '0' is not a whole number of at least 1", "write a whole number of"),
        (True, COUNT, "x 'True' is not a whole number of at least 1", "write a whole number of"),
        ("10XB", Memory, "x '10XB' is not an amount of memory", AMOUNT),
        (True, Memory, "x 'True' is not an amount of memory", AMOUNT),
        (math.inf, Memory, "x 'inf' is not an amount of memory", AMOUNT),
        ([1], Memory, "x '[1]' is not an amount of memory", "write an amount of memory"),
        (
            100,
            Memory,
            "x '100' is 100 bytes, less than any process can live in",
            'write the unit, as in "100GB"',
        ),
        ("2 fortnights", Duration, "x '2 fortnights' is not a duration", DURATION),
        (math.inf, Duration, "x 'inf' is not a duration", DURATION),
        ("0", Duration, "x '0' is not positive", 'as in "2h"'),
        ("whenever", Patience, "x 'whenever' is not a duration", DURATION),
        ("0", Ports, "x '0' is not a port or a range of ports", 'as in "8786" or "8700:8799"'),
        ("9:8", Ports, "x '9:8' is not a port or a range of ports", 'as in "8786"'),
        ("80-90", Ports, "x '80-90' is not a port or a range of ports", 'as in "8786"'),
        ("1:65536", Ports, "x '1:65536' is not a port or a range of ports", 'as in "8786"'),
        ("here", PLACE, "x 'here' is not one of login, node", "write one of login, node"),
        ("perhaps", bool, "x 'perhaps' is not true or false", "write true or false"),
        (3, Lines, "x 3 is not a line of text or a list of them", "quote a line with a colon"),
        (["a", 3], Lines, "x ['a', 3] is not a line of text or a list of them", "quote a line"),
    ],
)
def test_a_value_that_cannot_be_is_named_with_its_place_and_a_hint(
    value: object, kind: Any, message: str, hint: str
) -> None:
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}") as caught:
        convert(
            Scalar(value=value, text=None if isinstance(value, list) else str(value)),
            kind,
            where="x",
        )
    assert caught.value.hint.startswith(hint)


@pytest.mark.parametrize("character", ["\x00", "\t", "\n", "\x1b", "\x7f", "\x85", "\udc80"])
def test_a_word_with_a_control_character_is_refused(character: str) -> None:
    word = f"long{character}lived"
    with pytest.raises(ConfigError) as caught:
        convert(Scalar(value=word, text=word), str, where="queue")
    assert str(caught.value) == f"queue {word!r} holds a control character"


@settings(max_examples=40, deadline=None)
@given(st.text() | st.lists(st.text()))
def test_lines_never_hold_a_line_break(value: str | list[str]) -> None:
    try:
        lines = convert(Scalar(value=value), Lines, where="x")
    except ConfigError as error:
        assert "control character" in str(error)  # noqa: PT017 - most texts hold none
    else:
        assert isinstance(lines, Lines)
        assert not any(set(line) & {"\n", "\r", "\x00"} for line in lines)


@settings(max_examples=40, deadline=None)
@given(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.integers())
)
@pytest.mark.parametrize("kind", [COUNT, Memory, Duration, Patience, Ports, PLACE, str])
def test_whatever_is_written_is_taken_or_refused_with_a_hint(kind: Any, value: object) -> None:
    try:
        convert(
            Scalar(value=value, text=value if isinstance(value, str) else None), kind, where="x"
        )
    except ConfigError as error:
        assert str(error).startswith("x ") and error.hint  # noqa: PT017, PT018 - refused


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (int, "a whole number"),
        (Annotated[str | None, Meta(description="x")], "a line of text"),
        (Memory | None, 'an amount of memory, as "100GB"'),
        (Patience, 'a duration, as "2h", or "never"'),
    ],
)
def test_a_kind_of_value_can_be_said_in_words(kind: Any, words: str) -> None:
    assert expected(kind) == words
