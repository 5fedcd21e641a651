"""Migrations are run one process at a time, whatever env.py the folder has; and a dry run leaves the database as it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from quaff.ext.migrate.runner import RunSettings, read_settings
from tests.ext.migrate.histories import add_revision
from tests.ext.migrate.projects import Project, users_and_groups

THINGS = 'op.create_table("things", sa.Column("id", sa.Integer, primary_key=True), sa.Column("n", sa.Integer))'


@pytest.fixture
def history(project: Project, database_url: str) -> Project:
    """Give a project with three migrations, of which the first was run."""
    project.uri = database_url
    project.make()
    project.run("init")
    add_revision(project, "one", None, THINGS, 'op.drop_table("things")')
    add_revision(project, "two", "one", 'op.add_column("things", sa.Column("m", sa.Integer))')
    add_revision(
        project,
        "three",
        "two",
        "op.bulk_insert(sa.table('things', sa.column('id', sa.Integer)), [{'id': 7}])",
    )
    project.run("upgrade", "one")
    return project


def test_dry_run(history: Project) -> None:
    """The SQL from where the database is is printed, and the database stays as it is."""
    before = history.tables()
    output = history.run("upgrade", "--dry-run")
    assert "ALTER TABLE things ADD COLUMN m INTEGER;" in output
    assert "INSERT INTO things (id) VALUES" in output
    assert "UPDATE alembic_version SET version_num='three' WHERE alembic_version.version_num = 'two'" in output
    assert "CREATE TABLE things" not in output
    assert "done in" not in output
    assert output.startswith("-- ")
    assert history.tables().keys() == before.keys()
    assert list(history.tables()["things"]) == ["id", "n"]
    assert "one\n" in history.run("current")
    output = history.run("downgrade", "--dry-run", "base")
    assert "DROP TABLE things;" in output
    assert "ALTER TABLE" not in output
    history.run("upgrade")
    assert list(history.tables()["things"]) == ["id", "n", "m"]


def test_a_dry_run_of_a_copied_table(project: Project) -> None:
    """On SQLite, changes that copy a table are shown too, which `--sql` cannot."""
    project.run("init")
    add_revision(project, "one", None, THINGS)
    add_revision(
        project,
        "two",
        "one",
        'with op.batch_alter_table("things", recreate="always") as batch:\n    batch.drop_column("n")',
    )
    output = project.run("upgrade", "--dry-run")
    assert "-- upgrade two The revision two" in output
    assert "DROP TABLE things;" in output
    assert "things" not in project.tables()


def test_a_dry_run_of_several_databases(project: Project) -> None:
    """Each database is shown from where it is."""
    project.binds = {"other": f"sqlite:///{project.folder / 'other.db'}"}
    project.make(users_and_groups)
    project.run("init", "--multidb")
    project.run("migrate")
    output = project.run("upgrade", "--dry-run")
    first, _, second = output.partition(f"-- sqlite:///{project.folder / 'other.db'}")
    assert "CREATE TABLE user" in first
    assert 'CREATE TABLE "group"' in second
    project.run("upgrade")
    assert "CREATE TABLE" not in project.run("upgrade", "--dry-run")


def test_sql_as_ever(history: Project) -> None:
    """`--sql` is Alembic's own: from the beginning, or from the revision that is named."""
    assert "CREATE TABLE things" in history.run("upgrade", "--sql", "two")
    output = history.run("upgrade", "--sql", "one:two")
    assert "CREATE TABLE things" not in output
    assert "ADD COLUMN m" in output
    assert "DROP TABLE things" in history.run("downgrade", "--sql", "one:base")


def test_ranges_are_for_sql(history: Project) -> None:
    """A range is refused without `--sql`, as Alembic does."""
    assert "Range revision not allowed" in history.run("upgrade", "one:two", fails=True)
    assert "Range revision not allowed" in history.run("downgrade", "two:one", fails=True)


def test_nothing_to_do(history: Project) -> None:
    """A database that is up to date is left alone."""
    history.run("upgrade")
    assert "done in" not in history.run("upgrade")


def test_several_histories_in_one_database(project: Project) -> None:
    """An env.py that configures the same database twice does not wait for itself."""
    project.run("init")
    add_revision(project, "one", None, 'op.execute("SELECT 1")')
    path = project.folder / "migrations" / "env.py"
    text = path.read_text(encoding="utf-8")
    call = next(line for line in text.splitlines() if "context.configure(connection=" in line)
    path.write_text(text.replace(call, f"{call}\n{call}"), encoding="utf-8")
    project.app.config["MIGRATE_LOCK_TIMEOUT"] = 0
    assert "done in" in project.run("upgrade")


def test_the_projects_own_callback(project: Project) -> None:
    """`on_version_apply` of the project is called as well."""
    applied: list[Any] = []
    project.make(on_version_apply=lambda **given: applied.append(given["step"].up_revision_id))
    project.run("init")
    add_revision(project, "one", None, "")
    project.run("upgrade")
    assert applied == ["one"]


def test_an_error_before_the_first_revision(project: Project) -> None:
    """An error of env.py is no failed migration, and the lock is given back."""
    project.run("init")
    path = Path("migrations") / "env.py"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("context.run_migrations()", "raise KeyError('mine')"), encoding="utf-8")
    with pytest.raises(KeyError, match="mine"):
        project.run("upgrade", fails=True)
    path.write_text(text, encoding="utf-8")
    project.run("upgrade", "--lock-timeout", "0")


def test_settings() -> None:
    """The settings come from the app, the command line has the last word."""
    assert read_settings({}) == RunSettings(lock=True, lock_timeout=600.0, heartbeat=10.0, quiet=False)
    given = {"MIGRATE_LOCK": False, "MIGRATE_LOCK_TIMEOUT": None, "MIGRATE_HEARTBEAT": 0}
    assert read_settings(given, quiet=True) == RunSettings(lock=False, lock_timeout=None, heartbeat=0, quiet=True)
    assert read_settings({"MIGRATE_LOCK_TIMEOUT": 5}, lock_timeout=0).lock_timeout == 0


@pytest.mark.parametrize("key", ["MIGRATE_LOCK_TIMEOUT", "MIGRATE_HEARTBEAT"])
@pytest.mark.parametrize("value", ["5", -1, True])
def test_settings_that_are_none(project: Project, key: str, value: object) -> None:
    """A setting that is no number of seconds is refused in one line."""
    project.run("init")
    project.app.config[key] = value
    assert f"{key} is {value!r}; it is a number of seconds, or None." in project.run("upgrade", fails=True)


def test_the_version_table_is_left_in_peace(history: Project) -> None:
    """What is in `alembic_version` is what Alembic would have there, so both can go on from the other."""
    history.run("upgrade")
    with history.app.app_context(), history.db.engine.connect() as connection:
        assert connection.execute(sa.text("SELECT * FROM alembic_version")).all() == [("three",)]
