"""Messages of a WebSocket under strain: fragments, floods, sizes, who does not keep up, and who gives up."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import struct
import threading
from collections.abc import Callable
from typing import Any

import pytest

from quaff import Quaff, websocket
from quaff.errors import WebSocketDisconnect
from tests.protocols.harness import Served, read_all, until
from tests.protocols.test_websockets import MALFORMED, frame, shake_hands
from tests.servers.http1.conftest import Serve as ServeOnALoop
from tests.servers.http1.talking import Handler, Serve, add_echo, closing, read_exactly, receive_all, receive_for_ever
from tests.servers.process import PATIENCE


@pytest.fixture
def serve(serve: ServeOnALoop) -> Serve:
    """Give what serves an app until the end of the test, on either loop."""
    return lambda app: Served("http1", serve(app).port)


@pytest.fixture
def app() -> Quaff:
    """Give an app that says what it is sent."""
    return add_echo(Quaff("http1", static_folder=None))


def warnings_in(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what was logged for whoever runs the server."""
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def big_frame(first: int, size: int) -> bytes:
    """Return the head of a frame of a client's whose payload has *size* bytes: more than 64 KiB."""
    return bytes([first, 0xFF]) + struct.pack("!Q", size) + b"\0\0\0\0"


# Fragments ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", [1, 2, 7, 10_000])
def test_fragments_and_pings(app: Quaff, serve: Serve, step: int) -> None:
    """Messages come whole and in order, however they are cut, and pings between their fragments are answered."""
    handler = Handler(app, receive_all)
    data = b"".join(
        [
            frame(0x81, b"whole"),
            frame(0x89, b"1"),
            frame(0x01, "\xe4".encode()[:1]),
            frame(0x89, b"2"),
            frame(0x00, "\xe4".encode()[1:]),
            frame(0x8A, b"not asked for"),
            frame(0x80, b""),
            frame(0x02, b""),
            frame(0x80, b"\xff"),
            frame(0x81, b"x" * 200),
            closing(1000),
        ]
    )
    with shake_hands(serve(app), "/") as bare:
        bare.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(0, len(data), step):
            bare.sendall(data[at : at + step])
        assert read_all(bare) == b"\x8a\x011" + b"\x8a\x012" + b"\x88\x02\x03\xe8"
    assert handler.result() == ["whole", "\xe4", b"\xff", "x" * 200]


NOT_UTF8 = {
    "short": frame(0x81, b"\xff"),
    "long": frame(0x81, b"x" * 200 + b"\xff"),
    "behind others": frame(0x89) + frame(0x81, b"\xc3"),
    "in fragments": frame(0x01, b"\xc3") + frame(0x80, b"("),
    "a surrogate": frame(0x81, b"\xed\xa0\x80"),
}


@pytest.mark.parametrize("what", NOT_UTF8)
def test_text_that_is_not_utf8(app: Quaff, serve: Serve, what: str, caplog: pytest.LogCaptureFixture) -> None:
    """It closes the connection with 1007, what comes behind it is not read, and one line says why."""
    handler = Handler(app, receive_for_ever)
    with shake_hands(serve(app), "/") as bare:
        bare.sendall(frame(0x81, b"good") + NOT_UTF8[what] + frame(0x81, b"late") + frame(0x89, b"late"))
        assert read_all(bare).endswith(b"\x88\x1d" + struct.pack("!H", 1007) + b"a text message is not UTF-8")
    assert handler.end() == (1007, "a text message is not UTF-8")
    until(lambda: warnings_in(caplog))
    assert warnings_in(caplog) == ["WebSocket / closed: a text message is not UTF-8"]


@pytest.mark.parametrize("what", sorted(MALFORMED))
def test_the_codes_of_malformed_frames(app: Quaff, serve: Serve, what: str) -> None:
    """The client is told what it did wrong (RFC 6455 section 7.4.1), and so is the handler."""
    expected = {"text that is not UTF-8": 1007, "a length that no message has": 1009}.get(what, 1002)
    handler = Handler(app, receive_for_ever)
    with shake_hands(serve(app), "/") as bare:
        bare.sendall(MALFORMED[what])
        answer = read_all(bare)
    assert (answer[0], answer[1], answer[2:4]) == (0x88, len(answer) - 2, struct.pack("!H", expected))
    code, reason = handler.end()
    assert code == expected
    assert reason.startswith(answer[4:].decode())


def test_messages_before_a_broken_one(app: Quaff, serve: Serve) -> None:
    """The handler still gets what came before the client broke the rules."""
    handler = Handler(app, receive_all)
    with shake_hands(serve(app), "/") as bare:
        bare.sendall(frame(0x81, b"1") + frame(0x82, b"2") + frame(0x83))
        assert read_all(bare)[2:4] == struct.pack("!H", 1002)
    assert handler.result() == ["1", b"2"]


