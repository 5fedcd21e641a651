"""Whom to believe about the client: `TRUSTED_PROXIES`, and what follows from it for a request.

::

    app.config["TRUSTED_PROXIES"] = 1  # one proxy in front, whatever its address
    app.config["TRUSTED_PROXIES"] = ["10.0.0.0/8", "loopback"]  # all proxies with these addresses

A `Trust` is made of the configuration once; `Trust.correct` brings a WSGI environ in line with what the trusted proxies
say, before anything else looks at it. So routing, URLs, every battery and the log see one client address, one scheme and
one host. Read first: `docs/proxies.md`, `tests/test_proxies.py`.
"""

from __future__ import annotations

import ipaddress
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import lru_cache
from typing import Any, Final

from ._internal.codegen import build_function
from .errors import SetupError
from .forwarded import (
    HEADERS,
    IPAddress,
    MalformedForwarded,
    canonical_node,
    parse_forwarded,
    parse_list,
    parse_node,
    plain_address,
)
from .hosts import judge_host, judge_port, judge_prefix

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

DEFAULT_HEADERS: Final = ("X-Forwarded-For", "X-Forwarded-Proto")
"""What is believed unless `TRUSTED_PROXY_HEADERS` says otherwise.

SECURITY: nearly every proxy sets these two; many pass on a client's X-Forwarded-Host, -Port and -Prefix untouched.
"""

_WORDS: Final = {
    "loopback": ("127.0.0.0/8", "::1/128"),
    "private": ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "127.0.0.0/8", "::1/128"),
    "linklocal": ("169.254.0.0/16", "fe80::/10"),
}
"""Words for networks."""

UNIX: Final = "unix"
"""The word for whoever connects to a Unix socket, and so has no address."""

_CACHED: Final = 1024
"""How many corrections are remembered. SECURITY: bounded, in number and size, for clients choose the headers."""

_CACHED_LENGTH: Final = 512

_CACHED_PEER: Final = 64

CORRECTED: Final = "quaff.proxy"
"""The environ key of the `Correction` that was applied; its presence means that nothing is left to correct."""


@dataclass(frozen=True, slots=True)
class Correction:
    """What the trusted proxies say about a request."""

    changes: Mapping[str, str] = field(default_factory=dict)
    """Environ keys with their corrected values."""

    hides_client: bool = False
    """Whether the proxies do not say who the client is; then nobody knows, and it is not the proxy."""

    refusal: str | None = None
    """Why the request is refused with 400, or None."""

    def explain(self) -> str:
        """Return the refusal as a sentence for the client."""
        return f"A proxy's word about this request is not valid: {self.refusal}."


