"""Starting and stopping Granian's WSGI and RSGI workers inside this process.

Granian's own servers start worker *processes* that import the app anew. That would run a script again for `app.run()`,
and it takes the replacing of workers out of our hands, so Quaff starts the worker itself. This module is the only one
that touches Granian's private names; `tests/servers/test_worker.py` notices when a new version changes them.
"""

from __future__ import annotations

import logging
import os
import socket
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

from .settings import ServeSettings
from .wsgi import Runner

if TYPE_CHECKING:
    from .loop import RSGIApp

_POLL: Final = 0.5
"""Seconds after which a wait looks up. The system may give a signal to one of Granian's threads, which does not wake the
main thread; and on Windows nothing interrupts a wait."""

_RETURN: Final = 1.0
"""Seconds at most for Granian's threads to come back from Python code when everything is answered."""

SETTLE: Final = 0.1
"""Seconds between turning connections away and stopping: those that were accepted before get their requests read."""


class Once:
    """Something that happens once, and can be waited for.

    `threading.Event` would do, but for signals: its lock cannot be taken twice, so a handler that looks at an event
    while the main thread waits for it may never return, and Ctrl-C in the wrong moment leaves the lock taken.
    """

    def __init__(self) -> None:
        self._happened = False
        self._gate = threading.Lock()
        self._gate.acquire()

    def happen(self) -> None:
        """Let it happen; for one call only."""
        self._happened = True
        self._gate.release()

    def has_happened(self) -> bool:
        """Tell whether it has."""
        return self._happened

    def wait(self, seconds: float | None) -> bool:
        """Wait for it, and tell whether it has happened.

        :param seconds: how long at most; None for as long as it takes.
        """
        if not self._happened and self._gate.acquire(timeout=-1 if seconds is None else seconds):
            self._gate.release()
        return self._happened


