"""Files that may be believed, variables, and keywords."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from dask_hpc.errors import ConfigError, SecurityError
from dask_hpc.sites.layer import Layer, Source, check, merge
from dask_hpc.sites.settings import Settings
from dask_hpc.sites.sources import read_environment, read_file, read_mapping


def said(layer: Layer) -> dict[str, object]:
    found = {".".join(path): one.value for path, one in layer.values.items()}
    return {path: value for path, value in found.items() if value != {}}


def from_environment(**environ: str) -> dict[str, object]:
    return said(merge(check(table, Settings) for table in read_environment(environ, Settings)))


def test_a_file_is_read_with_its_path_and_lines(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text("# ours\ncores: 4\n")
    layer = check(read_file(path), Settings)
    assert layer.origin("cores").label(("cores",)) == f"{path}:2"


def test_a_file_that_everybody_can_write_is_refused(weird_path: Path) -> None:
    path = weird_path / "x.yaml"
    path.write_text("cores: 4\n")
    path.chmod(0o646)
    with pytest.raises(SecurityError) as caught:
        read_file(path)
    assert str(caught.value) == f"{path} can be written by everybody"
    assert caught.value.hint == f"chmod o-w {path}"


def test_a_file_of_the_users_own_group_is_believed(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text("cores: 4\n")
    path.chmod(0o664)
    assert read_file(path).items.keys() == {"cores"}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_of_another_user_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text("cores: 4\n")
    os.chown(path, 65534, 65534)
    with pytest.raises(SecurityError) as caught:
        read_file(path)
    assert str(caught.value) == f"{path} belongs to user id 65534"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"cores\n", "{path}:1: no table of settings"),
        (b"- cores\n", "{path}:1: no table of settings"),
        (b"cores: \xff\n", "{path} is not utf-8: invalid start byte"),
    ],
)
def test_a_file_that_is_no_profile_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "x.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        read_file(path)
    assert str(caught.value) == message.format(path=path)


def test_two_underscores_go_one_level_down() -> None:
    assert from_environment(
        DASK_HPC__CORES="16",
        DASK_HPC__LOCAL__MEMORY="4GB",
        DASK_HPC__QUEUES__gpu__MAX_WALLTIME="2h",
        DASK_HPC_HOME="/x",
        OTHER="y",
    ) == {"cores": 16, "local.memory": 4 * 10**9, "queues.gpu.max_walltime": 7200}


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("module load x: y", ("module load x: y",)),
        ("# a comment", ("# a comment",)),
        ("[a, 'b: c']", ("a", "b: c")),
        ("[ -f x ] && . x", ("[ -f x ] && . x",)),
        ("{ a; }", ("{ a; }",)),
        ("a\nb", ("a", "b")),
    ],
)
def test_a_variable_holds_lines_as_text_or_as_a_list(text: str, lines: tuple[str, ...]) -> None:
    assert from_environment(DASK_HPC__PROLOGUE=text) == {"prologue": lines}


def test_a_variable_may_hold_a_table_beside_others_of_its_keys() -> None:
    environ = {"DASK_HPC__LOCAL": "{cores: 4, memory: 1GB}", "DASK_HPC__LOCAL__CORES": "8"}
    assert from_environment(**environ) == {"local.cores": 8, "local.memory": 10**9}


@pytest.mark.parametrize(
    ("name", "text", "message", "hint"),
    [
        ("DASK_HPC__CROES", "1", "variable 'DASK_HPC__CROES' is unknown", "'DASK_HPC__CORES'"),
        (
            "DASK_HPC__LOCAL__CORE",
            "1",
            "variable 'DASK_HPC__LOCAL__CORE' is unknown",
            "'DASK_HPC__LOCAL__CORES'",
        ),
        (
            "DASK_HPC__CORES",
            "x",
            "DASK_HPC__CORES 'x' is not a whole number of at least 1",
            "write",
        ),
        ("DASK_HPC__LOCAL", "3", "DASK_HPC__LOCAL '3' is not a table", "cores, grace, idle"),
        (
            "DASK_HPC__LOCAL",
            "{cores: !!python/name:os.system x}",
            "DASK_HPC__LOCAL: tag 'tag:yaml.org,2002:python/name:os.system' is not allowed",
            "settings are text",
        ),
        ("DASK_HPC__", "3", "variable 'DASK_HPC__' is unknown", "known are: account"),
        ("DASK_HPC__CORES__X", "3", "DASK_HPC__CORES is a table, not a whole number", "write"),
    ],
)
def test_a_variable_that_means_nothing_is_named(
    name: str, text: str, message: str, hint: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        from_environment(**{name: text})
    assert str(caught.value).startswith(message)
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("value", "result"),
    [("4", 4), (np.int64(4), 4), (4.0, 4)],
)
def test_a_number_of_any_kind_counts(value: object, result: int) -> None:
    table = read_mapping({"cores": value}, Source.CALL)
    assert said(check(table, Settings)) == {"cores": result}


def test_a_path_is_a_word() -> None:
    table = read_mapping({"env": Path("/opt/env")}, Source.CALL)
    assert said(check(table, Settings)) == {"env": "/opt/env"}
