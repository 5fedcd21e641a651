"""Clients that go away while their request is served: async code is cancelled, sync code can ask, nothing is left behind."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from quaff import Quaff, Response, g, request
from tests.protocols.conftest import Serve
from tests.protocols.harness import KINDS, Served, as_kind, until
from tests.servers.process import PATIENCE

pytestmark = pytest.mark.parametrize("interface", ["asgi", "rsgi", "http1"], indirect=True)
each_kind = pytest.mark.parametrize("kind", KINDS)
only_compiled = pytest.mark.parametrize("app", [True], indirect=True, ids=["compiled"])


@pytest.fixture(autouse=True)
def nothing_is_logged(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """A client that goes away is no error: not of the app, not of the server, not of asyncio."""
    yield
    assert [record.getMessage() for record in caplog.get_records("call") if record.levelno >= logging.ERROR] == []


def leave(served: Served, path: str, when: Any, *, method: str = "GET", head: str = "", body: bytes = b"") -> None:
    """Ask for *path* and close the connection as soon as *when* holds."""
    connection = served.send(f"{method} {path} HTTP/1.1\nHost: a\n{head}\n", body)
    until(when)
    connection.close()


@only_compiled
@pytest.mark.parametrize("hook_kind", [None, *KINDS])
def test_an_async_view_is_cancelled(app: Quaff, serve: Serve, hook_kind: str | None) -> None:
    """The view hears of it where it waits, may tidy up, the request is torn down, and the next one is served."""
    events: list[str] = []

    if hook_kind is not None:
        app.before_request(as_kind(hook_kind, lambda: setattr(g, "seen", 1)))
        app.teardown_request(as_kind(hook_kind, lambda error: events.append(f"teardown {type(error).__name__}")))

    @app.get("/wait")
    async def wait() -> str:
        events.append("waiting")
        try:
            await asyncio.sleep(2 * PATIENCE)
        except asyncio.CancelledError:
            await asyncio.sleep(0)
            events.append(f"tidied up {request.path}")
            raise
        return "too late"

    app.add_url_rule("/", "home", as_kind("async", lambda: "home"))
    served = serve(app)
    expected = ["waiting", "tidied up /wait", *(["teardown CancelledError"] if hook_kind else [])]
    for _ in range(3):
        events.clear()
        leave(served, "/wait", lambda: events)
        until(lambda: len(events) == len(expected))
        assert events == expected
    assert served.text("/") == "home"


@only_compiled
def test_a_cancelled_view_may_go_on(app: Quaff, serve: Serve) -> None:
    """A view that does not give in is not forced: it ends when it wants to, and its answer goes nowhere."""
    events: list[str] = []

    @app.get("/wait")
    async def wait() -> str:
        events.append("waiting")
        try:
            await asyncio.sleep(2 * PATIENCE)
        except asyncio.CancelledError:
            await asyncio.sleep(0.01)
        events.append("done")
        return "x" * 100_000

    app.teardown_request(lambda error: events.append(f"teardown {error!r}"))
    app.add_url_rule("/", "home", as_kind("async", lambda: "home"))
    served = serve(app)
    leave(served, "/wait", lambda: events)
    until(lambda: len(events) == 3)
    assert events == ["waiting", "done", "teardown None"]
    assert served.text("/") == "home"


@only_compiled
@pytest.mark.parametrize("size", [3, 2 * 1024 * 1024])
@pytest.mark.parametrize("chunked", [False, True], ids=["announced", "chunked"])
def test_an_async_view_with_a_body_is_cancelled(app: Quaff, serve: Serve, size: int, chunked: bool) -> None:
    """Once it has the whole body, a view hears when the client goes away, as one without a body does."""
    events: list[str] = []

    @app.post("/wait")
    async def wait() -> str:
        events.append(str(len(await request.load_body())))
        try:
            await asyncio.sleep(2 * PATIENCE)
        except asyncio.CancelledError:
            events.append("cancelled")
            raise
        return "too late"

    served = serve(app)
    body = b"x" * size
    head = "Transfer-Encoding: chunked\n" if chunked else f"Content-Length: {size}\n"
    framed = b"%x\r\n%s\r\n0\r\n\r\n" % (size, body) if chunked else body
    leave(served, "/wait", lambda: events, method="POST", head=head, body=framed)
    until(lambda: len(events) == 2)
    assert events == [str(size), "cancelled"]


@each_kind
def test_a_sync_view_can_ask(app: Quaff, serve: Serve, kind: str) -> None:
    """`request.is_disconnected` is False while the client waits and becomes True when it has gone away."""
    seen: list[bool] = []

    def work() -> str:
        seen.append(request.is_disconnected)
        end = time.monotonic() + PATIENCE
        while not request.is_disconnected and time.monotonic() < end:
            time.sleep(0.005)
        seen.append(request.is_disconnected)
        return "too late"

    # The view is sync either way; with an async hook its route is served by a coroutine.
    app.before_request(as_kind(kind, lambda: None))
    app.add_url_rule("/work", "work", work, methods=["GET", "POST"])
    app.add_url_rule("/", "home", lambda: str(request.is_disconnected))
    served = serve(app)
    leave(served, "/work", lambda: seen)
    until(lambda: len(seen) == 2)
    assert seen == [False, True]
    for _ in range(3):
        assert served.text("/") == "False"


@each_kind
def test_asking_with_a_body(app: Quaff, serve: Serve, kind: str) -> None:
    """A sync view that has read its body can ask as well."""
    seen: list[bool] = []

    def work() -> str:
        assert request.data == b"abc"
        seen.append(request.is_disconnected)
        end = time.monotonic() + PATIENCE
        while not request.is_disconnected and time.monotonic() < end:
            time.sleep(0.005)
        seen.append(request.is_disconnected)
        return "too late"

    app.before_request(as_kind(kind, lambda: None))
    app.add_url_rule("/work", "work", work, methods=["POST"])
    leave(serve(app), "/work", lambda: seen, method="POST", head="Content-Length: 3\n", body=b"abc")
    until(lambda: len(seen) == 2)
    assert seen == [False, True]


@each_kind
def test_an_answer_to_nobody(app: Quaff, serve: Serve, kind: str) -> None:
    """The answer of a sync view whose client has gone goes nowhere: no error, no harm, and the request is torn down."""
    entered, leave_now = threading.Event(), threading.Event()
    ended: list[Any] = []

    def work() -> Response:
        entered.set()
        assert leave_now.wait(PATIENCE)
        return Response("x" * 100_000)

    app.before_request(as_kind(kind, lambda: None))
    app.add_url_rule("/work", "work", work)
    app.add_url_rule("/", "home", lambda: "home")
    app.teardown_request(ended.append)
    served = serve(app)
    leave(served, "/work", entered.is_set)
    time.sleep(0.05)
    leave_now.set()
    until(lambda: len(ended) == 1)
    assert served.text("/") == "home"


@each_kind
@pytest.mark.parametrize("source_kind", KINDS)
def test_a_stream_to_nobody_ends(app: Quaff, serve: Serve, kind: str, source_kind: str) -> None:
    """An endless stream ends soon after its client has gone: the source is closed, and functions for that are called."""
    events: list[str] = []
    sent: list[int] = []

    def generate() -> Iterator[bytes]:
        try:
            while True:
                sent.append(1)
                time.sleep(0.001)
                yield b"x" * 1000
        finally:
            events.append("closed")

    async def generate_async() -> AsyncIterator[bytes]:
        try:
            while True:
                sent.append(1)
                await asyncio.sleep(0.001)
                yield b"x" * 1000
        finally:
            events.append("closed")

    def view() -> Response:
        response = Response(generate() if source_kind == "sync" else generate_async())
        response.call_on_close(lambda: events.append("on close"))
        return response

    app.add_url_rule("/stream", "stream", as_kind(kind, view))
    app.add_url_rule("/", "home", lambda: "home")
    served = serve(app)
    leave(served, "/stream", lambda: len(sent) > 5)
    until(lambda: len(events) == 2)
    assert events == ["closed", "on close"]
    assert served.text("/") == "home"


@only_compiled
def test_an_idle_stream_to_nobody_ends(app: Quaff, serve: Serve) -> None:
    """An async source of an async view that waits for its next piece is ended too, though nothing is sent meanwhile."""
    events: list[str] = []

    async def generate() -> AsyncIterator[bytes]:
        try:
            yield b"first"
            events.append("waiting")
            await asyncio.sleep(PATIENCE * 2)
        finally:
            events.append("closed")

    app.add_url_rule("/stream", "stream", as_kind("async", lambda: Response(generate())))
    served = serve(app)
    leave(served, "/stream", lambda: events)
    until(lambda: len(events) == 2)
    assert events == ["waiting", "closed"]


def test_a_client_that_comes_again(app: Quaff, serve: Serve) -> None:
    """Requests one after the other on one connection: none is taken for gone because the one before it is over."""
    seen: list[bool] = []

    @app.get("/async")
    async def asynchronous() -> str:
        await asyncio.sleep(0.002)
        seen.append(request.is_disconnected)
        return "async"

    @app.get("/sync")
    def sync() -> str:
        seen.extend(request.is_disconnected for _ in range(3))
        return "sync"

    served = serve(app)
    for _ in range(20):
        assert served.text("/async") == "async"
        assert served.text("/sync") == "sync"
    assert set(seen) == {False}


@pytest.mark.parametrize("view_kind", KINDS)
def test_a_thread_of_the_views_own_can_ask(app: Quaff, serve: Serve, view_kind: str) -> None:
    """A thread that a view has started, and that knows nothing of the loop, hears that the client has left."""
    seen: list[bool] = []

    def ask(made: Any) -> None:
        end = time.monotonic() + PATIENCE
        while not (found := made.is_disconnected) and time.monotonic() < end:
            seen.append(found)
            time.sleep(0.005)
        seen.append(found)

    def start() -> threading.Thread:
        thread = threading.Thread(target=ask, args=(request._get_current_object(),))  # type: ignore[attr-defined]
        thread.start()
        return thread

    async def asynchronous() -> str:
        thread = start()
        while thread.is_alive():  # noqa: ASYNC110 - nothing on the loop tells when it ends
            await asyncio.sleep(0.005)
        return "too late"

    def sync() -> str:
        start().join(PATIENCE)
        return "too late"

    app.add_url_rule("/work", "work", sync if view_kind == "sync" else asynchronous)
    served = serve(app)
    leave(served, "/work", lambda: seen)
    until(lambda: seen[-1])


def test_who_has_asked_may_stream(app: Quaff, serve: Serve) -> None:
    """The async body of a sync view that has asked for its client is cancelled where it waits, as any other."""
    events: list[str] = []

    async def generate() -> AsyncIterator[bytes]:
        try:
            yield b"first"
            events.append("waiting")
            await asyncio.sleep(PATIENCE * 2)
        finally:
            events.append("closed")

    @app.get("/stream")
    def stream() -> Response:
        assert not request.is_disconnected
        return Response(generate())

    leave(serve(app), "/stream", lambda: events)
    until(lambda: len(events) == 2)
    assert events == ["waiting", "closed"]
