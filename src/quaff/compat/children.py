"""The alias in child processes of `multiprocessing`.

A spawned child starts from nothing and runs the main script again before anything else. With what the parent hands it,
`import flask` there finds Quaff too.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

from .._internal.lazy import resolve


class InstallOnArrival:
    """Installs the alias in the process that unpickles it."""

    def __reduce__(self) -> tuple[Callable[[], None], tuple[()]]:
        return resolve("install_as_flask"), ()


class PassedOn:
    """`multiprocessing.spawn` with the alias among the things that a child receives, until `undo`."""

    def __init__(self, spawn: ModuleType) -> None:
        self._spawn = spawn
        self._original: Callable[[str], dict[str, Any]] = vars(spawn)["get_preparation_data"]
        vars(spawn)["get_preparation_data"] = self._get_preparation_data

    def _get_preparation_data(self, name: str) -> dict[str, Any]:
        # A child reads the whole dictionary before it runs the main script, and ignores keys that it does not know.
        return {**self._original(name), "quaff flask alias": InstallOnArrival()}

    def undo(self) -> None:
        """Let children start without the alias again."""
        vars(self._spawn)["get_preparation_data"] = self._original
