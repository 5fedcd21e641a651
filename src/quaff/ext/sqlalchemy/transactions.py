"""Transactions as blocks: `db.transaction()` and `db.async_transaction()`.

The outermost block commits the session, or rolls it back when an error leaves it. A block inside another one is a
savepoint, so that a function with a block of its own works alone and as a part of something larger. A session that only
has begun a transaction because something was read before (`autobegin`) is taken as it is: the block commits what it holds.

Work that the database ended for the sake of another transaction can be done again, but no `with` statement can run its
block twice, so `retries` need a function: the decorator. Rejected: a loop of attempts, each a block, for a `return` in such
a block leaves the loop although the commit that comes after it failed.
See `tests/ext/sqlalchemy/test_transactions.py`.
"""

from __future__ import annotations

import random
import time
from collections.abc import Awaitable, Callable, Coroutine
from functools import wraps
from inspect import iscoroutinefunction
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Generic, ParamSpec, TypeVar

from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session, SessionTransaction, SessionTransactionOrigin

from .replicas import pin_to_primary

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

P = ParamSpec("P")
R = TypeVar("R")
S = TypeVar("S")

SQLSTATES: Final = frozenset({"40001", "40P01"})
"""Serialization failure and deadlock: SQL:2016, and PostgreSQL's appendix A."""

MYSQL_ERRORS: Final = frozenset({1020, 1213})
"""Of MySQL and MariaDB: a row that changed since the snapshot was taken, and a deadlock."""

SQLITE_ERRORS: Final = frozenset({5, 6})
"""SQLITE_BUSY and SQLITE_LOCKED, with all that refines them."""

FIRST_PAUSE: Final = 0.02
"""Seconds that a second attempt waits at most; each further one twice as long."""

LONGEST_PAUSE: Final = 1.0

_OPEN: Final = "quaff.ext.sqlalchemy.transaction"
"""In `Session.info` while an outermost block is open."""


def is_retryable(error: BaseException) -> bool:
    """Tell whether the database ended a transaction only because of another one, so that it may succeed next time.

    Serialization failures and deadlocks of PostgreSQL, MySQL and MariaDB, and a locked SQLite database, are. A lost
    connection is not: nobody knows whether its commit was made.
    """
    if not isinstance(error, DBAPIError):
        return False
    # An adapted async driver may keep the driver's own error one level deeper.
    for cause in (error.orig, getattr(error.orig, "__cause__", None)):
        state = getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None)
        number = getattr(cause, "sqlite_errorcode", None)
        if number is not None and number & 0xFF in SQLITE_ERRORS:
            return True
        arguments = getattr(cause, "args", ())
        if state in SQLSTATES or (arguments and isinstance(arguments[0], int) and arguments[0] in MYSQL_ERRORS):
            return True
    return False


def pause_before(attempt: int) -> float:
    """Return the seconds to wait before *attempt* (1 is the first repetition), at random so that two rivals part."""
    return random.uniform(0, min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (attempt - 1)))


class _Block:
    """One block on a session, from its beginning to its end. Both methods may wait for the database."""

    __slots__ = ("_release", "_transaction", "is_outermost", "session")

    def __init__(self, session: Session) -> None:
        self.session = session
        begun = session.get_transaction()
        self.is_outermost = _OPEN not in session.info and (
            begun is None
            or (begun.origin is SessionTransactionOrigin.AUTOBEGIN and not session.in_nested_transaction())
        )
        self._transaction: SessionTransaction
        if not self.is_outermost:
            self._transaction = session.begin_nested()
        else:
            self._transaction = session.begin() if begun is None else begun
            session.info[_OPEN] = True
        self._release = pin_to_primary(session)
        self._transaction.__enter__()

    def __enter__(self) -> None: ...

    def __exit__(
        self, exc_type: type[BaseException] | None, exc_value: BaseException | None, tb: TracebackType | None
    ) -> None:
        """Commit, or roll back when there is an error.

        :raises sqlalchemy.exc.SQLAlchemyError: when the commit fails; it is rolled back then.
        """
        try:
            self._transaction.__exit__(exc_type, exc_value, tb)
        finally:
            self._release()
            if self.is_outermost:
                self.session.info.pop(_OPEN, None)


