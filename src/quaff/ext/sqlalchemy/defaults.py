"""What an engine gets unless the settings say otherwise: a pool that notices lost connections, and a SQLite that is safe."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Final

import sqlalchemy as sa
import sqlalchemy.event as sa_event
import sqlalchemy.pool as sa_pool

from .fast_pool import IdlePingPool
from .fast_reads import ALWAYS_BEGIN, read_without_begin
from .urls import MEMORY, complete_sqlite, is_memory, sync_url

NO_FOREIGN_KEYS: Final = "sqlite-foreign-keys-off"
"""The name in `COMPAT` that leaves SQLite's foreign keys unchecked, as SQLite and Flask-SQLAlchemy do."""

NO_WAL: Final = "sqlite-no-wal"
"""The name in `COMPAT` that leaves SQLite's journal as it is."""

MYSQL_RECYCLE: Final = 7200
"""Seconds after which a connection to MySQL is made anew: the server ends those that are idle for eight hours."""

POOL_SIZE: Final = 15
"""Connections that an engine has at most, as with SQLAlchemy's 5 and 10 more in need.

PERF: SQLAlchemy closes those 10 after each use: under load that is a new connection for most requests.
"""

POOL_TIMEOUT: Final = 2.0
"""Seconds that a request waits for a connection when all are in use."""

CONNECT_TIMEOUT: Final = 5
"""Seconds that a connection to PostgreSQL or MySQL may take."""

_CONNECT_TIMEOUTS: Final = {"psycopg", "psycopg2", "pymysql", "mysqldb"}
"""Drivers with an argument `connect_timeout`, in seconds."""


def apply_defaults(options: dict[str, Any], app: Any) -> None:
    """Complete the arguments of `create_engine`, the URL included, for the kind of database."""
    url = options["url"] = sync_url(sa.engine.make_url(options["url"]))
    kind = url.get_backend_name()
    if kind == "sqlite":
        _complete_sqlite(url, options, app)
        return
    if kind in {"mysql", "mariadb"} and "charset" not in url.query:
        options["url"] = url.update_query_dict({"charset": "utf8mb4"})
    if "creator" not in options:
        _complete_connect_args(url, options)
    if "pool" in options:
        return
    options.setdefault("pool_pre_ping", True)
    # COMPAT: Flask-SQLAlchemy looks for the name with an underscore.
    pool_class = options.get("poolclass", options.get("pool_class"))
    if pool_class is None:
        pool_class = options["poolclass"] = IdlePingPool
    if isinstance(pool_class, type) and issubclass(pool_class, sa_pool.QueuePool):
        options.setdefault("pool_timeout", POOL_TIMEOUT)
        if options.keys().isdisjoint({"pool_size", "max_overflow"}):
            options.update(pool_size=POOL_SIZE, max_overflow=0)
        if kind in {"mysql", "mariadb"}:
            options.setdefault("pool_recycle", MYSQL_RECYCLE)


def _complete_connect_args(url: sa.URL, options: dict[str, Any]) -> None:
    driver = url.drivername.partition("+")[2]
    if driver in _CONNECT_TIMEOUTS and "connect_timeout" not in url.query:
        options["connect_args"] = {"connect_timeout": CONNECT_TIMEOUT, **options.get("connect_args", {})}


def _complete_sqlite(url: sa.URL, options: dict[str, Any], app: Any) -> None:
    if url.database in MEMORY:
        options["poolclass"] = sa_pool.StaticPool
        options["connect_args"] = {**options.get("connect_args", {}), "check_same_thread": False}
    else:
        options["url"] = complete_sqlite(url, app.instance_path)


def prepare_engine(engine: sa.Engine, compat: Any) -> None:
    """Make new connections of a SQLite engine check foreign keys, and keep its journal in a file of its own (WAL).

    PostgreSQL sends plain reads without a transaction: `fast_reads.py`.

    :param compat: the app's `COMPAT`.
    """
    if ALWAYS_BEGIN not in compat:
        read_without_begin(engine)
    if engine.dialect.name != "sqlite":
        return
    _begin_before_savepoints(engine)
    pragmas = []
    if NO_WAL not in compat and not is_memory(engine.url):
        # Readers do not wait for a writer, nor a writer for readers.
        pragmas.append("PRAGMA journal_mode = WAL")
    if NO_FOREIGN_KEYS not in compat:
        pragmas.append("PRAGMA foreign_keys = ON")

    def connect(connection: Any, _: Any) -> None:
        cursor = connection.cursor()
        for pragma in pragmas:
            # A database that is read-only, or locked for longer than its timeout, goes on without.
            with suppress(connection.OperationalError if hasattr(connection, "OperationalError") else Exception):
                cursor.execute(pragma)
        cursor.close()

    if pragmas:
        sa_event.listen(engine, "connect", connect)


def _begin_before_savepoints(engine: sa.Engine) -> None:
    """Let a savepoint be inside of a transaction in any case.

    Python's driver begins a transaction with the first change. For SQLite a savepoint outside of one is one itself, and to
    release it is to commit: what an inner block did would stay although the outer one is rolled back.
    """
    do_savepoint = engine.dialect.do_savepoint

    def savepoint(connection: sa.Connection, name: str) -> None:
        if not getattr(connection.connection.driver_connection, "in_transaction", True):
            cursor = connection.connection.cursor()
            cursor.execute("BEGIN")
            cursor.close()
        do_savepoint(connection, name)

    engine.dialect.do_savepoint = savepoint  # type: ignore[method-assign]  # a dialect belongs to its engine
