"""The guard and the headers of a route, called as the pipeline calls them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from werkzeug.exceptions import BadRequest, Forbidden, SecurityError

from quaff import Quaff
from quaff.ext.security.headers import CSP, HSTS, HeaderSet, NonceHeader
from quaff.ext.security.https import NOTHING_EXEMPT, Exemptions
from quaff.ext.security.parts import (
    Enforcement,
    build_parts,
    hint_at_proxy,
    keep_private,
    make_add_headers,
    make_guard,
    trusts_forwarded,
)
from quaff.ext.security.settings import Settings
from quaff.headers import Headers
from quaff.pipeline.phases import Stage

APP = Quaff("parts")
NONCES = NonceHeader(CSP, ("script-src 'nonce-", "'; upgrade-insecure-requests"), ("script-src 'nonce-", "'"))


def context_of(scheme: str = "https", path: str = "/", app: Quaff = APP, **environ: Any) -> Any:
    """Return a request context that was not pushed."""
    made = {
        "wsgi.url_scheme": scheme,
        "PATH_INFO": path,
        "HTTP_HOST": "shop.example",
        "REQUEST_METHOD": "GET",
        **environ,
    }
    context = SimpleNamespace(
        app=app, environ=made, request=SimpleNamespace(), made_websocket=None, opened_session=None
    )
    context.made_request = context.request
    return context


def enforcement(**options: Any) -> Enforcement:
    """Return how HTTPS is forced, by default as Talisman does."""
    usual: dict[str, Any] = {
        "permanent": False,
        "keep_method": False,
        "code": None,
        "host": None,
        "exempt": NOTHING_EXEMPT,
        "hint": lambda app: None,
    }
    return Enforcement(**{**usual, **options})


def header_set(**options: Any) -> HeaderSet:
    """Return a header set, empty but for *options*."""
    return HeaderSet(**{"constant": (), "secure": (), "made": (), "problems": (), **options})


def added(
    headers: HeaderSet, context: Any, code: int = 200, present: Any = (), **options: Any
) -> list[tuple[str, str]]:
    """Return what is sent when *present* is there before."""
    add_headers = make_add_headers(headers, trusting=False, **options)
    assert add_headers is not None
    target = Headers(present)
    add_headers(context, code, target)
    return list(target)


@pytest.mark.parametrize("has_nonce", [False, True])
@pytest.mark.parametrize("scheme", ["https", "wss"])
def test_secure_requests_pass(scheme: str, has_nonce: bool) -> None:
    """A request over HTTPS gets no answer from the guard."""
    guard = make_guard(enforcement(), trusting=False, has_nonce=has_nonce)
    assert guard is not None
    assert guard(context_of(scheme)) is None


@pytest.mark.parametrize("has_nonce", [False, True])
def test_plain_requests_are_redirected(has_nonce: bool) -> None:
    """Any other request gets a redirect to the same place."""
    guard = make_guard(enforcement(), trusting=False, has_nonce=has_nonce)
    assert guard is not None
    answer = guard(context_of("http", "/a b", QUERY_STRING="x=1", SCRIPT_NAME="/shop"))
    assert (answer.code, dict(answer.headers)["Location"]) == (302, "https://shop.example/shop/a%20b?x=1")


def test_there_is_no_guard_without_work() -> None:
    """PERF: without HTTPS and nonce the route has no guard at all; with a nonce alone, one that makes it."""
    assert make_guard(None, trusting=False, has_nonce=False) is None
    guard = make_guard(None, trusting=False, has_nonce=True)
    context = context_of("http")
    assert guard is not None
    assert guard(context) is None
    assert len(context.request.csp_nonce) == 32


def test_a_nonce_that_is_there_stays() -> None:
    """Two policies on one route have one nonce."""
    context = context_of()
    first = make_guard(None, trusting=False, has_nonce=True)
    second = make_guard(enforcement(), trusting=False, has_nonce=True)
    assert first is not None
    assert second is not None
    first(context)
    nonce = context.request.csp_nonce
    second(context)
    assert context.request.csp_nonce == nonce


@pytest.mark.parametrize("has_nonce", [False, True])
@pytest.mark.parametrize("trusting", [False, True])
def test_the_clients_word_counts_only_when_asked_for(trusting: bool, has_nonce: bool) -> None:
    """SECURITY, lab T8: a plain request with `X-Forwarded-Proto: https` is a plain request, unless COMPAT says otherwise."""
    guard = make_guard(enforcement(), trusting=trusting, has_nonce=has_nonce)
    assert guard is not None
    answer = guard(context_of("http", HTTP_X_FORWARDED_PROTO="https"))
    assert (answer is None) is trusting
    assert guard(context_of("http", HTTP_X_FORWARDED_PROTO="http")) is not None


def test_compat() -> None:
    """The name in COMPAT is what brings the extension's trust back."""
    assert trusts_forwarded({"COMPAT": ("trust-forwarded-proto",)})
    assert not trusts_forwarded({"COMPAT": ("redirect-any",)})
    assert not trusts_forwarded({})


