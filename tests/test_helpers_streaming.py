"""`stream_with_context` around async generators; the synchronous ones are in `test_helpers.py`, servers in `protocols/`."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest

from quaff import (
    Quaff,
    appcontext_popped,
    appcontext_pushed,
    current_app,
    g,
    has_request_context,
    request,
    session,
    stream_with_context,
)
from quaff.testing import FlaskClient


async def in_request(app: Quaff, path: str, make: Callable[[], Any]) -> Any:
    """Return what *make* returns in a request for *path*, which is over then."""
    with app.test_request_context(path):
        return make()


def on_loop(app: Quaff, path: str, make: Callable[[], Any], use: Callable[[Any], Awaitable[Any]]) -> Any:
    """Make a stream in a request, and use it on the loop after that."""

    async def run() -> Any:
        stream = await in_request(app, path, make)
        assert not has_request_context()
        try:
            return await use(stream)
        finally:
            assert not has_request_context()

    return asyncio.run(run())


async def collect(stream: AsyncIterator[Any]) -> list[Any]:
    """Return all pieces, and see that nobody but the generator has its context."""
    pieces = []
    async for piece in stream:
        assert not has_request_context()
        pieces.append(piece)
    return pieces


async def words() -> AsyncIterator[str]:
    """Give what only a request knows."""
    yield request.args["name"]
    await asyncio.sleep(0)
    yield request.path
    yield current_app.name


def test_an_async_stream_keeps_the_request(app: Quaff) -> None:
    """On a loop, each step of a wrapped async generator has the request, also after waiting; whoever reads it has not."""
    pieces = on_loop(app, "/path?name=World", lambda: stream_with_context(words()), collect)
    assert pieces == ["World", "/path", "tests.conftest"]


def test_an_async_function_can_be_decorated(app: Quaff) -> None:
    """As a decorator it keeps the name of an async generator function and passes arguments on."""

    def make() -> Any:
        @stream_with_context
        async def generate(greeting: str, *, mark: str) -> AsyncIterator[str]:
            yield greeting
            yield request.args["name"] + mark

        assert generate.__name__ == "generate"
        return generate("Hello ", mark="!")

    assert on_loop(app, "/?name=World", make, collect) == ["Hello ", "World!"]


@pytest.mark.parametrize("is_async", [False, True])
def test_an_async_stream_through_the_bridge(app: Quaff, client: FlaskClient, is_async: bool) -> None:
    """Under a WSGI server it has request and session too, whatever the view is."""

    async def generate() -> AsyncIterator[str]:
        async for word in words():
            yield word
        yield session["name"]

    def index() -> Any:
        session["name"] = "session"
        return stream_with_context(generate())

    async def index_async() -> Any:
        return stream_with_context(generate())

    app.add_url_rule("/", "index", index_async if is_async else index)
    if is_async:
        app.before_request(lambda: session.update(name="session"))
    assert client.get("/?name=World").text == "World/tests.conftestsession"


def test_a_decorated_async_view(app: Quaff, client: FlaskClient) -> None:
    """An async generator function that is a view itself may be decorated."""
    app.add_url_rule("/", "index", stream_with_context(words))
    assert client.get("/?name=World").text == "World/tests.conftest"


def watched(app: Quaff) -> tuple[list[str], Callable[[], AsyncIterator[str]]]:
    """Return a list of what happens, and a generator function that notes its end there."""
    notes: list[str] = []

    @app.teardown_request
    def teardown(error: BaseException | None) -> None:
        if "streams" in g:
            notes.append(f"teardown {request.path} {type(error).__name__}")

    async def generate() -> AsyncIterator[str]:
        g.streams = True
        try:
            yield "a"
            await asyncio.sleep(0)
            yield "b"
        finally:
            notes.append(f"ended {request.path}")

    return notes, generate


def test_the_end_of_an_async_stream(app: Quaff) -> None:
    """When it is read to its end, the generator ends in its context, and then teardown functions run; each once."""
    notes, generate = watched(app)
    assert on_loop(app, "/all", lambda: stream_with_context(generate()), collect) == ["a", "b"]
    assert notes == ["ended /all", "teardown /all NoneType"]


def test_an_async_stream_that_is_closed_early(app: Quaff) -> None:
    """Who stops reading and closes it, in whatever task, ends the generator in its context, and the request."""
    notes, generate = watched(app)

    async def read_one(stream: Any) -> None:
        assert await anext(stream) == "a"
        await asyncio.create_task(stream.aclose())
        await stream.aclose()

    on_loop(app, "/some", lambda: stream_with_context(generate()), read_one)
    assert notes == ["ended /some", "teardown /some GeneratorExit"]


def test_an_async_stream_that_is_cancelled(app: Quaff) -> None:
    """Cancelled where it waits, it ends in its context, and teardown functions hear of it."""
    notes: list[str] = []

    @app.teardown_request
    def teardown(error: BaseException | None) -> None:
        if "streams" in g:
            notes.append(f"teardown {type(error).__name__}")

    async def generate() -> AsyncIterator[str]:
        g.streams = True
        try:
            await asyncio.Event().wait()
            yield "never"
        finally:
            notes.append(request.path)

    async def cancel(stream: Any) -> None:
        reading = asyncio.create_task(collect(stream))
        await asyncio.sleep(0.05)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading

    on_loop(app, "/cancelled", lambda: stream_with_context(generate()), cancel)
    assert notes == ["/cancelled", "teardown CancelledError"]


def test_an_async_stream_that_fails(app: Quaff) -> None:
    """Its error goes to the reader and to the teardown functions."""
    notes, _ = watched(app)

    async def fail() -> AsyncIterator[str]:
        g.streams = True
        yield "a"
        raise KeyError("broken")

    async def read(stream: Any) -> None:
        with pytest.raises(KeyError, match="broken"):
            await collect(stream)

    on_loop(app, "/fails", lambda: stream_with_context(fail()), read)
    assert notes == ["teardown /fails KeyError"]


def test_an_async_stream_never_started(app: Quaff) -> None:
    """One that nobody reads pushes nothing and leaves nothing behind."""
    notes, generate = watched(app)

    async def close(stream: Any) -> None:
        await stream.aclose()

    on_loop(app, "/unread", lambda: stream_with_context(generate()), close)
    assert notes == []


def test_async_iterators_that_are_no_generators(app: Quaff) -> None:
    """Any async iterable can be wrapped; if it can be closed it is, in its context."""
    closed: list[str] = []

    class Pieces:
        left = ["a", "b"]

        def __aiter__(self) -> Pieces:
            return self

        async def __anext__(self) -> str:
            if not self.left:
                raise StopAsyncIteration
            return self.left.pop(0) + request.path

        async def aclose(self) -> None:
            closed.append(request.path)

    assert on_loop(app, "/x", lambda: stream_with_context(Pieces()), collect) == ["a/x", "b/x"]
    assert closed == ["/x"]


def test_what_the_user_registered_does_not_run_on_the_loop(app: Quaff) -> None:
    """Signals and teardown functions, which may wait for a database, run in a worker thread; async ones on the loop."""
    seen: list[tuple[str, bool]] = []
    loops: list[Any] = []

    def note(name: str) -> Callable[..., None]:
        return lambda *_, **__: seen.append((name, threading.current_thread().name.startswith("quaff-worker")))

    @app.teardown_appcontext
    async def teardown(error: BaseException | None) -> None:
        if "streams" in g:
            loops.append(asyncio.get_running_loop())

    async def generate() -> AsyncIterator[str]:
        g.streams = True
        yield "a"

    async def read(stream: Any) -> Any:
        pushed, popped, torn_down = note("pushed"), note("popped"), note("teardown")
        app.teardown_request_funcs.setdefault(None, []).append(torn_down)
        with appcontext_pushed.connected_to(pushed, app), appcontext_popped.connected_to(popped, app):
            await collect(stream)
        return asyncio.get_running_loop()

    loop = on_loop(app, "/", lambda: stream_with_context(generate()), read)
    assert seen == [("pushed", True), ("teardown", True), ("popped", True)]
    assert loops == [loop]


def test_several_async_streams_at_once(app: Quaff) -> None:
    """Streams of several requests that one task reads in turn keep their contexts apart."""

    async def paths() -> AsyncIterator[str]:
        for _ in range(3):
            yield request.path

    async def run() -> list[str]:
        streams: list[Any] = [
            await in_request(app, path, lambda: stream_with_context(paths())) for path in ("/a", "/b", "/c")
        ]
        found = [await anext(stream) for _ in range(3) for stream in streams]
        # Not in the order of the beginnings.
        for stream in (streams[1], streams[0], streams[2]):
            assert [piece async for piece in stream] == []
        return found

    assert asyncio.run(run()) == ["/a", "/b", "/c"] * 3


def test_async_streaming_needs_a_request() -> None:
    """Outside of a request there is no context to keep, and that is said when the stream is wrapped."""
    with pytest.raises(RuntimeError, match="'stream_with_context' can only be used when a request context is active"):
        stream_with_context(words())


def test_a_synchronous_function_is_still_one(app: Quaff) -> None:
    """What is not async stays a synchronous iterator."""
    with app.test_request_context("/sync"):

        def generate() -> Iterator[str]:
            yield request.path

        assert list(stream_with_context(generate)()) == ["/sync"]
