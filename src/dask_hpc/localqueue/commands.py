"""The commands of the local queue: each prints one JSON document, on one line.

Exit code 1 is a refusal, with its reason; 75 says that the queue could not be asked, and that
asking again may help.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import sys
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dask_hpc._files import read_record
from dask_hpc._hosts import ProcessMark, host_name, is_alive
from dask_hpc.errors import ConfigError, HPCError
from dask_hpc.localqueue.machine import HISTORY, SHOWN, size, stated_settings, updated
from dask_hpc.localqueue.model import State
from dask_hpc.localqueue.options import QUEUE
from dask_hpc.localqueue.place import (
    DAEMON_LOG,
    DAEMON_RECORD,
    ensure_daemon,
    open_store,
    queue_directory,
    take_lock,
)
from dask_hpc.localqueue.plan import Wait, free_part, queue
from dask_hpc.localqueue.submission import read_submission

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from dask_hpc.localqueue.model import Key, Task
    from dask_hpc.localqueue.store import Store

UNAVAILABLE = os.EX_TEMPFAIL
_STARTING = 10.0  # seconds after which a job that nothing holds up should have begun
_STOPPING = 10.0

_USAGE = """\
usage: python -m dask_hpc.localqueue COMMAND …

  submit [--KEY=VALUE …] < SCRIPT   queue a script; "#LOCAL --KEY=VALUE" lines in it say the same;
                                    keys: name count cores memory walltime output comment
                                    after (a job that has to end first)
  status [--tag=NAME …]             jobs that wait, run, or ended in the last five minutes
  history ID …                      jobs of the last day, by their ids
  cancel ID …                       end jobs; 12_3 is an element of the array 12
  queues                            the size of the queue, and what of it is free
  stop                              end the daemon, which ends by itself when it is idle
