"""From counts to a verdict: pure functions, the same for all stores.

A store answers with numbers; what they mean for a request is decided here: whether it may pass, how much is left, when to
come again, and which of several limits a client should hear about.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, floor, inf
from typing import NamedTuple, Protocol


class Outcome(NamedTuple):
    """What a limit says to one request."""

    allowed: bool
    """Whether the request may pass."""

    remaining: int
    """How much is left, the request counted."""

    reset_at: float
    """When there will be more, in seconds since 1970: the whole amount in a fixed window, something in the others."""


def fixed_window(count: int, ends: float, amount: int) -> Outcome:
    """Judge by the count of the window that *ends* then, the request counted already."""
    return Outcome(count <= amount, max(0, amount - count), ends)


def moving_window(allowed: bool, oldest: float, hits: int, amount: int, window: float) -> Outcome:
    """Judge by the hits in the last *window* seconds, of which the oldest was then."""
    return Outcome(allowed, max(0, amount - hits), oldest + window)


class SlidingCounts(NamedTuple):
    """The counts of two neighbouring windows, and the seconds for which they still count."""

    previous: int
    previous_left: float
    current: int
    current_left: float
    """Until the current window no longer counts at all: one window after its end."""


def sliding_weight(counts: SlidingCounts, window: float) -> int:
    """Return the hits in the last *window* seconds, if those of the previous window came evenly."""
    return floor(counts.previous * counts.previous_left / window + counts.current)


def sliding_window(allowed: bool, counts: SlidingCounts, amount: int, window: float, now: float) -> Outcome:
    """Judge by the counts of two neighbouring windows."""
    if not counts.previous and not counts.current:
        return Outcome(allowed, amount, now)
    # The previous window gives one hit back at a time; the current one nothing before it ends.
    by_previous = counts.previous_left % (window / counts.previous) if counts.previous else inf
    by_current = counts.current_left % window if counts.current else inf
    return Outcome(allowed, max(0, amount - sliding_weight(counts, window)), now + min(by_previous, by_current))


class Counted(Protocol):
    """What `choose` looks at."""

    breached: bool
    shared: bool


def choose(limits: Sequence[Counted]) -> int:
    """Return the place of the limit that a client should hear about, of at least one.

    It is the last that is breached; else the first that is not shared with other routes; else the first.
    """
    places = range(len(limits))
    breached = [place for place in places if limits[place].breached]
    own = [place for place in places if not limits[place].shared]
    return (breached[-1:] or own or [0])[0]


def reset_second(reset_at: float) -> int:
    """Return the first whole second after which the window is surely over."""
    return int(reset_at + 1)


def delay(reset: float, now: float) -> int:
    """Return the whole seconds from now to *reset*, never negative."""
    return max(0, int(reset - now))


def seconds_left(reset_at: float, now: float) -> int:
    """Return the seconds until then, rounded up, never negative: waiting for them is enough."""
    return max(0, ceil(reset_at - now))


def is_forgotten(reset_at: float, counted_at: float, lasts: float, now: float) -> bool:
    """Tell whether what was counted at *counted_at* no longer counts, so that all of the limit is free again.

    :param lasts: seconds for which a hit counts at most; 0 for a fixed window, which forgets all at *reset_at*.
    """
    return now >= (counted_at + lasts if lasts else reset_at)
