"""A migration that fails says where it stands and how to go on; heads and unknown revisions are explained."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from quaff.ext.migrate import upgrade
from quaff.ext.migrate.failures import report_of, told, undo
from tests.ext.migrate.histories import add_revision
from tests.ext.migrate.projects import Project

HALF = """
op.execute("INSERT INTO orders (id, n) VALUES (1, 2)")
op.add_column("orders", sa.Column("extra", sa.Integer))
op.create_index("ix_orders_n", "orders", ["n"])
op.execute("INSERT INTO orders (id, n) VALUES (2, 3)")
op.execute("INSERT INTO orders (id, n) VALUES (2, 3)")
"""
ORDERS = 'op.create_table("orders", sa.Column("id", sa.Integer, primary_key=True), sa.Column("n", sa.Integer))'


@pytest.fixture
def half(project: Project, database_url: str) -> Project:
    """Give a project whose second revision fails half-way, on each database."""
    project.uri = database_url
    project.make()
    project.run("init")
    add_revision(project, "one", None, ORDERS, 'op.drop_table("orders")')
    add_revision(project, "two", "one", HALF, message="half-way")
    project.run("upgrade", "one")
    return project


def ask(project: Project, statement: str) -> list[int]:
    """Return the first column of what a statement finds."""
    with project.app.app_context(), project.db.engine.connect() as connection:
        return list(connection.scalars(sa.text(statement)))


def test_half_way(half: Project) -> None:
    """The report names the revision, the file, the line, the statement, and truly what of it is in the database."""
    output = half.run("upgrade", fails=True)
    assert "The upgrade of revision two (half-way) failed on " in output
    assert (
        '  File "migrations/versions/two.py", line 17\n    op.execute("INSERT INTO orders (id, n) VALUES (2, 3)")'
        in output
    )
    assert "\n  in: INSERT INTO orders (id, n) VALUES (2, 3)\n" in output
    assert "The database is at revision one." in output
    assert "Traceback" not in output
    assert ask(half, "SELECT COUNT(*) FROM alembic_version WHERE version_num = 'one'") == [1]
    if not half.uri.startswith("mysql"):
        assert "Nothing of this revision stays: it was rolled back." in output
        assert list(half.tables()["orders"]) == ["id", "n"]
        assert ask(half, "SELECT id FROM orders") == []
        return
    assert "MariaDB commits CREATE, ALTER and DROP at once" in output
    assert "  1. INSERT INTO orders (id, n) VALUES (1, 2)\n  2. ALTER TABLE orders ADD COLUMN extra INTEGER\n" in output
    assert (
        "     to undo it: ALTER TABLE orders DROP COLUMN extra\n  3. CREATE INDEX ix_orders_n ON orders (n)\n" in output
    )
    assert "     to undo it: DROP INDEX ix_orders_n ON orders\n" in output
    assert "These were done and then rolled back:\n  - INSERT INTO orders (id, n) VALUES (2, 3)\n" in output
    assert "run `quaff db stamp two`, then `quaff db upgrade` again" in output
    assert list(half.tables()["orders"]) == ["id", "n", "extra"]
    assert ask(half, "SELECT id FROM orders") == [1]


def test_going_on(half: Project) -> None:
    """Both ways of the report lead on: to undo what stays and mend the revision, or to do the rest and stamp."""
    half.run("upgrade", fails=True)
    if half.uri.startswith("mysql"):
        with half.app.app_context(), half.db.engine.begin() as connection:
            for line in (
                "DROP INDEX ix_orders_n ON orders",
                "ALTER TABLE orders DROP COLUMN extra",
                "DELETE FROM orders",
            ):
                connection.execute(sa.text(line))
    add_revision(half, "two", "one", HALF.replace("(2, 3)", "(3, 3)", 1))
    half.run("upgrade")
    assert "extra" in half.tables()["orders"]


def test_of_several_revisions(half: Project) -> None:
    """Which revisions before the failed one stay depends on the database, and the report says it."""
    half.run("downgrade", "base")
    output = half.run("upgrade", fails=True)
    if half.uri.startswith("postgresql"):
        assert "All 2 revisions of this run are one transaction; it was rolled back." in output
        assert "The database is at no revision (it is new to migrations)." in output
        assert "orders" not in half.tables()
    else:
        assert "The database is at revision one." in output
        assert "orders" in half.tables()


@pytest.mark.service("postgresql")
def test_a_block_outside_of_the_transaction(project: Project, new_database: Callable[[str], str]) -> None:
    """On PostgreSQL, `autocommit_block()` commits what stands before it: that stays, and the report says so."""
    project.uri = new_database("postgresql")
    project.make()
    project.run("init")
    add_revision(project, "one", None, ORDERS)
    add_revision(
        project,
        "two",
        "one",
        """
op.add_column("orders", sa.Column("extra", sa.Integer))
with op.get_context().autocommit_block():
    op.create_index("ix_orders", "orders", ["n"], postgresql_concurrently=True)