class Trust:
    """Decides what the proxies in front of an app are believed. Safe for threads.

    :param hops: environ key of a header -> how many proxies in a row write it; 0, or no entry, to ignore it.
    :param networks: the addresses of the proxies; then the hops are found by address, and their number does not matter.
    :param unix: whether a peer without an address, on a Unix socket, is a proxy.
    :param exact: whether a header with fewer values than there are proxies says nothing, as to Werkzeug's `ProxyFix`.
        Otherwise that holds for addresses only: of other headers, which many proxies replace, the first value counts.
    """

    def __init__(
        self,
        hops: Mapping[str, int],
        networks: tuple[Network, ...] | None = None,
        *,
        unix: bool = False,
        exact: bool = False,
    ) -> None:
        self.hops = {key: count for key, count in hops.items() if count > 0}
        self.networks = networks
        self.unix = unix
        self.exact = exact
        self._lists = tuple(
            # What is split from the end takes no larger numbers.
            (key, name, 1 if networks is not None else min(self.hops[key], sys.maxsize))
            for key, name in _NAMES.items()
            if key in self.hops
        )
        self._read_key = _build_read_key([*_other_keys(self.hops, networks), *self.hops])
        self._remembered: dict[tuple[str | None, ...], tuple[dict[str, Any], bool]] = {}
        self._trusts_known_peer = lru_cache(_CACHED)(self._trusts_address)
        ranges = [(network.version, int(network.network_address), int(network.netmask)) for network in networks or ()]
        self._ranges = tuple(ranges)

    def correct(self, environ: dict[str, Any]) -> bool:
        """Bring an environ in line with what the trusted proxies say; tell whether the request may be served.

        An environ that was corrected before, or by Werkzeug's `ProxyFix`, is left alone.
        """
        if CORRECTED in environ or "werkzeug.proxy_fix.orig" in environ:
            return CORRECTED not in environ or environ[CORRECTED].refusal is None
        # PERF: clients come with many requests; each needs one look-up.
        key = self._read_key(environ)
        changes, is_usual = self._remembered.get(key) or self._judge_and_remember(key, environ)
        environ |= changes
        if is_usual and "REMOTE_PORT" not in environ:
            return True
        return _complete(environ)

    def _judge_and_remember(
        self, key: tuple[str | None, ...], environ: Mapping[str, Any]
    ) -> tuple[dict[str, Any], bool]:
        """Return what an environ is updated with, and whether that is all: the request is served, its client known."""
        correction = self.judge(environ)
        is_usual = not correction.hides_client and correction.refusal is None
        remembered = ({**correction.changes, CORRECTED: correction}, is_usual)
        if len("".join(filter(None, key))) <= _CACHED_LENGTH:
            if len(self._remembered) >= _CACHED:
                self._remembered.clear()
            self._remembered[key] = remembered
        return remembered

    def judge(self, environ: Mapping[str, Any]) -> Correction:
        """Return what the trusted proxies say about a request, without changing its environ."""
        if self.networks is not None and not self._trusts_peer(environ.get("REMOTE_ADDR")):
            return Correction()
        try:
            said = self._read_forwarded(environ) if "HTTP_FORWARDED" in self.hops else self._read_lists(environ)
            changes, hides_client = _changes(said, environ)
        except MalformedForwarded as error:
            return Correction(refusal=str(error))
        return Correction(changes, hides_client)

    def _trusts_peer(self, peer: str | None) -> bool:
        if not peer:
            return self.unix
        # SECURITY: some servers take the peer from a header, so it may be long; no address is.
        return self._trusts_known_peer(peer) if len(peer) <= _CACHED_PEER else self._trusts_address(peer)

    def _trusts_address(self, peer: str) -> bool:
        try:
            return self._is_proxy(plain_address(ipaddress.ip_address(peer)))
        except ValueError:
            return False

    def _is_proxy(self, address: IPAddress) -> bool:
        # PERF: as `address in network`, at a fraction of it.
        version, number = address.version, int(address)
        for of_version, network, mask in self._ranges:  # noqa: SIM110 - PERF: without a generator
            if version == of_version and number & mask == network:
                return True
        return False

    def _read_forwarded(self, environ: Mapping[str, Any]) -> dict[str, str]:
        header = environ.get("HTTP_FORWARDED")
        if header is None:
            return {}
        hops = parse_forwarded(header)
        if not hops:
            return {"for": ""}
        if self.networks is None:
            distance = self.hops["HTTP_FORWARDED"]
        else:
            distance = self._distance([hop.for_ or "" for hop in hops])
        if distance > len(hops):
            return {}
        hop = hops[-distance]
        return {"for": hop.for_ or "", "proto": hop.proto or "", "host": hop.host or ""}

    def _read_lists(self, environ: Mapping[str, Any]) -> dict[str, str]:
        said = {}
        distance = 0
        if self.networks is not None and "HTTP_X_FORWARDED_FOR" in self.hops and "HTTP_X_FORWARDED_FOR" in environ:
            distance = self._distance(parse_list(environ["HTTP_X_FORWARDED_FOR"]))
        for key, name, hops in self._lists:
            header = environ.get(key)
            if header is None:
                continue
            # PERF: as `parse_list`, of only the values that count. Should there be more, the first is the rest of them.
            wanted = distance or hops
            values = header.rsplit(",", wanted)
            if wanted <= len(values):
                said[name] = values[-wanted].strip(" \t")
            elif name != "for" and not self.exact:
                # Some proxies add to these lists and some replace them, so they may be shorter than that of addresses.
                said[name] = values[0].strip(" \t")
            elif len(values) == 1 and not header.strip(" \t"):
                said[name] = ""
        return said

    def _distance(self, nodes: list[str]) -> int:
        """Return how far from the end the first node stands that is no proxy of ours: the client. At most all of them."""
        for distance, node in enumerate(reversed(nodes), start=1):
            address = parse_node(node) if node else None
            if address is None or not self._is_proxy(address):
                return distance
        return len(nodes)


