"""A WebSocket over ASGI, as servers of several ages speak it. Real ones are in tests/protocols/test_websockets.py."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from quaff.errors import WebSocketDisconnect
from quaff.servers.asgi_websocket import ASGIConnection
from quaff.servers.messages import Message


class Server:
    """The other side: it gives the messages that were prepared and keeps those that it gets.

    :param failure: what `send` raises.
    """

    def __init__(self, *messages: Message, failure: Exception | None = None, **scope: Any) -> None:
        self._messages = list(messages)
        self._failure = failure
        self.sent: list[Message] = []
        self.scope: Message = {
            "type": "websocket",
            "path": "/chat",
            "query_string": b"a=1",
            "headers": [(b"host", b"a.example"), (b"x-token", b"t")],
            **scope,
        }

    async def _receive(self) -> Message:
        return self._messages.pop(0)

    async def _send(self, message: Message) -> None:
        if self._failure is not None:
            raise self._failure
        self.sent.append(message)

    def run(self, talk: Callable[[ASGIConnection], Coroutine[Any, Any, Any]]) -> Any:
        """Return what *talk* gives for the connection."""
        return asyncio.run(talk(ASGIConnection(self.scope, self._receive, self._send)))


CONNECT = {"type": "websocket.connect"}


def test_the_environ() -> None:
    """It is that of the handshake, with the headers by which Werkzeug's map finds rules for WebSockets."""
    environ = ASGIConnection(Server(root_path="/root").scope, *[None] * 2).environ()  # type: ignore[arg-type]  # not used
    assert (environ["REQUEST_METHOD"], environ["SCRIPT_NAME"], environ["PATH_INFO"]) == ("GET", "/root", "/chat")
    assert (environ["HTTP_UPGRADE"], environ["HTTP_CONNECTION"]) == ("websocket", "Upgrade")
    assert (environ["HTTP_HOST"], environ["HTTP_X_TOKEN"], environ["QUERY_STRING"]) == ("a.example", "t", "a=1")


@pytest.mark.parametrize(
    "scheme, expected",
    [("ws", "http"), ("wss", "https"), ("https", "https"), ("http", "http"), ("?", "http"), (None, "http")],
)
def test_the_scheme(scheme: str | None, expected: str) -> None:
    """WSGI knows `http` and `https`; a scope without a scheme is not secure."""
    scope = Server().scope if scheme is None else Server(scheme=scheme).scope
    assert ASGIConnection(scope, *[None] * 2).environ()["wsgi.url_scheme"] == expected  # type: ignore[arg-type]  # not used


def test_subprotocols() -> None:
    """They are the scope's; a server need not name any."""
    assert ASGIConnection(Server(subprotocols=["b", "a"]).scope, *[None] * 2).subprotocols == ["b", "a"]  # type: ignore[arg-type]
    assert ASGIConnection(Server().scope, *[None] * 2).subprotocols == []  # type: ignore[arg-type]  # not used


def test_a_conversation() -> None:
    """Each call is one message of ASGI, in the order that its specification asks for."""
    server = Server(
        CONNECT,
        {"type": "websocket.receive", "text": "a", "bytes": None},
        {"type": "websocket.receive", "bytes": b"b"},
        {"type": "websocket.receive", "text": ""},
        {"type": "websocket.receive"},
    )

    async def talk(connection: ASGIConnection) -> Any:
        await connection.accept("v1", [("X-Name", "\xe4")])
        received = [await connection.receive() for _ in range(4)]
        await connection.send("text")
        await connection.send(b"")
        await connection.close(4000, "enough")
        return received

    assert server.run(talk) == ["a", b"b", "", b""]
    assert server.sent == [
        {"type": "websocket.accept", "subprotocol": "v1", "headers": [(b"x-name", b"\xe4")]},
        {"type": "websocket.send", "text": "text"},
        {"type": "websocket.send", "bytes": b""},
        {"type": "websocket.close", "code": 4000, "reason": "enough"},
    ]


@pytest.mark.parametrize("code", [1000, 1001, 4000, None])
def test_the_end(code: int | None) -> None:
    """The client's code is passed on; a server that gives none means 1005."""
    gone = {"type": "websocket.disconnect"} | ({} if code is None else {"code": code})
    with pytest.raises(WebSocketDisconnect) as raised:
        Server(gone).run(lambda connection: connection.receive())
    assert (raised.value.close_code, raised.value.reason) == (code or 1005, "")


def refuse(connection: ASGIConnection) -> Coroutine[Any, Any, None]:
    """Refuse the handshake."""
    return connection.refuse("429 TOO MANY REQUESTS", [("Retry-After", "9")], b"full")


def test_refusing() -> None:
    """With the extension of ASGI for it, the response goes out as it is."""
    server = Server(CONNECT, extensions={"websocket.http.response": {}})
    server.run(refuse)
    assert server.sent == [
        {"type": "websocket.http.response.start", "status": 429, "headers": [(b"retry-after", b"9")]},
        {"type": "websocket.http.response.body", "body": b"full"},
    ]


@pytest.mark.parametrize("scope", [{}, {"extensions": {}}, {"extensions": {"tls": {}}}])
def test_refusing_where_the_server_cannot(scope: dict[str, Any]) -> None:
    """A server without that extension answers 403 to a close before the accept."""
    server = Server(CONNECT, **scope)
    server.run(refuse)
    assert server.sent == [{"type": "websocket.close", "code": 1000}]


def test_a_client_that_left_during_the_handshake() -> None:
    """Whatever is done with the connection then, it is gone, and nothing is sent."""

    async def accept(connection: ASGIConnection) -> None:
        await connection.accept(None, [])

    for talk in (accept, refuse):
        server = Server({"type": "websocket.disconnect", "code": 1006})
        with pytest.raises(WebSocketDisconnect, match="1006"):
            server.run(talk)
        assert server.sent == []


def test_an_accept_that_was_interrupted() -> None:
    """The connect message is taken once it has come: an accept that is tried again waits for it again."""

    async def main() -> list[Message]:
        arriving: asyncio.Queue[Message] = asyncio.Queue()
        sent: list[Message] = []

        async def send(message: Message) -> None:
            sent.append(message)

        connection = ASGIConnection(Server().scope, arriving.get, send)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(connection.accept(None, []), 0.01)
        arriving.put_nowait(CONNECT)
        arriving.put_nowait({"type": "websocket.receive", "text": "first"})
        await connection.accept(None, [])
        assert await connection.receive() == "first"
        return sent

    assert [message["type"] for message in asyncio.run(main())] == ["websocket.accept"]


@pytest.mark.parametrize(
    "failure", [OSError("gone"), ConnectionResetError(), BrokenPipeError(), RuntimeError("after close")]
)
def test_clients_that_are_gone(failure: Exception) -> None:
    """Servers say it with various exceptions; the app gets one, with the server's as its cause."""

    async def send(connection: ASGIConnection) -> None:
        await connection.send("a")

    async def close(connection: ASGIConnection) -> None:
        await connection.close(1000, "")

    for talk in (send, close):
        with pytest.raises(WebSocketDisconnect) as raised:
            Server(CONNECT, failure=failure).run(talk)
        assert raised.value.close_code == 1006
        assert raised.value.__cause__ is failure


def test_errors_of_the_program_stay_what_they_are() -> None:
    """Only what means a client that is gone is translated."""
    with pytest.raises(KeyError):
        Server(failure=KeyError("a bug")).run(lambda connection: connection.send("a"))
