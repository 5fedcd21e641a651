"""Running synchronous code in worker threads, for requests that are served on an event loop.

A view that waits for a database would stop every other request of the loop, so the loop hands it to a thread and goes on.
The code sees the context variables of its request, and what it sets is seen by the request afterwards. Async functions that
it calls through `app.ensure_sync` run on the loop that it came from (`async_bridge.py`).

`asyncio.to_thread` does the same through two futures with locks and callbacks; one hand-over here is a queue, one call on
the loop and nothing else. Read first: `tests/_internal/test_threads.py`.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from contextvars import Context, copy_context
from queue import SimpleQueue
from typing import Any, Final, ParamSpec, TypeVar

from .async_bridge import copy_back, loop_of_request

P = ParamSpec("P")
R = TypeVar("R")

DEFAULT_THREADS: Final = 40
"""How many threads there are at most, unless the server says otherwise."""


class _Job:
    """One call that is handed to a thread, and what came of it."""

    __slots__ = ("args", "context", "done", "error", "function", "kwargs", "loop", "result", "waiter")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> None:
        self.loop = loop
        self.function = function
        self.args = args
        self.kwargs = kwargs
        self.context: Context = copy_context()
        self.waiter: asyncio.Future[None] | None = None
        self.done = False
        self.result: Any = None
        self.error: BaseException | None = None

    def run(self) -> None:
        """Make the call; in a worker thread."""
        try:
            self.result = self.context.run(self._call)
        except BaseException as error:
            self.error = error
        # An error among them holds this job through its traceback; a job that holds the error would make a cycle.
        self.args, self.kwargs = (), {}

    def announce(self) -> None:
        """Have whoever waits woken; in the thread that made the call."""
        # A loop that was closed meanwhile has nobody who waits.
        with suppress(RuntimeError):
            self.loop.call_soon_threadsafe(self.finish)

    def _call(self) -> Any:
        token = loop_of_request.set(self.loop)
        try:
            return self.function(*self.args, **self.kwargs)
        finally:
            loop_of_request.reset(token)

    def finish(self) -> None:
        """Wake who waits; on the loop."""
        self.done = True
        waiter = self.waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)


class WorkerThreads:
    """Threads that take calls from one queue. They start when they are needed and stay.

    :param limit: how many there are at most.
    """

    def __init__(self, limit: int = DEFAULT_THREADS) -> None:
        self.limit = limit
        self._jobs: SimpleQueue[_Job] = SimpleQueue()
        self._lock = threading.Lock()
        self._threads = 0
        self._idle = 0
        self._backlog = 0
        self._process = os.getpid()

    def submit(self, job: _Job) -> None:
        """Let a thread run *job*."""
        if self._process != os.getpid():
            self._forget_threads()
        self._jobs.put(job)
        with self._lock:
            if self._idle > 0:
                # Each idle thread is counted on once.
                self._idle -= 1
                return
            if self._threads >= self.limit:
                self._backlog += 1
                return
            self._threads += 1
            number = self._threads
        threading.Thread(target=self._work, name=f"quaff-worker-{number}", daemon=True).start()

    def _forget_threads(self) -> None:
        """Start anew in a forked child, which has none of its parent's threads."""
        self._jobs = SimpleQueue()
        self._lock = threading.Lock()
        self._threads = self._idle = self._backlog = 0
        self._process = os.getpid()

    def _work(self) -> None:
        jobs, lock = self._jobs, self._lock
        while True:
            job = jobs.get()
            job.run()
            with lock:
                if self._backlog > 0:
                    # One that no thread was counted on for: this one takes it at once.
                    self._backlog -= 1
                else:
                    self._idle += 1
            # Not before: who hears of it may have the next call at once, for which there is this thread.
            job.announce()
            del job


worker_threads: Final = WorkerThreads()
"""The threads of this process. The server sets their `limit`."""


async def run_in_thread(function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
    """Call *function* in a worker thread and wait for its result without holding up the loop.

    When the waiting task is cancelled, the wait goes on until the thread is done, for the request that it works for must not
    end before it; then the cancellation is raised.
    """
    job = _Job(asyncio.get_running_loop(), function, args, kwargs)
    # As in `_Job.run`: what the call raises holds this frame.
    del args, kwargs
    worker_threads.submit(job)
    return await _outcome(job)  # type: ignore[no-any-return]


async def run_in_new_thread(function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
    """Do what `run_in_thread` does in a thread of its own: for code that runs as long as a client stays."""
    job = _Job(asyncio.get_running_loop(), function, args, kwargs)
    del args, kwargs

    def run() -> None:
        job.run()
        job.announce()

    threading.Thread(target=run, name=f"quaff-{getattr(function, '__name__', 'call')}", daemon=True).start()
    return await _outcome(job)  # type: ignore[no-any-return]


async def _outcome(job: _Job) -> Any:
    cancelled: asyncio.CancelledError | None = None
    while not job.done:
        job.waiter = job.loop.create_future()
        try:
            await job.waiter
        except asyncio.CancelledError as error:
            cancelled = error
    copy_back(job.context)
    try:
        if cancelled is not None:
            raise cancelled
        if job.error is not None:
            raise job.error
        return job.result
    finally:
        # An error holds this frame through its traceback; a frame that holds the error would make a cycle. The result may be
        # an error too: HTTP errors are responses.
        job.error = job.result = cancelled = None
