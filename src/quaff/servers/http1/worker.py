"""Starting and stopping the server inside this process, on an event loop in a thread of its own."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from typing import Any

from ..access import LogRequest
from ..life import AppLife
from ..loop import LoopThread
from ..settings import ServeSettings
from ..tls import server_context
from ..worker import Once, RunningWorker
from .acceptor import Acceptor
from .service import Service, read_ping_interval


class HTTP1Loop(LoopThread):
    """An event loop that serves *app*, in a thread of its own.

    :param ended: called when everything is over and the loop is closed, in the thread of the loop.
    """

    def __init__(self, app: Any, settings: ServeSettings, *, log: LogRequest | None, ended: Callable[[], None]) -> None:
        # First, for an error must reach whoever starts the server.
        self._tls: ssl.SSLContext | None = server_context(settings) if settings.uses_tls else None
        read_ping_interval(app.config)
        super().__init__(AppLife(app), grace=settings.graceful_timeout, ended=ended)
        self._served = app
        self._settings = settings
        self._log = log
        self._service: Service | None = None
        self._acceptor: Acceptor | None = None

    def accept_from(self, listener: socket.socket) -> None:
        """Begin to take connections from *listener*; from any thread, once the app has started."""
        self.call(self._accept_from, listener)

    def _accept_from(self, listener: socket.socket) -> None:
        service = self._service = Service(self._served, self._settings, self._log)
        limit = self._settings.backpressure
        self._acceptor = Acceptor(service, listener, limit=limit, tls=self._tls)

    def turn_away(self) -> None:
        """Take no more connections, and go on with those that there are; from any thread."""
        self.call(self._stop_accepting)

    def _stop_accepting(self) -> None:
        if self._acceptor is not None:
            self._acceptor.stop()

    async def finish_requests(self) -> None:
        """Let what is under way end."""
        self._stop_accepting()
        if self._service is not None:
            await self._service.finish(self.time_for_requests)


def start_http1_worker(
    app: Any, listener: socket.socket, settings: ServeSettings, *, log: LogRequest | None = None
) -> RunningWorker:
    """Serve *app* on *listener* from an event loop in a thread of its own, and return once the app has started.

    What its startup raises is raised here, and nothing was accepted then.

    :param listener: a listening socket. It stays open, and the caller's.
    :param log: called after each request with its environ, the status and the seconds that it took.
    """
    from ..._internal.threads import worker_threads

    worker_threads.limit = settings.threads
    drained = Once()
    serving = HTTP1Loop(app, settings, log=log, ended=drained.happen)
    serving.start()
    listener.setblocking(False)
    serving.accept_from(listener)
    return RunningWorker(serving.stop, drained, serving.turn_away)
