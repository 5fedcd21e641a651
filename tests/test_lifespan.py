"""What runs around serving, over a loop and without one."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import signal
import subprocess
import sys
import textwrap
import threading
import weakref
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from functools import partial
from typing import Any

import pytest

from quaff import Quaff, current_app, g
from quaff import lifespan as module
from quaff._internal.async_bridge import run_coroutine
from quaff.after_response import drain_after_response, run_after_response
from quaff.errors import SetupError
from quaff.globals import active_context
from quaff.lifespan import Lifespan, serve_lifespan

PATIENCE = 30.0

variable: ContextVar[str] = ContextVar("variable", default="")


@pytest.fixture
def app() -> Quaff:
    """Give an app with nothing registered."""
    return Quaff("lifespan_app")


def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine on a loop of its own, as a server would."""
    return asyncio.run(asyncio.wait_for(coroutine, PATIENCE))


class Way:
    """Starts and stops on one event loop, as a server that has one does, or from this thread."""

    def __init__(self, runner: asyncio.Runner | None = None) -> None:
        self._runner = runner

    def start(self, lifespan: Lifespan) -> None:
        """Start."""
        self._act(lifespan.startup, lifespan.start_sync)

    def stop(self, lifespan: Lifespan) -> None:
        """Stop."""
        self._act(lifespan.shutdown, lifespan.stop_sync)

    def _act(self, on_loop: Callable[[], Coroutine[Any, Any, None]], here: Callable[[], None]) -> None:
        if self._runner is None:
            here()
            return
        # Some errors would break the loop.
        errors = self._runner.run(self._caught(on_loop()))
        try:
            if errors:
                raise errors[0]
        finally:
            errors.clear()

    @staticmethod
    async def _caught(coroutine: Coroutine[Any, Any, None]) -> list[BaseException]:
        try:
            await coroutine
        except BaseException as error:
            return [error]
        return []


@pytest.fixture(params=["loop", "thread"])
def way(request: pytest.FixtureRequest) -> Iterator[Way]:
    """Give each of the two ways to start and stop."""
    if request.param == "thread":
        yield Way()
    else:
        with asyncio.Runner() as runner:
            yield Way(runner)


def register_all(app: Quaff, calls: list[str]) -> None:
    """Register two functions of each sort, sync and async, that note what runs."""

    async def before() -> None:
        calls.append("before 2")

    async def after() -> None:
        calls.append("after 2")

    @app.while_serving
    def first() -> Iterator[None]:
        calls.append("enter 1")
        yield
        calls.append("leave 1")

    @app.while_serving
    async def second() -> AsyncIterator[None]:
        calls.append("enter 2")
        yield
        calls.append("leave 2")

    app.after_serving(lambda: calls.append("after 1"))
    app.after_serving(after)
    app.before_serving(lambda: calls.append("before 1"))
    app.before_serving(before)


# Registering -----------------------------------------------------------------------------------------------------------


def generator_function() -> Iterator[None]:
    """Yield once."""
    yield


async def async_generator_function() -> AsyncIterator[None]:
    """Yield once."""
    yield


async def coroutine_function() -> None:
    """Do nothing."""


class Callable_:
    """An object that can be called."""

    def __call__(self) -> None:
        """Do nothing."""

    def generate(self) -> Iterator[None]:
        """Yield once."""
        yield


@pytest.mark.parametrize(
    "kind, function",
    [
        ("before_serving", lambda: None),
        ("before_serving", coroutine_function),
        ("before_serving", partial(print, "argument")),
        ("before_serving", Callable_()),
        ("before_serving", dict),
        ("after_serving", lambda optional=None: None),
        ("after_serving", coroutine_function),
        ("while_serving", generator_function),
        ("while_serving", async_generator_function),
        ("while_serving", partial(generator_function)),
        ("while_serving", Callable_().generate),
    ],
)
def test_decorators_return_the_function(app: Quaff, kind: str, function: Any) -> None:
    """What can be called without arguments, or yields where it has to, is registered and stays what it is."""
    assert app.lifespan.empty
    assert getattr(app, kind)(function) is function
    assert not app.lifespan.empty


