"""Granian's RSGI worker inside this process, with its event loop. These fail first when Granian changes, too."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from quaff._internal.threads import worker_threads
from quaff.servers.settings import Address, ServeSettings
from quaff.servers.sockets import listen
from quaff.servers.worker import RunningWorker, start_rsgi_worker
from tests.servers.process import PATIENCE, Answer, UnixConnection, ask, in_background


def get(port: int, path: str = "/", **options: Any) -> Answer:
    """Ask once."""
    return ask(http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE), path, **options)


class Application:
    """A small RSGI application: it answers by the path, and notes when it starts, answers and shuts down."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.entered = threading.Event()
        self.leave = asyncio.Event()

    def let_go(self) -> None:
        """Allow what waits for the test; from the thread of the test."""
        self.loop.call_soon_threadsafe(self.leave.set)

    async def startup(self) -> None:
        """Note it."""
        self.loop = asyncio.get_running_loop()
        self.events.append("startup")

    async def shutdown(self) -> None:
        """Note it."""
        self.events.append("shutdown")

    async def __rsgi__(self, scope: Any, protocol: Any) -> None:
        if scope.proto == "ws":
            await self.chat(protocol)
            return
        handler = getattr(self, scope.path.removeprefix("/"), self.echo)
        await handler(scope, protocol)
        self.events.append(scope.path)

    async def echo(self, scope: Any, protocol: Any) -> None:
        """Answer with method, thread and body."""
        body = await protocol()
        words = f"{scope.method} {threading.current_thread().name} ".encode()
        protocol.response_bytes(200, [("x-path", scope.path)], words + body)

    async def fail(self, scope: Any, protocol: Any) -> None:
        """Raise."""
        raise ValueError("a detail")

    async def wait(self, scope: Any, protocol: Any) -> None:
        """Answer once the test allows it."""
        self.entered.set()
        await self.leave.wait()
        protocol.response_str(200, [], "finished")

    async def tidy(self, scope: Any, protocol: Any) -> None:
        """Answer at once, and go on for a while."""
        protocol.response_str(200, [], "tidying")
        self.entered.set()
        await self.leave.wait()

    async def stream(self, scope: Any, protocol: Any) -> None:
        """Send a second piece once the test allows it."""
        transport = protocol.response_stream(200, [("content-type", "text/plain")])
        await transport.send_bytes(b"first")
        await self.leave.wait()
        await transport.send_str("second")

    async def forever(self, scope: Any, protocol: Any) -> None:
        """Stream until cancelled."""
        transport = protocol.response_stream(200, [])
        try:
            while True:
                await transport.send_bytes(b".")
                self.entered.set()
                await asyncio.sleep(0.01)
        finally:
            self.events.append("cancelled")

    async def chat(self, protocol: Any) -> None:
        """Echo what arrives over a WebSocket."""
        transport = await protocol.accept()
        try:
            while True:
                message = await transport.receive()
                await transport.send_str(f"you said {message.data}")
        finally:
            self.events.append("hung up")


@contextmanager
def serving_rsgi(application: Any, **values: Any) -> Iterator[tuple[RunningWorker, int]]:
    """Serve *application* over RSGI, and stop it in the end."""
    settings = ServeSettings(bind=Address("127.0.0.1", 0), workers=1, **values)
    with listen(settings.bind) as listener:
        worker = start_rsgi_worker(application, listener, settings)
        try:
            yield worker, listener.getsockname()[1]
        finally:
            worker.stop(PATIENCE)


def loop_threads() -> list[threading.Thread]:
    """Return the threads of event loops that run; one that is just ending is waited for."""
    for thread in threading.enumerate():
        if thread.name == "quaff-loop":
            thread.join(0.5)
    return [thread for thread in threading.enumerate() if thread.name == "quaff-loop"]


def open_descriptors() -> int:
    """Return how many files and sockets this process has open, once the number rests: Granian clears up behind our back."""
    counts: list[int] = []
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and (len(counts) < 10 or len(set(counts[-10:])) > 1):
        counts.append(len(os.listdir("/proc/self/fd")))
        time.sleep(0.02)
    return counts[-1]


def test_rsgi_requests_are_answered() -> None:
    """Method, path, body, status and headers go through; the app runs in the thread of the loop."""
    with serving_rsgi(Application()) as (_, port):
        answer = get(port, "/a%20b", method="POST", body=b"data")
    assert (answer.status, answer.body, answer.headers["x-path"]) == (200, b"POST quaff-loop data", "/a b")


