"""What holds while `env.py` and the migrations run, so that existing folders of Flask-Migrate run unchanged."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ..._internal.lazy import resolve
from ...globals import active_app_context

if TYPE_CHECKING:
    from .config import Config


@contextmanager
def running(config: Config) -> Iterator[None]:
    """Run one of Alembic's commands inside of this.

    - `import flask` gives Quaff, and `import flask_sqlalchemy` its battery: `env.py` reads `flask.current_app`.
    - `asyncio.get_event_loop()` gives a loop if `env.py` uses it.
    - What `env.py` changes for itself is undone: loggers that `fileConfig` disables or takes over, and `configure_args`.
    """
    with ExitStack() as stack:
        stack.enter_context(_flask_alias())
        stack.enter_context(_kept_loggers())
        stack.enter_context(_kept_arguments())
        if _uses_old_loop(config):
            stack.enter_context(_event_loop())
        yield


@contextmanager
def _flask_alias() -> Iterator[None]:
    if resolve("flask_alias_installed")():
        yield
        return
    with warnings.catch_warnings():
        # It is taken away again, so what imported the real Flask keeps it.
        warnings.simplefilter("ignore", RuntimeWarning)
        resolve("install_as_flask")()
    try:
        yield
    finally:
        resolve("uninstall_flask_alias")()


@contextmanager
def _kept_loggers() -> Iterator[None]:
    """Undo what `logging.config.fileConfig` does to the loggers of a program: `env.py` calls it with `alembic.ini`.

    It disables those that the file does not name. Where the program has set up logging, handlers and levels are put back
    as well; on the command line, what the file says stays for what is still to be said.
    """
    is_set_up = bool(logging.root.handlers)
    before = [(found, found.disabled, found.level, found.propagate, found.handlers[:]) for found in _loggers()]
    try:
        yield
    finally:
        for logger, disabled, level, propagate, handlers in before:
            logger.disabled = disabled
            if is_set_up:
                logger.setLevel(level)
                logger.propagate = propagate
                logger.handlers[:] = handlers


def _loggers() -> list[logging.Logger]:
    found = logging.root.manager.loggerDict
    return [logging.root, *(logger for logger in list(found.values()) if isinstance(logger, logging.Logger))]


@contextmanager
def _kept_arguments() -> Iterator[None]:
    """Take out of the app's arguments what `env.py` puts there for one command: it would be used by the next one."""
    context = active_app_context()
    settings = None if context is None else context.app.extensions.get("migrate")
    if settings is None:
        yield
        return
    before = dict(settings.configure_args)
    try:
        yield
    finally:
        settings.configure_args.clear()
        settings.configure_args.update(before)


def _uses_old_loop(config: Config) -> bool:
    location = config.get_main_option("script_location")
    path = None if location is None else Path(location, "env.py")
    return path is not None and path.is_file() and b"asyncio.get_event_loop(" in path.read_bytes()


@contextmanager
def _event_loop() -> Iterator[None]:
    """Give `asyncio.get_event_loop()` a loop where there is none.

    COMPAT: the async folders of Flask-Migrate call it; Python 3.12 warns then, and from 3.14 on it is an error.
    """
    import asyncio

    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        yield
    finally:
        asyncio.set_event_loop(None)
        loop.close()
