"""Values in Memcached."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from importlib.util import find_spec
from typing import Any, Final

from cachelib import MemcachedCache as CachelibMemcachedCache

from ...._internal.imports import need
from ....stores.breaker import DEADLINE
from ..keys import digest, safe_prefix, stored_key
from ..serializers import SafeSerializer
from .base import BaseCache

_PICKLE_FLAG: Final = 1
"""How pylibmc and python-memcached mark a pickle (`PYLIBMC_FLAG_PICKLE`)."""


class MemcachedCache(BaseCache, CachelibMemcachedCache):
    """Keeps values in Memcached, through pymemcache, or pylibmc where that is all there is.

    SECURITY: values are bytes for the client library, so that it pickles and unpickles nothing; keys are letters, digits and
    punctuation of at most 250 characters, others are hashed (CVE-2020-13254).

    :param servers: a list of `host:port`, or a client with the methods of `pylibmc.Client`.
    :param default_timeout: seconds for which values are kept; 0 is for ever.
    :param key_prefix: stands before each key. `clear` empties the server whatever the prefix.
    :param pool_size: the most connections at once.
    :param pool_blocking: whether to wait when all are in use; only pylibmc.
    :param timeout: seconds for an answer; only pymemcache.
    """

    is_remote = True
    is_shared = True
    serializer: Any = SafeSerializer()

    def __init__(
        self,
        servers: Any = None,
        default_timeout: int = 300,
        key_prefix: str | None = None,
        pool_size: int = 10,
        pool_blocking: bool = True,
        ignore_delete_many_errors: bool = False,
        timeout: float = DEADLINE,
    ) -> None:
        self._timeout = timeout
        self._location = (
            f"Memcached at {', '.join(map(str, servers))}" if isinstance(servers, (list, tuple)) else "Memcached"
        )
        CachelibMemcachedCache.__init__(
            self,
            servers=servers,
            default_timeout=default_timeout,
            key_prefix=key_prefix,
            pool_size=pool_size,
            pool_blocking=pool_blocking,
            ignore_delete_many_errors=ignore_delete_many_errors,
        )

    @classmethod
    def factory(cls, app: Any, config: dict[str, Any], args: list[Any], kwargs: dict[str, Any]) -> Any:
        """Return a store for *app*."""
        given: dict[str, Any] = {
            "key_prefix": config["CACHE_KEY_PREFIX"],
            "timeout": config["CACHE_STORE_TIMEOUT"],
            **kwargs,
        }
        given["servers"] = config["CACHE_MEMCACHED_SERVERS"]
        return cls(*args, **given)

    @property
    def location(self) -> str:
        """The servers."""
        return self._location

    def import_preferred_memcache_lib(
        self, servers: Any, pool_size: int, pool_blocking: bool = True, memcache_client_lib: Any = None
    ) -> tuple[Any, Callable[[], AbstractContextManager[Any]]]:
        """Return a client, and what gives a connection of it."""
        if find_spec("pymemcache") is None and find_spec("pylibmc") is not None:
            pool = need("pylibmc", "memcached", "A cache in Memcached")
            made = pool.ClientPool(pylibmc_client(pool)(servers), pool_size)
            return made, partial(made.reserve, block=pool_blocking)
        base: Any = need("pymemcache.client.base", "memcached", "A cache in Memcached")
        clients = [
            base.PooledClient(
                _address(server),
                max_pool_size=pool_size,
                connect_timeout=self._timeout,
                timeout=self._timeout,
                no_delay=True,
                ignore_exc=False,
                default_noreply=False,
            )
            for server in servers
        ]
        client = clients[0] if len(clients) == 1 else ManyServers(clients)
        return client, partial(nullcontext, client)

    def _normalize_key(self, key: str) -> str:
        return stored_key(key, safe_prefix(self.key_prefix))

    def _dump(self, value: Any) -> bytes:
        dumped: bytes = self.serializer.dumps(value)
        return dumped

    def _load(self, stored: Any) -> Any:
        # A client of the user's own may have unpickled what it found: then the harm is done, but nothing is made of it.
        return self.serializer.loads(stored) if isinstance(stored, bytes) else None

    def get(self, key: str) -> Any:
        """Return the value at *key*, or None."""
        with self._client_context() as client:
            return self._load(client.get(self._normalize_key(key)))

    def get_dict(self, *keys: str) -> dict[str, Any]:
        """Return the values at *keys* by key, None where there is none."""
        names = {key: self._normalize_key(key) for key in keys}
        if not names:
            return {}
        with self._client_context() as client:
            found = client.get_multi(list(names.values()))
        return {key: self._load(found.get(name)) for key, name in names.items()}

    def set(self, key: str, value: Any, timeout: Any = None) -> bool:
        """Store a value; tell whether it was stored: not when it is larger than the server takes, 1 MiB by default."""
        dumped = self._dump(value)
        with self._client_context() as client:
            return bool(client.set(self._normalize_key(key), dumped, self._normalize_timeout(timeout)))

    def set_many(self, mapping: dict[str, Any], timeout: Any = None) -> list[Any]:
        """Store values; return the keys of those that were stored."""
        names = {self._normalize_key(key): key for key in mapping}
        values = {name: self._dump(mapping[key]) for name, key in names.items()}
        with self._client_context() as client:
            failed = set(client.set_multi(values, self._normalize_timeout(timeout)) or ())
        return [key for name, key in names.items() if name not in failed]

    def add(self, key: str, value: Any, timeout: Any = None) -> bool:
        """Store a value unless there is one; tell whether it was stored."""
        dumped = self._dump(value)
        with self._client_context() as client:
            return bool(client.add(self._normalize_key(key), dumped, self._normalize_timeout(timeout)))

    def delete(self, key: str) -> bool:
        """Delete the value at *key*; tell whether there was one."""
        with self._client_context() as client:
            return bool(client.delete(self._normalize_key(key)))

    def delete_many(self, *keys: str) -> list[Any]:
        """Delete values; return the keys that are gone."""
        with self._client_context() as client:
            for key in keys:
                client.delete(self._normalize_key(key))
        return list(keys)

    def has(self, key: str) -> bool:
        """Tell whether there is a value at *key*."""
        with self._client_context() as client:
            return client.get(self._normalize_key(key)) is not None

    def close(self) -> None:
        """Close the connections."""
        close = getattr(self._client, "close", None)
        if close is not None:
            close()

    def inc(self, key: str, delta: int = 1) -> int | None:
        """Add *delta* to the number at *key*; return the new one. Two callers at once may count as one."""
        value = (self.get(key) or 0) + delta
        return value if self.set(key, value) else None

    def dec(self, key: str, delta: int = 1) -> int | None:
        """Take *delta* from the number at *key*; return the new one."""
        return self.inc(key, -delta)


class ManyServers:
    """Clients of several servers: each key belongs to one of them, whatever happens to the others.

    pymemcache's `HashClient` is not used, because it takes servers out of its list while other threads look into it.
    """

    def __init__(self, clients: list[Any]) -> None:
        self._clients = clients

    def _of(self, key: str) -> Any:
        # Rendezvous hashing: one more server takes over its share of the keys, and the others stay where they are.
        return max(self._clients, key=lambda client: digest([str(client.server), key]))

    def _groups(self, keys: Iterable[str]) -> Iterator[tuple[Any, list[str]]]:
        groups: dict[int, list[str]] = {}
        for key in keys:
            groups.setdefault(self._clients.index(self._of(key)), []).append(key)
        return ((self._clients[index], members) for index, members in groups.items())

    def get(self, key: str) -> Any:
        """Return what is stored at *key*."""
        return self._of(key).get(key)

    def get_multi(self, keys: Iterable[str]) -> dict[str, Any]:
        """Return what is stored at *keys*."""
        return {
            key: value for client, members in self._groups(keys) for key, value in client.get_multi(members).items()
        }

    def set(self, key: str, value: bytes, expire: int) -> Any:
        """Store a value."""
        return self._of(key).set(key, value, expire)

    def set_multi(self, values: dict[str, bytes], expire: int) -> list[str]:
        """Store values; return the keys of those that were not stored."""
        failed: list[str] = []
        for client, members in self._groups(values):
            failed += client.set_multi({key: values[key] for key in members}, expire)
        return failed

    def add(self, key: str, value: bytes, expire: int) -> Any:
        """Store a value unless there is one."""
        return self._of(key).add(key, value, expire)

    def delete(self, key: str) -> Any:
        """Delete what is stored at *key*."""
        return self._of(key).delete(key)

    def flush_all(self) -> bool:
        """Empty all servers."""
        emptied = [client.flush_all() for client in self._clients]
        return all(emptied)

    def close(self) -> None:
        """Close the connections."""
        for client in self._clients:
            client.close()


def _address(server: Any) -> Any:
    """Return a server as pymemcache takes it: a pair, or the path of a Unix socket."""
    if not isinstance(server, str) or server.startswith(("/", "unix:")):
        return server
    host, _, port = server.rpartition(":")
    return (host.strip("[]"), int(port)) if host and port.isdecimal() else (server, 11211)


def pylibmc_client(pylibmc: Any) -> type[Any]:
    """Return pylibmc's client class without its unpickling."""

    class Client(pylibmc.Client):  # type: ignore[misc]  # an optional package without types
        """Gives what it finds, and nothing for what is marked as a pickle."""

        def deserialize(self, bytestring: bytes, flag: int) -> Any:
            """Return a value as it is stored."""
            return None if flag & _PICKLE_FLAG else super().deserialize(bytestring, flag)

    return Client


