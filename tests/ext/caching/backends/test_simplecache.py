"""Values in memory."""

from __future__ import annotations

from typing import Any

import cachelib.simple
import pytest

from quaff import Response
from quaff.ext.caching.backends import SimpleCache
from quaff.ext.caching.pages import Page
from tests.ext.caching.stores import StoreTests


class TestSimpleCache(StoreTests):
    @pytest.fixture
    def store(self) -> Any:
        return SimpleCache()


class Clock:
    """A clock that a test turns."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Give a clock that a test turns, in the place of the store's."""
    clock = Clock()
    monkeypatch.setattr(cachelib.simple, "time", clock)
    return clock


def test_expiry(clock: Clock) -> None:
    """A value is there until its time is over; 0 is for ever."""
    store = SimpleCache(default_timeout=10)
    store.set("default", 1)
    store.set("short", 1, 2)
    store.set("ever", 1, 0)
    clock.now += 2
    assert store.get_many("default", "short", "ever") == [1, None, 1]
    assert not store.has("short")
    assert store.add("short", 2)
    clock.now += 1e9
    assert store.get_many("default", "short", "ever") == [None, None, 1]


def test_the_clock_goes_back(clock: Clock) -> None:
    """A clock that is put back keeps values longer, and breaks nothing."""
    store = SimpleCache()
    store.set("key", 1, 60)
    clock.now -= 3600
    assert store.get("key") == 1


def test_threshold(clock: Clock) -> None:
    """When it is full, what has expired goes first, then what expires first; what is for ever goes last."""
    store = SimpleCache(threshold=3)
    store.set("ever", 1, 0)
    store.set("soon", 1, 10)
    store.set("expired", 1, 1)
    store.set("later", 1, 100)
    clock.now += 5
    store.set("new", 1, 50)
    assert [key for key in ("ever", "soon", "expired", "later", "new") if store.has(key)] == [
        "ever",
        "soon",
        "later",
        "new",
    ]
    store.set("newer", 1, 60)
    assert not store.has("soon")
    assert store.has("ever")


def test_it_stays_bounded() -> None:
    """Any number of keys, as a client may choose them, leaves no more values than the threshold and one."""
    store = SimpleCache(threshold=100)
    for number in range(5000):
        store.set(f"key{number}", "x", 1 + number)
    assert len(store._cache) <= 101


def test_text_is_kept_as_it_is() -> None:
    """Text, bytes and pages of them are not copied."""
    store = SimpleCache()
    for value in ("text" * 100, b"bytes" * 100):
        store.set("key", value)
        assert store.get("key") is value
    page = Page("text", '"tag"')
    store.set("page", page)
    assert store.get("page") == page


def test_responses_are_new_each_time() -> None:
    """A response that was found may be changed, and a streamed one cannot be stored."""
    store = SimpleCache()
    store.set("key", Response("body", 201, {"X-A": "1"}))
    first = store.get("key")
    first.headers["X-A"] = "2"
    second = store.get("key")
    assert (second.status, second.headers["X-A"], second.get_data()) == ("201 CREATED", "1", b"body")
    with pytest.raises(TypeError):
        store.set("stream", Response(iter(["a"])))


def test_old_option() -> None:
    """`ignore_errors` still works, with a warning."""
    with pytest.warns(DeprecationWarning, match="ignore_errors"):
        assert SimpleCache(ignore_errors=True).ignore_delete_many_errors
