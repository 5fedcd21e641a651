"""What an error of the database means, and what the client is told about it.

`judge` is the pure half: it says whether an error is a conflict with what is stored (409), a database that cannot be reached
or is too busy (503), or something that is the program's fault, which stays the error that it is. The other half answers: an
app gets error handlers for SQLAlchemy's errors, which step back for the program's own ones.

Neither answer shows a client anything that the database said: its messages hold values, names and addresses.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, TypeVar, cast

from sqlalchemy import exc
from werkzeug.exceptions import Conflict, ServiceUnavailable

F = TypeVar("F", bound=Callable[..., Any])


class Kind(Enum):
    """What an error means."""

    DUPLICATE = "duplicate"
    """A value that has to be unique is there already."""

    REFERENCE = "reference"
    """A foreign key: what is referred to is not there, or what is to be deleted is still referred to."""

    UNREACHABLE = "unreachable"
    """No connection can be made, or the one that was used is lost."""

    BUSY = "busy"
    """A lock was not to be had in time, or a transaction was rolled back in favour of another one."""

    POOL = "pool"
    """All connections that the pool may have were in use for too long."""


CONFLICTS: Final = frozenset({Kind.DUPLICATE, Kind.REFERENCE})
"""What a 409 stands for; the others are a 503."""

_POSTGRESQL: Final = {
    "23505": Kind.DUPLICATE,
    "23P01": Kind.DUPLICATE,  # an exclusion constraint
    "23503": Kind.REFERENCE,
    "23001": Kind.REFERENCE,
    "57P01": Kind.UNREACHABLE,  # the server shuts down, or somebody ended the connection
    "57P02": Kind.UNREACHABLE,
    "57P03": Kind.UNREACHABLE,  # it starts up
    "57P05": Kind.UNREACHABLE,
    "53300": Kind.UNREACHABLE,  # too many connections
    "25P03": Kind.UNREACHABLE,  # ended because it was idle in a transaction
    "40001": Kind.BUSY,
    "40P01": Kind.BUSY,
    "55P03": Kind.BUSY,
}
"""SQLSTATE -> what it means; beside these, class 08. https://www.postgresql.org/docs/current/errcodes-appendix.html"""

_MYSQL: Final = {
    **dict.fromkeys((1022, 1062, 1169, 1586, 1859), Kind.DUPLICATE),
    **dict.fromkeys((1216, 1217, 1451, 1452), Kind.REFERENCE),
    **dict.fromkeys((1040, 1053, 1152, 1158, 1159, 1160, 1161, 1203, 1226, 1927), Kind.UNREACHABLE),
    **dict.fromkeys((2002, 2003, 2005, 2006, 2012, 2013, 2055, 4031), Kind.UNREACHABLE),
    **dict.fromkeys((1205, 1213), Kind.BUSY),
}
"""Error number -> what it means. https://mariadb.com/docs/server/reference/error-codes/mariadb-error-code-reference"""

_SQLITE: Final = {
    "SQLITE_CONSTRAINT_UNIQUE": Kind.DUPLICATE,
    "SQLITE_CONSTRAINT_PRIMARYKEY": Kind.DUPLICATE,
    "SQLITE_CONSTRAINT_ROWID": Kind.DUPLICATE,
    "SQLITE_CONSTRAINT_FOREIGNKEY": Kind.REFERENCE,
}
"""Name of an error -> what it means; beside these, SQLITE_BUSY and SQLITE_LOCKED. https://www.sqlite.org/rescode.html"""

_PASSING_REFUSALS: Final = (
    "starting up",
    "shutting down",
    "recovery mode",
    "too many clients",
    "connection slots",
    "not yet accepting",
    "not accepting connections",
)
"""In what PostgreSQL says while it refuses a connection for now; libpq passes on the text and not the SQLSTATE."""


