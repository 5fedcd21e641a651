"""The storage that a URI names."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from limits.errors import ConfigurationError
from limits.storage import MemcachedStorage, RedisStorage, Storage

from quaff.ext.limiter.memory import MemoryStorage
from quaff.ext.limiter.storage import build_storage, family_of, is_remote, safe_name, shared_path
from quaff.stores.shared_counters import SharedCounters


def build(uri: str | None, options: dict[str, Any] | None = None, timeout: float = 0.1, max_keys: int = 50) -> Storage:
    """Build a storage for a limiter called `test`."""
    return build_storage(uri, options or {}, name="test", timeout=timeout, max_keys=max_keys)


@pytest.mark.parametrize(
    "uri, family",
    [
        ("memory://", "memory"),
        ("shared://", "shared"),
        ("redis://localhost", "redis"),
        ("rediss://localhost", "redis"),
        ("redis+sentinel://localhost:26379/main", "redis"),
        ("redis+unix:///run/redis.sock", "redis"),
        ("valkeys+cluster://localhost:6379", "valkey"),
        ("memcached://localhost:11211", "memcached"),
        ("mongodb+srv://localhost", "mongodb"),
        ("own://", "own"),
    ],
)
def test_families(uri: str, family: str) -> None:
    """The first word of a scheme says what kind of store it is, with TLS or without."""
    assert family_of(uri) == family
    assert is_remote(uri) == (family not in {"memory", "shared"})


def test_nothing_is_memory() -> None:
    """Without a URI counts are kept in memory."""
    assert not is_remote(None)
    assert not is_remote("")
    assert type(build(None)) is MemoryStorage


@pytest.mark.parametrize(
    "uri, name",
    [
        ("redis://admin:secret@store:6379/1", "redis://store:6379/1"),
        ("redis://:secret@store", "redis://store"),
        ("redis://store/0?password=secret&username=admin", "redis://store/0"),
        ("redis://a:secr@et@store", "redis://store"),
        ("memory://", "memory://"),
    ],
)
def test_names_hold_no_secrets(uri: str, name: str) -> None:
    """SECURITY: the name of a store in logs and messages holds no user, password or query."""
    assert safe_name(uri) == name


@pytest.mark.parametrize("options, size", [({}, 50), ({"max_keys": 7}, 7)])
def test_memory(options: dict[str, Any], size: int) -> None:
    """Memory is bounded by the config, or by the storage's own option."""
    storage = build("memory://", options)
    assert isinstance(storage, MemoryStorage)
    assert storage.max_keys == size


