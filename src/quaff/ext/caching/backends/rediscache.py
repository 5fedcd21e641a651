"""Values in Redis, or what speaks its protocol, such as Valkey: one server, a group under sentinels, or a cluster."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from cachelib import RedisCache as CachelibRedisCache

from ...._internal.imports import need
from ..keys import stored_key
from ..serializers import SafeRedisSerializer
from .base import BaseCache

_OWN_OPTIONS: Final = frozenset({"default_timeout", "ignore_delete_many_errors", "key_prefix", "check_connection"})
_GLOB: Final = re.compile(r"([*?\[\]\\^-])")


def _load(module: str) -> Any:  # Any: an optional package
    try:
        return need(module, "redis", "A cache in Redis")
    except ImportError as error:
        raise RuntimeError(f"no {module} module found. {error}") from error


def client_options(config: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return options for a client that gives up in time: `CACHE_STORE_TIMEOUT` for each wait, and no second try.

    What `CACHE_OPTIONS` says counts more.
    """
    timeout = config["CACHE_STORE_TIMEOUT"]
    retry = _load("redis.retry").Retry(_load("redis.backoff").NoBackoff(), 0)
    return {"socket_timeout": timeout, "socket_connect_timeout": timeout, "retry": retry, **given}


class RedisCache(BaseCache, CachelibRedisCache):
    """Keeps values in Redis.

    SECURITY: as plain data, not as pickles: who can write to the server cannot run code here (CVE-2021-33026).

    :param host: the server's name, or a client with the methods of `redis.Redis`.
    :param port: the server's port.
    :param password: for the server.
    :param db: the number of the database.
    :param default_timeout: seconds for which values are kept; 0 is for ever.
    :param key_prefix: stands before each key; `clear` deletes what begins with it, or all without one.
    :param kwargs: for `redis.Redis`.
    """

    is_remote = True
    is_shared = True
    serializer: Any = SafeRedisSerializer()

    def __init__(
        self,
        host: Any = "localhost",
        port: int = 6379,
        password: str | None = None,
        db: int = 0,
        default_timeout: int = 300,
        key_prefix: Any = None,
        ignore_delete_many_errors: bool = False,
        **kwargs: Any,
    ) -> None:
        self._location = f"redis://{host}:{port}/{db}" if isinstance(host, str) else "Redis"
        CachelibRedisCache.__init__(
            self,
            host=host,
            port=port,
            password=password,
            db=db,
            default_timeout=default_timeout,
            key_prefix=key_prefix,
            ignore_delete_many_errors=ignore_delete_many_errors,
            **kwargs,
        )

    @classmethod
    def factory(cls, app: Any, config: dict[str, Any], args: list[Any], kwargs: dict[str, Any]) -> Any:
        """Return a store for *app*, at `CACHE_REDIS_URL` or at host, port and database."""
        redis = _load("redis")
        own: dict[str, Any] = {"key_prefix": config["CACHE_KEY_PREFIX"] or None}
        own.update({name: kwargs[name] for name in _OWN_OPTIONS if name in kwargs})
        options = client_options(config, {name: value for name, value in kwargs.items() if name not in _OWN_OPTIONS})
        host, port, db = config["CACHE_REDIS_HOST"], config["CACHE_REDIS_PORT"], config["CACHE_REDIS_DB"]
        url = config["CACHE_REDIS_URL"]
        if not url:
            if config["CACHE_REDIS_PASSWORD"]:
                options["password"] = config["CACHE_REDIS_PASSWORD"]
            if not isinstance(host, str):
                # COMPAT: a client may stand in the place of the host.
                options = {}
            return cls(*args, **{"host": host, "port": port, "db": db, **options, **own})
        own["host"] = redis.from_url(url, db=db, **options)
        made = cls(*args, **own)
        parts = urlsplit(url)
        made._location = f"{parts.scheme}://{parts.hostname or ''}{f':{parts.port}' if parts.port else ''}{parts.path}"
        return made

    @property
    def location(self) -> str:
        """The address, without user and password."""
        return self._location

    def get(self, key: str) -> Any:
        """Return the value at *key*, or None."""
        return CachelibRedisCache.get(self, stored_key(key))

    def get_many(self, *keys: str) -> list[Any]:
        """Return the values at *keys*, None where there is none."""
        return CachelibRedisCache.get_many(self, *map(stored_key, keys)) if keys else []

    def has(self, key: str) -> bool:
        """Tell whether there is a value at *key*."""
        return CachelibRedisCache.has(self, stored_key(key))

    def set(self, key: str, value: Any, timeout: Any = None) -> Any:
        """Store a value."""
        return CachelibRedisCache.set(self, stored_key(key), value, timeout)

    def set_many(self, mapping: dict[str, Any], timeout: Any = None) -> list[Any]:
        """Store values; return the keys of those that were stored."""
        by_stored = {stored_key(key): key for key in mapping}
        stored = CachelibRedisCache.set_many(self, {name: mapping[key] for name, key in by_stored.items()}, timeout)
        return [by_stored[name] for name in stored]

    def add(self, key: str, value: Any, timeout: Any = None) -> Any:
        """Store a value unless there is one; tell whether it was stored."""
        seconds = self._normalize_timeout(timeout)
        # In one command: cachelib's two leave a value for ever when the process dies between them.
        name = f"{self._get_prefix()}{stored_key(key)}"
        ex = seconds if seconds != -1 else None
        return bool(self._write_client.set(name=name, value=self.serializer.dumps(value), ex=ex, nx=True))

    def delete(self, key: str) -> bool:
        """Delete the value at *key*."""
        return CachelibRedisCache.delete(self, stored_key(key))

    def delete_many(self, *keys: str) -> list[Any]:
        """Delete values; return the keys that are gone."""
        if not keys:
            return []
        # Not cachelib's, which asks the server once more for each key.
        self._delete([f"{self._get_prefix()}{stored_key(key)}" for key in keys])
        return list(keys)

    def _delete(self, names: list[str]) -> None:
        self._write_client.delete(*names)

    def unlink(self, *keys: str) -> Any:
        """Delete values in the background of the server: for large ones."""
        if not keys:
            return None
        return self._write_client.unlink(*[f"{self._get_prefix()}{stored_key(key)}" for key in keys])

    def inc(self, key: str, delta: int = 1) -> Any:
        """Add *delta* to the number at *key*, in one step; return the new one."""
        return CachelibRedisCache.inc(self, stored_key(key), delta)

    def dec(self, key: str, delta: int = 1) -> Any:
        """Take *delta* from the number at *key*, in one step; return the new one."""
        return CachelibRedisCache.dec(self, stored_key(key), delta)

    def close(self) -> None:
        """Close the connections of both clients."""
        for client in {id(client): client for client in (self._read_client, self._write_client)}.values():
            client.close()

    def clear(self) -> bool:
        """Delete all values with the prefix, or everything in the database without one; tell whether there were any."""
        prefix = self._get_prefix()
        if not prefix:
            return bool(self._write_client.flushdb())
        # SCAN, because KEYS stops the server for as long as it takes; the prefix is a text, not a pattern.
        pattern = _GLOB.sub(r"\\\1", prefix) + "*"
        found = list(self._write_client.scan_iter(match=pattern, count=1000))
        for start in range(0, len(found), 1000):
            self._delete(found[start : start + 1000])
        return bool(found)


