"""Reads the rows of a statement that is already SQL: the connection and the errors are SQLAlchemy's, the rest is short.

Read first: `tests/ext/sqlalchemy/test_fast_rows.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import sqlalchemy as sa

from .fast_models import PASS

_DRIVERS: Final = frozenset({"pysqlite", "psycopg", "pymysql"})
"""Drivers that take values as they are, without being told their types for each statement."""

Convert = Callable[[Any], Any] | None


def is_usable(connection: sa.Connection) -> bool:
    """Tell whether nobody listens on a connection, no option is set for it, and its driver is a known one."""
    seen: Any = connection
    dialect: Any = connection.dialect
    return not (
        dialect.driver not in _DRIVERS
        or seen._has_events
        or seen.engine._has_events
        or dialect.dispatch.do_execute
        or seen._echo
        or seen.get_execution_options()
        or seen.invalidated
    )


class Rows:
    """The rows of one statement on one engine.

    It keeps nothing that refers to the engine, which would never be freed: it is the key under which this is remembered.

    :param dialect: the engine's.
    :param sql: the statement.
    :param columns: the columns that are wanted, in the order in which they are wanted.
    :param indexes: where in a row they are.
    """

    __slots__ = ("_columns", "_converts", "_driver_error", "_indexes", "sql")

    def __init__(
        self, dialect: sa.Dialect, sql: str, columns: Sequence[sa.Column[Any]], indexes: Sequence[int] | None = None
    ) -> None:
        self.sql = sql
        self._driver_error: Any = dialect.loaded_dbapi.Error
        self._columns = tuple(columns)
        self._indexes = tuple(range(len(columns))) if indexes is None else tuple(indexes)
        self._converts: tuple[Convert, ...] | None = None

    def fetch(self, connection: sa.Connection, parameters: Callable[[], Any], purpose: Any) -> Any:
        """Return the converted rows as a list, or `PASS` for a value that cannot be sent.

        :param parameters: returns what the driver gets.
        :param purpose: passed on in place of an execution context.
        :raises sqlalchemy.exc.DBAPIError: as SQLAlchemy does, with all that follows for the connection and its pool.
        """
        sent: Any = None
        cursor: Any = None
        try:
            sent = parameters()
            cursor = connection.connection.cursor()
            connection.dialect.do_execute(cursor, self.sql, sent, purpose)
            rows = cursor.fetchall()
            described = cursor.description
            cursor.close()
        except self._driver_error as error:
            # It raises what SQLAlchemy makes of it, and gives up the connection if it is lost.
            connection._handle_dbapi_exception(error, self.sql, sent, cursor, None)
            raise
        except Exception:
            # A value that the type refuses, or that the driver cannot send: SQLAlchemy says it in its words.
            return PASS
        converts = self._converts
        if converts is None:
            # Which conversion a column needs may follow from the type that the database tells.
            converts = self._converts = self._learn(connection.dialect, described)
        if not converts:
            return rows
        pairs = tuple(zip(converts, self._indexes, strict=True))
        return [[row[at] if convert is None else convert(row[at]) for convert, at in pairs] for row in rows]

    def _learn(self, dialect: sa.Dialect, described: Any) -> tuple[Convert, ...]:
        """Return a conversion for each column; nothing at all when rows can be taken as they are."""
        found = tuple(
            column.type._cached_result_processor(dialect, described[at][1])
            for column, at in zip(self._columns, self._indexes, strict=True)
        )
        as_they_are = not any(found) and self._indexes == tuple(range(len(described)))
        return () if as_they_are else found
