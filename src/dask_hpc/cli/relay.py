"""``dask-hpc relay``: what the laptop of a session's user asks for here. Not for people."""

from __future__ import annotations

import asyncio
import json
import os
from contextlib import suppress
from typing import TYPE_CHECKING

import click

from dask_hpc._clock import SystemClock
from dask_hpc.cli.progress import in_words
from dask_hpc.cli.reach import existing
from dask_hpc.cluster.record import ClusterState, read_cluster, read_spec
from dask_hpc.cluster.session import SessionState, read_session
from dask_hpc.deploy.starting import wait_for_scheduler
from dask_hpc.errors import HPCError
from dask_hpc.jupyter.mirror import News, files_of
from dask_hpc.remote.routes import Target, relay_of

if TYPE_CHECKING:
    from dask_hpc.cluster.directory import ClusterDirectory

_LOOK = 0.5  # seconds between two looks at the files
_SIGN_OF_LIFE = 5.0  # seconds


@click.command(hidden=True)
@click.argument("name")
@click.option("--news", is_flag=True, help="tell how the session is, a line for each change")
def command(name: str, *, news: bool) -> None:
    """Carry connections to the JupyterLab of a cluster over standard input and output."""
    directory = existing(name)
    if news:
        asyncio.run(_tell(directory))
        return
    target = Target(
        session=read_session(directory), record=read_cluster(directory), spec=read_spec(directory)
    )
    argv, environ = relay_of(target)
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
    record = read_cluster(directory)
    if record.address:
        return
    try:
        await wait_for_scheduler(
            read_spec(directory),
            record,
            progress=lambda progress: _Teller.say(News(words=in_words(progress))),
        )
    except HPCError as error:
        _Teller.say(News(over=str(error), hint=error.hint))


class _Teller:
    """Says each thing once."""

    last = News()

    @classmethod
    def say(cls, news: News) -> None:
        if news.words and news.words == cls.last.words:
            return
        cls.last = news
        click.echo(json.dumps(news.as_json()))
