"""The app's logger: named like the app, at DEBUG in debug mode, and writing to the server's error stream."""

from __future__ import annotations

import logging
import sys
from typing import Any, Protocol, TextIO

from werkzeug.local import LocalProxy

from .globals import active_request_context


class HasLogger(Protocol):
    """What of the app, a class of a higher layer, the logger depends on."""

    @property
    def name(self) -> str:
        """The name of the app, and of its logger."""
        raise NotImplementedError

    @property
    def debug(self) -> bool:
        """Whether the app is in debug mode."""
        raise NotImplementedError


def _current_errors_stream() -> TextIO:
    context = active_request_context()
    if context is None:
        return sys.stderr
    stream: TextIO = context.request.environ.get("wsgi.errors", sys.stderr)
    return stream


wsgi_errors_stream: Any = LocalProxy(_current_errors_stream)
"""The stream for errors: during a request that of its server, `wsgi.errors`, otherwise `sys.stderr`.

In a logging configuration it can be named as `ext://quaff.logging.wsgi_errors_stream`.
"""


def has_level_handler(logger: logging.Logger) -> bool:
    """Tell whether a handler of *logger*, or of a logger above it, takes records of its effective level."""
    level = logger.getEffectiveLevel()
    current: logging.Logger | None = logger
    while current is not None:
        if any(handler.level <= level for handler in current.handlers):
            return True
        current = current.parent if current.propagate else None
    return False


default_handler: logging.Handler = logging.StreamHandler(wsgi_errors_stream)
"""The handler that an app's logger gets when nothing else would show its records."""

default_handler.setFormatter(logging.Formatter("[%(asctime)s] %(levelname)s in %(module)s: %(message)s"))


def create_logger(app: HasLogger) -> logging.Logger:
    """Return the logger called `app.name`, set up as far as it is not yet.

    In debug mode its level becomes DEBUG unless it has one. Without a handler that takes its records, it gets
    `default_handler`.
    """
    logger = logging.getLogger(app.name)
    if app.debug and not logger.level:
        logger.setLevel(logging.DEBUG)
    if not has_level_handler(logger):
        logger.addHandler(default_handler)
    return logger
