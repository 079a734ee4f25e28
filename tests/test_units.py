"""Amounts as people write them, read and written again."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dask_hpc._units import (
    format_bytes,
    format_clock,
    format_seconds,
    parse_bytes,
    parse_seconds,
)
from dask_hpc.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("100GB", 100 * 10**9),
        ("100 gb", 100 * 10**9),
        (" 96 GiB ", 96 * 2**30),
        ("1.5GiB", 1610612736),
        (".5 kB", 500),
        ("2.kb", 2000),
        ("7", 7),
        ("7b", 7),
        ("1T", 10**12),
        ("3mib", 3 * 2**20),
        ("9007199254740993", 9007199254740993),  # more than a float can hold
        (123, 123),
        (1e9, 10**9),
        (1.0, 1),
    ],
)
def test_memory_is_read_as_people_write_it(text: str | float, amount: int) -> None:
    assert parse_bytes(text) == amount


@pytest.mark.parametrize("value", ["", "GB", "1XB", "-5GB", "5 G B", "1e3", "5GB5", "nan", "1,5GB"])
def test_what_is_no_amount_of_memory_is_refused(value: str) -> None:
    with pytest.raises(ConfigError, match=r"worker\.memory '.*' is not an amount") as caught:
        parse_bytes(value, where="worker.memory")
    assert repr(value) in str(caught.value)
    assert '"100GB"' in caught.value.hint


@pytest.mark.parametrize("value", ["0GB", 0, -1, "0.5", 0.2])
def test_less_than_a_byte_is_refused(value: str | float) -> None:
    with pytest.raises(ConfigError, match="is less than a byte") as caught:
        parse_bytes(value)
    assert repr(value) in str(caught.value)


@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_what_is_no_number_is_refused(value: float) -> None:
    with pytest.raises(ConfigError):
        parse_bytes(value)
    with pytest.raises(ConfigError):
        parse_seconds(value)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2h", 7200),
        ("90 min", 5400),
        ("1h30m", 5400),
        ("1 hour 30 minutes", 5400),
        ("1d 2h", 93600),
        ("1.5h", 5400),
        ("45", 45),
        ("45s", 45),
        ("02:00:00", 7200),
        ("30:00", 1800),
        ("1-12:00:00", 129600),
        ("1-12:30", 131400),
        ("100:00:00", 360000),
        (60, 60.0),
        (0.5, 0.5),
    ],
)
def test_durations_are_read_as_people_write_them(text: str | float, seconds: float) -> None:
    assert parse_seconds(text) == seconds


@pytest.mark.parametrize(
    "value", ["", " ", "h", "2 x", "-2h", "1h30", "1:2:3:4", "2h!", "1.5.5h", "1-", "٣h٣", "1 2"]
)
def test_what_is_no_duration_is_refused(value: str) -> None:
    with pytest.raises(ConfigError, match="is not a duration") as caught:
        parse_seconds(value, where="walltime")
    assert repr(value) in str(caught.value)


@pytest.mark.parametrize("value", ["0", "00:00:00", 0, -3.5])
def test_a_duration_that_is_not_positive_is_refused(value: str | float) -> None:
    with pytest.raises(ConfigError, match="is not positive"):
        parse_seconds(value)


@given(st.integers(1, 2**70))
def test_written_memory_is_read_as_nearly_the_same(amount: int) -> None:
    assert parse_bytes(format_bytes(amount)) == pytest.approx(amount, rel=0.001)


@given(st.integers(1, 10**8))
def test_a_written_clock_is_read_as_the_same(seconds: int) -> None:
    assert parse_seconds(format_clock(seconds)) == seconds


@given(st.integers(1, 10**8))
def test_a_written_duration_is_read_as_a_little_less(seconds: int) -> None:
    read = parse_seconds(format_seconds(seconds))
    assert read <= seconds
    assert read == pytest.approx(seconds, rel=0.05)


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    for parse in (parse_bytes, parse_seconds):
        with suppress(ConfigError):
            assert parse(text) > 0


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1610612736, "1.5 GiB"),
        (2**40, "1 TiB"),
        (1023 * 2**20, "1023 MiB"),
        (123456 * 2**40, "123456 TiB"),
    ],
)
def test_memory_is_written_for_people(amount: int, text: str) -> None:
    assert format_bytes(amount) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (45, "45s"),
        (59.6, "1m"),
        (5400, "1h30m"),
        (93784, "1d2h"),
        (86400, "1d"),
    ],
)
def test_durations_are_written_for_people(seconds: float, text: str) -> None:
    assert format_seconds(seconds) == text


def test_a_clock_counts_hours_past_a_day() -> None:
    assert format_clock(93600) == "26:00:00"
    assert format_clock(59.7) == "00:01:00"
