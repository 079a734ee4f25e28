"""What LSF is asked."""

from __future__ import annotations

import re
import subprocess
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dask_hpc.batch.lsf import LSF
from dask_hpc.batch.model import JobId, JobSpec, Resources, Tag
from dask_hpc.batch.programs import is_in_job
from dask_hpc.errors import ConfigError
from tests.batch.jobs import GIB, GOLDEN, SMALL, asking, full, samples

if TYPE_CHECKING:
    from pathlib import Path

    from dask_hpc.process.runner import Command

OPENLAVA = LSF(has_json=False)

FULL = full("-x", '-R "select[ib]"', "-G wide", walltime=93601)
WEIRD = replace(
    SMALL,
    resources=replace(SMALL.resources, memory=0, account="the account #1 of $USER"),
    log="/data/it's 100% a #1 place & ünï/a.{index}.log",
    comment="it's a comment $HOME `id`",
)


@pytest.mark.parametrize(
    ("name", "job", "count"),
    samples(FULL, WEIRD),
)
def test_the_script_is_as_written_down(name: str, job: JobSpec, count: int) -> None:
    path = GOLDEN / "lsf" / f"{name}.sh"
    assert LSF().script(job, count) == path.read_text(encoding="utf-8")
    subprocess.run(["bash", "-n", str(path)], check=True)


@pytest.mark.parametrize(
    ("walltime", "written"),
    [(1, "0:01"), (60, "0:01"), (61, "0:02"), (5400, "1:30"), (360000, "100:00")],
)
def test_a_walltime_is_rounded_up_to_minutes(walltime: float, written: str) -> None:
    job = asking(walltime=walltime)
    assert f"#BSUB -W {written}" in LSF().directives(job)


@pytest.mark.parametrize(
    ("facts", "limit", "reserved"),
    [
        ({}, "1048577", "1025"),
        ({"memory_unit": "KB"}, "1048577", "1025"),
        ({"memory_unit": "MB"}, "1025", "1025"),
        ({"memory_unit": "gb"}, "2", "2"),
        ({"memory_unit": "G"}, "2", "2"),
        ({"memory_unit": "MB", "memory_per": "slot"}, "257", "257"),
        ({"memory_per": "slot"}, "262145", "257"),
        ({"memory_per": "host", "memory_unit": ""}, "1048577", "1025"),
    ],
)
def test_memory_is_written_in_the_unit_of_the_installation(
    facts: dict[str, str], limit: str, reserved: str
) -> None:
    job = replace(SMALL, resources=Resources(cores=4, memory=GIB + 1))
    lines = LSF.from_facts(facts).directives(job)
    assert f"#BSUB -M {limit}" in lines
    assert f'#BSUB -R "span[hosts=1] rusage[mem={reserved}]"' in lines


def test_an_unknown_unit_is_not_guessed() -> None:
    with pytest.raises(ConfigError, match="'MIB' is no unit") as caught:
        LSF.from_facts({"memory_unit": "MiB"})
    assert "LSF_UNIT_FOR_LIMITS" in caught.value.hint


def test_a_job_without_memory_leaves_the_amount_to_the_site() -> None:
    lines = LSF().directives(WEIRD)
    assert not [line for line in lines if "-M" in line or "mem=" in line]
    assert '#BSUB -R "span[hosts=1]"' in lines


def test_a_job_of_several_nodes_has_its_cores_on_each() -> None:
    lines = LSF().directives(FULL)
    assert "#BSUB -n 72" in lines
    assert '#BSUB -R "span[ptile=36] rusage[mem=95368]"' in lines


def test_openlava_gets_no_option_that_it_would_read_as_another() -> None:
    lines = OPENLAVA.directives(replace(SMALL, comment="a worker"))
    assert not [line for line in lines if re.match(r"#BSUB -(Jd|rn|gpu)", line)]
    with pytest.raises(ConfigError, match="gpus 1") as caught:
        OPENLAVA.directives(asking(gpus=1))
    assert "directives" in caught.value.hint


def test_directives_of_the_user_come_last() -> None:
    assert LSF().directives(FULL)[-3:] == (
        "#BSUB -x",
        '#BSUB -R "select[ib]"',
        "#BSUB -G wide",
    )


def test_the_script_goes_to_the_standard_input_of_bsub() -> None:
    for count in (1, 3):
        command = LSF().submit_command(SMALL, count)
        assert command.argv == ("bsub",)
        assert command.stdin == LSF().script(SMALL, count)


def test_indices_of_an_array_begin_at_1() -> None:
    assert '#BSUB -J "dask-climate-7f3a[1-10]"' in LSF().directives(SMALL, 10)
    assert "#BSUB -J dask-climate-7f3a" in LSF().directives(SMALL, 1)


