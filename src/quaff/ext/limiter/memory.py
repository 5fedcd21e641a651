"""Counting in the memory of one process: exact under threads, bounded, without a timer thread.

It takes the place of the `MemoryStorage` of `limits` 5.8, which loses hits when threads meet. Time is monotonic: setting
the clock neither opens a window early nor locks anybody out.
"""

from __future__ import annotations

import time
from collections import deque
from heapq import heappop, heappush
from itertools import count
from threading import Lock
from typing import Any, Final

from limits.storage.base import MovingWindowSupport, SlidingWindowCounterSupport, Storage

from .verdict import SlidingCounts, sliding_weight

MAX_KEYS: Final = 100_000

_HITS_PER_KEY: Final = 10
"""How many hits of moving windows are kept for each key that is allowed, on average."""

_SWEPT: Final = 4
"""How many windows that are over are forgotten for each new one: more than come, so that old ones go, and few, so that no
request pays for all of them."""


class _Window:
    """A fixed window."""

    __slots__ = ("ends", "hits", "length")

    def __init__(self, hits: int, ends: float, length: float) -> None:
        self.hits = hits
        self.ends = ends
        self.length = length


class _Log:
    """The hits of a moving window, oldest first, each with its cost."""

    __slots__ = ("ends", "entries", "hits")

    def __init__(self) -> None:
        self.entries: deque[tuple[float, int]] = deque()
        self.hits = 0
        self.ends = 0.0

    def forget_before(self, time: float) -> int:
        """Forget what is older, and return how many entries that were."""
        entries = self.entries
        before = len(entries)
        while entries and entries[0][0] < time:
            self.hits -= entries.popleft()[1]
        return before - len(entries)


class _Pair:
    """The counts of the last two windows of a sliding window, with the number of the newer one."""

    __slots__ = ("current", "ends", "index", "previous")

    def __init__(self, index: int) -> None:
        self.index = index
        self.current = 0
        self.previous = 0
        self.ends = 0.0

    def roll(self, index: int) -> None:
        if index == self.index + 1:
            self.previous, self.current = self.current, 0
        elif index != self.index:
            self.previous = self.current = 0
        self.index = index


