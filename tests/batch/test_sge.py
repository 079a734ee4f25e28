"""What Grid Engine is asked."""

from __future__ import annotations

import re
import subprocess
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dask_hpc.batch.model import JobId, JobSpec, Tag
from dask_hpc.batch.sge import SGE
from dask_hpc.errors import ConfigError
from tests.batch.jobs import GIB, GOLDEN, SMALL, asking, full

if TYPE_CHECKING:
    from pathlib import Path

FULL = full("-p -10", "-l exclusive=true", "-m a", queue="long.q@@fast")
WEIRD = replace(
    SMALL,
    resources=replace(SMALL.resources, memory=0),
    log="/data/it's 100% a #1 place, $HOME: & ünï/a.{index}.log",
    comment='it\'s "a" comment $HOME `id`',
)
SITE = {
    "pe": "threads",
    "pe_nodes": "mpi{cores}",
    "memory_resource": "h_vmem",
    "memory_per_slot": "yes",
    "gpu_resource": "ngpus",
}


@pytest.mark.parametrize(
    ("name", "job", "count", "system"),
    [
        ("small", SMALL, 1, SGE()),
        ("array", SMALL, 10, SGE()),
        ("full", FULL, 1, SGE.from_facts(SITE)),
        ("weird", WEIRD, 2, SGE()),
    ],
)
def test_the_script_is_as_written_down(name: str, job: JobSpec, count: int, system: SGE) -> None:
    path = GOLDEN / "sge" / f"{name}.sh"
    assert system.script(job, count) == path.read_text(encoding="utf-8")
    subprocess.run(["bash", "-n", path], check=True)


def test_several_cores_are_slots_of_a_parallel_environment() -> None:
    assert not [line for line in SGE().directives(SMALL) if "-pe" in line]
    assert "#$ -pe smp 8" in SGE().directives(asking(cores=8))
    assert "#$ -pe threads 8" in SGE.from_facts(SITE).directives(asking(cores=8))
    assert "#$ -pe mpi8 16" in SGE.from_facts(SITE).directives(asking(cores=8, nodes=2))


def test_several_nodes_need_an_environment_that_spreads_the_job() -> None:
    with pytest.raises(ConfigError, match="2 nodes with 4 cores") as caught:
        SGE().directives(asking(nodes=2, cores=4))
    assert "pe_nodes" in caught.value.hint


@pytest.mark.parametrize(
    ("facts", "cores", "memory", "line"),
    [
        ({}, 4, GIB, "#$ -l mem_free=1024M"),
        ({}, 1, 2**20 + 1, "#$ -l mem_free=2M"),
        ({"memory_resource": "m_mem_free"}, 4, GIB, "#$ -l m_mem_free=1024M"),
        ({"memory_resource": "h_vmem", "memory_per_slot": "yes"}, 4, GIB, "#$ -l h_vmem=256M"),
        ({"memory_resource": "h_vmem", "memory_per_slot": "yes"}, 3, GIB, "#$ -l h_vmem=342M"),
    ],
)
def test_memory_is_asked_as_the_site_counts_it(
    facts: dict[str, str], cores: int, memory: int, line: str
) -> None:
    assert line in SGE.from_facts(facts).directives(asking(cores=cores, memory=memory))


@pytest.mark.parametrize(("facts", "memory"), [({"memory_resource": ""}, GIB), ({}, 0)])
def test_memory_may_be_left_to_the_site(facts: dict[str, str], memory: int) -> None:
    lines = SGE.from_facts(facts).directives(asking(memory=memory))
    assert not [line for line in lines if "-l" in line]


def test_gpus_may_be_counted_for_each_slot() -> None:
    each = SGE.from_facts({"gpu_per_slot": "yes"})
    assert "#$ -l gpu=4" in SGE().directives(asking(gpus=4, cores=2))
    assert "#$ -l gpu=2" in each.directives(asking(gpus=4, cores=2))
    with pytest.raises(ConfigError, match="3 gpus cannot be shared by 2 cores"):
        each.directives(asking(gpus=3, cores=2))


