"""The settings of a cache: Flask-Caching's 28 configuration keys and a few of our own, read and checked in one place."""

from __future__ import annotations

import hashlib
import math
import warnings
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from difflib import get_close_matches
from typing import Any, Final

from ...errors import QuaffError
from ...stores.breaker import DEADLINE

BACKENDS: Final = "quaff.ext.caching.backends."
_CONTRIB: Final = "quaff.ext.caching.contrib."

TYPES: Final[dict[str, str]] = {
    **{
        name: BACKENDS + name
        for name in (
            "FileSystemCache",
            "MemcachedCache",
            "NullCache",
            "RedisCache",
            "RedisClusterCache",
            "RedisSentinelCache",
            "SASLMemcachedCache",
            "SQLCache",
            "SimpleCache",
            "SpreadSASLMemcachedCache",
        )
    },
    "GoogleCloudStorageCache": f"{_CONTRIB}googlecloudstoragecache.GoogleCloudStorageCache",
    "UWSGICache": f"{_CONTRIB}uwsgicache.UWSGICache",
}
"""Short name for `CACHE_TYPE` -> the class."""

OLD_TYPES: Final[dict[str, str]] = {
    "filesystem": "FileSystemCache",
    "gcs": "GoogleCloudStorageCache",
    "memcached": "MemcachedCache",
    "null": "NullCache",
    "redis": "RedisCache",
    "rediscluster": "RedisClusterCache",
    "redissentinel": "RedisSentinelCache",
    "saslmemcached": "SASLMemcachedCache",
    "simple": "SimpleCache",
    "spreadsaslmemcached": "SpreadSASLMemcachedCache",
    "sql": "SQLCache",
    "uwsgi": "UWSGICache",
}
"""COMPAT: the lower-case names that Flask-Caching took until 2.4, and apps still use."""

DEFAULTS: Final[dict[str, Any]] = {
    "CACHE_ARGS": (),
    "CACHE_DEFAULT_TIMEOUT": 300,
    "CACHE_DIR": None,
    "CACHE_ENABLE_SIGNALS": False,
    "CACHE_FILE_HASH_METHOD": hashlib.sha256,
    "CACHE_GCS_BUCKET": None,
    "CACHE_HASH_METHOD": hashlib.sha256,
    "CACHE_IGNORE_ERRORS": False,
    "CACHE_KEY_PREFIX": "flask_cache_",
    "CACHE_MEMCACHED_PASSWORD": None,
    "CACHE_MEMCACHED_SERVERS": None,
    "CACHE_MEMCACHED_USERNAME": None,
    "CACHE_NO_NULL_WARNING": False,
    "CACHE_OPTIONS": None,
    "CACHE_REDIS_CLUSTER": "",
    "CACHE_REDIS_DB": 0,
    "CACHE_REDIS_HOST": "localhost",
    "CACHE_REDIS_PASSWORD": None,
    "CACHE_REDIS_PORT": 6379,
    "CACHE_REDIS_SENTINELS": None,
    "CACHE_REDIS_SENTINEL_MASTER": "mymaster",
    "CACHE_REDIS_SENTINEL_PASSWORD": None,
    "CACHE_REDIS_URL": None,
    "CACHE_SERIALIZER": None,
    "CACHE_SOURCE_CHECK": False,
    "CACHE_THRESHOLD": 500,
    "CACHE_TYPE": "NullCache",
    "CACHE_UWSGI_NAME": "",
}
"""Flask-Caching's keys and what they are when nobody sets them."""

OWN_DEFAULTS: Final[dict[str, Any]] = {
    "CACHE_ETAG": True,
    "CACHE_LOCK_TIMEOUT": 10,
    "CACHE_SINGLE_FLIGHT": True,
    "CACHE_SQL_TABLE": "quaff_cache",
    "CACHE_SQL_URL": None,
    "CACHE_STALE_FOR": 0,
    "CACHE_STORE_TIMEOUT": DEADLINE,
}
"""The keys that are Quaff's own."""

_KNOWN: Final = frozenset(DEFAULTS) | frozenset(OWN_DEFAULTS)

Seconds = int | float | timedelta | str | None


class CacheSettingsError(QuaffError, ImportError, ValueError):
    """A setting of a cache cannot be right. COMPAT: an `ImportError` too, which a `CACHE_TYPE` of no use gives in Flask."""

    code = "Q750"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a cache was told, checked."""

    type: str
    """The dotted name of the store's class or of a function that makes one."""

    default_timeout: int
    """Seconds for which a value is kept when nothing else is said; 0 is for ever."""

    hash_method: Callable[..., Any]
    """The hash constructor for keys."""

    source_check: bool
    """Whether a function's source code is part of its keys."""

    enable_signals: bool
    """Whether hits and misses are signalled."""

    pickled: bool
    """Whether values are pickled in stores that others can write to."""

    shares_anything: bool
    """Whether views are stored whatever they read, and for every method: `COMPAT` has `cache-anything`."""

    etag: bool
    """Whether cached pages get an `ETag`."""

    stale_for: int
    """Seconds for which a value that has expired is still given while it is made anew."""

    store_timeout: float
    """Seconds that a store over the network gets for an answer."""

    single_flight: bool
    """Whether only one caller makes a value that several miss at once."""

    lock_timeout: int
    """Seconds after which others no longer wait for who makes a value."""

    config: dict[str, Any]
    """All keys with their values, defaults included, for the factories of stores."""