# Shared ------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the folder that a server with several workers names."""
    tmp_path.chmod(0o700)
    monkeypatch.setenv("QUAFF_SHARED_DIR", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("uri", [None, "", "memory://", "shared://"])
def test_workers_share(uri: str | None, folder: Path) -> None:
    """Under a server with several workers, memory is shared by them."""
    storage = build(uri, {"max_keys": 7})
    assert isinstance(storage, SharedCounters)
    assert Path(str(shared_path(uri, "test"))).parent == folder
    storage.incr("key", 60)
    other = build(uri)
    assert other.get("key") == 1


def test_limiters_do_not_share_with_each_other(folder: Path) -> None:
    """As in memory, two limiters know nothing of each other; their names, whatever is in them, are no paths."""
    paths = {shared_path(None, name) for name in ("app\n1", "app\n2", "../../etc/passwd", "")}
    assert len(paths) == 4
    assert all(Path(str(path)).parent == folder for path in paths)


def test_a_file_that_is_named(tmp_path: Path) -> None:
    """`shared:///path` names the file itself, with a server that sets a folder or without."""
    tmp_path.chmod(0o700)
    path = tmp_path / "limits"
    assert shared_path(f"shared://{path}", "test") == str(path)
    assert isinstance(build(f"shared://{path}", {"slots": 64}), SharedCounters)
    assert path.exists()


def test_shared_without_a_folder() -> None:
    """`shared://` alone needs a server that sets a folder; the message says which, and what else to write."""
    with pytest.raises(ConfigurationError, match="QUAFF_SHARED_DIR") as caught:
        build("shared://")
    assert "shared:///" in str(caught.value)


@pytest.mark.parametrize("uri", ["redis://localhost", "memcached://localhost:1", "own://"])
def test_a_store_is_not_shared_memory(uri: str, folder: Path) -> None:
    """A store that is named is used under such a server too."""
    assert shared_path(uri, "test") is None


# Over the network --------------------------------------------------------------------------------------------------------


def test_redis_gives_up_in_time() -> None:
    """SECURITY: connecting and asking get half of the time each, and nothing is tried twice."""
    storage = build("redis://127.0.0.1:1", timeout=0.1)
    assert isinstance(storage, RedisStorage)
    options = storage.storage.connection_pool.connection_kwargs
    assert (options["socket_timeout"], options["socket_connect_timeout"]) == (0.05, 0.05)
    assert options["retry"]._retries == 0


def test_options_of_the_user_win() -> None:
    """What the storage options say is used as it is."""
    storage = build("redis://127.0.0.1:1", {"socket_timeout": 3, "key_prefix": "mine"})
    assert isinstance(storage, RedisStorage)
    options = storage.storage.connection_pool.connection_kwargs
    assert (options["socket_timeout"], options["socket_connect_timeout"]) == (3, 0.05)
    assert storage.key_prefix == "mine"


def test_memcached_gives_up_in_time() -> None:
    """SECURITY: so it is with Memcached."""
    storage = build("memcached://127.0.0.1:1", timeout=0.5)
    assert isinstance(storage, MemcachedStorage)
    assert storage.options == {"timeout": 0.25, "connect_timeout": 0.25}


@pytest.mark.parametrize("uri", ["fubar://localhost:1234", "async+redis://localhost:6379", "redis-typo://localhost"])
def test_unknown_schemes(uri: str) -> None:
    """A scheme that there is not is refused, and some that there are are named."""
    with pytest.raises(ConfigurationError, match="unknown storage scheme : ") as caught:
        build(uri)
    assert "redis+sentinel" in str(caught.value)
    assert "shared" in str(caught.value)


def test_no_secret_in_the_message() -> None:
    """SECURITY: the message about an unknown scheme does not tell the password."""
    with pytest.raises(ConfigurationError) as caught:
        build("rediz://admin:secret@store:6379")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "uri, module, extra",
    [
        ("redis://localhost", "redis", "quaff[redis]"),
        ("valkey://localhost", "valkey", "quaff[redis]"),
        ("memcached://localhost:1", "pymemcache", "quaff[memcached]"),
    ],
)
def test_a_package_that_is_missing(uri: str, module: str, extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the package for a store is missing, the message names the extra that brings it."""
    for name in [name for name in sys.modules if name.partition(".")[0] == module]:
        monkeypatch.delitem(sys.modules, name)
    finders = list(sys.meta_path)

    class Missing:
        """Finds nothing of that name."""

        @staticmethod
        def find_spec(name: str, *_: object) -> None:
            if name.partition(".")[0] == module:
                raise ModuleNotFoundError(f"No module named {module!r}", name=module)

    monkeypatch.setattr(sys, "meta_path", [Missing, *finders])
    with pytest.raises(ImportError) as caught:
        build(uri)
    assert extra in str(caught.value)


class OwnStorage(MemoryStorage):
    """A storage that an app registers."""

    STORAGE_SCHEME = ["own-of-the-tests"]


def test_a_storage_of_the_app() -> None:
    """A storage that the app itself registers with `limits` is found, and gets its options only."""
    storage = build("own-of-the-tests://", {"max_keys": 3})
    assert isinstance(storage, OwnStorage)
    assert storage.max_keys == 3
