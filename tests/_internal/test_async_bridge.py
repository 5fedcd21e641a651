"""Coroutines run from sync code on one long-lived loop, with the caller's context variables."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import ContextVar
from typing import Any

import pytest

from quaff._internal.async_bridge import LoopThread, as_sync, loop_of_async_code, loop_of_request, run_coroutine

variable: ContextVar[str] = ContextVar("variable")
other: ContextVar[str] = ContextVar("other")


async def add(a: int, b: int = 0) -> int:
    """Return a sum, after the loop has turned once."""
    await asyncio.sleep(0)
    return a + b


def in_thread(function: Callable[[], Any]) -> Any:
    """Return what *function* returns in a new thread, or fail if it takes longer than anything here should."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(function).result(timeout=20)


def test_returns_the_result() -> None:
    """Positional and keyword arguments go in, the result comes out."""
    assert run_coroutine(add, 1, b=2) == 3
    assert as_sync(add)(1, b=2) == 3


def test_keeps_the_functions_name() -> None:
    """The sync function looks like the async one: endpoints are named after it."""
    call = as_sync(add)
    assert (call.__name__, call.__doc__) == (add.__name__, add.__doc__)
    assert call.__wrapped__ is add  # type: ignore[attr-defined]


def test_all_calls_share_one_loop() -> None:
    """Clients that belong to a loop, such as connection pools, keep working from call to call and from thread to thread."""

    async def loop() -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()

    first = run_coroutine(loop)
    assert run_coroutine(loop) is first
    assert in_thread(lambda: run_coroutine(loop)) is first


def test_an_error_reaches_the_caller() -> None:
    """An exception is raised where the function was called, with the async frames in its traceback."""

    async def fail() -> None:
        await asyncio.sleep(0)
        raise LookupError("inside")

    with pytest.raises(LookupError, match="inside") as raised:
        run_coroutine(fail)
    assert "fail" in [entry.name for entry in raised.traceback]


def test_an_error_is_freed() -> None:
    """No cycle keeps an error and the frames that it holds alive until the garbage collector comes."""

    class Marker(Exception):
        pass

    async def fail() -> None:
        raise Marker

    gc.collect()
    gc.disable()
    try:
        try:
            run_coroutine(fail)
        except Marker as error:
            reference = weakref.ref(error)
        # The loop's thread lets go of its last task when it turns again.
        run_coroutine(add, 1)
        assert reference() is None
    finally:
        gc.enable()


def test_wrong_arguments_are_the_callers_error() -> None:
    """A call that does not fit the signature raises at once: once it waited forever for a task that was never made."""
    with pytest.raises(TypeError, match="argument"):
        in_thread(lambda: run_coroutine(add))  # type: ignore[call-arg]


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, asyncio.CancelledError])
def test_errors_that_end_loops_do_not_end_this_one(error: type[BaseException]) -> None:
    """`sys.exit()` in a view reaches the server, as from a sync view, and the loop lives on."""

    async def fail() -> None:
        raise error

    def call() -> type[BaseException]:
        try:
            run_coroutine(fail)
        except BaseException as caught:
            return type(caught)
        raise RuntimeError("nothing was raised")

    assert in_thread(call) is error
    assert run_coroutine(add, 1) == 1


def test_a_cancelled_task_says_so() -> None:
    """A coroutine that is cancelled from within raises `CancelledError` to the caller."""

    async def cancel_myself() -> None:
        task = asyncio.current_task()
        if task is not None:
            task.cancel()
        await asyncio.sleep(0)

    with pytest.raises(asyncio.CancelledError):
        run_coroutine(cancel_myself)


def test_the_coroutine_sees_the_callers_context() -> None:
    """`request`, `g` and every other context variable hold inside as they do outside."""

    async def read() -> str:
        await asyncio.sleep(0)
        return variable.get()

    token = variable.set("from the caller")
    try:
        assert run_coroutine(read) == "from the caller"
    finally:
        variable.reset(token)


