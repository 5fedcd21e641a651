"""The event loop of an async worker: a thread of its own, from the app's startup to its shutdown.

The main thread stays free for signals. The life of the loop is one coroutine: startup, requests until the order to stop,
the end of the requests, shutdown. `asyncio.Runner` around it then cancels what the app left running and closes the loop.
Read first: `tests/servers/test_loop.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
import threading
from collections.abc import Awaitable, Callable
from importlib import import_module
from typing import Any, Final, Protocol

logger: Final = logging.getLogger("quaff.serve")

GOODBYE: Final = 1.0
"""Seconds that the handlers of WebSockets get at most to close them, before Granian is told to stop and cuts the line."""

FOR_REQUESTS: Final = 0.9
"""Share of the time for stopping that requests get. Then they are cancelled, so that the rest is left for the shutdown."""


class Life(Protocol):
    """What is done before the first request and after the last."""

    async def startup(self) -> None:
        """Do what comes first. What it raises keeps the worker from serving."""

    async def shutdown(self) -> None:
        """Do what comes last."""


class RSGIApp(Life, Protocol):
    """An RSGI application, with its beginning and its end."""

    def __rsgi__(self, scope: Any, protocol: Any, /) -> Awaitable[object]:
        """Answer one request."""
        ...


def new_event_loop() -> asyncio.AbstractEventLoop:
    """Return a new event loop: uvloop's where that package is installed, else asyncio's."""
    try:
        # By name: uvloop is optional, and there is none for Windows.
        loop: asyncio.AbstractEventLoop = import_module("uvloop").new_event_loop()
    except ImportError:
        return asyncio.new_event_loop()
    return loop


class LoopThread:
    """An event loop in the thread `quaff-loop`, from the startup of an app to its shutdown.

    :param life: of the app.
    :param grace: seconds for stopping. When most of them are over, running requests are cancelled.
    :param ended: called when everything is over and the loop is closed, in the thread of the loop.
    """

    def __init__(self, life: Life, *, grace: float, ended: Callable[[], None]) -> None:
        self._life = life
        self._ended = ended
        self._started = threading.Event()
        self._failure: BaseException | None = None
        self._task: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()
        self._loop = new_event_loop()
        self.time_for_requests = grace * FOR_REQUESTS
        """Seconds that running requests get when the worker stops."""

    def start(self) -> asyncio.AbstractEventLoop:
        """Start the thread, wait until the app has started, and return the loop.

        What `startup` raises is raised here; the loop is closed then. Ctrl-C cancels it.
        """
        try:
            threading.Thread(target=self._run, name="quaff-loop", daemon=True).start()
            self._started.wait()
        except BaseException:
            self.call(self._give_up)
            raise
        if self._failure is None:
            return self._loop
        try:
            raise self._failure
        finally:
            # An error holds this frame through its traceback; a frame that holds the error would make a cycle.
            self._failure = None

    def stop(self) -> None:
        """Give the order to stop, and return at once; from any thread, also in a signal handler."""
        self.call(self._stopping.set)

    async def finish_requests(self) -> None:
        """Take no more requests, and return when there are none that run."""
        raise NotImplementedError

    def call(self, function: Callable[..., object], *args: object) -> None:
        """Have *function* called on the loop; from any thread."""
        # A loop that an app has broken may be closed already: then it is over anyway.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(function, *args)

    def _give_up(self) -> None:
        if self._task is None:
            # Its first step is due on this very loop.
            self._loop.call_soon(self._give_up)
        else:
            self._task.cancel()

    # The life of the loop ---------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
                runner.run(self._live())
        except BaseException as error:
            # Only sys.exit() or Ctrl-C in a task of the app gets here. asyncio lets them end the loop.
            if not self._started.is_set():
                self._failure = error
            else:
                logger.exception("A task of the app ended the event loop; the worker stopped.")
        finally:
            self._started.set()
            self._ended()

    async def _live(self) -> None:
        self._task = asyncio.current_task()
        try:
            await self._life.startup()
        except BaseException as error:
            self._failure = error
            return
        self._started.set()
        try:
            await self._stopping.wait()
        finally:
            self._stopping.set()
            await self.finish_requests()
            try:
                await self._life.shutdown()
            except Exception:
                logger.exception("The shutdown of the app failed.")


class ServingLoop(LoopThread):
    """An event loop on which Granian calls *app*.

    :param grace: seconds for stopping. When most of them are over, running requests are cancelled.
    :param halt: makes Granian stop. Called once, on the loop, when the worker is told to stop.
    :param ended: called when everything is over and the loop is closed, in the thread of the loop.
    """

    def __init__(self, app: RSGIApp, *, grace: float, halt: Callable[[], None], ended: Callable[[], None]) -> None:
        super().__init__(app, grace=grace, ended=ended)
        self._answer = app.__rsgi__
        self._halt = halt
        self._halted = asyncio.Event()
        self._goodbye = min(GOODBYE, grace / 4)

    def halted(self) -> None:
        """Take note that Granian has answered what it had taken and takes no more; from any thread."""
        self.call(self._halted.set)

    async def watch(self, watcher: Any) -> None:
        """Answer one request of Granian's, and tell its *watcher* how that went.

        Granian has such a function (`_future_watcher_wrapper`), to which a request that was cancelled in order to stop is
        an error with a traceback.
        """
        try:
            await self._answer(watcher.scope, watcher.proto)
        except BaseException as error:
            if isinstance(error, asyncio.CancelledError) and self._stopping.is_set():
                watcher.done()
            else:
                watcher.err(error)
        else:
            watcher.done()

    async def finish_requests(self) -> None:
        """Let Granian end what it has taken."""
        cut = self._loop.call_later(self.time_for_requests, self._cancel)
        # WebSockets do not end by themselves, and Granian does not wait for them: it cuts them off when it stops.
        if sockets := self._cancel(websockets_only=True):
            await asyncio.wait(sockets, timeout=self._goodbye)
        self._halt()
        await self._halted.wait()
        # Handlers may go on after the answer, to tidy up; and WebSockets may have come in the meantime.
        while running := self._running():
            self._cancel(websockets_only=True)
            await asyncio.wait(running)
        cut.cancel()

    def _running(self) -> dict[asyncio.Task[Any], Any]:
        """Return the task of each request that is being answered, with its watcher.

        PERF: nobody keeps a list while requests come and go; the loop has one, and is asked only when it is to stop.
        """
        code = ServingLoop.watch.__code__
        found = {}
        for task in asyncio.all_tasks(self._loop):
            coroutine = task.get_coro()
            if inspect.iscoroutine(coroutine) and coroutine.cr_code is code:
                found[task] = inspect.getcoroutinelocals(coroutine)["watcher"]
        return found

    def _cancel(self, *, websockets_only: bool = False) -> list[asyncio.Task[Any]]:
        """Cancel requests that are being answered, and return their tasks."""
        tasks = [
            task for task, watcher in self._running().items() if not websockets_only or watcher.scope.proto != "http"
        ]
        for task in tasks:
            task.cancel()
        return tasks
