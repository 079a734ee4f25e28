from __future__ import annotations

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dask_hpc._clock import until_now
from dask_hpc.batch.model import JobId, Tag
from dask_hpc.batch.script import Program, job_body
from dask_hpc.batch.system import JobVariables
from dask_hpc.cluster.jobrecords import JobRecord, JobRecords
from dask_hpc.cluster.slot import Slot
from dask_hpc.errors import ConfigError
from tests.places import scratch

if TYPE_CHECKING:
    from collections.abc import Mapping

VARIABLES = JobVariables(
    job_id="$BATCH_JOB", index="${BATCH_INDEX:-0}", end_time="${BATCH_END_TIME:-}"
)
TAG = Tag("climate-2_b-abcd2345")
SLOT = Slot(TAG, 4)
SHELLS = [shell for shell in ("bash", "dash") if shutil.which(shell)]
SECONDS = 10.0  # until a shell that hangs is given up

# Says that it is ready, waits for one signal, writes down which, and exits with 5.
WAITS_FOR_A_SIGNAL = """
import pathlib, signal, sys
signals = {signal.SIGTERM, signal.SIGUSR1}
signal.pthread_sigmask(signal.SIG_BLOCK, signals)
pathlib.Path("ready").touch()
pathlib.Path("got").write_text(signal.Signals(signal.sigwait(signals)).name)
sys.exit(5)
"""
DUMPS_ARGV = ("sh", "-c", r"""printf '%s\0' "$@" >"$0" """)


