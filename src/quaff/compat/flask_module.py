"""The module that is `flask` under the alias.

It has no names of its own but those that Flask removed: everything else is read from, set on and deleted from `quaff`, so
that `monkeypatch.setattr(flask, "request", ...)` and `mock.patch("quaff.request")` do the same thing.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any, Final

from .aliases import FLASK_VERSION, MODULES, NAMESPACES, PUBLIC_NAMES
from .patching import Removed, finder_of

_SUBMODULES: Final = frozenset(name.partition(".")[2] for name in (*MODULES, *NAMESPACES) if name.count(".") == 1)
_OWN: Final = frozenset({"ext", "sansio"})
"""Submodules that `quaff` does not have."""


def _is_special(name: str) -> bool:
    return name.startswith("__") and name.endswith("__")


class FlaskModule(ModuleType):
    """A module that passes what is done to it on to `quaff`."""

    def __init__(self, package: ModuleType, removed: Mapping[str, Removed]) -> None:
        """Make the module.

        :param package: what it passes on to: `quaff`.
        :param removed: the names that Flask removed.
        """
        super().__init__("flask", package.__doc__)
        own = self.__dict__
        own["_quaff"] = package
        own["__file__"] = package.__file__
        # No folder: what is not in the list of aliases must not be found, rather than be loaded a second time.
        own["__path__"] = []
        # PERF: a function in the module's own dictionary; `__getattr__` on the class costs three times as much a read.
        own["__getattr__"] = self._reader(package, finder_of(self, removed))

    def _reader(self, package: ModuleType, find_old: Callable[[str], Any]) -> Callable[[str], Any]:
        names = package.__dict__

        def read(name: str) -> Any:
            try:
                # COMPAT: what Python itself asks a module about (`__path__`, `__wrapped__`) is about `flask` alone.
                return names[name] if not name.startswith("__") else self._special(name)
            except KeyError:
                pass
            if name in _SUBMODULES:
                return importlib.import_module(f"flask.{name}")
            try:
                return getattr(package, name)
            except AttributeError:
                return find_old(name)

        return read

    def _special(self, name: str) -> Any:
        if name == "__version__":
            warnings.warn(
                "'flask.__version__' goes away in Flask 3.2: ask importlib.metadata.version('flask'), "
                "or whether a feature is there.",
                DeprecationWarning,
                stacklevel=3,
            )
            return FLASK_VERSION
        if name == "__all__":
            return list(PUBLIC_NAMES)
        raise AttributeError(f"module 'flask' has no attribute {name!r}", name=name, obj=self)

    def __setattr__(self, name: str, value: object) -> None:
        if name in _OWN or _is_special(name):
            super().__setattr__(name, value)
        else:
            setattr(self._quaff, name, value)

    def __delattr__(self, name: str) -> None:
        if name in self.__dict__:
            super().__delattr__(name)
        else:
            delattr(self._quaff, name)

    def __dir__(self) -> list[str]:
        return sorted({*dir(self._quaff), *_SUBMODULES, *self.__dict__} - {"_quaff"})
