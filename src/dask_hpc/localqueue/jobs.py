"""The processes of the jobs that run: started, watched, and ended with all that they started.

Each job has a leader: a small shell in a session of its own that runs the script and writes down
its exit code, so that a later daemon, which is not its parent, learns it too. What leaves the
session is found by a variable that every process of the job inherits.
"""

from __future__ import annotations

import errno
import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from dask_hpc._files import make_private_directory, write_private
from dask_hpc._hosts import is_alive, mark_of
from dask_hpc.localqueue.model import (
    ARRAY_INDEX,
    CORES,
    END_TIME,
    JOB_ID,
    MARK,
    MEMORY,
    State,
)
from dask_hpc.localqueue.options import expand
from dask_hpc.localqueue.plan import Seen
from dask_hpc.localqueue.proc import scan

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from dask_hpc._hosts import ProcessMark
    from dask_hpc.localqueue.model import Key, Submission, Task
    from dask_hpc.localqueue.proc import Process

# It begins when the store knows of it: without the line on its input, nothing has happened.
# The traps keep it alive when its group is signalled; the script does not inherit them.
_LEADER = """\
trap : HUP INT QUIT TERM USR1 USR2
read -r go || exit 125
end=$1
shift
"$@" </dev/null
code=$?
umask 077
printf '%s\\n' "$code" 2>/dev/null >"$end"
exit "$code"
"""


class Jobs:
    """The processes of all jobs of a queue, those that an earlier daemon started included."""

    def __init__(self, directory: Path, queue: str) -> None:
        self._spool = make_private_directory(directory / "spool")
        self._queue = queue
        self._children: dict[Key, subprocess.Popen[bytes]] = {}
        self._gated: list[Key] = []
        # Adopted leaders that were seen alive: until then their number may be another's.
        self._adopted: dict[Key, ProcessMark] = {}
        self._left: dict[Key, tuple[ProcessMark, ...]] = {}

    def start(self, task: Task, submission: Submission) -> ProcessMark:
        """Start a job's leader, which waits for `release`.

        Raises
        ------
        OSError
            If its directory or its output does not exist or is not open to it.
        """
        script = self._script(task, submission.script)
        end = self._spool / _end_name(task)
        end.unlink(missing_ok=True)
        output = _open_output(task, submission)
        try:
            child = subprocess.Popen(
                ["/bin/sh", "-c", _LEADER, "dask-hpc-job", end, *_interpreter(submission), script],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                cwd=submission.directory,
                env=self._environment(task, submission),
                umask=submission.umask,
                start_new_session=True,
            )
        finally:
            os.close(output)
        mark = mark_of(child.pid)
        if mark is None:
            child.wait()
            raise ChildProcessError(errno.ECHILD, "its shell was killed at once", "/bin/sh")
        self._children[task.key] = child
        self._gated.append(task.key)
        return mark

    def release(self, known: Collection[Key]) -> None:
        """Let those that were started begin if the store knows of them, and end the others."""
        for key in self._gated:
            child = self._children[key] if key in known else self._children.pop(key)
            if child.stdin is not None:
                with suppress(BrokenPipeError):
                    child.stdin.write(b"go\n" if key in known else b"")
                    child.stdin.close()
            if key not in known:
                child.wait()
        self._gated.clear()

    def see(self, tasks: Iterable[Task]) -> Mapping[Key, Seen]:
        """Return what there is of each started job."""
        started = [task for task in tasks if task.state is not State.PENDING]
        ended = [task for task in started if not self._leads(task)]
        self._find_left([task for task in ended if not self._has_left(task)])
        seen = {task.key: Seen() for task in started}
        return seen | {task.key: self._see_end(task) for task in ended}

    def has_news(self) -> bool:
        """Return whether a leader, or the rest of a job without one, has ended since `see`."""
        return (
            any(_has_ended(child) for key, child in self._children.items() if key not in self._left)
            or any(
                not is_alive(mark) for key, mark in self._adopted.items() if key not in self._left
            )
            or any(not any(map(is_alive, marks)) for marks in self._left.values())
        )

    def signal(self, tasks: Iterable[Task], number: signal.Signals) -> None:
        """Signal every process of these jobs once; stopped ones go on, to take it."""
        tasks = list(tasks)
        processes = scan(self._queue) if tasks else []
        for task in tasks:
            group = task.leader.pid if task.leader and self._holds_number(task) else 0
            members = self._members(task, processes)
            others = [member.mark for member in members if member.group != group]
            for each in (number,) if number is signal.SIGKILL else (number, signal.SIGCONT):
                _signal(each, group=group, others=others)

    def forget(self, tasks: Iterable[Task]) -> None:
        """Let go of jobs that have ended."""
        for task in tasks:
            child = self._children.pop(task.key, None)
            if child is not None:
                child.wait()
            self._adopted.pop(task.key, None)

    def tidy(self, live: Iterable[Task]) -> None:
        """Remove the files of all jobs but these."""
        kept: set[str] = set()
        for task in live:
            kept |= {_script_name(task), _end_name(task)}
        for path in self._spool.iterdir():
            if path.name not in kept:
                path.unlink(missing_ok=True)

    def _leads(self, task: Task) -> bool:
        child = self._children.get(task.key)
        if child is not None:
            return not _has_ended(child)
        if task.leader is None or not is_alive(task.leader):
            return False
        self._adopted[task.key] = task.leader
        return True

    def _holds_number(self, task: Task) -> bool:
        # A child that is not waited for keeps its number, ended or not.
        return task.key in self._children or (task.leader is not None and self._leads(task))

    def _has_left(self, task: Task) -> bool:
        return any(map(is_alive, self._left.get(task.key, ())))

    def _find_left(self, tasks: Iterable[Task]) -> None:
        processes = scan(self._queue) if tasks else []
        for task in tasks:
            self._left.pop(task.key, None)
            if members := self._members(task, processes):
                self._left[task.key] = tuple(process.mark for process in members)

    def _members(self, task: Task, processes: Iterable[Process]) -> list[Process]:
        leader = task.leader.pid if task.leader else None
        is_session_ours = task.key in self._children or task.key in self._adopted
        return [
            process
            for process in processes
            if process.job == task.id or (is_session_ours and process.session == leader)
            if process.mark.pid != leader
        ]

    def _see_end(self, task: Task) -> Seen:
        if task.key in self._left:
            return Seen(leader=False)
        code, ended = _read_end_record(self._spool / _end_name(task))
        child = self._children.get(task.key)
        if code is None and child is not None:
            code = _exit_code(child)
        return Seen(leader=False, others=False, exit_code=code, ended=ended)

    def _script(self, task: Task, text: str) -> Path:
        path = self._spool / _script_name(task)
        if not path.exists():
            write_private(path, text)
        return path

    def _environment(self, task: Task, submission: Submission) -> Mapping[str, str]:
        limit = task.time_limit
        return {
            **submission.environ,
            JOB_ID: task.id,
            ARRAY_INDEX: str(task.index),
            END_TIME: "" if limit is None else str(int(limit)),
            CORES: str(task.cores),
            MEMORY: str(task.memory),
            MARK: f"{self._queue}/{task.id}",
        }


