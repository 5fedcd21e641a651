"""Quaff's own server for these tests: a started worker with bare clients, or one connection without a network."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import io
import socket
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, cast

from quaff import Quaff
from quaff._internal.threads import worker_threads
from quaff.servers.access import LogRequest
from quaff.servers.http1.acceptor import Acceptor
from quaff.servers.http1.connection import HTTPConnection
from quaff.servers.http1.service import Service
from quaff.servers.http1.worker import HTTP1Loop, start_http1_worker
from quaff.servers.settings import Address, ServeSettings
from quaff.servers.worker import RunningWorker
from tests.protocols.harness import until
from tests.servers.process import PATIENCE, Answer


def crlf(text: str) -> bytes:
    """Return *text* as it goes over the wire, with the line ends of HTTP."""
    return text.replace("\n", "\r\n").encode("latin1")


class _Kept(io.BufferedReader):
    def close(self) -> None:
        """Leave it open: the next answer comes from it, too."""


class Client:
    """A bare connection, and an independent reader of the answers that arrive on it, one after the other."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self._file = _Kept(socket.SocketIO(connection, "r"))

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, text: str, body: bytes = b"") -> Client:
        """Send the head *text*, whose line ends become those of HTTP, and *body*."""
        self.socket.sendall(crlf(text) + body)
        return self

    def makefile(self, *_: object) -> io.BufferedReader:
        """Return what `http.client` reads from."""
        return self._file

    def begin(self, method: str = "GET") -> http.client.HTTPResponse:
        """Return the next answer when its head has arrived. *method* is that of the request."""
        response = http.client.HTTPResponse(cast(socket.socket, self), method=method)
        response.begin()
        return response

    def answer(self, method: str = "GET") -> Answer:
        """Return the next answer."""
        response = self.begin(method)
        headers = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, headers, response.read())

    def rest(self) -> bytes:
        """Return all that arrives until the server closes the connection."""
        pieces = []
        with contextlib.suppress(ConnectionResetError):
            while piece := self._file.read1(65536):
                pieces.append(piece)
        return b"".join(pieces)

    def line(self) -> bytes:
        """Return the next line."""
        return self._file.readline()

    def read(self, size: int) -> bytes:
        """Return the next *size* bytes."""
        return self._file.read(size)


class Server:
    """A worker that serves."""

    def __init__(self, worker: RunningWorker, address: Any) -> None:
        self.worker = worker
        self.clients: list[Client] = []
        self.port: int = address[1] if isinstance(address, tuple) else 0

    def connect(self) -> Client:
        """Return a new connection to it; closed when the server stops, at the latest."""
        client = Client(socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE))
        self.clients.append(client)
        return client

    def send(self, text: str, body: bytes = b"") -> Client:
        """Send something over a new connection."""
        return self.connect().send(text, body)

    def get(self, path: str = "/") -> Answer:
        """Ask once, on a connection of its own."""
        with self.send(f"GET {path} HTTP/1.1\nHost: a\nConnection: close\n\n") as client:
            return client.answer()

    @property
    def service(self) -> Service:
        """What its connections share."""
        service: Service = until(lambda: self._loop._service)
        return service

    @property
    def acceptor(self) -> Acceptor:
        """What takes its connections."""
        acceptor: Acceptor = until(lambda: self._loop._acceptor)
        return acceptor

    @property
    def _loop(self) -> HTTP1Loop:
        loop: HTTP1Loop = self.worker._order_stop.__self__  # type: ignore[attr-defined]
        return loop


@contextmanager
def serving(
    app: Quaff, *, listener: socket.socket | None = None, log: LogRequest | None = None, **values: Any
) -> Iterator[Server]:
    """Serve *app* on a free port or on *listener*, with the settings *values*, and stop in the end."""
    settings = ServeSettings(bind=Address("127.0.0.1", 0), workers=1, **values)
    with listener or socket.create_server(("127.0.0.1", 0)) as listening:
        worker = start_http1_worker(app, listening, settings, log=log)
        server = Server(worker, listening.getsockname())
        try:
            yield server
        finally:
            for client in server.clients:
                client.socket.close()
            assert worker.stop(PATIENCE), "the worker did not stop"


