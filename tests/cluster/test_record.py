from __future__ import annotations

import json
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dask_hpc._files import write_record
from dask_hpc._hosts import mark_of, own_mark
from dask_hpc.batch.model import JobId, Tag
from dask_hpc.cluster.directory import ClusterDirectory, directory_of
from dask_hpc.cluster.followon import FollowOn, write_follow_on
from dask_hpc.cluster.record import (
    ClusterRecord,
    ClusterState,
    clusters,
    read_cluster,
    read_spec,
    write_cluster,
)
from dask_hpc.cluster.spec import ClusterSpec, Home
from dask_hpc.errors import ClusterNotFound, ConfigError, SecurityError
from tests.cluster.specs import a_spec
from tests.places import scratch

if TYPE_CHECKING:
    from dask_hpc._hosts import ProcessMark

TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
RECORD = ClusterRecord(
    name="climate",
    site="slurm",
    home=Home.JOB,
    state=ClusterState.RUNNING,
    created=1_800_000_000.5,
    tag=Tag("climate-abcd2345"),
    job=JobId("36"),
    address="tls://10.0.0.1:8786",
    nonce="00ff",
    process=own_mark(),
    end_time=1_800_007_200.0,
)

# No NUL, which no path has; `Path` itself takes "." and doubled slashes out.
texts = {str: TEXT, Path: st.from_regex(r"(/[^/\0.]{1,9}){1,3}", fullmatch=True).map(Path)}
records = st.builds(
    ClusterRecord,
    name=TEXT,
    site=TEXT,
    address=TEXT,
    reason=TEXT,
    created=st.floats(0, 4e9),
    end_time=st.none() | st.floats(0, 4e9),
    tag=TEXT.map(Tag),
    job=TEXT.map(JobId),
    process=st.none() | st.just(own_mark()),
)
specs = st.builds(
    a_spec,
    name=TEXT,
    directory=texts[Path],
    home=st.sampled_from(Home),
    python=TEXT,
    prologue=st.lists(TEXT, max_size=3).map(tuple),
    facts=st.dictionaries(TEXT, TEXT, max_size=3),
    interface=st.none() | TEXT,
    secure=st.booleans(),
    idle_timeout=st.none() | st.floats(0, 1e6),
    first_maximum=st.none() | st.integers(0, 1000),
)


def written(name: str = "climate", record: ClusterRecord = RECORD) -> ClusterDirectory:
    """Return the directory of a cluster that has a record and nothing else."""
    directory = directory_of(name)
    directory.path.mkdir(mode=0o700, parents=True)
    write_cluster(directory, replace(record, name=name))
    return directory


# a job that follows -------------------------------------------------------------------------------


def test_a_cluster_that_ended_waits_if_a_job_follows_it(home: Path) -> None:
    directory = written()
    follow_on = FollowOn(after=RECORD.tag, tag=Tag("climate-efgh6789"), job=JobId("37"))
    write_follow_on(directory, follow_on)
    assert read_cluster(directory) == RECORD
    write_cluster(directory, replace(RECORD, state=ClusterState.ENDED, reason="its time is over"))
    found = read_cluster(directory)
    assert (found.state, found.tag, found.job) == (ClusterState.STARTING, follow_on.tag, "37")
    assert (found.address, found.process, found.end_time) == ("", None, None)
    assert (found.nonce, found.reason) == (RECORD.nonce, "its time is over")


def test_a_cluster_has_ended_when_the_job_that_follows_has_too(home: Path) -> None:
    directory = written()
    write_follow_on(directory, FollowOn(after=RECORD.tag, tag=Tag("climate-efgh6789")))
    later = replace(RECORD, tag=Tag("climate-efgh6789"), state=ClusterState.ENDED)
    write_cluster(directory, later)
    assert read_cluster(directory) == later
    # Without a job of its own, none can follow.
    write_follow_on(directory, FollowOn(after=Tag(""), tag=Tag("climate-efgh6789")))
    write_cluster(directory, replace(later, tag=Tag("")))
    assert read_cluster(directory).state is ClusterState.ENDED


# reading and writing ------------------------------------------------------------------------------


@settings(max_examples=30)
@given(record=records)
def test_a_record_is_read_back(record: ClusterRecord) -> None:
    with scratch() as place:
        directory = ClusterDirectory(place)
        write_cluster(directory, record)
        assert read_cluster(directory) == record


