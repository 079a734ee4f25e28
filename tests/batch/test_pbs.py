"""What PBS is asked."""

from __future__ import annotations

import re
import shlex
import subprocess
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dask_hpc.batch.moab import Moab
from dask_hpc.batch.model import JobId, JobSpec, Tag
from dask_hpc.batch.pbs import PBS
from dask_hpc.batch.programs import is_in_job, programs_of
from dask_hpc.batch.torque import Torque
from dask_hpc.errors import ConfigError
from dask_hpc.launch.launchers import LAUNCHERS
from tests.batch.jobs import GOLDEN, SMALL, asking, full, samples

if TYPE_CHECKING:
    from pathlib import Path

FULL = full("-P climate", "-l place=scatter:excl", "-W umask=077")
WEIRD = replace(
    SMALL,
    resources=replace(
        SMALL.resources, memory=0, queue="long jobs", account='it\'s "the" `id` of #1 \\ $HOME'
    ),
    log="/data/it's 100% a #1 place & ünï $(id)/a:b.{index}.log",
)
SYSTEMS = [PBS, Torque, Moab]


@pytest.mark.parametrize("system", SYSTEMS, ids=lambda system: system.name)
@pytest.mark.parametrize(
    ("name", "job", "count"),
    samples(FULL, WEIRD),
)
def test_the_script_is_as_written_down(
    system: type[PBS], name: str, job: JobSpec, count: int
) -> None:
    path = GOLDEN / system.name / f"{name}.sh"
    assert system().script(job, count) == path.read_text(encoding="utf-8")
    subprocess.run(["bash", "-n", path], check=True)


@pytest.mark.parametrize("system", SYSTEMS, ids=lambda system: system.name)
def test_the_log_is_taken_by_the_letter(system: type[PBS], tmp_path: Path) -> None:
    directory = tmp_path / "it's 100% a #1 place & ünï $(id)"
    directory.mkdir()
    job = replace(SMALL, body="echo out; echo err >&2", log=str(directory / "a:b.{index}.log"))
    script = system().script(job, 9)
    index = {"PBS_ARRAY_INDEX": "3", "PBS_ARRAYID": "3", "MOAB_JOBARRAYINDEX": "3"}
    said = subprocess.run(
        ["bash"], input=script, env=index, check=True, capture_output=True, text=True
    )
    assert (said.stdout, said.stderr) == ("", "")
    assert (directory / "a:b.3.log").read_text(encoding="utf-8") == "out\nerr\n"


def test_one_job_is_no_array() -> None:
    # PBS refuses an array of one.
    command = PBS().submit_command(SMALL)
    assert command.argv == ("qsub", "-f")
    assert "dask-climate-7f3a.0.log 2>&1\n" in (command.stdin or "")
    assert "#PBS -r n\n" in (command.stdin or "")


def test_several_jobs_are_one_array_which_pbs_may_run_again() -> None:
    command = PBS().submit_command(SMALL, 10)
    assert command.argv == ("qsub", "-f", "-J", "0-9")
    # qsub: cannot submit non-rerunable Array Job
    assert "#PBS -r" not in (command.stdin or "")


def test_torque_has_other_words_for_an_array() -> None:
    assert Torque().submit_command(SMALL, 10).argv == ("qsub", "-t", "0-9")
    assert "#PBS -r n\n" in (Torque().submit_command(SMALL, 10).stdin or "")


def test_moab_has_a_command_of_its_own() -> None:
    assert Moab().submit_command(SMALL).argv == ("msub", "-E")
    assert Moab().submit_command(SMALL, 10).argv == (
        "msub", "-E", "-t", "dask-climate-7f3a[0-9]",
    )  # fmt: skip
    assert Moab().cancel_commands([JobId("7[1]")])[0].argv == ("canceljob", "7[1]")


@pytest.mark.parametrize(
    ("walltime", "written"),
    [(60, "00:01:00"), (86400, "24:00:00"), (359999, "99:59:59"), (1209600, "336:00:00")],
)
def test_a_walltime_is_written_in_hours(walltime: float, written: str) -> None:
    assert f"#PBS -l walltime={written}" in PBS().directives(asking(walltime=walltime))