class Wire(asyncio.Transport):
    """A transport that keeps what is written to it, and never takes more than the test allows."""

    def __init__(self) -> None:
        super().__init__({"sockname": ("10.0.0.1", 80), "peername": ("10.0.0.2", 50_000)})
        self.sent = bytearray()
        self.waiting = 0
        """Bytes that the client has not taken."""

        self.is_paused = False
        self.ended: str | None = None
        """How it was ended: `close` or `abort`; None while it is open."""

        self.protocol: Any = None
        self.lingers = False
        """Whether it can say that nothing more is sent and still read."""

    def can_write_eof(self) -> bool:
        """Return what the test says."""
        return self.lingers

    def write_eof(self) -> None:
        """Note it."""
        assert self.ended is None, "it is closed"
        self.sent += b"(end)"

    def write(self, data: Any) -> None:
        """Keep *data*."""
        assert self.ended is None, "it is closed"
        self.sent += data

    def get_write_buffer_size(self) -> int:
        """Return what the test says."""
        return self.waiting

    def is_closing(self) -> bool:
        """Tell whether it was ended."""
        return self.ended is not None

    def pause_reading(self) -> None:
        """Note it."""
        assert not self.is_paused
        self.is_paused = True

    def resume_reading(self) -> None:
        """Note it."""
        assert self.is_paused
        self.is_paused = False

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Take the protocol."""
        self.protocol = protocol

    def close(self) -> None:
        """End it; once all is sent."""
        self._end("close")

    def abort(self) -> None:
        """End it now."""
        self._end("abort")
        self.waiting = 0
        asyncio.get_running_loop().call_soon(self._lose)

    def _end(self, how: str) -> None:
        was, self.ended = self.ended, how
        if was is None and not self.waiting:
            asyncio.get_running_loop().call_soon(self._lose)

    def _lose(self) -> None:
        protocol, self.protocol = self.protocol, None
        if protocol is not None:
            protocol.connection_lost(None)


class Line:
    """A connection on the running loop whose client is the test, and whose clock stands still."""

    def __init__(self, app: Quaff, service: Service | None = None, **values: Any) -> None:
        self.service = service or Service(app, ServeSettings(workers=1, **values))
        self.connection = HTTPConnection(self.service)
        self.wire = Wire()
        self.wire.protocol = self.connection
        self.connection.connection_made(self.wire)
        self._hold_clock()

    def _hold_clock(self) -> None:
        if self.service._timer is not None:
            self.service._timer.cancel()

    def feed(self, text: str, body: bytes = b"") -> None:
        """Let *text* and *body* arrive in one piece."""
        self.connection.data_received(crlf(text) + body)

    def tick(self, seconds: int) -> None:
        """Let time pass, second by second."""
        for _ in range(seconds):
            self.service._look_after_all()
            self._hold_clock()

    async def settle(self) -> bytes:
        """Let all that waits only for the loop and worker threads happen, and return what was sent meanwhile."""
        calm = 0
        while calm < 2:
            for _ in range(30):
                await asyncio.sleep(0)
            # Some things are done in threads. What one has just ended comes to the loop in the next round.
            if worker_threads._idle < worker_threads._threads:
                await asyncio.sleep(0.001)
                calm = 0
            else:
                calm += 1
        sent = bytes(self.wire.sent)
        self.wire.sent.clear()
        return sent


def run(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run *test* on an event loop of its own."""
    with asyncio.Runner() as runner:
        runner.run(test())


def bodies(answers: bytes) -> list[bytes]:
    """Return the bodies of several whole answers, each with a `Content-Length`."""
    found = []
    while answers:
        head, _, answers = answers.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r", 1)[0])
        found.append(answers[:length])
        answers = answers[length:]
    return found
