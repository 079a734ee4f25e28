"""What every dialect asks of a text before it becomes a line of a job script."""

from __future__ import annotations

from dask_hpc.errors import ConfigError


def checked(text: str, *, where: str) -> str:
    """Return a text that stays on its line and shows itself.

    Raises
    ------
    ConfigError
        If it holds a control character, a line break or an invisible one: the rest of the text
        would become another line of the script.
    """
    hidden = next((character for character in text if not character.isprintable()), None)
    if hidden is not None:
        raise ConfigError(
            f"{where} {text!r} holds the character {hidden!r}",
            hint="take it out: a directive is one line of printable text",
        )
    return text
