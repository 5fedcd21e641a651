"""Synchronous code in worker threads: results, errors, context variables, cancellation, and how many threads there are."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import time
import weakref
from collections.abc import Callable, Coroutine
from contextvars import ContextVar
from typing import Any, cast

import pytest

from quaff._internal.async_bridge import as_sync
from quaff._internal.threads import WorkerThreads, _Job, _outcome, run_in_thread, worker_threads

variable: ContextVar[str] = ContextVar("variable", default="nothing")


def run(main: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    """Run *main* on a loop of its own; ends a test that hangs."""
    return asyncio.run(asyncio.wait_for(main(), 20))


async def until(condition: Callable[[], bool]) -> None:
    """Wait until *condition* holds, which no event tells."""
    while not condition():  # noqa: ASYNC110 - what is waited for happens in plain threads
        await asyncio.sleep(0.001)


def test_runs_elsewhere_and_returns_the_result() -> None:
    """Arguments go in, the result comes out, and the loop's thread is another one."""

    def add(a: int, *, b: int) -> tuple[int, int]:
        return a + b, threading.get_ident()

    async def main() -> None:
        result, thread = await run_in_thread(add, 1, b=2)
        assert result == 3
        assert thread != threading.get_ident()

    run(main)


def test_the_loop_goes_on_meanwhile() -> None:
    """While a thread waits, the loop serves others."""
    release = threading.Event()

    async def main() -> None:
        waiting = asyncio.create_task(run_in_thread(release.wait, 20))
        await asyncio.sleep(0)
        assert not waiting.done()
        release.set()
        assert await waiting is True

    run(main)


def test_an_error_is_raised_and_freed() -> None:
    """The exception is that of the function, StopIteration too, and no cycle keeps it alive."""

    class Marker(Exception):
        pass

    def fail(error: type[BaseException]) -> None:
        raise error

    async def main() -> weakref.ref[Marker]:
        with pytest.raises(RuntimeError, match="StopIteration"):
            await run_in_thread(fail, StopIteration)
        with pytest.raises(SystemExit):
            await run_in_thread(fail, SystemExit)
        gc.collect()
        gc.disable()
        try:
            await run_in_thread(fail, Marker)
        except Marker as error:
            return weakref.ref(error)
        raise AssertionError("nothing was raised")

    try:
        freed = run(main)
        deadline = time.monotonic() + 10
        # The worker thread lets go of its frame a moment after it woke the loop.
        while freed() is not None and time.monotonic() < deadline:
            time.sleep(0.01)
        assert freed() is None
    finally:
        gc.enable()


def test_context_variables_go_there_and_come_back() -> None:
    """The function sees what the request set, and the request sees what the function set."""

    def change() -> str:
        before = variable.get()
        variable.set("set in the thread")
        return before

    async def main() -> None:
        variable.set("set on the loop")
        assert await run_in_thread(change) == "set on the loop"
        assert variable.get() == "set in the thread"

    run(main)


def test_async_functions_come_back_to_the_same_loop() -> None:
    """What the thread calls through the bridge runs on the loop that handed it over, and the thread waits for it."""

    async def where() -> asyncio.AbstractEventLoop:
        await asyncio.sleep(0)
        return asyncio.get_running_loop()

    async def main() -> None:
        assert await run_in_thread(as_sync(where)) is asyncio.get_running_loop()

    run(main)


def test_a_cancelled_wait_ends_with_the_thread() -> None:
    """The code cannot be interrupted; whoever waits for it learns of the cancellation when it is done, and not before."""
    started, release = threading.Event(), threading.Event()
    done: list[bool] = []

    def work() -> None:
        started.set()
        done.append(release.wait(20))

    async def main() -> None:
        waiting = asyncio.create_task(run_in_thread(work))
        await until(started.is_set)
        waiting.cancel()
        await asyncio.sleep(0.01)
        waiting.cancel()
        await asyncio.sleep(0.01)
        assert not waiting.done()
        release.set()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert done == [True]

    run(main)


def test_threads_are_used_again() -> None:
    """One call after the other needs one thread, however soon the next one comes."""
    threads = WorkerThreads(limit=8)

    async def main() -> set[int]:
        found = set()
        for _ in range(500):
            job = _Job(asyncio.get_running_loop(), threading.get_ident, (), {})
            threads.submit(job)
            found.add(await _outcome(job))
        return found

    assert len(run(main)) == 1
    assert threads._threads == 1


def test_a_thread_is_free_before_its_caller_hears_of_the_result() -> None:
    """Or the next call, which may come at once, would start another thread."""
    threads = WorkerThreads(limit=8)
    heard: list[int] = []
    is_over = threading.Event()

    class Loop:
        def call_soon_threadsafe(self, function: object) -> None:
            heard.append(threads._idle)
            is_over.set()

    threads.submit(_Job(cast(asyncio.AbstractEventLoop, Loop()), threading.get_ident, (), {}))
    assert is_over.wait(20)
    assert heard == [1]


def test_there_are_no_more_threads_than_the_limit() -> None:
    """Calls beyond it wait for their turn, and all are made."""
    threads = WorkerThreads(limit=3)
    running: list[int] = []
    most: list[int] = []
    lock = threading.Lock()

    def work() -> None:
        with lock:
            running.append(1)
            most.append(len(running))
        time.sleep(0.002)
        with lock:
            running.pop()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        jobs = [_Job(loop, work, (), {}) for _ in range(60)]
        for job in jobs:
            threads.submit(job)
        await until(lambda: all(job.done for job in jobs))

    run(main)
    assert len(most) == 60
    assert max(most) == threads._threads == 3
    assert threads._backlog == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_a_forked_child_has_threads_of_its_own() -> None:
    """The parent's threads are not in the child; its calls are made all the same."""

    async def main() -> int:
        return await run_in_thread(lambda: 7)

    assert run(main) == 7
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = 0 if asyncio.run(main()) == 7 and worker_threads._threads == 1 else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_loop_that_is_gone_harms_no_thread() -> None:
    """A thread that finishes after its loop was closed goes on to the next call."""
    threads = WorkerThreads(limit=1)
    release = threading.Event()
    loop = asyncio.new_event_loop()
    threads.submit(_Job(loop, release.wait, (20,), {}))
    loop.close()
    release.set()

    async def main() -> None:
        job = _Job(asyncio.get_running_loop(), threading.get_ident, (), {})
        threads.submit(job)
        await until(lambda: job.done)

    run(main)
