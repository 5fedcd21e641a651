"""Reading what proxies write about their clients: `Forwarded` (RFC 7239) and the lists of the X-Forwarded headers.

Pure functions over text. Whom to believe is decided in `proxies.py`.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Final

from .errors import QuaffError

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

_PORT = re.compile(r"[0-9]{1,5}")
# RFC: 7239 section 4 and 9110 section 5.6.1.2: elements may be empty, and so may pairs.
_GAP = re.compile(r"[ \t;,]*")
# RFC: 7239 section 6.3: a name that hides the node begins with an underscore.
_HIDDEN = re.compile(r"_[A-Za-z0-9._-]+")
# RFC: 7239 section 4; values that are no tokens have to be quoted, but proxies write `for=[2001:db8::1]:80` as well.
_PAIR = re.compile(
    r"""
    [ \t]* (?P<name> [!#$%&'*+.^_`|~0-9A-Za-z-]+ ) =
    (?: "(?P<quoted> (?: [^"\\\x00-\x1f\x7f] | \\[^\x00-\x1f\x7f] )* )" | (?P<plain> [^\s",;\x00-\x1f\x7f]* ) )
    [ \t]* (?P<end> [;,] | $ )
    """,
    re.VERBOSE,
)
_ESCAPED = re.compile(r"\\(.)")
_OCTET = "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_IPV4 = re.compile(rf"{_OCTET}\.{_OCTET}\.{_OCTET}\.{_OCTET}")
# RFC: 5952. Global addresses (2000::/3), in which no IPv4 address hides, in the form that `ipaddress` writes: all eight
# groups, or at most six and "::" for the rest, which is then the only row of zeros, and all of it.
_GROUP = "(?:0|[1-9a-f][0-9a-f]{0,3})"
_CANONICAL_IPV6 = re.compile(
    rf"""
    [23] (?! .* (?: :0:0 | :0:: | ::0 ) ) [0-9a-f]{{3}}
    (?:
        (?: :{_GROUP} ){{7}}
        | (?= (?: [^:]* : ){{2,6}} [^:]* \Z ) (?: :{_GROUP} ){{0,4}} :: (?: {_GROUP} (?: :{_GROUP} ){{0,3}} )?
    )
    """,
    re.VERBOSE,
)


class MalformedForwarded(QuaffError, ValueError):
    """A header of a proxy's does not have the form that it must have."""

    code = "Q401"


@dataclass(frozen=True, slots=True)
class Hop:
    """What one proxy wrote about the request that it received: one element of `Forwarded`."""

    for_: str | None = None
    """The node that the request came from, as written; None when the proxy does not say."""

    host: str | None = None
    """The `Host` header that the proxy received."""

    proto: str | None = None
    """The scheme that was used."""


def parse_forwarded(header: str) -> list[Hop]:
    """Return the elements of a `Forwarded` header, the client's end first (RFC 7239 section 4).

    >>> parse_forwarded('for="[2001:db8::1]:4711";proto=https, for=192.0.2.43')
    [Hop(for_='[2001:db8::1]:4711', host=None, proto='https'), Hop(for_='192.0.2.43', host=None, proto=None)]

    :raises MalformedForwarded: for what is no list of elements, and for a parameter that comes twice in an element.
    """
    hops = []
    found: dict[str, str] = {}
    position = _after_gap(header, 0)
    while position < len(header):
        pair = _PAIR.match(header, position)
        if pair is None:
            raise MalformedForwarded(f"Forwarded cannot be read from {header[position : position + 40]!r} on")
        name = pair["name"].lower()
        if name in found:
            raise MalformedForwarded(f"Forwarded says {name}= twice in one element")
        quoted = pair["quoted"]
        found[name] = pair["plain"] if quoted is None else _ESCAPED.sub(r"\1", quoted)
        position = _after_gap(header, pair.end())
        if position == len(header) or pair["end"] == "," or "," in header[pair.end() : position]:
            hops.append(Hop(found.get("for"), found.get("host"), found.get("proto")))
            found = {}
    return hops


def _after_gap(header: str, position: int) -> int:
    gap = _GAP.match(header, position)
    return position if gap is None else gap.end()


def parse_list(header: str) -> list[str]:
    """Return the values of an X-Forwarded header, the client's end first; an empty header has one empty value."""
    # RFC: 9110 section 5.6.3. Without an argument, strip() takes more than the white space of headers away.
    return [value.strip(" \t") for value in header.split(",")]


def parse_node(text: str) -> IPAddress | None:
    """Return the address of a node (RFC 7239 section 6), without its port; None for one whose proxy hides it.

    Read are IPv4 and IPv6 addresses, in brackets or not, with a port or not, and `unknown` and names with an underscore
    in front, which hide the node. An IPv4 address inside IPv6 (`::ffff:192.0.2.1`) is that IPv4 address.

    :raises MalformedForwarded: for anything else.
    """
    if _IPV4.fullmatch(text):
        # PERF: nearly all are that, and from bytes it is made in half the time.
        return ipaddress.IPv4Address(bytes(map(int, text.split("."))))
    if text.lower() == "unknown" or _HIDDEN.fullmatch(text):
        return None
    address, port = _split_port(text)
    # SECURITY: `ipaddress` accepts any text as the zone behind a percent sign.
    if "%" not in address and (port is None or _is_port(port)):
        try:
            # PERF: as `ipaddress.ip_address`, which tries IPv4 for every IPv6 address.
            return plain_address(ipaddress.IPv6Address(address) if ":" in address else ipaddress.IPv4Address(address))
        except ValueError:
            pass
    shown = text if len(text) <= 80 else f"{text[:80]}..."
    raise MalformedForwarded(f"{shown!r} is no IP address")


def canonical_node(text: str) -> str | None:
    """Return the address of a node as text in its canonical form; None for one whose proxy hides it. Quaff 0.1.

    >>> canonical_node("[2001:DB8::1]:4711")
    '2001:db8::1'

    :raises MalformedForwarded: for what `parse_node` refuses.
    """
    # PERF: nearly all are canonical as they come, IPv4 addresses always; the objects of `ipaddress` take ten times as long.
    if _IPV4.fullmatch(text) or _CANONICAL_IPV6.fullmatch(text):
        return text
    address = parse_node(text)
    return None if address is None else str(address)


def _is_port(text: str) -> bool:
    return bool(_HIDDEN.fullmatch(text)) or (bool(_PORT.fullmatch(text)) and int(text) <= 65535)


def _split_port(text: str) -> tuple[str, str | None]:
    if text.startswith("["):
        address, closing, rest = text[1:].partition("]")
        if ":" not in address or not closing or (rest and not rest.startswith(":")):
            # Not an IPv6 address in brackets: nothing that an address could be read from.
            return "", None
        return address, rest[1:] if rest else None
    # An IPv6 address without brackets has no port: its colons are its own.
    if text.count(":") == 1:
        address, _, port = text.partition(":")
        return address, port
    return text, None


def plain_address(address: IPAddress) -> IPAddress:
    """Return the IPv4 address that an IPv6 address stands for, if it does."""
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


HEADERS: Final = {
    "forwarded": "HTTP_FORWARDED",
    "x-forwarded-for": "HTTP_X_FORWARDED_FOR",
    "x-forwarded-proto": "HTTP_X_FORWARDED_PROTO",
    "x-forwarded-host": "HTTP_X_FORWARDED_HOST",
    "x-forwarded-port": "HTTP_X_FORWARDED_PORT",
    "x-forwarded-prefix": "HTTP_X_FORWARDED_PREFIX",
}
"""Header in lower case -> its key in a WSGI environ."""