class _Work(Generic[S]):
    """What both kinds of transaction share.

    :param session: returns the current session.
    :param retries: how often the work of a function is done again at most.
    """

    def __init__(self, session: Callable[[], S], retries: int = 0) -> None:
        if isinstance(retries, bool) or retries != int(retries) or retries < 0:
            raise ValueError(f"retries is a number of at least 0, not {retries!r}.")
        self._session = session
        self._retries = retries
        self._block: _Block | None = None

    def _check_plain(self, name: str, keyword: str) -> None:
        if self._retries:
            raise TypeError(
                f"The block of '{keyword}' cannot run twice, so retries need a function: put"
                f" @db.{name}(retries={self._retries}) above the one that does the work."
            )
        if self._block is not None:
            raise RuntimeError(f"This transaction is open already; call db.{name}() for each block.")

    def _take_block(self) -> _Block:
        block, self._block = self._block, None
        if block is None:
            raise RuntimeError("This transaction was not begun.")
        return block

    def _may_repeat(self, attempt: int, block: _Block, error: BaseException) -> bool:
        """Tell whether the work is done again. In a savepoint it is not: what failed is the transaction around it."""
        return attempt < self._retries and block.is_outermost and is_retryable(error)


class Transaction(_Work[Session]):
    """What `db.transaction()` returns: a context manager that gives the session, or a decorator."""

    def __enter__(self) -> Session:
        self._check_plain("transaction", "with")
        self._block = _Block(self._session())
        return self._block.session

    def __exit__(
        self, exc_type: type[BaseException] | None, exc_value: BaseException | None, tb: TracebackType | None
    ) -> None:
        self._take_block().__exit__(exc_type, exc_value, tb)

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """Return a function that does the work of *function* in a transaction of its own."""
        if iscoroutinefunction(function):
            raise TypeError(f"{function.__name__}() is async: put @db.async_transaction() above it.")

        @wraps(function)
        def run(*args: P.args, **kwargs: P.kwargs) -> R:
            attempt = 0
            while True:
                block = _Block(self._session())
                try:
                    with block:
                        return function(*args, **kwargs)
                except DBAPIError as error:
                    if not self._may_repeat(attempt, block, error):
                        raise
                attempt += 1
                time.sleep(pause_before(attempt))

        return run


class AsyncTransaction(_Work["AsyncSession"]):
    """What `db.async_transaction()` returns: an async context manager that gives the session, or a decorator."""

    async def __aenter__(self) -> AsyncSession:
        self._check_plain("async_transaction", "async with")
        session = self._session()
        self._block = await session.run_sync(_Block)
        return session

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc_value: BaseException | None, tb: TracebackType | None
    ) -> None:
        await _AsyncBlock(self._take_block()).__aexit__(exc_type, exc_value, tb)

    def __call__(self, function: Callable[P, Awaitable[R]]) -> Callable[P, Coroutine[Any, Any, R]]:
        """Return a coroutine function that does the work of *function* in a transaction of its own."""
        if not iscoroutinefunction(function):
            name = getattr(function, "__name__", repr(function))
            raise TypeError(f"{name}() is not async: put @db.transaction() above it.")

        @wraps(function)
        async def run(*args: P.args, **kwargs: P.kwargs) -> R:
            from asyncio import sleep

            attempt = 0
            while True:
                block = await self._session().run_sync(_Block)
                try:
                    async with _AsyncBlock(block):
                        return await function(*args, **kwargs)
                except DBAPIError as error:
                    if not self._may_repeat(attempt, block, error):
                        raise
                attempt += 1
                await sleep(pause_before(attempt))

        return run


class _AsyncBlock:
    """A block whose end is waited for on the loop."""

    __slots__ = ("_block", "_session")

    def __init__(self, block: _Block) -> None:
        from sqlalchemy.ext.asyncio import async_session

        self._block = block
        self._session: Any = async_session(block.session)

    async def __aenter__(self) -> None: ...

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc_value: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self._session.run_sync(lambda _: self._block.__exit__(exc_type, exc_value, tb))