def seconds_of(timeout: Seconds) -> int | None:
    """Return a timeout in whole seconds, part of one rounded up, so that half a second is not "for ever".

    >>> seconds_of(timedelta(milliseconds=200)), seconds_of("60"), seconds_of(None)
    (1, 60, None)
    """
    if timeout is None or type(timeout) is int:
        return timeout
    if isinstance(timeout, timedelta):
        return math.ceil(timeout.total_seconds())
    if isinstance(timeout, str):
        return int(timeout)
    return math.ceil(timeout)


def read_settings(given: Mapping[str, Any], compat: Collection[str] = ()) -> Settings:
    """Check the `CACHE_...` keys in *given*, and add the defaults.

    :param compat: the app's `COMPAT`.
    :raises CacheSettingsError: for a value that cannot be right.
    """
    config = {**DEFAULTS, **OWN_DEFAULTS, **given}
    warn_of_typos(given)
    serializer = config["CACHE_SERIALIZER"]
    timeout = _seconds(config, "CACHE_DEFAULT_TIMEOUT")
    options = config["CACHE_OPTIONS"] or {}
    if not isinstance(options, Mapping):
        raise CacheSettingsError(f"`CACHE_OPTIONS` must be a dict of keyword arguments for the store, not {options!r}.")
    if options.get("default_timeout") is not None:
        timeout = _seconds(options, "default_timeout")
    config["CACHE_DEFAULT_TIMEOUT"] = timeout
    if isinstance(config["CACHE_ARGS"], str) or not hasattr(config["CACHE_ARGS"], "__iter__"):
        raise CacheSettingsError(f"`CACHE_ARGS` must be a list of arguments, not {config['CACHE_ARGS']!r}.")
    return Settings(
        type=resolve_type(config["CACHE_TYPE"]),
        default_timeout=timeout,
        hash_method=check_hash_method("CACHE_HASH_METHOD", config["CACHE_HASH_METHOD"]),
        source_check=bool(config["CACHE_SOURCE_CHECK"]),
        enable_signals=bool(config["CACHE_ENABLE_SIGNALS"]),
        pickled=serializer == "pickle" or (serializer is None and "cache-pickle" in compat),
        shares_anything="cache-anything" in compat,
        etag=bool(config["CACHE_ETAG"]),
        stale_for=_seconds(config, "CACHE_STALE_FOR"),
        store_timeout=_positive(config, "CACHE_STORE_TIMEOUT"),
        single_flight=bool(config["CACHE_SINGLE_FLIGHT"]),
        lock_timeout=max(1, _seconds(config, "CACHE_LOCK_TIMEOUT")),
        config=config,
    )


def resolve_type(name: object) -> str:
    """Return the dotted name behind a `CACHE_TYPE`.

    >>> resolve_type("simple"), resolve_type("flask_caching.backends.RedisCache"), resolve_type("cachelib.SimpleCache")
    ('quaff.ext.caching.backends.SimpleCache', 'quaff.ext.caching.backends.RedisCache', 'cachelib.SimpleCache')

    :raises CacheSettingsError: for a name without a dot that is none of ours; the message guesses.
    """
    if not isinstance(name, str):
        raise CacheSettingsError(f"`CACHE_TYPE` must be a name such as 'SimpleCache' or 'package.Class', not {name!r}.")
    if name.startswith("flask_caching."):
        # COMPAT: the place of these classes in Flask-Caching, whether or not the alias is installed.
        return f"quaff.ext.caching.{name.removeprefix('flask_caching.')}"
    if "." in name:
        return name
    known = TYPES.get(OLD_TYPES.get(name, name))
    if known is not None:
        return known
    guess = get_close_matches(name, [*TYPES, *OLD_TYPES], n=1, cutoff=0.5)
    hint = f" Did you mean {guess[0]!r}?" if guess else ""
    raise CacheSettingsError(
        f"`CACHE_TYPE` {name!r} is no store.{hint} There are {', '.join(sorted(TYPES))}, and any 'package.Class'."
    )


def check_hash_method(key: str, method: object) -> Callable[..., Any]:
    """Return a hash constructor.

    :raises CacheSettingsError: when *method* is none.
    """
    if not callable(method):
        raise CacheSettingsError(f"`{key}` must be a hash constructor, for example `hashlib.sha256`, not {method!r}.")
    return method


def warn_of_typos(given: Mapping[str, Any]) -> None:
    """Warn of keys that are nearly the name of a setting: they would be ignored silently."""
    for key in given:
        if key.startswith("CACHE_") and key not in _KNOWN:
            guess = get_close_matches(key, _KNOWN, n=1, cutoff=0.9)
            if guess:
                warnings.warn(f"{key} is no setting of the cache. Did you mean {guess[0]}?", UserWarning, stacklevel=5)


def _seconds(config: Mapping[str, Any], key: str) -> int:
    value = config[key]
    try:
        seconds = seconds_of(value)
    except (TypeError, ValueError):
        seconds = None
    if seconds is None or isinstance(value, bool) or seconds < 0:
        raise CacheSettingsError(f"`{key}` must be a number of seconds (0 or more) or a timedelta, not {value!r}.")
    return seconds


def _positive(config: Mapping[str, Any], key: str) -> float:
    value = config[key]
    number = value.total_seconds() if isinstance(value, timedelta) else value
    try:
        number = float(number)
    except (TypeError, ValueError):
        number = 0.0
    if not (0 < number < math.inf):
        raise CacheSettingsError(f"`{key}` must be a number of seconds above 0, not {value!r}.")
    return number
