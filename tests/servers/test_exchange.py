"""One HTTP request on an event loop: who serves it, and what becomes of its body and its client."""

from __future__ import annotations

import asyncio
import io
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from quaff import Quaff, Response, request
from quaff.servers.body import RequestBody
from quaff.servers.environ import BASE_ENVIRON
from quaff.servers.exchange import FILE_BLOCK, Exchange, FileBlocks, serve_exchange, serve_request
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


class Noted:
    """A source of pieces that notes what happens to it; as an iterable, and as an async one."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def __iter__(self) -> Noted:
        return self

    def __next__(self) -> bytes:
        self.notes.append("asked")
        return b"a"

    def close(self) -> None:
        """Note it."""
        self.notes.append("closed")

    def __aiter__(self) -> Noted:
        return self

    async def __anext__(self) -> bytes:
        return next(self)

    async def aclose(self) -> None:
        """Note it."""
        self.close()


class Unlucky(Recorded):
    """An exchange whose client is found to be gone when so many pieces were pushed; at -1, `begin` fails."""

    last = 0

    async def begin(self, status: str, headers: Any) -> Callable[[bytes], Awaitable[None]]:
        """Fail, or find out that the client is gone."""
        if self.last < 0:
            raise ValueError("no such header")
        push = await super().begin(status, headers)
        self.is_disconnected = self.last == 0

        async def push_until(piece: bytes) -> None:
            await push(piece)
            self.is_disconnected = self.sent.count(b"a") >= self.last

        return push_until


@pytest.mark.parametrize("kind", ["async", "in threads"])
@pytest.mark.parametrize("last", [-1, 0, 1, 2])
def test_a_body_is_closed_whatever_happens(app: Quaff, kind: str, last: int) -> None:
    """Once, and without being asked for a piece that nobody takes: also when the client is gone before the first one."""
    source = Noted()

    async def main() -> list[Any]:
        exchange = Unlucky(app)
        exchange.last = last
        waiting = exchange.answer("200 OK", [], AsyncBody(source) if kind == "async" else source)
        assert waiting is not None
        try:
            await asyncio.wait_for(waiting, 20)
        except ValueError as error:
            exchange.sent.append(str(error))
        return exchange.sent

    sent = asyncio.run(main())
    assert sent == (["no such header"] if last < 0 else ["200 OK", *[b"a"] * last])
    assert source.notes == ["asked"] * max(last, 0) + ["closed"]


def test_asking_does_not_keep_a_stream_from_being_cancelled(app: Quaff) -> None:
    """A sync view that has asked for its client may answer with an async body: it ends when the client leaves."""
    waiting: list[Recorded] = []
    ended: list[str] = []

    async def pieces() -> AsyncIterator[str]:
        try:
            yield "a"
            waiting[0].leave.set()
            await asyncio.sleep(20)
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise

    @app.route("/stream")
    def stream() -> Response:
        return Response(pieces() if not request.is_disconnected else b"")

    async def main() -> list[Any]:
        waiting.append(Recorded(app, "/stream"))
        # Not `wait_for`, whose own cancellation would end it too.
        done, _ = await asyncio.wait([asyncio.create_task(serve_exchange(waiting[0]))], timeout=10)
        assert done
        return waiting[0].sent

    assert asyncio.run(main()) == ["200 OK", b"a"]
    assert ended == ["cancelled"]


def test_a_thread_of_the_views_own_may_ask(app: Quaff) -> None:
    """It was not started by the loop of the request and finds it all the same; after the request it hears what is known."""
    waiting: list[Recorded] = []
    seen: list[bool] = []
    requests: list[Any] = []

    def ask() -> None:
        seen.append(requests[0].is_disconnected)

    def in_a_thread() -> None:
        thread = threading.Thread(target=ask)
        thread.start()
        thread.join(10)
        assert not thread.is_alive()

    @app.route("/work")
    def work() -> str:
        requests.append(request._get_current_object())  # type: ignore[attr-defined]
        in_a_thread()
        waiting[0].leave.set()
        while not seen[-1]:
            in_a_thread()
        return "late"

    async def main() -> None:
        waiting.append(Recorded(app, "/work"))
        await asyncio.wait_for(serve_request(waiting[0]), 10)
        await asyncio.to_thread(in_a_thread)

    asyncio.run(main())
    in_a_thread()
    assert seen[0] is False
    assert seen[-3:] == [True] * 3


def test_nobody_is_asked_after_the_end(app: Quaff) -> None:
    """A thread that outlives its request hears that the client was there, on a loop that runs and without one."""
    requests: list[Any] = []

    @app.route("/work")
    def work() -> str:
        requests.append(request._get_current_object())  # type: ignore[attr-defined]
        return "done"

    async def main() -> tuple[bool, bool, int]:
        await asyncio.wait_for(serve_request(Recorded(app, "/work")), 10)
        (made,) = requests
        in_thread = await asyncio.to_thread(lambda: made.is_disconnected)
        return made.is_disconnected, in_thread, len(asyncio.all_tasks())

    assert asyncio.run(main()) == (False, False, 1)
    assert requests[0].is_disconnected is False


def test_a_thread_may_ask_while_the_body_arrives(app: Quaff) -> None:
    """It is told what is known, and whoever is to be cancelled when the client leaves is cancelled all the same."""

    async def main() -> list[bool]:
        exchange = Recorded(app)
        exchange.body = RequestBody(exchange._make_environ)  # type: ignore[arg-type]  # nobody reads it
        task = asyncio.create_task(asyncio.sleep(20))
        exchange.start_watching(task)
        exchange.leave.set()
        found = [await asyncio.to_thread(exchange.look_for_disconnect)]
        exchange.note_whole_body()
        await asyncio.wait([task])
        return [*found, exchange.is_disconnected, task.cancelled()]

    assert asyncio.run(main()) == [False, True, True]


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
