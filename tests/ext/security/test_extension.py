"""`SecurityHeaders` in apps: every way to serve a request, every kind of response."""

from __future__ import annotations

import gc
import re
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from quaff import Blueprint, Quaff, Response, render_template_string, request, websocket
from quaff.ext.security.extension import EXTENSION, SecurityHeaders, csp_nonce
from quaff.ext.security.headers import CSP, HSTS, REPORT_ONLY
from quaff.ext.security.problems import SecurityOptionError
from quaff.testing.websocket import HandshakeRefused
from quaff.views import MethodView
from tests.contracts.test_calls import answer, calls_of, environ
from tests.ext.security.apps import HTTP, HTTPS, STATUSES, WAYS, Ask, make_app

Way = tuple[Quaff, Ask]

ALWAYS = {
    "Permissions-Policy",
    "X-Frame-Options",
    "X-Content-Type-Options",
    "Referrer-Policy",
    "Cross-Origin-Opener-Policy",
    "Cross-Origin-Resource-Policy",
    "X-Permitted-Cross-Domain-Policies",
    "X-DNS-Prefetch-Control",
}
"""The headers of each response."""


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest, tmp_path: Path) -> Way:
    """Give an app with views of every kind and a static file, and how to ask it."""
    options, ask = WAYS[request.param]
    return make_app(tmp_path, **options), ask


@pytest.fixture(params=[True, False], ids=["compiled", "reference"])
def app(request: pytest.FixtureRequest) -> Quaff:
    """Give an app with views of every kind, in either pipeline."""
    return make_app(compiled=request.param)


def names(response: Any) -> set[str]:
    """Return the names of the headers that this battery knows."""
    # Over ASGI the names are in lower case.
    known = {name.lower(): name for name in (*ALWAYS, CSP, REPORT_ONLY, HSTS, "Reporting-Endpoints")}
    found = [known[name.lower()] for name, _ in response.headers if name.lower() in known]
    assert len(found) == len(set(found)), f"sent twice: {found}"
    return set(found)


# Every response ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", STATUSES)
def test_the_set_is_complete(way: Way, path: str) -> None:
    """X5: each response over HTTPS has all headers once, whatever its status and kind; a 304 has no new nonce."""
    app, ask = way
    SecurityHeaders(app)
    response = ask(app, path)
    assert response.status_code == STATUSES[path]
    assert names(response) == {*ALWAYS, HSTS} | (set() if path == "/unchanged" else {CSP})


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "POST", "PUT"])
def test_the_set_is_complete_for_each_method(way: Way, method: str) -> None:
    """X5: so has the answer to HEAD, an automatic OPTIONS, and a 405."""
    app, ask = way
    SecurityHeaders(app)
    assert names(ask(app, "/text", method=method)) == {*ALWAYS, HSTS, CSP}


@pytest.mark.parametrize("path", STATUSES)
def test_plain_requests_are_redirected(way: Way, path: str) -> None:
    """Over plain HTTP each path leads to HTTPS, also one that does not exist, with all headers but those for HTTPS."""
    app, ask = way
    SecurityHeaders(app)
    response = ask(app, f"{path}?a=1", base_url=HTTP)
    assert (response.status_code, response.headers["Location"]) == (308, f"https://localhost{path}?a=1")
    assert names(response) == {*ALWAYS, CSP}
    assert "upgrade-insecure-requests" not in response.headers[CSP]


@pytest.mark.parametrize("path", ["/page", "/nonce", "/stream", "/async-page"])
def test_the_nonce_of_the_page_is_that_of_the_header(way: Way, path: str) -> None:
    """GoogleCloudPlatform/flask-talisman#69: what templates and views get is what the header says, also in a stream."""
    app, ask = way
    SecurityHeaders(app)
    seen = set()
    for _ in range(3):
        response = ask(app, path)
        found = re.search(r"script-src 'self' 'nonce-([\w-]{32})'", response.headers[CSP])
        assert found is not None
        assert found[1] in response.text
        seen.add(found[1])
    assert len(seen) == 3


def test_static_files_that_did_not_change(way: Way) -> None:
    """X5: a 304 of a static file has the headers, and the file's own Cache-Control stays."""
    app, ask = way
    SecurityHeaders(app)
    first = ask(app, "/static/site.css")
    second = ask(app, "/static/site.css", headers={"If-None-Match": first.headers["ETag"]})
    assert second.status_code == 304
    assert names(second) == {*ALWAYS, HSTS}
    assert first.headers["Cache-Control"] == second.headers["Cache-Control"] == "no-cache"


