"""A WebSocket over RSGI, with the real Granian: its objects cannot be had without it. More in tests/protocols."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from quaff import Quaff, signals
from quaff.errors import WebSocketDisconnect
from quaff.servers.rsgi import build_rsgi
from quaff.servers.rsgi_websocket import RSGIConnection
from quaff.servers.settings import Address, ServeSettings
from quaff.servers.sockets import listen
from quaff.servers.worker import start_rsgi_worker
from tests.servers.process import PATIENCE


class Bare:
    """An RSGI application that lets a function have each connection.

    :param talk: gets the connection; what it returns or raises is kept in `results`.
    """

    def __init__(self, talk: Callable[[RSGIConnection], Any]) -> None:
        self._talk = talk
        self.results: list[Any] = []

    async def startup(self) -> None:
        """Do nothing."""

    async def shutdown(self) -> None:
        """Do nothing."""

    async def __rsgi__(self, scope: Any, protocol: Any) -> None:
        connection = RSGIConnection(scope, protocol)
        try:
            self.results.append(await self._talk(connection))
        except Exception as error:
            self.results.append(error)
        finally:
            connection.release()

    def result(self) -> Any:
        """Return the first result, once it is there."""
        end = time.monotonic() + PATIENCE
        while not self.results:
            assert time.monotonic() < end
            time.sleep(0.005)
        return self.results[0]


@contextmanager
def serving(application: Any) -> Iterator[int]:
    """Serve an RSGI application, and give the port."""
    settings = ServeSettings(bind=Address("127.0.0.1", 0), workers=1, threads=8)
    with listen(settings.bind) as listener:
        worker = start_rsgi_worker(application, listener, settings)
        try:
            yield listener.getsockname()[1]
        finally:
            assert worker.stop(PATIENCE)


@contextmanager
def client(port: int, path: str = "/", **options: Any) -> Iterator[ClientConnection]:
    """Connect a client for a with block."""
    with connect(f"ws://127.0.0.1:{port}{path}", proxy=None, open_timeout=PATIENCE, **options) as connection:
        yield connection


def test_the_environ() -> None:
    """It is that of the handshake, with the headers by which Werkzeug's map finds rules for WebSockets."""

    async def talk(connection: RSGIConnection) -> Any:
        await connection.accept(None, [])
        return connection.environ()

    bare = Bare(talk)
    with serving(bare) as port, client(port, "/gr%C3%BCn?a=%20b", additional_headers={"X-Token": "t"}):
        environ = bare.result()
    assert environ["PATH_INFO"].encode("latin1").decode() == "/gr\xfcn"
    assert (environ["REQUEST_METHOD"], environ["QUERY_STRING"], environ["HTTP_X_TOKEN"]) == ("GET", "a=%20b", "t")
    assert (environ["HTTP_UPGRADE"], environ["HTTP_CONNECTION"]) == ("websocket", "Upgrade")
    assert (environ["wsgi.url_scheme"], environ["REMOTE_ADDR"]) == ("http", "127.0.0.1")
    assert environ["HTTP_HOST"] == f"127.0.0.1:{port}"


@pytest.mark.parametrize("offered", [[], ["v1"], ["v2", "v1"]])
def test_subprotocols(offered: list[str]) -> None:
    """They are read from the handshake, in the client's order."""

    async def talk(connection: RSGIConnection) -> Any:
        await connection.accept(None, [])
        return connection.subprotocols

    bare = Bare(talk)
    with serving(bare) as port, client(port, subprotocols=offered or None):
        assert bare.result() == offered


