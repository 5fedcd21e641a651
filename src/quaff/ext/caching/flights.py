"""Single flight: of several callers that miss one key, one makes the value and the others wait for it.

In one process that is a future for each key that is being made. Between processes a lock in the store does it: a key that
only one of them can add, and that ends by itself in case its owner dies.
"""

from __future__ import annotations

import sys
import threading
from collections import OrderedDict
from concurrent.futures import Future
from secrets import token_hex
from typing import Final

from .store import Store

REMEMBERED: Final = 1024
"""How many landings are remembered, for callers that had looked just before."""

POLL: Final = 0.02
"""Seconds between two looks for what another process is making."""


class Flight:
    """One value that is being made."""

    def __init__(self, key: str) -> None:
        self.key = key
        self.thread = threading.get_ident()
        self._landed: Future[None] = Future()

    def land(self) -> None:
        """Wake those who wait."""
        if not self._landed.done():
            self._landed.set_result(None)

    def wait(self, timeout: float) -> bool:
        """Wait for the landing; tell whether it came. Never waits for a value that this very thread is making."""
        if self.thread == threading.get_ident() or _runs_loop():
            # The one who makes it may be waiting for us, or be a task on the loop that waiting here would stop.
            return False
        try:
            self._landed.result(timeout)
        except TimeoutError:
            return False
        return True

    async def wait_async(self, seconds: float) -> bool:
        """Wait for the landing without stopping the loop; tell whether it came."""
        import asyncio

        try:
            await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(self._landed)), seconds)
        except TimeoutError:
            return False
        return True


def _runs_loop() -> bool:
    # PERF: who has not imported asyncio runs no loop.
    module = sys.modules.get("asyncio")
    return module is not None and module._get_running_loop() is not None


class Flights:
    """The values that are being made in this process. Safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: dict[str, Flight] = {}
        self._landings: OrderedDict[str, int] = OrderedDict()
        self.count = 0
        """How many have landed. Take it before looking into the store, and give it to `board`."""

    def board(self, key: str, ticket: int) -> tuple[Flight, bool, bool]:
        """Return the flight for *key*, whether the caller leads it, and whether to look into the store once more first.

        Who leads has to call `land`.

        :param ticket: `count` as it was before the caller looked and found nothing.
        """
        with self._lock:
            flight = self._open.get(key)
            if flight is not None:
                return flight, False, True
            flight = self._open[key] = Flight(key)
            landed = self._landings.get(key, 0)
            return flight, True, landed > ticket or self.count - ticket > REMEMBERED

    def land(self, flight: Flight) -> None:
        """End a flight, whatever came of it."""
        with self._lock:
            self.count += 1
            if self._open.get(flight.key) is flight:
                del self._open[flight.key]
            self._landings[flight.key] = self.count
            self._landings.move_to_end(flight.key)
            if len(self._landings) > REMEMBERED:
                self._landings.popitem(last=False)
        flight.land()


class StoreLock:
    """A lock in a store, for one key.

    :param timeout: seconds after which it ends by itself.
    """

    def __init__(self, store: Store, key: str, timeout: int) -> None:
        self._store = store
        self._key = f"lock:{key}"
        self._timeout = timeout
        self._token = token_hex(8)
        self._is_held = False

    def acquire(self) -> bool:
        """Try to take the lock; tell whether it is ours. When the store does not answer, it is."""
        self._is_held = self._store.add(self._key, self._token, self._timeout)
        return self._is_held

    def release(self) -> None:
        """Give the lock back, if it is still ours."""
        if self._is_held and self._store.get(self._key) == self._token:
            self._store.delete(self._key)
        self._is_held = False
