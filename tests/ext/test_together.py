"""All batteries in one app: what no extension can test, for it knows no other."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from quaff import Quaff, Response, redirect, render_template_string, request, session, url_for
from quaff.ext.caching import Cache
from quaff.ext.compress import Compress
from quaff.ext.cors import CORS
from quaff.ext.limiter import Limiter
from quaff.ext.limiter.util import get_remote_address
from quaff.ext.security import Talisman

ORIGIN = "https://front.example"
OTHER = "https://other.example"
LONG = {"rows": ["a row of some length"] * 100}

SETUPS: dict[str, Callable[[Quaff], object]] = {
    "cors": lambda app: CORS(app, origins=[ORIGIN, OTHER]),
    "talisman": lambda app: Talisman(
        app,
        force_https=False,
        content_security_policy={"default-src": "'self'", "script-src": "'self'"},
        content_security_policy_nonce_in=["script-src"],
    ),
    "limiter": lambda app: Limiter(get_remote_address, app=app, default_limits=["100 per hour"], headers_enabled=True),
    "compress": Compress,
}


def write_session() -> str:
    """Answer, and change the session."""
    session["a"] = 1
    return "session"


async def asynchronous() -> dict[str, Any]:
    """Answer on a loop."""
    return LONG


def stream() -> Iterator[str]:
    """Answer in pieces."""
    yield "piece " * 100
    yield "piece " * 100


def failing() -> str:
    """Fail."""
    raise ZeroDivisionError


def refusing() -> str:
    """Read more than is accepted."""
    return str(len(request.get_data()))


VIEWS: dict[str, Callable[..., Any]] = {
    "/text": lambda: "text",
    "/long": lambda: LONG,
    "/async": asynchronous,
    "/stream": stream,
    "/session": write_session,
    "/away": lambda: redirect("/text"),
    "/error": failing,
    "/body": refusing,
    "/slash/": lambda: "slash",
    "/where": lambda: {"client": request.remote_addr, "url": url_for("where", _external=True)},
}


def make_app(folder: Path, order: tuple[str, ...] = tuple(SETUPS), *, compiled: bool = True) -> Quaff:
    """Return an app with all batteries, added in some order."""
    (folder / "static").mkdir(exist_ok=True)
    (folder / "static" / "page.css").write_text("body { color: red }\n" * 100)
    app = Quaff("together", root_path=str(folder), static_folder="static", compiled=compiled)
    app.config.update(SECRET_KEY="a key for tests", PROPAGATE_EXCEPTIONS=False, MAX_CONTENT_LENGTH=10)
    for name in order:
        SETUPS[name](app)
    for rule, view in VIEWS.items():
        app.add_url_rule(rule, rule.strip("/"), view, methods=["GET", "POST"])
    return app


@pytest.fixture(params=[True, False], ids=["compiled", "reference"])
def app(request: pytest.FixtureRequest, tmp_path: Path) -> Quaff:
    """Give an app with all batteries."""
    return make_app(tmp_path, compiled=request.param)


REQUESTS: dict[str, tuple[int, dict[str, Any]]] = {
    "text": (200, {"path": "/text"}),
    "head": (200, {"path": "/long", "method": "HEAD"}),
    "long": (200, {"path": "/long"}),
    "async": (200, {"path": "/async"}),
    "stream": (200, {"path": "/stream"}),
    "session": (200, {"path": "/session"}),
    "static": (200, {"path": "/static/page.css"}),
    "range": (206, {"path": "/static/page.css", "headers": {"Range": "bytes=0-9"}}),
    "redirect": (302, {"path": "/away"}),
    "slash": (308, {"path": "/slash"}),
    "options": (200, {"path": "/text", "method": "OPTIONS"}),
    "missing": (404, {"path": "/missing"}),
    "method": (405, {"path": "/text", "method": "DELETE"}),
    "too large": (413, {"path": "/body", "method": "POST", "data": b"x" * 20}),
    "error": (500, {"path": "/error"}),
}
"""Name -> the status, and the request."""

SECURITY = {"X-Frame-Options", "X-Content-Type-Options", "Referrer-Policy", "Content-Security-Policy"}


def ask(app: Quaff, **options: Any) -> Any:
    """Send a request of a browser that is on a page of another site."""
    headers = {"Origin": ORIGIN, "Accept-Encoding": "gzip", **options.pop("headers", {})}
    return app.test_client().open(headers=headers, buffered=True, **options)


@pytest.mark.parametrize("name", REQUESTS)
def test_every_response_has_all_headers(app: Quaff, name: str) -> None:
    """Whatever its status, a response may be read by the site that asked, and has the whole set of security headers."""
    status, options = REQUESTS[name]
    response = ask(app, **options)
    assert response.status_code == status
    assert response.headers.getlist("Access-Control-Allow-Origin") == [ORIGIN]
    assert "Origin" in response.headers["Vary"]
    assert set(response.headers.keys()) >= SECURITY
    assert all(len(response.headers.getlist(header)) == 1 for header in {*SECURITY, "Vary"})


@pytest.mark.parametrize("name", ["text", "missing"])
def test_a_request_for_a_bad_host_has_security_headers(app: Quaff, name: str) -> None:
    """A 400 that the app makes before it looks at the route has them as well."""
    _, options = REQUESTS[name]
    response = ask(app, **{**options, "headers": {"Host": "ev il"}})
    assert response.status_code == 400
    assert set(response.headers.keys()) >= SECURITY


def test_a_429_may_be_read_by_the_site_that_asked(tmp_path: Path) -> None:
    """Over the limit, CORS and security headers are those of a success."""
    app = make_app(tmp_path)
    for _ in range(100):
        assert ask(app, path="/text").status_code == 200
    response = ask(app, path="/text")
    assert response.status_code == 429
    assert response.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert set(response.headers.keys()) >= SECURITY


def test_preflights_count_against_no_limit(app: Quaff) -> None:
    """However many preflights come, the requests that they are about are let in."""
    headers = {"Origin": ORIGIN, "Access-Control-Request-Method": "GET"}
    client = app.test_client()
    for _ in range(150):
        assert client.options("/text", headers=headers).status_code == 200
    assert client.get("/text").status_code == 200


CHANGING = {"Date", "ETag", "Expires", "Last-Modified", "RateLimit", "Retry-After", "Set-Cookie", "X-RateLimit-Reset"}
"""Headers that depend on the time."""


def _comparable(name: str, value: str) -> str:
    if name == "Allow":
        # Werkzeug gives the methods as a set has them.
        return ", ".join(sorted(value.split(", ")))
    return "" if name in CHANGING else re.sub(r"nonce-[\w-]+", "", value)


def _story(app: Quaff) -> list[Any]:
    told = []
    for name, (_, options) in REQUESTS.items():
        response = ask(app, **options)
        headers = sorted((key, _comparable(key, value)) for key, value in response.headers)
        told.append((name, response.status, headers, response.data))
    return told


def test_the_order_of_registration_does_not_matter(tmp_path: Path) -> None:
    """Added in whatever order, the batteries give the same responses, in both pipelines."""
    stories = [
        _story(make_app(tmp_path, order, compiled=compiled))
        for order in itertools.permutations(SETUPS)
        for compiled in (True, False)
    ]
    assert all(story == stories[0] for story in stories)


def test_on_a_loop_it_is_the_same(tmp_path: Path) -> None:
    """An async view, served on the event loop, has the headers that it has under WSGI."""
    app = make_app(tmp_path)
    headers = {"Origin": ORIGIN, "Accept-Encoding": "gzip"}

    async def ask_on_loop() -> Any:
        return await app.test_async_client().get("/async", headers=headers)

    over_wsgi, over_asgi = ask(app, path="/async"), asyncio.run(ask_on_loop())
    assert over_asgi.headers["Content-Encoding"] == "gzip" == over_wsgi.headers["Content-Encoding"]
    assert {name.lower() for name, _ in over_asgi.headers} == {name.lower() for name, _ in over_wsgi.headers}


# Proxies -------------------------------------------------------------------------------------------------------------


def test_everybody_sees_one_client(tmp_path: Path) -> None:
    """Behind a proxy, the limit counts the client's address, URLs have the client's scheme, and HSTS is sent."""
    app = make_app(tmp_path)
    app.config["TRUSTED_PROXIES"] = 1

    def get(client: str, path: str = "/where") -> Any:
        return ask(app, path=path, headers={"X-Forwarded-For": f"6.6.6.6, {client}", "X-Forwarded-Proto": "https"})

    first = get("10.0.0.1")
    assert first.get_json() == {"client": "10.0.0.1", "url": "https://localhost/where"}
    assert "max-age" in first.headers["Strict-Transport-Security"]
    for _ in range(99):
        assert get("10.0.0.1").status_code == 200
    assert get("10.0.0.1").status_code == 429
    assert get("10.0.0.2").status_code == 200


def test_without_a_proxy_nobody_pretends(tmp_path: Path) -> None:
    """A client that makes up forwarding headers is one client, over plain HTTP."""
    app = make_app(tmp_path)
    for number in range(100):
        made_up = {
            "X-Forwarded-For": f"10.0.0.{number}",
            "X-Forwarded-Proto": "https",
            "Forwarded": f"for=10.1.0.{number}",
        }
        response = ask(app, path="/where", headers=made_up)
        assert response.get_json()["url"] == "http://localhost/where"
        assert "Strict-Transport-Security" not in response.headers
    assert ask(app, path="/where", headers={"X-Forwarded-For": "10.9.9.9"}).status_code == 429


# Caching -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def cached(tmp_path: Path) -> Quaff:
    """Give an app with all batteries whose pages are cached."""
    app = make_app(tmp_path)
    app.config.update(CACHE_TYPE="SimpleCache", CACHE_DEFAULT_TIMEOUT=600)
    cache = Cache(app)
    made = itertools.count()

    @app.get("/cached")
    @cache.cached()
    def page() -> dict[str, Any]:
        return {**LONG, "number": next(made)}

    @app.get("/nonce")
    @cache.cached()
    def nonce() -> str:
        return render_template_string("<script nonce='{{ csp_nonce() }}'></script>")

    return app


def test_a_cached_page_belongs_to_each_origin(cached: Quaff) -> None:
    """The page comes from the cache, and its CORS headers from the request: one site never gets those of another."""
    first = ask(cached, path="/cached")
    second = ask(cached, path="/cached", headers={"Origin": OTHER})
    third = ask(cached, path="/cached", headers={"Origin": "https://evil.example"})
    assert first.data == second.data == third.data
    assert first.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert second.headers["Access-Control-Allow-Origin"] == OTHER
    assert "Access-Control-Allow-Origin" not in third.headers


def test_a_cached_page_is_compressed_for_each_client(cached: Quaff) -> None:
    """What is cached is the page, not what one client could decode."""
    coded = ask(cached, path="/cached")
    plain = ask(cached, path="/cached", headers={"Accept-Encoding": "identity"})
    assert coded.headers["Content-Encoding"] == "gzip"
    assert "Content-Encoding" not in plain.headers
    assert json.loads(plain.data)["number"] == 0
    assert len(coded.data) < len(plain.data)


def test_the_limit_counts_cached_pages(cached: Quaff) -> None:
    """A page from the cache counts as any other; its remaining number is not that of the page that was stored."""
    remaining = [ask(cached, path="/cached").headers["X-RateLimit-Remaining"] for _ in range(3)]
    assert remaining == ["99", "98", "97"]


def test_a_nonce_is_never_shared(cached: Quaff) -> None:
    """A page with a nonce in it is not given to a second client, whose policy has another nonce."""
    pages = [ask(cached, path="/nonce", headers={"Accept-Encoding": "identity"}) for _ in range(2)]
    for page in pages:
        (nonce,) = re.findall(r"nonce='([\w-]+)'", page.text)
        assert f"'nonce-{nonce}'" in page.headers["Content-Security-Policy"]
    assert pages[0].data != pages[1].data


def test_a_304_of_a_cached_page_has_all_headers(cached: Quaff) -> None:
    """Who has the page already is told so, for the coding that it has, with the headers of the full answer."""
    first = ask(cached, path="/cached")
    etag = first.headers["ETag"]
    second = ask(cached, path="/cached", headers={"If-None-Match": etag})
    assert (second.status_code, second.data) == (304, b"")
    assert second.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert set(second.headers.keys()) >= SECURITY


def test_error_handlers_see_the_limit(tmp_path: Path) -> None:
    """What an error handler makes of a 429 is finished like any other response."""
    app = make_app(tmp_path)

    @app.errorhandler(429)
    def slow_down(error: Any) -> tuple[Response, int]:
        return app.json.response(error="slow down"), 429

    for _ in range(100):
        ask(app, path="/text")
    response = ask(app, path="/text")
    assert (response.status_code, response.get_json()) == (429, {"error": "slow down"})
    assert response.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert response.headers["X-RateLimit-Remaining"] == "0"