def test_pages_with_a_session_are_private(way: Way) -> None:
    """A page that read the session is kept by no cache; others are left to the app."""
    app, ask = way
    SecurityHeaders(app)
    assert ask(app, "/session").headers["Cache-Control"] == "private, no-store"
    assert "Cache-Control" not in ask(app, "/text").headers


def test_error_pages_of_the_app(app: Quaff) -> None:
    """A page of the app's own for an error has the headers, and may use the nonce."""
    SecurityHeaders(app)
    app.register_error_handler(404, lambda error: (render_template_string("<script nonce={{ csp_nonce() }}>"), 404))
    response = app.test_client().get("/missing", base_url=HTTPS)
    assert response.status_code == 404
    assert csp_of(response)["script-src"].endswith(f"'nonce-{response.text[14:-1]}'")


def csp_of(response: Any, name: str = CSP) -> dict[str, str]:
    """Return the directives of a response's policy."""
    parts = (part.strip().partition(" ") for part in response.headers[name].split(";"))
    return {directive: values for directive, _, values in parts}


def test_what_the_view_sets_stays(way: Way) -> None:
    """A header that a view sets wins; Flask-Talisman overwrites it."""
    app, ask = way
    SecurityHeaders(app)
    own = {CSP: "img-src *", HSTS: "max-age=5", "X-Frame-Options": "SAMEORIGIN"}
    app.add_url_rule("/own", "own", lambda: Response("own", headers=own))
    response = ask(app, "/own")
    assert {name: response.headers[name] for name in own} == own
    assert names(response) == {*ALWAYS, HSTS, CSP}


def test_what_a_hook_sets_stays(app: Quaff) -> None:
    """So does a header that an after_request function sets."""
    SecurityHeaders(app)

    @app.after_request
    def allow(response: Response) -> Response:
        response.headers["X-Frame-Options"] = "SAMEORIGIN"
        return response

    assert app.test_client().get("/text", base_url=HTTPS).headers.getlist("X-Frame-Options") == ["SAMEORIGIN"]


# HTTPS ---------------------------------------------------------------------------------------------------------------


def test_forms_are_sent_again(way: Way) -> None:
    """The redirect of a POST keeps the method; a temporary one as well."""
    app, ask = way
    security = SecurityHeaders(app)
    assert ask(app, "/text", base_url=HTTP, method="POST").status_code == 308
    security.force_https_permanent = False
    assert ask(app, "/text", base_url=HTTP, method="POST").status_code == 307
    assert ask(app, "/text", base_url=HTTP).status_code == 302
    security.force_https_code = 301
    assert ask(app, "/text", base_url=HTTP).status_code == 301


def test_https_comes_before_routing_redirects(app: Quaff) -> None:
    """A path without its slash is sent to HTTPS first, and only there to the right path."""
    SecurityHeaders(app)
    app.add_url_rule("/folder/", "folder", lambda: "folder")
    client = app.test_client()
    assert client.get("/folder", base_url=HTTP).headers["Location"] == "https://localhost/folder"
    assert client.get("/folder", base_url=HTTPS).headers["Location"] == "https://localhost/folder/"


def test_nothing_runs_for_a_plain_request(way: Way) -> None:
    """Neither before_request functions nor the view see a request that should not have been sent."""
    app, ask = way
    SecurityHeaders(app)
    seen: list[str] = []
    app.before_request(lambda: seen.append("hook"))
    app.add_url_rule("/seen", "seen", lambda: seen.append("view") or "seen")
    ask(app, "/seen", base_url=HTTP)
    assert seen == []
    ask(app, "/seen")
    assert seen == ["hook", "view"]


@pytest.mark.parametrize("exempt", ["/text", "/te*", "text", ["/json", "text"]])
def test_exemptions(way: Way, exempt: Any) -> None:
    """A path or an endpoint may be exempt, as health checks are; everything else is not."""
    app, ask = way
    if exempt == "/te*":
        with pytest.raises(SecurityOptionError):
            SecurityHeaders(app, force_https_exempt=exempt)
        return
    SecurityHeaders(app, force_https_exempt=exempt)
    response = ask(app, "/text", base_url=HTTP)
    assert response.status_code == 200
    assert names(response) == {*ALWAYS, CSP}
    assert ask(app, "/response", base_url=HTTP).status_code == 308
    assert ask(app, "/text/", base_url=HTTP).status_code == 308


