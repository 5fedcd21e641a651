"""Names that tests and extensions replace on `quaff.cli`.

COMPAT: `flask.cli` is one module, and `flask.cli` is this package under the alias. Where Flask's functions call one
another through its globals, Quaff's ask the package, so that replacing `flask.cli.load_dotenv` and the like has the
same effect.
"""

from __future__ import annotations

import importlib
from typing import Any


def patchable(name: str) -> Any:  # Any: each name has its own type
    """Return what `quaff.cli.name` is now.

    :raises AttributeError: when the package has no such name.
    """
    return getattr(importlib.import_module("quaff.cli"), name)
