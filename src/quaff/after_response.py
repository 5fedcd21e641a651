"""What is left to do after a response: the calls that `app.after_response` noted, in background threads.

A few threads serve the whole process. They start when they are needed, and a worker that stops waits for them a while
(`drain_after_response`). See `tests/test_after_response.py`.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from contextvars import copy_context
from functools import partial
from inspect import isawaitable, iscoroutinefunction
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Final

from ._internal.async_bridge import loop_of_request, run_coroutine
from .globals import NO_CONTEXT, current_context

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

THREADS: Final = 16
"""How many calls after responses run at once."""

BACKLOG: Final = 10_000
"""How many more of them may wait. SECURITY: without a limit, requests that come faster than these calls fill the memory."""

_NO_REQUEST: Any = NO_CONTEXT


async def _finish(result: Awaitable[Any]) -> Any:
    return await result


def call_here(function: Callable[..., Any], *args: Any) -> Any:
    """Call a sync function in this thread, an async one on the long-lived loop."""
    if iscoroutinefunction(function):
        return run_coroutine(function, *args)
    result = function(*args)
    return run_coroutine(_finish, result) if isawaitable(result) else result


def name_of(function: Any) -> str:
    """Return the name of a function for a message, with its module; of a partial, that of what it calls."""
    while isinstance(function, (partial, CallAfterResponse)):
        function = function.func
    name = getattr(function, "__qualname__", None)
    return repr(function) if name is None else f"{getattr(function, '__module__', None)}.{name}"


def _running_loop() -> AbstractEventLoop | None:
    # PERF: who has not imported asyncio runs no loop.
    asyncio = sys.modules.get("asyncio")
    return None if asyncio is None else asyncio._get_running_loop()


class CallAfterResponse:
    """A call for later: in an app context, with the context variables that are set now, outside of the request."""

    def __init__(self, app: Any, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if not callable(function):
            raise TypeError(
                f"after_response takes a function and its arguments, not {function!r}."
                " Write app.after_response(function, argument), which calls it later, without calling it yourself."
            )
        self.func = partial(function, *args, **kwargs)
        self._app = app
        self._context = copy_context()
        # The request will be over; and this call, which belongs to it, should not keep it alive.
        self._context.run(current_context.set, _NO_REQUEST)
        loop = _running_loop()
        if loop is not None:
            # What async code has opened belongs to this loop.
            self._context.run(loop_of_request.set, loop)

    def __call__(self) -> None:
        """Make the call."""
        self._context.run(self._call)

    def _call(self) -> None:
        with self._app.app_context():
            call_here(self.func)


class BackgroundThreads:
    """A few daemon threads that make calls in the order in which they come. They start when they are needed and stay."""

    def __init__(self, threads: int = THREADS, backlog: int = BACKLOG) -> None:
        self._limit = threads
        self._room = threads + backlog
        self.begin_anew()

    def begin_anew(self) -> None:
        """Forget calls and threads, as a forked child must, which has none of its parent's threads."""
        self._changed = threading.Condition()
        self._calls: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._unfinished = 0
        self._threads = 0

    def submit(self, call: Callable[[], None]) -> bool:
        """Let a thread make *call*, which raises nothing; tell whether there was room for it."""
        with self._changed:
            if self._unfinished >= self._room or not self._has_thread():
                return False
            self._unfinished += 1
            self._calls.put(call)
        return True

    def _has_thread(self) -> bool:
        """Start a thread if none is free and one more is allowed; tell whether there is any. The lock is held."""
        if self._threads <= self._unfinished and self._threads < self._limit:
            # The system may have no more threads, or the interpreter may be about to end.
            with suppress(RuntimeError):
                threading.Thread(target=self._work, name=f"quaff-after-{self._threads + 1}", daemon=True).start()
                self._threads += 1
        return self._threads > 0

    def _work(self) -> None:
        while True:
            self._calls.get()()
            with self._changed:
                self._unfinished -= 1
                if not self._unfinished:
                    self._changed.notify_all()

    def drain(self, timeout: float | None) -> bool:
        """Wait until every call was made, those that come meanwhile included; tell whether all were."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._unfinished, timeout)


_background: Final = BackgroundThreads()


def run_after_response(app: Any, calls: Iterable[Callable[[], Any]]) -> None:
    """Make *calls*, a context's `after_response_calls`, in background threads, and return at once. Errors are logged.

    When too many wait already, a worker thread makes them itself, so that it takes new requests no faster than their work is
    done. On an event loop, which must not wait, they are logged as lost.
    """
    for call in calls:
        if _background.submit(partial(_make_call, app, call)):
            continue
        if _running_loop() is None:
            _make_call(app, call)
        else:
            app.logger.error(
                "%s was not called after the response: %s such calls are waiting already."
                " Let a task queue do work that takes longer than the requests that ask for it.",
                name_of(call),
                BACKLOG,
            )


def _make_call(app: Any, call: Callable[[], Any]) -> None:
    try:
        call()
    except BaseException as error:
        # Also sys.exit(), or a log that fails: the thread goes on, for others need it.
        with suppress(Exception):
            app.logger.error("%s failed after the response.", name_of(call), exc_info=error)


def drain_after_response(timeout: float | None = None) -> bool:
    """Wait until all calls after responses were made, those that come meanwhile included; tell whether all were.

    It blocks, for *timeout* seconds or as long as it takes. An async call may need the loop that it came from, so on a loop,
    let a thread wait.
    """
    return _background.drain(timeout)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_background.begin_anew)