@pytest.mark.parametrize("kind", ["before_serving", "after_serving"])
@pytest.mark.parametrize(
    "function, message",
    [
        (generator_function, "generator_function has a yield, .* Register it with while_serving"),
        (async_generator_function, "async_generator_function has a yield"),
        (None, "takes a function, not None. Register the function itself, without calling it"),
        (
            lambda request: None,
            r"are called without arguments, and .* needs some: missing .*'request'.* functools.partial",
        ),
    ],
)
def test_wrong_functions_are_refused(app: Quaff, kind: str, function: Any, message: str) -> None:
    """A function that could not be run is refused where it is registered, with what to do instead."""
    with pytest.raises(TypeError, match=message):
        getattr(app, kind)(function)
    assert app.lifespan.empty


@pytest.mark.parametrize(
    "function, message",
    [
        (lambda: None, "generator function, .* one yield; .* has none. .* before_serving"),
        (coroutine_function, "coroutine_function has none"),
        (generator_function(), "takes a function, not <generator"),
        (contextlib.contextmanager(generator_function), "hides the yield of .*generator_function .* contextmanager"),
        (contextlib.asynccontextmanager(async_generator_function), "hides the yield of .*async_generator_function"),
    ],
)
def test_wrong_generators_are_refused(app: Quaff, function: Any, message: str) -> None:
    """Only a generator function can stand around serving; of the usual mistakes, each has its own advice."""
    with pytest.raises(TypeError, match=message):
        app.while_serving(function)
    assert app.lifespan.empty


@pytest.mark.parametrize("kind", ["before_serving", "after_serving", "while_serving"])
def test_registering_ends_with_the_first_request(app: Quaff, kind: str) -> None:
    """After a request the function would not run as it should, so it is refused in the words of all set-up methods."""
    app.test_client().get("/")
    with pytest.raises(
        SetupError, match=f"The setup method '{kind}' can no longer be called on the application. It has"
    ):
        getattr(app, kind)(generator_function)


@pytest.mark.parametrize("kind", ["before_serving", "after_serving", "while_serving"])
def test_registering_ends_when_serving_begins(app: Quaff, way: Way, kind: str) -> None:
    """The same holds once the app was started, also when there was nothing to run."""
    way.start(app.lifespan)
    with pytest.raises(SetupError, match=f"'{kind}' can no longer be called .* It has already begun to serve"):
        getattr(app, kind)(generator_function)


def test_a_function_of_the_start_cannot_register_more(app: Quaff, way: Way) -> None:
    """While the functions run, one more would run or not by accident."""
    app.before_serving(lambda: app.before_serving(lambda: None))
    with pytest.raises(SetupError, match="before_serving"):
        way.start(app.lifespan)


# Starting and stopping -------------------------------------------------------------------------------------------------


def test_order(app: Quaff, way: Way) -> None:
    """Before functions, then generators, as registered; then generators backwards, and after functions as registered."""
    calls: list[str] = []
    register_all(app, calls)
    way.start(app.lifespan)
    assert calls == ["before 1", "before 2", "enter 1", "enter 2"]
    calls.clear()
    way.stop(app.lifespan)
    assert calls == ["leave 2", "leave 1", "after 1", "after 2"]


def test_each_happens_once(app: Quaff, way: Way) -> None:
    """A second start, a second stop and a start after the stop do nothing."""
    calls: list[str] = []
    register_all(app, calls)
    for act in (way.start, way.start, way.stop, way.stop, way.start):
        act(app.lifespan)
    assert len(calls) == 8


def test_a_stop_without_a_start_does_nothing(app: Quaff, way: Way) -> None:
    """What never began is not ended, and may begin later."""
    calls: list[str] = []
    register_all(app, calls)
    way.stop(app.lifespan)
    assert calls == []
    way.start(app.lifespan)
    assert len(calls) == 4


