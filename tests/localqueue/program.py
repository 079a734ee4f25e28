"""The program of the local queue as a person uses it: commands, scripts, answers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dask_hpc import localqueue
from dask_hpc._clock import until_now
from dask_hpc._files import read_record
from dask_hpc._hosts import ProcessMark, host_name, is_alive
from dask_hpc.errors import ConfigError
from dask_hpc.localqueue import commands
from dask_hpc.localqueue.store import Store

if TYPE_CHECKING:
    from collections.abc import Mapping

PROGRAM = (sys.executable, "-I", "-S", str(Path(localqueue.__file__).with_name("__main__.py")))
ENDED = ("done", "failed", "cancelled", "timed-out", "lost")


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalQueue:
    """A queue of its own, of two cores; jobs write their output into ``work``."""

    home: Path
    work: Path

    @property
    def directory(self) -> Path:
        """Where the queue keeps its state."""
        return self.home / "localqueue" / host_name()

    @property
    def environ(self) -> dict[str, str]:
        """The environment of its commands."""
        settings = {"CORES": "2", "MEMORY": "1GB", "GRACE": "20", "IDLE": "60"}
        stated = {f"DASK_HPC__LOCAL__{name}": value for name, value in settings.items()}
        return {**os.environ, **stated, "DASK_HPC_HOME": str(self.home)}

    def run(
        self,
        *words: str,
        script: str | bytes = "",
        cwd: Path | None = None,
        more: Mapping[str, str] = {},
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        content = script.encode() if isinstance(script, str) else script
        done = subprocess.run(
            [*PROGRAM, *words],
            input=content,
            capture_output=True,
            check=False,
            timeout=30,
            cwd=cwd or self.work,
            env={**self.environ, **more},
        )
        return subprocess.CompletedProcess(
            done.args, done.returncode, done.stdout.decode(), done.stderr.decode()
        )

    def ask(self, *words: str, script: str = "", **variables: str) -> Any:
        """Return the answer of a command that succeeds."""
        done = self.run(*words, script=script, more=variables)
        assert (done.returncode, done.stderr) == (0, "")
        return json.loads(done.stdout)

    def submit(self, body: str, *options: str, **variables: str) -> str:
        """Submit a script and return its id."""
        answer = self.ask("submit", *options, script=f"#!/bin/sh\n{body}\n", **variables)
        return str(answer["id"])

    def jobs(self, *words: str) -> dict[str, Any]:
        """Return the jobs of the status, by their ids."""
        return {job["id"]: job for job in self.ask("status", *words)["jobs"]}

    def reach(self, job: str, *states: str, seconds: float = 60) -> Any:
        """Wait until a job is in one of these states, and return it."""
        self.jobs()  # starts a daemon if there is none
        number, _, index = job.partition("_")
        with Store(self.directory / "queue.db") as store:
            find = partial(store.find, int(number), int(index or 0))
            assert until_now(lambda: find()[0].state in states, seconds), find()
        return self.jobs()[job]

    def end(self, job: str) -> Any:
        """Wait until a job has ended, and return it."""
        return self.reach(job, *ENDED)

    def daemon(self) -> ProcessMark:
        """Return the mark of the daemon that was last started."""
        return read_record(self.directory / "daemon.json", ProcessMark)

    def lives(self) -> bool:
        """Return whether there is a daemon."""
        with suppress(FileNotFoundError):
            return bool(is_alive(self.daemon()))
        return False

    def ends(self) -> bool:
        """Wait until the daemon has ended, which it does after it let go of its lock."""
        return until_now(lambda: not self.lives(), 30)

    def kill_daemon(self) -> None:
        """End the daemon as nobody should."""
        mark = self.daemon()
        os.kill(mark.pid, signal.SIGKILL)
        assert until_now(lambda: not is_alive(mark), 30)

    def wait_for_file(self, name: str) -> str:
        """Wait until a job wrote a line into a file of the work directory; return its text."""
        path = self.work / name
        assert until_now(lambda: path.exists() and path.read_text().endswith("\n"), 30), name
        return path.read_text().strip()

    def close(self) -> None:
        """End all jobs and the daemon, with as few new processes as possible."""
        if not self.lives():
            return
        with Store(self.directory / "queue.db") as store:
            live = [task.id for task in store.live()]
        if live:
            commands.cancel(live, self.directory)
        assert until_now(self._is_stopped, 60)
        assert self.ends()

    def _is_stopped(self) -> bool:
        with suppress(ConfigError):
            commands.stop([], self.directory)
            return True
        return False
