"""Estimate pi in one batch job, without a queue of its own: the tasks of the job are the cluster.

    srun -n 8 python examples/mpi.py         (or mpirun -np 8; no MPI library is needed)

Task 0 is the scheduler, task 1 goes on with this program, and all others work for it.
"""

from __future__ import annotations

import argparse
import random

from distributed import Client

from dask_hpc.mpi import initialize


def hits(seed: int, darts: int) -> int:
    """Return how many of so many darts at a square land in the circle that touches its sides."""
    draw = random.Random(seed).random  # noqa: S311 - darts, and no secret
    return sum(draw() ** 2 + draw() ** 2 < 1 for _ in range(darts))


def main() -> None:
    """Throw darts on all workers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--darts", type=int, default=1_000_000, help="in all")
    parser.add_argument("--parts", type=int, default=32, help="tasks of Dask")
    options = parser.parse_args()
    initialize()
    darts = options.darts // options.parts
    with Client() as client:
        found = client.gather(client.map(hits, range(options.parts), darts=darts))
    print(f"pi is about {4 * sum(found) / (darts * options.parts):.3f}")


if __name__ == "__main__":
    main()
