"""The fast way through `Trust.correct` beside a plain one: the same environ, whatever comes, and few calls."""

from __future__ import annotations

import ipaddress
import re
from functools import cache
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from quaff.hosts import judge_host, judge_port, judge_prefix
from quaff.proxies import CORRECTED, Trust, parse_networks
from tests.contracts.test_calls import calls_of
from tests.test_proxies import ALL, NETWORKS, PROXY, environ, trust

Settings = tuple[int | tuple[str, ...], tuple[str, ...], bool]
"""`TRUSTED_PROXIES`, the believed headers, and whether counts are exact, as to `ProxyFix`."""


# The plain way ----------------------------------------------------------------------------------------------------------


class Refused(Exception):
    """The plain way refuses the request."""


def plain_address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """Return an address; that within IPv6 for IPv4."""
    address = ipaddress.ip_address(text)
    return getattr(address, "ipv4_mapped", None) or address


def plain_node(text: str) -> Any:
    """Return the address of a node, or None for one that is hidden."""
    hidden = r"_[A-Za-z0-9._-]+"
    if text.lower() in ("", "unknown") or re.fullmatch(hidden, text):
        return None
    port = rf"(?P<port>{hidden}|[0-9]{{1,5}})"
    forms = (rf"\[(?P<address>[^\]]*:[^\]]*)\](:{port})?", rf"(?P<address>[^:\[]*):{port}", r"(?P<address>[^\[]*)")
    for found in filter(None, (re.fullmatch(form, text, re.DOTALL) for form in forms)):
        number = found.groupdict().get("port") or "_"
        if "%" not in found["address"] and (number.startswith("_") or int(number) <= 65535):
            try:
                return plain_address(found["address"])
            except ValueError:
                break
    raise Refused


def in_networks(address: Any, proxies: tuple[str, ...]) -> bool:
    """Tell whether somebody is one of the proxies."""
    return address is not None and any(address in network for network in parse_networks(proxies)[0])


def is_trusted(peer: str | None, proxies: tuple[str, ...]) -> bool:
    """Tell whether a peer is one of the proxies."""
    if not peer:
        return "unix" in proxies
    try:
        return in_networks(plain_address(peer), proxies)
    except ValueError:
        return False


def plain_values(chosen: Settings, environ: dict[str, Any]) -> dict[str, str]:
    """Return the value of each believed header that counts: all lists are split, and then looked at."""
    proxies, names, exact = chosen
    lists = {
        name: [value.strip(" \t") for value in environ[f"HTTP_{name.upper().replace('-', '_')}"].split(",")]
        for name in names
        if f"HTTP_{name.upper().replace('-', '_')}" in environ
    }
    wanted = proxies if isinstance(proxies, int) else 1
    if not isinstance(proxies, int) and ALL[0] in lists:
        nodes = lists[ALL[0]][::-1]
        while wanted < len(nodes) and in_networks(plain_node(nodes[wanted - 1]), proxies):
            wanted += 1
    said = {}
    for name, values in lists.items():
        if wanted <= len(values):
            said[name] = values[len(values) - wanted]
        elif name != ALL[0] and not exact:
            said[name] = values[0]
        elif values == [""]:
            said[name] = ""
    return said


