"""Whom to believe about the client: by number, by address, and what is refused."""

from __future__ import annotations

import ipaddress
import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quaff.errors import SetupError
from quaff.forwarded import HEADERS
from quaff.proxies import CORRECTED, DEFAULT_HEADERS, Correction, Trust, parse_networks, trust_from_config

PROXY = "10.0.0.1"
ALL = ["X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Port", "X-Forwarded-Prefix"]


def environ(peer: str | None = PROXY, **headers: str) -> dict[str, Any]:
    """Return the environ of a request that came from *peer* with X-Forwarded headers: `for_="192.0.2.1"`."""
    named = {f"HTTP_X_FORWARDED_{name.strip('_').upper()}": value for name, value in headers.items()}
    if "forwarded" in headers:
        named["HTTP_FORWARDED"] = named.pop("HTTP_X_FORWARDED_FORWARDED")
    return {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": "/",
        "QUERY_STRING": "",
        "SCRIPT_NAME": "",
        "SERVER_NAME": "inner",
        "SERVER_PORT": "8000",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "inner:8000",
        "wsgi.url_scheme": "http",
        **({} if peer is None else {"REMOTE_ADDR": peer}),
        **named,
    }


def trust(proxies: object = 1, headers: object = None) -> Trust:
    """Return what the configuration makes of these."""
    made = trust_from_config({"TRUSTED_PROXIES": proxies, "TRUSTED_PROXY_HEADERS": headers})
    assert made is not None
    return made


def seen(trust: Trust, environ: dict[str, Any]) -> tuple[str | None, str, str, str]:
    """Return client, scheme, host and prefix of a request that is not refused."""
    assert trust.correct(environ), environ[CORRECTED].refusal
    return environ.get("REMOTE_ADDR"), environ["wsgi.url_scheme"], environ["HTTP_HOST"], environ["SCRIPT_NAME"]


def client(trust: Trust, peer: str | None = PROXY, **headers: str) -> str | None:
    """Return the client of a request."""
    return seen(trust, environ(peer, **headers))[0]


# By number ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "count, header, expected",
    [
        (1, "192.0.2.1", "192.0.2.1"),
        (1, "6.6.6.6, 192.0.2.1", "192.0.2.1"),
        (1, "junk, <script>, 192.0.2.1", "192.0.2.1"),
        (1, '", 192.0.2.1', "192.0.2.1"),
        (1, ",192.0.2.1", "192.0.2.1"),
        (2, "6.6.6.6, 192.0.2.1, 10.0.0.2", "192.0.2.1"),
        (2, "192.0.2.1, junk", "192.0.2.1"),
        (3, "192.0.2.1, 10.0.0.3, 10.0.0.2", "192.0.2.1"),
        (50, ", ".join(f"192.0.2.{number}" for number in range(50)), "192.0.2.0"),
        # Werkzeug: fewer values than proxies say nothing.
        (2, "192.0.2.1", PROXY),
        (50, "192.0.2.1, 192.0.2.2", PROXY),
        # A port is no part of an address.
        (1, "192.0.2.1:51000", "192.0.2.1"),
        (1, "[2001:DB8::1]:443", "2001:db8::1"),
        (1, "::ffff:192.0.2.1", "192.0.2.1"),
        # Somebody that the proxy does not name is nobody, and not the proxy.
        (1, "unknown", None),
        (1, "_hidden", None),
        (1, "", None),
        (2, "", None),
        (2, " ", None),
        (1, "192.0.2.1,", None),
        (1, "192.0.2.1, unknown", None),
    ],
)
def test_by_number(count: int, header: str, expected: str | None) -> None:
    """The client stands so many places from the end; what is left of it was made up by whoever."""
    assert client(trust(count), for_=header) == expected


def test_without_the_header_it_is_the_peer() -> None:
    """A health check comes straight from somebody, for nobody else."""
    assert client(trust(1)) == PROXY
    assert client(trust(1), peer=None) is None
    assert client(trust(1), proto="https") == PROXY


