"""WebSockets over real servers and real clients: uvicorn (ASGI), Granian (RSGI) and Quaff's own (http1)."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import logging
import os
import socket
import struct
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from websockets.asyncio.client import connect as connect_async
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from quaff import Quaff, abort, request, session, websocket
from tests.protocols.conftest import Serve
from tests.protocols.harness import INTERFACES, Served, until
from tests.servers.process import PATIENCE

KEY = "dGhlIHNhbXBsZSBub25jZQ=="


@pytest.fixture(params=["asgi", "rsgi", "http1"])
def interface(request: pytest.FixtureRequest) -> str:
    """Give how the server calls the app; over WSGI there are no WebSockets."""
    return str(request.param)


@pytest.fixture
def app() -> Quaff:
    """Give an app with an echo of each kind. No pipeline is involved, so that it is one app, not two."""
    app = Quaff("protocols", static_folder=None)
    app.secret_key = "a key for tests"

    @app.websocket("/async")
    async def echo() -> None:
        async for message in websocket:
            await websocket.send(message)

    @app.websocket("/sync")
    def echo_in_thread() -> None:
        for message in websocket.blocking:
            websocket.blocking.send(message)

    app.add_url_rule("/page", "page", lambda: "page")
    return app


each_kind = pytest.mark.parametrize("kind", ["async", "sync"])


class Ended:
    """Collects what teardown functions are given."""

    def __init__(self, app: Quaff) -> None:
        self.errors: list[BaseException | None] = []
        app.teardown_websocket(self.errors.append)

    def wait(self, count: int = 1) -> list[BaseException | None]:
        """Return what was given, once that many connections have ended."""
        until(lambda: len(self.errors) >= count)
        return self.errors


@contextmanager
def client(served: Served, path: str, **options: Any) -> Iterator[ClientConnection]:
    """Connect a client for a with block."""
    url = f"ws://127.0.0.1:{served.port}{path}"
    with connect(url, proxy=None, open_timeout=PATIENCE, close_timeout=PATIENCE, **options) as connection:
        yield connection


def end_of(served: Served, path: str, **options: Any) -> tuple[int, str]:
    """Return code and reason with which the app closes the connection."""
    with client(served, path, **options) as connection, pytest.raises(ConnectionClosed):
        while True:
            connection.recv(timeout=PATIENCE)
    assert connection.close_code is not None
    return connection.close_code, connection.close_reason or ""


def shake_hands(served: Served, path: str, extra: str = "") -> socket.socket:
    """Return a bare connection that has been through the handshake."""
    upgrade = f"Connection: Upgrade\nUpgrade: websocket\nSec-WebSocket-Version: 13\nSec-WebSocket-Key: {KEY}\n"
    connection = served.send(f"GET {path} HTTP/1.1\nHost: localhost\n{upgrade}{extra}\n")
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += connection.recv(1)
    assert head.startswith(b"HTTP/1.1 101 "), head
    return connection


def frame(first: int, payload: bytes = b"", *, masked: bool = True) -> bytes:
    """Return a frame as RFC 6455 section 5.2 has it, masked with zeros, with a payload of up to 64 KiB."""
    size = bytes([len(payload)]) if len(payload) < 126 else b"\x7e" + struct.pack("!H", len(payload))
    size = bytes([size[0] | (0x80 if masked else 0)]) + size[1:]
    return bytes([first]) + size + (b"\0\0\0\0" if masked else b"") + payload


# Conversations --------------------------------------------------------------------------------------------------------


@each_kind
def test_messages(app: Quaff, serve: Serve, kind: str) -> None:
    """Text and binary of any size, whole or in fragments, come back as they were."""
    served = serve(app)
    with client(served, f"/{kind}") as connection:
        for message in ("", "hello", "h\xe4\xdf \N{TEACUP WITHOUT HANDLE}", b"", bytes(range(256)), "x" * 900_000):
            connection.send(message)
            assert connection.recv(timeout=PATIENCE) == message
        connection.send(["in ", "three ", "fragments"])
        assert connection.recv(timeout=PATIENCE) == "in three fragments"
        connection.send([b"a", b"", b"b"])
        assert connection.recv(timeout=PATIENCE) == b"ab"


@each_kind
def test_pings_are_answered(app: Quaff, serve: Serve, kind: str) -> None:
    """The server answers a ping whatever the handler does."""
    with client(serve(app), f"/{kind}") as connection:
        for _ in range(3):
            assert connection.ping().wait(PATIENCE)
        connection.send("still")
        assert connection.recv(timeout=PATIENCE) == "still"


@each_kind
def test_what_the_handshake_says(app: Quaff, serve: Serve, kind: str) -> None:
    """Path, query, headers, cookies and the session arrive as they do with a page."""

    def look(name: str) -> Any:
        look = websocket if kind == "async" else websocket.blocking
        return [
            name,
            request.args["q"],
            request.headers["X-Token"],
            session.get("user"),
            request.host,
            request.remote_addr,
            look.path,
            request.scheme,
        ]

    @app.websocket("/look/async/<name>")
    async def handler(name: str) -> None:
        await websocket.send_json(look(name))

    @app.websocket("/look/sync/<name>")
    def handler_in_thread(name: str) -> None:
        websocket.blocking.send_json(look(name))

    app.add_url_rule("/login", "login", lambda: session.update(user="ada") or "in")  # type: ignore[func-returns-value]
    served = serve(app)
    cookie = served.get("/login").headers["set-cookie"].partition(";")[0]
    headers = {"Cookie": cookie, "X-Token": "t"}
    with client(served, f"/look/{kind}/gr%C3%BCn?q=%C3%A4", additional_headers=headers) as connection:
        answer = json.loads(connection.recv(timeout=PATIENCE))
    host = f"127.0.0.1:{served.port}"
    assert answer == ["gr\xfcn", "\xe4", "t", "ada", host, "127.0.0.1", f"/look/{kind}/gr\xfcn", "http"]


def test_subprotocols_and_headers(app: Quaff, serve: Serve, interface: str, caplog: pytest.LogCaptureFixture) -> None:
    """The handshake carries them. Granian 2.8 cannot: it says so in one line, and the conversation goes on without."""

    @app.websocket("/")
    async def handler() -> None:
        await websocket.accept("v2", headers=[("X-Room", "tea")])
        await websocket.send_json(websocket.subprotocols)

    with client(serve(app), "/", subprotocols=["v1", "v2"]) as connection:
        assert json.loads(connection.recv(timeout=PATIENCE)) == ["v1", "v2"]
        response = connection.response
        assert response is not None
        if interface != "rsgi":
            assert (connection.subprotocol, response.headers["X-Room"]) == ("v2", "tea")
        else:
            assert (connection.subprotocol, response.headers.get("X-Room")) == (None, None)
    lines = [record.getMessage() for record in caplog.records if record.name == "quaff.serve"]
    assert len(lines) == (0 if interface != "rsgi" else 1)
    assert all("Granian cannot send a subprotocol or headers" in line for line in lines)


def test_two_hundred_at_once(app: Quaff, serve: Serve) -> None:
    """They are all served at the same time, async and in threads, each with its own messages."""
    served = serve(app)

    async def main() -> list[str | bytes]:
        urls = [f"ws://127.0.0.1:{served.port}/{'async' if n % 2 else 'sync'}" for n in range(200)]
        async with contextlib.AsyncExitStack() as stack:
            opening = [connect_async(url, proxy=None, open_timeout=PATIENCE) for url in urls]
            connections = [await stack.enter_async_context(one) for one in opening]
            for number, one in enumerate(connections):
                await one.send(str(number))
            return [await one.recv() for one in connections]

    assert asyncio.run(main()) == [str(number) for number in range(200)]
    assert served.text("/page") == "page"


# How they end ---------------------------------------------------------------------------------------------------------


@each_kind
def test_codes_of_the_app(app: Quaff, serve: Serve, interface: str, kind: str) -> None:
    """The client gets code and reason. Granian 2.8 sends neither: the client sees 1005."""

    @app.websocket("/close/async")
    async def handler() -> None:
        await websocket.accept()
        await websocket.close(4000, "because \xe9")

    @app.websocket("/close/sync")
    def handler_in_thread() -> None:
        websocket.blocking.accept()
        websocket.blocking.close(4000, "because \xe9")

    @app.websocket("/return/async")
    async def returning() -> None:
        await websocket.send("a")

    @app.websocket("/return/sync")
    def returning_in_thread() -> None:
        websocket.blocking.send("a")

    served = serve(app)
    if interface != "rsgi":
        assert end_of(served, f"/close/{kind}") == (4000, "because \xe9")
        assert end_of(served, f"/return/{kind}") == (1000, "")
    else:
        assert end_of(served, f"/close/{kind}") == (1005, "")
        assert end_of(served, f"/return/{kind}") == (1005, "")


@each_kind
def test_codes_of_the_client(app: Quaff, serve: Serve, interface: str, kind: str) -> None:
    """The handler gets the client's code; Granian 2.8 does not pass it on: it is 1005, "none given"."""
    codes: list[int | None] = []
    app.after_websocket(lambda response: codes.append(websocket.close_code))
    ended = Ended(app)
    served = serve(app)
    with client(served, f"/{kind}") as connection:
        connection.send("a")
        connection.recv(timeout=PATIENCE)
        connection.close(4001, "enough")
    assert ended.wait() == [None]
    assert codes == [4001 if interface != "rsgi" else 1005]


