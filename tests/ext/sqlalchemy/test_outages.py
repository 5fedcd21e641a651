"""quaff.ext.sqlalchemy.outages: few lines about a database that is down, whatever the number of requests."""

from __future__ import annotations

import logging
import sqlite3
from pathlib import Path

import pytest

sa = pytest.importorskip("sqlalchemy")

from sqlalchemy import exc  # noqa: E402

from quaff.ext.sqlalchemy.failures import DatabaseUnavailable, Kind  # noqa: E402
from quaff.ext.sqlalchemy.outages import (  # noqa: E402
    REPORT_EVERY,
    LostAtReset,
    Outage,
    RefusalLog,
    name_of,
    one_line,
    watch_engine,
)

LOGGER = logging.getLogger("tests.outages")


class Clock:
    """A clock that stands still."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def messages(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what was logged since the last call."""
    found = [record.getMessage() for record in caplog.records]
    caplog.clear()
    return found


def test_one_line_for_an_outage(caplog: pytest.LogCaptureFixture) -> None:
    """The first failure is a line, the others of the next seconds are none; the end is a line with their number."""
    clock = Clock()
    outage = Outage("The database", LOGGER, clock)
    outage.note_connection()
    assert messages(caplog) == []
    for _ in range(1000):
        outage.note_failure("gone")
    assert messages(caplog) == ["The database does not answer: gone"]
    clock.now += REPORT_EVERY
    for _ in range(1000):
        outage.note_failure("still gone")
    assert messages(caplog) == ["The database still does not answer, after 1001 failures: still gone"]
    outage.note_connection()
    outage.note_connection()
    assert messages(caplog) == ["The database answers again, after 2000 failures."]
    outage.note_failure("gone again")
    outage.note_connection()
    assert messages(caplog) == [
        "The database does not answer: gone again",
        "The database answers again, after 1 failure.",
    ]


def test_refusals_are_counted(caplog: pytest.LogCaptureFixture) -> None:
    """Of requests that are refused for want of a connection or a lock there is a line every ten seconds."""
    clock = Clock()
    log = RefusalLog(LOGGER, clock)
    full = DatabaseUnavailable(Kind.POOL)
    full.__cause__ = exc.TimeoutError("QueuePool limit of size 5 reached")
    log.note(DatabaseUnavailable(Kind.UNREACHABLE))
    assert messages(caplog) == []
    for _ in range(50):
        log.note(full)
    assert messages(caplog) == [
        "A request got 503 (1 since the last such line): TimeoutError: QueuePool limit of size 5 reached"
    ]
    clock.now += REPORT_EVERY
    log.note(full)
    assert "(50 since the last such line)" in messages(caplog)[0]


def test_names_without_secrets() -> None:
    """A database is named by where it is, not by who is let in."""
    url = sa.make_url("postgresql+psycopg://app:secret@db.internal:5432/shop?password=secret")
    assert name_of(url, None) == "The database (postgresql db.internal:5432/shop)"
    assert name_of(url, "log") == "The database 'log' (postgresql db.internal:5432/shop)"
    assert name_of(sa.make_url("sqlite:////data/a.db"), None) == "The database (sqlite /data/a.db)"
    assert name_of(sa.make_url("sqlite://"), None) == "The database (sqlite :memory:)"


def test_messages_on_one_line() -> None:
    """What a driver says in several lines, or with characters that forge lines, is one line, without SQL and values."""
    wrapped = exc.OperationalError("SELECT secret", {}, sqlite3.OperationalError("no\n\tserver  there\x1b[2J"))
    assert one_line(wrapped) == "OperationalError: 'no server there\\x1b[2J'"
    assert one_line(ValueError("a  b")) == "ValueError: a b"


def test_errors_that_are_none_of_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """SQL that is wrong is logged by nobody here, and its error says nothing of connections."""
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'a.db'}")
    outage = watch_engine(engine, None, LOGGER)
    with engine.connect() as connection, pytest.raises(exc.OperationalError) as caught:
        connection.exec_driver_sql("SELECT wrong")
    assert "connection was lost" not in str(caught.value)
    assert outage.failures == 0
    assert messages(caplog) == []
    engine.dispose()


def test_statements_cost_nothing(tmp_path: Path) -> None:
    """The listeners are for failures and for new connections: a statement does not come by them."""
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'a.db'}")
    watch_engine(engine, None, LOGGER)
    assert not engine._has_events
    assert not list(engine.dialect.dispatch.do_execute)
    engine.dispose()


@pytest.mark.parametrize(
    "message, error, stays",
    [
        ("Exception during reset or similar", sqlite3.OperationalError("gone"), False),
        ("Exception during reset or similar", ValueError("a mistake"), True),
        ("Exception terminating connection %r", sqlite3.OperationalError("gone"), True),
    ],
)
def test_lost_connections_in_the_pools_log(message: str, error: Exception, stays: bool) -> None:
    """What a pool logs about connections that died with their server is left out; everything else stays."""
    pymysql = pytest.importorskip("pymysql")
    shown = pymysql.err.OperationalError(2013, "Lost connection") if isinstance(error, sqlite3.Error) else error
    record = LOGGER.makeRecord("pool", logging.ERROR, __file__, 1, message, (), (type(shown), shown, None))
    assert LostAtReset().filter(record) is stays
    assert LostAtReset().filter(LOGGER.makeRecord("pool", logging.ERROR, __file__, 1, message, (), None))