def test_memory_is_rounded_up_to_what_pbs_counts_in() -> None:
    job = asking(memory=2**20 + 1, nodes=3)
    assert "#PBS -l select=3:ncpus=1:mem=2mb" in PBS().directives(job)
    # Torque's mem is for all nodes together.
    assert "#PBS -l mem=4mb" in Torque().directives(job)


def test_a_job_without_memory_leaves_the_amount_to_the_site() -> None:
    for system in SYSTEMS:
        assert not [line for line in system().directives(WEIRD) if "mem=" in line]


def test_gpus_are_asked_for_on_each_node() -> None:
    job = asking(gpus=2, nodes=3, memory=0)
    assert "#PBS -l select=3:ncpus=1:ngpus=2" in PBS().directives(job)
    assert "#PBS -l place=scatter" in PBS().directives(job)
    assert "#PBS -l nodes=3:ppn=1:gpus=2" in Torque().directives(job)


def test_what_a_user_asks_for_in_directives_is_asked_for_once() -> None:
    # qsub would take both, or refuse both.
    job = asking(walltime=60, directives=("-l select=1:ncpus=2:scratch=1gb,walltime=2:00:00",))
    lines = [line for line in PBS().directives(job) if "-l" in line]
    assert lines == ["#PBS -l select=1:ncpus=2:scratch=1gb,walltime=2:00:00"]
    quoted = asking(directives=("-j oe '-lnodes=1:ppn=4:fat,mem=9gb'",))
    lines = [line for line in Torque().directives(quoted) if "-l" in line]
    assert lines == ["#PBS -j oe '-lnodes=1:ppn=4:fat,mem=9gb'"]


@pytest.mark.parametrize(
    ("broken", "place"),
    [
        (replace(SMALL, log="/logs/\x1b[31m.log"), "log"),
        (replace(SMALL, log="/logs/a\nid"), "log"),
        (asking(queue="a\u2028b"), "queue"),
        (asking(account="a\0b"), "account"),
        (asking(directives=("-q x\nid",)), "directive"),
        (asking(directives=("-q x\\",)), "directive"),
        (asking(directives=("-q 'x",)), "directive"),
    ],
)
def test_a_value_that_would_leave_its_line_is_refused(broken: JobSpec, place: str) -> None:
    with pytest.raises(ConfigError, match=place) as caught:
        PBS().submit_command(broken)
    assert caught.value.hint


@pytest.mark.parametrize(
    "name", ["a,b", "a b", "7up", "-x", "", "a/b", "ä", "a$b", "a" * 231, "a\n", "a'b"]
)
@pytest.mark.parametrize("system", SYSTEMS, ids=lambda system: system.name)
def test_a_name_that_pbs_does_not_take_is_refused(system: type[PBS], name: str) -> None:
    with pytest.raises(ConfigError, match="job name") as caught:
        system().submit_command(replace(SMALL, tag=Tag(name)))
    assert caught.value.hint


@pytest.mark.parametrize(
    "line",
    [
        "-J 0-3", "-J0-3", "-t 1-4", "-q x -t 3", "-N mine", "-hN mine", "'-N' mine", "\\-N mine",
        "-W block=true", "-Wumask=7,block=1", "-W Job_Name=x", "-V", "-hV", "-I", "-z", "-u bob",
        "-C '#X'", "-- /bin/sh", '-A "x\\" -N evil"', "-n -N evil",
    ],
)  # fmt: skip
def test_a_directive_that_takes_the_job_away_is_refused(line: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(repr(line))) as caught:
        PBS().directives(asking(directives=(line,)))
    assert caught.value.hint


@pytest.mark.parametrize(
    "line",
    [
        "-P climate",
        "-W group_list=a,umask=077",
        "-A 'a -N b'",
        "-lwalltime=1",
        "-h",
        "-p -5",
        "-S -N",
    ],
)
def test_other_directives_are_taken_as_they_are(line: str) -> None:
    assert PBS().directives(asking(directives=(line,)))[-1] == f"#PBS {line}"


