"""`ProxyFix`: like Werkzeug's for what is well-formed, and a 400 for what is not."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from werkzeug.middleware import proxy_fix
from werkzeug.test import Client, create_environ, run_wsgi_app
from werkzeug.wrappers import Request, Response

from quaff import Quaff, request, url_for
from quaff.errors import SetupError
from quaff.ext.proxy import ProxyFix
from quaff.proxies import CORRECTED

COUNTS = ("x_for", "x_proto", "x_host", "x_port", "x_prefix")
KEYS = ("REMOTE_ADDR", "wsgi.url_scheme", "HTTP_HOST", "SERVER_NAME", "SERVER_PORT", "SCRIPT_NAME")


def environ(headers: dict[str, str], peer: str = "10.0.0.1") -> dict[str, Any]:
    """Return the environ of a request from *peer* with these headers."""
    return create_environ("/path?q=1", "http://inner:8000", headers=headers, environ_overrides={"REMOTE_ADDR": peer})


def passed(fix: Any, environ: dict[str, Any]) -> dict[str, Any] | None:
    """Return what the application behind *fix* gets; None when it gets nothing."""
    got: list[dict[str, Any]] = []

    def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        got.append(environ)
        start_response("200 OK", [])
        return [b"inside"]

    fix.app = application
    _, status, _ = run_wsgi_app(fix, environ)
    assert status == ("200 OK" if got else "400 BAD REQUEST")
    return got[0] if got else None


# Like Werkzeug's --------------------------------------------------------------------------------------------------------

_addresses = st.ip_addresses().map(lambda address: str(address).partition("%")[0])
_labels = st.text(st.sampled_from("abcxyz0189"), min_size=1, max_size=6)
_ports = st.integers(1, 65535).map(str)
_hosts = st.builds(
    lambda name, port: name + port,
    st.one_of(
        st.lists(_labels, min_size=1, max_size=3).map(".".join),
        st.ip_addresses(v=4).map(str),
        st.ip_addresses(v=6).map(lambda address: f"[{str(address).partition('%')[0]}]"),
    ),
    st.just("") | _ports.map(":{}".format),
)
_prefixes = st.lists(_labels, min_size=1, max_size=3).map(lambda labels: "/" + "/".join(labels))
_separators = st.sampled_from([",", ", ", " ,\t"])


def _header(values: st.SearchStrategy[str]) -> st.SearchStrategy[str | None]:
    lists = st.lists(values, min_size=1, max_size=4)
    return st.none() | st.builds(lambda parts, separator: separator.join(parts), lists, _separators)


@given(
    st.fixed_dictionaries(
        {
            "X-Forwarded-For": _header(_addresses),
            "X-Forwarded-Proto": _header(st.sampled_from(["http", "https"])),
            "X-Forwarded-Host": _header(_hosts),
            "X-Forwarded-Port": _header(_ports),
            "X-Forwarded-Prefix": _header(_prefixes),
        }
    ),
    st.tuples(*[st.integers(0, 3)] * len(COUNTS)),
)
def test_what_is_well_formed_is_read_as_by_werkzeug(headers: dict[str, str | None], counts: tuple[int, ...]) -> None:
    """For all counts and all lists of addresses, schemes, hosts, ports and prefixes, the environ is the same in the end."""
    sent = {name: value for name, value in headers.items() if value is not None}
    named = dict(zip(COUNTS, counts, strict=True))
    ours = passed(ProxyFix(None, **named), environ(sent))  # type: ignore[arg-type]
    theirs = passed(proxy_fix.ProxyFix(None, **named), environ(sent))  # type: ignore[arg-type]
    assert ours is not None
    assert theirs is not None
    # An address comes out in its canonical form, in which Hypothesis makes it but for IPv4 within IPv6.
    mapped = getattr(ipaddress.ip_address(theirs["REMOTE_ADDR"]), "ipv4_mapped", None)
    theirs["REMOTE_ADDR"] = str(mapped or theirs["REMOTE_ADDR"])
    assert {key: ours[key] for key in KEYS} == {key: theirs[key] for key in KEYS}
    assert ours["werkzeug.proxy_fix.orig"] == theirs["werkzeug.proxy_fix.orig"]
    ours.pop(CORRECTED)
    assert set(ours) == set(theirs)
    ours_url, theirs_url = Request(ours).url, Request(theirs).url
    assert ours_url == theirs_url


@given(st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=20), st.sampled_from(COUNTS))
def test_other_text_is_refused_or_read_the_same(text: str, which: str) -> None:
    """Where this lets a value of a client's through, Werkzeug gives the same; ports and quotes apart."""
    header = f"X-Forwarded-{which.partition('_')[2].title()}"
    named = {**dict.fromkeys(COUNTS, 0), which: 1}
    assume('"' not in text)
    ours = passed(ProxyFix(None, **named), environ({header: text}))  # type: ignore[arg-type]
    if ours is None or which == "x_for":
        return
    theirs = passed(proxy_fix.ProxyFix(None, **named), environ({header: text}))  # type: ignore[arg-type]
    assert theirs is not None
    normal = {**theirs, "wsgi.url_scheme": theirs["wsgi.url_scheme"].lower().replace("ws", "http")}
    normal["SCRIPT_NAME"] = theirs["SCRIPT_NAME"].rstrip("/")
    if text.rstrip(" ").endswith(","):
        # Werkzeug passes over an empty value at the end; to this it is one.
        return
    assert {key: ours[key] for key in KEYS} == {key: normal[key] for key in KEYS}


