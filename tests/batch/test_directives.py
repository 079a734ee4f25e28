"""What every dialect asks of a text."""

from __future__ import annotations

import pytest

from dask_hpc.batch.directives import checked
from dask_hpc.errors import ConfigError


@pytest.mark.parametrize("text", ["", "--qos=high", 'it\'s ünï \\ "x" $HOME `id` 码'])
def test_printable_text_stays_as_it_is(text: str) -> None:
    assert checked(text, where="directive") == text


@pytest.mark.parametrize(
    "character", ["\n", "\r", "\0", "\x1b", "\x1f", "\x7f", "\x85", "\u2028", "\u202e", "\ud800"]
)
def test_a_character_that_leaves_the_line_or_hides_is_refused(character: str) -> None:
    with pytest.raises(ConfigError, match="account") as caught:
        checked(f"a{character}b", where="account")
    assert repr(character) in str(caught.value)
    assert caught.value.hint
