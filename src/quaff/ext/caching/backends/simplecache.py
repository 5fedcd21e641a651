"""Values in the memory of one process."""

from __future__ import annotations

import heapq
import warnings
from typing import Any

from cachelib import SimpleCache as CachelibSimpleCache

from ..clock import simple as clock
from ..serializers import MemorySerializer
from .base import BaseCache


class SimpleCache(BaseCache, CachelibSimpleCache):
    """Keeps values in memory; safe for threads, not shared by processes.

    Text, bytes and pages of them are kept as they are; other values are copied in and out, so that nobody changes what is
    cached.

    :param threshold: how many values are kept; the ones that expire first make room.
    :param default_timeout: seconds for which values are kept; 0 is for ever.
    :param ignore_errors: COMPAT: the old name of `ignore_delete_many_errors`.
    """

    serializer: Any = MemorySerializer()

    def __init__(
        self,
        threshold: int = 500,
        default_timeout: int = 300,
        ignore_delete_many_errors: bool = False,
        ignore_errors: bool | None = None,
    ) -> None:
        CachelibSimpleCache.__init__(
            self,
            threshold=threshold,
            default_timeout=default_timeout,
            ignore_delete_many_errors=_old_name(ignore_errors, ignore_delete_many_errors),
        )

    @classmethod
    def factory(cls, app: Any, config: dict[str, Any], args: list[Any], kwargs: dict[str, Any]) -> Any:
        """Return a store for *app*."""
        kwargs.setdefault("threshold", config["CACHE_THRESHOLD"])
        return cls(*args, **kwargs)

    def get(self, key: str) -> Any:
        """Return the value at *key*, or None."""
        # PERF: looking into a dict needs no lock, and an entry is replaced as a whole.
        entry = self._cache.get(key)
        if entry is None:
            return None
        expires, value = entry
        return self.serializer.loads(value) if expires == 0 or expires > clock.time() else None

    def has(self, key: str) -> bool:
        """Tell whether there is a value at *key*."""
        entry = self._cache.get(key)
        return entry is not None and (entry[0] == 0 or entry[0] > clock.time())

    def set(self, key: str, value: Any, timeout: Any = None) -> bool | None:
        """Store a value.

        :param timeout: seconds or a timedelta; None is the default, 0 for ever.
        """
        # Outside the lock, and before anything is thrown away: it may raise.
        stored = self.serializer.dumps(value)
        with self._lock:
            self._prune()
            self._cache[key] = (self._normalize_timeout(timeout), stored)
        return True

    def add(self, key: str, value: Any, timeout: Any = None) -> bool:
        """Store a value unless there is one; tell whether it was stored."""
        stored = self.serializer.dumps(value)
        with self._lock:
            if self.has(key):
                return False
            self._prune()
            self._cache[key] = (self._normalize_timeout(timeout), stored)
        return True

    def _remove_expired(self, now: float) -> None:
        # Entries for ever have 0; cachelib throws these away first.
        for key in [key for key, (expires, _) in self._cache.items() if 0 < expires < now]:
            self._cache.pop(key, None)

    def _remove_older(self) -> None:
        # PERF: a tenth at once, so that a full store does not search all its entries for each new one.
        surplus = len(self._cache) - self._threshold
        extra = self._threshold // 10 if self._threshold >= 100 else 0
        oldest = heapq.nsmallest(surplus + extra, self._cache.items(), key=lambda item: item[1][0] or float("inf"))
        for key, _ in oldest:
            self._cache.pop(key, None)


def _old_name(old: bool | None, new: bool) -> bool:
    if old is None:
        return new
    warnings.warn(
        "'ignore_errors' is deprecated and will be removed in the next version. Use 'ignore_delete_many_errors' instead.",
        DeprecationWarning,
        stacklevel=3,
    )
    return old
