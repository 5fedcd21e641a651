"""What a limiter knows about one request."""

from __future__ import annotations

import time
from typing import Any, NamedTuple

from limits import RateLimitItem, WindowStats

from .rules import RuntimeLimit
from .verdict import Outcome, is_forgotten, reset_second


class RequestLimit:
    """A limit that was looked at for the current request: `limiter.current_limit`."""

    __slots__ = ("_key", "_looked", "breached", "extension", "limit", "request_args", "shared")

    def __init__(
        self,
        extension: Any,
        limit: RateLimitItem,
        request_args: tuple[str, ...],
        breached: bool,
        shared: bool,
    ) -> None:
        self.extension = extension
        """The limiter. Any: its class is in a module above."""
        self.limit = limit
        """How much in what time; `limit.amount` and `limit.get_expiry()` say it in numbers."""
        self.request_args = request_args
        """For whom and for what is counted."""
        self.breached = breached
        """Whether this request broke it."""
        self.shared = shared
        """Whether other routes are counted together with this one."""
        self._key: str | None = None
        # What the store said, when, and for how many windows a hit counts there. Without it the store is asked.
        self._looked: tuple[Outcome, float, int] | None = None

    @property
    def key(self) -> str:
        """The key under which is counted, without the prefix of the store."""
        if self._key is None:
            self._key = self.limit.key_for(*self.request_args)
        return self._key

    @property
    def limiter(self) -> Any:
        """The strategy, of the library `limits`."""
        return self.extension.limiter

    def know(self, outcome: Outcome, windows: int) -> None:
        """Take note of what the store said."""
        self._looked = outcome, time.time(), windows

    @property
    def is_known(self) -> bool:
        """Whether what is left is known without asking the store."""
        return self._looked is not None

    @property
    def window(self) -> WindowStats:
        """When there will be more, in seconds since 1970, and how much is left, this request counted."""
        if self._looked is None:
            stats: WindowStats = self.limiter.get_window_stats(self.limit, *self.request_args)
            return stats
        outcome, counted_at, windows = self._looked
        now = time.time()
        if is_forgotten(outcome.reset_at, counted_at, windows * self.limit.get_expiry(), now):
            return WindowStats(now, self.limit.amount)
        return WindowStats(outcome.reset_at, outcome.remaining)

    @property
    def reset_at(self) -> int:
        """The first whole second after the window, in seconds since 1970."""
        return reset_second(self.window[0])

    @property
    def remaining(self) -> int:
        """How much is left, this request counted."""
        return self.window[1]

    def __repr__(self) -> str:
        return f"<RequestLimit {self.limit}{' breached' if self.breached else ''}>"


class Deduction(NamedTuple):
    """A limit that counts when the response is known."""

    limit: RuntimeLimit
    args: tuple[str, ...]
    key: str
    shown: RequestLimit


class LimiterContext:
    """The state of a limiter during one request: `limiter.context`."""

    __slots__ = ("deductions", "is_exempt", "is_local", "limits", "plan", "seen", "shown", "skipped", "waits_for_hook")

    def __init__(self, plan: Any = None) -> None:
        self.plan = plan
        """What was decided for the route. Any: of a module above."""
        self.limits: list[RequestLimit] = []
        """The limits of the last look, smallest window first."""
        self.shown: RequestLimit | None = None
        """The one that a client should hear about."""
        self.deductions: list[Deduction] = []
        self.seen: list[RuntimeLimit] = []
        """The application's and the default limits that were counted."""
        self.skipped: tuple[Any, ...] = ()
        """Decorated functions whose limits were counted before they are called."""
        self.waits_for_hook = False
        """Whether a before_request function is to look at the first limits."""
        self.is_exempt = False
        self.is_local = False
        """Whether the store failed during this request."""

    @property
    def view_rate_limit(self) -> RequestLimit | None:
        """COMPAT: the extension's name of `shown`."""
        return self.shown

    @property
    def view_rate_limits(self) -> list[RequestLimit]:
        """COMPAT: the extension's name of `limits`."""
        return self.limits
