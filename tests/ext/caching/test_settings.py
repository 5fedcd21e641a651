"""The settings of a cache."""

from __future__ import annotations

import hashlib
import warnings
from datetime import timedelta
from typing import Any

import pytest

from quaff.ext.caching.settings import (
    DEFAULTS,
    OLD_TYPES,
    OWN_DEFAULTS,
    TYPES,
    CacheSettingsError,
    read_settings,
    resolve_type,
    seconds_of,
    warn_of_typos,
)


def test_flask_cachings_keys() -> None:
    """All 28 are there, with Flask-Caching's defaults."""
    assert len(DEFAULTS) == 28
    settings = read_settings({})
    assert settings.default_timeout == 300
    assert settings.config["CACHE_KEY_PREFIX"] == "flask_cache_"
    assert settings.config["CACHE_THRESHOLD"] == 500
    assert settings.hash_method is hashlib.sha256
    assert settings.type == "quaff.ext.caching.backends.NullCache"
    flags = (settings.source_check, settings.enable_signals, settings.pickled, settings.shares_anything)
    assert not any(flags)


def test_our_own_keys() -> None:
    """They have safe defaults, and are names that no other setting has."""
    settings = read_settings({})
    assert (settings.etag, settings.single_flight, settings.stale_for, settings.lock_timeout) == (True, True, 0, 10)
    assert settings.store_timeout == 0.25
    assert not set(OWN_DEFAULTS) & set(DEFAULTS)


@pytest.mark.parametrize("old, new", sorted(OLD_TYPES.items()))
def test_old_type_names(old: str, new: str) -> None:
    """The lower-case names of older releases are taken, and mean the class that has replaced them."""
    assert resolve_type(old) == TYPES[new] == resolve_type(new)
    assert TYPES[new].endswith(f".{new}")


@pytest.mark.parametrize(
    "name, path",
    [
        ("flask_caching.backends.RedisCache", "quaff.ext.caching.backends.RedisCache"),
        ("flask_caching.backends.simplecache.SimpleCache", "quaff.ext.caching.backends.simplecache.SimpleCache"),
        ("flask_caching.contrib.uwsgicache.UWSGICache", "quaff.ext.caching.contrib.uwsgicache.UWSGICache"),
        ("cachelib.SimpleCache", "cachelib.SimpleCache"),
        ("mine.stores.make", "mine.stores.make"),
    ],
)
def test_dotted_types(name: str, path: str) -> None:
    """A dotted name is a class or function; Flask-Caching's own are ours."""
    assert resolve_type(name) == path


@pytest.mark.parametrize(
    "name, guess",
    [("SimpelCache", "SimpleCache"), ("Redis", "redis"), ("memcache", "memcached"), ("filesytem", "filesystem")],
)
def test_a_type_that_does_not_exist(name: str, guess: str) -> None:
    """The message guesses, and lists what there is."""
    with pytest.raises(CacheSettingsError, match=f"Did you mean '{guess}'") as caught:
        resolve_type(name)
    assert "NullCache" in str(caught.value)
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, ImportError)


@pytest.mark.parametrize(
    "key, value",
    [
        ("CACHE_TYPE", None),
        ("CACHE_TYPE", 5),
        ("CACHE_DEFAULT_TIMEOUT", -1),
        ("CACHE_DEFAULT_TIMEOUT", "soon"),
        ("CACHE_DEFAULT_TIMEOUT", None),
        ("CACHE_DEFAULT_TIMEOUT", True),
        ("CACHE_HASH_METHOD", "sha256"),
        ("CACHE_OPTIONS", ["threshold"]),
        ("CACHE_ARGS", "abc"),
        ("CACHE_ARGS", 5),
        ("CACHE_STALE_FOR", -5),
        ("CACHE_STORE_TIMEOUT", 0),
        ("CACHE_STORE_TIMEOUT", "fast"),
        ("CACHE_STORE_TIMEOUT", float("inf")),
        ("CACHE_LOCK_TIMEOUT", None),
    ],
)
def test_values_that_cannot_be_right(key: str, value: Any) -> None:
    """They are refused with the name of the key."""
    with pytest.raises(CacheSettingsError, match=key):
        read_settings({key: value})


def test_timeouts() -> None:
    """Seconds are numbers, texts from the environment, or a timedelta; part of a second is one, not for ever."""
    assert seconds_of(timedelta(milliseconds=1)) == 1
    assert seconds_of(0.2) == 1
    assert seconds_of("60") == 60
    assert seconds_of(None) is None
    assert read_settings({"CACHE_DEFAULT_TIMEOUT": timedelta(minutes=5)}).default_timeout == 300
    assert read_settings({"CACHE_OPTIONS": {"default_timeout": 9}}).default_timeout == 9
    assert read_settings({"CACHE_STORE_TIMEOUT": timedelta(seconds=2)}).store_timeout == 2


def test_pickle_is_asked_for() -> None:
    """Only the setting or `COMPAT` brings it, and a serializer of one's own counts more than the latter."""
    assert read_settings({"CACHE_SERIALIZER": "pickle"}).pickled
    assert read_settings({}, ("cache-pickle",)).pickled
    assert not read_settings({"CACHE_SERIALIZER": object()}, ("cache-pickle",)).pickled
    assert read_settings({}, ("cache-anything",)).shares_anything


def test_a_key_that_is_misspelt() -> None:
    """It warns with a guess; keys of the app's own that begin with `CACHE_` do not."""
    with pytest.warns(UserWarning, match="Did you mean CACHE_DEFAULT_TIMEOUT"):
        read_settings({"CACHE_DEFAULT_TIMEOUTS": 5})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_typos({"CACHE_VERSION": 1, "OTHER": 2, **DEFAULTS})
