"""Makes engines, and lets a forked child make connections of its own."""

from __future__ import annotations

import os
import weakref
from collections.abc import MutableMapping
from typing import Any, Final

import sqlalchemy as sa

from .defaults import prepare_engine
from .settings import BINDS, URI
from .urls import check_driver

Engines = dict[str | None, sa.Engine]
"""Bind key, None for the default -> engine."""

AppEngines = MutableMapping[Any, Engines]
"""App -> its engines. Any: what is an app is not checked."""

_made: Final[weakref.WeakSet[sa.Engine]] = weakref.WeakSet()


def make_engine(bind_key: str | None, options: dict[str, Any], app: Any) -> sa.Engine:
    """Make an engine; it connects when it is first used.

    :param options: the arguments of `create_engine`, with `url`. Texts are understood as in a configuration file.
    :raises DatabaseUrlError: when there is no such kind of database or driver.
    :raises DriverMissing: when the driver is not installed.
    """
    if "module" not in options:
        check_driver(sa.engine.make_url(options["url"]), URI if bind_key is None else f"{BINDS}[{bind_key!r}]")
    engine = sa.engine_from_config(options, prefix="")
    prepare_engine(engine, app.config["COMPAT"])
    _made.add(engine)
    return engine


def dispose_all(engines: Engines) -> None:
    """Close the connections of all engines, and forget the engines."""
    for engine in engines.values():
        engine.dispose()
    engines.clear()


def dispose_with(app: Any, engines: Engines) -> None:
    """Close the connections of *engines* when *app* is gone: Python warns of those of SQLite that nobody closes."""
    finalizer = weakref.finalize(app, dispose_all, engines)
    # When the process ends, the system closes them, however the servers are.
    finalizer.atexit = False


def _begin_anew() -> None:
    # The connections are the parent's: closing them here would end them there.
    for engine in list(_made):
        engine.dispose(close=False)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)
