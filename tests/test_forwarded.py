"""What proxies write about their clients, read: RFC 7239 and the lists of the X-Forwarded headers."""

from __future__ import annotations

import doctest
import ipaddress
from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from quaff import forwarded
from quaff.errors import QuaffError
from quaff.forwarded import (
    HEADERS,
    Hop,
    MalformedForwarded,
    canonical_node,
    parse_forwarded,
    parse_list,
    parse_node,
    plain_address,
)

GOOD_HEADERS: dict[str, list[Hop]] = {
    # The examples of RFC 7239 section 4.
    'For="[2001:db8:cafe::17]:4711"': [Hop("[2001:db8:cafe::17]:4711")],
    "for=192.0.2.60;proto=http;by=203.0.113.43": [Hop("192.0.2.60", proto="http")],
    "for=192.0.2.43, for=198.51.100.17": [Hop("192.0.2.43"), Hop("198.51.100.17")],
    'for=_hidden, for="_SEVKISEK"': [Hop("_hidden"), Hop("_SEVKISEK")],
    # Parameters in any order and case; what is unknown is passed over.
    "PROTO=https;HOST=a.test;FOR=unknown": [Hop("unknown", "a.test", "https")],
    "secret=x;for=192.0.2.1;by=_gazonk": [Hop("192.0.2.1")],
    'host="a.test:8443"': [Hop(host="a.test:8443")],
    # Without the quotes that should be there, as several proxies write it.
    "for=[2001:db8::1]:80;host=a.test:80": [Hop("[2001:db8::1]:80", "a.test:80")],
    "for=192.0.2.1:8080": [Hop("192.0.2.1:8080")],
    # Quoting.
    r'for="192\.0.2.1"': [Hop("192.0.2.1")],
    'for="a,b;c=d"': [Hop("a,b;c=d")],
    r'for="a\"b\\"': [Hop('a"b\\')],
    'for=""': [Hop("")],
    "for=": [Hop("")],
    # White space and empty elements (RFC 9110 section 5.6.1.2), empty pairs (RFC 7239 section 4).
    "": [],
    " ": [],
    ",": [],
    ", ,\t,": [],
    ";": [],
    ",for=192.0.2.1,": [Hop("192.0.2.1")],
    "for=192.0.2.1 ,\tfor=192.0.2.2": [Hop("192.0.2.1"), Hop("192.0.2.2")],
    "for=192.0.2.1,,,for=192.0.2.2": [Hop("192.0.2.1"), Hop("192.0.2.2")],
    "for=192.0.2.1;": [Hop("192.0.2.1")],
    ";for=192.0.2.1;;proto=https": [Hop("192.0.2.1", proto="https")],
    "for=192.0.2.1;,for=192.0.2.2": [Hop("192.0.2.1"), Hop("192.0.2.2")],
    "for=192.0.2.1 ; proto=https": [Hop("192.0.2.1", proto="https")],
    # Bytes beyond ASCII, as servers pass them on.
    'for="\xe9"': [Hop("\xe9")],
    # Two lines of a header are joined without a space.
    "for=192.0.2.1,for=192.0.2.2": [Hop("192.0.2.1"), Hop("192.0.2.2")],
    ", ".join(f"for=192.0.2.{number}" for number in range(50)): [Hop(f"192.0.2.{number}") for number in range(50)],
}

BAD_HEADERS = [
    "192.0.2.1",
    "for",
    "for 192.0.2.1",
    "for =192.0.2.1",
    "=192.0.2.1",
    'for="192.0.2.1',
    'for=192.0.2.1"',
    'for="192.0.2.1"x',
    'for="192.0.2.1" x',
    'for="192.0.2.1\\"',
    'for="x, for="192.0.2.1"',
    "for=192.0.2.1 x",
    "for=192.0.2.1 for=192.0.2.2",
    "for=192.0.2.1; proto",
    "for=a\x00b",
    'for="a\nb"',
    'for="a\x7fb"',
    "f\xe9r=192.0.2.1",
    "for(x)=192.0.2.1",
    "for=192.0.2.1;for=192.0.2.2",
    "for=192.0.2.1;FOR=192.0.2.1",
    "proto=http;for=192.0.2.1;proto=https",
    "{}",
    "<script>",
]


