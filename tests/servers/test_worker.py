"""Granian's worker inside this process. These tests fail first when Granian changes under our feet."""

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
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from quaff._internal.threads import worker_threads
from quaff.servers.settings import Address, ServeSettings
from quaff.servers.sockets import listen
from quaff.servers.worker import RunningWorker, quieten_granian, start_rsgi_worker, start_worker
from quaff.servers.wsgi import Environ, build_runner
from tests.servers.process import PATIENCE, Answer, UnixConnection, ask, in_background


def echo(environ: Environ, start_response: Any) -> Iterable[bytes]:
    """Answer with the method, the path and the body."""
    body = environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Type", "text/plain"), ("X-Path", environ["PATH_INFO"])])
    return [environ["REQUEST_METHOD"].encode(), b" ", body]


@contextmanager
def serving(app: Any = echo, **values: Any) -> Iterator[tuple[RunningWorker, int]]:
    """Serve *app*, and stop it in the end."""
    settings = ServeSettings(bind=Address("127.0.0.1", 0), workers=1, **values)
    with listen(settings.bind) as listener:
        worker = start_worker(build_runner(app), listener, settings)
        try:
            yield worker, listener.getsockname()[1]
        finally:
            worker.stop(PATIENCE)


def get(port: int, path: str = "/", **options: Any) -> Answer:
    """Ask once."""
    return ask(http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE), path, **options)


def test_requests_are_answered() -> None:
    """Method, path, body, status and headers go through."""
    with serving() as (_, port):
        answer = get(port, "/a%20b", method="POST", body=b"data")
    assert (answer.status, answer.body, answer.headers["x-path"]) == (200, b"POST data", "/a b")
    assert answer.headers["content-length"] == "9"


def test_several_requests_run_at_once() -> None:
    """As many requests run at the same time as there are threads."""
    together = threading.Barrier(3, timeout=PATIENCE)

    def app(environ: Environ, start_response: Any) -> list[bytes]:
        together.wait()
        start_response("200 OK", [])
        return [b"met"]

    with serving(app, threads=3) as (_, port):
        with in_background(lambda: get(port)) as one, in_background(lambda: get(port)) as two:
            three = get(port)
        answers = [one.get_nowait(), two.get_nowait(), three]
    assert [answer.body for answer in answers if isinstance(answer, Answer)] == [b"met"] * 3


def test_an_error_is_a_500_without_details(caplog: pytest.LogCaptureFixture) -> None:
    """An exception that leaves the app reaches the log with its traceback, and the client without."""

    def app(environ: Environ, start_response: Any) -> list[bytes]:
        raise ValueError("a detail")

    with serving(app) as (_, port), caplog.at_level(logging.ERROR, "_granian"):
        answer = get(port)
        time.sleep(0.05)
    assert answer.status == 500
    assert b"detail" not in answer.body
    assert any(record.exc_info or "detail" in record.getMessage() for record in caplog.records)


def test_stopping_lets_requests_finish() -> None:
    """A request that runs when the worker is stopped gets its answer; new connections are not taken."""
    entered, leave = threading.Event(), threading.Event()

    def app(environ: Environ, start_response: Any) -> list[bytes]:
        entered.set()
        leave.wait(PATIENCE)
        start_response("200 OK", [])
        return [b"finished"]

    with serving(app) as (worker, port):
        with in_background(lambda: get(port)) as result:
            assert entered.wait(PATIENCE)
            assert worker.stop(0.05) is False
            assert not worker.drained
            leave.set()
            assert worker.stop(PATIENCE) is True
        answer = result.get_nowait()
    assert isinstance(answer, Answer)
    assert answer.body == b"finished"


def test_stopping_twice_is_harmless() -> None:
    """The second order to stop neither blocks nor fails, also from a signal handler."""
    with serving() as (worker, _):
        assert worker.stop(PATIENCE) is True
        assert worker.stop(0) is True
        assert worker.wait(0) is True


