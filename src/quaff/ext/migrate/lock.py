"""A lock in the database, so that of many processes that start at once only one migrates it.

PostgreSQL has advisory locks, MySQL and MariaDB have `GET_LOCK`; both belong to a connection and go with it, so a process
that dies leaves none behind. For SQLite a file beside the database is locked, which the operating system undoes for a dead
process. Other databases are not locked.

The lock lives on a connection of its own, in autocommit: what the migration does with its transaction does not touch it. It
is asked for again and again instead of being waited for in the server, because a statement of PostgreSQL that waits holds a
snapshot, and `CREATE INDEX CONCURRENTLY` in the migration would wait for that snapshot for ever.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, Protocol

from sqlalchemy import text
from sqlalchemy.engine import Connection, Engine

from ...errors import QuaffError

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

_PREFIX: Final = "quaff_migrate"
_PAUSES: Final = (0.05, 0.1, 0.2, 0.5, 1.0)
"""Seconds between two attempts; the last one is repeated."""


class LockTimeout(QuaffError, RuntimeError):
    """Another process held the lock of the migrations for longer than `MIGRATE_LOCK_TIMEOUT`."""

    code = "Q840"


class Lock(Protocol):
    """What can be held by one process at a time."""

    name: str
    """Which lock it is, in this process."""

    holder: str
    """Who holds it, as far as that is known, for people; empty when it is not."""

    def try_acquire(self) -> bool:
        """Take the lock if it is free, and tell whether it was; at once in either case."""
        ...

    def release(self) -> None:
        """Give the lock back. Does nothing when it is not held."""
        ...


class ServerLock:
    """A lock that a database server keeps for one connection.

    :param engine: of the database that is migrated; a pool like its own is made, so a full pool does not matter.
    :param take: the statement that takes the lock at once or not at all, and returns a true value when it did.
    :param give: the statement that gives it back.
    :param values: their parameters.
    """

    def __init__(self, engine: Engine, take: str, give: str, values: Mapping[str, Any]) -> None:
        self.holder = ""
        self.name = f"{engine.url.render_as_string()} {dict(values)}"
        self._own = Engine(pool=engine.pool.recreate(), dialect=engine.dialect, url=engine.url)
        self._take, self._give, self._values = text(take), text(give), dict(values)
        self._connection: Connection | None = None
        self._held = False

    def try_acquire(self) -> bool:
        """Take the lock if it is free, and tell whether it was."""
        if self._connection is None:
            # AUTOCOMMIT: a session "idle in transaction" would hold back vacuum for as long as the migration takes.
            self._connection = self._own.connect().execution_options(isolation_level="AUTOCOMMIT")
        self._held = bool(self._connection.scalar(self._take, self._values))
        return self._held

    def release(self) -> None:
        """Give the lock back, and close the connection."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        held, self._held = self._held, False
        try:
            if held:
                connection.scalar(self._give, self._values)
        finally:
            # Really closed, not pooled: the server forgets what it kept for this connection, whatever went wrong above.
            connection.invalidate()
            connection.close()
            self._own.dispose()


class AsyncServerLock:
    """The same with an asynchronous driver.

    `env.py` runs a loop of its own that is over before the lock may be given back, so the lock has another, in a thread.

    :param engine: the synchronous face of an asynchronous engine; parameters as for `ServerLock`.
    """

    def __init__(self, engine: Engine, take: str, give: str, values: Mapping[str, Any]) -> None:
        # Only here: SQLAlchemy 2.1 has it only where greenlet is installed.
        from sqlalchemy.ext.asyncio import AsyncEngine

        self.holder = ""
        self.name = f"{engine.url.render_as_string()} {dict(values)}"
        self._own = AsyncEngine(Engine(pool=engine.pool.recreate(), dialect=engine.dialect, url=engine.url))
        self._take, self._give, self._values = text(take), text(give), dict(values)
        self._connection: AsyncConnection | None = None
        self._held = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def try_acquire(self) -> bool:
        """Take the lock if it is free, and tell whether it was."""
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(target=self._loop.run_forever, name="quaff-migrate-lock", daemon=True)
            self._thread.start()
        return asyncio.run_coroutine_threadsafe(self._ask(), self._loop).result()

    def release(self) -> None:
        """Give the lock back, and close the connection."""
        loop, thread = self._loop, self._thread
        self._loop = self._thread = None
        if loop is None or thread is None:
            return
        try:
            asyncio.run_coroutine_threadsafe(self._close(), loop).result()
        finally:
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()

    async def _ask(self) -> bool:
        if self._connection is None:
            self._connection = await self._own.connect()
            await self._connection.execution_options(isolation_level="AUTOCOMMIT")
        self._held = bool(await self._connection.scalar(self._take, self._values))
        return self._held

    async def _close(self) -> None:
        connection, self._connection = self._connection, None
        held, self._held = self._held, False
        try:
            if connection is not None:
                if held:
                    await connection.scalar(self._give, self._values)
                await connection.close()
        finally:
            await self._own.dispose()