def test_exempt_views(way: Way) -> None:
    """A view may be exempt by itself, by decorator or in the list."""
    app, ask = way
    security = SecurityHeaders(app)

    @app.get("/a")
    @security.exempt
    def a() -> str:
        return "a"

    @app.get("/b")
    async def b() -> str:
        return "b"

    security.force_https_exempt = [b]
    assert [ask(app, path, base_url=HTTP).status_code for path in ("/a", "/b", "/text")] == [200, 200, 308]


def test_debug_mode(way: Way) -> None:
    """In debug mode nothing is redirected, and the session cookie goes over plain HTTP."""
    app, ask = way
    SecurityHeaders(app)
    app.debug = True
    assert ask(app, "/text", base_url=HTTP).status_code == 200
    assert app.config["SESSION_COOKIE_SECURE"] is False
    app.debug = False
    assert ask(app, "/text", base_url=HTTP).status_code == 308
    assert app.config["SESSION_COOKIE_SECURE"] is True


@pytest.mark.parametrize("host", ["evil.test", "notshop.example", "shop.example.evil.test", "a,b", "a@b"])
def test_nobody_is_sent_to_another_host(way: Way, host: str) -> None:
    """SECURITY, lab W19: with TRUSTED_HOSTS, another host is a 400 and never a redirect."""
    app, ask = way
    app.config["TRUSTED_HOSTS"] = ["shop.example"]
    SecurityHeaders(app)
    response = ask(app, "/text", base_url=HTTP, headers={"Host": host})
    assert response.status_code == 400
    assert "Location" not in response.headers
    good = ask(app, "/text", base_url=HTTP, headers={"Host": "shop.example"})
    assert good.headers["Location"] == "https://shop.example/text"


@pytest.mark.parametrize("path", ["/text", "/async"])
def test_the_clients_word_is_not_believed(way: Way, path: str) -> None:
    """SECURITY, lab T8: neither the redirect nor HSTS believes a client's `X-Forwarded-Proto`."""
    app, ask = way
    SecurityHeaders(app)
    headers = {"X-Forwarded-Proto": "https"}
    response = ask(app, path, base_url=HTTP, headers=headers)
    assert response.status_code == 308
    assert HSTS not in response.headers


@pytest.mark.parametrize("path", ["/text", "/async", "/missing"])
def test_a_trusted_proxy_is_believed(way: Way, path: str) -> None:
    """With TRUSTED_PROXIES the same header comes from a proxy, and the request is secure."""
    app, ask = way
    app.config["TRUSTED_PROXIES"] = 1
    SecurityHeaders(app)
    response = ask(app, path, base_url=HTTP, headers={"X-Forwarded-Proto": "https"})
    assert response.status_code == STATUSES[path]
    assert HSTS in response.headers
    assert ask(app, path, base_url=HTTP, headers={"X-Forwarded-Proto": "http"}).status_code == 308


def test_a_trusted_proxy_is_believed_about_websockets(app: Quaff) -> None:
    """A handshake that came over TLS to the proxy is accepted, and one that did not is refused."""
    app.config["TRUSTED_PROXIES"] = 1
    echo_app(app)
    with app.test_websocket("/echo", base_url=HTTP, headers={"X-Forwarded-Proto": "https"}) as session:
        assert session.receive() == "hello"
    headers = {"X-Forwarded-Proto": "http"}
    with pytest.raises(HandshakeRefused), app.test_websocket("/echo", base_url=HTTP, headers=headers) as session:
        session.receive()


@pytest.mark.parametrize(
    "path", ["//evil.test", "/\\evil.test", "/%0d%0aSet-Cookie:a=b", "/%2f%2fevil.test", "/@evil.test"]
)
def test_the_redirect_stays_on_the_host(app: Quaff, path: str) -> None:
    """SECURITY, pack RDR: no path leads to another host or out of the header."""
    SecurityHeaders(app)
    response = app.test_client().get(path, base_url=HTTP)
    assert response.headers["Location"].startswith("https://localhost/")
    assert "Set-Cookie" not in response.headers


# WebSockets ----------------------------------------------------------------------------------------------------------