@pytest.mark.parametrize("system", SYSTEMS, ids=lambda system: system.name)
def test_no_default_of_the_user_or_of_an_outer_job_changes_what_is_asked(system: type[PBS]) -> None:
    dialect = system()
    inherited = ["PBS_DPREFIX", "PBS_JOBID", "PBS_ARRAY_INDEX", "PBS_ARRAYID", "PBS_O_WORKDIR"]
    inherited += ["PBS_QSTAT_NO_COMPLETE", "PBS_QSTAT_EXECONLY", "PBS_WALLTIME", "PBS_NODEFILE"]
    meant = ["PBS_SERVER", "PBS_DEFAULT", "PBS_CONF_FILE", "HOME", "MY_PBS_JOBID"]
    for command in (
        dialect.submit_command(SMALL),
        dialect.status_command("ada", [SMALL.tag]),
        dialect.cancel_commands([JobId("1.x")])[0],
        dialect.queues_command(),
    ):
        kept = [
            name
            for name in [*inherited, *meant]
            if not any(re.match(pattern, name) for pattern in command.drop)
        ]
        assert kept == meant, command.argv


def test_answers_come_in_plain_english_and_utc() -> None:
    assert PBS().status_command("ada", []).env == {"LC_ALL": "C", "TZ": "UTC0"}
    assert not PBS().submit_command(SMALL).env


def test_one_question_is_about_all_jobs() -> None:
    # With -u, qstat does not tell all: PBS calls it conflicting options, Torque answers in text.
    tags = [Tag("a"), Tag("b")]
    assert PBS().status_command("ada", tags).argv == ("qstat", "-t", "-f", "-F", "json")
    assert Torque().status_command("ada", tags).argv == ("qstat", "-t", "-x")


def test_history_is_asked_about_whole_arrays_in_chunks_the_newest_first() -> None:
    # After the first id that it does not know, qstat prints nothing.
    ids = [JobId(f"{parent}[{index}].x") for parent in range(150) for index in range(3)]
    first, second = PBS().history_commands([*ids, JobId("1000.x")])
    assert first.argv[:8] == ("qstat", "-x", "-t", "-f", "-F", "json", "1000.x", "149[].x")
    assert second.argv[-1] == "0[].x"
    assert len(second.argv) == 6 + 51


def test_history_is_not_asked_where_there_is_none() -> None:
    assert PBS(has_history=False).history_commands([JobId("1.x")]) == ()
    assert PBS.from_facts({"history": "no"}).history_commands([JobId("1.x")]) == ()
    assert PBS.from_facts({}).history_commands([JobId("1.x")])
    assert Torque.from_facts({}).history_commands([JobId("1.x")]) == ()
    assert Moab().history_commands([JobId("1")]) == ()


def test_neighbours_in_an_array_are_cancelled_in_one_word() -> None:
    ids = [JobId(f"36[{index}].x") for index in (5, 0, 1, 2, 9)] + [JobId("7.x"), JobId("7.x")]
    (command,) = PBS().cancel_commands(ids)
    assert command.argv == ("qdel", "36[0-2].x", "36[5].x", "36[9].x", "7.x")
    (command,) = Torque().cancel_commands(ids)
    assert command.argv == (
        "qdel", "36[5].x", "36[0].x", "36[1].x", "36[2].x", "36[9].x", "7.x",
    )  # fmt: skip


@pytest.mark.parametrize("system", SYSTEMS, ids=lambda system: system.name)
def test_many_jobs_are_cancelled_in_chunks(system: type[PBS]) -> None:
    commands = system().cancel_commands([JobId(f"{number}.x") for number in range(250)])
    assert [len(command.argv) - 1 for command in commands] == [100, 100, 50]
    assert system().cancel_commands([]) == ()


