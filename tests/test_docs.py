"""The documentation tells the truth: what is generated is fresh, what is linked exists."""

import importlib.util
import re
import shlex
from pathlib import Path
from types import ModuleType

import click
import pytest

from dask_hpc.cli.main import COMMANDS, cli

ROOT = Path(__file__).parents[1]
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("page", generator().PAGES)
def test_the_reference_is_what_the_source_says(page: str) -> None:
    fresh = generator().PAGES[page]()
    assert (ROOT / "docs/reference" / page).read_text(encoding="utf-8") == fresh, (
        "run python docs/generate.py"
    )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8"))
    missing = [link for link in links if not (page.parent / link).exists()]
    assert not missing


def written_commands() -> list[tuple[str, str]]:
    found = []
    for page in PAGES:
        lines = re.findall(r"^\$ dask-hpc (.*)$", page.read_text(encoding="utf-8"), re.M)
        found += [(page.name, line.partition("#")[0].strip()) for line in lines]
    return found


@pytest.mark.parametrize(("page", "line"), written_commands())
def test_every_command_in_the_docs_can_be_typed(page: str, line: str) -> None:
    name, *arguments = shlex.split(line)
    assert name in COMMANDS, page
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    # Parses and stops before it acts; an option that does not exist raises here.
    context = command.make_context(name, arguments, resilient_parsing=False)
    assert context.command is command


def test_every_setting_command_and_error_has_its_line() -> None:
    reference = {
        page: (ROOT / "docs/reference" / page).read_text(encoding="utf-8")
        for page in ("commands.md", "settings.md", "errors.md", "environment.md")
    }
    assert all(f"## dask-hpc {name}\n" in reference["commands.md"] for name in COMMANDS)
    assert "`walltime`" in reference["settings.md"]
    assert "`SubmitRejected`" in reference["errors.md"]
    assert "`DASK_HPC_HOME`" in reference["environment.md"]
