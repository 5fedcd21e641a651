"""Taking new connections from the listening socket, one after the other."""

from __future__ import annotations

import asyncio
import logging
import socket
from functools import partial
from typing import TYPE_CHECKING, Final

from .connection import HTTPConnection

if TYPE_CHECKING:
    import ssl

    from .service import Service

_PAUSE: Final = 0.5
"""Seconds to wait when the system gives no connection."""

_LOOK_AGAIN: Final = 0.05
"""Seconds after which a full worker looks whether it has room again."""

logger: Final = logging.getLogger("quaff.serve")


class Acceptor:
    """Gives *service* the clients that connect to *listener*; several workers may share that.

    :param limit: how many connections the worker holds at once. The others wait in the kernel, or go to another worker.
    :param tls: the TLS context; None without TLS.
    """

    def __init__(self, service: Service, listener: socket.socket, *, limit: int, tls: ssl.SSLContext | None) -> None:
        self._service = service
        self._listener = listener
        self._limit = limit
        self._tls = tls
        self._connecting: set[asyncio.Task[None]] = set()
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._is_stopped = False
        self._go_on()

    def stop(self) -> None:
        """Take no more connections; on the loop. What was taken is served. Stopping twice does nothing."""
        if self._is_stopped:
            return
        self._is_stopped = True
        if self._timer is not None:
            self._timer.cancel()
        elif self._task is not None:
            self._task.cancel()
        else:
            self._service.loop.remove_reader(self._listener)

    def _go_on(self) -> None:
        self._timer = None
        try:
            self._service.loop.add_reader(self._listener, self._accept)
        except NotImplementedError:
            # Windows' loop tells nobody that a client waits.
            self._task = self._service.loop.create_task(self._accept_one())

    def _pause(self, seconds: float) -> None:
        if self._task is None:
            self._service.loop.remove_reader(self._listener)
        self._task = None
        self._timer = self._service.loop.call_later(seconds, self._go_on)

    async def _accept_one(self) -> None:
        try:
            connection, _ = await self._service.loop.sock_accept(self._listener)
        except OSError:
            self._pause(_PAUSE)
        else:
            self._take(connection)
            self._pause(_LOOK_AGAIN if self._is_full else 0)

    @property
    def _is_full(self) -> bool:
        return self._service.count + len(self._connecting) >= self._limit

    def _accept(self) -> None:
        """Take one client; other workers may be waiting for the next."""
        if self._is_full:
            self._pause(_LOOK_AGAIN)
            return
        try:
            connection, _ = self._listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            # Another worker was faster, or the client was gone before it was its turn.
            return
        except OSError as error:
            # Usually there are no descriptors left.
            logger.error("No new connections for a moment: %s", error.strerror)
            self._pause(_PAUSE)
            return
        self._take(connection)

    def _take(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        task = self._service.loop.create_task(self._connect(connection))
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    async def _connect(self, connection: socket.socket) -> None:
        service = self._service
        make = partial(HTTPConnection, service)
        try:
            if self._tls is None:
                await service.loop.connect_accepted_socket(make, connection)
            else:
                await service.loop.connect_accepted_socket(
                    make, connection, ssl=self._tls, ssl_handshake_timeout=service.header_seconds
                )
        except OSError:
            # What is no TLS, or no client any more. asyncio has closed the transport.
            connection.close()
