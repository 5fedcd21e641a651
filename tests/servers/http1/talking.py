"""Handlers of WebSockets for the tests of this folder, which tell what they got, and frames for raw clients."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable
from typing import Any

from quaff import Quaff, websocket
from quaff.errors import WebSocketDisconnect
from quaff.servers.http1.websocket import WebSocketConnection
from tests.protocols.harness import Served, until
from tests.protocols.test_websockets import frame
from tests.servers.process import PATIENCE

Serve = Callable[..., Served]


def add_echo(app: Quaff) -> Quaff:
    """Add a handler at `/echo` that sends back what it gets."""

    @app.websocket("/echo")
    async def echo() -> None:
        async for message in websocket:
            await websocket.send(message)

    return app


class Handler:
    """A handler at `/`, and what came of it.

    :param talk: the rest of it, once the connection is kept.
    """

    def __init__(self, app: Quaff, talk: Callable[[Handler], Any]) -> None:
        self.connection: WebSocketConnection
        self.results: list[Any] = []
        self.go = asyncio.Event()
        """What the handler may wait for; set by `let_go`."""

        @app.websocket("/")
        async def handler() -> None:
            connection = websocket._connection
            assert isinstance(connection, WebSocketConnection)
            self.connection = connection
            self.go = asyncio.Event()
            try:
                self.results.append(await talk(self))
            except WebSocketDisconnect as error:
                self.results.append(error)
                raise

    def call(self, function: Callable[..., Any], *args: Any) -> Any:
        """Call *function* on the loop of the server, and return what it gave."""

        async def call() -> Any:
            return function(*args)

        return asyncio.run_coroutine_threadsafe(call(), self.loop).result(PATIENCE)

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop of the server, once there is a connection."""
        until(lambda: hasattr(self, "connection"))
        return self.connection._service.loop

    def tick(self, seconds: int) -> None:
        """Let the server look after the connection as if so many seconds had passed since now."""
        self.call(lambda: self.connection.look_after(self.connection._service.now + seconds))

    def let_go(self) -> None:
        """Let the handler go on."""
        until(lambda: hasattr(self, "connection"))
        self.call(self.go.set)

    def result(self) -> Any:
        """Return what the handler has returned, or the error that ended it."""
        return until(lambda: self.results)[0]

    def end(self) -> tuple[int, str]:
        """Return the code and the reason with which the handler was ended."""
        error = self.result()
        assert isinstance(error, WebSocketDisconnect), error
        return error.close_code, error.reason


async def receive_all(handler: Handler) -> list[str | bytes]:
    """Return all messages until the connection ends."""
    return [message async for message in websocket]


async def receive_for_ever(handler: Handler) -> None:
    """Receive until the connection ends, and be ended by that."""
    while True:
        await websocket.receive()


def closing(code: int, reason: bytes = b"") -> bytes:
    """Return a closing frame."""
    return frame(0x88, struct.pack("!H", code) + reason)


def read_exactly(connection: socket.socket, size: int) -> bytes:
    """Return the next *size* bytes."""
    data = b""
    while len(data) < size:
        piece = connection.recv(size - len(data))
        assert piece, f"the connection ended after {data!r}"
        data += piece
    return data
