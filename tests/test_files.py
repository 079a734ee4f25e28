"""Private files: written whole, read with care, whoever looks on or interferes."""

from __future__ import annotations

import dataclasses
import json
import os
import stat
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, NewType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dask_hpc._files import (
    RECORD_VERSION,
    append_private,
    check_private,
    from_json,
    make_private_directory,
    read_private,
    read_record,
    read_tail,
    remove_tree,
    write_private,
    write_record,
)
from dask_hpc.errors import ConfigError, SecurityError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_MASKS = (0o000, 0o022, 0o077)
_only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
_NOBODY = 65534


@contextmanager
def _umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def private(tmp_path: Path) -> Path:
    return make_private_directory(tmp_path / "private")


# directories --------------------------------------------------------------------------------------


@pytest.mark.parametrize("mask", _MASKS)
def test_a_directory_and_the_parents_it_needs_are_private(tmp_path: Path, mask: int) -> None:
    with _umask(mask):
        path = make_private_directory(tmp_path / "a" / "b" / "c")
    assert path == tmp_path / "a" / "b" / "c"
    assert [_mode(each) for each in (path, path.parent, path.parent.parent)] == [0o700] * 3


def test_a_private_directory_that_exists_stays_as_it_is(private: Path) -> None:
    (private / "kept").touch()
    assert make_private_directory(private) == private
    assert (private / "kept").exists()


@pytest.mark.parametrize("mode", [0o755, 0o710, 0o701, 0o770, 0o1777])
def test_a_directory_that_others_can_enter_is_refused(private: Path, mode: int) -> None:
    private.chmod(mode)
    with pytest.raises(SecurityError, match="is open to others") as caught:
        make_private_directory(private)
    assert f"mode {mode:04o}" in str(caught.value)
    assert caught.value.hint == f"chmod go= {private}"


def test_our_own_link_to_a_private_directory_is_followed(private: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(private)
    assert make_private_directory(link).samefile(private)


def test_our_own_link_to_an_open_directory_is_refused(private: Path, tmp_path: Path) -> None:
    private.chmod(0o755)
    (tmp_path / "link").symlink_to(private)
    with pytest.raises(SecurityError, match="is open to others"):
        make_private_directory(tmp_path / "link")


@_only_root
def test_a_link_that_somebody_else_planted_is_refused(private: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(private)
    os.lchown(link, _NOBODY, _NOBODY)
    with pytest.raises(SecurityError, match=f"belongs to user id {_NOBODY}"):
        make_private_directory(link)


@_only_root
def test_a_directory_of_somebody_else_is_refused(private: Path) -> None:
    os.chown(private, _NOBODY, _NOBODY)
    with pytest.raises(SecurityError, match=f"belongs to user id {_NOBODY}"):
        make_private_directory(private)


def test_a_file_in_the_place_of_a_parent_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError):
        make_private_directory(tmp_path / "file" / "below")


# files --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mask", _MASKS)
def test_files_are_private_whatever_the_umask(private: Path, mask: int) -> None:
    with _umask(mask):
        write_private(private / "whole", "text")
        append_private(private / "lines", "line")
    assert _mode(private / "whole") == _mode(private / "lines") == 0o600


@settings(max_examples=30)
@given(text=st.text(st.characters(exclude_categories=["Cs"])))
def test_text_is_read_as_it_was_written(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    path = tmp_path_factory.getbasetemp() / "any-text"
    write_private(path, text)
    assert read_private(path) == text


def test_line_ends_are_kept(private: Path) -> None:
    write_private(private / "file", "a\r\nb\rc\n")
    assert read_private(private / "file") == "a\r\nb\rc\n"


def test_a_file_is_replaced_with_its_mode(private: Path) -> None:
    path = private / "file"
    path.write_text("old and longer", encoding="utf-8")
    path.chmod(0o644)
    write_private(path, "new")
    assert read_private(path) == "new"


def test_nothing_but_the_file_is_left(private: Path) -> None:
    for number in range(3):
        write_private(private / "file", str(number))
    assert list(private.iterdir()) == [private / "file"]


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(private: Path) -> None:
    path = private / "file"
    write_private(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_private(path, "no text \udcff")
    assert read_private(path) == "old"
    assert list(private.iterdir()) == [path]


def test_a_planted_link_is_replaced_and_not_followed(private: Path, tmp_path: Path) -> None:
    (private / "file").symlink_to(tmp_path / "trap")
    write_private(private / "file", "secret")
    assert not (tmp_path / "trap").exists()
    assert read_private(private / "file") == "secret"


def test_a_link_is_neither_read_nor_added_to(private: Path) -> None:
    write_private(private / "target", "text\n")
    link = private / "link"
    link.symlink_to(private / "target")
    for use in (read_private, check_private, lambda path: append_private(path, "more")):
        with pytest.raises(SecurityError, match="link is a symbolic link"):
            use(link)
    assert read_private(private / "target") == "text\n"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o666])
def test_a_file_that_others_can_reach_is_neither_read_nor_added_to(
    private: Path, mode: int
) -> None:
    path = private / "file"
    write_private(path, "text\n")
    path.chmod(mode)
    for use in (read_private, check_private, lambda path: append_private(path, "more")):
        with pytest.raises(SecurityError, match=f"open to others .mode 0{mode:o}"):
            use(path)
    assert path.read_text(encoding="utf-8") == "text\n"


@_only_root
def test_a_file_of_somebody_else_is_neither_read_nor_added_to(private: Path) -> None:
    path = private / "file"
    write_private(path, "text\n")
    os.chown(path, _NOBODY, _NOBODY)
    for use in (read_private, check_private, lambda path: append_private(path, "more")):
        with pytest.raises(SecurityError, match="belongs to user id"):
            use(path)


def test_a_pipe_in_the_place_of_a_file_keeps_nobody_waiting(private: Path) -> None:
    os.mkfifo(private / "file", 0o600)
    assert read_private(private / "file") == ""


def test_a_missing_file_is_told_as_python_does(private: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_private(private / "missing")
    with pytest.raises(FileNotFoundError):
        check_private(private / "missing")


def test_readers_see_one_whole_text_while_many_write(private: Path) -> None:
    path = private / "file"
    texts = [str(number) * 5000 for number in range(8)]
    write_private(path, texts[0])
    done = threading.Event()
    seen = set()

    def read() -> None:
        while not done.is_set():
            seen.add(read_private(path))

    reader = threading.Thread(target=read)
    reader.start()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda text: write_private(path, text), texts * 10))
    done.set()
    reader.join()
    assert seen <= set(texts)
    assert list(private.iterdir()) == [path]


