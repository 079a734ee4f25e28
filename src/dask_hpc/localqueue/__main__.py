"""The program of the local queue: ``python -m dask_hpc.localqueue``, or this file's path."""

from __future__ import annotations

import sys


def _find_package() -> None:
    # Started by its path, as the dialect does, so that neither the current directory nor
    # PYTHONPATH decides which modules it gets: only this package is found beside it.
    from pathlib import Path

    sys.path.insert(0, str(Path(__file__).absolute().parents[2]))
    import dask_hpc  # noqa: F401 : it is found from now on, without the path

    del sys.path[0]


def _main() -> int:
    if not __package__:
        _find_package()
    from dask_hpc.localqueue.commands import main

    return main(sys.argv[1:])


if __name__ == "__main__":
    raise SystemExit(_main())