class FileLock:
    """A lock on a file, which the operating system gives back when the process ends, however it ends.

    :param path: of the file; it is made, and removed with the lock.
    """

    def __init__(self, path: str) -> None:
        self.path = self.name = path
        self.holder = ""
        self._file: int | None = None

    def try_acquire(self) -> bool:
        """Take the lock if it is free, and tell whether it was."""
        file = os.open(self.path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
        if not _lock_file(file) or not self._is_there(file):
            self.holder = self._read_holder()
            os.close(file)
            return False
        os.ftruncate(file, 0)
        os.write(file, f"process {os.getpid()} on {socket.gethostname()}".encode())
        self._file = file
        return True

    def release(self) -> None:
        """Give the lock back, and remove the file."""
        file, self._file = self._file, None
        if file is None:
            return
        if sys.platform == "win32":
            os.close(file)
            return
        # Removed while it is still locked: whoever opened it meanwhile sees in `_is_there` that it is no longer the file.
        try:
            os.unlink(self.path)
        finally:
            os.close(file)

    def _is_there(self, file: int) -> bool:
        try:
            return os.path.samestat(os.stat(self.path), os.fstat(file))
        except FileNotFoundError:
            return False

    def _read_holder(self) -> str:
        try:
            with open(self.path, encoding="utf-8", errors="replace") as file:
                return file.read(200)
        except OSError:
            return ""


if sys.platform == "win32":

    def _lock_file(file: int) -> bool:
        import msvcrt

        try:
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:

    def _lock_file(file: int) -> bool:
        import fcntl

        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def make_lock(connection: Connection, version_table: str = "alembic_version") -> Lock | None:
    """Return the lock of the database that *connection* leads to, or `None` for a database that has none.

    :param version_table: the table that keeps the revision, with its schema if it has one. Two histories in one database
        have two, and do not wait for each other.
    """
    dialect, engine = connection.dialect.name, connection.engine
    kind = AsyncServerLock if connection.dialect.is_async else ServerLock
    if dialect == "sqlite":
        path = database_file(connection)
        return None if path is None else FileLock(f"{path}.migrate-lock")
    if dialect == "postgresql":
        # Advisory locks are counted per database, so the name of the database need not be a part of it.
        key = int.from_bytes(_digest(version_table)[:8], "big", signed=True)
        return kind(engine, "SELECT pg_try_advisory_lock(:key)", "SELECT pg_advisory_unlock(:key)", {"key": key})
    if dialect in ("mysql", "mariadb"):
        # GET_LOCK is for the whole server, and its names may have 64 characters.
        name = f"{_PREFIX}_{_digest(engine.url.database or '', version_table).hex()[:32]}"
        return kind(engine, "SELECT GET_LOCK(:name, 0)", "SELECT RELEASE_LOCK(:name)", {"name": name})
    return None


def database_file(connection: Connection) -> str | None:
    """Return the path of a SQLite database, or `None` for one in memory."""
    # Through a cursor of the driver: a statement of SQLAlchemy's would begin a transaction, and the migration wants to.
    cursor = connection.connection.cursor()
    try:
        cursor.execute("PRAGMA database_list")
        return next((row[2] or None for row in cursor.fetchall() if row[1] == "main"), None)
    finally:
        cursor.close()


def _digest(*words: str) -> bytes:
    return hashlib.blake2b("\0".join((_PREFIX, *words)).encode(), digest_size=16).digest()


def acquire(
    lock: Lock,
    *,
    timeout: float | None,
    tell: Callable[[str], None] = lambda line: None,
    clock: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = time.sleep,
) -> None:
    """Take *lock*, waiting while another process has it.

    :param timeout: seconds to wait; `None` is for ever, 0 is not at all.
    :param tell: called with a line when the wait begins.
    :raises LockTimeout: when the time is over.
    """
    started = clock()
    attempt = 0
    while not lock.try_acquire():
        by = f" ({lock.holder})" if lock.holder else ""
        if timeout is not None and clock() - started >= timeout:
            raise LockTimeout(
                f"Another process{by} is migrating this database, and was not done after {timeout:g} seconds. Nothing"
                " was changed. Wait for it and try again, or wait longer with MIGRATE_LOCK_TIMEOUT or --lock-timeout."
            )
        if attempt == 0:
            tell(f"Another process{by} is migrating this database; waiting until it is done.")
        pause(_PAUSES[min(attempt, len(_PAUSES) - 1)])
        attempt += 1
