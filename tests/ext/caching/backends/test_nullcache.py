"""No store."""

from __future__ import annotations

from quaff.ext.caching.backends import NullCache


def test_nothing_is_kept() -> None:
    """Storing succeeds, and nothing is there."""
    store = NullCache.factory(None, {}, [], {})
    assert store.set("a", 1)
    assert store.get("a") is None
    assert not store.has("a")
