"""The URL of a database: read, completed and checked, with a message for each way in which it can be wrong."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
import sqlalchemy.exc as sa_exc

from .problems import DatabaseUrlError, DriverMissing

MEMORY: Final = (None, "", ":memory:")
"""What stands in the place of a file for a SQLite database in memory."""

_OLD_NAMES: Final = {"postgres": "postgresql"}
"""Names of databases that hosting platforms write and SQLAlchemy does not know."""

_KNOWN: Final = ("mariadb", "mssql", "mysql", "oracle", "postgresql", "sqlite")

_DRIVERS: Final = {
    "aiomysql": ("aiomysql", "aiomysql"),
    "aiosqlite": ("aiosqlite", "aiosqlite"),
    "psycopg": ("psycopg", "postgresql"),
    "psycopg_async": ("psycopg", "postgresql"),
    "pymysql": ("pymysql", "mysql"),
}
"""Driver -> its module, and the extra that brings it."""

_OWN_DRIVERS: Final = {"mariadb": "pymysql", "mysql": "pymysql", "postgresql": "psycopg"}
"""Kind of database -> the driver that an extra brings."""

_PASSWORD: Final = re.compile(r"(?<=:)[^:@/]+(?=@)")

ASYNC_DRIVERS: Final[Mapping[str, tuple[str, ...]]] = {
    "mariadb": ("aiomysql", "asyncmy"),
    "mysql": ("aiomysql", "asyncmy"),
    "postgresql": ("psycopg", "asyncpg"),
    "sqlite": ("aiosqlite",),
}
"""Kind of database -> the drivers for an event loop, the first preferred."""

_SYNC_DRIVERS: Final = {
    "aiomysql": "pymysql",
    "aiosqlite": "pysqlite",
    "asyncmy": "pymysql",
    "asyncpg": "psycopg",
    "psycopg_async": "psycopg",
}
"""Driver for an event loop -> the driver that does the same without one."""


def read_url(value: Any, key: str) -> sa.URL:
    """Return a URL from the configuration.

    :param key: the configuration key, for the message.
    :raises DatabaseUrlError: when it cannot be read, or names a kind of database that there is not.
    """
    if not isinstance(value, (str, sa.URL)):
        raise DatabaseUrlError(f"{key} is a URL such as 'sqlite:///app.db', not {value!r}.")
    try:
        url = sa.engine.make_url(value.strip() if isinstance(value, str) else value)
    except (sa_exc.ArgumentError, ValueError):
        raise DatabaseUrlError(_explain(str(value), key)) from None
    kind, plus, driver = url.drivername.partition("+")
    if kind in _OLD_NAMES:
        url = url.set(drivername=f"{_OLD_NAMES[kind]}{plus}{driver}")
    return url


def _explain(text: str, key: str) -> str:
    # SECURITY: what is wrong may be the password, and messages go to logs.
    shown = _PASSWORD.sub("***", text)
    hint = "It is written as 'kind+driver://user:password@host:port/database'."
    if not text.strip():
        hint = "It is empty: is the environment variable set that it comes from?"
    elif "://" not in text:
        hint += f" For a file of SQLite, write 'sqlite:///{shown}'."
    elif re.search(r":[^/@]*[^0-9/@][^/@]*(/|$)", text.partition("://")[2].rpartition("@")[2]):
        hint += " The port is a number, and a password with ':', '/' or '@' in it is quoted: urllib.parse.quote_plus()."
    return f"{key} cannot be read as the URL of a database: {shown!r}. {hint}"


def is_memory(url: sa.URL) -> bool:
    """Tell whether the database is SQLite's in memory."""
    if url.get_backend_name() != "sqlite":
        return False
    return url.database in MEMORY or ":memory:" in str(url.database) or url.query.get("mode") == "memory"


def complete_sqlite(url: sa.URL, instance_path: str) -> sa.URL:
    """Return the URL of a SQLite file with its whole path; a relative one begins at the app's instance folder.

    The folder is made. `file:name.db` with `uri=true` is for the driver, and completed all the same.
    """
    if url.database in MEMORY:
        return url
    path = str(url.database)
    prefix = "file:" if url.query.get("uri") and path.startswith("file:") else ""
    path = path[len(prefix) :]
    if os.path.isabs(path) or (prefix and is_memory(url)):
        return url
    Path(instance_path).mkdir(parents=True, exist_ok=True)
    return url.set(database=prefix + os.path.join(instance_path, path))


def sync_url(url: sa.URL) -> sa.URL:
    """Return the URL of the same database with a driver that needs no event loop."""
    kind, _, driver = url.drivername.partition("+")
    return url.set(drivername=f"{kind}+{_SYNC_DRIVERS[driver]}") if driver in _SYNC_DRIVERS else url


def check_driver(url: sa.URL, key: str) -> None:
    """Import the driver of a URL.

    :raises DatabaseUrlError: when there is no such kind of database or driver.
    :raises DriverMissing: when the driver is not installed.
    """
    try:
        dialect = url.get_dialect()
    except sa_exc.NoSuchModuleError:
        raise DatabaseUrlError(_explain_kind(url, key)) from None
    try:
        dialect.import_dbapi()
    except ModuleNotFoundError as error:
        raise DriverMissing(_explain_driver(url, key, dialect.driver, error.name), name=error.name) from None


def _explain_kind(url: sa.URL, key: str) -> str:
    kind, _, driver = url.drivername.partition("+")
    if kind in _KNOWN and driver:
        close = difflib.get_close_matches(driver, [*_DRIVERS, *_SYNC_DRIVERS, "psycopg2", "mysqldb", "pysqlite"], n=1)
        guess = f" Did you mean '{kind}+{close[0]}://'?" if close else ""
        return f"{key}: SQLAlchemy knows no driver {driver!r} for {kind}.{guess}"
    close = difflib.get_close_matches(kind, _KNOWN, n=1)
    guess = f" Did you mean '{close[0]}://'?" if close else ""
    return f"{key}: SQLAlchemy knows no kind of database {kind!r}.{guess}"


def _explain_driver(url: sa.URL, key: str, driver: str, module: str | None) -> str:
    kind = url.get_backend_name()
    start = f"{key} is a URL of {kind}, for which the driver {module!r} is not installed."
    if driver in _DRIVERS:
        return f'{start} Install it with: pip install "quaff[{_DRIVERS[driver][1]}]"'
    other = _OWN_DRIVERS.get(kind)
    if other is None:
        return f"{start} Install it with pip."
    extra = _DRIVERS[other][1]
    return f"{start} Or write '{kind}+{other}://...' and install that driver with: pip install \"quaff[{extra}]\""
