"""Reads Quaff's own source as data: modules, imports, functions. The contracts tests stand on it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "quaff"
TESTS = ROOT / "tests"

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Module:
    """One source file of the package."""

    name: str
    path: Path
    text: str
    tree: ast.Module

    @property
    def is_package(self) -> bool:
        return self.path.name == "__init__.py"

    @property
    def room(self) -> str:
        """The part after `quaff.`: the top-level module or folder it belongs to; empty for the door itself."""
        return self.name.split(".")[1] if "." in self.name else ""

    def where(self, node: ast.AST) -> str:
        """Say where in the file *node* stands, as `file:line`."""
        return f"{self.path.relative_to(ROOT)}:{getattr(node, 'lineno', 1)}"


@cache
def modules() -> dict[str, Module]:
    """Return every module of the package by its dotted name."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        if "templates" in parts:
            # What `quaff db init` copies into a user's project.
            continue
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        text = path.read_text(encoding="utf-8")
        found[name] = Module(name, path, text, ast.parse(text, str(path)))
    return found


def _base_of(module: Module, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    parts = module.name.split(".")
    keep = len(parts) - node.level + (1 if module.is_package else 0)
    return ".".join([*parts[:keep], *([node.module] if node.module else [])])


def imports_of(module: Module) -> Iterator[tuple[str, ast.AST]]:
    """Yield each module of Quaff that *module* imports, wherever in the file the import stands.

    That includes imports inside functions and under `TYPE_CHECKING`. `from x import y` counts as an import of `x.y` when
    that is a module, and of `x` otherwise.
    """
    known = modules()
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == "quaff":
                    yield alias.name, node
        elif isinstance(node, ast.ImportFrom):
            base = _base_of(module, node)
            if base.split(".")[0] != "quaff":
                continue
            for alias in node.names:
                full = f"{base}.{alias.name}"
                yield (full if full in known else base), node


def functions_of(tree: ast.AST, prefix: str = "") -> Iterator[tuple[str, Function]]:
    """Yield every function and method with its qualified name, nested ones included."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, Function):
            yield f"{prefix}{node.name}", node
            yield from functions_of(node, f"{prefix}{node.name}.")
        elif isinstance(node, ast.ClassDef):
            yield from functions_of(node, f"{prefix}{node.name}.")
        else:
            yield from functions_of(node, prefix)


def body_lines(function: Function) -> int:
    """Count the lines of a function's body, its docstring left out."""
    body = function.body
    start = body[0]
    if ast.get_docstring(function, clean=False) is not None:
        if len(body) == 1:
            return 0
        start = body[1]
    first = min([start.lineno, *(d.lineno for d in getattr(start, "decorator_list", []))])
    return (function.end_lineno or first) - first + 1


_BLOCKS = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.Try, ast.TryStar, ast.With, ast.AsyncWith, ast.Match)


def nesting(node: ast.AST, depth: int = 0) -> int:
    """Return how deep the blocks of a function are nested; `elif` is no deeper than its `if`."""
    deepest = depth
    for field, value in ast.iter_fields(node):
        for child in value if isinstance(value, list) else [value]:
            if not isinstance(child, ast.AST) or isinstance(child, Function | ast.ClassDef | ast.Lambda):
                continue
            is_elif = isinstance(node, ast.If) and isinstance(child, ast.If) and field == "orelse" and len(value) == 1
            deeper = isinstance(child, _BLOCKS) and not is_elif
            deepest = max(deepest, nesting(child, depth + 1 if deeper else depth))
    return deepest


def parameters(function: Function) -> list[str]:
    """Return the names of a function's parameters, without `self`, `cls`, `*args` and `**kwargs`."""
    args = function.args
    names = [arg.arg for arg in (*args.posonlyargs, *args.args, *args.kwonlyargs)]
    return names[1:] if names[:1] in (["self"], ["cls"]) else names


def is_public(qualified: str) -> bool:
    """Tell whether no part of a dotted name starts with an underscore."""
    return not any(part.startswith("_") for part in qualified.split("."))
