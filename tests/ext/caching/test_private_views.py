"""The pack CAC-PRIV: views under `cached` that must not give one person's page to another, in every way to be served."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest

from quaff import (
    Quaff,
    Response,
    after_this_request,
    flash,
    g,
    get_flashed_messages,
    make_response,
    redirect,
    render_template_string,
    request,
    session,
    url_for,
)
from quaff.ext.caching import Cache, PrivateResult
from tests.ext.caching.apps import PIPELINES, make_app

View = Callable[[], Any]


def with_cookie(response: Response) -> Response:
    """Set a cookie."""
    response.set_cookie("id", "alices")
    return response


def headed(**headers: str) -> Response:
    """Return a response with headers."""
    return Response("page", headers={name.replace("_", "-"): value for name, value in headers.items()})


def after_cookie() -> str:
    """Set a cookie through `after_this_request`."""
    after_this_request(lambda response: with_cookie(response))
    return "page"


NEVER_STORED: dict[str, View] = {
    "session item": lambda: session.get("user", "-"),
    "session in": lambda: str("user" in session),
    "session len": lambda: str(len(session)),
    "session bool": lambda: str(bool(session)),
    "session iter": lambda: ",".join(session),
    "session copy": lambda: str(dict(session)),
    "session write": lambda: str(session.setdefault("seen", 1)),
    "session in a template": lambda: render_template_string("{{ session.user }}"),
    "flash": lambda: str(flash("hello")),
    "flashed messages": lambda: str(get_flashed_messages()),
    "user": lambda: str(getattr(g, "_login_user", None)),
    "cookies": lambda: str(request.cookies.get("id")),
    "cookie header": lambda: str(request.headers.get("Cookie")),
    "all headers": lambda: str(dict(request.headers)),
    "set-cookie": lambda: with_cookie(Response("page")),
    "set-cookie in a tuple": lambda: ("page", {"Set-Cookie": "a=b"}),
    "set-cookie in a list": lambda: ("page", 200, [("set-cookie", "a=b")]),
    "after_this_request": after_cookie,
    "private": lambda: headed(Cache_Control="Private"),
    "no-store": lambda: headed(Cache_Control="max-age=1, NO-STORE"),
    "no-cache with a name": lambda: headed(Cache_Control='no-cache="x"'),
    "vary all": lambda: headed(Vary="*"),
    "vary cookie": lambda: headed(vary="  Cookie "),
    "vary authorization": lambda: headed(Vary="Accept, Authorization"),
    "206": lambda: Response("part", 206),
    "401": lambda: ("no", 401),
    "403": lambda: ("no", 403),
    "429": lambda: ("slowly", "429 TOO MANY REQUESTS"),
    "500": lambda: Response("broken", 500),
    "503": lambda: ("later", 503),
    "stream": lambda: Response(iter(["a", "b"])),
}
"""What a view does -> the view: it is called for each request."""


def count(view: View) -> tuple[View, list[int]]:
    """Return a view that notes its calls, and the notes."""
    calls: list[int] = []

    def counted() -> Any:
        calls.append(1)
        return view()

    return counted, calls


def add_user(app: Quaff) -> None:
    """Let a header say who is logged in."""

    @app.before_request
    def load_user() -> None:
        if "X-Login" in request.headers:
            g._login_user = request.headers["X-Login"]


@pytest.mark.parametrize("compiled", PIPELINES)
@pytest.mark.parametrize("name", NEVER_STORED)
def test_never_stored(name: str, compiled: bool) -> None:
    """Alice's page, and what says that it is not for all, is made for each request."""
    app, cache = make_app(compiled)
    view, calls = count(NEVER_STORED[name])
    app.add_url_rule("/", "view", cache.cached()(view))
    add_user(app)
    client = app.test_client()
    client.set_cookie("id", "alices")
    for _ in range(3):
        client.get("/", headers={"X-Login": "alice"})
    assert len(calls) == 3
    assert not app.extensions["cache"][cache]._cache


@pytest.mark.parametrize("name", ["session item", "user", "cookies", "cookie header"])
def test_a_developer_is_told(name: str) -> None:
    """In debug mode a view that reads what is one person's raises, and the message says what to do."""
    app, cache = make_app(DEBUG=True)
    app.add_url_rule("/", "view", cache.cached()(NEVER_STORED[name]))
    add_user(app)
    client = app.test_client()
    client.set_cookie("id", "alices")
    with pytest.raises(PrivateResult, match="vary_on") as caught:
        client.get("/", headers={"X-Login": "alice"})
    assert caught.value.code == "Q752"


