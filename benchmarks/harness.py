"""Contenders that take turns, each turn a program of its own; what they cost, turn by turn."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

Quantities = Mapping[str, float]  # by name, the unit last: {"wall s": 0.7}

_GOODBYE = 30.0  # seconds that a program has to clean up after itself
_FAILURES = 2  # turns of a measurement that may fail until it is given up


class Unavailable(Exception):
    """What a measurement needs is not on this machine; the words say what."""


class TurnFailed(Exception):
    """A contender did not do what is measured; the words say how that went."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """One way to do it. ``run`` does it once and returns what it cost.

    ``turns`` is for one whose answer is known after less than all turns; a ``yardstick`` is no
    rival, but what the machine needs for the least that could be asked of it.
    """

    name: str
    run: Callable[[], Quantities]
    turns: int | None = None
    yardstick: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """What is to be reached: the most that the median of ours may be.

    As a share of what the contender ``beside`` costs, or, without one, in the quantity's own unit.
    """

    quantity: str
    at_most: float
    beside: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """What is measured. Ours stands first; the others are what it is compared with.

    ``around`` is entered before the first turn and left after the last; it raises `Unavailable`
    where nothing can be measured. ``patience`` is for one turn, in seconds.
    """

    name: str
    contenders: Sequence[Contender]
    repeats: int = 5
    goals: Sequence[Goal] = ()
    around: Callable[[], AbstractContextManager[object]] = nullcontext
    patience: float = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Runs:
    """What every turn of a measurement cost: by contender and quantity, in order."""

    name: str
    values: Mapping[str, Mapping[str, list[float]]]
    goals: tuple[Goal, ...] = ()
    yardsticks: tuple[str, ...] = ()  # contenders that are no rivals
    loads: list[float] = field(default_factory=list)  # of the machine, before each turn
    failures: list[str] = field(default_factory=list)


class Apart(Protocol):
    """Runs one contender of a part once, by its place."""

    def __call__(self, part: str, place: int, *, seconds: float) -> Quantities:
        """Return what it cost, or raise `TurnFailed`."""


def measure(part: str, measurement: Measurement, *, apart: Apart | None = None) -> Runs:
    """Let the contenders take turns, so that a busy minute of the machine hits all of them.

    A turn that fails for one of them is nobody's turn. Each is ``apart``, by default in a program
    of its own, so that none leaves traces in the next.
    """
    take = apart or in_a_program
    values: dict[str, dict[str, list[float]]] = {one.name: {} for one in measurement.contenders}
    runs = Runs(
        name=measurement.name,
        values=values,
        goals=tuple(measurement.goals),
        yardsticks=tuple(one.name for one in measurement.contenders if one.yardstick),
    )
    with measurement.around():
        while len(runs.loads) < measurement.repeats and len(runs.failures) < _FAILURES:
            load = os.getloadavg()[0]
            try:
                turn = _turn(measurement, partial(take, part), number=len(runs.loads))
            except TurnFailed as failure:
                runs.failures.append(str(failure))
                say(f"{measurement.name}: {failure}\n")
                continue
            runs.loads.append(load)
            for contender, found in turn.items():
                for quantity, value in found.items():
                    values[contender].setdefault(quantity, []).append(value)
    return runs


def _turn(
    measurement: Measurement, take: Callable[..., Quantities], *, number: int
) -> dict[str, Quantities]:
    found = {}
    for place, contender in enumerate(measurement.contenders):
        if contender.turns is None or number < contender.turns:
            say(f"{measurement.name}: {contender.name}, {number + 1} of {measurement.repeats}")
            found[contender.name] = take(place, seconds=measurement.patience)
    return found


def in_a_program(part: str, place: int, *, seconds: float) -> Quantities:
    """Run a contender in a program of its own."""
    argv = [sys.executable, "-m", "benchmarks", "--turn", part, str(place)]
    with _program(argv) as process:
        try:
            out, err = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            raise TurnFailed(f"no end after {seconds:.0f} s") from None
    if process.returncode:
        last = err.strip().splitlines()[-1:] or [f"exit code {process.returncode}"]
        raise TurnFailed(last[0])
    found: Quantities = json.loads(out.strip().splitlines()[-1])
    return found


@contextmanager
def _program(argv: list[str]) -> Iterator[subprocess.Popen[str]]:
    """Give a program in a session of its own, which ends with whoever entered."""
    process = subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)  # it has things of its own to end
            with suppress(subprocess.TimeoutExpired):
                process.communicate(timeout=_GOODBYE)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def take_turn(measurement: Measurement, place: int) -> str:
    """Run a contender once in this program; return what it cost, for `measure` to read."""
    return json.dumps(measurement.contenders[place].run())


def say(text: str) -> None:
    """Show where it is, on a terminal only."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\033[K{text}")
        sys.stderr.flush()