"""


def submit(words: Sequence[str], directory: Path) -> object:
    """Queue the script on standard input."""
    settings = stated_settings(os.environ)
    submission = read_submission(sys.stdin.buffer.read(), words)
    with open_store(directory) as store:
        tasks = store.submit(submission, settings, now=time.time())
    ensure_daemon(directory)
    return {"id": str(tasks[0].submission), "jobs": [task.id for task in tasks]}


def status(words: Sequence[str], directory: Path) -> object:
    """Report the jobs that are live or were so a moment ago."""
    tags = {_tag(word) for word in words}
    now = time.time()
    with open_store(directory) as store:
        live = _live(store, directory)
        tasks = sorted([*live, *store.ended_since(now - SHOWN)], key=lambda task: task.key)
        reasons = _reasons(store, live, directory=directory)
    wanted = (task for task in tasks if not tags or task.tag in tags)
    return {"jobs": [_document(task, reasons) for task in wanted]}


def history(words: Sequence[str], directory: Path) -> object:
    """Report jobs by their ids; those that nobody knows any more are absent."""
    ids = [_read_id(word) for word in words]
    since = time.time() - HISTORY
    with open_store(directory) as store:
        reasons = _reasons(store, _live(store, directory), directory=directory)
        found = {task.key: task for each in ids for task in store.find(*each)}
    recent = (task for task in found.values() if task.ended is None or task.ended > since)
    return {"jobs": [_document(task, reasons) for task in recent]}


def cancel(words: Sequence[str], directory: Path) -> object:
    """Cancel jobs by their ids; those that have ended, or are unknown, are left as they are."""
    ids = [_read_id(word) for word in words]
    with open_store(directory) as store:
        tasks = {task.key: task for each in ids for task in store.find(*each)}
        live = [task for task in tasks.values() if task.state.is_live]
        store.cancel([task.key for task in live], now=time.time())
        _live(store, directory)
    return {"cancelled": [task.id for task in live]}


def queues(words: Sequence[str], directory: Path) -> object:
    """Report the one queue that there is."""
    _take_none(words)
    with open_store(directory) as store:
        live = _live(store, directory)
        machine = size(updated(store.settings(), stated_settings(os.environ)))
    free = free_part(live, machine)
    waiting = sum(task.state is State.PENDING for task in live)
    facts = {
        "name": QUEUE,
        "host": host_name(),
        "cores": machine.cores,
        "memory": machine.memory,
        "free_cores": free.cores,
        "free_memory": free.memory,
        "running": len(live) - waiting,
        "pending": waiting,
    }
    return {"queues": [facts]}


def stop(words: Sequence[str], directory: Path) -> object:
    """End the daemon, unless there are jobs."""
    _take_none(words)
    with open_store(directory) as store:
        ended: list[bool] = []
        live = store.close_if_empty(lambda: ended.append(_end_daemon(directory)))
    if live:
        jobs, them = ("jobs are", "them") if live > 1 else ("job is", "it")
        raise ConfigError(
            f"{live} {jobs} left in the queue", hint=f"wait for {them}, or cancel {them} first"
        )
    return {"stopped": ended[0]}


def main(arguments: Sequence[str]) -> int:
    """Run a command and return its exit code."""
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        (sys.stdout if arguments else sys.stderr).write(_USAGE)
        return 0 if arguments else 1
    try:
        _run(arguments[0], arguments[1:])
    except HPCError as error:
        return _say(str(error), error.hint)
    except (sqlite3.Error, OSError) as error:
        hint = "is its file system full, read-only or without locks?"
        return _say(f"the local queue does not answer: {error}", hint, code=UNAVAILABLE)
    return 0


def _run(name: str, words: Sequence[str]) -> None:
    if name == "daemon":
        from dask_hpc.localqueue.daemon import run_daemon  # only here: commands are to be fast

        run_daemon(Path(words[0]), int(words[1]))
        return
    if name not in _COMMANDS:
        raise ConfigError(f"command {name!r} is unknown", hint=f"known are: {', '.join(_COMMANDS)}")
    answer = _COMMANDS[name](words, queue_directory())
    sys.stdout.write(json.dumps(answer) + "\n")


def _say(message: str, hint: str, *, code: int = 1) -> int:
    sys.stderr.write(f"error: {message}\n" + (f"hint: {hint}\n" if hint else ""))
    return code


def _live(store: Store, directory: Path) -> list[Task]:
    """Return the live tasks, and see to it that somebody cares for them."""
    tasks = store.live()
    if tasks:
        ensure_daemon(directory)
    return tasks


def _reasons(store: Store, live: Sequence[Task], *, directory: Path) -> Mapping[Key, str]:
    reasons = {task.key: _about_to_start(task, directory) for task in live}
    waits = queue(live, size(store.settings()))
    return reasons | {wait.task.key: wait.reason for wait in waits if isinstance(wait, Wait)}


def _about_to_start(task: Task, directory: Path) -> str:
    if task.state is not State.PENDING:
        return task.reason
    if time.time() - task.submitted < _STARTING:
        return "is about to start"
    return f"should run: does the queue's daemon work? see {directory / DAEMON_LOG}"


def _document(task: Task, reasons: Mapping[Key, str]) -> Mapping[str, Any]:
    return {
        "id": task.id,
        "tag": task.tag,
        "index": task.index,
        "state": task.state,
        "reason": reasons.get(task.key, task.reason),
        "submit_time": task.submitted,
        "start_time": task.started,
        "end_time": task.time_limit if task.ended is None else task.ended,
        "exit_code": task.exit_code,
        "nodes": host_name() if task.started is not None else "",
        "cores": task.cores,
        "memory": task.memory,
    }


def _tag(word: str) -> str:
    name, equals, value = word.partition("=")
    if name != "--tag" or not equals:
        raise ConfigError(f"argument {word!r} is unknown", hint="as in --tag=NAME")
    return value


def _read_id(word: str) -> tuple[int, int | None]:
    match = re.fullmatch(r"(\d{1,15})(?:_(\d{1,15}))?", word, re.ASCII)
    if match is None:
        raise ConfigError(f"{word!r} is no job id", hint="as in 12, or 12_3 for one of an array")
    return int(match[1]), None if match[2] is None else int(match[2])


def _take_none(words: Sequence[str]) -> None:
    if words:
        raise ConfigError(f"argument {words[0]!r} is unknown", hint="this command takes none")


def _end_daemon(directory: Path) -> bool:
    """End the daemon, which has nothing to do; return whether there was one."""
    from dask_hpc._clock import until_now  # it imports asyncio, and commands are to be fast

    if _is_free(directory):
        return False
    if not until_now(partial(_is_ended, directory), _STOPPING):
        raise ConfigError("the daemon does not end", hint=f"see {directory / DAEMON_LOG}")
    return True


def _is_ended(directory: Path) -> bool:
    # One that has just begun may not have written its record yet.
    with suppress(FileNotFoundError, ProcessLookupError):
        mark = read_record(directory / DAEMON_RECORD, ProcessMark)
        if is_alive(mark):
            os.kill(mark.pid, signal.SIGTERM)
    return _is_free(directory)


def _is_free(directory: Path) -> bool:
    lock = take_lock(directory)
    if lock is not None:
        os.close(lock)
    return lock is not None


_COMMANDS: Mapping[str, Callable[[Sequence[str], Path], object]] = {
    "submit": submit,
    "status": status,
    "history": history,
    "cancel": cancel,
    "queues": queues,
    "stop": stop,
}
