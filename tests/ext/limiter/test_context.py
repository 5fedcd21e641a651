"""What is known about a request."""

from __future__ import annotations

import pytest
from limits import parse

from quaff.ext.limiter.context import LimiterContext, RequestLimit
from quaff.ext.limiter.counting import Counting
from quaff.ext.limiter.memory import MemoryStorage
from quaff.ext.limiter.verdict import Outcome
from tests.ext.limiter.apps import Clock

ITEM = parse("5/minute")
ARGS = ("someone", "index")


class Extension:
    """A limiter with a strategy."""

    def __init__(self) -> None:
        self.limiter = Counting(MemoryStorage(), "fixed-window").strategy


def test_what_it_tells() -> None:
    """A limit of a request tells how much it is, for whom, and whether it is broken or shared."""
    shown = RequestLimit(Extension(), ITEM, ARGS, True, False)
    assert (shown.limit, shown.breached, shown.shared) == (ITEM, True, False)
    assert shown.key == "LIMITER/someone/index/5/1/minute"
    assert shown.key == shown.key
    assert repr(shown) == "<RequestLimit 5 per 1 minute breached>"
    assert repr(RequestLimit(Extension(), ITEM, ARGS, False, False)) == "<RequestLimit 5 per 1 minute>"


def test_the_store_is_asked_when_it_must(clock: Clock) -> None:
    """What is left is asked for when somebody wants to know, each time anew."""
    extension = Extension()
    shown = RequestLimit(extension, ITEM, ARGS, False, False)
    assert not shown.is_known
    assert shown.limiter is extension.limiter
    assert shown.remaining == 5
    extension.limiter.hit(ITEM, *ARGS)
    assert shown.remaining == 4
    assert shown.reset_at == int(clock.wall + 61)


def test_what_the_store_said_is_not_asked_again(clock: Clock) -> None:
    """What the store said with the hit is used; nobody is asked."""
    shown = RequestLimit(None, ITEM, ARGS, False, False)
    shown.know(Outcome(True, 3, clock.wall + 30.5), 0)
    assert shown.is_known
    assert (shown.remaining, shown.window.reset_time) == (3, clock.wall + 30.5)
    assert shown.reset_at == int(clock.wall + 31.5)


@pytest.mark.parametrize("windows, free_after", [(0, 30), (1, 60), (2, 120)])
def test_a_view_that_outlives_the_window(windows: int, free_after: float, clock: Clock) -> None:
    """When the window is over before the response is there, all of the limit is free again, and that is told."""
    shown = RequestLimit(None, ITEM, ARGS, False, False)
    shown.know(Outcome(True, 3, clock.wall + 30), windows)
    clock.forward(free_after - 1)
    assert shown.remaining == 3
    clock.forward(1)
    assert (shown.remaining, shown.window.reset_time) == (5, clock.wall)


def test_a_new_state() -> None:
    """A request that nothing is known about has no limits; both names of the two attributes say so."""
    state = LimiterContext()
    assert (state.shown, state.view_rate_limit, state.limits, state.view_rate_limits) == (None, None, [], [])
    shown = RequestLimit(None, ITEM, ARGS, False, False)
    state.shown, state.limits = shown, [shown]
    assert state.view_rate_limit is shown
    assert state.view_rate_limits == [shown]
    assert not (state.is_exempt)
    assert not (state.is_local)
    assert not (state.waits_for_hook)