def test_many_rsgi_requests_wait_at_once() -> None:
    """However few threads there are, requests that wait do not keep others from being answered."""
    application = Application()
    with serving_rsgi(application, threads=1) as (_, port), contextlib.ExitStack() as stack:
        waiting = [stack.enter_context(in_background(lambda: get(port, "/wait"))) for _ in range(20)]
        assert application.entered.wait(PATIENCE)
        assert get(port).status == 200
        application.let_go()
        answers = [result.get(timeout=PATIENCE) for result in waiting]
    assert [answer.text for answer in answers if isinstance(answer, Answer)] == ["finished"] * 20


def test_threads_beside_the_loop_are_as_many_as_were_asked_for() -> None:
    """Sync code of an app on a loop runs in worker threads, within the limit of the settings."""
    limit = worker_threads.limit
    try:
        with serving_rsgi(Application(), threads=7):
            assert worker_threads.limit == 7
    finally:
        worker_threads.limit = limit


def test_an_rsgi_error_is_a_500_without_details(caplog: pytest.LogCaptureFixture) -> None:
    """An exception that leaves the app reaches the log with its traceback, and the client without."""
    with serving_rsgi(Application()) as (_, port), caplog.at_level(logging.ERROR, "_granian"):
        answer = get(port, "/fail")
        time.sleep(0.05)
    assert answer.status == 500
    assert b"detail" not in answer.body
    assert any(record.exc_info or "detail" in record.getMessage() for record in caplog.records)


def test_an_rsgi_stream_arrives_piece_by_piece() -> None:
    """A piece is sent when it is made, not when the last one is."""
    application = Application()
    with serving_rsgi(application) as (_, port):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        connection.request("GET", "/stream")
        response = connection.getresponse()
        assert response.read(5) == b"first"
        application.let_go()
        assert response.read() == b"second"
        connection.close()


def test_an_rsgi_worker_serves_a_unix_socket(tmp_path: Path) -> None:
    """A worker with a loop serves a unix socket as it serves a port."""
    path = tmp_path / "app.sock"
    settings = ServeSettings(bind=Address(path=str(path)), workers=1)
    with listen(settings.bind) as listener:
        worker = start_rsgi_worker(Application(), listener, settings)
        assert ask(UnixConnection(path), "/unix").headers["x-path"] == "/unix"
        assert worker.stop(PATIENCE)


def test_stopping_lets_rsgi_requests_finish() -> None:
    """A request that runs when the worker is stopped gets its answer; only then the app shuts down, once."""
    application = Application()
    with serving_rsgi(application) as (worker, port):
        assert application.events == ["startup"]
        with in_background(lambda: get(port, "/wait")) as result:
            assert application.entered.wait(PATIENCE)
            assert worker.stop(0.1) is False
            assert not worker.drained
            assert application.events == ["startup"]
            application.let_go()
            assert worker.stop(PATIENCE) is True
        answer = result.get_nowait()
    assert isinstance(answer, Answer)
    assert answer.text == "finished"
    assert application.events == ["startup", "/wait", "shutdown"]
    assert loop_threads() == []


def test_what_a_handler_does_after_its_answer_is_waited_for() -> None:
    """Granian counts a request as done when the answer is out; the shutdown waits for the rest of its handler."""
    application = Application()
    with serving_rsgi(application) as (worker, port):
        assert get(port, "/tidy").text == "tidying"
        assert worker.stop(0.1) is False
        assert application.events == ["startup"]
        application.let_go()
        assert worker.stop(PATIENCE) is True
    assert application.events == ["startup", "/tidy", "shutdown"]