def judge(error: BaseException) -> Kind | None:
    """Return what an error of SQLAlchemy means, or None for what no waiting and no other input mends.

    A wrong password, a database or table that there is not, SQL that is wrong, NULL where it may not be: None.
    """
    if isinstance(error, exc.TimeoutError):
        return Kind.POOL
    if not isinstance(error, exc.DBAPIError):
        return None
    if error.connection_invalidated:
        return Kind.UNREACHABLE
    original: Any = error.orig  # Any: an error of whichever driver
    name = getattr(original, "sqlite_errorname", None)
    if name is not None:
        return Kind.BUSY if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")) else _SQLITE.get(name)
    number = getattr(original, "errno", None) or next(iter(getattr(original, "args", ())), None)
    if isinstance(number, int):
        return _MYSQL.get(number)
    state = getattr(original, "sqlstate", None) or getattr(original, "pgcode", None)
    if state:
        return _POSTGRESQL.get(state) or (Kind.UNREACHABLE if state.startswith("08") else None)
    if error.statement is None and isinstance(error, (exc.OperationalError, exc.InterfaceError)):
        return _judge_refusal(str(original))
    return None


def _judge_refusal(message: str) -> Kind | None:
    """Judge a connection that could not be made, where the driver gives no code."""
    if "FATAL" in message and not any(words in message for words in _PASSING_REFUSALS):
        # The server is there and says what it does not like: a name or a password.
        return None
    return Kind.UNREACHABLE


class DatabaseConflict(Conflict):
    """What is to be stored does not go together with what is there: 409.

    For `@app.errorhandler(409)` or `@app.errorhandler(DatabaseConflict)`, which may say more: see `kind` and `constraint`.
    The error of SQLAlchemy is its `__cause__`.

    :param kind: `Kind.DUPLICATE` or `Kind.REFERENCE`.
    :param constraint: what `constraint_of` returns.
    """

    def __init__(self, kind: Kind = Kind.DUPLICATE, constraint: str | None = None) -> None:
        self.kind = kind
        self.constraint = constraint
        super().__init__(
            "Something with these values is there already."
            if kind is Kind.DUPLICATE
            else "This belongs to something that is not there, or something else still belongs to it."
        )


class DatabaseUnavailable(ServiceUnavailable):
    """The database cannot be reached, or is too busy: 503 with `Retry-After`.

    For `@app.errorhandler(503)` or `@app.errorhandler(DatabaseUnavailable)`. The error of SQLAlchemy is its `__cause__`.

    :param kind: `Kind.UNREACHABLE`, `Kind.BUSY` or `Kind.POOL`.
    :param retry_after: seconds after which the client may try again.
    """

    description = "The database does not answer at the moment. Please try again soon."

    def __init__(self, kind: Kind = Kind.UNREACHABLE, retry_after: int | None = None) -> None:
        self.kind = kind
        super().__init__(retry_after=retry_after)


def constraint_of(error: exc.DBAPIError) -> str | None:
    """Return the name of the constraint or index that an error is about, or on SQLite its columns; None if it is not told.

    ============ ===========================
    PostgreSQL   `users_username_key`
    MySQL        `users.username`, or `username` on MariaDB
    SQLite       `users.username`
    ============ ===========================
    """
    original: Any = error.orig
    named = getattr(getattr(original, "diag", None), "constraint_name", None)
    if named:
        return str(named)
    message = str(original)
    if "constraint failed: " in message:
        return message.partition("constraint failed: ")[2]
    if " for key '" in message:
        # The value stands before it, and may hold anything.
        return message.rpartition(" for key '")[2].partition("'")[0]
    if "CONSTRAINT `" in message:
        return message.partition("CONSTRAINT `")[2].partition("`")[0]
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """Which errors of the database are answered, and how."""

    conflicts: bool = False
    """Whether a duplicate or a foreign key that does not fit is a 409 everywhere: `SQLALCHEMY_CONFLICT_AS_409`."""

    unavailable: bool = True
    """Whether a database that cannot be reached or is too busy is a 503: `SQLALCHEMY_UNAVAILABLE_AS_503`."""

    retry_after: int = 1
    """Seconds in the `Retry-After` of a 503: `SQLALCHEMY_RETRY_AFTER`."""

    def to_http(self, error: BaseException) -> DatabaseConflict | DatabaseUnavailable | None:
        """Return the HTTP error for an error of SQLAlchemy, or None when it stays what it is."""
        kind = judge(error)
        made: DatabaseConflict | DatabaseUnavailable
        if kind in CONFLICTS and self.conflicts:
            made = DatabaseConflict(kind, constraint_of(cast("exc.DBAPIError", error)))
        elif kind is not None and kind not in CONFLICTS and self.unavailable:
            made = DatabaseUnavailable(kind, self.retry_after)
        else:
            return None
        made.__cause__ = error
        return made


