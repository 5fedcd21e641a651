"""The shortest way through a limiter: fixed windows in memory, counted by address, with nothing of the user's to call.

It is what most limits are. It does what `evaluate.py` does, and hands over to it where a limit is broken;
`tests/ext/limiter/test_fast.py` compares the two.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from .backend import Backend
from .checks import LONGEST_KEY, Check, address_key
from .context import LimiterContext, RequestLimit
from .plans import Plan
from .util import NO_ADDRESS
from .verdict import choose, fixed_window


class Counted(NamedTuple):
    """What a request left behind in place of a `LimiterContext`, which is made of it when somebody asks."""

    plan: Plan
    results: list[tuple[Check, str, int, float]]
    """The limits that were looked at, each with whom the request counted for, the count and the end of the window."""

    skipped: tuple[Any, ...]

    def make_state(self, limiter: Any) -> LimiterContext:
        """Return the state of the request."""
        state = LimiterContext(self.plan)
        state.seen = [result[0].limit for result in self.results]
        state.skipped = self.skipped
        # The second look takes the place of the first one.
        size = len(self.plan.first)
        last = self.results[size:] or self.results
        state.limits = [_shown(limiter, *result) for result in last]
        state.shown = state.limits[choose(state.limits)] if state.limits else None
        return state


def _shown(limiter: Any, check: Check, key: str, count: int, ends: float) -> RequestLimit:
    outcome = fixed_window(count, ends, check.item.amount)
    args = check.args_of(key, check.scope or "")
    shown = RequestLimit(limiter, check.item, args, not outcome.allowed, check.limit.shared)
    shown.know(outcome, 0)
    return shown


def is_fast(plan: Plan, backend: Backend, checks: Sequence[Check]) -> bool:
    """Tell whether a route may go this way."""
    settings = plan.facts.settings
    return (
        bool(checks)
        and backend.counts_fixed_in_one_step
        and settings.fail_on_first_breach
        and not settings.fallback_limits
        and not settings.swallow_errors
        and not plan.metas
        and not plan.has_dynamic_metas
        and plan.facts.has_plain_address
        and all(
            check.scope and check.cost is not None and check.limit.deduct_when is None and not check.metas
            for check in checks
        )
    )


def make_guard(
    slot: str,
    plan: Plan,
    backend: Backend,
    checks: Sequence[Check],
    skipped: Callable[[], tuple[Any, ...]],
    refuse: Callable[[Any, Counted], None],
) -> Callable[[Any], None]:
    """Return the guard of a route that may go this way.

    :param slot: where a request keeps what is known about it.
    :param skipped: returns the decorated functions that are counted by this.
    :param refuse: called with the context and what was counted when the last of it is broken; it raises.
    """
    count_fixed = backend.counting.storage.count_fixed
    rows = [
        (check, check.start, check.tail or "", check.item.get_expiry(), check.item.amount, check.cost)
        for check in checks
    ]

    def guard(context: Any) -> None:
        address = context.environ.get("REMOTE_ADDR") or NO_ADDRESS
        results: list[tuple[Check, str, int, float]] = []
        for check, start, tail, window, amount, cost in rows:
            key = address
            if ":" in key or len(key) > LONGEST_KEY or not key.isascii():
                key = address_key(check, address)
            count, ends = count_fixed(f"{start}{key}{tail}", window, cost)
            results.append((check, key, count, ends))
            if count > amount:
                refuse(context, Counted(plan, results, skipped()))
        # PERF: a plain tuple; a `LimiterContext` for each request would cost more than counting.
        context.__dict__[slot] = (plan, results, skipped)

    return guard
