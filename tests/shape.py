"""Rules of size and style that a reader of the source can check; `test_shape` holds the limits."""

from __future__ import annotations

import ast
import io
import re
import statistics
import tokenize
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_Function = ast.FunctionDef | ast.AsyncFunctionDef
_BLOCKS = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.With, ast.AsyncWith, ast.Try, ast.TryStar)
_GIVEN_BY_PYTHON = ("__exit__", "__aexit__", "__set__", "__setitem__")  # with parameters of its own
_FORBIDDEN_WORDS = {"manager", "helper", "helpers", "util", "utils", "base"}
_FORBIDDEN_STARTS = ("process_", "handle_")
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+")
_SILENCED = re.compile(r"(type:\s*ignore(\[[^\]]*\])?|noqa(:\s*[A-Z]+[0-9]+(,\s*[A-Z]+[0-9]+)*)?)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something that a rule forbids: the rule, the place, and what was found there."""

    rule: str
    place: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    """A source file; its name is its path below the package."""

    name: str
    text: str
    tree: ast.Module

    @property
    def lines(self) -> int:
        """Return its length."""
        return len(self.text.splitlines())

    def definitions(self) -> Iterator[tuple[str, ast.AST]]:
        """Return every function and class with the place to name it by."""
        yield from _definitions(self.tree, prefix=f"{self.name}:")

    def functions(self) -> Iterator[tuple[str, _Function]]:
        """Return every function and method with the place to name it by."""
        for place, node in self.definitions():
            if isinstance(node, _FUNCTIONS):
                yield place, node


def read(name: str, text: str) -> Module:
    """Parse a source file."""
    return Module(name=name, text=text, tree=ast.parse(text))


def findings(
    modules: Iterable[Module], rules: Iterable[Callable[[Module], Iterator[Finding]]]
) -> list[Finding]:
    """Return what the rules find in the modules."""
    return [finding for module in modules for rule in rules for finding in rule(module)]


def _definitions(node: ast.AST, *, prefix: str) -> Iterator[tuple[str, ast.AST]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (*_FUNCTIONS, ast.ClassDef)):
            yield f"{prefix}{child.name}", child
            yield from _definitions(child, prefix=f"{prefix}{child.name}.")
        else:
            yield from _definitions(child, prefix=prefix)


def function_lines(function: _Function) -> int:
    """Return the length of a function with its docstring, without its decorators."""
    return (function.end_lineno or function.lineno) - function.lineno + 1


# sizes -------------------------------------------------------------------------------------------


def long_modules(module: Module, *, limit: int) -> Iterator[Finding]:
    """Find a module that is too long."""
    if module.lines > limit:
        yield Finding(rule="long module", place=module.name, detail=f"{module.lines} lines")


def long_functions(module: Module, *, limit: int) -> Iterator[Finding]:
    """Find functions that are too long."""
    for place, function in module.functions():
        if (lines := function_lines(function)) > limit:
            yield Finding(rule="long function", place=place, detail=f"{lines} lines")


def many_parameters(module: Module, *, limit: int, positional: int) -> Iterator[Finding]:
    """Find functions with too many parameters, or too many that need no keyword."""
    for place, function in module.functions():
        unnamed, named = _parameters(function)
        if len(unnamed) + len(named) > limit:
            count = len(unnamed) + len(named)
            yield Finding(rule="many parameters", place=place, detail=f"{count}")
        if len(unnamed) > positional and function.name not in _GIVEN_BY_PYTHON:
            detail = f"{', '.join(unnamed)} are positional"
            yield Finding(rule="positional parameters", place=place, detail=detail)


def _parameters(function: _Function) -> tuple[list[str], list[str]]:
    unnamed = [each.arg for each in (*function.args.posonlyargs, *function.args.args)]
    if unnamed and unnamed[0] in {"self", "cls"}:
        unnamed = unnamed[1:]
    rest = [function.args.vararg, function.args.kwarg]
    named = [each.arg for each in (*function.args.kwonlyargs, *rest) if each]
    return unnamed, named


def deep_nesting(module: Module, *, limit: int) -> Iterator[Finding]:
    """Find functions with too many blocks inside each other."""
    for place, function in module.functions():
        if (depth := max(map(_depth, function.body))) > limit:
            yield Finding(rule="deep nesting", place=place, detail=f"{depth} levels")


def _depth(node: ast.AST) -> int:
    if isinstance(node, (*_FUNCTIONS, ast.ClassDef, ast.Lambda)):
        return 0  # looked at by itself
    inner = max((_depth(child) for child in ast.iter_child_nodes(node)), default=0)
    if isinstance(node, ast.If) and len(node.orelse) == 1 and isinstance(node.orelse[0], ast.If):
        # An elif is written as an if inside the else, but stands beside its if.
        beside = _depth(node.orelse[0])
        inside = max((_depth(child) for child in (node.test, *node.body)), default=0)
        return max(beside, inside + 1)
    return inner + isinstance(node, (*_BLOCKS, ast.match_case))


def big_classes(module: Module, *, limit: int) -> Iterator[Finding]:
    """Find public classes with too many public methods."""
    for place, node in module.definitions():
        if not isinstance(node, ast.ClassDef) or node.name.startswith("_"):
            continue
        names = {child.name for child in node.body if isinstance(child, _FUNCTIONS)}
        public = [name for name in names if not name.startswith("_")]
        if len(public) > limit:
            yield Finding(rule="big class", place=place, detail=f"{len(public)} public methods")


def medians(modules: Iterable[Module]) -> tuple[float, float]:
    """Return the median length of a module that holds code, and of a function."""
    read_modules = [module for module in modules if _holds_code(module)]
    functions = [
        function_lines(function) for module in read_modules for _, function in module.functions()
    ]
    return statistics.median(module.lines for module in read_modules), statistics.median(functions)


def _holds_code(module: Module) -> bool:
    return len(module.tree.body) > 1


# words -------------------------------------------------------------------------------------------


def empty_names(module: Module) -> Iterator[Finding]:
    """Find names of modules, classes and functions that say nothing."""
    path = PurePosixPath(module.name)
    named = [(module.name, part) for part in (*path.parent.parts, path.stem)]
    for place, node in module.definitions():
        if isinstance(node, (*_FUNCTIONS, ast.ClassDef)):
            named.append((place, node.name))
    for place, name in named:
        words = {word.lower() for word in _WORD.findall(name)}
        if words & _FORBIDDEN_WORDS or name.lstrip("_").startswith(_FORBIDDEN_STARTS):
            yield Finding(rule="empty name", place=place, detail=name)


def missing_docstrings(module: Module) -> Iterator[Finding]:
    """Find a module that does not say what lives in it."""
    if not (ast.get_docstring(module.tree) or "").strip():
        yield Finding(rule="no docstring", place=module.name, detail="module")


def silenced_checks(module: Module) -> Iterator[Finding]:
    """Find checks that are switched off without a reason beside or above."""
    reasons = dict(_comments(module.text))
    for line, comment in reasons.items():
        if not _SILENCED.search(comment):
            continue
        beside = _SILENCED.sub("", comment).strip(" #:-")
        above = reasons.get(line - 1, "")
        if len(beside) < 8 and (not above or _SILENCED.search(above)):
            yield Finding(rule="silenced check", place=f"{module.name}:{line}", detail=comment)


def _comments(text: str) -> Iterator[tuple[int, str]]:
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


# deeds -------------------------------------------------------------------------------------------

_DEEDS = {
    "time.sleep": "sleep",
    "asyncio.sleep": "sleep",
    "print": "print or exit",
    "exit": "print or exit",
    "quit": "print or exit",
    "sys.exit": "print or exit",
}


def deeds(module: Module) -> Iterator[Finding]:
    """Find calls and statements that have their own place, wherever they are."""
    known = _imported_names(module.tree)
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Assert):
            yield Finding(rule="assert", place=module.name, detail=f"line {node.lineno}")
        if isinstance(node, (ast.Name, ast.Attribute)):
            name = _dotted(node, known)
            if rule := _DEEDS.get(name):
                detail = f"{name} in line {node.lineno}"
                yield Finding(rule=rule, place=module.name, detail=detail)


def _imported_names(tree: ast.Module) -> dict[str, str]:
    known = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            known.update({each.asname: each.name for each in node.names if each.asname})
        if isinstance(node, ast.ImportFrom) and not node.level:
            known.update({e.asname or e.name: f"{node.module}.{e.name}" for e in node.names})
    return known


def _dotted(node: ast.expr, known: dict[str, str]) -> str:
    if isinstance(node, ast.Name):
        return known.get(node.id, node.id)
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value, known)}.{node.attr}"
    return ""