@pytest.mark.parametrize(
    ("walltime", "written"), [(60, "00:01:00"), (86400, "24:00:00"), (1209600, "336:00:00")]
)
def test_a_walltime_is_written_in_hours(walltime: float, written: str) -> None:
    assert f"#$ -l h_rt={written}" in SGE().directives(asking(walltime=walltime))


def test_one_job_is_no_array() -> None:
    assert SGE().submit_command(SMALL).argv == ("qsub", "-terse")
    assert SGE().submit_command(SMALL, 10).argv == ("qsub", "-terse", "-t", "1-10")


@pytest.mark.parametrize(
    ("broken", "place"),
    [
        (replace(SMALL, comment="a\n#$ -t 1-9"), "comment"),
        (replace(SMALL, tag=Tag("2d-run-7f3a")), "job name '2d-run"),
        (replace(SMALL, tag=Tag("a,b")), "job name"),
        (replace(SMALL, tag=Tag("a/b")), "job name"),
        (replace(SMALL, tag=Tag("a b")), "job name"),
        (replace(SMALL, tag=Tag("klimaä")), "job name"),
        (replace(SMALL, log="/logs/\x1b[31m.log"), "log"),
        (replace(SMALL, body="true\n#$ -t 1-5"), "would be taken for an option of qsub"),
        (asking(queue="a\u2028b"), "-q"),
        (asking(queue="all.q -t"), "-q"),
        (asking(queue="-t"), "-q"),
        (asking(account="the #1"), "-P"),
        (asking(account="$(id)"), "-P"),
        (asking(account=""" '"' """), "-P"),
        (asking(directives=("-q x\nid",)), "directive"),
    ],
)
def test_a_value_that_cannot_be_written_is_refused(broken: JobSpec, place: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(place)) as caught:
        SGE().submit_command(broken)
    assert caught.value.hint


@pytest.mark.parametrize(
    "line",
    ["-t 1-3", "-l foo=1 -t 3", "'-t' 3", '"-"t 3', "-N mine", "-sync y", "-now y", "-verify",
     "-w v", "-b y", "-C '#%'", "-clear", "-@ file", "-S /bin/tcsh"],
)  # fmt: skip
def test_a_directive_that_takes_the_job_away_is_refused(line: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(repr(line))) as caught:
        SGE().directives(asking(directives=(line,)))
    assert caught.value.hint


@pytest.mark.parametrize("line", ["-l exclusive=true", "-V", "-h", "-hold_jid 7", "-tc 3", "-r y"])
def test_other_directives_are_taken_as_they_are(line: str) -> None:
    assert SGE().directives(asking(directives=(line,)))[-2] == f"#$ {line}"


def test_no_variable_of_an_outer_job_changes_what_is_asked() -> None:
    sge = SGE()
    inherited = ["JOB_ID", "SGE_TASK_ID", "SGE_STDOUT_PATH", "SGE_DEBUG_LEVEL", "SGE_LONG_QNAMES"]
    inherited += ["PE", "PE_HOSTFILE", "QUEUE", "NSLOTS", "RESTARTED", "SGE_CWD_PATH"]
    kept = ["SGE_ROOT", "SGE_CELL", "SGE_QMASTER_PORT", "HOME", "MY_JOB_ID", "PEER", "QUEUES"]
    for command in (
        sge.submit_command(SMALL),
        sge.status_command("ada", [SMALL.tag]),
        sge.status_command("ada", []),
        sge.history_commands([JobId("1")])[0],
        sge.cancel_commands([JobId("1")])[0],
        sge.queues_command(),
    ):
        left = [
            name
            for name in [*inherited, *kept]
            if not any(re.match(pattern, name) for pattern in command.drop)
        ]
        assert left == kept, command.argv


def test_only_queries_are_asked_in_english_and_utc() -> None:
    assert not SGE().submit_command(SMALL).env
    assert SGE().status_command("ada", [SMALL.tag]).env == {"LC_ALL": "C", "TZ": "UTC0"}


def test_one_call_lists_the_jobs_and_asks_why_they_wait() -> None:
    command = SGE().status_command("ada", [Tag("b"), Tag("a")])
    assert command.argv == ("sh", "-s", "--", "ada", "a,b")
    plain = ("qstat", "-xml", "-r", "-g", "d", "-u", "ada")
    assert SGE().status_command("ada", []).argv == plain
    assert SGE.from_facts({"reasons": "no"}).status_command("ada", [Tag("a")]).argv == plain
    many = [Tag(f"t{number}") for number in range(201)]
    assert SGE().status_command("ada", many).argv == plain