class SASLMemcachedCache(MemcachedCache):
    """Keeps values in Memcached with user name and password (SASL), which only pylibmc speaks.

    :param servers: a list of `host:port`.
    :param kwargs: for `pylibmc.Client`.
    """

    def __init__(
        self,
        servers: Any = None,
        default_timeout: int = 300,
        key_prefix: str | None = None,
        username: str | None = None,
        password: str | None = None,
        pool_size: int = 1,
        pool_blocking: bool = True,
        ignore_delete_many_errors: bool = False,
        **kwargs: Any,
    ) -> None:
        BaseCache.__init__(self, default_timeout, ignore_delete_many_errors)
        servers = servers or ["127.0.0.1:11211"]
        pylibmc = need("pylibmc", "memcached", "Memcached with a password")
        client = pylibmc_client(pylibmc)(servers, username=username, password=password, binary=True, **kwargs)
        pool = pylibmc.ClientPool(client, pool_size)
        self._client = pool
        self._client_context = partial(pool.reserve, block=pool_blocking)
        self._location = f"Memcached at {', '.join(map(str, servers))}"
        self.key_prefix = key_prefix

    @classmethod
    def factory(cls, app: Any, config: dict[str, Any], args: list[Any], kwargs: dict[str, Any]) -> Any:
        """Return a store for *app*."""
        return cls(
            *args,
            **{
                "servers": config["CACHE_MEMCACHED_SERVERS"],
                "username": config["CACHE_MEMCACHED_USERNAME"],
                "password": config["CACHE_MEMCACHED_PASSWORD"],
                "key_prefix": config["CACHE_KEY_PREFIX"],
                **kwargs,
            },
        )