def echo_app(app: Quaff) -> SecurityHeaders:
    """Add a WebSocket at /echo, and one that is exempt."""
    security = SecurityHeaders(app)

    @app.websocket("/echo")
    async def echo() -> None:
        await websocket.accept()
        await websocket.send("hello")

    @app.websocket("/open")
    @security.exempt
    async def exempt() -> None:
        await websocket.accept()
        await websocket.send("hello")

    return security


def test_plain_websockets_are_refused(app: Quaff) -> None:
    """A handshake over ws:// is a 403 with all headers: browsers follow no redirect there."""
    echo_app(app)
    with (
        pytest.raises(HandshakeRefused) as refused,
        app.test_websocket("/echo", base_url="http://localhost") as session,
    ):
        session.receive()
    assert refused.value.status == 403
    assert b"wss://" in refused.value.body
    assert {name.title() for name, _ in refused.value.headers} >= {"X-Frame-Options", "Referrer-Policy"}


@pytest.mark.parametrize("path, base", [("/echo", "https://localhost"), ("/open", "http://localhost")])
def test_other_websockets_are_served(app: Quaff, path: str, base: str) -> None:
    """A handshake over wss://, or of an exempt WebSocket, is accepted."""
    echo_app(app)
    with app.test_websocket(path, base_url=base) as session:
        assert session.receive() == "hello"


def test_a_websocket_that_is_not_there(app: Quaff) -> None:
    """An unknown path over ws:// is refused like a known one: it cannot be found out by asking."""
    echo_app(app)
    with (
        pytest.raises(HandshakeRefused) as refused,
        app.test_websocket("/none", base_url="http://localhost") as session,
    ):
        session.receive()
    assert refused.value.status == 403


# Options -------------------------------------------------------------------------------------------------------------


def test_a_view_has_its_own(way: Way) -> None:
    """A decorator changes the headers of one view, sync or async, and of no other."""
    app, ask = way
    security = SecurityHeaders(app)
    embed = security(frame_options=None, content_security_policy={"frame-ancestors": "https://partner.example"})

    @app.get("/embed")
    @embed
    def sync_view() -> str:
        return "embed"

    @app.get("/async-embed")
    @embed
    async def async_view() -> str:
        return "embed"

    for path in ("/embed", "/async-embed"):
        response = ask(app, path)
        assert "X-Frame-Options" not in response.headers
        assert csp_of(response) == {"frame-ancestors": "https://partner.example", "upgrade-insecure-requests": ""}
    assert ask(app, "/text").headers["X-Frame-Options"] == "DENY"


def test_decorators_add_up(app: Quaff) -> None:
    """Of several decorators the outermost counts where they contradict."""
    security = SecurityHeaders(app)

    @app.get("/both")
    @security(frame_options="SAMEORIGIN", referrer_policy="no-referrer")
    @security(frame_options=None, cross_origin_embedder_policy="require-corp")
    def both() -> str:
        return "both"

    headers = app.test_client().get("/both", base_url=HTTPS).headers
    assert headers["X-Frame-Options"] == "SAMEORIGIN"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cross-Origin-Embedder-Policy"] == "require-corp"


def test_methods_of_a_class_have_their_own(app: Quaff) -> None:
    """A decorator may stand on a method of a `MethodView`."""
    security = SecurityHeaders(app)

    class Item(MethodView):
        @security(frame_options=None)
        def get(self) -> str:
            return "get"

        def post(self) -> str:
            return "post"

    app.add_url_rule("/item", view_func=Item.as_view("item"))
    client = app.test_client()
    assert "X-Frame-Options" not in client.get("/item", base_url=HTTPS).headers
    assert "X-Frame-Options" in client.post("/item", base_url=HTTPS).headers


def test_options_of_a_view_are_not_changed() -> None:
    """Flask-Talisman writes the first app's options into the decorated view; here two apps share it and differ."""
    security = SecurityHeaders()
    given = {"referrer_policy": "no-referrer"}

    @security(**given)
    def view() -> str:
        return "view"

    apps = [Quaff("a"), Quaff("b")]
    for app, frame in zip(apps, ("DENY", "SAMEORIGIN"), strict=True):
        app.add_url_rule("/", "view", view)
        security.init_app(app, frame_options=frame)
    found = [app.test_client().get("/", base_url=HTTPS).headers for app in apps]
    assert [headers["X-Frame-Options"] for headers in found] == ["DENY", "SAMEORIGIN"]
    assert [headers["Referrer-Policy"] for headers in found] == ["no-referrer"] * 2
    assert given == {"referrer_policy": "no-referrer"}


