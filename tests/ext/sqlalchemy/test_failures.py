"""quaff.ext.sqlalchemy.failures: what an error of the database means, and what the client hears of it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sa = pytest.importorskip("sqlalchemy")

from sqlalchemy import exc  # noqa: E402

from quaff.ext.sqlalchemy.failures import (  # noqa: E402
    Answers,
    DatabaseConflict,
    DatabaseUnavailable,
    Kind,
    constraint_of,
    judge,
)


def wrap(original: BaseException, statement: str | None = "SELECT 1", **options: Any) -> exc.DBAPIError:
    """Return what SQLAlchemy makes of a driver's error."""
    cls = exc.IntegrityError if "IntegrityError" in type(original).__name__ else exc.OperationalError
    return cls(statement, {}, original, **options)


# What it means -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "number, kind",
    [
        (1062, Kind.DUPLICATE),
        (1451, Kind.REFERENCE),
        (1452, Kind.REFERENCE),
        (2003, Kind.UNREACHABLE),
        (2013, Kind.UNREACHABLE),
        (1040, Kind.UNREACHABLE),
        (1205, Kind.BUSY),
        (1213, Kind.BUSY),
        (1045, None),
        (1048, None),
        (1049, None),
        (1146, None),
    ],
)
def test_mysql(number: int, kind: Kind | None) -> None:
    """Of MySQL, the number says it; a wrong password (1045), NULL (1048), no database and no table stay errors."""
    pymysql = pytest.importorskip("pymysql")
    assert judge(wrap(pymysql.err.OperationalError(number, "words in any language"))) is kind
    assert judge(wrap(pymysql.err.IntegrityError(number, "words in any language"))) is kind


@pytest.mark.parametrize(
    "name, kind",
    [
        ("UniqueViolation", Kind.DUPLICATE),
        ("ExclusionViolation", Kind.DUPLICATE),
        ("ForeignKeyViolation", Kind.REFERENCE),
        ("NotNullViolation", None),
        ("CheckViolation", None),
        ("AdminShutdown", Kind.UNREACHABLE),
        ("CannotConnectNow", Kind.UNREACHABLE),
        ("ConnectionFailure", Kind.UNREACHABLE),
        ("TooManyConnections", Kind.UNREACHABLE),
        ("SerializationFailure", Kind.BUSY),
        ("DeadlockDetected", Kind.BUSY),
        ("UndefinedTable", None),
        ("QueryCanceled", None),
    ],
)
def test_postgresql(name: str, kind: Kind | None) -> None:
    """Of PostgreSQL, the SQLSTATE says it."""
    errors = pytest.importorskip("psycopg.errors")
    assert judge(wrap(getattr(errors, name)("words"))) is kind


@pytest.mark.parametrize(
    "message, kind",
    [
        ("connection failed: Connection refused", Kind.UNREACHABLE),
        ("server closed the connection unexpectedly", Kind.UNREACHABLE),
        ("FATAL:  the database system is starting up", Kind.UNREACHABLE),
        ("FATAL:  sorry, too many clients already", Kind.UNREACHABLE),
        ('FATAL:  password authentication failed for user "app"', None),
        ('FATAL:  database "shop" does not exist', None),
    ],
)
def test_connections_that_are_refused_without_a_code(message: str, kind: Kind | None) -> None:
    """PostgreSQL's libpq has only words for a connection that could not be made; a wrong name or password is no outage."""
    psycopg = pytest.importorskip("psycopg")
    assert judge(wrap(psycopg.OperationalError(message), statement=None)) is kind


def test_a_lost_connection() -> None:
    """What SQLAlchemy says is a lost connection, is one, whatever the driver says."""
    assert judge(wrap(sqlite3.OperationalError("gone"), connection_invalidated=True)) is Kind.UNREACHABLE


