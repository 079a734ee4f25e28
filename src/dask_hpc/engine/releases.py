"""Whether the release of distributed that is here has what a feature of ours builds on.

Names that are not documented come and go. A feature that misses one is left out, with a word in
the log, and distributed does what it does by itself.
"""

from __future__ import annotations

import inspect
import logging
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import distributed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A function that we call or override, with the names of the parameters that we give it."""

    owner: object
    name: str
    parameters: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """What we do beyond distributed, and all that it needs: functions, and what objects have.

    ``attributes`` are set by the constructor of a class. ``otherwise`` says what is done without.
    """

    name: str
    otherwise: str
    calls: tuple[Call, ...]
    attributes: tuple[tuple[type, str], ...] = ()


@cache
def fits(feature: Feature) -> bool:
    """Return whether this release has all that a feature needs; say once what it does not have."""
    lacking = [*_calls(feature), *_attributes(feature)]
    if lacking:
        logger.warning(
            "distributed %s does not fit the %s of dask-hpc (%s): %s",
            distributed.__version__,
            feature.name,
            ", ".join(lacking),
            feature.otherwise,
        )
    return not lacking


def _calls(feature: Feature) -> Iterator[str]:
    for call in feature.calls:
        function = getattr(call.owner, call.name, None)
        if function is None:
            yield f"no {call.name}"
        elif strange := [each for each in call.parameters if each not in _parameters(function)]:
            yield f"{call.name} without {', '.join(strange)}"


def _parameters(function: Callable[..., object]) -> set[str]:
    return set(inspect.signature(function).parameters)


def _attributes(feature: Feature) -> Iterator[str]:
    for owner, name in feature.attributes:
        constructors = [vars(each).get("__init__") for each in owner.__mro__]
        if not any(name in _names(each) for each in constructors if each is not None):
            yield f"no {owner.__name__}.{name}"


def _names(function: object) -> tuple[str, ...]:
    """Return the attributes that a function written in Python uses."""
    code = getattr(inspect.unwrap(function), "__code__", None)  # type: ignore[arg-type]  # a function
    return code.co_names if code else ()
