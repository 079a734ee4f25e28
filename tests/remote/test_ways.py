"""Ways to a session that cannot be taken, each with its reason; test_routes.py takes them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from dask_hpc._hosts import host_name
from dask_hpc.batch.model import JobId
from dask_hpc.cluster.record import ClusterRecord, ClusterState
from dask_hpc.cluster.session import Session, SessionState
from dask_hpc.cluster.spec import Home
from dask_hpc.errors import TunnelError
from dask_hpc.remote.routes import ROUTES, Target, find_way, relay_of, verdicts_on
from dask_hpc.remote.verdicts import Verdict, recall, remember
from tests.cluster.specs import a_spec
from tests.remote.test_relay import echo

if TYPE_CHECKING:
    from pathlib import Path

NODE = "node.invalid"


@pytest.fixture
def target(home: Path) -> Target:
    """A session on a node that there is not, on a batch system that can do nothing."""
    return Target(
        session=Session(
            state=SessionState.RUNNING,
            room="rain-1",
            root=home,
            token_file=home / "token",
            node=NODE,
            socket=home / "echo.sock",
        ),
        record=ClusterRecord(
            name="rain",
            site="alpine",
            home=Home.JOB,
            state=ClusterState.RUNNING,
            created=0,
            job=JobId("7"),
        ),
        spec=a_spec(name="rain", site="alpine", directory=home / "clusters" / "rain"),
    )


def here(target: Target) -> Target:
    return replace(target, session=replace(target.session, node=host_name()))


async def test_each_that_cannot_be_taken_says_why_and_what_would_help(target: Target) -> None:
    with pytest.raises(TunnelError) as failure:
        await find_way(target)
    said = str(failure.value)
    assert said.startswith(f"there is no way to JupyterLab on {NODE}: direct: it is on {NODE}, ")
    assert f"; ssh: ssh gives no answer: ssh: Could not resolve hostname {NODE}" in said
    assert "; job: fake has no command that gets into a job from outside" in said
    assert "; tls: python gives no answer: there is no cluster named 'rain'" in said
    assert "tls: dask-hpc ls lists those that exist" in failure.value.hint
    known = recall("alpine")
    assert known
    assert [each.route for each in known.refused] == ["ssh", "job", "tls"]


async def test_where_none_worked_a_moment_ago_none_is_tried(target: Target) -> None:
    remember("alpine", (Verdict(route="ssh", works=False, reason="it is late"),))
    for again in (find_way(target), relay_of(target, afresh=True)):
        with pytest.raises(TunnelError, match=r"this is .*; ssh: it is late$"):
            await again


async def test_the_socket_itself_is_taken_where_it_is(target: Target, home: Path) -> None:
    async with echo(home):
        way = await find_way(here(target))
        channel = await way.open()
        await channel.write(b"x")
        assert await channel.read() == b"x"
        channel.abort()
        await way.close()
        argv, _ = await relay_of(here(target))
        assert argv[-1] == str(home / "echo.sock")
    assert recall("alpine") is None  # it says nothing of the site
    with pytest.raises(
        TunnelError, match=r"direct: .*echo\.sock: (connection refused|no such file)"
    ):
        await find_way(here(target), only=("direct",))


async def test_where_one_is_set_no_other_is_tried(target: Target) -> None:
    only = replace(target, spec=replace(target.spec, route="job"))
    with pytest.raises(TunnelError) as failure:
        await find_way(only)
    assert str(failure.value).endswith(f"{NODE}: job: fake has no command that gets into a job "
                                       "from outside")  # fmt: skip
    assert recall("alpine") is None
    with pytest.raises(TunnelError, match=f"{NODE}: direct: it is on {NODE}, this is"):
        await find_way(only, only=("direct",))


async def test_the_one_that_was_taken_last_is_not_tried_before_it_is_used(target: Target) -> None:
    remember("alpine", (Verdict(route="ssh", works=True, reason="it works"),))
    argv, _ = await relay_of(target)
    assert argv[0] == "ssh"
    with pytest.raises(TunnelError, match=r"ssh: .*; job: "):
        await relay_of(target, afresh=True)


async def test_a_job_that_is_none_is_told(target: Target) -> None:
    none = replace(target, record=replace(target.record, job=JobId("")))
    (verdict,) = await verdicts_on(none, only=("job",))
    assert str(verdict) == "job: its scheduler is in no job"


async def test_every_way_has_a_verdict(target: Target, home: Path) -> None:
    async with echo(home):
        found = await verdicts_on(here(target))
    assert [each.route for each in found] == [*ROUTES]
    assert found[0] == Verdict(route="direct", works=True, reason="it works")
    assert not any(each.works for each in found[2:])
    known = recall("alpine")
    assert known
    assert known.found == found[1:]
