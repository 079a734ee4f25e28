"""What HTCondor is asked."""

from __future__ import annotations

import base64
import os
import re
import shlex
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dask_hpc.batch.htcondor import HTCondor
from dask_hpc.batch.model import JobId, JobSpec, Tag
from dask_hpc.errors import ConfigError
from tests.batch.jobs import GOLDEN, SMALL, asking, full, samples

if TYPE_CHECKING:
    from pathlib import Path

FULL = replace(
    full(
        '+ProjectName = "climate"',
        "requirements = HasAVX2 && Arch == $(ARCH)",
        nodes=1,
        queue=None,
        account="physics.climate",
    ),
    body="echo 'a' \"$HOME\" `id -u`\nexec true",
)
WEIRD = replace(
    SMALL,
    resources=replace(SMALL.resources, memory=0),
    body="echo \"it's $HOME\" '#1' \\\\ `id` $(id) ünï\n",
    log="/data/it's 100% a #1 $(HOME) `id` place & ünï/a.{index}.log",
    comment='it\'s "a" \\ comment $HOME `id`',
)
CONDOR = HTCondor()


def on_the_machine(description: str) -> str:
    """Return the script that a description carries."""
    return base64.b64decode(re.findall(r"`echo (\S+) \| base64 -d`", description)[0]).decode()


def arguments(description: str) -> list[str]:
    """Return the words of the arguments, as the new syntax of HTCondor has them."""
    (value,) = re.findall(r'^arguments = "(.*)"$', description, re.MULTILINE)
    words = re.findall(r"'(?:[^']|'')*'|[^ ]+", value.replace('""', '"'))
    return [word[1:-1].replace("''", "'") if word.startswith("'") else word for word in words]


@pytest.mark.parametrize(
    ("name", "job", "count"),
    samples(FULL, WEIRD),
)
def test_the_description_is_as_written_down(name: str, job: JobSpec, count: int) -> None:
    description = CONDOR.script(job, count)
    assert description == (GOLDEN / "htcondor" / f"{name}.sub").read_text(encoding="utf-8")
    script = GOLDEN / "htcondor" / f"{name}.sh"
    assert on_the_machine(description) + "\n" == script.read_text(encoding="utf-8")
    subprocess.run(["bash", "-n", script], check=True)


def test_the_description_goes_to_standard_input() -> None:
    command = CONDOR.submit_command(SMALL, 10)
    assert command.argv == ("condor_submit", "-terse", "-")
    assert command.stdin == CONDOR.script(SMALL, 10)
    assert command.stdin.endswith("\nqueue 10\n")
    assert not command.env


def test_each_job_of_an_array_has_its_log() -> None:
    job = replace(SMALL, log="/logs/{index}/a.{index}.log")
    assert "output = /logs/$(ProcId)/a.$(ProcId).log" in CONDOR.directives(job, 3)