def test_websockets_are_refused() -> None:
    """A handshake is answered with 403, in words that help."""
    context = context_of("http")
    context.made_websocket = object()
    with pytest.raises(Forbidden, match="wss://"):
        enforcement().enforce(context)


def test_exempt_paths_are_served() -> None:
    """An exempt path gets no answer from the guard, and neither does a WebSocket there."""
    rules = enforcement(exempt=Exemptions.of(["/healthz"]))
    assert rules.enforce(context_of("http", "/healthz")) is None
    assert rules.enforce(context_of("http", "/")) is not None


@pytest.mark.parametrize(
    "options, method, code",
    [
        ({}, "GET", 302),
        ({"permanent": True}, "GET", 301),
        ({"keep_method": True}, "POST", 307),
        ({"keep_method": True, "permanent": True}, "POST", 308),
        ({"code": 308}, "GET", 308),
    ],
)
def test_codes(options: dict[str, Any], method: str, code: int) -> None:
    """The options choose the status code."""
    assert enforcement(**options).enforce(context_of("http", REQUEST_METHOD=method)).code == code


@pytest.mark.parametrize(
    "host, location",
    [
        ("shop.example", "https://shop.example/"),
        ("shop.example:80", "https://shop.example/"),
        ("shop.example:8080", "https://shop.example:8080/"),
        ("[::1]:80", "https://[::1]/"),
    ],
)
def test_the_host_is_that_of_the_request(host: str, location: str) -> None:
    """COMPAT: a port stays, as in the extension, unless it is that of plain HTTP."""
    assert dict(enforcement().enforce(context_of("http", HTTP_HOST=host)).headers)["Location"] == location


def test_another_host_can_be_named() -> None:
    """With a host of its own the redirect leads there whatever the request says."""
    rules = enforcement(host="www.shop.example:8443")
    answer = rules.enforce(context_of("http", "/x", HTTP_HOST="evil.test"))
    assert dict(answer.headers)["Location"] == "https://www.shop.example:8443/x"


@pytest.mark.parametrize("host", ["a,b", "a@b", "", "evil.test/", "a b", "evil.test:x", "évil.test\x00", "a" * 300])
def test_nobody_is_sent_to_a_malformed_host(host: str) -> None:
    """SECURITY: what is no host is a 400."""
    with pytest.raises(BadRequest):
        enforcement().enforce(context_of("http", HTTP_HOST=host))


def test_nobody_is_sent_to_a_host_that_is_not_trusted() -> None:
    """SECURITY, lab W19: Flask-Talisman sends a request with `Host: evil.test` to https://evil.test/."""
    app = Quaff("trusting")
    app.config["TRUSTED_HOSTS"] = ["shop.example", ".shop.example"]
    with pytest.raises(SecurityError):
        enforcement().enforce(context_of("http", app=app, HTTP_HOST="evil.test"))
    with pytest.raises(SecurityError):
        enforcement().enforce(context_of("http", app=app, HTTP_HOST="notshop.example"))
    answer = enforcement().enforce(context_of("http", app=app, HTTP_HOST="www.shop.example"))
    assert dict(answer.headers)["Location"] == "https://www.shop.example/"


def test_the_servers_name_stands_in_for_a_missing_host() -> None:
    """A request of HTTP/1.0 need not name a host."""
    context = context_of("http", SERVER_NAME="server.example", SERVER_PORT="80", SERVER_PROTOCOL="HTTP/1.0")
    del context.environ["HTTP_HOST"]
    assert dict(enforcement().enforce(context).headers)["Location"] == "https://server.example/"


def test_a_redirect_loop_is_explained() -> None:
    """A proxy that is not in TRUSTED_PROXIES makes a loop; the hint is given when it seems to be there."""
    hinted: list[Any] = []
    rules = enforcement(hint=hinted.append)
    rules.enforce(context_of("http"))
    assert hinted == []
    rules.enforce(context_of("http", HTTP_X_FORWARDED_PROTO="HTTPS"))
    assert hinted == [APP]
    app = Quaff("proxied")
    app.config["TRUSTED_PROXIES"] = 1
    rules.enforce(context_of("http", app=app, HTTP_X_FORWARDED_PROTO="https"))
    assert hinted == [APP]


