"""No key is ever seen outside of its file, in a whole life of a cluster."""

from __future__ import annotations

import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.integration.places import run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.places import Place


class Sampler(threading.Thread):
    """Looks at the command line of every process of the machine, a hundred times a second."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.seen: set[bytes] = set()
        self._stop_now = threading.Event()

    def run(self) -> None:
        """Look until told to stop."""
        while not self._stop_now.wait(0.01):
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                with suppress(OSError):
                    self.seen.add(path.read_bytes())

    def __enter__(self) -> Sampler:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop_now.set()
        self.join()


def lines_of_keys(directory: Path) -> list[bytes]:
    """Return the lines of every key that are not its frame."""
    keys = directory.glob("tls/*-key.pem")
    lines = [line for path in keys for line in path.read_bytes().splitlines()]
    return [line for line in lines if line and not line.startswith(b"-----")]


def of_jobs(place: Place, name: str) -> Iterator[tuple[str, bytes]]:
    """Yield what the batch system tells about each job."""
    for job in place.live_jobs(name):
        yield f"script of {job.id}", place.script(job.id).encode()
        if place.site == "slurm":
            yield f"facts of {job.id}", run("scontrol", "show", "job", job.id).encode()


def files(directory: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the text of every file but keys."""
    for path in directory.rglob("*"):
        if path.is_file() and not path.name.endswith("-key.pem"):
            yield str(path), path.read_bytes()


@pytest.mark.timeout(180)
def test_a_key_is_in_no_command_line_no_job_no_log_and_no_other_file(place: Place) -> None:
    name = place.name()
    with Sampler() as sampler:
        place.ask("up", *place.small_options, "--name", name, "--workers", "2")
        keys = lines_of_keys(place.directory(name))
        assert len(keys) >= 9  # three lines each of scheduler, worker, client
        places = [*of_jobs(place, name), *files(place.home)]
        place.ask("scale", name, "0")
        place.ask("down", name)
    assert any(b"dask_hpc.boot.workers" in line for line in sampler.seen)
    places += [("a command line", line) for line in sampler.seen]
    places += files(place.home)  # the local queue's, and whatever else stayed
    assert [where for where, text in places for key in keys if key in text] == []
