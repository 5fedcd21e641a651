"""Values in a SQL database."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy

from quaff.ext.caching.backends import SQLCache, sqlcache
from quaff.ext.caching.settings import CacheSettingsError, read_settings
from tests.ext.caching.stores import StoreTests
from tests.ext.servers import MariaDB, running


@pytest.fixture(scope="module")
def mariadb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MariaDB]:
    """Give a running MariaDB server."""
    with running(MariaDB(tmp_path_factory.mktemp("mariadb"))) as server:
        assert isinstance(server, MariaDB)
        yield server


@pytest.fixture
def url(tmp_path: Path) -> str:
    """Give the URL of an empty SQLite database."""
    return f"sqlite:///{tmp_path}/cache.db"


class TestSQLite(StoreTests):
    @pytest.fixture
    def store(self, url: str) -> Iterator[Any]:
        store = SQLCache(url, timeout=30)
        yield store
        store.engine.dispose()


@pytest.mark.service("mariadb-server")
class TestMariaDB(StoreTests):
    @pytest.fixture
    def store(self, mariadb: MariaDB) -> Iterator[Any]:
        store = SQLCache(mariadb.uri, timeout=30)
        store.clear()
        yield store
        store.clear()
        store.engine.dispose()

    def test_a_large_value(self, store: Any) -> None:
        """A value of several megabytes fits."""
        store.set("large", b"x" * 3_000_000)
        assert len(store.get("large")) == 3_000_000


@pytest.fixture
def store(url: str) -> Iterator[SQLCache]:
    """Give the store under test."""
    store = SQLCache(url, key_prefix="one:", timeout=30)
    yield store
    store.engine.dispose()


def test_expiry(store: SQLCache, monkeypatch: pytest.MonkeyPatch) -> None:
    """A value is there until its time is over; what has expired may be added again, and is deleted in the end."""
    now = [1_700_000_000.0]
    monkeypatch.setattr(sqlcache.time, "time", lambda: now[0])
    store.set("short", 1, 5)
    store.set("ever", 1, 0)
    now[0] += 10
    assert store.get_many("short", "ever") == [None, 1]
    assert not store.has("short")
    assert store.add("short", 2, 5)
    now[0] += 10
    store._writes = sqlcache.PRUNE_EVERY - 1
    store.set("other", 1)
    with store.engine.connect() as connection:
        assert connection.execute(sqlalchemy.select(sqlalchemy.func.count()).select_from(store.table)).scalar() == 2


def test_caches_in_one_table(store: SQLCache, url: str) -> None:
    """Prefixes keep caches apart, when they are cleared too."""
    other = SQLCache(url, key_prefix="other:", timeout=30)
    store.set("a", 1)
    other.set("a", 2)
    store.clear()
    assert (store.get("a"), other.get("a")) == (None, 2)
    other.engine.dispose()


def test_a_planted_pickle(store: SQLCache, caplog: pytest.LogCaptureFixture) -> None:
    """A pickle in the table counts as missing and is named in the log."""
    store.set("key", "x")
    with store.engine.begin() as connection:
        connection.execute(store.table.update().values(value=pickle.dumps("y")))
    assert store.get("key") is None
    assert "a pickle, which was not read" in caplog.text


def test_a_table_that_is_gone(store: SQLCache) -> None:
    """It is an error once, in one line, and then it is made again."""
    store.set("a", 1)
    with store.engine.begin() as connection:
        store.table.drop(connection)
    with pytest.raises(ConnectionError) as caught:
        store.get("a")
    assert "\n" not in str(caught.value)
    assert store.get("a") is None
    assert store.set("a", 2)


def test_settings(url: str) -> None:
    """The URL is a setting of its own, or that of the app's database; without either the message says what to do."""
    config = read_settings({"CACHE_SQL_URL": url, "CACHE_SQL_TABLE": "mine"}).config
    store = SQLCache.factory(None, config, [], {"default_timeout": 7})
    assert (store.table.name, store.default_timeout, store.key_prefix) == ("mine", 7, "flask_cache_")
    config = read_settings({"SQLALCHEMY_DATABASE_URI": url}).config
    assert str(SQLCache.factory(None, config, [], {}).engine.url) == url
    with pytest.raises(CacheSettingsError, match="CACHE_SQL_URL"):
        SQLCache.factory(None, read_settings({}).config, [], {})


def test_the_log_gets_no_password() -> None:
    """The location hides it."""
    store = SQLCache("mysql+pymysql://me:secret@localhost/db")
    assert store.location == "mysql+pymysql://me:***@localhost/db"


@pytest.mark.parametrize(
    "url, options",
    [
        ("sqlite:///x", {"timeout": 0.25}),
        ("mysql+pymysql://h/d", {"connect_timeout": 0.25, "read_timeout": 0.25, "write_timeout": 0.25}),
        ("mariadb+mariadbconnector://h/d", {"connect_timeout": 1}),
        ("postgresql+psycopg://h/d", {"connect_timeout": 2, "options": "-c statement_timeout=250"}),
        ("mssql+pyodbc://h/d", {}),
    ],
)
def test_deadlines(url: str, options: dict[str, Any]) -> None:
    """Each driver is told in its own words when to give up."""
    assert sqlcache.driver_options(sqlalchemy.make_url(url), 0.25) == options
