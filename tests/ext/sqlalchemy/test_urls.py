"""URLs: read, completed, and refused with a message that helps."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from quaff.ext.sqlalchemy.problems import DatabaseUrlError, DriverMissing
from quaff.ext.sqlalchemy.urls import check_driver, complete_sqlite, is_memory, read_url, sync_url

KEY = "SQLALCHEMY_DATABASE_URI"


def test_a_url_is_read() -> None:
    """A text, also with blanks around it, and a URL object are understood; `postgres` is an old name of `postgresql`."""
    assert read_url(" sqlite:///app.db\n", KEY).database == "app.db"
    url = sa.URL.create("sqlite")
    assert read_url(url, KEY) is url
    assert read_url("postgres://a:b@host/db", KEY).drivername == "postgresql"
    assert read_url("postgres+psycopg://host/db", KEY).drivername == "postgresql+psycopg"


@pytest.mark.parametrize(
    "given,message",
    [
        ("", "It is empty: is the environment variable set that it comes from?"),
        ("app.db", "For a file of SQLite, write 'sqlite:///app.db'."),
        ("mysql://root@localhost:port/db", "The port is a number, and a password"),
        (42, "is a URL such as 'sqlite:///app.db', not 42."),
        (None, "not None"),
    ],
)
def test_a_text_that_is_none(given: Any, message: str) -> None:
    """What is wrong is said with the key and a hint."""
    with pytest.raises(DatabaseUrlError) as info:
        read_url(given, KEY)
    assert message in str(info.value)
    assert str(info.value).startswith(KEY)


def test_a_password_is_not_shown() -> None:
    """The message has no password."""
    with pytest.raises(DatabaseUrlError) as info:
        read_url("mysql://user:geheim@host:none/db", KEY)
    assert "geheim" not in str(info.value)
    assert "user:***@host" in str(info.value)


@pytest.mark.parametrize(
    "url,expected",
    [
        ("sqlite://", True),
        ("sqlite:///:memory:", True),
        ("sqlite:///file::memory:?uri=true&cache=shared", True),
        ("sqlite:///file:x?mode=memory&uri=true", True),
        ("sqlite:///x.db", False),
        ("postgresql:///", False),
    ],
)
def test_memory(url: str, expected: bool) -> None:
    """A database in memory is known in all its spellings."""
    assert is_memory(sa.make_url(url)) is expected


def test_relative_files_of_sqlite(tmp_path: Path) -> None:
    """A relative path begins at the instance folder, which is made; others stay."""
    folder = tmp_path / "instance"

    def complete(text: str) -> str | None:
        return complete_sqlite(sa.make_url(text), str(folder)).database

    assert complete("sqlite://") is None
    assert complete("sqlite:////tmp/x.db") == "/tmp/x.db"
    assert not folder.exists()
    assert complete("sqlite:///x.db") == str(folder / "x.db")
    assert folder.is_dir()
    assert complete("sqlite:///file:x.db?uri=true") == f"file:{folder / 'x.db'}"
    assert complete("sqlite:///file::memory:?uri=true&cache=shared") == "file::memory:"


@pytest.mark.parametrize(
    "given,expected",
    [
        ("sqlite+aiosqlite:///x", "sqlite+pysqlite"),
        ("mysql+aiomysql://h/x", "mysql+pymysql"),
        ("mysql+asyncmy://h/x", "mysql+pymysql"),
        ("postgresql+asyncpg://h/x", "postgresql+psycopg"),
        ("postgresql+psycopg_async://h/x", "postgresql+psycopg"),
        ("postgresql+psycopg2://h/x", "postgresql+psycopg2"),
        ("sqlite:///x", "sqlite"),
    ],
)
def test_a_driver_without_an_event_loop(given: str, expected: str) -> None:
    """For the sync session, a driver for an event loop is replaced by its sync counterpart."""
    assert sync_url(sa.make_url(given)).drivername == expected


@pytest.mark.parametrize(
    "url,message",
    [
        ("sqllite:///x", "knows no kind of database 'sqllite'. Did you mean 'sqlite://'?"),
        ("zzz://x", "knows no kind of database 'zzz'."),
        ("mysql+pymsql://h/x", "knows no driver 'pymsql' for mysql. Did you mean 'mysql+pymysql://'?"),
    ],
)
def test_a_kind_that_there_is_not(url: str, message: str) -> None:
    """A misspelt kind or driver is guessed at."""
    with pytest.raises(DatabaseUrlError) as info:
        check_driver(sa.make_url(url), KEY)
    assert str(info.value) == f"{KEY}: SQLAlchemy {message}"


@pytest.mark.parametrize(
    "url,module,hint",
    [
        ("mysql+pymysql://h/x", "pymysql", ' Install it with: pip install "quaff[mysql]"'),
        ("postgresql+psycopg://h/x", "psycopg", ' Install it with: pip install "quaff[postgresql]"'),
        (
            "mysql+mysqldb://h/x",
            "MySQLdb",
            " Or write 'mysql+pymysql://...' and install that driver with: pip install \"quaff[mysql]\"",
        ),
        ("postgresql+pg8000://h/x", "pg8000", 'install that driver with: pip install "quaff[postgresql]"'),
        ("mssql+pyodbc://h/x", "pyodbc", " Install it with pip."),
    ],
)
def test_a_driver_that_is_missing(url: str, module: str, hint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names the library, and the extra that brings it or another one."""
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(DriverMissing) as info:
        check_driver(sa.make_url(url), KEY)
    assert str(info.value).endswith(hint)
    assert f"the driver {module!r} is not installed" in str(info.value)
    assert isinstance(info.value, ImportError)


def test_a_driver_that_is_there() -> None:
    """Nothing is said."""
    check_driver(sa.make_url("sqlite://"), KEY)
