"""How a WebSocket lives on while nothing is said, and that nothing of it is left afterwards."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import socket
import sys
import threading
from contextlib import ExitStack

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from quaff import Quaff, websocket
from quaff.servers.http1.service import Service
from quaff.servers.http1.websocket import WebSocketConnection
from quaff.servers.settings import ServeSettings
from tests.protocols.harness import Served, read_all, until
from tests.protocols.test_websockets import client, frame, shake_hands
from tests.servers.http1.conftest import Serve as ServeOnALoop
from tests.servers.http1.talking import Handler, Serve, add_echo, closing, read_exactly, receive_all
from tests.servers.process import PATIENCE


@pytest.fixture
def serve(serve: ServeOnALoop) -> Serve:
    """Give what serves an app until the end of the test, on either loop."""
    return lambda app: Served("http1", serve(app).port)


@pytest.fixture
def app() -> Quaff:
    """Give an app that says what it is sent."""
    return add_echo(Quaff("http1", static_folder=None))


# Pings ----------------------------------------------------------------------------------------------------------------


def test_a_silent_client_is_pinged(app: Quaff, serve: Serve) -> None:
    """After 20 seconds without a word, for as long as it answers; 20 seconds without an answer later it is cut off."""

    async def talk(handler: Handler) -> None:
        while True:
            await websocket.send(await websocket.receive())

    handler = Handler(app, talk)
    with shake_hands(serve(app), "/") as bare:
        for _ in range(3):
            handler.tick(19)
            handler.tick(20)
            assert read_exactly(bare, 2) == b"\x89\x00"
            handler.tick(39)
            bare.sendall(frame(0x8A) + frame(0x81, b"here"))
            assert read_exactly(bare, 6) == b"\x81\x04here"
        handler.tick(20)
        handler.tick(40)
        with contextlib.suppress(ConnectionResetError):
            assert read_all(bare) == b"\x89\x00"
    assert handler.end() == (1006, "")


def test_pongs_in_the_middle_of_a_message(app: Quaff, serve: Serve) -> None:
    """A client that sends a long message in fragments is pinged and answers between them."""
    handler = Handler(app, receive_all)
    with shake_hands(serve(app), "/") as bare:
        bare.sendall(frame(0x01, b"a"))
        until(lambda: handler.connection._engine)
        handler.tick(20)
        assert read_exactly(bare, 2) == b"\x89\x00"
        bare.sendall(frame(0x8A) + frame(0x89, b"p"))
        assert read_exactly(bare, 3) == b"\x8a\x01p"
        handler.tick(20)
        assert read_exactly(bare, 2) == b"\x89\x00"
        bare.sendall(frame(0x8A) + frame(0x80, b"b") + closing(1000))
        assert handler.result() == ["ab"]


@pytest.mark.parametrize("interval", [None, 3, 0.5])
def test_the_interval(app: Quaff, serve: Serve, interval: float | None) -> None:
    """`WEBSOCKET_PING_INTERVAL` says how long; with None nobody is pinged."""
    app.config["WEBSOCKET_PING_INTERVAL"] = interval
    handler = Handler(app, receive_all)
    with shake_hands(serve(app), "/") as bare:
        until(lambda: hasattr(handler, "connection"))
        if interval is None:
            handler.tick(100_000)
            handler.tick(200_000)
            bare.sendall(frame(0x89, b"alive"))
            assert read_exactly(bare, 7) == b"\x8a\x05alive"
        else:
            handler.tick(round(interval + 0.5))
            assert read_exactly(bare, 2) == b"\x89\x00"
        bare.sendall(closing(1000))
        assert handler.result() == []


@pytest.mark.parametrize("interval", [0, -1, True, "20", float("nan")])
def test_an_interval_that_is_none(app: Quaff, serve: Serve, interval: object) -> None:
    """The worker does not start with it, and the error says what would do."""
    app.config["WEBSOCKET_PING_INTERVAL"] = interval
    with pytest.raises(ValueError, match=r"WEBSOCKET_PING_INTERVAL.* above 0, or None"):
        serve(app)

    async def make() -> Service:
        return Service(app, ServeSettings(workers=1))

    with pytest.raises(ValueError, match=r"WEBSOCKET_PING_INTERVAL"):
        asyncio.run(make())


# Nothing is left over -------------------------------------------------------------------------------------------------


def connections() -> int:
    """Return how many connections are in memory, whether somebody looks after them or not."""
    return sum(type(thing) is WebSocketConnection for thing in gc.get_objects())


def end_somehow(served: Served) -> None:
    """Let connections end in every way."""
    with client(served, "/echo") as polite:
        polite.send("a")
        assert polite.recv(timeout=PATIENCE) == "a"
    for data in (
        frame(0x81, b"\xff"),
        frame(0x83),
        closing(4000),
        frame(0x01, b"half"),
        frame(0x81, b"half")[:-1],
        b"",
    ):
        with shake_hands(served, "/echo") as bare:
            bare.sendall(data)
    for path in ("/fail", "/close"):
        with contextlib.suppress(InvalidStatus, ConnectionClosed), client(served, path) as connection:
            connection.recv(timeout=PATIENCE)


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_nothing_is_left(app: Quaff, serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    """However connections end, no task, thread, descriptor or object stays, and no collector is needed for that."""

    @app.websocket("/fail")
    async def fail() -> None:
        await websocket.accept()
        raise LookupError("kept by nobody")

    @app.websocket("/close")
    async def close() -> None:
        await websocket.accept()
        await websocket.close(4000)

    # Who keeps the error of a handler keeps its frames, and what they know.
    caplog.set_level(logging.CRITICAL)
    gc.collect()
    others = connections()
    handler = Handler(app, receive_all)
    served = serve(app)
    shake_hands(served, "/").close()
    service = handler.connection._service
    until(lambda: service.count == 0)
    del handler.connection

    def left() -> tuple[int, int, int, int]:
        tasks = asyncio.run_coroutine_threadsafe(count_tasks(), service.loop).result(PATIENCE)
        threads = [thread for thread in threading.enumerate() if not thread.name.startswith("quaff-worker-")]
        return connections() - others, tasks, len(threads), len(os.listdir("/proc/self/fd"))

    async def count_tasks() -> int:
        return len(asyncio.all_tasks())

    end_somehow(served)
    until(lambda: service.count == 0 and left()[0] == 0)
    before = left()
    gc.disable()
    try:
        for _ in range(3):
            end_somehow(served)
        until(lambda: service.count == 0 and left() == before)
    finally:
        gc.enable()
    assert before[0] == 0


def test_a_connection_that_has_ended_drops_its_engine(app: Quaff, serve: Serve) -> None:
    """Whoever keeps the connection keeps no reader with its buffers."""

    async def talk(handler: Handler) -> list[str | bytes]:
        await websocket.accept()
        found = await receive_all(handler)
        await handler.go.wait()
        return found

    handler = Handler(app, talk)
    with shake_hands(serve(app), "/") as bare:
        bare.sendall(frame(0x01, b"a") + frame(0x80, b"b"))
        assert until(lambda: handler.connection._engine) is not None
        bare.sendall(closing(1000))
        read_all(bare)
    until(lambda: handler.connection._engine is None)
    handler.let_go()
    assert handler.result() == ["ab"]


def test_an_idle_connection_is_cheap(app: Quaff, serve: Serve) -> None:
    """The collector has few objects of each to look at, no matter what was said before."""
    served = serve(app)

    def idle() -> socket.socket:
        bare = shake_hands(served, "/echo")
        bare.sendall(frame(0x81, b"a"))
        assert read_exactly(bare, 3) == b"\x81\x01a"
        return bare

    with ExitStack() as stack:
        stack.enter_context(idle())
        gc.collect()
        before = len(gc.get_objects())
        for _ in range(50):
            stack.enter_context(idle())
        gc.collect()
        each = (len(gc.get_objects()) - before) / 50
    assert each <= 60, each
