"""Small apps with a database, for tests."""

from __future__ import annotations

from typing import Any

from quaff import Quaff
from quaff.ext.sqlalchemy import SQLAlchemy


def make_app(url: str, **config: Any) -> tuple[Quaff, SQLAlchemy]:
    """Return an app with a database, which knows no models yet."""
    app = Quaff("tests.ext.sqlalchemy.databases")
    app.config.update(SQLALCHEMY_DATABASE_URI=url, TESTING=True, SECRET_KEY="a key for tests", **config)
    return app, SQLAlchemy(app)
