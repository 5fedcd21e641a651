"""quaff.ext.sqlalchemy.health: every database is asked, in time, and one that hangs hides no other."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sa = pytest.importorskip("sqlalchemy")

from sqlalchemy.pool import StaticPool  # noqa: E402

from quaff.ext.sqlalchemy import health  # noqa: E402
from quaff.ext.sqlalchemy.health import Health, check_health  # noqa: E402


@pytest.fixture
def engines(tmp_path: Path) -> Iterator[dict[str | None, sa.Engine]]:
    """Give a default database and two more, as files."""
    made = {
        key: sa.create_engine(f"sqlite:///{tmp_path / name}.db") for key, name in [("b", "b"), (None, "a"), ("c", "c")]
    }
    yield made
    for engine in made.values():
        engine.dispose()


def test_all_are_well(engines: dict[str | None, sa.Engine]) -> None:
    """The result has one entry for each database, the default one first, and is true."""
    found = check_health(engines)
    assert found
    assert [(bind.bind_key, bind.backend, bind.ok, bind.error) for bind in found.binds] == [
        (None, "sqlite", True, None),
        ("b", "sqlite", True, None),
        ("c", "sqlite", True, None),
    ]
    assert all("Pool size" in bind.pool or "Pool" in bind.pool for bind in found.binds)


def test_only_some(engines: dict[str | None, sa.Engine]) -> None:
    """Only the databases that are named are asked; one that there is not is a mistake."""
    assert [bind.bind_key for bind in check_health(engines, bind_keys=["c"]).binds] == ["c"]
    with pytest.raises(KeyError):
        check_health(engines, bind_keys=["d"])


def test_one_is_broken(engines: dict[str | None, sa.Engine], tmp_path: Path) -> None:
    """One that fails makes all of it false, and has a message; what may be shown to anybody has none."""
    (tmp_path / "b.db").write_bytes(b"this is no database, and long enough to tell so" * 10)
    found = check_health(engines)
    assert not found
    assert [(bind.bind_key, bind.ok) for bind in found.binds] == [(None, True), ("b", False), ("c", True)]
    assert found.binds[1].error is not None
    assert "file is not a database" in found.binds[1].error
    shown = found.to_dict()
    assert shown["ok"] is False
    assert shown["databases"]["b"] == {"ok": False, "seconds": pytest.approx(found.binds[1].seconds, abs=0.0001)}
    assert set(shown["databases"]) == {"default", "b", "c"}
    assert "database, and" not in str(shown)


def test_one_hangs(engines: dict[str | None, sa.Engine], monkeypatch: pytest.MonkeyPatch) -> None:
    """One that hangs costs the timeout, leaves the others well, and is not asked anew while it hangs."""
    go_on, asked = threading.Event(), []
    ask = health.ask

    def hang(engine: sa.Engine) -> None:
        asked.append(engine)
        if engine is engines["b"]:
            go_on.wait(60)
        ask(engine)

    monkeypatch.setattr(health, "ask", hang)
    try:
        for _ in range(3):
            found = check_health(engines, timeout=0.05)
            assert not found
            assert [bind.ok for bind in found.binds] == [True, False, True]
            assert "no answer within" in str(found.binds[1].error)
        assert asked.count(engines["b"]) == 1
        waiting = health._running[engines["b"]]
    finally:
        go_on.set()
    assert waiting.done.wait(60)
    assert check_health(engines)


def test_a_pool_without_a_connection_left(tmp_path: Path) -> None:
    """Where all connections are in use, nobody gets an answer: that is not well, and `pool` shows why."""
    engine = sa.create_engine(
        f"sqlite:///{tmp_path / 'a.db'}", poolclass=sa.pool.QueuePool, pool_size=1, max_overflow=0, pool_timeout=0.01
    )
    with engine.connect():
        found = check_health({None: engine}, timeout=60)
        assert "QueuePool limit" in str(found.binds[0].error)
        assert "Current Checked out connections: 1" in found.binds[0].pool
    assert check_health({None: engine})
    engine.dispose()


def test_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """A database in memory has one connection for all: the check takes nothing away from who is using it."""
    engine = sa.create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})
    with engine.connect() as connection:
        connection.exec_driver_sql("CREATE TABLE a (b)")
        connection.commit()
        connection.exec_driver_sql("INSERT INTO a VALUES (1)")
        assert check_health({None: engine})
        connection.commit()
        assert connection.exec_driver_sql("SELECT count(*) FROM a").scalar() == 1
    engine.dispose()


def test_nothing_at_all() -> None:
    """An app without databases has none that is ill."""
    nothing: dict[Any, Any] = {}
    assert check_health(nothing) == Health(())
    assert Health(()).to_dict() == {"ok": True, "databases": {}}
