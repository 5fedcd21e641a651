"""What the log says about a database that is down: one line when it goes, one when it is back, and few between.

A pool that loses its server fails for every request at once. Here the engine tells about it, not the requests, so that the
number of lines does not depend on theirs. Both listeners are called only when something fails or a connection is made; a
statement that works costs nothing.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import event, exc
from sqlalchemy.engine import ExceptionContext

from .failures import DatabaseUnavailable, Kind, judge

REPORT_EVERY: Final = 10.0
"""Seconds after which a database that is still down gets another line."""

_WHILE_COMMITTING: Final = (
    "The connection was lost while the transaction was being committed, so it is not known whether it is committed. Look"
    " before you do it again."
)
_IN_THE_MIDDLE: Final = (
    "The connection was lost in the middle of a transaction. The database rolls back what was not committed; start again"
    " from the beginning of the transaction."
)


class Outage:
    """What is known of one database of one app.

    :param name: what the database is called in the log.
    :param logger: where the lines go.
    :param clock: returns seconds.
    """

    def __init__(self, name: str, logger: logging.Logger, clock: Callable[[], float] = time.monotonic) -> None:
        self.name = name
        self.failures = 0
        self._logger = logger
        self._clock = clock
        self._reported = 0.0
        self._lock = threading.Lock()

    def note_failure(self, reason: str) -> None:
        """Count a failure, and log it if it is the first, or the last line was long ago."""
        with self._lock:
            self.failures += 1
            failures, now = self.failures, self._clock()
            if failures > 1 and now - self._reported < REPORT_EVERY:
                return
            self._reported = now
        if failures == 1:
            self._logger.error("%s does not answer: %s", self.name, reason)
        else:
            self._logger.error("%s still does not answer, after %d failures: %s", self.name, failures, reason)

    def note_connection(self) -> None:
        """Log that the database is back, if it was away."""
        if not self.failures:
            return
        with self._lock:
            failures, self.failures = self.failures, 0
        if failures:
            self._logger.warning(
                "%s answers again, after %s.", self.name, "1 failure" if failures == 1 else f"{failures} failures"
            )


class RefusalLog:
    """Logs requests that were refused for another reason than a lost connection: no more than a line every ten seconds.

    :param logger: where the lines go.
    :param clock: returns seconds.
    """

    def __init__(self, logger: logging.Logger, clock: Callable[[], float] = time.monotonic) -> None:
        self._logger = logger
        self._clock = clock
        self._silent_until: float | None = None
        self._refused = 0
        self._lock = threading.Lock()

    def note(self, answer: DatabaseUnavailable) -> None:
        """Count a 503."""
        if answer.kind is Kind.UNREACHABLE:
            # The engine has told about it.
            return
        with self._lock:
            self._refused += 1
            now = self._clock()
            if self._silent_until is not None and now < self._silent_until:
                return
            refused, self._refused, self._silent_until = self._refused, 0, now + REPORT_EVERY
        cause = answer.__cause__ or answer
        self._logger.error("A request got 503 (%d since the last such line): %s", refused, one_line(cause))


def watch_engine(engine: sa.Engine, bind_key: str | None, logger: logging.Logger) -> Outage:
    """Log when the database of an engine goes and comes back, and make what a lost connection raises say what it means.

    :param engine: an engine; of an `AsyncEngine`, its `sync_engine`.
    :param bind_key: the bind key, None for the default database.
    :param logger: the app's.
    """
    outage = Outage(name_of(engine.url, bind_key), logger)

    def on_error(context: ExceptionContext) -> None:
        error = context.sqlalchemy_exception
        # A ping that fails is how a pool finds out about connections of before; it makes a new one next.
        if error is None or getattr(context, "is_pre_ping", False) or judge(error) is not Kind.UNREACHABLE:
            return
        if context.connection is not None:
            # The driver may not know yet: PostgreSQL says that it ends a connection before it does.
            context.is_disconnect = True
            error.add_detail(_WHILE_COMMITTING if _is_committing() else _IN_THE_MIDDLE)
        outage.note_failure(one_line(context.original_exception))

    def on_connect(connection: Any, record: Any) -> None:  # Any: the driver's connection and the pool's record
        outage.note_connection()

    pool = type(engine.pool)
    logging.getLogger(f"{pool.__module__}.{pool.__name__}").addFilter(_lost_at_reset)
    event.listen(engine, "handle_error", on_error)
    event.listen(engine, "connect", on_connect)
    return outage


class LostAtReset(logging.Filter):
    """Leaves out what SQLAlchemy's pools log, with a traceback each, about connections that are lost when given back.

    All connections that are in use when a server dies are. Nothing is lost with them: what was to be committed is, and who
    takes a connection next gets a new one, or an error that is logged once.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether a record stays."""
        error = record.exc_info[1] if record.exc_info else None
        if (
            error is None
            or not isinstance(error, Exception)
            or not str(record.msg).startswith("Exception during reset")
        ):
            return True
        if not any(cls.__name__ in {"OperationalError", "InterfaceError"} for cls in type(error).__mro__):
            return True
        # It is the driver's own error, which SQLAlchemy did not wrap.
        return judge(exc.OperationalError(None, None, error)) is not Kind.UNREACHABLE


_lost_at_reset: Final = LostAtReset()


def name_of(url: sa.URL, bind_key: str | None) -> str:
    """Return what a database is called in a log: without user and password."""
    where = url.host or ""
    if url.port is not None:
        where += f":{url.port}"
    bind = "" if bind_key is None else f" {bind_key!r}"
    place = f"{where}/{url.database or ''}" if where else url.database or ":memory:"
    return f"The database{bind} ({url.get_backend_name()} {place})"


def one_line(error: BaseException) -> str:
    """Return an error's message on one line, with the name of its class; of SQLAlchemy's errors, what the driver said."""
    error = getattr(error, "orig", None) or error
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text if text.isprintable() else ascii(text)}"


def _is_committing() -> bool:
    """Tell whether what fails is a COMMIT.

    SQLAlchemy does not say so, and a listener for commits would cost each of them something; the stack knows it.
    """
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_name in {"_commit_impl", "_commit_twophase_impl"}:
            return True
        frame = frame.f_back
    return False