def test_only_two_headers_are_believed_by_themselves() -> None:
    """Many proxies pass on a client's X-Forwarded-Host, -Port and -Prefix as they came, and Forwarded as well."""
    assert DEFAULT_HEADERS == ("X-Forwarded-For", "X-Forwarded-Proto")
    headers = {"host": "evil.test", "port": "99", "prefix": "/evil", "forwarded": "for=6.6.6.6;host=evil.test"}
    found = seen(trust(1), environ(for_="192.0.2.1", proto="https", **headers))
    assert found == ("192.0.2.1", "https", "inner:8000", "")


@pytest.mark.parametrize("header", [name for name in HEADERS if name != "forwarded"])
def test_each_header_is_believed_when_it_is_named(header: str) -> None:
    """And the others are not; the case of the name does not matter."""
    sent = environ(for_="192.0.2.1", proto="https", host="shop.test", port="8443", prefix="/shop")
    before = dict(sent)
    assert trust(1, [header.title()]).correct(sent)
    changed = {key for key in before if sent.get(key) != before[key]}
    assert (
        changed
        == {
            "x-forwarded-for": {"REMOTE_ADDR"},
            "x-forwarded-proto": {"wsgi.url_scheme"},
            "x-forwarded-host": {"HTTP_HOST", "SERVER_NAME"},
            "x-forwarded-port": {"HTTP_HOST", "SERVER_PORT"},
            "x-forwarded-prefix": {"SCRIPT_NAME"},
        }[header]
    )


def test_headers_that_proxies_replace() -> None:
    """Of two proxies the inner one often sets the scheme anew, where both add to the addresses."""
    two = trust(2, ALL)
    assert seen(two, environ(for_="192.0.2.1, 10.0.0.2", proto="https")) == ("192.0.2.1", "https", "inner:8000", "")
    both = environ(for_="192.0.2.1, 10.0.0.2", proto="https, http", host="a.test, b.test", prefix="/a, /b")
    assert seen(two, both) == ("192.0.2.1", "https", "a.test", "/a")
    assert seen(two, environ(proto="http, https, http"))[1] == "https"


def test_the_peer_may_be_anybody() -> None:
    """A number says nothing about addresses: over a Unix socket there is none."""
    for peer in (PROXY, "192.0.2.99", "::1", "", None):
        assert client(trust(1), peer, for_="192.0.2.1") == "192.0.2.1"


# By address -----------------------------------------------------------------------------------------------------------

NETWORKS = ["10.0.0.0/8", "fd00::/8", "198.51.100.7"]


@pytest.mark.parametrize(
    "header, expected",
    [
        ("192.0.2.1", "192.0.2.1"),
        ("192.0.2.1, 10.0.0.2", "192.0.2.1"),
        ("192.0.2.1, 198.51.100.7, fd00::1, 10.0.0.2", "192.0.2.1"),
        ("192.0.2.1, [fd00::1]:80, 10.0.0.2:81, ::ffff:10.0.0.3", "192.0.2.1"),
        # What a client has made up, with addresses of proxies among it.
        ("6.6.6.6, 192.0.2.1", "192.0.2.1"),
        ("6.6.6.6, 10.0.0.9, 192.0.2.1, 10.0.0.2", "192.0.2.1"),
        ("10.0.0.9, 192.0.2.1", "192.0.2.1"),
        ("127.0.0.1, 192.0.2.1", "192.0.2.1"),
        ("<script>, 192.0.2.1, 10.0.0.2", "192.0.2.1"),
        # A client inside: the outermost one.
        ("10.0.0.9", "10.0.0.9"),
        ("10.0.0.9, 10.0.0.2", "10.0.0.9"),
        # Nobody.
        ("unknown", None),
        ("", None),
        ("192.0.2.1, unknown, 10.0.0.2", None),
        ("192.0.2.1, , 10.0.0.2", None),
        ("192.0.2.1, _hidden", None),
        ("198.51.100.8, 198.51.100.7", "198.51.100.8"),
    ],
)
def test_by_address(header: str, expected: str | None) -> None:
    """From the end, the first that is no proxy of ours is the client, however many there are."""
    assert client(trust(NETWORKS), for_=header) == expected
    forwarded = ", ".join(f'for="{node.strip()}"' for node in header.split(","))
    assert client(trust(NETWORKS, ["Forwarded"]), forwarded=forwarded) == expected or "<script>" in header


