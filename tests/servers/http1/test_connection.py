"""Requests of one connection: answered in their order, whatever they are, until one of them is the last."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from quaff import Quaff, Response, request
from tests.servers.http1.conftest import Serve
from tests.servers.http1.serving import Line, bodies, crlf, run

GET = "GET /{} HTTP/1.1\nHost: a\n\n"


def add_views(app: Quaff) -> None:
    """Give *app* sync and async views, and slow ones."""
    gates: dict[str, asyncio.Event] = {}

    @app.get("/sync/<name>")
    def sync(name: str) -> str:
        return f"sync {name}"

    @app.get("/async/<name>")
    async def asynchronous(name: str) -> str:
        return f"async {name}"

    @app.get("/slow/<name>")
    async def slow(name: str) -> str:
        for _ in range(5):
            await asyncio.sleep(0)
        return f"slow {name}"

    @app.get("/wait/<name>")
    async def wait(name: str) -> str:
        await gates.setdefault(name, asyncio.Event()).wait()
        return f"waited {name}"

    @app.get("/open/<name>")
    async def let_go(name: str) -> str:
        gates.setdefault(name, asyncio.Event()).set()
        return "opened"

    add_more_views(app)


def add_more_views(app: Quaff) -> None:
    """Give *app* views that read their bodies or not, and such that answer with special bodies."""

    @app.post("/echo")
    async def echo() -> bytes:
        return await request.load_body()

    @app.post("/sync-echo")
    def sync_echo() -> bytes:
        return request.get_data()

    @app.post("/ignore")
    async def ignore() -> str:
        return "ignored"

    @app.get("/stream/<int:count>")
    async def stream(count: int) -> AsyncIterator[str]:
        for number in range(count):
            await asyncio.sleep(0)
            yield f"piece {number}\n"

    @app.get("/status/<int:code>")
    async def status(code: int) -> Response:
        return Response("words", code)


def test_requests_that_come_together_are_answered_in_order(app: Quaff, serve: Serve) -> None:
    """Sync, async, slow, streamed and with bodies: each answer is the next request's."""
    add_views(app)
    post = "POST /{} HTTP/1.1\nHost: a\nContent-Length: 5\n\n{}"
    chunked = "POST /echo HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n\n3\nabc\n2\nde\n0\n\n"
    wanted = [
        (GET.format("slow/1"), b"slow 1"),
        (GET.format("sync/2"), b"sync 2"),
        (post.format("echo", "three"), b"three"),
        (GET.format("async/4"), b"async 4"),
        (chunked, b"abcde"),
        (GET.format("stream/2"), b"piece 0\npiece 1\n"),
        (post.format("sync-echo", "seven"), b"seven"),
        (post.format("ignore", "eight"), b"ignored"),
        (GET.format("slow/9"), b"slow 9"),
    ] * 3
    server = serve(app)
    with server.send("".join(text for text, _ in wanted)) as client:
        assert [client.answer().body for _ in wanted] == [body for _, body in wanted]


def test_a_later_request_waits_for_the_first(app: Quaff, serve: Serve) -> None:
    """The answer to the second is ready at once, and comes second."""
    add_views(app)
    server = serve(app)
    with server.send(GET.format("wait/x") + GET.format("async/2")) as client:
        assert server.get("/open/x").text == "opened"
        assert [client.answer().text, client.answer().text] == ["waited x", "async 2"]


def test_where_the_pieces_end_makes_no_difference(app: Quaff) -> None:
    """Requests that arrive byte by byte get the answers of those that arrive together."""
    add_views(app)
    raw = crlf(
        GET.format("async/1")
        + "POST /echo HTTP/1.1\nHost: a\nContent-Length: 5\n\nhello"
        + "POST /echo HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n\n5;x=y\nabcde\n0\nX-Trailer: t\n\n"
        + "GET http://a/async/4?q HTTP/1.1\nHost: a\n\n"
    )
    wanted = [b"async 1", b"hello", b"abcde", b"async 4"]

    async def test() -> None:
        for size in (1, 2, 3, 7, 50, len(raw)):
            line = Line(app)
            for start in range(0, len(raw), size):
                line.connection.data_received(raw[start : start + size])
                await asyncio.sleep(0)
            assert bodies(await line.settle()) == wanted, size
            assert line.wire.ended is None

    run(test)


def test_nothing_is_read_while_requests_wait(app: Quaff) -> None:
    """A client that never stops asking has to wait, and is heard again when it has its answers."""
    add_views(app)

    async def test() -> None:
        line, other = Line(app), Line(app)
        line.feed(GET.format("wait/x") + GET.format("wait/y") + GET.format("async/3"))
        assert await line.settle() == b""
        assert line.wire.is_paused
        other.feed(GET.format("open/x"))
        await other.settle()
        assert bodies(await line.settle()) == [b"waited x"]
        assert line.wire.is_paused
        other.feed(GET.format("open/y"))
        await other.settle()
        assert bodies(await line.settle()) == [b"waited y", b"async 3"]
        assert not line.wire.is_paused

    run(test)


