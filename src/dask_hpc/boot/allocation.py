"""A cluster that is one job: scheduler, a worker host on every node, and perhaps a script.

``python -m dask_hpc.boot.allocation --directory DIR --slot TAG.INDEX --job ID
--end-time SECONDS``; the exit code is that of the script, or 125 if it is our failure.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dask_hpc._clock import SystemClock, until
from dask_hpc._files import read_tail
from dask_hpc._units import counted
from dask_hpc.batch.model import JobId
from dask_hpc.boot.companion import companion
from dask_hpc.boot.scheduler import bury, cancel_follow_on, listen_for_signals
from dask_hpc.cluster.commands import host_argv
from dask_hpc.cluster.directory import ClusterDirectory
from dask_hpc.cluster.plan import OUR_FAILURE, Plan, read_plan
from dask_hpc.cluster.pulse import beating, pulse_of
from dask_hpc.cluster.record import read_spec
from dask_hpc.cluster.slot import Slot
from dask_hpc.cluster.surroundings import ENCRYPTED_ONLY, client_environment
from dask_hpc.engine.start import start_scheduler
from dask_hpc.errors import HPCError, LaunchError

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import Awaitable, Sequence
    from contextlib import AbstractContextManager

    from dask_hpc.cluster.spec import ClusterSpec
    from dask_hpc.engine.scheduler import HPCScheduler

_GRACE = 10.0  # seconds that the worker hosts, and before them the script, have to end
_RETURN = 10.0  # seconds in which lost workers may come again: a nanny starts them anew
_LOOK = 0.2
_LAST = 20.0  # seconds of the walltime that are for the end


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a cluster in the job that this is a process of."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--directory", type=Path, required=True)
    parser.add_argument("--slot", type=Slot.parse, required=True)
    parser.add_argument("--job", type=JobId, required=True)
    parser.add_argument("--end-time", type=lambda text: float(text) if text else None)
    options = parser.parse_args(arguments)
    words = sys.argv[1:] if arguments is None else arguments
    try:
        with companion(words), _pulse(options):
            return asyncio.run(_run(options))
    except HPCError as error:
        _say(f"error: {error}\nhint: {error.hint}")
        return OUR_FAILURE


def _pulse(options: argparse.Namespace) -> AbstractContextManager[None]:
    """Let whoever follows a run see that its first node lives."""
    directory = ClusterDirectory(options.directory)
    if not directory.plan.exists():
        return nullcontext()
    return beating(pulse_of(directory.jobs, options.slot))


async def _run(options: argparse.Namespace) -> int:
    directory = ClusterDirectory(options.directory)
    spec, plan = read_spec(directory), read_plan(directory)
    log = directory.cluster_log_of(options.slot)
    if plan:
        _leave_the_log_to_the_script(log)
    scheduler = await start_scheduler(
        spec,
        tag=options.slot.tag,
        job=options.job,
        end_time=options.end_time,
    )
    told = listen_for_signals()
    mind_walltime(options.end_time, told)
    # Without the end time: there are no other workers that these could hand their results to.
    said = ("--slot", str(options.slot), "--job", options.job)
    hosts: Process | None = None
    reason = "its work is done"
    try:
        hosts = await _start(host_argv(spec, said, python=sys.executable))
        run = AllocationRun(spec, scheduler, hosts=hosts, told=told)
        code = await (run.serve() if plan is None else run.compute(plan))
        reason = told.result() if told.done() else reason
    except HPCError as error:
        reason = str(error)
        if plan:
            _say(f"the end of the log of the cluster:\n{read_tail(log)}")
        raise
    finally:
        if not told.done():
            await cancel_follow_on(directory, tag=options.slot.tag)
        bury(directory, scheduler, reason=reason)  # before: workers would wait for another one
        await scheduler.close(reason=reason)
        if hosts is not None:
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(hosts.wait(), _GRACE / 2)  # its workers end with it
            await _end(hosts)
    return code


class AllocationRun:
    """What happens between the start of a scheduler with its worker hosts and their end."""

    def __init__(
        self,
        spec: ClusterSpec,
        scheduler: HPCScheduler,
        *,
        hosts: Process,
        told: asyncio.Future[str],
    ) -> None:
        self._spec = spec
        self._scheduler = scheduler
        self._hosts = hosts
        self._told = told
        self._clock = SystemClock()

    async def serve(self) -> int:
        """Be there until told to end, shut down, or idle for too long."""
        await self._first(self._scheduler.finished(), self._hosts.wait())
        return 0

    async def compute(self, plan: Plan) -> int:
        """Run a script when the workers are there; return its exit code.

        Raises
        ------
        LaunchError
            If too few workers come, or stay.
        """
        wanted = self._spec.own_workers
        least = min(plan.min_workers or wanted, wanted)
        await self._gather(wanted, least)
        if self._told.done():
            raise LaunchError(f"{self._told.result()} before the script began", hint=_TIME)
        script = await _start(
            plan.argv, cwd=plan.directory, env=self._environment(), stdout=_OUT.fd, stderr=_ERR.fd
        )
        watch = asyncio.ensure_future(self._lose(least))
        try:
            await self._first(script.wait(), watch)
            if self._told.done() and script.returncode is None:
                _say(f"{self._told.result()}: the script is told to end")
            elif watch.done():
                watch.result()
            return _code(await _end(script))
        finally:
            watch.cancel()
            await _end(script)

    async def _gather(self, wanted: int, least: int) -> None:
        """Wait until all workers are here; or, for long enough, as many as are needed."""
        begin = self._clock.monotonic()

        def enough() -> bool:
            waited = self._clock.monotonic() - begin
            here = len(self._scheduler.workers)
            over = waited > self._spec.death_timeout or self._hosts.returncode is not None
            return here >= wanted or (over and here >= least) or self._told.done()

        hopeless = self._hosts.wait()
        patience = asyncio.ensure_future(
            until(enough, self._spec.start_timeout, clock=self._clock, every=0.02)
        )
        await self._first(patience, hopeless)
        patience.cancel()
        here = len(self._scheduler.workers)
        if here < least and not self._told.done():
            raise LaunchError(
                f"{counted(here, 'worker')} of {wanted} came, {least} are needed",
                hint="the log of the cluster says what kept them away",
            )
        fewer = f"; it goes on with fewer than the {wanted} that were asked for"
        _say(f"{counted(here, 'worker')} on {self._nodes()}{fewer if here < wanted else ''}")

    def _nodes(self) -> str:
        return counted(len({each.host for each in self._scheduler.workers.values()}), "node")

    async def _lose(self, least: int) -> None:
        """Watch the workers; raise `LaunchError` if there are too few for too long."""
        lost: float | None = None
        while True:
            here = len(self._scheduler.workers)
            lost = None if here >= least else lost or self._clock.monotonic()
            if lost and self._clock.monotonic() - lost > _RETURN:
                raise LaunchError(
                    f"{counted(here, 'worker')} of {self._spec.own_workers} are left, "
                    f"{least} are needed: the script is ended",
                    hint="a node may have failed; with --min-workers a run goes on with fewer",
                )
            await self._clock.sleep(_LOOK)

    async def _first(self, *things: Awaitable[Any]) -> None:
        """Wait for the first of these, or for the order to end."""
        tasks = [asyncio.ensure_future(thing) for thing in things]
        await asyncio.wait({*tasks, self._told}, return_when=asyncio.FIRST_COMPLETED)

    def _environment(self) -> dict[str, str]:
        """Return what lets ``Client()`` find the cluster, without an argument."""
        address = self._scheduler.contact_address or self._scheduler.address
        only = ENCRYPTED_ONLY if self._spec.secure else {}
        own = client_environment(self._spec, address)
        return {**os.environ, "PYTHONUNBUFFERED": "1", **own, **only}


def mind_walltime(end_time: float | None, told: asyncio.Future[str]) -> None:
    """Say before the job ends that it will: some batch systems send no signal, or one too late."""
    if end_time is None:
        return
    left = max(0.0, end_time - SystemClock().time())
    margin = min(_LAST, left / 4)

    def tell() -> None:
        if not told.done():
            told.set_result(f"the walltime of its job ends in {margin:.0f} s")

    asyncio.get_running_loop().call_later(left - margin, tell)


@dataclass(slots=True)
class _Stream:
    """Where the script's words go, and ours about it."""

    fd: int


