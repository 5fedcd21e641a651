"""WebSockets: what a handler talks through.

    @app.websocket("/echo")
    async def echo():
        async for message in websocket:
            await websocket.send(message)

`WebSocket` is the handler's side, the same over every protocol; a `Connection` is the server's side (`servers/`). A
connection is accepted with the first send or receive, or explicitly by `accept`; until then the handler may refuse it with a
status, by `abort(403)` or by returning a response. A synchronous handler has the same methods without `await`: they wait.

Read first: `tests/test_websockets.py`; the life of a connection is in `pipeline/conversation.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import suppress
from enum import Enum, auto
from typing import Any, Final, NamedTuple, NoReturn, Protocol

from . import json
from ._internal.async_bridge import loop_of_request, run_coroutine
from .errors import WebSocketDisconnect
from .headers import Headers

MAX_MESSAGE_SIZE: Final = 1024 * 1024
"""The largest message that is received, in bytes, unless `WEBSOCKET_MAX_MESSAGE_SIZE` says otherwise."""

SEND_TIMEOUT: Final = 60.0
"""Seconds that a client may leave what is sent to it unread, unless `WEBSOCKET_SEND_TIMEOUT` says otherwise."""

# RFC: 6455 section 7.4.1.
NORMAL: Final = 1000
GOING_AWAY: Final = 1001
ABNORMAL: Final = 1006
"""Never sent: it stands for a connection that ended without a code."""

POLICY_VIOLATION: Final = 1008
TOO_BIG: Final = 1009
INTERNAL_ERROR: Final = 1011

HeaderList = list[tuple[str, str]]


class Connection(Protocol):
    """The server's side of a WebSocket."""

    subprotocols: list[str]
    """What the client offers, in its order of preference."""

    def environ(self) -> dict[str, Any]:
        """Return the WSGI environ of the handshake."""
        ...

    async def accept(self, subprotocol: str | None, headers: HeaderList) -> None:
        """Complete the handshake."""

    async def refuse(self, status: str, headers: HeaderList, body: bytes) -> None:
        """Answer the handshake with an HTTP response instead."""

    async def receive(self) -> str | bytes:
        """Return the next message; raise `WebSocketDisconnect` when there will be none."""
        ...

    async def send(self, data: str | bytes) -> None:
        """Send a message; return when the client's side has room for the next."""

    async def close(self, code: int, reason: str) -> None:
        """Close the connection."""

    def send_now(self, data: str | bytes) -> bool:
        """Send a message if that needs no waiting, and tell whether it was sent. Servers need not have this."""
        return False

    def limit(self, size: int | None) -> None:
        """Take note that messages of more than *size* bytes are refused, so that they need not arrive in whole."""
        return


class State(Enum):
    """Where in its life a WebSocket is. It only ever moves downwards."""

    CONNECTING = auto()
    OPEN = auto()
    CLOSED = auto()


