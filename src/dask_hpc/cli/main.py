"""The group of all commands. It knows them from a table, and loads only the one that is called."""

from __future__ import annotations

import importlib
import sys
from typing import IO, TYPE_CHECKING, Any

import click

from dask_hpc._version import __version__
from dask_hpc.errors import ClusterElsewhere, HPCError

if TYPE_CHECKING:
    from collections.abc import Iterable

# In the order of `dask-hpc --help`. Each is `command` in `dask_hpc.cli.<name>`.
COMMANDS = {
    "demo": "try it: a cluster here computes, loses a job, gets over it",
    "doctor": "check this site or laptop",
    "queues": "queues with limits, free nodes, whether a job could start now",
    "site": "profiles of sites: detect, list, show",
    "up": "start a cluster in a job of its own",
    "run": "run a script in one job with a scheduler and workers",
    "ls": "clusters: site, state, workers, time left",
    "status": "one cluster in full, with its jobs",
    "scale": "change the size of a cluster, or the bounds of an adaptive one",
    "why": "the last decisions about a cluster, with their reasons",
    "logs": "logs of scheduler, controller and workers",
    "attach": "open JupyterLab of a cluster that was started with --lab",
    "shell": "a shell, or a command, on the node of a cluster's scheduler",
    "extend": "queue a job in which a cluster goes on when its time is over",
    "down": "end clusters: jobs, processes, secrets",
    "jobqueue": "what was written for dask-jobqueue: what would differ",
    "mpi": "a cluster of the tasks of mpirun or srun, as dask-mpi",
    "scheduler": "a scheduler for job scripts of your own",
    "worker": "the workers of a node, for job scripts of your own",
}


_WORDS = f"{__name__}.words"

# Called by dask-hpc itself, from another machine.
_FOR_PROGRAMS = ("relay",)

# `dask-hpc site` alone prints its help; before click 8.2 that was no error.
_HELP: Any = getattr(click.exceptions, "NoArgsIsHelpError", ())


class _Failure(click.ClickException):
    """What a person is told instead of a traceback."""

    def __init__(self, message: str, *, hint: str) -> None:
        super().__init__(message)
        self._hint = hint

    def show(self, file: IO[Any] | None = None) -> None:
        """Print the error and what to do."""
        stream = file or sys.stderr
        click.echo(f"error: {self.message}", file=stream)
        if self._hint:
            click.echo(f"hint: {self._hint}", file=stream)


class _Misuse(_Failure):
    """A command line that cannot be understood."""

    exit_code = 2


class Group(click.Group):
    """A group that says which of its commands was probably meant."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that the arguments name."""
        known = self.list_commands(ctx)
        if args[0] in (*known, *_FOR_PROGRAMS) or args[0].startswith("-"):
            return super().resolve_command(ctx, args)
        raise _misuse(ctx, f"command {args[0]!r} is unknown", near=args[0], known=known)


class CommandTable(Group):
    """A group whose commands are modules, which are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names in the order of the table."""
        return list(COMMANDS)

    def get_command(
        self,
        ctx: click.Context,  # noqa: ARG002 - click's signature
        cmd_name: str,
    ) -> click.Command | None:
        """Return a command, and import what it needs."""
        if cmd_name not in COMMANDS and cmd_name not in _FOR_PROGRAMS:
            return None
        command: click.Command = importlib.import_module(f"dask_hpc.cli.{cmd_name}").command
        return command

    def format_commands(
        self,
        ctx: click.Context,  # noqa: ARG002 - click's signature
        formatter: click.HelpFormatter,
    ) -> None:
        """Write the table, without importing any command."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the group's own options; a mistake becomes an error and a hint."""
        ctx.meta[_WORDS] = tuple(args)
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            raise _readable(error, ctx) from error

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; an error that is not a bug becomes an error and a hint."""
        try:
            return self._invoke(ctx)
        except HPCError as error:
            raise _Failure(str(error), hint=error.hint) from error
        except click.UsageError as error:
            raise _readable(error, ctx) from error

    def _invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except ClusterElsewhere as elsewhere:
            far = importlib.import_module("dask_hpc.cli.far")
            words = [word.removesuffix(f"@{elsewhere.site}") for word in ctx.meta[_WORDS]]
            ctx.exit(far.run_there(elsewhere.site, words))


def _readable(error: click.UsageError, group: click.Context) -> click.ClickException:
    ctx = error.ctx or group
    if isinstance(error, _HELP):
        help_text: click.ClickException = error
        return help_text
    if isinstance(error, click.NoSuchOption):
        options = [option for known in ctx.command.params for option in known.opts]
        message = f"option {error.option_name!r} is unknown"
        return _misuse(ctx, message, near=error.option_name, known=options)
    text = error.format_message().rstrip(".")
    return _misuse(ctx, text[:1].lower() + text[1:])


def _misuse(
    ctx: click.Context, message: str, *, near: str = "", known: Iterable[str] = ()
) -> _Misuse:
    import difflib  # a millisecond that only mistakes cost

    nearest = difflib.get_close_matches(near, list(known), n=1)
    hint = f"did you mean {nearest[0]!r}?" if nearest else f"see {ctx.command_path} --help"
    return _Misuse(message, hint=hint)


@click.group(cls=CommandTable, name="hpc", context_settings={"max_content_width": 100})
@click.version_option(__version__, prog_name="dask-hpc", message="%(prog)s %(version)s")
def cli() -> None:
    """Jupyter and elastic Dask clusters on batch-scheduled supercomputers."""


def main() -> None:
    """Run the command line of ``dask-hpc``."""
    cli(prog_name="dask-hpc")


if __name__ == "__main__":
    main()
