"""Running coroutines from synchronous code: on the loop that serves the request, else on one long-lived loop of the process.

Flask (through asgiref) starts a new loop, and often a new thread, for each async view. One loop per process, in a daemon
thread of its own, lets async clients keep their connections and costs two thread hand-offs a call. The coroutine sees the
caller's context variables, and what it sets is seen by the caller afterwards. See `tests/_internal/test_async_bridge.py`.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Coroutine
from contextvars import Context, ContextVar, copy_context
from functools import update_wrapper
from inspect import isasyncgenfunction, iscoroutinefunction
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

P = ParamSpec("P")
R = TypeVar("R")


loop_of_request: ContextVar[AbstractEventLoop | None] = ContextVar("quaff.loop", default=None)
"""The loop that serves the current request, set for code that it hands to a worker thread; None under a WSGI server."""


BRIDGED: Final = "quaff-bridge"
"""The name of a task that a thread waits for: what runs in it is a part of what that thread does."""


def is_async(function: Callable[..., Any]) -> bool:
    """Tell whether *function* belongs on a loop: a coroutine function, or one that makes an async generator."""
    return iscoroutinefunction(function) or isasyncgenfunction(function)


class LoopThread:
    """A daemon thread that runs one event loop until the process ends."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: AbstractEventLoop | None = None
        self._process = 0

    def loop(self) -> AbstractEventLoop:
        """Return the running loop, starting it on first use and again in a forked child."""
        loop = self._loop
        if loop is not None and self._process == os.getpid() and loop.is_running():
            return loop
        with self._lock:
            if self._loop is None or self._process != os.getpid() or not self._loop.is_running():
                self._loop = self._start()
                self._process = os.getpid()
            return self._loop

    def _start(self) -> AbstractEventLoop:
        import asyncio

        # In no context: the loop would keep that of the request that happens to be the first, and its app, for ever.
        loop = Context().run(asyncio.new_event_loop)
        started = threading.Event()

        def run() -> None:
            asyncio.set_event_loop(loop)
            loop.call_soon(started.set)
            try:
                loop.run_forever()
            finally:
                loop.close()

        threading.Thread(target=run, name="quaff-async", daemon=True).start()
        started.wait()
        return loop


_shared = LoopThread()


def loop_of_async_code() -> AbstractEventLoop:
    """Return the loop for async functions that synchronous code calls: that of its request, else the process's own."""
    loop = loop_of_request.get()
    return _shared.loop() if loop is None or loop.is_closed() else loop


def copy_back(context: Context) -> None:
    """Let the caller see what code that ran in *context*, a copy of the caller's, set there."""
    for variable, value in context.items():
        try:
            if variable.get() is value:
                continue
        except LookupError:
            pass
        variable.set(value)


def run_coroutine(function: Callable[P, Coroutine[Any, Any, R]], *args: P.args, **kwargs: P.kwargs) -> R:
    """Call an async function and wait for its result.

    :raises RuntimeError: when called from the thread of the loop that it would run on, where it could never finish.
    """
    from asyncio import _get_running_loop

    loop = loop_of_async_code()
    if _get_running_loop() is loop:
        name = getattr(function, "__name__", repr(function))
        raise RuntimeError(
            f"{name}() is async and was called through a sync function that itself runs on the async loop. "
            "Await it directly instead."
        )
    # Called here: wrong arguments are the caller's error, and the loop would only log it.
    coroutine = function(*args, **kwargs)
    context = copy_context()
    done = threading.Event()
    results: list[R] = []
    errors: list[BaseException] = []

    async def run() -> None:
        try:
            results.append(await coroutine)
        except BaseException as error:
            errors.append(error)
        finally:
            done.set()

    # The task is kept in a list: the loop itself holds tasks weakly.
    tasks: list[Any] = []
    loop.call_soon_threadsafe(lambda: tasks.append(loop.create_task(run(), context=context, name=BRIDGED)))
    done.wait()
    copy_back(context)
    if not errors:
        return results[0]
    try:
        raise errors[0]
    finally:
        # An error holds this frame through its traceback; a frame that holds the error would make a cycle.
        errors.clear()


def as_sync(function: Callable[P, Coroutine[Any, Any, R]]) -> Callable[P, R]:
    """Return a sync function that runs async *function* on the shared loop and waits for it."""

    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        return run_coroutine(function, *args, **kwargs)

    return update_wrapper(call, function)
