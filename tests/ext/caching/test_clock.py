"""The clocks of cachelib's stores."""

from __future__ import annotations

import time

import cachelib.simple
import pytest

from quaff.ext.caching import clock


def test_the_clock_can_be_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the wall clock, and one that a test has put into cachelib counts."""
    assert abs(clock.now() - time.time()) < 60
    monkeypatch.setattr(cachelib.simple, "time", lambda: 5.0)
    assert clock.now() == 5.0