def test_lines_that_many_add_stay_whole(private: Path) -> None:
    lines = [f"{number:03d}" * 100 for number in range(100)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda line: append_private(private / "file", line), lines))
    assert sorted(read_private(private / "file").splitlines()) == lines


def test_a_lack_of_room_is_told(private: Path) -> None:
    # In a program of its own: the limit on the size of a file comes with a signal.
    code = (
        "import resource, signal, sys; from pathlib import Path\n"
        "from dask_hpc._files import append_private, write_private\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))\n"
        "for write in (write_private, append_private):\n"
        "    try: write(Path(sys.argv[1]) / write.__name__, 'x' * 20)\n"
        "    except OSError as error: print(error.strerror)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(private)], capture_output=True, text=True, check=True
    )
    assert done.stdout == "File too large\nNo space left on device\n"
    assert [path.name for path in private.iterdir()] == ["append_private"]


# trees and tails ----------------------------------------------------------------------------------


def test_a_tree_is_removed_and_may_be_gone(private: Path) -> None:
    (private / "a" / "b").mkdir(parents=True)
    (private / "a" / "b" / "file").touch()
    remove_tree(private)
    assert not private.exists()
    remove_tree(private)


def test_a_tree_that_two_remove_is_gone(private: Path) -> None:
    for number in range(200):
        (private / f"{number % 10}" / f"{number}").mkdir(parents=True)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(remove_tree, [private] * 4))
    assert not private.exists()


