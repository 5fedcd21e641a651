"""Responses that go out piece by piece, and files: from sync and async code, over each protocol."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from quaff import Quaff, Response, send_file, session, stream_with_context
from quaff import request as current_request
from tests.protocols.conftest import Serve
from tests.protocols.harness import KINDS, as_kind, read_all, until

each_kind = pytest.mark.parametrize("kind", KINDS)


def pieces() -> Iterator[Any]:
    """Give text and bytes."""
    yield "a"
    yield b""
    yield "ü".encode()
    yield b"c" * 100_000


async def async_pieces() -> AsyncIterator[Any]:
    """Give the same on a loop, with pauses."""
    for piece in pieces():
        await asyncio.sleep(0)
        yield piece


BODY = "aü".encode() + b"c" * 100_000


@each_kind
@pytest.mark.parametrize("source", [pieces, async_pieces])
def test_generators(app: Quaff, serve: Serve, kind: str, source: Any) -> None:
    """A view of either kind may return a sync or an async generator, bare, in a tuple or in a response."""
    app.add_url_rule("/bare", "bare", as_kind(kind, lambda: source()))
    app.add_url_rule("/tuple", "tuple", as_kind(kind, lambda: (source(), 201, {"X-A": "1"})))
    app.add_url_rule("/response", "response", as_kind(kind, lambda: Response(source(), mimetype="x/y")))
    served = serve(app)
    for path, status, content_type in (
        ("/bare", 200, "text/html; charset=utf-8"),
        ("/tuple", 201, "text/html; charset=utf-8"),
        ("/response", 200, "x/y"),
    ):
        answer = served.get(path)
        assert (answer.status_code, answer.headers["Content-Type"]) == (status, content_type), path
        assert answer.content == BODY, path
        head = served.request("HEAD", path)
        assert (head.status_code, head.content) == (status, b"")


def test_a_view_that_is_a_generator(app: Quaff, serve: Serve) -> None:
    """A view may itself be a generator or an async generator; its arguments are converted."""

    @app.get("/sync/<int:n>")
    def sync(n: int) -> Any:
        yield f"sync {n + 1}"
        yield "!"

    @app.get("/async/<int:n>")
    async def asynchronous(n: int) -> Any:
        yield f"async {n + 1}"
        await asyncio.sleep(0)
        yield "!"

    served = serve(app)
    assert served.text("/sync/1") == "sync 2!"
    assert served.text("/async/1") == "async 2!"


def test_pieces_arrive_when_they_are_ready(app: Quaff, serve: Serve) -> None:
    """A piece is sent before the next one is asked for: the client sees it while the source waits."""
    go_on = threading.Event()

    @app.get("/sync")
    def sync() -> Any:
        yield "first"
        assert go_on.wait(20)
        yield "second"

    @app.get("/async")
    async def asynchronous() -> Any:
        yield "first"
        while not go_on.is_set():  # noqa: ASYNC110 - another thread sets it
            await asyncio.sleep(0.005)
        yield "second"

    served = serve(app)
    for path in ("/sync", "/async"):
        go_on.clear()
        with served.client.stream("GET", path) as answer:
            arriving = answer.iter_text()
            assert next(arriving) == "first"
            go_on.set()
            assert "".join(arriving) == "second"


@each_kind
def test_stream_with_context(app: Quaff, serve: Serve, kind: str) -> None:
    """A generator that is wrapped sees the request and the session while it runs; a bare one does not."""

    def wrapped() -> Any:
        session["n"] = 1

        def generate() -> Iterator[str]:
            yield current_request.path
            yield f" {session['n']}"

        return stream_with_context(generate())

    def bare() -> Any:
        def generate() -> Iterator[str]:
            yield str(bool(current_request))

        return generate()

    app.add_url_rule("/wrapped", "wrapped", as_kind(kind, wrapped))
    app.add_url_rule("/bare", "bare", as_kind(kind, bare))
    served = serve(app)
    answer = served.get("/wrapped")
    assert (answer.text, "session" in answer.cookies) == ("/wrapped 1", True)
    assert served.text("/bare") == "False"


@each_kind
def test_an_async_stream_with_context(app: Quaff, serve: Serve, kind: str) -> None:
    """An async generator that is wrapped sees the request while it runs."""

    def view() -> Any:
        async def generate() -> AsyncIterator[str]:
            yield current_request.path
            await asyncio.sleep(0)
            yield f" {current_request.args['a']}"

        return stream_with_context(generate())  # type: ignore[call-overload]

    app.add_url_rule("/", "view", as_kind(kind, view))
    served = serve(app)
    for _ in range(2):
        assert served.text("/?a=1") == "/ 1"


@each_kind
def test_the_end_of_a_stream(app: Quaff, serve: Serve, kind: str) -> None:
    """When a stream was sent its source is closed, and functions for that are called; the request was torn down before."""
    events: list[str] = []

    def view() -> Response:
        def generate() -> Iterator[str]:
            try:
                yield "a"
                events.append("running")
                yield "b"
            finally:
                events.append("closed")

        response = Response(generate())
        response.call_on_close(lambda: events.append("on close"))
        return response

    app.add_url_rule("/", "view", as_kind(kind, view))
    app.teardown_request(lambda error: events.append("teardown"))
    served = serve(app)
    assert served.text("/") == "ab"
    until(lambda: len(events) == 4)
    assert events == ["teardown", "running", "closed", "on close"]


@each_kind
@pytest.mark.parametrize("source_kind", KINDS)
def test_a_source_that_fails(
    app: Quaff, serve: Serve, kind: str, source_kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The stream ends with what was sent, the error is logged, and the worker serves the next client."""

    def view() -> Any:
        def generate() -> Iterator[str]:
            yield "a"
            raise LookupError("while streaming")

        async def generate_async() -> AsyncIterator[str]:
            for piece in generate():
                yield piece

        return generate() if source_kind == "sync" else generate_async()

    app.add_url_rule("/", "view", as_kind(kind, view))
    app.add_url_rule("/fine", "fine", as_kind(kind, lambda: "fine"))
    served = serve(app)
    with caplog.at_level(logging.ERROR):
        received = read_all(served.send("GET / HTTP/1.1\nHost: a\nConnection: close\n\n"))
        assert received.startswith(b"HTTP/1.1 200")
        if served.interface == "asgi":
            # Granian has no way to break off: over WSGI and RSGI the body looks complete.
            assert not received.endswith(b"\r\n0\r\n\r\n")
        until(lambda: "while streaming" in caplog.text)
    assert served.text("/fine") == "fine"