@pytest.mark.parametrize(
    ("broken", "place"),
    [
        (replace(SMALL, comment="a\n#BSUB -q x"), "-Jd"),
        (replace(SMALL, comment='a "comment"'), "-Jd"),
        (replace(SMALL, comment="a\\"), "-Jd"),
        (replace(SMALL, tag=Tag("a\rb")), "job name"),
        (replace(SMALL, tag=Tag("a[1-2]")), "job name"),
        (replace(SMALL, tag=Tag("a b")), "job name"),
        (replace(SMALL, tag=Tag("-K")), "job name"),
        (replace(SMALL, tag=Tag("")), "job name"),
        (replace(SMALL, tag=Tag("a" * 61)), "job name"),
        (replace(SMALL, log="/logs/\x1b[31m.log"), "log"),
        (asking(queue="a\u2028b"), "-q"),
        (asking(account="a\0b"), "-P"),
        (asking(directives=("-q x\nid",)), "directive"),
        (replace(SMALL, body="true\n#BSUB -q other"), "a line of the job"),
        (replace(SMALL, body="cat <<X\n  # BSUB -q other\nX"), "a line of the job"),
    ],
)
def test_a_value_that_would_leave_its_line_is_refused(broken: JobSpec, place: str) -> None:
    with pytest.raises(ConfigError, match=place) as caught:
        LSF().submit_command(broken)
    assert caught.value.hint


@pytest.mark.parametrize(
    "line",
    [
        "-J mine",
        "-Jmine",
        "-J",
        "-q x -K",
        "-I",
        "-Is",
        "-o x",
        "-oo x",
        "-e x",
        "-eo x",
        "-pack f",
    ],
)
def test_a_directive_that_takes_the_job_away_is_refused(line: str) -> None:
    job = asking(directives=(line,))
    with pytest.raises(ConfigError, match=re.escape(repr(line))) as caught:
        LSF().directives(job)
    assert caught.value.hint


@pytest.mark.parametrize("line", ["-x", "-Jd words", "-env all", "-ext x", "-outdir x", "-B", "-H"])
def test_other_directives_are_taken_as_they_are(line: str) -> None:
    job = asking(directives=(line,))
    assert LSF().directives(job)[-1] == f"#BSUB {line}"


def test_no_default_of_the_user_or_of_an_outer_job_changes_what_is_asked() -> None:
    inherited = ["LSB_DEFAULTQUEUE", "LSB_JOBINDEX", "BSUB_QUIET", "LSB_BJOBS_FORMAT", "LS_SUBCWD"]
    needed = ["LSF_ENVDIR", "LSF_SERVERDIR", "HOME", "MY_LSB_JOB", "XDG_STATE_HOME"]
    for command in _commands():
        kept = [
            name
            for name in [*inherited, *needed]
            if not any(re.match(pattern, name) for pattern in command.drop)
        ]
        assert kept == needed, command.argv


def test_the_session_of_the_submitter_does_not_reach_the_job() -> None:
    command = LSF().submit_command(SMALL)
    for name in ("XDG_RUNTIME_DIR", "XDG_SESSION_ID", "DBUS_SESSION_BUS_ADDRESS"):
        assert any(re.match(pattern, name) for pattern in command.drop)
    assert not command.env  # bsub would take it into the job


def test_times_are_asked_for_in_utc_and_with_their_year() -> None:
    for command in _commands()[1:]:
        assert command.env == {"LC_ALL": "C", "TZ": "UTC0", "LSB_DISPLAY_YEAR": "Y"}


def test_all_jobs_of_a_user_are_asked_for_in_one_query() -> None:
    tags = [Tag("a"), Tag("b")]
    argv = LSF().status_command("ada", tags).argv
    assert argv[:6] == ("bjobs", "-a", "-u", "ada", "-json", "-o")
    assert "job_name" in argv[6].split()
    argv = LSF.from_facts({"json": "no"}).status_command("ada", tags).argv
    assert argv == ("bjobs", "-a", "-u", "ada", "-UF")


def test_elements_of_an_array_are_written_in_one_word() -> None:
    ids = [JobId(f"219[{index}]") for index in (5, 1, 2, 3, 9)] + [JobId("7"), JobId("7")]
    (cancel,) = LSF().cancel_commands(ids)
    assert cancel.argv == ("bkill", "7", "219[1-3,5,9]")
    (history,) = LSF().history_commands(ids)
    assert history.argv == ("bhist", "-l", "7", "219[1-3,5,9]")


def test_many_jobs_are_cancelled_in_chunks() -> None:
    commands = LSF().cancel_commands([JobId(str(number)) for number in range(250)])
    assert [len(command.argv) - 1 for command in commands] == [100, 100, 50]
    (scattered,) = LSF().cancel_commands([JobId(f"36[{2 * number + 1}]") for number in range(150)])
    assert [word.count(",") for word in scattered.argv] == [0, 99, 49]


