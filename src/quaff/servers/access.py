"""One line per request: in the form that Flask's development server has, or into a file for production."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable
from logging.handlers import WatchedFileHandler
from urllib.parse import quote

from .wsgi import Environ

LogRequest = Callable[[Environ, int, float], None]
"""Takes the environ, the status and the seconds that the request took."""


def request_target(environ: Environ, *, with_query: bool) -> str:
    """Return the path of a request as it can stand in a log.

    The server decoded the path: quoting it again keeps line ends and control characters of a client out of the log.

    :param with_query: whether the query string is part of it. It may hold tokens, so production logs leave it out.
    """
    path: str = environ.get("SCRIPT_NAME", "") + environ["PATH_INFO"]
    # SECURITY: isprintable() is false for every control character. A quotation mark would end the request early.
    if not (path.isascii() and path.isprintable()) or '"' in path or " " in path or "\\" in path:
        path = quote(path.encode("latin-1", "replace"), safe="/:@!$&'()*+,;=~-._")
    query: str = environ.get("QUERY_STRING", "") if with_query else ""
    if query and ('"' in query or not query.isprintable()):
        query = quote(query.encode("latin-1", "replace"), safe="/?:@!$&'()*+,;=~-._%")
    return f"{path}?{query}" if query else path


def development_log() -> LogRequest | None:
    """Return the function that logs requests as Flask's development server does, or None when nobody would see them.

    The logger is `werkzeug`: programs silence the lines with `logging.getLogger("werkzeug").setLevel(logging.ERROR)`,
    and they then cost nothing.
    """
    logger = logging.getLogger("werkzeug")
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.INFO)
    if not logger.isEnabledFor(logging.INFO):
        return None
    from werkzeug._internal import _log

    def log(environ: Environ, status: int, seconds: float) -> None:
        now = time.strftime("%d/%b/%Y %H:%M:%S")
        target = request_target(environ, with_query=True)
        client = environ.get("REMOTE_ADDR") or "-"
        # COMPAT: the form of Werkzeug's server, for programs that read it.
        line = f'{client} - - [{now}] "{environ["REQUEST_METHOD"]} {target} {environ["SERVER_PROTOCOL"]}" {status} -'
        _log("info", "%s", line)

    return log


def open_log(target: str) -> logging.Handler:
    """Open the file *target* for access lines, to append to it; `-` stands for standard output.

    The file is opened anew when something else was moved to its place, as log rotation does.

    :raises OSError: when the file cannot be opened.
    """
    handler: logging.Handler
    handler = logging.StreamHandler(sys.stdout) if target == "-" else WatchedFileHandler(target, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(message)s"))
    return handler


def production_log(handler: logging.Handler) -> LogRequest:
    """Return the function that gives *handler* one line per request."""
    clock = clock_of_seconds()

    def log(environ: Environ, status: int, seconds: float) -> None:
        path = request_target(environ, with_query=False)
        line = (
            f'{environ.get("REMOTE_ADDR") or "-"} - - [{clock()}] "{environ["REQUEST_METHOD"]} {path}'
            f' {environ["SERVER_PROTOCOL"]}" {status} - {seconds * 1000:.1f}ms'
        )
        # PERF: straight to the handler: a logger would look up its parents and levels for each line.
        handler.handle(logging.LogRecord("quaff.access", logging.INFO, "", 0, line, None, None))

    return log


def clock_of_seconds() -> Callable[[], str]:
    """Return a function that gives the present time as access logs write it, formatted once per second."""
    last = (0, "")

    def clock() -> str:
        nonlocal last
        now = int(time.time())
        if now != last[0]:
            last = (now, time.strftime("%d/%b/%Y:%H:%M:%S %z", time.localtime(now)))
        return last[1]

    return clock
