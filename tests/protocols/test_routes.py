"""Routing, methods, headers, cookies and results: the same whatever the protocol, and whether the view is sync or async."""

from __future__ import annotations

import json
import logging
from typing import Any
from urllib.parse import quote

import pytest

from quaff import Quaff, Response, abort, jsonify, make_response, redirect, request, url_for
from quaff.views import MethodView, View
from tests.protocols.conftest import Serve
from tests.protocols.harness import KINDS, as_kind, read_all

each_kind = pytest.mark.parametrize("kind", KINDS)

RESULTS: dict[str, tuple[Any, int, str, bytes]] = {
    "str": ("text ü", 200, "text/html; charset=utf-8", "text ü".encode()),
    "empty str": ("", 200, "text/html; charset=utf-8", b""),
    "bytes": (b"\xff\x00", 200, "text/html; charset=utf-8", b"\xff\x00"),
    "dict": ({"a": 1}, 200, "application/json", b'{"a":1}\n'),
    "list": ([1, "b"], 200, "application/json", b'[1,"b"]\n'),
    "tuple": (("made", 201, {"Content-Type": "text/x-own"}), 201, "text/x-own", b"made"),
    "large": ("x" * 300_000, 200, "text/html; charset=utf-8", b"x" * 300_000),
}


@each_kind
def test_results(app: Quaff, serve: Serve, kind: str) -> None:
    """What a view returns becomes the same answer, with its length, and HEAD has the headers without the body."""
    for number, (result, *_expected) in enumerate(RESULTS.values()):
        app.add_url_rule(f"/{number}", f"view{number}", as_kind(kind, lambda result=result: result))
    app.add_url_rule("/response", "response", as_kind(kind, lambda: make_response(jsonify(a=2), 202)))
    served = serve(app)
    for number, (_, status, content_type, body) in enumerate(RESULTS.values()):
        answer = served.get(f"/{number}")
        assert (answer.status_code, answer.headers["Content-Type"], answer.content) == (status, content_type, body)
        assert answer.headers["Content-Length"] == str(len(body))
        head = served.request("HEAD", f"/{number}")
        assert (head.status_code, head.content) == (status, b"")
        assert head.headers["Content-Length"] == str(len(body))
    assert served.get("/response").json() == {"a": 2}


