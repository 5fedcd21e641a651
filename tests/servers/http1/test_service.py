"""What the connections of a worker share: one log line per request, and an orderly end."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest

from quaff import EventStream, Quaff, Response
from tests.protocols.harness import until
from tests.servers.http1.conftest import Serve
from tests.servers.http1.serving import Line, run
from tests.servers.process import PATIENCE

GET = "GET /{} HTTP/1.1\nHost: a\n\n"


def add_views(app: Quaff) -> tuple[threading.Event, threading.Event]:
    """Give *app* views that wait, and return what tells that one has begun, and what lets the sync one go on."""
    began, leave = threading.Event(), threading.Event()

    @app.get("/hello")
    async def hello() -> str:
        return "hello"

    @app.get("/wait")
    def wait() -> str:
        began.set()
        leave.wait(PATIENCE)
        return "waited"

    @app.get("/forever")
    async def forever() -> str:
        began.set()
        await asyncio.Event().wait()
        return ""

    @app.get("/half")
    async def half() -> AsyncIterator[str]:
        yield "half"
        began.set()
        await asyncio.Event().wait()

    @app.get("/events")
    async def events() -> Response:
        async def endless() -> AsyncIterator[str]:
            yield "first"
            began.set()
            await asyncio.Event().wait()

        return EventStream(endless())

    @app.get("/large")
    async def large() -> bytes:
        began.set()
        return b"x" * 20_000_000

    return began, leave


# The log ---------------------------------------------------------------------------------------------------------------


def test_each_request_is_logged_once(app: Quaff, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """With its path, the status that was sent, and how long it took."""
    add_views(app)

    @app.get("/error")
    async def error() -> str:
        raise ValueError("a detail")

    @app.get("/streamed")
    async def streamed() -> AsyncIterator[str]:
        yield "a"

    lines: list[tuple[str, int]] = []

    def log(environ: dict[str, Any], status: int, seconds: float) -> None:
        assert 0 <= seconds < PATIENCE
        assert environ["REMOTE_ADDR"] == "127.0.0.1"
        lines.append((environ["PATH_INFO"], status))

    paths = {"/hello": 200, "/nowhere": 404, "/error": 500, "/streamed": 200}
    monkeypatch.setattr(app.logger, "disabled", True)
    with serve(app, log=log).send("".join(GET.format(path[1:]) for path in paths)) as client:
        assert [client.answer().status for _ in paths] == list(paths.values())
    until(lambda: len(lines) == len(paths))
    assert lines == list(paths.items())


def test_what_goes_wrong_in_the_server_is_a_500(app: Quaff, serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    """Without details, with one traceback in the log, and the connection is closed."""
    statuses: list[int] = []

    @app.get("/")
    async def index() -> Response:
        response = Response("words")
        response.headers["Content-Length"] = "4"
        return response

    with serve(app, log=lambda environ, status, seconds: statuses.append(status)).send(GET.format("")) as client:
        answer = client.answer()
        assert (answer.status, answer.headers["connection"]) == (500, "close")
        assert b"Length" not in answer.body
        assert client.rest() == b""
    (record,) = [record for record in caplog.records if record.name == "quaff.serve"]
    assert record.levelno == logging.ERROR
    assert record.exc_info
    until(lambda: statuses)
    assert statuses == [500]


# The end ---------------------------------------------------------------------------------------------------------------


def test_running_requests_finish(app: Quaff, serve: Serve) -> None:
    """The answer arrives, says that it is the last, and the connection is closed; what was pipelined is not begun."""
    began, leave = add_views(app)
    statuses: list[str] = []
    server = serve(app, log=lambda environ, status, seconds: statuses.append(environ["PATH_INFO"]))
    with server.send(GET.format("wait") + GET.format("hello")) as client:
        assert began.wait(PATIENCE)
        assert server.worker.stop(0) is False
        until(lambda: server.service.is_stopping)
        leave.set()
        answer = client.answer()
        assert (answer.text, answer.headers["connection"]) == ("waited", "close")
        assert client.rest() == b""
    assert server.worker.stop(PATIENCE)
    assert statuses == ["/wait"]


@pytest.mark.parametrize("begun", ["", "GET /hello HT", GET.format("hello")])
def test_idle_connections_are_closed_at_once(
    app: Quaff, serve: Serve, begun: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """New ones, such with half a head, and such that have got their answer."""
    # Nobody is given up in this test.
    monkeypatch.setattr("quaff.servers.http1.service._FAREWELL", 10 * PATIENCE)
    add_views(app)
    server = serve(app)
    with server.send(begun) as client:
        if begun.endswith("\n"):
            assert client.answer().text == "hello"
        until(lambda: server.service.count)
        assert server.worker.stop(PATIENCE)
        assert client.rest() == b""


def test_event_streams_end_at_once(app: Quaff, serve: Serve) -> None:
    """They would never end by themselves. The last chunk is sent, so that the client knows that nothing is missing."""
    began, _ = add_views(app)
    server = serve(app)
    with server.send(GET.format("events")) as client:
        response = client.begin()
        assert began.wait(PATIENCE)
        assert server.worker.stop(PATIENCE)
        assert b"first" in response.read()
        assert client.rest() == b""


@pytest.mark.parametrize("path,status", [("forever", 503), ("half", 200)])
def test_requests_over_their_time_are_cancelled(app: Quaff, serve: Serve, path: str, status: int) -> None:
    """With a 503 where nothing was sent; a half answer ends without its last chunk, so that nobody takes it for whole."""
    began, _ = add_views(app)
    lines: list[int] = []
    server = serve(app, graceful_timeout=0.1, log=lambda environ, status, seconds: lines.append(status))
    with server.send(GET.format(path)) as client:
        assert began.wait(PATIENCE)
        assert server.worker.stop(PATIENCE)
        sent = client.rest()
        assert sent.startswith(b"HTTP/1.1 %d " % status)
        assert not sent.endswith(b"0\r\n\r\n")
    assert lines == [status]


def test_a_client_that_does_not_take_its_last_bytes_is_given_up(app: Quaff, serve: Serve) -> None:
    """The worker stops all the same."""
    began, _ = add_views(app)
    server = serve(app, graceful_timeout=0.1)
    with server.send(GET.format("large")) as client:
        assert began.wait(PATIENCE)
        assert server.worker.stop(PATIENCE)
        assert len(client.rest()) < 20_000_000


def test_a_worker_that_is_turned_away_from_serves_whom_it_has(app: Quaff, serve: Serve) -> None:
    """New connections wait for another worker; the ones that there are go on, and the next requests on them, too."""
    add_views(app)
    server = serve(app)
    with server.send(GET.format("hello")) as kept:
        assert kept.answer().text == "hello"
        server.worker.turn_away()
        until(lambda: server.acceptor._is_stopped)
        with server.send(GET.format("hello")) as waiting:
            for _ in range(3):
                answer = kept.send(GET.format("hello")).answer()
                assert (answer.text, answer.headers.get("connection")) == ("hello", None)
            assert server.service.count == 1
            waiting.socket.setblocking(False)
            with pytest.raises(BlockingIOError):
                waiting.socket.recv(1)


def test_nothing_is_left_of_a_service(app: Quaff) -> None:
    """Neither connections nor tasks nor a timer: requests of each kind were under way."""
    add_views(app)

    async def test() -> None:
        line = Line(app)
        others = [Line(app, line.service) for _ in range(4)]
        for other, path in zip(others, ("forever", "half", "events", "hello"), strict=True):
            other.feed(GET.format(path))
        await line.settle()
        assert len(line.service._tasks) == 3
        before = asyncio.all_tasks()
        await line.service.finish(0)
        assert line.service.count == 0
        assert not line.service._tasks
        assert asyncio.all_tasks() < before
        assert line.service._timer is None or line.service._timer.cancelled()
        assert all(wire.ended for wire in [line.wire, *[other.wire for other in others]])

    run(test)


def test_a_cancellation_that_is_no_stop_is_no_answer(app: Quaff) -> None:
    """An app that cancels its own task gets a 500 to the client and the connection closed, and no other harm."""

    @app.get("/")
    async def index() -> str:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(0)
        return ""

    async def test() -> None:
        line = Line(app)
        line.feed(GET.format(""))
        assert (await line.settle()).startswith(b"HTTP/1.1 500 ")
        assert line.wire.ended == "close"
        assert not line.service._tasks

    run(test)
