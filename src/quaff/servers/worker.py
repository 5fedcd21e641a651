"""Starting and stopping Granian's WSGI worker inside this process.

Granian's own servers start worker *processes* that import the app anew. That would run a script again for `app.run()`,
and it takes the replacing of workers out of our hands, so Quaff starts the worker itself. This module is the only one
that touches Granian's private names; `tests/servers/test_worker.py` notices when a new version changes them.
"""

from __future__ import annotations

import logging
import socket
import sys
import threading
from types import SimpleNamespace
from typing import Any, Final

from .settings import ServeSettings
from .wsgi import Runner

_POLL: Final = 0.5 if sys.platform == "win32" else None
# On Windows a wait without a limit cannot be interrupted by Ctrl-C.


class RunningWorker:
    """A worker that serves in threads of its own until it is told to stop."""

    def __init__(self, signal: Any, drained: threading.Event) -> None:  # Any: Granian has no types
        self._signal = signal
        self._drained = drained
        self._stopping = False

    @property
    def drained(self) -> bool:
        """Whether it has stopped, and every request that it had begun is answered."""
        return self._drained.is_set()

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until it has stopped, and tell whether it has. In the main thread, signals are handled meanwhile.

        :param seconds: how long to wait at most; None for as long as it takes.
        """
        if seconds is None and _POLL is not None:
            while not self._drained.wait(_POLL):
                pass
        return self._drained.wait(seconds)

    def stop(self, seconds: float | None = None) -> bool:
        """Take no more connections, let running requests finish, and tell whether all did.

        :param seconds: how long to wait for them; None for as long as they take. 0 only gives the order.
        """
        if not self._stopping:
            self._stopping = True
            # Granian takes the order once; a second one would block.
            self._signal.set()
        return self.wait(seconds)


def start_worker(run: Runner, listener: socket.socket, settings: ServeSettings, *, number: int = 1) -> RunningWorker:
    """Serve *run* on *listener* from threads of this process, and return at once.

    :param listener: a listening socket. It stays open, and the caller's.
    :param number: of this worker among its siblings, for Granian's messages.
    """
    from granian import _futures, _granian

    # The stubs of Granian 2.8 are older than its code.
    native: Any = _granian
    futures: Any = _futures
    quieten_granian()
    signal = native.WorkerSignal()
    drained = threading.Event()
    signal.add_cb(drained.set)
    holder = _hold(listener, settings.backlog)
    worker = native.WSGIWorker(
        number,
        (None, holder),
        None,
        1,
        512,
        settings.threads,
        30,
        settings.backpressure,
        settings.http_mode,
        _http1(settings),
        _http2(settings),
        None,
        *_tls(settings),
        (None, None),
    )
    # A WSGI worker has no event loop; its constructor only looks this one name up.
    loop = SimpleNamespace(call_soon=None)
    serve = worker.serve_mtr_uds if holder.is_uds() else worker.serve_mtr
    serve(futures._new_cbscheduler(loop, run, impl_asyncio=True), loop, signal)
    return RunningWorker(signal, drained)


def quieten_granian() -> None:
    """Let Granian say what went wrong, and nothing else: Quaff says itself when it starts and stops."""
    logger = logging.getLogger("_granian")
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.WARNING)


def _hold(listener: socket.socket, backlog: int) -> Any:  # Any: Granian has no types
    from granian._granian import SocketHolder

    make: Any = SocketHolder
    is_unix = hasattr(socket, "AF_UNIX") and listener.family == socket.AF_UNIX
    # Granian closes the descriptor that it is given when it stops.
    descriptor = listener.dup().detach()
    if sys.platform == "win32":
        return make(descriptor)
    if sys.platform.startswith(("linux", "freebsd")):
        return make(descriptor, is_unix, backlog)
    return make(descriptor, is_unix)


def _http1(settings: ServeSettings) -> Any:  # Any: Granian has no types
    from granian.http import HTTP1Settings

    return HTTP1Settings(
        header_read_timeout=int(settings.header_seconds * 1000),
        keep_alive=True,
        max_buffer_size=settings.header_limit,
        pipeline_flush=False,
    )


def _http2(settings: ServeSettings) -> Any:  # Any: Granian has no types
    from granian.http import HTTP2Settings

    return HTTP2Settings(max_concurrent_streams=100, max_headers_size=settings.header_limit)


def _tls(settings: ServeSettings) -> tuple[Any, ...]:  # Any: eight arguments of eight types
    client_ca = str(settings.client_ca) if settings.client_ca else None
    return (
        settings.uses_tls,
        str(settings.certificate) if settings.certificate else None,
        str(settings.key) if settings.key else None,
        settings.key_password,
        f"tls{settings.tls_minimum}",
        client_ca,
        [],
        client_ca is not None,
    )