@pytest.mark.parametrize("header, hops", GOOD_HEADERS.items(), ids=lambda value: ascii(value)[:40])
def test_a_forwarded_header_is_read(header: str, hops: list[Hop]) -> None:
    """Elements come in their order; names in any case, values with or without quotes."""
    assert parse_forwarded(header) == hops


@pytest.mark.parametrize("header", BAD_HEADERS, ids=ascii)
def test_a_malformed_forwarded_header_is_refused(header: str) -> None:
    """The message names the header and is short."""
    with pytest.raises(MalformedForwarded, match=r"^Forwarded ") as caught:
        parse_forwarded(header)
    assert len(str(caught.value)) < 120


@given(st.text(st.characters(max_codepoint=255), max_size=30))
def test_a_client_cannot_hide_the_proxys_element(sent: str) -> None:
    """Whatever a client puts in front of it, the last element is the proxy's, or the header is refused."""
    for separator in (", ", ","):
        try:
            last = parse_forwarded(f'{sent}{separator}for="192.0.2.1";proto=https')[-1]
        except MalformedForwarded:
            continue
        assert last == Hop("192.0.2.1", None, "https")


_tokens = st.text(st.sampled_from("abcXYZ019.-_!$"), min_size=1, max_size=8)
_values = st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=9)


@given(st.lists(st.tuples(_values, _values, st.sampled_from(["http", "https"])), max_size=6))
def test_what_is_written_is_read_back(elements: list[tuple[str, str, str]]) -> None:
    """Any text can be quoted."""

    def quoted(text: str) -> str:
        return '"{}"'.format(text.replace("\\", "\\\\").replace('"', '\\"'))

    header = ", ".join(f"for={quoted(node)};host={quoted(host)};proto={proto}" for node, host, proto in elements)
    assert parse_forwarded(header) == [Hop(node, host, proto) for node, host, proto in elements]


@given(st.lists(_tokens, max_size=6))
def test_tokens_need_no_quotes(nodes: list[str]) -> None:
    """A value that is a token reads the same with and without."""
    plain = ",".join(f"for={node}" for node in nodes)
    quoted = ",".join(f'for="{node}"' for node in nodes)
    assert parse_forwarded(plain) == parse_forwarded(quoted) == [Hop(node) for node in nodes]


@pytest.mark.parametrize("piece", [",", ";", " ", "\t,", "a=b,", "a=b;,", "for=x, ,", 'a="\\a",'])
@pytest.mark.parametrize("end", ["", "\x00", '"', 'a="'])
def test_long_headers_are_read_in_linear_time(piece: str, end: str) -> None:
    """Far longer than any server lets in; with steps that grow with the square, this would not end."""
    for text in (piece * 100_000 + end, 'for="' + piece.replace('"', "") * 100_000 + end):
        with suppress(MalformedForwarded):
            assert parse_forwarded(text) is not None


def test_errors_are_quaffs() -> None:
    """Who parses such a header on his own account can catch it as a ValueError too."""
    assert issubclass(MalformedForwarded, ValueError)
    assert issubclass(MalformedForwarded, QuaffError)
    assert MalformedForwarded.code == "Q401"


def test_the_example_in_the_docstring() -> None:
    """It shows what really comes out."""
    assert doctest.testmod(forwarded).failed == 0
    assert doctest.testmod(forwarded).attempted > 0


# Nodes --------------------------------------------------------------------------------------------------------------

