"""The command line as a whole: what it knows, what it costs, how it says no."""

from __future__ import annotations

import subprocess
import sys
import time

import click
import pytest
from click.testing import CliRunner

from dask_hpc._version import __version__
from dask_hpc.cli.main import COMMANDS, CommandTable, cli
from dask_hpc.errors import ConfigError

_PROGRAM = "from dask_hpc.cli.main import main; main()"
_HELP = ("-c", _PROGRAM, "--help")


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", _PROGRAM, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.slow
def test_help_lists_every_command_in_the_order_of_the_table() -> None:
    done = run("--help")
    assert done.returncode == 0
    assert done.stderr == ""
    listed = done.stdout.partition("Commands:")[2].split("\n")
    assert [line.split()[0] for line in listed if line.startswith("  ") and line[2] != " "] == list(
        COMMANDS
    )


@pytest.mark.slow
def test_help_imports_click_and_nothing_else_of_others() -> None:
    program = (
        "import sys; before = set(sys.modules); from dask_hpc.cli.main import cli\n"
        "cli(['--help'], standalone_mode=False)\n"
        "new = {name.partition('.')[0] for name in set(sys.modules) - before}\n"
        "print(sorted(new - sys.stdlib_module_names), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stderr == "['click', 'dask_hpc']\n"


@pytest.mark.slow
def test_help_starts_in_under_six_bare_interpreter_starts() -> None:
    def seconds(*arguments: str) -> float:
        begin = time.perf_counter()
        subprocess.run([sys.executable, *arguments], capture_output=True, timeout=60, check=True)
        return time.perf_counter() - begin

    # Interleaved, and the best of each: what else the machine does meanwhile hits both.
    pairs = [(seconds("-c", "pass"), seconds(*_HELP)) for _ in range(7)]
    bare, with_help = (min(times) for times in zip(*pairs, strict=True))
    assert with_help < 6 * bare


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_of_the_table_is_there(name: str) -> None:
    done = CliRunner().invoke(cli, [name, "--help"])
    assert done.exit_code == 0, done.output
    assert done.output.startswith(f"Usage: hpc {name} ")


def test_the_version_is_that_of_the_package() -> None:
    assert CliRunner().invoke(cli, ["--version"]).output == f"dask-hpc {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["qeues"], "error: command 'qeues' is unknown\nhint: did you mean 'queues'?\n"),
        (["zzz"], "error: command 'zzz' is unknown\nhint: see hpc --help\n"),
        (["--verison"], "error: option '--verison' is unknown\nhint: did you mean '--version'?\n"),
        (["-z"], "error: option '-z' is unknown\nhint: see hpc --help\n"),
        (
            ["queues", "--coers", "3"],
            "error: option '--coers' is unknown\nhint: did you mean '--cores'?\n",
        ),
        (
            ["queues", "--cores"],
            "error: option '--cores' requires an argument\nhint: see hpc --help\n",
        ),
        (["site", "shw"], "error: command 'shw' is unknown\nhint: did you mean 'show'?\n"),
        (
            ["site", "show"],
            "error: missing argument 'NAME'\nhint: see hpc site show --help\n",
        ),
        (
            ["site", "show", "a", "b"],
            "error: got unexpected extra argument (b)\nhint: see hpc site show --help\n",
        ),
    ],
)
def test_a_command_line_that_means_nothing_is_answered_with_the_nearest(
    arguments: list[str], message: str
) -> None:
    done = CliRunner().invoke(cli, arguments)
    assert (done.exit_code, done.stdout, done.stderr) == (2, "", message)


@pytest.mark.parametrize("arguments", [[], ["site"]])
def test_a_group_alone_prints_its_help(arguments: list[str]) -> None:
    done = CliRunner().invoke(cli, arguments)
    assert "Commands:" in done.output
    assert "error:" not in done.output


def test_an_error_of_ours_is_a_message_a_hint_and_exit_code_1() -> None:
    done = CliRunner().invoke(cli, ["site", "show", "slrm"])
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr == "error: site 'slrm' is unknown\nhint: did you mean 'slurm'?\n"


def test_an_error_without_a_hint_has_none() -> None:
    @click.group(cls=CommandTable, name="x", invoke_without_command=True)
    def group() -> None:
        raise ConfigError("no")

    assert CliRunner().invoke(group, []).stderr == "error: no\n"


def test_a_bug_shows_where_it_is() -> None:
    @click.group(cls=CommandTable, name="x", invoke_without_command=True)
    def group() -> None:
        raise ZeroDivisionError

    assert isinstance(CliRunner().invoke(group, []).exception, ZeroDivisionError)


def test_the_same_commands_work_below_dask() -> None:
    @click.group()
    def dask() -> None:
        pass

    dask.add_command(cli)
    runner = CliRunner()
    assert "queues" in runner.invoke(dask, ["hpc", "--help"]).output
    done = runner.invoke(dask, ["hpc", "site", "show", "slrm"])
    assert (done.exit_code, done.stderr.splitlines()[0]) == (1, "error: site 'slrm' is unknown")
    done = runner.invoke(dask, ["hpc", "queues", "--coers", "3"])
    assert done.exit_code == 2
    assert done.stderr == "error: option '--coers' is unknown\nhint: did you mean '--cores'?\n"
    assert "dask hpc zzz" not in runner.invoke(dask, ["hpc", "zzz"]).stderr
    assert runner.invoke(dask, ["hpc", "zzz"]).stderr.endswith("hint: see dask hpc --help\n")


@pytest.mark.slow
def test_a_program_sees_the_exit_code_and_the_streams() -> None:
    done = run("queues", "--site", "local", "--memory", "10XB")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "error: --memory '10XB' is not an amount of memory\n"
        'hint: write a number and one of kB, MB, GB, TB, KiB, MiB, GiB, TiB, as in "100GB"\n'
    )