@pytest.mark.parametrize("first", ["async/1", "slow/1"])
def test_what_is_no_request_ends_the_connection_after_the_good_ones(app: Quaff, serve: Serve, first: str) -> None:
    """Two good requests before it are answered, and then the connection closes."""
    add_views(app)
    with serve(app).send(GET.format(first) + GET.format("slow/2") + "NONSENSE\n\n" + GET.format("async/3")) as client:
        assert client.answer().text.endswith("1")
        last = client.answer()
        assert (last.text, last.headers["connection"]) == ("slow 2", "close")
        assert client.rest() == b""


def test_a_bad_body_is_not_given_to_the_app(app: Quaff, serve: Serve) -> None:
    """Behind a good request, the one whose body arrives broken is not served; the connection closes."""
    add_views(app)
    bad = "POST /ignore HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n\nnot hex\n"
    server = serve(app)
    with server.send(GET.format("async/1") + bad) as client:
        assert client.answer().text == "async 1"
        assert client.rest() == b""
    with server.send(bad) as client:
        assert client.answer().status == 400
        assert client.rest() == b""


@pytest.mark.parametrize(
    "version,asked,kept",
    [
        ("1.1", "", True),
        ("1.1", "Connection: keep-alive\n", True),
        ("1.1", "Connection: close\n", False),
        ("1.1", "Connection: Close, X-Other\n", False),
        ("1.0", "", False),
        ("1.0", "Connection: close\n", False),
        ("1.0", "Connection: Keep-Alive\n", True),
    ],
)
@pytest.mark.parametrize("path", ["async/1", "sync/1", "slow/1", "nowhere"])
def test_a_connection_is_kept_as_the_client_wants(
    app: Quaff, serve: Serve, path: str, version: str, asked: str, kept: bool
) -> None:
    """By default in HTTP/1.1, on demand in 1.0; the answer says so where that is not the version's default."""
    add_views(app)
    with serve(app).send(f"GET /{path} HTTP/{version}\nHost: a\n{asked}\n") as client:
        answer = client.answer()
        assert (
            answer.headers.get("connection")
            == {True: {"1.1": None, "1.0": "keep-alive"}[version], False: "close"}[kept]
        )
        if kept:
            assert client.send(GET.format("async/again")).answer().text == "async again"
        else:
            assert client.rest() == b""


def test_requests_after_the_last_are_not_served(app: Quaff, serve: Serve) -> None:
    """What follows `Connection: close` is nobody's request."""
    add_views(app)
    seen: list[int] = []
    server = serve(app, log=lambda environ, status, seconds: seen.append(status))
    with server.send("GET /async/1 HTTP/1.1\nHost: a\nConnection: close\n\n" + GET.format("async/2")) as client:
        assert client.answer().text == "async 1"
        assert client.rest() == b""
    assert seen == [200]


@pytest.mark.parametrize("code", [204, 304])
def test_answers_without_a_body_keep_the_connection_in_step(app: Quaff, serve: Serve, code: int) -> None:
    """204 and 304 have neither body nor length; what follows is the next answer."""
    add_views(app)
    with serve(app).send(GET.format(f"status/{code}") + GET.format("async/2")) as client:
        answer = client.answer()
        assert (answer.status, answer.body) == (code, b"")
        assert not {"content-length", "transfer-encoding"} & answer.headers.keys()
        assert client.answer().text == "async 2"


@pytest.mark.parametrize("path,length", [("async/1", "7"), ("sync/1", "6"), ("stream/3", None)])
def test_head_is_answered_without_a_body(app: Quaff, serve: Serve, path: str, length: str | None) -> None:
    """It has the length that GET would have, where that is known, and nothing after the head."""
    add_views(app)
    with serve(app).send(f"HEAD /{path} HTTP/1.1\nHost: a\n\n" + GET.format("async/2")) as client:
        answer = client.answer("HEAD")
        assert (answer.status, answer.body, answer.headers.get("content-length")) == (200, b"", length)
        assert client.answer().text == "async 2"


def test_empty_lines_before_a_request_are_skipped(app: Quaff, serve: Serve) -> None:
    """RFC 9112 section 2.2: old clients send one behind a body."""
    add_views(app)
    with serve(app).send("\n\n" + GET.format("async/1") + "\n" + GET.format("async/2")) as client:
        assert [client.answer().text, client.answer().text] == ["async 1", "async 2"]


def test_a_request_after_a_stream_is_read_anew(app: Quaff) -> None:
    """What reads requests is given up while an answer is streamed, and not in the middle of the next request."""
    add_views(app)

    async def test() -> None:
        for cut in (0, 1, 10, 30):
            line = Line(app)
            raw = GET.format("stream/1") + GET.format("async/2")
            at = len(GET.format("stream/1")) + cut
            line.feed(raw[:at])
            await line.settle()
            line.feed(raw[at:])
            assert bodies(await line.settle()) == [b"async 2"], cut

    run(test)
