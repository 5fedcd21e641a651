"""Apps behind proxies: one address, one scheme and one host everywhere, and what it costs."""

from __future__ import annotations

import gc
from typing import Any

import pytest

from quaff import Flask, Quaff, Response, redirect, request, session, url_for, websocket
from quaff.errors import SetupError
from quaff.testing.websocket import HandshakeRefused
from tests.contracts.test_calls import answer, calls_of
from tests.test_proxies import ALL, PROXY, REFUSED, environ


def build(proxies: object, headers: object = None, *, compiled: bool = True, **config: object) -> Quaff:
    """Return an app that tells what it sees: with sync and async views, redirects, cookies and WebSockets."""
    app = Quaff("behind", static_folder=None, compiled=compiled)
    app.config.update(SECRET_KEY="k", TRUSTED_PROXIES=proxies, TRUSTED_PROXY_HEADERS=headers, **config)

    def tell() -> dict[str, Any]:
        session["seen"] = request.remote_addr
        return {
            "client": request.remote_addr,
            "scheme": request.scheme,
            "secure": request.is_secure,
            "host": request.host,
            "url": request.url,
            "external": url_for("tell", _external=True),
            "session": session["seen"],
        }

    async def tell_async() -> dict[str, Any]:
        return tell()

    app.add_url_rule("/", "tell", tell)
    app.add_url_rule("/async", "tell_async", tell_async)
    app.add_url_rule("/user/<name>", "user", lambda name: f"{request.remote_addr} {request.root_path} {name}")
    app.add_url_rule("/branch/", "branch", lambda: "branch")
    app.add_url_rule("/away", "away", lambda: redirect(url_for("tell", _external=True)))
    return app


def run(app: Any, environ: dict[str, Any], path: str) -> Any:
    """Return the response of a request."""
    return app.test_client().open(environ_overrides=environ | {"PATH_INFO": path}, path=path)


each_pipeline = pytest.mark.parametrize("compiled", [True, False], ids=["compiled", "reference"])


@pytest.mark.parametrize("headers, reason", REFUSED, ids=lambda value: ascii(value)[:50])
def test_without_trust_junk_is_only_talk(headers: dict[str, str], reason: str) -> None:
    """An app that trusts no proxy reads none of these headers."""
    app = build(None)
    assert run(app, environ(**headers), "/").status_code == 200


@each_pipeline
@pytest.mark.parametrize("path", ["/", "/async"])
def test_one_client_everywhere(path: str, compiled: bool) -> None:
    """What the request says, the URLs that are built, and what is kept of it all name the client's side."""
    app = build(1, ALL, compiled=compiled)
    sent = environ(for_="192.0.2.1", proto="https", host="shop.test", prefix="/shop")
    for _ in range(3):
        told = run(app, dict(sent), path).json
        assert told == {
            "client": "192.0.2.1",
            "scheme": "https",
            "secure": True,
            "host": "shop.test",
            "url": f"https://shop.test/shop{path}",
            "external": "https://shop.test/shop/",
            "session": "192.0.2.1",
        }
    assert run(app, dict(sent), "/user/ann").text == "192.0.2.1 /shop ann"
    assert run(app, dict(sent), "/branch").headers["Location"] == "https://shop.test/shop/branch/"
    assert run(app, dict(sent), "/away").headers["Location"] == "https://shop.test/shop/"


@each_pipeline
@pytest.mark.parametrize("path", ["/", "/async", "/user/ann", "/nowhere"])
def test_junk_of_a_proxy_is_a_400(path: str, compiled: bool) -> None:
    """On every kind of route, with the reason in words, escaped."""
    app = build(1, ALL, compiled=compiled)
    for headers in ({"for_": "<script>"}, {"proto": "javascript"}, {"host": "a/b"}, {"port": "0"}, {"prefix": "//a"}):
        for _ in range(2):
            refused = run(app, environ(**headers), path)
            assert refused.status_code == 400
            assert "A proxy&#39;s word about this request is not valid" in refused.text
            assert "<script>" not in refused.text


@each_pipeline
def test_a_refusal_is_an_error_like_others(compiled: bool) -> None:
    """The app's handler for 400 answers it, and its hooks see it."""
    app = build(1, compiled=compiled)
    app.register_error_handler(400, lambda error: (f"handled: {error.description}", 400))

    @app.after_request
    def mark(response: Response) -> Response:
        response.headers["X-Seen"] = "1"
        return response

    refused = run(app, environ(for_="junk"), "/")
    assert refused.text == "handled: A proxy's word about this request is not valid: 'junk' is no IP address."
    assert refused.headers["X-Seen"] == "1"


@each_pipeline
def test_trusted_hosts_are_of_the_corrected_host(compiled: bool) -> None:
    """What the proxy says is compared, and not the name that the proxy calls the app by; both ways."""
    app = build(1, ALL, compiled=compiled, TRUSTED_HOSTS=["shop.test"])
    for _ in range(2):
        assert run(app, environ(host="shop.test"), "/").status_code == 200
        assert run(app, environ(host="evil.test"), "/").status_code == 400
        assert run(app, environ(), "/").status_code == 400


