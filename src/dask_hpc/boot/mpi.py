"""A cluster of the tasks of one launch: each has its role, and all of them end together."""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import signal
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dask

from dask_hpc import _envvars
from dask_hpc._clock import SystemClock
from dask_hpc._files import from_json, make_private_directory, remove_tree
from dask_hpc.boot.ending import complain, end, outcome, until_ended
from dask_hpc.boot.legacy import removed_in_any_case
from dask_hpc.boot.meeting import FAREWELL, FIRST, Over
from dask_hpc.boot.orders import Told, listen
from dask_hpc.boot.servers import (
    Farewell,
    Wishes,
    beside,
    spec_of,
    start_scheduler,
    start_worker,
)
from dask_hpc.boot.whereabouts import Whereabouts, find_by_file, is_alive
from dask_hpc.cluster.storage import make_scratch
from dask_hpc.engine.schedulerfile import remove_scheduler_file, write_scheduler_file
from dask_hpc.errors import ConfigError, LaunchError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from distributed import Nanny, Worker

    from dask_hpc.boot.meeting import Meeting
    from dask_hpc.boot.roles import Layout, Role
    from dask_hpc.cluster.spec import ClusterSpec
    from dask_hpc.engine.scheduler import HPCScheduler

logger = logging.getLogger("distributed.boot")