class SpreadSASLMemcachedCache(SASLMemcachedCache):
    """As above, with values larger than the server takes spread over several keys.

    :param chunksize: bytes under one key.
    :param maxchunk: the most keys for one value; a larger one raises `ValueError`.
    """

    def __init__(self, *args: Any, chunksize: int = 1048448, maxchunk: int = 32, **kwargs: Any) -> None:
        self.chunksize = chunksize
        self.maxchunk = maxchunk
        super().__init__(*args, **kwargs)

    def _names(self, key: str) -> list[str]:
        return [self._normalize_key(f"{key}.{index}") for index in range(self.maxchunk)]

    def get(self, key: str, chunk: bool = True) -> Any:
        """Return the value at *key*, or None.

        :param chunk: whether it is spread.
        """
        if not chunk:
            return super().get(key)
        names = self._names(key)
        with self._client_context() as client:
            found = client.get_multi(names)
        parts = [found[name] for name in names if isinstance(found.get(name), bytes)]
        return self._load(b"".join(parts)) if parts else None

    def set(self, key: str, value: Any, timeout: Any = None, chunk: bool = True) -> bool:
        """Store a value.

        :param chunk: whether it is spread.
        """
        if not chunk:
            return super().set(key, value, timeout)
        dumped = self._dump(value)
        parts = [dumped[start : start + self.chunksize] for start in range(0, len(dumped), self.chunksize)]
        if len(parts) > self.maxchunk:
            raise ValueError(f"Cannot store value in less than {self.maxchunk} keys")
        names = self._names(key)
        with self._client_context() as client:
            for name in names[len(parts) :]:
                client.delete(name)
            return not client.set_multi(dict(zip(names, parts, strict=False)), self._normalize_timeout(timeout))

    def has(self, key: str) -> bool:
        """Tell whether there is a value at *key*."""
        return super().has(f"{key}.0") or super().has(key)

    def delete(self, key: str) -> bool:
        """Delete the value at *key*."""
        with self._client_context() as client:
            deleted = [client.delete(name) for name in (*self._names(key), self._normalize_key(key))]
        return any(deleted)