def test_the_two_ways_are_one_state(app: Quaff) -> None:
    """What was started on a loop can be stopped without one."""
    calls: list[str] = []
    register_all(app, calls)

    async def live() -> None:
        await app.lifespan.startup()
        await asyncio.to_thread(app.lifespan.start_sync)
        await asyncio.to_thread(app.lifespan.stop_sync)

    run(live())
    assert len(calls) == 8


def test_functions_have_an_app_context(app: Quaff, way: Way) -> None:
    """The functions of a start share `current_app` and `g`, those of the stop have others; both contexts are torn down."""
    seen: list[Any] = []
    app.teardown_appcontext(lambda error: seen.append(f"teardown of {g.get('what')}, {error}"))

    @app.before_serving
    def before() -> None:
        assert current_app == app
        g.what = "start"

    @app.while_serving
    async def around() -> AsyncIterator[None]:
        seen.append(g.what)
        yield
        seen.append("what" in g)
        g.what = "stop"

    app.after_serving(lambda: seen.append(g.what))
    way.start(app.lifespan)
    assert seen == ["start", "teardown of start, None"]
    assert active_context() is None
    way.stop(app.lifespan)
    assert seen[2:] == [False, "stop", "teardown of stop, None"]
    assert active_context() is None


def test_teardown_functions_may_be_async(app: Quaff, way: Way) -> None:
    """They run on the loop that the functions ran on, or on the long-lived one; nothing waits for itself."""
    loops: list[Any] = []

    @app.before_serving
    async def before() -> None:
        loops.append(asyncio.get_running_loop())

    @app.teardown_appcontext
    async def teardown(error: BaseException | None) -> None:
        await before()

    way.start(app.lifespan)
    assert len(loops) == 2
    assert loops[0] is loops[1]


def test_a_context_that_a_function_leaves_is_its_own(app: Quaff, way: Way) -> None:
    """`with app.app_context()` around the yield works, as does a push that nobody pops; others have their own `g`."""
    seen: list[Any] = []

    @app.while_serving
    def around() -> Iterator[None]:
        with app.app_context():
            g.mine = "kept"
            yield
            seen.append(g.mine)

    @app.while_serving
    async def async_around() -> AsyncIterator[None]:
        seen.append("mine" in g)
        with app.app_context():
            g.mine = "kept too"
            yield
            seen.append(g.mine)

    app.before_serving(lambda: app.app_context().push())
    app.after_serving(lambda: seen.append("mine" in g))
    way.start(app.lifespan)
    assert active_context() is None
    way.stop(app.lifespan)
    assert seen == [False, "kept too", "kept", False]


def test_sync_functions_do_not_hold_up_the_loop(app: Quaff) -> None:
    """On a loop they run in threads, with the context variables of the task: they may wait for something of the loop."""
    happened = threading.Event()
    seen: list[Any] = []

    @app.before_serving
    def before() -> None:
        seen.append((happened.wait(PATIENCE), variable.get(), threading.current_thread() is threading.main_thread()))

    async def start() -> None:
        variable.set("of the task")
        asyncio.get_running_loop().call_later(0.01, happened.set)
        await app.lifespan.startup()

    run(start())
    assert seen == [(True, "of the task", False)]


def test_async_functions_run_where_requests_are_served(app: Quaff) -> None:
    """What an async function opens belongs to the loop that serves, also when a sync function calls it."""
    loops: list[Any] = []

    async def opens() -> None:
        loops.append(asyncio.get_running_loop())

    app.before_serving(opens)
    app.before_serving(lambda: app.ensure_sync(opens)())

    @app.while_serving
    async def around() -> AsyncIterator[None]:
        await opens()
        yield

    async def start() -> None:
        await opens()
        await app.lifespan.startup()

    run(start())
    assert len(loops) == 4
    assert len(set(loops)) == 1