def test_the_pool() -> None:
    """A pool that has no connection left is an outage of its own kind; other errors are none at all."""
    assert judge(exc.TimeoutError("QueuePool limit")) is Kind.POOL
    assert judge(exc.InvalidRequestError("wrong")) is None
    assert judge(TimeoutError()) is None


@pytest.fixture
def tables(tmp_path: Path) -> Iterator[sa.Connection]:
    """Give a connection to an SQLite file with users and their pets."""
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'a.db'}", connect_args={"timeout": 0})
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA foreign_keys=ON")
        connection.exec_driver_sql("CREATE TABLE user (id INTEGER PRIMARY KEY, name TEXT UNIQUE NOT NULL)")
        connection.exec_driver_sql("CREATE TABLE pet (owner INTEGER REFERENCES user (id))")
        connection.exec_driver_sql("INSERT INTO user VALUES (1, 'ann')")
        connection.commit()
        yield connection
    engine.dispose()


@pytest.mark.parametrize(
    "statement, kind, constraint",
    [
        ("INSERT INTO user (name) VALUES ('ann')", Kind.DUPLICATE, "user.name"),
        ("INSERT INTO user VALUES (1, 'bob')", Kind.DUPLICATE, "user.id"),
        ("INSERT INTO pet VALUES (7)", Kind.REFERENCE, None),
        ("INSERT INTO user (name) VALUES (NULL)", None, "user.name"),
        ("SELECT wrong", None, None),
    ],
)
def test_sqlite(tables: sa.Connection, statement: str, kind: Kind | None, constraint: str | None) -> None:
    """Of SQLite, the name of the error says it."""
    with pytest.raises(exc.DBAPIError) as caught:
        tables.exec_driver_sql(statement)
    assert (judge(caught.value), constraint_of(caught.value)) == (kind, constraint)


def test_a_locked_sqlite_file(tables: sa.Connection) -> None:
    """A file that another connection writes to is busy."""
    tables.exec_driver_sql("INSERT INTO user (name) VALUES ('bob')")
    with tables.engine.connect() as other, pytest.raises(exc.OperationalError) as caught:
        other.exec_driver_sql("INSERT INTO user (name) VALUES ('cid')")
    assert judge(caught.value) is Kind.BUSY


def test_names_of_constraints() -> None:
    """The name is found behind the value, which may hold anything."""
    pymysql = pytest.importorskip("pymysql")
    duplicate = pymysql.err.IntegrityError(1062, "Duplicate entry 'x for key 'y'' for key 'users.username'")
    assert constraint_of(wrap(duplicate)) == "users.username"
    reference = pymysql.err.IntegrityError(
        1452, "a foreign key constraint fails (`a`.`b`, CONSTRAINT `b_ibfk_1` FOREIGN KEY"
    )
    assert constraint_of(wrap(reference)) == "b_ibfk_1"
    assert constraint_of(wrap(pymysql.err.IntegrityError(1062, "?"))) is None


def test_what_is_answered() -> None:
    """Conflicts are errors until asked for; an outage is a 503 unless that is switched off; the client learns no detail."""
    duplicate = wrap(sqlite3.IntegrityError("UNIQUE constraint failed: user.name"))
    duplicate.orig.sqlite_errorname = "SQLITE_CONSTRAINT_UNIQUE"
    lost = wrap(sqlite3.OperationalError("at db.internal:5432"), connection_invalidated=True)
    assert Answers().to_http(duplicate) is None
    conflict = Answers(conflicts=True).to_http(duplicate)
    assert isinstance(conflict, DatabaseConflict)
    assert (conflict.code, conflict.kind, conflict.constraint) == (409, Kind.DUPLICATE, "user.name")
    assert conflict.__cause__ is duplicate
    assert "user.name" not in str(conflict)
    outage = Answers(retry_after=7).to_http(lost)
    assert isinstance(outage, DatabaseUnavailable)
    assert (outage.code, outage.get_response().headers["Retry-After"]) == (503, "7")
    assert "internal" not in str(outage)
    assert Answers(unavailable=False).to_http(lost) is None