@pytest.mark.parametrize(
    "subprotocol, headers, said", [("v1", [], "v1"), (None, [("X-A", "b")], "['X-A']"), (None, [], None)]
)
def test_what_granian_cannot_send(
    subprotocol: str | None, headers: list[tuple[str, str]], said: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    """It is left out, and one line says what and what to do. When Granian learns it, this test fails: then use it."""

    async def talk(connection: RSGIConnection) -> Any:
        await connection.accept(subprotocol, headers)
        await connection.send("open")
        await connection.receive()

    bare = Bare(talk)
    with serving(bare) as port, client(port, subprotocols=["v1"]) as connection:
        assert connection.recv(timeout=PATIENCE) == "open"
        assert connection.subprotocol is None
        assert connection.response is not None
        assert "X-A" not in connection.response.headers
    lines = [record.getMessage() for record in caplog.records if record.name == "quaff.serve"]
    assert [f": {said} is not sent. Serve this app with an ASGI server" in line for line in lines] == [True] * bool(
        said
    )


def test_messages() -> None:
    """Text and binary come as what they are, and go as what they are."""

    async def talk(connection: RSGIConnection) -> Any:
        await connection.accept(None, [])
        received = [await connection.receive() for _ in range(4)]
        for message in received:
            await connection.send(message)
        return received

    bare = Bare(talk)
    messages = ["text \xe4", b"bytes", "", b""]
    with serving(bare) as port, client(port) as connection:
        for message in messages:
            connection.send(message)
        assert [connection.recv(timeout=PATIENCE) for _ in messages] == messages
        assert bare.result() == messages


def test_the_end_by_the_client() -> None:
    """Granian 2.8 does not say with which code: it is 1005. Receiving again says the same kind of thing."""

    async def talk(connection: RSGIConnection) -> Any:
        await connection.accept(None, [])
        codes = []
        for _ in range(2):
            with pytest.raises(WebSocketDisconnect) as raised:
                await connection.receive()
            codes.append(raised.value.close_code)
        with contextlib.suppress(WebSocketDisconnect):
            await connection.send("late")
        return codes

    bare = Bare(talk)
    with serving(bare) as port, client(port) as connection:
        connection.close(4000)
        assert bare.result()[0] == 1005


def test_the_end_by_the_app() -> None:
    """The client sees a clean end; code and reason do not reach it."""

    async def talk(connection: RSGIConnection) -> Any:
        await connection.accept(None, [])
        await connection.close(4000, "enough")

    with serving(Bare(talk)) as port, client(port) as connection, pytest.raises(ConnectionClosed):
        connection.recv(timeout=PATIENCE)
    assert (connection.close_code, connection.close_reason) == (1005, "")


@pytest.mark.parametrize("status", ["401 UNAUTHORIZED", "404 NOT FOUND", "503 SERVICE UNAVAILABLE"])
def test_refusing(status: str) -> None:
    """The client gets the status; neither headers nor the body."""

    async def talk(connection: RSGIConnection) -> Any:
        await connection.refuse(status, [("X-A", "b")], b"why")

    with serving(Bare(talk)) as port, pytest.raises(InvalidStatus) as refused, client(port):
        pass
    response = refused.value.response
    assert (response.status_code, response.headers.get("X-A"), response.body) == (int(status[:3]), None, b"")


def test_a_client_that_is_gone() -> None:
    """Sending to it ends with the exception that says so, and does not wait for ever."""

    async def talk(connection: RSGIConnection) -> Any:
        await connection.accept(None, [])
        async with asyncio.timeout(PATIENCE):
            while True:
                await connection.send(b"x" * 65536)

    bare = Bare(talk)
    with serving(bare) as port:
        with client(port) as connection:
            connection.recv(timeout=PATIENCE)
            connection.socket.close()
        error = bare.result()
    assert isinstance(error, WebSocketDisconnect)
    assert error.close_code == 1006


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
@pytest.mark.parametrize("accepts", [True, False])
def test_kept_errors_keep_no_connection(accepts: bool, caplog: pytest.LogCaptureFixture) -> None:
    """Whoever keeps the error of a handler, as log handlers and error trackers do, does not keep its socket open."""
    app = Quaff("kept", static_folder=None)
    kept: list[BaseException] = []
    caplog.set_level(logging.CRITICAL)

    @app.websocket("/")
    async def handler() -> None:
        from quaff import websocket

        if accepts:
            await websocket.accept()
        raise LookupError("kept")

    def keep(_app: Quaff, exception: BaseException) -> None:
        kept.append(exception)

    def fail() -> None:
        with contextlib.suppress(InvalidStatus, ConnectionClosed), client(port) as connection:
            connection.recv(timeout=PATIENCE)

    def open_files() -> int:
        return len(os.listdir("/proc/self/fd"))

    with signals.got_request_exception.connected_to(keep, app), serving(build_rsgi(app)) as port:
        fail()
        end = time.monotonic() + PATIENCE
        before = open_files()
        for _ in range(5):
            fail()
        while open_files() > before and time.monotonic() < end:
            time.sleep(0.01)
        assert open_files() <= before
    assert len(kept) == 6