class RedisSentinelCache(RedisCache):
    """Keeps values in the Redis server that sentinels call the master, and reads them from its replicas.

    :param sentinels: pairs of host and port.
    :param master: the name of the group.
    :param kwargs: for `redis.sentinel.Sentinel`; those that begin with `sentinel_` are for the sentinels themselves.
    """

    def __init__(
        self,
        sentinels: Any = None,
        master: str = "mymaster",
        password: str | None = None,
        db: int = 0,
        default_timeout: int = 300,
        key_prefix: str = "",
        ignore_delete_many_errors: bool = False,
        **kwargs: Any,
    ) -> None:
        _refuse_decoded(kwargs)
        sentinel = _load("redis.sentinel").Sentinel(
            sentinels=sentinels or [("127.0.0.1", 26379)],
            password=password,
            db=db,
            sentinel_kwargs={
                name.removeprefix("sentinel_"): value for name, value in kwargs.items() if name.startswith("sentinel_")
            },
            **{name: value for name, value in kwargs.items() if not name.startswith("sentinel_")},
        )
        super().__init__(
            host=sentinel.master_for(master),
            key_prefix=key_prefix,
            default_timeout=default_timeout,
            ignore_delete_many_errors=ignore_delete_many_errors,
        )
        self._read_client = sentinel.slave_for(master)
        self._location = f"Redis master {master!r}"

    @classmethod
    def factory(cls, app: Any, config: dict[str, Any], args: list[Any], kwargs: dict[str, Any]) -> Any:
        """Return a store for *app*."""
        options = client_options(config, kwargs)
        timeout = config["CACHE_STORE_TIMEOUT"]
        return cls(
            *args,
            **{
                "sentinels": config["CACHE_REDIS_SENTINELS"],
                "master": config["CACHE_REDIS_SENTINEL_MASTER"],
                "password": config["CACHE_REDIS_PASSWORD"],
                "sentinel_password": config["CACHE_REDIS_SENTINEL_PASSWORD"],
                "sentinel_socket_timeout": timeout,
                "sentinel_socket_connect_timeout": timeout,
                "key_prefix": config["CACHE_KEY_PREFIX"],
                "db": config["CACHE_REDIS_DB"],
                **options,
            },
        )


