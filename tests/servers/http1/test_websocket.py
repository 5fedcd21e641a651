"""WebSockets of Quaff's own server, over a running worker and real clients, on uvloop and on asyncio's own loop."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
import threading
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from quaff import Quaff, websocket
from quaff.errors import WebSocketDisconnect
from tests.protocols.harness import Served, read_all, until
from tests.protocols.test_websockets import KEY, client, end_of, frame, shake_hands
from tests.servers.certificates import make
from tests.servers.http1.conftest import Serve as ServeOnALoop
from tests.servers.http1.talking import Handler, Serve, add_echo, closing, read_exactly, receive_all, receive_for_ever
from tests.servers.process import PATIENCE

UPGRADE = f"Connection: Upgrade\nUpgrade: websocket\nSec-WebSocket-Version: 13\nSec-WebSocket-Key: {KEY}\n"


@pytest.fixture
def serve(serve: ServeOnALoop) -> Serve:
    """Give what serves an app until the end of the test, on either loop."""
    return lambda app, **settings: Served("http1", serve(app, **settings).port)


@pytest.fixture
def app() -> Quaff:
    """Give an app that says what it is sent."""
    return add_echo(Quaff("http1", static_folder=None))


# The handshake --------------------------------------------------------------------------------------------------------


def test_the_handshake(app: Quaff, serve: Serve) -> None:
    """It is what RFC 6455 section 4.2.2 has as an example, with a date, the subprotocol and the headers of the app."""

    async def talk(handler: Handler) -> None:
        await websocket.accept("v2", [("X-Room", "tea"), ("Set-Cookie", "a=b"), ("Connection", "close")])

    Handler(app, talk)
    offered = "Sec-WebSocket-Protocol: v1, v2\n"
    head, _, rest = read_all(
        serve(app).send(f"GET / HTTP/1.1\nHost: a\n{UPGRADE}{offered}\n", closing(1000))
    ).partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    assert status == "HTTP/1.1 101 Switching Protocols"
    dates = [line for line in lines if line.startswith("Date: ")]
    assert len(dates) == 1
    assert [line for line in lines if line not in dates] == [
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
        "Sec-WebSocket-Protocol: v2",
        "X-Room: tea",
        "Set-Cookie: a=b",
    ]
    assert rest[:1] == b"\x88"


@pytest.mark.parametrize("lines", [["v1, v2"], ["v1", "v2"], [" v1 ,,", "", "v2,"]])
def test_offered_subprotocols(app: Quaff, serve: Serve, lines: list[str]) -> None:
    """They may stand in one header or in several, which is the same (RFC 6455 section 11.3.4)."""

    async def talk(handler: Handler) -> list[str]:
        await websocket.accept("v2")
        return list(websocket.subprotocols)

    handler = Handler(app, talk)
    extra = "".join([f"Sec-WebSocket-Protocol: {line}\n" for line in lines])
    shake_hands(serve(app), "/", extra).close()
    assert handler.result() == ["v1", "v2"]


def test_refusing(app: Quaff, serve: Serve) -> None:
    """The client gets status, headers and body, and then the end of the connection."""

    @app.websocket("/full")
    async def full() -> Any:
        return "full\n", 429, {"Retry-After": "7", "Upgrade": "tea"}

    answer = read_all(serve(app).send(f"GET /full HTTP/1.1\nHost: a\n{UPGRADE}\n"))
    head, _, body = answer.partition(b"\r\n\r\n")
    lines = head.decode().lower().split("\r\n")
    assert lines[0] == "http/1.1 429 too many requests"
    assert {"retry-after: 7", "content-length: 5", "connection: close"} <= set(lines)
    assert "upgrade: tea" not in lines
    assert body == b"full\n"


def test_a_handler_that_never_accepts(app: Quaff, serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    """The client is refused, and a line says why."""

    async def talk(handler: Handler) -> None:
        return

    Handler(app, talk)
    with pytest.raises(InvalidStatus) as refused, client(serve(app), "/"):
        pass
    assert refused.value.response.status_code == 403
    assert [record.getMessage() for record in caplog.records] == ["WebSocket / refused: its handler never accepted it"]


@pytest.mark.parametrize("header", [("X-A", "tea \N{TEACUP WITHOUT HANDLE}"), ("Content-Length", "7")])
def test_a_refusal_that_cannot_be_sent(
    app: Quaff, serve: Serve, header: tuple[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    """The client gets a 500 and the end of the connection in its place."""

    @app.websocket("/bad")
    async def bad() -> Any:
        response = app.response_class("full", 429)
        response.automatically_set_content_length = False
        response.headers.set(*header)
        return response

    answer = read_all(serve(app).send(f"GET /bad HTTP/1.1\nHost: a\n{UPGRADE}\n"))
    assert answer.startswith(b"HTTP/1.1 500 ")
    assert answer.count(b"HTTP/1.1 ") == 1
    assert [record.getMessage() for record in caplog.records] == ["Exception on /bad [GET]"]


BAD_HANDSHAKES = {
    "no key": ("GET / HTTP/1.1", "Sec-WebSocket-Key: ", None, 400),
    "a short key": ("GET / HTTP/1.1", "Sec-WebSocket-Key: ", "YQ==", 400),
    "a long key": ("GET / HTTP/1.1", "Sec-WebSocket-Key: ", "dGhlIHNhbXBsZSBub25jZTAwMA==", 400),
    "a key that is no base64": ("GET / HTTP/1.1", "Sec-WebSocket-Key: ", "!" * 22 + "==", 400),
    "a key outside of ASCII": ("GET / HTTP/1.1", "Sec-WebSocket-Key: ", "\xe9" * 22 + "==", 400),
    "an old version": ("GET / HTTP/1.1", "Sec-WebSocket-Version: ", "8", 426),
    "no version": ("GET / HTTP/1.1", "Sec-WebSocket-Version: ", None, 426),
    "two versions": ("GET / HTTP/1.1", "Sec-WebSocket-Version: ", "13, 8", 426),
    "POST": ("POST / HTTP/1.1", "X: ", "y", 400),
    "HTTP/1.0": ("GET / HTTP/1.0", "X: ", "y", 400),
}


@pytest.mark.parametrize("what", BAD_HANDSHAKES)
def test_bad_handshakes(app: Quaff, serve: Serve, what: str) -> None:
    """They are refused before the app hears of them; only a wrong version is told which one is right."""
    request, name, value, status = BAD_HANDSHAKES[what]
    handler = Handler(app, receive_all)
    kept = [line for line in UPGRADE.splitlines() if not line.startswith(name)]
    lines = [*kept, *([] if value is None else [name + value])]
    answer = read_all(serve(app).send("\n".join([request, "Host: a", *lines, "\n"])))
    head = answer.partition(b"\r\n\r\n")[0].decode()
    assert head.startswith(f"HTTP/1.1 {status} ")
    assert ("\r\nSec-WebSocket-Version: 13" in head) == (status == 426)
    assert "\r\nConnection: close" in head
    assert handler.results == []


def test_early_messages(app: Quaff, serve: Serve) -> None:
    """What a client sends before the handshake is complete is delivered after it, in order."""

    async def talk(handler: Handler) -> list[str | bytes]:
        await handler.go.wait()
        return await receive_all(handler)

    handler = Handler(app, talk)
    with serve(app).send(f"GET / HTTP/1.1\nHost: a\n{UPGRADE}\n", frame(0x81, b"1") + frame(0x82, b"2")[:3]) as early:
        until(lambda: hasattr(handler, "connection"))
        early.sendall(frame(0x82, b"2")[3:] + frame(0x01, b"3") + frame(0x80, b"4"))
        until(lambda: len(handler.connection._early) == 28)
        handler.let_go()
        early.sendall(frame(0x81, b"5") + closing(1000))
        assert handler.result() == ["1", b"2", "34", "5"]


def test_too_much_before_the_handshake(app: Quaff, serve: Serve) -> None:
    """A client that sends without end before it was let in is cut off, and the handler cannot let it in any more."""

    async def talk(handler: Handler) -> None:
        await handler.go.wait()
        await websocket.accept()

    handler = Handler(app, talk)
    with serve(app).send(f"GET / HTTP/1.1\nHost: a\n{UPGRADE}\n") as early:
        until(lambda: hasattr(handler, "connection"))
        with contextlib.suppress(ConnectionError):
            for _ in range(1000):
                early.sendall(frame(0x82, b"x" * 60_000))
        assert len(handler.connection._early) < 2_000_000
        until(lambda: handler.connection._end)
        handler.let_go()
        assert handler.end() == (1006, "")


def test_over_tls(app: Quaff, serve: Serve, tmp_path: Path) -> None:
    """The same holds inside of TLS: the app sees `https`, and a handler that is slow makes the client wait."""
    authority = make(tmp_path, "authority")
    pair = make(tmp_path, "server", issuer=authority)

    async def talk(handler: Handler) -> list[Any]:
        await websocket.send(websocket.scheme)
        await handler.go.wait()
        return await receive_all(handler)

    handler = Handler(app, talk)
    port = serve(app, certificate=pair.certificate, key=pair.key).port
    trust = ssl.create_default_context(cafile=str(authority.certificate))
    with connect(f"wss://127.0.0.1:{port}/", ssl=trust, proxy=None, open_timeout=PATIENCE) as connection:
        assert connection.recv(timeout=PATIENCE) == "https"
        for number in range(200):
            connection.send(str(number))
        until(lambda: not handler.connection._is_reading)
        handler.let_go()
        connection.close(4000)
        assert connection.close_code == 4000
    assert handler.result() == [str(number) for number in range(200)]


# How they end ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code, reason", [(1000, ""), (1001, "away"), (3000, "h\xe4"), (4999, "x" * 123)])
def test_the_end_by_the_app(app: Quaff, serve: Serve, code: int, reason: str) -> None:
    """The client gets code and reason, and its answer ends the connection."""

    async def talk(handler: Handler) -> None:
        await websocket.accept()
        await websocket.close(code, reason)
        await websocket.close(4000, "twice")

    handler = Handler(app, talk)
    served = serve(app)
    assert end_of(served, "/") == (code, reason)
    with shake_hands(served, "/") as bare:
        data = closing(code, reason.encode())
        assert read_exactly(bare, len(data) - 4) == data[:1] + bytes([data[1] & 0x7F]) + data[6:]
        bare.sendall(closing(code))
        assert bare.recv(1) == b""
    assert handler.results == [None, None]


@pytest.mark.parametrize(
    "sent, code",
    [(closing(1000), 1000), (closing(4001, b"enough"), 4001), (frame(0x88), 1005)],
    ids=["1000", "4001", "no code"],
)
def test_the_end_by_the_client(app: Quaff, serve: Serve, sent: bytes, code: int) -> None:
    """The handler gets the code after all messages, the client its own closing frame, and then the end."""
    seen: list[str | bytes] = []

    async def talk(handler: Handler) -> None:
        await websocket.accept()
        await handler.go.wait()
        while True:
            seen.append(await websocket.receive())

    handler = Handler(app, talk)
    with shake_hands(serve(app), "/") as bare:
        bare.sendall(frame(0x81, b"a") + frame(0x82, b"b") + sent)
        assert read_all(bare) == sent[:1] + bytes([sent[1] & 0x7F]) + sent[6:]
    handler.let_go()
    assert handler.end() == (code, "")
    assert seen == ["a", b"b"]


def test_sending_after_the_client_has_closed(app: Quaff, serve: Serve) -> None:
    """Who only sends is told with which code the client has closed, too."""

    async def talk(handler: Handler) -> None:
        await websocket.accept()
        await handler.go.wait()
        await websocket.send("late")

    handler = Handler(app, talk)
    with shake_hands(serve(app), "/") as bare:
        bare.sendall(closing(4001))
        read_all(bare)
    until(lambda: handler.connection._end)
    handler.let_go()
    assert handler.end() == (4001, "")


@pytest.mark.parametrize("how", ["closed", "reset", "half-closed"])
def test_clients_that_vanish(app: Quaff, serve: Serve, how: str) -> None:
    """Without a closing frame the code is 1006."""
    handler = Handler(app, receive_for_ever)
    with shake_hands(serve(app), "/") as bare:
        bare.sendall(frame(0x81, b"a"))
        if how == "reset":
            bare.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if how == "half-closed":
            bare.shutdown(socket.SHUT_WR)
            assert read_all(bare) == b""
    assert handler.end() == (1006, "")


def test_half_a_message_when_the_app_closes(app: Quaff, serve: Serve) -> None:
    """The rest of it is read as such: pings behind it are answered, and so is the client's closing frame waited for."""

    async def talk(handler: Handler) -> None:
        await websocket.accept()
        await handler.go.wait()
        await websocket.close(4000)

    handler = Handler(app, talk)
    message = frame(0x81, b"x" * 1000)
    with shake_hands(serve(app), "/") as bare:
        bare.sendall(message[:500])
        until(lambda: not handler.connection._reader.is_between_frames)
        handler.let_go()
        assert read_exactly(bare, 4) == b"\x88\x02" + struct.pack("!H", 4000)
        bare.sendall(message[500:] + frame(0x89, b"still"))
        assert read_exactly(bare, 7) == b"\x8a\x05still"
        bare.sendall(closing(4000))
        assert bare.recv(1) == b""


