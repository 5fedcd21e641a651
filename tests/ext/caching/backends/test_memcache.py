"""Values in Memcached."""

from __future__ import annotations

import pickle
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from quaff.ext.caching.backends import MemcachedCache, SASLMemcachedCache, SpreadSASLMemcachedCache
from quaff.ext.caching.backends.memcache import _address, pylibmc_client
from quaff.ext.caching.keys import stored_key
from quaff.ext.caching.settings import read_settings
from tests.ext.caching.stores import STRANGE_KEYS, StoreTests
from tests.ext.servers import Memcached, running

pytestmark = pytest.mark.service("memcached-server")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Memcached]:
    """Give a running server."""
    with running(Memcached(tmp_path_factory.mktemp("memcached"))) as server:
        assert isinstance(server, Memcached)
        yield server


@pytest.fixture
def store(server: Memcached) -> Iterator[MemcachedCache]:
    """Give the store under test."""
    store = MemcachedCache([f"127.0.0.1:{server.port}"], key_prefix="p ")
    store.clear()
    yield store
    store.close()


class TestMemcachedCache(StoreTests):
    @pytest.fixture(params=[None, "prefix:", "with space "])
    def store(self, server: Memcached, request: pytest.FixtureRequest) -> Iterator[Any]:
        store = MemcachedCache([f"127.0.0.1:{server.port}"], key_prefix=request.param)
        store.clear()
        yield store
        store.close()


class TestManyServers(StoreTests):
    """Several servers; here one that is there twice, under two names."""

    @pytest.fixture
    def store(self, server: Memcached) -> Iterator[Any]:
        store = MemcachedCache([f"127.0.0.1:{server.port}", f"localhost:{server.port}"])
        store.clear()
        yield store
        store.close()

    def test_keys_are_spread(self, store: Any) -> None:
        """Both have keys, and each key is always at the same one."""
        owners = [store._client._of(f"key{number}").server for number in range(50)]
        assert len(set(owners)) == 2
        assert owners == [store._client._of(f"key{number}").server for number in range(50)]


def ask(server: Memcached, command: bytes) -> bytes:
    """Send a command as it is, and return the answer."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(command)
        return connection.recv(100_000)


def test_keys_are_plain() -> None:
    """Whatever a key is, the server gets letters, digits and a little punctuation, at most 250 of them (CVE-2020-13254)."""
    store = MemcachedCache(key_prefix="p\r\n")
    for key in STRANGE_KEYS:
        assert re.fullmatch(r"[A-Za-z0-9_:./%-]{1,250}", store._normalize_key(key))


def test_a_key_is_no_command(server: Memcached, store: MemcachedCache) -> None:
    """A key with a line end in it stores nothing else."""
    store.set("x 0 0 1\r\ny\r\nset injected 0 0 1\r\nz\r\n", "value")
    assert store.get("injected") is None
    assert ask(server, b"get injected\r\n") == b"END\r\n"


def test_a_planted_pickle(server: Memcached, caplog: pytest.LogCaptureFixture) -> None:
    """A pickle in Memcached, whatever its flags, counts as missing and is named in the log."""
    store = MemcachedCache([f"127.0.0.1:{server.port}"])
    content = pickle.dumps({"a": 1})
    for flags in (0, 1):
        assert ask(server, b"set planted %d 0 %d\r\n%b\r\n" % (flags, len(content), content)) == b"STORED\r\n"
        assert store.get("planted") is None
    store.close()
    assert "a pickle, which was not read" in caplog.text


def test_a_value_that_is_too_large(store: MemcachedCache) -> None:
    """More than the server takes is not stored, and no connection is left in a bad state."""
    with pytest.raises(Exception, match="too large"):
        store.set("large", "x" * 2_000_000)
    assert store.get("large") is None
    assert store.set("small", "x")


def test_long_timeouts(store: MemcachedCache) -> None:
    """More than 30 days are not taken for a date in 1970."""
    store.set("key", 1, 40 * 24 * 3600)
    assert store.get("key") == 1


def test_settings(server: Memcached) -> None:
    """Servers, prefix and deadline come from the settings."""
    config = read_settings({"CACHE_MEMCACHED_SERVERS": [f"127.0.0.1:{server.port}"], "CACHE_STORE_TIMEOUT": 0.5}).config
    store = MemcachedCache.factory(None, config, [], {"default_timeout": 7})
    assert (store.key_prefix, store._timeout, store.default_timeout) == ("flask_cache_", 0.5, 7)
    assert store.location == f"Memcached at 127.0.0.1:{server.port}"


@pytest.mark.parametrize(
    "server, address",
    [
        ("host:1", ("host", 1)),
        ("host", ("host", 11211)),
        ("[::1]:5", ("::1", 5)),
        ("/run/memcached.sock", "/run/memcached.sock"),
        (("host", 2), ("host", 2)),
    ],
)
def test_addresses(server: Any, address: Any) -> None:
    """Servers are named as for the other libraries."""
    assert _address(server) == address


def test_a_client_of_ones_own() -> None:
    """What a client has unpickled by itself is not given to anybody."""
    client = SimpleNamespace(get=lambda key: {"unpickled": True})
    assert MemcachedCache(client).get("a") is None


class Dictionary(dict[str, Any]):
    """A client like pylibmc's, as far as this is used, and its pool: no wheels of it exist for newer Pythons."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()
        self.options = kwargs

    def set(self, key: str, value: Any, time: int = 0) -> bool:
        self[key] = value
        return True

    def set_multi(self, values: dict[str, Any], time: int = 0) -> list[str]:
        self.update(values)
        return []

    def get_multi(self, keys: list[str]) -> dict[str, Any]:
        return {key: self[key] for key in keys if key in self}

    def delete(self, key: str) -> bool:
        return self.pop(key, None) is not None

    def deserialize(self, data: bytes, flag: int) -> Any:
        return data


