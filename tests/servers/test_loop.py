"""The event loop of a worker, without a server: startup first, shutdown last, and nothing left behind."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from quaff.servers.loop import LoopThread, ServingLoop, new_event_loop
from tests.servers.process import PATIENCE


class App:
    """An RSGI app that notes what happens, and in which thread."""

    def __init__(self) -> None:
        self.events: list[str] = []

    async def __rsgi__(self, scope: Any, protocol: Any) -> None:
        """Answer nothing; these tests send no requests."""

    async def startup(self) -> None:
        """Note it."""
        self.events.append(f"startup in {threading.current_thread().name}")

    async def shutdown(self) -> None:
        """Note it."""
        self.events.append(f"shutdown in {threading.current_thread().name}")


class Served:
    """A serving loop, with what a server does: it halts at once when it is told to."""

    def __init__(self, app: Any, *, grace: float = PATIENCE, halt: Callable[[], None] | None = None) -> None:
        self.halts = 0
        self.ended = threading.Event()
        self._halt = halt
        self.loop = ServingLoop(app, grace=grace, halt=self.halt, ended=self.ended.set)

    def halt(self) -> None:
        """Stop as a server without requests does."""
        self.halts += 1
        if self._halt is not None:
            self._halt()
        self.loop.halted()

    def stop(self) -> None:
        """Stop, and wait for the end."""
        self.loop.stop()
        assert self.ended.wait(PATIENCE)


def threads() -> list[str]:
    """Return the names of the loops' threads that run; one that has just ended may take a moment."""
    for thread in threading.enumerate():
        if thread.name == "quaff-loop":
            thread.join(0.5)
    return [thread.name for thread in threading.enumerate() if thread.name == "quaff-loop"]


def test_the_life_of_a_loop() -> None:
    """The app has started when `start` returns; after the order to stop the server halts, then the app shuts down."""
    app = App()
    served = Served(app, halt=lambda: app.events.append("halt"))
    loop = served.loop.start()
    assert app.events == ["startup in quaff-loop"]
    assert loop.is_running()
    assert not served.ended.is_set()
    served.stop()
    assert app.events == ["startup in quaff-loop", "halt", "shutdown in quaff-loop"]
    assert loop.is_closed()
    assert threads() == []


class Thread(LoopThread):
    """A loop without a server: it notes when it is to end the requests."""

    def __init__(self, app: App) -> None:
        self.ended = threading.Event()
        self._events = app.events
        super().__init__(app, grace=10, ended=self.ended.set)

    async def finish_requests(self) -> None:
        """Note it, and in which order."""
        self._events.append("finishing")
        await asyncio.sleep(0)
        self._events.append("finished")


def test_what_serves_on_a_loop_finishes_between_the_order_and_the_shutdown() -> None:
    """A server of another kind only has to say how requests end, for which it has most of the time."""
    app = App()
    thread = Thread(app)
    assert thread.time_for_requests == pytest.approx(9)
    loop = thread.start()
    assert app.events == ["startup in quaff-loop"]
    thread.stop()
    assert thread.ended.wait(PATIENCE)
    assert app.events == ["startup in quaff-loop", "finishing", "finished", "shutdown in quaff-loop"]
    assert loop.is_closed()
    assert threads() == []


def test_functions_are_called_on_the_loop() -> None:
    """With their arguments, from any thread; when the loop is closed, nothing happens any more."""
    app = App()
    thread = Thread(app)
    thread.start()
    thread.call(lambda word: app.events.append(f"{word} in {threading.current_thread().name}"), "called")
    thread.stop()
    assert thread.ended.wait(PATIENCE)
    thread.call(app.events.append, "too late")
    assert app.events[1] == "called in quaff-loop"
    assert "too late" not in app.events


def test_how_requests_end_has_to_be_said(caplog: pytest.LogCaptureFixture) -> None:
    """Without it the worker still ends, and the log says why."""
    ended = threading.Event()
    thread = LoopThread(App(), grace=1, ended=ended.set)
    loop = thread.start()
    with caplog.at_level(logging.ERROR, "quaff.serve"):
        thread.stop()
        assert ended.wait(PATIENCE)
    assert "NotImplementedError" in caplog.text
    assert loop.is_closed()


