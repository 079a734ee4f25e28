"""What Slurm is asked."""

from __future__ import annotations

import re
import subprocess
from dataclasses import replace

import pytest

from dask_hpc.batch.model import JobId, JobSpec, Tag
from dask_hpc.batch.slurm import Slurm
from dask_hpc.errors import ConfigError
from tests.batch.jobs import GOLDEN, SMALL, asking, full, samples

FULL = full("--qos=high", "--constraint='skylake|rome'", "--mem=0")
WEIRD = replace(
    SMALL,
    resources=replace(SMALL.resources, memory=0, account='the "account" \\ of #1'),
    log="/data/it's 100% a #1 place & ünï/a.{index}.log",
    comment='it\'s "a" comment $HOME `id`',
)


@pytest.mark.parametrize(
    ("name", "job", "count"),
    samples(FULL, WEIRD),
)
def test_the_script_is_as_written_down(name: str, job: JobSpec, count: int) -> None:
    expected = (GOLDEN / "slurm" / f"{name}.sh").read_text(encoding="utf-8")
    assert Slurm().script(job, count) == expected


@pytest.mark.parametrize(
    ("walltime", "written"),
    [(60, "00:01:00"), (86400, "24:00:00"), (359999, "99:59:59"), (1209600, "336:00:00")],
)
def test_a_walltime_is_written_in_hours(walltime: float, written: str) -> None:
    job = asking(walltime=walltime)
    assert f"#SBATCH --time={written}" in Slurm().directives(job)


def test_memory_is_rounded_up_to_what_slurm_counts_in() -> None:
    job = asking(memory=2**20 + 1)
    assert "#SBATCH --mem=2M" in Slurm().directives(job)


def test_a_job_without_memory_leaves_the_amount_to_the_site() -> None:
    assert not [line for line in Slurm().directives(WEIRD) if "--mem" in line]


def test_directives_of_the_user_come_last() -> None:
    assert Slurm().directives(FULL)[-3:] == (
        "#SBATCH --qos=high",
        "#SBATCH --constraint='skylake|rome'",
        "#SBATCH --mem=0",
    )


def test_one_job_is_no_array_and_its_log_has_index_0() -> None:
    command = Slurm().submit_command(SMALL)
    assert command.argv == ("sbatch", "--parsable")
    assert "dask-climate-7f3a.0.log\n" in (command.stdin or "")


def test_several_jobs_are_one_array_with_a_log_each() -> None:
    command = Slurm().submit_command(SMALL, 10)
    assert command.argv == ("sbatch", "--parsable", "--array=0-9")
    assert "dask-climate-7f3a.%a.log\n" in (command.stdin or "")


@pytest.mark.parametrize(
    ("broken", "place"),
    [
        (replace(SMALL, comment="a\n#SBATCH --uid=0"), "comment"),
        (replace(SMALL, tag=Tag("a\rb")), "job-name"),
        (replace(SMALL, tag=Tag("a,b")), "job name"),
        (replace(SMALL, log="/logs/\x1b[31m.log"), "output"),
        (replace(SMALL, log="/logs/back\\slash.log"), "log"),
        (asking(queue="a\u2028b"), "partition"),
        (asking(account="a\0b"), "account"),
        (asking(directives=("-q x\nid",)), "directive"),
    ],
)
def test_a_value_that_would_leave_its_line_is_refused(broken: JobSpec, place: str) -> None:
    with pytest.raises(ConfigError, match=place) as caught:
        Slurm().submit_command(broken)
    assert caught.value.hint


@pytest.mark.parametrize(
    "line", ["--array=0-3", "-a0-3", "--qos=x -a 3", "--job-name=mine", "-J mine", "--wait", "-W"]
)
def test_a_directive_that_takes_the_job_away_is_refused(line: str) -> None:
    job = asking(directives=(line,))
    with pytest.raises(ConfigError, match=re.escape(repr(line))) as caught:
        Slurm().directives(job)
    assert caught.value.hint


@pytest.mark.parametrize("line", ["-C haswell", "--exclusive", "-A me", "--comment=a-b", "-q wide"])
def test_other_directives_are_taken_as_they_are(line: str) -> None:
    job = asking(directives=(line,))
    assert Slurm().directives(job)[-1] == f"#SBATCH {line}"


