"""A cache's store as the cache sees it: when a store over the network fails, nothing is found and nothing is kept.

A breaker (`stores/breaker.py`) stands in front of it. A store that is down costs a deadline three times, then nothing; its
failure is one line in the log and its return another. No request fails because of a cache.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, Final

from ...stores.breaker import Breaker, StoreUnavailable
from .backends.base import store_errors_of
from .backends.simplecache import SimpleCache
from .serializers import MemorySerializer

logger: Final = logging.getLogger("quaff.caching")

# `Any` for backends and values: a backend may be a class of the user's own, and a value is whatever was cached.


class Store:
    """One app's store of one cache.

    :param backend: an object with the methods of cachelib's `BaseCache`.
    :param is_remote: whether a call may wait for another machine.
    :param is_shared: whether other processes see what is stored.
    :param name: for the log, without a password.
    """

    def __init__(self, backend: Any, *, is_remote: bool, is_shared: bool, name: str) -> None:
        self.backend = backend
        self.is_remote = is_remote
        self.is_shared = is_shared
        self.name = name
        self.breaker: Breaker | None = None
        if is_remote:
            self.breaker = Breaker(f"cache in {name}", errors=store_errors_of(backend), logger=logger)

    @property
    def is_down(self) -> bool:
        """Whether the store is known not to answer."""
        return self.breaker is not None and self.breaker.is_open

    @property
    def keeps_pages(self) -> bool:
        """Whether what is stored may be more than the plain value: our own serializers can read that back."""
        serializer = getattr(self.backend, "serializer", None)
        return type(serializer).__module__ == MemorySerializer.__module__

    @property
    def memory(self) -> SimpleCache | None:
        """The backend if it is our memory as we know it, whose entries can be looked at without a call."""
        backend = self.backend
        if type(backend) is SimpleCache and type(backend.serializer) is MemorySerializer:
            return backend
        return None

    def call(self, method: str, missing: Callable[[], Any], /, *args: Any, **kwargs: Any) -> Any:
        """Call a method of the backend; when the store does not answer, return what *missing* returns."""
        function = getattr(self.backend, method)
        if self.breaker is None:
            return function(*args, **kwargs)
        try:
            return self.breaker.call(function, *args, **kwargs)
        except StoreUnavailable:
            return missing()

    def get(self, key: str) -> Any:
        """Return what is stored at *key*, or None."""
        return self.call("get", _nothing, key)

    def get_many(self, *keys: str) -> list[Any]:
        """Return what is stored at each of *keys*, None where there is nothing."""
        values: list[Any] = self.call("get_many", lambda: [None] * len(keys), *keys)
        return values

    def set(self, key: str, value: Any, timeout: int | None = None) -> bool:
        """Store a value; tell whether it was stored."""
        # COMPAT: a backend may return None and mean that all is well.
        return self.call("set", _no, key, value, timeout=timeout) is not False

    def set_many(self, values: Mapping[str, Any], timeout: int | None = None) -> None:
        """Store several values."""
        self.call("set_many", _nothing, dict(values), timeout=timeout)

    def add(self, key: str, value: Any, timeout: int | None = None) -> bool:
        """Store a value unless there is one; tell whether it was stored. True when the store is down: go ahead."""
        return bool(self.call("add", lambda: True, key, value, timeout=timeout))

    def delete(self, key: str) -> bool:
        """Delete what is stored at *key*."""
        return bool(self.call("delete", _no, key))


def _nothing() -> None:
    return None


def _no() -> bool:
    return False
