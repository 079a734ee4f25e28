"""Requests as files: what each name means, and who may do what with it."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest

from dask_hpc._files import write_record
from dask_hpc._hosts import own_mark
from dask_hpc.errors import (
    BatchError,
    BatchUnavailable,
    CommandMissing,
    ConfigError,
    SecurityError,
    SubmitRejected,
)
from dask_hpc.process.requests import (
    AGENT,
    CLOSED,
    AgentRecord,
    Answer,
    Listing,
    Request,
    Requests,
    read_agent,
    sort,
)
from dask_hpc.process.runner import Command, Result

if TYPE_CHECKING:
    from pathlib import Path

WEIRD = ("a b", "it's", "$HOME", "two\nlines", "ünï 码 😀", "\udcff\udc80", "\x00\x1e", "")
COMMAND = Command(argv=WEIRD, stdin="#!/bin/sh\nexit\n", env={"A": "b\n"}, drop=("X_",))
LATER = 10.0**12  # seconds since the epoch


@pytest.fixture
def room(tmp_path: Path) -> Path:
    path = tmp_path / "requests"
    path.mkdir(mode=0o700)
    return path


def now(room: Path) -> float:
    return room.stat().st_mtime


def names(room: Path) -> list[str]:
    return sorted(path.suffix for path in room.iterdir())


# names --------------------------------------------------------------------------------------------


def test_names_say_what_became_of_a_request() -> None:
    listing = sort(["2.request", "1.request", "3.begun", "4.begun", "4.answer", ".5.request.ab"])
    assert listing == Listing(
        waiting=("1", "2"), begun=frozenset({"3", "4"}), answered=frozenset({"4"})
    )


def test_whatever_else_is_there_is_no_request() -> None:
    assert sort([AGENT, "request", "x", ".nfs0001", "x.begun.y"]) == Listing()


def test_the_time_is_that_of_files(room: Path) -> None:
    requests = Requests(room)
    before = room.stat().st_mtime
    assert before <= requests.now() <= room.stat().st_mtime
    assert names(room) == []


def test_a_directory_can_be_closed_and_reopened(room: Path) -> None:
    requests = Requests(room)
    assert not requests.listing().closed
    requests.close()
    assert requests.listing() == Listing(closed=True)
    requests.reopen()
    requests.reopen()
    assert requests.listing() == Listing()


def test_requests_wait_in_the_order_of_their_times(room: Path) -> None:
    requests = Requests(room)
    keys = [requests.put(Request.of(COMMAND, 1)) for _ in range(20)]
    assert requests.listing().waiting == tuple(keys)


# a request's life ---------------------------------------------------------------------------------


def test_a_request_is_begun_as_it_was_put_and_by_nobody_else(room: Path) -> None:
    requests = Requests(room)
    key = requests.put(Request.of(COMMAND, 60))
    begun = requests.begin(key, now=now(room))
    assert begun
    assert (begun.command, begun.timeout) == (COMMAND, 60)
    assert requests.begin(key, now=now(room)) is None
    assert requests.listing() == Listing(begun=frozenset({key}))


def test_what_was_taken_back_is_not_begun(room: Path) -> None:
    requests = Requests(room)
    key = requests.put(Request.of(COMMAND, 60))
    requests.take_back(key)
    assert requests.begin(key, now=now(room)) is None
    assert names(room) == []


def test_what_is_taken_back_leaves_nothing_whatever_became_of_it(room: Path) -> None:
    requests = Requests(room)
    key = requests.put(Request.of(COMMAND, 60))
    requests.begin(key, now=now(room))
    requests.answer(key, Answer(stdout="x"))
    assert names(room) == [".answer", ".begun"]
    requests.take_back(key)
    requests.take_back(key)
    assert names(room) == []


def test_what_nobody_can_be_waiting_for_is_not_begun(room: Path) -> None:
    requests = Requests(room)
    late, fresh = (requests.put(Request.of(COMMAND, seconds)) for seconds in (60, 600))
    assert requests.begin(late, now=now(room) + 100) is None
    assert requests.begin(fresh, now=now(room) + 100)
    assert requests.listing() == Listing(begun=frozenset({fresh}))


@pytest.mark.parametrize("text", ["", '{"version": 1, "argv": ["sb', "[]", '{"version": 1}'])
def test_a_truncated_request_counts_as_begun_and_is_told(room: Path, text: str) -> None:
    requests = Requests(room)
    path = room / "1.request"
    path.touch(mode=0o600)
    path.write_text(text)
    with pytest.raises(ConfigError, match="damaged"):
        requests.begin("1", now=now(room))
    assert requests.listing() == Listing(begun=frozenset({"1"}))


def test_a_request_that_others_could_have_written_is_not_believed(room: Path) -> None:
    requests = Requests(room)
    key = requests.put(Request.of(COMMAND, 60))
    (room / f"{key}.request").chmod(0o666)
    with pytest.raises(SecurityError):
        requests.begin(key, now=now(room))


def test_every_file_is_private_whatever_the_umask(room: Path) -> None:
    before = os.umask(0)
    try:
        requests = Requests(room)
        requests.begin(requests.put(Request.of(COMMAND, 60)), now=now(room))
        requests.answer(requests.put(Request.of(COMMAND, 60)), Answer())
    finally:
        os.umask(before)
    assert {stat.S_IMODE(path.stat().st_mode) for path in room.iterdir()} == {0o600}


# answers ------------------------------------------------------------------------------------------


def test_an_answer_arrives_as_it_was_given(room: Path) -> None:
    requests = Requests(room)
    said = Result(command=COMMAND, exit_code=3, stdout="ünï\n\udcff\n" * 1000, stderr="\x00")
    requests.answer("1", Answer.of(said))
    assert requests.answer_to("1").result(COMMAND) == said


@pytest.mark.parametrize("kind", [BatchUnavailable, CommandMissing, BatchError])
def test_an_error_is_raised_again_where_it_is_read(room: Path, kind: type[BatchError]) -> None:
    requests = Requests(room)
    requests.answer("1", Answer.failure(kind("no", hint="so")))
    with pytest.raises(kind, match="no") as error:
        requests.answer_to("1").result(COMMAND)
    assert type(error.value) is kind
    assert (str(error.value), error.value.hint) == ("no", "so")


def test_an_error_that_no_runner_raises_is_an_error_of_the_batch_system(room: Path) -> None:
    with pytest.raises(BatchError) as error:
        Answer.failure(SubmitRejected("no")).result(COMMAND)
    assert type(error.value) is BatchError


def test_an_answer_into_a_directory_that_is_gone_goes_nowhere(room: Path) -> None:
    room.rmdir()
    Requests(room).answer("1", Answer())
    assert not room.exists()


# what is left behind ------------------------------------------------------------------------------


def test_what_was_left_behind_long_ago_is_removed(room: Path) -> None:
    requests = Requests(room)
    for name in (AGENT, CLOSED, "1.answer", "2.begun", "3.begun", "4.request", ".5.request.ab"):
        (room / name).touch()
    requests.tidy(now(room) + 60)
    assert len(names(room)) == 7
    requests.tidy(LATER, running=["3"])
    assert {path.name for path in room.iterdir()} == {AGENT, CLOSED, "3.begun", "4.request"}


# the agent ----------------------------------------------------------------------------------------


def test_who_answers_is_read_with_the_last_sign_of_life(room: Path) -> None:
    assert read_agent(room) is None
    write_record(room / AGENT, AgentRecord(process=own_mark()))
    os.utime(room / AGENT, (0.0, 1_800_000_000.0))
    seen = read_agent(room)
    assert seen
    assert (seen.process, seen.beat) == (own_mark(), 1_800_000_000.0)


def test_a_record_of_an_agent_that_others_could_have_written_is_not_believed(room: Path) -> None:
    write_record(room / AGENT, AgentRecord(process=own_mark()))
    (room / AGENT).chmod(0o604)
    with pytest.raises(SecurityError):
        read_agent(room)
