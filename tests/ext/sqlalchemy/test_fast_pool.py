"""quaff.ext.sqlalchemy.fast_pool: which connections are looked at before they are used."""

from __future__ import annotations

from typing import Any

import pytest

sa = pytest.importorskip("sqlalchemy")

from quaff.ext.sqlalchemy import fast_pool  # noqa: E402


class Clock:
    """A clock that goes when it is told to."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Put a clock into the pool."""
    made = Clock()
    monkeypatch.setattr(fast_pool, "monotonic", made)
    return made


def make_engine(tmp_path: Any, monkeypatch: pytest.MonkeyPatch, pings: list[Any], **options: Any) -> Any:
    """Return an engine that notes its pings."""
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'a.db'}", poolclass=fast_pool.IdlePingPool, **options)
    ping = engine.dialect.do_ping
    monkeypatch.setattr(engine.dialect, "do_ping", lambda connection: pings.append(connection) or ping(connection))
    return engine


@pytest.mark.parametrize("idle, asked", [(0.0, 0), (0.9, 0), (1.1, 1), (3600.0, 1)])
def test_an_idle_connection_is_looked_at(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch, clock: Clock, idle: float, asked: int
) -> None:
    """One that was used a moment ago is not."""
    pings: list[Any] = []
    engine = make_engine(tmp_path, monkeypatch, pings, pool_pre_ping=True)
    engine.connect().close()
    assert not pings
    clock.now += idle
    engine.connect().close()
    assert len(pings) == asked
    engine.dispose()


def test_without_pre_ping(tmp_path: Any, monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    """Who does not want pings gets none."""
    pings: list[Any] = []
    engine = make_engine(tmp_path, monkeypatch, pings)
    engine.connect().close()
    clock.now += 100
    engine.connect().close()
    assert not pings
    engine.dispose()


def test_a_pool_that_is_made_anew_is_one_too(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """After `dispose()`, as after a fork."""
    engine = make_engine(tmp_path, monkeypatch, [], pool_pre_ping=True)
    engine.dispose()
    assert isinstance(engine.pool, fast_pool.IdlePingPool)
