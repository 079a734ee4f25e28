"""One source of settings, checked against the definition; and several of them, one over another."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from dask_hpc._envvars import SETTING_PREFIX
from dask_hpc.errors import ConfigError
from dask_hpc.sites.nearest import did_you_mean
from dask_hpc.sites.values import Scalar, convert, expected, refuse_control_characters

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

Path = tuple[str, ...]
_Definition = TypeVar("_Definition", bound=msgspec.Struct)


class Source(StrEnum):
    """Where a setting was written."""

    FILE = "file"
    DASK = "dask configuration"
    ENVIRONMENT = "environment"
    CALL = "call"
    OPTION = "option"
    DEFAULT = "default"


_SPELLINGS: dict[Source, Callable[[Path], str]] = {
    Source.FILE: ".".join,
    Source.DASK: lambda path: ".".join(("hpc", *path)),
    Source.ENVIRONMENT: lambda path: SETTING_PREFIX + "__".join(path).upper(),
    Source.CALL: ".".join,
    Source.OPTION: lambda path: "--" + path[-1].replace("_", "-"),
    Source.DEFAULT: ".".join,
}
_NOUNS = {
    Source.FILE: "key",
    Source.DASK: "key",
    Source.ENVIRONMENT: "variable",
    Source.CALL: "keyword",
    Source.OPTION: "option",
    Source.DEFAULT: "key",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a setting was written: the source, and for a file its name and line."""

    source: Source
    place: str = ""

    def label(self, path: Path) -> str:
        """Return it in words, for a listing."""
        if self.source in (Source.ENVIRONMENT, Source.OPTION):
            return f"{self.source} {self.spelled(path)}"
        return self.place or str(self.source)

    def spelled(self, path: Path) -> str:
        """Return a setting's name as this source writes it."""
        return _SPELLINGS[self.source](path)

    def where(self, path: Path) -> str:
        """Return the words that a message about this setting begins with."""
        return f"{self.before}{self.spelled(path)}"

    def unknown(self, path: Path, known: Iterable[str]) -> ConfigError:
        """Return the error for a name that is none of the known ones."""
        return ConfigError(
            f"{self.before}{_NOUNS[self.source]} {self.spelled(path)!r} is unknown",
            hint=did_you_mean(
                path[-1].replace("-", "_"),
                sorted(known),
                spelled=lambda name: self.spelled((*path[:-1], name)),
            ),
        )

    @property
    def before(self) -> str:
        """What a message about this place begins with."""
        return f"{self.place}: " if self.place else ""


DEFAULT = Origin(source=Source.DEFAULT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """A value as it was found, with its origin."""

    scalar: Scalar
    origin: Origin


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Names with what stands under them, as they were found."""

    items: Mapping[str, Leaf | Table]
    origin: Origin


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A setting that a source gives, as the type that it wants. ``None`` takes back another's."""

    value: object
    text: str
    origin: Origin


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """All settings of one source, or of several merged."""

    values: Mapping[Path, Said] = field(default_factory=dict)

    def over(self, lower: Layer) -> Layer:
        """Return both, where a setting of this one hides that of the lower one."""
        return Layer(values={**lower.values, **self.values})

    def get(self, *path: str) -> Said | None:
        """Return what is said about a setting, if anything is."""
        return self.values.get(path)

    def origin(self, *path: str) -> Origin:
        """Return where a setting comes from."""
        said = self.values.get(path)
        return DEFAULT if said is None or said.value is None else said.origin

    def where(self, *path: str) -> str:
        """Return the words that a message about this setting begins with."""
        return self.origin(*path).where(path)


def merge(layers: Iterable[Layer]) -> Layer:
    """Return all layers as one; a later one hides an earlier one."""
    merged = Layer()
    for layer in layers:
        merged = layer.over(merged)
    return merged


def check(table: Table, kind: type[msgspec.Struct]) -> Layer:
    """Return the settings of a source, each as the type that the definition gives it.

    Raises
    ------
    ConfigError
        For a name or a value that the definition does not allow, with its place.
    """
    values: dict[Path, Said] = {}
    _check_table(table, kind, path=(), values=values)
    return Layer(values=values)


def build(layer: Layer, kind: type[_Definition]) -> _Definition:
    """Return the definition filled with what is said, and with its defaults."""
    nested: dict[str, Any] = {}
    for path, said in layer.values.items():
        if said.value is None:
            continue
        inner = nested
        for name in path[:-1]:
            inner = inner.setdefault(name, {})
        if said.value == {}:
            inner.setdefault(path[-1], {})
        else:
            inner[path[-1]] = said.value
    return msgspec.convert(nested, kind, dec_hook=lambda _, value: value)


def _check_table(table: Table, kind: Any, *, path: Path, values: dict[Path, Said]) -> None:
    for name, item in table.items.items():
        here = (*path, name)
        inner = _kind_of(kind, here, origin=item.origin)
        is_empty = isinstance(item, Leaf) and item.scalar.value is None
        if is_table(inner) and struct_fields(kind) is None:
            # A queue without limits is a queue all the same.
            values[here] = Said(value={}, text="", origin=item.origin)
        if isinstance(item, Leaf) and not (is_empty and is_table(inner)):
            values[here] = _check_leaf(item, inner, path=here)
        if isinstance(item, Table):
            _refuse_table(item, inner, path=here)
            _check_table(item, inner, path=here, values=values)


def _refuse_table(table: Table, kind: Any, *, path: Path) -> None:
    if not is_table(kind):
        raise ConfigError(
            f"{table.origin.where(path)} is a table, not {expected(kind)}",
            hint=f"write {expected(kind)}",
        )


def _check_leaf(leaf: Leaf, kind: Any, *, path: Path) -> Said:
    where = leaf.origin.where(path)
    if is_table(kind):
        raise ConfigError(
            f"{where} {str(leaf.scalar)!r} is not a table", hint=f"known keys are: {_keys(kind)}"
        )
    value = None if leaf.scalar.value is None else convert(leaf.scalar, kind, where=where)
    return Said(value=value, text=str(leaf.scalar), origin=leaf.origin)


def _kind_of(kind: Any, path: Path, *, origin: Origin) -> Any:
    fields = struct_fields(kind)
    if fields is None:
        refuse_control_characters(path[-1], where=origin.where(path[:-1]))
    elif path[-1] not in fields:
        raise origin.unknown(path, fields)
    return kind_below(kind, path[-1])


def kind_below(kind: Any, name: str) -> Any:
    """Return the annotation of what stands under a name in a table."""
    fields = struct_fields(kind)
    return _bare(kind).__args__[1] if fields is None else fields[name]


def struct_fields(kind: Any) -> dict[str, Any] | None:
    """Return the annotation of each key of a table, or nothing if its keys are free."""
    bare = _bare(kind)
    if isinstance(bare, type) and issubclass(bare, msgspec.Struct):
        return {item.name: item.type for item in msgspec.structs.fields(bare)}
    return None


def is_table(kind: Any) -> bool:
    """Return whether an annotation wants names with values under them."""
    return struct_fields(kind) is not None or getattr(_bare(kind), "__origin__", None) is dict


def _bare(kind: Any) -> Any:
    return kind.__origin__ if hasattr(kind, "__metadata__") else kind


def _keys(kind: Any) -> str:
    fields = struct_fields(kind)
    return "names of your own" if fields is None else ", ".join(sorted(fields))
