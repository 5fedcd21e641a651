"""Mounted applications that do not speak the protocol of the server: the ways from one to the other.

    server      a mounted WSGI application          a mounted ASGI application
    WSGI        called (`Dispatch.wsgi_app`)        `OverWSGI`: on the loop; the thread fetches the body and sends
    ASGI        in a worker thread (`exchange.py`)  called with a scope of its own
    RSGI        in a worker thread (`exchange.py`)  `OverExchange`

`HTTPConversation` is what both adapters share: ASGI as the application sees it. Read first: `tests/servers/test_mounted.py`.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from contextvars import Context, copy_context
from queue import SimpleQueue
from typing import Any, Final, Protocol

from werkzeug.exceptions import ClientDisconnected
from werkzeug.http import HTTP_STATUS_CODES, is_hop_by_hop_header
from werkzeug.wsgi import get_input_stream

from .._internal.async_bridge import loop_of_async_code
from ..mounting import Mount, find_mount
from ..proxies import CORRECTED
from .body import RequestBody
from .environ import asgi_environ, below_root, has_body
from .messages import Message, Receive, Send, decode_headers
from .wsgi import Environ, HeaderList, Protocol500

_CHUNK: Final = 64 * 1024

_ASGI: Final = {"version": "3.0", "spec_version": "2.3"}
"""COMPAT: of 2.4, sends to a client that is gone raise OSError here. Starlette would then no longer listen for the
disconnect, and streams that have nothing to send would go on; other servers announce 2.3 too."""


class ClientGone(OSError):
    """The client went away before it had the whole response; what `send` raises then."""


def _came_from(error: BaseException | None, kind: type[BaseException]) -> bool:
    """Tell whether *error* is of that kind, or was raised because of one that is."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        if isinstance(error, kind):
            return True
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return False


# The scope -----------------------------------------------------------------------------------------------------------


def _as_text(wsgi: str) -> str:
    return wsgi if wsgi.isascii() else wsgi.encode("latin1").decode(errors="replace")


def http_scope(environ: Environ, mount: Mount) -> dict[str, Any]:
    """Return the ASGI scope of a request that has a WSGI environ, as the application of *mount* shall see it."""
    root = environ.get("SCRIPT_NAME", "")
    client = environ.get("REMOTE_ADDR")
    port = str(environ.get("SERVER_PORT", ""))
    return {
        "type": "http",
        "asgi": dict(_ASGI),
        "http_version": environ.get("SERVER_PROTOCOL", "HTTP/1.1").removeprefix("HTTP/").replace("2.0", "2"),
        "method": environ["REQUEST_METHOD"].upper(),
        "scheme": environ.get("wsgi.url_scheme", "http"),
        # ASGI spec, HTTP 2.4: the path includes the root path.
        "path": _as_text(root + environ.get("PATH_INFO", "")),
        # WSGI passes the path decoded, and what it was before is lost.
        "raw_path": None,
        "query_string": environ.get("QUERY_STRING", "").encode("latin1"),
        "root_path": _as_text(root) + mount.prefix,
        "headers": _headers_of(environ),
        "client": (client, int(environ.get("REMOTE_PORT") or 0)) if client else None,
        "server": (environ.get("SERVER_NAME", "localhost"), int(port) if port.isdecimal() else None),
        "state": mount.state.copy(),
        "extensions": {},
    }


def _headers_of(environ: Environ) -> list[tuple[bytes, bytes]]:
    pairs = []
    for key, value in environ.items():
        if key.startswith("HTTP_"):
            name = key[5:]
        elif key in {"CONTENT_TYPE", "CONTENT_LENGTH"} and value:
            name = key
        else:
            continue
        pairs.append((name.replace("_", "-").lower().encode("latin1"), str(value).encode("latin1", "replace")))
    return pairs


def scope_below(scope: Message, mount: Mount) -> dict[str, Any]:
    """Return a copy of an ASGI scope, as the application of *mount* shall see it."""
    root = scope.get("root_path", "").rstrip("/")
    path = root + below_root(scope["path"], root)
    return {**scope, "path": path, "root_path": root + mount.prefix, "state": mount.state.copy()}