def test_without_a_loop_sync_functions_run_in_the_callers_thread(app: Quaff) -> None:
    """So they may set up signal handlers; async ones run on the long-lived loop, like the async views of such a server."""
    seen: list[Any] = []

    async def loop() -> Any:
        return asyncio.get_running_loop()

    @app.before_serving
    async def opens() -> None:
        seen.append(asyncio.get_running_loop())

    app.before_serving(lambda: seen.append(threading.current_thread()))
    app.lifespan.start_sync()
    assert seen == [run_coroutine(loop), threading.current_thread()]


def test_without_async_functions_no_loop_is_needed() -> None:
    """An app whose functions are all sync starts and stops without asyncio, and has calls after responses without it."""
    code = """
        import sys, quaff, quaff.after_response, quaff.lifespan
        app = quaff.Quaff("app")
        app.before_serving(lambda: None)
        @app.while_serving
        def around():
            yield
        app.lifespan.start_sync()
        with app.test_request_context():
            app.after_response(print, "called")
            quaff.after_response.run_after_response(app, quaff.globals.current_context.get().after_response_calls)
        assert quaff.after_response.drain_after_response(30)
        app.lifespan.stop_sync()
        sys.exit("asyncio" in sys.modules)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], check=False, capture_output=True, text=True, timeout=PATIENCE
    )
    assert (done.returncode, done.stdout) == (0, "called\n"), done.stderr


def test_a_hidden_coroutine_is_awaited(app: Quaff, way: Way) -> None:
    """A lambda that returns a coroutine is as good as an async function."""
    calls: list[str] = []

    async def connect(where: str) -> None:
        await asyncio.sleep(0)
        calls.append(where)

    app.before_serving(lambda: connect("database"))
    way.start(app.lifespan)
    assert calls == ["database"]


# Errors of the start ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error_class", [OSError, KeyboardInterrupt, SystemExit])
def test_a_failed_start_is_undone(app: Quaff, way: Way, error_class: type[BaseException]) -> None:
    """Generators that have begun are run to their end, the error says whose it is, and the next start tries again."""
    calls: list[str] = []
    broken = [True]
    register_all(app, calls)

    @app.while_serving
    def fails() -> Iterator[None]:
        if broken:
            raise error_class("no database")
        yield

    with pytest.raises(error_class, match="no database") as raised:
        way.start(app.lifespan)
    name = f"{__name__}.test_a_failed_start_is_undone.<locals>.fails"
    assert raised.value.__notes__ == [f"Raised by the while_serving function {name}."]
    assert calls == ["before 1", "before 2", "enter 1", "enter 2", "leave 2", "leave 1"]
    way.stop(app.lifespan)
    assert len(calls) == 6
    broken.clear()
    way.start(app.lifespan)
    assert calls[6:] == ["before 1", "before 2", "enter 1", "enter 2"]
    assert active_context() is None


def test_a_failed_before_function_ends_the_start(app: Quaff, way: Way) -> None:
    """What comes after it does not run, and the teardown functions see the error."""
    calls: list[Any] = []
    app.before_serving(lambda: {}["key"])
    app.before_serving(lambda: calls.append("second"))
    app.teardown_appcontext(calls.append)
    with pytest.raises(KeyError) as raised:
        way.start(app.lifespan)
    assert calls == [raised.value]
    assert "before_serving function" in raised.value.__notes__[0]


def test_a_failed_teardown_undoes_the_start(app: Quaff, way: Way) -> None:
    """When the start's own context cannot be torn down, the generators do not stay open."""
    calls: list[str] = []
    register_all(app, calls)
    failing = [True]

    @app.teardown_appcontext
    def teardown(error: BaseException | None) -> None:
        if failing.pop() if failing else False:
            raise OSError("teardown")

    with pytest.raises(OSError, match="teardown"):
        way.start(app.lifespan)
    assert calls[4:] == ["leave 2", "leave 1"]


