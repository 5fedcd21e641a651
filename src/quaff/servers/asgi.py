"""The app as an ASGI application: what uvicorn, hypercorn and their like call.

ASGI 3.0, HTTP spec version 2.4 (https://asgi.readthedocs.io). ASGI 2, one call for the scope and one for the rest, is
answered too: servers take an object whose `__call__` is no coroutine function for that kind.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from werkzeug.exceptions import ClientDisconnected

from ..pipeline.conversation import converse
from .asgi_websocket import ASGIConnection
from .body import RequestBody, is_fetched_first
from .environ import asgi_environ, below_root, has_body
from .exchange import Exchange, serve_request
from .messages import Message, Receive, Send, encode_headers
from .mounted import mounted_http
from .mounted_websocket import mounted_websocket
from .wsgi import Environ, HeaderList


class ASGIExchange(Exchange):
    """A request that came over ASGI."""

    def __init__(self, app: Any, scope: Message, receive: Receive, send: Send) -> None:
        self.app = app
        self.method = scope["method"]
        self.path = below_root(scope["path"], scope.get("root_path", ""))
        self._scope = scope
        self._receive = receive
        self._send_message = send

    def _header(self, name: bytes) -> str | None:
        for key, value in self._scope["headers"]:
            if key == name:
                return str(value, "latin1")
        return None

    @property
    def host(self) -> str | None:
        """The `Host` header."""
        return self._header(b"host")

    def has_cookie(self) -> bool:
        """Tell whether the request has a `Cookie` header."""
        return self._header(b"cookie") is not None

    def _make_environ(self) -> Environ:
        return asgi_environ(self._scope)

    def look_for_body(self) -> bool:
        """Give the exchange its body if the request may have one; tell whether to wait for that before the view."""
        length = self._header(b"content-length")
        if not has_body(self.method, self._scope["http_version"], length, self._header(b"transfer-encoding")):
            return False
        self.body = RequestBody(self._next_chunk)
        return is_fetched_first(length or "", self._header(b"content-type") or "")

    async def _next_chunk(self) -> bytes:
        while not self._is_received:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                self.is_disconnected = True
                raise ClientDisconnected("The client went away before it had sent the whole body.")
            if not message.get("more_body", False):
                self._is_received = True
                self.note_whole_body()
            chunk: bytes = message.get("body", b"")
            if chunk:
                return chunk
        return b""

    _is_received = False

    async def _tell(self, message: Message) -> None:
        try:
            await self._send_message(message)
        except OSError:
            # ASGI spec, HTTP 2.4: the client is gone; servers of older versions raise nothing.
            self.is_disconnected = True

    async def _send(self, status: str, headers: HeaderList, body: bytes) -> None:
        await self._start(status, headers)
        if not self.is_disconnected:
            await self._tell({"type": "http.response.body", "body": body})

    async def _start(self, status: str, headers: HeaderList) -> None:
        code = int(status[:3])
        await self._tell({"type": "http.response.start", "status": code, "headers": encode_headers(headers)})

    async def begin(self, status: str, headers: HeaderList) -> Callable[[bytes], Awaitable[None]]:
        """Send status and headers, and return the function that sends a piece of the body."""
        await self._start(status, headers)

        async def push(piece: bytes) -> None:
            if not self.is_disconnected:
                await self._tell({"type": "http.response.body", "body": piece, "more_body": bool(piece)})

        return push

    async def wait_for_disconnect(self) -> None:
        """Return when the client has gone away."""
        while (await self._receive())["type"] != "http.disconnect":
            pass


async def serve_asgi(app: Any, scope: Message, receive: Receive, send: Send) -> None:
    """Serve one ASGI connection of *app*.

    :raises NotImplementedError: for a kind of connection that the ASGI specification does not know.
    """
    kind = scope["type"]
    if kind == "http":
        if app.mounts and await mounted_http(app, scope, receive, send):
            return
        await serve_request(ASGIExchange(app, scope, receive, send))
    elif kind == "websocket":
        if app.mounts and await mounted_websocket(app, scope, receive, send):
            return
        await converse(app, ASGIConnection(scope, receive, send))
    elif kind == "lifespan":
        from ..lifespan import serve_lifespan

        await serve_lifespan(app, receive, send)
    else:
        raise NotImplementedError(f"Quaff does not serve ASGI connections of the type {kind!r}.")
