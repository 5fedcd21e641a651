"""A database that is killed and started again under load: no wrong data, few errors, and soon all is well again."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

sa = pytest.importorskip("sqlalchemy")

from tests.ext.servers import MariaDB, PostgreSQL, Server, running  # noqa: E402
from tests.ext.sqlalchemy.ledger import ACCOUNTS, START, Clients, Ledger  # noqa: E402

RECOVERY = 2.0
"""Seconds. What is promised, not what it takes."""

KINDS = [
    pytest.param(MariaDB, id="mariadb", marks=pytest.mark.service("mariadb-server")),
    pytest.param(PostgreSQL, id="postgresql", marks=pytest.mark.service("postgresql")),
]

pytestmark = pytest.mark.filterwarnings("default::ResourceWarning")
"""The connections of a server that is gone end with it, and the driver says so."""


@pytest.fixture(scope="module", params=KINDS)
def killable(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Give a server that tests may end."""
    pytest.importorskip("psycopg" if request.param is PostgreSQL else "pymysql")
    with running(request.param(tmp_path_factory.mktemp("server"))) as server:
        yield server


@pytest.fixture
def make_ledger(killable: Server) -> Iterator[Callable[..., Ledger]]:
    """Give a function that makes an app with tables in the server."""
    made: list[Ledger] = []

    def make(**config: Any) -> Ledger:
        ledger = Ledger(killable.uri, **config)
        made.append(ledger)
        ledger.make_tables()
        return ledger

    if killable.process is None:
        killable.start()
    yield make
    if killable.process is None:
        killable.start()
    for ledger in made:
        with ledger.app.app_context():
            ledger.db.engine.dispose()
            ledger.db.drop_all()
            ledger.db.engine.dispose()


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what operators read."""
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def test_kill_and_restart_under_load(
    killable: Server, make_ledger: Callable[..., Ledger], caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody is told something wrong, nothing is half done or lost, errors are 503, and after two seconds there are none."""
    ledger = make_ledger()
    with Clients(ledger) as clients:
        clients.wait_for(200, 100)
        killable.kill()
        clients.wait_for(503, 30)
        killable.start()
        up = time.monotonic()
        clients.wait_for(200, 200)
    assert clients.wrong == []
    assert {result.status for result in clients.results} == {200, 503}
    assert ledger.find_faults(clients.told, clients.unknown) == []
    assert len(clients.told) > 50
    late = [result.began - up for result in clients.results if result.status != 200 and result.began > up]
    assert len(late) <= 2 * clients.count, late
    assert not late or max(late) < RECOVERY
    assert min(result.ended for result in clients.results if result.status == 200 and result.began > up) - up < RECOVERY
    assert ledger.in_use == 0
    told = lines(caplog)
    assert "does not answer" in told[0]
    assert "answers again" in told[-1]
    assert len(told) < 8, told


def test_connections_that_are_ended_under_load(killable: Server, make_ledger: Callable[..., Ledger]) -> None:
    """When an operator ends all connections, again and again, each costs one request at most, and nothing else is wrong."""
    ledger, ended = make_ledger(), 5
    with Clients(ledger) as clients:
        for _ in range(ended):
            clients.wait_for(200, 30)
            end_connections(killable)
        clients.wait_for(200, 50)
    assert clients.wrong == []
    assert {result.status for result in clients.results} <= {200, 503}
    assert sum(result.status == 503 for result in clients.results) <= ended * clients.count * 2
    assert ledger.find_faults(clients.told, clients.unknown) == []
    assert ledger.in_use == 0


def test_lost_in_the_middle(
    killable: Server, make_ledger: Callable[..., Ledger], caplog: pytest.LogCaptureFixture
) -> None:
    """A transfer whose server dies between its halves is a 503, and nothing of it is there; the next one works."""
    ledger = make_ledger()
    client = ledger.app.test_client()

    def restart() -> None:
        ledger.between = lambda: None
        killable.kill()
        killable.start()

    ledger.between = restart
    response = client.post("/transfer/lost?from=1&to=2")
    assert (response.status_code, response.headers["Retry-After"]) == (503, "1")
    assert client.post("/transfer/done?from=1&to=2").status_code == 200
    assert ledger.find_faults({"done"}, set()) == []
    assert sum("does not answer" in line for line in lines(caplog)) == 1


def test_down_at_the_start(
    killable: Server, make_ledger: Callable[..., Ledger], caplog: pytest.LogCaptureFixture
) -> None:
    """An app starts without its database, answers 503, and works as soon as the database is there."""
    make_ledger()
    killable.kill()
    late = Ledger(killable.uri)
    client = late.app.test_client()
    assert [client.get("/balances").status_code for _ in range(20)] == [503] * 20
    assert client.post("/transfer/a?from=1&to=2").status_code == 503
    with late.app.app_context():
        assert not late.db.health_check(timeout=10)
    killable.start()
    assert client.get("/balances").json == {str(number): START for number in range(1, ACCOUNTS + 1)}
    with late.app.app_context():
        assert late.db.health_check(timeout=10)
        late.db.engine.dispose()
    told = [line for line in lines(caplog) if "answer" in line]
    assert len(told) == 2
    assert "does not answer" in told[0]
    assert "answers again, after 22 failures" in told[1]


def test_a_server_that_hangs(killable: Server, make_ledger: Callable[..., Ledger]) -> None:
    """A server that takes connections and answers nothing is found out within the timeout, and is well again afterwards."""
    ledger = make_ledger()
    with ledger.app.app_context():
        assert ledger.db.health_check(timeout=10)
        killable.freeze()
        try:
            found = ledger.db.health_check(timeout=0.1)
        finally:
            killable.thaw()
        assert [(bind.ok, "no answer within" in str(bind.error)) for bind in found.binds] == [(False, True)]
        assert ledger.db.health_check(timeout=30)


