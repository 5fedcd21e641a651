"""Migrations on SQLite that are whole or not there, and that keep the rows of other tables.

Two habits of Python's driver and of Alembic make a migration that is killed half-way unusable on SQLite: the driver begins
no transaction before CREATE, ALTER and DROP, and Alembic takes it at its word. SQLite itself can take them back, so a
transaction is begun here. COMPAT: `Migrate(..., transactional_ddl=False)` leaves both as they were.

The other matter is foreign keys. To change a table, Alembic copies it and drops the old one, and where foreign keys are
enforced, dropping a table deletes its rows first: `ON DELETE CASCADE` then empties the tables that refer to it. SQLite's own
advice (https://www.sqlite.org/lang_altertable.html, section 7) is followed: not enforced meanwhile, checked at the end.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import Counter
from typing import Any, cast

from sqlalchemy import create_engine, event
from sqlalchemy.engine import Connection
from sqlalchemy.pool import NullPool

from ...errors import QuaffError


class ForeignKeyViolation(QuaffError, RuntimeError):
    """A migration left rows that refer to rows which are not there."""

    code = "Q842"


class Guard:
    """Prepares one connection for migrations, and restores it.

    :param connection: of SQLite; nothing has been written with it.
    :param transactional: whether to begin real transactions.
    """

    def __init__(self, connection: Connection, *, transactional: bool) -> None:
        self._connection = connection
        self._adapted = cast("Any", connection.connection.dbapi_connection)  # Any: sqlite3's or aiosqlite's
        self._foreign_keys = bool(self._ask("PRAGMA foreign_keys")[0][0])
        self._level: Any = None
        # Engines that begin transactions themselves do so in one of these two ways.
        level = self._adapted.isolation_level
        self.begins = transactional and level is not None and getattr(self._driver, "autocommit", -1) == -1
        self._before: Counter[tuple[str, str]] | None = None

    @property
    def _driver(self) -> Any:
        return getattr(self._adapted, "driver_connection", self._adapted)

    def prepare(self) -> None:
        """Turn enforcement off, and begin transactions from now on."""
        if self._foreign_keys and not self._driver.in_transaction:
            # Without effect inside of a transaction, so this comes first.
            self._ask("PRAGMA foreign_keys=OFF")
            self._before = self._violations()
        if self.begins:
            self._level = self._adapted.isolation_level
            self._adapted.isolation_level = None
            event.listen(self._connection, "begin", self._begin)
            if self._connection.in_transaction():
                # env.py was faster: SQLAlchemy's transaction is there, SQLite's is not.
                self._begin(self._connection)

    def check(self) -> None:
        """Find rows that refer to nothing and did not before; called in the transaction, before it ends.

        :raises ForeignKeyViolation: when there are some.
        """
        if self._before is None:
            return
        added = self._violations() - self._before
        if added:
            lines = "\n".join(
                f"  - {count} rows of {table} refer to rows of {parent} that are not there"
                for (table, parent), count in sorted(added.items())
            )
            raise ForeignKeyViolation(f"After this migration, foreign keys would not hold; it was taken back:\n{lines}")

    def restore(self) -> None:
        """Give the connection back as it was, if it is still open."""
        if self.begins and event.contains(self._connection, "begin", self._begin):
            event.remove(self._connection, "begin", self._begin)
        if self._driver_is_async():
            return
        try:
            if self._level is not None:
                self._adapted.isolation_level = self._level
            if self._before is not None:
                self._ask("PRAGMA foreign_keys=ON")
        except self._connection.dialect.loaded_dbapi.ProgrammingError:
            # It is closed, so nobody will use it.
            return

    def _driver_is_async(self) -> bool:
        # Its loop is over, and its engine was made for one command.
        return bool(self._connection.dialect.is_async)

    def _begin(self, connection: Connection) -> None:
        if not self._driver.in_transaction:
            # IMMEDIATE: two that read first and write later would fail each other.
            self._ask("BEGIN IMMEDIATE")

    def _violations(self) -> Counter[tuple[str, str]]:
        return Counter((row[0], row[2]) for row in self._ask("PRAGMA foreign_key_check"))

    def _ask(self, statement: str) -> list[Any]:
        # Through the driver: a statement of SQLAlchemy's would begin a transaction of its own.
        cursor = self._adapted.cursor()
        try:
            cursor.execute(statement)
            return [] if cursor.description is None else list(cursor.fetchall())
        finally:
            cursor.close()


class Copy:
    """A copy of a SQLite database, for a migration that shall only be looked at.

    :param connection: to the database; it is read, not written to.
    """

    def __init__(self, connection: Connection) -> None:
        self._folder = tempfile.mkdtemp(prefix="quaff-migrate-")
        path = os.path.join(self._folder, "copy.db")
        cursor = connection.connection.cursor()
        try:
            cursor.execute("VACUUM INTO ?", (path,))
        finally:
            cursor.close()
        self._engine = create_engine(f"sqlite:///{path}", poolclass=NullPool)
        self.connection = self._engine.connect()

    def close(self) -> None:
        """Remove the copy."""
        self.connection.close()
        self._engine.dispose()
        shutil.rmtree(self._folder, ignore_errors=True)
