"""Apps with a database, for the tests of this folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from quaff import Quaff
from quaff.ext.sqlalchemy import SQLAlchemy


def make_app(folder: Path, url: Any = "sqlite:///test.db", **config: Any) -> Quaff:
    """Return an app with the URL of a database; relative files of SQLite are in *folder*."""
    app = Quaff("tests.ext.sqlalchemy.apps", instance_path=str(folder))
    app.config.update(TESTING=True, SQLALCHEMY_DATABASE_URI=url, **config)
    return app


def add_user(db: SQLAlchemy[Any]) -> Any:
    """Return a model with a name that is unique."""

    class User(db.Model):
        id = db.Column(db.Integer, primary_key=True)
        name = db.Column(db.String(80), unique=True)

    return User
