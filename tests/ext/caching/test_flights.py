"""Single flight."""

from __future__ import annotations

import asyncio
import threading

import pytest

from quaff.ext.caching import flights
from quaff.ext.caching.backends import SimpleCache
from quaff.ext.caching.flights import Flights, StoreLock
from quaff.ext.caching.store import Store


def test_one_leads() -> None:
    """The first caller leads, others follow until it has landed."""
    made = Flights()
    flight, leads, again = made.board("key", made.count)
    assert (leads, again) == (True, False)
    assert made.board("key", made.count) == (flight, False, True)
    assert made.board("other", made.count)[1]
    made.land(flight)
    other, leads, again = made.board("key", made.count)
    assert other is not flight
    assert (leads, again) == (True, False)


def test_who_came_late_looks_again() -> None:
    """Who looked before another one landed is told to look once more, however many have landed since."""
    made = Flights()
    ticket = made.count
    made.land(made.board("key", ticket)[0])
    assert made.board("key", ticket)[1:] == (True, True)
    made = Flights()
    for number in range(flights.REMEMBERED + 1):
        made.land(made.board(f"other{number}", made.count)[0])
    assert made.board("key", 0)[1:] == (True, True)
    assert len(made._landings) <= flights.REMEMBERED


def test_waiting() -> None:
    """Threads wait for the landing, and not longer than they want."""
    made = Flights()
    flight = made.board("key", 0)[0]
    results: list[bool] = []
    impatient = threading.Thread(target=lambda: results.append(flight.wait(0.01)))
    impatient.start()
    impatient.join()
    assert results == [False]
    patient = threading.Thread(target=lambda: results.append(flight.wait(60)))
    patient.start()
    made.land(flight)
    patient.join()
    assert results == [False, True]


def test_nobody_waits_for_itself() -> None:
    """A thread does not wait for what it makes itself, nor synchronous code on a loop that it would stop."""
    made = Flights()
    flight = made.board("key", 0)[0]
    assert not flight.wait(60)
    flight.thread = -1

    async def on_a_loop() -> bool:
        return flight.wait(60)

    assert not asyncio.run(on_a_loop())


def test_waiting_on_a_loop() -> None:
    """A coroutine waits while the loop goes on."""
    made = Flights()

    async def main() -> list[bool]:
        flight = made.board("key", 0)[0]
        waiting = asyncio.create_task(flight.wait_async(60))
        await asyncio.sleep(0)
        made.land(flight)
        other = made.board("other", 0)[0]
        return [await waiting, await other.wait_async(0.01)]

    assert asyncio.run(main()) == [True, False]


@pytest.fixture
def store() -> Store:
    """Give the store under test."""
    return Store(SimpleCache(), is_remote=False, is_shared=True, name="memory")


def test_locks(store: Store) -> None:
    """One holder at a time; who releases what is not his any more takes nothing away."""
    one, two = StoreLock(store, "key", 10), StoreLock(store, "key", 10)
    assert one.acquire()
    assert not two.acquire()
    two.release()
    assert not two.acquire()
    one.release()
    assert two.acquire()
    one.release()
    assert not one.acquire()


def test_a_lock_that_ended(store: Store) -> None:
    """A lock that its owner held for too long may be another one's, and stays that."""
    one, two = StoreLock(store, "key", 10), StoreLock(store, "key", 10)
    one.acquire()
    store.delete("lock:key")
    assert two.acquire()
    one.release()
    assert store.get("lock:key") == two._token
