"""What a client sends, and sends again."""

from __future__ import annotations

from dask_hpc.engine.outbox import Message, Outbox


def graph(key: str) -> Message:
    return {"op": "update-graph", "keys": {key}}


def words(messages: list[Message] | tuple[Message, ...]) -> list[object]:
    """Return the number of a mark, the key of a graph, the name of anything else."""
    return [
        message.get("number") or next(iter(message.get("keys", [message["op"]])))
        for message in messages
    ]


def test_graphs_are_numbered_and_other_messages_are_not() -> None:
    outbox = Outbox()
    assert words(outbox.stamp(graph("a"))) == ["a", 1]
    assert words(outbox.stamp({"op": "heartbeat-client"})) == ["heartbeat-client"]
    assert words(outbox.stamp(graph("b"))) == ["b", 2]


def test_what_was_not_seen_is_sent_again_before_what_waited() -> None:
    outbox = Outbox()
    for key in "abc":
        outbox.stamp(graph(key))
    outbox.saw(1)
    outbox.hold()
    outbox.hold(graph("d"))
    outbox.hold({"op": "client-releases-keys"})
    outbox.saw(2)
    assert words(outbox.release()) == ["c", 3, "d", 4, "client-releases-keys"]
    assert words(outbox.release()) == ["c", 3, "d", 4]
    outbox.saw(4)
    assert outbox.release() == []


def test_it_holds_what_comes_until_it_is_released() -> None:
    outbox = Outbox()
    outbox.hold(graph("a"))
    held = outbox.holds
    outbox.release()
    assert (held, outbox.holds) == (True, False)


def test_a_graph_is_sent_three_times_at_most() -> None:
    outbox = Outbox()
    outbox.stamp(graph("a"))
    assert words(outbox.release()) == ["a", 1]
    outbox.stamp(graph("b"))
    assert words(outbox.release()) == ["a", 1, "b", 2]
    assert words(outbox.release()) == ["b", 2]
    assert outbox.release() == []


def test_who_takes_a_message_apart_does_not_spoil_the_next_try() -> None:
    outbox = Outbox()
    outbox.stamp(graph("a"))[0].clear()
    assert words(outbox.release()) == ["a", 1]


def test_what_was_sent_before_is_no_matter_to_a_scheduler_that_knows_nothing() -> None:
    outbox = Outbox()
    outbox.stamp(graph("a"))
    outbox.saw(0)
    assert words(outbox.release()) == ["a", 1]
