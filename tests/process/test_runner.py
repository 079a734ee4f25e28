"""What every runner keeps of the interface: the same suite for this machine and over ssh."""

from __future__ import annotations

import asyncio
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dask_hpc._clock import SystemClock, until
from dask_hpc.errors import BatchUnavailable, CommandMissing
from dask_hpc.process.local import LocalRunner
from dask_hpc.process.runner import Command
from dask_hpc.process.ssh import SSHOptions, SSHRunner
from tests.process.traces import is_gone, is_there, living, new_trace

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dask_hpc.process.runner import Runner

_BIG = "0123456789abcde\n" * 330_000  # more than 5 MB
_WORDS = (
    *("a b", "it's", 'say "so"', "$HOME", "$(id)", "`id`", "${x:?no}", "*", "~", "-n", "--", ""),
    *("two\nlines", "\n", "ends\n\n", "\\n\\", "!!", "!x", "ünï 码 😀", "tab\there", "a;b&c|d>e<f"),
    *("#x", "%s", "\x01\x1e\x7f", "\r", "x" * 100_000),
)


@pytest.fixture(params=["here", pytest.param("ssh", marks=pytest.mark.bed("sshd"))])
def runner(request: pytest.FixtureRequest) -> Runner:
    if request.param == "here":
        return LocalRunner()
    config = request.getfixturevalue("sshd").config()
    return SSHRunner(host="login", options=SSHOptions(config=config))


@pytest.fixture
def moment(runner: Runner) -> float:
    """Seconds after which a command has begun."""
    return 0.3 if isinstance(runner, LocalRunner) else 3


@pytest.fixture
def meeting_place() -> Iterator[Path]:
    """A directory where the user of the bed may write, too."""
    with tempfile.TemporaryDirectory() as path:
        place = Path(path)
        place.chmod(0o777)
        yield place


def _shell(script: str, *words: str) -> tuple[str, ...]:
    return ("sh", "-c", script, "sh", *words)


async def test_output_error_and_exit_code_are_told_apart(runner: Runner) -> None:
    result = await runner.run(Command(argv=_shell("echo out; echo err >&2; exit 3")))
    assert (result.stdout, result.stderr, result.exit_code) == ("out\n", "err\n", 3)
    assert result.words == "err"


async def test_the_result_names_the_command_that_was_asked_for(runner: Runner) -> None:
    command = Command(argv=("true",), stdin="x", env={"A": "b"})
    assert (await runner.run(command)).command == command


@pytest.mark.parametrize("code", [0, 1, 2, 125, 126, 127, 254, 255])
async def test_every_exit_code_arrives(runner: Runner, code: int) -> None:
    assert (await runner.run(Command(argv=_shell(f"exit {code}")))).exit_code == code


async def test_arguments_arrive_as_they_are(runner: Runner) -> None:
    result = await runner.run(Command(argv=("printf", "%s\\0", *_WORDS)))
    assert tuple(result.stdout.split("\0")[:-1]) == _WORDS


async def test_arguments_that_are_not_text_arrive_as_their_bytes(runner: Runner) -> None:
    dump = 'printf %s "$1" | od -An -tx1'
    result = await runner.run(Command(argv=_shell(dump, "\udcff\udc80a")))
    assert result.stdout.split() == ["ff", "80", "61"]


async def test_output_that_is_not_text_is_replaced(runner: Runner) -> None:
    result = await runner.run(Command(argv=("printf", "a\\377b")))
    assert result.stdout == "a\ufffdb"


async def test_variables_are_added_as_they_are(runner: Runner) -> None:
    env = {"ONE": "a b\n'c'", "TWO": "", "THREE": "$HOME `id`"}
    result = await runner.run(Command(argv=("printenv", *env), env=env))
    assert result.stdout == "a b\n'c'\n\n$HOME `id`\n"


async def test_dropped_variables_are_gone_and_added_ones_stay(runner: Runner) -> None:
    command = Command(argv=("env",), drop=("HO(ME|USE)", "SHLVL$", "US"), env={"USHER": "yes"})
    names = {line.partition("=")[0] for line in (await runner.run(command)).stdout.splitlines()}
    assert "USHER" in names
    assert names.isdisjoint({"HOME", "USER"})
    assert "PATH" in names


async def test_the_program_is_looked_for_in_the_path_of_the_command(
    runner: Runner, weird_path: str
) -> None:
    with pytest.raises(CommandMissing):
        await runner.run(Command(argv=("sh", "-c", "true"), env={"PATH": str(weird_path)}))


async def test_without_input_the_command_reads_the_end_at_once(runner: Runner) -> None:
    assert (await runner.run(Command(argv=("wc", "-c")))).stdout.strip() == "0"
    assert (await runner.run(Command(argv=("wc", "-c"), stdin=""))).stdout.strip() == "0"


async def test_five_megabytes_go_both_ways(runner: Runner) -> None:
    result = await runner.run(Command(argv=("cat",), stdin=_BIG))
    assert result.stdout == _BIG


async def test_a_command_need_not_read_its_input(runner: Runner) -> None:
    assert (await runner.run(Command(argv=("true",), stdin=_BIG))).exit_code == 0


async def test_input_that_is_not_ascii_arrives_whole(runner: Runner) -> None:
    text = "ünï 码 😀\n\x00\x1e no line at the end"
    assert (await runner.run(Command(argv=("cat",), stdin=text))).stdout == text