# Sizes ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("begun", [b"", frame(0x81, b"fits") + b"\x82", frame(0x01, b"frag") + frame(0x80, b"ments")])
def test_the_head_of_a_message_that_is_too_big(
    app: Quaff, serve: Serve, begun: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """The connection is closed with 1009 when it says how long the message is, before anything of it arrives."""
    handler = Handler(app, receive_for_ever)
    with shake_hands(serve(app), "/") as bare:
        head = big_frame(0x82, 1024 * 1024 + 1)
        bare.sendall(begun + (head[1:] if begun.endswith(b"\x82") else head))
        assert read_all(bare)[2:4] == struct.pack("!H", 1009)
    code, reason = handler.end()
    assert code == 1009
    assert reason.endswith("at most 1048576 are accepted")
    until(lambda: warnings_in(caplog))
    assert warnings_in(caplog) == [f"WebSocket / closed: {reason}"]


def test_fragments_that_are_too_big_together(app: Quaff, serve: Serve) -> None:
    """They count as the message that they make; none of it reaches the handler."""
    app.config["WEBSOCKET_MAX_MESSAGE_SIZE"] = 1000
    handler = Handler(app, receive_for_ever)
    with shake_hands(serve(app), "/") as bare:
        bare.sendall(frame(0x02, b"x" * 500) + frame(0x00, b"x" * 500) + frame(0x80, b"x" * 200)[:8])
        assert read_all(bare)[2:4] == struct.pack("!H", 1009)
    assert handler.end()[0] == 1009


def test_fragments_without_end(app: Quaff, serve: Serve) -> None:
    """However many there are, what is held of them are their bytes, which the limit counts."""
    handler = Handler(app, receive_all)
    with shake_hands(serve(app), "/") as bare:
        bare.sendall(frame(0x02, b"a") + (frame(0x00) * 10 + frame(0x00, b"b")) * 1000 + frame(0x89))
        assert read_exactly(bare, 2) == b"\x8a\x00"
        fragments = handler.connection._fragments
        assert fragments is not None
        assert len(fragments[1]) == 1001
        bare.sendall(frame(0x80) + closing(1000))
        assert handler.result() == [b"a" + b"b" * 1000]


@pytest.mark.parametrize("is_early", [True, False])
@pytest.mark.parametrize("limit, size, fits", [(3_000_000, 2_000_000, True), (None, 2_000_000, True), (10, 11, False)])
def test_a_limit_of_the_handler(
    app: Quaff, serve: Serve, is_early: bool, limit: int | None, size: int, fits: bool
) -> None:
    """One that it sets before it receives holds for every message, also when fragments have come before."""

    async def talk(handler: Handler) -> Any:
        if is_early:
            websocket.max_message_size = limit
            await websocket.accept()
        else:
            await websocket.accept()
            assert await websocket.receive() == "ab"
            websocket.max_message_size = limit
            await websocket.send("set")
        return len(await websocket.receive())

    handler = Handler(app, talk)
    with shake_hands(serve(app), "/") as bare:
        if not is_early:
            bare.sendall(frame(0x01, b"a") + frame(0x80, b"b"))
            assert read_exactly(bare, 5) == b"\x81\x03set"
        bare.sendall(big_frame(0x82, size) + bytes(size) if size > 65_535 else frame(0x82, bytes(size)))
        if fits:
            assert handler.result() == size
            assert read_exactly(bare, 4) == b"\x88\x02\x03\xe8"
        else:
            assert read_all(bare)[2:4] == struct.pack("!H", 1009)
            assert handler.end()[0] == 1009


# Handlers and clients that do not keep up -----------------------------------------------------------------------------


def test_a_burst(app: Quaff, serve: Serve) -> None:
    """While the handler is busy the server stops reading; afterwards no message is missing or in the wrong place."""
    count = 100_000

    async def talk(handler: Handler) -> list[str | bytes]:
        await websocket.accept()
        await handler.go.wait()
        return await receive_all(handler)

    handler = Handler(app, talk)
    burst = b"".join([frame(0x81, b"%d" % number) for number in range(count)])
    with shake_hands(serve(app), "/") as bare:
        sending = threading.Thread(target=bare.sendall, args=(burst + closing(1000),))
        sending.start()
        until(lambda: not handler.connection._is_reading)
        assert handler.call(lambda: len(handler.connection._messages or ())) < count
        handler.let_go()
        assert handler.result() == [str(number) for number in range(count)]
        sending.join(PATIENCE)
        assert read_all(bare) == b"\x88\x02\x03\xe8"


def test_a_pong_that_nobody_has_read_yet(app: Quaff, serve: Serve) -> None:
    """A client that had to wait is not cut off for it, nor in the moment in which the server reads again."""

    async def talk(handler: Handler) -> list[str | bytes]:
        await websocket.accept()
        await handler.go.wait()
        connection = handler.connection
        while not connection._is_reading:
            await websocket.receive()
        connection.look_after(connection._service.now + 19)
        return await receive_all(handler)

    handler = Handler(app, talk)
    with shake_hands(serve(app), "/") as bare:
        bare.sendall(frame(0x81, b"m") * 64)
        until(lambda: not handler.connection._is_reading)
        handler.call(setattr, handler.connection, "_heard", -1000)
        for seconds in (0, 20, 40):
            handler.tick(seconds)
        assert read_exactly(bare, 2) == b"\x89\x00"
        handler.call(setattr, handler.connection, "_heard", -1000)
        bare.sendall(frame(0x8A) + frame(0x81, b"last") + closing(1000))
        handler.let_go()
        assert handler.result() == ["last"]


def test_a_client_that_does_not_read(app: Quaff, serve: Serve) -> None:
    """Sending waits until it does; then everything arrives, in order."""
    count = 1000

    async def talk(handler: Handler) -> None:
        for number in range(count):
            await websocket.send(b"%06d" % number + bytes(65_530))

    handler = Handler(app, talk)
    with shake_hands(serve(app), "/") as bare:
        until(lambda: handler.connection._room is not None)
        assert handler.results == []
        assert handler.call(handler.connection._transport.get_write_buffer_size) < 1_000_000
        for number in range(count):
            piece = read_exactly(bare, 65_546)
            assert piece[:16] == b"\x82\x7f" + struct.pack("!Q", 65_536) + b"%06d" % number
        assert read_exactly(bare, 4) == b"\x88\x02\x03\xe8"
    assert handler.result() is None


def test_the_send_timeout(app: Quaff, serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    """A handler waits no longer than it says for a client that does not read, which is cut off ten seconds later."""

    async def talk(handler: Handler) -> None:
        websocket.send_timeout = 0.05
        while True:
            await websocket.send(bytes(65_536))

    handler = Handler(app, talk)
    with shake_hands(serve(app), "/"):
        reason = "the client has not read for 0.05 seconds"
        assert handler.end() == (1006, reason)
        until(lambda: warnings_in(caplog))
        service = handler.connection._service
        handler.tick(9)
        assert service.count == 1
        handler.tick(10)
        until(lambda: service.count == 0)
    assert warnings_in(caplog) == [f"WebSocket / closed: {reason}"]


@pytest.mark.parametrize("size", [1, 65_536])
@pytest.mark.parametrize("how", ["closed", "reset", "said goodbye"])
def test_a_tight_loop_of_sends(app: Quaff, serve: Serve, size: int, how: str) -> None:
    """It ends when the client leaves, though it never waits for anything else."""

    async def talk(handler: Handler) -> None:
        while True:
            await websocket.send(bytes(size))

    handler = Handler(app, talk)
    with shake_hands(serve(app), "/") as bare:
        assert read_exactly(bare, 1000)[:1] == b"\x82"
        if how == "reset":
            bare.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if how == "said goodbye":
            bare.sendall(closing(1001))
    assert handler.end()[0] in {1001, 1006}


# Receiving in two places, and giving up -------------------------------------------------------------------------------


def test_a_tight_loop_of_sends_leaves_others_their_turn(app: Quaff, serve: Serve) -> None:
    """To a client that reads as fast there is always room, so the handler waits for nothing; others are answered."""
    is_over = threading.Event()

    @app.websocket("/flood")
    async def flood() -> None:
        while not is_over.is_set():
            await websocket.send("x")

    @app.get("/page")
    async def page() -> str:
        return "page"

    served = serve(app)
    with served.client, shake_hands(served, "/flood") as connection:

        def read() -> None:
            with contextlib.suppress(OSError):
                while connection.recv(1_000_000):
                    pass

        reader = threading.Thread(target=read)
        reader.start()
        try:
            assert [served.text("/page") for _ in range(3)] == ["page"] * 3
        finally:
            is_over.set()
            connection.shutdown(socket.SHUT_RDWR)
            reader.join(PATIENCE)


def test_two_tasks_that_receive(app: Quaff, serve: Serve) -> None:
    """Each gets a message, in the order in which they have asked, and both hear of the end."""

    async def talk(handler: Handler) -> list[Any]:
        await websocket.accept()
        first = [asyncio.create_task(websocket.receive()) for _ in range(2)]
        await asyncio.sleep(0)
        await websocket.send("asked")
        found: list[Any] = list(await asyncio.gather(*first))
        ends = await asyncio.gather(websocket.receive(), websocket.receive(), return_exceptions=True)
        return found + [getattr(error, "close_code", error) for error in ends]

    handler = Handler(app, talk)
    with shake_hands(serve(app), "/") as bare:
        assert read_exactly(bare, 7) == b"\x81\x05asked"
        bare.sendall(frame(0x81, b"1") + frame(0x81, b"2"))
        bare.sendall(closing(4000))
        assert handler.result() == ["1", "2", 4000, 4000]


def test_many_tasks_that_receive(app: Quaff, serve: Serve) -> None:
    """Every message is got by one of them, and each of them gets later ones later."""
    count = 2000

    async def talk(handler: Handler) -> list[list[int]]:
        await websocket.accept()

        async def take() -> list[int]:
            return [int(message) async for message in websocket]

        return await asyncio.gather(*[take() for _ in range(5)])

    handler = Handler(app, talk)
    with shake_hands(serve(app), "/") as bare:
        for number in range(count):
            bare.sendall(frame(0x81, b"%d" % number))
        bare.sendall(closing(1000))
        taken = handler.result()
    assert sorted(number for one in taken for number in one) == list(range(count))
    assert all(one == sorted(one) for one in taken)


def test_giving_up_again_and_again(app: Quaff, serve: Serve) -> None:
    """A receive with a time limit loses no message, whenever the limit strikes."""
    count = 3000

    async def talk(handler: Handler) -> list[int]:
        await websocket.accept()
        found: list[int] = []
        seconds = 0.0
        while len(found) < count:
            seconds = (seconds + 0.00001) % 0.0005
            with contextlib.suppress(TimeoutError):
                found.append(int(await asyncio.wait_for(websocket.receive(), seconds)))
        return found

    handler = Handler(app, talk)
    with shake_hands(serve(app), "/") as bare:
        for number in range(count):
            bare.sendall(frame(0x81, b"%d" % number))
        assert handler.result() == list(range(count))


@pytest.mark.parametrize("cancels_first", [True, False])
def test_giving_up_in_the_very_moment(app: Quaff, serve: Serve, cancels_first: bool) -> None:
    """A message that comes in the same turn of the loop as the cancelling is the next one, and before those behind it."""

    async def talk(handler: Handler) -> list[str | bytes]:
        await websocket.accept()
        receiving = asyncio.create_task(websocket.receive())
        await asyncio.sleep(0)
        other = asyncio.create_task(websocket.receive())
        await asyncio.sleep(0)
        steps: list[Callable[[], object]] = [
            lambda: handler.connection.data_received(frame(0x81, b"1")),
            receiving.cancel,
        ]
        for step in reversed(steps) if cancels_first else steps:
            step()
        handler.connection.data_received(frame(0x81, b"2") + frame(0x82, b"3"))
        await asyncio.wait([receiving])
        assert receiving.cancelled()
        return [await other, await websocket.receive(), await websocket.receive()]

    handler = Handler(app, talk)
    with shake_hands(serve(app), "/"):
        assert handler.result() == ["1", "2", b"3"]


def test_giving_up_when_the_client_leaves(app: Quaff, serve: Serve) -> None:
    """A receive that is cancelled while the connection ends leaves no complaint, and the next one tells of the end."""

    async def talk(handler: Handler) -> None:
        await websocket.accept()
        receiving = asyncio.create_task(websocket.receive())
        await asyncio.sleep(0)
        handler.connection.data_received(closing(4000))
        receiving.cancel()
        await asyncio.wait([receiving])
        assert receiving.cancelled()
        await websocket.receive()

    handler = Handler(app, talk)
    with shake_hands(serve(app), "/") as bare:
        assert handler.end() == (4000, "")
        assert read_all(bare) == b"\x88\x02" + struct.pack("!H", 4000)


def test_the_error_of_the_end(app: Quaff, serve: Serve) -> None:
    """Every receive and every send after the end raises it, as often as they are tried."""

    async def talk(handler: Handler) -> list[int]:
        await websocket.accept()
        codes = []
        for _ in range(2):
            with pytest.raises(WebSocketDisconnect) as ended:
                await websocket.receive()
            codes.append(ended.value.close_code)
            with pytest.raises(WebSocketDisconnect) as ended:
                await websocket.send("late")
            codes.append(ended.value.close_code)
        return codes

    handler = Handler(app, talk)
    with shake_hands(serve(app), "/") as bare:
        bare.sendall(closing(4000))
        assert handler.result() == [4000] * 4
