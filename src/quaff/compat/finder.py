"""The finder that stands in front of `sys.meta_path`.

It speaks the import protocol itself, without the base classes of `importlib.abc`, and imports what it needs when it needs
it. PERF: an interpreter that never imports Flask pays for two small modules (see `site.py`).
"""

from __future__ import annotations

import os
import sys

from .aliases import BATTERY_ROOTS, NAMESPACES

# PERF: not even `typing`, `types` and `collections` are loaded when an interpreter starts.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from importlib.machinery import ModuleSpec
    from importlib.metadata import Distribution, DistributionFinder
    from types import ModuleType
    from typing import Final

    from .loaders import Undo

_ROOTS: Final = frozenset({"flask", "quaff", "werkzeug", "jinja2", "markupsafe", "itsdangerous", "multiprocessing"})
"""The packages that the finder has anything to say about."""

_BELOW: Final = ("quaff.compat", "quaff._internal")
"""What the finder itself stands on: it must not ask itself where that is."""

_REPLACED: Final = (
    "flask was imported before quaff.install_as_flask(), so modules that were loaded meanwhile hold names of the real "
    "Flask. Install the alias before anything imports flask: first thing in the program, with `python -m quaff app.py`, "
    "or with `pytest -p quaff.compat.pytest_plugin`."
)


class AliasFinder:
    """Finds Quaff where `flask` is asked for, and old names where they were."""

    def __init__(self) -> None:
        self.replaced: frozenset[str] = frozenset({"flask"})
        """The packages in whose place Quaff is found."""

        self._changed: dict[str, list[Undo]] = {}
        self._real_modules: dict[str, ModuleType] = {}

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return how to load *fullname*, or None to let the next finder look."""
        root, _, below = fullname.partition(".")
        if root in BATTERY_ROOTS:
            from .loaders import find_battery

            return find_battery(fullname) if root in self.replaced else None
        if root not in _ROOTS or fullname.startswith(_BELOW):
            return None
        from . import loaders

        if fullname in NAMESPACES:
            return loaders.namespace(fullname)
        if root == "flask":
            return loaders.find_flask(fullname, below)
        return loaders.find_gone(fullname) or self._find_changed(fullname, path, target)

    def _find_changed(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None) -> ModuleSpec | None:
        from .loaders import ChangingLoader, changes_of

        if not changes_of(fullname):
            return None
        for finder in sys.meta_path:
            spec = None if finder is self else finder.find_spec(fullname, path, target)
            if spec is not None and spec.loader is not None:
                spec.loader = ChangingLoader(spec.loader, self._change)
                return spec
        return None

    def find_distributions(self, context: DistributionFinder.Context | None = None) -> Iterator[Distribution]:
        """Yield the stand-ins for the distributions that *context* asks for: `importlib.metadata` calls this."""
        from importlib.metadata import DistributionFinder

        from .metadata import find_stand_ins

        return find_stand_ins(DistributionFinder.Context() if context is None else context, self.replaced)

    def invalidate_caches(self) -> None:
        """Do nothing: the finder remembers nothing about the file system."""

    def start(self) -> None:
        """Take the place of what is loaded already. Called once the finder is in `sys.meta_path`."""
        batteries = frozenset() if os.environ.get("QUAFF_BATTERIES") == "0" else BATTERY_ROOTS
        self.replaced = frozenset({"flask"}) | batteries
        self._real_modules = {name: sys.modules.pop(name) for root in self.replaced for name in _loaded(root)}
        for name in [name for root in _ROOTS - {"flask"} for name in _loaded(root)]:
            # PERF: the alias itself, and the package that holds it, are all that is loaded when `site.py` runs.
            if name != "quaff" and not name.startswith(_BELOW):
                self._change(sys.modules[name])
        if "flask" in self._real_modules:
            from .patching import warn_user

            warn_user(_REPLACED, RuntimeWarning)

    def stop(self) -> None:
        """Put everything back. Called once the finder has left `sys.meta_path`."""
        from .flask_module import release_all
        from .loaders import GONE

        for undos in self._changed.values():
            for undo in reversed(undos):
                undo.undo()
        self._changed.clear()
        release_all()
        ours = [name for root in self.replaced for name in _loaded(root)]
        for name in [*ours, *(name for name in (*GONE, *NAMESPACES) if name in sys.modules)]:
            sys.modules.pop(name, None)
        sys.modules.update(self._real_modules)
        self._real_modules = {}

    def _change(self, module: ModuleType) -> None:
        from .loaders import changes_of

        name = module.__name__
        if name not in self._changed and self in sys.meta_path:
            self._changed[name] = [change(module) for change in changes_of(name)]


def _loaded(root: str) -> list[str]:
    prefix = f"{root}."
    return [name for name in list(sys.modules) if name == root or name.startswith(prefix)]