@pytest.mark.parametrize("peer", ["192.0.2.99", "11.0.0.1", "fe80::1", "::ffff:192.0.2.99", "", None, "unix", "10.0.0"])
def test_from_elsewhere_nothing_is_believed(peer: str | None) -> None:
    """Nor is junk of theirs refused: nobody reads it."""
    lies = {"for_": "127.0.0.1", "proto": "https", "host": "evil.test"}
    for headers in (lies, {"for_": "<script>", "proto": "javascript", "forwarded": '"'}):
        for names in (None, ALL, "Forwarded"):
            sent = environ(peer, **headers)
            before = dict(sent)
            assert trust(NETWORKS, names).correct(sent)
            assert sent.pop(CORRECTED) == Correction()
            assert sent == before


@pytest.mark.parametrize("peer", ["10.255.255.255", "::ffff:10.0.0.1", "fd12::1", "198.51.100.7", "fd00::1%eth0"])
def test_from_a_proxy_it_is_believed(peer: str) -> None:
    """IPv4 and IPv6; a socket for both gives IPv4 addresses within IPv6."""
    assert client(trust(NETWORKS), peer, for_="192.0.2.1") == "192.0.2.1"


@pytest.mark.parametrize("peer", ["", None])
def test_a_unix_socket(peer: str | None) -> None:
    """Whoever connects to one has no address, and is a proxy only when that is said."""
    assert client(trust(["unix"]), peer, for_="192.0.2.1") == "192.0.2.1"
    assert client(trust("unix, 10.0.0.0/8"), peer, for_="192.0.2.1, 10.0.0.2") == "192.0.2.1"
    assert client(trust(["loopback"]), peer, for_="192.0.2.1") == peer
    assert client(trust(["unix"]), "127.0.0.1", for_="192.0.2.1") == "127.0.0.1"


def test_the_other_headers_by_address() -> None:
    """They are taken from the place of the client, or from the outermost that there is."""
    by_address = trust(NETWORKS, ALL)
    sent = environ(for_="6.6.6.6, 192.0.2.1, 10.0.0.2", proto="evil, https, http", host="e.test, a.test, b.test")
    assert seen(by_address, sent) == ("192.0.2.1", "https", "a.test", "")
    assert seen(by_address, environ(for_="192.0.2.1, 10.0.0.2", proto="https"))[1] == "https"
    assert seen(by_address, environ(for_="192.0.2.1", proto="http, https"))[1] == "https"
    assert seen(by_address, environ(proto="http, https")) == (PROXY, "https", "inner:8000", "")


_any_ip = st.ip_addresses().map(lambda address: str(address).partition("%")[0])


@given(st.lists(st.sampled_from(["10.0.0.9", "127.0.0.1", "6.6.6.6", "junk", "unknown", ""]), max_size=4), _any_ip)
def test_no_client_can_be_another(made_up: list[str], address: str) -> None:
    """The last address in the list is what the proxy has seen, whatever the client has sent before it."""
    by_address = trust(["loopback", "10.0.0.1"])
    if not by_address._trusts_peer(address):
        header = ", ".join([*made_up, address])
        expected = str(ipaddress.ip_address(address))
        mapped = getattr(ipaddress.ip_address(address), "ipv4_mapped", None)
        assert client(by_address, for_=header) == client(trust(1), for_=header) == str(mapped or expected)


# Forwarded ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "count, header, expected",
    [
        (1, "for=192.0.2.1", ("192.0.2.1", "http", "inner:8000", "")),
        (1, "for=192.0.2.1;proto=https;host=shop.test", ("192.0.2.1", "https", "shop.test", "")),
        (1, 'For="[2001:DB8::1]:4711";Proto=HTTPS', ("2001:db8::1", "https", "inner:8000", "")),
        (
            1,
            'for=6.6.6.6;host=evil.test, for=192.0.2.1;host="shop.test:8443"',
            ("192.0.2.1", "http", "shop.test:8443", ""),
        ),
        (2, "for=192.0.2.1;proto=https, for=10.0.0.2;proto=http", ("192.0.2.1", "https", "inner:8000", "")),
        (2, "for=192.0.2.1;proto=https", (PROXY, "http", "inner:8000", "")),
        (1, "for=unknown;proto=https", (None, "https", "inner:8000", "")),
        (1, "for=_a;host=shop.test", (None, "http", "shop.test", "")),
        (1, "proto=https", (None, "https", "inner:8000", "")),
        (1, "for=6.6.6.6, proto=https", (None, "https", "inner:8000", "")),
        (1, "by=10.0.0.1", (None, "http", "inner:8000", "")),
        (1, "", (None, "http", "inner:8000", "")),
        (2, "", (None, "http", "inner:8000", "")),
        (1, ", ,", (None, "http", "inner:8000", "")),
        (50, ", ".join(f"for=192.0.2.{number}" for number in range(50)), ("192.0.2.0", "http", "inner:8000", "")),
    ],
)
def test_forwarded(count: int, header: str, expected: tuple[str | None, str, str, str]) -> None:
    """All is taken from one element, and X-Forwarded headers are a client's talk then."""
    found = seen(trust(count, "Forwarded"), environ(forwarded=header, for_="6.6.6.6", proto="https", host="evil.test"))
    assert found == expected


