"""Who is let in, and who is not."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from tornado.httputil import HTTPHeaders

from dask_hpc.engine.dashboard.entry import (
    LIFE,
    Answer,
    Doorkeeper,
    Request,
    Show,
    dashboard_door,
)
from dask_hpc.engine.dashboard.entry import Door as Front
from dask_hpc.testing import FakeClock

if TYPE_CHECKING:
    from collections.abc import Mapping

PORT = 4711
OWN = f"127.0.0.1:{PORT}"


class Door:
    """A doorkeeper, and a browser that knocks."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        door = dashboard_door("rain")
        self.keeper = Doorkeeper(PORT, door=door, monotonic=self.clock.monotonic)
        self.room = urlsplit(self.keeper.link).path.split("/")[1]

    def ask(
        self,
        target: str,
        headers: Mapping[str, str] = {},
        *,
        method: str = "GET",
        ours: bool = False,
    ) -> Show | Answer:
        sent = HTTPHeaders({"Host": OWN, **headers})
        request = Request(method=method, target=target, headers=sent)
        return self.keeper.judge(request, is_ours=lambda: ours)

    def page(self, name: str, *, method: str = "GET", **headers: str) -> Show | Answer:
        return self.ask(f"/{self.room}/{name}", headers, method=method)

    def cookie(self) -> str:
        """Use a link; return the cookie that it sets."""
        answer = self.ask(target_of(self.keeper.link))
        assert isinstance(answer, Answer)
        return answer.cookie.partition(";")[0]


def target_of(link: str) -> str:
    parts = urlsplit(link)
    return f"{parts.path}?{parts.query}"


@pytest.fixture
def door() -> Door:
    return Door()


def status(verdict: Show | Answer) -> int:
    assert isinstance(verdict, Answer)
    return verdict.status


def test_a_link_leads_to_this_host(door: Door) -> None:
    assert door.keeper.link.startswith(f"http://{OWN}/{door.room}/status?token=")


def test_without_the_cookie_nothing_is_shown(door: Door) -> None:
    for page in ("", "status", "json/counts.json", "../status", "static/js/bokeh.js"):
        assert status(door.page(page)) == 403
    assert status(door.ask("/")) == 403
    assert status(door.ask("/status")) == 403


def test_a_refusal_says_how_to_get_in(door: Door) -> None:
    answer = door.page("status")
    assert isinstance(answer, Answer)
    assert 'HPCCluster.from_name("rain").dashboard_link' in answer.words
    assert not answer.goes_on


def test_a_link_sets_a_cookie_that_scripts_and_other_sites_do_not_get(door: Door) -> None:
    answer = door.ask(target_of(door.keeper.link))
    assert isinstance(answer, Answer)
    assert (answer.status, answer.goes_on) == (200, f"/{door.room}/status")
    _, *facts = answer.cookie.split("; ")
    assert facts == [f"Path=/{door.room}", "HttpOnly", "SameSite=Strict"]
    assert "token" not in answer.goes_on


def test_the_cookie_opens_every_page(door: Door) -> None:
    cookie = door.cookie()
    assert door.page("status", Cookie=cookie) == Show("/status")
    assert door.page("a/b.js?v=1&w=2", Cookie=f"other=1; {cookie}") == Show("/a/b.js?v=1&w=2")
    assert door.page("jobs/ws", Cookie=cookie, Origin=f"http://{OWN}") == Show("/jobs/ws")


def test_a_link_works_once(door: Door) -> None:
    link = door.keeper.link
    door.ask(target_of(link))
    answer = door.ask(target_of(link))
    assert status(answer) == 403
    # A browser that has the cookie shows it to this page only, which it goes on to.
    assert isinstance(answer, Answer)
    assert answer.goes_on == f"/{door.room}/status"
    assert not answer.cookie


def test_a_link_is_the_same_until_it_is_used(door: Door) -> None:
    link = door.keeper.link
    assert door.keeper.link == link
    door.ask(target_of(link))
    assert door.keeper.link != link


async def test_a_link_grows_old(door: Door) -> None:
    link = door.keeper.link
    await door.clock.sleep(LIFE / 2 + 1)
    newer = door.keeper.link
    assert newer != link
    await door.clock.sleep(LIFE / 2)
    assert status(door.ask(target_of(link))) == 403
    assert status(door.ask(target_of(newer))) == 200


def test_an_old_link_is_good_enough_for_who_is_in_already(door: Door) -> None:
    link = door.keeper.link
    cookie = door.cookie()
    assert door.ask(target_of(link), {"Cookie": cookie}) == Show(
        target_of(link).replace(f"/{door.room}", "")
    )


@pytest.mark.parametrize("wrong", ["", "x", "x" * 43, "\u00e4", "token"])
def test_a_wrong_token_or_cookie_opens_nothing(door: Door, wrong: str) -> None:
    assert status(door.page(f"status?token={wrong}")) in (400, 403)
    assert status(door.page("status", Cookie=f"dask-hpc-{door.room}={wrong}")) == 403
    assert status(door.page("status", Cookie=f"{wrong};;=;=")) == 403