class MemoryStorage(Storage, MovingWindowSupport, SlidingWindowCounterSupport):
    """A storage for the strategies of `limits`, in memory.

    Windows that are over are forgotten. When there are *max_keys* nevertheless, the one that would end first makes room:
    its limit starts anew, which is the least harm that a flood of keys can do.

    :param max_keys: how many keys are counted at most; moving windows keep ten times as many hits at most, all together.
    """

    STORAGE_SCHEME: list[str] | None = None

    def __init__(self, uri: str | None = None, *, max_keys: int = MAX_KEYS, **_: Any) -> None:
        super().__init__(uri)
        self.max_keys = max_keys
        self._lock = Lock()
        self._windows: dict[str, _Window] = {}
        self._logs: dict[str, _Log] = {}
        self._pairs: dict[str, _Pair] = {}
        self._all: tuple[dict[str, Any], ...] = (self._windows, self._logs, self._pairs)
        # What may be over by when: (time, a number so that nothing else is compared, key, where the key is).
        self._ends: list[tuple[float, int, str, dict[str, Any]]] = []
        self._number = count().__next__
        self._logged = 0

    @property
    def base_exceptions(self) -> type[Exception]:
        """What `wrap_exceptions` would wrap: nothing is raised here."""
        return ValueError

    def __len__(self) -> int:
        return sum(map(len, self._all))

    # What the limiter calls: each is one step, and says all there is to know afterwards. ------------------------------

    def count_fixed(self, key: str, expiry: float, amount: int = 1) -> tuple[int, float]:
        """Count *amount* hits, and return the count and when the window ends, in seconds since 1970.

        :param expiry: seconds that a window lasts. It begins with the first hit.
        """
        with self._lock:
            # Asked while nobody else counts: for two threads, the later time must not come first.
            now = time.monotonic()
            window = self._windows.get(key)
            # The second comparison is for tests that freeze the clock and let it go again.
            if window is not None and now < window.ends <= now + window.length:
                window.hits += amount
            else:
                window = self._windows[key] = _Window(amount, now + expiry, expiry)
                self._note(window.ends, key, self._windows, now)
            return window.hits, time.time() + window.ends - now

    def count_moving(self, key: str, limit: int, expiry: float, amount: int = 1) -> tuple[bool, float, int]:
        """Count *amount* hits if *limit* allows; return whether it does, when the oldest hit was, and how many there are."""
        with self._lock:
            # Asked while nobody else counts: for two threads, the later time must not come first.
            now = time.monotonic()
            log = self._log_of(key, now, expiry)
            hits = 0 if log is None else log.hits
            allowed = hits + amount <= limit
            if allowed and amount:
                is_new = log is None
                if log is None:
                    log = self._logs[key] = _Log()
                log.entries.append((now, amount))
                log.ends = now + expiry
                if is_new:
                    self._note(log.ends, key, self._logs, now)
                log.hits = hits = hits + amount
                self._logged += 1
                self._bound_hits()
            oldest = log.entries[0][0] if log is not None and log.entries else now
            return allowed, time.time() + oldest - now, hits

    def count_sliding(self, key: str, limit: int, expiry: int, amount: int = 1) -> tuple[bool, int, float, int, float]:
        """Count *amount* hits if *limit* allows; return whether it does, and what `get_sliding_window` returns."""
        with self._lock:
            # Asked while nobody else counts: for two threads, the later time must not come first.
            now = time.monotonic()
            index, into = divmod(now, expiry)
            left = expiry - into
            pair = self._pairs.get(key)
            if pair is not None:
                pair.roll(int(index))
            previous, current = (0, 0) if pair is None else (pair.previous, pair.current)
            weight = sliding_weight(SlidingCounts(previous, left, current, left + expiry), expiry)
            allowed = weight + amount <= limit
            if allowed and amount:
                is_new = pair is None
                if pair is None:
                    pair = self._pairs[key] = _Pair(int(index))
                current += amount
                pair.current = current
                pair.ends = now + left + expiry
                if is_new:
                    self._note(pair.ends, key, self._pairs, now)
            return allowed, previous, left if previous else 0.0, current, left + expiry

    # What the strategies of `limits` call. ---------------------------------------------------------------------------

    def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        """Count *amount* hits in the fixed window of *key*, and return the count."""
        return self.count_fixed(key, expiry, amount)[0]

    def get(self, key: str) -> int:
        """Return the count of the fixed window of *key*."""
        with self._lock:
            now = time.monotonic()
            window = self._windows.get(key)
            return window.hits if window is not None and now < window.ends <= now + window.length else 0

    def get_expiry(self, key: str) -> float:
        """Return when the fixed window of *key* ends, in seconds since 1970; now when there is none."""
        with self._lock:
            now = time.monotonic()
            window = self._windows.get(key)
            left = 0.0 if window is None else max(0.0, min(window.ends - now, window.length))
            return time.time() + left

    def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Count *amount* hits in the moving window of *key* if *limit* allows, and return whether it does."""
        return self.count_moving(key, limit, expiry, amount)[0]

    def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:
        """Return when the oldest hit of the last *expiry* seconds was (now, without any), and how many there are."""
        return self.count_moving(key, limit, expiry, 0)[1:]

    def acquire_sliding_window_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Count *amount* hits in the sliding window of *key* if *limit* allows, and return whether it does."""
        return self.count_sliding(key, limit, expiry, amount)[0]

    def get_sliding_window(self, key: str, expiry: int) -> tuple[int, float, int, float]:
        """Return count and seconds left of the previous window, then of the current one."""
        return self.count_sliding(key, 0, expiry, 0)[1:]

    def clear_sliding_window(self, key: str, expiry: int) -> None:
        """Forget the sliding window of *key*."""
        self.clear(key)

    def clear(self, key: str) -> None:
        """Forget all windows of *key*."""
        with self._lock:
            for windows in self._all:
                self._forget(windows, key)

    def check(self) -> bool:
        """Tell that memory is there."""
        return True

    def reset(self) -> int | None:
        """Forget everything, and return how many keys there were."""
        with self._lock:
            size = len(self)
            for windows in self._all:
                windows.clear()
            self._ends.clear()
            self._logged = 0
            return size

    # Bounds ----------------------------------------------------------------------------------------------------------

    def _log_of(self, key: str, now: float, expiry: float) -> _Log | None:
        log = self._logs.get(key)
        if log is not None:
            if log.entries and log.entries[-1][0] > now:
                # The clock of a test went back.
                self._logged -= log.forget_before(float("inf"))
            self._logged -= log.forget_before(now - expiry)
        return log

    def _note(self, ends: float, key: str, windows: dict[str, Any], now: float) -> None:
        """Take note of a new window, and forget some that are over, or one that is not when there is no room."""
        heappush(self._ends, (ends, self._number(), key, windows))
        for _ in range(_SWEPT):
            if not self._ends or self._ends[0][0] > now:
                break
            self._drop_first()
        while len(self._windows) + len(self._logs) + len(self._pairs) > self.max_keys:
            self._drop_first()

    def _bound_hits(self) -> None:
        while self._logged > self.max_keys * _HITS_PER_KEY and self._ends:
            self._drop_first()

    def _drop_first(self) -> None:
        noted, _, key, windows = heappop(self._ends)
        window = windows.get(key)
        if window is None or (windows is self._windows and window.ends != noted):
            # It was cleared, or is over and has begun again, which was noted on its own.
            return
        if noted < window.ends:
            # It goes on since.
            heappush(self._ends, (window.ends, self._number(), key, windows))
        else:
            self._forget(windows, key)

    def _forget(self, windows: dict[str, Any], key: str) -> None:
        window = windows.pop(key, None)
        if windows is self._logs and window is not None:
            self._logged -= len(window.entries)
