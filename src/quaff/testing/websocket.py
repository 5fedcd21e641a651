"""A WebSocket to an app without a server: `app.test_websocket("/chat")`."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Any, Final, Self

from .._internal.async_bridge import run_coroutine
from ..errors import WebSocketDisconnect
from ..servers.asgi import serve_asgi
from ..servers.messages import Message

PATIENCE: Final = 10.0
"""Seconds after which a wait for the app is an error of the test."""


class HandshakeRefused(Exception):
    """The app answered the handshake with an HTTP response instead of accepting it."""

    def __init__(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        super().__init__(f"the WebSocket was refused with {status}")
        self.status = status
        """The status code."""

        self.headers = headers
        """The headers of the response."""

        self.body = body
        """The body of the response."""


class AsyncWebSocketSession:
    """The client's end of a WebSocket, for async tests: `async with session: ...`.

    :param app: the app.
    :param scope: the ASGI scope of the connection.
    """

    def __init__(self, app: Any, scope: dict[str, Any]) -> None:
        self._app = app
        self._scope = scope
        self._to_app: asyncio.Queue[Message] = asyncio.Queue()
        self._from_app: asyncio.Queue[Message] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None
        self._answered = asyncio.Event()
        self._refusal: Message | None = None
        self._has_raised = False
        self.is_accepted = False
        """Whether the app has accepted the connection, as far as was looked."""

        self.subprotocol: str | None = None
        """The subprotocol that the app has chosen."""

        self.headers: list[tuple[str, str]] = []
        """The headers that the app sent with the handshake."""

        self.close_code: int | None = None
        """The code with which the app has closed the connection; None while it has not."""

        self.close_reason = ""
        """What it said with that."""

    async def __aenter__(self) -> Self:
        self._to_app.put_nowait({"type": "websocket.connect"})
        self._task = asyncio.get_running_loop().create_task(
            serve_asgi(self._app, self._scope, self._to_app.get, self._take)
        )
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc_value: BaseException | None, tb: TracebackType | None
    ) -> None:
        task = self._task
        if task is None:
            return
        if self.close_code is None and exc_value is None:
            # Clients cannot close what is not open: a test that just ends lets the app answer the handshake first.
            answered = asyncio.get_running_loop().create_task(self._answered.wait())
            await asyncio.wait([answered, task], timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED)
            answered.cancel()
        await self.close()
        await asyncio.wait([task], timeout=PATIENCE)
        if not task.done():
            task.cancel()
            if exc_value is None:
                raise TimeoutError(f"The handler still runs {PATIENCE:g} seconds after its client has left.")
        # What the handler raised in testing mode is raised here, unless the test has failed already or has seen it.
        elif exc_value is None and not self._has_raised:
            task.result()
        elif not task.cancelled():
            task.exception()

    async def _take(self, message: Message) -> None:
        if self.close_code is not None:
            raise OSError("the client is gone")
        self._answered.set()
        self._from_app.put_nowait(message)
        if message["type"] in {"websocket.close", "websocket.http.response.body"}:
            # As a server does: whoever still receives hears that it is over.
            self._to_app.put_nowait({"type": "websocket.disconnect", "code": message.get("code", 1006)})

    async def _next(self) -> Message:
        """Return the app's next message, or raise what its handler raised."""
        if self._task is None:
            raise RuntimeError("Use the session in a with block: with app.test_websocket(...) as session.")
        getting = asyncio.get_running_loop().create_task(self._from_app.get())
        done, _ = await asyncio.wait([getting, self._task], timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED)
        if getting in done:
            return getting.result()
        getting.cancel()
        if self._task in done:
            if not self._from_app.empty():
                return self._from_app.get_nowait()
            self._has_raised = True
            self._task.result()
            raise WebSocketDisconnect(self.close_code or 1006, self.close_reason)
        raise TimeoutError(f"The app has sent nothing for {PATIENCE:g} seconds.")

    def _note(self, message: Message) -> None:
        """Take note of a message that is not for the test itself."""
        kind = message["type"]
        if kind == "websocket.accept":
            self.is_accepted = True
            self.subprotocol = message.get("subprotocol")
            self.headers = _decode(message.get("headers", ()))
        elif kind == "websocket.close":
            self.close_code = message.get("code", 1000)
            self.close_reason = message.get("reason") or ""
            raise WebSocketDisconnect(self.close_code or 1000, self.close_reason)
        elif kind == "websocket.http.response.start":
            self._refusal = message
        elif kind == "websocket.http.response.body":
            self.close_code = 1006
            start = self._refusal or {"status": 403, "headers": ()}
            raise HandshakeRefused(start["status"], _decode(start["headers"]), message.get("body", b""))

    async def wait_accepted(self) -> None:
        """Wait until the app has accepted the connection.

        :raises HandshakeRefused: when it answers with a response instead.
        """
        while not self.is_accepted:
            self._note(await self._next())

    async def receive(self) -> str | bytes:
        """Return the app's next message.

        :raises quaff.errors.WebSocketDisconnect: when it closes the connection instead, with its code and reason.
        :raises HandshakeRefused: when it answers with a response instead.
        :raises TimeoutError: when it does nothing for ten seconds.
        """
        while True:
            message = await self._next()
            if message["type"] == "websocket.send":
                text: str | None = message.get("text")
                data: bytes = message.get("bytes", b"")
                return data if text is None else text
            self._note(message)

    async def receive_json(self) -> Any:
        """Return the app's next message, read as JSON."""
        return self._app.json.loads(await self.receive())

    async def send(self, data: str | bytes) -> None:
        """Send the app a message."""
        key = "text" if isinstance(data, str) else "bytes"
        self._to_app.put_nowait({"type": "websocket.receive", key: data})

    async def send_json(self, value: Any) -> None:
        """Send the app a value as JSON text."""
        await self.send(self._app.json.dumps(value))

    async def close(self, code: int = 1000) -> None:
        """Close the connection from the client's side; once."""
        if self.close_code is None:
            self.close_code = code
            self._to_app.put_nowait({"type": "websocket.disconnect", "code": code})


