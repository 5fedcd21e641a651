"""Where is counted: the storage that a URI names, with a deadline if it is over the network."""

from __future__ import annotations

import hashlib
from functools import partial
from typing import Any, Final
from urllib.parse import urlsplit

from limits.errors import ConfigurationError
from limits.storage import Storage, storage_from_string

from ..._internal.imports import need
from ...stores.shared_dir import VARIABLE, shared_dir
from .memory import MemoryStorage

SHARED_FILE: Final = "rate-limits"

_PACKAGES: Final = {
    "redis": ("redis", "redis"),
    "valkey": ("valkey", "redis"),
    "memcached": ("pymemcache", "memcached"),
}
"""First word of a scheme -> the module that it needs, and the extra that brings it."""


SCHEMES: Final = (
    "memory",
    "shared",
    "redis",
    "rediss",
    "redis+unix",
    "redis+sentinel",
    "redis+cluster",
    "valkey",
    "memcached",
)
"""For a message; `limits` knows some more, and an app may register its own."""


def family_of(uri: str) -> str:
    """Return what kind of store a URI names: `rediss+cluster://...` is `redis`.

    >>> family_of("redis+sentinel://localhost:26379"), family_of("valkeys://localhost"), family_of("memory://")
    ('redis', 'valkey', 'memory')
    """
    word = urlsplit(uri).scheme.partition("+")[0]
    return {"rediss": "redis", "valkeys": "valkey"}.get(word, word)


def safe_name(uri: str) -> str:
    """Return a URI for logs and messages: without user, password and query.

    >>> safe_name("redis://admin:secret@store:6379/1?password=secret")
    'redis://store:6379/1'
    """
    parts = urlsplit(uri)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def is_remote(uri: str | None) -> bool:
    """Tell whether counting there may have to wait for another machine or process."""
    return bool(uri) and family_of(str(uri)) not in {"memory", "shared"}


def shared_path(uri: str | None, name: str) -> str | None:
    """Return the file in which the processes of this machine count together, or None when each counts for itself.

    `shared:///path` names it. For `shared://`, and for `memory://` under a server with several workers, it is in the folder
    that the server names, one for each limiter: as with memory, limiters know nothing of each other.

    :param name: of the limiter, the same in all processes.
    :raises ConfigurationError: for `shared://` where no server names a folder.
    """
    family = "memory" if not uri else family_of(uri)
    if family not in {"memory", "shared"}:
        return None
    path = urlsplit(str(uri)).path if family == "shared" else ""
    if path:
        return path
    folder = shared_dir()
    if folder is not None:
        return str(folder / f"{SHARED_FILE}-{hashlib.sha256(name.encode()).hexdigest()[:16]}")
    if family == "shared":
        raise ConfigurationError(
            f"'shared://' needs a folder, and {VARIABLE} names none: 'quaff serve' sets it when it has several workers."
            " Under another server, name a file: 'shared:///run/myapp/rate-limits'."
        )
    return None


def build_storage(uri: str | None, options: dict[str, Any], *, name: str, timeout: float, max_keys: int) -> Storage:
    """Return the storage that *uri* names.

    :param name: of the limiter; see `shared_path`.
    :param options: for the storage; what is set here is not set by Quaff.
    :param timeout: seconds that a request may wait.
    :raises ConfigurationError: for a scheme that there is not, or options that do not fit.
    :raises ImportError: when the package for the store is missing; the message names the extra.
    """
    path = shared_path(uri, name)
    if path is not None:
        from ...stores.shared_counters import SharedCounters

        # How many keys there is room for is set when the file is made.
        return SharedCounters(path, **{key: value for key, value in options.items() if key != "max_keys"})
    if not uri or family_of(uri) == "memory":
        return MemoryStorage(uri, **{"max_keys": max_keys, **options})
    family = family_of(uri)
    if family in _PACKAGES:
        need(*_PACKAGES[family], f"Counting rate limits in {safe_name(uri)}")
    unknown = f"unknown storage scheme : {safe_name(uri)}. Among those that there are: {', '.join(SCHEMES)}."
    if family.startswith("async"):
        raise ConfigurationError(unknown)
    try:
        storage: Any = storage_from_string(uri, **{**_deadline_options(family, timeout), **options})
    except ConfigurationError as error:
        raise ConfigurationError(unknown if "unknown storage scheme" in str(error) else str(error)) from None
    return storage  # type: ignore[no-any-return]  # schemes of asynchronous ones were refused


def _deadline_options(family: str, timeout: float) -> dict[str, Any]:
    """Return the options with which a client gives up in time.

    A request may have to connect first and then to ask, so each of both gets a half.
    """
    half = timeout / 2
    if family in {"redis", "valkey"}:
        # Trying again is up to the breaker; redis 6 and later would do it three times with pauses.
        return {"socket_timeout": half, "socket_connect_timeout": half, "retry": _no_retry(family)}
    if family == "memcached":
        return {"timeout": half, "connect_timeout": half}
    if family == "mongodb":
        milliseconds = max(1, int(half * 1000))
        names = ("serverSelectionTimeoutMS", "connectTimeoutMS", "socketTimeoutMS")
        return dict.fromkeys(names, milliseconds)
    return {}


def _no_retry(family: str) -> Any:
    module = partial(need, extra="redis", purpose="Counting rate limits")
    backoff, retry = module(f"{family}.backoff"), module(f"{family}.retry")
    return retry.Retry(backoff.NoBackoff(), 0)