def answer_failures(
    app: Any,
    answers: Callable[[], Answers],
    rollback: Callable[[], object],
    note: Callable[[DatabaseUnavailable], object],
) -> None:
    """Give an app error handlers for errors of the database.

    COMPAT: a handler of the program's for the error's class, up to `SQLAlchemyError`, or any of a blueprint's, goes first
    and gets the error as it is. A handler for `Exception` gets the HTTP error.

    :param app: the app; its handlers may be registered before or after.
    :param answers: returns what is answered. It is asked for each error, so the configuration may come later.
    :param rollback: rolls back the session of the current context, so that an error page may use it.
    :param note: called with a 503 that is going to be sent.
    """

    def handle(error: Exception) -> Any:
        own = _find_own_handler(app, type(error), handle, exc.SQLAlchemyError)
        if own is not None:
            return app.ensure_sync(own)(error)
        answer = answers().to_http(error)
        if answer is None:
            own = _find_own_handler(app, type(error), handle, Exception)
            if own is None:
                raise error
            return app.ensure_sync(own)(error)
        if isinstance(answer, DatabaseUnavailable):
            note(answer)
        rollback()
        return app.handle_http_exception(answer)

    handlers = app.error_handler_spec[None][None]
    for cls in (exc.DBAPIError, exc.TimeoutError):
        if cls not in handlers:
            app.register_error_handler(cls, handle)


def _find_own_handler(app: Any, error: type[Exception], ours: Any, until: type[Exception]) -> Any:
    """Return the app's handler for an error class or a base of it, *until* included, that is not *ours*; or None."""
    handlers = app.error_handler_spec[None][None]
    for cls in error.__mro__:
        handler = handlers.get(cls)
        if handler is not None and handler is not ours:
            return handler
        if cls is until:
            return None
    return None


class Conflicts:
    """Makes 409 of conflicts, for a block or for a view.

    :param rollback: rolls back the session of the current context.
    """

    def __init__(self, rollback: Callable[[], object]) -> None:
        self._rollback = rollback

    @contextmanager
    def block(self) -> Iterator[None]:
        """Turn a conflict in the block into `DatabaseConflict`, after the session was rolled back.

        A duplicate is noticed when it is sent: call `commit()` or `flush()` inside the block.

        :raises DatabaseConflict: in place of an `IntegrityError` that is one.
        """
        try:
            yield
        except exc.IntegrityError as error:
            answer = Answers(conflicts=True).to_http(error)
            if not isinstance(answer, DatabaseConflict):
                raise
            self._rollback()
            raise answer from error

    def decorate(self, view: F) -> F:
        """Return *view* with its body in such a block; it may be a coroutine function."""
        if inspect.iscoroutinefunction(view):

            @functools.wraps(view)
            async def call_async(*args: Any, **kwargs: Any) -> Any:
                with self.block():
                    return await view(*args, **kwargs)

            return cast("F", call_async)

        @functools.wraps(view)
        def call(*args: Any, **kwargs: Any) -> Any:
            with self.block():
                return view(*args, **kwargs)

        return cast("F", call)