def test_without_init_app_a_decorator_does_nothing(app: Quaff) -> None:
    """An app that leaves the battery out, for its tests say, has views that are decorated by it."""
    app.add_url_rule("/plain", "plain", SecurityHeaders()(frame_options="DENY")(lambda: "plain"))
    response = app.test_client().get("/plain", base_url=HTTP)
    assert response.status_code == 200
    assert names(response) == set()


def test_configuration(way: Way) -> None:
    """Each option can be set in the configuration, also after init_app, and counts from the next request on."""
    app, ask = way
    SecurityHeaders(app)
    app.config["SECURITY_HEADERS_FRAME_OPTIONS"] = "SAMEORIGIN"
    assert ask(app, "/text").headers["X-Frame-Options"] == "SAMEORIGIN"
    app.config["SECURITY_HEADERS_FORCE_HTTPS"] = "false"
    assert ask(app, "/text", base_url=HTTP).status_code == 200
    app.config["SECURITY_HEADERS_CONTENT_SECURITY_POLICY"] = "img-src 'self'"
    assert csp_of(ask(app, "/text")) == {"img-src": "'self'", "upgrade-insecure-requests": ""}


def test_what_is_given_counts_more_than_the_configuration(app: Quaff) -> None:
    """Code says what holds everywhere; the configuration says the rest."""
    app.config["SECURITY_HEADERS_FRAME_OPTIONS"] = "SAMEORIGIN"
    SecurityHeaders(app, frame_options="DENY")
    assert app.test_client().get("/text", base_url=HTTPS).headers["X-Frame-Options"] == "DENY"


def test_attributes(way: Way) -> None:
    """An attribute can be read and changed, and a policy changed in place; each counts from the next request on."""
    app, ask = way
    security = SecurityHeaders(app)
    assert security.frame_options == "DENY"
    ask(app, "/text")
    security.frame_options = "SAMEORIGIN"
    security.content_security_policy["img-src"] = "*"
    response = ask(app, "/text")
    assert response.headers["X-Frame-Options"] == "SAMEORIGIN"
    assert csp_of(response)["img-src"] == "*"
    del security.content_security_policy["img-src"]
    assert "img-src" not in csp_of(ask(app, "/text"))


def test_attributes_before_init_app() -> None:
    """What is set before there is an app holds for the apps that come."""
    security = SecurityHeaders(frame_options="SAMEORIGIN")
    assert security.frame_options == "SAMEORIGIN"
    security.referrer_policy = "no-referrer"
    app = make_app()
    security.init_app(app)
    headers = app.test_client().get("/text", base_url=HTTPS).headers
    assert (headers["X-Frame-Options"], headers["Referrer-Policy"]) == ("SAMEORIGIN", "no-referrer")


def test_attributes_that_there_are_not() -> None:
    """An unknown attribute is an AttributeError, as ever."""
    with pytest.raises(AttributeError, match="'SecurityHeaders' object has no attribute 'frame_option'"):
        _ = SecurityHeaders().frame_option


def test_blueprints(way: Way) -> None:
    """A blueprint has headers of its own in place of the app's, and one inside of it has others again."""
    app, ask = way
    outer, inner = Blueprint("outer", "x", url_prefix="/outer"), Blueprint("inner", "x", url_prefix="/inner")
    SecurityHeaders(app)
    SecurityHeaders(outer, frame_options="SAMEORIGIN")
    SecurityHeaders(inner, frame_options=None, force_https=False)
    outer.add_url_rule("/", "view", lambda: "outer")
    inner.add_url_rule("/", "view", lambda: "inner")
    outer.register_blueprint(inner)
    app.register_blueprint(outer)
    assert ask(app, "/text").headers["X-Frame-Options"] == "DENY"
    assert ask(app, "/outer/").headers["X-Frame-Options"] == "SAMEORIGIN"
    assert "X-Frame-Options" not in ask(app, "/outer/inner/").headers
    codes = [ask(app, path, base_url=HTTP).status_code for path in ("/text", "/outer/", "/outer/inner/")]
    assert codes == [308, 308, 200]