def test_arguments_are_werkzeugs() -> None:
    """By position and by name, with the same defaults, kept under the same names."""
    ours = ProxyFix(None, 1, 2, 3, 4, 5)  # type: ignore[arg-type]
    theirs = proxy_fix.ProxyFix(None, 1, 2, 3, 4, 5)  # type: ignore[arg-type]
    assert [getattr(ours, name) for name in COUNTS] == [getattr(theirs, name) for name in COUNTS] == [1, 2, 3, 4, 5]
    ours, theirs = ProxyFix(None), proxy_fix.ProxyFix(None)  # type: ignore[arg-type]
    assert [getattr(ours, name) for name in COUNTS] == [getattr(theirs, name) for name in COUNTS] == [1, 1, 0, 0, 0]


def test_what_was_before_is_kept() -> None:
    """Programs find the address of the proxy where Werkzeug's puts it, of each request its own."""
    fix = ProxyFix(None, x_host=1)  # type: ignore[arg-type]
    headers = {"X-Forwarded-For": "192.0.2.1", "X-Forwarded-Host": "shop.test"}
    for peer, script in (("10.0.0.1", ""), ("10.0.0.2", "/a"), ("10.0.0.1", "/b")):
        got = passed(fix, environ(headers, peer) | {"SCRIPT_NAME": script})
        assert got is not None
        assert got["REMOTE_ADDR"] == "192.0.2.1"
        assert got["werkzeug.proxy_fix.orig"] == {
            "REMOTE_ADDR": peer,
            "wsgi.url_scheme": "http",
            "HTTP_HOST": "inner:8000",
            "SERVER_NAME": "inner",
            "SERVER_PORT": "8000",
            "SCRIPT_NAME": script,
        }


# More than Werkzeug's ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Forwarded-For": "<script>"},
        {"X-Forwarded-For": "127.0.0.010"},
        {"X-Forwarded-Proto": "javascript"},
        {"X-Forwarded-Host": "ev il/"},
        {"X-Forwarded-Port": "0"},
        {"X-Forwarded-Prefix": "//evil.test"},
    ],
    ids=str,
)
def test_junk_gets_no_further(headers: dict[str, str]) -> None:
    """Werkzeug's passes each of these on; this answers it, and says why without repeating it as HTML."""
    every = dict.fromkeys(COUNTS, 1)
    assert passed(proxy_fix.ProxyFix(None, **every), environ(headers)) is not None  # type: ignore[arg-type]
    assert passed(ProxyFix(None, **every), environ(headers)) is None  # type: ignore[arg-type]
    refused = Client(ProxyFix(None, **every), Response).get("/", headers=headers)  # type: ignore[arg-type]
    assert refused.status_code == 400
    assert "A proxy&#39;s word about this request is not valid" in refused.text
    assert "<script>" not in refused.text


@pytest.mark.parametrize("header", ["unknown", "_x", "", "192.0.2.1, unknown"])
def test_an_unknown_client_is_nobody(header: str) -> None:
    """Werkzeug's takes the word for an address, or the proxy for the client."""
    got = passed(ProxyFix(None), environ({"X-Forwarded-For": header}))  # type: ignore[arg-type]
    assert got is not None
    assert "REMOTE_ADDR" not in got
    assert Request(got).remote_addr is None


def test_ports_are_no_part_of_addresses() -> None:
    """Load balancers of Azure add them."""
    for text, address in (("192.0.2.1:51000", "192.0.2.1"), ("[2001:DB8::1]:51000", "2001:db8::1")):
        got = passed(ProxyFix(None), environ({"X-Forwarded-For": text}))  # type: ignore[arg-type]
        assert got is not None
        assert got["REMOTE_ADDR"] == address