def test_the_hint_is_given_once(caplog: pytest.LogCaptureFixture) -> None:
    """SECURITY: a client cannot fill the log with it."""
    app = Quaff("hinted")
    for _ in range(3):
        hint_at_proxy(app)
    assert len(caplog.records) == 1
    assert "app.config['TRUSTED_PROXIES'] = 1" in caplog.text


def test_constant_headers_need_no_function() -> None:
    """PERF: nothing is called for headers that are the same for each response."""
    assert make_add_headers(header_set(constant=(("X-Frame-Options", "DENY"),)), trusting=False) is None


def test_hsts_comes_over_https_only() -> None:
    """RFC 6797 section 7.2: the header must not be sent over plain HTTP."""
    headers = header_set(secure=((HSTS, "max-age=1"),))
    assert added(headers, context_of("https")) == [(HSTS, "max-age=1")]
    assert added(headers, context_of("http")) == []


def test_hsts_is_not_sent_with_exempt_paths() -> None:
    """COMPAT: Flask-SSLify leaves the paths alone that it skips."""
    headers = header_set(secure=((HSTS, "max-age=1"),))
    exempt = Exemptions.of(["/x"])
    assert added(headers, context_of("https", "/x"), exempt=exempt) == []
    assert added(headers, context_of("https", "/y"), exempt=exempt) == [(HSTS, "max-age=1")]


@pytest.mark.parametrize("name", [HSTS, HSTS.lower(), HSTS.upper()])
def test_the_views_headers_stay(name: str) -> None:
    """A header that is there is not set again, however its name is written."""
    headers = header_set(secure=((HSTS, "max-age=1"),), made=(NONCES,))
    found = added(headers, context_of(), present=[(name, "max-age=9"), (CSP.lower(), "img-src *")])
    assert found == [(name, "max-age=9"), (CSP.lower(), "img-src *")]


def test_the_nonce_is_that_of_the_request() -> None:
    """The header has the nonce that the view used; what depends on the scheme is there."""
    context = context_of()
    context.request.csp_nonce = "N"
    assert added(header_set(made=(NONCES,)), context) == [(CSP, "script-src 'nonce-N'; upgrade-insecure-requests")]
    plain = context_of("http")
    plain.request.csp_nonce = "N"
    assert added(header_set(made=(NONCES,)), plain) == [(CSP, "script-src 'nonce-N'")]


def test_a_nonce_is_made_where_no_guard_ran() -> None:
    """A routing error may come before all guards; its page has a nonce of its own."""
    context = context_of()
    ((_, value),) = added(header_set(made=(NONCES,)), context)
    assert value == f"script-src 'nonce-{context.request.csp_nonce}'; upgrade-insecure-requests"


def test_an_unchanged_page_keeps_its_nonce() -> None:
    """RFC 9111 section 3.2: a 304 with a new nonce would lock out the scripts of the page that the browser has stored."""
    assert added(header_set(made=(NONCES,), secure=((HSTS, "max-age=1"),)), context_of(), 304) == [(HSTS, "max-age=1")]
    fixed = NonceHeader(CSP, ("img-src *; upgrade-insecure-requests",), ("img-src *",))
    assert added(header_set(made=(fixed,)), context_of(), 304) == [(CSP, "img-src *; upgrade-insecure-requests")]


def test_pages_with_a_session_are_private() -> None:
    """A response for which the session was read is kept by no cache; one that says something about caching is left alone."""
    context, headers = context_of(), Headers()
    keep_private(context, 200, headers)
    context.opened_session = SimpleNamespace(accessed=False)
    keep_private(context, 200, headers)
    assert list(headers) == []
    context.opened_session = SimpleNamespace(accessed=True)
    keep_private(context, 200, headers)
    assert list(headers) == [("Cache-Control", "private, no-store")]
    public = Headers({"cache-control": "public"})
    keep_private(context, 200, public)
    assert list(public) == [("cache-control", "public")]


def stages(**options: Any) -> list[Stage]:
    """Return the stages of the parts that are built."""
    usual: dict[str, Any] = {"settings": Settings(), "enforcement": None, "trusting": False, "is_websocket": False}
    return [part.stage for part in build_parts(options.pop("headers", header_set()), **{**usual, **options})]


def test_build_parts() -> None:
    """PERF: a part is there only when it has something to do."""
    assert stages() == []
    assert stages(enforcement=enforcement()) == [Stage.HTTPS]
    assert stages(headers=header_set(constant=(("A", "b"),))) == [Stage.HEADERS]
    assert stages(headers=header_set(made=(NONCES,))) == [Stage.HTTPS, Stage.HEADERS]
    assert stages(headers=header_set(made=(NONCES,)), is_websocket=True) == [Stage.HEADERS]
    assert stages(settings=Settings(private_sessions=True)) == [Stage.HEADERS]
    assert stages(settings=Settings(private_sessions=True), is_websocket=True) == []
