"""Memory, time and numbers of things as people write them. One rule for each, everywhere."""

from __future__ import annotations

import math
import re
from decimal import Decimal

from dask_hpc.errors import ConfigError

_BYTES = {
    "": 1, "b": 1,
    "k": 10**3, "kb": 10**3, "kib": 2**10,
    "m": 10**6, "mb": 10**6, "mib": 2**20,
    "g": 10**9, "gb": 10**9, "gib": 2**30,
    "t": 10**12, "tb": 10**12, "tib": 2**40,
}  # fmt: skip
_SECONDS = {
    "ms": 0.001, "": 1, "s": 1, "sec": 1, "second": 1, "seconds": 1,
    "m": 60, "min": 60, "mins": 60, "minute": 60, "minutes": 60,
    "h": 3600, "hr": 3600, "hour": 3600, "hours": 3600,
    "d": 86400, "day": 86400, "days": 86400,
}  # fmt: skip
_NUMBER = re.compile(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*([a-zA-Z]*)\s*")
_CLOCK = re.compile(r"(?:(\d+)-)?(\d+):(\d{1,2})(?::(\d{1,2}))?")


def parse_bytes(value: str | float, *, where: str = "memory") -> int:
    """Return a number of bytes.

    Parameters
    ----------
    value
        ``"100GB"`` (10^9 each), ``"96 GiB"`` (2^30 each), or a number of bytes.
    where
        The name of the setting, for the error.

    Raises
    ------
    ConfigError
        If the unit is unknown, or the amount is not positive.
    """
    amount = _read_bytes(value) if isinstance(value, str) else Decimal(value)
    if amount is None or not amount.is_finite():
        raise ConfigError(
            f"{where} {value!r} is not an amount of memory",
            hint='write a number and one of kB, MB, GB, TB, KiB, MiB, GiB, TiB, as in "100GB"',
        )
    if amount < 1:
        raise ConfigError(f"{where} {value!r} is less than a byte", hint='as in "100GB"')
    return int(amount)


def _read_bytes(text: str) -> Decimal | None:
    match = _NUMBER.fullmatch(text)
    if match is None or match[2].lower() not in _BYTES:
        return None
    return Decimal(match[1]) * _BYTES[match[2].lower()]


def parse_seconds(value: str | float, *, where: str = "walltime") -> float:
    """Return a number of seconds.

    Parameters
    ----------
    value
        ``"2h"``, ``"90 min"``, ``"1h30m"``, ``"02:00:00"``, ``"30:00"`` (minutes and seconds),
        ``"1-12:00:00"`` (days), or a number of seconds.
    where
        The name of the setting, for the error.

    Raises
    ------
    ConfigError
        If it cannot be read, or is not positive.
    """
    seconds = _read_seconds(value) if isinstance(value, str) else float(value)
    if seconds is None or not math.isfinite(seconds):
        raise ConfigError(
            f"{where} {value!r} is not a duration",
            hint='write "2h", "90min", "1h30m", "02:00:00" or "1-12:00:00"',
        )
    if seconds <= 0:
        raise ConfigError(f"{where} {value!r} is not positive", hint='as in "2h"')
    return seconds


def _read_seconds(text: str) -> float | None:
    if match := _CLOCK.fullmatch(text.strip()):
        days, first, second, third = (int(part or 0) for part in match.groups())
        if match[4] is None and match[1] is None:
            return first * 60 + second  # MM:SS, as Slurm and Dask read it
        return days * 86400 + first * 3600 + second * 60 + third
    parts = list(_NUMBER.finditer(text))
    units = [part[2].lower() for part in parts]
    # A number without a unit means seconds, but only alone: "1h30" may as well mean minutes.
    is_known = all(unit in _SECONDS for unit in units) and ("" not in units or len(units) == 1)
    if not is_known or "".join(part[0] for part in parts) != text or not parts:
        return None
    return sum(float(part[1]) * _SECONDS[part[2].lower()] for part in parts)


def counted(number: int, noun: str) -> str:
    """Return ``"1 job"`` or ``"2 jobs"``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def format_bytes(amount: int) -> str:
    """Return ``"1.5 GiB"`` for 1610612736."""
    for unit, size in (("TiB", 2**40), ("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if amount >= size:
            count = amount / size
            return f"{count:.4g} {unit}" if count < 1000 else f"{count:.0f} {unit}"
    return f"{amount} B"


def format_seconds(seconds: float) -> str:
    """Return ``"1h30m"`` for 5400, and ``"45s"`` for 45."""
    left = round(seconds)
    parts = []
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts[:2]) or "0s"


def format_clock(seconds: float) -> str:
    """Return ``"26:00:00"`` for 93600: hours, minutes and seconds, as batch systems read it."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours:02d}:{minute:02d}:{second:02d}"
