"""The journal knows which statements of a revision stay when it fails."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import OperationalError

from quaff.ext.migrate.journal import Attempt, Journal, Statement, is_definition, is_read, kept


@pytest.fixture
def connection() -> Iterator[sa.Connection]:
    """Give a connection to a database in memory."""
    engine = sa.create_engine("sqlite://")
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def test_what_is_written_down(connection: sa.Connection) -> None:
    """Statements that change something are noted while a revision runs; Alembic's own and those that read are not."""
    attempt = Attempt(database="", dialect="sqlite")
    journal = Journal(connection, attempt, "alembic_version")
    heard: list[tuple[str, Any]] = []
    journal.executing.append(lambda statement, parameters: heard.append((statement, parameters)))

    def run(statement: str, **values: object) -> None:
        connection.execute(sa.text(statement), values)

    run("CREATE TABLE alembic_version (version_num TEXT)")
    run("CREATE TABLE early (id INTEGER)")
    attempt.step = object()
    run("CREATE TABLE t (id INTEGER)")
    run("INSERT INTO t (id) VALUES (:id)", id=5)
    run("SELECT * FROM t")
    run("INSERT INTO alembic_version VALUES ('a')")
    with pytest.raises(OperationalError):
        run("INSERT INTO nowhere (id) VALUES (1)")
    assert [(each.text.split("(")[0].strip(), each.done) for each in attempt.statements] == [
        ("CREATE TABLE t", True),
        ("INSERT INTO t", True),
        ("INSERT INTO nowhere", False),
    ]
    assert attempt.failed is attempt.statements[2]
    assert ("INSERT INTO t (id) VALUES (?)", (5,)) in heard
    attempt.finished.append("zero")
    connection.commit()
    assert attempt.saved == 1
    assert [each.committed for each in attempt.statements] == [True, True, False]
    journal.close()
    run("CREATE TABLE late (id INTEGER)")
    assert len(attempt.statements) == 3


def attempt_of(dialect: str, *statements: str, transactional: bool = False) -> Attempt:
    """Return an attempt that ran statements, of which those with an exclamation mark failed."""
    listed = [Statement(text.removesuffix("!"), done=not text.endswith("!")) for text in statements]
    return Attempt(database="", dialect=dialect, transactional=transactional, statements=listed)


def test_mysql_commits_with_each_definition() -> None:
    """What stands before the last definition stays, even when that one failed; what stands after it goes."""
    insert, create, alter = "INSERT INTO t", "CREATE TABLE u", "ALTER TABLE t"
    assert kept(attempt_of("mysql", insert, create, insert, insert + "!")) == ([insert, create], [insert])
    assert kept(attempt_of("mysql", insert, alter + "!")) == ([insert], [])
    assert kept(attempt_of("mysql", insert, insert + "!")) == ([], [insert])
    assert kept(attempt_of("mysql")) == ([], [])


def test_transactions_take_everything_back() -> None:
    """With a transaction nothing stays but what was committed in between."""
    attempt = attempt_of("postgresql", "CREATE TABLE t", "INSERT INTO t", "ALTER TABLE t!", transactional=True)
    assert kept(attempt) == ([], ["CREATE TABLE t", "INSERT INTO t"])
    attempt.statements[0].committed = True
    assert kept(attempt) == (["CREATE TABLE t"], ["INSERT INTO t"])


def test_sqlite_begins_with_the_first_change_of_rows() -> None:
    """As Python's driver is set up, definitions stay until rows are written, and nothing after that."""
    attempt = attempt_of("sqlite", "CREATE TABLE t", "INSERT INTO t", "CREATE TABLE u", "x!")
    assert kept(attempt) == (["CREATE TABLE t"], ["INSERT INTO t", "CREATE TABLE u"])


@pytest.mark.parametrize("statement", ["\nSELECT 1", "pragma x", "SHOW TABLES", "BEGIN IMMEDIATE", "SAVEPOINT a"])
def test_reads(statement: str) -> None:
    """What changes nothing is told from what does."""
    assert is_read(statement)
    assert not is_definition(statement)


@pytest.mark.parametrize(
    "statement", ["\n\tCREATE TABLE t", "alter table t", "DROP TABLE t", "TRUNCATE t", "RENAME TABLE"]
)
def test_definitions(statement: str) -> None:
    """What MySQL commits at once is told from what it does not."""
    assert is_definition(statement)
    assert not is_read(statement)
    assert not is_definition("INSERT INTO created (id)")