def test_a_blueprint_alone(app: Quaff) -> None:
    """A blueprint with headers leaves the rest of the app alone, its session cookie included."""
    blueprint = Blueprint("shop", "x", url_prefix="/shop")
    SecurityHeaders(blueprint)
    blueprint.add_url_rule("/", "view", lambda: "shop")
    app.register_blueprint(blueprint)
    client = app.test_client()
    assert names(client.get("/shop/", base_url=HTTPS)) == {*ALWAYS, HSTS, CSP}
    assert names(client.get("/text", base_url=HTTP)) == set()
    assert app.config["SESSION_COOKIE_SAMESITE"] is None


def test_init_app_again(app: Quaff) -> None:
    """A second init_app takes the place of the first."""
    security = SecurityHeaders(app, frame_options="SAMEORIGIN")
    security.init_app(app)
    assert app.test_client().get("/text", base_url=HTTPS).headers.getlist("X-Frame-Options") == ["DENY"]
    assert len(app.extensions[EXTENSION]) == 1


def test_the_nonce_can_be_switched_off_for_a_view(app: Quaff) -> None:
    """GoogleCloudPlatform/flask-talisman#62: `'unsafe-inline'` means nothing beside a nonce, so one view has none."""
    security = SecurityHeaders(app)
    policy = {"script-src": ["'self'", "'unsafe-inline'"]}

    @app.get("/old")
    @security(content_security_policy=policy, content_security_policy_nonce_in=None)
    def old() -> str:
        return repr(csp_nonce())

    response = app.test_client().get("/old", base_url=HTTPS)
    assert csp_of(response)["script-src"] == "'self' 'unsafe-inline'"
    assert response.text == "''"


def test_csp_nonce_outside_of_a_request() -> None:
    """Outside of a request, and in one whose policy has no nonce, there is no nonce."""
    assert csp_nonce() == ""
    app = Quaff("x")
    SecurityHeaders(app, content_security_policy_nonce_in=None)
    app.add_url_rule("/", "view", lambda: f"[{csp_nonce()}]{hasattr(request, 'csp_nonce')}")
    assert app.test_client().get("/", base_url=HTTPS).text == "[]False"


def test_reports(way: Way) -> None:
    """The app takes reports at a path of its own; header and policy name it in both formats."""
    app, ask = way
    SecurityHeaders(app, content_security_policy_report_endpoint="/csp-reports")
    response = ask(app, "/text")
    assert response.headers["Reporting-Endpoints"] == 'csp-endpoint="/csp-reports"'
    assert csp_of(response)["report-uri"] == "/csp-reports"
    assert csp_of(response)["report-to"] == "csp-endpoint"
    report = b'{"csp-report": {"blocked-uri": "inline"}}'
    sent = ask(app, "/csp-reports", method="POST", data=report, content_type="application/csp-report")
    assert sent.status_code == 204
    assert names(sent) == {*ALWAYS, HSTS, CSP, "Reporting-Endpoints"}


def test_report_only(app: Quaff) -> None:
    """A policy can be tried out for the whole app, or a second one beside the first."""
    security = SecurityHeaders(
        app, content_security_policy_report_endpoint="/r", content_security_policy_report_only=True
    )
    client = app.test_client()
    response = client.get("/text", base_url=HTTPS)
    assert names(response) & {CSP, REPORT_ONLY} == {REPORT_ONLY}
    security.content_security_policy_report_only = {"img-src": "'self'"}
    response = client.get("/text", base_url=HTTPS)
    assert names(response) >= {CSP, REPORT_ONLY}
    assert csp_of(response, REPORT_ONLY)["img-src"] == "'self'"


# What is wrong -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options, message",
    [
        ({"frame_option": "DENY"}, r"SecurityHeaders\(\.\.\.\) got the unknown option 'frame_option'; did you mean"),
        (
            {"cross_origin_opener_policy": "x"},
            r"SecurityHeaders\(cross_origin_opener_policy=\.\.\.\) is 'x'\. It is one of",
        ),
        ({"content_security_policy": {"img-src": "a;b"}}, r"content_security_policy\['img-src'\] holds 'a;b'"),
        ({"content_security_policy": {"img-src": "a\r\nb"}}, "holds 'a.*characters that a header cannot hold"),
        (
            {"content_security_policy": {"image-src": "*"}},
            "no browser knows the directive 'image-src'; did you mean 'img-src'",
        ),
        ({"content_security_policy": {"img-src": "self"}}, "without single quotes"),
        ({"content_security_policy_nonce_in": ["style-src"]}, "names 'style-src', which the policy does not have"),
        ({"content_security_policy_report_only": True}, "nobody would get the reports"),
        ({"permissions_policy": {"camera": "(), x=*"}}, "the comma begins another entry"),
        ({"strict_transport_security_preload": True}, "include_subdomains"),
        ({"referrer_policy": "none"}, r"SecurityHeaders\(referrer_policy=\.\.\.\)"),
    ],
)
def test_mistakes_are_errors_at_the_start(options: dict[str, Any], message: str) -> None:
    """What cannot be right is refused by init_app, before there is a request."""
    with pytest.raises(SecurityOptionError, match=message):
        SecurityHeaders(Quaff("x"), **options)


