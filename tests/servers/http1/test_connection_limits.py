"""Clients that keep a connection waiting: they have their time, and no more of the server's memory than was meant for them.

No test here waits for a clock: connections learn from their service how late it is, and the tests say that.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Iterator

import pytest

from quaff import Quaff, request
from quaff.servers.http1.connection import _DISCARDED, BODY_SECONDS, LINGER_SECONDS, SEND_SECONDS
from quaff.servers.http1.exchange import BODY_HELD
from tests.protocols.harness import until
from tests.servers.http1.conftest import Serve
from tests.servers.http1.serving import Client, Line, run
from tests.servers.process import PATIENCE

GET = "GET / HTTP/1.1\nHost: a\n\n"


def add_hello(app: Quaff) -> None:
    """Give *app* a view at `/`."""

    @app.route("/", methods=["GET", "POST"])
    async def index() -> str:
        return "hello"


# Time ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("begun", ["", GET])
def test_a_silent_connection_is_closed(app: Quaff, begun: str) -> None:
    """Before the first request and between two, once its time is over and not before; nothing is sent."""
    add_hello(app)

    async def test() -> None:
        line = Line(app, header_timeout=10)
        line.feed(begun)
        await line.settle()
        line.tick(9)
        assert line.wire.ended is None
        line.tick(2)
        assert line.wire.ended == "close"
        assert await line.settle() == b""
        assert line.service.count == 0

    run(test)


def test_an_idle_time_begins_with_the_answer(app: Quaff) -> None:
    """Each answer begins the time anew, however long the view took."""
    gate = asyncio.Event()

    @app.get("/")
    async def index() -> str:
        await gate.wait()
        return "hello"

    async def test() -> None:
        line = Line(app, header_timeout=10)
        line.feed(GET)
        await line.settle()
        line.tick(1000)
        assert line.wire.ended is None, "a view may take as long as it likes"
        gate.set()
        assert (await line.settle()).endswith(b"hello")
        line.tick(9)
        assert line.wire.ended is None
        line.tick(2)
        assert line.wire.ended == "close"

    run(test)


@pytest.mark.parametrize("before", ["", GET])
def test_half_a_head_is_a_408(app: Quaff, before: str) -> None:
    """SECURITY: a client that sends its head byte by byte has the same time as one that says nothing."""
    add_hello(app)

    async def test() -> None:
        line = Line(app, header_timeout=10)
        line.feed(before)
        await line.settle()
        for byte in GET[:9]:
            line.feed(byte)
            line.tick(1)
        assert line.wire.ended is None
        line.tick(2)
        assert (await line.settle()).startswith(b"HTTP/1.1 408 Request Timeout\r\n")
        assert line.wire.ended == "close"

    run(test)


def test_a_short_limit_leaves_time_to_ask(app: Quaff, serve: Serve) -> None:
    """With less than a second, the first client is not hung up on before it could say a word."""
    add_hello(app)
    with serve(app, header_timeout=0.1).send(GET) as client:
        assert client.answer().text == "hello"


def test_a_body_that_stops_coming_ends_the_connection(app: Quaff) -> None:
    """While the app waits for it, each piece has its time; the view hears that the client is gone."""
    heard: list[str] = []

    @app.post("/")
    async def index() -> str:
        try:
            async for chunk in request.stream:
                heard.extend([chunk.decode()])
        except Exception as error:
            heard.append(type(error).__name__)
            raise
        return "all"

    async def test() -> None:
        line = Line(app)
        line.feed("POST / HTTP/1.1\nHost: a\nContent-Length: 2000000\n\n")
        for piece in ("a", "b", "c"):
            await line.settle()
            line.tick(BODY_SECONDS - 1)
            assert line.wire.ended is None
            line.feed(piece)
        await line.settle()
        line.tick(BODY_SECONDS)
        assert line.wire.ended == "abort"
        assert await line.settle() == b""
        assert line.service.count == 0
        assert not line.service._tasks

    run(test)
    assert heard[:3] == ["a", "b", "c"]
    assert heard[3:] in (["ClientDisconnected"], [])


def test_a_view_that_does_not_wait_for_the_body_has_its_time(app: Quaff) -> None:
    """A client that may not send cannot be late."""

    @app.post("/")
    async def index() -> str:
        await asyncio.Event().wait()
        return ""

    async def test() -> None:
        line = Line(app)
        line.feed("POST / HTTP/1.1\nHost: a\nContent-Length: 2000000\n\nab")
        await line.settle()
        line.tick(BODY_SECONDS * 10)
        assert line.wire.ended is None
        line.wire.abort()
        await line.settle()
        assert not line.service._tasks

    run(test)


def test_an_answer_that_is_not_taken_ends_the_connection(app: Quaff) -> None:
    """As long as the client takes some of it, it may be slow; one that takes nothing at all is gone after its time."""
    ended: list[int] = []

    @app.get("/")
    async def index() -> AsyncIterator[bytes]:
        number = 0
        try:
            while True:
                number += 1
                yield b"x" * 1000
        finally:
            ended.append(number)

    async def test() -> None:
        line = Line(app)
        line.wire.waiting = 100_000
        line.connection.pause_writing()
        line.feed(GET)
        await line.settle()
        assert line.connection.is_full
        for _ in range(5):
            line.tick(SEND_SECONDS - 1)
            assert line.wire.ended is None
            line.wire.waiting -= 1
            line.tick(1)
        line.tick(SEND_SECONDS - 1)
        assert line.wire.ended is None
        line.tick(1)
        assert line.wire.ended == "abort"
        await line.settle()
        assert line.service.count == 0

    run(test)
    assert ended == [1], "it made one piece and was then ended"


def test_the_last_bytes_have_their_time_too(app: Quaff) -> None:
    """A connection that is closed and whose client does not take the rest is ended in the end."""
    add_hello(app)

    async def test() -> None:
        line = Line(app, header_timeout=10)
        line.wire.waiting = 50_000
        line.feed("GET / HTTP/1.1\nHost: a\nConnection: close\n\n")
        await line.settle()
        assert line.wire.ended == "close"
        line.tick(9)
        assert line.wire.ended == "close"
        line.tick(2)
        assert line.wire.ended == "abort"
        await line.settle()
        assert line.service.count == 0

    run(test)


def test_time_stands_still_without_connections(app: Quaff) -> None:
    """A worker without clients does not wake up each second."""
    add_hello(app)

    async def test() -> None:
        line = Line(app)
        line.service._look_after_all()
        assert line.service._timer is not None
        line.wire.close()
        await line.settle()
        line.service._timer.cancel()
        line.service._look_after_all()
        assert line.service._timer is None

    run(test)


# Bodies that nobody reads ------------------------------------------------------------------------------------------------


def test_the_small_rest_of_a_body_is_read_and_forgotten(app: Quaff, serve: Serve) -> None:
    """The connection is used again, also when the rest comes long after the answer."""
    add_hello(app)
    with serve(app).send("POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n\n") as client:
        assert client.answer().text == "hello"
        client.send("30d40\n", b"x" * 200_000).send("\n0\n\n")
        assert client.send(GET).answer().text == "hello"


def test_the_large_rest_of_a_body_ends_the_connection(app: Quaff, serve: Serve) -> None:
    """It costs less to connect anew than to send all that. The client is told, and can read that while it sends."""
    add_hello(app)
    with serve(app).send("POST / HTTP/1.1\nHost: a\nContent-Length: 50000000\n\n") as client:
        for _ in range(30):
            client.socket.sendall(b"x" * 100_000)
        answer = client.answer()
        assert (answer.text, answer.headers["connection"]) == ("hello", "close")
        assert client.rest() == b""


def test_a_rest_of_unknown_length_ends_the_connection_when_it_is_large(app: Quaff) -> None:
    """What was sent still arrives: the server says that it is done, reads on for some seconds, and cuts the line then."""
    add_hello(app)

    async def test() -> None:
        line = Line(app, header_timeout=100)
        line.wire.lingers = True
        line.feed("POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n\n")
        assert (await line.settle()).endswith(b"hello")
        line.feed("4c4b40\n", b"x" * (_DISCARDED + 1))
        assert await line.settle() == b"(end)"
        line.feed("", b"x" * 1000)
        line.tick(LINGER_SECONDS)
        assert line.wire.ended is None
        line.tick(1)
        assert line.wire.ended == "abort"

    run(test)


def test_a_rest_that_never_comes_has_its_time(app: Quaff) -> None:
    """A client that neither ends its body nor asks again is idle."""
    add_hello(app)

    async def test() -> None:
        line = Line(app, header_timeout=10)
        line.feed("POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n\n1e8480\nabc")
        assert (await line.settle()).endswith(b"hello")
        for _ in range(9):
            line.feed("d")
            line.tick(1)
        assert line.wire.ended is None
        line.tick(2)
        assert line.wire.ended == "close"
        assert await line.settle() == b""

    run(test)


def test_a_rest_that_is_broken_gets_no_second_answer(app: Quaff) -> None:
    """SECURITY: the client would take it for the answer to its next request."""
    add_hello(app)

    async def test() -> None:
        line = Line(app)
        line.feed("POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n\n5\nhe")
        assert (await line.settle()).endswith(b"hello")
        line.feed("llo\nnonsense\n")
        assert await line.settle() == b""
        assert line.wire.ended == "close"

    run(test)


def test_an_upload_that_nobody_reads_stops(app: Quaff, serve: Serve) -> None:
    """SECURITY: the client has to wait once some of it is held, so that 50 MB are never in memory."""
    app.config["MAX_CONTENT_LENGTH"] = None
    inside = threading.Event()
    leave = asyncio.Event()
    exchanges = []

    @app.post("/")
    async def index() -> str:
        exchanges.append(request.environ["quaff.exchange"])
        inside.set()
        await leave.wait()
        size = 0
        async for chunk in request.stream:
            size += len(chunk)
        return str(size)

    server = serve(app)
    total = 50_000_000
    sent = 0
    with server.send(f"POST / HTTP/1.1\nHost: a\nContent-Length: {total}\n\n") as client:
        assert inside.wait(PATIENCE)
        client.socket.settimeout(0.3)
        with pytest.raises(TimeoutError):
            while sent < total:
                sent += client.socket.send(b"x" * min(100_000, total - sent))
        # The rest of it is in the buffers of the kernel. One read may come on top of what was to be held.
        assert exchanges[0]._chunks_size < BODY_HELD + 2 * 256 * 1024
        client.socket.settimeout(PATIENCE)
        server.service.loop.call_soon_threadsafe(leave.set)
        while sent < total:
            sent += client.socket.send(b"x" * min(100_000, total - sent))
        assert client.answer().text == str(total)
        exchanges.clear()


def test_a_sync_view_reads_an_upload_as_it_comes(app: Quaff, serve: Serve) -> None:
    """From `wsgi.input`, in a worker thread, whole and in order."""

    @app.post("/")
    def index() -> str:
        size, last = 0, 0
        while piece := request.stream.read(10_000):
            assert piece == bytes([last % 251]) * len(piece)
            size += len(piece)
            last += 1
        return str(size)

    body = b"".join(bytes([number % 251]) * 10_000 for number in range(500))
    with serve(app).send(f"POST / HTTP/1.1\nHost: a\nContent-Length: {len(body)}\n\n", body) as client:
        assert client.answer().text == str(len(body))


# Clients that leave --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["async", "sync"])
@pytest.mark.parametrize("length", ["Content-Length: 2000000", "Transfer-Encoding: chunked"])
def test_a_client_that_vanishes_while_it_sends(app: Quaff, serve: Serve, kind: str, length: str) -> None:
    """The view hears of it where it reads; nothing is left of the request."""
    ends: list[str] = []
    began = threading.Event()

    @app.post("/async")
    async def asynchronous() -> str:
        began.set()
        try:
            async for _ in request.stream:
                pass
        except BaseException as error:
            ends.append(type(error).__name__)
            raise
        ends.append("whole")
        return ""

    @app.post("/sync")
    def sync() -> str:
        began.set()
        try:
            request.stream.read()
        except BaseException as error:
            ends.append(type(error).__name__)
            raise
        ends.append("whole")
        return ""

    server = serve(app)
    with server.send(f"POST /{kind} HTTP/1.1\nHost: a\n{length}\n\n", b"5\r\nhello\r\n"):
        assert began.wait(PATIENCE)
    until(lambda: ends)
    assert ends in (["ClientDisconnected"], ["CancelledError"])
    until(lambda: not server.service.count and not server.service._tasks)


def test_a_client_that_vanishes_before_its_body_has_come(app: Quaff, serve: Serve) -> None:
    """No code of the app's runs for it."""
    seen: list[str] = []

    @app.post("/")
    async def index() -> str:
        seen.append("called")
        return ""

    server = serve(app)
    with server.send("POST / HTTP/1.1\nHost: a\nContent-Length: 10\n\nhello"):
        until(lambda: server.service._tasks)
    until(lambda: not server.service.count and not server.service._tasks)
    assert seen == []


