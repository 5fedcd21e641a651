"""Reads on PostgreSQL without `BEGIN` before and `ROLLBACK` after them, where nobody can tell.

A driver begins a transaction before the first statement, and the pool ends it: three round trips to the server for a
request that reads one row. Under READ COMMITTED every statement sees what was committed when it began, in a transaction or
not. So a plain SELECT that comes while no transaction is open is sent by itself. Whatever else comes begins one, as ever,
and from then on everything is in it. SQLAlchemy knows nothing of this: its session is in its transaction, which the server
learns of when there is something to it.

A plain SELECT is made of tables, columns, parameters, comparisons, joins and some functions that only compute. `FOR UPDATE`,
SQL written as text, any other function and any other isolation level begin. `COMPAT` with `ALWAYS_BEGIN` switches it off.

PERF: with PostgreSQL on the same machine two of three parts of the time of a request for one row are these round trips.
Read first: `tests/ext/sqlalchemy/test_fast_reads.py`.
"""

from __future__ import annotations

from typing import Any, Final
from weakref import WeakKeyDictionary

import sqlalchemy as sa
from sqlalchemy.sql import operators, visitors
from sqlalchemy.sql.functions import FunctionElement

ALWAYS_BEGIN: Final = "sqlalchemy-always-begin"
"""The name in `COMPAT` with which every statement on PostgreSQL is in a transaction, as the driver does it."""

PLAIN_READ: Final = object()
"""In place of an execution context: the statement is known to be a plain SELECT."""

_READ_COMMITTED: Final = "READ COMMITTED"

_READER: Final = "quaff.reader"
"""Under which name a dialect has its `Reader`."""

_PARTS: Final = frozenset(
    "alias between bindparam binary case cast clauselist column compound_select cte exists expression_clauselist false "
    "grouping join label label_reference null scalar_select select select_statement_grouping subquery table true tuple "
    "typeclause type_coerce unary".split()
)
"""What a SELECT may be made of, by the name under which SQLAlchemy's compilers visit it."""

_FUNCTIONS: Final = frozenset(
    {"abs", "avg", "coalesce", "count", "length", "lower", "max", "min", "sum", "trim", "upper"}
)
"""Functions that compute something from their arguments, and nothing else."""


def is_plain_select(statement: Any) -> bool:
    """Tell whether a statement of SQLAlchemy's is a SELECT without effects, whose result depends on no transaction."""
    return bool(getattr(statement, "is_select", False)) and all(map(_is_plain_part, visitors.iterate(statement)))


def _is_plain_part(part: Any) -> bool:
    name = getattr(part, "__visit_name__", None)
    if name not in _PARTS:
        return (
            name is not None
            and isinstance(part, FunctionElement)
            and getattr(part, "name", "").lower() in _FUNCTIONS
            and not getattr(part, "packagenames", ())
        )
    if getattr(part, "_for_update_arg", None) is not None:
        return False
    if getattr(part, "is_literal", False) and getattr(part, "name", "") != "*":
        # SQL that is written as text; the star is that of `count(*)`.
        return False
    if isinstance(getattr(part, "operator", None), operators.custom_op):
        return False
    # A type may put SQL of its own around a column or a parameter.
    kind = getattr(part, "type", None)
    return not (getattr(kind, "_has_bind_expression", False) or getattr(kind, "_has_column_expression", False))


class Reader:
    """Executes the statements of one engine on psycopg.

    :param engine: the engine; its dialect is changed.
    """

    def __init__(self, engine: sa.Engine) -> None:
        import psycopg

        self._dialect = engine.dialect
        self._execute = self._dialect.do_execute
        self._idle = psycopg.pq.TransactionStatus.IDLE
        self._levels = {psycopg.IsolationLevel.READ_COMMITTED}
        self._cursors: Any = psycopg.Cursor
        self._plain: WeakKeyDictionary[Any, bool] = WeakKeyDictionary()
        self._rollback = self._dialect.do_rollback
        vars(self._dialect).update({"do_execute": self.execute, "do_rollback": self.rollback, _READER: self})

    def execute(self, cursor: Any, statement: str, parameters: Any, context: Any = None) -> None:
        """Execute a statement, outside of a transaction if it is a plain SELECT and there is no transaction yet."""
        connection = cursor.connection
        if (
            context is None
            or connection.pgconn.transaction_status != self._idle
            or connection.autocommit
            or not (context is PLAIN_READ or self._is_plain(context))
            or not self.is_committed_read(connection)
            or type(cursor) is not self._cursors
        ):
            self._execute(cursor, statement, parameters, context)
            return
        connection.autocommit = True
        try:
            self._execute(cursor, statement, parameters, context)
        finally:
            if not connection.closed:
                connection.autocommit = False

    def rollback(self, connection: Any) -> None:
        """Roll back, unless there is nothing to: psycopg would find that out with a lock and a coroutine."""
        driver = connection.dbapi_connection if hasattr(connection, "dbapi_connection") else connection
        if driver.pgconn.transaction_status != self._idle:
            self._rollback(connection)

    def _is_plain(self, context: Any) -> bool:
        """Tell whether what is executed is a plain SELECT; remembered for what SQLAlchemy has compiled and keeps."""
        compiled = context.compiled
        if compiled is None or context.executemany:
            return False
        known = self._plain.get(compiled)
        if known is None:
            state = getattr(compiled, "compile_state", None)
            known = self._plain[compiled] = is_plain_select(getattr(state, "statement", compiled.statement))
        return known

    def is_committed_read(self, connection: Any) -> bool:
        """Tell whether a transaction would be an ordinary one: READ COMMITTED, and neither READ ONLY nor DEFERRABLE."""
        level = connection.isolation_level
        usual = self._dialect.default_isolation_level == _READ_COMMITTED if level is None else level in self._levels
        return usual and connection.read_only is None and connection.deferrable is None


def read_without_begin(engine: sa.Engine) -> None:
    """Send plain SELECTs of an engine without a transaction where nobody can tell. Does nothing for other databases."""
    dialect = engine.dialect
    if dialect.name == "postgresql" and dialect.driver == "psycopg" and not dialect.is_async:
        Reader(engine)


def reads_alone(connection: sa.Connection) -> bool:
    """Tell whether a SELECT on a connection without a transaction reads what it would read at the start of one.

    So it is on SQLite while Python begins transactions for changes only, and on PostgreSQL with a `Reader`.
    """
    driver: Any = connection.connection.dbapi_connection
    dialect: Any = connection.dialect
    if dialect.driver == "pysqlite":
        # From Python 3.12, `autocommit=False` has a transaction open at all times.
        return getattr(driver, "autocommit", -1) is not False
    reader: Reader | None = vars(dialect).get(_READER)
    return reader is not None and reader.is_committed_read(driver)