@each_kind
def test_methods(app: Quaff, serve: Serve, kind: str) -> None:
    """OPTIONS lists the methods, another method is a 405 that names them, and an unknown path a 404."""
    app.add_url_rule("/", "home", as_kind(kind, lambda: request.method), methods=["GET", "PUT"])
    served = serve(app)
    assert served.text("/") == "GET"
    assert served.request("PUT", "/").text == "PUT"
    for method, status in (("OPTIONS", 200), ("DELETE", 405)):
        answer = served.request(method, "/")
        assert answer.status_code == status
        assert set(answer.headers["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS", "PUT"}
    assert served.get("/nowhere").status_code == 404
    assert served.request("DELETE", "/nowhere").status_code == 404


@each_kind
def test_a_missing_slash_is_a_redirect(app: Quaff, serve: Serve, kind: str) -> None:
    """The path of a branch without its slash is redirected to it, query and all."""
    app.add_url_rule("/branch/", "branch", as_kind(kind, lambda: request.full_path))
    app.add_url_rule("/old/<int:n>", "old", as_kind(kind, lambda n: redirect(url_for("branch", n=n))))
    served = serve(app)
    answer = served.get("/branch?a=1")
    assert (answer.status_code, answer.headers["Location"]) == (308, f"{served.url}/branch/?a=1")
    answer = served.get("/old/7")
    assert (answer.status_code, answer.headers["Location"]) == (302, "/branch/?n=7")
    assert served.get("/old/7", follow_redirects=True).text == "/branch/?n=7"


@each_kind
@pytest.mark.parametrize("text", ["a b", "ü", "日本", "a+b", "100%", "semi;colon", "a:b@c", "ﬁ"])
def test_paths_in_any_alphabet(app: Quaff, serve: Serve, kind: str, text: str) -> None:
    """A path segment arrives decoded, in the argument and in `request.path`, and `url_for` leads back to it."""

    def view(name: str) -> dict[str, str]:
        return {"name": name, "path": request.path, "url": url_for("view", name=name), "q": request.args["q"]}

    app.add_url_rule("/s/<name>", "view", as_kind(kind, view))
    served = serve(app)
    answer = served.get(f"/s/{quote(text, safe='')}", params={"q": text}).json()
    assert (answer["name"], answer["path"], answer["q"]) == (text, f"/s/{text}", text)
    assert served.get(answer["url"], params={"q": ""}).json()["name"] == text


@each_kind
def test_bytes_that_are_no_utf8(app: Quaff, serve: Serve, kind: str) -> None:
    """A path with other bytes reaches the view with replacement characters; the server survives a broken escape."""
    app.add_url_rule("/s/<path:name>", "view", as_kind(kind, lambda name: f"{name!a} {request.path!a}"))
    served = serve(app)
    assert served.text("/s/a%FFb") == r"'a\ufffdb' '/s/a\ufffdb'"
    answer = read_all(served.send("GET /s/%zz HTTP/1.1\nHost: a\nConnection: close\n\n"))
    assert answer.startswith((b"HTTP/1.1 200", b"HTTP/1.1 400"))
    assert served.text("/s/a%2Fb") == "'a/b' '/s/a/b'"
    assert served.get("/s/a%00b").status_code == 400


@each_kind
def test_converters(app: Quaff, serve: Serve, kind: str) -> None:
    """Arguments are converted, refused values are a 404, and default values are passed."""
    view = as_kind(kind, lambda **values: repr(values))
    app.add_url_rule("/n/<int(max=9):n>", "view", view, defaults={"x": 5})
    app.add_url_rule("/f/<float:f>", "float", view)
    served = serve(app)
    assert served.text("/n/7") == "{'n': 7, 'x': 5}"
    assert served.get("/n/10").status_code == 404
    assert served.text("/f/1.5") == "{'f': 1.5}"
    assert served.get("/f/1").status_code == 404


@each_kind
def test_request_headers(app: Quaff, serve: Serve, kind: str) -> None:
    """A header is read by its name in any case; repeated ones are joined; odd bytes do no harm."""

    def view() -> dict[str, str | None]:
        names = ("X-One", "X-Many", "X-Bytes", "X-Empty", "X-Not-There")
        return {name: request.headers.get(name) for name in names}

    app.add_url_rule("/", "view", as_kind(kind, view))
    served = serve(app)
    lines = ["x-ONE: 1", "X-Many: a", "X-Many: b, c", "X-Bytes: \xe9\xff", "X-Empty:"]
    answer = read_all(served.send("\n".join(["GET / HTTP/1.1", "Host: a", "Connection: close", *lines, "", ""])))
    assert answer.startswith(b"HTTP/1.1 200")
    found = json.loads(answer.partition(b"\r\n\r\n")[2])
    # Granian gives no bytes that are not ASCII: over WSGI the value is empty, over RSGI the header is not there.
    assert found.pop("X-Bytes") in ("\xe9\xff", "", None)
    assert found == {"X-One": "1", "X-Many": "a,b, c", "X-Empty": "", "X-Not-There": None}


@each_kind
def test_httpoxy_and_underscores(app: Quaff, serve: Serve, kind: str) -> None:
    """No header becomes `HTTP_PROXY`."""
    app.add_url_rule("/", "view", as_kind(kind, lambda: str(request.environ.get("HTTP_PROXY"))))
    assert serve(app).get("/", headers={"Proxy": "evil.example"}).text == "None"


@each_kind
def test_cookies(app: Quaff, serve: Serve, kind: str) -> None:
    """All cookies of a request are read, also when they came in several headers; several are set."""

    def view() -> Response:
        response = make_response(repr(sorted(request.cookies.items())))
        response.set_cookie("one", "1")
        response.set_cookie("two", "2", httponly=True)
        return response

    app.add_url_rule("/", "view", as_kind(kind, view))
    served = serve(app)
    answer = served.get("/")
    assert answer.headers.get_list("Set-Cookie") == ["one=1; Path=/", "two=2; HttpOnly; Path=/"]
    assert served.get("/").text == "[('one', '1'), ('two', '2')]"
    head = "GET / HTTP/1.1\nHost: a\nConnection: close\nCookie: a=1\nCookie: b=2\n\n"
    assert b"[('a', '1'), ('b', '2')]" in read_all(served.send(head))


@each_kind
def test_response_headers(app: Quaff, serve: Serve, kind: str) -> None:
    """Repeated headers are all sent, in their order."""
    headers = [("X-Many", "1"), ("X-Other", "x"), ("X-Many", "2")]
    app.add_url_rule("/", "view", as_kind(kind, lambda: ("", 200, headers)))
    raw = serve(app).get("/").headers.raw
    assert [value for name, value in raw if name.lower() == b"x-many"] == [b"1", b"2"]


@each_kind
@pytest.mark.parametrize("status", [204, 304])
def test_answers_without_content(app: Quaff, serve: Serve, kind: str, status: int) -> None:
    """204 and 304 have no body, and the connection stays usable."""
    app.add_url_rule("/", "view", as_kind(kind, lambda: ("", status)))
    served = serve(app)
    for _ in range(2):
        answer = served.get("/")
        assert (answer.status_code, answer.content) == (status, b"")


def test_what_the_request_knows(app: Quaff, serve: Serve) -> None:
    """Host, scheme, client and URL are those of the connection, in a sync view as in an async one."""

    def view() -> dict[str, Any]:
        names = ("host", "scheme", "remote_addr", "url", "base_url", "root_path", "is_secure", "query_string")
        environ = request.environ
        return {name: str(getattr(request, name)) for name in names} | {
            "port": environ["SERVER_PORT"],
            "protocol": environ["SERVER_PROTOCOL"],
        }

    for kind in KINDS:
        app.add_url_rule(f"/{kind}", kind, as_kind(kind, view))
    served = serve(app)
    for kind in KINDS:
        assert served.get(f"/{kind}?a=%20b").json() == {
            "host": f"127.0.0.1:{served.port}",
            "scheme": "http",
            "remote_addr": "127.0.0.1",
            "url": f"{served.url}/{kind}?a=%20b",
            "base_url": f"{served.url}/{kind}",
            "root_path": "",
            "is_secure": "False",
            "query_string": "b'a=%20b'",
            "port": str(served.port),
            "protocol": "HTTP/1.1",
        }


@each_kind
def test_a_refused_host(app: Quaff, serve: Serve, kind: str) -> None:
    """A host that is not trusted, or is no host name, is a 400 before any view."""
    app.config["TRUSTED_HOSTS"] = ["127.0.0.1", "good.example"]
    app.add_url_rule("/", "view", as_kind(kind, lambda: request.host))
    served = serve(app)
    for _ in range(2):
        assert served.get("/", headers={"Host": "good.example"}).text == "good.example"
        assert served.get("/", headers={"Host": "bad.example"}).status_code == 400
        assert served.get("/", headers={"Host": "a b"}).status_code == 400


def test_class_based_views(app: Quaff, serve: Serve) -> None:
    """`View` and `MethodView` may have sync and async methods side by side."""

    class Simple(View):
        async def dispatch_request(self, n: int) -> str:
            return f"simple {n} {request.endpoint}"

    class Item(MethodView):
        def get(self, n: int) -> str:
            return f"get {n}"

        async def put(self, n: int) -> str:
            return f"put {n} {request.method}"

        async def delete(self, n: int) -> str:
            abort(409)

    class Once(View):
        init_every_request = False

        async def dispatch_request(self) -> str:
            return "once"

    app.add_url_rule("/simple/<int:n>", view_func=Simple.as_view("simple"))
    app.add_url_rule("/item/<int:n>", view_func=Item.as_view("item"))
    app.add_url_rule("/once", view_func=Once.as_view("once"))
    served = serve(app)
    assert served.text("/simple/1") == "simple 1 simple"
    assert served.text("/item/2") == "get 2"
    assert served.request("PUT", "/item/2").text == "put 2 PUT"
    assert served.request("DELETE", "/item/2").status_code == 409
    assert served.request("HEAD", "/item/2").status_code == 200
    assert served.request("POST", "/item/2").status_code == 405
    assert served.text("/once") == "once"


UPGRADE = "Connection: Upgrade\nUpgrade: websocket\n"
HANDSHAKE = f"{UPGRADE}Sec-WebSocket-Version: 13\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\n"


@pytest.mark.parametrize("path", ["/ws", "/ws/1", "/sub/ws", "/sub/ws/1"])
def test_a_websocket_is_no_page(app: Quaff, serve: Serve, path: str, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever is no handshake that can be granted is refused, also in a mounted app, and the handler is not run."""
    below = Quaff("below", static_folder=None, compiled=app.compiled)
    ran: list[str] = []
    for each in (app, below):
        each.websocket("/ws", endpoint="static")(lambda: ran.append("static"))
        each.websocket("/ws/<int:n>", endpoint="dynamic")(lambda n: ran.append("dynamic"))
        each.add_url_rule("/page", "page", lambda: "page")
    app.mount("/sub", below)
    served = serve(app)
    for method, status in (("GET", 400), ("HEAD", 400), ("POST", 405), ("OPTIONS", 405)):
        assert served.request(method, path).status_code == status, method
    end = "Host: a\nConnection: close\n\n"
    requests = [
        f"GET {path} HTTP/1.0\n{UPGRADE}Host: a\n\n",
        f"GET {path} HTTP/1.1\nUpgrade: websocket\n{end}",
        f"GET {path} HTTP/1.1\nConnection: Upgrade\nUpgrade: h2c\nHost: a\n\n",
        f"POST {path} HTTP/1.1\n{UPGRADE}Content-Length: 0\nHost: a\n\n",
        f"GET {path} HTTP/1.1\n{UPGRADE}Host: a\n\n",
    ]
    if served.interface == "wsgi":
        requests.append(f"GET {path} HTTP/1.1\n{HANDSHAKE}Host: a\n\n")
    for number, request_text in enumerate(requests):
        with served.send(request_text) as connection:
            answer = connection.recv(1000)
        assert answer.startswith((b"HTTP/1.1 4", b"HTTP/1.0 4")), (number, answer)
        if served.interface == "wsgi" and request_text.endswith(f"{HANDSHAKE}Host: a\n\n"):
            (line,) = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING][-1:]
            assert line.startswith(f"A WebSocket was asked for at {path.removeprefix('/sub')}, and refused")
            assert "'quaff serve'" in line
    assert served.text("/sub/page") == "page"
    assert ran == []
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []


def test_middleware_sees_every_request(app: Quaff, serve: Serve) -> None:
    """What wraps `app.wsgi_app` is around sync and async views alike, over each protocol."""
    inner = app.wsgi_app

    def middleware(environ: dict[str, Any], start_response: Any) -> Any:
        environ["HTTP_X_ADDED"] = environ["PATH_INFO"]
        return inner(environ, start_response)

    for kind in KINDS:
        app.add_url_rule(f"/{kind}", kind, as_kind(kind, lambda: request.headers["X-Added"]))
    app.wsgi_app = middleware  # type: ignore[method-assign]
    served = serve(app)
    for kind in KINDS:
        assert served.text(f"/{kind}") == f"/{kind}"


def test_a_route_that_is_added_late(app: Quaff, serve: Serve) -> None:
    """What changes between two requests holds from the second one on, also for routes on the loop."""
    app.add_url_rule("/", "view", as_kind("async", lambda: "before"))
    served = serve(app)
    assert served.text("/") == "before"
    app.view_functions["view"] = as_kind("async", lambda: "after")
    assert served.text("/") == "after"
    app.view_functions["view"] = lambda: "sync now"
    assert served.text("/") == "sync now"