# What is refused, and what is not ---------------------------------------------------------------------------------------

REFUSED: list[tuple[dict[str, str], str]] = [
    ({"for_": "<script>"}, "'<script>' is no IP address"),
    ({"for_": "127.0.0.010"}, "no IP address"),
    ({"for_": "0x7f.1"}, "no IP address"),
    ({"for_": "2130706433"}, "no IP address"),
    ({"for_": "192.0.2.1:99999"}, "no IP address"),
    ({"for_": "192.0.2.1 x"}, "no IP address"),
    ({"for_": "localhost"}, "no IP address"),
    ({"for_": "fe80::1%eth0"}, "no IP address"),
    ({"for_": "[192.0.2.1]"}, "no IP address"),
    ({"for_": "\xff"}, "no IP address"),
    ({"for_": "x" * 5000}, "..."),
    ({"for_": "192.0.2.1, <script>"}, "no IP address"),
    ({"proto": "javascript"}, "the scheme 'javascript' is neither http nor https"),
    ({"proto": "ftp"}, "scheme"),
    ({"proto": "http:"}, "scheme"),
    ({"proto": "https\n"}, "scheme"),
    ({"for_": "\xa0"}, "no IP address"),
    ({"proto": "\xff"}, "scheme"),
    ({"proto": "h" * 5000}, "scheme"),
    ({"proto": "https, evil"}, "scheme"),
    ({"host": "ev il/"}, "the host 'ev il/' cannot be: it holds characters that no host has"),
    ({"host": "a/admin?"}, "host"),
    ({"host": "a@b"}, "host"),
    ({"host": "a#"}, "host"),
    ({"host": "a\\b"}, "host"),
    ({"host": "a:0"}, "port"),
    ({"host": "a:99999"}, "port"),
    ({"host": "a:"}, "port"),
    ({"host": "a..b"}, "empty"),
    ({"host": "[::1%eth0]"}, "host"),
    ({"host": "x" * 300}, "300 characters"),
    ({"host": "b\xfccher.test"}, "host"),
    ({"port": "0"}, "the port '0' cannot be: it is not a number from 1 to 65535"),
    ({"port": "65536"}, "port"),
    ({"port": "-1"}, "port"),
    ({"port": "443x"}, "port"),
    ({"port": "\u0664\u0664\u0663"}, "port"),
    ({"port": "9" * 5000}, "port"),
    ({"prefix": "//evil.test"}, "the prefix '//evil.test' cannot be: it is not a path"),
    ({"prefix": "/\\evil.test"}, "prefix"),
    ({"prefix": "evil"}, "prefix"),
    ({"prefix": "https://evil.test"}, "prefix"),
    ({"prefix": "/a\r\nSet-Cookie: x=1"}, "control characters"),
    ({"prefix": "/a\x00"}, "control characters"),
    ({"forwarded": 'for="192.0.2.1'}, "Forwarded cannot be read from"),
    ({"forwarded": "192.0.2.1"}, "Forwarded cannot be read from"),
    ({"forwarded": "for=192.0.2.1;for=127.0.0.1"}, "Forwarded says for= twice"),
    ({"forwarded": 'for="x, for="192.0.2.1"'}, "Forwarded cannot be read from"),
    ({"forwarded": "for=<script>"}, "no IP address"),
    ({"forwarded": 'for="\xff"'}, "no IP address"),
    ({"forwarded": "for=192.0.2.1;proto=javascript"}, "scheme"),
    ({"forwarded": 'for=192.0.2.1;host="a/b"'}, "host"),
    ({"forwarded": "for=192.0.2.1:80:80"}, "no IP address"),
]