def test_options_in_the_decorator_are_checked() -> None:
    """A decorator refuses unknown options, bad values, and what holds for the whole app."""
    security = SecurityHeaders()
    with pytest.raises(SecurityOptionError, match=r"@SecurityHeaders\(\.\.\.\) got the unknown option 'frame'"):
        security(frame=None)
    with pytest.raises(SecurityOptionError, match=r"@SecurityHeaders\(force_https_code=\.\.\.\) is 7"):
        security(force_https_code=7)
    with pytest.raises(SecurityOptionError, match="is the same for the whole app"):
        security(session_cookie_secure=False)


def test_options_are_keywords() -> None:
    """A value without its name is an error: nobody knows the order of forty options."""
    with pytest.raises(TypeError, match="by keyword"):
        SecurityHeaders(Quaff("x"), {"img-src": "*"})


def test_a_mistake_in_the_configuration(app: Quaff) -> None:
    """A bad value that comes after init_app is the error of the first request, and names the key."""
    app.config["PROPAGATE_EXCEPTIONS"] = True
    SecurityHeaders(app)
    app.config["SECURITY_HEADERS_FRAME_OPTION"] = "DENY"
    with pytest.raises(SecurityOptionError, match="'SECURITY_HEADERS_FRAME_OPTION'; did you mean 'frame_options'"):
        app.test_client().get("/text", base_url=HTTPS)


def test_an_endpoint_that_comes_too_late(app: Quaff) -> None:
    """A route cannot be added once requests are served; the message says so."""
    app.config["PROPAGATE_EXCEPTIONS"] = True
    SecurityHeaders(app)
    app.config["SECURITY_HEADERS_CONTENT_SECURITY_POLICY_REPORT_ENDPOINT"] = "/r"
    with pytest.raises(SecurityOptionError, match="came too late"):
        app.test_client().get("/text", base_url=HTTPS)


# What it costs -------------------------------------------------------------------------------------------------------


def calls(setup: Callable[[Quaff], Any], scheme: str = "https") -> int:
    """Return how many Python functions a warm request calls."""
    app = Quaff("calls", compiled=True)
    setup(app)
    app.add_url_rule("/", "home", lambda: "home")

    def made() -> dict[str, Any]:
        return {**environ("/"), "wsgi.url_scheme": scheme}

    for _ in range(3):
        assert answer(app, made())
    return len(calls_of(answer, app, made()))


def test_constant_headers_cost_no_call() -> None:
    """PERF: where nothing depends on the request, not one function is called for it."""
    plain = {"force_https": False, "strict_transport_security": False, "upgrade_insecure_requests": False}
    free = {**plain, "content_security_policy_nonce_in": None, "private_sessions": False}
    assert calls(lambda app: SecurityHeaders(app, **free)) == calls(lambda app: None)


@pytest.mark.parametrize(
    "options, more",
    [
        ({"content_security_policy_nonce_in": None, "private_sessions": False}, 3),
        ({"content_security_policy_nonce_in": None}, 4),
        ({}, 7),
    ],
)
def test_calls(options: dict[str, Any], more: int) -> None:
    """PERF: HTTPS and HSTS cost three calls; a nonce four more, two of which make the request object."""
    assert calls(lambda app: SecurityHeaders(app, **options)) - calls(lambda app: None) <= more


def test_apps_are_forgotten() -> None:
    """An object at module level keeps no app alive that nobody else needs."""
    security = SecurityHeaders()
    app = make_app()
    security.init_app(app)
    assert app.test_client().get("/text", base_url=HTTPS).status_code == 200
    gone = weakref.ref(app)
    del app
    gc.collect()
    assert gone() is None
    security.init_app(make_app())
    assert len(security._scopes) == 1