def _decode(headers: Any) -> list[tuple[str, str]]:
    return [(name.decode("latin1"), value.decode("latin1")) for name, value in headers]


class WebSocketSession:
    """The client's end of a WebSocket, for tests; made by `app.test_websocket`.

    ::

        with app.test_websocket("/echo") as session:
            session.send("hello")
            assert session.receive() == "hello"

    The app runs on the loop of the process (`_internal/async_bridge.py`). Methods are those of `AsyncWebSocketSession`, and
    wait.
    """

    def __init__(self, app: Any, scope: dict[str, Any]) -> None:
        self._app = app
        self._scope = scope
        self._session: AsyncWebSocketSession | None = None

    async def _enter(self) -> None:
        # Made on the loop: the queues belong to it.
        self._session = AsyncWebSocketSession(self._app, self._scope)
        await self._session.__aenter__()

    def __enter__(self) -> Self:
        run_coroutine(self._enter)
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc_value: BaseException | None, tb: TracebackType | None
    ) -> None:
        run_coroutine(self._entered.__aexit__, exc_type, exc_value, tb)

    @property
    def _entered(self) -> AsyncWebSocketSession:
        if self._session is None:
            raise RuntimeError("Use the session in a with block: with app.test_websocket(...) as session.")
        return self._session

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._entered, name)

    def wait_accepted(self) -> None:
        """Wait until the app has accepted the connection; see `AsyncWebSocketSession.wait_accepted`."""
        run_coroutine(self._entered.wait_accepted)

    def receive(self) -> str | bytes:
        """Return the app's next message; see `AsyncWebSocketSession.receive`."""
        return run_coroutine(self._entered.receive)

    def receive_json(self) -> Any:
        """Return the app's next message, read as JSON."""
        return run_coroutine(self._entered.receive_json)

    def send(self, data: str | bytes) -> None:
        """Send the app a message."""
        run_coroutine(self._entered.send, data)

    def send_json(self, value: Any) -> None:
        """Send the app a value as JSON text."""
        run_coroutine(self._entered.send_json, value)

    def close(self, code: int = 1000) -> None:
        """Close the connection from the client's side; once."""
        run_coroutine(self._entered.close, code)
