"""What is kept of compressed bodies: the user's cache, and the memo of bodies that are the same again and again."""

from __future__ import annotations

import threading
from collections.abc import Callable
from hashlib import sha256
from typing import Any, Final, Generic, Protocol, TypeVar

from .encoders import Coder
from .settings import logger

K = TypeVar("K")
V = TypeVar("V")

_SEEN: Final = 2048
"""Bodies whose hash is remembered while they wait to be seen again."""


class CacheBackend(Protocol):
    """What `Compress.cache` may be: Flask-Caching's `Cache` is one, and `DictCache`."""

    def get(self, key: str) -> bytes | None:
        """Return what is stored under *key*, or None."""
        ...

    def set(self, key: str, value: bytes) -> bool | None:
        """Store *value* under *key*."""
        ...


class DictCache:
    """A cache in a dict, for one process.

    :param threshold: how many entries it holds. SECURITY: keys are usually made of URLs, of which clients have as many as
        they like; Flask-Compress's keeps them all.
    """

    def __init__(self, threshold: int = 1000) -> None:
        self.data: dict[str, bytes] = {}
        self.threshold = threshold

    def get(self, key: str) -> bytes | None:
        """Return what is stored under *key*, or None."""
        return self.data.get(key)

    def set(self, key: str, value: bytes) -> None:
        """Store *value* under *key*; the oldest entry makes room."""
        while len(self.data) >= self.threshold and key not in self.data:
            # Another thread may be faster.
            self.data.pop(next(iter(self.data.copy()), key), None)
        self.data[key] = value


class Bounded(Generic[K, V]):
    """A dict that drops its oldest entries when they take more than `limit` bytes together."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.entries: dict[K, V] = {}
        self._costs: dict[K, int] = {}
        self._lock = threading.Lock()
        self.total = 0
        """Bytes that the entries take."""

    def put(self, key: K, value: V, cost: int) -> None:
        """Store *value*, unless it would take more than a quarter of the room.

        :param cost: the bytes that it takes, its key included.
        """
        with self._lock:
            self._drop(key)
            if cost * 4 > self.limit:
                return
            while self.total + cost > self.limit:
                self._drop(next(iter(self.entries)))
            self.entries[key] = value
            self._costs[key] = cost
            self.total += cost

    def _drop(self, key: K) -> None:
        if key in self.entries:
            del self.entries[key]
            self.total -= self._costs.pop(key)


class Memo(Bounded[tuple[str, int, bytes], tuple[bytes, bytes]]):
    """Compressed forms of bodies that were sent twice: a sample and a comparison cost a fraction of compressing.

    SECURITY: the whole body is compared, so nobody gets what another one's body was. How long an answer takes could tell
    that somebody got this very body before; the caller leaves out what is not for everybody (`verdict.is_shared`). What is
    sent once is not kept at all.
    """

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self._seen: dict[int, None] = {}

    def holds(self, data: bytes) -> bool:
        """Tell whether there is room for a body of this size."""
        return len(data) * 8 <= self.limit

    def find(self, coder: Coder, data: bytes) -> bytes | None:
        """Return the compressed form of a body if it is in memory."""
        found = self.entries.get((coder.key, len(data), sample_of(data)))
        return found[1] if found is not None and found[0] == data else None

    def compress(self, coder: Coder, data: bytes) -> bytes:
        """Return the compressed form of a body, from memory if it is there."""
        if len(data) * 8 > self.limit:
            return coder.compress(data)
        key = coder.key, len(data), sample_of(data)
        found = self.entries.get(key)
        if found is not None and found[0] == data:
            return found[1]
        coded = coder.compress(data)
        number = hash(key)
        if number in self._seen:
            self.put(key, (data, coded), len(data) + len(coded))
        else:
            if len(self._seen) >= _SEEN:
                # PERF: all at once; a body that is sent often is soon seen twice again.
                self._seen.clear()
            self._seen[number] = None
        return coded


def sample_of(data: bytes) -> bytes:
    """Return bytes from all over a body, 512 at most, by which it is looked up.

    PERF: hashing 20 kB takes longer than finding it compressed; comparing is several times as fast.
    """
    return data[:: len(data) // 256] if len(data) >= 512 else data


def body_key(coding: str, key: str | None, data: bytes, *, trusts_key: bool) -> str:
    """Return the key of a compressed body in the user's cache.

    SECURITY: Flask-Compress's key is the coding and what the user's function makes of the request, so that one user's page
    is sent to another whose request gives the same key. Here the digest of the body is part of it.

    :param key: what the user's function gave; None when there is none.
    :param trusts_key: leave out the digest, as Flask-Compress does (`compress-cache-key` in `COMPAT`).
    """
    if trusts_key and key is not None:
        return f"{coding};{key}"
    digest = sha256(data).hexdigest()[:32]
    return f"{coding};{digest}" if key is None else f"{coding};{key};{digest}"


def through_cache(cache: CacheBackend, key: str, make: Callable[[], bytes]) -> bytes:
    """Return what the cache has under *key*, or what *make* gives, which is then stored.

    A cache that fails is passed over: the log says so, and the body is compressed as if it were not there.
    """
    coded: Any = None
    try:
        coded = cache.get(key)
    except Exception:
        logger.exception("The cache of compressed bodies failed while it was read; the body is compressed anew.")
    if isinstance(coded, bytes) and coded:
        return coded
    coded = make()
    try:
        cache.set(key, coded)
    except Exception:
        logger.exception("The cache of compressed bodies failed while it was written; the answer does not need it.")
    return coded  # type: ignore[no-any-return]  # bytes, from `make`