def test_an_endless_stream_leaves_time_for_the_shutdown(caplog: pytest.LogCaptureFixture) -> None:
    """When the time for requests is over those that still run are cancelled, without a traceback."""
    application = Application()
    with serving_rsgi(application, graceful_timeout=0.3) as (worker, port):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        connection.request("GET", "/forever")
        response = connection.getresponse()
        assert application.entered.wait(PATIENCE)
        began = time.monotonic()
        assert worker.stop(PATIENCE)
        assert time.monotonic() - began >= 0.25, "it gets its time first"
        response.close()
        connection.close()
    assert application.events == ["startup", "cancelled", "shutdown"]
    assert caplog.records == []


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_an_rsgi_worker_that_fails_to_start_accepts_nothing() -> None:
    """What the startup raises is the caller's; a client that waits meanwhile is served by the next worker."""

    class Broken(Application):
        async def startup(self) -> None:
            raise ValueError("no database")

    settings = ServeSettings(bind=Address("127.0.0.1", 0), workers=1)
    with listen(settings.bind) as listener:
        with socket.create_connection(listener.getsockname(), timeout=PATIENCE) as early:
            early.sendall(b"GET /early HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            before = open_descriptors()
            with pytest.raises(ValueError, match="no database"):
                start_rsgi_worker(Broken(), listener, settings)
            assert loop_threads() == []
            assert open_descriptors() == before
            second = start_rsgi_worker(Application(), listener, settings, number=2)
            assert early.recv(12) == b"HTTP/1.1 200"
        assert second.stop(PATIENCE)


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_nothing_is_left_of_an_rsgi_worker() -> None:
    """After the stop its sockets are closed and its thread is gone; the listener is the caller's and stays open."""
    settings = ServeSettings(bind=Address("127.0.0.1", 0), workers=1)
    with listen(settings.bind) as listener:
        counts = []
        for number in (1, 2, 3):
            worker = start_rsgi_worker(Application(), listener, settings, number=number)
            assert get(listener.getsockname()[1]).status == 200
            assert worker.stop(PATIENCE)
            assert worker.stop(0), "a second order is harmless"
            assert loop_threads() == []
            counts.append(open_descriptors())
        assert counts[0] == counts[1] == counts[2]
        assert listener.fileno() > 0


def test_a_signal_handler_may_stop_an_rsgi_worker_at_any_moment() -> None:
    """Stopping from a handler that interrupts a wait never blocks, however often it happens."""
    with serving_rsgi(Application()) as (worker, _):
        stopped: list[bool] = []
        previous = signal.signal(signal.SIGALRM, lambda *_: stopped.append(worker.stop(0)))
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.02, 0.0005)
            end = time.monotonic() + PATIENCE
            while len(stopped) < 50 and time.monotonic() < end:
                worker.wait(0.0001)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, previous)
        assert worker.wait(PATIENCE)


@pytest.mark.skipif(sys.platform != "linux", reason="needs epoll")
def test_an_rsgi_worker_turns_away_too() -> None:
    """New connections are the other workers' from then on; the ones that it has are served."""
    settings = ServeSettings(bind=Address("127.0.0.1", 0), workers=2)
    with listen(settings.bind) as listener:
        port = listener.getsockname()[1]
        old, new = Application(), Application()
        first = start_rsgi_worker(old, listener, settings)
        kept = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        kept.request("GET", "/kept")
        kept.getresponse().read()
        first.turn_away()
        second = start_rsgi_worker(new, listener, settings, number=2)
        # Whoever polled for the listener at that moment may still take one connection.
        get(port, "/first")
        for _ in range(5):
            get(port, "/new")
        kept.request("GET", "/kept")
        assert kept.getresponse().status == 200
        kept.close()
        assert first.stop(PATIENCE)
        assert second.stop(PATIENCE)
    assert old.events.count("/kept") == 2
    assert new.events.count("/new") == 5


def test_websockets_are_closed_when_the_worker_stops(caplog: pytest.LogCaptureFixture) -> None:
    """They would never end by themselves: each gets a closing frame, its handler ends first, and nothing is logged."""
    application = Application()
    with serving_rsgi(application) as (worker, port):
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as client:
            client.sendall(
                b"GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            )
            with client.makefile("rb") as incoming:
                assert incoming.readline().startswith(b"HTTP/1.1 101 ")
                while incoming.readline().strip():
                    pass
                # RFC: 6455 section 5.2: a final text frame of two bytes, masked with zeros.
                client.sendall(b"\x81\x82\0\0\0\0hi")
                assert incoming.read(2 + len("you said hi")) == b"\x81\x0byou said hi"
                assert worker.stop(0) is False
                assert incoming.read(1) == b"\x88", "a closing frame"
                assert worker.stop(PATIENCE)
    assert application.events == ["startup", "hung up", "shutdown"]
    assert caplog.records == []
