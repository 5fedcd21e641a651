"""A WebSocket over ASGI: the connection as `websockets.py` wants it.

ASGI spec, WebSocket 2.4. Refusing with a response of one's own needs the extension `websocket.http.response`; without it a
server answers 403, whatever the app says.
"""

from __future__ import annotations

from typing import Any

from ..errors import WebSocketDisconnect
from ..websockets import Connection, HeaderList
from .environ import asgi_environ
from .messages import Message, Receive, Send, encode_headers


class ASGIConnection(Connection):
    """The server's side of one WebSocket."""

    def __init__(self, scope: Message, receive: Receive, send: Send) -> None:
        self.subprotocols: list[str] = list(scope.get("subprotocols", ()))
        self._scope = scope
        self._receive = receive
        self._send = send
        self._is_connected = False

    def environ(self) -> dict[str, Any]:
        """Return the WSGI environ of the handshake."""
        # COMPAT: what tells Werkzeug's map to look among the rules for WebSockets; servers may leave these headers out.
        return asgi_environ(self._scope) | {
            "REQUEST_METHOD": "GET",
            "HTTP_CONNECTION": "Upgrade",
            "HTTP_UPGRADE": "websocket",
            "wsgi.url_scheme": {"wss": "https", "https": "https"}.get(self._scope.get("scheme", "ws"), "http"),
        }

    async def _connect(self) -> None:
        if not self._is_connected:
            message = await self._receive()
            self._is_connected = True
            if message["type"] != "websocket.connect":
                raise WebSocketDisconnect(1006)

    async def accept(self, subprotocol: str | None, headers: HeaderList) -> None:
        """Complete the handshake."""
        await self._connect()
        pairs = encode_headers(headers)
        await self._deliver({"type": "websocket.accept", "subprotocol": subprotocol, "headers": pairs})

    async def refuse(self, status: str, headers: HeaderList, body: bytes) -> None:
        """Answer the handshake with an HTTP response, or with the server's 403 where it knows no other."""
        await self._connect()
        if "websocket.http.response" not in self._scope.get("extensions", {}):
            await self._deliver({"type": "websocket.close", "code": 1000})
            return
        start = {"type": "websocket.http.response.start", "status": int(status[:3]), "headers": encode_headers(headers)}
        await self._deliver(start)
        await self._deliver({"type": "websocket.http.response.body", "body": body})

    async def receive(self) -> str | bytes:
        """Return the next message; raise `WebSocketDisconnect` when there will be none."""
        message = await self._receive()
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", 1005), "")
        text: str | None = message.get("text")
        data: bytes = message.get("bytes") or b""
        return data if text is None else text

    async def send(self, data: str | bytes) -> None:
        """Send a message."""
        await self._deliver({"type": "websocket.send", "text" if isinstance(data, str) else "bytes": data})

    async def close(self, code: int, reason: str) -> None:
        """Close the connection."""
        await self._deliver({"type": "websocket.close", "code": code, "reason": reason})

    async def _deliver(self, message: Message) -> None:
        # Servers have an exception each for a client that is gone: ASGI asks for a subclass of OSError since 2.4, before
        # that uvicorn raised RuntimeError and hypercorn nothing at all.
        try:
            await self._send(message)
        except (OSError, RuntimeError) as error:
            raise WebSocketDisconnect(1006) from error