@pytest.mark.parametrize("fails", [False, True])
def test_the_caller_sees_what_the_coroutine_set(fails: bool) -> None:
    """A variable that was set inside is set outside afterwards, also when the coroutine raised."""

    async def write() -> None:
        other.set("from inside")
        await asyncio.sleep(0)
        if fails:
            raise ValueError

    def call() -> str:
        with suppress(ValueError):
            run_coroutine(write)
        return other.get()

    assert in_thread(call) == "from inside"


def test_threads_do_not_see_each_other() -> None:
    """Calls that run at the same time on the one loop keep their variables apart."""
    both = threading.Barrier(4)

    async def read() -> str:
        await asyncio.sleep(0.01)
        return variable.get()

    def call(value: str) -> str:
        variable.set(value)
        both.wait(timeout=20)
        return run_coroutine(read)

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(call, "abcd")) == ["a", "b", "c", "d"]


def test_calls_run_at_the_same_time() -> None:
    """One call that waits does not hold up another: the first here ends only because the second runs."""
    event: list[asyncio.Event] = []

    async def wait() -> str:
        event.append(asyncio.Event())
        await asyncio.wait_for(event[0].wait(), timeout=20)
        return "woken"

    async def wake() -> None:
        while not event:  # noqa: ASYNC110 - the event is made by the other call
            await asyncio.sleep(0.001)
        event[0].set()

    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(run_coroutine, wait)
        run_coroutine(wake)
        assert waiting.result(timeout=20) == "woken"


def test_calling_from_the_loop_itself_is_an_error() -> None:
    """A sync helper that calls an async function from within async code would wait for itself; it is told so."""

    async def outer() -> int:
        return run_coroutine(add, 1)

    with pytest.raises(
        RuntimeError, match=r"add\(\) is async and was called through a sync function.*Await it directly"
    ):
        in_thread(lambda: run_coroutine(outer))


def test_the_loop_starts_once() -> None:
    """Threads that ask at the same moment get the same loop."""
    shared = LoopThread()
    both = threading.Barrier(8)

    def ask(_number: int) -> asyncio.AbstractEventLoop:
        both.wait(timeout=20)
        return shared.loop()

    with ThreadPoolExecutor(8) as pool:
        loops = set(pool.map(ask, range(8)))
    assert len(loops) == 1
    loop = loops.pop()
    loop.call_soon_threadsafe(loop.stop)


def test_a_stopped_loop_is_replaced() -> None:
    """Whoever stops the loop stops his own work only: the next call gets a new one."""
    shared = LoopThread()
    first = shared.loop()
    first.call_soon_threadsafe(first.stop)
    while first.is_running():
        threading.Event().wait(0.001)
    second = shared.loop()
    assert second is not first
    assert second.is_running()
    second.call_soon_threadsafe(second.stop)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_child_starts_its_own_loop() -> None:
    """A pre-forking server's child has no thread of its parent; its first call starts one."""
    assert run_coroutine(add, 1) == 1
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.write(writing, str(run_coroutine(add, 20, 22)).encode())
            code = 0
        finally:
            os._exit(code)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        assert pipe.read() == "42"
    assert os.waitpid(child, 0)[1] == 0
    assert run_coroutine(add, 2) == 2


def test_importing_costs_no_asyncio() -> None:
    """An app without async views never imports asyncio."""
    import subprocess

    code = "import sys, quaff._internal.async_bridge; sys.exit('asyncio' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_which_loop_async_code_runs_on() -> None:
    """The loop of the request where it has one that still lives, else the process's own, always the same."""
    shared = loop_of_async_code()
    assert shared.is_running()
    assert loop_of_async_code() is shared
    own = asyncio.new_event_loop()
    token = loop_of_request.set(own)
    try:
        assert loop_of_async_code() is own
        own.close()
        assert loop_of_async_code() is shared
    finally:
        loop_of_request.reset(token)


def test_the_loop_keeps_nothing_of_whom_it_was_started_for() -> None:
    """What the first caller's context holds, a request and its app, is let go of."""

    class Held:
        pass

    held = Held()
    variable: ContextVar[Held | None] = ContextVar("held")
    token = variable.set(held)
    loop = LoopThread().loop()
    variable.reset(token)
    gone = weakref.ref(held)
    del held, token
    gc.collect()
    assert gone() is None
    loop.call_soon_threadsafe(loop.stop)