def test_waiting_has_a_limit() -> None:
    """A worker that was not told to stop goes on."""
    with serving() as (worker, port):
        assert worker.wait(0.01) is False
        assert get(port).status == 200


def test_the_listener_stays_the_callers() -> None:
    """When a worker stops, the socket stays open: the next worker takes the connections that wait there."""
    settings = ServeSettings(bind=Address("127.0.0.1", 0), workers=1)
    with listen(settings.bind) as listener:
        port = listener.getsockname()[1]
        start_worker(build_runner(echo), listener, settings).stop(PATIENCE)
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as early:
            early.sendall(b"GET /early HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            second = start_worker(build_runner(echo), listener, settings, number=2)
            assert early.recv(12) == b"HTTP/1.1 200"
        second.stop(PATIENCE)


@pytest.mark.parametrize("size,status", [(7000, 200), (20_000, 431)])
def test_headers_have_a_limit(size: int, status: int) -> None:
    """A block of headers beyond the limit is refused with 431, one below is not."""
    with serving(header_limit=8192) as (_, port):
        assert get(port, headers={"X-Long": "a" * size}).status == status


def test_silent_connections_are_closed() -> None:
    """A client that connects and says nothing is hung up on when its time is over."""
    with serving(header_timeout=0.3) as (_, port):
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as silent:
            began = time.monotonic()
            silent.recv(1024)
            assert time.monotonic() - began < PATIENCE / 2


@pytest.mark.skipif(sys.platform != "linux", reason="needs epoll")
def test_turning_away_leaves_connections_to_others() -> None:
    """A worker that turns away goes on with the connections it has; new ones are the other workers'."""
    settings = ServeSettings(bind=Address("127.0.0.1", 0), workers=2)

    def named(name: bytes) -> Any:
        def app(environ: Environ, start_response: Any) -> list[bytes]:
            start_response("200 OK", [])
            return [name]

        return app

    with listen(settings.bind) as listener:
        port = listener.getsockname()[1]
        old = start_worker(build_runner(named(b"old")), listener, settings)
        kept = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        kept.request("GET", "/")
        assert kept.getresponse().read() == b"old"
        old.turn_away()
        with socket.create_connection(("127.0.0.1", port), timeout=0.3) as waiting, pytest.raises(TimeoutError):
            waiting.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            waiting.recv(1)
        kept.request("GET", "/")
        assert kept.getresponse().read() == b"old"
        new = start_worker(build_runner(named(b"new")), listener, settings, number=2)
        assert {get(port).body for _ in range(10)} == {b"new"}
        kept.close()
        assert old.stop(PATIENCE)
        assert new.stop(PATIENCE)


def test_starting_a_worker_does_not_block_the_others() -> None:
    """The listener stays non-blocking for all that share it, whatever happens to its copies."""
    settings = ServeSettings(bind=Address("127.0.0.1", 0), workers=1)
    with listen(settings.bind) as listener:
        assert not os.get_blocking(listener.fileno())
        for number in (1, 2):
            worker = start_worker(build_runner(echo), listener, settings, number=number)
            assert not os.get_blocking(listener.fileno())
            assert worker.stop(PATIENCE)
        assert not os.get_blocking(listener.fileno())


def test_half_a_request_line_is_closed() -> None:
    """A client that begins and never ends its headers is hung up on as well."""
    with serving(header_timeout=0.3) as (_, port):
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as slow:
            slow.sendall(b"GET / HTTP/1.1\r\nX-A")
            while slow.recv(1024):
                pass


def test_cleartext_is_http_1_only() -> None:
    """HTTP/2 with prior knowledge is refused on a connection without TLS."""
    with serving() as (_, port), socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as client:
        client.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0")
        answer = client.recv(1024)
    # A server that speaks HTTP/2 would begin with a SETTINGS frame, whose length is in the first three bytes.
    assert answer == b"" or answer.startswith(b"HTTP/1.1 4")


def test_a_unix_socket_is_served(tmp_path: Path) -> None:
    """A worker serves a unix socket as it serves a port."""
    path = tmp_path / "app.sock"
    settings = ServeSettings(bind=Address(path=str(path)), workers=1)
    with listen(settings.bind) as listener:
        worker = start_worker(build_runner(echo), listener, settings)
        assert ask(UnixConnection(path), "/unix").headers["x-path"] == "/unix"
        assert worker.stop(PATIENCE)


def test_head_and_empty_answers_are_sound() -> None:
    """HEAD has the length of what GET would send and no body; a 204 has neither."""

    def app(environ: Environ, start_response: Any) -> list[bytes]:
        if environ["PATH_INFO"] == "/empty":
            start_response("204 NO CONTENT", [])
            return []
        start_response("200 OK", [("Content-Length", "5")])
        return [b"hello"] if environ["REQUEST_METHOD"] == "GET" else []

    with serving(app) as (_, port):
        assert get(port).body == b"hello"
        head = get(port, method="HEAD")
        assert (head.body, head.headers.get("content-length")) == (b"", "5")
        empty = get(port, "/empty")
    assert (empty.status, empty.body) == (204, b"")


def test_a_stream_arrives_piece_by_piece() -> None:
    """A piece is sent when it is made, not when the last one is."""
    go_on = threading.Event()

    def app(environ: Environ, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        yield b"first"
        go_on.wait(PATIENCE)
        yield b"second"

    with serving(app) as (_, port):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        connection.request("GET", "/")
        response = connection.getresponse()
        assert response.read(5) == b"first"
        go_on.set()
        assert response.read() == b"second"
        connection.close()


def test_granian_speaks_only_of_failures() -> None:
    """Granian's own messages of starting and stopping stay out of the log, unless a program wants them."""
    logger = logging.getLogger("_granian")
    level = logger.level
    try:
        logger.setLevel(logging.NOTSET)
        quieten_granian()
        assert logger.level == logging.WARNING
        logger.setLevel(logging.DEBUG)
        quieten_granian()
        assert logger.level == logging.DEBUG
    finally:
        logger.setLevel(level)


def test_the_server_header_can_be_the_apps() -> None:
    """Granian adds its name where the app has none, and leaves the app's alone."""

    def app(environ: Environ, start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Server", "mine")] if environ["PATH_INFO"] == "/mine" else [])
        return []

    with serving(app) as (_, port):
        assert get(port, "/mine").headers["server"] == "mine"
        assert get(port).headers["server"] == "granian"


def test_a_signal_handler_may_stop_the_worker_at_any_moment() -> None:
    """Stopping from a handler that interrupts a wait never blocks, however often it happens."""
    with serving() as (worker, _):
        stopped: list[bool] = []

        def handler(number: int, frame: object) -> None:
            stopped.append(worker.stop(0))

        previous = signal.signal(signal.SIGALRM, handler)
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.05, 0.0005)
            end = time.monotonic() + PATIENCE
            while len(stopped) < 50 and time.monotonic() < end:
                worker.wait(0.0001)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, previous)
        assert len(stopped) >= 50
        assert worker.wait(PATIENCE)


def test_ctrl_c_during_a_wait_leaves_the_worker_usable() -> None:
    """A KeyboardInterrupt may arrive anywhere inside of a wait; later waits work."""
    with serving() as (worker, _):

        def interrupt(number: int, frame: object) -> None:
            raise KeyboardInterrupt

        previous = signal.signal(signal.SIGALRM, interrupt)
        try:
            for delay in (0.001, 0.0005, 0.0002, 0.0001) * 10:
                with pytest.raises(KeyboardInterrupt):
                    signal.setitimer(signal.ITIMER_REAL, delay)
                    worker.wait()
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, previous)
        assert worker.wait(0) is False
        assert worker.stop(PATIENCE) is True


# RSGI -----------------------------------------------------------------------------------------------------------------


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