_NAMES: Final = {
    "HTTP_X_FORWARDED_FOR": "for",
    "HTTP_X_FORWARDED_PROTO": "proto",
    "HTTP_X_FORWARDED_HOST": "host",
    "HTTP_X_FORWARDED_PORT": "port",
    "HTTP_X_FORWARDED_PREFIX": "prefix",
}


def _other_keys(hops: Mapping[str, int], networks: tuple[Network, ...] | None) -> list[str]:
    """Return which environ keys `Trust.judge` reads beside the headers of proxies."""
    readers = {
        "REMOTE_ADDR": networks is not None,
        "wsgi.url_scheme": bool({"HTTP_X_FORWARDED_PROTO", "HTTP_FORWARDED"} & hops.keys()),
        # A port is added to it.
        "HTTP_HOST": "HTTP_X_FORWARDED_PORT" in hops,
    }
    return [key for key, is_read in readers.items() if is_read]


def _build_read_key(keys: Sequence[str]) -> Callable[[Mapping[str, Any]], tuple[str | None, ...]]:
    """Return what takes these keys out of an environ; None for one that is not there."""
    # PERF: written out, it takes half the time of a loop over the keys.
    values = "".join(f"environ.get({key!r}), " for key in keys)
    return build_function("proxies", "read_key", f"def read_key(environ):\n    return ({values})\n", {})


def _complete(environ: dict[str, Any]) -> bool:
    """Take out of an environ what the proxies have made wrong; tell whether the request may be served."""
    correction: Correction = environ[CORRECTED]
    if correction.hides_client or "REMOTE_ADDR" in correction.changes:
        # What some servers give beside the address is the proxy's port.
        environ.pop("REMOTE_PORT", None)
        if correction.hides_client:
            environ.pop("REMOTE_ADDR", None)
    return correction.refusal is None


_SCHEMES: Final = {False: {False: "http", True: "https"}, True: {False: "ws", True: "wss"}}
"""Whether it is a WebSocket -> whether it is encrypted -> the scheme. Proxies name either for a WebSocket."""


def _changes(said: Mapping[str, str], environ: Mapping[str, Any]) -> tuple[dict[str, str], bool]:
    """Return the environ keys that change, and whether the client stays unknown.

    :raises MalformedForwarded: for a value that cannot be true.
    """
    changes: dict[str, str] = {}
    hides_client = False
    if "for" in said:
        # SECURITY: an empty value, which is also what some servers make of bytes that are no text, names nobody.
        address = canonical_node(said["for"]) if said["for"] else None
        if address is None:
            hides_client = True
        else:
            changes["REMOTE_ADDR"] = address
    if proto := said.get("proto"):
        scheme = proto.lower()
        if scheme not in {"http", "https", "ws", "wss"}:
            raise MalformedForwarded(f"the scheme {proto[:40]!r} is neither http nor https")
        changes["wsgi.url_scheme"] = _SCHEMES[environ.get("wsgi.url_scheme") in {"ws", "wss"}][
            scheme in {"https", "wss"}
        ]
    if said.get("host"):
        _change_host(said["host"], changes)
    if said.get("port"):
        _change_port(said["port"], environ, changes)
    if said.get("prefix"):
        _refuse("the prefix", said["prefix"], judge_prefix(said["prefix"]))
        changes["SCRIPT_NAME"] = said["prefix"].rstrip("/")
    return changes, hides_client


def _refuse(what: str, value: str, reason: str | None) -> None:
    if reason is not None:
        raise MalformedForwarded(f"{what} {value[:80]!r} cannot be: {reason}")


def _change_host(host: str, changes: dict[str, str]) -> None:
    _refuse("the host", host, judge_host(host))
    changes["HTTP_HOST"] = host
    name, colon, port = host.rpartition(":")
    # COMPAT: as Werkzeug's ProxyFix. "[::1]" has no port; what is behind its last colon is part of the address.
    has_port = bool(colon) and not port.endswith("]")
    changes["SERVER_NAME"] = name if has_port else host
    if has_port:
        changes["SERVER_PORT"] = port


