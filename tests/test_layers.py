"""What import-linter cannot see: which libraries a room uses at all, and what an import loads.

The lists of rooms are those of import-linter's contracts in pyproject.toml.
"""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dask_hpc import plugins

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

CHECKOUT = Path(__file__).parents[1]
SOURCE = CHECKOUT / "src"

# What distributed brings along, by the name one imports.
WITH_DISTRIBUTED = {
    "distributed", "dask", "tornado", "psutil", "yaml", "click", "jinja2", "cloudpickle",
}  # fmt: skip
# What is loaded where bokeh is installed, when somebody looks at the dashboard.
DRAWN_BY_BOKEH = {
    f"dask_hpc/engine/dashboard/{name}.py": {"bokeh"} for name in ("bokeh_pages", "jobs_page")
}
# What is loaded where somebody asked for it.
ASKED_FOR = {"dask_hpc/jupyter/lab.py": {"jupyter_server", "jupyterlab"}}
FORBIDDEN_IN_JOBS = {"msgspec", "rich", "cryptography", "platformdirs"}


def contracts() -> list[dict[str, object]]:
    text = (CHECKOUT / "pyproject.toml").read_text(encoding="utf-8")
    found = tomllib.loads(text)["tool"]["importlinter"]["contracts"]
    assert isinstance(found, list)
    return found


def words(contract: dict[str, object], key: str) -> list[str]:
    found = contract[key]
    assert isinstance(found, list)
    return found


def rooms(identifier: str) -> list[str]:
    (contract,) = [each for each in contracts() if each.get("id") == identifier]
    return words(contract, "source_modules")


def files_of(room: str) -> Iterator[Path]:
    path = SOURCE.joinpath(*room.split("."))
    yield from path.rglob("*.py") if path.is_dir() else [path.with_suffix(".py")]


def libraries(text: str) -> set[str]:
    """Return what a module imports from outside, anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found.update(each.name for each in node.names)
        if isinstance(node, ast.ImportFrom):
            found.add("dask_hpc" if node.level else str(node.module))
    return {name.partition(".")[0] for name in found} - sys.stdlib_module_names - {"dask_hpc"}


def foreign(identifier: str, allowed: set[str]) -> dict[str, set[str]]:
    found = {}
    for path in [path for room in rooms(identifier) for path in files_of(room)]:
        name = path.relative_to(SOURCE).as_posix()
        extra = libraries(path.read_text(encoding="utf-8")) - allowed
        found[name] = extra - (DRAWN_BY_BOKEH | ASKED_FOR).get(name, set())
    return {name: extra for name, extra in found.items() if extra}


def loaded(*modules: str) -> set[str]:
    """Return the top of every module that an import loads, in a Python of its own."""
    code = "import sys, importlib; [importlib.import_module(m) for m in sys.argv[1:]]; "
    code += "print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run(
        [sys.executable, "-c", code, *modules], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def modules_of(names: Iterable[str]) -> list[str]:
    left_out = {"__main__", *(Path(name).stem for name in DRAWN_BY_BOKEH)}
    found = [path for room in names for path in files_of(room) if path.stem not in left_out]
    parts = [path.relative_to(SOURCE).with_suffix("").parts for path in found]
    return [".".join(part).removesuffix(".__init__") for part in parts]


def test_libraries_are_found_wherever_they_are_imported() -> None:
    text = "import os, a.b\nfrom c.d import e\nfrom . import f\ndef g():\n    import h as i\n"
    assert libraries(text) == {"a", "c", "h"}


def test_what_runs_in_jobs_uses_what_distributed_brings() -> None:
    assert foreign("jobs", WITH_DISTRIBUTED) == {}


def test_the_controller_and_what_is_below_uses_the_standard_library() -> None:
    below = set(rooms("below-dask"))
    found = foreign("below-dask", {"psutil"})
    # The one module of these rooms that no job imports: making certificates.
    assert found in ({}, {"dask_hpc/security/certificates.py": {"cryptography"}})
    assert below - set(rooms("jobs")) == {"dask_hpc.security"}


def test_every_room_is_in_the_lists_that_it_belongs_to() -> None:
    """A room that is new below the controller cannot be forgotten in the contracts."""
    (layers,) = [each for each in contracts() if each["type"] == "layers"]
    rows = [row.replace("(", "").replace(")", "").split(" | ") for row in words(layers, "layers")]
    below = next(number for number, row in enumerate(rows) if "controller" in row)
    wanted = {f"dask_hpc.{room}" for row in rows[below:] for room in row}
    assert set(rooms("below-dask")) == wanted


@pytest.mark.slow
def test_no_import_in_a_job_loads_what_only_users_have() -> None:
    found = loaded(*modules_of(rooms("jobs")))
    assert "distributed" in found
    assert found & FORBIDDEN_IN_JOBS == set()


@pytest.mark.slow
def test_no_import_below_the_engine_loads_dask() -> None:
    names = modules_of(rooms("below-dask"))
    found = loaded(*(name for name in names if name != "dask_hpc.security.certificates"))
    assert found & {"distributed", "dask", "tornado"} == set()


@pytest.mark.slow
def test_the_package_itself_loads_nothing() -> None:
    assert loaded("dask_hpc") - sys.stdlib_module_names <= {"dask_hpc", "__main__", *loaded()}


@pytest.mark.slow
def test_the_command_line_starts_with_click_alone() -> None:
    found = loaded("dask_hpc.cli.main") - sys.stdlib_module_names - loaded()
    assert found <= {"dask_hpc", "click"}


def test_dialects_of_the_table_are_independent_of_each_other() -> None:
    (contract,) = [each for each in contracts() if each["type"] == "independence"]
    own = {place.partition(":")[0] for place in plugins._OWN[plugins.BATCH_SYSTEMS].values()}
    assert own == set(words(contract, "modules"))
