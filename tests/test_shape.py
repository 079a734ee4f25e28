"""The source keeps the sizes and words that are agreed on; exceptions stand here with a reason."""

from __future__ import annotations

from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests import shape

if TYPE_CHECKING:
    from tests.shape import Finding, Module

PACKAGE = Path(__file__).parents[1] / "src" / "dask_hpc"

MODULE_LINES, MODULE_MEDIAN = 400, 130
FUNCTION_LINES, FUNCTION_MEDIAN = 50, 12
PARAMETERS, POSITIONAL = 7, 2
NESTING = 3
PUBLIC_METHODS = 12

RULES = (
    partial(shape.long_modules, limit=MODULE_LINES),
    partial(shape.long_functions, limit=FUNCTION_LINES),
    partial(shape.many_parameters, limit=PARAMETERS, positional=POSITIONAL),
    partial(shape.deep_nesting, limit=NESTING),
    partial(shape.big_classes, limit=PUBLIC_METHODS),
    shape.empty_names,
    shape.missing_docstrings,
    shape.silenced_checks,
    shape.deeds,
)
# Where a deed belongs: (rule, start of the module's path).
PLACES = (("sleep", "_clock.py"), ("print or exit", "cli/"))

# (rule, place): why it is right there.
EXCEPTIONS: dict[tuple[str, str], str] = {
    ("empty name", "process/child.py:Listener.process_exited"): "asyncio calls it by this name",
    ("empty name", "compat/runner.py:BaseRunner"): "dask-jobqueue's name",
    ("many parameters", "deploy/cluster.py:HPCCluster.__init__"): "the settings are its keywords",
    ("many parameters", "deploy/cluster.py:HPCCluster.adapt"): "the words of dask-jobqueue",
    ("positional parameters", "deploy/cluster.py:HPCCluster.__init__"): "a promise to users",
    (
        "positional parameters",
        "compat/cluster.py:JobQueueCluster.scale",
    ): "dask-jobqueue's signature",
    (
        "positional parameters",
        "deploy/handle.py:ClusterHandle._get_logs",
    ): "distributed's signature",
    (
        "positional parameters",
        "engine/scheduler.py:HPCScheduler.start_http_server",
    ): "distributed's signature",
    ("print or exit", "mpi.py"): "a keyword of dask-mpi has this name",
    ("big class", "cluster/directory.py:ClusterDirectory"): "one line for each path, in one place",
    ("big class", "batch/system.py:BatchSystem"): "all that a dialect is asked, in one place",
    ("big class", "testing/system.py:FakeSystem"): "one method for each thing that goes wrong",
}


@cache
def source() -> list[Module]:
    return [
        shape.read(path.relative_to(PACKAGE).as_posix(), path.read_text(encoding="utf-8"))
        for path in sorted(PACKAGE.rglob("*.py"))
    ]


def is_in_its_place(finding: Finding) -> bool:
    return any(finding.rule == rule and finding.place.startswith(start) for rule, start in PLACES)


@cache
def found_in_source() -> list[Finding]:
    return [each for each in shape.findings(source(), RULES) if not is_in_its_place(each)]


def test_the_source_keeps_its_shape() -> None:
    found = [each for each in found_in_source() if (each.rule, each.place) not in EXCEPTIONS]
    assert not found, "\n".join(f"{each.place}: {each.rule}: {each.detail}" for each in found)


def test_every_exception_is_still_needed() -> None:
    found = {(each.rule, each.place) for each in found_in_source()}
    assert not [each for each in EXCEPTIONS if each not in found]


def test_the_usual_module_and_function_are_small() -> None:
    module, function = shape.medians(source())
    assert module <= MODULE_MEDIAN
    assert function <= FUNCTION_MEDIAN


# the rules themselves ----------------------------------------------------------------------------