# ASGI as the application sees it -------------------------------------------------------------------------------------


class HTTPConversation(ABC):
    """One request to a mounted ASGI application.

    :param environ: the WSGI environ as the app has it around which *mount* is.
    """

    def __init__(self, mount: Mount, environ: Environ) -> None:
        self.scope = http_scope(environ, mount)
        self.status = ""
        self.headers: HeaderList = []
        self.is_complete = False
        """Whether the application has given its whole response."""

        self.is_gone = False
        """Whether the client went away before that, or wants no more of it."""

        self._application = mount.application
        self._over = asyncio.Event()
        length, encoding = environ.get("CONTENT_LENGTH") or None, environ.get("HTTP_TRANSFER_ENCODING")
        self._has_body = has_body(self.scope["method"], self.scope["http_version"], length, encoding)
        self._is_received = False
        self._reading: asyncio.Future[bytes] | None = None

    @abstractmethod
    def _next_chunk(self) -> Awaitable[bytes]:
        """Return the next part of the body, empty at the end; any when the client is gone."""

    @abstractmethod
    async def _deliver(self, piece: bytes) -> None:
        """Send a piece of the body, the last one when the response `is_complete`, and wait until the server took it."""

    async def run(self) -> None:
        """Run the application."""
        try:
            await self._application(self.scope, self.receive, self.send)
        finally:
            if self._reading is not None:
                self._reading.cancel()
        if not self.is_complete and not self.is_gone:
            raise Protocol500(f"{self._application!r} returned and had not sent its whole response.")

    async def receive(self) -> Message:
        """Return the next event, as ASGI wants it."""
        if not self._is_received and not self._over.is_set():
            chunk = await self._read() if self._has_body else b""
            if not self._over.is_set():
                self._is_received = not chunk
                return {"type": "http.request", "body": chunk, "more_body": bool(chunk)}
        await self._wait_until_over()
        return {"type": "http.disconnect"}

    async def _read(self) -> bytes:
        # An application may give up waiting, to see whether the client is still there; the chunk is then for the next call.
        if self._reading is None:
            self._reading = asyncio.ensure_future(self._next_chunk())
        chunk = await asyncio.shield(self._reading)
        self._reading = None
        return chunk

    async def _wait_until_over(self) -> None:
        await self._over.wait()

    async def send(self, message: Message) -> None:
        """Take an event of the application.

        :raises ClientGone: when the client is not there any more.
        :raises RuntimeError: for an event that has no place here.
        """
        if self.is_gone:
            raise ClientGone("The client went away.")
        kind = message["type"]
        if kind == "http.response.start" and not self.status:
            self._begin_response(message)
        elif kind == "http.response.body" and self.status and not self.is_complete:
            # RFC: 9110 section 9.3.2: a HEAD is answered without a body. One that never ends must not be waited for.
            is_head = self.scope["method"] == "HEAD"
            has_more = message.get("more_body", False)
            self.is_complete = is_head or not has_more
            await self._deliver(b"" if is_head else bytes(message.get("body", b"")))
            if self.is_complete:
                self.is_gone = has_more
                self.end()
        else:
            raise RuntimeError(
                f"{self._application!r} sent {kind!r}, which has no place"
                f" {'after the end' if self.is_complete else 'at this point'} of a response."
            )

    def _begin_response(self, message: Message) -> None:
        code = int(message["status"])
        self.status = f"{code} {HTTP_STATUS_CODES.get(code, 'Unknown').upper()}"
        headers = decode_headers(message.get("headers", ()))
        # RFC: PEP 3333: the connection is the server's; RFC 9110 section 7.6.1 lists these.
        self.headers = [header for header in headers if not is_hop_by_hop_header(header[0])]

    def end(self) -> None:
        """Note that there is nothing to receive and nobody to send to any more; on the loop."""
        self.is_gone = self.is_gone or not self.is_complete
        self._over.set()


# Under WSGI ----------------------------------------------------------------------------------------------------------


