"""A session whose transaction object is made when somebody looks at it.

A session that has read one row is in a transaction: `in_transaction()` says so, `begin()` refuses, `rollback()` expires
what was read. If that row was all, then nobody asks, and the object that stands for the transaction was made for nothing.
Here the session notes that it is in a transaction, and makes the object at the first look.

Read first: `tests/ext/sqlalchemy/test_lazy_transactions.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import sqlalchemy as sa
import sqlalchemy.orm as sa_orm
import sqlalchemy.pool as sa_pool
from sqlalchemy.exc import DBAPIError

from .fast_models import PASS
from .fast_reads import reads_alone
from .retries import ReadRetries, is_safe_request

_STAYS_OPEN: Final[Any] = getattr(getattr(sa_orm.session, "_SessionCloseState", None), "CLOSE_IS_RESET", object())
"""The state of a session that may be used again after `close()`, as is usual."""


class LazyTransactions(ReadRetries):
    """A session that can be in a transaction without an object for it. `fast_get.py` makes use of it."""

    _has_read = False
    """Whether the session is in a transaction that has no object yet."""

    _current_transaction: Any = None

    _shared_listeners: Any = None
    """Those who listen to all sessions of the class."""

    @property
    def _transaction(self) -> Any:
        # What SQLAlchemy keeps in an attribute, and looks at in each of its methods.
        if self._has_read:
            self._has_read = False
            self._autobegin_t()
        return self._current_transaction

    @_transaction.setter
    def _transaction(self, transaction: Any) -> None:
        self._current_transaction = transaction

    def listeners(self) -> Any:
        """Return who listens to the session, by event. PERF: `dispatch` makes an object for each session that is asked."""
        own = self.__dict__.get("dispatch")
        if own is not None:
            return own
        cls = type(self)
        shared = cls.__dict__.get("_shared_listeners")
        if shared is None:
            shared = cls.__new__(cls).dispatch
            cls._shared_listeners = shared
        return shared

    def read_rows(self, mapper: Any, clause: Any, fetch: Callable[[sa.Connection], Any]) -> Any:
        """Return what *fetch* reads, on the connection of the session's transaction; or `PASS`, when it returns that.

        The first that a session reads is read on a connection that goes back to the pool at once. PERF: many a request
        reads no more than that, and a connection in a transaction of SQLAlchemy's costs more than the reading. A read whose
        connection was lost is tried again as in `ReadRetries`.

        :param mapper: with *clause*, tells `get_bind` which engine is meant.
        :raises sqlalchemy.exc.DBAPIError: what *fetch* raises.
        """
        if self._has_read or self._current_transaction is not None:
            return self._read_inside(mapper, clause, fetch)
        try:
            return self._read_first(mapper, clause, fetch)
        except DBAPIError as error:
            if not (error.connection_invalidated and is_safe_request() and self._reads_again()):
                raise
        self.rollback()
        # The one more try is SQLAlchemy's, and there is none after it.
        self._is_second_try = True
        return PASS

    def _read_inside(self, mapper: Any, clause: Any, fetch: Callable[[sa.Connection], Any]) -> Any:
        connection = self.connection(bind_arguments={"mapper": mapper, "clause": clause})
        return fetch(connection) if connection.in_transaction() else PASS

    def _read_first(self, mapper: Any, clause: Any, fetch: Callable[[sa.Connection], Any]) -> Any:
        engine: Any = self.get_bind(mapper=mapper, clause=clause)
        # Looking for the engine may have begun a transaction: that is how a replica is chosen.
        if self._current_transaction is None and self._may_read_alone(engine):
            with engine.connect() as connection:
                if reads_alone(connection):
                    self._has_read = True
                    return fetch(connection)
        return self._read_inside(mapper, clause, fetch)

    def _may_read_alone(self, engine: Any) -> bool:
        """Tell whether rows may be read on a connection that the session does not keep."""
        told = self.listeners()
        return (
            isinstance(engine, sa.Engine)
            # The other pools hand out one connection to several sessions, or count them.
            and isinstance(engine.pool, sa_pool.QueuePool)
            and self.autobegin
            and self._close_state is _STAYS_OPEN
            and not (
                told.after_transaction_create
                or told.after_begin
                or told.after_transaction_end
                or told.after_soft_rollback
            )
            and getattr(self, "_trans_context_manager", None) is None
        )

    def close(self) -> None:
        """Release everything that the session holds; see `sqlalchemy.orm.Session.close`."""
        # PERF: what was only noted need not be ended, and where nothing is left, nothing is to be released.
        self._has_read = False
        if (
            self._current_transaction is not None
            or self._new
            or self._deleted
            or len(self.identity_map)
            or self._close_state is not _STAYS_OPEN
        ):
            super().close()
