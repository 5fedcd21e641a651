"""Values in the memory that uWSGI's workers share."""

from __future__ import annotations

from typing import Any

from cachelib import UWSGICache as CachelibUWSGICache

from ..backends.base import BaseCache, StoreMissing
from ..keys import stored_key
from ..serializers import SafeSerializer


class UWSGICache(BaseCache, CachelibUWSGICache):
    """Keeps values in uWSGI's cache (`--cache2`).

    :param default_timeout: seconds for which values are kept; 0 is for ever.
    :param cache: the name of the cache, `mycache@localhost:3031` for one of another server, or empty for the first one.
    """

    is_shared = True
    serializer: Any = SafeSerializer()

    def __init__(self, default_timeout: int = 300, cache: str = "", ignore_delete_many_errors: bool = False) -> None:
        try:
            import uwsgi  # type: ignore[import-untyped]  # a module that uWSGI puts into its interpreter
        except ImportError as error:
            raise StoreMissing("uWSGI could not be imported, are you running under uWSGI?") from error
        if "cache2" not in uwsgi.opt:
            raise StoreMissing(
                "You must enable cache2 in uWSGI configuration: https://uwsgi-docs.readthedocs.io/en/latest/Caching.html"
            )
        CachelibUWSGICache.__init__(
            self,
            default_timeout=default_timeout,
            cache=cache,
            ignore_delete_many_errors=ignore_delete_many_errors,
        )
        self._uwsgi = uwsgi

    @classmethod
    def factory(cls, app: Any, config: dict[str, Any], args: list[Any], kwargs: dict[str, Any]) -> Any:
        """Return a store for *app*."""
        return cls(*args, **{"cache": config["CACHE_UWSGI_NAME"], **kwargs})

    def get(self, key: str) -> Any:
        """Return the value at *key*, or None."""
        found = self._uwsgi.cache_get(stored_key(key), self.cache)
        return None if found is None else self.serializer.loads(found)

    def set(self, key: str, value: Any, timeout: Any = None) -> Any:
        """Store a value."""
        return CachelibUWSGICache.set(self, stored_key(key), value, timeout)

    def add(self, key: str, value: Any, timeout: Any = None) -> bool:
        """Store a value unless there is one; tell whether it was stored."""
        return CachelibUWSGICache.add(self, stored_key(key), value, timeout)

    def delete(self, key: str) -> bool:
        """Delete the value at *key*."""
        return CachelibUWSGICache.delete(self, stored_key(key))

    def has(self, key: str) -> bool:
        """Tell whether there is a value at *key*."""
        return CachelibUWSGICache.has(self, stored_key(key))