ACCEPTED: list[tuple[dict[str, str], tuple[str | None, str, str, str]]] = [
    ({"proto": "HTTPS"}, (PROXY, "https", "inner:8000", "")),
    ({"proto": ""}, (PROXY, "http", "inner:8000", "")),
    ({"proto": "wss"}, (PROXY, "https", "inner:8000", "")),
    ({"proto": "ws"}, (PROXY, "http", "inner:8000", "")),
    ({"host": "shop.test"}, (PROXY, "http", "shop.test", "")),
    ({"host": "SHOP.test."}, (PROXY, "http", "SHOP.test.", "")),
    ({"host": "xn--bcher-kva.test"}, (PROXY, "http", "xn--bcher-kva.test", "")),
    ({"host": "my_service"}, (PROXY, "http", "my_service", "")),
    ({"host": "[2001:db8::1]"}, (PROXY, "http", "[2001:db8::1]", "")),
    ({"host": "[2001:db8::1]:8443"}, (PROXY, "http", "[2001:db8::1]:8443", "")),
    ({"host": ""}, (PROXY, "http", "inner:8000", "")),
    ({"port": "8443"}, (PROXY, "http", "inner:8443", "")),
    ({"host": "shop.test", "port": "8443"}, (PROXY, "http", "shop.test:8443", "")),
    ({"host": "shop.test:1", "port": "8443"}, (PROXY, "http", "shop.test:8443", "")),
    ({"host": "[::1]", "port": "8443"}, (PROXY, "http", "[::1]:8443", "")),
    ({"host": "[::1]:1", "port": "8443"}, (PROXY, "http", "[::1]:8443", "")),
    ({"port": ""}, (PROXY, "http", "inner:8000", "")),
    ({"prefix": "/shop"}, (PROXY, "http", "inner:8000", "/shop")),
    ({"prefix": "/shop/"}, (PROXY, "http", "inner:8000", "/shop")),
    ({"prefix": "/"}, (PROXY, "http", "inner:8000", "")),
    ({"prefix": ""}, (PROXY, "http", "inner:8000", "")),
]


def _believed(headers: dict[str, str]) -> object:
    return "Forwarded" if "forwarded" in headers else ALL


@pytest.mark.parametrize("headers, reason", REFUSED, ids=lambda value: ascii(value)[:50])
def test_what_cannot_be_true_is_refused(headers: dict[str, str], reason: str) -> None:
    """By number and by address; the reason is short, and nothing of the environ was changed."""
    for proxies in (1, ["10.0.0.0/8"]):
        sent = environ(**headers)
        before = dict(sent)
        assert not trust(proxies, _believed(headers)).correct(sent)
        correction = sent.pop(CORRECTED)
        assert reason in correction.explain()
        assert len(correction.explain()) < 500
        assert sent == before


@pytest.mark.parametrize("headers, expected", ACCEPTED, ids=str)
def test_what_may_be_true_is_taken(headers: dict[str, str], expected: tuple[str | None, str, str, str]) -> None:
    """Empty values of headers other than the address change nothing."""
    assert seen(trust(1, ALL), environ(**headers)) == expected


@given(st.dictionaries(st.sampled_from(["for_", "proto", "host", "port", "prefix"]), st.text(max_size=12)))
def test_whatever_comes_it_is_judged(headers: dict[str, str]) -> None:
    """Any text is either refused or gives an address, a scheme, and no error."""
    for proxies in (1, 2, ["10.0.0.0/8"]):
        sent = environ(**headers)
        if trust(proxies, ALL).correct(sent):
            assert sent["wsgi.url_scheme"] in ("http", "https")
            assert sent.get("REMOTE_ADDR") is None or ipaddress.ip_address(sent["REMOTE_ADDR"])