@pytest.mark.parametrize(
    "host", ["evil.example:4711", "evil.example", "127.0.0.1.evil.example", ""]
)
def test_another_name_for_this_host_is_refused_even_with_the_cookie(door: Door, host: str) -> None:
    assert status(door.page("status", Cookie=door.cookie(), Host=host)) == 403


@pytest.mark.parametrize("host", ["localhost:4711", "127.0.0.1:9999", "localhost", "[::1]:80"])
def test_a_forwarded_port_may_have_another_number(door: Door, host: str) -> None:
    assert door.page("status", Cookie=door.cookie(), Host=host) == Show("/status")


def test_a_page_of_another_server_is_refused_even_with_the_cookie(door: Door) -> None:
    cookie = door.cookie()
    for origin in ("http://evil.example", "http://127.0.0.1:9999", "null"):
        assert status(door.page("jobs/ws", Cookie=cookie, Origin=origin)) == 403


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "CONNECT"])
def test_it_can_only_be_looked_at(door: Door, method: str) -> None:
    assert status(door.page("status", method=method, Cookie=door.cookie())) == 405


@pytest.mark.parametrize("target", ["http://evil.example/", "*", "", "/a\x01b"])
def test_a_target_that_is_no_path_is_refused(door: Door, target: str) -> None:
    assert status(door.ask(target)) == 400


def test_a_server_in_this_process_passes_on_what_it_let_in(door: Door) -> None:
    there = {"Host": "localhost:8888"}
    assert door.ask("/individual-jobs", there, ours=True) == Show("/individual-jobs")
    assert status(door.ask("/individual-jobs", there, ours=False)) == 403


def test_whoever_asks_for_this_port_itself_needs_the_cookie_whatever_the_process(
    door: Door,
) -> None:
    assert status(door.ask("/status", ours=True)) == 403
    assert status(door.ask(f"/{door.room}/status", ours=True)) == 403


# behind a proxy ----------------------------------------------------------------------------------

HUB = {"Host": "hub.example.org", "X-ProxyContextPath": "/user/ada/proxy/4711"}


def test_a_proxy_may_show_it_below_a_path_and_under_a_name_of_its_own(door: Door) -> None:
    answer = door.ask(target_of(door.keeper.link), HUB)
    assert isinstance(answer, Answer)
    assert answer.goes_on == f"/user/ada/proxy/4711/{door.room}/status"
    assert f"; Path=/user/ada/proxy/4711/{door.room};" in answer.cookie
    cookie = {"Cookie": answer.cookie.partition(";")[0]}
    assert door.ask(f"/{door.room}/status", {**HUB, **cookie}) == Show("/status")
    # Requests for websockets do not say the path.
    bare = {"Host": "hub.example.org", **cookie}
    assert door.ask(f"/{door.room}/status/ws", bare) == Show("/status/ws")
    assert status(door.ask(f"/{door.room}/status", {**bare, "Host": "evil.example"})) == 403


def test_a_proxy_lets_nobody_in_without_a_link(door: Door) -> None:
    assert status(door.ask(f"/{door.room}/status", HUB)) == 403
    assert status(door.ask(f"/{door.room}/status?token=guessed", HUB)) == 403
    assert status(door.ask(f"/{door.room}/status", {"Host": "hub.example.org"})) == 403


@pytest.mark.parametrize("front", ["javascript:alert(1)", '/a"b', "//evil.example/", "/a b", "x"])
def test_a_path_that_is_none_is_not_believed(door: Door, front: str) -> None:
    headers = {"Host": "hub.example.org", "X-ProxyContextPath": front}
    assert status(door.ask(target_of(door.keeper.link), headers)) == 403


# pages that know their path ----------------------------------------------------------------------


def lab() -> Door:
    door = Door()
    what = Front(
        what="JupyterLab",
        again="dask-hpc attach rain",
        room="rain-1",
        first="lab",
        is_only_seen=False,
        knows_room=True,
    )
    door.keeper = Doorkeeper(PORT, door=what, monotonic=door.clock.monotonic)
    door.room = "rain-1"
    return door


def test_who_knows_the_path_gets_it_and_may_be_told_things() -> None:
    door = lab()
    cookie = {"Cookie": door.cookie()}
    assert door.ask("/rain-1/api/kernels?x=1", cookie) == Show("/rain-1/api/kernels?x=1")
    assert door.page("api/kernels", method="POST", **cookie) == Show("/rain-1/api/kernels")
    assert status(door.page("api/kernels", method="POST")) == 403
    from_elsewhere = {**cookie, "Origin": "http://evil.example"}
    assert status(door.page("api/kernels", method="POST", **from_elsewhere)) == 403


def test_its_own_tokens_are_not_those_of_links() -> None:
    door = lab()
    cookie = {"Cookie": door.cookie()}
    target = "/rain-1/api/kernels/7/channels?token=its-own"
    assert door.ask(target, cookie) == Show(target)
    answer = door.ask("/rain-1/lab?token=used", cookie)
    assert isinstance(answer, Answer)
    assert answer.goes_on == "/rain-1/lab"


def test_only_the_cookie_of_the_gate_is_taken_away() -> None:
    headers = HTTPHeaders({"Cookie": "a=1; dask-hpc-x=secret; b=2"})
    request = Request(method="GET", target="/", headers=headers)
    assert request.other_cookies("dask-hpc-x") == "a=1; b=2"