def test_history_is_asked_about_one_array_in_a_call() -> None:
    ids = [JobId("7"), JobId("36.1"), JobId("36.2"), JobId("8.1")]
    assert [command.argv for command in SGE().history_commands(ids)] == [
        ("qacct", "-j", "7"), ("qacct", "-j", "36"), ("qacct", "-j", "8"),
    ]  # fmt: skip


def test_neighbouring_tasks_are_cancelled_in_one_word() -> None:
    ids = [JobId(f"36.{task}") for task in (5, 1, 2, 3, 9)] + [JobId("7"), JobId("7")]
    (command,) = SGE().cancel_commands(ids)
    assert command.argv == ("qdel", "7", "36.1-3", "36.5", "36.9")


def test_many_jobs_are_cancelled_in_chunks() -> None:
    commands = SGE().cancel_commands([JobId(str(number)) for number in range(250)])
    assert [len(command.argv) - 1 for command in commands] == [100, 100, 50]
    assert SGE().cancel_commands([]) == ()


@pytest.mark.parametrize(
    ("inherited", "expected"),
    [
        ({"JOB_ID": "36", "SGE_TASK_ID": "undefined"}, "36 0"),
        ({"JOB_ID": "36", "SGE_TASK_ID": "1"}, "36.1 0"),
        ({"JOB_ID": "36", "SGE_TASK_ID": "12"}, "36.12 11"),
    ],
)
@pytest.mark.parametrize("shell", ["/bin/sh", "/bin/bash"])
def test_a_job_knows_its_id_as_it_was_submitted(
    shell: str, inherited: dict[str, str], expected: str
) -> None:
    known = SGE.variables
    script = f'set -u; job={known.job_id}; echo "$job {known.index}"'
    said = subprocess.run(
        [shell, "-c", script], env=inherited, check=True, capture_output=True, text=True
    )
    assert said.stdout == f"{expected}\n"


@pytest.mark.parametrize(("task", "index"), [("undefined", "0"), ("3", "2")])
def test_a_log_is_opened_where_it_was_asked_for(tmp_path: Path, task: str, index: str) -> None:
    directory = tmp_path / "it's 100% a #1 place, $HOME: `id` & ünï"
    directory.mkdir()
    job = replace(SMALL, body="echo here", log=str(directory / "{index}.the log {index}"))
    script = SGE().script(job)
    for text in ("here\n", "here\nhere\n"):  # a second run does not wipe out the first
        subprocess.run(["bash"], input=script, text=True, check=True, env={"SGE_TASK_ID": task})
        assert (directory / f"{index}.the log {index}").read_text(encoding="utf-8") == text


TEXT = st.text(max_size=20) | st.text(" -#$'\"`\\,:;&|\n\r\t\0ab1", max_size=20)


@settings(max_examples=150, deadline=None)
@given(tag=TEXT, log=TEXT, comment=TEXT, queue=TEXT, account=TEXT, line=TEXT, fields=st.integers(1))
def test_no_value_leaves_its_line(
    tag: str, log: str, comment: str, queue: str, account: str, line: str, fields: int
) -> None:
    given = {"tag": tag, "log": log, "comment": comment}
    chosen = {name: text for bit, (name, text) in enumerate(given.items()) if fields >> bit & 1}
    asked: dict[str, object] = {"queue": queue, "account": account, "directives": (line,)}
    wanted = {name: text for bit, (name, text) in enumerate(asked.items()) if fields >> bit & 8}
    job = replace(asking(**wanted), **chosen)  # type: ignore[arg-type]  # of JobSpec
    with suppress(ConfigError):
        head, _, rest = SGE().script(job).partition("\nexec >>")
        assert all(one.startswith(("#!/usr/bin/env bash", "#$ ")) for one in head.split("\n"))
        assert rest.split("\n")[1:] == ["", "exec true", ""]
        assert len(re.split(r"[\r\v\f\x1c-\x1e\x85\u2028\u2029]", rest)) == 1
