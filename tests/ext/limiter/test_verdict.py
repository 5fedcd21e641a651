"""From counts to a verdict, without a store and without an app."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quaff.ext.limiter.verdict import (
    Outcome,
    SlidingCounts,
    choose,
    delay,
    fixed_window,
    is_forgotten,
    moving_window,
    reset_second,
    seconds_left,
    sliding_weight,
    sliding_window,
)


@dataclass
class Shown:
    """What `choose` looks at."""

    breached: bool
    shared: bool


@pytest.mark.parametrize(
    "count, allowed, remaining", [(0, True, 3), (1, True, 2), (3, True, 0), (4, False, 0), (400, False, 0)]
)
def test_fixed_window(count: int, allowed: bool, remaining: int) -> None:
    """As many requests as the amount pass; what is left is never negative."""
    assert fixed_window(count, 50.0, 3) == Outcome(allowed, remaining, 50.0)


@pytest.mark.parametrize("hits, remaining", [(0, 3), (2, 1), (3, 0), (5, 0)])
def test_moving_window(hits: int, remaining: int) -> None:
    """There is more again when the oldest hit leaves the window."""
    assert moving_window(True, 40.0, hits, 3, 60) == Outcome(True, remaining, 100.0)
    assert not moving_window(False, 40.0, hits, 3, 60).allowed


@pytest.mark.parametrize(
    "counts, weight",
    [
        (SlidingCounts(0, 0.0, 0, 120.0), 0),
        (SlidingCounts(10, 60.0, 0, 120.0), 10),
        (SlidingCounts(10, 30.0, 2, 90.0), 7),
        (SlidingCounts(10, 29.0, 2, 89.0), 6),
        (SlidingCounts(10, 0.0, 2, 60.0), 2),
    ],
)
def test_sliding_weight(counts: SlidingCounts, weight: int) -> None:
    """The previous window counts for the part of it that is less than one window ago, rounded down."""
    assert sliding_weight(counts, 60) == weight


def test_sliding_window() -> None:
    """There is more again when one hit of the previous window is out, or when the current window ends."""
    assert sliding_window(True, SlidingCounts(0, 0.0, 0, 100.0), 5, 60, 1000.0) == Outcome(True, 5, 1000.0)
    # Of 10 in the previous window, one leaves every six seconds; 28 seconds are left: the next one in four.
    assert sliding_window(True, SlidingCounts(10, 28.0, 1, 88.0), 9, 60, 1000.0) == Outcome(True, 4, 1004.0)
    # Nothing of the current window leaves before its end.
    assert sliding_window(False, SlidingCounts(0, 0.0, 5, 88.0), 5, 60, 1000.0) == Outcome(False, 0, 1028.0)


@given(
    st.integers(0, 1000),
    st.floats(0, 60),
    st.integers(0, 1000),
    st.integers(1, 1000),
    st.floats(1e9, 2e9),
)
def test_sliding_outcomes_are_sane(previous: int, left: float, current: int, amount: int, now: float) -> None:
    """What is left is from 0 to the amount, and the wait is at most one window."""
    outcome = sliding_window(True, SlidingCounts(previous, left, current, left + 60), amount, 60, now)
    assert 0 <= outcome.remaining <= amount
    assert now <= outcome.reset_at <= now + 60


@pytest.mark.parametrize(
    "limits, place",
    [
        ([(False, False)], 0),
        ([(False, True), (False, False)], 1),
        ([(False, True), (False, True)], 0),
        ([(True, True), (False, False)], 0),
        ([(True, False), (True, True), (False, False)], 1),
    ],
)
def test_choice(limits: list[tuple[bool, bool]], place: int) -> None:
    """A client hears of the last limit that is broken, else of the first that is the route's own, else of the first."""
    assert choose([Shown(*limit) for limit in limits]) == place


@given(st.lists(st.builds(Shown, st.booleans(), st.booleans()), min_size=1, max_size=6))
def test_choice_tells_of_a_breach(limits: list[Shown]) -> None:
    """When any limit is broken, the chosen one is; when none is shared with other routes, so is the chosen one."""
    chosen = limits[choose(limits)]
    assert chosen.breached == any(limit.breached for limit in limits)
    if not chosen.breached:
        assert chosen.shared == all(limit.shared for limit in limits)


@given(st.floats(0, 1e10))
def test_reset_second(reset_at: float) -> None:
    """At the second that is told the window is over, and it is not told too late by more than a second."""
    assert reset_at < reset_second(reset_at) <= reset_at + 1


@pytest.mark.parametrize("reset, now, seconds", [(61, 0.0, 61), (61, 0.5, 60), (5, 5.0, 0), (5, 9.0, 0)])
def test_delay(reset: int, now: float, seconds: int) -> None:
    """A delay is in whole seconds, and never negative."""
    assert delay(reset, now) == seconds


@given(st.floats(0, 1e6), st.floats(0, 1e6))
def test_waiting_is_enough(reset_at: float, now: float) -> None:
    """Who waits for the seconds that are left is not too early."""
    left = seconds_left(reset_at, now)
    assert left >= 0
    assert now + left >= reset_at
    assert left == 0 or left <= reset_at - now + 1


@pytest.mark.parametrize(
    "lasts, now, expected",
    [
        (0, 99.9, False),
        (0, 100.0, True),
        (60, 100.0, False),
        (60, 149.9, False),
        (60, 150.0, True),
        (120, 209.0, False),
    ],
)
def test_forgotten(lasts: float, now: float, expected: bool) -> None:
    """A fixed window forgets at its end; other windows when the last hit is too old. Counted was at 90, the end is 100."""
    assert is_forgotten(100.0, 90.0, lasts, now) is expected
