"""The hint for a name that nobody knows."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


def did_you_mean(
    name: str,
    known: Iterable[str],
    *,
    otherwise: str = "known are",
    spelled: Callable[[str], str] = str,
) -> str:
    """Return the nearest of the known names, spelled as its place wants, or else all of them."""
    names = list(known)
    near = difflib.get_close_matches(name, names, n=1)
    return f"did you mean {spelled(near[0])!r}?" if near else f"{otherwise}: {', '.join(names)}"