@pytest.mark.parametrize("name", ["set-cookie", "private", "503", "vary cookie", "after_this_request"])
def test_no_mistake_no_error(name: str) -> None:
    """Also in debug mode, a page that is simply not to be stored is no error."""
    app, cache = make_app(DEBUG=True)
    app.add_url_rule("/", "view", cache.cached()(NEVER_STORED[name]))
    assert app.test_client().get("/").status_code < 600


@pytest.mark.parametrize("compiled", PIPELINES)
def test_bob_does_not_get_alices_page(compiled: bool) -> None:
    """W17 of the threat model: a page with the user's name, seen by two."""
    app, cache = make_app(compiled)

    @app.get("/login/<name>")
    def login(name: str) -> str:
        session["user"] = name
        return "in"

    @app.get("/")
    @cache.cached()
    def home() -> str:
        return f"Hello, {session.get('user', 'stranger')}!"

    alice, bob, nobody = app.test_client(), app.test_client(), app.test_client()
    alice.get("/login/alice")
    bob.get("/login/bob")
    assert alice.get("/").text == "Hello, alice!"
    assert bob.get("/").text == "Hello, bob!"
    assert nobody.get("/").text == "Hello, stranger!"
    assert alice.get("/").text == "Hello, alice!"


@pytest.mark.parametrize("compiled", PIPELINES)
@pytest.mark.parametrize(
    "header", ["X-User", "Accept-Language", "X-Forwarded-Host", "User-Agent", "Host", "If-None-Matches"]
)
def test_headers_that_a_view_echoes(header: str, compiled: bool) -> None:
    """A view that reads a header is cached once for each of its values: nobody gets another one's (T5)."""
    app, cache = make_app(compiled)
    view, calls = count(lambda: str(request.headers.get(header)))
    app.add_url_rule("/", "view", cache.cached()(view))
    client = app.test_client()
    for value in ("a.example", "b.example", "a.example", "b.example"):
        assert client.get("/", headers={header: value}).text == value
    assert len(calls) == 2


UNKEYED: dict[str, tuple[View, dict[str, Any], dict[str, Any]]] = {
    "query": (lambda: request.args.get("page", "1"), {"query_string": "page=1"}, {"query_string": "page=2"}),
    "url": (lambda: request.url, {"query_string": "a=1"}, {"query_string": "a=2"}),
    "host": (lambda: request.host, {"base_url": "http://a.example"}, {"base_url": "http://evil.example"}),
    "host_url": (lambda: request.host_url, {"base_url": "http://a.example"}, {"base_url": "http://evil.example"}),
    "external url": (
        lambda: url_for("view", _external=True),
        {"base_url": "http://a.example"},
        {"base_url": "http://evil.example"},
    ),
    "language": (
        lambda: str(request.accept_languages.best),
        {"headers": {"Accept-Language": "de"}},
        {"headers": {"Accept-Language": "en"}},
    ),
    "address": (
        lambda: str(request.remote_addr),
        {"environ_overrides": {"REMOTE_ADDR": "10.0.0.1"}},
        {"environ_overrides": {"REMOTE_ADDR": "10.0.0.2"}},
    ),
    "vary": (
        lambda: Response("page", headers={"Vary": "Accept"}),
        {"headers": {"Accept": "text/html"}},
        {"headers": {"Accept": "text/plain"}},
    ),
}


@pytest.mark.parametrize("compiled", PIPELINES)
@pytest.mark.parametrize("name", UNKEYED)
def test_what_the_key_does_not_have(name: str, compiled: bool) -> None:
    """What a view reads of a request beside its path makes another entry: a poisoned one reaches only who sent it."""
    app, cache = make_app(compiled)
    source, first, second = UNKEYED[name]
    view, calls = count(source)
    app.add_url_rule("/", "view", cache.cached()(view))
    client = app.test_client()
    one, two = client.get("/", **first).text, client.get("/", **second).text
    assert client.get("/", **first).text == one
    assert client.get("/", **second).text == two
    assert len(calls) == 2


@pytest.mark.parametrize("compiled", PIPELINES)
def test_a_hook_chose_the_language(compiled: bool) -> None:
    """A language that a hook found out and left in `g` counts as read."""
    app, cache = make_app(compiled)

    @app.before_request
    def choose() -> None:
        g.language = request.accept_languages.best

    app.add_url_rule("/", "view", cache.cached()(lambda: str(g.language)))
    client = app.test_client()
    for language in ("de", "en", "de"):
        assert client.get("/", headers={"Accept-Language": language}).text == language


