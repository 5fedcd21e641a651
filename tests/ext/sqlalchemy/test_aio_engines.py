"""The async engine of each database: its driver, its arguments, and the messages when there is none."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import sqlalchemy as sa

from quaff.ext.sqlalchemy import aio_engines
from quaff.ext.sqlalchemy.aio_engines import async_options, async_url, check_greenlet
from quaff.ext.sqlalchemy.problems import DatabaseUrlError, DriverMissing
from quaff.ext.sqlalchemy.replica_settings import EngineOptions

from .databases import make_app


def only(monkeypatch: pytest.MonkeyPatch, *modules: str) -> None:
    """Let only these drivers be installed."""
    monkeypatch.setattr(aio_engines, "find_spec", lambda name: object() if name in modules else None)


@pytest.mark.parametrize(
    "url, expected",
    [
        ("sqlite:///app.db", "sqlite+aiosqlite"),
        ("sqlite+pysqlite:///app.db", "sqlite+aiosqlite"),
        ("mysql+pymysql://host/app", "mysql+aiomysql"),
        ("mysql://host/app", "mysql+aiomysql"),
        ("mysql+mysqldb://host/app", "mysql+aiomysql"),
        ("mariadb+pymysql://host/app", "mariadb+aiomysql"),
        ("mysql+asyncmy://host/app", "mysql+asyncmy"),
        ("postgresql://host/app", "postgresql+psycopg"),
        ("postgresql+psycopg2://host/app", "postgresql+psycopg"),
        ("postgresql+psycopg://host/app", "postgresql+psycopg"),
        ("postgresql+asyncpg://host/app", "postgresql+asyncpg"),
        ("mssql+aioodbc://host/app", "mssql+aioodbc"),
    ],
)
def test_the_driver(url: str, expected: str) -> None:
    """The one for the kind of database, or the async one that the URL names."""
    assert async_url(sa.make_url(url)).drivername == expected


def test_the_other_driver_if_only_that_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of aiomysql and asyncmy, one is as good as the other."""
    only(monkeypatch, "asyncmy")
    assert async_url(sa.make_url("mysql+pymysql://host/app")).drivername == "mysql+asyncmy"


@pytest.mark.parametrize(
    "url, extra",
    [
        ("sqlite://", "aiosqlite"),
        ("mysql+pymysql://host/app", "aiomysql"),
        ("postgresql+psycopg2://host/app", "postgresql"),
    ],
)
def test_none_is_installed(monkeypatch: pytest.MonkeyPatch, url: str, extra: str) -> None:
    """The message names the extra."""
    only(monkeypatch)
    with pytest.raises(DriverMissing, match=rf'pip install "quaff\[{extra}\]"$'):
        async_url(sa.make_url(url))


def test_a_database_that_has_none() -> None:
    """It is said that the URL may name one."""
    with pytest.raises(DatabaseUrlError, match=r"mssql\+pyodbc.*Name one in the URL"):
        async_url(sa.make_url("mssql+pyodbc://host/app"))


def test_greenlet_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLAlchemy 2.1 does not bring it by itself."""
    only(monkeypatch)
    with pytest.raises(DriverMissing, match=r'pip install "sqlalchemy\[asyncio\]"'):
        check_greenlet()


def options_of(url: str, own: dict[str, Any] | None = None, **options: Any) -> dict[str, Any]:
    """Return the arguments of an async engine."""
    given = {"url": url, **options}
    return async_options(EngineOptions(given, dict(given)), own or {})


def test_arguments_are_the_sync_engines() -> None:
    """But for what means its driver or its pool."""
    made = options_of("sqlite:///a.db", pool_size=3, poolclass=sa.QueuePool, creator=print, module=print, echo=True)
    assert {name: value for name, value in made.items() if name != "url"} == {"pool_size": 3, "echo": True}
    assert options_of("sqlite:///a.db", poolclass=sa.NullPool)["poolclass"] is sa.NullPool


def test_arguments_of_their_own_go_last() -> None:
    """Those of `SQLALCHEMY_ASYNC_ENGINE_OPTIONS`."""
    assert options_of("sqlite:///a.db", {"pool_size": 9}, pool_size=3)["pool_size"] == 9


def test_a_timeout_has_another_name_in_asyncpg() -> None:
    """Its connect takes `timeout`."""
    made = options_of("postgresql+asyncpg://host/app", connect_args={"connect_timeout": 5, "ssl": True})
    assert made["connect_args"] == {"timeout": 5, "ssl": True}


def test_the_configured_driver_is_kept(new_database: Any) -> None:
    """A URL of an async driver serves both kinds of session."""
    url = new_database("sqlite").replace("sqlite:", "sqlite+aiosqlite:")
    _, db = make_app(url)

    async def main() -> str:
        assert await db.async_session.scalar(sa.text("SELECT 1")) == 1
        return db.async_engine.url.drivername

    assert asyncio.run(main()) == "sqlite+aiosqlite"
    assert db.session.scalar(sa.text("SELECT 1")) == 1
    db.session.remove()


@pytest.mark.parametrize("driver", ["aiomysql", "asyncmy"])
@pytest.mark.service("mariadb-server")
def test_both_drivers_of_mysql(new_database: Any, driver: str) -> None:
    """Against a real server."""
    url = sa.make_url(new_database("mariadb")).set(drivername=f"mysql+{driver}")
    _, db = make_app(url.render_as_string(hide_password=False))

    class Note(db.Model):  # type: ignore[name-defined, misc]
        id = db.Column(db.Integer, primary_key=True)
        text = db.Column(db.String(80))

    db.create_all()

    async def main() -> str:
        async with db.async_transaction() as session:
            session.add(Note(text="née"))
        assert db.async_engine.url.drivername == f"mysql+{driver}"
        return str((await db.async_session.get_one(Note, 1)).text)

    assert asyncio.run(main()) == "née"
