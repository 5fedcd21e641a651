"""Server-sent events over real servers: at once, with heartbeats, and until the client leaves."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import logging
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from quaff import EventStream, Quaff, Response, g, request, stream_with_context
from quaff.sse import Event
from tests.eventsource import Interpreter
from tests.protocols.conftest import Serve
from tests.protocols.harness import KINDS, Served, as_kind, until
from tests.servers.process import PATIENCE

MIXES = [(view, source) for view in KINDS for source in KINDS]
every_mix = pytest.mark.parametrize("view, source", MIXES, ids=[f"{view}-{source}" for view, source in MIXES])


def source_of(kind: str, items: Callable[[], Iterator[Any]]) -> Any:
    """Return a generator of *kind* that gives what *items* gives, and that waits a moment wherever that gives `WAIT`."""
    if kind == "sync":
        return _waiting(items)
    return _waiting_async(items)


WAIT = object()


def _waiting(items: Callable[[], Iterator[Any]]) -> Iterator[Any]:
    moment = threading.Event()
    generator: Any = items()
    try:
        for item in generator:
            if item is WAIT:
                moment.wait(0.005)
            else:
                yield item
    finally:
        generator.close()


async def _waiting_async(items: Callable[[], Iterator[Any]]) -> AsyncIterator[Any]:
    generator: Any = items()
    try:
        for item in generator:
            if item is WAIT:
                await asyncio.sleep(0.005)
            else:
                yield item
    finally:
        generator.close()


@contextmanager
def listening(served: Served, path: str = "/", **headers: str) -> Iterator[http.client.HTTPResponse]:
    """Give the answer to a client that leaves at the end."""
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=PATIENCE)
    connection.request("GET", path, headers=headers)
    response = connection.getresponse()
    try:
        yield response
    finally:
        response.close()
        connection.close()


def block(response: http.client.HTTPResponse) -> bytes:
    """Return what comes up to the next empty line."""
    lines = [response.readline()]
    while lines[-1] not in {b"\n", b""}:
        lines.append(response.readline())
    return b"".join(lines)


def event(response: http.client.HTTPResponse) -> bytes:
    """Return the next block that is no heartbeat."""
    while (found := block(response)) == b":\n\n":
        pass
    return found


@every_mix
def test_an_event_is_sent_at_once(serve: Serve, app: Quaff, view: str, source: str) -> None:
    """The first event arrives before the second is made, and the answer has no length."""
    made: list[str] = []
    go_on = threading.Event()

    def items() -> Iterator[Any]:
        made.append("first")
        yield "first"
        while not go_on.is_set():
            yield WAIT
        made.append("second")
        yield {"second": 2}

    app.add_url_rule("/", "index", as_kind(view, lambda: EventStream(source_of(source, items), retry=500)))
    with listening(serve(app)) as response:
        assert response.headers["Content-Type"] == "text/event-stream; charset=utf-8"
        assert response.headers["Content-Length"] is None
        assert block(response) == b"retry: 500\n\n"
        assert block(response) == b"data: first\n\n"
        assert made == ["first"]
        go_on.set()
        assert response.read() == b'data: {"second": 2}\n\n'


@every_mix
def test_heartbeats(serve: Serve, app: Quaff, view: str, source: str) -> None:
    """While the source has nothing to say, comments come, which no listener hears; the source goes on undisturbed."""
    go_on = threading.Event()

    def items() -> Iterator[Any]:
        yield "first"
        while not go_on.is_set():
            yield WAIT
        yield "second"

    app.add_url_rule("/", "index", as_kind(view, lambda: EventStream(source_of(source, items), heartbeat=0.02)))
    with listening(serve(app)) as response:
        # Before the first event there may be some already, when the machine is busy.
        got = [event(response), block(response), block(response)]
        go_on.set()
        got.append(response.read())
    assert got[:3] == [b"data: first\n\n", b":\n\n", b":\n\n"]
    assert [message.data for message in Interpreter().read(b"".join(got)).messages] == ["first", "second"]


@every_mix
def test_a_stream_without_heartbeats(serve: Serve, app: Quaff, view: str, source: str) -> None:
    """None of them is sent where they are turned off."""

    def items() -> Iterator[Any]:
        yield "first"
        yield from [WAIT] * 10
        yield "second"

    app.add_url_rule("/", "index", as_kind(view, lambda: EventStream(source_of(source, items), heartbeat=None)))
    assert serve(app).text("/") == "data: first\n\ndata: second\n\n"


def tasks_of(loops: set[asyncio.AbstractEventLoop]) -> int:
    """Return how many tasks the loops have that are still running."""
    return sum(len(asyncio.all_tasks(loop)) for loop in loops if not loop.is_closed())


def threads() -> list[str]:
    """Return the names of the threads that there are, without those that stay to do the work of any request."""
    return sorted(thread.name for thread in threading.enumerate() if not thread.name.startswith("quaff-worker"))


@every_mix
def test_clients_that_leave_leave_nothing(
    serve: Serve, app: Quaff, view: str, source: str, caplog: pytest.LogCaptureFixture
) -> None:
    """When a client leaves, `finally` of the source runs once; 50 of them leave no thread, no task, no error."""
    begun: list[int] = []
    ended: list[int] = []
    loops: set[asyncio.AbstractEventLoop] = set()

    def note_loop() -> None:
        if (loop := asyncio._get_running_loop()) is not None:
            loops.add(loop)

    def index() -> Response:
        note_loop()
        number = int(request.args["number"])

        def items() -> Iterator[Any]:
            note_loop()
            begun.append(number)
            try:
                while True:
                    yield f"{number}"
                    yield from [WAIT] * 3
            finally:
                ended.append(number)

        return EventStream(source_of(source, items), heartbeat=0.01)

    app.add_url_rule("/", "index", as_kind(view, index))
    app.add_url_rule("/alive", "alive", as_kind(view, lambda: "alive"))
    served = serve(app)

    def come_and_leave(number: int) -> None:
        with listening(served, f"/?number={number}") as response:
            assert event(response) == f"data: {number}\n\n".encode()
        until(lambda: len(ended) == len(begun) == number + 1)

    with caplog.at_level(logging.WARNING):
        come_and_leave(0)
        assert served.text("/alive") == "alive"
        until(lambda: "quaff-events" not in threads())
        before = threads()
        tasks = tasks_of(loops)
        for number in range(1, 51):
            come_and_leave(number)
        assert served.text("/alive") == "alive"
        until(lambda: threads() == before and tasks_of(loops) <= tasks)
    assert begun == ended == list(range(51))
    assert caplog.messages == []


@pytest.mark.parametrize("interface", ["asgi", "rsgi", "http1"])
@pytest.mark.parametrize("view", KINDS)
def test_leaving_interrupts_an_async_source(serve: Serve, app: Quaff, view: str) -> None:
    """On a loop the source is cancelled where it waits as soon as the client has left, without a heartbeat."""
    ended = threading.Event()

    async def events() -> AsyncIterator[str]:
        try:
            yield "first"
            await asyncio.sleep(10 * PATIENCE)
        except asyncio.CancelledError:
            ended.set()
            raise

    app.add_url_rule("/", "index", as_kind(view, lambda: EventStream(events(), heartbeat=None)))
    with listening(serve(app)) as response:
        assert block(response) == b"data: first\n\n"
    assert ended.wait(PATIENCE)


@pytest.mark.parametrize("interface", ["asgi", "rsgi", "http1"])
def test_streams_hold_no_worker_threads(serve: Serve, app: Quaff) -> None:
    """More streams of synchronous views than there are threads leave the server free to answer others."""
    ended = threading.Semaphore(0)

    async def events() -> AsyncIterator[str]:
        try:
            yield "first"
            await asyncio.sleep(10 * PATIENCE)
        finally:
            ended.release()

    app.add_url_rule("/", "index", lambda: EventStream(events(), heartbeat=None))
    app.add_url_rule("/alive", "alive", lambda: "alive")
    served = serve(app)
    clients = [listening(served) for _ in range(50)]
    for client in clients:
        assert block(client.__enter__()) == b"data: first\n\n"
    assert served.text("/alive") == "alive"
    for client in clients:
        client.__exit__(None, None, None)
    assert all(ended.acquire(timeout=PATIENCE) for _ in clients)


@every_mix
def test_a_stream_may_use_the_request(serve: Serve, app: Quaff, view: str, source: str) -> None:
    """With `stream_with_context` the source has the request, and teardown functions run when it has ended, also early."""
    notes: list[str] = []

    @app.teardown_request
    def teardown(error: BaseException | None) -> None:
        if "resource" in g:
            notes.append(f"teardown {request.path}")

    def index(kind: str) -> Response:
        def items() -> Iterator[Any]:
            g.resource = True
            try:
                yield request.args["name"]
                while kind == "endless":
                    yield WAIT
                    yield request.path
            finally:
                notes.append(f"ended {request.path}")

        return EventStream(stream_with_context(source_of(source, items)), heartbeat=0.02)

    app.add_url_rule("/<kind>", "index", as_kind(view, index))
    served = serve(app)
    assert served.text("/short?name=World").replace(":\n\n", "") == "data: World\n\n"
    with listening(served, "/endless?name=World") as response:
        assert [event(response), event(response)] == [b"data: World\n\n", b"data: /endless\n\n"]
    until(lambda: len(notes) == 4)
    assert notes == ["ended /short", "teardown /short", "ended /endless", "teardown /endless"]


@pytest.mark.parametrize("view", KINDS)
def test_a_client_goes_on_where_it_was(serve: Serve, app: Quaff, view: str) -> None:
    """A client that sends the id that it had last gets what came after it. Granian keeps ids beyond ASCII from the app."""

    def index() -> EventStream:
        last = EventStream.last_event_id()
        return EventStream(iter([Event("next", id=f"{last} and on")]))

    app.add_url_rule("/", "index", as_kind(view, index))
    served = serve(app)
    (message,) = Interpreter().read(served.get("/", headers={"Last-Event-ID": "7"}).content).messages
    assert message.last_event_id == "7 and on"
    (message,) = Interpreter().read(served.get("/", headers={b"Last-Event-ID": "größe".encode()}).content).messages
    assert message.last_event_id == ("größe and on" if served.interface in {"asgi", "http1"} else "None and on")


@every_mix
def test_a_source_that_fails(
    serve: Serve, app: Quaff, view: str, source: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The client gets what came before the error, and the stream ends; the error is in the log, once."""

    def items() -> Iterator[Any]:
        yield "first"
        raise KeyError("broken")

    app.add_url_rule("/", "index", as_kind(view, lambda: EventStream(source_of(source, items))))
    app.add_url_rule("/alive", "alive", as_kind(view, lambda: "alive"))
    served = serve(app)
    with caplog.at_level(logging.WARNING):
        with listening(served) as response:
            assert block(response) == b"data: first\n\n"
            # uvicorn cuts the connection; Granian ends the answer. A browser connects again after either.
            with contextlib.suppress(http.client.IncompleteRead):
                assert response.read() == b""
        assert served.text("/alive") == "alive"
        until(lambda: caplog.records)
    assert len(caplog.records) == 1
    assert "broken" in str(caplog.records[0].exc_info or caplog.text)
