"""A limit on work that must not explode: it ends a test that would run for minutes, and measures nothing."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import pytest


class TooMuchWorkError(AssertionError):
    """The block used more processor time than any machine needs for it."""


@contextmanager
def limited_work(seconds: float = 20.0) -> Iterator[None]:
    """Raise `TooMuchWorkError` inside the block once this process has computed for *seconds* in it.

    For input that must take linear time: with a quadratic algorithm it takes minutes, with a linear one a fraction of a
    second. The limit lies far from both, so that neither a slow machine nor a full garbage collection decides a test.
    """
    if not hasattr(signal, "setitimer"):
        pytest.skip("this system has no timer for processor time")

    def give_up(*_: object) -> NoReturn:
        raise TooMuchWorkError(f"not done after {seconds:g} seconds of processor time")

    before = signal.signal(signal.SIGPROF, give_up)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