def test_no_default_of_the_user_or_of_an_outer_job_changes_what_is_asked() -> None:
    slurm = Slurm()
    inherited = ["SBATCH_PARTITION", "SQUEUE_FORMAT", "SACCT_FORMAT", "SCANCEL_USER", "SINFO_SORT"]
    inherited += ["SLURM_ARRAY_TASK_ID", "SLURM_JOB_ID", "SLURM_CONF_SERVER", "SLURM_CLUSTERS"]
    for command in (
        slurm.submit_command(SMALL),
        slurm.status_command("ada", [SMALL.tag]),
        slurm.history_commands([JobId("1")])[0],
        slurm.cancel_commands([JobId("1")])[0],
        slurm.queues_command(),
    ):
        kept = [
            name
            for name in [*inherited, "SLURM_CONF", "HOME", "XDG_STATE_HOME", "MY_SLURM_JOB"]
            if not any(re.match(pattern, name) for pattern in command.drop)
        ]
        assert kept == ["SLURM_CONF", "HOME", "XDG_STATE_HOME", "MY_SLURM_JOB"], command.argv


def test_the_session_of_the_submitter_does_not_reach_the_job() -> None:
    command = Slurm().submit_command(SMALL)
    for name in ("XDG_RUNTIME_DIR", "XDG_SESSION_ID", "DBUS_SESSION_BUS_ADDRESS"):
        assert any(re.match(pattern, name) for pattern in command.drop)
    assert not command.env  # sbatch would export it


def test_jobs_are_asked_for_by_name_while_that_fits_on_a_command_line() -> None:
    slurm = Slurm()
    few = slurm.status_command("ada", [Tag("b"), Tag("a")])
    assert few.argv[:5] == (
        "squeue", "--array", "--states=all", "--user=ada", "--name=a,b",
    )  # fmt: skip
    assert few.env == {"LC_ALL": "C", "SLURM_TIME_FORMAT": "%s"}
    many = slurm.status_command("ada", [Tag(f"t{number}") for number in range(201)])
    assert not [word for word in many.argv if word.startswith("--name")]


def test_history_is_asked_about_whole_arrays_in_chunks() -> None:
    ids = [JobId(f"{parent}_{index}") for parent in range(150) for index in range(3)]
    first, second = Slurm().history_commands(ids)
    assert first.argv[-1] == f"--jobs={','.join(map(str, range(100)))}"
    assert second.argv[-1] == f"--jobs={','.join(map(str, range(100, 150)))}"


def test_history_is_not_asked_where_there_is_no_accounting() -> None:
    assert Slurm(has_accounting=False).history_commands([JobId("1")]) == ()
    assert (
        Slurm.from_facts({"accounting": "no", "version": "22.05.8"}).history_commands([JobId("1")])
        == ()
    )
    assert Slurm.from_facts({}).history_commands([JobId("1")])


def test_tasks_of_an_array_are_cancelled_in_one_word() -> None:
    ids = [JobId(f"36_{index}") for index in (5, 0, 1, 2, 9)] + [JobId("7"), JobId("7")]
    (command,) = Slurm().cancel_commands(ids)
    assert command.argv == ("scancel", "7", "36_[0-2,5,9]")


def test_many_jobs_are_cancelled_in_chunks() -> None:
    commands = Slurm().cancel_commands([JobId(str(number)) for number in range(250)])
    assert [len(command.argv) - 1 for command in commands] == [100, 100, 50]
    scattered = Slurm().cancel_commands([JobId(f"36_{2 * number}") for number in range(150)])
    assert [len(word) < 600 for command in scattered for word in command.argv] == [True] * 3


def test_nothing_to_cancel_is_no_command() -> None:
    assert Slurm().cancel_commands([]) == ()


@pytest.mark.parametrize(
    ("inherited", "expected"),
    [
        ({"SLURM_JOB_ID": "36"}, "36 0 "),
        (
            {"SLURM_JOB_ID": "41", "SLURM_ARRAY_JOB_ID": "36", "SLURM_ARRAY_TASK_ID": "5"},
            "36_5 5 ",
        ),
        ({"SLURM_JOB_ID": "36", "SLURM_JOB_END_TIME": "1795170427"}, "36 0 1795170427"),
    ],
)
def test_a_job_knows_its_id_as_it_was_submitted(inherited: dict[str, str], expected: str) -> None:
    known = Slurm.variables
    script = f'set -u; echo "{known.job_id} {known.index} {known.end_time}"'
    said = subprocess.run(
        ["/bin/sh", "-c", script], env=inherited, check=True, capture_output=True, text=True
    )
    assert said.stdout == f"{expected}\n"