@pytest.mark.parametrize("compiled", PIPELINES)
def test_a_hook_loaded_the_user(compiled: bool) -> None:
    """A user whom a hook took from the session and left in `g` counts as read."""
    app, cache = make_app(compiled)

    @app.before_request
    def load() -> None:
        g.user = session.get("user")

    @app.get("/login/<name>")
    def login(name: str) -> str:
        session["user"] = name
        return "in"

    app.add_url_rule("/", "view", cache.cached()(lambda: str(g.user)))
    for name in ("alice", "bob"):
        client = app.test_client()
        client.get(f"/login/{name}")
        assert client.get("/").text == name


@pytest.mark.parametrize("compiled", PIPELINES)
def test_a_session_cookie_that_nobody_read(compiled: bool) -> None:
    """Such a request is answered from the cache, and stores nothing itself."""
    app, cache = make_app(compiled)
    view, calls = count(lambda: "page")
    app.add_url_rule("/", "view", cache.cached()(view))
    app.add_url_rule("/login", "login", lambda: session.setdefault("user", "alice"))
    alice = app.test_client()
    alice.get("/login")
    assert [alice.get("/").text, alice.get("/").text] == ["page", "page"]
    assert len(calls) == 2
    app.test_client().get("/")
    alice.get("/")
    assert len(calls) == 3


@pytest.mark.parametrize("compiled", PIPELINES)
def test_authorization(compiled: bool) -> None:
    """A request with the header neither gets what is cached nor stores anything; read or not."""
    app, cache = make_app(compiled)
    view, calls = count(lambda: f"for {request.authorization and request.authorization.token}")
    app.add_url_rule("/", "view", cache.cached()(view))
    client = app.test_client()
    assert client.get("/").text == "for None"
    for token in ("a", "b", "a"):
        assert client.get("/", headers={"Authorization": f"Bearer {token}"}).text == f"for {token}"
    assert client.get("/").text == "for None"
    assert len(calls) == 4


@pytest.mark.parametrize("compiled", PIPELINES)
def test_methods(compiled: bool) -> None:
    """A POST is not answered with the page of a GET; HEAD is, and stores nothing."""
    app, cache = make_app(compiled)
    view, calls = count(lambda: request.method)
    app.add_url_rule("/", "view", cache.cached()(view), methods=["GET", "POST", "PUT"])
    client = app.test_client()
    assert client.head("/").data == b""
    assert client.get("/").text == "GET"
    assert client.post("/").text == "POST"
    assert client.put("/").text == "PUT"
    assert client.get("/").text == "GET"
    head = client.head("/")
    assert (head.data, head.headers["Content-Length"]) == (b"", "3")
    assert len(calls) == 4


@pytest.mark.parametrize("compiled", PIPELINES)
def test_a_nonce_in_the_page(compiled: bool) -> None:
    """A page that holds the nonce of its response is made anew; one that does not is cached."""
    app, cache = make_app(compiled)

    @app.before_request
    def make_nonce() -> None:
        request.csp_nonce = "n0nce"  # type: ignore[attr-defined]

    page, calls = count(lambda: "<script nonce=n0nce></script>")
    plain, plain_calls = count(lambda: "no script")
    app.add_url_rule("/", "page", cache.cached()(page))
    app.add_url_rule("/plain", "plain", cache.cached()(plain))
    client = app.test_client()
    for _ in range(2):
        client.get("/")
        client.get("/plain")
    assert (len(calls), len(plain_calls)) == (2, 1)


@pytest.mark.parametrize("compiled", PIPELINES)
@pytest.mark.parametrize(
    "options",
    [
        {"vary_on": ["session"]},
        {"vary_on": ["user"]},
        {"key_prefix": lambda: f"page of {session.get('user')}"},
        {"make_cache_key": lambda: f"page of {session.get('user')}"},
        {"make_cache_key": lambda: f"page of {g.user}"},
    ],
)
def test_keys_that_vary(options: dict[str, Any], compiled: bool) -> None:
    """A page whose key varies on who the user is, is cached for each of them."""
    app, cache = make_app(compiled)

    @app.before_request
    def load() -> None:
        g.user = session.get("user")

    @app.get("/login/<name>")
    def login(name: str) -> str:
        session["user"] = name
        return "in"

    view, calls = count(lambda: f"Hello, {session.get('user')}!")
    app.add_url_rule("/", "view", cache.cached(**options)(view))
    for _ in range(2):
        for name in ("alice", "bob"):
            client = app.test_client()
            client.get(f"/login/{name}")
            assert client.get("/").text == f"Hello, {name}!"
    assert len(calls) == 2


