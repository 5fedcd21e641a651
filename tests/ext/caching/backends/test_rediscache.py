"""Values in Redis."""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from quaff.ext.caching.backends import RedisCache, RedisClusterCache, RedisSentinelCache
from quaff.ext.caching.backends.rediscache import client_options, cluster_nodes
from quaff.ext.caching.settings import read_settings
from tests.ext.caching.stores import StoreTests
from tests.ext.servers import Redis, free_port, running

pytestmark = pytest.mark.service("redis-server")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    """Give a running server."""
    with running(Redis(tmp_path_factory.mktemp("redis"))) as server:
        assert isinstance(server, Redis)
        yield server


@pytest.fixture
def client(server: Redis) -> Iterator[redis.Redis]:
    """Give a client of the server, with nothing in it."""
    with redis.Redis(port=server.port) as client:
        client.flushall()
        yield client


class TestRedisCache(StoreTests):
    @pytest.fixture(params=["", "prefix:", "with [glob]*:"])
    def store(self, client: redis.Redis, request: pytest.FixtureRequest) -> Any:
        return RedisCache(client, key_prefix=request.param)


class TestRedisClusterCacheMethods(StoreTests):
    """The methods of the cluster's class, on one server: a cluster of several is more than a test should start."""

    @pytest.fixture
    def store(self, client: redis.Redis) -> Any:
        made = RedisClusterCache.__new__(RedisClusterCache)
        RedisCache.__init__(made, client, key_prefix="cluster:")
        return made


def test_clear_leaves_others_alone(client: redis.Redis) -> None:
    """`clear` deletes what has the prefix, taken as a text, and nothing else; sessions for example stay."""
    store = RedisCache(client, key_prefix="a*")
    store.set_many({str(number): number for number in range(2500)})
    client.set("session:1", "alice")
    client.set("abc", "other")
    assert store.clear()
    assert not store.clear()
    assert sorted(client.keys()) == [b"abc", b"session:1"]


def test_the_prefix_may_be_a_function(client: redis.Redis) -> None:
    """As in cachelib."""
    store = RedisCache(client, key_prefix=lambda: "made:")
    store.set("a", 1)
    assert client.keys() == [b"made:a"]


def test_a_key_cannot_reach_what_is_not_the_caches(client: redis.Redis) -> None:
    """Whatever a key is, it stands behind the prefix (CVE-2011-4136)."""
    store = RedisCache(client, key_prefix="cache:")
    client.set("session:1", "alice")
    for key in ("session:1", "../session:1", "\nsession:1", "x\r\nGET session:1"):
        assert store.get(key) is None
        store.set(key, "mine")
    assert client.get("session:1") == b"alice"


def test_values_of_other_programs(client: redis.Redis) -> None:
    """A text that another program stored is bytes, a number a number."""
    store = RedisCache(client)
    client.set("text", "Awesome")
    client.set("number", "42")
    assert store.get_many("text", "number") == [b"Awesome", 42]


class Bomb:
    """Makes a directory when it is unpickled."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (self.path,)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("before", [b"", b"!"])
def test_a_planted_pickle(
    client: redis.Redis, tmp_path: Path, caplog: pytest.LogCaptureFixture, before: bytes, protocol: int
) -> None:
    """A pickle in Redis never runs; where Flask-Caching would read it, it is a miss and a line in the log."""
    client.set("key", before + pickle.dumps(Bomb(str(tmp_path / "ran")), protocol))
    found = RedisCache(client).get("key")
    assert not (tmp_path / "ran").exists()
    if before or protocol >= 2:
        assert found is None
        assert "a pickle, which was not read" in caplog.text


def test_unlink(client: redis.Redis) -> None:
    """Values are deleted in the background."""
    store = RedisCache(client, key_prefix="p:")
    store.set_many({"a": 1, "b b": 2})
    assert store.unlink("a", "b b") == 2
    assert store.unlink() is None
    assert client.keys() == []


def test_a_lock_has_its_timeout_from_the_start(client: redis.Redis) -> None:
    """`add` stores value and timeout in one command."""
    RedisCache(client).add("lock", 1, 30)
    assert 0 < client.ttl("lock") <= 30


@pytest.fixture
def make() -> Iterator[Any]:
    """Give a function that makes a store from settings; closed after the test."""
    made: list[Any] = []

    def make(**config: Any) -> Any:
        made.append(RedisCache.factory(None, read_settings(config).config, [], {"default_timeout": 5}))
        return made[-1]

    yield make
    for store in made:
        store.close()


def test_settings(server: Redis, make: Any) -> None:
    """Host, port and database, or a URL; the log gets no password."""
    by_port = make(CACHE_REDIS_PORT=server.port, CACHE_REDIS_DB=3, CACHE_KEY_PREFIX="x")
    assert by_port.set("a", 1)
    assert (by_port.location, by_port.key_prefix, by_port.default_timeout) == (
        f"redis://localhost:{server.port}/3",
        "x",
        5,
    )
    by_url = make(CACHE_REDIS_URL=f"redis://user:secret@localhost:{server.port}/4")
    assert by_url.location == f"redis://localhost:{server.port}/4"
    assert make(CACHE_REDIS_HOST=redis.Redis(port=server.port)).set("a", 1)


def test_a_wrong_password_is_an_error_of_the_store(server: Redis, client: redis.Redis, make: Any) -> None:
    """It is what the breaker counts; the right one opens the door."""
    client.config_set("requirepass", "right")
    try:
        with pytest.raises(redis.exceptions.RedisError):
            make(CACHE_REDIS_PORT=server.port, CACHE_REDIS_PASSWORD="wrong").get("a")
        assert make(CACHE_REDIS_PORT=server.port, CACHE_REDIS_PASSWORD="right").set("a", 1)
    finally:
        client.config_set("requirepass", "")


def test_a_client_gives_up_in_time() -> None:
    """Each wait has the deadline of the settings, and nothing is tried twice; `CACHE_OPTIONS` counts more."""
    options = client_options({"CACHE_STORE_TIMEOUT": 0.25}, {})
    assert (options["socket_timeout"], options["socket_connect_timeout"]) == (0.25, 0.25)
    assert client_options({"CACHE_STORE_TIMEOUT": 0.25}, {"socket_timeout": 9})["socket_timeout"] == 9
    client = redis.Redis(port=free_port(), **options)
    with pytest.raises(redis.exceptions.ConnectionError):
        client.get("a")


def test_arguments_that_make_no_sense() -> None:
    """They are refused where they are given."""
    with pytest.raises(ValueError, match="host parameter may not be None"):
        RedisCache(host=None)
    with pytest.raises(ValueError, match="decode_responses"):
        RedisSentinelCache(decode_responses=True)
    with pytest.raises(ValueError, match="decode_responses"):
        RedisClusterCache(decode_responses=True)
    with pytest.raises(ValueError, match="host1:port1"):
        RedisClusterCache("nonsense")


def test_cluster_nodes() -> None:
    """Nodes are pairs of host and port."""
    assert cluster_nodes("a:1, [::1]:2") == [("a", 1), ("[::1]", 2)]


def test_sentinels() -> None:
    """Writes go to the master, reads to its replicas; each sentinel has the deadline."""
    settings = read_settings({"CACHE_REDIS_SENTINELS": [("127.0.0.1", 1)], "CACHE_KEY_PREFIX": "p"})
    store = RedisSentinelCache.factory(None, settings.config, [], {})
    assert store._read_client is not store._write_client
    assert (store.key_prefix, store.location) == ("p", "Redis master 'mymaster'")
    with pytest.raises(redis.exceptions.RedisError):
        store.get("a")
