"""Functions that say whom a request counts for."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from ipaddress import IPv6Address, ip_network
from typing import Any, Final

from ...globals import request

NO_ADDRESS: Final = "127.0.0.1"
"""The address of a client that has none: of a server that listens on a Unix socket."""


def get_remote_address(ipv6_prefix: int | None = None) -> str:
    """Return the address of the client of the current request, or `127.0.0.1` when there is none.

    Headers such as `X-Forwarded-For` are never looked at: behind a proxy, `TRUSTED_PROXIES` or Werkzeug's `ProxyFix` put
    the client's address where it is read here.

    :param ipv6_prefix: count an IPv6 address by its network: with 64, `2001:db8:0:1::7` counts as `2001:db8:0:1::/64`. A
        home or a rented server has a whole /64, and can send each request from another address of it. For a
        limiter: `functools.partial(get_remote_address, ipv6_prefix=64)`, or the config key `RATELIMIT_IPV6_PREFIX`.
    """
    address = request.remote_addr or NO_ADDRESS
    return address if ipv6_prefix is None else network_of(address, ipv6_prefix)


@lru_cache(maxsize=4096)
def network_of(address: str, ipv6_prefix: int) -> str:
    """Return the network that an IPv6 *address* lies in, `2001:db8::/64`; other addresses as they are.

    An IPv4 address in IPv6 clothes, `::ffff:192.0.2.7`, is the IPv4 address.
    """
    if ":" not in address:
        return address
    try:
        parsed = IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ip_network((parsed, ipv6_prefix), strict=False))


def qualified_name(function: Callable[..., Any]) -> str:
    """Return the name of a function for logs and for telling functions apart."""
    name = getattr(function, "__name__", type(function).__name__)
    return f"{function.__module__}.{name}.{getattr(function, '__qualname__', name)}"


get_qualified_name = qualified_name
"""COMPAT: the extension's name of `qualified_name`."""
