"""The idle connections of a pool, for which threads wait in line.

In SQLAlchemy's queue a thread that waits is woken when a connection comes back, and has to be faster than all the others
that ask meanwhile. The thread that gave it back asks again at once, for its next request: on a busy server others wait for
seconds, until their time is over, although a connection is free every millisecond. Here a thread that has waited for a
while is handed the connection.
"""

from __future__ import annotations

import threading
from collections import deque
from time import monotonic
from typing import Any, Final

from sqlalchemy.util.queue import Empty, Full

PATIENCE: Final = 0.05
"""Seconds after which a waiting thread comes before those that ask.

PERF: not sooner. To hand over means to switch threads for each connection that comes back.
"""


class _Waiter:
    __slots__ = ("handed", "lock", "since")

    def __init__(self) -> None:
        self.since = monotonic()
        self.handed: list[Any] = []
        self.lock = threading.Lock()
        self.lock.acquire()


class FairQueue:
    """What `sqlalchemy.pool.QueuePool` keeps idle connections in, as `sqlalchemy.util.queue.Queue`.

    Any: an item is SQLAlchemy's record of a connection, a private class.

    :param maxsize: the most items that it holds; 0 for no bound.
    :param use_lifo: whether the item that came last is given out first.
    """

    def __init__(self, maxsize: int = 0, use_lifo: bool = False) -> None:
        self.maxsize = maxsize
        self.use_lifo = use_lifo
        self._items: deque[Any] = deque()
        self._waiters: deque[_Waiter] = deque()
        # A record that is collected as garbage comes back in the middle of anything that a thread does.
        self._mutex = threading.RLock()

    def qsize(self) -> int:
        """Return the number of items."""
        return len(self._items)

    def empty(self) -> bool:
        """Tell whether there is no item."""
        return not self._items

    def full(self) -> bool:
        """Tell whether there is no room."""
        return 0 < self.maxsize <= len(self._items)

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        """Put an item back. It never waits: a pool has room for what it gave out.

        :raises sqlalchemy.util.queue.Full: when there is no room.
        """
        with self._mutex:
            if self.full():
                raise Full
            if not self._waiters:
                self._items.append(item)
                return
            waiter = self._waiters.popleft()
            if monotonic() - waiter.since >= PATIENCE:
                waiter.handed.append(item)
            else:
                self._items.append(item)
            waiter.lock.release()

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        """Return an item.

        :param block: whether to wait for one.
        :param timeout: for how many seconds at most; None is for ever.
        :raises sqlalchemy.util.queue.Empty: when there is none.
        """
        with self._mutex:
            if self._items:
                return self._take()
            if not block:
                raise Empty
            waiter = _Waiter()
            self._waiters.append(waiter)
        while True:
            left = -1 if timeout is None else max(0.0, waiter.since + timeout - monotonic())
            woken = waiter.lock.acquire(timeout=left)
            with self._mutex:
                if waiter.handed:
                    return waiter.handed[0]
                if self._items:
                    self._forget(waiter)
                    return self._take()
                if not woken:
                    self._forget(waiter)
                    raise Empty
                # Somebody else was faster. Whoever waited longest stays the first in line.
                self._waiters.appendleft(waiter)

    def _take(self) -> Any:
        return self._items.pop() if self.use_lifo else self._items.popleft()

    def _forget(self, waiter: _Waiter) -> None:
        if waiter in self._waiters:
            self._waiters.remove(waiter)