def test_a_websocket_keeps_its_scheme() -> None:
    """Servers say ws or wss for one, proxies http or https; and the same client may come with both kinds at once."""
    one = trust(1)
    for inner, said, expected in (
        ("http", "https", "https"),
        ("ws", "https", "wss"),
        ("ws", "wss", "wss"),
        ("http", "wss", "https"),
        ("wss", "http", "ws"),
        ("https", "http", "http"),
    ):
        assert seen(one, environ(for_="192.0.2.1", proto=said) | {"wsgi.url_scheme": inner})[1] == expected


def test_the_port_of_the_proxy_is_not_the_clients() -> None:
    """Where a server gives it beside the address."""
    for header in ("192.0.2.1", "unknown"):
        sent = environ(for_=header) | {"REMOTE_PORT": "4711"}
        assert trust(1).correct(sent)
        assert "REMOTE_PORT" not in sent
    sent = environ() | {"REMOTE_PORT": "4711"}
    assert trust(1).correct(sent)
    assert sent["REMOTE_PORT"] == "4711"


# Once -----------------------------------------------------------------------------------------------------------------


def test_a_request_is_corrected_once() -> None:
    """Whoever is asked again, with other trust, leaves the environ alone and gives the same answer."""
    sent = environ(for_="192.0.2.1, 192.0.2.2")
    assert client_of(trust(1), sent) == client_of(trust(2), sent) == client_of(trust(["192.0.2.0/24"]), sent)
    refused = environ(for_="junk")
    assert not trust(1).correct(refused)
    assert not trust(2).correct(refused)


def client_of(trust: Trust, environ: dict[str, Any]) -> str | None:
    """Return the client as it is after a correction."""
    assert trust.correct(environ)
    return environ.get("REMOTE_ADDR")


def test_werkzeugs_proxyfix_counts_first() -> None:
    """An environ that it has changed is left to it."""
    sent = environ("192.0.2.1", for_="6.6.6.6") | {"werkzeug.proxy_fix.orig": {}}
    assert client_of(trust(1), sent) == "192.0.2.1"
    assert CORRECTED not in sent


def test_corrections_are_remembered_within_bounds() -> None:
    """Clients choose the headers: neither many nor long ones fill the memory."""
    one = trust(1)
    for number in range(5000):
        one.correct(environ(for_=f"192.0.2.{number % 250}, 2001:db8::{number:x}"))
    assert 0 < len(one._remembered) <= 1024
    one._remembered.clear()
    for number in range(100):
        one.correct(environ(for_="6.6.6.6, " * 100 + f"192.0.2.{number}"))
    assert one._remembered == {}


def test_what_is_remembered_is_the_same() -> None:
    """The second request of a client gets what the first one got, and neither changes the other's."""
    one = trust(1, ALL)
    headers = {"for_": "192.0.2.1", "proto": "https", "host": "shop.test", "port": "8443", "prefix": "/shop"}
    first, second = environ(**headers), environ(**headers)
    assert seen(one, first) == seen(one, second) == ("192.0.2.1", "https", "shop.test:8443", "/shop")
    # The host that the proxy has sent is part of what the port is added to.
    for host in ("a.test", "b.test"):
        assert seen(one, environ(port="8443") | {"HTTP_HOST": host})[2] == f"{host}:8443"


def test_threads_share_it() -> None:
    """Many threads correct at once while what is remembered is thrown away, and each gets its own client."""
    one = trust(1)
    wrong: list[str] = []

    def work(thread: int) -> None:
        for number in range(2000):
            address = f"2001:db8:{thread:x}::{number:x}"
            sent = environ(for_=address)
            one.correct(sent)
            if ipaddress.ip_address(sent["REMOTE_ADDR"]) != ipaddress.ip_address(address):
                wrong.append(address)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


# Settings -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [None, 0, "", "0", " ", [], (), set(), frozenset(), False])
def test_nobody_is_trusted(value: object) -> None:
    """By default, and however it is said."""
    assert trust_from_config({"TRUSTED_PROXIES": value}) is None
    assert trust_from_config({}) is None


@pytest.mark.parametrize("value", [2, "2", " 2 "])
def test_a_number(value: object) -> None:
    """As such, or as an environment variable has it."""
    made = trust(value)
    assert made.networks is None
    assert made.hops == {"HTTP_X_FORWARDED_FOR": 2, "HTTP_X_FORWARDED_PROTO": 2}