def test_nothing_to_cancel_is_no_command() -> None:
    assert LSF().cancel_commands([]) == ()
    assert LSF().history_commands([]) == ()


@pytest.mark.parametrize("shell", ["/bin/sh", "/bin/bash"])
@pytest.mark.parametrize(
    ("inherited", "expected"),
    [
        ({"LSB_JOBID": "36", "LSB_JOBINDEX": "0"}, "36 0 "),
        ({"LSB_JOBID": "36"}, "36 0 "),
        ({"LSB_JOBID": "36", "LSB_JOBINDEX": "1"}, "36[1] 0 "),
        ({"LSB_JOBID": "36", "LSB_JOBINDEX": "10"}, "36[10] 9 "),
    ],
)
def test_a_job_knows_its_id_as_it_was_submitted(
    shell: str, inherited: dict[str, str], expected: str
) -> None:
    known = LSF.variables
    script = f'set -u; echo "{known.job_id} {known.index} {known.end_time}"; j={known.job_id}'
    said = subprocess.run(
        [shell, "-c", f'{script}; echo "$j"'],
        env=inherited, check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert said.stdout == f"{expected}\n{expected.split()[0]}\n"


def test_a_process_is_in_a_job_if_it_has_the_variables_of_one() -> None:
    assert is_in_job(LSF(), {"LSB_JOBID": "36"})
    assert not is_in_job(LSF(), {"HOME": "/home/ada", "s": "1", "printf": "1"})


@pytest.mark.parametrize("index", [0, 3])
def test_a_job_writes_its_log_while_it_runs(tmp_path: Path, index: int) -> None:
    directory = tmp_path / "it's 100% a #1 $HOME `id` & ünï"
    directory.mkdir()
    job = replace(SMALL, body="echo here; echo there >&2", log=f"{directory}/{{index}} a.log")
    env = {"LSB_JOBID": "36", "LSB_JOBINDEX": str(index)}
    (directory / f"{max(index - 1, 0)} a.log").write_text("an earlier run\n")
    subprocess.run(["/bin/bash"], input=LSF().script(job), env=env, text=True, check=True)
    (log,) = directory.iterdir()
    assert log.read_text() == "an earlier run\nhere\nthere\n"


TEXT = st.text(max_size=30) | st.text("-#BSUJKoIq \"'\\$`\n\r%[]{}\t;|é\u2028\0", max_size=30)


@settings(max_examples=150, deadline=None)
@given(
    tag=TEXT, log=TEXT, comment=TEXT, queue=TEXT, account=TEXT, directive=TEXT,
    count=st.integers(1, 3),
)  # fmt: skip
def test_no_text_leaves_the_line_that_it_is_on(
    tag: str, log: str, comment: str, queue: str, account: str, directive: str, count: int
) -> None:
    changes: tuple[dict[str, Any], ...] = (
        {"tag": Tag(tag)},
        {"log": f"/logs/{log}"},
        {"comment": comment},
        {"resources": replace(SMALL.resources, queue=queue)},
        {"resources": replace(SMALL.resources, account=account)},
        {"resources": replace(SMALL.resources, directives=(directive,))},
    )
    for change in changes:
        with suppress(ConfigError):
            lines = LSF().script(replace(SMALL, **change), count).split("\n")
            plain = LSF().script(SMALL, count).split("\n")
            rest = [line for line in lines if not line.startswith("#BSUB -")]
            expected = [line for line in plain if not line.startswith("#BSUB -")]
            if "log" in change:
                assert len(rest) == len(expected)
            else:
                assert [line for line in rest if not line.startswith("#BSUB")] == expected
            assert len(lines) - len(plain) in (-1, 0, 1)


@settings(max_examples=25, deadline=None)
@given(log=TEXT)
def test_no_path_of_a_log_executes_or_breaks_the_script(log: str) -> None:
    with suppress(ConfigError):
        line = LSF().script(replace(SMALL, log=f"/logs/{log}.{{index}}")).split("\n")[-4]
        word = line.removeprefix("exec >>").removesuffix(" 2>&1")
        said = subprocess.run(
            ["/bin/bash", "-c", f"printf %s {word}"],
            env={"LC_ALL": "C.UTF-8"}, capture_output=True, check=True,
        )  # fmt: skip
        assert said.stdout.decode() == f"/logs/{log}.0".replace("{index}", "0", 1)


def _commands() -> list[Command]:
    lsf = LSF()
    return [
        lsf.submit_command(SMALL),
        lsf.status_command("ada", [SMALL.tag]),
        lsf.history_commands([JobId("1")])[0],
        lsf.cancel_commands([JobId("1")])[0],
        lsf.queues_command(),
    ]
