"""The base class of the stores, and what is known about any store: its errors, and what goes into the log as its name."""

from __future__ import annotations

import sys
from typing import Any

from cachelib import BaseCache as CachelibBaseCache
from cachelib.serializers import BaseRedisSerializer, BaseSerializer, JSONSerializer, SimpleSerializer

from ....errors import QuaffError
from ..serializers import SafeRedisSerializer, SafeSerializer


class BaseCache(CachelibBaseCache):
    """What the classes named by `CACHE_TYPE` have in common: cachelib's methods, and `factory`.

    :param default_timeout: seconds for which values are kept; 0 is for ever.
    :param ignore_delete_many_errors: whether `delete_many` goes on when a key cannot be deleted, instead of raising
        `RuntimeError`.
    """

    is_remote = False
    """Whether a call may wait for another machine; the cache then puts a breaker before it. Quaff 0.1."""

    is_shared = False
    """Whether other processes see the values. Quaff 0.1."""

    def __init__(self, default_timeout: int = 300, ignore_delete_many_errors: bool = False) -> None:
        CachelibBaseCache.__init__(self, default_timeout, ignore_delete_many_errors=ignore_delete_many_errors)

    @classmethod
    def factory(cls, app: Any, config: dict[str, Any], args: list[Any], kwargs: dict[str, Any]) -> Any:
        """Return a store for *app*.

        :param config: all `CACHE_...` settings.
        :param args: `CACHE_ARGS`.
        :param kwargs: `CACHE_OPTIONS`, with `default_timeout`.
        """
        return cls()

    @property
    def location(self) -> str:
        """Where the values are, for the log: without a password."""
        return type(self).__name__

    def close(self) -> None:
        """Close connections, when another store takes the place of this one. Quaff 0.1."""


def store_errors_of(backend: Any) -> tuple[type[BaseException], ...]:
    """Return what a backend raises when its store does not answer, for every client library that is loaded."""
    errors: list[type[BaseException]] = [OSError, EOFError]
    for module, names in _ERRORS.items():
        loaded = sys.modules.get(module)
        errors += [getattr(loaded, name) for name in names if hasattr(loaded, name)]
    return (*errors, *getattr(backend, "store_errors", ()))


_ERRORS = {
    "redis.exceptions": ("RedisError",),
    "valkey.exceptions": ("ValkeyError",),
    "pymemcache.exceptions": ("MemcacheServerError", "MemcacheUnexpectedCloseError", "MemcacheUnknownError"),
    "pylibmc": ("Error",),
    "pymongo.errors": ("PyMongoError",),
    "sqlalchemy.exc": ("DBAPIError", "TimeoutError"),
    "google.api_core.exceptions": ("GoogleAPIError",),
    "botocore.exceptions": ("BotoCoreError", "ClientError"),
}


class StoreMissing(QuaffError, RuntimeError):
    """What a store needs is not installed, or not there. COMPAT: a `RuntimeError`, as Flask-Caching raises."""

    code = "Q751"


def serializer_for(backend: Any, *, pickled: bool) -> Any:
    """Return the serializer that *backend* gets: a safe one in the place of cachelib's, unless that is for memory.

    :param pickled: whether values are pickled, by cachelib's serializer.
    """
    own = getattr(backend, "serializer", None)
    if own is None or isinstance(own, (JSONSerializer, SimpleSerializer)):
        return own
    is_redis = isinstance(own, BaseRedisSerializer)
    if pickled and isinstance(own, SafeSerializer):
        return BaseRedisSerializer() if is_redis else BaseSerializer()
    if not pickled and type(own).__module__ == BaseSerializer.__module__:
        return SafeRedisSerializer() if is_redis else SafeSerializer()
    return own
