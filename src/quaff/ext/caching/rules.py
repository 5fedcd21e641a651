"""What the decorators were told, as data."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from .keys import Hash
from .settings import Seconds, check_hash_method
from .tags import Tags

_ALIASES = {"header:authorization": "authorization", "query": "?", "query_string": "?"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The options of one `cached` or `memoize`. See `extension.py` for what they mean."""

    timeout: Seconds = None
    unless: Callable[..., Any] | None = None
    forced_update: Callable[..., Any] | None = None
    is_stale: Callable[..., Any] | None = None
    response_filter: Callable[..., Any] | None = None
    hash_method: Hash | None = None
    cache_none: bool = False
    source_check: bool | None = None
    tags: Tags = None
    stale_for: Seconds = None
    public: bool = False
    vary_on: Collection[str] = ()

    # Of `cached` only.
    key_prefix: str | Callable[[], str] = "view/%s"
    query_string: bool = False
    make_cache_key: Callable[..., Any] | None = None
    response_hit_indication: bool = False
    etag: bool | None = None

    # Of `memoize` only.
    make_name: Callable[[str], str] | None = None
    args_to_ignore: Collection[str] = ()

    def __post_init__(self) -> None:
        if self.hash_method is not None:
            check_hash_method("hash_method", self.hash_method)
        for name in ("unless", "forced_update", "is_stale", "response_filter", "make_cache_key", "make_name"):
            value = getattr(self, name)
            if value is not None and not callable(value):
                raise TypeError(f"{name} must be a function, not {value!r}.")
        if isinstance(self.vary_on, str):
            raise TypeError(f"vary_on must be a list of names, not the text {self.vary_on!r}.")
        if isinstance(self.args_to_ignore, str):
            raise TypeError(f"args_to_ignore must be a list of names, not the text {self.args_to_ignore!r}.")
        if callable(self.timeout):
            raise TypeError("Write @cache.cached() with parentheses: the first argument is the timeout.")

    @property
    def varies(self) -> tuple[str, ...]:
        """What the key varies on because `vary_on` says so, in lower case and in order."""
        return tuple(sorted({_ALIASES.get(name.lower(), name.lower()) for name in self.vary_on}))