GOOD = '''"""What is here."""
import time
def f(self, a, b, *, c, d, e, f, g):
    """Do."""
    if a:
        for b in c:
            with d:
                pass
    elif b:
        pass
    elif c:
        pass
    elif d:
        pass
class Clock:
    def sleep(self): ...
    def __exit__(self, kind, value, trace): ...
Clock().sleep(1)
sort = base64 = 1  # type: ignore[x]  # a library without types
# Written by a compiler.
x = 1  # noqa: E501
'''


def test_a_good_module_passes_every_rule() -> None:
    assert shape.findings([shape.read("batch/slurm.py", GOOD)], RULES) == []


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        ("long module", "x = 1\n" * 401),
        ("long function", "def f():\n" + "    x = 1\n" * 50),
        ("many parameters", "def f(a, b, *, c, d, e, g, h, i): ..."),
        ("many parameters", "def f(a, b, *c, d, e, g, h, **i): ..."),
        ("positional parameters", "def f(a, b, c): ..."),
        ("positional parameters", "class C:\n    def f(self, a, b, c): ..."),
        ("positional parameters", "def f(a, b, c, /): ..."),
        ("deep nesting", "def f():\n if a:\n  for b in c:\n   with d:\n    while e:\n     pass"),
        ("deep nesting", "def f():\n try: ...\n except E:\n  if a:\n   if b:\n    if c: ..."),
        ("deep nesting", "def f():\n if a: ...\n elif b:\n  if c:\n   if d:\n    if e: ..."),
        ("deep nesting", "def f():\n if a: ...\n else:\n  x\n  if c:\n   if d:\n    if e: ..."),
        ("deep nesting", "def f():\n match a:\n  case 1:\n   if c:\n    if d:\n     if e: ..."),
        ("big class", "class C:\n" + "".join(f"    def m{i}(self): ...\n" for i in range(13))),
        ("empty name", "def process_it(): ..."),
        ("empty name", "def _handle_it(): ..."),
        ("empty name", "class JobManager: ..."),
        ("empty name", "class BaseDialect: ..."),
        ("empty name", "class C:\n    def helper(self): ..."),
        ("silenced check", "x = 1  # type: ignore"),
        ("silenced check", "x = 1  # type: ignore[attr-defined]"),
        ("silenced check", "x = 1  # noqa: E501, ERA001"),
        ("sleep", "import time\ntime.sleep(1)"),
        ("sleep", "from time import sleep\nsleep(1)"),
        ("sleep", "from asyncio import sleep as rest\nrest(1)"),
        ("sleep", "import time as t\npause = t.sleep"),
        ("print or exit", "print(1)"),
        ("print or exit", "import sys\nsys.exit(1)"),
        ("assert", "assert True"),
    ],
)
def test_a_rule_finds_what_it_forbids(rule: str, text: str) -> None:
    module = shape.read("batch/slurm.py", f'"""Here."""\n{text}\n')
    assert [each.rule for each in shape.findings([module], RULES)] == [rule]


def test_a_module_without_a_docstring_is_found() -> None:
    found = shape.findings([shape.read("batch/slurm.py", "x = 1\n")], RULES)
    assert [each.rule for each in found] == ["no docstring"]


@pytest.mark.parametrize("name", ["batch/utils.py", "helpers/slurm.py", "batch/process_tree.py"])
def test_a_module_with_an_empty_name_is_found(name: str) -> None:
    found = shape.findings([shape.read(name, '"""Here."""\n')], RULES)
    assert {each.rule for each in found} == {"empty name"}


def test_deeds_are_right_in_their_places_only() -> None:
    module = shape.read("cli/main.py", '"""Here."""\nprint(1)\nimport time\ntime.sleep(1)\n')
    found = shape.findings([module], RULES)
    assert [each.rule for each in found if not is_in_its_place(each)] == ["sleep"]


def test_medians_leave_out_files_that_hold_nothing() -> None:
    empty = shape.read("a/__init__.py", '"""Here."""\n')
    full = shape.read("a/b.py", '"""Here."""\ndef f():\n    pass\ndef g():\n    pass\n    pass\n')
    assert shape.medians([empty, full]) == (6, 2.5)