def test_an_async_view_is_cancelled_when_the_client_leaves(app: Quaff, serve: Serve) -> None:
    """It need not do work that nobody waits for; the `finally` of the view runs."""
    began, ended = threading.Event(), threading.Event()

    @app.get("/")
    async def index() -> str:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return ""

    server = serve(app)
    with server.send(GET):
        assert began.wait(PATIENCE)
    assert ended.wait(PATIENCE)
    until(lambda: not server.service.count and not server.service._tasks)


def test_a_sync_view_can_ask_whether_the_client_is_there(app: Quaff, serve: Serve) -> None:
    """A thread cannot be cancelled, but it can look."""
    began = threading.Event()
    answers: list[bool] = []

    @app.get("/")
    def index() -> str:
        answers.append(request.is_disconnected)
        began.set()
        until(lambda: request.is_disconnected)
        answers.append(request.is_disconnected)
        return ""

    server = serve(app)
    with server.send(GET):
        assert began.wait(PATIENCE)
    until(lambda: len(answers) == 2)
    assert answers == [False, True]
    until(lambda: not server.service.count and not server.service._tasks)


def shut(client: Client) -> None:
    """Let *client* vanish with a reset, as a program that is killed with data unread does."""
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    client.socket.close()


@pytest.mark.parametrize("kind", ["async", "sync"])
def test_a_producer_waits_for_a_client_that_does_not_read(app: Quaff, serve: Serve, kind: str) -> None:
    """Only as much is made as fits into the buffers, and no more when the client is gone."""
    made: list[int] = [0]
    ended = threading.Event()
    piece = b"x" * 100_000

    @app.get("/async")
    async def asynchronous() -> AsyncIterator[bytes]:
        try:
            while True:
                made[0] += 1
                yield piece
        finally:
            ended.set()

    @app.get("/sync")
    def sync() -> Iterator[bytes]:
        try:
            while True:
                made[0] += 1
                yield piece
        finally:
            ended.set()

    server = serve(app)
    client = server.connect()
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 10_000)
    client.send(f"GET /{kind} HTTP/1.1\nHost: a\n\n")
    (connection,) = until(lambda: list(server.service._connections))
    until(lambda: connection.is_full)
    count = made[0]
    assert count * len(piece) < 20_000_000
    for _ in range(20):
        until(lambda: connection.is_full)
    assert made[0] <= count + 1
    assert not ended.is_set()
    shut(client)
    assert ended.wait(PATIENCE)
    until(lambda: not server.service.count and not server.service._tasks)