class WebSocket:
    """One WebSocket connection, for an async handler.

    Attributes of the handshake request, such as `headers`, `args`, `cookies` and `path`, can be read here too.
    """

    def __init__(self, connection: Connection, request: Any, config: Any) -> None:
        self._connection = connection
        self._request = request
        # Servers take one message at a time, and the handshake before all; two tasks may send at once.
        self._turn = asyncio.Lock()
        self._is_lost = False
        self._loop = asyncio.get_running_loop()
        self._waiting: set[asyncio.Task[Any] | None] = set()
        self.state = State.CONNECTING
        self.subprotocols: list[str] = connection.subprotocols
        """What the client offers, in its order of preference."""

        self.subprotocol: str | None = None
        """What was chosen of it by `accept`."""

        self.max_message_size = config.get("WEBSOCKET_MAX_MESSAGE_SIZE", MAX_MESSAGE_SIZE)
        self.send_timeout: float | None = config.get("WEBSOCKET_SEND_TIMEOUT", SEND_TIMEOUT)
        """Seconds that a client may leave what is sent to it unread; None for as long as the server lets it."""

        self._is_refused = False
        self._message_checks: list[MessageCheck] = []
        self.close_code: int | None = None
        """The code that the connection was closed with, by either side; None while it is open."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._request, name)

    @property
    def max_message_size(self) -> int | None:
        """The largest message that is received, in bytes; None for any. Larger ones close the connection with 1009."""
        return self._max_message_size

    @max_message_size.setter
    def max_message_size(self, size: int | None) -> None:
        self._max_message_size = size
        self._connection.limit(size)

    def for_caller(self) -> WebSocket | BlockingWebSocket:
        """Return this on an event loop, and the one whose methods wait elsewhere."""
        return self if asyncio._get_running_loop() is not None else BlockingWebSocket(self)

    @property
    def blocking(self) -> BlockingWebSocket:
        """The same connection for synchronous code; what `quaff.websocket` stands for there."""
        return BlockingWebSocket(self)

    async def accept(self, subprotocol: str | None = None, headers: Iterable[tuple[str, str]] = ()) -> None:
        """Complete the handshake. Not needed unless there is something to say in it.

        :param subprotocol: one of `subprotocols`.
        :param headers: for the response to the handshake.
        :raises ValueError: for a subprotocol that the client did not offer, or a header that cannot be sent.
        :raises RuntimeError: when the connection was accepted or closed before.
        """
        if subprotocol is not None and subprotocol not in self.subprotocols:
            offered = ", ".join(self.subprotocols) or "none"
            raise ValueError(f"The client did not offer the subprotocol {subprotocol!r}. It offered: {offered}.")
        # SECURITY: a line break in a header would end it, and what follows be taken for the next one.
        checked = list(Headers(headers))
        async with self._turn:
            if self.state is not State.CONNECTING:
                raise RuntimeError(
                    f"accept() comes first and once; this WebSocket is {self.state.name.lower()} already."
                )
            await self._shake_hands(subprotocol, checked)

    async def _shake_hands(self, subprotocol: str | None, headers: HeaderList) -> None:
        try:
            await self._connection.accept(subprotocol, headers)
        except WebSocketDisconnect as error:
            self._lose(error.close_code)
            raise
        self.state = State.OPEN
        self.subprotocol = subprotocol

    async def _accept_if_needed(self) -> None:
        async with self._turn:
            # Another task may have done it meanwhile.
            if self.state is State.CONNECTING:
                await self._shake_hands(None, [])

    async def receive(self) -> str | bytes:
        """Return the next message: text as `str`, binary as `bytes`.

        :raises quaff.errors.WebSocketDisconnect: when the connection is closed, or the client is gone, or its message was
            larger than `max_message_size`.
        """
        if self.state is State.CONNECTING:
            await self._accept_if_needed()
        if self.state is State.CLOSED:
            raise WebSocketDisconnect(self.close_code or ABNORMAL)
        try:
            message = await self._connection.receive()
        except WebSocketDisconnect as error:
            self._lose(error.close_code)
            raise
        limit = self._max_message_size
        if limit is not None and len(message) > limit // 4 and _size(message) > limit:
            await self.close(TOO_BIG, "the message is too big")
            self._is_lost = True
            raise WebSocketDisconnect(TOO_BIG, f"a message of {_size(message)} bytes; at most {limit} are accepted")
        if self._message_checks:
            await self._check_message(message)
        return message

    def check_messages(self, check: Callable[[str | bytes], tuple[int, str] | None], *, blocking: bool = False) -> None:
        """Call *check* with each message before the handler has it; it returns None, or with what to close the connection.

        :param check: returns a code and a reason as for `close`; the reason is logged, and `receive` raises.
        :param blocking: call it in a worker thread, because it may wait.
        """
        self._message_checks.append(MessageCheck(check, blocking))

    async def _check_message(self, message: str | bytes) -> None:
        for check, blocking in self._message_checks:
            if blocking:
                from ._internal.threads import run_in_thread

                refusal = await run_in_thread(check, message)
            else:
                refusal = check(message)
            if refusal is not None:
                await self.close(*refusal)
                self._is_lost = self._is_refused = True
                raise WebSocketDisconnect(*refusal)

    async def receive_json(self) -> Any:
        """Return the next message, read as JSON by the app's provider.

        :raises ValueError: when it is not JSON.
        """
        return json.loads(await self.receive())

    async def send(self, data: str | bytes) -> None:
        """Send a message: text from `str`, binary from `bytes`.

        :raises quaff.errors.WebSocketDisconnect: when the client is gone, or has not read for `send_timeout` seconds.
        :raises TypeError: for anything else.
        :raises RuntimeError: when the handler itself has closed the connection.
        """
        if not isinstance(data, (str, bytes)):
            raise TypeError(f"A message is str or bytes, not {type(data).__name__}. For JSON there is send_json().")
        if self.state is State.CONNECTING:
            await self._accept_if_needed()
        # PERF: nearly always there is room, and nobody else is sending.
        if self.state is State.OPEN and not self._turn.locked() and self._connection.send_now(data):
            return
        async with self._turn:
            if self.state is State.CLOSED:
                self._raise_closed()
            try:
                async with asyncio.timeout(self.send_timeout):
                    await self._connection.send(data)
            except WebSocketDisconnect as error:
                self._lose(error.close_code)
                raise
            except TimeoutError:
                self._lose(ABNORMAL)
                # Behind what is unread there may be no room for this either.
                await self._close_within(0, POLICY_VIOLATION, "the client does not read")
                words = f"the client has not read for {self.send_timeout:g} seconds"
                raise WebSocketDisconnect(ABNORMAL, words) from None

    def _raise_closed(self) -> NoReturn:
        if self._is_lost:
            raise WebSocketDisconnect(self.close_code or ABNORMAL)
        raise RuntimeError(f"send() on a WebSocket that is closed (code {self.close_code}).")

    async def send_json(self, *args: Any, **kwargs: Any) -> None:
        """Send what `jsonify` would put into a response, as a text message."""
        provider = self._provider()
        await self.send(provider.dumps(provider._prepare_response_obj(args, kwargs)))

    @staticmethod
    def _provider() -> Any:
        from .globals import current_context

        return current_context.get().app.json

    async def close(self, code: int = NORMAL, reason: str = "") -> None:
        """Close the connection; before it was accepted, refuse it with 403. Closing twice does nothing.

        :param code: RFC 6455 section 7.4: 1000, 1001, 1003, 1007-1013 or one of your own from 3000 to 4999.
        :param reason: at most 123 bytes.
        :raises ValueError: for another code, or a longer reason.
        """
        if code not in {1000, 1001, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013} and not 3000 <= code <= 4999:
            raise ValueError(f"{code} is not a code that a WebSocket may be closed with (RFC 6455 section 7.4).")
        if len(reason.encode()) > 123:
            raise ValueError("The reason for closing a WebSocket has at most 123 bytes (RFC 6455 section 5.5).")
        if self.state is State.CONNECTING:
            await self.refuse("403 FORBIDDEN", [("Content-Length", "0")], b"")
        elif self.state is State.OPEN:
            self._note_closed(code)
            await self._close_within(self.send_timeout, code, reason)

    async def _close_within(self, seconds: float | None, code: int, reason: str) -> None:
        # A client that is gone already, or does not read to the end, is as good.
        with suppress(WebSocketDisconnect, TimeoutError):
            async with asyncio.timeout(seconds):
                await self._connection.close(code, reason)

    async def refuse(self, status: str, headers: HeaderList, body: bytes) -> None:
        """Answer the handshake with an HTTP response; when it was answered before, do nothing."""
        async with self._turn:
            if self.state is State.CONNECTING:
                self._note_closed(ABNORMAL)
                with suppress(WebSocketDisconnect):
                    await self._connection.refuse(status, headers, body)

    def _note_closed(self, code: int) -> None:
        if self.state is not State.CLOSED:
            self.state = State.CLOSED
            self.close_code = code

    def _lose(self, code: int) -> None:
        """Take note that the connection has ended without the handler's doing."""
        self._is_lost = self._is_lost or self.state is not State.CLOSED
        self._note_closed(code)

    async def _call_for_thread(
        self, function: Callable[..., Awaitable[Any]], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        task = asyncio.current_task()
        self._waiting.add(task)
        try:
            return await function(*args, **kwargs)
        except asyncio.CancelledError:
            raise WebSocketDisconnect(GOING_AWAY) from None
        finally:
            self._waiting.discard(task)

    def interrupt_threads(self) -> None:
        """End what threads wait for here, with `WebSocketDisconnect`; on the loop, when the connection was closed."""
        for task in self._waiting:
            if task is not None:
                task.cancel()

    def _broke_limit(self, error: WebSocketDisconnect) -> bool:
        """Tell whether the client was sent away, which is worth a line in the log, rather than left."""
        return error.close_code == TOO_BIG or self._is_refused

    async def __aiter__(self) -> AsyncIterator[str | bytes]:
        """Give the messages until the client closes the connection."""
        while True:
            try:
                message = await self.receive()
            except WebSocketDisconnect as error:
                if self._broke_limit(error):
                    raise
                return
            yield message


class MessageCheck(NamedTuple):
    """What looks at each message that is received."""

    check: Callable[[str | bytes], tuple[int, str] | None]
    blocking: bool


class BlockingWebSocket:
    """A WebSocket for synchronous code: the same methods, which wait instead of being awaited."""

    def __init__(self, websocket: WebSocket) -> None:
        self._websocket = websocket

    def __getattr__(self, name: str) -> Any:
        return getattr(self._websocket, name)

    def __setattr__(self, name: str, value: Any) -> None:
        # Settings such as `send_timeout` are the connection's.
        if name.startswith("_"):
            super().__setattr__(name, value)
        else:
            setattr(self._websocket, name, value)

    def _wait(self, function: Callable[..., Awaitable[Any]], *args: Any, **kwargs: Any) -> Any:
        # Threads that the handler has started know no loop.
        token = loop_of_request.set(self._websocket._loop)
        try:
            return run_coroutine(self._websocket._call_for_thread, function, args, kwargs)
        finally:
            loop_of_request.reset(token)

    def accept(self, subprotocol: str | None = None, headers: Iterable[tuple[str, str]] = ()) -> None:
        """Complete the handshake; see `WebSocket.accept`."""
        self._wait(self._websocket.accept, subprotocol, headers)

    def receive(self) -> str | bytes:
        """Wait for the next message and return it; see `WebSocket.receive`."""
        message: str | bytes = self._wait(self._websocket.receive)
        return message

    def receive_json(self) -> Any:
        """Wait for the next message and return it, read as JSON."""
        return self._wait(self._websocket.receive_json)

    def send(self, data: str | bytes) -> None:
        """Send a message; see `WebSocket.send`."""
        self._wait(self._websocket.send, data)

    def send_json(self, *args: Any, **kwargs: Any) -> None:
        """Send what `jsonify` would put into a response, as a text message."""
        self._wait(self._websocket.send_json, *args, **kwargs)

    def close(self, code: int = NORMAL, reason: str = "") -> None:
        """Close the connection; see `WebSocket.close`."""
        self._wait(self._websocket.close, code, reason)

    def __iter__(self) -> Iterator[str | bytes]:
        while True:
            try:
                message = self.receive()
            except WebSocketDisconnect as error:
                if self._websocket._broke_limit(error):
                    raise
                return
            yield message


def _size(message: str | bytes) -> int:
    return len(message) if isinstance(message, bytes) or message.isascii() else len(message.encode())
