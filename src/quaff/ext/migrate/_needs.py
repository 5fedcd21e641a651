"""The library that the commands stand on: loaded by the first command, and never by a process that serves requests."""

from __future__ import annotations

from typing import Any

from ..._internal.imports import need


def need_alembic(module: str = "alembic") -> Any:  # Any: a module
    """Import Alembic, or a part of it.

    PERF: Alembic and Mako are a hundred modules that serving a request never uses.

    :raises ImportError: when it is not installed; the message names the extra that brings it.
    """
    need("alembic", "migrate", "quaff.ext.migrate")
    return need(module, "migrate", "quaff.ext.migrate")
