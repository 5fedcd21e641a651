"""What runs after a response: where, with what, in how many threads, and what becomes of errors."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import subprocess
import sys
import textwrap
import threading
import weakref
from collections.abc import Callable, Coroutine
from contextvars import ContextVar
from functools import partial
from typing import Any

import pytest

from quaff import Quaff, current_app, has_app_context, has_request_context
from quaff import after_response as module
from quaff._internal.async_bridge import run_coroutine
from quaff.after_response import (
    BackgroundThreads,
    CallAfterResponse,
    call_here,
    drain_after_response,
    name_of,
    run_after_response,
)

PATIENCE = 30.0

variable: ContextVar[str] = ContextVar("variable", default="")


@pytest.fixture
def app() -> Quaff:
    """Give an app with nothing registered."""
    return Quaff("after_response_app")


def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine on a loop of its own, as a server would."""
    return asyncio.run(asyncio.wait_for(coroutine, PATIENCE))


def hand_over(app: Quaff, function: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
    """Do what a request does that registers a call, and what its server does in the end."""
    with app.test_request_context() as context:
        app.after_response(function, *args, **kwargs)
    assert context.after_response_calls is not None
    run_after_response(app, context.after_response_calls)


def test_a_call_after_a_response(app: Quaff) -> None:
    """It runs in a daemon thread, in an app context, outside of the request, with the variables that it left."""
    seen: list[Any] = []
    app.teardown_appcontext(lambda error: seen.append(error))

    def call(a: int, *, b: int) -> None:
        seen.append(
            (a, b, current_app == app, has_request_context(), variable.get(), threading.current_thread().daemon)
        )
        variable.set("of the call")

    token = variable.set("of the request")
    hand_over(app, call, 1, b=2)
    variable.reset(token)
    assert drain_after_response(PATIENCE)
    # One teardown is the request's.
    assert sorted(map(repr, seen)) == ["(1, 2, True, False, 'of the request', True)", "None", "None"]
    assert variable.get() == ""


def test_an_async_call_after_a_response(app: Quaff) -> None:
    """From a worker thread it runs on the long-lived loop."""
    seen: list[Any] = []

    async def loop() -> Any:
        return asyncio.get_running_loop()

    async def call(name: str) -> None:
        await asyncio.sleep(0)
        seen.append((name, has_app_context(), asyncio.get_running_loop()))

    hand_over(app, call, name="async")
    hand_over(app, lambda: call("hidden"))
    assert drain_after_response(PATIENCE)
    assert sorted(seen, key=str) == [("async", True, run_coroutine(loop)), ("hidden", True, run_coroutine(loop))]


def test_an_async_call_runs_where_the_request_was_served(app: Quaff) -> None:
    """From an event loop it runs on that, for what async code has opened belongs to its loop."""
    loops: list[Any] = []

    async def call() -> None:
        loops.append(asyncio.get_running_loop())

    async def serve() -> None:
        hand_over(app, call)
        assert await asyncio.to_thread(drain_after_response, PATIENCE)
        assert loops == [asyncio.get_running_loop()]

    run(serve())


def test_an_error_after_a_response(app: Quaff, caplog: pytest.LogCaptureFixture) -> None:
    """It is logged once, with the function's name, and the other calls are made, whatever was raised."""
    calls: list[str] = []

    async def fails() -> None:
        raise OSError("mail")

    with app.test_request_context() as context:
        app.after_response(fails)
        app.after_response(partial(sys.exit, 1))
        app.after_response(calls.append)
        app.after_response(calls.append, "last")
    with caplog.at_level(logging.ERROR):
        run_after_response(app, context.after_response_calls or [])
        assert drain_after_response(PATIENCE)
    assert calls == ["last"]
    assert sorted(record.getMessage() for record in caplog.records) == sorted(
        [
            f"{__name__}.test_an_error_after_a_response.<locals>.fails failed after the response.",
            "sys.exit failed after the response.",
            "None.list.append failed after the response.",
        ]
    )


def test_a_log_that_fails_ends_no_thread(app: Quaff) -> None:
    """Calls go on when not even their errors can be logged."""
    calls: list[str] = []

    def refuse(record: logging.LogRecord) -> bool:
        raise OSError("log")

    app.logger.addFilter(refuse)
    try:
        run_after_response(app, [{}.popitem] * (2 * module.THREADS))  # type: ignore[list-item]
        run_after_response(app, [lambda: calls.append("made")])
        assert drain_after_response(PATIENCE)
    finally:
        app.logger.removeFilter(refuse)
    assert calls == ["made"]


def test_a_call_keeps_no_request_alive(app: Quaff) -> None:
    """What waits for its turn holds what it was given, not the request that gave it."""

    def call() -> None:
        pass

    # Without a route, the error of that would keep the context.
    app.add_url_rule("/", "index", call)
    gc.collect()
    gc.disable()
    try:
        with app.test_request_context() as context:
            app.after_response(call)
        calls = context.after_response_calls
        reference = weakref.ref(context)
        del context
        assert reference() is None
        assert calls
    finally:
        gc.enable()


def test_draining(app: Quaff) -> None:
    """It waits for calls that come meanwhile too, and tells when there was not enough time."""
    calls: list[str] = []
    go_on = threading.Event()

    def first() -> None:
        go_on.wait(PATIENCE)
        calls.append("first")
        run_after_response(app, [lambda: calls.append("second")])

    run_after_response(app, [first])
    assert not drain_after_response(0.01)
    threading.Timer(0.02, go_on.set).start()
    assert drain_after_response()
    assert calls == ["first", "second"]


def test_calls_after_responses_share_few_threads() -> None:
    """No more run at once than there are threads, an idle thread is used before one is started, and all calls are made."""
    threads = BackgroundThreads(threads=3, backlog=100)
    lock = threading.Lock()
    running: list[int] = [0, 0]
    names: set[str] = set()

    def call() -> None:
        names.add(threading.current_thread().name)
        with lock:
            running[0] += 1
            running[1] = max(running)
        threading.Event().wait(0.005)
        with lock:
            running[0] -= 1

    for _ in range(3):
        assert threads.submit(call)
        assert threads.drain(PATIENCE)
    assert len(names) == 1
    assert all(threads.submit(call) for _ in range(30))
    assert threads.drain(PATIENCE)
    assert running == [0, 3]
    assert names == {"quaff-after-1", "quaff-after-2", "quaff-after-3"}


def test_too_many_calls_after_responses(
    app: Quaff, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """When no more may wait, a worker thread makes the call itself, and a loop, which must not wait, logs it as lost."""
    threads = BackgroundThreads(threads=1, backlog=1)
    monkeypatch.setattr(module, "_background", threads)
    go_on = threading.Event()
    made: list[Any] = []
    run_after_response(app, [lambda: go_on.wait(PATIENCE), lambda: made.append("waited")])

    def call() -> None:
        made.append(threading.current_thread())

    hand_over(app, call)
    assert made == [threading.current_thread()]

    async def serve() -> None:
        hand_over(app, call)

    with caplog.at_level(logging.ERROR):
        run(serve())
    assert ".call was not called after the response: 10000 such calls are waiting already." in caplog.text
    go_on.set()
    assert threads.drain(PATIENCE)
    assert made == [threading.current_thread(), "waited"]


def test_without_any_thread_the_caller_makes_the_call(app: Quaff, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the system gives no thread, as at the end of the interpreter, nothing waits for one that never comes."""
    threads = BackgroundThreads()
    monkeypatch.setattr(module, "_background", threads)

    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    made: list[Any] = []
    run_after_response(app, [lambda: made.append(threading.current_thread())])
    assert made == [threading.current_thread()]
    assert threads.drain(0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_child_starts_anew(app: Quaff) -> None:
    """It has none of its parent's threads, and makes none of its parent's calls; its own it does make."""
    reading, writing = os.pipe()
    go_on = threading.Event()
    run_after_response(app, [go_on.wait, lambda: os.write(writing, b"parent\n")])
    child = os.fork()
    if child == 0:
        code = 1
        try:
            assert drain_after_response(0)
            run_after_response(app, [lambda: os.write(writing, b"child\n")])
            assert drain_after_response(PATIENCE)
            code = 0
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
    go_on.set()
    assert drain_after_response(PATIENCE)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        assert sorted(pipe.read().split()) == ["child", "parent"]


def test_an_app_without_a_lifespan_loads_none() -> None:
    """Calls after responses are a part of their own: who has nothing around serving does not pay for it."""
    code = """
        import sys, quaff
        app = quaff.Quaff("app")
        app.add_url_rule("/", "index", lambda: (app.after_response(print), "")[1])
        app.test_client().get("/").close()
        sys.exit("quaff.lifespan" in sys.modules or "quaff.after_response" not in sys.modules)
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True, timeout=PATIENCE)


def test_functions_of_either_kind_are_called_here() -> None:
    """A sync function in this thread, an async one on the long-lived loop, also one that hides."""

    async def thread() -> str:
        return threading.current_thread().name

    assert call_here(lambda: threading.current_thread().name) == threading.current_thread().name
    assert call_here(thread) == call_here(lambda: thread()) == run_coroutine(thread)


def test_names_for_messages(app: Quaff) -> None:
    """They lead to the function itself, through what is wrapped around it; what has no name is shown."""
    with app.app_context():
        call = CallAfterResponse(app, partial(partial(name_of), 1), (), {})
    assert name_of(name_of) == name_of(call) == "quaff.after_response.name_of"
    nameless = object()
    assert name_of(nameless) == repr(nameless)
