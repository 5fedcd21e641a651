"""What the connections of a worker share: the app, the clock, the limits, and the way to serve a request."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Coroutine
from email.utils import formatdate
from time import perf_counter
from typing import Any, Final, Protocol

from ...pipeline.conversation import converse
from ..access import LogRequest
from ..exchange import serve_request
from ..mounted_websocket import mounted_connection
from ..settings import ServeSettings
from .connection import HTTPConnection
from .exchange import HTTP1Exchange
from .head import plain_response
from .websocket import WebSocketConnection

PING_INTERVAL: Final = 20.0
"""Seconds without a word from the client of a WebSocket before it is pinged, unless `WEBSOCKET_PING_INTERVAL` says
otherwise. After as many more it counts as gone."""

_FAREWELL: Final = 1.0
"""Seconds that clients get at most to take the last bytes when everything is answered."""

logger: Final = logging.getLogger("quaff.serve")


class _Kept(Protocol):
    """A connection of either kind."""

    def look_after(self, now: int) -> None:
        """Do what is due."""

    def stop(self) -> None:
        """Take note that the server stops."""

    def abort(self) -> None:
        """End it at once."""


class Service:
    """Serves *app* on the running event loop.

    :param log: called after each request with its environ, the status and the seconds that it took.
    """

    def __init__(self, app: Any, settings: ServeSettings, log: LogRequest | None = None) -> None:
        self.app = app
        self.loop = asyncio.get_running_loop()
        self.scheme = "https" if settings.uses_tls else "http"
        self.header_limit = settings.header_limit
        self.header_seconds = settings.header_seconds
        self.ping_interval: float | None = app.config.get("WEBSOCKET_PING_INTERVAL", PING_INTERVAL)
        self.is_stopping = False
        self.now = 0
        """Seconds, by a clock that stands still while there are no connections."""

        self.date = b""
        """The `Date` header."""

        self._log = log
        self._connections: set[_Kept] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._empty = asyncio.Event()

    # Connections ----------------------------------------------------------------------------------------------------------

    @property
    def count(self) -> int:
        """How many clients are connected."""
        return len(self._connections)

    def remember(self, connection: _Kept) -> None:
        """Look after *connection* from now on."""
        self._connections.add(connection)
        self._empty.clear()
        if self._timer is None:
            self._look_after_all()

    def forget(self, connection: _Kept) -> None:
        """Look no longer after *connection*."""
        self._connections.discard(connection)
        if not self._connections:
            self._empty.set()

    def _look_after_all(self) -> None:
        self.now += 1
        self.date = f"Date: {formatdate(usegmt=True)}\r\n".encode()
        for connection in list(self._connections):
            connection.look_after(self.now)
        self._timer = self.loop.call_later(1, self._look_after_all) if self._connections else None

    # Serving --------------------------------------------------------------------------------------------------------------

    if sys.version_info >= (3, 12):

        def _start(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None] | None:
            # PERF: what waits for nothing is done when this returns, without a turn of the loop.
            task = asyncio.Task(coroutine, loop=self.loop, eager_start=True)
            return None if task.done() else task
    else:

        def _start(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None] | None:
            return self.loop.create_task(coroutine)

    def _run(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None] | None:
        task = self._start(coroutine)
        if task is not None:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return task

    def serve(self, connection: HTTPConnection, exchange: HTTP1Exchange) -> None:
        """Answer *exchange*, and tell *connection* when that is done."""
        self._run(self._serve(connection, exchange))

    async def _serve(self, connection: HTTPConnection, exchange: HTTP1Exchange) -> None:
        began = 0.0 if self._log is None else perf_counter()
        try:
            await serve_request(exchange)
        except asyncio.CancelledError:
            if not self.is_stopping:
                raise
        except Exception:
            logger.exception("A request was not answered")
        finally:
            if not exchange.has_begun and not exchange.is_disconnected:
                self._excuse(connection, exchange)
            connection.finish(exchange)
            if self._log is not None:
                self._log(exchange.environ(), exchange.status, perf_counter() - began)

    def _excuse(self, connection: HTTPConnection, exchange: HTTP1Exchange) -> None:
        status = "503 Service Unavailable" if self.is_stopping else "500 Internal Server Error"
        exchange.status = int(status[:3])
        connection.write(plain_response(status, self.date, "The request could not be answered.\n"))

    def converse(self, websocket: WebSocketConnection, handshake: HTTP1Exchange) -> None:
        """Run the handler of *websocket*."""
        websocket.task = self._run(self._converse(websocket, handshake))

    async def _converse(self, websocket: WebSocketConnection, handshake: HTTP1Exchange) -> None:
        app = self.app
        try:
            if not (app.mounts and await mounted_connection(app, websocket)):
                await converse(app, websocket)
        except asyncio.CancelledError:
            if not self.is_stopping:
                raise
        except Exception:
            logger.exception("A WebSocket ended with an error")
        finally:
            websocket.finish()
            websocket.task = None
            if self._log is not None:
                self._log(handshake.environ(), handshake.status, 0.0)

    def note_refusal(self, connection: HTTPConnection, status: str, words: str) -> None:
        """Log that a request was refused before the app saw it."""
        logger.warning("%s from %s: %s", status, connection.client_address() or "a client", words)

    # Stopping -------------------------------------------------------------------------------------------------------------

    async def finish(self, seconds: float) -> None:
        """Let what is under way end, and return when it has.

        :param seconds: how long requests may take; then they are cancelled.
        """
        self.is_stopping = True
        for connection in list(self._connections):
            connection.stop()
        cut = self.loop.call_later(seconds, self._cancel)
        while self._tasks:
            await asyncio.wait(self._tasks)
        cut.cancel()
        if self._connections:
            await self._let_go()
        if self._timer is not None:
            self._timer.cancel()

    def _cancel(self) -> None:
        for task in self._tasks:
            task.cancel()

    async def _let_go(self) -> None:
        try:
            async with asyncio.timeout(_FAREWELL):
                await self._empty.wait()
        except TimeoutError:
            for connection in list(self._connections):
                connection.abort()
            # asyncio tells the connections one turn later, for which the loop must still be there.
            await self._empty.wait()
