"""``dask-hpc relay``: what the laptop of a session's user asks for here. Not for people."""

from __future__ import annotations

import asyncio
import json
import os
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from dask_hpc._clock import SystemClock
from dask_hpc.cluster.directory import directory_of
from dask_hpc.cluster.record import ClusterState, read_cluster, read_spec
from dask_hpc.cluster.session import SessionState, read_session
from dask_hpc.errors import HPCError
from dask_hpc.jupyter.mirror import News, files_of
from dask_hpc.remote.routes import ROUTES, Target, relay_of, verdicts_on

if TYPE_CHECKING:
    from dask_hpc.cluster.directory import ClusterDirectory
    from dask_hpc.cluster.record import ClusterRecord

_LOOK = 0.5  # seconds between two looks at the files
_SIGN_OF_LIFE = 5.0  # seconds


@click.command(hidden=True)
@click.argument("name")
@click.option("--news", is_flag=True, help="tell how the session is, a line for each change")
@click.option("--route", "routes", multiple=True, type=click.Choice([*ROUTES]), help="a way to try")
@click.option("--afresh", is_flag=True, help="forget which way was taken the last time")
@click.option("--verdicts", is_flag=True, help="only say how each way does")
def command(
    name: str, *, news: bool, routes: tuple[str, ...], afresh: bool, verdicts: bool
) -> None:
    """Carry connections to the JupyterLab of a cluster over standard input and output."""
    directory = directory_of(name)
    if news:
        asyncio.run(_tell(directory))
        return
    target = Target.of(directory)
    if verdicts:
        found = asyncio.run(verdicts_on(target, only=routes))
        click.echo(json.dumps([asdict(each) for each in found]))
        return
    argv, environ = asyncio.run(relay_of(target, only=routes, afresh=afresh))
    os.chdir("/")  # which is on the node, too
    os.execvpe(argv[0], argv, environ)  # noqa: S606 - it is the relay from now on


async def _tell(directory: ClusterDirectory) -> None:
    """Tell until the session is over, or nobody listens."""
    read_session(directory)  # or there is nothing to tell
    _Teller.say(News(files=files_of(directory)))
    waiting = asyncio.ensure_future(_tell_of_queue(directory))
    try:
        with suppress(BrokenPipeError):
            await _tell_of_files(directory)
    except HPCError as error:
        _Teller.say(News(over=str(error), hint=error.hint))
    finally:
        waiting.cancel()


async def _tell_of_files(directory: ClusterDirectory) -> None:
    clock, known = SystemClock(), files_of(directory)
    told = clock.monotonic()
    while True:
        await clock.sleep(_LOOK)
        found = files_of(directory)
        news = {name: text for name, text in found.items() if known.get(name) != text}
        if news or clock.monotonic() - told > _SIGN_OF_LIFE:
            _Teller.say(News(files=news))
            known, told = found, clock.monotonic()
        record, session = read_cluster(directory), read_session(directory)
        if record.state is ClusterState.ENDED or session.state is SessionState.ENDED:
            _Teller.say(News(over=session.reason or record.reason or "it has ended"))
            return


async def _tell_of_queue(directory: ClusterDirectory) -> None:
    """Tell how the scheduler's job waits, also that of one that follows it."""
    clock = SystemClock()
    with suppress(HPCError):  # an end is told already, or with the files
        while True:
            record = read_cluster(directory)
            if not record.address:
                await _tell_how_it_waits(directory, record)
            await clock.sleep(_SIGN_OF_LIFE)


async def _tell_how_it_waits(directory: ClusterDirectory, record: ClusterRecord) -> None:
    # Half a second, for those alone whose job still waits.
    from dask_hpc.cli.progress import in_words
    from dask_hpc.deploy.starting import wait_for_scheduler

    try:
        await wait_for_scheduler(
            read_spec(directory),
            record,
            progress=lambda progress: _Teller.say(News(words=in_words(progress))),
        )
    except HPCError as error:
        _Teller.say(News(over=str(error), hint=error.hint))
        raise


class _Teller:
    """Says each thing once."""

    last = News()

    @classmethod
    def say(cls, news: News) -> None:
        if news.words and news.words == cls.last.words:
            return
        cls.last = news
        click.echo(json.dumps(news.as_json()))
