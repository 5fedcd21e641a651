"""A cache as it is bound to one app: settings, store, and what is being made."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

from .backends.nullcache import NullCache
from .flights import Flights
from .settings import Settings
from .store import Store


@dataclass(slots=True, weakref_slot=True)
class Bound:
    """A cache in one app."""

    app: Any
    settings: Settings
    store: Store
    revision: int
    """The app's revision when the settings were read."""

    given: dict[str, Any]
    """The settings as they were given."""

    explicit: dict[str, Any]
    """Those that `init_app` was given."""

    flights: Flights = field(default_factory=Flights)
    refreshing: set[str] = field(default_factory=set)
    """The keys of stale values that are being made anew."""

    @property
    def keeps_anything(self) -> bool:
        """Whether the store keeps values at all."""
        return not isinstance(self.store.backend, NullCache)


class CacheBase(Protocol):
    """What the other modules use of a `Cache`."""

    app: Any
    hash_method: Any
    source_check: bool | None
    enable_signals: bool

    @property
    def is_unpatched(self) -> bool:
        """Whether the methods by which a value is found are ours."""
        raise NotImplementedError

    def bound(self) -> Bound:
        """Return the cache as it is bound to the current app."""
        raise NotImplementedError

    def bound_to(self, app: Any) -> Bound:
        """Return the cache as it is bound to an app."""
        raise NotImplementedError

    def fetch(self, bound: Bound, key: str) -> Any:
        """Return what is stored, pages and variants as such."""
        raise NotImplementedError

    def has(self, *args: Any, **kwargs: Any) -> bool:
        """Tell whether something is stored."""
        raise NotImplementedError

    def set(self, *args: Any, **kwargs: Any) -> bool | None:
        """Store a value."""
        raise NotImplementedError

    def get_many(self, *args: Any, **kwargs: Any) -> list[Any]:
        """Return what is stored at several keys."""
        raise NotImplementedError

    def set_many(self, *args: Any, **kwargs: Any) -> list[Any]:
        """Store several values."""
        raise NotImplementedError

    def delete_many(self, *args: Any, **kwargs: Any) -> list[Any]:
        """Delete several values."""
        raise NotImplementedError

    def _get_hash_method(self, hash_method: Any) -> Any:
        raise NotImplementedError

    def _get_source_check(self, source_check: bool | None) -> bool | None:
        raise NotImplementedError

    def _memvname(self, funcname: str) -> str:
        raise NotImplementedError
