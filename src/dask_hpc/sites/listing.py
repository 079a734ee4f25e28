"""Every setting of a site in a row, each with its value and its origin. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dask_hpc.sites.layer import Path
    from dask_hpc.sites.settings import SiteSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A setting: its path, its value, how that was written if it was, and where."""

    path: Path
    value: object
    text: str
    origin: str


def entries(said: SiteSettings) -> tuple[Entry, ...]:
    """Return all settings in the order of the definition, defaults too."""
    return tuple(
        _entry(said, path, value=value)
        for path, value in _leaves(said.settings, ())
        # What a pool does not say is as for the others, and no default.
        if path[0] != "pools" or said.layer.get(*path)
    )


def _leaves(value: Any, path: Path) -> Iterator[tuple[Path, object]]:
    if isinstance(value, msgspec.Struct):
        items = [(name, getattr(value, name)) for name in value.__struct_fields__]
    elif isinstance(value, dict):
        items = list(value.items())
    else:
        yield path, value
        return
    for name, item in items:
        yield from _leaves(item, (*path, name))


def _entry(said: SiteSettings, path: Path, *, value: object) -> Entry:
    origin = said.layer.origin(*path)
    found = said.layer.get(*path)
    # A list is written over several lines: it has no one text.
    text = found.text if found and found.value is not None and not isinstance(value, tuple) else ""
    return Entry(path=path, value=value, text=text, origin=origin.label(path))
