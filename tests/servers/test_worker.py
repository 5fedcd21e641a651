"""Granian's worker inside this process. These tests fail first when Granian changes under our feet."""

from __future__ import annotations

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

from quaff.servers.settings import Address, ServeSettings
from quaff.servers.sockets import listen
from quaff.servers.worker import Once, RunningWorker, quieten_granian, start_worker
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


# The handle of a worker, whatever serves --------------------------------------------------------------------------------


def test_what_happens_once() -> None:
    """It can be waited for, with a limit or without, by anybody and as often as they like."""
    once = Once()
    assert not once.has_happened()
    assert once.wait(0) is False
    assert once.wait(0.01) is False
    timer = threading.Timer(0.02, once.happen)
    timer.start()
    assert once.wait(None) is True
    timer.join()
    assert once.has_happened()
    assert once.wait(0) is once.wait(None) is True


def test_a_worker_passes_its_orders_on() -> None:
    """To whatever serves: turning away as often as one likes, but not after the stop, which is ordered once."""
    orders: list[str] = []
    drained = Once()
    worker = RunningWorker(lambda: orders.append("stop"), drained, lambda: orders.append("turn away"))
    worker.turn_away()
    worker.turn_away()
    assert worker.stop(0) is False
    worker.turn_away()
    assert worker.stop(0) is False
    assert orders == ["turn away", "turn away", "stop"]
    assert not worker.drained
    drained.happen()
    assert worker.drained
    assert worker.stop(PATIENCE) is True


def test_what_is_left_to_do_is_done_once_by_whoever_waits() -> None:
    """Not before everything is answered, and not a second time."""
    drained = Once()
    worker = RunningWorker(drained.happen, drained, lambda: None)
    done: list[str] = []
    worker.when_drained = lambda: done.append("done")
    assert worker.wait(0.01) is False
    assert done == []
    assert worker.stop() is True
    assert worker.wait() is worker.wait(0) is True
    assert done == ["done"]
