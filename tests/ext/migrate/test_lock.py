"""Of many processes that start at once, one migrates; and a lock never outlives its process."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine

from quaff.ext.migrate import lock as module
from quaff.ext.migrate.lock import FileLock, Lock, LockTimeout, acquire, database_file, make_lock
from tests.ext.migrate.histories import Others, add_revision, finish
from tests.ext.migrate.projects import Project

SERVERS = [
    pytest.param("mariadb", marks=pytest.mark.service("mariadb-server")),
    pytest.param("postgresql", marks=pytest.mark.service("postgresql")),
]


@contextmanager
def connected(url: str, **options: Any) -> Iterator[sa.Connection]:
    """Connect for a block, with an engine of its own."""
    engine = sa.create_engine(url, **options)
    try:
        with engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()


@pytest.fixture
def history(project: Project, database_url: str) -> Project:
    """Give a project with one migration that takes a while."""
    project.uri = database_url
    project.make()
    project.run("init")
    add_revision(
        project,
        "one",
        None,
        """
op.create_table("things", sa.Column("id", sa.Integer, primary_key=True))
select.select([], [], [], 0.5)
op.execute("INSERT INTO things (id) VALUES (1)")
""",
    )
    return project


def test_ten_processes_at_once(history: Project) -> None:
    """Ten upgrades at the same moment all succeed, and one of them runs the migration."""
    results = Others(history).upgrade_at_once(10)
    assert [status for status, _ in results] == [0] * 10, results
    assert sum("upgrade one The revision one: done in" in output for _, output in results) == 1
    with connected(history.uri) as connection:
        assert connection.scalars(sa.text("SELECT id FROM things")).all() == [1]
        assert connection.scalars(sa.text("SELECT version_num FROM alembic_version")).all() == ["one"]
    assert list(history.folder.glob("*lock*")) == []


def test_a_killed_process_leaves_no_lock_and_no_half_revision(history: Project) -> None:
    """After `kill -9` in the middle of a revision, the next upgrade runs; MySQL alone keeps half of the revision."""
    gate = history.folder / "gate"
    os.mkfifo(gate)
    path = history.folder / "migrations" / "versions" / "one.py"
    text = path.read_text(encoding="utf-8")
    wait = f'if "STOP" in os.environ: open({str(gate)!r}, "w").write("here"); select.select([], [], [])'
    path.write_text(text.replace("select.select([], [], [], 0.5)", wait), encoding="utf-8")
    others = Others(history)
    process = others.start("upgrade", STOP="1")
    assert gate.read_text(encoding="utf-8") == "here"
    process.send_signal(signal.SIGKILL)
    finish(process)
    status, output = others.run("upgrade", "--lock-timeout", "60")
    if not history.uri.startswith("mysql"):
        assert status == 0, output
        assert list(history.tables()["things"]) == ["id"]
        return
    assert status == 1
    assert "Table 'things' already exists" in output


def test_the_lock_can_be_switched_off(history: Project) -> None:
    """`MIGRATE_LOCK = False` runs although somebody has the lock."""
    history.app.config["MIGRATE_LOCK"] = False
    with connected(history.uri) as connection:
        lock = make_lock(connection)
        assert lock is not None
        assert lock.try_acquire()
        try:
            assert "done in" in history.run("upgrade", "--lock-timeout", "0")
        finally:
            lock.release()


@pytest.mark.parametrize("command", ["upgrade", "downgrade", "stamp"])
def test_commands_that_find_the_lock_taken(history: Project, command: str) -> None:
    """Upgrade, downgrade and stamp take the lock, and say so when they cannot."""
    history.app.config["MIGRATE_LOCK_TIMEOUT"] = 0
    with connected(history.uri) as connection:
        lock = make_lock(connection)
        assert lock is not None
        assert lock.try_acquire()
        try:
            history.run(command, *([] if command != "stamp" else ["one"]), fails=True)
        finally:
            lock.release()
    assert "things" not in history.tables()
    history.run("upgrade")


@pytest.mark.parametrize("kind", SERVERS)
def test_a_servers_lock(kind: str, new_database: Callable[[str], str]) -> None:
    """The lock of a server is one per database and history, goes with its connection, and needs no place in the pool."""
    url = new_database(kind)
    with connected(url, pool_size=1, max_overflow=0) as one, connected(url) as two:
        mine, others = make_lock(one), make_lock(two)
        assert mine is not None
        assert others is not None
        assert mine.name == others.name
        assert mine.try_acquire()
        assert not others.try_acquire()
        another_history = make_lock(two, "other.alembic_version")
        assert another_history is not None
        assert another_history.try_acquire()
        another_history.release()
        mine.release()
        mine.release()
        assert others.try_acquire()
        others.release()
    with connected(url) as one, connected(new_database(kind)) as elsewhere:
        first, second = make_lock(one), make_lock(elsewhere)
        assert first is not None
        assert second is not None
        assert first.try_acquire()
        assert second.try_acquire()
        first.release()
        second.release()


@pytest.mark.parametrize(
    "kind,driver",
    [
        pytest.param("mariadb", "mysql+aiomysql", marks=pytest.mark.service("mariadb-server")),
        pytest.param("postgresql", "postgresql+psycopg", marks=pytest.mark.service("postgresql")),
    ],
)
def test_an_asynchronous_env(kind: str, driver: str, new_database: Callable[[str], str]) -> None:
    """With an asynchronous driver the lock is given back after the loop of env.py is over."""
    pytest.importorskip(driver.partition("+")[2])
    url = sa.make_url(new_database(kind))
    locks: list[Lock] = []

    def take(connection: sa.Connection) -> None:
        lock = make_lock(connection)
        assert lock is not None
        locks.append(lock)
        assert lock.try_acquire()

    async def run() -> None:
        engine = create_async_engine(url.set(drivername=driver))
        async with engine.connect() as connection:
            await connection.run_sync(take)
        await engine.dispose()

    asyncio.run(run())
    with connected(url.render_as_string(hide_password=False)) as connection:
        other = make_lock(connection)
        assert other is not None
        assert not other.try_acquire()
        locks[0].release()
        locks[0].release()
        assert other.try_acquire()
        other.release()


@pytest.mark.service("postgresql")
def test_the_lock_holds_no_transaction_open(new_database: Callable[[str], str]) -> None:
    """The connection with the lock is idle, not idle in a transaction: vacuum and concurrent indexes go on."""
    url = new_database("postgresql")
    with connected(url) as connection:
        lock = make_lock(connection)
        assert lock is not None
        assert lock.try_acquire()
        states = connection.scalars(
            sa.text(
                "SELECT state FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
            )
        ).all()
        lock.release()
    assert states == ["idle"]


@pytest.mark.service("postgresql")
def test_a_concurrent_index_while_others_wait(project: Project, new_database: Callable[[str], str]) -> None:
    """`CREATE INDEX CONCURRENTLY` waits for all who hold a snapshot, so those who wait for the lock hold none."""
    project.uri = new_database("postgresql")
    project.make()
    project.run("init")
    add_revision(
        project,
        "one",
        None,
        """