@pytest.mark.parametrize(
    ("system", "inherited", "expected"),
    [
        (PBS, {"PBS_JOBID": "39.login1"}, "39.login1 0 "),
        (PBS, {"PBS_JOBID": "0:39.login1"}, "39.login1 0 "),
        (PBS, {"PBS_JOBID": "42[1].login1", "PBS_ARRAY_INDEX": "1"}, "42[1].login1 1 "),
        (Torque, {"PBS_JOBID": "38.login1"}, "38.login1 0 "),
        (Torque, {"PBS_JOBID": "39[2].login1", "PBS_ARRAYID": "2"}, "39[2].login1 2 "),
        (Moab, {"PBS_JOBID": "39.login1.site"}, "39 0 "),
        (Moab, {"PBS_JOBID": "39[2].login1", "MOAB_JOBARRAYINDEX": "2"}, "39[2] 2 "),
    ],
)
def test_a_job_knows_its_id_as_it_was_submitted(
    system: type[PBS], inherited: dict[str, str], expected: str
) -> None:
    known = system.variables
    script = f'set -u; echo "{known.job_id} {known.index} {known.end_time}"'
    said = subprocess.run(
        ["/bin/sh", "-c", script], env=inherited, check=True, capture_output=True, text=True
    )
    assert said.stdout == f"{expected}\n"


def test_torque_says_how_long_a_job_may_run() -> None:
    script = f"set -u; echo $(({Torque.variables.end_time} - $(date +%s)))"
    said = subprocess.run(
        ["/bin/sh", "-c", script],
        env={"PBS_WALLTIME": "3600", "PATH": "/usr/bin:/bin"},
        check=True,
        capture_output=True,
        text=True,
    )
    assert int(said.stdout) in (3599, 3600)


@pytest.mark.parametrize(
    ("system", "names"),
    [
        (PBS, {"qsub", "qstat", "qdel"}),
        (Torque, {"qsub", "qstat", "qdel"}),
        (Moab, {"msub", "qstat", "canceljob"}),
    ],
)
def test_the_programs_of_the_systems_are_known(system: type[PBS], names: set[str]) -> None:
    assert system.launcher in LAUNCHERS
    assert programs_of(system()).names == names
    assert is_in_job(system(), {"PBS_JOBID": "1.x"})
    assert not is_in_job(system(), {"PBS_SERVER": "x"})


# anything at all ----------------------------------------------------------------------------------

TEXT = st.text(max_size=20) | st.text("abc \t\n'\"\\$`#;:,=-{index}\x00\u2028é", max_size=20)


@settings(max_examples=150, deadline=None)
@given(log=TEXT, queue=TEXT, account=TEXT, directive=TEXT, name=TEXT, count=st.integers(1, 2))
def test_no_value_leaves_its_place(
    *, log: str, queue: str, account: str, directive: str, name: str, count: int
) -> None:
    for system in SYSTEMS:
        plain = system().script(SMALL, count).splitlines()
        for job in (
            replace(SMALL, log=f"/{log}"),
            replace(SMALL, tag=Tag(name)),
            asking(queue=queue),
            asking(account=account),
            asking(directives=(directive,)),
        ):
            with suppress(ConfigError):
                script = system().script(job, count)
                assert "\r" not in script
                written = script.split("\n")[:-1]
                kept = [line for line in written if not line.startswith(("#PBS ", "exec >>"))]
                assert kept == [line for line in plain if not line.startswith(("#PBS ", "exec >>"))]
                (redirection,) = [line for line in written if line.startswith("exec >>")]
                words = shlex.split(redirection.removeprefix("exec >>"))
                assert words[1:] == ["2>&1"]
                assert "/a" in words[0] or job.log == f"/{log}"


@settings(max_examples=100, deadline=None)
@given(value=st.text(st.characters(exclude_categories=["C", "Z"]) | st.just(" "), min_size=1))
def test_qsub_reads_a_value_as_it_was_given(value: str) -> None:
    lines = PBS().directives(asking(queue=value))
    (line,) = [line for line in lines if line.startswith("#PBS -q ")]
    assert make_argv(line.removeprefix("#PBS ")) == ["-q", value]


def make_argv(line: str) -> list[str]:
    """Split a directive as OpenPBS and Torque do: a backslash is one inside quotation marks."""
    words: list[str] = []
    word, quotation = "", ""
    letters = iter(line)
    for letter in letters:
        if quotation:
            word, quotation = (word, "") if letter == quotation else (word + letter, quotation)
        elif letter in "'\"":
            quotation = letter
        elif letter == "\\":
            word += next(letters)
        elif letter == " ":
            words, word = [*words, word], ""
        else:
            word += letter
    assert not quotation
    return [*words, word]
