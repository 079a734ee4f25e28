from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dask_hpc.batch.model import Tag
from dask_hpc.cluster.slot import Slot, new_tag, slot_of, worker_name

quick = settings(max_examples=30)
names = st.from_regex(r"[a-z0-9](?:[a-z0-9_-]{0,38}[a-z0-9])?", fullmatch=True)
slots = st.builds(Slot, names.map(new_tag), st.integers(0, 10**6))


@quick
@given(slot=slots)
def test_a_slot_is_read_back_from_its_text(slot: Slot) -> None:
    assert Slot.parse(str(slot)) == slot


@quick
@given(slot=slots, index=st.integers(0, 1000))
def test_a_slot_is_read_back_from_the_name_of_a_worker(slot: Slot, index: int) -> None:
    assert slot_of(worker_name(slot, index)) == slot


def test_a_slot_reads_as_a_person_expects() -> None:
    slot = Slot(Tag("climate-2_b-abcd2345"), 4)
    assert str(slot) == "climate-2_b-abcd2345.4"
    assert worker_name(slot, 1) == "climate-2_b-abcd2345.4-1"


@pytest.mark.parametrize(
    "text", ["", ".", "4", ".4", "climate", "climate.", "climate.x", "climate.-1", "climate.1_0",
             "climate. 1", "climate.1 ", "climate.²", "climate.1.start"]
)  # fmt: skip
def test_other_texts_are_no_slots(text: str) -> None:
    with pytest.raises(ValueError, match="is not a slot"):
        Slot.parse(text)


@pytest.mark.parametrize(
    "name", ["tcp://10.0.0.1:4321", "worker-1", "a.b-1", "a.1-b", ".1-2", "a.1-", "a.1", "", "7", 7,
             None, "a.²-0", "a.0-²"]
)  # fmt: skip
def test_workers_that_are_not_from_our_jobs_have_no_slot(name: object) -> None:
    assert slot_of(name) is None


@given(name=st.text())
def test_any_name_of_a_worker_can_be_looked_at(name: str) -> None:
    slot = slot_of(name)
    assert slot is None or name.startswith(slot.tag)


def test_every_submission_has_a_tag_of_its_own() -> None:
    assert len({new_tag("climate") for _ in range(2000)}) == 2000


@quick
@given(name=names)
def test_a_tag_begins_with_the_clusters_name_and_can_be_a_jobs_name(name: str) -> None:
    tag = new_tag(name)
    assert tag.startswith(f"{name}-")
    assert len(tag) == len(name) + 9
    assert tag.isascii()
    assert set(tag) <= set("abcdefghijklmnopqrstuvwxyz0123456789_-")