def test_errors_of_undoing_are_logged(app: Quaff, way: Way, caplog: pytest.LogCaptureFixture) -> None:
    """The error that made the start fail is the one that is raised; what follows from it is in the log."""

    @app.while_serving
    def around() -> Iterator[None]:
        yield
        raise OSError("second")

    @app.while_serving
    def fails() -> Iterator[None]:
        raise ValueError("first")
        yield

    with caplog.at_level(logging.ERROR), pytest.raises(ValueError, match="first"):
        way.start(app.lifespan)
    assert [str(record.exc_info[1]) for record in caplog.records if record.exc_info] == ["second"]


def test_a_generator_has_to_yield(app: Quaff, way: Way) -> None:
    """One that ends without a yield is named, and told what it lacks."""

    @app.while_serving
    async def never() -> AsyncIterator[None]:
        if "yield" in g:
            yield

    with pytest.raises(
        RuntimeError, match=r"while_serving function .*never ended before it reached a yield. It has to"
    ):
        way.start(app.lifespan)


@pytest.mark.parametrize("is_async", [True, False])
def test_a_generator_has_to_yield_once(app: Quaff, way: Way, is_async: bool) -> None:
    """One that yields again is closed, so that its `finally` runs, and is named."""
    calls: list[str] = []

    async def async_twice() -> AsyncIterator[None]:
        yield
        try:
            yield
        finally:
            calls.append("finally")

    def twice() -> Iterator[None]:
        yield
        try:
            yield
        finally:
            calls.append("finally")

    app.while_serving(async_twice if is_async else twice)
    way.start(app.lifespan)
    with pytest.raises(RuntimeError, match="twice yielded a second time, and was closed there"):
        way.stop(app.lifespan)
    assert calls == ["finally"]


# Errors of the stop ----------------------------------------------------------------------------------------------------


def test_an_error_of_the_stop(app: Quaff, way: Way) -> None:
    """When one function fails, the others still run, and its error is raised as it is."""
    calls: list[str] = []

    @app.while_serving
    async def fails() -> AsyncIterator[None]:
        yield
        raise OSError("gone")

    register_all(app, calls)
    way.start(app.lifespan)
    with pytest.raises(OSError, match="gone") as raised:
        way.stop(app.lifespan)
    assert "fails" in raised.value.__notes__[0]
    assert calls[4:] == ["leave 2", "leave 1", "after 1", "after 2"]
    way.stop(app.lifespan)
    assert len(calls) == 8


