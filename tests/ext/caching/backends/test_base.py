"""What is known about any store."""

from __future__ import annotations

from typing import Any

import cachelib
import pytest
from cachelib.serializers import BaseRedisSerializer, BaseSerializer, JSONSerializer, SimpleSerializer

from quaff.ext.caching.backends.base import BaseCache, StoreMissing, serializer_for, store_errors_of
from quaff.ext.caching.serializers import SafeRedisSerializer, SafeSerializer


class Store:
    """Something with a serializer."""

    def __init__(self, serializer: Any) -> None:
        self.serializer = serializer


class Own(BaseSerializer):
    """A serializer of the user's."""


@pytest.mark.parametrize(
    "own, safe, pickled",
    [
        (BaseSerializer(), SafeSerializer, BaseSerializer),
        (BaseRedisSerializer(), SafeRedisSerializer, BaseRedisSerializer),
        (SafeSerializer(), SafeSerializer, BaseSerializer),
        (SafeRedisSerializer(), SafeRedisSerializer, BaseRedisSerializer),
        (SimpleSerializer(), SimpleSerializer, SimpleSerializer),
        (JSONSerializer(), JSONSerializer, JSONSerializer),
        (Own(), Own, Own),
    ],
)
def test_serializers(own: Any, safe: type[Any], pickled: type[Any]) -> None:
    """Cachelib's pickling serializers are replaced unless that is asked for; others are what they are."""
    assert type(serializer_for(Store(own), pickled=False)) is safe
    assert type(serializer_for(Store(own), pickled=True)) is pickled


def test_no_serializer() -> None:
    """A store without one gets none."""
    assert serializer_for(object(), pickled=False) is None


def test_errors_of_the_store() -> None:
    """They are the network's, and those of the libraries that are loaded."""
    import redis

    errors = store_errors_of(cachelib.SimpleCache())
    assert issubclass(redis.exceptions.BusyLoadingError, errors)
    assert issubclass(ConnectionResetError, errors)
    assert not issubclass(KeyError, errors)


def test_a_store_of_ones_own() -> None:
    """A subclass has cachelib's methods, a factory and a name for the log."""

    class Mine(BaseCache):
        pass

    made = Mine.factory(None, {}, [], {})
    assert (made.get("a"), made.location, made.is_remote, made.is_shared) == (None, "Mine", False, False)
    assert isinstance(made, cachelib.BaseCache)


def test_what_is_missing_is_a_runtime_error() -> None:
    """As Flask-Caching raises."""
    assert issubclass(StoreMissing, RuntimeError)