_OUT, _ERR = _Stream(1), _Stream(2)
_TIME = "ask for a longer walltime"


def _leave_the_log_to_the_script(log: Path) -> None:
    """Let what scheduler and workers say go elsewhere than what the script says."""
    _OUT.fd, _ERR.fd = os.dup(1), os.dup(2)
    target = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(target, 1)
    os.dup2(target, 2)
    os.close(target)


async def _start(argv: Sequence[str], **options: Any) -> Process:
    try:
        return await asyncio.create_subprocess_exec(
            *argv, stdin=asyncio.subprocess.DEVNULL, **options
        )
    except OSError as error:
        raise LaunchError(
            f"{argv[0]} cannot be run: {error.strerror}",
            hint="is it there on the nodes, at this path, and executable",
        ) from None


async def _end(process: Process) -> int:
    """End a process that may have ended: SIGTERM, and SIGKILL after a time."""
    if process.returncode is None:
        with suppress(ProcessLookupError):
            process.terminate()
        with suppress(asyncio.TimeoutError):
            return await asyncio.wait_for(process.wait(), _GRACE)
        with suppress(ProcessLookupError):
            process.kill()
    return await process.wait()


def _code(returned: int) -> int:
    if returned >= 0:
        return returned
    _say(f"the script was ended by signal {-returned}")
    return 128 - returned


def _say(words: str) -> None:
    os.write(_ERR.fd, f"dask-hpc: {words}\n".encode())


if __name__ == "__main__":
    raise SystemExit(main())
