"""Yaml text as tables and values that know their line. It never makes an object of a tag."""

from __future__ import annotations

from typing import TYPE_CHECKING

import yaml

from dask_hpc.errors import ConfigError
from dask_hpc.sites.layer import Leaf, Origin, Table
from dask_hpc.sites.values import Scalar

if TYPE_CHECKING:
    from collections.abc import Callable

    OriginAt = Callable[[int], Origin]

_PLAIN_TAGS = frozenset(
    f"tag:yaml.org,2002:{name}"
    for name in ("map", "seq", "str", "int", "float", "bool", "null", "timestamp", "merge", "value")
)


class _Loader(yaml.SafeLoader):
    """A safe loader without aliases: a few of them can stand for a text of any size."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call] # types-PyYAML
            raise yaml.composer.ComposerError(None, None, "aliases are not allowed", mark)
        return super().compose_node(parent, index)


def read_yaml(text: str, origin_at: OriginAt) -> Leaf | Table:
    """Return what a text says.

    Parameters
    ----------
    text
        Plain yaml: tables, lists and words, no tags, no aliases, no key twice.
    origin_at
        Gives the origin of what stands in a line, counted from 1.

    Raises
    ------
    ConfigError
        If it is anything else, with the line.
    """
    try:
        node = yaml.compose(text, Loader=_Loader)
        if node is None:
            return Table(items={}, origin=origin_at(1))
        return _read_node(node, origin_at, origin=origin_at(1))
    except yaml.YAMLError as error:
        raise _unreadable(error, origin_at) from None
    except RecursionError:
        raise ConfigError(
            f"{origin_at(1).before}nested too deeply", hint="settings have three levels at most"
        ) from None


def read_word(text: str) -> Scalar:
    """Return a word as yaml would understand it if it stood alone, and as it is."""
    loader = _Loader("")
    tag = loader.resolve(  # type: ignore[no-untyped-call] # types-PyYAML
        yaml.ScalarNode, text, (True, False)
    )
    return _construct(yaml.ScalarNode(tag, text), loader)


def _read_node(node: yaml.Node, origin_at: OriginAt, *, origin: Origin) -> Leaf | Table:
    _refuse_objects(node, origin_at)
    if isinstance(node, yaml.MappingNode):
        return _read_mapping(node, origin_at, origin=origin)
    if isinstance(node, yaml.SequenceNode):
        lines = [_read_line(item, origin_at) for item in node.value]
        return Leaf(scalar=Scalar(value=lines), origin=origin)
    return Leaf(scalar=_construct(node, _Loader("")), origin=origin)


def _read_mapping(node: yaml.MappingNode, origin_at: OriginAt, *, origin: Origin) -> Table:
    items: dict[str, Leaf | Table] = {}
    for key, value in node.value:
        here = _at(key, origin_at)
        if not isinstance(key, yaml.ScalarNode):
            raise ConfigError(f"{here.before}a key is not a word", hint="write a word")
        if key.value in items:
            raise ConfigError(f"{here.before}key {key.value!r} stands twice", hint="remove one")
        items[key.value] = _read_node(value, origin_at, origin=here)
    return Table(items=items, origin=origin)


def _read_line(node: yaml.Node, origin_at: OriginAt) -> str:
    _refuse_objects(node, origin_at)
    if isinstance(node, yaml.ScalarNode):
        return str(node.value)
    raise ConfigError(
        f"{_at(node, origin_at).before}a table or a list in a list", hint="quote the line"
    )


def _construct(node: yaml.Node, loader: _Loader) -> Scalar:
    try:
        value = loader.construct_object(node)
    except ValueError:
        value = node.value  # 2026-99-99 looks like a date, and is a word
    return Scalar(value=value, text=node.value)


def _refuse_objects(node: yaml.Node, origin_at: OriginAt) -> None:
    if node.tag not in _PLAIN_TAGS:
        raise ConfigError(
            f"{_at(node, origin_at).before}tag {node.tag!r} is not allowed",
            hint="settings are text, numbers, lists and tables",
        )


def _at(node: yaml.Node, origin_at: OriginAt) -> Origin:
    return origin_at(node.start_mark.line + 1)


def _unreadable(error: yaml.YAMLError, origin_at: OriginAt) -> ConfigError:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error).splitlines()[0]
    before = origin_at(mark.line + 1 if mark else 1).before
    return ConfigError(f"{before}not plain yaml: {problem}", hint="mind indentation and colons")
