"""The app as an ASGI application, called as a server calls it. Real servers are in `tests/protocols/`."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator
from typing import Any

import pytest

from quaff import Quaff, Response, request
from quaff.servers.asgi import ASGIExchange, serve_asgi


def scope_of(path: str = "/", **changes: Any) -> dict[str, Any]:
    """Return the scope of a GET."""
    return {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"localhost")],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8000),
        **changes,
    }


async def ask(app: Any, scope: dict[str, Any], *messages: dict[str, Any]) -> tuple[int, dict[bytes, bytes], bytes]:
    """Call *app* with the messages of a client that then waits; return status, headers and body."""
    waiting = list(messages) or [{"type": "http.request", "body": b""}]
    sent: list[Any] = []

    async def receive() -> Any:
        return waiting.pop(0) if waiting else await asyncio.get_running_loop().create_future()

    async def send(message: Any) -> None:
        sent.append(message)

    await asyncio.wait_for(app(scope, receive, send), 20)
    start, *rest = sent
    assert start["type"] == "http.response.start"
    assert [message["type"] for message in rest] == ["http.response.body"] * len(rest)
    assert not rest[-1].get("more_body")
    return start["status"], dict(start["headers"]), b"".join(message["body"] for message in rest)


@pytest.fixture
def app() -> Quaff:
    """Give an app that says what it was asked."""
    app = Quaff("asgi", static_folder=None)

    @app.route("/<path:rest>", methods=["GET", "POST"])
    @app.route("/", defaults={"rest": ""}, methods=["GET", "POST"])
    async def show(rest: str) -> dict[str, Any]:
        return {"rest": rest, "root": request.root_path, "body": request.get_data(as_text=True), "url": request.url}

    @app.route("/sync")
    def sync() -> str:
        return "sync"

    return app


def test_a_request_is_answered(app: Quaff) -> None:
    """Headers have names in lower case and are bytes, as the specification wants them."""
    status, headers, body = asyncio.run(ask(app, scope_of("/sync")))
    assert (status, body) == (200, b"sync")
    assert headers[b"content-type"] == b"text/html; charset=utf-8"
    assert headers[b"content-length"] == b"4"


def test_asgi_2(app: Quaff) -> None:
    """A server that calls once for the scope and once for the rest, as uvicorn does for such an object, gets on."""
    assert not inspect.iscoroutinefunction(app.__call__)

    async def in_two_calls(scope: Any, receive: Any, send: Any) -> None:
        await app(scope)(receive, send)

    assert asyncio.run(ask(in_two_calls, scope_of("/sync")))[2] == b"sync"


@pytest.mark.parametrize("path", ["/below/a/b", "/a/b"], ids=["with the root", "without"])
def test_below_a_root_path(app: Quaff, path: str) -> None:
    """The rest is the path, whether or not the server counts the root into it."""
    status, _, body = asyncio.run(ask(app, scope_of(path, root_path="/below")))
    assert status == 200
    assert app.json.loads(body)["rest"] == "a/b"
    assert app.json.loads(body)["root"] == "/below"


def test_a_path_that_is_no_utf8(app: Quaff) -> None:
    """Its bytes are those of the raw path, shown as under a WSGI server."""
    _, _, body = asyncio.run(ask(app, scope_of("/\ufffd", raw_path=b"/%ff")))
    assert app.json.loads(body)["rest"] == "\ufffd"


def test_a_body_in_pieces(app: Quaff) -> None:
    """It has arrived when an async view is called."""
    scope = scope_of("/x", method="POST", headers=[(b"host", b"localhost"), (b"content-length", b"4")])
    pieces = [
        {"type": "http.request", "body": b"ab", "more_body": True},
        {"type": "http.request", "body": b"", "more_body": True},
        {"type": "http.request", "body": b"cd"},
    ]
    assert app.json.loads(asyncio.run(ask(app, scope, *pieces))[2])["body"] == "abcd"


def test_a_client_that_leaves_in_the_middle(app: Quaff) -> None:
    """The view never sees half a body as a whole one."""
    scope = scope_of("/x", method="POST", headers=[(b"host", b"localhost"), (b"content-length", b"4")])

    async def main() -> list[Any]:
        messages = [{"type": "http.request", "body": b"ab", "more_body": True}, {"type": "http.disconnect"}]
        sent: list[Any] = []

        async def receive() -> Any:
            return messages.pop(0)

        async def send(message: Any) -> None:
            sent.append(message)

        try:
            await asyncio.wait_for(serve_asgi(app, scope, receive, send), 20)
        except Exception as error:
            sent.append(error)
        return sent

    assert not any(isinstance(message, dict) and message.get("status") == 200 for message in asyncio.run(main()))


async def send_nowhere(message: Any) -> None:
    """Refuse every message, as a server of version 2.4 does when the client is gone."""
    raise OSError(f"nobody takes {message['type']}")


async def say_nothing() -> Any:
    """Wait, as a server does while the client says nothing."""
    return await asyncio.get_running_loop().create_future()


@pytest.mark.parametrize("path", ["/sync", "/x", "/stream", "/thread"])
def test_a_server_that_says_so_when_the_client_is_gone(app: Quaff, path: str) -> None:
    """`send` may raise OSError from the first message on: that is no error of the app's, and what waits is closed."""
    closed: list[str] = []

    async def pieces() -> AsyncIterator[str]:
        closed.append("asked for a piece")
        yield "a"

    def stream() -> Response:
        response = Response(pieces())
        response.call_on_close(lambda: closed.append("closed"))
        return response

    async def asynchronous() -> Response:
        return stream()

    app.add_url_rule("/thread", "thread", stream)
    app.add_url_rule("/stream", "stream", asynchronous)
    asyncio.run(asyncio.wait_for(app(scope_of(path), say_nothing, send_nowhere), 20))
    assert closed == (["closed"] if path in {"/stream", "/thread"} else [])


