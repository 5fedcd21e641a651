"""What happens once per worker around serving.

`Lifespan` runs the functions that `app.before_serving`, `app.while_serving` and `app.after_serving` registered. The way is
written once, as coroutines that are given how to call a function: on an event loop, where sync functions go to a thread, or
in the calling thread, where async functions go to the process's long-lived loop; an app without async ones starts no loop.

See `tests/test_lifespan.py`; what is left to do after a response is in `after_response.py`.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, MutableMapping
from contextlib import asynccontextmanager, suppress
from contextvars import ContextVar
from enum import Enum, auto
from inspect import isasyncgenfunction, isawaitable, iscoroutinefunction, isgeneratorfunction, signature
from typing import Any, Final

from ._internal.sentinels import UNSET
from .after_response import call_here, drain_after_response, name_of
from .errors import SetupError
from .globals import current_context
from .hooks import F, setupmethod

LAST_CALLS: Final = 10.0
"""Seconds that an ASGI server's shutdown waits for calls after responses."""

Function = Callable[[], Any]
Caller = Callable[..., Awaitable[Any]]
"""How a function is called: with the function and its arguments, giving what it returns."""

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


async def _on_the_loop(function: Callable[..., Any], *args: Any) -> Any:
    """Call a sync function in a thread, an async one on the running loop."""
    if iscoroutinefunction(function):
        return await function(*args)
    from ._internal.threads import run_in_new_thread

    # Not in one of the threads for views: when the app stops, these may be held by requests that never end.
    result = await run_in_new_thread(function, *args)
    return await result if isawaitable(result) else result


async def _in_this_thread(function: Callable[..., Any], *args: Any) -> Any:
    return call_here(function, *args)