@settings(max_examples=30)
@given(spec=specs)
def test_a_spec_is_read_back(spec: ClusterSpec) -> None:
    with scratch() as place:
        directory = ClusterDirectory(place)
        write_record(directory.spec, spec)
        assert read_spec(directory) == spec


def test_a_record_is_replaced_and_private(home: Path) -> None:
    directory = written()
    write_cluster(directory, replace(RECORD, state=ClusterState.ENDED))
    assert read_cluster(directory).state is ClusterState.ENDED
    assert stat.S_IMODE(directory.record.stat().st_mode) == 0o600
    assert list(directory.path.iterdir()) == [directory.record]


def test_a_cluster_that_does_not_exist_is_not_found(home: Path) -> None:
    for read in (read_cluster, read_spec):
        with pytest.raises(ClusterNotFound, match="no cluster named 'climate'"):
            read(directory_of("climate"))


def test_a_cluster_whose_start_was_cut_off_says_how_to_remove_it(home: Path) -> None:
    directory_of("climate").path.mkdir(mode=0o700, parents=True)
    with pytest.raises(ClusterNotFound, match="holds no record") as error:
        read_cluster(directory_of("climate"))
    assert "dask-hpc down climate" in error.value.hint
    with pytest.raises(ClusterNotFound, match="holds no spec"):
        read_spec(directory_of("climate"))


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "{}", '{"version": 1}', "\x00"])
def test_a_damaged_record_is_named(home: Path, text: str) -> None:
    directory = written()
    directory.record.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"record\.json"):
        read_cluster(directory)


def test_a_record_of_another_version_is_refused(home: Path) -> None:
    directory = written()
    values = json.loads(directory.record.read_text(encoding="utf-8"))
    directory.record.write_text(json.dumps(values | {"version": 99}), encoding="utf-8")
    with pytest.raises(ConfigError, match="version 99"):
        read_cluster(directory)


def test_a_record_that_others_could_have_written_is_not_trusted(home: Path) -> None:
    directory = written()
    directory.record.chmod(0o622)
    with pytest.raises(SecurityError):
        read_cluster(directory)


# listing ------------------------------------------------------------------------------------------


def test_every_cluster_is_listed_by_its_name(home: Path) -> None:
    assert clusters() == {}
    written("b")
    written("a")
    assert clusters() == {"a": replace(RECORD, name="a"), "b": replace(RECORD, name="b")}
    assert list(clusters()) == ["a", "b"]


def test_clusters_that_cannot_be_read_are_left_out(home: Path) -> None:
    written("good")
    written("damaged").record.write_text("{", encoding="utf-8")
    written("without-record").record.unlink()
    written("readable").record.chmod(0o644)
    written("enterable").path.chmod(0o755)
    written("newer").record.write_text('{"version": 99}', encoding="utf-8")
    directory_of("link").path.symlink_to(directory_of("good").path)
    other = written("folder")
    other.record.unlink()
    other.record.mkdir(mode=0o700)
    assert list(clusters()) == ["good"]


# staleness ----------------------------------------------------------------------------------------


def record_of(process: ProcessMark | None) -> ClusterRecord:
    return replace(RECORD, process=process)


def test_a_cluster_whose_scheduler_lives_is_not_stale() -> None:
    assert not record_of(own_mark()).is_stale


def test_a_cluster_whose_scheduler_is_gone_is_stale() -> None:
    with subprocess.Popen([sys.executable, "-ISc", "input()"], stdin=subprocess.PIPE) as process:
        record = record_of(mark_of(process.pid))
        assert record.process
        assert not record.is_stale
        process.kill()
        process.wait()
        assert record.is_stale


def test_another_process_with_the_same_id_is_not_the_scheduler() -> None:
    assert record_of(replace(own_mark(), started=1)).is_stale


def test_of_another_machine_nobody_can_tell_here() -> None:
    assert not record_of(replace(own_mark(), host="elsewhere", started=1)).is_stale
    assert not record_of(None).is_stale


@pytest.mark.parametrize("state", [ClusterState.STARTING, ClusterState.ENDED])
def test_only_a_cluster_that_should_run_can_be_stale(state: ClusterState) -> None:
    gone = replace(own_mark(), started=1)
    assert not replace(record_of(gone), state=state).is_stale
