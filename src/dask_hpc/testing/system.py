"""A batch system in memory, which refuses, loses and lies when it is told to."""

from __future__ import annotations

import dataclasses
import json
from collections import deque
from typing import TYPE_CHECKING

from dask_hpc.batch.model import BatchQueue, JobId, JobState
from dask_hpc.batch.queue import Queue
from dask_hpc.errors import BatchUnavailable
from dask_hpc.process.runner import Result
from dask_hpc.testing.dialect import LIMITED, REFUSED, FakeDialect
from dask_hpc.testing.simulation import FakeJob, Simulation

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dask_hpc._clock import Clock
    from dask_hpc.process.runner import Command

_LONG = BatchQueue(name="long", is_default=True, max_walltime=86400.0, nodes=1, free_nodes=1)
_SHORT = BatchQueue(name="short", max_walltime=600.0, nodes=1, free_nodes=1)


class FakeSystem:
    """A batch system of one node, and the `Runner` that reaches it.

    A job's script is played if it consists of ``echo``, ``sleep`` and ``exit``. With anything
    else in it the job runs until its walltime ends, it is cancelled, or a test calls `end`.

    Parameters
    ----------
    clock
        Its time; with a `FakeClock` an hour passes at once.
    cores
        How many cores its jobs share. A job that asks for more waits for ever, with the reason.
    start_delay
        Seconds from the submission of a job to its start, at least.
    most_jobs
        How many jobs may wait or run; more are refused with `LimitReached`.
    listed_for
        Seconds that an ended job stays in listings. Afterwards only history knows it.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        cores: int = 8,
        start_delay: float = 0.0,
        most_jobs: int | None = None,
        listed_for: float = 300.0,
    ) -> None:
        self.commands: list[Command] = []
        self._clock = clock
        self._simulation = Simulation(clock, cores=cores, start_delay=start_delay)
        self._queues = tuple(
            dataclasses.replace(one, cores_per_node=cores) for one in (_LONG, _SHORT)
        )
        self._most_jobs = most_jobs
        self._listed_for = listed_for
        self._lost: dict[str, int] = {}
        self._silent: dict[str, int] = {}
        self._twice: dict[str, int] = {}
        self._slow: dict[str, float] = {}
        self._empty = 0
        self._refusals: deque[str] = deque()

    def queue(self, *, user: str = "me") -> Queue:
        """Return the front door."""
        return Queue(FakeDialect(), self, user=user)

    @property
    def jobs(self) -> Mapping[JobId, FakeJob]:
        """Every job there ever was, as of now."""
        self._simulation.catch_up()
        return self._simulation.jobs

    def on_start(self, listener: Callable[[FakeJob], None]) -> None:
        """Call somebody with each job that starts."""
        self._simulation.on_start.append(listener)

    def on_end(self, listener: Callable[[FakeJob], None]) -> None:
        """Call somebody with each job that ends."""
        self._simulation.on_end.append(listener)

    def end(
        self, job_id: JobId, state: JobState = JobState.DONE, *, exit_code: int | None = None
    ) -> None:
        """Let a job end now: done, failed, preempted, or as the state says."""
        self._simulation.end(self.jobs[job_id], state, exit_code=exit_code)

    def forget(self, job_id: JobId) -> None:
        """Lose a job without a trace: neither listings nor history know it any more."""
        del self._simulation.jobs[job_id]

    def refuse(self, words: str = "the queue is closed", *, times: int = 1) -> None:
        """Refuse the next submissions with these words."""
        self._refusals.extend([words] * times)

    def lose_answer(self, verb: str = "submit", *, times: int = 1) -> None:
        """Do what the next commands of a kind say, but let no answer come back."""
        self._lost[verb] = times

    def submit_twice(self, *, times: int = 1) -> None:
        """Carry out the next submissions twice; their answers tell of the first time."""
        self._twice["submit"] = times

    def be_silent(self, verb: str = "status", *, times: int = 1) -> None:
        """Neither do what the next commands of a kind say, nor answer."""
        self._silent[verb] = times

    def slow_down(self, verb: str = "status", *, seconds: float) -> None:
        """Let the answers to commands of a kind take time: they are true when they are asked."""
        self._slow[verb] = seconds

    def list_nothing(self, *, times: int = 1) -> None:
        """Answer the next questions for jobs as if there were none."""
        self._empty = times

    async def run(self, command: Command, *, timeout: float = 60) -> Result:
        """Do what a command of `FakeDialect` says: submit, status, history, cancel or queues.

        Raises
        ------
        BatchUnavailable
            At the deadline, if the system was told not to answer.
        """
        self.commands.append(command)
        verb = command.argv[1]
        if _take(self._silent, verb):
            await self._keep_waiting(verb, timeout)
        self._simulation.catch_up()
        verbs = {
            "submit": self._submit,
            "status": self._status,
            "history": self._history,
            "cancel": self._cancel,
            "queues": self._list_queues,
        }
        result = verbs[verb](command)
        self._simulation.catch_up()
        if _take(self._lost, verb):
            await self._keep_waiting(verb, timeout)
        if seconds := self._slow.get(verb):
            await self._clock.sleep(seconds)
        return result

    async def _keep_waiting(self, verb: str, timeout: float) -> None:
        await self._clock.sleep(timeout)
        raise BatchUnavailable(f"fake {verb} did not answer within {timeout:g} s")

    def _submit(self, command: Command) -> Result:
        count = int(command.argv[2])
        live = len(self._simulation.live)
        if self._refusals:
            return _refusal(command, self._refusals.popleft(), exit_code=REFUSED)
        if self._most_jobs is not None and live + count > self._most_jobs:
            words = f"{live} jobs and {count} more are more than {self._most_jobs}"
            return _refusal(command, words, exit_code=LIMITED)
        jobs = self._simulation.submit(command.stdin or "", count)
        asked = jobs[0].resources.queue
        if asked not in (None, *(queue.name for queue in self._queues)):
            for job in jobs:
                self.forget(job.id)
            return _refusal(command, f"queue {asked!r} is unknown", exit_code=REFUSED)
        if _take(self._twice, "submit"):
            self._simulation.submit(command.stdin or "", count)
        return _answer(command, [job.id for job in jobs])

    def _status(self, command: Command) -> Result:
        if self._empty:
            self._empty -= 1
            return _answer(command, [])
        tags = command.argv[3:]
        return self._answer_jobs(
            command, [job for job in self._listed() if not tags or job.tag in tags]
        )

    def _listed(self) -> list[FakeJob]:
        since = self._clock.monotonic() - self._listed_for
        jobs = self._simulation.jobs.values()
        return [job for job in jobs if job.ended is None or job.ended >= since]

    def _history(self, command: Command) -> Result:
        jobs = self._simulation.jobs.values()
        ended = [job for job in jobs if job.id in command.argv[2:] and job.state.is_final]
        return self._answer_jobs(command, ended)

    def _answer_jobs(self, command: Command, jobs: list[FakeJob]) -> Result:
        epoch = self._clock.time() - self._clock.monotonic()
        return _answer(command, [dataclasses.asdict(job.status(epoch)) for job in jobs])

    def _cancel(self, command: Command) -> Result:
        for word in command.argv[2:]:
            if job := self._simulation.jobs.get(JobId(word)):
                self._simulation.end(job, JobState.CANCELLED)
        return _answer(command, [])

    def _list_queues(self, command: Command) -> Result:
        return _answer(command, [dataclasses.asdict(queue) for queue in self._queues])


def _take(left: dict[str, int], verb: str) -> bool:
    if not left.get(verb):
        return False
    left[verb] -= 1
    return True


def _answer(command: Command, said: list[object] | list[JobId] | list[dict[str, object]]) -> Result:
    return Result(command=command, exit_code=0, stdout=json.dumps(said), stderr="")


def _refusal(command: Command, words: str, *, exit_code: int) -> Result:
    return Result(command=command, exit_code=exit_code, stdout="", stderr=words)