def _run_through(coroutine: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine that calls everything by `_in_this_thread`, and so never waits."""
    try:
        coroutine.send(None)
    except StopIteration:
        return


def _is_generator(function: Any) -> bool:
    return isgeneratorfunction(function) or isasyncgenfunction(function)


def _check_function(kind: str, function: Any) -> None:
    if not callable(function):
        raise TypeError(f"{kind} takes a function, not {function!r}. Register the function itself, without calling it.")
    try:
        # A function of native code may not tell.
        with suppress(ValueError):
            signature(function).bind()
    except TypeError as error:
        raise TypeError(
            f"{kind} functions are called without arguments, and {name_of(function)} needs some: {error}."
            " Look up what it needs in current_app.config, or register a functools.partial of it."
        ) from None


def _check_plain(kind: str, function: Any) -> None:
    _check_function(kind, function)
    if _is_generator(function):
        raise TypeError(
            f"{name_of(function)} has a yield, so that calling it runs nothing of it. Register it with while_serving:"
            " what stands before the yield then runs before serving, and the rest afterwards."
        )


def _check_generator(kind: str, function: Any) -> None:
    _check_function(kind, function)
    if _is_generator(function):
        return
    if _is_generator(getattr(function, "__wrapped__", None)):
        raise TypeError(
            f"Another decorator hides the yield of {name_of(function)} from {kind}. Leave it out, or put {kind} below it;"
            " contextmanager and asynccontextmanager are not needed here."
        )
    raise TypeError(
        f"{kind} takes a generator function, sync or async, with one yield; {name_of(function)} has none."
        " Register what only runs before serving with before_serving, and what only runs afterwards with after_serving."
    )


def _advance(generator: Any) -> bool:
    """Run a generator to its next yield, and tell whether there was one."""
    return next(generator, UNSET) is not UNSET


async def _advance_async(generator: Any) -> bool:
    try:
        await generator.__anext__()
    except StopAsyncIteration:
        return False
    return True


class _Step:
    """One call of a function that was registered. Its *kind* is what that was done with, for messages."""

    def __init__(self, kind: str, function: Function) -> None:
        self.kind = kind
        self.function = function
        self._bound: Any = None

    async def run(self, call: Caller) -> None:
        """Call the function."""
        await self._call(call, self.function)

    async def _call(self, call: Caller, function: Callable[..., Any], *args: Any) -> Any:
        outer = current_context.get()
        if self._bound is not None:
            current_context.set(self._bound)
        try:
            return await call(function, *args)
        except BaseException as error:
            error.add_note(f"Raised by the {self.kind} function {name_of(self.function)}.")
            raise
        finally:
            # A context that the function leaves behind is its own: the next function is not to find it in place of ours, and
            # a generator that yields inside `with app.app_context()` needs it again at its end.
            left = current_context.get()
            self._bound = None if left is outer else left
            current_context.set(outer)


class _Generator(_Step):
    """A `while_serving` function between its two halves."""

    is_begun = False
    """Whether the first half was run, so that the second one has to follow."""

    def __init__(self, kind: str, function: Function) -> None:
        super().__init__(kind, function)
        self._is_async = isasyncgenfunction(function)
        self._advance = _advance_async if self._is_async else _advance
        self._generator = function()

    async def run(self, call: Caller) -> None:
        """Run the first half."""
        try:
            self.is_begun = await self._call(call, self._advance, self._generator)
        except BaseException:
            # A thread cannot be cancelled: it has run the first half nevertheless.
            self.is_begun = not self._is_async and self._generator.gi_suspended
            raise
        if not self.is_begun:
            raise RuntimeError(self._say("ended before it reached a yield."))

    async def leave(self, call: Caller) -> None:
        """Run the second half."""
        generator = self._generator
        if await self._call(call, self._advance, generator):
            await self._call(call, generator.aclose if self._is_async else generator.close)
            raise RuntimeError(self._say("yielded a second time, and was closed there."))

    def _say(self, what: str) -> str:
        name = name_of(self.function)
        return f"The {self.kind} function {name} {what} It has to yield once, where the app is to serve."


class _State(Enum):
    """How far the lifespan has come in this process."""

    NEW = auto()
    STARTING = auto()
    SERVING = auto()
    OVER = auto()


_busy: ContextVar[Lifespan | None] = ContextVar("quaff.lifespan", default=None)


class Lifespan:
    """What an app does once in each process that serves it: `app.lifespan`.

    The functions run without arguments inside an app context, whose `g` those of one occasion share. Servers call `startup`
    and `shutdown`, or on a thread without an event loop `start_sync` and `stop_sync`. Each takes effect once in a process; a
    forked child starts anew.
    """

    # Any: an app, of a layer above.
    def __init__(self, app: Any) -> None:
        # Weak: an app without references is freed at once.
        self._app: Any = weakref.proxy(app)
        self.before_serving_funcs: list[Function] = []
        self.while_serving_gens: list[Function] = []
        self.after_serving_funcs: list[Function] = []
        self._begin_anew()
        _lifespans.add(self)

    def _begin_anew(self) -> None:
        self._state = _State.NEW
        self._entered: list[_Generator] = []
        self._lock = threading.Lock()

    @property
    def empty(self) -> bool:
        """Whether nothing is registered, so that there is nothing to run."""
        return not (self.before_serving_funcs or self.while_serving_gens or self.after_serving_funcs)

    def _check_setup_finished(self, f_name: str) -> None:
        self._app._check_setup_finished(f_name)
        if self._state is not _State.NEW:
            raise SetupError(
                f"The setup method '{f_name}' can no longer be called on the application. It has already begun to serve.\n"
                "Make sure all imports, decorators, functions, etc. needed to set it up are done before running it."
            )

    @setupmethod
    def before_serving(self, f: F) -> F:
        """Call *f* before the first request is served."""
        _check_plain("before_serving", f)
        self.before_serving_funcs.append(f)
        return f

    @setupmethod
    def after_serving(self, f: F) -> F:
        """Call *f* after the last request was served."""
        _check_plain("after_serving", f)
        self.after_serving_funcs.append(f)
        return f

    @setupmethod
    def while_serving(self, f: F) -> F:
        """Run the generator function *f* to its one `yield` before the first request, and to its end after the last."""
        _check_generator("while_serving", f)
        self.while_serving_gens.append(f)
        return f

    async def startup(self) -> None:
        """Run the `before_serving` functions and then the first halves of the `while_serving` functions, each in its order.

        When one raises, or this is cancelled, the generators that have begun are run to their end, last one first, and the
        error is raised; another call then tries again. Does nothing when the app was started before; while that goes on
        elsewhere, it waits for it.
        """
        await self._start(_on_the_loop)

    async def shutdown(self) -> None:
        """Run the second halves of the `while_serving` functions, last one first, and then the `after_serving` functions.

        Each runs whatever the others raised. Does nothing unless the app was started.

        :raises ExceptionGroup: when several raised; the error of a single one is raised as it is.
        """
        await self._stop(_on_the_loop)

    def start_sync(self) -> None:
        """Do what `startup` does from a thread without an event loop: sync functions run in this thread.

        Async functions run on the process's long-lived loop, which starts only for them.
        """
        _run_through(self._start(_in_this_thread))

    def stop_sync(self) -> None:
        """Do what `shutdown` does from a thread without an event loop."""
        _run_through(self._stop(_in_this_thread))

    async def _start(self, call: Caller) -> None:
        async with self._turn(call) as own_turn:
            if not own_turn or self._state is not _State.NEW:
                return
            self._state = _State.STARTING
            try:
                if not self.empty:
                    await self._enter(call)
            except BaseException:
                await self._undo(call)
                self._state = _State.NEW
                raise
            self._state = _State.SERVING

    async def _enter(self, call: Caller) -> None:
        async with self._app_context(call):
            for function in self.before_serving_funcs:
                await _Step("before_serving", function).run(call)
            for function in self.while_serving_gens:
                generator = _Generator("while_serving", function)
                try:
                    await generator.run(call)
                finally:
                    if generator.is_begun:
                        self._entered.append(generator)

    async def _undo(self, call: Caller) -> None:
        if self._entered:
            errors = await self._run_all(call, self._take_entered())
            # The one that made the start fail is raised.
            self._log("Another error followed when the app failed to start.", errors)
            errors.clear()

    async def _stop(self, call: Caller) -> None:
        async with self._turn(call) as own_turn:
            if not own_turn or self._state is not _State.SERVING:
                return
            self._state = _State.OVER
            if not self.empty:
                functions = [_Step("after_serving", function).run for function in self.after_serving_funcs]
                self._raise(await self._run_all(call, [*self._take_entered(), *functions]))

    def _take_entered(self) -> list[Callable[[Caller], Awaitable[None]]]:
        entered, self._entered = self._entered, []
        return [generator.leave for generator in reversed(entered)]

    async def _run_all(self, call: Caller, steps: Iterable[Callable[[Caller], Awaitable[None]]]) -> list[BaseException]:
        """Run each step whatever became of the others, and return what was raised."""
        errors: list[BaseException] = []
        try:
            async with self._app_context(call):
                for step in steps:
                    try:
                        await step(call)
                    except BaseException as error:
                        errors.append(error)
        except BaseException as error:
            errors.append(error)
        return errors

    def _raise(self, errors: list[BaseException]) -> None:
        orders = [error for error in errors if not isinstance(error, Exception)]
        try:
            if orders:
                # A cancellation, or an order to end, must stay what it is.
                self._log("A function failed when the app stopped serving.", (e for e in errors if e is not orders[0]))
                raise orders[0]
            if len(errors) == 1:
                raise errors[0]
            if errors:
                raise BaseExceptionGroup(f"{len(errors)} functions failed when the app stopped serving", errors)
        finally:
            # An error holds this frame through its traceback; a frame that holds the error would make a cycle.
            errors.clear()
            orders.clear()

    def _log(self, message: str, errors: Iterable[BaseException]) -> None:
        for error in errors:
            self._app.logger.error(message, exc_info=error)

    @asynccontextmanager
    async def _turn(self, call: Caller) -> AsyncIterator[bool]:
        """Keep others away while functions run; gives False to a function among these, which would wait for itself."""
        lock = self._lock
        if _busy.get() is self and lock.locked():
            yield False
            return
        if not lock.acquire(blocking=False):
            taken: list[bool] = []
            try:
                await call(lambda: taken.append(lock.acquire()))
            except BaseException:
                # Cancelled; the thread that waited has got it nevertheless.
                if taken:
                    lock.release()
                raise
        token = _busy.set(self)
        try:
            yield True
        finally:
            _busy.reset(token)
            lock.release()

    @asynccontextmanager
    async def _app_context(self, call: Caller) -> AsyncIterator[None]:
        context = self._app.app_context()
        context.push()
        try:
            yield
        except BaseException as error:
            await call(context.pop, error)
            raise
        # By *call*, for teardown functions may wait for something.
        await call(context.pop, None)


async def serve_lifespan(app: Any, receive: Receive, send: Send) -> None:
    """Speak the lifespan protocol of ASGI 3.0 for *app* until the server has shut down.

    An error is logged, and the server is told in one line; it then does not serve. At the shutdown, calls after responses
    get ten seconds to finish.
    """
    while (await receive())["type"] != "lifespan.startup":
        pass
    if not await _report(app, "startup", app.lifespan.startup, send):
        return
    while (await receive())["type"] != "lifespan.shutdown":
        pass
    if not drain_after_response(0) and not await _on_the_loop(drain_after_response, LAST_CALLS):
        app.logger.warning("Calls after responses were still running %g seconds after the last request.", LAST_CALLS)
    await _report(app, "shutdown", app.lifespan.shutdown, send)


async def _report(app: Any, event: str, action: Callable[[], Awaitable[None]], send: Send) -> bool:
    try:
        await action()
    except (Exception, SystemExit, KeyboardInterrupt) as error:
        app.logger.error("The %s of the app failed.", event, exc_info=error)
        line = " ".join(f"{type(error).__name__}: {error}".split())
        await send({"type": f"lifespan.{event}.failed", "message": line})
        if not isinstance(error, Exception):
            raise
        return False
    await send({"type": f"lifespan.{event}.complete"})
    return True


_lifespans: Final[weakref.WeakSet[Lifespan]] = weakref.WeakSet()
_of_parents: Final[list[_Generator]] = []


def _begin_anew() -> None:
    for lifespan in list(_lifespans):
        # Kept, for a generator that nobody refers to is closed, and would say goodbye on connections of the parent's.
        _of_parents.extend(lifespan._entered)
        lifespan._begin_anew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)