def test_a_key_that_does_not_vary() -> None:
    """A key function of the user's that does not look at the session is no excuse."""
    app, cache = make_app()
    app.add_url_rule("/login/<name>", "login", lambda name: session.update(user=name) or "in")
    app.add_url_rule("/", "view", cache.cached(key_prefix=lambda: request.full_path)(lambda: str(session.get("user"))))
    for name in ("alice", "bob"):
        client = app.test_client()
        client.get(f"/login/{name}")
        assert client.get("/").text == name


@pytest.mark.parametrize("compiled", PIPELINES)
def test_the_author_vouches(compiled: bool) -> None:
    """`public=True` caches a page for everybody although the session was read; a cookie that is set still keeps it out."""
    app, cache = make_app(compiled)
    view, calls = count(lambda: (session.get("theme") and "page") or "page")
    cookie, cookie_calls = count(lambda: with_cookie(make_response("page")))
    app.add_url_rule("/", "view", cache.cached(public=True)(view))
    app.add_url_rule("/cookie", "cookie", cache.cached(public=True)(cookie))
    client = app.test_client()
    for _ in range(2):
        client.get("/")
        client.get("/", headers={"Authorization": "Bearer x"})
        client.get("/cookie")
    assert (len(calls), len(cookie_calls)) == (1, 2)


@pytest.mark.parametrize("compiled", PIPELINES)
def test_the_old_way(compiled: bool) -> None:
    """With `cache-anything` in `COMPAT` everything is cached by path, as in Flask-Caching."""
    app, cache = make_app(compiled, COMPAT=("cache-anything",))
    view, calls = count(lambda: f"{session.get('user')} {request.method} {request.headers.get('X-User')}")
    app.add_url_rule("/", "view", cache.cached()(view), methods=["GET", "POST"])
    client = app.test_client()
    first = client.get("/", headers={"X-User": "alice"}).text
    assert client.post("/", headers={"X-User": "bob", "Authorization": "Bearer x"}).text == first
    assert len(calls) == 1


def test_why_nothing_is_cached(caplog: pytest.LogCaptureFixture) -> None:
    """The log says once why a view is not cached."""
    app, cache = make_app()
    app.add_url_rule("/", "view", cache.cached()(lambda: str(session.get("user"))))
    with caplog.at_level(logging.INFO, "quaff.caching"):
        for _ in range(3):
            app.test_client().get("/")
    said = [record.getMessage() for record in caplog.records]
    assert said == [
        f"{__name__}.test_why_nothing_is_cached.<locals>.<lambda>() is not cached: it was made from the session."
    ]


@pytest.mark.parametrize("compiled", PIPELINES)
def test_one_path_on_two_hosts(compiled: bool) -> None:
    """Rules for different subdomains have keys of their own."""
    app = Quaff("hosts", static_folder=None, compiled=compiled, subdomain_matching=True)
    app.config.update(CACHE_TYPE="SimpleCache", SERVER_NAME="example.org")
    cache = Cache(app)
    app.add_url_rule("/", "admin", cache.cached()(lambda: "admin"), subdomain="admin")
    app.add_url_rule("/", "shop", cache.cached()(lambda: "shop"), subdomain="shop")
    client = app.test_client()
    for name in ("admin", "shop", "admin", "shop"):
        assert client.get("/", base_url=f"http://{name}.example.org").text == name


@pytest.mark.parametrize("compiled", PIPELINES)
def test_a_path_cannot_be_the_key_of_a_query(compiled: bool) -> None:
    """A client cannot name the key of another page by a path that ends like a hash."""
    app, cache = make_app(compiled)
    app.add_url_rule("/works", "works", cache.cached(query_string=True)(lambda: "works"))
    app.add_url_rule("/<path:name>", "echo", cache.cached()(lambda name: f"echo {name}"))
    with app.test_request_context("/works"):
        key = app.view_functions["works"].make_cache_key()
    client = app.test_client()
    evil = key.removeprefix("view/")
    assert client.get(evil).text.startswith("echo works")
    assert client.get("/works").text == "works"
    assert client.get(evil).text.startswith("echo works")


def test_redirects_are_cached() -> None:
    """A redirect that does not depend on who asks is a page."""
    app, cache = make_app()
    view, calls = count(lambda: redirect("/there"))
    app.add_url_rule("/", "view", cache.cached()(view))
    client = app.test_client()
    assert [client.get("/").status_code for _ in range(2)] == [302, 302]
    assert len(calls) == 1
