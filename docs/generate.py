"""Write docs/reference from the source: ``python docs/generate.py``. A test holds it up to date."""

from __future__ import annotations

import inspect
from pathlib import Path

import click
import msgspec

from dask_hpc import _envvars, errors
from dask_hpc.cli.main import COMMANDS, cli
from dask_hpc.sites.settings import Settings, describe

REFERENCE = Path(__file__).parent / "reference"
HEAD = "<!-- written by docs/generate.py -->\n"


def commands() -> str:
    """Return the help of every command."""
    parts = [HEAD, "# Commands\n"]
    context = click.Context(cli, info_name="dask-hpc", max_content_width=100)
    for name in COMMANDS:
        command = cli.get_command(context, name)
        if command is None:
            raise LookupError(name)
        parts += _help(command, context, name)
    return "\n".join(parts)


def _help(command: click.Command, parent: click.Context, name: str) -> list[str]:
    context = click.Context(command, info_name=name, parent=parent, max_content_width=100)
    parts = [f"## {context.command_path}\n", "```", command.get_help(context), "```\n"]
    if isinstance(command, click.Group):
        for child in command.list_commands(context):
            if found := command.get_command(context, child):
                parts += _help(found, context, child)
    return parts


def settings() -> str:
    """Return every setting with its meaning and default."""
    rows = [HEAD, "# Settings\n", "| setting | default | meaning |", "|---|---|---|"]
    for field in msgspec.structs.fields(Settings):
        default = getattr(Settings(), field.name)
        shown = (
            "" if default in (None, (), {}, "") or isinstance(default, msgspec.Struct) else default
        )
        rows.append(
            f"| `{field.name}` | {shown} | {describe(field.name).replace('|', chr(92) + '|')} |"
        )
    return "\n".join(rows) + "\n"


def error_tree() -> str:
    """Return every error with its meaning."""
    rows = [HEAD, "# Errors\n", "```", inspect.cleandoc(errors.__doc__ or ""), "```\n"]
    rows += ["| error | meaning |", "|---|---|"]
    for name, kind in inspect.getmembers(errors, inspect.isclass):
        if issubclass(kind, errors.HPCError):
            first = inspect.cleandoc(kind.__doc__ or "").splitlines()[0]
            rows.append(f"| `{name}` | {first} |")
    return "\n".join(rows) + "\n"


def environment() -> str:
    """Return every variable of the environment that is read."""
    rows = [HEAD, "# Environment variables\n", "| variable | meaning |", "|---|---|"]
    rows += [f"| `{one.name}` | {one.doc} |" for one in _envvars.VARIABLES]
    return "\n".join(rows) + "\n"


PAGES = {
    "commands.md": commands,
    "settings.md": settings,
    "errors.md": error_tree,
    "environment.md": environment,
}

if __name__ == "__main__":
    for page, write in PAGES.items():
        (REFERENCE / page).write_text(write(), encoding="utf-8")
