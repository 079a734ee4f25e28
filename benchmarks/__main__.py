"""``python -m benchmarks [NAME …]``: measure, print a table of ratios, keep the raw values."""

from __future__ import annotations

import argparse
import importlib
import logging
from dataclasses import replace

from benchmarks.harness import Measurement, measure, save, say, table

# Each is a module here whose `measurement` returns what it measures. Side by side with another
# project, a module has one more contender.
NAMES = ("node", "ask", "decisions", "commandline")


def main() -> int:
    """Run the measurements that were asked for, or all of them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}")
    parser.add_argument("--repeats", type=int, metavar="N", help="turns of each contender")
    options = parser.parse_args()
    if unknown := set(options.names) - set(NAMES):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    logging.disable(logging.CRITICAL)  # what the contenders say is not what is measured
    found = []
    for name in options.names or NAMES:
        module = importlib.import_module(f"benchmarks.{name}")
        measurement: Measurement = module.measurement()
        if options.repeats:
            measurement = replace(measurement, repeats=options.repeats)
        runs = measure(measurement)
        say("")
        print(*table(runs), sep="\n", flush=True)
        found.append(runs)
    print(f"every value: {save(found)}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
