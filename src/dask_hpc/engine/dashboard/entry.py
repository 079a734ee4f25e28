"""Who may see a cluster's pages through a port that every user of the machine can reach. Pure.

A link with a token lets one browser in: the answer sets a cookie, and the token is used up. Without
the cookie nothing is shown. The cookie is sent to no other port of this host, which may be somebody
else's: all pages are below a path that has no second one of its name.
"""

from __future__ import annotations

import hmac
import re
import secrets
import threading
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable

    from tornado.httputil import HTTPHeaders

LIFE = 3600.0  # seconds in which a link can be used

_OWN_HOSTS = frozenset({"127.0.0.1", "localhost", "[::1]"})
_TO_LOOK = frozenset({"GET", "HEAD"})
_PROXY_PATH = re.compile(r"(?:/[\w.~@%:-]+)*/?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """What is shown, and how people are told of it.

    ``what`` is its name at the begin of a sentence, ``again`` how to get a link. All pages are
    below the path ``room``, which nobody else can know; a link opens the page ``first`` in it.
    ``is_only_seen`` is whether the pages are to be looked at alone; ``knows_room``, whether who
    serves them has them below that path, too.
    """

    what: str
    again: str
    room: str
    first: str
    is_only_seen: bool = True
    knows_room: bool = False


def dashboard_door(name: str) -> Door:
    """Return the door to the dashboard of a cluster of this name."""
    return Door(
        what="The dashboard",
        again=f'HPCCluster.from_name("{name}").dashboard_link',
        room=secrets.token_hex(6),
        first="status",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """The head of an HTTP request."""

    method: str
    target: str
    headers: HTTPHeaders

    @property
    def host(self) -> str:
        """Return the name of the host that was asked for, without its port."""
        name, _, port = self._host.rpartition(":")
        return name if port.isdigit() else self._host

    @property
    def port(self) -> int:
        """Return the port that was asked for; 0 if none was named."""
        _, _, port = self._host.rpartition(":")
        return int(port) if port.isdigit() else 0

    @property
    def is_from_another_page(self) -> bool:
        """Whether a page of another server has made a browser ask."""
        origin = self.headers.get("Origin")
        return origin is not None and urlsplit(origin).netloc != self._host

    @property
    def front(self) -> str:
        """Return the path below which a proxy shows this, as jupyter-server-proxy says it.

        A page of another server cannot make a browser say it, without asking first.
        """
        said = str(self.headers.get("X-ProxyContextPath", ""))
        return said.rstrip("/") if _PROXY_PATH.fullmatch(said) else ""

    @property
    def _host(self) -> str:
        return str(self.headers.get("Host", ""))

    def cookie(self, name: str) -> str:
        """Return the value of a cookie."""
        try:
            found = SimpleCookie("; ".join(self.headers.get_list("Cookie"))).get(name)
        except CookieError:
            return ""
        return found.value if found else ""

    def other_cookies(self, name: str) -> str:
        """Return all cookies but one, as they came."""
        given = "; ".join(self.headers.get_list("Cookie")).split("; ")
        return "; ".join(each for each in given if each.partition("=")[0].strip() != name)


@dataclass(frozen=True, slots=True)
class Show:
    """Let who serves the pages answer; he knows the page by this target."""

    target: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Answer in its place. ``goes_on`` is a page to open then, ``cookie`` one to set.

    ``page`` is a whole page in HTML to show instead of the words.
    """

    status: int
    words: str
    goes_on: str = ""
    cookie: str = ""
    page: str = ""


class Doorkeeper:
    """Gives links out, and judges requests.

    Parameters
    ----------
    port
        Where the requests come in.
    door
        What they ask for.
    monotonic
        What tells the time, in seconds.
    """

    def __init__(self, port: int, *, door: Door, monotonic: Callable[[], float]) -> None:
        self._port = port
        self._door = door
        self._monotonic = monotonic
        self._room = door.room
        self._proxies: set[str] = set()  # hosts whose proxy somebody with a link has come by
        self._key = secrets.token_urlsafe(32)
        self._tokens: dict[str, float] = {}
        self._lock = threading.Lock()  # notebooks and their widgets ask in several threads

    @property
    def link(self) -> str:
        """A link that opens the pages in one browser: the same one until it is used or old."""
        now = self._monotonic()
        with self._lock:
            self._tokens = {token: end for token, end in self._tokens.items() if end > now}
            fresh = [token for token, end in self._tokens.items() if end > now + LIFE / 2]
            token = fresh[0] if fresh else secrets.token_urlsafe(32)
            self._tokens.setdefault(token, now + LIFE)
        return f"http://127.0.0.1:{self._port}/{self._room}/{self._door.first}?token={token}"

    def judge(self, request: Request, *, is_ours: Callable[[], bool]) -> Show | Answer:
        """Return what to do about a request.

        ``is_ours`` says whether its connection was made by this very process. It is asked only
        where somebody else's address was asked for: then a server in this process, as Jupyter's
        with Dask's extension, passes on what it has let in itself.
        """
        if self._door.is_only_seen and request.method not in _TO_LOOK:
            return Answer(status=405, words="this can only be looked at")
        if not (request.target.startswith("/") and request.target.isprintable()):
            return Answer(status=400, words="this is no path of a page")
        parts = urlsplit(request.target)
        _, room, *below = parts.path.split("/", 2)
        if room != self._room:
            is_passed_on = request.port != self._port and is_ours()
            return Show(request.target) if is_passed_on else self._refuse()
        if not (request.host in _OWN_HOSTS | self._proxies or request.front):
            return self._refuse("It was asked for under a name that is not its own. ")
        if request.is_from_another_page:
            return self._refuse("Another page asked for it. ")
        return self._judge_guest(request, "".join(below), query=parts.query)

    def _judge_guest(self, request: Request, page: str, *, query: str) -> Show | Answer:
        has_key = hmac.compare_digest(request.cookie(self.cookie).encode(), self._key.encode())
        tokens = parse_qs(query).get("token", [])
        # The token of a link is not the business of who serves the pages; he may have his own.
        is_by_link = self._door.knows_room and tokens and page == self._door.first
        if has_key and page and not is_by_link:
            target = f"/{self._room}/{page}" if self._door.knows_room else f"/{page}"
            return Show(f"{target}?{query}" if query else target)
        # Not a redirection: to that, a browser that comes from another site brings no cookie.
        room = f"{request.front}/{self._room}"
        here = f"{room}/{page or self._door.first}"
        opens = f"{self._door.what} opens."
        if has_key:
            return Answer(status=200, words=opens, goes_on=here)
        if tokens and self._use(tokens[0]):
            if request.front:
                self._proxies.add(request.host)
            cookie = f"{self.cookie}={self._key}; Path={room}; HttpOnly; SameSite=Strict"
            return Answer(status=200, words=opens, goes_on=here, cookie=cookie)
        if tokens:
            # This browser may have used it itself; then it has the cookie, and brings it now.
            return self._refuse("This link was used, or is old. ", goes_on=here)
        return self._refuse()

    @property
    def cookie(self) -> str:
        """The name of the cookie that lets a browser in."""
        return f"dask-hpc-{self._room}"

    def _use(self, token: str) -> bool:
        given = token.encode()
        with self._lock:
            known = [each for each in self._tokens if hmac.compare_digest(each.encode(), given)]
            return any(self._tokens.pop(each) > self._monotonic() for each in known)

    def _refuse(self, why: str = "", *, goes_on: str = "") -> Answer:
        what = self._door.what
        words = f"{why}{what} is for one user. A link that opens it: {self._door.again}"
        return Answer(status=403, words=words, goes_on=goes_on)
