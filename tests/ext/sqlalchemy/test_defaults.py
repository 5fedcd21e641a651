"""What engines get when nobody says otherwise."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa

from quaff.ext.sqlalchemy import SQLAlchemy
from quaff.ext.sqlalchemy.defaults import CONNECT_TIMEOUT, MYSQL_RECYCLE, POOL_SIZE, POOL_TIMEOUT, apply_defaults

from .apps import make_app


def completed(url: str, folder: Path | None = None, **options: Any) -> dict[str, Any]:
    """Return the arguments of an engine with what is added to them."""
    options["url"] = url
    apply_defaults(options, SimpleNamespace(instance_path=str(folder)))
    return options


def test_mysql() -> None:
    """MySQL gets its charset, a pool that notices lost connections and ends old ones, and bounds to waiting."""
    made = completed("mysql+pymysql://h/x")
    assert made.pop("url").query == {"charset": "utf8mb4"}
    assert issubclass(made.pop("poolclass"), sa.QueuePool)
    assert made == {
        "pool_pre_ping": True,
        "pool_recycle": MYSQL_RECYCLE,
        "pool_timeout": POOL_TIMEOUT,
        "pool_size": POOL_SIZE,
        "max_overflow": 0,
        "connect_args": {"connect_timeout": CONNECT_TIMEOUT},
    }


def test_postgresql() -> None:
    """PostgreSQL gets the same but for what is MySQL's."""
    made = completed("postgresql+psycopg://h/x")
    assert str(made.pop("url")) == "postgresql+psycopg://h/x"
    assert issubclass(made.pop("poolclass"), sa.QueuePool)
    assert made == {
        "pool_pre_ping": True,
        "pool_timeout": POOL_TIMEOUT,
        "pool_size": POOL_SIZE,
        "max_overflow": 0,
        "connect_args": {"connect_timeout": CONNECT_TIMEOUT},
    }


def test_the_size_of_the_pool() -> None:
    """As many connections as SQLAlchemy makes at most, all of them kept; where the program says a size, nothing else."""
    assert POOL_SIZE == 5 + 10
    for given in ({"pool_size": 3}, {"max_overflow": 20}):
        made = completed("postgresql+psycopg://h/x", **given)
        assert {name: made[name] for name in ("pool_size", "max_overflow") if name in made} == given


def test_what_is_set_stays() -> None:
    """An option of the program's, or one in the URL, is not touched."""
    made = completed(
        "mysql+pymysql://h/x?charset=latin1&connect_timeout=9", pool_pre_ping=False, pool_recycle=1, pool_timeout=30
    )
    assert made["url"].query["charset"] == "latin1"
    assert (made["pool_pre_ping"], made["pool_recycle"], made["pool_timeout"]) == (False, 1, 30)
    assert "connect_args" not in made
    given = {"connect_timeout": 9, "application_name": "x"}
    assert completed("postgresql+psycopg://h/x", connect_args=given)["connect_args"] == given


@pytest.mark.parametrize("options", [{"poolclass": sa.NullPool}, {"poolclass": sa.StaticPool}, {"pool": object()}])
def test_other_pools(options: dict[str, Any]) -> None:
    """A pool that does not queue gets no option that it would refuse."""
    made = completed("mysql+pymysql://h/x", **options)
    assert "pool_recycle" not in made
    assert "pool_timeout" not in made


def test_sqlite_in_memory() -> None:
    """There is one connection to a database in memory, for all threads."""
    made = completed("sqlite://", connect_args={"timeout": 3})
    assert made["poolclass"] is sa.StaticPool
    assert made["connect_args"] == {"timeout": 3, "check_same_thread": False}


def test_sqlite_in_a_file(tmp_path: Path) -> None:
    """A file has its whole path, and no option of a server."""
    made = completed("sqlite:///x.db", tmp_path)
    assert made == {"url": sa.make_url(f"sqlite:///{tmp_path / 'x.db'}")}


def pragma(db: SQLAlchemy[Any], name: str) -> Any:
    """Return a setting of a new connection to SQLite."""
    with db.engine.connect() as connection:
        return connection.execute(sa.text(f"PRAGMA {name}")).scalar()


def test_pragmas(tmp_path: Path) -> None:
    """A file has its journal in WAL mode, waits for locks and checks foreign keys; memory has no journal to speak of."""
    app = make_app(tmp_path)
    db = SQLAlchemy(app)
    assert [pragma(db, name) for name in ("journal_mode", "busy_timeout", "foreign_keys")] == ["wal", 5000, 1]
    other = make_app(tmp_path, "sqlite://")
    db = SQLAlchemy(other)
    assert [pragma(db, name) for name in ("journal_mode", "foreign_keys")] == ["memory", 1]


def test_pragmas_of_old(tmp_path: Path) -> None:
    """COMPAT has a name for each that a program may not be ready for."""
    app = make_app(tmp_path, COMPAT=("sqlite-foreign-keys-off", "sqlite-no-wal"))
    db = SQLAlchemy(app)
    assert [pragma(db, name) for name in ("journal_mode", "foreign_keys")] == ["delete", 0]


def test_a_file_that_is_read_only(tmp_path: Path) -> None:
    """A database that cannot be written to is read all the same."""
    app = make_app(tmp_path)
    db = SQLAlchemy(app)
    with db.engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE t (id INTEGER)"))
    db.engine.dispose()
    reader = make_app(tmp_path, "sqlite:///file:test.db?mode=ro&uri=true")
    db = SQLAlchemy(reader)
    with db.engine.connect() as connection:
        assert connection.execute(sa.text("SELECT count(*) FROM t")).scalar() == 0


def test_foreign_keys_are_checked(tmp_path: Path) -> None:
    """A row that refers to nothing is refused, as other databases do."""
    app = make_app(tmp_path)
    db = SQLAlchemy(app)

    class Parent(db.Model):
        id = db.Column(db.Integer, primary_key=True)

    class Child(db.Model):
        id = db.Column(db.Integer, primary_key=True)
        parent = db.Column(db.ForeignKey(Parent.id))

    with app.app_context():
        db.create_all()
        db.session.add(Child(parent=1))
        with pytest.raises(sa.exc.IntegrityError, match="FOREIGN KEY"):
            db.session.commit()
        db.session.rollback()
