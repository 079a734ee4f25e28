"""What is told in a notebook while somebody waits. Elsewhere nothing is."""

from __future__ import annotations

import sys
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def told_in_notebook() -> Callable[[str], None]:
    """Return what shows a line in the notebook, over and over in the same place."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    if not hasattr(shell, "kernel"):  # a terminal, or no IPython at all
        return lambda _: None
    from IPython.display import HTML, display

    shown = display(HTML(""), display_id=True)
    last = ""

    def tell(words: str) -> None:
        nonlocal last
        if words != last and shown:
            last = words
            shown.update(HTML(f"<div>{escape(words)}</div>"))

    return tell
