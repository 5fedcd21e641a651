"""The app as an RSGI application: what Granian calls on its event loop for each request.

RSGI (https://github.com/emmett-framework/granian/blob/master/docs/spec/RSGI.md) passes scope and protocol as objects of
native code, whose attributes are made when they are read. So an async route that looks at neither headers nor body costs
a handful of such reads, and the WSGI environ is made only when the view asks for something that is in it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from time import perf_counter
from typing import Any

from werkzeug.exceptions import ClientDisconnected

from ..pipeline.conversation import converse
from .body import RequestBody, is_fetched_first
from .environ import has_body, rsgi_environ
from .exchange import Exchange, serve_request
from .life import AppLife
from .mounted_websocket import mounted_connection
from .rsgi_websocket import RSGIConnection
from .wsgi import Environ, HeaderList

Log = Callable[[Environ, int, float], None]


class RSGIExchange(Exchange):
    """A request that came over RSGI."""

    watches_while_reading = True

    # Any: Granian has no types for these.
    def __init__(self, app: Any, scope: Any, protocol: Any) -> None:
        self.app = app
        self.method = scope.method
        self.path = scope.path
        # PERF: each read of an attribute of the scope makes an object.
        self._headers = scope.headers
        self._scope = scope
        self._protocol = protocol

    status = 500
    """The status that was sent, for the log; 500 when nothing was."""

    @property
    def host(self) -> str | None:
        """The `Host` header; over HTTP/2 its place is the authority."""
        host: str | None = self._headers.get("host")
        return self._scope.authority if host is None else host

    def has_cookie(self) -> bool:
        """Tell whether the request has a `Cookie` header."""
        return "cookie" in self._headers

    def _make_environ(self) -> Environ:
        return rsgi_environ(self._scope)

    def look_for_body(self) -> bool:
        """Give the exchange its body if the request may have one; tell whether to wait for that before the view."""
        headers = self._headers
        length = headers.get("content-length")
        coding = headers.get("transfer-encoding")
        if length is None and coding is None and self.method == "GET":
            # PERF: what `has_body` says of nearly every request.
            return False
        if not has_body(self.method, self._scope.http_version, length, coding):
            return False
        self.body = RequestBody(self._chunks().__anext__)
        return is_fetched_first(length or "", headers.get("content-type", ""))

    async def _chunks(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._protocol:
                if chunk:
                    yield chunk
        except (OSError, RuntimeError) as error:
            self.is_disconnected = True
            raise ClientDisconnected("The client went away before it had sent the whole body.") from error
        while True:
            yield b""

    def _send(self, status: str, headers: HeaderList, body: bytes) -> None:
        self.status = code = int(status[:3])
        self._protocol.response_bytes(code, headers, body)

    async def begin(self, status: str, headers: HeaderList) -> Callable[[bytes], Awaitable[None]]:
        """Send status and headers, and return the function that sends a piece of the body."""
        self.status = code = int(status[:3])
        transport = self._protocol.response_stream(code, headers)

        async def push(piece: bytes) -> None:
            try:
                if piece:
                    await transport.send_bytes(piece)
            except RuntimeError:
                self.is_disconnected = True

        # The response ends when nobody holds the transport any more.
        return push

    async def wait_for_disconnect(self) -> None:
        """Return when the client has gone away."""
        await self._protocol.client_disconnect()


class RSGIApplication(AppLife):
    """What Granian calls.

    :param app: a Quaff app.
    :param log: called after each request with its environ, the status and the seconds that it took.
    """

    def __init__(self, app: Any, log: Log | None = None) -> None:
        super().__init__(app)
        self._log = log

    async def __rsgi__(self, scope: Any, protocol: Any) -> None:
        if scope.proto != "http":
            await self._converse(RSGIConnection(scope, protocol))
            return
        exchange = RSGIExchange(self._app, scope, protocol)
        if self._log is not None:
            await self._serve_and_log(exchange)
            return
        await serve_request(exchange)

    async def _converse(self, connection: RSGIConnection) -> None:
        # In a task of its own: who keeps an error, as some log handlers do, keeps its frames and those that they were called
        # from, and in the ones that called this are Granian's objects.
        try:
            await asyncio.get_running_loop().create_task(self._serve_websocket(connection))
        finally:
            connection.release()

    async def _serve_websocket(self, connection: RSGIConnection) -> None:
        app = self._app
        if not (app.mounts and await mounted_connection(app, connection)):
            await converse(app, connection)

    async def _serve_and_log(self, exchange: RSGIExchange) -> None:
        began = perf_counter()
        exchange.is_logged = True
        try:
            await serve_request(exchange)
        finally:
            if self._log is not None:
                self._log(exchange.logged_environ(), exchange.status, perf_counter() - began)


def build_rsgi(app: Any, log: Log | None = None) -> RSGIApplication:
    """Return the RSGI application for a Quaff app.

    :param log: called after each request with its environ, the status and the seconds that it took. Without it, no clock
        is read.
    """
    return RSGIApplication(app, log)