@pytest.mark.parametrize("program", ["no-such-program", "/no/such/program", "/etc/passwd", "/etc"])
async def test_a_missing_program_is_an_error_of_its_own(runner: Runner, program: str) -> None:
    with pytest.raises(CommandMissing, match=program) as caught:
        await runner.run(Command(argv=(program,)))
    assert caught.value.hint


async def test_a_command_that_was_refused_and_would_try_again_is_ended(runner: Runner) -> None:
    trace = new_trace()
    script = f"echo 'no: the queue is full' >&2; (sleep {trace} &); exec sleep {trace}"
    result = await runner.run(Command(argv=_shell(script), stop_at="queue is full"))
    assert result.exit_code < 0
    assert result.words == "no: the queue is full"
    assert await is_gone(trace)


@pytest.mark.slow
async def test_the_deadline_ends_the_whole_group(runner: Runner, moment: float) -> None:
    trace = new_trace()
    script = f"trap '' TERM; echo began; (sleep {trace} & sleep {trace}) & sleep {trace}"
    with pytest.raises(BatchUnavailable, match=f"sh .*did not end within {moment:g} s: began"):
        await runner.run(Command(argv=_shell(script)), timeout=moment)
    assert await is_gone(trace)


@pytest.mark.slow
async def test_the_deadline_keeps_the_words_so_far(runner: Runner, moment: float) -> None:
    script = f"echo out; echo why >&2; exec sleep {new_trace()}"
    with pytest.raises(BatchUnavailable, match="why") as caught:
        await runner.run(Command(argv=_shell(script)), timeout=moment)
    assert caught.value.result is not None
    assert (caught.value.result.stdout, caught.value.result.stderr) == ("out\n", "why\n")
    assert caught.value.transient
    assert caught.value.hint


@pytest.mark.slow
async def test_a_command_gets_the_chance_to_clean_up(
    runner: Runner, moment: float, meeting_place: Path
) -> None:
    sign = meeting_place / "cleaned"
    script = f"trap 'touch {sign}; exit' TERM; sleep {new_trace()} & wait"
    with pytest.raises(BatchUnavailable):
        await runner.run(Command(argv=_shell(script)), timeout=moment)
    assert await until(sign.exists, 30, clock=SystemClock())


@pytest.mark.slow
async def test_a_command_that_stopped_itself_is_ended(runner: Runner, moment: float) -> None:
    trace = new_trace()
    script = f"kill -STOP $$; sleep {trace}"
    with pytest.raises(BatchUnavailable):
        await runner.run(Command(argv=_shell(script)), timeout=moment)
    assert await is_gone(trace)


@pytest.mark.slow
async def test_a_grandchild_that_keeps_the_output_open_delays_nobody_for_long(
    runner: Runner,
) -> None:
    trace = new_trace()
    result = await runner.run(Command(argv=_shell(f"sleep {trace} & echo done")), timeout=60)
    assert (result.stdout, result.exit_code) == ("done\n", 0)
    assert await is_gone(trace)


@pytest.mark.slow
async def test_what_a_command_leaves_in_its_group_is_ended(runner: Runner) -> None:
    trace = new_trace()
    script = f"sleep {trace} </dev/null >/dev/null 2>&1 & echo done"
    assert (await runner.run(Command(argv=_shell(script)))).stdout == "done\n"
    assert await is_gone(trace)


async def test_a_process_in_a_session_of_its_own_lives_on(runner: Runner) -> None:
    trace = new_trace()
    daemon = f"echo began; exec sleep {trace} </dev/null >/dev/null 2>&1"
    await runner.run(Command(argv=_shell('setsid -f sh -c "$1" | head -n 1', daemon)))
    assert await is_there(trace)
    for process in living(trace):
        process.kill()


@pytest.mark.slow
async def test_cancelling_the_task_ends_the_command(runner: Runner) -> None:
    trace = new_trace()
    task = asyncio.create_task(runner.run(Command(argv=_shell(f"exec sleep {trace}"))))
    assert await is_there(trace)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await is_gone(trace)


@pytest.mark.slow
@pytest.mark.parametrize("turns", [0, 1, 3])
async def test_cancelling_the_task_while_it_starts_leaves_nothing(
    runner: Runner, turns: int
) -> None:
    trace = new_trace()
    task = asyncio.create_task(runner.run(Command(argv=_shell(f"exec sleep {trace}"))))
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await is_gone(trace)


@pytest.mark.slow
async def test_cancelling_twice_leaves_nothing(runner: Runner) -> None:
    trace = new_trace()
    command = Command(argv=_shell(f"trap '' TERM; exec sleep {trace}"))
    task = asyncio.create_task(runner.run(command))
    assert await is_there(trace)
    task.cancel()
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await is_gone(trace)


@pytest.mark.slow
async def test_fifty_commands_at_a_time(runner: Runner) -> None:
    commands = [Command(argv=_shell("cat; exit $1", str(n)), stdin=f"{n}") for n in range(50)]
    results = await asyncio.gather(*map(runner.run, commands))
    assert [(result.stdout, result.exit_code) for result in results] == [
        (str(n), n) for n in range(50)
    ]


def test_it_works_in_a_loop_outside_the_main_thread(runner: Runner) -> None:
    found: list[int] = []

    async def main() -> None:
        results = await asyncio.gather(*(runner.run(Command(argv=("true",))) for _ in range(3)))
        found.extend(result.exit_code for result in results)

    for _ in range(2):  # a second loop, too: nothing may belong to the first
        thread = threading.Thread(target=asyncio.run, args=(main(),))
        thread.start()
        thread.join()
    assert found == [0] * 6