def test_a_link_in_a_tree_is_removed_and_not_its_target(private: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.mkdir()
    (private / "link").symlink_to(target)
    remove_tree(private)
    assert target.exists()


@pytest.mark.parametrize(
    ("lines", "tail"), [(0, ""), (1, "four"), (2, "three\nfour"), (9, "one\ntwo\nthree\nfour")]
)
def test_the_tail_has_the_last_lines(private: Path, lines: int, tail: str) -> None:
    path = private / "log"
    path.write_text("one\ntwo\nthree\nfour\n", encoding="utf-8")
    assert read_tail(path, lines=lines) == tail


def test_the_tail_of_a_long_log_is_read_from_its_end(private: Path) -> None:
    path = private / "log"
    path.write_bytes(b"x" * 10_000_000 + "ü\nlast".encode())
    assert read_tail(path, limit=6) == "\ufffd\nlast"
    assert len(read_tail(path)) < 70_000


def test_a_log_that_is_not_there_has_no_tail(private: Path) -> None:
    assert read_tail(private / "log") == ""


# records ------------------------------------------------------------------------------------------


class _Color(StrEnum):
    RED = "red"


class _Size(Enum):
    BIG = 3


_Name = NewType("_Name", str)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Inner:
    number: int
    places: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Outer:
    text: str
    name: _Name
    amount: float
    yes: bool
    path: Path
    color: _Color
    size: _Size
    inner: _Inner
    maybe: _Inner | None = None
    nothing: str | None = None
    many: tuple[_Inner, ...] = ()
    pair: tuple[int, str] = (0, "")
    table: dict[str, str] = field(default_factory=dict)
    deep: dict[_Color, tuple[_Inner, ...]] = field(default_factory=dict)
    free: Any = None


_INNERS = st.builds(_Inner, number=st.integers(), places=st.just(()) | st.just((Path("a b"),)))
_OUTERS = st.builds(
    _Outer,
    text=st.text(),
    amount=st.floats(allow_nan=False),
    path=st.just(Path("/a/ü b")),
    inner=_INNERS,
    maybe=st.none() | _INNERS,
    nothing=st.none() | st.text(),
    many=st.lists(_INNERS, max_size=3).map(tuple),
    pair=st.tuples(st.integers(), st.text()),
    table=st.dictionaries(st.text(), st.text(), max_size=3),
    deep=st.dictionaries(st.just(_Color.RED), st.tuples(_INNERS)),
    free=st.none() | st.integers() | st.lists(st.text()),
)
_PLAIN = _Inner(number=7, places=(Path("/a"),))


@settings(max_examples=30)
@given(record=_OUTERS)
def test_a_record_is_read_as_it_was_written(
    tmp_path_factory: pytest.TempPathFactory, record: _Outer
) -> None:
    path = tmp_path_factory.getbasetemp() / "any-record"
    write_record(path, record)
    assert read_record(path, _Outer) == record


def test_a_record_is_a_small_private_file_that_people_can_read(private: Path) -> None:
    write_record(private / "record", _PLAIN)
    assert _mode(private / "record") == 0o600
    text = (private / "record").read_text(encoding="utf-8")
    assert json.loads(text) == {"version": RECORD_VERSION, "number": 7, "places": ["/a"]}


def test_what_a_record_cannot_hold_is_refused(private: Path) -> None:
    with pytest.raises(TypeError, match="a record cannot hold"):
        write_record(private / "record", dataclasses.replace(_PLAIN, number=object()))  # type: ignore[arg-type]  # the fault under test
    assert not list(private.iterdir())


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"text"',
        b"\xff\xfe",
        b'{"number": 7}',
        b'{"version": 1}',
        b'{"version": 1, "number": "7"}',
        b'{"version": 1, "number": true}',
        b'{"version": 1, "number": 7.5}',
        b'{"version": 1, "number": null}',
        b'{"version": 1, "number": 7, "places": "/a"}',
        b'{"version": 1, "number": 7, "places": {"a": 1}}',
        b'{"version": 1, "number": 7, "places": [7]}',
    ],
)
def test_a_damaged_record_is_told_with_its_place(private: Path, damage: bytes) -> None:
    path = private / "record"
    write_private(path, "")
    path.write_bytes(damage)
    with pytest.raises(ConfigError, match="record is damaged: ") as caught:
        read_record(path, _Inner)
    assert str(path) in str(caught.value)
    assert caught.value.hint


@settings(max_examples=30)
@given(cut=st.integers(0, 70))
def test_a_record_that_was_cut_off_is_damaged(
    tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "cut"
    write_record(path, _PLAIN)
    whole = path.read_bytes()
    path.write_bytes(whole[: min(cut, len(whole) - 3)])
    with pytest.raises(ConfigError, match="is damaged"):
        read_record(path, _Inner)


@pytest.mark.parametrize("version", [0, 2, "1", None])
def test_a_record_of_another_version_is_told(private: Path, version: object) -> None:
    write_private(private / "record", json.dumps({"version": version, "new": 1}))
    with pytest.raises(ConfigError, match=f"has version {version}, this is version 1") as caught:
        read_record(private / "record", _Inner)
    assert "version of dask-hpc" in caught.value.hint


def test_a_record_that_others_can_read_is_refused(private: Path) -> None:
    write_record(private / "record", _PLAIN)
    (private / "record").chmod(0o644)
    with pytest.raises(SecurityError):
        read_record(private / "record", _Inner)


def test_a_record_that_is_missing_is_told_as_python_does(private: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_record(private / "record", _Inner)


def test_keys_that_are_not_known_are_ignored() -> None:
    assert from_json({"number": 7, "later": 1}, _Inner) == _Inner(number=7)


def test_tuples_may_come_as_tuples() -> None:
    assert from_json({"number": 7, "places": ("/a",)}, _Inner) == _PLAIN


@settings(max_examples=50)
@given(
    value=st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: (
            st.lists(inner) | st.dictionaries(st.sampled_from(["number", "places"]), inner)
        ),
    )
)
def test_any_json_is_read_or_refused_in_one_of_two_ways(value: Mapping[str, object]) -> None:
    try:
        record = from_json(value, _Inner)
    except (ValueError, TypeError):
        return
    assert isinstance(record, _Inner)
