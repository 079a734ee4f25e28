"""Where settings are written: files, the environment, mappings. Each is read into one form."""

from __future__ import annotations

import operator
import os
import stat
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from dask_hpc._envvars import SETTING_PREFIX
from dask_hpc.errors import ConfigError, SecurityError
from dask_hpc.sites.layer import (
    Leaf,
    Origin,
    Source,
    Table,
    is_table,
    kind_below,
    struct_fields,
)
from dask_hpc.sites.values import Scalar
from dask_hpc.sites.yamltext import read_word, read_yaml

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_ENVIRONMENT = Origin(source=Source.ENVIRONMENT)


def read_file(path: Path) -> Table:
    """Return what a profile says.

    Raises
    ------
    ConfigError
        If it is not plain yaml.
    SecurityError
        If others than its owner can write it, or if it belongs to another user.
    """

    def origin_at(line: int) -> Origin:
        return Origin(source=Source.FILE, place=f"{path}:{line}")

    table = read_yaml(_read_trusted(path), origin_at)
    if isinstance(table, Table):
        return table
    raise ConfigError(f"{path}:1: no table of settings", hint='write lines as "cores: 4"')


def read_environment(environ: Mapping[str, str], kind: Any) -> tuple[Table, ...]:
    """Return what each ``DASK_HPC__KEY`` says; two more underscores go one level down.

    ``kind`` is the definition: it decides whether a bracket begins a list or a line of shell.
    """
    return tuple(
        _read_variable(name, environ[name], kind=kind)
        for name in sorted(environ)
        if name.startswith(SETTING_PREFIX)
    )


def read_mapping(values: Mapping[str, Any], source: Source) -> Table:
    """Return what keywords, options or another program's configuration say."""
    origin = Origin(source=source)
    items: dict[str, Leaf | Table] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            items[str(name)] = read_mapping(value, source)
        else:
            items[str(name)] = Leaf(scalar=_scalar_of(value), origin=origin)
    return Table(items=items, origin=origin)


def _read_variable(name: str, text: str, *, kind: Any) -> Table:
    *tables, last = name.removeprefix(SETTING_PREFIX).lower().split("__")
    item: Leaf | Table = Leaf(scalar=read_word(text), origin=_ENVIRONMENT)
    if text.startswith("{") and is_table(_kind_at(kind, (*tables, last))):
        try:
            item = read_yaml(text, lambda _: _ENVIRONMENT)
        except ConfigError as error:
            raise ConfigError(f"{name}: {error}", hint=error.hint) from None
    elif text.startswith("["):
        with suppress(ConfigError):  # a line of shell may begin with a bracket, too
            item = read_yaml(text, lambda _: _ENVIRONMENT)
    table = Table(items={last: item}, origin=_ENVIRONMENT)
    for outer in reversed(tables):
        table = Table(items={outer: table}, origin=_ENVIRONMENT)
    return table


def _kind_at(kind: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        known = struct_fields(kind)
        if not is_table(kind) or (known is not None and name not in known):
            return None  # whoever checks it says so
        kind = kind_below(kind, name)
    return kind


def _scalar_of(value: object) -> Scalar:
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    if hasattr(value, "__index__") and not isinstance(value, bool):
        value = operator.index(value)  # numpy's integers
    # A number may be meant as a word, and a word as a number; nothing else has two readings.
    both = isinstance(value, (str, int, float)) and not isinstance(value, bool)
    return Scalar(value=value, text=str(value) if both else None)


def _read_trusted(path: Path) -> str:
    with path.open("rb") as stream:
        facts = os.fstat(stream.fileno())
        if facts.st_uid not in (0, os.getuid()):
            raise SecurityError(
                f"{path} belongs to user id {facts.st_uid}",
                hint="a profile can run commands in your jobs: use one of your own",
            )
        if facts.st_mode & stat.S_IWOTH:
            raise SecurityError(f"{path} can be written by everybody", hint=f"chmod o-w {path}")
        try:
            return stream.read().decode()
        except UnicodeDecodeError as error:
            raise ConfigError(f"{path} is not utf-8: {error.reason}", hint="save it so") from None
