"""The dialect of the local queue; its answers are those that its commands gave."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dask_hpc.batch.local import Local
from dask_hpc.batch.model import (
    BatchQueue,
    JobId,
    JobSpec,
    JobState,
    JobStatus,
    Resources,
    Tag,
)
from dask_hpc.errors import (
    BatchError,
    BatchUnavailable,
    ConfigError,
    LimitReached,
    SubmitRejected,
    UnreadableOutput,
)
from dask_hpc.process.local import LocalRunner
from dask_hpc.process.runner import Command, Result

JOB = JobSpec(
    tag=Tag("climate-abc"),
    resources=Resources(cores=2, memory=4 * 10**9, walltime=5400.0),
    body="echo hello",
    log="/home/a b/100%/{index}.log",
    comment="workers of climate",
)
SUBMITTED = '{"id": "12", "jobs": ["12_0", "12_1"]}\n'
STATUS = (
    '{"jobs": [{"id": "2_0", "tag": "climate-abc", "index": 0, "state": "running", "reason": "",'
    ' "submit_time": 1795170795.4, "start_time": 1795170795.5, "end_time": 1795176195.5,'
    ' "exit_code": null, "nodes": "vm", "cores": 1, "memory": 0}, {"id": "3", "tag": "b",'
    ' "index": 0, "state": "pending", "reason": "needs 64 cores, this machine has 2",'
    ' "submit_time": 1795170795.6, "start_time": null, "end_time": null, "exit_code": null,'
    ' "nodes": "", "cores": 64, "memory": 0}]}\n'
)
QUEUES = (
    '{"queues": [{"name": "local", "host": "vm", "cores": 2, "memory": 25276502016,'
    ' "free_cores": 1, "free_memory": 25276502016, "running": 1, "pending": 0}]}\n'
)


def result(stdout: str = "", stderr: str = "", exit_code: int = 0) -> Result:
    return Result(command=Command(argv=()), exit_code=exit_code, stdout=stdout, stderr=stderr)


def asking(**values: Any) -> JobSpec:
    return replace(JOB, resources=replace(JOB.resources, **values))


def test_the_script_says_everything_in_directives() -> None:
    script = Local().script(JOB, 3)
    head, body = script.split("\n\n")
    assert head.splitlines()[1:] == [
        "#LOCAL --name=climate-abc",
        "#LOCAL --count=3",
        "#LOCAL --cores=2",
        "#LOCAL --memory=4000000000",
        "#LOCAL --walltime=5400.0",
        "#LOCAL --output=/home/a b/100%%/%a.log",
        "#LOCAL --comment=workers of climate",
    ]
    assert body == "echo hello\n"


def test_what_the_queue_does_not_have_is_asked_for_all_the_same() -> None:
    lines = Local().directives(asking(queue="gpu", nodes=2, gpus=1))
    assert {"#LOCAL --queue=gpu", "#LOCAL --nodes=2", "#LOCAL --gpus=1"} <= set(lines)


def test_accounts_mean_nothing_here() -> None:
    assert Local().directives(asking(account="a1")) == Local().directives(JOB)


def test_the_lines_of_the_user_come_last_and_win() -> None:
    lines = Local().directives(asking(directives=("--walltime=60",)))
    assert lines[-1] == "#LOCAL --walltime=60"


@pytest.mark.parametrize("line", ["--name=x", "--count 3", "name=x"])
def test_a_line_of_the_user_that_loses_the_job_is_refused(line: str) -> None:
    with pytest.raises(ConfigError, match="directive"):
        Local().directives(asking(directives=(line,)))


@pytest.mark.parametrize(
    "job",
    [
        replace(JOB, tag=Tag("a\nb")),
        replace(JOB, log="/x\n#LOCAL --cores=9"),
        replace(JOB, comment="a\rb"),
        asking(queue="a\nb"),
        asking(directives=("a\nrm -rf x",)),
    ],
)
def test_nothing_becomes_another_line_of_the_script(job: JobSpec) -> None:
    with pytest.raises(ConfigError, match="holds the character"):
        Local().directives(job)


def test_the_commands_are_isolated_from_whatever_stands_around() -> None:
    command = Local(python="/opt/python").submit_command(JOB)
    python, *options, program, verb = command.argv
    assert (python, options, verb) == ("/opt/python", ["-I", "-S", "-X", "utf8"], "submit")
    assert Path(program).is_file()
    assert command.stdin == Local().script(JOB)
    assert (command.env, command.drop) == ({}, ("DASK_HPC_LOCAL_",))


def test_the_size_goes_with_every_command() -> None:
    local = Local.from_facts({"cores": "16", "memory": "64000000000"})
    env = {"DASK_HPC__LOCAL__CORES": "16", "DASK_HPC__LOCAL__MEMORY": "64000000000"}
    assert local.submit_command(JOB).env == local.queues_command().env == env
    assert Local.from_facts({}).submit_command(JOB).env == {}


def test_queries_name_what_they_are_about() -> None:
    local = Local()
    assert local.status_command("me", {Tag("b"), Tag("-a")}).argv[-2:] == ("--tag=-a", "--tag=b")
    assert local.status_command("me", ()).argv[-1] == "status"
    assert local.queues_command().argv[-1] == "queues"


def test_ids_go_into_few_commands() -> None:
    ids = [JobId(f"12_{index}") for index in range(2500)]
    for commands in (Local().cancel_commands(ids), Local().history_commands(ids)):
        assert len(commands) == 3
        assert [word for command in commands for word in command.argv[7:]] == ids
    assert Local().cancel_commands([]) == ()


def test_submit_answers_with_the_id_of_each_job() -> None:
    assert Local().read_submit(result(SUBMITTED), 2) == ("12_0", "12_1")
    assert Local().read_submit(result('Welcome!\n{"id": "3", "jobs": ["3"]}\n')) == ("3",)


@pytest.mark.parametrize(
    ("answer", "kind", "message", "hint"),
    [
        (
            result("", 'error: queue "gpu" is unknown to the local queue\nhint: use local\n', 1),
            SubmitRejected,
            'queue "gpu" is unknown to the local queue',
            "use local",
        ),
        (
            result("", "error: 10001 jobs in one array are too many\nhint: submit 10000\n", 1),
            LimitReached,
            "10001 jobs in one array are too many",
            "submit 10000",
        ),
        (
            result("", "error: the local queue does not answer: database is locked\n", 75),
            BatchUnavailable,
            "did not answer: the local queue does not answer: database is locked",
            "",
        ),
        (
            result("", "Traceback (most recent call last):\nMemoryError\n", 1),
            BatchUnavailable,
            "MemoryError",
            "",
        ),
        (result("", "", -9), BatchUnavailable, "exit code -9", ""),
        (result("", "", 0), UnreadableOutput, "no jobs in the answer ''", ""),
        (result("hello\n", "", 0), UnreadableOutput, "'hello'", ""),
        (result('{"jobs": 3}', "", 0), UnreadableOutput, "no jobs in the answer", ""),
        (result(SUBMITTED), UnreadableOutput, "2 ids came for 1 jobs", ""),
    ],
)
def test_a_submission_that_did_not_work_says_why(
    answer: Result, kind: type[BatchError], message: str, hint: str
) -> None:
    with pytest.raises(kind) as caught:
        Local().read_submit(answer)
    assert type(caught.value) is kind
    assert message in str(caught.value)
    assert caught.value.hint == hint
    assert caught.value.result == answer


def test_status_is_read_whole() -> None:
    assert Local().read_status(result(STATUS)) == {
        "2_0": JobStatus(
            id=JobId("2_0"),
            tag=Tag("climate-abc"),
            state=JobState.RUNNING,
            end_time=1795176195.5,
            nodes="vm",
        ),
        "3": JobStatus(
            id=JobId("3"),
            tag=Tag("b"),
            state=JobState.PENDING,
            reason="needs 64 cores, this machine has 2",
            plain_reason="needs 64 cores, this machine has 2",
        ),
    }
    assert Local().read_status(result('{"jobs": []}')) == {}


def test_a_state_of_a_newer_queue_decides_nothing() -> None:
    jobs = Local().read_status(result(STATUS.replace('"running"', '"frozen"')))
    assert jobs[JobId("2_0")].state is JobState.UNKNOWN


@pytest.mark.parametrize("read", [Local.read_status, Local.read_history, Local.read_queues])
def test_a_failed_query_is_no_empty_answer(read: Any) -> None:
    with pytest.raises(BatchUnavailable, match="is open to others"):
        read(Local(), result("", "error: /x is open to others\nhint: chmod\n", 1))
    for answer in ("", "[]", '{"jobs": [{}], "queues": [{}]}', '{"jobs": [3], "queues": [3]}'):
        with pytest.raises(UnreadableOutput):
            read(Local(), result(answer))


def test_cancel_is_done_or_not() -> None:
    Local().read_cancel(result('{"cancelled": []}'))
    with pytest.raises(BatchUnavailable):
        Local().read_cancel(result("", "error: no\n", 75))


def test_there_is_one_queue_and_it_is_the_default() -> None:
    queue = BatchQueue(
        name="local",
        is_default=True,
        max_nodes=1,
        nodes=1,
        free_nodes=1,
        cores_per_node=2,
        memory_per_node=25276502016,
    )
    assert Local().read_queues(result(QUEUES)) == (queue,)
    full = QUEUES.replace('"free_cores": 1', '"free_cores": 0')
    assert Local().read_queues(result(full)) == (replace(queue, free_nodes=0),)


@pytest.mark.slow
async def test_commands_and_dialect_understand_each_other(home: Path, weird_path: Path) -> None:
    local, runner = Local(cores=2, memory=10**9), LocalRunner()
    variables = local.variables
    line = f'echo "{variables.job_id} {variables.index} {variables.end_time}"'
    tag = Tag("weird 'tag' $HOME")
    log = str(weird_path / "100% {index}.log")
    resources = Resources(cores=1, memory=10**6, walltime=60.0)
    job = JobSpec(tag=tag, resources=resources, body=line, log=log)
    ids = local.read_submit(await runner.run(local.submit_command(job, 2)), 2)
    waiting = replace(job, resources=replace(resources, cores=64), tag=Tag("large"))
    (large,) = local.read_submit(await runner.run(local.submit_command(waiting)))

    async def ask() -> dict[JobId, JobStatus]:
        return dict(local.read_status(await runner.run(local.status_command("me", {tag}))))

    jobs = await ask()
    while not all(each.state.is_final for each in jobs.values()):
        jobs = await ask()
    assert [(each.state, each.exit_code) for each in jobs.values()] == [(JobState.DONE, 0)] * 2
    for index, job_id in enumerate(ids):
        said, place, end = (weird_path / f"100% {index}.log").read_text().split()
        assert (said, place) == (job_id, str(index))
        assert int(end) > 60

    with pytest.raises(SubmitRejected, match="2 nodes were asked for") as caught:
        local.read_submit(await runner.run(local.submit_command(asking(nodes=2))))
    assert caught.value.hint == "ask for 1"

    (command,) = local.cancel_commands([*ids, large, JobId("99")])
    local.read_cancel(await runner.run(command))
    (command,) = local.history_commands([large])
    history = local.read_history(await runner.run(command))
    assert history[large].state is JobState.CANCELLED
    (queue,) = local.read_queues(await runner.run(local.queues_command()))
    assert (queue.cores_per_node, queue.memory_per_node, queue.free_nodes) == (2, 10**9, 1)

    stop = Command(argv=(*local.queues_command().argv[:-1], "stop"))
    stopped = await runner.run(stop)
    assert stopped.stdout == '{"stopped": true}\n'