def _script_name(task: Task) -> str:
    return f"{task.submission}.sh"


def _end_name(task: Task) -> str:
    return f"{task.id}.end"


def _signal(number: signal.Signals, *, group: int, others: Iterable[ProcessMark]) -> None:
    if group:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(group, number)
    for mark in others:
        if is_alive(mark):
            with suppress(ProcessLookupError, PermissionError):
                os.kill(mark.pid, number)


def _interpreter(submission: Submission) -> list[str]:
    # Not left to the kernel: home directories may be mounted noexec.
    return submission.script.partition("\n")[0].removeprefix("#!").split(None, 1)


def _open_output(task: Task, submission: Submission) -> int:
    path = Path(submission.directory) / expand(submission.output, task)
    # Non-blocking, for a named pipe that nobody reads; what was there already stays.
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NONBLOCK | os.O_NOCTTY
    descriptor = os.open(path, flags, 0o600)
    os.set_blocking(descriptor, True)
    return descriptor


def _read_end_record(path: Path) -> tuple[int | None, float | None]:
    try:
        text, ended = path.read_text(encoding="ascii"), path.stat().st_mtime
    except FileNotFoundError:
        return None, None
    return (int(text), ended) if text.endswith("\n") else (None, None)


def _has_ended(child: subprocess.Popen[bytes]) -> bool:
    return os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _exit_code(child: subprocess.Popen[bytes]) -> int | None:
    end = os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    if end is None:
        return None
    return end.si_status if end.si_code == os.CLD_EXITED else 128 + end.si_status