def correct_plainly(chosen: Settings, environ: dict[str, Any]) -> dict[str, Any] | None:
    """Return the environ as it should become; None for one that is refused."""
    environ = dict(environ)
    if not isinstance(chosen[0], int) and not is_trusted(environ.get("REMOTE_ADDR"), chosen[0]):
        return environ
    try:
        said = plain_values(chosen, environ)
        if ALL[0] in said:
            address = plain_node(said[ALL[0]])
            environ.pop("REMOTE_PORT", None)
            environ.pop("REMOTE_ADDR", None)
            environ |= {} if address is None else {"REMOTE_ADDR": str(address)}
    except Refused:
        return None
    scheme, host, port, prefix = (said.get(name, "") for name in ALL[1:])
    if scheme:
        if not re.fullmatch("https?|wss?", scheme.lower()):
            return None
        kind = "ws" if environ["wsgi.url_scheme"].startswith("ws") else "http"
        environ["wsgi.url_scheme"] = kind + ("s" if scheme.lower().endswith("s") and len(scheme) in (3, 5) else "")
    if (host and judge_host(host)) or (port and judge_port(port)) or judge_prefix(prefix):
        return None
    if host:
        found = re.fullmatch(r"(.*?)(?::([0-9]+))?", host)
        assert found is not None
        environ |= {"HTTP_HOST": host, "SERVER_NAME": found[1]} | ({"SERVER_PORT": found[2]} if found[2] else {})
    if port:
        environ["SERVER_PORT"] = port
        name = re.sub(r":[^:\]]*$", "", environ.get("HTTP_HOST", ""))
        environ |= {"HTTP_HOST": f"{name}:{port}"} if name else {}
    return environ | ({"SCRIPT_NAME": prefix.rstrip("/")} if prefix else {})


# Both ways ----------------------------------------------------------------------------------------------------------------

_addresses = st.ip_addresses().map(lambda address: str(address).partition("%")[0])
_written = st.sampled_from(["{}", "{}", "{}:80", "[{}]", "[{}]:443", "{} ", "{}:_x"])
_nodes = st.one_of(
    st.sampled_from(
        ["192.0.2.1", "10.0.0.9", "198.51.100.7", "fd00::1", "::ffff:10.0.0.3", "2001:DB8::1", "2001:db8::0"]
    ),
    st.builds(lambda form, address: form.format(address), _written, _addresses),
    st.sampled_from(
        ["", " ", "unknown", "_x", "junk", "127.0.0.010", "1.2.3", "192.0.2.1:99999", "fe80::1%eth0", "[::1"]
    ),
    st.text(st.sampled_from("0123456789abf.:[]_%x "), max_size=12),
)
_values = {
    "for_": _nodes,
    "proto": st.sampled_from(["http", "https", "HTTPS", "wss", "ws", "", "ftp", "https\n"]),
    "host": st.sampled_from(["a.test", "a.test:81", "[::1]", "[::1]:82", "", "a@b", "a:"]),
    "port": st.sampled_from(["80", "8443", "", "0", "65536", "x"]),
    "prefix": st.sampled_from(["/a", "/a/", "/", "", "//a", "a"]),
}