@dataclass(frozen=True, kw_only=True)
class Job:
    """A job's script on disk, with the places that it knows; it is run by one shell."""

    shell: str
    place: Path
    argv: tuple[str, ...] = ("true",)
    prologue: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    walltime: float | None = 3600.0

    @property
    def records(self) -> Path:
        return self.place / "jobs"

    def body(self) -> str:
        program = Program(
            argv=self.argv,
            prologue=self.prologue,
            environment=dict(self.environment),
            python_path=self.place / "lib",
        )
        return job_body(program, VARIABLES, tag=TAG, records=self.records, walltime=self.walltime)

    def start(self, environ: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
        script = self.place / "script"
        script.write_text(self.body(), encoding="utf-8")
        own = {"PATH": os.environ["PATH"], "BATCH_JOB": "17_4", "BATCH_INDEX": "4"}
        return subprocess.Popen(
            [self.shell, str(script)],
            cwd=self.place,
            env=own | dict(environ or {}),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, environ: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        shell = self.start(environ)
        stdout, stderr = shell.communicate(timeout=SECONDS)
        return subprocess.CompletedProcess(shell.args, shell.returncode, stdout, stderr)

    def signalled(self, number: signal.Signals) -> int:
        """Run it until its program waits, send its shell a signal, and return the exit code."""
        shell = self.start()
        try:
            assert until_now((self.place / "ready").exists, SECONDS)
            shell.send_signal(number)
            shell.communicate(timeout=SECONDS)
        finally:
            shell.kill()
        return shell.returncode

    @property
    def start_record(self) -> JobRecord | None:
        return self._read().starts.get(SLOT)

    @property
    def end_record(self) -> JobRecord | None:
        return self._read().ends.get(SLOT)

    @property
    def exit_code(self) -> int | None:
        assert self.end_record
        return self.end_record.code

    def _read(self) -> JobRecords:
        records = JobRecords(self.records)
        records.refresh()
        return records


def job_in(place: Path, shell: str) -> Job:
    (place / "jobs").mkdir(parents=True)
    return Job(shell=shell, place=place)


@pytest.fixture(params=SHELLS)
def job(request: pytest.FixtureRequest, tmp_path: Path) -> Job:
    return job_in(tmp_path, request.param)


def python(code: str) -> tuple[str, ...]:
    return (sys.executable, "-I", "-S", "-c", code)


# records ------------------------------------------------------------------------------------------


def test_a_job_says_where_it_runs_when_it_began_and_how_it_ended(job: Job) -> None:
    assert job.run().returncode == 0
    begun, ended = job.start_record, job.end_record
    assert begun
    assert ended
    assert begun == JobRecord(
        slot="climate-2_b-abcd2345.4",
        job=JobId("17_4"),
        host=os.uname().nodename,
        time=begun.time,
        end_time=begun.end_time,
    )
    assert ended == replace(begun, time=ended.time, code=0)
    assert ended.time >= begun.time
    assert sorted(path.name for path in job.records.iterdir()) == [f"{SLOT}.end", f"{SLOT}.start"]


def test_a_record_is_one_json_object_of_known_keys(job: Job) -> None:
    job.run()
    text = (job.records / f"{SLOT}.start").read_text(encoding="utf-8")
    assert text.endswith("}\n")
    assert list(json.loads(text)) == ["slot", "job", "host", "time", "end_time", "code"]


def test_the_start_record_is_there_before_the_prologue_runs(job: Job) -> None:
    run = replace(job, prologue=("cat jobs/*.start",)).run()
    assert json.loads(run.stdout)["code"] is None


def test_a_record_appears_whole_because_it_is_renamed(job: Job) -> None:
    # `mv` of the user's lines stands in for a reader that looks just before the rename.
    prologue = ('mv() { cat "$2" >seen; ls jobs >names; command mv "$@"; }',)
    replace(job, prologue=prologue).run()
    assert json.loads((job.place / "seen").read_text(encoding="utf-8"))["code"] == 0
    names = (job.place / "names").read_text(encoding="utf-8").split()
    assert f"{SLOT}.end" not in names
    assert len(names) == 2


@pytest.mark.parametrize("code", [0, 1, 7, 98, 127])
def test_the_exit_code_of_the_program_is_the_jobs(job: Job, code: int) -> None:
    job = replace(job, argv=("sh", "-c", f"exit {code}"))
    assert job.run().returncode == code
    assert job.exit_code == code


@pytest.mark.parametrize("code", [99, 100])
def test_codes_that_grid_engine_gives_a_meaning_to_are_changed_but_recorded(
    job: Job, code: int
) -> None:
    job = replace(job, argv=("sh", "-c", f"exit {code}"))
    assert job.run().returncode == 98
    assert job.exit_code == code


def test_a_program_that_does_not_exist_leaves_the_shells_code_for_it(job: Job) -> None:
    job = replace(job, argv=("/nonexistent/python", "-m", "x"))
    run = job.run()
    assert run.returncode == job.exit_code == 127
    assert "/nonexistent/python" in run.stderr


def test_a_job_outlives_its_records(job: Job) -> None:
    job = replace(job, argv=("sh", "-c", "rm -r jobs; exit 3"))
    run = job.run()
    assert run.returncode == 3
    assert run.stderr == ""


def test_a_job_without_a_place_for_records_runs_all_the_same(job: Job) -> None:
    job.records.rmdir()
    run = replace(job, argv=("echo", "ran")).run()
    assert run.stdout.startswith("ran")
    assert run.stderr == ""


# prologue -----------------------------------------------------------------------------------------


def test_a_prologue_that_exits_ends_the_job_with_its_code(job: Job) -> None:
    job = replace(job, prologue=("echo before", "exit 7", "echo after"), argv=("echo", "ran"))
    run = job.run()
    assert (run.returncode, run.stdout) == (7, "before\n")
    assert job.exit_code == 7


def test_a_prologue_line_that_fails_does_not_end_the_job(job: Job) -> None:
    assert replace(job, prologue=("false",)).run().returncode == 0


@pytest.mark.parametrize("strict", ["set -e", "set -eu", "set -u", "set -f", "set -C"])
def test_strict_shell_options_of_a_prologue_are_survived(job: Job, strict: str) -> None:
    job = replace(job, prologue=(strict,), argv=("sh", "-c", "exit 3"))
    run = job.run()
    assert (run.returncode, run.stderr) == (3, "")
    assert job.exit_code == 3


def test_a_prologue_that_stops_at_errors_ends_the_job_at_its_first(job: Job) -> None:
    job = replace(job, prologue=("set -e", "sh -c 'exit 6'"), argv=("echo", "ran"))
    run = job.run()
    assert (run.returncode, run.stdout) == (6, "")
    assert job.exit_code == 6


def test_a_strict_prologue_and_lost_records_leave_the_exit_code(job: Job) -> None:
    job = replace(job, prologue=("set -e",), argv=("sh", "-c", "rm -r jobs; exit 3"))
    assert job.run().returncode == 3


def test_a_background_job_of_the_prologue_is_not_taken_for_the_program(job: Job) -> None:
    job = replace(job, prologue=("sh -c 'exit 9' &",), argv=("sh", "-c", "exit 3"))
    assert job.run().returncode == 3


def test_a_prologue_sets_what_the_program_sees(job: Job) -> None:
    prologue = ("export FLAVOUR=mild", "cd jobs")
    run = replace(job, prologue=prologue, argv=("sh", "-c", 'echo "$FLAVOUR $PWD"')).run()
    assert run.stdout == f"mild {job.records}\n"


def test_a_null_character_in_the_prologue_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="null character"):
        replace(job_in(tmp_path, "bash"), prologue=("a\0b",)).body()


# signals ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("strict", ["", "set -e"])
@pytest.mark.parametrize("name", ["SIGTERM", "SIGUSR1"])
def test_a_signal_is_passed_on_and_the_programs_own_code_reported(
    job: Job, name: str, strict: str
) -> None:
    job = replace(job, argv=python(WAITS_FOR_A_SIGNAL), prologue=(strict,))
    assert job.signalled(signal.Signals[name]) == 5
    assert (job.place / "got").read_text(encoding="utf-8") == name
    assert job.exit_code == 5


def test_an_interrupt_reaches_the_program_as_the_order_to_end(job: Job) -> None:
    job = replace(job, argv=python(WAITS_FOR_A_SIGNAL))
    assert job.signalled(signal.SIGINT) == 5
    assert (job.place / "got").read_text(encoding="utf-8") == "SIGTERM"


def test_a_program_that_a_signal_kills_leaves_128_and_its_number(job: Job) -> None:
    job = replace(job, argv=("sh", "-c", "touch ready; exec tail -f /dev/null"))
    assert job.signalled(signal.SIGTERM) == 128 + signal.SIGTERM
    assert job.exit_code == 128 + signal.SIGTERM


def test_the_code_of_a_program_that_ends_while_the_signal_is_passed_on_is_not_lost(
    job: Job,
) -> None:
    # The user's `kill` returns only when the shell has noticed that the program is gone.
    waits = "while [ -d /proc/$3 ] && grep -q 'State:.[^Z]' /proc/$3/status; do :; done"
    prologue = (f'kill() {{ command kill "$@" && if [ "$1" = -s ]; then {waits}; fi; }} 2>&-',)
    job = replace(job, argv=python(WAITS_FOR_A_SIGNAL), prologue=prologue)
    assert job.signalled(signal.SIGTERM) == 5
    assert job.exit_code == 5


def test_a_signal_in_the_prologue_ends_the_job_before_its_program(job: Job) -> None:
    job = replace(job, prologue=("kill -s TERM $$", "echo after"), argv=("echo", "ran"))
    run = job.run()
    assert (run.returncode, run.stdout) == (143, "")
    assert job.exit_code == 143


def test_a_trap_of_the_users_own_does_not_end_the_wait(job: Job) -> None:
    # It interrupts the shell's `wait`, and is none of the signals that are passed on.
    job = replace(job, argv=python(WAITS_FOR_A_SIGNAL), prologue=("trap 'touch hup' HUP",))
    shell = job.start()
    try:
        assert until_now((job.place / "ready").exists, SECONDS)
        shell.send_signal(signal.SIGHUP)
        assert until_now((job.place / "hup").exists, SECONDS)
        assert shell.poll() is None
        shell.send_signal(signal.SIGTERM)
        shell.communicate(timeout=SECONDS)
    finally:
        shell.kill()
    assert shell.returncode == 5


# what the program gets ----------------------------------------------------------------------------


def dumped(path: Path) -> list[str]:
    return path.read_bytes().decode().split("\0")[:-1]


def test_the_program_learns_its_place_its_job_and_its_end(job: Job) -> None:
    job = replace(job, argv=(*DUMPS_ARGV, "dump", "--directory", "/x"))
    job.run({"BATCH_END_TIME": "1700000000"})
    assert dumped(job.place / "dump") == [
        "--directory", "/x", "--slot", str(SLOT), "--job", "17_4", "--end-time", "1700000000",
    ]  # fmt: skip


def test_outside_of_an_array_a_job_is_the_first(job: Job) -> None:
    job.run({"BATCH_INDEX": ""})
    assert (job.records / f"{TAG}.0.start").exists()


def test_the_end_time_of_the_batch_system_wins_over_the_walltime(job: Job) -> None:
    job.run({"BATCH_END_TIME": "1700000000"})
    assert job.start_record
    assert job.start_record.end_time == 1700000000


@pytest.mark.parametrize("words", ["N/A", "infinite", "1700000000 or so", "-1"])
def test_an_end_time_that_is_no_number_of_seconds_is_none(job: Job, words: str) -> None:
    replace(job, walltime=None).run({"BATCH_END_TIME": words})
    assert job.start_record
    assert job.start_record.end_time is None


def test_without_an_end_time_the_walltime_counts_from_the_beginning(job: Job) -> None:
    replace(job, walltime=90.5).run()
    begun = job.start_record
    assert begun
    assert begun.end_time
    assert begun.end_time - 90 == pytest.approx(begun.time, abs=1)


def test_without_both_nobody_knows_the_end(job: Job) -> None:
    job = replace(job, walltime=None, argv=(*DUMPS_ARGV, "dump"))
    job.run()
    assert job.start_record
    assert job.start_record.end_time is None
    assert dumped(job.place / "dump")[-2:] == ["--end-time", ""]


def test_variables_that_are_set_already_are_kept(job: Job) -> None:
    ours = (("OMP_NUM_THREADS", "1"), ("MKL_NUM_THREADS", "1"), ("FLAVOUR", '$(id) "it\'s" `id`'))
    prologue = ("export MKL_NUM_THREADS=4",)
    show = ("sh", "-c", 'echo "$OMP_NUM_THREADS|$MKL_NUM_THREADS|$FLAVOUR"')
    run = replace(job, environment=ours, prologue=prologue, argv=show).run({"OMP_NUM_THREADS": "8"})
    assert run.stdout == '8|4|$(id) "it\'s" `id`\n'


def test_our_package_comes_first_on_pythons_path_and_the_users_stays(job: Job) -> None:
    job = replace(job, argv=("sh", "-c", 'echo "$PYTHONPATH"'))
    assert job.run().stdout == f"{job.place}/lib\n"
    assert job.run({"PYTHONPATH": "/users/own"}).stdout == f"{job.place}/lib:/users/own\n"


def test_the_users_umask_is_left_alone(job: Job) -> None:
    job = replace(job, prologue=("umask 027",), argv=("sh", "-c", "touch made"))
    job.run()
    assert stat.S_IMODE((job.place / "made").stat().st_mode) == 0o640


def test_the_program_reads_nothing_from_the_jobs_input(job: Job) -> None:
    assert replace(job, argv=("sh", "-c", "cat")).run().returncode == 0


# weird names --------------------------------------------------------------------------------------


@pytest.mark.parametrize("shell", SHELLS)
def test_paths_of_any_name_work(weird_path: Path, shell: str) -> None:
    job = job_in(weird_path, shell)
    (weird_path / "lib").mkdir()
    (weird_path / "lib" / "found_here.py").write_text("NAME = __file__\n", encoding="utf-8")
    interpreter = weird_path / "python"
    interpreter.symlink_to(sys.executable)
    argv = (
        str(interpreter),
        "-S",
        "-c",
        "import found_here, sys; print(sys.argv[1])",
        str(weird_path),
    )
    run = replace(job, argv=argv).run()
    assert (run.returncode, run.stdout, run.stderr) == (0, f"{weird_path}\n", "")
    assert job.exit_code == 0


CANARIES = st.sampled_from(
    ["$(touch canary)", "`touch canary`", "'; touch canary; '", '"; touch canary; "', "\\", "'",
     "\n touch canary\n", "${IFS}", "*", "~", "!!", "{records}", "%s", "-n", "", " ", "&", "#"]
)  # fmt: skip
ANY_TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"))
WORDS = st.lists(st.one_of(CANARIES, ANY_TEXT, st.tuples(CANARIES, ANY_TEXT).map("".join)))


@pytest.mark.parametrize("shell", SHELLS)
@settings(max_examples=15, deadline=None)
@given(words=WORDS)
def test_any_word_arrives_verbatim_and_nothing_is_executed(shell: str, words: list[str]) -> None:
    with scratch() as place:
        job = replace(job_in(place, shell), argv=(*DUMPS_ARGV, "dump", *words))
        run = job.run()
        assert (run.returncode, run.stderr) == (0, "")
        assert dumped(place / "dump")[: -len(OURS)] == words
        assert {path.name for path in place.iterdir()} == {"jobs", "script", "dump"}


OURS = ("--slot", str(SLOT), "--job", "17_4", "--end-time", "?")


@settings(max_examples=15, deadline=None)
@given(words=WORDS, name=ANY_TEXT, walltime=st.none() | st.floats(1, 1e7))
def test_every_script_is_one_that_bash_can_read(
    words: list[str], name: str, walltime: float | None
) -> None:
    job = Job(
        shell="bash",
        place=Path("/") / name,
        argv=("program", *words),
        environment=(("NAME", name),),
        walltime=walltime,
    )
    run = subprocess.run(
        ["bash", "-n"],
        input=job.body(),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert (run.returncode, run.stderr) == (0, "")


def test_a_tag_that_cannot_be_in_the_name_of_a_file_is_refused(tmp_path: Path) -> None:
    program = Program(argv=("true",), prologue=(), environment={}, python_path=tmp_path)
    with pytest.raises(ConfigError, match="'a/b'"):
        job_body(program, VARIABLES, tag=Tag("a/b"), records=tmp_path, walltime=None)
