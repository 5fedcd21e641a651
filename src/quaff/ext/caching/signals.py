"""The signals of the cache, sent when `CACHE_ENABLE_SIGNALS` is set.

Each comes with `cache`, `cache_key`, `args` and `kwargs`; those of memoized functions with the function as `f`, too.
"""

from __future__ import annotations

from blinker import Namespace

_signals = Namespace()

cache_view_hit = _signals.signal("cache-view-hit")
"""What a function under `cached` gave was found in the cache."""

cache_view_miss = _signals.signal("cache-view-miss")
"""A function under `cached` is called, because the cache has nothing for it."""

cache_memoize_hit = _signals.signal("cache-memoize-hit")
"""What a function under `memoize` gave was found in the cache."""

cache_memoize_miss = _signals.signal("cache-memoize-miss")
"""A function under `memoize` is called, because the cache has nothing for it."""