@each_kind
@pytest.mark.parametrize("source_kind", KINDS)
@pytest.mark.parametrize("status", [204, 304])
def test_a_stream_without_content(app: Quaff, serve: Serve, kind: str, source_kind: str, status: int) -> None:
    """Where a response has no content, a stream is closed and nothing of it is sent; the connection goes on."""
    notes: list[str] = []

    class Source:
        def __iter__(self) -> Source:
            return self

        def __next__(self) -> bytes:
            notes.append("asked")
            return b"content"

        def close(self) -> None:
            notes.append("closed")

    class AsyncSource:
        def __aiter__(self) -> AsyncSource:
            return self

        async def __anext__(self) -> bytes:
            notes.append("asked")
            return b"content"

        async def aclose(self) -> None:
            notes.append("closed")

    def view() -> Response:
        source: Any = Source() if source_kind == "sync" else AsyncSource()
        response = Response(source, status)
        response.call_on_close(lambda: notes.append("on close"))
        return response

    app.add_url_rule("/", "view", as_kind(kind, view))
    app.add_url_rule("/fine", "fine", as_kind(kind, lambda: "fine"))
    served = serve(app)
    answer = served.get("/")
    assert (answer.status_code, answer.content) == (status, b"")
    until(lambda: len(notes) == 2)
    assert notes == ["closed", "on close"]
    assert served.text("/fine") == "fine"


@each_kind
def test_files(app: Quaff, serve: Serve, kind: str, tmp_path: Path) -> None:
    """A file is sent whole, in the parts that are asked for, or not at all when the client has it."""
    content = bytes(range(256)) * 4000
    (tmp_path / "a.bin").write_bytes(content)
    app.add_url_rule("/", "view", as_kind(kind, lambda: send_file(tmp_path / "a.bin", conditional=True)))
    served = serve(app)
    answer = served.get("/")
    assert answer.content == content
    assert answer.headers["Content-Length"] == str(len(content))
    etag = answer.headers["ETag"]
    head = served.request("HEAD", "/")
    assert (head.headers["Content-Length"], head.content) == (str(len(content)), b"")
    part = served.get("/", headers={"Range": "bytes=1000-300999"})
    assert (part.status_code, part.content) == (206, content[1000:301000])
    assert part.headers["Content-Range"] == f"bytes 1000-300999/{len(content)}"
    assert served.get("/", headers={"Range": "bytes=-5"}).content == content[-5:]
    assert served.get("/", headers={"Range": f"bytes={len(content)}-"}).status_code == 416
    assert served.get("/", headers={"If-None-Match": etag}).status_code == 304


@each_kind
def test_a_large_answer_to_a_slow_client(app: Quaff, serve: Serve, kind: str, request: pytest.FixtureRequest) -> None:
    """A client that does not read holds the source up: what is produced does not run far ahead of what is taken."""
    produced: list[int] = []
    block = b"x" * 65536

    def view() -> Any:
        def generate() -> Iterator[bytes]:
            for number in range(1600):
                produced.append(number)
                yield block

        async def generate_async() -> AsyncIterator[bytes]:
            for piece in generate():
                yield piece

        return generate() if kind == "sync" else generate_async()

    app.add_url_rule("/", "view", as_kind(kind, view))
    served = serve(app)
    if served.interface == "rsgi":
        request.applymarker(pytest.mark.xfail(reason="Granian 2.8 takes everything at once from an RSGI application"))
    connection = served.send("GET / HTTP/1.0\nHost: a\n\n")
    with connection:
        until(lambda: produced)
        count = -1
        while count != len(produced):
            count = len(produced)
            threading.Event().wait(0.2)
        assert count < 1000
        received = 0
        while piece := connection.recv(1 << 20):
            received += len(piece)
    assert received > 1600 * len(block)
