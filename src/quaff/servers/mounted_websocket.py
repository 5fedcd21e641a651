"""WebSockets to mounted applications, under servers that have them: ASGI and RSGI."""

from __future__ import annotations

from typing import Any, Final

from ..errors import WebSocketDisconnect
from ..mounting import Mount
from ..pipeline.conversation import converse
from ..websockets import NORMAL, Connection, HeaderList
from .asgi_websocket import ASGIConnection
from .messages import Message, Receive, Send, decode_headers
from .mounted import http_scope, mount_of_scope, scope_below
from .wsgi import Environ

_WHY: Final = b"A WSGI application is mounted here, and WSGI has no WebSockets.\n"

_REFUSED: Final = ("400 BAD REQUEST", [("content-type", "text/plain"), ("content-length", str(len(_WHY)))], _WHY)
"""What a WebSocket below a WSGI application gets."""


async def mounted_websocket(app: Any, scope: Message, receive: Receive, send: Send) -> bool:
    """Serve a WebSocket over ASGI if its path is below a mounted application; tell whether it was."""
    found = mount_of_scope(app.current_table(), scope)
    if found is None:
        return False
    mount, corrected = found
    if mount.kind == "wsgi":
        await ASGIConnection(scope, receive, send).refuse(*_REFUSED)
    else:
        await mount.application(scope_below(corrected, mount), receive, send)
    return True


async def mounted_connection(app: Any, connection: Connection) -> bool:
    """Serve a WebSocket over another protocol if its path is below a mounted application; tell whether it was."""
    # Whether it is made anew each time, or always the same: this is the one that tells of the client.
    environ = connection.environ()
    mount = app.current_table().find_mount(environ)
    if mount is None:
        return False
    if mount.kind == "wsgi":
        await connection.refuse(*_REFUSED)
    elif mount.kind == "asgi":
        await _Conversation(mount, connection, environ).run()
    else:
        below = _Below(mount, connection, environ)
        if not await mounted_connection(mount.application, below):
            await converse(mount.application, below)
    return True


class _Below:
    """A connection as the app of a mount sees it."""

    def __init__(self, mount: Mount, connection: Connection, environ: Environ) -> None:
        self.subprotocols = connection.subprotocols
        self.accept = connection.accept
        self.refuse = connection.refuse
        self.receive = connection.receive
        self.send = connection.send
        self.close = connection.close
        self.send_now = connection.send_now
        self.limit = connection.limit
        self._environ = mount.environ_of(environ)

    def environ(self) -> Environ:
        return self._environ


class _Conversation:
    """A WebSocket as an ASGI application sees it."""

    def __init__(self, mount: Mount, connection: Connection, environ: Environ) -> None:
        scope = http_scope(environ, mount)
        del scope["method"]
        scheme = "wss" if scope["scheme"] == "https" else "ws"
        self._scope = scope | {"type": "websocket", "scheme": scheme, "subprotocols": connection.subprotocols}
        self._application = mount.application
        self._connection = connection
        self._is_announced = self._is_accepted = self._is_over = False
        self._code = 1006

    async def run(self) -> None:
        """Run the application, and end the connection if it does not."""
        try:
            await self._application(self._scope, self._receive, self._send)
        finally:
            if not self._is_over:
                await self._close(1011 if self._is_accepted else NORMAL, "")

    async def _receive(self) -> Message:
        if not self._is_announced:
            self._is_announced = True
            return {"type": "websocket.connect"}
        if not self._is_over:
            try:
                data = await self._connection.receive()
            except WebSocketDisconnect as gone:
                self._is_over = True
                self._code = gone.close_code
            else:
                return {"type": "websocket.receive", "text" if isinstance(data, str) else "bytes": data}
        return {"type": "websocket.disconnect", "code": self._code, "reason": ""}

    async def _send(self, message: Message) -> None:
        kind = message["type"]
        if kind == "websocket.accept" and not self._is_accepted:
            headers: HeaderList = decode_headers(message.get("headers", ()))
            await self._connection.accept(message.get("subprotocol"), headers)
            self._is_accepted = True
        elif kind == "websocket.send" and self._is_accepted:
            text: str | None = message.get("text")
            await self._connection.send(message.get("bytes") or b"" if text is None else text)
        elif kind == "websocket.close":
            await self._close(message.get("code", NORMAL), message.get("reason") or "")
        else:
            raise RuntimeError(f"{self._application!r} sent {kind!r}, which has no place at this point of a WebSocket.")

    async def _close(self, code: int, reason: str) -> None:
        self._is_over = True
        self._code = code
        if self._is_accepted:
            await self._connection.close(code, reason)
        else:
            # ASGI spec: to close before accepting is to refuse with 403.
            await self._connection.refuse("403 FORBIDDEN", [("content-length", "0")], b"")
