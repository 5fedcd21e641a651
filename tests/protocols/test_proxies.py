"""Behind trusted proxies: one client, one scheme and one host, the same over each protocol and in each pipeline."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from quaff import Quaff, request, url_for, websocket
from tests.protocols.conftest import Serve
from tests.protocols.harness import KINDS, Served, as_kind, read_all

ALL = ["X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Port", "X-Forwarded-Prefix"]
each_kind = pytest.mark.parametrize("kind", KINDS)
on_a_loop = pytest.mark.parametrize("interface", ["asgi", "rsgi", "http1"])
"""Where names of headers arrive as they were sent, and where there are WebSockets."""


def tell() -> dict[str, Any]:
    """Say who the client is, and where."""
    return {
        "client": request.remote_addr,
        "scheme": request.scheme,
        "host": request.host,
        "url": request.url,
        "external": url_for("tell", _external=True),
        "access_host": request.host_url,
    }


@pytest.fixture
def ask(app: Quaff, serve: Serve, kind: str) -> Callable[..., Any]:
    """Give what asks the app, with lines of headers, and returns what it tells, or the status when that is no 200.

    The first call serves it, so that a test may configure it before.
    """
    app.add_url_rule("/", "tell", as_kind(kind, tell))
    served: list[Served] = []

    def ask(*lines: str, path: str = "/") -> Any:
        if not served:
            served.append(serve(app))
        head = "\n".join([f"GET {path} HTTP/1.1", "Host: inner.test", "Connection: close", *lines, "", ""])
        answer = read_all(served[0].send(head))
        status = int(answer[9:12])
        return json.loads(answer.partition(b"\r\n\r\n")[2]) if status == 200 else status

    return ask


@each_kind
def test_nobody_is_believed_by_default(app: Quaff, ask: Callable[..., Any], kind: str) -> None:
    """Without the setting, headers of a proxy change nothing, whatever is in them."""
    told = ask("X-Forwarded-For: 6.6.6.6", "X-Forwarded-Proto: https", "X-Forwarded-Host: evil.test")
    assert (told["client"], told["scheme"], told["host"]) == ("127.0.0.1", "http", "inner.test")
    assert ask("X-Forwarded-For: <script>", 'Forwarded: for="', "X-Forwarded-Proto: javascript") == told


@each_kind
def test_by_number(app: Quaff, ask: Callable[..., Any], kind: str) -> None:
    """Address, scheme, host, port and prefix come from the one proxy, and URLs are built of them."""
    app.config.update(TRUSTED_PROXIES=1, TRUSTED_PROXY_HEADERS=ALL)
    for _ in range(2):
        told = ask(
            "X-Forwarded-For: 6.6.6.6, 192.0.2.1",
            "X-Forwarded-Proto: https",
            "X-Forwarded-Host: shop.test",
            "X-Forwarded-Port: 8443",
            "X-Forwarded-Prefix: /shop",
        )
        assert told == {
            "client": "192.0.2.1",
            "scheme": "https",
            "host": "shop.test:8443",
            "url": "https://shop.test:8443/shop/",
            "external": "https://shop.test:8443/shop/",
            "access_host": "https://shop.test:8443/",
        }
    assert ask()["client"] == "127.0.0.1"


@each_kind
def test_by_address(app: Quaff, ask: Callable[..., Any], kind: str) -> None:
    """The proxies are known by their addresses, over several lines of a header too."""
    app.config["TRUSTED_PROXIES"] = ["loopback", "10.0.0.0/8"]
    assert ask("X-Forwarded-For: 6.6.6.6, 192.0.2.1, 10.0.0.2")["client"] == "192.0.2.1"
    assert ask("X-Forwarded-For: 6.6.6.6, 192.0.2.1", "X-Forwarded-For: 10.0.0.2")["client"] == "192.0.2.1"
    assert ask("X-Forwarded-For: [2001:DB8::1]:443")["client"] == "2001:db8::1"


@each_kind
def test_from_elsewhere(app: Quaff, ask: Callable[..., Any], kind: str) -> None:
    """Somebody who is none of the proxies is not believed."""
    app.config["TRUSTED_PROXIES"] = ["192.0.2.0/24"]
    told = ask("X-Forwarded-For: 6.6.6.6", "X-Forwarded-Proto: https")
    assert (told["client"], told["scheme"]) == ("127.0.0.1", "http")
    assert ask("X-Forwarded-For: <script>") == told


@each_kind
def test_forwarded(app: Quaff, ask: Callable[..., Any], kind: str) -> None:
    """RFC 7239: in one line or in several, quoted; the X-Forwarded headers say nothing then."""
    app.config.update(TRUSTED_PROXIES=1, TRUSTED_PROXY_HEADERS="Forwarded")
    told = ask('Forwarded: for=6.6.6.6;host=evil.test, For="[2001:db8::1]:4711";Proto=https;host="shop.test:8443"')
    assert (told["client"], told["url"]) == ("2001:db8::1", "https://shop.test:8443/")
    assert ask("Forwarded: for=6.6.6.6", "Forwarded: for=192.0.2.1")["client"] == "192.0.2.1"
    assert ask("Forwarded: for=192.0.2.1", "X-Forwarded-For: 6.6.6.6")["client"] == "192.0.2.1"
    assert ask("Forwarded: for=unknown")["client"] is None
    assert ask("Forwarded: proto=https")["client"] is None
    # A client's open quote cannot swallow what the proxy adds, in the same line or in the next.
    assert ask('Forwarded: for="6.6.6.6, for=192.0.2.1') == 400
    assert ask('Forwarded: for="6.6.6.6', 'Forwarded: for="192.0.2.1"') == 400


@each_kind
@pytest.mark.parametrize(
    "line",
    [
        "X-Forwarded-For: <script>",
        "X-Forwarded-For: 127.0.0.010",
        "X-Forwarded-For: 192.0.2.1:80:80",
        "X-Forwarded-Proto: javascript",
        "X-Forwarded-Host: ev il/",
        "X-Forwarded-Port: 0",
        "X-Forwarded-Prefix: //evil.test",
    ],
)
def test_junk_is_a_400(app: Quaff, ask: Callable[..., Any], kind: str, line: str) -> None:
    """On pages that there are and that there are not."""
    app.config.update(TRUSTED_PROXIES=1, TRUSTED_PROXY_HEADERS=ALL)
    assert ask(line) == 400
    assert ask(line, path="/nowhere") == 400
    assert ask()["client"] == "127.0.0.1"


@each_kind
def test_bytes_that_are_no_ascii(app: Quaff, ask: Callable[..., Any], kind: str) -> None:
    """Granian leaves such values out or empty. The client is then nobody, and never the proxy."""
    app.config["TRUSTED_PROXIES"] = ["loopback"]
    assert ask("X-Forwarded-For: \xff, 192.0.2.1")["client"] in ("192.0.2.1", None)
    alone = ask("X-Forwarded-For: \xff")
    assert alone == 400 or alone["client"] is None
    app.config.update(TRUSTED_PROXIES=2, TRUSTED_PROXY_HEADERS=None)
    assert ask("X-Forwarded-For: \xff, 192.0.2.1, 10.0.0.2")["client"] in ("192.0.2.1", None)
    app.config.update(TRUSTED_PROXIES=1, TRUSTED_PROXY_HEADERS=["Forwarded"])
    for lines in (['Forwarded: for="\xff", for=192.0.2.1'], ['Forwarded: for="\xff"', "Forwarded: for=192.0.2.1"]):
        assert ask(*lines)["client"] in ("192.0.2.1", None)


@each_kind
@pytest.mark.parametrize("header", ["unknown", "_hidden", "", "192.0.2.1, unknown"])
def test_an_unknown_client_is_nobody(app: Quaff, ask: Callable[..., Any], kind: str, header: str) -> None:
    """By number and by address."""
    for proxies in (1, ["loopback"]):
        app.config["TRUSTED_PROXIES"] = proxies
        assert ask(f"X-Forwarded-For: {header}")["client"] is None


@each_kind
@on_a_loop
def test_names_with_underscores(app: Quaff, ask: Callable[..., Any], kind: str, interface: str) -> None:
    """A client's X_Forwarded_For is dropped, before or after the proxy's X-Forwarded-For, and alone."""
    app.config.update(TRUSTED_PROXIES=1, TRUSTED_PROXY_HEADERS=ALL)
    spoofed = ["X_Forwarded_For: 6.6.6.6", "X_Forwarded_Proto: https", "X-Forwarded_Host: evil.test"]
    for lines in ([*spoofed, "X-Forwarded-For: 192.0.2.1"], ["X-Forwarded-For: 192.0.2.1", *spoofed]):
        told = ask(*lines)
        assert (told["client"], told["scheme"], told["host"]) == ("192.0.2.1", "http", "inner.test")
    assert ask(*spoofed)["client"] == "127.0.0.1"


@each_kind
@pytest.mark.parametrize("interface", ["wsgi"])
def test_forwarded_is_safe_over_wsgi(app: Quaff, ask: Callable[..., Any], kind: str, interface: str) -> None:
    """Its name has no hyphen that an underscore could stand for; so over WSGI it is what should be believed."""
    app.config.update(TRUSTED_PROXIES=1, TRUSTED_PROXY_HEADERS=["Forwarded"])
    assert app.needs_loop() is None or "async" in str(app.needs_loop())
    told = ask("Forwarded: for=192.0.2.1", "X_Forwarded_For: 6.6.6.6", "X_Forwarded: for=6.6.6.6")
    assert told["client"] == "192.0.2.1"


@each_kind
def test_trusted_hosts(app: Quaff, ask: Callable[..., Any], kind: str) -> None:
    """They are compared with the host that the proxy tells."""
    app.config.update(TRUSTED_PROXIES=1, TRUSTED_PROXY_HEADERS=ALL, TRUSTED_HOSTS=["shop.test"])
    assert ask("X-Forwarded-Host: shop.test")["host"] == "shop.test"
    assert ask("X-Forwarded-Host: evil.test") == 400
    assert ask() == 400


@each_kind
def test_middleware_sees_the_client(app: Quaff, ask: Callable[..., Any], kind: str) -> None:
    """What stands around `app.wsgi_app` has no other idea of the client than the app."""
    app.config["TRUSTED_PROXIES"] = 1
    application, seen = app.wsgi_app, []

    def middleware(environ: dict[str, Any], start_response: Any) -> Any:
        seen.append((environ.get("REMOTE_ADDR"), environ["wsgi.url_scheme"]))
        return application(environ, start_response)

    app.wsgi_app = middleware  # type: ignore[method-assign]
    assert ask("X-Forwarded-For: 192.0.2.1", "X-Forwarded-Proto: https")["client"] == "192.0.2.1"
    assert ask("X-Forwarded-For: junk") == 400
    assert seen == [("192.0.2.1", "https"), ("127.0.0.1", "http")]


# Mounted applications ---------------------------------------------------------------------------------------------------


async def asgi(scope: Any, receive: Any, send: Any) -> None:
    """Tell what an ASGI application sees, over HTTP and over a WebSocket."""
    host = dict(scope["headers"]).get(b"host", b"").decode()
    client = None if scope["client"] is None else scope["client"][0]
    text = json.dumps([client, scope["scheme"], host, scope["root_path"], scope["path"]])
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": text})
        await send({"type": "websocket.close", "code": 1000})
    else:
        length = (b"content-length", str(len(text)).encode())
        await send({"type": "http.response.start", "status": 200, "headers": [length]})
        await send({"type": "http.response.body", "body": text.encode()})


def wsgi(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """Tell what a WSGI application sees."""
    told = [environ.get("REMOTE_ADDR"), environ["wsgi.url_scheme"], environ["HTTP_HOST"], environ["SCRIPT_NAME"]]
    text = json.dumps([*told, environ["SCRIPT_NAME"] + environ["PATH_INFO"]])
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(text)))])
    return [text.encode()]


def inner(kind: str) -> Quaff:
    """Return a Quaff app that tells the same."""
    app = Quaff("inner", static_folder=None)
    # It trusts more than the app around it, and what that has found out stays.
    app.config.update(TRUSTED_PROXIES=2, TRUSTED_PROXY_HEADERS=ALL)

    def tell() -> list[Any]:
        path = request.root_path + request.path
        return [request.remote_addr, request.scheme, request.host, request.root_path, path]

    app.add_url_rule("/x", "tell", as_kind(kind, tell))

    @app.websocket("/ws")
    async def converse() -> None:
        path = websocket.root_path + websocket.path
        await websocket.send(
            json.dumps([websocket.remote_addr, websocket.scheme, websocket.host, websocket.root_path, path])
        )

    return app


HEADERS = {
    "X-Forwarded-For": "6.6.6.6, 192.0.2.1",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "shop.test",
}


@each_kind
@pytest.mark.parametrize("prefix", ["", "/shop", "/asgi"])
def test_mounted_applications(app: Quaff, ask: Callable[..., Any], kind: str, prefix: str) -> None:
    """Each sees the client in the form of its own protocol; what the app refuses gets to none."""
    app.config.update(TRUSTED_PROXIES=1, TRUSTED_PROXY_HEADERS=ALL)
    app.mount("/wsgi", wsgi)
    app.mount("/asgi", asgi)
    app.mount("/quaff", inner(kind))
    lines = [f"{name}: {value}" for name, value in HEADERS.items()]
    if prefix:
        lines.append(f"X-Forwarded-Prefix: {prefix}")
    for name in ("wsgi", "asgi", "quaff"):
        root = f"{prefix}/{name}"
        assert ask(*lines, path=f"/{name}/x") == ["192.0.2.1", "https", "shop.test", root, f"{root}/x"]
        assert ask("X-Forwarded-For: unknown", path=f"/{name}/x")[0] is None
        assert ask("X-Forwarded-For: junk", path=f"/{name}/x") == 400
        assert ask(path=f"/{name}/x")[:3] == ["127.0.0.1", "http", "inner.test"]


# WebSockets -------------------------------------------------------------------------------------------------------------


@on_a_loop
@pytest.mark.parametrize("path", ["/ws", "/quaff/ws", "/asgi/ws"])
def test_websockets(app: Quaff, serve: Serve, interface: str, path: str) -> None:
    """The same client, and the same refusals, for WebSockets of the app and of what is mounted."""
    app.config.update(TRUSTED_PROXIES=1, TRUSTED_PROXY_HEADERS=ALL)

    @app.websocket("/ws")
    async def converse() -> None:
        await websocket.send(json.dumps([websocket.remote_addr, websocket.scheme, websocket.host, "", websocket.path]))

    app.mount("/asgi", asgi)
    app.mount("/quaff", inner("async"))
    url = serve(app).url.replace("http", "ws") + path
    unknown = {"X-Forwarded-For": "unknown", "X-Forwarded-Proto": "http", "X-Forwarded-Host": "shop.test:81"}
    for headers, expected in (
        (HEADERS, ["192.0.2.1", "https", "shop.test"]),
        (unknown, [None, "http", "shop.test:81"]),
    ):
        with connect(url, additional_headers=headers, proxy=None) as connection:
            client, scheme, host, root, full = json.loads(connection.recv())
        assert [client, scheme.replace("ws", "http"), host] == expected
        assert scheme.startswith("ws" if path == "/asgi/ws" else "http")
        assert (root, full) == (path.removesuffix("/ws"), path)
    for junk in ({"X-Forwarded-For": "junk"}, {"X-Forwarded-Host": "a/b"}):
        with pytest.raises(InvalidStatus) as caught, connect(url, additional_headers=junk, proxy=None):
            pass
        assert caught.value.response.status_code == 400
