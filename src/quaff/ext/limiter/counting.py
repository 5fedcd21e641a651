"""Counting: one storage with one strategy, which answers with an `Outcome`.

The storages of Quaff's own count and answer in one step; all others go through the strategies of `limits`, as the extension
does, with as few round trips as there can be.
"""

from __future__ import annotations

import time
from typing import Any, Final

from limits import RateLimitItem
from limits.errors import ConfigurationError
from limits.storage import Storage
from limits.strategies import (
    STRATEGIES,
    FixedWindowRateLimiter,
    MovingWindowRateLimiter,
    RateLimiter,
    SlidingWindowCounterRateLimiter,
)

from .verdict import Outcome, SlidingCounts, fixed_window, moving_window, sliding_window

_METHODS: Final = ("hit", "test", "get_window_stats")
_ORIGINALS: Final[dict[tuple[type, str], object]] = {
    (cls, name): getattr(cls, name)
    for cls in (FixedWindowRateLimiter, MovingWindowRateLimiter, SlidingWindowCounterRateLimiter)
    for name in _METHODS
}

_WINDOWS: Final = {"fixed-window": 0, "moving-window": 1, "sliding-window-counter": 2}

_NOT_LOOKED: Final = (-1, 0.0)
"""In place of what is left and until when, which would be another round trip."""


class Counting:
    """A storage with a strategy.

    :param strategy: a name in `limits.strategies.STRATEGIES`.
    :raises ConfigurationError: when the storage cannot count in that way.
    """

    def __init__(self, storage: Storage, strategy: str) -> None:
        try:
            self.strategy: RateLimiter = STRATEGIES[strategy](storage)
        except NotImplementedError:
            raise ConfigurationError(
                f"{type(storage).__name__} cannot count by {strategy!r}. Use another RATELIMIT_STRATEGY, such as"
                " 'sliding-window-counter' or 'fixed-window', or another RATELIMIT_STORAGE_URI."
            ) from None
        self.storage: Any = storage
        self.windows = _WINDOWS[strategy]
        """For how many windows a hit counts at most; 0 for a fixed one, which ends for all hits at once."""
        self._strategy_name = strategy
        self.choose()

    def choose(self) -> None:
        """Decide whether hits may go to the storage in one step.

        COMPAT: a strategy whose methods are replaced, as tests and tracing tools do, is called instead.
        """
        cls = type(self.strategy)
        has_own_steps = hasattr(self.storage, "count_fixed") and hasattr(self.storage, "count_sliding")
        is_original = all(getattr(cls, name) is _ORIGINALS.get((cls, name)) for name in _METHODS)
        in_one_step = has_own_steps and is_original and not any(name in vars(self.strategy) for name in _METHODS)
        steps = {
            "fixed-window": self._fixed,
            "moving-window": self._moving,
            "sliding-window-counter": self._sliding,
        }
        self.hit = steps[self._strategy_name] if in_one_step else self._by_strategy
        self.counts_fixed_in_one_step = in_one_step and not self.windows

    def _fixed(self, item: RateLimitItem, key: str, args: tuple[str, ...], cost: int) -> Outcome:
        count, ends = self.storage.count_fixed(key, item.get_expiry(), cost)
        return fixed_window(count, ends, item.amount)

    def _moving(self, item: RateLimitItem, key: str, args: tuple[str, ...], cost: int) -> Outcome:
        window = item.get_expiry()
        allowed, oldest, hits = self.storage.count_moving(key, item.amount, window, cost)
        return moving_window(allowed, oldest, hits, item.amount, window)

    def _sliding(self, item: RateLimitItem, key: str, args: tuple[str, ...], cost: int) -> Outcome:
        window = item.get_expiry()
        allowed, *counts = self.storage.count_sliding(key, item.amount, window, cost)
        return sliding_window(allowed, SlidingCounts(*counts), item.amount, window, time.time())

    def _by_strategy(self, item: RateLimitItem, key: str, args: tuple[str, ...], cost: int) -> Outcome:
        return Outcome(self.strategy.hit(item, *args, cost=cost), *_NOT_LOOKED)

    def test(self, item: RateLimitItem, args: tuple[str, ...], cost: int) -> Outcome:
        """Tell whether a hit would be allowed, without counting it; what is left is not looked at."""
        return Outcome(self.strategy.test(item, *args, cost=cost), *_NOT_LOOKED)

    def look(self, item: RateLimitItem, args: tuple[str, ...]) -> Outcome:
        """Tell how much is left, and until when."""
        reset_at, remaining = self.strategy.get_window_stats(item, *args)
        return Outcome(remaining > 0, max(0, remaining), reset_at)
