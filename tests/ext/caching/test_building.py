"""Making the store that the settings name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cachelib
import pytest

from quaff import Quaff
from quaff.ext.caching.backends import BaseCache, FileSystemCache, RedisCache, SimpleCache, SQLCache
from quaff.ext.caching.building import build_backend, is_remote, is_shared, location_of
from quaff.ext.caching.settings import CacheSettingsError, read_settings


class Mine(BaseCache):
    """A store of the user's own."""

    @classmethod
    def factory(cls, app: Any, config: dict[str, Any], args: list[Any], kwargs: dict[str, Any]) -> Any:
        made = cls()
        made.made_with = (app, config["CACHE_TYPE"], args, kwargs)  # type: ignore[attr-defined]
        return made


def make(app: Any, config: dict[str, Any], args: list[Any], kwargs: dict[str, Any]) -> Any:
    """Make a store: a function may stand in the place of a class."""
    return ["made", app, args, kwargs]


def build(**config: Any) -> Any:
    """Return the store for these settings."""
    return build_backend("app", read_settings(config))


def test_classes_and_functions() -> None:
    """Ours get the settings, cachelib's the arguments, and the user's own all of it."""
    store = build(CACHE_TYPE="SimpleCache", CACHE_THRESHOLD=7, CACHE_OPTIONS={"default_timeout": 5})
    assert (type(store), store._threshold, store.default_timeout) == (SimpleCache, 7, 5)
    store = build(CACHE_TYPE="cachelib.SimpleCache", CACHE_OPTIONS={"threshold": 9}, CACHE_IGNORE_ERRORS=True)
    assert (type(store), store._threshold, store.ignore_delete_many_errors) == (cachelib.SimpleCache, 9, True)
    store = build(CACHE_TYPE=f"{__name__}.Mine", CACHE_ARGS=[1])
    options = {"ignore_delete_many_errors": False, "default_timeout": 300}
    assert store.made_with == ("app", f"{__name__}.Mine", [1], options)
    assert build(CACHE_TYPE=f"{__name__}.make", CACHE_ARGS=(2,)) == ["made", "app", [2], options]


def test_what_is_missing() -> None:
    """A class that does not exist, and a directory that is not named, are errors of the settings."""
    with pytest.raises(CacheSettingsError, match="cannot be imported"):
        build(CACHE_TYPE="quaff.ext.caching.backends.NoCache")
    with pytest.raises(CacheSettingsError, match="CACHE_DIR"):
        build(CACHE_TYPE="filesystem")


def test_cachelibs_redis_has_a_deadline() -> None:
    """A client that cachelib makes gives up in time, too; one that is given stays as it is."""
    store = build(CACHE_TYPE="cachelib.RedisCache", CACHE_OPTIONS={"port": 1})
    assert store._write_client.get_connection_kwargs()["socket_timeout"] == 0.25
    client = store._write_client
    assert build(CACHE_TYPE="cachelib.RedisCache", CACHE_ARGS=[client])._write_client is client


def test_where_values_are(tmp_path: Path) -> None:
    """Memory is this process's, files this machine's, and the rest is reached over the network."""
    files = FileSystemCache(tmp_path)
    sql = SQLCache("sqlite://")
    stores = [SimpleCache(), cachelib.SimpleCache(), files, cachelib.FileSystemCache(str(tmp_path)), sql]
    redis = [RedisCache("localhost"), cachelib.RedisCache("localhost")]
    assert [is_remote(store) for store in stores] == [False, False, False, False, True]
    assert [is_shared(store) for store in stores] == [False, False, True, True, True]
    assert all(is_remote(store) and is_shared(store) for store in redis)
    assert location_of(files) == str(tmp_path)
    assert location_of(cachelib.SimpleCache()) == "SimpleCache"
    assert location_of(redis[0]) == "redis://localhost:6379/0"


def test_all_settings_reach_the_factory() -> None:
    """Also those of the app that are not the cache's: a store may want its database."""
    app = Quaff("factory", static_folder=None)
    app.config["OWN"] = 1
    settings = read_settings({**app.config, "CACHE_TYPE": f"{__name__}.Mine"})
    assert settings.config["OWN"] == 1
