"""What a client has to tell its scheduler, in order, also while it cannot.

Graphs are numbered, and kept until the scheduler has said that they arrived. So after a drop it
is known which ones were lost on the way; those alone are sent again, as they were.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

Message = dict[str, Any]

_GRAPH = "update-graph"
_MAX_TRIES = 3  # to send a graph: it may be what breaks the connection


@dataclass(slots=True, kw_only=True)
class _Graph:
    number: int
    message: Message
    tries: int = 0


class Outbox:
    """The messages of one client; ``holds`` says whether they wait for its return."""

    def __init__(self) -> None:
        self.holds = False
        self._last = 0
        self._unseen: deque[_Graph] = deque()
        self._held: list[Message] = []

    def hold(self, *messages: Message) -> None:
        """Keep these, and all that come, until they can be sent."""
        self.holds = True
        self._held.extend(messages)

    def stamp(self, message: Message) -> tuple[Message, ...]:
        """Return what to send for a message: it, and after a graph the graph's number."""
        if message["op"] != _GRAPH:
            return (message,)
        self._last += 1
        graph = _Graph(number=self._last, message=message)
        self._unseen.append(graph)
        return _marked(graph)

    def saw(self, number: int) -> None:
        """Hear that the scheduler has all graphs up to this one."""
        while self._unseen and self._unseen[0].number <= number:
            self._unseen.popleft()

    def release(self) -> list[Message]:
        """Return what to send now: graphs that were lost, then what waited. Hold no more."""
        return list(self._release())

    def _release(self) -> Iterator[Message]:
        self._unseen = deque(graph for graph in self._unseen if graph.tries < _MAX_TRIES)
        for graph in self._unseen.copy():
            yield from _marked(graph)
        held, self._held, self.holds = self._held, [], False
        for message in held:
            yield from self.stamp(message)


def _marked(graph: _Graph) -> tuple[Message, Message]:
    graph.tries += 1
    # A copy: whoever sends or handles a message may take it apart.
    return dict(graph.message), {"op": "lease-mark", "number": graph.number}
