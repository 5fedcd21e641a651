"""The module that is `flask` under the alias.

It has no names of its own but those that Flask removed: everything else is read from, set on and deleted from `quaff`, so
that `monkeypatch.setattr(flask, "request", ...)` and `mock.patch("quaff.request")` do the same thing.

PERF: a name that a module does not have costs it an exception and a call, 0.8 µs (CPython 3.13); `flask.request` stands on
every other line of some programs. So a name that was read once is kept, and dropped when it is set or deleted on `quaff`,
which is what `_WatchedPackage` is for.
"""

from __future__ import annotations

import importlib
import warnings
import weakref
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


class _WatchedPackage(ModuleType):
    """What `quaff` is while a `FlaskModule` keeps names of it."""

    def __setattr__(self, name: str, value: object) -> None:
        super().__setattr__(name, value)
        _forget(name)

    def __delattr__(self, name: str) -> None:
        super().__delattr__(name)
        _forget(name)


_modules: Final[weakref.WeakSet[FlaskModule]] = weakref.WeakSet()


def _forget(name: str) -> None:
    if name not in _OWN and not _is_special(name):
        for module in _modules:
            module.__dict__.pop(name, None)


def release_all() -> None:
    """Let no module keep names any more, and `quaff` be a plain module again."""
    for module in list(_modules):
        _modules.discard(module)
        module.__quaff__.__class__ = ModuleType
        for name in [name for name in module.__dict__ if name not in _OWN and not _is_special(name)]:
            del module.__dict__[name]


class FlaskModule(ModuleType):
    """A module that passes what is done to it on to `quaff`."""

    def __init__(self, package: ModuleType, removed: Mapping[str, Removed]) -> None:
        """Make the module.

        :param package: what it passes on to: `quaff`.
        :param removed: the names that Flask removed.
        """
        super().__init__("flask", package.__doc__)
        own = self.__dict__
        own["__file__"] = package.__file__
        # No folder: what is not in the list of aliases must not be found, rather than be loaded a second time.
        own["__path__"] = []
        own["__getattr__"] = self._reader(package, finder_of(self, removed))
        own["__quaff__"] = package
        package.__class__ = _WatchedPackage
        _modules.add(self)

    def _reader(self, package: ModuleType, find_old: Callable[[str], Any]) -> Callable[[str], Any]:
        def read(name: str) -> Any:
            if name.startswith("__"):
                # COMPAT: what Python itself asks a module about (`__all__`, `__wrapped__`) is about `flask` alone.
                return self._special(name)
            if name in _SUBMODULES and name not in package.__dict__:
                return importlib.import_module(f"flask.{name}")
            try:
                value = getattr(package, name)
            except AttributeError:
                return find_old(name)
            if self in _modules:
                self.__dict__[name] = value
            return value

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
            setattr(self.__quaff__, name, value)

    def __delattr__(self, name: str) -> None:
        if name in _OWN or _is_special(name):
            super().__delattr__(name)
        else:
            delattr(self.__quaff__, name)

    def __dir__(self) -> list[str]:
        return sorted({*dir(self.__quaff__), *_SUBMODULES, *self.__dict__} - {"__quaff__"})