@pytest.mark.parametrize(
    "value",
    [
        ["10.0.0.0/8", "::1"],
        ("10.0.0.0/8", "::1"),
        "10.0.0.0/8,::1",
        " 10.0.0.0/8 , ::1 ",
        [ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_address("::1")],
    ],
)
def test_a_list(value: object) -> None:
    """Of texts or of the objects of `ipaddress`, or one text."""
    made = trust(value)
    assert made.networks == (ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("::1/128"))
    assert not made.unix


@pytest.mark.parametrize(
    "word, inside, outside",
    [
        ("loopback", ["127.0.0.1", "127.255.0.1", "::1"], ["128.0.0.1", "10.0.0.1", "::2"]),
        ("private", ["10.1.2.3", "172.31.0.1", "192.168.9.9", "fd00::1", "127.0.0.1"], ["172.32.0.1", "169.254.0.1"]),
        ("linklocal", ["169.254.1.1", "fe80::1"], ["10.0.0.1", "fec0::1"]),
        ("Loopback", ["127.0.0.1"], ["192.0.2.1"]),
    ],
)
def test_words_for_networks(word: str, inside: list[str], outside: list[str]) -> None:
    """They stand for the networks that one expects."""
    networks, unix = parse_networks([word])
    assert not unix
    for address in [*inside, *outside]:
        assert any(ipaddress.ip_address(address) in network for network in networks) is (address in inside)


@pytest.mark.parametrize(
    "value, message",
    [
        (
            True,
            "TRUSTED_PROXIES is True. It is the number of proxies in front of the app, or a list of their addresses.",
        ),
        (-1, "TRUSTED_PROXIES is -1. It is the number"),
        (1.5, "TRUSTED_PROXIES is 1.5. It is the number"),
        ({"a": 1}, "TRUSTED_PROXIES is {'a': 1}. It is the number"),
        ("-1", "TRUSTED_PROXIES names '-1', which is no address and no network"),
        (["10.0.0.1/8"], "names '10.0.0.1/8', which is no address and no network: did you mean '10.0.0.0/8'?"),
        (
            ["*"],
            "names '*', which is no address and no network: to believe everybody is to believe what clients make up;",
        ),
        (["loopbak"], "Did you mean 'loopback'?"),
        (
            ["nginx"],
            "it takes addresses, networks such as '10.0.0.0/8', and the words loopback, private, linklocal, unix.",
        ),
        (["127.0.0.010"], "names '127.0.0.010', which is no address"),
        (["10.0.0.0/33"], "names '10.0.0.0/33', which is no address"),
        ([""], "names '', which is no address"),
        ("10.0.0.1,", "names '', which is no address"),
        ([1], "names '1', which is no address"),
    ],
)
def test_bad_proxies_are_refused(value: object, message: str) -> None:
    """The message says which, what is accepted, and guesses."""
    with pytest.raises(SetupError) as caught:
        trust_from_config({"TRUSTED_PROXIES": value})
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "value, message",
    [
        (["X-Real-IP"], "TRUSTED_PROXY_HEADERS names 'X-Real-IP', which Quaff does not read."),
        (["X-Forwarded-Fro"], "Did you mean 'X-Forwarded-For'?"),
        ("X-Forwarded-For, Nonsense", "It reads Forwarded, X-Forwarded-For, X-Forwarded-Proto, X-Forwarded-Host,"),
        ([], "TRUSTED_PROXY_HEADERS is empty, so TRUSTED_PROXIES would have no effect."),
        ("", "TRUSTED_PROXY_HEADERS names ''"),
        (
            ["Forwarded", "X-Forwarded-For"],
            "names both Forwarded and X-Forwarded headers. Name what your proxies write.",
        ),
    ],
)
def test_bad_headers_are_refused(value: object, message: str) -> None:
    """Also what would mean that a client decides which of two headers counts."""
    with pytest.raises(SetupError) as caught:
        trust_from_config({"TRUSTED_PROXIES": 1, "TRUSTED_PROXY_HEADERS": value})
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "value", ["x-forwarded-for, X-FORWARDED-PROTO", ["X-Forwarded-For", "X-Forwarded-Proto"], None]
)
def test_headers_by_name(value: object) -> None:
    """In any case, as a list or as one text."""
    assert list(trust(1, value).hops) == ["HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_PROTO"]
