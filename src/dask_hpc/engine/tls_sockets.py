"""TLS connections that take no blame for each other's failures."""

from __future__ import annotations

from contextlib import suppress
from functools import cache
from ssl import PROTOCOL_TLS_CLIENT, SSLContext, SSLError, SSLSocket
from typing import Any


class TidySocket(SSLSocket):
    """Leaves no error of the system behind that the next connection of its thread would find.

    OpenSSL keeps errors in a queue of the thread, which Python 3.13.5 with OpenSSL 3.5 (Debian 13)
    does not empty after a broken pipe or a reset: from then on every healthy connection fails
    with that error (measured; Python 3.11 with OpenSSL 3.0 knows nothing of the kind).
    """

    def send(self, *arguments: Any) -> int:
        """Send, as sockets do."""
        try:
            return super().send(*arguments)
        except OSError as error:
            _tidy(error)
            raise

    def recv_into(self, *arguments: Any) -> int | None:  # type: ignore[override]  # as it is there
        """Receive, as sockets do."""
        try:
            return super().recv_into(*arguments)
        except OSError as error:
            _tidy(error)
            raise

    def do_handshake(self, *arguments: Any) -> None:
        """Begin, as sockets do."""
        try:
            super().do_handshake(*arguments)
        except OSError as error:
            _tidy(error)
            raise


def keep_apart(context: SSLContext | None) -> None:
    """Let the connections of a context be such."""
    if context:
        context.sslsocket_class = TidySocket


def _tidy(error: OSError) -> None:
    if isinstance(error, SSLError):  # Python takes these out itself; most of them say "not yet"
        return
    # Nothing in Python is there to empty the queue. To refuse a list of ciphers, it does so.
    with suppress(SSLError):
        _spare().set_ciphers("none-such")


@cache
def _spare() -> SSLContext:
    return SSLContext(PROTOCOL_TLS_CLIENT)
