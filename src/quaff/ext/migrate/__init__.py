"""Migrations: the tables of a database follow the models, with Alembic.

The names are those of Flask-Migrate 4.1. Start with `extension.py` (the class `Migrate`); `commands.py` is what
`quaff db` runs, and can be called from programs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .commands import (
    branches,
    catch_errors,
    check,
    current,
    downgrade,
    edit,
    heads,
    history,
    init,
    list_templates,
    log,
    merge,
    migrate,
    revision,
    show,
    stamp,
    upgrade,
)
from .extension import Migrate, MigrateConfig

if TYPE_CHECKING:
    from .config import Config

__all__ = [
    "Config",
    "Migrate",
    "branches",
    "catch_errors",
    "check",
    "current",
    "downgrade",
    "edit",
    "heads",
    "history",
    "init",
    "list_templates",
    "log",
    "merge",
    "migrate",
    "revision",
    "show",
    "stamp",
    "upgrade",
]

_MigrateConfig = MigrateConfig
"""COMPAT: the name that Flask-Migrate has for it."""


def __getattr__(name: str) -> Any:  # Any: what has the name
    # PERF: both import Alembic.
    if name == "Config":
        from .config import Config

        return Config
    if name == "alembic_version":
        from .config import alembic_version

        return alembic_version
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
