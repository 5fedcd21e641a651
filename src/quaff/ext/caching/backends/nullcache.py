"""No store at all."""

from __future__ import annotations

from typing import Any

from .base import BaseCache


class NullCache(BaseCache):
    """Keeps nothing, for tests and for switching caching off: `CACHE_TYPE = "NullCache"`."""

    @classmethod
    def factory(cls, app: Any, config: dict[str, Any], args: list[Any], kwargs: dict[str, Any]) -> Any:
        """Return a store that keeps nothing."""
        return cls(*args, **kwargs)

    def has(self, key: str) -> bool:
        """Return False."""
        return False
