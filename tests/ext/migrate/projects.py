"""A project with models and migrations in a folder of its own, for the tests of the commands."""

from __future__ import annotations

import importlib.metadata
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from quaff import Quaff
from quaff.ext.migrate import Migrate
from quaff.ext.sqlalchemy import SQLAlchemy

Models = Callable[[Any], object]
"""Defines models on a `SQLAlchemy` object."""


def users(db: Any) -> None:
    """Define a model `User` with a name."""

    class User(db.Model):  # type: ignore[misc, name-defined]
        id = db.Column(db.Integer, primary_key=True)
        name = db.Column(db.String(40))


def users_with_email(db: Any) -> None:
    """Define a model `User` with a name and an address."""

    class User(db.Model):  # type: ignore[misc, name-defined]
        id = db.Column(db.Integer, primary_key=True)
        name = db.Column(db.String(40))
        email = db.Column(db.String(80))


def users_with_long_names(db: Any) -> None:
    """Define a model `User` whose name may be long."""

    class User(db.Model):  # type: ignore[misc, name-defined]
        id = db.Column(db.Integer, primary_key=True)
        name = db.Column(db.String(400))


def users_and_groups(db: Any) -> None:
    """Define a model `User` in the app's database, and `Group` in that with the bind key `other`."""
    users(db)

    class Group(db.Model):  # type: ignore[misc, name-defined]
        __bind_key__ = "other"
        id = db.Column(db.Integer, primary_key=True)
        title = db.Column(db.String(40))


class _Errors(logging.Handler):
    """Keeps errors: where they are printed depends on `alembic.ini` and on pytest."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one."""
        self.messages.append(record.getMessage())


class Project:
    """A folder that is the current one, and apps in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.uri = f"sqlite:///{folder / 'app.db'}"
        self.binds: dict[str, str] = {}
        self.db: Any = None
        self.migrate: Any = None
        self.app = self.make()

    def make(self, models: Models = users, **options: Any) -> Quaff:
        """Make the app, as a program does that is started anew; it is then what `run` uses."""
        self.close()
        self.app = app = Quaff("project", root_path=str(self.folder))
        app.config["SQLALCHEMY_DATABASE_URI"] = self.uri
        if self.binds:
            app.config["SQLALCHEMY_BINDS"] = self.binds
        self.db = SQLAlchemy(app)
        models(self.db)
        self.migrate = Migrate(app, self.db, **options)
        return app

    def run(self, *args: str, fails: bool = False, env: dict[str, str] | None = None) -> str:
        """Run `db ...` and return what it prints, and the errors that it logs."""
        errors = _Errors()
        logger = logging.getLogger("flask_migrate")
        logger.addHandler(errors)
        try:
            result = self.app.test_cli_runner().invoke(args=["db", *args], env=env)
        finally:
            logger.removeHandler(errors)
        assert (result.exit_code != 0) is fails, (result.output, result.exception)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return "\n".join((result.output, *errors.messages))

    @property
    def versions(self) -> list[Path]:
        """The files of the migrations, by name."""
        return sorted(self.folder.glob("migrations/versions/*.py"))

    def only_version(self) -> str:
        """Return the text of the one migration that there is."""
        (path,) = self.versions
        return path.read_text(encoding="utf-8")

    def tables(self, bind: str | None = None) -> dict[str, dict[str, Any]]:
        """Return the tables of a database with the types of their columns."""
        import sqlalchemy as sa

        with self.app.app_context():
            inspector = sa.inspect(self.db.engines[bind])
            return {
                name: {column["name"]: column["type"] for column in inspector.get_columns(name)}
                for name in inspector.get_table_names()
            }

    def close(self) -> None:
        """Close all connections."""
        if self.db is None:
            return
        with self.app.app_context():
            for engine in self.db.engines.values():
                engine.dispose()


def flask_migrate_template(name: str) -> str:
    """Return the folder that the real Flask-Migrate makes its folders from; skip the test where it is not installed."""
    try:
        found = importlib.metadata.distribution("flask-migrate").locate_file(f"flask_migrate/templates/{name}")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("Flask-Migrate is not installed")
    return str(found)