def test_the_script_runs_where_nothing_is_inherited(tmp_path: Path) -> None:
    body = 'echo "it\'s \\\\ `echo 5` $((2+3)) ünï"; echo "$HOME $USER $LOGNAME" >&2; exit 7'
    argv = arguments(CONDOR.script(replace(SMALL, body=body)))
    done = subprocess.run(
        ["/bin/bash", *argv], env={}, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    user = subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip()
    home = os.path.expanduser(f"~{user}")  # noqa: PTH111 - as the user's entry has it
    assert done.returncode == 7
    assert done.stdout == f"it's \\ 5 5 ünï\n{home} {user} {user}\n"
    assert done.stderr == ""


def test_what_the_machine_gives_is_kept() -> None:
    argv = arguments(CONDOR.script(replace(SMALL, body='echo "$HOME $USER $PATH"; exit 0')))
    environ = {"HOME": "/there", "USER": "ada", "PATH": f"/mine:{os.environ['PATH']}"}
    done = subprocess.run(
        ["/bin/bash", *argv], env=environ, capture_output=True, text=True, check=True
    )
    assert done.stdout == f"/there ada {environ['PATH']}\n"


def test_no_dollar_sign_of_a_value_begins_a_macro() -> None:
    for job in (FULL, WEIRD):
        lines = CONDOR.script(job).splitlines()
        own = [line for line in lines if not line.startswith("requirements")]
        found = re.findall(r"\$(?:\(\w+\))?", "\n".join(own))
        assert set(found) <= {"$(ClusterId)", "$(ProcId)", "$(DOLLAR)"}


def test_memory_is_rounded_up_and_may_be_left_to_the_site() -> None:
    job = asking(memory=2**20 + 1)
    assert "request_memory = 2MB" in CONDOR.directives(job)
    assert not [line for line in CONDOR.directives(WEIRD) if "memory" in line]


def test_directives_of_the_user_come_last() -> None:
    assert CONDOR.directives(FULL)[-2:] == FULL.resources.directives


@pytest.mark.parametrize(
    ("broken", "place"),
    [
        (replace(SMALL, comment="a\nqueue 5"), "comment"),
        (replace(SMALL, tag=Tag('a" || "b')), "job name"),
        (replace(SMALL, tag=Tag("ünï")), "job name"),
        (replace(SMALL, log="/logs/\x1b[31m.log"), "log"),
        (replace(SMALL, log="/logs/a\\"), "log"),
        (replace(SMALL, log='/logs/"a"'), "log"),
        (replace(SMALL, body="echo \ud800"), "script"),
        (replace(SMALL, body="# long\n" * 20_000), "script"),
        (asking(queue="long"), "no queues"),
        (asking(nodes=2), "2 nodes"),
        (asking(account="a b"), "account"),
        (asking(directives=("a = b\nqueue",)), "dir"),
        (asking(directives=("a = b \\",)), "direct"),
    ],
)
def test_a_value_that_would_leave_its_line_is_refused(broken: JobSpec, place: str) -> None:
    with pytest.raises(ConfigError, match=place) as caught:
        CONDOR.submit_command(broken)
    assert caught.value.hint


@pytest.mark.parametrize(
    "line",
    ["queue = 3", "Batch_Name = mine", '+JobBatchName = "mine"', 'MY.JobBatchName = "a"',
     "executable = /bin/sh", "arguments=1", "ENVIRONMENT = A=1", "output = /tmp/x",
     "stream_output = False", "universe = local", "include = x", "max_materialize = 3"],
)  # fmt: skip
def test_a_directive_that_takes_the_job_away_is_refused(line: str) -> None:
    job = asking(directives=(line,))
    with pytest.raises(ConfigError, match=re.escape(repr(line))) as caught:
        CONDOR.directives(job)
    assert caught.value.hint


@pytest.mark.parametrize(
    "line",
    ["queue", "queue 3", "queue 2 a in (1 2)", "include : x", "if true", "x @=end", "", "@x"],
)
def test_what_is_no_statement_is_refused(line: str) -> None:
    job = asking(directives=(line,))
    with pytest.raises(ConfigError, match="is no statement"):
        CONDOR.directives(job)


def test_nothing_of_an_outer_job_changes_what_is_asked() -> None:
    for command in (
        CONDOR.submit_command(SMALL),
        CONDOR.status_command("ada", [SMALL.tag]),
        CONDOR.history_commands([JobId("1.0")])[0],
        CONDOR.cancel_commands([JobId("1.0")])[0],
        CONDOR.queues_command(),
    ):
        kept = [
            name
            for name in ("_CONDOR_JOB_AD", "_CONDOR_SLOT", "_CONDOR_BIN", "_CONDOR_SCHEDD_HOST")
            if not any(re.match(pattern, name) for pattern in command.drop)
        ]
        assert kept == ["_CONDOR_SCHEDD_HOST"], command.argv


def test_jobs_are_asked_for_by_name_while_that_fits_on_a_command_line() -> None:
    few = CONDOR.status_command("ada", [Tag("b"), Tag("a")])
    assert few.argv[:2] == ("condor_q", "-json")
    assert few.argv[-1] == 'Owner == "ada" && (JobBatchName == "a" || JobBatchName == "b")'
    assert few.env == {"LC_ALL": "C"}
    many = CONDOR.status_command("ada", [Tag(f"t{number}") for number in range(201)])
    assert many.argv[-1] == 'Owner == "ada"'


def test_a_name_that_no_job_can_have_is_not_written_into_the_question() -> None:
    assert CONDOR.status_command("ada", [Tag('a" || "')]).argv[-1] == 'Owner == "ada" && (False)'
    with pytest.raises(ConfigError, match="user"):
        CONDOR.status_command('ada" || "', [])


def test_history_is_asked_about_whole_arrays_in_chunks() -> None:
    ids = [JobId(f"{cluster}.{process}") for cluster in range(150) for process in range(3)]
    first, second = CONDOR.history_commands(ids)
    assert first.argv[:2] == ("condor_history", "-json")
    assert first.argv[4:] == tuple(map(str, range(100)))
    assert second.argv[4:] == tuple(map(str, range(100, 150)))


def test_many_jobs_are_cancelled_in_chunks() -> None:
    commands = CONDOR.cancel_commands([JobId(f"{number}.0") for number in range(250)])
    assert [len(command.argv) - 1 for command in commands] == [100, 100, 50]
    assert CONDOR.cancel_commands([]) == CONDOR.history_commands([]) == ()


def test_a_job_knows_its_id_as_it_was_submitted() -> None:
    (line,) = re.findall(r'^environment = "(.*)"$', CONDOR.script(SMALL), re.MULTILINE)
    pairs = line.replace("$(ClusterId)", "36").replace("$(ProcId)", "5")
    environ = dict(pair.split("=") for pair in shlex.split(pairs))
    script = f'set -u; echo "{CONDOR.variables.job_id} {CONDOR.variables.index}"'
    said = subprocess.run(
        ["/bin/sh", "-c", script], env=environ, check=True, capture_output=True, text=True
    )
    assert said.stdout == "36.5 5\n"


# anything at all ----------------------------------------------------------------------------------

ANY = st.text(max_size=30) | st.text("a+='\"\\$`#% \n(){};&|.", max_size=20)
OWN = {line.partition(" =")[0] for line in CONDOR.script(WEIRD).splitlines()}


@settings(max_examples=200, deadline=None)
@given(tag=ANY, log=ANY, directive=ANY, comment=ANY, account=ANY)
def test_no_text_changes_more_than_its_own_line(
    tag: str, log: str, directive: str, comment: str, account: str
) -> None:
    ask = replace(SMALL.resources, directives=(directive,), account=account)
    for job in (
        replace(SMALL, log=log, comment=comment),
        replace(SMALL, tag=Tag(tag), resources=ask),
        replace(SMALL, resources=replace(ask, account=None)),
    ):
        try:
            description = CONDOR.script(job)
        except ConfigError:
            continue
        lines = description.split("\n")
        plain = CONDOR.script(SMALL).split("\n")
        assert on_the_machine(description) == on_the_machine(CONDOR.script(SMALL))
        assert [line for line in lines if line.split(" =")[0] in ("executable", "arguments")] == [
            line for line in plain if line.split(" =")[0] in ("executable", "arguments")
        ]
        assert [line for line in lines if line.startswith("queue")] == ["queue 1"]
        assert not [line for line in lines if line.endswith("\\")]
        known = [line.partition(" =")[0] for line in lines[:-2]]
        extra = [name for name in known if name not in OWN]
        assert len(extra) <= 2 + len(job.resources.directives)
