"""Verdicts on the host that a request names, and on what a trusted proxy said about its client.

Werkzeug treats a malformed `Host` as an empty one, so that `request.url` becomes `http:///path`, and `ProxyFix` copies
the forwarded values as they are. The functions here are pure: they return None when all is well, else the reason in
words, for the 400 that follows.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from werkzeug.exceptions import BadRequest

HOST_MAX = 255
"""The most characters of a host with its port; a DNS name has at most 253 (RFC 1035)."""

_HOST = re.compile(r"(?:(?P<name>[A-Za-z0-9._-]+)|\[(?P<v6>[0-9A-Fa-f:.]+)\])(?P<colon>:(?P<port>.*))?", re.DOTALL)
_PORT = re.compile(r"[1-9][0-9]{0,4}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_SCHEMES = frozenset({"http", "https", "ws", "wss"})


def judge_host(host: str) -> str | None:
    """Return None when *host* is a host name or address with an optional port, else what is wrong with it.

    Accepted are names of letters, digits, hyphens, underscores (containers have them) and dots, also with one dot at
    the end, IPv4 addresses, IPv6 addresses in brackets, and ports from 1 to 65535. A name beyond ASCII comes in its
    `xn--` form. RFC 3986 section 3.2.2 allows a few more characters; nothing uses them but attacks.
    """
    # SECURITY: measured before the cache sees it, so that the cache holds no long strings.
    if len(host) > HOST_MAX:
        return f"it has {len(host)} characters, more than {HOST_MAX}"
    return _judge_short_host(host)


# PERF: a site has a handful of hosts; the cache makes the check one look-up a request.
@lru_cache(maxsize=512)
def _judge_short_host(host: str) -> str | None:
    if not host:
        return "it is empty"
    if max(host) > "\xff":
        # COMPAT: WSGI servers pass bytes as latin-1, so this is not from a client but from a program, such as a test, that
        # makes its own environ and writes a name in its own script.
        try:
            host = host.encode("idna").decode("ascii")
        except UnicodeError:
            return "it holds characters that no host has"
    parts = _HOST.fullmatch(host)
    if parts is None:
        return "it holds characters that no host has"
    port = parts["port"]
    if parts["colon"]:
        if not port:
            return "the port is missing after the colon"
        if _PORT.fullmatch(port) is None or int(port) > 65535:
            return "the port is not a number from 1 to 65535"
    if parts["v6"] is not None:
        return None if _is_ip(parts["v6"], ipaddress.IPv6Address) else "the brackets hold no IPv6 address"
    name: str = parts["name"]
    if "" in name.removesuffix(".").split("."):
        return "a part of the name is empty"
    return None


def _is_ip(text: str, parse: Callable[[str], object] = ipaddress.ip_address) -> bool:
    # SECURITY: `ipaddress` accepts any text as the zone behind a percent sign.
    if "%" in text:
        return False
    try:
        parse(text)
    except ValueError:
        return False
    return True


def _is_client_address(text: str) -> bool:
    """Tell whether *text* is an address as proxies write them: bare, in brackets, with a port, or `unknown`."""
    # COMPAT: Squid writes `unknown` when it is told to hide clients; Azure's gateways add the port.
    if text == "unknown" or _is_ip(text):
        return True
    if text.startswith("["):
        address, closing, rest = text[1:].partition("]")
        return bool(closing) and _is_ip(address, ipaddress.IPv6Address) and (not rest or _is_colon_port(rest))
    address, colon, port = text.partition(":")
    return bool(colon) and _is_ip(address, ipaddress.IPv4Address) and _is_colon_port(f":{port}")


def _is_colon_port(text: str) -> bool:
    return text[0] == ":" and _PORT.fullmatch(text, 1) is not None and int(text[1:]) <= 65535


def judge_port(port: str) -> str | None:
    """Return None when *port* is a number from 1 to 65535, else what is wrong."""
    return None if _is_colon_port(f":{port}") else "it is not a number from 1 to 65535"


def judge_prefix(prefix: str) -> str | None:
    """Return None when *prefix* is a path that the URLs of a site may begin with, else what is wrong with it."""
    # SECURITY: every URL that the app builds begins with this. `//` would make it name another host.
    if prefix and (not prefix.startswith("/") or prefix.startswith(("//", "/\\"))):
        return "it is not a path from the root of the site"
    if _CONTROL.search(prefix):
        return "it holds control characters"
    return None


def judge_forwarded(environ: Mapping[str, Any]) -> str | None:
    """Return None unless `ProxyFix` copied something from the proxy that cannot be true; then, what and why.

    Only what it changed is judged: the client's address must be an IP address (a port, brackets, or the word
    `unknown` are accepted), the scheme http, https, ws or wss, the host as in `judge_host`, the port a number, and the
    prefix a path.

    :param environ: the WSGI environ; without the key `werkzeug.proxy_fix.orig` there is nothing to judge.
    """
    before = environ.get("werkzeug.proxy_fix.orig")
    if before is None:
        return None
    for key, (header, judge) in _FORWARDED.items():
        value = environ.get(key)
        if value is None or value == before.get(key):
            continue
        reason = judge(value)
        if reason is not None:
            shown = value if len(value) <= 80 else f"{value[:80]}..."
            return f"{header} says {shown!r}, but {reason}"
    return None


_FORWARDED: dict[str, tuple[str, Callable[[str], str | None]]] = {
    "REMOTE_ADDR": ("X-Forwarded-For", lambda text: None if _is_client_address(text) else "that is no IP address"),
    "wsgi.url_scheme": (
        "X-Forwarded-Proto",
        lambda text: None if text.lower() in _SCHEMES else "the scheme must be http or https",
    ),
    "HTTP_HOST": ("X-Forwarded-Host", judge_host),
    "SERVER_PORT": (
        "X-Forwarded-Port",
        judge_port,
    ),
    "SCRIPT_NAME": ("X-Forwarded-Prefix", judge_prefix),
}


def refuse_host(environ: Mapping[str, Any]) -> BadRequest | None:
    """Return the error for a host, or for a proxy's word, that is not well-formed."""
    correction = environ.get("quaff.proxy")
    if correction is not None and correction.refusal is not None:
        return BadRequest(correction.explain())
    host = environ.get("HTTP_HOST")
    # RFC: 9112 section 3.2: only HTTP/1.0 may leave the host out; Granian then passes an empty one.
    if not host and environ.get("SERVER_PROTOCOL") == "HTTP/1.0":
        host = None
    reason = None if host is None else judge_host(host)
    if reason is None and "werkzeug.proxy_fix.orig" in environ:
        reason = judge_forwarded(environ)
    return None if reason is None else BadRequest(f"The request's host is not valid: {reason}.")
