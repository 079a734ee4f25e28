from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from dask_hpc.batch.model import JobId, Tag
from dask_hpc.cluster.jobrecords import JobRecord, JobRecords
from dask_hpc.cluster.slot import Slot

if TYPE_CHECKING:
    from pathlib import Path

SLOT = Slot(Tag("climate-2_b-abcd2345"), 4)
START = {"slot": str(SLOT), "job": "17_4", "host": "n1", "time": 1, "end_time": 99, "code": None}
END = START | {"time": 5, "code": 7}


def write(place: Path, name: str, values: Any) -> None:
    (place / name).write_text(json.dumps(values), encoding="utf-8")


def refreshed(place: Path) -> JobRecords:
    records = JobRecords(place)
    records.refresh()
    return records


def test_starts_and_ends_are_found_by_slot(tmp_path: Path) -> None:
    write(tmp_path, f"{SLOT}.start", START)
    write(tmp_path, f"{SLOT}.end", END)
    records = refreshed(tmp_path)
    began = JobRecord(slot=str(SLOT), job=JobId("17_4"), host="n1", time=1, end_time=99)
    assert records.starts == {SLOT: began}
    assert records.ends[SLOT].code == 7
    assert records.ends[SLOT].time == 5


def test_what_comes_later_is_found_at_the_next_look(tmp_path: Path) -> None:
    records = refreshed(tmp_path)
    assert (records.starts, records.ends) == ({}, {})
    write(tmp_path, f"{SLOT}.start", START)
    assert records.starts == {}
    records.refresh()
    assert list(records.starts) == [SLOT]


def test_a_directory_that_does_not_exist_yet_holds_no_records(tmp_path: Path) -> None:
    records = refreshed(tmp_path / "jobs")
    assert records.starts == {}
    (tmp_path / "jobs").mkdir()
    write(tmp_path / "jobs", f"{SLOT}.start", START)
    records.refresh()
    assert list(records.starts) == [SLOT]


def test_records_that_are_gone_are_remembered(tmp_path: Path) -> None:
    write(tmp_path, f"{SLOT}.end", END)
    records = refreshed(tmp_path)
    (tmp_path / f"{SLOT}.end").unlink()
    tmp_path.rmdir()
    records.refresh()
    assert list(records.ends) == [SLOT]


def test_a_record_that_is_being_written_is_not_one_yet(tmp_path: Path) -> None:
    write(tmp_path, f"{SLOT}.start.4711", START)
    assert refreshed(tmp_path).starts == {}


@pytest.mark.parametrize(
    "text", [b"", b"{", b"[]", b"null", b"{}", b'{"slot": 3}', b"\xff\xfe", b'"text"']
)
def test_a_record_that_cannot_be_read_is_left_out_until_it_can(tmp_path: Path, text: bytes) -> None:
    (tmp_path / f"{SLOT}.end").write_bytes(text)
    records = refreshed(tmp_path)
    assert records.ends == {}
    write(tmp_path, f"{SLOT}.end", END)
    records.refresh()
    assert list(records.ends) == [SLOT]


def test_files_of_other_names_are_nobodys_records(tmp_path: Path) -> None:
    for name in ("notes.txt", "climate.start", ".end", "climate.x.end"):
        write(tmp_path, name, START)
    (tmp_path / f"{SLOT}.start").mkdir()
    records = refreshed(tmp_path)
    assert (records.starts, records.ends) == ({}, {})


TRIED = [{"address": "tls://10.0.0.1:40123", "error": "timed out after 9 s"}]
UNREACHABLE = {
    "version": 1,
    "slot": str(SLOT),
    "job": "17_4",
    "host": "n1",
    "time": 5,
    "tried": TRIED,
    "hint": "scheduler_interface=eth0",
}


def test_a_host_that_cannot_reach_its_scheduler_says_so_until_it_can(tmp_path: Path) -> None:
    write(tmp_path, f"{SLOT}.unreachable", UNREACHABLE)
    records = refreshed(tmp_path)
    (found,) = records.unreachable.values()
    assert list(records.unreachable) == [SLOT]
    assert found.message == (
        "worker host n1 cannot reach the scheduler at tls://10.0.0.1:40123 (timed out after 9 s)"
    )
    assert (found.job, found.hint) == ("17_4", "scheduler_interface=eth0")
    (tmp_path / f"{SLOT}.unreachable").unlink()
    records.refresh()
    assert records.unreachable == {}


def test_all_that_it_tried_is_said(tmp_path: Path) -> None:
    others = [{"address": f"tls://10.{n}.0.1:40123", "error": "refused"} for n in (1, 2)]
    write(tmp_path, f"{SLOT}.unreachable", UNREACHABLE | {"tried": [*TRIED, *others]})
    (found,) = refreshed(tmp_path).unreachable.values()
    assert found.message.endswith(
        "at tls://10.0.0.1:40123 (timed out after 9 s), nor at tls://10.1.0.1:40123 (refused) "
        "or tls://10.2.0.1:40123 (refused)"
    )


@pytest.mark.parametrize("text", [b"", b"{", b'{"slot": 3}', b"\xff"])
def test_what_it_says_is_read_when_it_can_be(tmp_path: Path, text: bytes) -> None:
    (tmp_path / f"{SLOT}.unreachable").write_bytes(text)
    records = refreshed(tmp_path)
    assert records.unreachable == {}
    write(tmp_path, f"{SLOT}.unreachable", UNREACHABLE)
    records.refresh()
    assert list(records.unreachable) == [SLOT]
