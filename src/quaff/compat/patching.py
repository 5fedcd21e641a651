"""Giving names back to modules that lost them.

A module gets a `__getattr__` (PEP 562), so the names cost nothing until they are asked for, and nothing that the module
still has is touched. A `__getattr__` that was there before is asked first.

Under `-W error` the names stay away: the warning is then an exception that is also an `AttributeError` (an `ImportError`
for a module), so that `try: from flask import Markup; except ImportError: ...` goes on as it does with today's Flask
instead of failing on a warning.
"""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any, Final, NamedTuple

_QUAFF: Final = str(Path(__file__).parents[1])


class RemovedName(DeprecationWarning, AttributeError):
    """Warns that a name was removed; raised, it means that the name is not there."""


class RemovedModule(DeprecationWarning, ImportError):
    """Warns that a module was removed; raised, it means that the module is not there."""


class Removed(NamedTuple):
    """A name that is given back."""

    name: str
    """How users know it: `flask.helpers.safe_join`."""

    removed_in: str
    """The release that removed it; empty for a name that is given back without a warning."""

    instead: str
    """The modern way, as the end of the sentence "use ..."."""

    target: str
    """`module:attribute` that has it now; `module:` for a module."""

    @property
    def message(self) -> str:
        """The text of the warning."""
        return (
            f"{self.name!r} was removed in {self.removed_in} and works in Quaff for old code only: use {self.instead}."
        )

    def load(self) -> Any:  # Any: whatever the name stands for
        """Import and return what the name stands for."""
        module, _, attribute = self.target.partition(":")
        found = importlib.import_module(module)
        return getattr(found, attribute) if attribute else found


def _is_import_system(frame: FrameType) -> bool:
    filename = frame.f_code.co_filename
    return "importlib" in filename and "_bootstrap" in filename


def _asked_by_import() -> bool:
    """Tell whether it is an import statement, not the program, that asks for the name."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith(_QUAFF):
        frame = frame.f_back
    return frame is not None and frame.f_code.co_name == "_handle_fromlist" and _is_import_system(frame)


def warn_user(message: str, category: type[Warning]) -> None:
    """Warn at the nearest line that belongs neither to Quaff nor to Python's import system."""
    level = 0
    frame: FrameType | None = sys._getframe()
    while frame is not None and (frame.f_code.co_filename.startswith(_QUAFF) or _is_import_system(frame)):
        # `warnings.warn` does not count the frames of the import system either.
        level += not _is_import_system(frame)
        frame = frame.f_back
    warnings.warn(message, category, stacklevel=level + 1)


def finder_of(module: ModuleType, rows: Mapping[str, Removed]) -> Callable[[str], Any]:
    """Return a function that gives *module*'s removed names by name, with a warning, or raises `AttributeError`."""

    def find(name: str) -> Any:
        row = rows.get(name)
        if row is None:
            raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}", name=name, obj=module)
        # COMPAT: `from package import name` asks twice, first to see whether *name* is a submodule. One warning will do.
        if row.removed_in and not _asked_by_import():
            warn_user(row.message, RemovedName)
        return row.load()

    return find


class GivenBack:
    """A module that has its removed names again, until `undo`."""

    def __init__(self, module: ModuleType, rows: Mapping[str, Removed]) -> None:
        self.module = module
        self._previous: Callable[[str], Any] | None = module.__dict__.get("__getattr__")
        self._find = finder_of(module, rows)
        self._hook = self._get
        module.__dict__["__getattr__"] = self._hook

    def _get(self, name: str) -> Any:
        previous = self._previous
        if previous is not None:
            try:
                return previous(name)
            except AttributeError:
                pass
            finally:
                self._stay()
        return self._find(name)

    def _stay(self) -> None:
        # A deferred package (`_internal/imports.py`) deletes its `__getattr__` when it loads, and then has its real one.
        current = self.module.__dict__.get("__getattr__")
        if current is not self._hook:
            self._previous = current
            self.module.__dict__["__getattr__"] = self._hook

    def undo(self) -> None:
        """Put the module back to what it was."""
        if self._previous is None:
            self.module.__dict__.pop("__getattr__", None)
        else:
            self.module.__dict__["__getattr__"] = self._previous