class OverWSGI(HTTPConversation):
    """Runs an ASGI application on the loop for a request that a WSGI server waits for in a thread. Is the response's body.

    The thread does what blocks: it reads the request's body when the application asks for it, and gives pieces of the
    response to the server. Both reach it as errands through one queue; the application waits for each to be done, so it is
    never more than one piece ahead of the client.

    :param log: is called with an error that comes too late to be raised in the thread.
    """

    def __init__(self, mount: Mount, environ: Environ, log: Callable[[BaseException], None]) -> None:
        super().__init__(mount, environ)
        self._log = log
        self._loop = loop_of_async_code()
        self._stream = get_input_stream(environ)
        # What is to be done, and what waits for it: a piece to send, or None to read. Or an error that ends it all.
        self._errands: SimpleQueue[tuple[bytes | None, asyncio.Future[bytes] | None] | BaseException] = SimpleQueue()
        self._waiting: set[asyncio.Future[bytes]] = set()
        self._sent: asyncio.Future[bytes] | None = None
        self._first: bytes | None = None
        self._is_last = False

    # In the thread of the server

    def start(self, start_response: Any) -> Iterable[bytes]:
        """Run the application until its response begins, and return the body of that."""
        if asyncio._get_running_loop() is self._loop:
            raise RuntimeError(
                "The mounted ASGI application runs on the loop that this synchronous call holds up. Await the app as an"
                " ASGI application instead."
            )
        self._call(self._begin, copy_context())
        try:
            first = self._next_piece()
        except BaseException:
            self.close()
            raise
        start_response(self.status, self.headers)
        if self._is_last:
            return [first]
        self._first = first
        return self

    def __iter__(self) -> OverWSGI:
        return self

    def __next__(self) -> bytes:
        piece, self._first = self._first, None
        while not piece:
            if self._is_last:
                raise StopIteration
            piece = self._next_piece()
        return piece

    def _next_piece(self) -> bytes:
        """Do errands until one brings a piece of the response."""
        if self._sent is not None:
            # The server asks for the next piece: it has sent the last one.
            self._call(_settle, self._sent, b"")
            self._sent = None
        while True:
            errand = self._errands.get()
            if isinstance(errand, BaseException):
                try:
                    raise errand
                finally:
                    # An error holds this frame through its traceback; a frame that holds the error would make a cycle.
                    del errand
            piece, waiter = errand
            if piece is not None:
                self._sent = waiter
                self._is_last = waiter is None
                return piece
            self._fetch(waiter)

    def _fetch(self, waiter: asyncio.Future[bytes] | None) -> None:
        try:
            chunk = self._stream.read(_CHUNK)
        except (OSError, ClientDisconnected):
            self._call(self.end)
        else:
            self._call(_settle, waiter, chunk)

    def close(self) -> None:
        """Tell the application that the client is gone, unless it has given its whole response."""
        if not self._is_last:
            self._is_last = True
            self._call(self.end)

    def _call(self, function: Callable[..., object], *args: Any) -> None:
        # A loop that was closed meanwhile has nobody who waits.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(function, *args)

    # On the loop

    def _begin(self, context: Context) -> None:
        task = self._loop.create_task(self._run(), context=context)
        # The loop holds tasks weakly, and the thread forgets this one with its last piece.
        _running.add(task)
        task.add_done_callback(_running.discard)

    async def _run(self) -> None:
        try:
            await self.run()
        except BaseException as error:
            if not self._over.is_set():
                self._errands.put(error)
            elif not _came_from(error, ClientGone) and not isinstance(error, asyncio.CancelledError):
                self._log(error)

    def _ask(self, piece: bytes | None) -> asyncio.Future[bytes]:
        waiter: asyncio.Future[bytes] = self._loop.create_future()
        self._waiting.add(waiter)
        waiter.add_done_callback(self._waiting.discard)
        self._errands.put((piece, waiter))
        return waiter

    def _next_chunk(self) -> Awaitable[bytes]:
        return self._ask(None)

    async def _deliver(self, piece: bytes) -> None:
        if self.is_complete:
            self._errands.put((piece, None))
            return
        await self._ask(piece)
        if self.is_gone:
            raise ClientGone("The client went away.")

    def end(self) -> None:
        """Note that it is over, and let nobody wait any longer; on the loop."""
        super().end()
        for waiter in tuple(self._waiting):
            _settle(waiter, b"")