def test_an_exchange_notes_that_the_client_is_gone() -> None:
    """Whatever was sent when the server refused it; nothing more is sent then."""

    async def main(refused_at: int) -> tuple[bool, list[str]]:
        sent: list[str] = []

        async def send(message: Any) -> None:
            sent.append(message["type"])
            if len(sent) >= refused_at:
                raise ConnectionResetError("the client is gone")

        whole = ASGIExchange(None, scope_of(), say_nothing, send)
        await whole._send("200 OK", [], b"body")
        if refused_at <= 2:
            return whole.is_disconnected, sent
        sent.clear()
        pieces = ASGIExchange(None, scope_of(), say_nothing, send)
        push = await pieces.begin("200 OK", [])
        for piece in (b"a", b"b", b"c", b""):
            await push(piece)
        return pieces.is_disconnected, sent

    start, body = "http.response.start", "http.response.body"
    assert asyncio.run(main(1)) == (True, [start])
    assert asyncio.run(main(2)) == (True, [start, body])
    assert asyncio.run(main(3)) == (True, [start, body, body])
    assert asyncio.run(main(9)) == (False, [start, body, body, body, body])


def test_headers_of_the_exchange() -> None:
    """Host and cookie are found without an environ."""

    async def nothing(*_: Any) -> Any:
        return None

    headers = [(b"host", b"a.example"), (b"cookie", b"a=1")]
    exchange = ASGIExchange(None, scope_of(headers=headers), nothing, nothing)
    assert (exchange.host, exchange.has_cookie()) == ("a.example", True)
    bare = ASGIExchange(None, scope_of(headers=[]), nothing, nothing)
    assert (bare.host, bare.has_cookie(), bare.look_for_body()) == (None, False, False)


def test_an_unknown_kind_of_connection(app: Quaff) -> None:
    """The error names it."""
    with pytest.raises(NotImplementedError, match="'ftp'"):
        asyncio.run(ask(app, {"type": "ftp"}))
