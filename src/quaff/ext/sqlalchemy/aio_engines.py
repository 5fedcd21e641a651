"""The async engine that belongs to a sync one: the driver, the arguments, and a database in memory that both see."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import Any, Final, cast

import sqlalchemy as sa
import sqlalchemy.pool as sa_pool
from sqlalchemy.ext.asyncio import AsyncEngine, async_engine_from_config

from .defaults import prepare_engine
from .problems import DatabaseUrlError, DriverMissing
from .replica_settings import EngineOptions
from .urls import ASYNC_DRIVERS, MEMORY

OPTIONS: Final = "SQLALCHEMY_ASYNC_ENGINE_OPTIONS"
"""The configuration key of arguments that only async engines get, after all others."""

_ASYNC_ALREADY: Final = frozenset(
    {"aiomysql", "aioodbc", "aiosqlite", "asyncmy", "asyncpg", "oracledb", "psycopg_async"}
)
"""Drivers for an event loop. A URL that names one keeps it."""

_MISSING: Final = {"mariadb": "aiomysql", "mysql": "aiomysql", "postgresql": "postgresql", "sqlite": "aiosqlite"}
"""Kind of database -> the extra that brings a driver."""

_NOT_SHARED: Final = ("creator", "module", "pool", "pool_class", "poolclass")
"""Arguments of the sync engine that mean its driver or its pool."""


def async_url(url: sa.URL) -> sa.URL:
    """Return the URL of the same database with a driver for an event loop: the first that is installed.

    :raises DriverMissing: when none is; the message names the extra that brings one.
    :raises DatabaseUrlError: when none is known for this kind of database.
    """
    kind, _, driver = url.drivername.partition("+")
    if driver in _ASYNC_ALREADY:
        return url
    if kind not in ASYNC_DRIVERS:
        raise DatabaseUrlError(
            f"No driver for an event loop is known for {url.drivername!r}. Name one in the URL, as in"
            " 'mssql+aioodbc://...', or use db.session."
        )
    for name in ASYNC_DRIVERS[kind]:
        if find_spec(name) is not None:
            return url.set(drivername=f"{kind}+{name}")
    names = " or ".join(repr(name) for name in ASYNC_DRIVERS[kind])
    raise DriverMissing(
        f"db.async_session needs a driver for an event loop, and for {kind} no {names} is installed. Install one with:"
        f' pip install "quaff[{_MISSING[kind]}]"',
        name=ASYNC_DRIVERS[kind][0],
    )


def check_greenlet() -> None:
    """Check for the library by which SQLAlchemy waits in the middle of synchronous code.

    :raises DriverMissing: when it is not installed.
    """
    if find_spec("greenlet") is None:
        raise DriverMissing(
            "db.async_session needs 'greenlet', which SQLAlchemy 2.1 does not install by itself. Install it with:"
            ' pip install "sqlalchemy[asyncio]"',
            name="greenlet",
        )


def async_options(engine_options: EngineOptions, own: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of an async engine.

    :param engine_options: the arguments of the sync engine.
    :param own: what the configuration says for async engines only.
    """
    options = engine_options.completed
    # The URL as it was configured may name the driver.
    original = sa.engine.make_url(engine_options.given["url"])
    made = {name: value for name, value in options.items() if name not in _NOT_SHARED}
    made["url"] = async_url(sa.engine.make_url(options["url"]).set(drivername=original.drivername))
    if options.get("poolclass") in {sa_pool.NullPool, "NullPool"}:
        made["poolclass"] = sa_pool.NullPool
    made.update(own)
    if made["url"].drivername.endswith("+asyncpg") and "connect_timeout" in made.get("connect_args", {}):
        arguments = dict(made["connect_args"])
        made["connect_args"] = {"timeout": arguments.pop("connect_timeout"), **arguments}
    return made


def make_async_engine(options: dict[str, Any], sync: sa.Engine, compat: Any) -> AsyncEngine:
    """Make an async engine; it connects when it is first used.

    :param options: from `async_options`.
    :param sync: the sync engine of the same database.
    :param compat: the app's `COMPAT`.
    """
    check_greenlet()
    url = options["url"]
    if url.get_backend_name() == "sqlite" and url.database in MEMORY:
        # The driver's own pool is of one connection then, too.
        options = {**options, "async_creator": _share_memory(sync)}
        options.pop("connect_args", None)
    creator: Callable[[], Any] | None = options.pop("async_creator", None)
    more = {} if creator is None else {"async_creator": creator}
    engine = async_engine_from_config(options, prefix="", **more)
    prepare_engine(engine.sync_engine, compat)
    return engine


def _share_memory(sync: sa.Engine) -> Callable[[], Any]:
    """Return what connects to the database in memory that *sync* holds.

    Such a database is its one connection. A second one would be a second database, without the tables that `create_all()`
    made; so async code works on the same connection, and in the same transaction.
    """
    import aiosqlite

    async def connect() -> Any:
        # Any: what it wraps only acts as a connection, and what is a thread differs between versions.
        connection: Any = aiosqlite.Connection(cast("Any", lambda: _Borrowed(sync.pool)), 64)
        # As SQLAlchemy does: a thread that waits must not keep the process alive.
        getattr(connection, "_thread", connection).daemon = True
        return await connection

    return connect


class _Borrowed:
    """The connection of another engine: closing it does nothing."""

    def __init__(self, pool: sa_pool.Pool) -> None:
        # Not `pool.connect()`: what that returns is given back with a rollback, and somebody may be in the middle of a
        # transaction. `apply_defaults` sees to it that the pool is a `StaticPool`, which has this attribute.
        self._connection: Any = cast("sa_pool.StaticPool", pool).connection.dbapi_connection

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def close(self) -> None:
        """Leave it open."""
