"""A store as the cache sees it."""

from __future__ import annotations

import logging
from typing import Any

import cachelib
import pytest

from quaff.ext.caching.backends import NullCache, SimpleCache
from quaff.ext.caching.serializers import SafeSerializer
from quaff.ext.caching.store import Store


class Failing(SimpleCache):
    """A store whose server can be switched off."""

    is_up = True

    def __getattribute__(self, name: str) -> Any:
        methods = ("get", "set", "add", "delete", "get_many", "set_many", "has", "clear")
        if name in methods and not object.__getattribute__(self, "is_up"):
            raise ConnectionRefusedError(111, "Connection refused")
        return super().__getattribute__(name)


class Calls(SimpleCache):
    """A store that counts what it is asked, and may be down."""

    asked = 0
    error: Exception | None = None

    def get(self, key: str) -> Any:
        self.asked += 1
        if self.error is not None:
            raise self.error
        return super().get(key)

    def get_many(self, *keys: str) -> list[Any]:
        return [self.get(key) for key in keys]

    def set(self, key: str, value: Any, timeout: Any = None) -> bool | None:
        self.get(key)
        return super().set(key, value, timeout)

    def set_many(self, mapping: dict[str, Any], timeout: Any = None) -> list[Any]:
        self.get("")
        return super().set_many(mapping, timeout)

    def add(self, key: str, value: Any, timeout: Any = None) -> bool:
        self.get(key)
        return super().add(key, value, timeout)

    def delete(self, key: str) -> bool:
        self.get(key)
        return super().delete(key)


@pytest.fixture
def backend() -> Calls:
    """Give a store that may be switched off."""
    return Calls()


@pytest.fixture
def store(backend: Calls) -> Store:
    """Give the store under test."""
    return Store(backend, is_remote=True, is_shared=True, name="test://server")


def test_a_store_that_answers(store: Store) -> None:
    """Each method does what the backend does."""
    assert store.set("a", 1)
    store.set_many({"b": 2})
    assert (store.get("a"), store.get_many("a", "b", "c")) == (1, [1, 2, None])
    assert (store.add("a", 2), store.add("d", 2)) == (False, True)
    assert store.delete("a")
    assert not store.delete("a")
    assert not store.is_down


def test_a_store_that_is_down(store: Store, backend: Calls, caplog: pytest.LogCaptureFixture) -> None:
    """Nothing is found and nothing kept; after three errors it is not asked, and the log has one line."""
    store.set("a", 1)
    backend.error, backend.asked = ConnectionRefusedError(111, "Connection refused"), 0
    with caplog.at_level(logging.INFO):
        for _ in range(20):
            assert (store.get("a"), store.set("a", 2), store.delete("a")) == (None, False, False)
            assert store.get_many("a", "b") == [None, None]
            store.set_many({"a": 2})
    assert backend.asked == 3
    assert store.is_down
    assert len(caplog.records) == 1
    assert "cache in test://server is unavailable" in caplog.text


def test_a_lock_that_cannot_be_had(store: Store, backend: Calls) -> None:
    """When the store is down nobody waits for a lock."""
    backend.error = TimeoutError()
    assert store.add("lock", 1)


def test_a_store_that_comes_back(store: Store, backend: Calls, caplog: pytest.LogCaptureFixture) -> None:
    """It is tried again after a while, found, and named in the log once more."""
    now = [0.0]
    assert store.breaker is not None
    store.breaker._clock = lambda: now[0]
    backend.error = TimeoutError("slow")
    for _ in range(5):
        store.get("a")
    backend.error = None
    assert store.get("a") is None
    now[0] += 5
    assert store.set("a", 1)
    assert store.get("a") == 1
    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"]


def test_an_answer_that_was_on_its_way(store: Store, backend: Calls, caplog: pytest.LogCaptureFixture) -> None:
    """A call that began before the store went down does not bring it back when it ends."""
    assert store.breaker is not None

    def slow(key: str) -> str:
        backend.error = TimeoutError()
        for _ in range(3):
            store.get("other")
        return "late"

    assert store.breaker.call(slow, "a") == "late"
    assert store.is_down
    assert len(caplog.records) == 1


def test_errors_that_are_not_the_stores(store: Store, backend: Calls) -> None:
    """A value that cannot be stored, or a mistake, is an error as it is."""
    backend.error = KeyError("mistake")
    with pytest.raises(KeyError):
        store.get("a")
    assert not store.is_down


def test_a_backend_without_return_values() -> None:
    """None means that all is well, for stores of the user's own."""

    class Silent(cachelib.BaseCache):
        def set(self, key: str, value: Any, timeout: Any = None) -> None:
            return None

    assert Store(Silent(), is_remote=False, is_shared=False, name="s").set("a", 1)


def test_what_a_store_can() -> None:
    """Only our serializers keep pages, and only our own memory may be looked into."""

    class Derived(SimpleCache):
        pass

    safe = Store(SimpleCache(), is_remote=False, is_shared=False, name="memory")
    assert safe.keeps_pages
    assert safe.memory is safe.backend
    foreign = Store(cachelib.SimpleCache(), is_remote=False, is_shared=False, name="cachelib")
    assert not foreign.keeps_pages
    assert foreign.memory is None
    assert Store(Derived(), is_remote=False, is_shared=False, name="derived").memory is None
    assert not Store(NullCache(), is_remote=False, is_shared=False, name="null").keeps_pages
    replaced = SimpleCache()
    replaced.serializer = SafeSerializer()
    assert Store(replaced, is_remote=False, is_shared=False, name="replaced").memory is None
