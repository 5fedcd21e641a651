"""Noticing changed files in development: two loops for Werkzeug's reloader.

`werkzeug._reloader.run_with_reloader` does the rest: it starts the program a second time as its child, and again
whenever the child ends with exit code 3. What differs from Werkzeug's loops is where they look: in the folders of the
project and of whatever was imported from outside of site-packages, never in the standard library or the virtual
environment.
"""

from __future__ import annotations

import fnmatch
import importlib.util
import os
import sys
import sysconfig
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from werkzeug import _reloader

SKIPPED_FOLDERS: Final = frozenset(
    {
        ".git",
        ".hg",
        ".mypy_cache",
        ".nox",
        ".pytest_cache",
        ".ruff_cache",
        ".tox",
        ".venv",
        "__pycache__",
        "node_modules",
    }
)
"""Names of folders that no loop looks into."""

_INSTALLED: Final = tuple(
    {os.path.realpath(path) + os.sep for path in (*sysconfig.get_paths().values(), sys.prefix, sys.base_prefix) if path}
)


def project_roots(extra_files: Iterable[str] = ()) -> list[str]:
    """Return the folders to watch: where the program and what it imported live, without installed packages.

    A folder inside another one of the list is left out. The root of the file system and the home folder are never
    watched as a whole, however the program was started.
    """
    too_much = {os.path.abspath(os.sep), os.path.realpath(Path.home())}
    roots: set[str] = set()
    for path in (*_imported_folders(), *(entry or os.getcwd() for entry in sys.path), *extra_files):
        folder = os.path.realpath(path)
        if not os.path.isdir(folder):
            folder = os.path.dirname(folder)
        if os.path.isdir(folder) and folder not in too_much and not _is_installed(folder):
            roots.add(folder)
    return sorted(
        root for root in roots if not any(root.startswith(other + os.sep) for other in roots if other != root)
    )


def _is_installed(folder: str) -> bool:
    # A project below the prefix of a system-wide Python ("/usr") is still a project when it is the current folder.
    inside = folder + os.sep
    here = os.path.realpath(os.getcwd()) + os.sep
    return any(
        inside.startswith(prefix) and not (here.startswith(prefix) and inside.startswith(here)) for prefix in _INSTALLED
    )


def _imported_folders() -> Iterator[str]:
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if isinstance(file, str):
            yield os.path.dirname(file)


def is_watched(path: str, extra_files: Iterable[str], exclude_patterns: Iterable[str]) -> bool:
    """Tell whether a change of the file *path* restarts the program: Python source and the extra files do.

    :param exclude_patterns: `fnmatch` patterns of paths that never do.
    """
    if any(fnmatch.fnmatch(path, pattern) for pattern in exclude_patterns):
        return False
    return path.endswith(".py") or any(path == extra or path.startswith(extra + os.sep) for extra in extra_files)


def walk_watched(roots: Iterable[str], extra_files: set[str], exclude_patterns: set[str]) -> Iterator[str]:
    """Yield every file below *roots* whose change restarts the program."""
    for root in roots:
        for folder, folders, files in os.walk(root):
            folders[:] = [
                name
                for name in folders
                if name not in SKIPPED_FOLDERS and not os.path.exists(os.path.join(folder, name, "pyvenv.cfg"))
            ]
            for name in files:
                path = os.path.join(folder, name)
                if is_watched(path, extra_files, exclude_patterns):
                    yield path
    yield from (path for path in extra_files if os.path.isfile(path))


class StatLoop(_reloader.ReloaderLoop):
    """Looks at the times of the files about once a second."""

    name = "stat"

    def __enter__(self) -> _reloader.ReloaderLoop:
        """Remember what there is now."""
        self._known: dict[str, float] = {}
        self.changed()
        return self

    def changed(self) -> str | None:
        """Return a file that changed since the last call, or None. New files count only once they are known."""
        found: str | None = None
        for path in walk_watched(project_roots(self.extra_files), self.extra_files, self.exclude_patterns):
            try:
                stamp = os.stat(path).st_mtime
            except OSError:
                continue
            if self._known.setdefault(path, stamp) != stamp:
                self._known[path] = stamp
                found = path
        return found

    def run_step(self) -> None:
        """Look once, and end the process for a restart when something changed."""
        if path := self.changed():
            self.trigger_reload(path)


class WatchfilesLoop(StatLoop):
    """Is told of changes by the operating system, through the package watchfiles."""

    name = "watchfiles"

    def run(self) -> None:
        """Wait for a change, and end the process for a restart."""
        import watchfiles

        def wanted(_change: watchfiles.Change, path: str) -> bool:
            if not SKIPPED_FOLDERS.isdisjoint(Path(path).parts):
                return False
            return is_watched(path, self.extra_files, self.exclude_patterns)

        while True:
            roots = project_roots(self.extra_files)
            watch = watchfiles.watch(
                *roots, watch_filter=wanted, debounce=200, step=20, rust_timeout=500, yield_on_timeout=True
            )
            for turn, changes in enumerate(watch):
                if changes:
                    self.trigger_reload(min(changes)[1])
                if turn == 0:
                    # The app serves before the watch has begun: what was saved in between would never be noticed.
                    self.run_step()
                # Modules that are imported later may come from folders that are not watched yet.
                if turn % 10 == 9 and project_roots(self.extra_files) != roots:
                    break
            else:
                return


def loop_name(reloader_type: str = "auto") -> str:
    """Return the name under which the wanted loop is registered with Werkzeug, registering Quaff's two.

    :param reloader_type: `auto` for watchfiles where it is installed, else `stat`; any other name is Werkzeug's.
    """
    _reloader.reloader_loops.setdefault("quaff-stat", StatLoop)
    _reloader.reloader_loops.setdefault("quaff-watchfiles", WatchfilesLoop)
    if reloader_type in {"auto", "watchfiles"} and importlib.util.find_spec("watchfiles") is not None:
        return "quaff-watchfiles"
    return "quaff-stat" if reloader_type in {"auto", "stat", "watchfiles"} else reloader_type


def run_with_reloader(start: Callable[[], object], reloader_type: str = "auto", **options: Any) -> None:
    """Run *start* in a child process that ends and starts again when a file changes.

    :param options: `extra_files`, `exclude_patterns` and `interval` of Werkzeug's function of the same name.
    :raises SystemExit: with code 3 in the child when a file changed, with the child's code in the parent.
    """
    # COMPAT: looked up on the module: extensions replace it there.
    _reloader.run_with_reloader(start, reloader_type=loop_name(reloader_type), **options)  # type: ignore[arg-type]


def is_child() -> bool:
    """Tell whether this process is the child that serves under the reloader.

    `werkzeug.serving.is_running_from_reloader` says the same, but loads the development server with it.
    """
    return os.environ.get("WERKZEUG_RUN_MAIN") == "true"
