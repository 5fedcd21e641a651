"""Arguments of Flask's functions that were renamed."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from types import ModuleType
from typing import Any, Final

from .patching import Removed, warn_user

_SEND_FILE: Final = {"attachment_filename": "download_name", "cache_timeout": "max_age", "add_etags": "etag"}

RENAMED: Final = {
    "send_file": _SEND_FILE,
    "send_from_directory": {"filename": "path", **_SEND_FILE},
}
"""Function of `flask.helpers` -> old name of an argument -> its name since Flask 2.0. Flask 2.2 removed the old ones."""


class RemovedArgument(DeprecationWarning, TypeError):
    """Warns that an argument was removed; raised, it means that the function does not take it."""


def accept_old(function: Callable[..., Any], renamed: dict[str, str]) -> Callable[..., Any]:
    """Return *function* with the old names of its arguments accepted: each warns."""

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        for old in kwargs.keys() & renamed.keys():
            new = renamed[old]
            if new in kwargs:
                raise TypeError(
                    f"{function.__name__}() got {old!r} and {new!r}, which are the same: leave {old!r} out."
                )
            row = Removed(f"flask.{function.__name__}({old}=)", "Flask 2.2", new, "")
            warn_user(row.message, RemovedArgument)
            kwargs[new] = kwargs.pop(old)
        return function(*args, **kwargs)

    return call


class ArgumentsGivenBack:
    """`quaff.helpers` with functions that accept the old arguments, until `undo`."""

    def __init__(self, module: ModuleType) -> None:
        self._module = module
        self._originals = {name: vars(module)[name] for name in RENAMED}
        self._replacements = {name: accept_old(function, RENAMED[name]) for name, function in self._originals.items()}
        self._replace(self._originals, self._replacements)

    def _replace(self, these: dict[str, Any], those: dict[str, Any]) -> None:
        for module in (self._module, sys.modules["quaff"]):
            for name, function in these.items():
                # Not where somebody has patched the name meanwhile.
                if vars(module).get(name) is function:
                    setattr(module, name, those[name])

    def undo(self) -> None:
        """Put the functions back that accept only today's arguments."""
        self._replace(self._replacements, self._originals)
