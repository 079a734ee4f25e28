"""Who may see a dashboard through a port that every user of the machine can reach. Pure.

A link with a token lets one browser in: the answer sets a cookie, and the token is used up. Without
the cookie nothing is shown. The cookie is sent to no other port of this host, which may be somebody
else's: all pages are below a path that has no second one of its name.
"""

from __future__ import annotations

import hmac
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
_METHODS = frozenset({"GET", "HEAD"})  # the pages are to be looked at


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
    def _host(self) -> str:
        return str(self.headers.get("Host", ""))

    def cookie(self, name: str) -> str:
        """Return the value of a cookie."""
        try:
            found = SimpleCookie("; ".join(self.headers.get_list("Cookie"))).get(name)
        except CookieError:
            return ""
        return found.value if found else ""


@dataclass(frozen=True, slots=True)
class Show:
    """Let the dashboard answer; it knows the page by this target."""

    target: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Answer in its place. ``goes_on`` is a page to open then, ``cookie`` one to set."""

    status: int
    words: str
    goes_on: str = ""
    cookie: str = ""


class Doorkeeper:
    """Gives links out, and judges requests.

    Parameters
    ----------
    port
        Where the requests come in.
    name
        The cluster's, for what people are told.
    monotonic
        What tells the time, in seconds.
    """

    def __init__(self, port: int, *, name: str, monotonic: Callable[[], float]) -> None:
        self._port = port
        self._name = name
        self._monotonic = monotonic
        self._room = secrets.token_hex(6)
        self._key = secrets.token_urlsafe(32)
        self._tokens: dict[str, float] = {}
        self._lock = threading.Lock()  # notebooks and their widgets ask in several threads

    @property
    def link(self) -> str:
        """A link that opens the dashboard in one browser: the same one until it is used or old."""
        now = self._monotonic()
        with self._lock:
            self._tokens = {token: end for token, end in self._tokens.items() if end > now}
            fresh = [token for token, end in self._tokens.items() if end > now + LIFE / 2]
            token = fresh[0] if fresh else secrets.token_urlsafe(32)
            self._tokens.setdefault(token, now + LIFE)
        return f"http://127.0.0.1:{self._port}/{self._room}/status?token={token}"

    def judge(self, request: Request, *, is_ours: Callable[[], bool]) -> Show | Answer:
        """Return what to do about a request.

        ``is_ours`` says whether its connection was made by this very process. It is asked only
        where somebody else's address was asked for: then a server in this process, as Jupyter's
        with Dask's extension, passes on what it has let in itself.
        """
        if request.method not in _METHODS:
            return Answer(status=405, words="this can only be looked at")
        if not (request.target.startswith("/") and request.target.isprintable()):
            return Answer(status=400, words="this is no path of a page")
        parts = urlsplit(request.target)
        _, room, *below = parts.path.split("/", 2)
        if room != self._room:
            is_passed_on = request.port != self._port and is_ours()
            return Show(request.target) if is_passed_on else self._refuse()
        if request.host not in _OWN_HOSTS:
            return self._refuse("It was asked for under a name that is not its own. ")
        if request.is_from_another_page:
            return self._refuse("Another page asked for it. ")
        return self._judge_guest(request, "".join(below), query=parts.query)

    def _judge_guest(self, request: Request, page: str, *, query: str) -> Show | Answer:
        has_key = hmac.compare_digest(request.cookie(self._cookie).encode(), self._key.encode())
        if has_key and page:
            return Show(f"/{page}?{query}" if query else f"/{page}")
        # Not a redirection: to that, a browser that comes from another site brings no cookie.
        here = f"/{self._room}/{page or 'status'}"
        tokens = parse_qs(query).get("token", [])
        if has_key:
            return Answer(status=200, words="The dashboard opens.", goes_on=here)
        if tokens and self._use(tokens[0]):
            cookie = f"{self._cookie}={self._key}; Path=/{self._room}; HttpOnly; SameSite=Strict"
            return Answer(status=200, words="The dashboard opens.", goes_on=here, cookie=cookie)
        if tokens:
            # This browser may have used it itself; then it has the cookie, and brings it now.
            return self._refuse("This link was used, or is old. ", goes_on=here)
        return self._refuse()

    @property
    def _cookie(self) -> str:
        return f"dask-hpc-{self._room}"

    def _use(self, token: str) -> bool:
        given = token.encode()
        with self._lock:
            known = [each for each in self._tokens if hmac.compare_digest(each.encode(), given)]
            return any(self._tokens.pop(each) > self._monotonic() for each in known)

    def _refuse(self, why: str = "", *, goes_on: str = "") -> Answer:
        words = (
            f"{why}This dashboard is for one user. A link that opens it is "
            f'HPCCluster.from_name("{self._name}").dashboard_link'
        )
        return Answer(status=403, words=words, goes_on=goes_on)
