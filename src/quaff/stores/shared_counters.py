"""Counters of rate limits that all processes of one machine share, through one mapped file.

Counts are exact: of a hundred hits at a limit of a hundred from any number of processes and threads, none is lost and
none is counted twice. A hit costs some microseconds, and nothing has to run beside the app.
"""

from __future__ import annotations

import os
import time
from math import floor
from typing import Final

from .._internal.imports import need
from .counter_table import FIXED, MOVING, SLIDING, CounterTable
from .moving_log import MovingLog

try:
    from limits.storage.base import MovingWindowSupport, SlidingWindowCounterSupport, Storage
except ModuleNotFoundError:
    need("limits", "limiter", "Counting rate limits")
    raise

SLOTS: Final = 2**17
"""Of a new file, which has 8 MiB then."""

_LARGEST_COUNT: Final = 2**62

_LAST_USED: Final = 1
_COUNT: Final = 2
_WINDOW: Final = 3
_INDEX: Final = 4
"""Words of a slot; see `counter_table`."""


class SharedCounters(Storage, MovingWindowSupport, SlidingWindowCounterSupport):
    """Storage for the strategies of the library `limits` (5.8), shared by all processes that open the same path.

    ::

        counters = SharedCounters("/run/myapp/counters")
        limiter = limits.strategies.MovingWindowRateLimiter(counters)
        limiter.hit(limits.parse("100/minute"), "192.0.2.7")

    Each strategy answers as with the library's `MemoryStorage`. Safe for threads, and for processes that fork.

    **Size.** The file never grows. A key takes one slot of 64 bytes for its fixed or sliding windows. For a moving window
    it takes one slot, and one for every four hits that are in the window now. Slots whose window is over are used again.
    When there is none, the one that was used least recently is: its limit forgets that key, or the oldest hits of that
    key, and lets more through than it should. A key never gets hits counted that are not its own.

    **Processes that die.** The hit that a killed process was counting is counted, or is not; nothing stays locked.

    **Clocks.** Windows go by the wall clock, as in `limits`. When it is set back, counting goes on as if no time had
    passed: fixed windows end at most one window later, moving ones continue from the newest hit. When it is set forward,
    windows end early, once.

    :param path: of the file. Its directory is made if need be; it must belong to this user and be closed to all others,
        and so must the file (modes 0700 and 0600). Both may not be symbolic links. A file `<path>.lock` is made beside it.
    :param slots: of a new file, rounded up to a power of two; a file that is there keeps its size.
    :param wrap_exceptions: raise `limits.errors.StorageError` from errors of the system; as for each storage of `limits`.
    :raises ValueError: when *slots* is not from 64 to 2**28.
    :raises quaff.stores.private_files.SharedMemoryError: when the path cannot be used, or the system has no locks for it.
    """

    STORAGE_SCHEME: list[str] | None = None

    def __init__(self, path: str | os.PathLike[str], *, slots: int = SLOTS, wrap_exceptions: bool = False) -> None:
        super().__init__(None, wrap_exceptions=wrap_exceptions)
        self._table = CounterTable(path, slots)
        self.largest_moving_limit = 2 * self._table.slots_of_stripe
        """The hits of one key share one part of the file, at most half of which is left to them."""

    def close(self) -> None:
        """Give the memory back in this process; the file stays. Nobody may be counting, and nobody can afterwards."""
        self._table.close()

    @property
    def base_exceptions(self) -> type[Exception] | tuple[type[Exception], ...]:
        """What `wrap_exceptions` wraps."""
        return OSError

    def check(self) -> bool:
        """Tell whether the path still leads to the file in use: whether processes that start now share these counters."""
        return self._table.file.is_at(self._table.path)

    def reset(self) -> int | None:
        """Clear all counters, and return how many keys had one."""
        return self._table.clear(time.time())

    def clear(self, key: str) -> None:
        """Clear the fixed and the moving window of *key*."""
        table = self._table
        place = table.place(key, FIXED)
        with place.stripe:
            slot = table.find(place.name, place.bucket)
            if slot >= 0:
                table.floats[slot] = 0.0
        place = table.place(key, MOVING)
        with place.stripe:
            MovingLog(table, place, time.time()).forget()

    # Fixed windows ---------------------------------------------------------------------------------------------------

    def count_fixed(self, key: str, expiry: float, amount: int = 1) -> tuple[int, float]:
        """Count *amount* hits, and return the count and when the window ends, in seconds since 1970.

        It is `incr` and `get_expiry` in one, for half of the price.

        :param expiry: seconds that a window lasts. It begins with the first hit.
        """
        table = self._table
        integers, floats = table.integers, table.floats
        place = table.place(key, FIXED)
        with place.stripe:
            now = time.time()
            slot = table.find(place.name, place.bucket)
            if slot < 0:
                slot = table.claim(place.name, place.bucket, now)
            floats[slot + _LAST_USED] = now
            count, ends = self._fixed(slot, now)
            if not count:
                integers[slot + _COUNT] = 0
                floats[slot + _WINDOW] = expiry
                floats[slot] = ends = now + expiry
            count += amount
            integers[slot + _COUNT] = min(count, _LARGEST_COUNT)
            return count, ends

    def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        """Count *amount* hits in the fixed window of *key*, and return the count.

        :param expiry: seconds that a window lasts. It begins with the first hit.
        """
        return self.count_fixed(key, expiry, amount)[0]

    def get(self, key: str) -> int:
        """Return the count of the fixed window of *key*."""
        return self._look(key)[0]

    def get_expiry(self, key: str) -> float:
        """Return when the fixed window of *key* ends, in seconds since 1970; now when there is none."""
        return self._look(key)[1]

    def _look(self, key: str) -> tuple[int, float]:
        table = self._table
        place = table.place(key, FIXED)
        with place.stripe:
            now = time.time()
            slot = table.find(place.name, place.bucket)
            return self._fixed(slot, now) if slot >= 0 else (0, now)

    def _fixed(self, slot: int, now: float) -> tuple[int, float]:
        """Return the count of a slot and when its window ends, after a look at the clock."""
        floats = self._table.floats
        ends = floats[slot]
        if ends <= now:
            return 0, now
        longest = now + floats[slot + _WINDOW]
        if ends > longest:
            # The clock was set back. Waiting for the old time could take for ever.
            floats[slot] = ends = longest
        return self._table.integers[slot + _COUNT], ends

    # Moving windows --------------------------------------------------------------------------------------------------

    def count_moving(self, key: str, limit: int, expiry: float, amount: int = 1) -> tuple[bool, float, int]:
        """Count *amount* hits if *limit* allows; return whether it does, when the oldest hit was, and how many there are.

        It is `acquire_entry` and `get_moving_window` in one, for half of the price.

        :param limit: the most hits in any *expiry* seconds.
        :raises ValueError: when *limit* is above `largest_moving_limit`.
        """
        table = self._table
        place = table.place(key, MOVING)
        with place.stripe:
            log = MovingLog(table, place, time.time())
            added = self._add(log, limit, expiry, amount)
            return (added, *log.window(expiry))

    def acquire_entry(self, key: str, limit: int, expiry: float, amount: int = 1) -> bool:
        """Count *amount* hits in the moving window of *key* if *limit* allows, and return whether it does.

        :param limit: the most hits in any *expiry* seconds.
        :raises ValueError: when *limit* is above `largest_moving_limit`.
        """
        table = self._table
        place = table.place(key, MOVING)
        with place.stripe:
            return self._add(MovingLog(table, place, time.time()), limit, expiry, amount)

    def get_moving_window(self, key: str, limit: int, expiry: float) -> tuple[float, int]:
        """Return when the oldest hit of the last *expiry* seconds was (now, without any), and how many there are."""
        table = self._table
        place = table.place(key, MOVING)
        with place.stripe:
            return MovingLog(table, place, time.time()).window(expiry)

    def _add(self, log: MovingLog, limit: int, expiry: float, amount: int) -> bool:
        if limit > self.largest_moving_limit:
            raise ValueError(
                f"A moving window of {limit} hits does not fit into {str(self._table.path)!r}, which is good for"
                f" {self.largest_moving_limit} hits a key. Make it anew with slots={limit * 8}, or use the strategy"
                " 'sliding-window-counter', which takes the same room for each limit."
            )
        return amount <= limit and log.add(limit, expiry, amount)

    # Sliding windows -------------------------------------------------------------------------------------------------

    def count_sliding(self, key: str, limit: int, expiry: int, amount: int = 1) -> tuple[bool, int, float, int, float]:
        """Count *amount* hits if *limit* allows; return whether it does, and what `get_sliding_window` returns.

        :param limit: the most hits in *expiry* seconds, where hits of the previous window count for the part of it that
            is less than *expiry* seconds ago.
        """
        table = self._table
        place = table.place(key, SLIDING)
        with place.stripe:
            now = time.time()
            slot = table.find(place.name, place.bucket)
            previous, current = self._roll(slot, now, expiry)
            left = _seconds_left(now - expiry, expiry) if previous else 0.0
            allowed = floor(previous * left / expiry + current) + amount <= limit
            if allowed and amount:
                if slot < 0:
                    slot = table.claim(place.name, place.bucket, now)
                    table.integers[slot + _INDEX] = int(now / expiry)
                current += amount
                table.floats[slot] = now + 2 * expiry
                table.integers[slot + _COUNT + (int(now / expiry) & 1)] = min(current, _LARGEST_COUNT)
            return allowed, previous, left, current, _seconds_left(now, expiry) + expiry

    def acquire_sliding_window_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Count *amount* hits in the sliding window of *key* if *limit* allows, and return whether it does."""
        return self.count_sliding(key, limit, expiry, amount)[0]

    def get_sliding_window(self, key: str, expiry: int) -> tuple[int, float, int, float]:
        """Return count and seconds left of the previous window, then of the current one.

        The seconds of the previous one are until it no longer counts at all. The current one has those of the next as
        well, in which it is the previous one.
        """
        return self.count_sliding(key, 0, expiry, 0)[1:]

    def clear_sliding_window(self, key: str, expiry: int) -> None:
        """Clear the sliding window of *key*."""
        table = self._table
        place = table.place(key, SLIDING)
        with place.stripe:
            slot = table.find(place.name, place.bucket)
            if slot >= 0:
                table.floats[slot] = 0.0

    def _roll(self, slot: int, now: float, expiry: int) -> tuple[int, int]:
        """Bring a slot to the window of *now*, and return the counts of the previous and of the current window.

        Windows with an even number are counted in one word and those with an odd one in another, so that a new window
        needs no second write for the counts to be right.
        """
        if slot < 0:
            return 0, 0
        integers, floats = self._table.integers, self._table.floats
        index = int(now / expiry)
        counted = integers[slot + _INDEX]
        current, previous = slot + _COUNT + (index & 1), slot + _COUNT + (index + 1 & 1)
        floats[slot + _LAST_USED] = now
        if floats[slot] <= now or counted < index - 1:
            integers[current] = integers[previous] = 0
        elif counted == index - 1:
            integers[current] = 0
        elif counted > index:
            # The clock was set back. Which hits are of which window cannot be known; none is forgotten or counted twice.
            integers[current] = max(integers[current], integers[previous])
            integers[previous] = 0
            floats[slot] = now + 2 * expiry
        if counted != index:
            integers[slot + _INDEX] = index
        return integers[previous], integers[current]


def _seconds_left(now: float, expiry: int) -> float:
    return (1 - ((now / expiry) % 1)) * expiry