@each_pipeline
def test_a_known_host_helps_nobody(compiled: bool) -> None:
    """After a good request, one with the same Host header and a bad forwarded host is refused."""
    app = build(1, ALL, compiled=compiled)
    assert run(app, environ(host="shop.test"), "/").status_code == 200
    assert run(app, environ(), "/").status_code == 200
    assert run(app, environ(host="a@b"), "/").status_code == 400


@each_pipeline
def test_an_unknown_client_has_no_address(compiled: bool) -> None:
    """`request.remote_addr` is None, and never the proxy's address."""
    app = build(["10.0.0.0/8"], compiled=compiled)
    for header in ("unknown", "_x", "", "192.0.2.1, unknown"):
        assert run(app, environ(for_=header), "/").json["client"] is None


@each_pipeline
def test_settings_count_at_once(compiled: bool) -> None:
    """A change of the configuration takes effect at the next request; so does a setting that is wrong."""
    app = build(None, compiled=compiled)
    sent = environ(for_="6.6.6.6, 192.0.2.1")
    assert run(app, dict(sent), "/").json["client"] == PROXY
    app.config["TRUSTED_PROXIES"] = 1
    assert run(app, dict(sent), "/").json["client"] == "192.0.2.1"
    app.config["TRUSTED_PROXIES"] = 2
    assert run(app, dict(sent), "/").json["client"] == "6.6.6.6"
    app.config["TRUSTED_PROXIES"] = "loopbak"
    with pytest.raises(SetupError, match="Did you mean 'loopback'"):
        run(app, dict(sent), "/")
    app.config["TRUSTED_PROXIES"] = None
    assert run(app, dict(sent), "/").json["client"] == PROXY


@each_pipeline
def test_middleware_and_mounts_see_the_client(compiled: bool) -> None:
    """What stands around `app.wsgi_app`, and what is mounted, has no other idea of the client than the app."""
    app = build(1, ALL, compiled=compiled)
    outside: list[Any] = []
    inner = build(2, ALL, compiled=compiled)

    def below(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return [f"{environ.get('REMOTE_ADDR')} {environ['wsgi.url_scheme']} {environ['SCRIPT_NAME']}".encode()]

    app.mount("/below", below)
    app.mount("/inner", inner)
    sent = environ(for_="6.6.6.6, 192.0.2.1", proto="https", prefix="/shop")
    assert run(app, dict(sent), "/below/x").text == "192.0.2.1 https /shop/below"
    assert run(app, dict(sent), "/inner/user/ann").text == "192.0.2.1 /shop/inner ann"
    assert run(app, environ(for_="junk"), "/below/x").status_code == 400
    assert run(app, environ(for_="junk"), "/inner/user/ann").status_code == 400
    application = app.wsgi_app

    def middleware(environ: dict[str, Any], start_response: Any) -> Any:
        outside.append(environ.get("REMOTE_ADDR"))
        return application(environ, start_response)

    app.wsgi_app = middleware  # type: ignore[method-assign]
    for path in ("/", "/below/x", "/user/ann"):
        assert run(app, dict(sent), path).status_code == 200
    assert outside == ["192.0.2.1"] * 3


def test_websockets() -> None:
    """They have the same client and the same refusals."""
    app = build(1, ALL)

    @app.websocket("/ws")
    async def converse() -> None:
        await websocket.send(f"{websocket.remote_addr} {websocket.scheme} {websocket.host}")

    headers = {"X-Forwarded-For": "192.0.2.1", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "shop.test"}
    with app.test_websocket("/ws", headers=headers) as connection:
        assert connection.receive() == "192.0.2.1 https shop.test"
    with app.test_websocket("/ws", headers={"X-Forwarded-For": "junk"}) as connection:
        with pytest.raises(HandshakeRefused) as caught:
            connection.wait_accepted()
    assert caught.value.status == 400


def test_under_the_alias() -> None:
    """`Flask` is the same class, and so has the setting."""
    app = Flask("alias")
    app.config["TRUSTED_PROXIES"] = 1
    app.add_url_rule("/", "index", lambda: str(request.remote_addr))
    assert run(app, environ(for_="192.0.2.1"), "/").text == "192.0.2.1"


# What it costs --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/user/ann", "/hello"])
@pytest.mark.parametrize("proxies", [1, ["10.0.0.0/8"]])
@pytest.mark.parametrize("headers", [None, ["Forwarded"], ALL], ids=str)
def test_calls_of_a_request(path: str, proxies: object, headers: object) -> None:
    """A client that has come before costs two more Python calls, and none in an app that trusts nobody."""

    def count(proxies: object, sent: dict[str, Any]) -> list[str]:
        app = build(proxies, headers)
        app.add_url_rule("/hello", "hello", lambda: "hello")
        for _ in range(3):
            assert answer(app, dict(sent))
        # What the garbage collector calls is no part of the request.
        gc.collect()
        gc.disable()
        try:
            return calls_of(answer, app, dict(sent))
        finally:
            gc.enable()

    said = {"for_": "192.0.2.1", "proto": "https", "forwarded": "for=192.0.2.1;proto=https"}
    with_headers, without = (environ(**more) | {"PATH_INFO": path} for more in (said, {}))
    assert len(count(proxies, with_headers)) - len(count(None, with_headers)) == 2
    assert count(None, with_headers) == count(None, without)
    assert not [name for name in count(None, with_headers) if name.startswith(("proxies.py", "forwarded.py"))]
