"""Private files: written whole, read with care. Nobody else's file is ever trusted."""

from __future__ import annotations

import dataclasses
import errno
import functools
import json
import os
import secrets
import shutil
import stat
import types
import typing
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar, cast

from dask_hpc.errors import ConfigError, SecurityError

RECORD_VERSION = 1

_Record = TypeVar("_Record")


def make_private_directory(path: Path) -> Path:
    """Create a directory that only its owner can enter, with its parents; check it if it exists.

    Raises
    ------
    SecurityError
        If it exists and belongs to, or lets in, somebody else.
    """
    for missing in reversed([each for each in path.parents if not each.exists()]):
        _make_directory(missing)
    _make_directory(path)
    link = path.lstat()
    if stat.S_ISLNK(link.st_mode):
        # People move their state to a bigger file system so; a link of somebody else is a trap.
        _check_owner(path, link)
        path = path.resolve(strict=True)
    check_private(path)
    return path


def _make_directory(path: Path) -> None:
    with suppress(FileExistsError):
        path.mkdir(mode=0o700)


def check_private(path: Path) -> None:
    """Refuse a file or directory that somebody else owns or may read or write.

    Raises
    ------
    FileNotFoundError
        If it does not exist.
    SecurityError
        If it is not private, or a symbolic link.
    """
    _check_facts(path, path.lstat())


def _check_facts(path: Path, facts: os.stat_result) -> None:
    if stat.S_ISLNK(facts.st_mode):
        raise SecurityError(f"{path} is a symbolic link", hint="remove it")
    _check_owner(path, facts)
    if facts.st_mode & 0o077:
        mode = stat.S_IMODE(facts.st_mode)
        raise SecurityError(f"{path} is open to others (mode {mode:04o})", hint=f"chmod go= {path}")


def _check_owner(path: Path, facts: os.stat_result) -> None:
    if facts.st_uid != os.getuid():
        raise SecurityError(f"{path} belongs to user id {facts.st_uid}", hint="remove it")


def write_private(path: Path, text: str) -> None:
    """Replace a file at once by one of mode 0600 with this text, which readers see whole."""
    # By chance, because a process id is unique neither among threads nor among hosts.
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    try:
        with os.fdopen(os.open(temporary, flags, 0o600), "wb") as stream:
            stream.write(text.encode())
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def append_private(path: Path, line: str) -> None:
    """Add one line to a file of mode 0600, in one write that reaches the disk.

    Raises
    ------
    SecurityError
        If the file exists and is not ours alone.
    OSError
        If there is no room for the whole line.
    """
    text = line.encode() + b"\n"
    with _open_private(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND) as descriptor:
        if os.write(descriptor, text) < len(text):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        os.fsync(descriptor)


def read_private(path: Path) -> str:
    """Return the text of a file that is ours alone.

    Raises
    ------
    FileNotFoundError
        If it does not exist.
    SecurityError
        If somebody else owns it or may read or write it.
    """
    with (
        _open_private(path, os.O_RDONLY) as descriptor,
        os.fdopen(descriptor, encoding="utf-8", newline="", closefd=False) as stream,
    ):
        return stream.read()


@contextmanager
def _open_private(path: Path, flags: int) -> Iterator[int]:
    # The open file is checked and not its name, which may mean another one a moment later.
    try:
        descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        raise SecurityError(f"{path} is a symbolic link", hint="remove it") from None
    try:
        _check_facts(path, os.fstat(descriptor))
        yield descriptor
    finally:
        os.close(descriptor)


def remove_tree(path: Path) -> None:
    """Remove a directory with all that it holds; it may be gone already."""
    while path.exists():
        # Somebody else may be removing it, too: what is gone meanwhile ends rmtree.
        with suppress(FileNotFoundError):
            shutil.rmtree(path)


def read_tail(path: Path, *, lines: int = 20, limit: int = 65536) -> str:
    """Return the last lines of a text file, or nothing if there is no file."""
    try:
        with path.open("rb") as stream:
            stream.seek(max(0, stream.seek(0, os.SEEK_END) - limit))
            text = stream.read().decode(errors="replace")
    except FileNotFoundError:
        return ""
    found = text.splitlines()
    return "\n".join(found[max(0, len(found) - lines) :])


def write_record(path: Path, record: Any) -> None:
    """Write a dataclass as a small private record: atomically, and with its version."""
    values = {"version": RECORD_VERSION, **dataclasses.asdict(record)}
    write_private(path, json.dumps(values, indent=1, default=_to_json) + "\n")


def _to_json(value: object) -> object:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"a record cannot hold {value!r}")


def read_record(path: Path, kind: type[_Record]) -> _Record:
    """Return the record that `write_record` wrote.

    Raises
    ------
    FileNotFoundError
        If it does not exist.
    ConfigError
        If another version of this project wrote it, or it is damaged.
    SecurityError
        If it is not private.
    """
    try:
        values = json.loads(read_private(path))
        version = values.pop("version")
        if version == RECORD_VERSION:
            return cast("_Record", from_json(values, kind))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(f"{path} is damaged: {error}", hint="dask-hpc down removes it") from None
    raise ConfigError(
        f"{path} has version {version}, this is version {RECORD_VERSION}",
        hint="use the version of dask-hpc that wrote it",
    )


def from_json(value: Any, kind: Any) -> Any:
    """Return a JSON value as the type that a record's field says.

    Known are dataclasses, tuples, dicts, ``X | None``, `Path`, enumerations and what JSON has;
    a dataclass ignores keys that it does not know.

    Raises
    ------
    ValueError, TypeError
        If the value is of another type.
    """
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if dataclasses.is_dataclass(kind):
        hints = _hints(cast("Any", kind))
        items = _checked(value, Mapping).items()
        known = {key: from_json(item, hints[key]) for key, item in items if key in hints}
        return cast("type[Any]", kind)(**known)
    if origin in (types.UnionType, typing.Union):
        (one,) = (each for each in arguments if each is not types.NoneType)
        return None if value is None else from_json(value, one)
    if origin is tuple:
        return _tuple_from_json(value, arguments)
    if origin in (dict, Mapping):
        key_kind, item_kind = arguments
        items = _checked(value, Mapping).items()
        return {from_json(key, key_kind): from_json(item, item_kind) for key, item in items}
    return _plain_from_json(value, getattr(kind, "__supertype__", kind))


def _tuple_from_json(value: Any, kinds: tuple[Any, ...]) -> tuple[Any, ...]:
    items = _checked(value, (list, tuple))
    if kinds[-1] is Ellipsis:
        kinds = kinds[:1] * len(items)
    return tuple(from_json(item, kind) for item, kind in zip(items, kinds, strict=True))


def _plain_from_json(value: Any, kind: Any) -> Any:
    if kind in (Any, object):
        return value
    if issubclass(kind, (Path, Enum)):
        return kind(value)
    if isinstance(value, bool) is not (kind is bool):
        raise TypeError(f"{value!r} is not a {kind.__name__}")
    return _checked(value, (int, float) if kind is float else kind)


def _checked(value: Any, kind: Any) -> Any:
    if not isinstance(value, kind):
        names = " or ".join(
            each.__name__ for each in (kind if isinstance(kind, tuple) else (kind,))
        )
        raise TypeError(f"{value!r} is not a {names.lower()}")
    return value


@functools.cache
def _hints(kind: type[object]) -> dict[str, Any]:
    # A hundred microseconds each time, and a cluster reads a record for each job.
    return typing.get_type_hints(kind)