op.create_table("things", sa.Column("id", sa.Integer), sa.Column("n", sa.Integer))
select.select([], [], [], 1)
with op.get_context().autocommit_block():
    op.create_index("ix_things", "things", ["n"], postgresql_concurrently=True)
""",
    )
    results = Others(project).upgrade_at_once(3)
    assert [status for status, _ in results] == [0] * 3, results


def test_sqlite_in_memory_has_no_lock() -> None:
    """Nobody else can reach a database in memory."""
    with connected("sqlite://") as connection:
        assert database_file(connection) is None
        assert make_lock(connection) is None
        assert not connection.in_transaction()


def test_the_file_lock(tmp_path: Path) -> None:
    """The file is beside the database, says who has it, and is gone afterwards."""
    with connected(f"sqlite:///{tmp_path / 'a.db'}") as connection:
        lock, other = make_lock(connection), make_lock(connection)
    assert isinstance(lock, FileLock)
    assert other is not None
    assert lock.path == str(tmp_path / "a.db.migrate-lock")
    assert lock.try_acquire()
    assert not other.try_acquire()
    assert other.holder.startswith(f"process {os.getpid()} on ")
    lock.release()
    lock.release()
    assert not Path(lock.path).exists()
    assert other.try_acquire()
    other.release()


def test_a_lock_on_a_removed_file_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever opened the file before its holder removed it tries again: a third process may lock a new one."""
    path = tmp_path / "lock"
    real = module._lock_file

    def removed_meanwhile(file: int) -> bool:
        path.unlink()
        return real(file)

    lock = FileLock(str(path))
    monkeypatch.setattr(module, "_lock_file", removed_meanwhile)
    assert not lock.try_acquire()
    monkeypatch.undo()
    assert lock.try_acquire()
    lock.release()


class Taken:
    """A lock that is free at the last of some attempts."""

    holder = "process 7"
    name = "taken"

    def __init__(self, attempts: int) -> None:
        self.left = attempts

    def try_acquire(self) -> bool:
        self.left -= 1
        return self.left <= 0

    def release(self) -> None: ...


def wait(lock: Lock, timeout: float | None) -> tuple[list[str], list[float]]:
    """Acquire a lock with a clock that the pauses move; return what is told, and the pauses."""
    told: list[str] = []
    pauses: list[float] = []
    acquire(lock, timeout=timeout, tell=told.append, clock=lambda: sum(pauses), pause=pauses.append)
    return told, pauses


def test_waiting() -> None:
    """The wait is told once, and the attempts become rarer."""
    told, pauses = wait(Taken(8), None)
    assert told == ["Another process (process 7) is migrating this database; waiting until it is done."]
    assert pauses == [0.05, 0.1, 0.2, 0.5, 1.0, 1.0, 1.0]


def test_not_waiting() -> None:
    """A free lock is taken without a word."""
    assert wait(Taken(1), 0) == ([], [])


def test_waiting_in_vain() -> None:
    """After the timeout the error says that nothing was changed, and what to set."""
    with pytest.raises(LockTimeout, match=r"process 7.*not done after 2 seconds. Nothing was changed.*--lock-timeout"):
        wait(Taken(1000), 2)