op.execute("INSERT INTO orders (id) VALUES (7)")
op.execute("SELEC")
""",
    )
    output = project.run("upgrade", fails=True)
    assert "What stands before the end of an autocommit_block() is committed." in output
    assert "  1. ALTER TABLE orders ADD COLUMN extra INTEGER\n" in output
    assert "  2. CREATE INDEX CONCURRENTLY ix_orders ON orders (n)\n" in output
    assert "rolled back:\n  - INSERT INTO orders (id) VALUES (7)\nThe database is at revision one." in output
    assert "extra" in project.tables()["orders"]
    assert ask(project, "SELECT COUNT(*) FROM alembic_version WHERE version_num = 'one'") == [1]


def test_a_failing_downgrade(half: Project) -> None:
    """A downgrade that fails is told as one."""
    add_revision(half, "one", None, ORDERS, 'op.drop_table("order")')
    output = half.run("downgrade", fails=True)
    assert "The downgrade of revision one (The revision one) failed on " in output
    assert "run `quaff db downgrade` again" in output


def test_a_mistake_in_python(half: Project) -> None:
    """A revision that fails with an error of its own is told in the same way."""
    add_revision(half, "two", "one", "1 / 0")
    output = half.run("upgrade", fails=True)
    assert "line 13\n    1 / 0\n  ZeroDivisionError: division by zero\n" in output
    add_revision(half, "two", "one", 'raise RuntimeError("no room")')
    output = half.run("upgrade", fails=True)
    assert "Error: no room\nThe upgrade of revision two" in output


def test_in_programs(half: Project) -> None:
    """A program that calls `upgrade()` gets the error of the database itself, with the report as a note."""
    with half.app.app_context(), pytest.raises(IntegrityError) as caught:
        upgrade()
    report = report_of(caught.value)
    assert report is not None
    assert caught.value.__notes__ == [report]
    logged: list[str] = []
    assert told(logged.append, caught.value)
    assert logged == [report]
    assert not told(logged.append, ValueError("another"))


def test_two_heads(project: Project) -> None:
    """Two heads are named with what they are, and with the command that joins them."""
    project.run("init")
    add_revision(project, "one", None, "")
    add_revision(project, "left", "one", "", message="of one branch")
    add_revision(project, "right", "one", "", message="of the other")
    for command in ("upgrade", "revision"):
        output = project.run(command, fails=True)
        assert "There are 2 heads: migrations that follow the same one" in output
        assert "  - left: of one branch\n  - right: of the other\n" in output
        assert "quaff db merge heads" in output
    project.run("merge", "heads")
    project.run("upgrade")


@pytest.mark.parametrize("command", ["upgrade", "downgrade", "check", "migrate", "current", "stamp"])
def test_a_database_newer_than_the_code(project: Project, command: str) -> None:
    """A revision that only the database knows is explained by each command, and nothing is changed."""
    project.run("init")
    add_revision(project, "one", None, "")
    path = add_revision(project, "two", "one", "")
    project.run("upgrade")
    path.unlink()
    args = (command, "one") if command == "stamp" else (command,)
    output = project.run(*args, fails=True)
    assert "Can't locate revision identified by 'two'" in output
    assert "it is newer than this code" in output
    assert "quaff db stamp --purge head" in output
    assert ask(project, "SELECT COUNT(*) FROM alembic_version WHERE version_num = 'two'") == [1]


def test_a_revision_that_was_misspelt(project: Project) -> None:
    """A revision that nobody knows, asked for by name, is not blamed on the database."""
    project.run("init")
    add_revision(project, "one", None, "")
    output = project.run("upgrade", "onne", fails=True)
    assert "identified by 'onne': no file in migrations/versions has it. `quaff db history` lists" in output
    assert "newer" not in output
    assert "`quaff db history`" in project.run("show", "onne", fails=True)


def test_not_up_to_date(project: Project) -> None:
    """`migrate` against a database that lacks migrations says what to run first."""
    project.run("init")
    add_revision(project, "one", None, "")
    assert "Target database is not up to date. Bring it there with `quaff db upgrade` first" in project.run(
        "migrate", fails=True
    )


@pytest.mark.parametrize(
    "statement,mysql,other",
    [
        ("\nCREATE TABLE `a b` (\n", "DROP TABLE `a b`", "DROP TABLE `a b`"),
        ("\nCREATE TABLE t (\n\tid INTEGER\n)", "DROP TABLE t", "DROP TABLE t"),
        ("CREATE UNIQUE INDEX ix ON s.t (a)", "DROP INDEX ix ON s.t", "DROP INDEX ix"),
        ("ALTER TABLE t ADD COLUMN c INTEGER", "ALTER TABLE t DROP COLUMN c", "ALTER TABLE t DROP COLUMN c"),
        (
            "ALTER TABLE t ADD CONSTRAINT f FOREIGN KEY(a) REFERENCES b (id)",
            "ALTER TABLE t DROP FOREIGN KEY f",
            "ALTER TABLE t DROP CONSTRAINT f",
        ),
        ("ALTER TABLE t ADD CONSTRAINT u UNIQUE (a)", "ALTER TABLE t DROP INDEX u", "ALTER TABLE t DROP CONSTRAINT u"),
        (
            "ALTER TABLE t ADD CONSTRAINT c CHECK (a)",
            "ALTER TABLE t DROP CONSTRAINT c",
            "ALTER TABLE t DROP CONSTRAINT c",
        ),
        ("ALTER TABLE t RENAME TO u", "ALTER TABLE u RENAME TO t", "ALTER TABLE u RENAME TO t"),
        ("CREATE VIEW v AS SELECT 1", "DROP VIEW v", "DROP VIEW v"),
        ("DROP TABLE t", None, None),
        ("ALTER TABLE t MODIFY c INTEGER", None, None),
        ("UPDATE t SET a = 1", None, None),
    ],
)
def test_undoing(statement: str, mysql: str | None, other: str | None) -> None:
    """What takes a statement back is told where the statement alone says it."""
    assert undo(statement, "mariadb") == mysql
    assert undo(statement, "oracle") == other