NODES = {
    "192.0.2.1": "192.0.2.1",
    "0.0.0.0": "0.0.0.0",
    "255.255.255.255": "255.255.255.255",
    "192.0.2.1:80": "192.0.2.1",
    "192.0.2.1:0": "192.0.2.1",
    "192.0.2.1:65535": "192.0.2.1",
    "192.0.2.1:_port": "192.0.2.1",
    "2001:db8::1": "2001:db8::1",
    "2001:DB8::1": "2001:db8::1",
    "2001:0db8:0000:0000:0000:0000:0000:0001": "2001:db8::1",
    "[2001:db8::1]": "2001:db8::1",
    "[2001:db8::1]:443": "2001:db8::1",
    "[2001:db8::1]:_x": "2001:db8::1",
    "::": "::",
    "::1": "::1",
    "[::1]:1": "::1",
    "::ffff:192.0.2.1": "192.0.2.1",
    "::ffff:c000:201": "192.0.2.1",
    "[::ffff:192.0.2.1]:80": "192.0.2.1",
    "64:ff9b::192.0.2.1": "64:ff9b::c000:201",
}

HIDDEN = ["unknown", "Unknown", "UNKNOWN", "_hidden", "_SEVKISEK", "_x", "_1.2-3_4", "__"]

NO_NODES = [
    "",
    " ",
    "localhost",
    "shop.example",
    "<script>",
    "x" * 10_000,
    # Forms of IPv4 addresses that some programs read as others do not (CVE-2021-33571).
    "127.0.0.010",
    "127.0.0.01",
    "0127.0.0.1",
    "192.0.2.00",
    "0x7f.1",
    "0x7f000001",
    "0x7f.0.0.1",
    "2130706433",
    "127.1",
    "127.0.1",
    "192.0.2.256",
    "192.0.2.-1",
    "192.0.2.1.",
    "192.0.2.1.1",
    "192.0.2.",
    "\u0661.1.1.1",
    "1\u20e31.1.1",
    "192.0.2.1/32",
    "192.0.2.1 ",
    " 192.0.2.1",
    "192.0.2.1\n",
    "192.0.2.1\x00",
    "'192.0.2.1'",
    '"192.0.2.1"',
    # Ports.
    "192.0.2.1:",
    "192.0.2.1:65536",
    "192.0.2.1:999999",
    "192.0.2.1:-1",
    "192.0.2.1:+1",
    "192.0.2.1:8o",
    "192.0.2.1:\u0668",
    "192.0.2.1:80:80",
    "192.0.2.1:80\n",
    "[2001:db8::1]:",
    "[2001:db8::1]:65536",
    "[2001:db8::1]80",
    "[2001:db8::1]x",
    "[2001:db8::1]]",
    ":80",
    # Brackets and IPv6.
    "[192.0.2.1]",
    "[2001:db8::1",
    "2001:db8::1]",
    "[]",
    "[]:80",
    "[[::1]]",
    "[unknown]",
    ":::",
    "1::2::3",
    "12345::",
    "::g",
    "1:2:3:4:5:6:7:8:9",
    "2001:db8::1/64",
    "::ffff:192.0.2.256",
    "::ffff:127.0.0.010",
    # Zones are of this machine, and `ipaddress` takes any text for one.
    "fe80::1%eth0",
    "[fe80::1%25eth0]:80",
    "fe80::1%<script>",
    # Not hidden after all.
    "_",
    "_a b",
    "_a,b",
    "_\xe9",
    "unknown:80",
    "-hidden",
    "unknown ",
]


@pytest.mark.parametrize("text, address", NODES.items(), ids=str)
def test_a_node_is_an_address_without_its_port(text: str, address: str) -> None:
    """In its canonical form, in which texts can be compared."""
    assert str(parse_node(text)) == canonical_node(text) == address


@pytest.mark.parametrize("text", HIDDEN)
def test_a_hidden_node_is_nobody(text: str) -> None:
    """RFC 7239 sections 6.2 and 6.3."""
    assert parse_node(text) is None
    assert canonical_node(text) is None


@pytest.mark.parametrize("text", NO_NODES, ids=lambda text: ascii(text[:30]))
def test_what_is_no_node_is_refused(text: str) -> None:
    """And the message does not grow with it."""
    with pytest.raises(MalformedForwarded, match="is no IP address") as caught:
        parse_node(text)
    assert len(str(caught.value)) < 500
    with pytest.raises(MalformedForwarded, match="is no IP address"):
        canonical_node(text)


