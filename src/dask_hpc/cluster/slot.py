"""A slot: one job's place in one submission, as an array's element is."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from dask_hpc.batch.model import Tag

_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"  # nothing that reads like something else


@dataclass(frozen=True, slots=True, order=True)
class Slot:
    """A submission's tag and the place in it, counted from 0."""

    tag: Tag
    index: int

    def __str__(self) -> str:
        return f"{self.tag}.{self.index}"

    @classmethod
    def parse(cls, text: str) -> Slot:
        """Return the slot that ``str`` gave the text of.

        Raises
        ------
        ValueError
            If it is not the text of a slot.
        """
        tag, _, index = text.rpartition(".")
        if not tag or not index.isdecimal():
            raise ValueError(f"{text!r} is not a slot")
        return cls(Tag(tag), int(index))


def worker_name(slot: Slot, index: int) -> str:
    """Return the name of a worker process of a job."""
    return f"{slot}-{index}"


def slot_of(worker: object) -> Slot | None:
    """Return the slot in a worker's name, or nothing if the worker is not from a job of ours."""
    slot, dash, index = str(worker).rpartition("-")
    tag, dot, place = slot.rpartition(".")
    if dash and dot and tag and index.isdecimal() and place.isdecimal():
        return Slot(Tag(tag), int(place))
    return None


def new_tag(cluster: str) -> Tag:
    """Return a job name that no other submission has: the cluster's, and 40 random bits."""
    return Tag(f"{cluster}-{''.join(secrets.choice(_ALPHABET) for _ in range(8))}")