def test_several_errors_of_the_stop(app: Quaff, way: Way) -> None:
    """Several errors are raised together, in their order, and each says whose it is."""
    app.after_serving(lambda: {}["first"])
    app.after_serving(lambda: 1 // 0)  # type: ignore[arg-type,return-value]
    app.after_serving(lambda: {}["third"])
    way.start(app.lifespan)
    with pytest.raises(ExceptionGroup, match="3 functions failed when the app stopped serving") as raised:
        way.stop(app.lifespan)
    assert [type(error) for error in raised.value.exceptions] == [KeyError, ZeroDivisionError, KeyError]
    assert all("after_serving function" in error.__notes__[0] for error in raised.value.exceptions)


@pytest.mark.parametrize("error_class", [KeyboardInterrupt, SystemExit])
def test_an_order_to_end_stays_what_it_is(
    app: Quaff, way: Way, error_class: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    """`sys.exit()` in one function is not hidden in a group with the error of another, which is logged."""
    calls: list[str] = []

    def end() -> None:
        raise error_class("end")

    app.after_serving(lambda: {}["key"])
    app.after_serving(end)
    app.after_serving(lambda: calls.append("last"))
    way.start(app.lifespan)
    with caplog.at_level(logging.ERROR), pytest.raises(error_class, match="end"):
        way.stop(app.lifespan)
    assert [record.exc_info[0] for record in caplog.records if record.exc_info] == [KeyError]
    assert calls == ["last"]


def test_errors_are_freed(app: Quaff, way: Way) -> None:
    """No cycle keeps an error, and with it the frames of the functions, alive until the garbage collector comes."""

    class Marker(Exception):
        pass

    def fail() -> None:
        raise Marker

    app.after_serving(fail)
    app.after_serving(fail)
    way.start(app.lifespan)
    gc.collect()
    gc.disable()
    try:
        found: list[weakref.ref[BaseException]] = []
        try:
            way.stop(app.lifespan)
        except ExceptionGroup as group:
            found += [weakref.ref(error) for error in group.exceptions]
        assert len(found) == 2
        assert [reference() for reference in found] == [None, None]
    finally:
        gc.enable()


# Cancellation, races, forks --------------------------------------------------------------------------------------------


def test_a_cancelled_start_is_undone(app: Quaff) -> None:
    """A server that gives up waiting cancels the async function, and what had begun is ended."""
    calls: list[str] = []
    hanging = asyncio.Event()
    register_all(app, calls)

    @app.while_serving
    async def hangs() -> AsyncIterator[None]:
        calls.append("hangs")
        hanging.set()
        await asyncio.Event().wait()
        yield

    async def start() -> None:
        task = asyncio.create_task(app.lifespan.startup())
        await hanging.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(start())
    assert calls[4:] == ["hangs", "leave 2", "leave 1"]


def test_a_start_cancelled_while_a_thread_works_is_undone(app: Quaff) -> None:
    """A thread cannot be cancelled: the generator has begun there in the end, so it is ended too."""
    calls: list[str] = []
    working, go_on = threading.Event(), threading.Event()

    @app.while_serving
    def slow() -> Iterator[None]:
        working.set()
        assert go_on.wait(PATIENCE)
        calls.append("enter")
        yield
        calls.append("leave")

    async def start() -> None:
        task = asyncio.create_task(app.lifespan.startup())
        assert await asyncio.to_thread(working.wait, PATIENCE)
        task.cancel()
        await asyncio.sleep(0.01)
        assert not task.done()
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(start())
    assert calls == ["enter", "leave"]


def test_a_cancelled_stop_ends_the_rest(app: Quaff) -> None:
    """The function that hangs is cancelled, the others run, and the cancellation is passed on."""
    calls: list[str] = []
    hanging = asyncio.Event()

    @app.after_serving
    async def hangs() -> None:
        hanging.set()
        await asyncio.Event().wait()

    app.after_serving(lambda: calls.append("last"))

    async def live() -> None:
        await app.lifespan.startup()
        task = asyncio.create_task(app.lifespan.shutdown())
        await hanging.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(live())
    assert calls == ["last"]


def test_threads_that_start_at_once(app: Quaff) -> None:
    """Of threads that race, one runs the functions, and none goes on before they are done."""
    calls: list[str] = []
    barrier = threading.Barrier(8)

    @app.before_serving
    async def slow() -> None:
        calls.append("began")
        await asyncio.sleep(0.05)
        calls.append("done")

    def start() -> list[str]:
        barrier.wait(PATIENCE)
        app.lifespan.start_sync()
        return calls.copy()

    with ThreadPoolExecutor(8) as pool:
        seen = [future.result(PATIENCE) for future in [pool.submit(start) for _ in range(8)]]
    assert seen == [["began", "done"]] * 8


def test_tasks_that_start_at_once(app: Quaff) -> None:
    """On a loop it is the same, and a stop that comes meanwhile waits for its turn; one that gives up hinders nobody."""
    calls: list[str] = []
    go_on = asyncio.Event()

    @app.before_serving
    async def slow() -> None:
        calls.append("began")
        await go_on.wait()
        calls.append("done")

    app.after_serving(lambda: calls.append("stopped"))

    async def live() -> None:
        first, second, third, stop = (
            asyncio.create_task(coroutine())
            for coroutine in (app.lifespan.startup, app.lifespan.startup, app.lifespan.startup, app.lifespan.shutdown)
        )
        await asyncio.sleep(0.01)
        assert calls == ["began"]
        second.cancel()
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await second
        await asyncio.gather(first, third, stop)

    run(live())
    assert calls[:2] == ["began", "done"]
    # The stop may have had its turn before a second start, never before the first.
    assert calls[2:] == ["stopped"]


def test_a_function_that_starts_the_app_again(app: Quaff, way: Way) -> None:
    """A function of the start may make a request, through whatever starts the app first: that does not wait for itself."""
    calls: list[str] = []

    @app.before_serving
    def warm_up() -> None:
        app.lifespan.start_sync()
        app.lifespan.stop_sync()
        calls.append("warm")

    @app.before_serving
    async def warm_up_too() -> None:
        await app.lifespan.startup()
        calls.append("warm too")

    way.start(app.lifespan)
    assert calls == ["warm", "warm too"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_child_starts_anew(app: Quaff) -> None:
    """It runs the functions for itself, and ends nothing that its parent has begun; so do calls after responses."""
    reading, writing = os.pipe()

    @app.while_serving
    def around() -> Iterator[None]:
        mine = os.getpid()
        try:
            yield
        finally:
            os.write(writing, f"{'own' if os.getpid() == mine else 'of the parent'}\n".encode())

    app.lifespan.start_sync()
    go_on = threading.Event()
    run_after_response(app, [go_on.wait])
    child = os.fork()
    if child == 0:
        code = 1
        try:
            app.lifespan.stop_sync()
            app.lifespan.start_sync()
            gc.collect()
            assert drain_after_response(0)
            run_after_response(app, [lambda: os.write(writing, b"call\n")])
            assert drain_after_response(PATIENCE)
            app.lifespan.stop_sync()
            code = 0
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
    go_on.set()
    app.lifespan.stop_sync()
    os.close(writing)
    with os.fdopen(reading) as pipe:
        assert pipe.read().split("\n") == ["call", "own", "own", ""]
    assert drain_after_response(PATIENCE)


def test_a_lifespan_does_not_keep_its_app() -> None:
    """An app that nobody refers to is freed at once, started or not; its lifespan alone can do nothing."""
    app = Quaff("lifespan_app")
    app.before_serving(lambda: None)
    lifespan = app.lifespan
    lifespan.start_sync()
    reference = weakref.ref(app)
    gc.disable()
    try:
        del app
        assert reference() is None
    finally:
        gc.enable()
    with pytest.raises(ReferenceError):
        lifespan.before_serving(lambda: None)


# ASGI ------------------------------------------------------------------------------------------------------------------


def speak(app: Quaff, *messages: str) -> list[dict[str, Any]]:
    """Return what the app sends to a server that sends *messages* and then nothing more."""
    sent: list[dict[str, Any]] = []
    waiting = [{"type": message} for message in messages]

    async def receive() -> dict[str, Any]:
        return waiting.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    async def serve() -> None:
        try:
            await serve_lifespan(app, receive, send)
        except (SystemExit, KeyboardInterrupt) as error:
            sent.append({"raised": error})

    run(serve())
    assert waiting == []
    return sent


def test_the_lifespan_protocol(app: Quaff) -> None:
    """The app starts and stops when the server says so, and says when that is done. Unknown messages are passed over."""
    calls: list[str] = []
    register_all(app, calls)
    sent = speak(app, "lifespan.future", "lifespan.startup", "lifespan.future", "lifespan.shutdown")
    assert sent == [{"type": "lifespan.startup.complete"}, {"type": "lifespan.shutdown.complete"}]
    assert len(calls) == 8


@pytest.mark.parametrize("event", ["startup", "shutdown"])
def test_a_failure_is_told_to_the_server(app: Quaff, event: str, caplog: pytest.LogCaptureFixture) -> None:
    """The traceback is logged once, the server gets one line, and the conversation is over."""

    def fail() -> None:
        raise OSError("no database\n  at localhost")

    app.before_serving(fail) if event == "startup" else app.after_serving(fail)
    messages = ["lifespan.startup"] if event == "startup" else ["lifespan.startup", "lifespan.shutdown"]
    with caplog.at_level(logging.ERROR):
        sent = speak(app, *messages)
    assert sent[-1] == {"type": f"lifespan.{event}.failed", "message": "OSError: no database at localhost"}
    assert [(record.name, record.getMessage()) for record in caplog.records] == [
        ("lifespan_app", f"The {event} of the app failed.")
    ]
    assert caplog.text.count("Raised by the ") == 1


def test_an_exit_is_told_to_the_server_first(app: Quaff, caplog: pytest.LogCaptureFixture) -> None:
    """After `sys.exit()` at the start, a server that only sees the error could think that the app knows no lifespan."""
    app.before_serving(partial(sys.exit, "no database"))
    with caplog.at_level(logging.CRITICAL):
        failed, raised = speak(app, "lifespan.startup")
    assert failed == {"type": "lifespan.startup.failed", "message": "SystemExit: no database"}
    assert isinstance(raised["raised"], SystemExit)


def test_the_shutdown_waits_for_calls_after_responses(
    app: Quaff, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """They may need what the app is about to close; but the wait has an end, which is logged."""
    calls: list[str] = []
    go_on = threading.Event()
    app.after_serving(lambda: calls.append("closed"))

    @app.before_serving
    def late() -> None:
        run_after_response(app, [lambda: (threading.Event().wait(0.05), calls.append("called"))])

    speak(app, "lifespan.startup", "lifespan.shutdown")
    assert calls == ["called", "closed"]
    monkeypatch.setattr(module, "LAST_CALLS", 0.01)
    run_after_response(app, [go_on.wait])
    with caplog.at_level(logging.WARNING):
        speak(Quaff("other"), "lifespan.startup", "lifespan.shutdown")
    assert "still running 0.01 seconds after the last request" in caplog.text
    go_on.set()
    assert drain_after_response(PATIENCE)


UVICORN = """
    import sys
    import uvicorn
    from quaff import Quaff
    from quaff.lifespan import serve_lifespan

    app = Quaff("app")

    async def application(scope, receive, send):
        assert scope["type"] == "lifespan"
        await serve_lifespan(app, receive, send)

    @app.before_serving
    def before():
        print("before", flush=True)
        if "fail" in sys.argv:
            raise OSError("no database")

    @app.while_serving
    async def around():
        print("enter", flush=True)
        yield
        print("leave", flush=True)

    uvicorn.run(application, port=0, interface="asgi3")
"""


@pytest.mark.slow
def test_uvicorn(tmp_path: Any) -> None:
    """A real server runs the functions around serving, and stops serving when told to."""
    pytest.importorskip("uvicorn")
    (tmp_path / "program.py").write_text(textwrap.dedent(UVICORN))
    with subprocess.Popen(
        [sys.executable, str(tmp_path / "program.py")], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as server:
        assert server.stdout is not None
        watchdog = threading.Timer(PATIENCE, server.kill)
        watchdog.start()
        said = []
        for line in server.stdout:
            said.append(line.strip())
            if "Uvicorn running" in line:
                server.send_signal(signal.SIGINT)
        watchdog.cancel()
    assert [line for line in said if line in {"before", "enter", "leave"}] == ["before", "enter", "leave"], said
    assert "INFO:     Application shutdown complete." in said


@pytest.mark.slow
def test_uvicorn_does_not_serve_after_a_failure(tmp_path: Any) -> None:
    """When a function fails at the start, a real server ends and shows the line and the traceback."""
    pytest.importorskip("uvicorn")
    (tmp_path / "program.py").write_text(textwrap.dedent(UVICORN))
    done = subprocess.run(
        [sys.executable, str(tmp_path / "program.py"), "fail"],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert done.returncode == 3
    assert "ERROR:    OSError: no database" in done.stderr
    assert "Raised by the before_serving function __main__.before." in done.stderr
    assert done.stderr.count("Traceback") == 1
