"""The servers that the tests of this folder run an app on, in threads of this process, and what asks them."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import wraps
from typing import Any

import httpx

from quaff import Quaff
from quaff.servers.http1.worker import start_http1_worker
from quaff.servers.rsgi import build_rsgi
from quaff.servers.settings import Address, ServeSettings
from quaff.servers.worker import RunningWorker, start_rsgi_worker, start_worker
from quaff.servers.wsgi import build_runner
from tests.servers.process import PATIENCE

KINDS = ("sync", "async")


class Served:
    """An app that is being served, and a client for it.

    :param interface: how the server calls it: one of `INTERFACES`.
    """

    def __init__(self, interface: str, port: int) -> None:
        self.interface = interface
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        # PERF: `verify=False`: nothing here uses TLS, and to load the certificates takes longer than most of these tests.
        self.client = httpx.Client(base_url=self.url, timeout=PATIENCE, trust_env=False, verify=False)
        self.get = self.client.get
        self.post = self.client.post
        self.request = self.client.request

    def text(self, path: str) -> str:
        """Return the body that a GET answers, which must be a success."""
        answer = self.get(path)
        assert answer.status_code == 200, (answer.status_code, answer.text)
        return answer.text

    def connect(self) -> socket.socket:
        """Return a bare connection, for what no client would send."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)

    def send(self, head: str, body: bytes = b"") -> socket.socket:
        """Send the beginning of a request over a new connection, and return that."""
        connection = self.connect()
        connection.sendall(head.replace("\n", "\r\n").encode("latin1") + body)
        return connection


def read_all(connection: socket.socket) -> bytes:
    """Return all that arrives until the other side closes."""
    with connection:
        pieces = []
        with contextlib.suppress(ConnectionResetError):
            while piece := connection.recv(65536):
                pieces.append(piece)
        return b"".join(pieces)


def as_kind(kind: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return *function*, or for `async` a coroutine function that gives way once and then does the same."""
    if kind == "sync":
        return function

    @wraps(function)
    async def asynchronous(*args: Any, **kwargs: Any) -> Any:
        await asyncio.sleep(0)
        return function(*args, **kwargs)

    return asynchronous


def until(condition: Callable[[], Any]) -> Any:
    """Wait until *condition* holds, and return what it gave."""
    end = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.005)
    return found


@contextmanager
def over_wsgi(app: Quaff) -> Iterator[int]:
    """Serve *app* with Granian's WSGI worker."""
    with _worker(lambda *rest: start_worker(build_runner(app), *rest)) as port:
        yield port


@contextmanager
def over_rsgi(app: Quaff) -> Iterator[int]:
    """Serve *app* with Granian's RSGI worker."""
    with _worker(lambda *rest: start_rsgi_worker(build_rsgi(app), *rest)) as port:
        yield port


@contextmanager
def over_http1(app: Quaff) -> Iterator[int]:
    """Serve *app* with Quaff's own server."""
    with _worker(lambda *rest: start_http1_worker(app, *rest)) as port:
        yield port


@contextmanager
def _worker(start: Callable[[socket.socket, ServeSettings], RunningWorker]) -> Iterator[int]:
    settings = ServeSettings(bind=Address("127.0.0.1", 0), workers=1, threads=8)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        worker = start(listener, settings)
        try:
            yield listener.getsockname()[1]
        finally:
            assert worker.stop(PATIENCE), "the worker did not stop: a request is still being served"


@contextmanager
def over_asgi(app: Quaff) -> Iterator[int]:
    """Serve *app* with uvicorn."""
    import uvicorn

    # `asgi3` for the one call of ASGI 3; that uvicorn takes the app for one of ASGI 2 by itself is in test_servers.py.
    # Proxies are Quaff's to judge; by default uvicorn believes what comes from this machine.
    config = uvicorn.Config(
        app, interface="asgi3", lifespan="on", log_config=None, access_log=False, proxy_headers=False
    )
    server = uvicorn.Server(config)
    # Named as TCP: else asyncio leaves Nagle's algorithm on, and each answer waits for 40 ms.
    with socket.socket(proto=socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(200)
        thread = threading.Thread(target=server.run, args=([listener],), name="uvicorn")
        thread.start()
        try:
            until(lambda: server.started or not thread.is_alive())
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join(PATIENCE)
            assert not thread.is_alive(), "the server did not stop: a request is still being served"


INTERFACES: dict[str, Callable[[Quaff], AbstractContextManager[int]]] = {
    "wsgi": over_wsgi,
    "asgi": over_asgi,
    "rsgi": over_rsgi,
    "http1": over_http1,
}
"""How a server calls the app -> what starts such a server."""