def test_messages_that_cross_the_closing_frame(app: Quaff, serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    """They break no rule. A task that still waits for a message gets the client's code in the end, and nothing is logged."""

    async def talk(handler: Handler) -> list[Any]:
        await websocket.accept()
        waiting = asyncio.create_task(receive_for_ever(handler))
        await handler.go.wait()
        await websocket.close(4000)
        return list(await asyncio.gather(waiting, return_exceptions=True))

    handler = Handler(app, talk)
    with shake_hands(serve(app), "/") as bare:
        handler.let_go()
        assert read_exactly(bare, 4)[:2] == b"\x88\x02"
        bare.sendall(frame(0x89, b"p"))
        assert read_exactly(bare, 3) == b"\x8a\x01p"
        bare.sendall(closing(4000))
        assert bare.recv(1) == b""
    (error,) = handler.result()
    assert isinstance(error, WebSocketDisconnect)
    assert (error.close_code, error.reason) == (4000, "")
    assert caplog.records == []


def test_a_flood_does_not_delay_the_end(app: Quaff, serve: Serve) -> None:
    """What arrives after the app has closed is thrown away, so that the client's closing frame behind it is seen."""

    async def talk(handler: Handler) -> None:
        await websocket.accept()
        await handler.go.wait()
        await websocket.close(4000)

    handler = Handler(app, talk)
    flood = frame(0x82, b"x" * 1000) * 4000
    with shake_hands(serve(app), "/") as bare:
        sending = threading.Thread(target=bare.sendall, args=(flood + closing(4000),))
        sending.start()
        until(lambda: not handler.connection._is_reading)
        handler.let_go()
        assert read_all(bare) == b"\x88\x02" + struct.pack("!H", 4000)
        sending.join(PATIENCE)
    assert handler.result() is None


def test_no_answer_to_the_closing_frame(app: Quaff, serve: Serve) -> None:
    """Ten seconds later the connection is cut off, and not before."""

    async def talk(handler: Handler) -> None:
        await websocket.accept()
        await websocket.close(4000)

    handler = Handler(app, talk)
    with shake_hands(serve(app), "/") as bare:
        assert read_exactly(bare, 4)[:1] == b"\x88"
        assert handler.result() is None
        handler.tick(9)
        bare.sendall(frame(0x89, b"alive"))
        assert read_exactly(bare, 7) == b"\x8a\x05alive"
        handler.tick(10)
        with contextlib.suppress(ConnectionResetError):
            assert bare.recv(1) == b""
    until(lambda: handler.connection._service.count == 0)