def test_a_quote_swallows_nothing() -> None:
    """A client that sends one quotation mark would make Werkzeug take what follows for one value."""
    got = passed(ProxyFix(None), environ({"X-Forwarded-For": '"6.6.6.6, 192.0.2.1'}))  # type: ignore[arg-type]
    assert got is not None
    assert got["REMOTE_ADDR"] == "192.0.2.1"


def test_forwarded_replaces_the_others() -> None:
    """With it, an X-Forwarded header is a client's talk."""
    headers = {"Forwarded": 'for="[2001:db8::1]:1";proto=https;host=shop.test', "X-Forwarded-For": "6.6.6.6"}
    got = passed(ProxyFix(None, x_host=1, forwarded=1), environ(headers))  # type: ignore[arg-type]
    assert got is not None
    assert [got[key] for key in KEYS[:3]] == ["2001:db8::1", "https", "shop.test"]
    assert passed(ProxyFix(None, forwarded=1), environ({"Forwarded": 'for="'})) is None  # type: ignore[arg-type]


def test_only_from_trusted_addresses() -> None:
    """From elsewhere a request is left as it is, and junk of its own is not refused."""
    fix = ProxyFix(None, trusted=["10.0.0.0/8", "loopback"])  # type: ignore[arg-type]
    headers = {"X-Forwarded-For": "6.6.6.6, 192.0.2.1, 10.0.0.2", "X-Forwarded-Proto": "https"}
    for peer, client, scheme in (
        ("10.0.0.1", "192.0.2.1", "https"),
        ("127.0.0.1", "192.0.2.1", "https"),
        ("192.0.2.9", "192.0.2.9", "http"),
    ):
        got = passed(fix, environ(headers, peer))
        assert got is not None
        assert (got["REMOTE_ADDR"], got["wsgi.url_scheme"]) == (client, scheme)
    assert passed(fix, environ({"X-Forwarded-For": "<script>"}, "192.0.2.9")) is not None
    with pytest.raises(SetupError, match="Did you mean 'loopback'"):
        ProxyFix(None, trusted=["loopbak"])  # type: ignore[arg-type]


# Around an app ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("compiled", [True, False], ids=["compiled", "reference"])
@pytest.mark.parametrize("outside", [True, False], ids=["around the app", "around wsgi_app"])
def test_around_a_quaff_app(compiled: bool, outside: bool) -> None:
    """As in any Flask program: the client everywhere, also in URLs, and hosts that are not trusted refused."""
    app = Quaff("fixed", static_folder=None, compiled=compiled)
    app.config["TRUSTED_HOSTS"] = ["shop.test"]
    app.add_url_rule("/", "index", lambda: f"{request.remote_addr} {request.url} {url_for('index', _external=True)}")
    every: Any = dict.fromkeys(COUNTS, 1)
    if outside:
        client = Client(ProxyFix(app, **every), Response)
    else:
        app.wsgi_app = ProxyFix(app.wsgi_app, **every)  # type: ignore[method-assign]
        client = Client(app, Response)
    headers = {"X-Forwarded-For": "192.0.2.1", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "shop.test"}
    for _ in range(2):
        answer = client.get("/", headers=headers | {"X-Forwarded-Prefix": "/shop"})
        assert answer.text == "192.0.2.1 https://shop.test/shop/ https://shop.test/shop/"
        assert client.get("/", headers=headers | {"X-Forwarded-Host": "evil.test"}).status_code == 400
        assert client.get("/", headers=headers | {"X-Forwarded-For": "junk"}).status_code == 400


@pytest.mark.parametrize("werkzeugs", [True, False])
def test_together_with_trusted_proxies(werkzeugs: bool) -> None:
    """A program that has both, on its way from one to the other, takes nothing from a header twice."""
    app = Quaff("both", static_folder=None)
    app.config["TRUSTED_PROXIES"] = ["10.0.0.0/8", "192.0.2.1"]
    fix: Any = proxy_fix.ProxyFix if werkzeugs else ProxyFix
    app.wsgi_app = fix(app.wsgi_app, x_for=1)  # type: ignore[method-assign]
    app.add_url_rule("/", "index", lambda: str(request.remote_addr))
    client = Client(app, Response)
    answer = client.get(
        "/", headers={"X-Forwarded-For": "6.6.6.6, 7.7.7.7"}, environ_overrides={"REMOTE_ADDR": "10.0.0.1"}
    )
    assert answer.text == "7.7.7.7"
    refused = client.get("/", headers={"X-Forwarded-For": "junk"}, environ_overrides={"REMOTE_ADDR": "10.0.0.1"})
    assert refused.status_code == 400
