"""What OAR is asked."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dask_hpc.batch.model import JobId, JobSpec, Tag
from dask_hpc.batch.oar import OAR
from dask_hpc.errors import ConfigError
from tests.batch.jobs import GOLDEN, SMALL, asking, full, samples

if TYPE_CHECKING:
    from pathlib import Path

FULL = full("-t besteffort", "--property=\"cputype = 'Xeon #1'\"", "--hold")
WEIRD = replace(
    SMALL,
    resources=replace(SMALL.resources, memory=0),
    log='/data/it\'s 100% a #1 $HOME `id` "place" & ünï/a.{index}.log',
    comment='it\'s "a" comment $HOME `id`',
)
MEMORY = OAR(memory_property="memnode")


@pytest.mark.parametrize(
    ("name", "job", "count"),
    samples(FULL, WEIRD),
)
def test_the_script_is_as_written_down(name: str, job: JobSpec, count: int) -> None:
    path = GOLDEN / "oar" / f"{name}.sh"
    assert MEMORY.script(job, count) == path.read_text(encoding="utf-8")
    subprocess.run(["bash", "-n", path], check=True)


def test_options_on_the_command_line_are_those_of_the_script() -> None:
    command = MEMORY.submit_command(FULL)
    lines = [line for line in MEMORY.script(FULL).splitlines() if line.startswith("#OAR ")]
    options = [word.replace("=", " ", 1) for word in command.argv[1:-1]]
    assert [f"#OAR {option}" for option in options] == lines
    assert command.argv[0] == "oarsub"
    assert command.stdin is None


def test_one_job_is_no_array() -> None:
    assert "--array=10" in OAR().submit_command(SMALL, 10).argv
    assert not [word for word in OAR().submit_command(SMALL).argv if word.startswith("--array")]


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_the_script_runs_from_the_command_line_as_from_a_file(shell: str, tmp_path: Path) -> None:
    body = 'echo "it\'s $0 \\\\ `echo 5` $((2+3))" | cat; printf "%s\\n" ünï "$OAR_JOB_ID"; exit 7'
    job = replace(SMALL, log=str(tmp_path / "it's a #1 $HOME.{index}"), body=f"\n{body}\n\n")
    command = OAR().submit_command(job, 3).argv[-1]
    environ = {"PATH": os.environ["PATH"], "OAR_ARRAY_INDEX": "3", "OAR_JOB_ID": "36"}
    done = subprocess.run([shell, "-c", command], env=environ, check=False)
    assert done.returncode == 7
    log = tmp_path / "it's a #1 $HOME.2"
    assert log.read_text(encoding="utf-8") == "it's bash \\ 5 5\nünï\n36\n"


def test_output_is_added_to_a_log_that_is_there() -> None:
    assert "exec >>/data/a.0.log 2>&1" in OAR().script(replace(SMALL, log="/data/a.{index}.log"))


def test_a_script_that_no_command_line_takes_is_refused() -> None:
    with pytest.raises(ConfigError, match="more than OAR takes") as caught:
        OAR().submit_command(replace(SMALL, body="# long\n" * 10_000))
    assert caught.value.hint


def test_memory_is_a_filter_where_the_site_says_which_property_has_it() -> None:
    job = asking(cores=4, memory=2**32 + 1)
    assert not [line for line in OAR().directives(job) if "property" in line]
    by_node = OAR.from_facts({"memory_property": "memnode"}).directives(job)
    assert "#OAR --property (memnode >= 4097)" in by_node
    by_core = OAR.from_facts({"memory_property": "memcore", "memory_per": "core"}).directives(job)
    assert "#OAR --property (memcore >= 1025)" in by_core


@pytest.mark.parametrize("name", ["mem;drop", "a b", "1mem", "mem'"])
def test_a_property_of_memory_is_a_name(name: str) -> None:
    with pytest.raises(ConfigError, match="memory_property"):
        OAR.from_facts({"memory_property": name})


def test_filters_of_the_user_are_joined_as_oarsub_takes_but_one() -> None:
    resources = replace(SMALL.resources, directives=("-p a = 1 OR b = 2", "--property c > 3"))
    lines = MEMORY.directives(replace(SMALL, resources=resources))
    assert [line for line in lines if "property" in line] == [
        "#OAR --property (memnode >= 1024) AND (a = 1 OR b = 2) AND (c > 3)"
    ]


def test_resources_of_the_user_take_the_place_of_ours() -> None:
    resources = replace(
        SMALL.resources, walltime=60, directives=("-l /cluster=1/host=2", "-l core=2,walltime=9")
    )
    lines = OAR().directives(replace(SMALL, resources=resources))
    assert [line for line in lines if "resource" in line] == [
        "#OAR --resource /cluster=1/host=2,walltime=00:01:00",
        "#OAR --resource core=2,walltime=9",
    ]


def test_cores_are_spread_over_gpus() -> None:
    resources = replace(SMALL.resources, cores=10, gpus=4)
    assert "#OAR --resource /nodes=1/gpu=4/core=3" in OAR().directives(
        replace(SMALL, resources=resources)
    )


@pytest.mark.parametrize(
    ("broken", "place"),
    [
        (replace(SMALL, tag=Tag("a'; system 'id")), "job name"),
        (replace(SMALL, tag=Tag("a" * 101)), "job name"),
        (replace(SMALL, tag=Tag("ünï")), "job name"),
        (replace(SMALL, log="/logs/\x1b[31m.log"), "log"),
        (replace(SMALL, log="/logs/a\n.log"), "log"),
        (replace(SMALL, body="echo \ud800"), "script"),
        (asking(queue="a b"), "queue"),
        (asking(account="a'b"), "account"),
        (asking(directives=("-q x\nid",)), "directive"),
        (asking(directives=("-d /it's",)), "directive"),
        (asking(directives=("--project=a b",)), "proj"),
    ],
)
def test_a_value_that_would_leave_its_place_is_refused(broken: JobSpec, place: str) -> None:
    with pytest.raises(ConfigError, match=place):
        OAR().submit_command(broken)


@pytest.mark.parametrize(
    "line",
    ["--array=3", "--array 3", "-n mine", "-nmine", "--name=mine", "-O /tmp/x", "-I", "-S", "-C 3",
     "--resubmit=5", "-r 2027-01-01 00:00:00", "--array-param-file x"],
)  # fmt: skip
def test_a_directive_that_takes_the_job_away_is_refused(line: str) -> None:
    job = asking(directives=(line,))
    with pytest.raises(ConfigError, match=re.escape(repr(line))) as caught:
        OAR().directives(job)
    assert caught.value.hint


@pytest.mark.parametrize(
    "line", ["besteffort", "--arr=3", "-J", "--json", "-x", "--hold=1", "-t", "", "-", "--"]
)
def test_what_is_no_option_with_its_value_is_refused(line: str) -> None:
    job = asking(directives=(line,))
    with pytest.raises(ConfigError, match="is not an option of oarsub"):
        OAR().directives(job)


def test_nothing_of_an_outer_job_changes_what_is_asked() -> None:
    oar = OAR()
    for command in (
        oar.submit_command(SMALL),
        oar.status_command("ada", [SMALL.tag]),
        oar.history_commands([JobId("1")])[0],
        oar.cancel_commands([JobId("1")])[0],
        oar.queues_command(),
    ):
        for name in ("OAR_JOB_ID", "OAR_JOB_KEY_FILE", "OAR_OARSTAT_OUTPUT_FORMAT"):
            assert any(re.match(pattern, name) for pattern in command.drop), command.argv
        assert not any(re.match(pattern, "HOME") for pattern in command.drop)
        assert command.env == {"LC_ALL": "C", "TZ": "UTC"}


def test_one_question_lists_all_jobs_of_a_user() -> None:
    argv = OAR().status_command("ada", [Tag("b"), Tag("a")]).argv
    assert argv == ("oarstat", "--full", "--user=ada", "--json")


def test_text_is_asked_for_where_there_is_no_json() -> None:
    oar = OAR.from_facts({"json": "no"})
    assert oar.status_command("ada", []).argv == ("oarstat", "--full", "--user=ada")
    assert oar.history_commands([JobId("7")])[0].argv == ("oarstat", "--full", "--job=7")
    assert oar.queues_command().argv == ("oarnodes",)


def test_jobs_are_asked_about_and_cancelled_in_chunks() -> None:
    ids = [JobId(str(number)) for number in range(250)]
    assert [len(command.argv) - 3 for command in OAR().history_commands(ids)] == [100, 100, 50]
    assert [len(command.argv) - 1 for command in OAR().cancel_commands(ids)] == [100, 100, 50]
    assert OAR().cancel_commands([]) == OAR().history_commands([]) == ()


@pytest.mark.parametrize(
    ("inherited", "expected"),
    [
        ({"OAR_JOB_ID": "36", "OAR_ARRAY_INDEX": "1"}, r"36 0 "),
        (
            {"OAR_JOB_ID": "41", "OAR_ARRAY_INDEX": "6", "OAR_JOB_WALLTIME_SECONDS": "60"},
            r"41 5 \d{10,}",
        ),
    ],
)
def test_a_job_knows_its_id_as_it_was_submitted(inherited: dict[str, str], expected: str) -> None:
    known = OAR.variables
    script = f'end={known.end_time}; echo "{known.job_id} {known.index} $end"'
    environ = {"PATH": os.environ["PATH"], **inherited}
    said = subprocess.run(
        ["/bin/sh", "-c", script], env=environ, check=True, capture_output=True, text=True
    )
    assert re.fullmatch(expected, said.stdout.removesuffix("\n"))


# anything at all ----------------------------------------------------------------------------------

ANY = st.text(max_size=30) | st.text("a-'\"\\$`#% =\n(){};&|l", max_size=20)


@settings(max_examples=200, deadline=None)
@given(tag=ANY, log=ANY, directive=ANY, queue=ANY, account=ANY)
def test_no_text_changes_more_than_directives_and_the_log(
    tag: str, log: str, directive: str, queue: str, account: str
) -> None:
    job = replace(
        SMALL,
        tag=Tag(tag),
        log=log,
        resources=replace(SMALL.resources, directives=(directive,), queue=queue, account=account),
    )
    for each in (job, replace(SMALL, log=log), replace(SMALL, tag=Tag(tag))):
        try:
            lines = OAR().script(each).split("\n")
        except ConfigError:
            continue
        kept = [line for line in lines if not line.startswith("#OAR --")]
        assert kept[:2] == ["#!/usr/bin/env bash", ""]
        assert kept[2].startswith("exec >>")
        assert kept[3:] == ["exec true", ""]
