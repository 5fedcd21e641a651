"""How much a WebSocket takes from a client, and how long it waits for one."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest

from quaff import Quaff, websocket
from quaff.errors import WebSocketDisconnect
from quaff.globals import current_context
from quaff.websockets import MAX_MESSAGE_SIZE, Connection, State, WebSocket
from tests.test_websockets import each_echo, talk


@pytest.mark.parametrize(
    "message, fits",
    [("x" * 12, True), ("x" * 13, False), ("é" * 6, True), ("é" * 7, False), ("🎉" * 3, True), ("🎉" * 4, False)],
)
@pytest.mark.parametrize("is_binary", [False, True])
@each_echo
def test_the_size_limit_counts_bytes(
    app: Quaff, handler: Callable[..., Any], message: str, fits: bool, is_binary: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """A larger message closes the connection with 1009 and leaves one line in the log."""
    app.config["WEBSOCKET_MAX_MESSAGE_SIZE"] = 12
    sent = message.encode() if is_binary else message
    with talk(app, handler) as session:
        session.send(sent)
        if fits:
            assert session.receive() == sent
        else:
            with pytest.raises(WebSocketDisconnect) as closed:
                session.receive()
            assert (closed.value.close_code, closed.value.reason) == (1009, "the message is too big")
    logged = [] if fits else [f"a message of {len(message.encode())} bytes; at most 12 are accepted"]
    assert [record.getMessage().partition("closed: ")[2] for record in caplog.records] == logged
    assert {record.levelno for record in caplog.records} <= {logging.WARNING}


@pytest.mark.parametrize("blocking", [False, True])
@each_echo
def test_messages_are_checked(
    app: Quaff, handler: Callable[..., Any], blocking: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """A check sees each message before the handler; what it returns closes the connection and is one line in the log."""
    seen: list[str | bytes] = []

    def check(message: str | bytes) -> tuple[int, str] | None:
        seen.append(message)
        return (1008, "too many messages") if len(seen) == 3 else None

    @app.before_websocket
    def add_check() -> None:
        current_context.get().request_context.made_websocket.check_messages(check, blocking=blocking)

    with talk(app, handler) as session:
        for number in range(2):
            session.send(str(number))
            assert session.receive() == str(number)
        session.send("2")
        with pytest.raises(WebSocketDisconnect) as closed:
            session.receive()
        assert (closed.value.close_code, closed.value.reason) == (1008, "too many messages")
    assert seen == ["0", "1", "2"]
    assert [record.getMessage().partition("closed: ")[2] for record in caplog.records] == ["too many messages"]


@each_echo
def test_the_usual_limit(app: Quaff, handler: Callable[..., Any]) -> None:
    """It is one MiB; `None` is none."""
    with talk(app, handler) as session:
        session.send("x" * MAX_MESSAGE_SIZE)
        assert len(session.receive()) == 1024 * 1024
        session.send("x" * (MAX_MESSAGE_SIZE + 1))
        with pytest.raises(WebSocketDisconnect):
            session.receive()
    app.config["WEBSOCKET_MAX_MESSAGE_SIZE"] = None
    with app.test_websocket("/") as session:
        session.send("x" * (MAX_MESSAGE_SIZE + 1))
        assert len(session.receive()) == MAX_MESSAGE_SIZE + 1


@pytest.mark.parametrize("is_async", [True, False])
def test_a_handler_may_set_its_own_limits(app: Quaff, is_async: bool) -> None:
    """They hold for this connection only, also when the handler runs in a thread."""
    app.config["WEBSOCKET_MAX_MESSAGE_SIZE"] = 4

    def set_limits() -> None:
        assert (websocket.max_message_size, websocket.send_timeout) == (4, 60)
        websocket.max_message_size = 8
        websocket.send_timeout = 1.5

    async def handler() -> None:
        set_limits()
        await websocket.send(f"{len(await websocket.receive())} {websocket.send_timeout}")

    def handler_in_thread() -> None:
        set_limits()
        websocket.send(f"{len(websocket.receive())} {websocket.send_timeout}")

    with talk(app, handler if is_async else handler_in_thread) as session:
        session.send("12345678")
        assert session.receive() == "8 1.5"
    with app.test_websocket("/") as session:
        session.send("123456789")
        with pytest.raises(WebSocketDisconnect, match="1009"):
            session.receive()


class Stuck(Connection):
    """A connection whose client reads nothing: what is sent waits for as long as *patience* says."""

    subprotocols: list[str] = []

    def __init__(self, patience: float = 3600) -> None:
        self.patience = patience
        self.busy = 0
        self.sent: list[Any] = []

    async def accept(self, subprotocol: str | None, headers: list[tuple[str, str]]) -> None:
        await asyncio.sleep(0.001)

    async def send(self, data: str | bytes) -> None:
        assert self.busy == 0, "one message at a time"
        self.busy += 1
        try:
            await asyncio.sleep(self.patience)
        finally:
            self.busy -= 1
        self.sent.append(data)

    async def close(self, code: int, reason: str) -> None:
        self.sent.append((code, reason))
        await asyncio.sleep(self.patience)

    def environ(self) -> dict[str, Any]:
        return {}

    async def receive(self) -> str | bytes:
        raise WebSocketDisconnect(1006)

    async def refuse(self, status: str, headers: list[tuple[str, str]], body: bytes) -> None:
        raise WebSocketDisconnect(1006)


def test_a_client_that_does_not_read() -> None:
    """Who has not read for `send_timeout` seconds is given up; tasks that wait to send hear of it too, and at once."""

    async def main() -> None:
        connection = Stuck()
        stuck = WebSocket(connection, None, {"WEBSOCKET_SEND_TIMEOUT": 0.05})
        async with asyncio.timeout(5):
            one, two = await asyncio.gather(stuck.send("a"), stuck.send("b"), return_exceptions=True)
        assert isinstance(one, WebSocketDisconnect)
        assert (one.close_code, one.reason) == (1006, "the client has not read for 0.05 seconds")
        assert isinstance(two, WebSocketDisconnect)
        assert connection.sent == [(1008, "the client does not read")]
        assert (stuck.state, stuck.close_code) == (State.CLOSED, 1006)

    asyncio.run(main())


def test_closing_does_not_wait_for_ever() -> None:
    """The closing frame gets as long as a message, and then the connection counts as closed."""

    async def main() -> None:
        stuck = WebSocket(Stuck(), None, {"WEBSOCKET_SEND_TIMEOUT": 0.05})
        await stuck.accept()
        async with asyncio.timeout(5):
            await stuck.close(4000)
        assert (stuck.state, stuck.close_code) == (State.CLOSED, 4000)

    asyncio.run(main())


def test_two_tasks_may_send_at_once() -> None:
    """The server gets one message at a time, whole, in the order of the calls; no limit of time is none."""

    async def main() -> None:
        connection = Stuck(patience=0.001)
        shared = WebSocket(connection, None, {"WEBSOCKET_SEND_TIMEOUT": None})
        await asyncio.gather(*(shared.send(str(number)) for number in range(20)))
        assert connection.sent == [str(number) for number in range(20)]

    asyncio.run(main())


def test_a_client_that_is_gone_before_the_answer() -> None:
    """Refusing and closing are then as good as done."""

    async def main() -> None:
        gone = WebSocket(Stuck(), None, {})
        await gone.refuse("403 FORBIDDEN", [], b"")
        await gone.close()
        await gone.refuse("404 NOT FOUND", [], b"")
        assert (gone.state, gone.close_code) == (State.CLOSED, 1006)

    asyncio.run(main())


class Roomy(Stuck):
    """A connection that takes *room* messages at once, and has heard which limit there is."""

    def __init__(self, room: int) -> None:
        super().__init__(patience=0.001)
        self.room = room
        self.limits: list[int | None] = []

    def send_now(self, data: str | bytes) -> bool:
        if not self.room:
            return False
        self.room -= 1
        self.sent.append(f"{data!r} at once")
        return True

    def limit(self, size: int | None) -> None:
        self.limits.append(size)


def test_what_there_is_room_for_is_sent_at_once() -> None:
    """A server that can is asked first; what it has no room for waits, and later messages wait behind it."""

    async def main() -> None:
        connection = Roomy(2)
        roomy = WebSocket(connection, None, {})
        for data in ("a", b"b", "c"):
            await roomy.send(data)
        waiting = asyncio.create_task(roomy.send("d"))
        await asyncio.sleep(0)
        connection.room = 1
        await roomy.send("e")
        await waiting
        assert connection.sent == ["'a' at once", "b'b' at once", "c", "d", "e"]
        await roomy.close(4000)
        connection.room = 1
        with pytest.raises(RuntimeError, match="closed"):
            await roomy.send("f")
        assert connection.sent[5:] == [(4000, "")]

    asyncio.run(main())


def test_the_server_hears_of_the_size_limit() -> None:
    """From the start and at each change, so that what is refused anyway need not arrive in whole."""

    async def main() -> None:
        connection = Roomy(0)
        roomy = WebSocket(connection, None, {"WEBSOCKET_MAX_MESSAGE_SIZE": 10})
        roomy.max_message_size = 20
        roomy.blocking.max_message_size = None
        assert connection.limits == [10, 20, None]
        assert roomy.max_message_size is None
        by_default = Roomy(0)
        WebSocket(by_default, None, {})
        assert by_default.limits == [MAX_MESSAGE_SIZE]

    asyncio.run(main())


def test_servers_need_not_know_more_than_the_protocol() -> None:
    """One that cannot send at once says so, and takes no note of limits."""
    connection = Stuck()
    assert connection.send_now("a") is False
    connection.limit(1)
    assert connection.sent == []
