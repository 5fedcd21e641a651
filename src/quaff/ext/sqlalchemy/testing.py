"""Tests that leave nothing in the database: each runs in a transaction that is rolled back at its end.

While a block of `rolled_back` lasts, all sessions of `db` work on one connection for each database, inside an outer
transaction that they do not know of. What they take for a transaction is a savepoint: their `commit()` releases it, so that
the next session sees what was committed, and their `rollback()` goes back to it. At the end the outer transaction is rolled
back, whatever was committed.

The fixtures for pytest are in `pytest_plugin.py`. Read first: `tests/ext/sqlalchemy/test_testing.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, Final, TypeVar

import sqlalchemy as sa
from sqlalchemy import exc

from ...globals import active_app_context

D = TypeVar("D")

_NOT_ASYNC: Final = (
    "db.async_session is not rolled back after a test: its connections belong to an event loop. Use db.session here, or a"
    " database of its own for this test, without the fixtures db_session and rolled_back_db."
)


class Connections(Mapping[str | None, sa.Connection]):
    """One connection for each bind key, in a transaction; each is opened when it is first asked for.

    :param engines: bind key -> engine.
    """

    def __init__(self, engines: Mapping[str | None, sa.Engine]) -> None:
        self._engines = engines
        self._open: dict[str | None, tuple[sa.Connection, sa.RootTransaction]] = {}

    def __getitem__(self, key: str | None) -> sa.Connection:
        if key not in self._open:
            connection = self._engines[key].connect()
            self._open[key] = connection, begin(connection)
        return self._open[key][0]

    def __iter__(self) -> Iterator[str | None]:
        return iter(self._engines)

    def __len__(self) -> int:
        return len(self._engines)

    def __contains__(self, key: object) -> bool:
        return key in self._engines

    def roll_back(self) -> None:
        """Undo all that was done, and give the connections back."""
        for connection, transaction in self._open.values():
            try:
                with suppress(exc.DBAPIError):
                    # What a server that is gone has not got, is not there.
                    transaction.rollback()
            finally:
                _end_explicit_begin(connection)
                connection.close()
        self._open.clear()


def begin(connection: sa.Connection) -> sa.RootTransaction:
    """Begin a transaction in which savepoints work.

    Python's driver for SQLite begins a transaction only before the first INSERT, UPDATE or DELETE. A savepoint before that
    would be one itself, and releasing it a commit; so the transaction is begun explicitly.
    """
    transaction = connection.begin()
    if connection.dialect.name == "sqlite":
        driver: Any = connection.connection.driver_connection  # Any: the driver's connection
        if not driver.in_transaction:
            connection.info[_ISOLATION] = driver.isolation_level
            driver.isolation_level = None
            connection.exec_driver_sql("BEGIN")
    return transaction


_ISOLATION: Final = "quaff.isolation_level"


def _end_explicit_begin(connection: sa.Connection) -> None:
    if not connection.invalidated and _ISOLATION in connection.info:
        driver: Any = connection.connection.driver_connection
        driver.isolation_level = connection.info.pop(_ISOLATION)


class RolledBackSide:
    """What takes the place of `db` in a session: with connections for engines, and all else the same.

    :param db: the `SQLAlchemy` object.
    :param app: the app.
    :param connections: bind key -> connection.
    """

    _replica_sets = None
    """What is not committed is on no replica."""

    def __init__(self, db: Any, app: Any, connections: Connections) -> None:
        self._db = db
        self._app = app
        self._connections = connections

    @property
    def engines(self) -> Mapping[str | None, Any]:
        """Bind key -> connection; the engines in a context of another app. Any: a session takes both."""
        context = active_app_context()
        if context is not None and context.app is not self._app:
            engines: Mapping[str | None, sa.Engine] = self._db.engines
            return engines
        return self._connections

    def __getattr__(self, name: str) -> Any:
        return getattr(self._db, name)


class NotRolledBack:
    """Stands for `db.async_session` meanwhile, so that no test leaves something behind without noticing."""

    def __call__(self) -> Any:
        """Say what to do instead.

        :raises RuntimeError: always.
        """
        raise RuntimeError(_NOT_ASYNC)

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(_NOT_ASYNC)


@contextmanager
def rolled_back(db: D, app: Any) -> Iterator[D]:
    """Undo at the end of the block all that sessions of *db* did in the databases of *app*, commits included.

    ::

        with rolled_back(db, app):
            client.post("/users", data={"username": "john_doe"})

    It is about sessions. What is done on `db.engine` itself, `db.create_all()` for one, is done for good, and on SQLite
    waits for the block to end: create the tables before. MySQL commits when a table is created or changed.

    :param db: the `SQLAlchemy` object.
    :param app: an app that it was initialised with.
    """
    of_db: Any = db
    factory = of_db.session.session_factory
    connections = Connections(of_db._app_engines[app])
    before = dict(factory.kw)
    _remove_session(of_db)
    factory.configure(db=RolledBackSide(of_db, app, connections), join_transaction_mode="create_savepoint")
    async_session = of_db.__dict__.pop("async_session", None)
    of_db.__dict__["async_session"] = NotRolledBack()
    try:
        yield db
    finally:
        _remove_session(of_db)
        factory.kw.clear()
        factory.kw.update(before)
        del of_db.__dict__["async_session"]
        if async_session is not None:
            of_db.__dict__["async_session"] = async_session
        connections.roll_back()


def _remove_session(db: Any) -> None:
    """Remove the session of this context or thread; where it is unclear whose that would be, there is none."""
    with suppress(RuntimeError):
        db.session.remove()


@contextmanager
def own_session(db: Any) -> Iterator[Any]:
    """Give the session that `db.session` stands for here, or a new one where its app is unclear. Any: of its class."""
    try:
        session = db.session()
    except RuntimeError:
        session = db.session.session_factory()
    try:
        yield session
    finally:
        session.close()