def _change_port(port: str, environ: Mapping[str, Any], changes: dict[str, str]) -> None:
    _refuse("the port", port, judge_port(port))
    changes["SERVER_PORT"] = port
    host = changes.get("HTTP_HOST", environ.get("HTTP_HOST"))
    if host:
        name, colon, rest = host.rpartition(":")
        changes["HTTP_HOST"] = f"{name if colon and not rest.endswith(']') else host}:{port}"


def trust_from_config(config: Mapping[str, Any]) -> Trust | None:
    """Return the trust that `TRUSTED_PROXIES` and `TRUSTED_PROXY_HEADERS` ask for; None to believe no proxy.

    :raises quaff.errors.SetupError: for a value that cannot be understood.
    """
    proxies = config.get("TRUSTED_PROXIES")
    if isinstance(proxies, str):
        names = proxies.strip()
        proxies = int(names) if names.isascii() and names.isdigit() else names.split(",") if names else None
    if not proxies:
        return None
    keys = _read_headers(config.get("TRUSTED_PROXY_HEADERS"))
    if isinstance(proxies, int) and not isinstance(proxies, bool) and proxies > 0:
        return Trust(dict.fromkeys(keys, proxies))
    if not isinstance(proxies, Sequence | Set):
        raise SetupError(
            f"TRUSTED_PROXIES is {proxies!r}. It is the number of proxies in front of the app, or a list of their addresses."
        )
    networks, unix = parse_networks(proxies)
    return Trust(dict.fromkeys(keys, 1), networks, unix=unix)


def parse_networks(names: Iterable[str]) -> tuple[tuple[Network, ...], bool]:
    """Return networks for addresses, networks and words, and whether `unix` is among them.

    :param names: as `10.0.0.0/8`, `192.0.2.7`, `::1`, `loopback`, `private`, `linklocal`, `unix`.
    :raises quaff.errors.SetupError: for anything else.
    """
    networks: list[Network] = []
    unix = False
    for given in names:
        name = str(given).strip()
        if name.lower() == UNIX:
            unix = True
            continue
        try:
            networks += [ipaddress.ip_network(text) for text in _WORDS.get(name.lower(), (name,))]
        except ValueError as error:
            raise SetupError(_explain(name, error)) from None
    return tuple(networks), unix


def _explain(name: str, error: ValueError) -> str:
    if "has host bits set" in str(error):
        hint = f"did you mean {str(ipaddress.ip_network(name, strict=False))!r}?"
    elif name == "*":
        hint = "to believe everybody is to believe what clients make up; for one proxy at an unknown address say 1."
    else:
        close = get_close_matches(name.lower(), [*_WORDS, UNIX], n=1)
        guess = f" Did you mean {close[0]!r}?" if close else ""
        hint = f"it takes addresses, networks such as '10.0.0.0/8', and the words {', '.join([*_WORDS, UNIX])}.{guess}"
    return f"TRUSTED_PROXIES names {name!r}, which is no address and no network: {hint}"


def _read_headers(given: Any) -> list[str]:
    """Return the environ keys of the headers to believe. Any: it comes from the configuration."""
    names = DEFAULT_HEADERS if given is None else given.split(",") if isinstance(given, str) else tuple(given)
    keys = []
    for name in (str(name).strip() for name in names):
        key = HEADERS.get(name.lower())
        if key is None:
            close = get_close_matches(name.lower(), HEADERS, n=1)
            guess = f" Did you mean {close[0].title()!r}?" if close else ""
            known = ", ".join(header.title() for header in HEADERS)
            raise SetupError(
                f"TRUSTED_PROXY_HEADERS names {name!r}, which Quaff does not read.{guess} It reads {known}."
            )
        keys.append(key)
    if not keys:
        raise SetupError(
            "TRUSTED_PROXY_HEADERS is empty, so TRUSTED_PROXIES would have no effect. Leave one of them out."
        )
    if "HTTP_FORWARDED" in keys and len(keys) > 1:
        # SECURITY: a proxy that writes one of the two passes on what a client puts into the other.
        raise SetupError(
            "TRUSTED_PROXY_HEADERS names both Forwarded and X-Forwarded headers. Name what your proxies write."
        )
    return keys
