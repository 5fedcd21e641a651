"""Checks: limits made ready for one route and method, so that a request only has to say whom it counts for."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Final, NamedTuple

from .rules import RuntimeLimit
from .settings import Settings
from .util import NO_ADDRESS, get_remote_address, network_of

LONGEST_KEY: Final = 200
"""Characters of a key that are kept as they are."""


def compact(text: object, *, strict: bool) -> str:
    """Return what a request is counted by as text that every store takes.

    SECURITY: keys often come from the request. One that a store refuses would count as a failure of the store, and long
    ones fill its memory; such a key is replaced by its hash.

    :param strict: also replace what Memcached does not take: spaces, and characters beyond ASCII.
    """
    if isinstance(text, bytes):
        text = text.decode("latin-1")
    key = text if isinstance(text, str) else str(text)
    if len(key) <= LONGEST_KEY and key.isascii() and (not strict or (key.isprintable() and " " not in key)):
        return key
    data = key.encode("utf-8", "surrogatepass")
    is_encodable = strict is False and len(key) <= LONGEST_KEY and not any("\ud800" <= c <= "\udfff" for c in key)
    return key if is_encodable else f"sha256-{hashlib.sha256(data).hexdigest()}"


class Place(NamedTuple):
    """Where a limit is looked at."""

    endpoint: str | None
    """What identifies the requests there; None when that is known only with the request."""

    method: str
    strict: bool
    """Whether the store takes few characters in keys; see `compact`."""

    has_plain_address: bool
    """Whether the app's requests have the address of the WSGI environ."""


class Check:
    """A limit at one route and method."""

    __slots__ = (
        "cost",
        "has_plain_address",
        "head",
        "ipv6_prefix",
        "item",
        "limit",
        "metas",
        "reads_address",
        "scope",
        "start",
        "strict",
        "tail",
    )

    def __init__(self, limit: RuntimeLimit, settings: Settings, place: Place) -> None:
        scope = (
            None if callable(limit.scope) or place.endpoint is None else limit.scope_for(place.endpoint, place.method)
        )
        self.limit = limit
        self.item = limit.limit
        self.cost = limit.cost if isinstance(limit.cost, int) else None
        self.reads_address = reads_address(limit.key_func)
        self.ipv6_prefix = ipv6_prefix_of(limit.key_func, settings)
        self.strict = place.strict
        self.scope = scope
        self.metas = tuple(Check(meta, settings, place) for meta in limit.meta_limits or ())
        self.has_plain_address = place.has_plain_address
        self.head = settings.key_prefix
        self.start = f"{self.item.namespace}/{self.head}/" if self.head else f"{self.item.namespace}/"
        # PERF: what `limit.key_for` would put behind the caller's key, for each request anew.
        self.tail = None if scope is None else self.tail_of(scope)

    def tail_of(self, scope: str) -> str:
        """Return the end of the key for a scope."""
        item = self.item
        return f"/{scope}/{item.amount}/{item.multiples}/{item.GRANULARITY.name}"

    def args_of(self, key: str, scope: str) -> tuple[str, ...]:
        """Return whom and what is counted, as the strategies of `limits` take it."""
        return (self.head, key, scope) if self.head else (key, scope)

    def full_key(self, key: str, scope: str) -> str:
        """Return the same key that the strategies of `limits` make of `args_of`."""
        return f"{self.start}{key}{self.tail or self.tail_of(scope)}"


def reads_address(key_func: Callable[..., Any]) -> bool:
    """Tell whether a key function is `get_remote_address`, so that a request need not be asked through proxies."""
    return key_func is get_remote_address or (
        isinstance(key_func, partial)
        and key_func.func is get_remote_address
        and not key_func.args
        and set(key_func.keywords) <= {"ipv6_prefix"}
    )


def ipv6_prefix_of(key_func: Callable[..., Any], settings: Settings) -> int | None:
    """Return the prefix that a key function was made with, or else the app's."""
    if isinstance(key_func, partial):
        return key_func.keywords.get("ipv6_prefix", settings.ipv6_prefix)
    return settings.ipv6_prefix


def address_key(check: Check, address: str) -> str:
    """Return what an address counts as."""
    if check.ipv6_prefix is not None and ":" in address:
        address = network_of(address, check.ipv6_prefix)
    return address if address.isascii() and len(address) <= LONGEST_KEY else compact(address, strict=True)


def caller_of(check: Check, context: Any) -> str:
    """Return for whom a request counts; an empty text for nobody."""
    if not check.reads_address:
        key = check.limit.key_func()
        return compact(key, strict=check.strict) if key else ""
    # PERF: without making a request object, unless the app's own class says otherwise.
    if check.has_plain_address:
        address = context.environ.get("REMOTE_ADDR") or NO_ADDRESS
    else:
        address = context.request.remote_addr or NO_ADDRESS
    return address_key(check, address)


def is_early(limits: Iterable[RuntimeLimit]) -> bool:
    """Tell whether nothing of the user's own is called before a limit is broken.

    Such limits can be counted before anything else is done for the request.
    """
    return all(
        reads_address(limit.key_func)
        and limit.exempt_when is None
        and limit.on_breach is None
        and not callable(limit.cost)
        and not callable(limit.scope)
        and not callable(limit.error_message)
        for limit in limits
    )