def _header(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.builds(
        lambda separator, given: separator.join(given),
        st.sampled_from([",", ", ", " ,\t"]),
        st.lists(values, min_size=1, max_size=4),
    )


_requests = st.builds(
    lambda peer, headers, more: environ(peer, **headers) | more,
    st.sampled_from([PROXY, PROXY, "10.0.0.2", "fd00::1", "192.0.2.99", "", None, "x" * 100]),
    st.fixed_dictionaries({}, optional={name: _header(values) for name, values in _values.items()}),
    st.fixed_dictionaries(
        {"wsgi.url_scheme": st.sampled_from(["http", "https", "ws", "wss"])},
        optional={
            "REMOTE_PORT": st.just("4711"),
            "HTTP_HOST": st.sampled_from(["b.test", "b.test:83", "[::1]:84", ""]),
        },
    ),
)
_settings = st.tuples(
    st.sampled_from([1, 1, 2, 3, 10**30, tuple(NETWORKS), (*NETWORKS, "unix")]),
    st.sampled_from([tuple(ALL), tuple(ALL[:2]), *[(name,) for name in ALL], (ALL[0], ALL[3])]),
    st.booleans(),
)


def make(chosen: Settings) -> Trust:
    """Return a trust that remembers nothing yet."""
    proxies, names, exact = chosen
    networks, unix = (None, False) if isinstance(proxies, int) else parse_networks(proxies)
    count = proxies if isinstance(proxies, int) else 1
    hops = {f"HTTP_{name.upper().replace('-', '_')}": count for name in names}
    return Trust(hops, networks, unix=unix, exact=exact)


shared = cache(make)
"""One trust for all requests with the same settings: what it remembers of one must not be another's."""


@settings(max_examples=400)
@given(_settings, _requests)
@example((1, tuple(ALL[:2]), False), environ(for_="192.0.2.1", proto="https"))
def test_the_fast_way_is_the_plain_one(chosen: Settings, sent: dict[str, Any]) -> None:
    """Three times over: judged anew, by who may have come before, and remembered."""
    expected = correct_plainly(chosen, sent)
    for fast in (make(chosen), shared(chosen), shared(chosen)):
        got = dict(sent)
        assert fast.correct(got) == (expected is not None)
        assert got.pop(CORRECTED) == fast.judge(sent)
        assert got == (sent if expected is None else expected)


@given(st.sampled_from([1, 2, tuple(NETWORKS)]), _requests, st.lists(_nodes, min_size=1, max_size=3), st.booleans())
def test_what_is_remembered_of_forwarded(proxies: Any, sent: dict[str, Any], nodes: list[str], encrypted: bool) -> None:
    """It is what would be judged anew; a different peer, scheme or host is a different request."""
    sent["HTTP_FORWARDED"] = ", ".join(f'for="{node}";proto={"https" if encrypted else "http"}' for node in nodes)
    remembering = forwarded_trust(proxies)
    anew, known = dict(sent), dict(sent)
    assert trust(proxies, "Forwarded").correct(anew) == remembering.correct(known) == remembering.correct(dict(sent))
    assert anew == known


@cache
def forwarded_trust(proxies: Any) -> Trust:
    """Return one trust for all requests."""
    return trust(proxies, "Forwarded")


@given(st.lists(st.tuples(_addresses, st.integers(0, 128)), max_size=4), _addresses)
def test_networks_hold_what_ipaddress_says(given: list[tuple[str, int]], address: str) -> None:
    """For any networks of both versions, and for their own addresses."""
    made = [ipaddress.ip_network((text, min(bits, 32 if "." in text else 128)), strict=False) for text, bits in given]
    by_address = Trust({"HTTP_X_FORWARDED_FOR": 1}, tuple(made))
    for one in (ipaddress.ip_address(address), *(network.network_address for network in made)):
        assert by_address._is_proxy(one) == any(one in network for network in made)


def test_long_peers_are_not_remembered() -> None:
    """Some servers put what a header says in the place of the peer; it is judged, and forgotten."""
    by_address = trust(NETWORKS)
    for number in range(5000):
        by_address.correct(environ(f"{number}" * 100, for_="192.0.2.1"))
        by_address.correct(environ(f"192.0.{number % 250}.{number // 250}", for_="192.0.2.1"))
    remembered = by_address._trusts_known_peer.cache_info()
    assert 0 < remembered.currsize <= 1024
    assert remembered.hits + remembered.misses == 5000
    assert len(by_address._remembered) <= 1024


# What it costs ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("proxies", [1, NETWORKS], ids=str)
@pytest.mark.parametrize("headers", [ALL[:2], ALL, ["Forwarded"]], ids=len)
def test_calls_for_a_client_that_has_come_before(proxies: object, headers: list[str]) -> None:
    """Two: the look-up, and what makes its key; also where some of the headers, or all, are left out."""
    said = {"for_": "192.0.2.1", "proto": "https", "host": "shop.test", "forwarded": "for=192.0.2.1;proto=https"}
    for sent in (environ(**said), environ(for_="192.0.2.1"), environ()):
        one = trust(proxies, headers)
        assert one.correct(dict(sent))
        assert [name.partition(":")[2] for name in calls_of(one.correct, dict(sent))] == ["correct", "read_key"]


def test_calls_for_a_new_client() -> None:
    """An address in its canonical form is not taken apart to be put together again, for IPv4 and IPv6."""
    one = trust(1)
    for address in ("192.0.2.1", "2001:db8::1", "6.6.6.6, 192.0.2.2", "6.6.6.6, 2001:db8:0:1:2:3:4:5"):
        names = calls_of(one.correct, environ(for_=address, proto="https"))
        assert not [name for name in names if name.startswith("ipaddress.py")]
        assert len(names) <= 8