class Pool:
    """A pool with one client."""

    def __init__(self, client: Any, size: int) -> None:
        self.client = client

    @contextmanager
    def reserve(self, block: bool) -> Iterator[Any]:
        yield self.client


@pytest.fixture
def pylibmc(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Give a stand-in for pylibmc."""
    module = SimpleNamespace(Client=Dictionary, ClientPool=Pool)
    monkeypatch.setattr("quaff.ext.caching.backends.memcache.need", lambda *args: module)
    return module


def test_pylibmc_reads_no_pickle(pylibmc: Any) -> None:
    """What is marked as a pickle is nothing; the rest is as it was."""
    client = pylibmc_client(pylibmc)()
    assert client.deserialize(b"x", 1) is None
    assert client.deserialize(b"x", 0) == b"x"


def test_sasl(pylibmc: Any) -> None:
    """User and password go to pylibmc, in its binary protocol."""
    config = read_settings({"CACHE_MEMCACHED_USERNAME": "me", "CACHE_MEMCACHED_PASSWORD": "secret"}).config
    store = SASLMemcachedCache.factory(None, config, [], {})
    assert store._client.client.options == {"username": "me", "password": "secret", "binary": True}
    assert store.set("a", [1])
    assert store.get("a") == [1]
    assert "secret" not in store.location


def test_spread(pylibmc: Any) -> None:
    """A large value lies under several keys, and a shorter one in its place leaves nothing of it."""
    store = SpreadSASLMemcachedCache(chunksize=10, maxchunk=5)
    assert store.set("key", "x" * 30)
    assert len(store._client.client) == 4
    assert store.get("key") == "x" * 30
    assert store.has("key")
    store.set("key", "y")
    assert store.get("key") == "y"
    with pytest.raises(ValueError, match="less than 5 keys"):
        store.set("key", "x" * 100)
    store.set("whole", "x" * 100, chunk=False)
    assert store.get("whole", chunk=False) == "x" * 100
    assert store.delete("key")
    assert store.get("key") is None
    assert stored_key("whole") in store._client.client


def test_without_pylibmc() -> None:
    """The message says what is missing."""
    with pytest.raises(ImportError, match="Memcached with a password needs 'pylibmc'"):
        SASLMemcachedCache()