@given(st.ip_addresses(), st.none() | st.integers(0, 65535))
def test_every_address_is_read(address: ipaddress.IPv4Address | ipaddress.IPv6Address, port: int | None) -> None:
    """In each of the forms that proxies write, it comes out as the same one."""
    bare = str(address).partition("%")[0]
    host = bare if address.version == 4 else f"[{bare}]"
    expected = plain_address(ipaddress.ip_address(bare))
    assert parse_node(bare) == expected
    assert canonical_node(bare) == str(expected)
    assert parse_node(host if port is None else f"{host}:{port}") == expected


@given(st.text(st.sampled_from("0123456789abf.:[]_%x "), max_size=20) | st.text(max_size=12))
def test_only_addresses_come_out(text: str) -> None:
    """Nothing but an address, nobody, or the error that is declared."""
    try:
        node = parse_node(text)
    except MalformedForwarded:
        return
    if node is None:
        assert text.lower() == "unknown" or text.startswith("_")
    else:
        assert ipaddress.ip_address(str(node)) == node


_groups = st.lists(st.sampled_from(["0", "0", "1", "db8", "ffff", "a0", "00", "0db8", "12345", "g", "DB8"]), max_size=8)


@given(st.sampled_from(["2001", "3fff", "2A00", "2001:0", "fe80", "64:ff9b", "0001"]), _groups, st.none() | _groups)
@example("2001", ["0", "0", "1", "0", "0", "0", "1"], None)
@example("2001", ["db8", "1", "1", "1", "1"], ["1"])
@example("2001", ["db8", "1", "1", "1", "1"], [])
@example("2001", ["db8", "0"], ["0", "1"])
@example("2001", [], ["0", "1"])
@example("2001", ["1"] * 4, ["1", "1"])
@example("0001", ["1"], ["1"])
@example("2001", ["0", "0"], ["1"])
@example("2001", [], [])
def test_text_that_looks_canonical(first: str, groups: list[str], behind: list[str] | None) -> None:
    """It is taken as it is only if `ipaddress` would write the same, with each row of zeros in its place."""
    text = ":".join([first, *groups]) + ("" if behind is None else "::" + ":".join(behind))
    try:
        expected = str(ipaddress.ip_address(text))
    except ValueError:
        with pytest.raises(MalformedForwarded):
            canonical_node(text)
    else:
        assert canonical_node(text) == expected


def test_no_text_takes_long_to_be_refused() -> None:
    """A million characters of what an address could begin with are read in linear time, or this would not end."""
    for piece in ("0", "2001:", "1:", "::", "2001:0:", "1.", "."):
        with pytest.raises(MalformedForwarded):
            canonical_node("2001" + piece * 250_000)


def test_ipv4_within_ipv6_is_ipv4() -> None:
    """Sockets that take both kinds give such addresses for IPv4 clients."""
    assert plain_address(ipaddress.ip_address("::ffff:10.0.0.1")) == ipaddress.ip_address("10.0.0.1")
    for text in ("10.0.0.1", "::1", "2001:db8::1"):
        assert plain_address(ipaddress.ip_address(text)) == ipaddress.ip_address(text)


# Lists --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "header, values",
    [
        ("", [""]),
        ("a", ["a"]),
        ("a, b", ["a", "b"]),
        ("a,b ,\tc", ["a", "b", "c"]),
        ("a,,b", ["a", "", "b"]),
        ("a,", ["a", ""]),
        ("\xa0, a\x85", ["\xa0", "a\x85"]),
        ('"a, b', ['"a', "b"]),
        ('"a, b", c', ['"a', 'b"', "c"]),
    ],
)
def test_lists_are_split_at_every_comma(header: str, values: list[str]) -> None:
    """Quotes mean nothing in these headers; a client that sends one could swallow what the proxy adds."""
    assert parse_list(header) == values


def test_headers_and_their_keys() -> None:
    """Each header has the key that WSGI gives it."""
    for name, key in HEADERS.items():
        assert key == "HTTP_" + name.upper().replace("-", "_")
