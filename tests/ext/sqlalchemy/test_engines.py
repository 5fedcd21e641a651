"""Making engines."""

from __future__ import annotations

import gc
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa

from quaff.ext.sqlalchemy import SQLAlchemy
from quaff.ext.sqlalchemy.engines import dispose_all, make_engine
from quaff.ext.sqlalchemy.problems import DatabaseUrlError, DriverMissing

from .apps import make_app


def test_engines_connect_late(tmp_path: Path) -> None:
    """`init_app` connects to nothing: a server that is down at the start is no error then."""
    app = make_app(tmp_path, "postgresql+psycopg://nobody@127.0.0.1:1/none")
    db = SQLAlchemy(app)
    with pytest.raises(sa.exc.OperationalError):
        db.create_all()


def test_texts_are_understood(tmp_path: Path) -> None:
    """Options may be texts, as they come from environment variables."""
    app = make_app(tmp_path)
    engine = make_engine(None, {"url": f"sqlite:///{tmp_path}/x.db", "pool_size": "3", "echo": "false"}, app)
    assert (engine.pool.size(), engine.echo) == (3, False)  # type: ignore[attr-defined]


def test_a_driver_that_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is said when the app is set up, and with the bind."""
    monkeypatch.setitem(sys.modules, "pymysql", None)
    app = make_app(tmp_path, SQLALCHEMY_BINDS={"a": "mysql+pymysql://h/x"})
    with pytest.raises(DriverMissing, match=r"^SQLALCHEMY_BINDS\['a'\] is a URL of mysql"):
        SQLAlchemy(app)
    with pytest.raises(DatabaseUrlError, match=r"^SQLALCHEMY_DATABASE_URI: SQLAlchemy knows no kind"):
        SQLAlchemy(make_app(tmp_path, "sqllite://"))


def test_disposing(tmp_path: Path) -> None:
    """All engines are closed and forgotten."""
    app = make_app(tmp_path)
    engine = make_engine(None, {"url": "sqlite://"}, app)
    with engine.connect():
        pass
    engines: dict[str | None, sa.Engine] = {None: engine}
    dispose_all(engines)
    assert engines == {}


def test_engines_of_an_app_that_is_gone(tmp_path: Path) -> None:
    """Their connections are closed."""
    app = make_app(tmp_path, "sqlite://")
    db = SQLAlchemy(app)
    closed: list[object] = []
    sa.event.listen(db.engine, "close", lambda *_: closed.append(None))
    with db.engine.connect():
        pass
    del app
    gc.collect()
    assert closed
