"""Verdicts on hosts and on what a proxy said."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.sansio.utils import host_is_trusted

from quaff.hosts import judge_forwarded, judge_host

GOOD_HOSTS = [
    "a",
    "localhost",
    "localhost:5000",
    "example.test",
    "EXAMPLE.Test",
    "example.test.",
    "example.test.:443",
    "example.test:80",
    "example.test:1",
    "example.test:65535",
    "xn--bcher-kva.test",
    "my_service:8000",
    "_dmarc.example.test",
    "-a.test",
    "a-.test",
    "1.test",
    "127.0.0.1",
    "127.0.0.1:5000",
    "10.0.0.255",
    "[::1]",
    "[::1]:5000",
    "[2001:DB8::ff]",
    "[::ffff:127.0.0.1]:80",
    "[fe80:0:0:0:1:2:3:4]",
    "a" * 255,
    "a" * 249 + ":65535",
]

BAD_HOSTS = {
    "": "it is empty",
    "a,b": "characters",
    "a@b": "characters",
    "user:pw@a": "port",
    "a b": "characters",
    " a": "characters",
    "a ": "characters",
    "a\t": "characters",
    "a\r\nX: 1": "characters",
    "a\n": "characters",
    "a\x00": "characters",
    "a\x7f": "characters",
    "a/admin?": "characters",
    "a/": "characters",
    "ev/il?x#y": "characters",
    "a?": "characters",
    "a#": "characters",
    "a\\b": "characters",
    "a%2e": "characters",
    "a;b": "characters",
    "a&b": "characters",
    "a=b": "characters",
    "a+b": "characters",
    "a*": "characters",
    "a!": "characters",
    "a'": "characters",
    'a"': "characters",
    "a|b": "characters",
    "a^b": "characters",
    "a`b": "characters",
    "a~b": "characters",
    "{a}": "characters",
    "<script>": "characters",
    "bücher.test": "characters",
    "b\xc3\xbccher.test": "characters",
    "caf\xe9.test": "characters",
    "\u65e5\x8a.test": "characters",
    "http://a": "port",
    "*": "characters",
    "a:": "port is missing",
    ":80": "characters",
    ":": "characters",
    "a:0": "port is not a number",
    "a:00080": "port is not a number",
    "a:080": "port is not a number",
    "a:65536": "port is not a number",
    "a:99999": "port is not a number",
    "a:123456": "port is not a number",
    "a:-1": "port is not a number",
    "a:+1": "port is not a number",
    "a:8o": "port is not a number",
    "a:80 ": "port is not a number",
    "a:80\n": "port is not a number",
    "a:\u0668\u0660": "port is not a number",
    "a:80:80": "port is not a number",
    "a::80": "port is not a number",
    "::1": "characters",
    "2001:db8::1": "port is not a number",
    "[]": "characters",
    "[::1": "characters",
    "::1]": "characters",
    "[::1]x": "characters",
    "[::1]:": "port is missing",
    "[::1]:0": "port is not a number",
    "[::1%eth0]": "characters",
    "[fe80::1%25eth0]": "characters",
    "[v1.a]": "characters",
    "[1.2.3.4]": "no IPv6 address",
    "[:::]": "no IPv6 address",
    "[1::2::3]": "no IPv6 address",
    "[12345::]": "no IPv6 address",
    "[1:2:3:4:5:6:7:8:9]": "no IPv6 address",
    ".": "part of the name is empty",
    "..": "part of the name is empty",
    ".a": "part of the name is empty",
    "a..b": "part of the name is empty",
    "a..": "part of the name is empty",
    "a" * 256: "256 characters, more than 255",
    "a" * 250 + ":65535": "256 characters, more than 255",
    "a." * 5000: "10000 characters",
}


@pytest.mark.parametrize("host", GOOD_HOSTS, ids=lambda host: host[:30])
def test_a_good_host_passes(host: str) -> None:
    """Names, addresses and ports that requests really carry are accepted."""
    assert judge_host(host) is None


@pytest.mark.parametrize("host, reason", BAD_HOSTS.items(), ids=lambda text: ascii(text[:30]))
def test_a_bad_host_is_refused_in_words(host: str, reason: str) -> None:
    """Each of these is refused, and the reason says why."""
    assert reason in (judge_host(host) or "accepted")


@pytest.mark.parametrize("code", [*range(0x21), *range(0x7F, 0x100)], ids=hex)
def test_no_control_or_foreign_character_passes(code: int) -> None:
    """Wherever it stands."""
    for host in (f"{chr(code)}a", f"a{chr(code)}", f"a{chr(code)}b", f"a:8{chr(code)}0"):
        assert judge_host(host) is not None


def test_a_name_in_its_own_script_passes() -> None:
    """A program that makes its own environ may write one; a client cannot, for its bytes come as latin-1."""
    assert judge_host("日本.test") is None
    assert judge_host("ąśźäüжŠßя.com") is None


@given(st.text(st.sampled_from("ab1.-:[]@,/ %"), max_size=8) | st.text(st.characters(max_codepoint=255), max_size=8))
def test_nothing_passes_that_werkzeug_refuses(host: str) -> None:
    """Except underscores, which containers have, this is never more lenient than Werkzeug."""
    if judge_host(host) is None:
        assert host_is_trusted(host.replace("_", "x"))


def test_many_long_hosts_are_not_kept() -> None:
    """The cache of verdicts cannot be filled with long strings."""
    from quaff.hosts import _judge_short_host

    _judge_short_host.cache_clear()
    for number in range(1000):
        judge_host("x" * 10_000 + str(number))
    assert _judge_short_host.cache_info().currsize == 0


# --- what a proxy said ---


def forwarded(**headers: str) -> dict[str, Any]:
    """Give the environ of a request that came through one proxy and `ProxyFix`."""
    environ: dict[str, Any] = {
        "REMOTE_ADDR": "10.0.0.1",
        "wsgi.url_scheme": "http",
        "HTTP_HOST": "inner.test",
        "SERVER_NAME": "inner.test",
        "SERVER_PORT": "8000",
        "SCRIPT_NAME": "",
        **{f"HTTP_X_FORWARDED_{name.upper()}": value for name, value in headers.items()},
    }
    fix = ProxyFix(lambda environ, start_response: [], x_for=1, x_proto=1, x_host=1, x_port=1, x_prefix=1)
    fix(environ, lambda *args: lambda data: None)
    return environ


GOOD_WORDS = [
    {},
    {"for": "192.0.2.1"},
    {"for": "evil, 192.0.2.1"},
    {"for": "192.0.2.1:51000"},
    {"for": "2001:db8::1"},
    {"for": "[2001:db8::1]"},
    {"for": "[2001:db8::1]:51000"},
    {"for": "unknown"},
    {"proto": "https"},
    {"proto": "HTTPS"},
    {"proto": "wss"},
    {"host": "public.test"},
    {"host": "public.test:8443", "port": "8443"},
    {"host": "[2001:db8::1]"},
    {"port": "443"},
    {"prefix": "/app"},
    {"prefix": "/app/v1/"},
    {"for": "192.0.2.1", "proto": "https", "host": "public.test", "port": "443", "prefix": "/app"},
]

BAD_WORDS = [
    ({"for": "<script>"}, "X-Forwarded-For says '<script>', but that is no IP address"),
    ({"for": "192.0.2.256"}, "no IP address"),
    ({"for": "192.0.2.1:0"}, "no IP address"),
    ({"for": "192.0.2.1:99999"}, "no IP address"),
    ({"for": "192.0.2.1:"}, "no IP address"),
    ({"for": "192.0.2.1:80:80"}, "no IP address"),
    ({"for": "192.0.2.1 x"}, "no IP address"),
    ({"for": "192.0.2"}, "no IP address"),
    ({"for": "0x7f000001"}, "no IP address"),
    ({"for": "2130706433"}, "no IP address"),
    ({"for": "_hidden"}, "no IP address"),
    ({"for": "localhost"}, "no IP address"),
    ({"for": "[192.0.2.1]"}, "no IP address"),
    ({"for": "[2001:db8::1"}, "no IP address"),
    ({"for": "[2001:db8::1]x"}, "no IP address"),
    ({"for": "[2001:db8::1]:"}, "no IP address"),
    ({"for": "fe80::1%<script>"}, "no IP address"),
    ({"for": "[fe80::1%eth0]"}, "no IP address"),
    ({"for": "\xff"}, "no IP address"),
    ({"for": "x" * 500}, "..."),
    ({"proto": "javascript"}, "X-Forwarded-Proto says 'javascript', but the scheme must be http or https"),
    ({"proto": "http://"}, "scheme"),
    ({"proto": "ftp"}, "scheme"),
    ({"host": "ev il"}, "X-Forwarded-Host says 'ev il', but it holds characters that no host has"),
    ({"host": "evil/"}, "X-Forwarded-Host"),
    ({"host": "a@b"}, "X-Forwarded-Host"),
    ({"port": "80x"}, "X-Forwarded-Host"),
    ({"port": "0"}, "the port is not a number from 1 to 65535"),
    ({"prefix": "//evil.test"}, "X-Forwarded-Prefix says '//evil.test', but it is not a path"),
    ({"prefix": "/\\evil.test"}, "not a path"),
    ({"prefix": ".evil.test"}, "not a path"),
    ({"prefix": "/a\x00"}, "control characters"),
    ({"prefix": "/a\r\n"}, "control characters"),
]


@pytest.mark.parametrize("headers", GOOD_WORDS, ids=str)
def test_what_proxies_say_passes(headers: dict[str, str]) -> None:
    """Addresses in the forms that proxies write, schemes, hosts, ports and prefixes are accepted."""
    assert judge_forwarded(forwarded(**headers)) is None


@pytest.mark.parametrize("headers, reason", BAD_WORDS, ids=lambda value: ascii(value)[:60])
def test_what_cannot_be_true_is_refused(headers: dict[str, str], reason: str) -> None:
    """The reason names the header and what it said."""
    said = judge_forwarded(forwarded(**headers)) or "accepted"
    assert reason in said
    assert len(said) < 200


def test_without_proxyfix_nothing_is_judged() -> None:
    """The headers are then only the client's talk, and nobody listens to them."""
    assert judge_forwarded({"REMOTE_ADDR": "", "HTTP_X_FORWARDED_FOR": "<script>"}) is None


def test_what_proxyfix_did_not_change_is_not_judged() -> None:
    """Behind a Unix socket the peer has no address; that is no fault of the proxy."""
    environ = forwarded()
    environ["REMOTE_ADDR"] = environ["werkzeug.proxy_fix.orig"]["REMOTE_ADDR"] = ""
    environ["SERVER_PORT"] = environ["werkzeug.proxy_fix.orig"]["SERVER_PORT"] = "unix"
    assert judge_forwarded(environ) is None


def test_an_address_that_was_never_there_is_fine() -> None:
    """A missing address passes."""
    assert judge_forwarded({"werkzeug.proxy_fix.orig": {}}) is None