@each_kind
def test_an_error_of_the_handler(
    app: Quaff, serve: Serve, interface: str, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    """An open connection is closed with 1011, which Granian does not send, and one line has the traceback."""

    @app.websocket("/fail/async")
    async def handler() -> None:
        await websocket.accept()
        raise LookupError("a secret")

    @app.websocket("/fail/sync")
    def handler_in_thread() -> None:
        websocket.blocking.accept()
        raise LookupError("a secret")

    ended = Ended(app)
    served = serve(app)
    assert end_of(served, f"/fail/{kind}") == (1011 if interface != "rsgi" else 1005, "")
    assert [type(error) for error in ended.wait()] == [LookupError]
    messages = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert messages == [f"Exception on /fail/{kind} [GET]"]


def add_refusing(app: Quaff) -> None:
    """Add handlers that refuse, each in its own way."""

    def refuse(how: str) -> Any:
        if how == "abort":
            abort(403)
        if how == "fail":
            raise LookupError("a secret")
        return ("no", 429, {"X-Why": "full"}) if how == "return" else None

    @app.websocket("/refuse/async/<how>")
    async def handler(how: str) -> Any:
        return await websocket.close() if how == "close" else refuse(how)

    @app.websocket("/refuse/sync/<how>")
    def handler_in_thread(how: str) -> Any:
        return websocket.blocking.close() if how == "close" else refuse(how)


REFUSALS = {"abort": 403, "fail": 500, "return": 429, "close": 403, "never": 403}


@each_kind
def test_refused_handshakes(app: Quaff, serve: Serve, interface: str, kind: str) -> None:
    """The client gets the status; but for Granian, headers and body as well. The next one is served."""
    add_refusing(app)
    served = serve(app)
    paths = {f"/refuse/{kind}/{how}": status for how, status in REFUSALS.items()} | {"/nowhere": 404, "/page": 400}
    for path, status in paths.items():
        with pytest.raises(InvalidStatus) as refused, client(served, path):
            pass
        response = refused.value.response
        assert response.status_code == status, path
        if path.endswith("return") and interface != "rsgi":
            assert (response.headers["X-Why"], response.body) == ("full", b"no")
    assert served.get("/async").status_code == 400
    assert served.text("/page") == "page"


@each_kind
def test_messages_that_are_too_large(
    app: Quaff, serve: Serve, interface: str, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    """They close the connection with 1009, which Granian does not send, and leave one line; whole or in fragments."""
    app.config["WEBSOCKET_MAX_MESSAGE_SIZE"] = 1000
    ended = Ended(app)
    served = serve(app)
    for message in ("x" * 1001, b"x" * 100_000, ["x" * 600, "x" * 600]):
        caplog.clear()
        ended.errors.clear()
        with client(served, f"/{kind}") as connection, pytest.raises(ConnectionClosed):
            connection.send("x" * 1000)
            assert connection.recv(timeout=PATIENCE) == "x" * 1000
            connection.send(message)
            connection.recv(timeout=PATIENCE)
        assert connection.close_code == (1009 if interface != "rsgi" else 1005)
        assert ended.wait() == [None]
        lines = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
        assert len(lines) == 1
        assert "at most 1000 are accepted" in lines[0]


MALFORMED = {
    "a reserved bit": frame(0xC1, b"a"),
    "a reserved opcode": frame(0x83, b"a"),
    "not masked": frame(0x81, b"a", masked=False),
    "text that is not UTF-8": frame(0x81, b"\xff\xfe"),
    "a long ping": frame(0x89, b"x" * 126),
    "a ping in fragments": frame(0x09, b"x"),
    "a continuation of nothing": frame(0x80, b"a"),
    "a message inside of another": frame(0x01, b"a") + frame(0x81, b"b"),
    "a length that no message has": b"\x82\xff" + b"\xff" * 8 + b"\0\0\0\0",
    "a close code that is reserved": frame(0x88, struct.pack("!H", 1005)),
    "a close code of one byte": frame(0x88, b"\x03"),
    "HTTP": b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
}


@each_kind
def test_malformed_frames(app: Quaff, serve: Serve, kind: str) -> None:
    """The connection ends, at once and for the handler as well; the worker lives on, and the teardown hears of no error."""
    ended = Ended(app)
    served = serve(app)
    for what, data in MALFORMED.items():
        ended.errors.clear()
        with shake_hands(served, f"/{kind}") as connection:
            connection.sendall(frame(0x81, b"good"))
            assert connection.recv(6) == b"\x81\x04good"
            connection.sendall(data)
            with contextlib.suppress(ConnectionResetError):
                while connection.recv(4096):
                    pass
            assert ended.wait() == [None], what
    with client(served, f"/{kind}") as alive:
        alive.send("alive")
        assert alive.recv(timeout=PATIENCE) == "alive"


BROKEN_HANDSHAKES = {
    "no key": "Connection: Upgrade\nUpgrade: websocket\nSec-WebSocket-Version: 13\n",
    "an old version": f"Connection: Upgrade\nUpgrade: websocket\nSec-WebSocket-Version: 7\nSec-WebSocket-Key: {KEY}\n",
    "a bad key": "Connection: Upgrade\nUpgrade: websocket\nSec-WebSocket-Version: 13\nSec-WebSocket-Key: a\n",
}


@pytest.mark.parametrize("what", BROKEN_HANDSHAKES)
def test_broken_handshakes(app: Quaff, serve: Serve, interface: str, what: str) -> None:
    """They are answered with an error, or by Granian not at all, and nothing is left hanging.

    For an old version that is 426 over http1 (RFC 6455 section 4.4); uvicorn says 400 and no more.
    """
    served = serve(app)
    with served.send(f"GET /async HTTP/1.1\nHost: localhost\n{BROKEN_HANDSHAKES[what]}\n") as connection:
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        with contextlib.suppress(ConnectionResetError):
            while piece := connection.recv(4096):
                answer += piece
    if interface == "rsgi":
        assert not answer.startswith(b"HTTP/1.1 2")
    else:
        version = "an old version" if interface == "http1" else ""
        assert answer.startswith(b"HTTP/1.1 426 " if what == version else b"HTTP/1.1 400 ")
    assert served.text("/page") == "page"


@pytest.mark.parametrize("how", ["closed", "reset"])
@each_kind
def test_clients_that_vanish(app: Quaff, serve: Serve, kind: str, how: str, caplog: pytest.LogCaptureFixture) -> None:
    """A socket that is closed without a closing frame ends the handler; that is no error, and nothing is logged."""
    ended = Ended(app)
    served = serve(app)
    with shake_hands(served, f"/{kind}") as connection:
        connection.sendall(frame(0x81, b"good"))
        assert connection.recv(6) == b"\x81\x04good"
        if how == "reset":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert ended.wait() == [None]
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []


@each_kind
def test_clients_that_vanish_in_a_message(app: Quaff, serve: Serve, kind: str) -> None:
    """Half a message is none: the handler gets the whole ones, and ends."""
    seen: list[str | bytes] = []

    @app.websocket("/note/async")
    async def note() -> None:
        seen.extend([message async for message in websocket])

    @app.websocket("/note/sync")
    def note_in_thread() -> None:
        seen.extend(websocket.blocking)

    ended = Ended(app)
    with shake_hands(serve(app), f"/note/{kind}") as connection:
        connection.sendall(frame(0x81, b"whole") + frame(0x01, b"first fragment") + frame(0x80, b"second")[:-3])
    assert ended.wait() == [None]
    assert seen == ["whole"]


@each_kind
def test_clients_that_do_not_read(
    app: Quaff, serve: Serve, interface: str, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A handler that sends without end is ended when the client has not read for `send_timeout` seconds, with one line."""
    app.config["WEBSOCKET_SEND_TIMEOUT"] = 0.3
    sent: list[int] = []

    @app.websocket("/flood/async")
    async def flood() -> None:
        while True:
            await websocket.send(b"x" * 65536)
            sent.append(1)

    @app.websocket("/flood/sync")
    def flood_in_thread() -> None:
        while True:
            websocket.blocking.send(b"x" * 65536)
            sent.append(1)

    ended = Ended(app)
    served = serve(app)
    with shake_hands(served, f"/flood/{kind}"):
        assert ended.wait() == [None]
        lines = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
        assert lines == [f"WebSocket /flood/{kind} closed: the client has not read for 0.3 seconds"]
        assert len(sent) < 1000, "what nobody reads must not pile up in memory"
        assert served.text("/page") == "page"


def test_clients_that_send_without_end(app: Quaff, serve: Serve) -> None:
    """What the handler does not take is not piled up in memory either: the client has to wait."""
    leave = threading.Event()

    @app.websocket("/slow")
    def slow() -> None:
        websocket.blocking.accept()
        leave.wait(PATIENCE)

    served = serve(app)
    with shake_hands(served, "/slow") as connection:
        connection.settimeout(0.5)
        piece = frame(0x82, b"x" * 65535)
        sent = 0
        with pytest.raises(TimeoutError):
            while sent < 2000:
                connection.sendall(piece)
                sent += 1
        assert sent < 1000
        leave.set()


@each_kind
def test_a_server_that_stops(app: Quaff, interface: str, kind: str) -> None:
    """Connections that wait are closed, the handlers end, the teardown is run, and the server stops soon."""
    ended = Ended(app)
    with contextlib.ExitStack() as kept, contextlib.ExitStack() as server:
        served = Served(interface, server.enter_context(INTERFACES[interface](app)))
        served.client.close()
        connections = [kept.enter_context(shake_hands(served, f"/{kind}")) for _ in range(3)]
        for connection in connections:
            connection.sendall(frame(0x81, b"good"))
            assert connection.recv(6) == b"\x81\x04good"
        began = time.monotonic()
        stopping = threading.Thread(target=server.pop_all().close)
        stopping.start()
        first = [connection.recv(2)[:1] for connection in connections]
        stopping.join(PATIENCE)
        assert not stopping.is_alive()
    assert first == [b"\x88"] * 3, "a closing frame"
    assert time.monotonic() - began < PATIENCE / 2
    assert len(ended.wait(3)) == 3


# Nothing is left over ------------------------------------------------------------------------------------------------


def resources(tasks: list[int]) -> tuple[int, int, int]:
    """Return how many threads, open files and tasks of the server there are."""
    threads = [thread for thread in threading.enumerate() if not thread.name.startswith("quaff-worker-")]
    return len(threads), len(os.listdir("/proc/self/fd")), tasks[-1]


def misbehave(served: Served, kind: str) -> None:
    """Let a connection end in each of the ways that there are."""
    with client(served, f"/{kind}") as connection:
        connection.send("a")
        connection.recv(timeout=PATIENCE)
    for data in MALFORMED.values():
        with shake_hands(served, f"/{kind}") as bare:
            bare.sendall(data)
    for _ in range(3):
        shake_hands(served, f"/{kind}").close()
    for how in REFUSALS:
        with contextlib.suppress(InvalidStatus), client(served, f"/refuse/{kind}/{how}"):
            pass
    with client(served, f"/{kind}") as connection, contextlib.suppress(ConnectionClosed):
        connection.send("x" * 1001)
        connection.recv(timeout=PATIENCE)


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
@each_kind
def test_nothing_is_left_over(app: Quaff, serve: Serve, kind: str) -> None:
    """However connections end, afterwards there are as many threads, tasks and open files as before."""
    app.config["WEBSOCKET_MAX_MESSAGE_SIZE"] = 1000
    add_refusing(app)
    tasks: list[int] = []

    @app.get("/tasks")
    async def count() -> str:
        tasks.append(len(asyncio.all_tasks()))
        return "counted"

    ended = Ended(app)
    served = serve(app)
    # Once for what is made on first use and stays.
    misbehave(served, kind)

    def rests() -> tuple[int, int, int] | None:
        seen = set()
        for _ in range(10):
            assert served.text("/tasks") == "counted"
            seen.add(resources(tasks))
            time.sleep(0.02)
        return seen.pop() if len(seen) == 1 else None

    # What tests before this one have left to the collector is not counted.
    gc.collect()
    before = until(rests)
    for _ in range(3):
        misbehave(served, kind)
    until(lambda: (now := rests()) and all(after <= then for after, then in zip(now, before, strict=True)))
    assert len(ended.errors) == 4 * (5 + len(MALFORMED) + len(REFUSALS))