def test_a_client_that_is_reset_is_logged_with_its_address(app: Quaff, serve: Serve) -> None:
    """The access log has a line with its address, though the connection has none any more."""
    lines: list[tuple[str, str]] = []
    began = threading.Event()

    @app.get("/")
    async def index() -> str:
        began.set()
        await asyncio.Event().wait()
        return ""

    server = serve(
        app, log=lambda environ, status, seconds: lines.append((environ["REMOTE_ADDR"], environ["PATH_INFO"]))
    )
    client = server.send(GET)
    assert began.wait(PATIENCE)
    shut(client)
    until(lambda: lines)
    assert lines == [("127.0.0.1", "/")]


# Expect: 100-continue ----------------------------------------------------------------------------------------------------

EXPECT = "POST /{} HTTP/{}\nHost: a\nContent-Length: {}\nExpect: 100-continue\n\n"


def add_readers(app: Quaff) -> None:
    """Give *app* views that read their bodies, and one that does not."""

    @app.post("/async")
    async def asynchronous() -> str:
        return str(len(await request.load_body()))

    @app.post("/sync")
    def sync() -> str:
        return str(len(request.get_data()))

    @app.post("/none")
    async def none() -> tuple[str, int]:
        return "too large", 413


@pytest.mark.parametrize("path", ["async", "sync"])
@pytest.mark.parametrize("size", [10, 1_500_000])
def test_a_client_that_asks_may_go_on(app: Quaff, serve: Serve, path: str, size: int) -> None:
    """RFC 9110 section 10.1.1: it hears once that its body is wanted, and then gets its answer."""
    add_readers(app)
    with serve(app).send(EXPECT.format(path, "1.1", size)) as client:
        assert (client.line(), client.line()) == (b"HTTP/1.1 100 Continue\r\n", b"\r\n")
        client.socket.sendall(b"x" * size)
        assert client.answer().text == str(size)
        assert client.send("GET /nowhere HTTP/1.1\nHost: a\n\n").answer().status == 404


def test_a_body_that_nobody_reads_is_not_asked_for(app: Quaff, serve: Serve) -> None:
    """The answer comes at once, and the client never sends it."""
    add_readers(app)
    with serve(app).send(EXPECT.format("none", "1.1", 1_500_000)) as client:
        assert client.line() == b"HTTP/1.1 413 REQUEST ENTITY TOO LARGE\r\n"


def test_a_client_that_does_not_wait_is_not_told(app: Quaff) -> None:
    """The body is there already. A client of HTTP/1.0 would not understand it."""
    add_readers(app)

    async def test() -> None:
        for version, body in (("1.1", b"xy"), ("1.0", b"")):
            line = Line(app)
            line.feed(EXPECT.format("async", version, 2), body)
            await line.settle()
            line.feed("", b"xy"[len(body) :])
            assert b"100 Continue" not in await line.settle()

    run(test)