_START = 120.0  # seconds for the scheduler to start, where it is looked for in files
_LAST_WORD = 10.0  # seconds for the client to say how it ended
_CUT_OFF = 3  # seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcement:
    """What the task of the scheduler tells all others: where it is, or why it is not."""

    place: Whereabouts | None = None
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What one task has to do in a cluster. ``certify`` makes certificates in a directory."""

    layout: Layout
    wishes: Wishes
    meeting: Meeting
    certify: Callable[[Path], object]
    address: str | None = None
    role: Role = field(init=False)

    def __post_init__(self) -> None:
        ranks = self.meeting.ranks
        role = self.layout.role_of(ranks.rank, size=ranks.size)
        object.__setattr__(self, "role", role)

    @property
    def workers(self) -> int:
        """How many of the tasks are workers."""
        size = self.meeting.ranks.size
        return sum(self.layout.role_of(rank, size=size).worker for rank in range(size))


# the parts ---------------------------------------------------------------------------------------


def play(part: Part, client: Callable[[], object] | None = None) -> None:
    """Do what this task has to do, until the cluster ends.

    Parameters
    ----------
    part
        The part of this task.
    client
        What the task that is the client calls; its end is that of the cluster. All tasks know
        whether there is one.

    Raises
    ------
    SystemExit
        With code 1 in every task if the client, whose traceback is printed once, or the start of
        the scheduler failed; with that of a signal that came before the client had ended.
    """
    last, patience = part.role.scheduler, FAREWELL
    with part.meeting.attended(last=last):
        try:
            _play_to_end(part, client)
        except Told:
            patience = 0.0  # whoever sent the signal kills in a second
            raise
        finally:
            part.meeting.leave(last=last, patience=patience)


def _play_to_end(part: Part, client: Callable[[], object] | None) -> None:
    failure = _play(part, client)
    if client is not None and part.layout.client_rank is not None:
        _agree_on_end(part, failure)
    if failure is not None:
        raise failure if isinstance(failure, SystemExit) else SystemExit(1)


def _play(part: Part, client: Callable[[], object] | None) -> BaseException | None:
    own = client if part.role.client else None
    if part.role.scheduler:
        return asyncio.run(_direct(part, own))
    try:
        place = find_scheduler(part)
    except Over:
        if part.role.client:
            raise
        return None
    dask.config.set(place.settings())
    if part.role.worker:
        return _work_to_end(part, place, client=own)
    failure = outcome(own) if own else None
    end(place.address, place.security)
    return failure


def _work_to_end(
    part: Part, place: Whereabouts, *, client: Callable[[], object] | None
) -> BaseException | None:
    try:
        return asyncio.run(_work(part, place, client=client))
    except Exception as error:  # noqa: BLE001 - whatever it is, the others must end, too
        if client is None and not is_alive(place):
            return None  # the cluster has ended while this one was starting
        complain(error)
        end(place.address, place.security, at_once=True)
        part.meeting.abort(1)
        raise SystemExit(1) from None


def _agree_on_end(part: Part, failure: BaseException | None) -> None:
    if part.role.client:
        part.meeting.tell("end", "failed" if failure else "done")
        return
    words = part.meeting.hear(
        "end", of=part.layout.client_rank or 0, accept=bool, seconds=_LAST_WORD
    )
    if words != "done":
        raise SystemExit(1)  # the client says why


def find_scheduler(part: Part) -> Whereabouts:
    """Return where the scheduler is, as its task says; or as was given, if no task is one.

    Raises
    ------
    SystemExit
        If it could not start; it says why itself.
    Over
        If it has ended already.
    ClusterError
        If nobody answers where it should be.
    """
    rank = part.layout.scheduler_rank
    if rank is None:
        return asyncio.run(_find_given(part))
    words = part.meeting.hear(FIRST, of=rank, accept=_is_new, seconds=_START)
    place = _read(words).place
    if place is None:
        raise SystemExit(1)
    return place


async def _find_given(part: Part) -> Whereabouts:
    wishes = part.wishes
    if part.address is None and wishes.scheduler_file is None:
        raise ConfigError(
            "nothing says where the scheduler is",
            hint="give a scheduler file, or an address; or let one task be the scheduler",
        )
    if wishes.scheduler_file is None:
        return Whereabouts(address=part.address or "")
    return await find_by_file(wishes.scheduler_file, seconds=wishes.death_timeout)


def _read(words: str) -> Announcement:
    announcement: Announcement = from_json(json.loads(words), Announcement)
    return announcement


def _is_new(words: str) -> bool:
    """Whether an announcement is of a scheduler that answers: a file may be old."""
    announcement = _read(words)
    return announcement.place is None or is_alive(announcement.place)


# servers -----------------------------------------------------------------------------------------


async def _direct(part: Part, client: Callable[[], object] | None) -> BaseException | None:
    """Run the scheduler, and in the same task what else it has to do."""
    told = listen()  # before there is anything that a signal could leave behind
    nonce = secrets.token_hex(8)
    with removed_in_any_case(_room(part)) as room:
        spec = spec_of(part.wishes, room)
        try:
            scheduler = await _started(part, spec, nonce=nonce)
            try:
                return await _direct_others(part, scheduler, spec=spec, client=client, told=told)
            except Told:
                # Before all else: a second later comes SIGKILL, often.
                scheduler.plugins[Farewell.name].hasten()
                remove_scheduler_file(spec.scheduler_file, nonce=nonce)
                remove_tree(room)
                part.meeting.leave(last=True, patience=0.0)
                raise
            finally:
                await scheduler.close(reason="the run has ended")
        finally:
            remove_scheduler_file(spec.scheduler_file, nonce=nonce)


def _place(spec: ClusterSpec, scheduler: HPCScheduler) -> Whereabouts:
    return Whereabouts(
        address=str(scheduler.contact_address or scheduler.address),
        tls=str(spec.directory / "tls") if spec.secure else "",
    )


def _announce(part: Part, announcement: Announcement) -> None:
    part.meeting.tell(FIRST, json.dumps(asdict(announcement)))


async def _started(part: Part, spec: ClusterSpec, *, nonce: str) -> HPCScheduler:
    try:
        if spec.secure:
            part.certify(spec.directory / "tls")
        scheduler = await start_scheduler(spec, part.wishes, expected=part.workers)
    except Exception as error:  # noqa: BLE001 - likewise
        complain(error)
        _announce(part, Announcement(error=str(error)))
        raise SystemExit(1) from None
    write_scheduler_file(spec, scheduler, nonce=nonce)
    return scheduler


async def _direct_others(
    part: Part,
    scheduler: HPCScheduler,
    *,
    spec: ClusterSpec,
    client: Callable[[], object] | None,
    told: asyncio.Future[int],
) -> BaseException | None:
    place = _place(spec, scheduler)
    _announce(part, Announcement(place=place))
    dask.config.set(place.settings())
    if part.role.worker:
        return await _work(part, place, client=client, told=told, scheduler=scheduler)
    return await until_ended(scheduler.finished(), client, place=place, told=told)


def _room(part: Part) -> Path:
    """Return a private directory for the certificates, which all tasks see, and the dashboard."""
    wishes = part.wishes
    if wishes.scheduler_file:
        return make_private_directory(beside(wishes.scheduler_file))
    if not wishes.secure:
        return Path(tempfile.mkdtemp(prefix="dask-hpc-"))
    word = part.meeting.ranks.launch or secrets.token_hex(8)
    room = _envvars.home() / "mpi" / f"{word}-{secrets.token_hex(4)}"
    return make_private_directory(room)


async def _work(
    part: Part,
    place: Whereabouts,
    *,
    client: Callable[[], object] | None,
    told: asyncio.Future[int] | None = None,
    scheduler: HPCScheduler | None = None,
) -> BaseException | None:
    """Run a worker, and in the same task the client if that is its part."""
    told = told or listen()  # already now: the start takes a while
    with removed_in_any_case(_scratch(part.wishes)) as scratch, _without_script():
        worker = await _started_worker(part, place, scratch=scratch, told=told)
        try:
            ending = (scheduler or worker).finished()
            failure = await until_ended(ending, client, place=place, told=told)
        finally:
            await worker.close(timeout=2, reason="the run has ended")
            await SystemClock().sleep(0)  # whoever else closes it sees that it has
        _check(worker)
        return failure


async def _started_worker(
    part: Part, place: Whereabouts, *, scratch: Path, told: asyncio.Future[int]
) -> Worker | Nanny:
    starting = asyncio.ensure_future(
        start_worker(
            part.wishes,
            place.address,
            security=place.security,
            ranks=part.meeting.ranks,
            scratch=scratch,
        )
    )
    over = asyncio.ensure_future(part.meeting.over(place.is_alive))
    ends: set[asyncio.Future[Any]] = {starting, told, over}
    await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    over.cancel()
    if starting.done():
        return starting.result()
    # A start that is cut off may wait for ever, in distributed, for a scheduler that has gone.
    signal.alarm(_CUT_OFF)
    starting.cancel()
    if told.done():
        raise Told(128 + told.result())
    await asyncio.wait({starting})
    signal.alarm(0)
    raise Over("the cluster has ended before the worker had started")


@contextmanager
def _without_script() -> Iterator[None]:
    """Let no process that a nanny starts run the user's script, which would begin a second run."""
    main = sys.modules["__main__"]
    before = {name: getattr(main, name) for name in ("__file__", "__spec__") if hasattr(main, name)}
    main.__spec__ = None
    if "__file__" in before:
        del main.__file__
    try:
        yield
    finally:
        for name, value in before.items():
            setattr(main, name, value)


def _scratch(wishes: Wishes) -> Path:
    wanted = wishes.local_directory
    return make_scratch(str(Path(wanted).absolute()) if wanted else None, spills=True).path


def _check(worker: Worker | Nanny) -> None:
    if getattr(worker, "gave_up", False):
        raise LaunchError(f"worker {worker.name} kept crashing", hint="see what it said before")
