"""Migrations on SQLite are whole or not there, and leave the rows of other tables alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from quaff.ext.migrate.sqlite import Copy, Guard
from tests.ext.migrate.histories import add_revision
from tests.ext.migrate.projects import Project

FAMILY = """
op.create_table("parent", sa.Column("id", sa.Integer, primary_key=True), sa.Column("n", sa.Integer))
op.create_table(
    "child",
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("parent_id", sa.Integer, sa.ForeignKey("parent.id", ondelete="CASCADE")),
)
op.execute("INSERT INTO parent (id, n) VALUES (1, 10), (2, 20)")
op.execute("INSERT INTO child (id, parent_id) VALUES (5, 1), (6, 2)")
"""


@pytest.fixture
def family(project: Project) -> Project:
    """Give a project with a table whose rows go with those of another, in a database that enforces it."""
    project.run("init")
    add_revision(project, "one", None, FAMILY)
    project.run("upgrade")
    return project


def ask(project: Project, statement: str) -> list[Any]:
    """Return the rows that a statement finds."""
    with project.app.app_context(), project.db.engine.connect() as connection:
        return list(connection.execute(sa.text(statement)))


def test_foreign_keys_are_enforced_here(family: Project) -> None:
    """The tests below would show nothing otherwise."""
    assert ask(family, "PRAGMA foreign_keys") == [(1,)]


def test_a_copied_table_keeps_what_refers_to_it(family: Project) -> None:
    """Batch mode drops the old table; where foreign keys are enforced, that would delete the rows of `child`."""
    add_revision(
        family,
        "two",
        "one",
        'with op.batch_alter_table("parent", recreate="always") as batch:\n    batch.drop_column("n")',
    )
    family.run("upgrade")
    assert ask(family, "SELECT id, parent_id FROM child ORDER BY id") == [(5, 1), (6, 2)]
    assert list(family.tables()["parent"]) == ["id"]
    assert ask(family, "PRAGMA foreign_keys") == [(1,)]


def test_rows_that_refer_to_nothing_are_refused(family: Project) -> None:
    """A migration that leaves such rows is taken back, and says which."""
    add_revision(family, "two", "one", 'op.execute("DELETE FROM parent WHERE id = 2")')
    output = family.run("upgrade", fails=True)
    assert "  - 1 rows of child refer to rows of parent that are not there" in output
    assert "The database is at revision one." in output
    assert ask(family, "SELECT id FROM parent ORDER BY id") == [(1,), (2,)]
    assert ask(family, "SELECT version_num FROM alembic_version") == [("one",)]


def test_rows_that_referred_to_nothing_before(family: Project) -> None:
    """A database from before foreign keys were enforced can be migrated: only what is new counts."""
    with family.app.app_context(), family.db.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA foreign_keys=OFF")
        connection.execute(sa.text("INSERT INTO child (id, parent_id) VALUES (7, 99)"))
        connection.commit()
        connection.invalidate()
    add_revision(family, "two", "one", 'op.execute("UPDATE parent SET n = 1")')
    family.run("upgrade")
    assert ask(family, "SELECT n FROM parent") == [(1,), (1,)]


def test_a_revision_that_fails_leaves_nothing(family: Project) -> None:
    """Tables, columns and rows of a revision that fails are rolled back; revisions before it stay."""
    add_revision(family, "two", "one", 'op.add_column("parent", sa.Column("m", sa.Integer))')
    add_revision(
        family,
        "three",
        "two",
        'op.create_table("other", sa.Column("id", sa.Integer))\nop.execute("UPDATE parent SET n = 0")\nop.execute("SELEC")',
    )
    output = family.run("upgrade", fails=True)
    assert "Nothing of this revision stays: it was rolled back. The database is at revision two." in output
    assert sorted(family.tables()) == ["alembic_version", "child", "parent"]
    assert ask(family, "SELECT n, m FROM parent ORDER BY id") == [(10, None), (20, None)]
    assert ask(family, "SELECT version_num FROM alembic_version") == [("two",)]


def test_the_old_way(family: Project) -> None:
    """`transactional_ddl=False` begins no transactions, and the report says what stays."""
    family.make(transactional_ddl=False)
    add_revision(
        family,
        "two",
        "one",
        'op.create_table("other", sa.Column("id", sa.Integer))\nop.execute("UPDATE parent SET n = 0")\nop.execute("SELEC")',
    )
    output = family.run("upgrade", fails=True)
    assert "  1. CREATE TABLE other ( id INTEGER )\n     to undo it: DROP TABLE other\n" in output
    assert "These were done and then rolled back:\n  - UPDATE parent SET n = 0\n" in output
    assert "other" in family.tables()
    assert ask(family, "SELECT n FROM parent ORDER BY id") == [(10,), (20,)]


def test_several_databases(project: Project) -> None:
    """Where env.py has begun its transactions already, they are real ones all the same."""
    project.binds = {"other": f"sqlite:///{project.folder / 'other.db'}"}
    project.make()
    project.run("init", "--multidb")
    path = add_revision(
        project, "one", None, 'op.create_table("t", sa.Column("id", sa.Integer))\nif engine_name == "other": 1 / 0'
    )
    path.write_text(path.read_text(encoding="utf-8").replace("grade():", "grade(engine_name):"), encoding="utf-8")
    output = project.run("upgrade", fails=True)
    assert "ZeroDivisionError" in output
    assert "t" not in project.tables()
    assert "t" not in project.tables("other")


def test_a_connection_is_given_back_as_it_was() -> None:
    """What was changed on the connection is changed back; a transaction begins as before."""
    engine = sa.create_engine("sqlite://", poolclass=sa.StaticPool)
    with engine.connect() as connection:
        raw: Any = connection.connection.dbapi_connection
        raw.execute("PRAGMA foreign_keys=ON")
        guard = Guard(connection, transactional=True)
        guard.prepare()
        assert guard.begins
        connection.execute(sa.text("CREATE TABLE t (id INTEGER)"))
        assert raw.in_transaction
        guard.check()
        connection.rollback()
        guard.restore()
        assert raw.isolation_level == ""
        assert raw.execute("PRAGMA foreign_keys").fetchone() == (1,)
        connection.execute(sa.text("CREATE TABLE t (id INTEGER)"))
        assert not raw.in_transaction
    engine.dispose()


def test_a_program_that_begins_itself_is_left_alone() -> None:
    """Engines that are set up to begin real transactions do so; nothing is begun for them."""
    engine = sa.create_engine("sqlite://", connect_args={"isolation_level": None})
    with engine.connect() as connection:
        assert not Guard(connection, transactional=True).begins
    engine.dispose()


def test_a_copy(tmp_path: Path) -> None:
    """The copy has the rows, and writing to it leaves the database alone; it is gone afterwards."""
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'a.db'}")
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE t (id INTEGER)"))
        connection.execute(sa.text("INSERT INTO t VALUES (1)"))
    with engine.connect() as connection:
        copy = Copy(connection)
        assert not connection.in_transaction()
    path = Path(str(copy.connection.engine.url.database))
    assert copy.connection.scalars(sa.text("SELECT id FROM t")).all() == [1]
    copy.connection.execute(sa.text("DELETE FROM t"))
    copy.connection.commit()
    copy.close()
    assert not path.parent.exists()
    with engine.connect() as connection:
        assert connection.scalars(sa.text("SELECT id FROM t")).all() == [1]
    engine.dispose()
