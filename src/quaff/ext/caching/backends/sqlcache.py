"""Values in a table of a SQL database, for sites that have one already and nothing else."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from ...._internal.imports import need
from ..keys import digest
from ..serializers import SafeSerializer
from .base import BaseCache

PRUNE_EVERY: Final = 1000
"""After so many writes, what has expired is deleted."""


class SQLCache(BaseCache):
    """Keeps values in a table, which is made if it is not there. Through SQLAlchemy: SQLite, MariaDB, PostgreSQL and others.

    :param engine: a SQLAlchemy engine, or the URL of a database.
    :param table: the name of the table.
    :param default_timeout: seconds for which values are kept; 0 is for ever.
    :param key_prefix: tells several caches in one table apart; `clear` deletes what has it.
    :param timeout: seconds for an answer, as far as the driver can do that.
    :param engine_options: for `sqlalchemy.create_engine`.
    """

    is_remote = True
    is_shared = True
    serializer: Any = SafeSerializer()

    def __init__(
        self,
        engine: Any,
        table: str = "quaff_cache",
        default_timeout: int = 300,
        key_prefix: str = "",
        ignore_delete_many_errors: bool = False,
        timeout: float = 0.25,
        engine_options: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(default_timeout, ignore_delete_many_errors)
        sqlalchemy = self._sqlalchemy = need("sqlalchemy", "sql", "A cache in a SQL database")
        if isinstance(engine, str) or hasattr(engine, "drivername"):
            url = sqlalchemy.make_url(engine)
            options = {"pool_pre_ping": False, "pool_recycle": 1800, "connect_args": driver_options(url, timeout)}
            if url.get_backend_name() != "sqlite":
                options["pool_timeout"] = timeout
            # PERF: each statement is a transaction of its own, and no COMMIT goes over the network.
            options["isolation_level"] = "AUTOCOMMIT"
            engine = sqlalchemy.create_engine(url, **{**options, **(engine_options or {})})
            self._engine = engine
        else:
            self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")
        self.engine = engine
        self.key_prefix = key_prefix or ""
        self._writes = 0
        self._is_made = False
        self.table = _table(sqlalchemy, table)

    @classmethod
    def factory(cls, app: Any, config: dict[str, Any], args: list[Any], kwargs: dict[str, Any]) -> Any:
        """Return a store for *app*, in `CACHE_SQL_URL` or, without it, in `SQLALCHEMY_DATABASE_URI`."""
        url = kwargs.pop("engine", None) or config["CACHE_SQL_URL"] or config.get("SQLALCHEMY_DATABASE_URI")
        if not url and not args:
            from ..settings import CacheSettingsError

            raise CacheSettingsError("`CACHE_SQL_URL` is not set: SQLCache needs it, for example 'sqlite:///cache.db'.")
        given = {
            "table": config["CACHE_SQL_TABLE"],
            "key_prefix": config["CACHE_KEY_PREFIX"],
            "timeout": config["CACHE_STORE_TIMEOUT"],
            **kwargs,
        }
        return cls(*(args or [url]), **given)

    @property
    def location(self) -> str:
        """The URL of the database, without its password."""
        return f"{self.engine.url.render_as_string(hide_password=True)}"

    def _name(self, key: str) -> str:
        # A hash: columns have collations for which a and A, or e and é, are one key (CVE-2026-25480 is of this kind).
        return digest([self.key_prefix, key])

    @contextmanager
    def _connect(self) -> Iterator[Any]:
        """Give a connection.

        :raises ConnectionError: when the database does not answer; SQLAlchemy's error, in one line.
        """
        try:
            if not self._is_made:
                self._make_table()
            with self._engine.connect() as connection:
                yield connection
        except (self._sqlalchemy.exc.DBAPIError, self._sqlalchemy.exc.TimeoutError) as error:
            # Whatever it was: after that the table may be gone.
            self._is_made = False
            raise ConnectionError(" ".join(str(getattr(error, "orig", None) or error).split())) from error

    def _make_table(self) -> None:
        try:
            self.table.metadata.create_all(self.engine, checkfirst=True)
        except self._sqlalchemy.exc.DBAPIError:
            # Another process or thread may have made it since this one looked.
            self.table.metadata.create_all(self.engine, checkfirst=True)
        self._is_made = True

    def _expiry(self, timeout: Any) -> float:
        seconds = self._normalize_timeout(timeout)
        return time.time() + seconds if seconds > 0 else 0.0

    def _is_live(self) -> Any:
        columns = self.table.c
        return self._sqlalchemy.or_(columns.expires == 0, columns.expires > time.time())

    def get(self, key: str) -> Any:
        """Return the value at *key*, or None."""
        return self.get_many(key)[0]

    def get_many(self, *keys: str) -> list[Any]:
        """Return the values at *keys*, None where there is none."""
        names = [self._name(key) for key in keys]
        columns = self.table.c
        query = self._sqlalchemy.select(columns.name, columns.value).where(columns.name.in_(names), self._is_live())
        with self._connect() as connection:
            found = {row[0]: bytes(row[1]) for row in connection.execute(query)}
        return [self.serializer.loads(found[name]) if name in found else None for name in names]

    def has(self, key: str) -> bool:
        """Tell whether there is a value at *key*."""
        query = self._sqlalchemy.select(self.table.c.name).where(self.table.c.name == self._name(key), self._is_live())
        with self._connect() as connection:
            return connection.execute(query).first() is not None

    def _row(self, key: str, value: Any, timeout: Any) -> dict[str, Any]:
        return {
            "name": self._name(key),
            "value": self.serializer.dumps(value),
            "expires": self._expiry(timeout),
            "prefix": self.key_prefix[:200],
        }

    def set(self, key: str, value: Any, timeout: Any = None) -> bool:
        """Store a value."""
        row = self._row(key, value, timeout)
        with self._connect() as connection:
            self._upsert(connection, row)
            self._prune(connection)
        return True

    def add(self, key: str, value: Any, timeout: Any = None) -> bool:
        """Store a value unless there is one; tell whether it was stored. Of several processes, one succeeds."""
        row = self._row(key, value, timeout)
        expired = self.table.delete().where(self.table.c.name == row["name"], self._sqlalchemy.not_(self._is_live()))
        with self._connect() as connection:
            connection.execute(expired)
            return self._insert(connection, row)

    def _insert(self, connection: Any, row: dict[str, Any]) -> bool:
        try:
            connection.execute(self.table.insert().values(**row))
        except self._sqlalchemy.exc.IntegrityError:
            return False
        return True

    def _upsert(self, connection: Any, row: dict[str, Any]) -> None:
        insert = _dialect_insert(self.engine.dialect.name)
        changes = {name: value for name, value in row.items() if name != "name"}
        if insert is None:
            update = self.table.update().where(self.table.c.name == row["name"]).values(**changes)
            # The last one, because another process may insert the row between our update and our insert.
            if connection.execute(update).rowcount < 1 and not self._insert(connection, row):
                connection.execute(update)
            return
        statement = insert(self.table).values(**row)
        if hasattr(statement, "on_duplicate_key_update"):
            statement = statement.on_duplicate_key_update(**changes)
        else:
            statement = statement.on_conflict_do_update(index_elements=["name"], set_=changes)
        connection.execute(statement)

    def _prune(self, connection: Any) -> None:
        self._writes += 1
        if self._writes % PRUNE_EVERY == 0:
            connection.execute(self.table.delete().where(self._sqlalchemy.not_(self._is_live())))

    def delete(self, key: str) -> bool:
        """Delete the value at *key*; tell whether there was one."""
        with self._connect() as connection:
            deleted = connection.execute(self.table.delete().where(self.table.c.name == self._name(key)))
            return bool(deleted.rowcount)

    def clear(self) -> bool:
        """Delete all values with this prefix."""
        with self._connect() as connection:
            connection.execute(self.table.delete().where(self.table.c.prefix == self.key_prefix[:200]))
        return True

    def close(self) -> None:
        """Close the connections."""
        self.engine.dispose()

    def inc(self, key: str, delta: int = 1) -> int | None:
        """Add *delta* to the number at *key*, so that no other addition is lost; return the new one."""
        name = self._name(key)
        columns = self.table.c
        query = self._sqlalchemy.select(columns.value).where(columns.name == name, self._is_live())
        while True:
            with self._connect() as connection:
                row = connection.execute(query).first()
                if row is not None:
                    value: int = (self.serializer.loads(bytes(row[0])) or 0) + delta
                    changed = self.table.update().where(columns.name == name, columns.value == row[0])
                    # Only if it still is what it was; else another one was quicker.
                    if connection.execute(changed.values(value=self.serializer.dumps(value))).rowcount:
                        return value
            if row is None and self.add(key, delta):
                return delta

    def dec(self, key: str, delta: int = 1) -> int | None:
        """Take *delta* from the number at *key*; return the new one."""
        return self.inc(key, -delta)


def _dialect_insert(name: str) -> Any:
    """Return the `insert` with which a database stores or replaces in one statement; None for one that has none."""
    if name in ("mysql", "mariadb"):
        from sqlalchemy.dialects.mysql import insert as of_mysql

        return of_mysql
    if name == "postgresql":
        from sqlalchemy.dialects.postgresql import insert as of_postgresql

        return of_postgresql
    if name == "sqlite":
        from sqlalchemy.dialects.sqlite import insert as of_sqlite

        return of_sqlite
    return None


def _table(sqlalchemy: Any, name: str) -> Any:
    from sqlalchemy.dialects.mysql import LONGBLOB

    column = sqlalchemy.Column
    return sqlalchemy.Table(
        name,
        sqlalchemy.MetaData(),
        column("name", sqlalchemy.String(64), primary_key=True),
        column("prefix", sqlalchemy.String(200), nullable=False, index=True),
        column("value", sqlalchemy.LargeBinary().with_variant(LONGBLOB(), "mysql", "mariadb"), nullable=False),
        column("expires", sqlalchemy.Double(), nullable=False, index=True),
    )


def driver_options(url: Any, timeout: float) -> dict[str, Any]:
    """Return the options with which a driver gives up after *timeout* seconds."""
    backend, driver = url.get_backend_name(), url.get_driver_name()
    if backend == "sqlite":
        return {"timeout": timeout}
    if driver == "pymysql":
        return {"connect_timeout": timeout, "read_timeout": timeout, "write_timeout": timeout}
    if backend in ("mysql", "mariadb"):
        return {"connect_timeout": max(1, round(timeout))}
    if backend == "postgresql" and driver in ("psycopg", "psycopg2"):
        return {"connect_timeout": max(2, round(timeout)), "options": f"-c statement_timeout={int(timeout * 1000)}"}
    return {}