class RedisClusterCache(RedisCache):
    """Keeps values in a Redis cluster.

    :param cluster: `host1:port1,host2:port2`, or give `redis_url`.
    :param kwargs: for `redis.RedisCluster`.
    """

    def __init__(
        self,
        cluster: Any = "",
        password: str = "",
        default_timeout: int = 300,
        key_prefix: str = "",
        ignore_delete_many_errors: bool = False,
        **kwargs: Any,
    ) -> None:
        _refuse_decoded(kwargs)
        redis = _load("redis")
        url = kwargs.pop("redis_url", None)
        if url:
            client = redis.RedisCluster.from_url(url, **kwargs)
        else:
            nodes = [_load("redis.cluster").ClusterNode(host, port) for host, port in cluster_nodes(cluster)]
            # Clusters at some hosts have no CONFIG command, which the check needs.
            kwargs.setdefault("require_full_coverage", False)
            kwargs.pop("skip_full_coverage_check", None)
            client = redis.RedisCluster(startup_nodes=nodes, password=password or None, **kwargs)
        super().__init__(
            host=client,
            key_prefix=key_prefix,
            default_timeout=default_timeout,
            ignore_delete_many_errors=ignore_delete_many_errors,
        )
        self._location = f"Redis cluster {cluster}".rstrip()

    @classmethod
    def factory(cls, app: Any, config: dict[str, Any], args: list[Any], kwargs: dict[str, Any]) -> Any:
        """Return a store for *app*."""
        timeout = config["CACHE_STORE_TIMEOUT"]
        return cls(
            *args,
            **{
                "cluster": config["CACHE_REDIS_CLUSTER"],
                "password": config["CACHE_REDIS_PASSWORD"],
                "key_prefix": config["CACHE_KEY_PREFIX"],
                "redis_url": config["CACHE_REDIS_URL"],
                "socket_timeout": timeout,
                "socket_connect_timeout": timeout,
                **kwargs,
            },
        )

    def _delete(self, names: list[str]) -> None:
        # Each key may be on a node of its own.
        for name in names:
            self._write_client.delete(name)


def cluster_nodes(text: str) -> list[tuple[str, int]]:
    """Return the nodes in `host1:port1,host2:port2`.

    :raises ValueError: when it is something else.
    """
    nodes = []
    for node in text.split(","):
        host, _, port = node.strip().rpartition(":")
        if not host or not port.isdecimal():
            raise ValueError(
                f"Please give the correct cluster argument e.g. host1:port1,host2:port2,host3:port3, not {text!r}"
            )
        nodes.append((host, int(port)))
    return nodes


def _refuse_decoded(options: dict[str, Any]) -> None:
    if options.get("decode_responses"):
        raise ValueError("decode_responses is not supported by RedisCache.")
