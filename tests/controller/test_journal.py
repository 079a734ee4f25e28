from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dask_hpc.batch.model import JobId, Tag
from dask_hpc.controller.journal import Entry, Event, Journal, read_journal, tags_of
from dask_hpc.errors import SecurityError
from tests.places import scratch

if TYPE_CHECKING:
    from pathlib import Path

TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
entries = st.builds(
    Entry,
    time=st.floats(0, 4e9),
    event=st.sampled_from(Event),
    why=TEXT,
    tag=TEXT.map(Tag),
    count=st.integers(0, 10**6),
    jobs=st.lists(TEXT.map(JobId), max_size=3).map(tuple),
    slot=TEXT,
)


def entry(event: Event = Event.NOTE, **facts: object) -> Entry:
    plain: dict[str, object] = {"time": 1.5, "why": "because", "event": event}
    return Entry(**(plain | facts))  # type: ignore[arg-type]  # any field


@settings(max_examples=25)
@given(written=st.lists(entries, max_size=3), noted=st.lists(entries, max_size=3))
def test_what_was_written_is_read_back(written: list[Entry], noted: list[Entry]) -> None:
    with scratch() as place:
        journal = Journal(place / "journal.jsonl")
        for one in written:
            journal.write(one)
        journal.note(*noted)
        assert read_journal(place / "journal.jsonl") == (*written, *noted)
        assert journal.recent == (*written, *noted)


def test_a_journal_that_does_not_exist_is_empty(tmp_path: Path) -> None:
    assert read_journal(tmp_path / "journal.jsonl") == ()


def test_a_line_that_a_crash_cut_off_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    journal = Journal(path)
    journal.write(entry(Event.INTENT, tag=Tag("a"), count=2))
    journal.write(entry(Event.SUBMITTED, tag=Tag("a"), jobs=(JobId("7"),)))
    whole = path.read_bytes()
    first = whole.index(b"\n") + 1
    for length in range(first, len(whole) - 1):
        path.write_bytes(whole[:length])
        assert len(read_journal(path)) == 1


def test_lines_of_another_version_and_damaged_ones_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    journal = Journal(path)
    journal.write(entry(Event.INTENT))
    with path.open("a", encoding="utf-8") as stream:
        stream.write('{"time": 1, "event": "dreamt", "why": ""}\n[]\n{}\nnull\n\n\x00\x00\n')
    journal.write(entry(Event.HALT))
    assert [one.event for one in read_journal(path)] == [Event.INTENT, Event.HALT]


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_only_its_owner_can_read_a_journal(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        Journal(tmp_path / "journal.jsonl").write(entry())
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "journal.jsonl").stat().st_mode) == 0o600


def test_a_journal_that_others_can_write_is_not_trusted(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    Journal(path).write(entry())
    path.chmod(0o666)
    with pytest.raises(SecurityError):
        read_journal(path)
    with pytest.raises(SecurityError):
        Journal(path).write(entry())


def test_an_intent_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Journal(tmp_path / "gone" / "journal.jsonl").write(entry(Event.INTENT))


def test_a_note_that_cannot_be_written_is_remembered_and_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    journal = Journal(tmp_path / "gone" / "journal.jsonl")
    journal.note(entry(Event.CANCEL))
    assert [one.event for one in journal.recent] == [Event.CANCEL]
    assert "the journal cannot be written" in caplog.text


def test_the_last_entries_are_remembered_and_no_more(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    journal.note(*(entry(count=number) for number in range(300)))
    assert [one.count for one in journal.recent] == list(range(100, 300))
    assert len(read_journal(tmp_path / "journal.jsonl")) == 300


def test_every_submission_that_was_intended_has_a_tag() -> None:
    story = (
        entry(Event.SCALE),
        entry(Event.INTENT, tag=Tag("a")),
        entry(Event.REFUSED, tag=Tag("a")),
        entry(Event.INTENT, tag=Tag("b")),
        entry(Event.SUBMITTED, tag=Tag("b")),
    )
    assert tags_of(story) == (Tag("a"), Tag("b"))
