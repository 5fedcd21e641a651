"""What the connections of a worker share: the app, the clock, the limits, and the tasks that serve clients."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Coroutine, Mapping
from email.utils import formatdate
from typing import Any, Final, Protocol

from ..access import LogRequest
from ..settings import ServeSettings

PING_INTERVAL: Final = 20.0
"""Seconds without a word from the client of a WebSocket before it is pinged, unless `WEBSOCKET_PING_INTERVAL` says
otherwise. After as many more it counts as gone."""

_FAREWELL: Final = 1.0
"""Seconds that clients get at most to take the last bytes when everything is answered."""

logger: Final = logging.getLogger("quaff.serve")


def read_ping_interval(config: Mapping[str, Any]) -> float | None:
    """Return the seconds after which the silent client of a WebSocket is pinged; None for never.

    :raises ValueError: when the configuration says something else.
    """
    interval: Any = config.get("WEBSOCKET_PING_INTERVAL", PING_INTERVAL)
    is_number = isinstance(interval, (int, float)) and not isinstance(interval, bool)
    if interval is None or (is_number and interval > 0):
        return interval  # type: ignore[no-any-return]  # it was looked at
    raise ValueError(
        f"WEBSOCKET_PING_INTERVAL is {interval!r}. Set it to a number of seconds above 0, or None to ping nobody."
    )


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
        self.ping_interval = read_ping_interval(app.config)
        self.is_stopping = False
        self.now = 0
        """Seconds, by a clock that stands still while there are no connections."""

        self.date = b""
        """The `Date` header."""

        self.log = log
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

    def run(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None] | None:
        """Run *coroutine*, which serves a client; `finish` waits for it. Return its task, None when it is done already."""
        task = self._start(coroutine)
        if task is not None:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return task

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
