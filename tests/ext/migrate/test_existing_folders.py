"""Folders that the real Flask-Migrate makes run unchanged, with the migrations in them, on every database.

Nothing of them is kept here: they are made from the templates of the installed package.
"""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from quaff.ext import migrate as battery
from tests.ext.migrate.projects import Project, flask_migrate_template, users_and_groups, users_with_email

# Their env.py calls the old name first.
pytestmark = pytest.mark.filterwarnings("ignore:'get_engine' is deprecated:DeprecationWarning")


@pytest.fixture
def new_project(project: Project, database_url: str) -> Project:
    """Give the project on each kind of database."""
    project.uri = database_url
    project.make()
    return project


def test_one_database(new_project: Project) -> None:
    """A folder for one database: tables are made, changed with their rows, and taken away."""
    project = new_project
    with project.app.app_context():
        battery.init(template=flask_migrate_template("flask"))
        battery.migrate(rev_id="1")
        battery.upgrade()
        with project.db.engine.begin() as connection:
            connection.execute(project.db.metadata.tables["user"].insert(), [{"name": "Ada"}])
        battery.check()
    assert "from flask import current_app" in (project.folder / "migrations/env.py").read_text(encoding="utf-8")
    with project.make(users_with_email).app_context():
        battery.migrate(rev_id="2")
        battery.upgrade()
        rows = project.db.session.execute(sa.select(project.db.metadata.tables["user"])).all()
        assert rows == [(1, "Ada", None)]
        project.db.session.remove()
        battery.downgrade(revision="base")
    assert list(project.tables()) == ["alembic_version"]


def test_no_changes_and_then_a_plain_revision(new_project: Project) -> None:
    """What its `env.py` leaves in the app's arguments for `migrate` does not swallow the next plain revision."""
    with new_project.app.app_context():
        battery.init(template=flask_migrate_template("flask"))
        battery.migrate()
        battery.upgrade()
        battery.migrate()
        assert len(new_project.versions) == 1
        battery.revision(message="by hand")
    assert len(new_project.versions) == 2


@pytest.fixture(params=["flask-multidb", "quaff"])
def multi_template(request: pytest.FixtureRequest) -> str:
    """Give the real template for several databases, and Quaff's."""
    return flask_migrate_template("flask-multidb") if request.param == "flask-multidb" else "flask-multidb"


@pytest.mark.parametrize(
    "kind",
    [
        "sqlite",
        pytest.param("mariadb", marks=pytest.mark.service("mariadb-server")),
        pytest.param("postgresql", marks=pytest.mark.service("postgresql")),
    ],
)
def test_several_databases(project: Project, new_database: Any, kind: str, multi_template: str) -> None:
    """A folder for several databases: each gets its own tables and its own `alembic_version`."""
    project.uri, project.binds = new_database(kind), {"other": new_database(kind)}
    with project.make(users_and_groups).app_context():
        battery.init(template=multi_template)
        battery.migrate()
        text = project.only_version()
        assert text.index("def upgrade_():") < text.index("def upgrade_other():")
        battery.upgrade()
        assert set(project.tables()) == {"alembic_version", "user"}
        assert set(project.tables("other")) == {"alembic_version", "group"}
        battery.migrate()
        assert len(project.versions) == 1
        battery.check()
        battery.downgrade()
    assert set(project.tables()) == set(project.tables("other")) == {"alembic_version"}


class AsyncDatabase:
    """What Flask-Migrate's async template wants: `get_engine` gives an async engine."""

    def __init__(self, db: Any, url: str) -> None:
        from sqlalchemy.ext.asyncio import create_async_engine

        self.metadata = db.metadata
        self.engine = create_async_engine(url.replace("sqlite:", "sqlite+aiosqlite:"), poolclass=sa.NullPool)

    def get_engine(self) -> Any:
        """Return the engine."""
        return self.engine


def test_async_folder(project: Project) -> None:
    """The async template, which looks for a loop where Python 3.12 has none any more, runs on an async engine.

    The one for several databases calls a method that SQLAlchemy 2.0 does not have, so it runs nowhere.
    """
    project.app.extensions["migrate"].db = AsyncDatabase(project.db, project.uri)
    with project.app.app_context():
        battery.init(template=flask_migrate_template("aioflask"))
        battery.migrate()
        battery.upgrade()
        assert "user" in project.tables()
        battery.downgrade()
    assert list(project.tables()) == ["alembic_version"]
