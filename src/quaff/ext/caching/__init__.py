"""The cache: views, functions and parts of templates, kept in memory, files, Redis, Memcached or SQL.

The names and settings are those of Flask-Caching 2.5. Start with `extension.py` (the class `Cache`); `privacy.py` says what
is never stored for others.
"""

from __future__ import annotations

import hashlib
from typing import Any, Final

from ._needs import CACHELIB as _CACHELIB
from .arguments import function_namespace, get_arg_default, get_arg_names, get_id, wants_args
from .extension import Cache
from .fragments import make_template_fragment_key
from .privacy import PrivateResult
from .responses import CachedResponse
from .settings import CacheSettingsError
from .signals import cache_memoize_hit, cache_memoize_miss, cache_view_hit, cache_view_miss

__all__ = [
    "SUPPORTED_HASH_FUNCTIONS",
    "Cache",
    "CacheSettingsError",
    "CachedResponse",
    "PrivateResult",
    "cache_memoize_hit",
    "cache_memoize_miss",
    "cache_view_hit",
    "cache_view_miss",
    "function_namespace",
    "get_arg_default",
    "get_arg_names",
    "get_id",
    "make_template_fragment_key",
    "wants_args",
]

SUPPORTED_HASH_FUNCTIONS: Final[list[Any]] = [
    hashlib.sha1,
    hashlib.sha224,
    hashlib.sha256,
    hashlib.sha384,
    hashlib.sha512,
    hashlib.md5,
]
"""COMPAT: hash constructors that `hash_method` is tried with. Any other one will do."""


def __getattr__(name: str) -> Any:
    if name == "__version__":
        import warnings

        warnings.warn(
            "The '__version__' attribute is deprecated and will be removed in Flask-Caching 3.0. Use feature detection or"
            " 'importlib.metadata.version(\"flask-caching\")' instead.",
            DeprecationWarning,
            stacklevel=2,
        )
        return "2.5.1"
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
