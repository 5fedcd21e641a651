"""Finds, without importing them, the files of a project that define models or call `create_all`."""

from __future__ import annotations

import ast
import os
import sys
from collections.abc import Container, Iterator
from dataclasses import dataclass
from typing import Any, Final

_SKIPPED: Final = frozenset(
    {
        "__pycache__",
        "build",
        "dist",
        "docs",
        "env",
        "migrations",
        "node_modules",
        "site-packages",
        "test",
        "tests",
        "venv",
    }
)
"""Folders without an app's models: those of tools, and those of tests, which have models and `create_all` of their own."""

_MOST_FILES: Final = 3000
"""So many files are looked at, not the whole disk when an app lies in a home folder."""


@dataclass(frozen=True, slots=True)
class Source:
    """A file that has to do with models."""

    path: str
    """Relative to the current folder if it is below."""

    models: tuple[str, ...]
    """The names of the classes and tables that it defines."""

    create_all: tuple[int, ...]
    """The lines that call `create_all`."""

    is_imported: bool
    """Whether a module of this process was loaded from it."""


def project_folder(app: Any) -> str:
    """Return the folder of an app's outermost package, or of its module.

    :param app: the app. Any: only `root_path` and `import_name` are read.
    """
    folder: str = app.root_path
    while os.path.isfile(os.path.join(folder, "__init__.py")) and os.path.dirname(folder) != folder:
        if not os.path.isfile(os.path.join(os.path.dirname(folder), "__init__.py")):
            break
        folder = os.path.dirname(folder)
    return os.path.realpath(folder)


def scan(folder: str, skip: Container[str] = ()) -> list[Source]:
    """Return the files below *folder* that define models or call `create_all`, sorted.

    :param skip: folders to leave out, as real paths.
    """
    loaded = {os.path.realpath(path) for path in map(_file_of, list(sys.modules.values())) if path}
    found = []
    for path in _files(folder, skip):
        tree = _parse(path)
        if tree is None:
            continue
        models, calls = tuple(_models(tree)), tuple(sorted(_create_all(tree)))
        if models or calls:
            found.append(Source(_shown(path), models, calls, path in loaded))
    return found


def _file_of(module: Any) -> str | None:  # Any: `sys.modules` may hold anything
    path = getattr(module, "__file__", None)
    return path if isinstance(path, str) else None


def _shown(path: str) -> str:
    relative = os.path.relpath(path)
    return path if relative.startswith("..") else relative


def _files(folder: str, skip: Container[str]) -> Iterator[str]:
    count = 0
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(each for each in folders if _is_wanted(root, each, skip))
        for name in sorted(names):
            if name.endswith(".py") and not name.startswith("test_") and name != "conftest.py":
                count += 1
                if count > _MOST_FILES:
                    return
                yield os.path.realpath(os.path.join(root, name))


def _is_wanted(root: str, name: str, skip: Container[str]) -> bool:
    path = os.path.join(root, name)
    return not (
        name in _SKIPPED
        or name.startswith(".")
        or os.path.isfile(os.path.join(path, "pyvenv.cfg"))
        or os.path.realpath(path) in skip
    )


def _parse(path: str) -> ast.Module | None:
    try:
        with open(path, "rb") as file:
            text = file.read()
        # PERF: most files are of no interest, and parsing is what takes the time.
        if not any(word in text for word in (b"Model", b"__tablename__", b"create_all", b"Table(")):
            return None
        return ast.parse(text)
    except (OSError, SyntaxError, ValueError):
        return None


def _models(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and _is_model(node):
            yield node.name
        elif isinstance(node, ast.Assign) and _is_table(node.value) and isinstance(node.targets[0], ast.Name):
            yield node.targets[0].id


def _is_model(node: ast.ClassDef) -> bool:
    """Tell whether a class has a table, from what it looks like: `db.Model` as a base, or a name for the table."""
    names: dict[str, ast.expr] = {}
    for each in node.body:
        if isinstance(each, ast.Assign) and isinstance(each.targets[0], ast.Name):
            names[each.targets[0].id] = each.value
    abstract = names.get("__abstract__")
    if isinstance(abstract, ast.Constant) and abstract.value is True:
        return False
    if "__tablename__" in names or "__table__" in names:
        return True
    return any(isinstance(base, ast.Attribute) and base.attr == "Model" for base in node.bases)


def _is_table(value: ast.expr) -> bool:
    # `Table("name", metadata, ...)` and `db.Table("name", ...)`, whose first argument is a text.
    if not isinstance(value, ast.Call) or not value.args:
        return False
    called = value.func
    name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
    first = value.args[0]
    return name == "Table" and isinstance(first, ast.Constant) and isinstance(first.value, str)


def _create_all(tree: ast.Module) -> Iterator[int]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "create_all":
            yield node.lineno