_running: Final[set[asyncio.Task[None]]] = set()


def _settle(waiter: asyncio.Future[bytes], result: bytes) -> None:
    if not waiter.done():
        waiter.set_result(result)


def serve_mounted_over_wsgi(app: Any, mount: Mount, environ: Environ, start_response: Any) -> Iterable[bytes]:
    """Serve a WSGI request to *app* with the ASGI application of *mount*."""

    def log(error: BaseException) -> None:
        app.logger.error(
            "Exception in the application mounted at %r, after its response: %s [%s]",
            mount.prefix,
            ascii(environ.get("PATH_INFO", ""))[1:-1],
            environ["REQUEST_METHOD"],
            exc_info=error,
        )

    return OverWSGI(mount, environ, log).start(start_response)


# Under RSGI ----------------------------------------------------------------------------------------------------------


class Exchange(Protocol):
    """What is used of an `exchange.Exchange` here."""

    body: RequestBody | None
    is_disconnected: bool

    def environ(self) -> Environ:
        """Return the environ of the request."""
        ...

    def answer(self, status: str, headers: HeaderList, body: Any) -> Awaitable[None] | None:
        """Answer with a whole body."""
        ...

    async def begin(self, status: str, headers: HeaderList) -> Callable[[bytes], Awaitable[None]]:
        """Answer with status and headers, and return what sends a piece of the body."""
        ...

    async def wait_for_disconnect(self) -> None:
        """Return when the client has gone away."""
        ...


class OverExchange(HTTPConversation):
    """Runs an ASGI application for a request that is an exchange, on its loop."""

    def __init__(self, mount: Mount, exchange: Exchange) -> None:
        super().__init__(mount, exchange.environ())
        self._exchange = exchange
        self._push: Callable[[bytes], Awaitable[None]] | None = None
        self._watching: asyncio.Task[None] | None = None

    async def serve(self) -> None:
        """Run the application; that its client is gone is no error."""
        try:
            await self.run()
        except Exception as error:
            if not self.is_gone or not _came_from(error, ClientGone):
                raise
        finally:
            # An error holds this through its traceback, and the response ends only when nobody can send to it any more.
            self._push = None
            if self._watching is not None:
                self._watching.cancel()

    async def _next_chunk(self) -> bytes:
        body = self._exchange.body
        try:
            return b"" if body is None else await body.receive(_CHUNK)
        except ClientDisconnected:
            self.end()
            return b""

    async def _wait_until_over(self) -> None:
        if self._watching is None:
            self._watching = asyncio.create_task(self._watch())
        await self._over.wait()

    async def _watch(self) -> None:
        await self._exchange.wait_for_disconnect()
        self.end()

    async def _deliver(self, piece: bytes) -> None:
        if self._push is None:
            if self.is_complete:
                waiting = self._exchange.answer(self.status, self.headers, piece)
                if waiting is not None:
                    await waiting
                return
            self._push = await self._exchange.begin(self.status, self.headers)
        if piece:
            await self._push(piece)
        if self._exchange.is_disconnected:
            self.is_gone = True
            self.end()
            raise ClientGone("The client went away.")
        if self.is_complete:
            # The server ends the response when nobody can send to it any more; the application may go on.
            await self._push(b"")
            self._push = None


# Under ASGI ----------------------------------------------------------------------------------------------------------


def mount_of_scope(table: Any, scope: Message) -> tuple[Mount, Message] | None:
    """Return the mount that serves a connection over ASGI, and the scope as trusted proxies correct it.

    None when the app itself serves it, which also refuses bad hosts.
    """
    mount = find_mount(below_root(scope["path"], scope.get("root_path", "")), table.mounts)
    if mount is None:
        return None
    host = next((str(value, "latin1") for name, value in scope["headers"] if name == b"host"), None)
    if table.trust is None and host in table.hosts:
        return mount, scope
    environ = asgi_environ(scope)
    return (mount, _corrected(scope, environ)) if table.is_host_fine(environ) else None