class RunningWorker:
    """A worker that serves in threads of its own until it is told to stop."""

    def __init__(self, order_stop: Callable[[], None], drained: Once, order_turn_away: Callable[[], None]) -> None:
        self._order_stop = order_stop
        self._drained = drained
        self._order_turn_away = order_turn_away
        self._stopping = False
        self.when_drained: Callable[[], None] | None = None
        """Called once by `wait` when everything is answered."""

    @property
    def drained(self) -> bool:
        """Whether it has stopped, and every request that it had begun is answered."""
        return self._drained.has_happened()

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until it has stopped, and tell whether it has. In the main thread, signals are handled meanwhile.

        :param seconds: how long to wait at most; None for as long as it takes.
        """
        if seconds is None:
            while not self._drained.wait(_POLL):
                pass
        elif not self._drained.wait(seconds):
            return False
        _let_threads_return()
        finish, self.when_drained = self.when_drained, None
        if finish is not None:
            finish()
        return True

    def turn_away(self) -> None:
        """Take no new connections, and go on with those that there are; the workers beside this one take the new ones.

        Call it a moment before `stop`, as `SETTLE` says.
        """
        if not self._stopping:
            self._order_turn_away()

    def stop(self, seconds: float | None = None) -> bool:
        """Take no more connections, let running requests finish, and tell whether all did. Signal handlers may call it.

        :param seconds: how long to wait for them; None for as long as they take. 0 only gives the order.
        """
        if not self._stopping:
            self._stopping = True
            # Granian takes the order once; a second one would block.
            self._order_stop()
        return self.wait(seconds)


def _turn_away(descriptor: int, family: socket.AddressFamily) -> None:
    """Let Granian take no new connections from the socket that is *descriptor*.

    When it stops, Granian closes connections whose request it has not read yet, overlooks ones that it has accepted that
    very instant, and goes on accepting as long as clients keep coming. On systems other than Linux this does nothing.
    """
    if sys.platform != "linux":
        return
    # The number of Granian's descriptor now stands for a socket to which nobody connects. The kernel still wakes
    # Granian for the real one, whose number it no longer has: accept() then finds nobody, which is no error.
    # It is of the same kind as the real one, for Granian may only now be looking at it for the first time.
    with socket.socket(socket.AF_INET if family == socket.AF_INET6 else family) as nobody:
        nobody.bind("" if family == socket.AF_UNIX else ("127.0.0.1", 0))
        nobody.listen(1)
        nobody.setblocking(False)
        os.dup2(nobody.fileno(), descriptor, inheritable=False)


def _let_threads_return() -> None:
    """Wait a moment until Granian's threads have left Python.

    The last of them says that the worker is drained, and goes on from there. If the interpreter ended in that moment it
    would unwind the thread, and Rust code answers that with an abort of the process.
    """
    end = time.monotonic() + _RETURN
    while time.monotonic() < end:
        threads = threading.enumerate()
        # A thread that Python did not start is known to it as a dummy, if at all.
        own = {thread.ident for thread in threads if not isinstance(thread, threading._DummyThread)}
        if sys._current_frames().keys() <= own:
            return
        time.sleep(0.002)


def start_worker(run: Runner, listener: socket.socket, settings: ServeSettings, *, number: int = 1) -> RunningWorker:
    """Serve *run* on *listener* from threads of this process, and return at once.

    :param listener: a listening socket. It stays open, and the caller's.
    :param number: of this worker among its siblings, for Granian's messages.
    """
    signal = _new_signal()
    drained = Once()
    signal.add_cb(drained.happen)
    # A WSGI worker has no event loop; its constructor only looks this one name up.
    loop = SimpleNamespace(call_soon=None)
    descriptor = _launch("WSGIWorker", run, loop, signal, listener, settings, number)
    return RunningWorker(signal.set, drained, partial(_turn_away, descriptor, listener.family))


def start_rsgi_worker(
    callback: RSGIApp, listener: socket.socket, settings: ServeSettings, *, number: int = 1
) -> RunningWorker:
    """Serve *callback* on *listener* from an event loop in a thread of its own, and return once the app has started.

    What the `startup` of *callback* raises is raised here, and nothing was accepted then. Its `shutdown` runs after the
    last request, before the worker counts as drained.

    :param listener: a listening socket. It stays open, and the caller's.
    :param number: of this worker among its siblings, for Granian's messages.
    """
    from .._internal.threads import worker_threads
    from .loop import ServingLoop

    # Views and hooks that are not async run in these, as many at once as over WSGI.
    worker_threads.limit = settings.threads
    signal = _new_signal()
    drained = Once()
    serving = ServingLoop(callback, grace=settings.graceful_timeout, halt=signal.set, ended=drained.happen)
    signal.add_cb(serving.halted)
    loop = serving.start()
    descriptor = _launch("RSGIWorker", serving.watch, loop, signal, listener, settings, number)
    return RunningWorker(serving.stop, drained, partial(_turn_away, descriptor, listener.family))


def _new_signal() -> Any:  # Any: Granian has no types
    from granian._granian import WorkerSignal

    return WorkerSignal()


def _launch(
    kind: str, answer: Any, loop: Any, signal: Any, listener: socket.socket, settings: ServeSettings, number: int
) -> int:
    """Let a worker of Granian's accept, and return its descriptor of the socket.

    :param kind: name of the worker's class.
    :param answer: what the worker calls for each request.
    """
    from granian import _futures, _granian

    # The stubs of Granian 2.8 are older than its code.
    native: Any = _granian
    futures: Any = _futures
    quieten_granian()
    # Granian closes the descriptor that it is given when it stops. Not `listener.dup()`: that makes the socket blocking
    # for a moment, for every process that shares it, and a worker that happens to accept then hangs.
    descriptor = os.dup(listener.fileno())
    listener.setblocking(False)
    holder = _hold(descriptor, listener, settings.backlog)
    is_async = kind == "RSGIWorker"
    worker = getattr(native, kind)(
        number,
        (None, holder),
        None,
        1,
        512,
        1 if is_async else settings.threads,
        30,
        settings.backpressure,
        settings.http_mode,
        _http1(settings),
        _http2(settings),
        # Whether WebSockets are let in; a WSGI worker has none, and no such argument.
        *([True] if is_async else []),
        None,
        *_tls(settings),
        (None, None),
    )
    serve = worker.serve_mtr_uds if holder.is_uds() else worker.serve_mtr
    serve(futures._new_cbscheduler(loop, answer, impl_asyncio=True), loop, signal)
    return descriptor


def quieten_granian() -> None:
    """Let Granian say what went wrong, and nothing else: Quaff says itself when it starts and stops."""
    logger = logging.getLogger("_granian")
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.WARNING)


def _hold(descriptor: int, listener: socket.socket, backlog: int) -> Any:  # Any: Granian has no types
    from granian._granian import SocketHolder

    make: Any = SocketHolder
    is_unix = hasattr(socket, "AF_UNIX") and listener.family == socket.AF_UNIX
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
        None,
        f"tls{settings.tls_minimum}",
        client_ca,
        [],
        client_ca is not None,
    )
