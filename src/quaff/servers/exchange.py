"""One HTTP request on an event loop, whatever the protocol between server and app is.

`asgi.py` and `rsgi.py` make an exchange of what their server gives them, and `serve_exchange` finds out how the request is
served: by the coroutine of its route when something in it is async, and otherwise in a worker thread, through `app.wsgi_app`
and all middleware around it, exactly as under a WSGI server.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Generator
from contextlib import aclosing
from types import coroutine
from typing import Any, Final

from werkzeug.exceptions import ClientDisconnected

from .._internal.async_bridge import loop_of_request, run_coroutine
from .._internal.threads import run_in_thread
from ..mounting import Mount, find_mount
from ..streaming import AsyncBody
from .body import RequestBody
from .mounted import OverExchange
from .wsgi import Environ, HeaderList, Pieces, StartResponse, WSGIApp, begin_pieces

FILE_BLOCK: Final = 256 * 1024


class FileBlocks:
    """The `wsgi.file_wrapper` of these servers: large blocks, for each one is a way to a thread and back."""

    def __init__(self, file: Any, buffer_size: int = 0) -> None:
        self._file = file
        self.close: Callable[[], None] = getattr(file, "close", lambda: None)

    def __iter__(self) -> FileBlocks:
        return self

    def __next__(self) -> bytes:
        block: bytes = self._file.read(FILE_BLOCK)
        if not block:
            raise StopIteration
        return block

    def __getattr__(self, name: str) -> Any:
        if name not in {"seek", "tell", "seekable"}:
            raise AttributeError(name)
        # Werkzeug seeks in the wrapper to answer range requests.
        return getattr(self._file, name)


class Exchange(ABC):
    """An HTTP request and the way to answer it. `app` is a Quaff app."""

    app: Any
    method: str
    path: str
    """The decoded path."""

    body: RequestBody | None = None
    """The body, if the request may have one."""

    is_disconnected = False
    """Whether the client is known to have gone away."""

    is_logged = False
    """Whether `logged_environ` will be asked for; set before the request is served."""

    _environ: Environ | None = None
    _outer_environ: Environ | None = None
    _is_over = False
    _is_watched = True
    _watching: asyncio.Task[None] | None = None
    _wants_watching = False
    _whom: asyncio.Task[Any] | None = None
    _loop: asyncio.AbstractEventLoop | None = None

    watches_while_reading = False
    """Whether `wait_for_disconnect` may be called before the whole body was read."""

    @property
    @abstractmethod
    def host(self) -> str | None:
        """The `Host` header."""

    @abstractmethod
    def has_cookie(self) -> bool:
        """Tell whether the request has a `Cookie` header."""

    @abstractmethod
    def look_for_body(self) -> bool:
        """Give the exchange its body if the request may have one; tell whether to wait for that before the view."""

    @abstractmethod
    def _make_environ(self) -> Environ:
        """Return what a WSGI server would give."""

    @abstractmethod
    def _send(self, status: str, headers: HeaderList, body: bytes) -> Awaitable[None] | None:
        """Answer with a whole body."""

    @abstractmethod
    async def begin(self, status: str, headers: HeaderList) -> Callable[[bytes], Awaitable[None]]:
        """Send status and headers, and return the function that sends a piece of the body and waits until that is taken.

        Call it with no bytes at the end, and then forget it. With the client gone it does nothing; `is_disconnected` tells.
        """

    @abstractmethod
    async def wait_for_disconnect(self) -> None:
        """Return when the client has gone away. Before the whole body was read only if it `watches_while_reading`."""

    def environ(self) -> Environ:
        """Return the WSGI environ of the request, always the same."""
        environ = self._environ
        if environ is None:
            environ = self._environ = self._make_environ()
            environ["quaff.exchange"] = self
            environ["wsgi.file_wrapper"] = FileBlocks
            if self.body is not None:
                environ["wsgi.input"] = self.body
            if self.is_logged and self._outer_environ is None:
                self._outer_environ = environ
        return environ

    def logged_environ(self) -> Environ:
        """Return the environ for the log: with the whole path, and the client as the app has found it out. Call it last."""
        environ = self._outer_environ or self.environ()
        self._outer_environ = self._environ = None
        return environ

    def answer(self, status: str, headers: HeaderList, body: Any) -> Awaitable[None] | None:
        """Answer the request; None when that is done at once.

        :param body: bytes, an `AsyncBody`, or an iterable of bytes, which is iterated and closed in worker threads.
        """
        if type(body) is bytes:
            return self._send(status, headers, body)
        if isinstance(body, AsyncBody):
            return self._stream(status, headers, body)
        return self._stream(status, headers, _ThreadBody(Pieces(body, iter(body), [])))

    async def _stream(self, status: str, headers: HeaderList, body: AsyncBody | _ThreadBody) -> None:
        """Answer piece by piece. The next piece is asked for when the server has taken the last one.

        The body is closed whatever happens, also when none of it was asked for.
        """
        try:
            push = await self.begin(status, headers)
            is_gone = self.is_disconnected
            if is_gone:
                return
            async with aclosing(body.pieces()) as pieces:
                async for piece in pieces:
                    if piece:
                        await push(piece)
                    if self.is_disconnected:
                        return
        finally:
            await body.aclose()
        await push(b"")

    def enter(self, mount: Mount) -> None:
        """Go on as a request to the Quaff app that is mounted at *mount*."""
        self.app = mount.application
        self.path = self.path[len(mount.prefix) :]
        self._environ = mount.environ_of(self.environ())

    async def run_in_thread(self, mount: Mount | None = None) -> None:
        """Serve the request as a WSGI server would, in a worker thread.

        :param mount: of a WSGI application that is to serve it in place of the app.
        """
        application: WSGIApp = self.app.wsgi_app
        environ = self.environ()
        if mount is not None:
            application, environ = mount.application, mount.environ_of(environ)
        # Threads cannot be interrupted; code in them asks `request.is_disconnected`.
        self._is_watched = False
        self._loop = asyncio.get_running_loop()
        start = StartResponse()
        try:
            body = await run_in_thread(application, environ, start)
            if type(body) is list and start.status:
                waiting = self._send(start.status, start.headers, b"".join(body))
                if waiting is not None:
                    await waiting
                return
            source: AsyncBody | None = getattr(body, "async_body", None)
            if source is not None and start.status:
                # PERF: through the body itself, a worker thread would wait for each piece.
                source.call_on_close(getattr(body, "close", source.close))
                self._is_watched = True
                await _watched(self._stream(start.status, start.headers, source), self)  # type: ignore[misc]
                return
            pieces = await run_in_thread(begin_pieces, start, body)
            # A server may take whatever comes for a client that is gone, and a body need not end by itself.
            self.start_watching(None)
            await self._stream(start.status, start.headers, _ThreadBody(pieces))
        finally:
            # Granian (2.8) aborts the process when it stops while somebody still waits for a client to leave.
            self.stop_watching()

    def start_watching(self, whom: asyncio.Task[Any] | None) -> None:
        """Notice when the client goes away, and cancel the task *whom* then; on the loop."""
        if self._is_over or (whom is not None and not self._is_watched):
            return
        self._loop = asyncio.get_running_loop()
        if whom is not None:
            # Somebody may be watching already, for a thread that has asked.
            self._whom = whom
        if self.is_disconnected or self._watching is not None:
            return
        if self.body is None or self.body.is_complete or self.watches_while_reading:
            self._watching = self._loop.create_task(self._watch())
        else:
            self._wants_watching = True

    def note_whole_body(self) -> None:
        """Take note that the server has given the whole body; from now on the client can be watched."""
        if self.body is not None:
            self.body.is_complete = True
        if self._wants_watching:
            self.start_watching(None)

    async def _watch(self) -> None:
        await self.wait_for_disconnect()
        self.is_disconnected = True
        if self._whom is not None:
            self._whom.cancel()

    def stop_watching(self) -> None:
        """Forget about the client: the answer is ready."""
        self._wants_watching = False
        self._whom = None
        if self._watching is not None:
            self._watching.cancel()
            self._watching = None

    def release(self) -> None:
        """Take note that the request is over, and let go of what refers back: a cycle waits for the garbage collector."""
        self._is_over = True
        self._environ = self.body = None

    def look_for_disconnect(self) -> bool:
        """Tell whether the client has gone away; on a loop, and after the request, whether that is known already."""
        if not self.is_disconnected and not self._is_over and asyncio._get_running_loop() is None:
            # Not every thread that knows the request was started by its loop.
            token = loop_of_request.set(self._loop)
            try:
                run_coroutine(self._look)
            finally:
                loop_of_request.reset(token)
        return self.is_disconnected

    async def _look(self) -> None:
        if asyncio.get_running_loop() is not self._loop:
            # That one was closed; nobody hears from the client any more.
            return
        self.start_watching(None)
        # Once for the task to begin, once for it to hear what has happened already.
        for _ in range(2):
            await asyncio.sleep(0)


class _ThreadBody:
    """A body that is iterated and closed in worker threads; used as an `AsyncBody` is."""

    def __init__(self, body: Pieces) -> None:
        self._body = body
        self._is_closed = False

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """Give the pieces."""
        while (piece := await run_in_thread(_next_or_none, self._body)) is not None:
            yield piece

    async def aclose(self) -> None:
        """Close the body, unless that was done."""
        if not self._is_closed:
            self._is_closed = True
            await run_in_thread(self._body.close)


def _next_or_none(pieces: Pieces) -> bytes | None:
    try:
        return pieces.__next__()
    except StopIteration:
        return None


@coroutine
def _watched(handler: Coroutine[Any, Any, None], exchange: Exchange) -> Generator[Any, Any, None]:
    """Run *handler*; from the moment when it first waits for something, cancel it if the client goes away.

    PERF: most handlers wait for nothing, or for little; they pay for no second task.
    """
    try:
        waits_for = handler.send(None)
    except StopIteration:
        return
    exchange.start_watching(asyncio.current_task())
    try:
        while True:
            try:
                sent = yield waits_for
            except GeneratorExit:
                handler.close()
                raise
            except BaseException as error:
                waits_for = handler.throw(error)
            else:
                waits_for = handler.send(sent)
    except StopIteration:
        return
    except asyncio.CancelledError:
        # Whose client is gone has nobody to answer; any other cancellation is the server's.
        if not exchange.is_disconnected:
            raise
    finally:
        exchange.stop_watching()


def _is_host_fine(exchange: Exchange, table: Any) -> bool:
    # PERF: the environ is made for hosts that are new, and to write into it what a proxy says.
    if table.trust is None and exchange.host in table.hosts:
        return True
    return table.is_host_fine(exchange.environ())  # type: ignore[no-any-return]


def _mount_of(exchange: Exchange, table: Any) -> Mount | None:
    # Middleware sees these requests too, and is synchronous: `wsgi_app` looks for the mount inside of it.
    if table.has_middleware:
        return None
    mount = find_mount(exchange.path, table.mounts)
    # A request for a bad host is left to the app, which refuses it.
    is_served = mount is not None and _is_host_fine(exchange, table)
    return mount if is_served else None


async def _serve_mounted(exchange: Exchange, mount: Mount) -> None:
    if mount.kind == "wsgi":
        try:
            await exchange.run_in_thread(mount)
        except ClientDisconnected:
            # What reading the body raises. Nobody is there to be answered.
            if not exchange.is_disconnected:
                raise
    elif mount.kind == "quaff":
        exchange.enter(mount)
        await serve_exchange(exchange)
    else:
        await OverExchange(mount, exchange).serve()


async def serve_request(exchange: Exchange) -> None:
    """Serve one request, once as much of its body has arrived as the view shall find at hand."""
    if exchange.look_for_body() and exchange.body is not None:
        try:
            await exchange.body.fetch()
        except ClientDisconnected:
            # Nobody is there to be answered, and no code of the app's has begun.
            return
    try:
        await serve_exchange(exchange)
    finally:
        exchange.release()


async def serve_exchange(exchange: Exchange) -> None:
    """Serve one request."""
    app = exchange.app
    table = app._table
    if table is None or table.revision != app._revision.value or not table.compiled:
        table = app.current_table()
    if table.has_middleware and table.trust is not None:
        # Before the middleware looks.
        table.trust.correct(exchange.environ())
    if table.is_wrapped and (mount := _mount_of(exchange, table)) is not None:
        await _serve_mounted(exchange, mount)
        return
    if table.compiled and not table.has_middleware and _is_host_fine(exchange, table):
        found = table.find_native(exchange.method, exchange.path)
        if found is not None:
            handler, captured = found
            # For threads that async code starts, and for the error of sync code that would wait for the loop on it.
            loop_of_request.set(asyncio.get_running_loop())
            await _watched(handler(exchange, captured), exchange)
            return
    await exchange.run_in_thread()
