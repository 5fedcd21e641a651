"""Taking new connections from the listening socket, one after the other."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from functools import partial
from typing import TYPE_CHECKING, Final

from .connection import HTTPConnection

if TYPE_CHECKING:
    import ssl

    from .service import Service

_PAUSE: Final = 0.5
"""Seconds to wait when the system has no more room for connections."""

_LOOK_AGAIN: Final = 0.05
"""Seconds after which a full worker looks whether it has room again."""

_NO_ROOM: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})

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
        self._task: asyncio.Task[None] | None = service.loop.create_task(self._run())

    def stop(self) -> None:
        """Take no more connections; on the loop."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()

    async def _run(self) -> None:
        loop = self._service.loop
        while True:
            if self._service.count + len(self._connecting) >= self._limit:
                await asyncio.sleep(_LOOK_AGAIN)
                continue
            try:
                connection, _ = await loop.sock_accept(self._listener)
            except OSError as error:
                # The client was gone before it was its turn, or there are no descriptors left.
                if error.errno in _NO_ROOM:
                    logger.error("No new connections for a moment: %s", error.strerror)
                    await asyncio.sleep(_PAUSE)
                continue
            task = loop.create_task(self._connect(connection))
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
