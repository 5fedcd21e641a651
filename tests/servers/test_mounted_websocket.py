"""WebSockets to mounted applications. The requests of HTTP are in `test_mounted.py`."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from quaff import Quaff, request, websocket
from quaff.errors import WebSocketDisconnect
from quaff.servers.environ import asgi_environ
from quaff.servers.mounted_websocket import mounted_connection
from quaff.testing.websocket import HandshakeRefused


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Be an ASGI application that answers each message with its path and the message, and closes when it is told to."""
    assert scope["type"] == "websocket"
    await receive()
    await send({"type": "websocket.accept", "subprotocol": (scope["subprotocols"] or [None])[0]})
    while (message := await receive())["type"] == "websocket.receive":
        if message.get("text") == "close":
            await send({"type": "websocket.close", "code": 4001, "reason": "done"})
        else:
            text = f"{scope['root_path']} {scope['path']} {message.get('text') or message.get('bytes')!r}"
            await send({"type": "websocket.send", "text": text})


def plain(environ: Any, start_response: Any) -> list[bytes]:
    """Be a WSGI application, which has no WebSockets."""
    start_response("200 OK", [])
    return [b"plain"]


@pytest.fixture
def app() -> Quaff:
    """Give an app with an application of each kind mounted."""
    inner = Quaff("inner", static_folder=None)

    @inner.websocket("/room")
    async def room() -> None:
        async for message in websocket:
            await websocket.send(f"{request.root_path} {message!r}")

    app = Quaff("outer", static_folder=None)
    app.mount("/asgi", echo, kind="asgi")
    app.mount("/wsgi", plain, kind="wsgi")
    app.mount("/inner", inner)

    @app.websocket("/own")
    async def own() -> None:
        await websocket.send("own")

    return app


def test_an_asgi_application_talks(app: Quaff) -> None:
    """It gets the connection itself, with its place in the scope, and closes it with its own code."""
    with app.test_websocket("/asgi/chat", subprotocols=("a",)) as session:
        session.send("hi")
        assert session.receive() == "/asgi /asgi/chat 'hi'"
        assert session.subprotocol == "a"
        session.send("close")
        with pytest.raises(WebSocketDisconnect, match="done") as closed:
            session.receive()
        assert closed.value.close_code == 4001


def test_a_mounted_app_talks(app: Quaff) -> None:
    """It sees the prefix as its root."""
    with app.test_websocket("/inner/room") as session:
        session.send("hi")
        assert session.receive() == "/inner 'hi'"


def test_a_wsgi_application_has_none(app: Quaff) -> None:
    """The client is told so."""
    with pytest.raises(HandshakeRefused) as refused, app.test_websocket("/wsgi/x") as session:
        session.receive()
    assert refused.value.status == 400
    assert b"WSGI has no WebSockets" in refused.value.body


def test_the_apps_own_are_left_alone(app: Quaff) -> None:
    """What is below no mount goes to the app."""
    with app.test_websocket("/own") as session:
        assert session.receive() == "own"


class Recorded:
    """The server's side of a connection over another protocol than ASGI."""

    def __init__(self, path: str, *messages: str | bytes) -> None:
        self.subprotocols: list[str] = ["a"]
        self.events: list[Any] = []
        self._path = path
        self._messages = list(messages)

    def environ(self) -> dict[str, Any]:
        """Return that of a handshake."""
        headers = [(b"host", b"localhost"), (b"connection", b"Upgrade"), (b"upgrade", b"websocket")]
        return asgi_environ({"path": self._path, "headers": headers})

    async def accept(self, subprotocol: str | None, headers: list[tuple[str, str]]) -> None:
        """Note it."""
        self.events.append(("accept", subprotocol))

    async def refuse(self, status: str, headers: list[tuple[str, str]], body: bytes) -> None:
        """Note it."""
        self.events.append(("refuse", status))

    async def receive(self) -> str | bytes:
        """Give the messages, and then be gone."""
        if not self._messages:
            raise WebSocketDisconnect(1001)
        return self._messages.pop(0)

    async def send(self, data: str | bytes) -> None:
        """Note it."""
        self.events.append(data)

    async def close(self, code: int, reason: str) -> None:
        """Note it."""
        self.events.append(("close", code, reason))


def converse_with(app: Quaff, connection: Recorded) -> tuple[bool, list[Any]]:
    """Return whether a mount took the connection, and what happened on it."""
    taken = asyncio.run(asyncio.wait_for(mounted_connection(app, connection), 20))
    return taken, connection.events


def test_asgi_over_another_protocol(app: Quaff) -> None:
    """The application's messages become those of the connection, in both directions."""
    taken, events = converse_with(app, Recorded("/asgi/x", "a", b"b", "close"))
    assert taken
    assert events == [("accept", "a"), "/asgi /asgi/x 'a'", "/asgi /asgi/x b'b'", ("close", 4001, "done")]


def test_an_application_that_never_accepts(app: Quaff) -> None:
    """The handshake is refused when it returns, as it is when it closes first."""

    async def silent(scope: Any, receive: Any, send: Any) -> None:
        await receive()

    other = Quaff("other", static_folder=None)
    other.mount("/x", silent, kind="asgi")
    assert converse_with(other, Recorded("/x/y")) == (True, [("refuse", "403 FORBIDDEN")])


def test_an_application_that_talks_out_of_turn() -> None:
    """What it may not say now is its error, with the word that it used; the connection is ended."""

    async def hasty(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "websocket.send", "text": "early"})

    other = Quaff("other", static_folder=None)
    other.mount("/x", hasty, kind="asgi")
    connection = Recorded("/x/y")
    with pytest.raises(RuntimeError, match=r"websocket\.send"):
        converse_with(other, connection)
    assert connection.events == [("refuse", "403 FORBIDDEN")]


def test_below_no_mount_and_below_others(app: Quaff) -> None:
    """Nothing happens to what is not theirs; a WSGI application's are refused; a mounted app's are served."""
    assert converse_with(app, Recorded("/own")) == (False, [])
    assert converse_with(app, Recorded("/wsgi/x")) == (True, [("refuse", "400 BAD REQUEST")])
    taken, events = converse_with(app, Recorded("/inner/room", "hi"))
    assert taken
    assert events[:2] == [("accept", None), "/inner 'hi'"]
