"""Installing the alias, and taking it away."""

from __future__ import annotations

import sys
from _thread import RLock

from .finder import AliasFinder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

_finder: Final = AliasFinder()
_lock: Final = RLock()


def flask_alias_installed() -> bool:
    """Tell whether `import flask` gives Quaff in this process."""
    return _finder in sys.meta_path


def install_as_flask() -> None:
    """Make `import flask`, its submodules and its metadata resolve to Quaff, also where the real Flask is installed.

    Call it before anything imports Flask: extensions that were imported earlier keep the real one (a `RuntimeWarning`
    says so). Calling it again does nothing. Processes started with `multiprocessing` get the alias as well.

    >>> import quaff
    >>> quaff.install_as_flask()
    >>> import flask
    >>> flask.Flask is quaff.Quaff
    True
    """
    with _lock:
        if _finder not in sys.meta_path:
            sys.meta_path.insert(0, _finder)
            _finder.start()


def uninstall_flask_alias() -> None:
    """Undo `install_as_flask`, for tests: the next `import flask` finds the real Flask, or nothing."""
    with _lock:
        if _finder in sys.meta_path:
            sys.meta_path.remove(_finder)
            _finder.stop()