@pytest.fixture
def without_ping(make_ledger: Callable[..., Ledger]) -> Ledger:
    """Give an app whose pool trusts its connections, so that requests find out which are lost."""
    ledger = make_ledger(SQLALCHEMY_ENGINE_OPTIONS={"pool_pre_ping": False})
    assert ledger.app.test_client().get("/balances").status_code == 200
    return ledger


def end_connections(server: Server) -> None:
    """End all connections but one's own, as an operator or a proxy does."""
    engine = sa.create_engine(server.uri, poolclass=sa.NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            connection.exec_driver_sql(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
                " WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
            )
            return
        own = connection.exec_driver_sql("SELECT connection_id()").scalar()
        for number, user in connection.exec_driver_sql("SELECT id, user FROM information_schema.processlist").all():
            if number != own and user == "root":
                # It may have ended by itself.
                with suppress(sa.exc.OperationalError):
                    connection.exec_driver_sql(f"KILL {number}")


def test_reads_are_tried_again(killable: Server, without_ping: Ledger, caplog: pytest.LogCaptureFixture) -> None:
    """A GET whose first statement finds the connection lost reads once more, and its client notices nothing."""
    client = without_ping.app.test_client()
    end_connections(killable)
    assert client.get("/balances").json == {str(number): START for number in range(1, ACCOUNTS + 1)}
    killable.kill()
    killable.start()
    assert client.head("/balances").status_code == 200
    with without_ping.app.app_context():
        end_connections(killable)
        without_ping.db.session.commit()
        assert without_ping.db.session.get(without_ping.Account, 1).balance == START
    assert without_ping.in_use == 0


def test_only_once(killable: Server, without_ping: Ledger) -> None:
    """While the server is down, a read is an error after its second try."""
    connects = []
    with without_ping.app.app_context():
        sa.event.listen(without_ping.db.engine, "do_connect", lambda *_: connects.append(1))
    killable.kill()
    assert without_ping.app.test_client().get("/balances").status_code == 503
    assert len(connects) == 1


def test_writes_are_not_tried_again(killable: Server, without_ping: Ledger) -> None:
    """What came with a POST is not, not even a read; nor is what a session has to write. The request after it works."""
    client = without_ping.app.test_client()
    end_connections(killable)
    assert client.post("/balances").status_code == 503
    assert client.post("/balances").status_code == 200
    end_connections(killable)
    assert client.post("/transfer/a?from=1&to=2").status_code == 503
    assert client.post("/transfer/b?from=1&to=2").status_code == 200
    assert without_ping.find_faults({"b"}, set()) == []
    with without_ping.app.app_context():
        session, account = without_ping.db.session, without_ping.Account
        session.get(account, 1)
        session.rollback()
        end_connections(killable)
        session.add(account(balance=0))
        with pytest.raises(sa.exc.OperationalError):
            session.scalars(sa.select(account)).all()


def test_a_second_read_is_not_tried_again(killable: Server, without_ping: Ledger) -> None:
    """Within a transaction nothing is tried again: what was read before may have changed since. It is a 503."""
    without_ping.between = lambda: end_connections(killable)
    assert without_ping.app.test_client().get("/twice").status_code == 503
    assert without_ping.app.test_client().get("/balances").status_code == 200


def test_lost_at_the_end(killable: Server, without_ping: Ledger, caplog: pytest.LogCaptureFixture) -> None:
    """An answer that is complete is sent, though the connection it was read from is lost; the pool is quiet about it."""
    without_ping.between = lambda: end_connections(killable)
    assert without_ping.app.test_client().get("/first").json == {
        str(number): START for number in range(1, ACCOUNTS + 1)
    }
    assert without_ping.in_use == 0
    without_ping.between = lambda: None
    assert without_ping.app.test_client().get("/first").status_code == 200
    assert not any(record.exc_info for record in caplog.records)


def test_what_the_error_says(killable: Server, without_ping: Ledger) -> None:
    """The error of a connection that is lost says what became of the transaction, as far as anybody can know."""
    db, account = without_ping.db, without_ping.Account
    with without_ping.app.app_context():
        db.session.add(account(balance=0))
        db.session.flush()
        end_connections(killable)
        with pytest.raises(sa.exc.DBAPIError, match=r"lost in the middle of a transaction\. The database rolls back"):
            db.session.scalars(sa.select(account)).all()
        db.session.rollback()
        db.session.add(account(balance=0))
        db.session.flush()
        end_connections(killable)
        with pytest.raises(sa.exc.DBAPIError, match="while the transaction was being committed, so it is not known"):
            db.session.commit()
        db.session.rollback()
        assert db.session.scalar(sa.select(sa.func.count()).select_from(account)) == ACCOUNTS


def test_switched_off(killable: Server, make_ledger: Callable[..., Ledger]) -> None:
    """Without `SQLALCHEMY_RETRY_READS` a lost connection is an error; without the other setting, one of SQLAlchemy's."""
    ledger = make_ledger(
        SQLALCHEMY_ENGINE_OPTIONS={"pool_pre_ping": False},
        SQLALCHEMY_RETRY_READS=False,
        SQLALCHEMY_UNAVAILABLE_AS_503=False,
        TESTING=True,
    )
    client = ledger.app.test_client()
    assert client.get("/balances").status_code == 200
    end_connections(killable)
    with pytest.raises(sa.exc.OperationalError):
        client.get("/balances")
    assert client.get("/balances").status_code == 200
