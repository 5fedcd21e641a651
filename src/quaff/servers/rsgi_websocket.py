"""A WebSocket over RSGI: the connection as `websockets.py` wants it.

Granian 2.8 completes a handshake without a subprotocol or headers of the app's, and closes without a code: clients see 1005,
"no status received". An app that needs these runs under an ASGI server that has them, such as uvicorn.
"""

from __future__ import annotations

import logging
from typing import Any, Final

from ..errors import WebSocketDisconnect
from ..websockets import Connection, HeaderList
from .environ import rsgi_environ

_CLOSE: Final = 0
"""The kind of a message that ends the connection; the others are bytes and text."""

logger: Final = logging.getLogger("quaff.serve")


class RSGIConnection(Connection):
    """The server's side of one WebSocket."""

    # Any: Granian has no types for these.
    def __init__(self, scope: Any, protocol: Any) -> None:
        offered = scope.headers.get("sec-websocket-protocol") or ""
        self.subprotocols: list[str] = [name.strip() for name in offered.split(",") if name.strip()]
        self._scope: Any = scope
        self._protocol: Any = protocol
        self._transport: Any = None

    def environ(self) -> dict[str, Any]:
        """Return the WSGI environ of the handshake."""
        # COMPAT: what tells Werkzeug's map to look among the rules for WebSockets.
        return rsgi_environ(self._scope) | {
            "REQUEST_METHOD": "GET",
            "HTTP_CONNECTION": "Upgrade",
            "HTTP_UPGRADE": "websocket",
            "wsgi.url_scheme": {"wss": "https", "https": "https"}.get(self._scope.scheme, "http"),
        }

    async def accept(self, subprotocol: str | None, headers: HeaderList) -> None:
        """Complete the handshake."""
        if subprotocol is not None or headers:
            logger.warning(
                "Granian cannot send a subprotocol or headers with the handshake of a WebSocket: %s is not sent."
                " Serve this app with an ASGI server, such as uvicorn.",
                subprotocol or [name for name, _ in headers],
            )
        try:
            self._transport = await self._protocol.accept()
        except RuntimeError as error:
            raise WebSocketDisconnect(1006) from error

    async def refuse(self, status: str, headers: HeaderList, body: bytes) -> None:
        """Answer the handshake with the status of an HTTP response; Granian sends neither its headers nor its body."""
        self._protocol.close(int(status[:3]))

    async def receive(self) -> str | bytes:
        """Return the next message; raise `WebSocketDisconnect` when there will be none."""
        try:
            message = await self._transport.receive()
        except RuntimeError as error:
            raise WebSocketDisconnect(1006) from error
        if message.kind == _CLOSE:
            raise WebSocketDisconnect(1005)
        data: str | bytes = message.data
        return data

    async def send(self, data: str | bytes) -> None:
        """Send a message."""
        transport = self._transport
        try:
            await (transport.send_str(data) if isinstance(data, str) else transport.send_bytes(data))
        except RuntimeError as error:
            raise WebSocketDisconnect(1006) from error

    async def close(self, code: int, reason: str) -> None:
        """Close the connection. Granian sends neither the code nor the reason."""
        self._protocol.close()

    def release(self) -> None:
        """Let go of the connection: Granian ends it when nobody holds its objects, and a context may be held for long."""
        self._scope = self._protocol = self._transport = None
