"""One HTTP request on an event loop: who serves it, and what becomes of its body and its client."""

from __future__ import annotations

import asyncio
import io
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from quaff import Quaff, request
from quaff.servers.environ import BASE_ENVIRON
from quaff.servers.exchange import FILE_BLOCK, Exchange, FileBlocks, serve_exchange
from quaff.streaming import AsyncBody


class Recorded(Exchange):
    """An exchange that keeps its answer; its client leaves when it is told to."""

    def __init__(self, app: Quaff, path: str = "/") -> None:
        self.app = app
        self.method = "GET"
        self.path = path
        self.sent: list[Any] = []
        self.leave = asyncio.Event()

    host = "localhost"

    def has_cookie(self) -> bool:
        """Tell that there is none."""
        return False

    def look_for_body(self) -> bool:
        """Tell that there is none."""
        return False

    def _make_environ(self) -> dict[str, Any]:
        return BASE_ENVIRON | {
            "REQUEST_METHOD": "GET",
            "PATH_INFO": self.path,
            "QUERY_STRING": "",
            "SERVER_NAME": "localhost",
            "SERVER_PORT": "80",
            "HTTP_HOST": "localhost",
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(),
        }

    def _send(self, status: str, headers: Any, body: bytes) -> None:
        self.sent += [status, body]

    async def begin(self, status: str, headers: Any) -> Callable[[bytes], Awaitable[None]]:
        """Note the status, and then each piece."""
        self.sent.append(status)

        async def push(piece: bytes) -> None:
            await asyncio.sleep(0)
            self.sent.append(piece)

        return push

    async def wait_for_disconnect(self) -> None:
        """Wait until the test says so."""
        await self.leave.wait()


def serve(app: Quaff, path: str = "/") -> list[Any]:
    """Return what is sent for a GET."""

    async def main() -> list[Any]:
        exchange = Recorded(app, path)
        await asyncio.wait_for(serve_exchange(exchange), 20)
        return exchange.sent

    return asyncio.run(main())


@pytest.fixture
def app() -> Quaff:
    """Give an app whose views tell where they run."""
    app = Quaff("exchange", static_folder=None, compiled=True)
    app.add_url_rule("/sync", "sync", lambda: threading.current_thread().name)

    @app.route("/async")
    async def on_the_loop() -> str:
        return threading.current_thread().name

    return app


def test_who_serves_it(app: Quaff) -> None:
    """What is async runs on the loop, what is not in a worker thread."""
    assert serve(app, "/async") == ["200 OK", threading.current_thread().name.encode()]
    assert serve(app, "/sync")[1].startswith(b"quaff-worker-")


def test_middleware_sees_every_request(app: Quaff) -> None:
    """It is synchronous and wraps the whole app, so everything runs inside of it, in a thread."""
    seen: list[str] = []
    inside = app.wsgi_app

    def middleware(environ: Any, start_response: Any) -> Any:
        seen.append(environ["PATH_INFO"])
        return inside(environ, start_response)

    app.wsgi_app = middleware  # type: ignore[method-assign]
    assert serve(app, "/async")[0] == "200 OK"
    assert seen == ["/async"]


def test_what_no_route_takes(app: Quaff) -> None:
    """Errors and redirects are those of a WSGI server."""
    assert serve(app, "/missing")[0] == "404 NOT FOUND"


def test_an_environ_is_made_once(app: Quaff) -> None:
    """And the request in a view can find its exchange."""

    async def main() -> None:
        exchange = Recorded(app)
        assert exchange.environ() is exchange.environ()
        assert exchange.environ()["quaff.exchange"] is exchange

    asyncio.run(main())


def test_a_client_that_leaves_cancels_the_view(app: Quaff) -> None:
    """The cancellation reaches the place where the view waits, and serving ends without an error."""
    ended: list[type[BaseException]] = []
    waiting: list[Recorded] = []

    @app.route("/wait")
    async def wait() -> str:
        waiting[0].leave.set()
        try:
            await asyncio.sleep(20)
        except BaseException as error:
            ended.append(type(error))
            raise
        return "late"

    async def main() -> list[Any]:
        waiting.append(Recorded(app, "/wait"))
        await asyncio.wait_for(serve_exchange(waiting[0]), 10)
        return waiting[0].sent

    assert asyncio.run(main()) == []
    assert ended == [asyncio.CancelledError]


def test_another_cancellation_is_passed_on(app: Quaff) -> None:
    """A server that stops cancels its tasks, and has to learn that they ended so."""

    @app.route("/wait")
    async def wait() -> str:
        await asyncio.sleep(20)
        return "late"

    async def main() -> None:
        task = asyncio.create_task(serve_exchange(Recorded(app, "/wait")))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(task, 10)

    asyncio.run(main())


def test_a_thread_asks_for_its_client(app: Quaff) -> None:
    """`request.is_disconnected` is False while the client waits and True once it has left."""
    waiting: list[Recorded] = []
    left = threading.Event()

    @app.route("/work")
    def work() -> str:
        before = request.is_disconnected
        left.set()
        while not request.is_disconnected:
            pass
        return f"{before} {request.is_disconnected}"

    async def main() -> list[Any]:
        exchange = Recorded(app, "/work")
        waiting.append(exchange)
        serving = asyncio.create_task(serve_exchange(exchange))
        while not left.is_set():  # noqa: ASYNC110 - it is set in a thread
            await asyncio.sleep(0.001)
        exchange.leave.set()
        await asyncio.wait_for(serving, 20)
        return exchange.sent

    assert asyncio.run(main()) == ["200 OK", b"False True"]


def test_bodies_of_every_kind(app: Quaff) -> None:
    """Bytes, what an async iterator gives, and an iterable, which is iterated in threads and closed."""

    class Closing(list[bytes]):
        closed = False

        def close(self) -> None:
            self.closed = True

    async def pieces() -> AsyncIterator[str]:
        yield "a"
        yield ""
        yield "b"

    async def main() -> None:
        exchange = Recorded(app)
        assert exchange.answer("200 OK", [], b"x") is None
        waiting = exchange.answer("200 OK", [], AsyncBody(pieces()))
        assert waiting is not None
        await waiting
        body = Closing([b"c", b"d"])
        waiting = exchange.answer("200 OK", [], body)
        assert waiting is not None
        await waiting
        assert exchange.sent == ["200 OK", b"x", "200 OK", b"a", b"b", b"", "200 OK", b"c", b"d", b""]
        assert body.closed

    asyncio.run(main())


def test_files_come_in_large_blocks() -> None:
    """Each block is a way to a thread and back; ranges seek in the file behind it."""
    file = io.BytesIO(b"x" * (FILE_BLOCK + 5))
    blocks = FileBlocks(file, 8192)
    assert [len(block) for block in blocks] == [FILE_BLOCK, 5]
    blocks.seek(FILE_BLOCK)
    assert blocks.tell() == FILE_BLOCK
    assert len(next(blocks)) == 5
    assert not hasattr(blocks, "write")
    blocks.close()
    assert file.closed
