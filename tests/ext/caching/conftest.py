"""A clock for the tests of the cache."""

from __future__ import annotations

import cachelib.simple
import pytest


class Turned:
    """A clock that a test turns."""

    now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Turned:
    """Give a clock that a test turns, in the place of the store's."""
    clock = Turned()
    monkeypatch.setattr(cachelib.simple, "time", clock)
    return clock