def _corrected(scope: Message, environ: Environ) -> Message:
    """Return the scope with what trusted proxies have changed in the environ that was made of it."""
    correction = environ.get(CORRECTED)
    if correction is None:
        return scope
    changes = correction.changes
    # A Quaff app that is mounted finds it here, and does not correct again.
    corrected = {**scope, CORRECTED: correction}
    if "wsgi.url_scheme" in changes:
        corrected["scheme"] = changes["wsgi.url_scheme"]
    if correction.hides_client:
        corrected["client"] = None
    elif "REMOTE_ADDR" in changes:
        # RFC: 7239 section 6: the port of a client is seldom told.
        corrected["client"] = (changes["REMOTE_ADDR"], 0)
    if "HTTP_HOST" in changes:
        headers = [(name, value) for name, value in scope["headers"] if name.lower() != b"host"]
        corrected["headers"] = [(b"host", changes["HTTP_HOST"].encode("latin1")), *headers]
    if "SERVER_NAME" in changes or "SERVER_PORT" in changes:
        corrected["server"] = (environ["SERVER_NAME"], int(environ["SERVER_PORT"]))
    if "SCRIPT_NAME" in changes:
        root = _as_text(changes["SCRIPT_NAME"])
        path = root + below_root(scope["path"], scope.get("root_path", ""))
        # What the proxy has cut off came to nobody as it was written.
        corrected |= {"root_path": root, "path": path, "raw_path": None}
    return corrected


async def mounted_http(app: Any, scope: Message, receive: Receive, send: Send) -> bool:
    """Serve an HTTP request over ASGI if a mounted application can do that itself; tell whether it did.

    Behind middleware around `app.wsgi_app` none can: the middleware has to see the request first.
    """
    table = app.current_table()
    found = None if table.has_middleware else mount_of_scope(table, scope)
    if found is None or found[0].kind == "wsgi":
        return False
    mount, corrected = found
    await mount.application(scope_below(corrected, mount), receive, send)
    return True


# Lifespan ------------------------------------------------------------------------------------------------------------


class _Lifespan:
    """The lifespan protocol of ASGI, from the server's side. An application that does not know it is left alone."""

    def __init__(self, mount: Mount) -> None:
        self._mount = mount
        self._orders: asyncio.Queue[Message] = asyncio.Queue()
        self._answers: asyncio.Queue[Message] = asyncio.Queue()
        self._is_known = False

    async def startup(self) -> None:
        """Start the application.

        :raises RuntimeError: when it says that it failed.
        """
        self._task = asyncio.create_task(self._run())
        answer = await self._order("startup")
        if answer["type"] == "lifespan.startup.failed":
            await self._task
            raise RuntimeError(
                f"The application mounted at {self._mount.prefix!r} did not start:\n{answer.get('message', '')}"
            )
        self._is_known = answer["type"] == "lifespan.startup.complete"

    async def shutdown(self) -> None:
        """Stop the application.

        :raises RuntimeError: when it says that it failed.
        """
        if self._is_known:
            answer = await self._order("shutdown")
            await self._task
            if answer["type"] != "lifespan.shutdown.complete":
                raise RuntimeError(
                    f"The application mounted at {self._mount.prefix!r} did not shut down:\n{answer.get('message', '')}"
                )

    async def _order(self, what: str) -> Message:
        self._orders.put_nowait({"type": f"lifespan.{what}"})
        return await self._answers.get()

    async def _run(self) -> None:
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self._mount.state}
        message = ""
        try:
            await self._mount.application(scope, self._orders.get, self._answers.put)
        except Exception as error:
            # ASGI spec: an application that raises for this scope does not know it. One that fails says so first.
            message = repr(error)
        self._answers.put_nowait({"type": "ended", "message": message})


@asynccontextmanager
async def mounted_lifespan(mount: Mount) -> AsyncIterator[None]:
    """Start the application of *mount*, and stop it in the end."""
    lifespan = mount.application.lifespan if mount.kind == "quaff" else _Lifespan(mount)  # type: ignore[attr-defined]
    await lifespan.startup()
    try:
        yield
    finally:
        await lifespan.shutdown()
