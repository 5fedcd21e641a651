"""How the finder's modules are loaded, and what is changed in modules that others load."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from importlib.abc import Loader
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, Final, Protocol

from .aliases import MODULES, real_name
from .children import PassedOn
from .flask_module import FlaskModule
from .old_arguments import ArgumentsGivenBack
from .patching import GivenBack, Removed, RemovedModule, warn_user
from .removed import GONE, rows_of

__all__ = [
    "GONE",
    "AliasLoader",
    "ChangingLoader",
    "Undo",
    "changes_of",
    "find_battery",
    "find_flask",
    "find_gone",
    "namespace",
]


class Undo(Protocol):
    """A change that can be taken back."""

    def undo(self) -> None:
        """Take it back."""


_CHANGES: Final[dict[str, Callable[[ModuleType], Undo]]] = {
    "multiprocessing.spawn": PassedOn,
    "quaff.helpers": ArgumentsGivenBack,
}


def changes_of(name: str) -> list[Callable[[ModuleType], Undo]]:
    """Return what the alias does to module *name* once it is loaded."""
    rows = rows_of(name)
    changes: list[Callable[[ModuleType], Undo]] = [_CHANGES[name]] if name in _CHANGES else []
    return [*changes, lambda module: GivenBack(module, rows)] if rows else changes


def namespace(fullname: str) -> ModuleSpec:
    """Return how to make an empty package."""
    return ModuleSpec(fullname, NamespaceLoader(), is_package=True)


def find_flask(fullname: str, below: str) -> ModuleSpec | None:
    """Return how to load `flask` or one of its modules.

    :param below: *fullname* without the leading `flask.`.
    """
    if not below:
        return ModuleSpec("flask", FlaskLoader(), origin="quaff", is_package=True)
    if below == "__main__":
        return importlib.util.spec_from_file_location(fullname, Path(__file__).with_name("flask_main.py"))
    if below.startswith("ext."):
        return _find_extension(fullname, below.removeprefix("ext."))
    target = real_name(fullname)
    if target is None or not (fullname in MODULES or _exists(target)):
        return find_gone(fullname)
    return ModuleSpec(fullname, AliasLoader(target), origin=target)


def find_battery(fullname: str) -> ModuleSpec | None:
    """Return how to load an extension, or a module of one, that a battery takes the place of."""
    target = real_name(fullname)
    return ModuleSpec(fullname, AliasLoader(target), origin=target) if target and _exists(target) else None


def _exists(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def _find_extension(fullname: str, name: str) -> ModuleSpec | None:
    # COMPAT: until Flask 1.0, flask.ext.login was flask_login, or flaskext.login for yet older packages.
    package, _, inner = name.partition(".")
    for target in (f"flask_{package}", f"flaskext.{package}"):
        if _exists(target):
            removed = Removed(fullname, "Flask 1.0", f"import {target}", f"{target}:")
            return ModuleSpec(
                fullname, AliasLoader(f"{target}.{inner}" if inner else target, None if inner else removed)
            )
    return None


def find_gone(fullname: str) -> ModuleSpec | None:
    """Return how to load a module that was removed, or None when *fullname* is not one."""
    removed = GONE.get(fullname)
    return None if removed is None else ModuleSpec(fullname, AliasLoader(removed.target.rstrip(":"), removed))


class FlaskLoader(Loader):
    """Makes the module `flask`."""

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Import Quaff and return the module that passes on to it."""
        package = importlib.import_module("quaff")
        return FlaskModule(package, rows_of("flask"))

    def exec_module(self, module: ModuleType) -> None:
        """Run nothing: `quaff` has run."""


class NamespaceLoader(Loader):
    """Makes a package with nothing in it but the submodules that the finder finds."""

    def create_module(self, spec: ModuleSpec) -> None:
        """Leave it to Python to make an empty module."""

    def exec_module(self, module: ModuleType) -> None:
        """Run nothing."""


class AliasLoader(Loader):
    """Gives the module of another name, imported under its own name if need be."""

    _real_specs: Final[dict[str, ModuleSpec]] = {}

    def __init__(self, target: str, removed: Removed | None = None) -> None:
        """Make the loader.

        :param removed: for a name that was removed: warn with it, and explain with it what is missing.
        """
        self._target = target
        self._removed = removed

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Return the module behind the alias.

        :raises ModuleNotFoundError: when an old name has moved to a distribution that is not installed.
        """
        if self._removed is not None and self._removed.removed_in:
            warn_user(self._removed.message, RemovedModule)
        try:
            module = importlib.import_module(self._target)
        except ModuleNotFoundError as error:
            if self._removed is None or error.name != self._target.partition(".")[0]:
                raise
            message = f"{spec.name!r} was removed in {self._removed.removed_in}: use {self._removed.instead}."
            raise ModuleNotFoundError(message, name=spec.name) from None
        # The import system now sets `__spec__` to that of the alias; `exec_module` puts the module's own back. Several
        # aliases of one module may load at the same time, so only a spec that bears the module's own name is kept.
        if module.__spec__ is not None and module.__spec__.name == self._target:
            self._real_specs[self._target] = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Run nothing, the module has run; give it back the spec of its own name."""
        module.__spec__ = self._real_specs.get(self._target, module.__spec__)

    def get_code(self, name: str) -> CodeType:
        """Return code that runs the module under its own name, where its relative imports are right: `python -m` asks."""
        source = f"import runpy\nrunpy.run_module({self._target!r}, run_name='__main__', alter_sys=True)\n"
        return compile(source, f"<{name}, which is {self._target}>", "exec", dont_inherit=True)


class ChangingLoader(Loader):
    """Loads a module as its own loader does, then changes it."""

    def __init__(self, loader: Loader, change: Callable[[ModuleType], None]) -> None:
        self._loader = loader
        self._change = change

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Return the module as its own loader makes it."""
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        """Run the module and change it. Afterwards nothing shows that this loader was there."""
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        self._loader.exec_module(module)
        self._change(sys.modules.get(module.__name__, module))

    def __getattr__(self, name: str) -> Any:  # Any: the optional parts of the loader protocol, as `get_source`
        return getattr(self._loader, name)
