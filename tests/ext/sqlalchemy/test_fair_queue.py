"""quaff.ext.sqlalchemy.fair_queue: who gets a connection that comes back."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.util.queue import Empty, Full, Queue

from quaff.ext.sqlalchemy import fair_queue
from quaff.ext.sqlalchemy.fair_queue import FairQueue
from quaff.ext.sqlalchemy.fast_pool import IdlePingPool

PATIENCE = 60.0
"""Seconds until a test gives up. No measure of speed."""


@given(st.integers(0, 3), st.booleans(), st.lists(st.one_of(st.integers(0, 9), st.none()), max_size=20))
def test_without_waiting_it_is_sqlalchemys_queue(size: int, lifo: bool, steps: list[int | None]) -> None:
    """The same items come out in the same order, and the same errors; None takes one out."""

    def play(queue: Any) -> list[Any]:
        seen: list[Any] = []
        for step in steps:
            try:
                seen.append(queue.get(False) if step is None else queue.put(step, False))
            except (Empty, Full) as error:
                seen.append(type(error))
            seen.append((queue.qsize(), queue.empty(), queue.full()))
        return seen

    assert play(FairQueue(size, lifo)) == play(Queue(size, lifo))


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait until something is so."""
    deadline = time.perf_counter() + PATIENCE
    while not condition():
        assert time.perf_counter() < deadline
        time.sleep(0.001)


class Waiting:
    """Threads that wait for an item, one after the other."""

    def __init__(self, queue: FairQueue, count: int) -> None:
        self.got: list[tuple[int, Any]] = []
        self.threads = []
        for number in range(count):
            thread = threading.Thread(target=self._wait, args=(queue, number))
            self.threads.append(thread)
            thread.start()
            wait_until(lambda number=number: len(queue._waiters) == number + 1)  # type: ignore[misc]

    def _wait(self, queue: FairQueue, number: int) -> None:
        self.got.append((number, queue.get(True, PATIENCE)))

    def join(self) -> None:
        """Wait for all of them."""
        for thread in self.threads:
            thread.join(PATIENCE)


def test_who_waited_long_is_handed_the_item(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the order in which they came; whoever asks meanwhile finds nothing."""
    monkeypatch.setattr(fair_queue, "PATIENCE", 0)
    queue = FairQueue(3)
    waiting = Waiting(queue, 3)
    for item in "abc":
        queue.put(item, False)
        with pytest.raises(Empty):
            queue.get(False)
    waiting.join()
    assert sorted(waiting.got) == [(0, "a"), (1, "b"), (2, "c")]


def test_who_has_just_come_may_be_overtaken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without waiting, the thread that gave an item back takes it again; the other stays the first in line."""
    monkeypatch.setattr(fair_queue, "PATIENCE", PATIENCE)
    queue = FairQueue(3)
    waiting = Waiting(queue, 2)
    with queue._mutex:
        # Nobody else gets between.
        queue.put("a", False)
        assert queue.get(False) == "a"
    wait_until(lambda: len(queue._waiters) == 2)
    queue.put("b", False)
    queue.put("c", False)
    waiting.join()
    assert sorted(item for _, item in waiting.got) == ["b", "c"]


def test_the_time_is_over() -> None:
    """Who waits in vain is told so, and forgotten."""
    queue = FairQueue(1)
    with pytest.raises(Empty):
        queue.get(True, 0.01)
    assert not queue._waiters
    queue.put("a", False)
    assert queue.get(True, 0.01) == "a"


def test_nothing_is_lost_under_load(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of few items, many threads have one at a time each, and at the end all are there."""
    monkeypatch.setattr(fair_queue, "PATIENCE", 0.001)
    queue = FairQueue(3)
    for item in range(3):
        queue.put(item, False)
    lock, used, errors, turns = threading.Lock(), set(), [], [0] * 16

    def work(number: int) -> None:
        for _ in range(200):
            item = queue.get(True, PATIENCE)
            with lock:
                if item in used:
                    errors.append(item)
                used.add(item)
            turns[number] += 1
            with lock:
                used.discard(item)
            queue.put(item, False)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert (errors, set(turns)) == ([], {200})
    assert sorted(queue.get(False) for _ in range(3)) == [0, 1, 2]
    assert not queue._waiters


def test_the_pool_uses_it(tmp_path: Path) -> None:
    """Also after `dispose()`; with no bound to its overflow, nobody waits."""
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'a.db'}", poolclass=IdlePingPool, pool_size=1, max_overflow=0)
    for _ in range(2):
        pool: Any = engine.pool
        assert isinstance(pool._pool, FairQueue)
        with engine.connect(), pytest.raises(sa.exc.TimeoutError):
            pool._timeout = 0.01
            engine.connect()
        engine.dispose()