@pytest.mark.parametrize("error", [ValueError("no database"), SystemExit(3), asyncio.CancelledError()])
def test_a_startup_that_fails_is_raised(error: BaseException) -> None:
    """What `startup` raises comes out of `start`; nothing is halted or shut down, for nothing ran, and the loop is gone."""
    app = App()

    async def startup() -> None:
        raise error

    app.startup = startup  # type: ignore[method-assign]
    served = Served(app)
    with pytest.raises(type(error)) as caught:
        served.loop.start()
    assert caught.value is error
    assert served.halts == 0
    assert app.events == []
    assert served.ended.wait(PATIENCE)
    assert threads() == []


def test_ctrl_c_gives_up_a_startup_that_takes_long() -> None:
    """It is cancelled where it waits, and the loop is closed; nobody has to wait for a database that does not answer."""
    app = App()

    async def startup() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        try:
            await asyncio.sleep(3600)
        finally:
            app.events.append("given up")

    app.startup = startup  # type: ignore[method-assign]
    served = Served(app)
    with pytest.raises(KeyboardInterrupt):
        served.loop.start()
    assert served.ended.wait(PATIENCE)
    assert app.events == ["given up"]
    assert served.halts == 0
    assert threads() == []


def test_stopping_twice_halts_once() -> None:
    """Granian takes one order to stop; a second would block. Later orders do nothing, also when it is all over."""
    served = Served(App())
    served.loop.start()
    served.loop.stop()
    served.stop()
    served.loop.stop()
    served.loop.halted()
    assert served.halts == 1


def test_the_shutdown_waits_for_the_server() -> None:
    """As long as the server has not answered its last request the app is not shut down."""
    app = App()
    served = Served(app)
    served.loop._halt = lambda: app.events.append("halting")
    served.loop.start()
    served.loop.stop()
    assert not served.ended.wait(0.1)
    assert app.events[1:] == ["halting"]
    served.loop.halted()
    assert served.ended.wait(PATIENCE)
    assert app.events[1:] == ["halting", "shutdown in quaff-loop"]


def test_a_shutdown_that_fails_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """Its error is in the log with the traceback, and the loop is closed all the same."""
    app = App()

    async def shutdown() -> None:
        raise ValueError("no way out")

    app.shutdown = shutdown  # type: ignore[method-assign]
    served = Served(app)
    loop = served.loop.start()
    with caplog.at_level(logging.ERROR, "quaff.serve"):
        served.stop()
    (record,) = caplog.records
    assert (record.name, record.getMessage()) == ("quaff.serve", "The shutdown of the app failed.")
    assert record.exc_info is not None
    assert str(record.exc_info[1]) == "no way out"
    assert loop.is_closed()


def test_nothing_is_left_running() -> None:
    """Tasks that the app left behind are cancelled after its shutdown, and async generators are closed."""
    app = App()
    kept: list[Any] = []

    async def forever() -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            app.events.append("task cancelled")

    async def numbers() -> Any:
        try:
            yield 1
        finally:
            app.events.append("generator closed")

    async def startup() -> None:
        kept.append(asyncio.create_task(forever()))
        generator = numbers()
        kept.append(generator)
        await anext(generator)

    app.startup = startup  # type: ignore[method-assign]
    served = Served(app)
    served.loop.start()
    served.stop()
    assert app.events == ["shutdown in quaff-loop", "task cancelled", "generator closed"]


def test_a_task_that_exits_ends_the_worker(caplog: pytest.LogCaptureFixture) -> None:
    """`sys.exit()` in a task of the app ends an asyncio loop: the worker stops in order, rather than hang."""
    app = App()
    tasks: list[asyncio.Task[None]] = []

    async def leave() -> None:
        await asyncio.sleep(0.05)
        sys.exit(3)

    async def startup() -> None:
        tasks.append(asyncio.create_task(leave()))

    app.startup = startup  # type: ignore[method-assign]
    served = Served(app)
    with caplog.at_level(logging.ERROR, "quaff.serve"):
        loop = served.loop.start()
        assert served.ended.wait(PATIENCE)
    assert served.halts == 1
    assert app.events == ["shutdown in quaff-loop"]
    assert loop.is_closed()
    assert [record.getMessage() for record in caplog.records] == [
        "A task of the app ended the event loop; the worker stopped."
    ]


def test_uvloop_is_taken_where_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the package the loop is asyncio's own."""
    monkeypatch.setitem(sys.modules, "uvloop", None)
    loop = new_event_loop()
    assert type(loop).__module__.startswith("asyncio.")
    installed = ModuleType("uvloop")
    installed.new_event_loop = lambda: loop  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "uvloop", installed)
    assert new_event_loop() is loop
    loop.close()
