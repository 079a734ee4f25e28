"""``python -m benchmarks [NAME …]``: measure side by side, print a table, keep every value."""

from __future__ import annotations

import argparse
import fcntl
import importlib
import logging
import signal
import sys
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import environment

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from benchmarks.facts import Facts
    from benchmarks.harness import Measurement, Runs

# Each is a function that returns what it measures.
PARTS = {
    "node": "benchmarks.node:measurement",
    "files": "benchmarks.files:measurement",
    "ask": "benchmarks.ask:measurement",
    "ask-single": "benchmarks.ask:single",
    "submissions": "benchmarks.commands:submissions",
    "steady": "benchmarks.commands:steady",
    "lost": "benchmarks.lost:measurement",
    "decisions": "benchmarks.decisions:measurement",
    "commandline": "benchmarks.commandline:measurement",
    "whole-job": "benchmarks.whole_job:measurement",
    "lab": "benchmarks.lab:measurement",
    "attach": "benchmarks.lab:attach",
    "registration": "benchmarks.registration:measurement",
}


def main() -> int:
    """Run the measurements that were asked for, or all of them."""
    options = _options()
    for number in (signal.SIGINT, signal.SIGTERM):  # also where a shell had them ignored
        signal.signal(number, signal.default_int_handler)
    if not options.turn:  # that one is in there already, and knows the bed by its variables
        environment.enter(also=options.also)
    logging.disable(logging.CRITICAL)  # what the contenders say is not what is measured
    if options.turn:
        part, place = options.turn
        print(importlib.import_module("benchmarks.harness").take_turn(_part(part), int(place)))
        return 0
    if options.show:
        return _show_again(options)
    with _alone():
        return _measure_all(options)


def _options() -> argparse.Namespace:
    names = ", ".join(PARTS)
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {names}; default: all")
    parser.add_argument("--repeats", type=int, metavar="N", help="turns of each contender")
    parser.add_argument(
        "--publish", action="store_true", help="write table and picture for the documentation"
    )
    parser.add_argument(
        "--with",
        dest="also",
        action="append",
        default=[],
        metavar="PACKAGE",
        help="have this in the environment of all contenders, too: numpy, say",
    )
    parser.add_argument("--show", type=Path, metavar="FILE", help="show a run that was kept")
    parser.add_argument("--turn", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if unknown := set(options.names) - set(PARTS):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; there are {names}")
    return options


def _part(name: str) -> Measurement:
    module, _, function = PARTS[name].partition(":")
    measurement: Measurement = getattr(importlib.import_module(module), function)()
    return measurement


@contextmanager
def _alone() -> Iterator[None]:
    """Refuse to run twice at a time: both would measure each other."""
    with (environment.VENV / "lock").open("w", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SystemExit("error: the benchmarks run already") from None
        yield


def _measure_all(options: argparse.Namespace) -> int:
    from benchmarks.facts import look, save

    facts, found, code = look(), [], 0
    try:
        for name in options.names or PARTS:
            runs = _measure(name, options.repeats)
            found.append(runs)
            code |= not runs.loads
    except KeyboardInterrupt:
        code = 130
    if found:
        _show(facts, found)
        print(f"every value: {save(facts, found)}", flush=True)
    if options.publish and not code:
        _publish(facts, found)
    return code


def _measure(name: str, repeats: int | None) -> Runs:
    from benchmarks.harness import Runs, Unavailable, measure, say

    measurement = _part(name)
    if repeats:
        measurement = replace(measurement, repeats=repeats)
    try:
        return measure(name, measurement)
    except Unavailable as reason:
        return Runs(name=measurement.name, values={}, failures=[str(reason)])
    finally:
        say("")


def _show_again(options: argparse.Namespace) -> int:
    """Show a run of another day."""
    from benchmarks.facts import load

    facts, found = load(options.show)
    _show(facts, found)
    if options.publish:
        _publish(facts, found)
    return 0


def _show(facts: Facts, found: Sequence[Runs]) -> None:
    from benchmarks import publishing, table

    print(f"{facts.date}, {facts.machine}", facts.software, "", sep="\n")
    print(*table.text(found), "", sep="\n")
    print(f"picture:     {publishing.keep(facts, found)}")


def _publish(facts: Facts, found: Sequence[Runs]) -> None:
    from benchmarks import publishing

    print("published:  ", *publishing.publish(facts, found))


if __name__ == "__main__":
    sys.exit(main())
