"""What a handler of WebSockets can do: accept, receive, send and close, awaited or waiting."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable
from inspect import iscoroutinefunction
from typing import Any

import pytest

from quaff import Quaff, websocket
from quaff.errors import HeaderError, WebSocketDisconnect
from quaff.testing.websocket import HandshakeRefused, WebSocketSession
from quaff.websockets import BlockingWebSocket, State, WebSocket


def talk(app: Quaff, handler: Callable[..., Any], **options: Any) -> WebSocketSession:
    """Return a connection to *handler*."""
    app.websocket("/")(handler)
    session: WebSocketSession = app.test_websocket("/", **options)
    return session


async def echo() -> None:
    """Send back what arrives."""
    async for message in websocket:
        await websocket.send(message)


def echo_in_thread() -> None:
    """Send back what arrives, in a thread."""
    for message in websocket:
        websocket.send(message)


each_echo = pytest.mark.parametrize("handler", [echo, echo_in_thread])

# Accepting ------------------------------------------------------------------------------------------------------------


@each_echo
def test_accepting_is_implicit_with_the_first_receive(app: Quaff, handler: Callable[..., Any]) -> None:
    """Who receives accepts: without a subprotocol and without headers."""
    with talk(app, handler, subprotocols=("v1",)) as session:
        session.wait_accepted()
        assert (session.is_accepted, session.subprotocol, session.headers) == (True, None, [])


def test_accepting_is_implicit_with_the_first_send(app: Quaff) -> None:
    """Who sends accepts."""

    async def handler() -> None:
        assert websocket.state is State.CONNECTING
        await websocket.send("first")
        assert websocket.state is State.OPEN

    with talk(app, handler) as session:
        assert session.receive() == "first"


async def choose() -> None:
    """Accept with the last subprotocol and a header."""
    await websocket.accept(websocket.subprotocols[-1], headers=[("X-Room", "tea")])
    await websocket.send(f"{websocket.subprotocol} of {', '.join(websocket.subprotocols)}")


def choose_in_thread() -> None:
    """Do the same in a thread."""
    websocket.accept(websocket.subprotocols[-1], headers=[("X-Room", "tea")])
    websocket.send(f"{websocket.subprotocol} of {', '.join(websocket.subprotocols)}")


@pytest.mark.parametrize("handler", [choose, choose_in_thread])
def test_accepting_with_a_subprotocol_and_headers(app: Quaff, handler: Callable[..., Any]) -> None:
    """The handshake says which subprotocol was chosen of those offered, and carries the app's headers."""
    with talk(app, handler, subprotocols=("v1", "v2")) as session:
        assert session.receive() == "v2 of v1, v2"
        assert (session.subprotocol, session.headers) == ("v2", [("x-room", "tea")])


@pytest.mark.parametrize("offered, named", [(("v1", "v2"), "v1, v2"), ((), "none")])
def test_a_subprotocol_that_was_not_offered(app: Quaff, offered: tuple[str, ...], named: str) -> None:
    """It cannot be chosen; the message says what could be. The connection is as it was."""

    async def handler() -> None:
        with pytest.raises(ValueError, match=f"did not offer the subprotocol 'v9'. It offered: {named}"):
            await websocket.accept("v9")
        await websocket.send("open")

    with talk(app, handler, subprotocols=offered) as session:
        assert session.receive() == "open"
        assert session.subprotocol is None


@pytest.mark.parametrize("header", [("X-Name", "a\r\nX-Other: b"), ("X Name", "a"), ("X-Name", "日本")])
def test_a_header_that_cannot_be_sent(app: Quaff, header: tuple[str, str]) -> None:
    """SECURITY: a line break in a header is refused, as in a response, and so is all that cannot be sent."""

    async def handler() -> None:
        with pytest.raises(HeaderError):
            await websocket.accept(headers=[header])
        await websocket.send("open")

    with talk(app, handler) as session:
        assert session.receive() == "open"


def test_accepting_comes_first_and_once(app: Quaff) -> None:
    """A second accept is an error of the program, whatever the first one was; so is one after the close."""
    said: list[str] = []

    async def handler() -> None:
        await websocket.send("accepted")
        with pytest.raises(
            RuntimeError, match="accept\\(\\) comes first and once; this WebSocket is open already"
        ) as one:
            await websocket.accept()
        await websocket.close()
        with pytest.raises(RuntimeError, match="is closed already") as two:
            await websocket.accept()
        said.extend([str(one.value), str(two.value)])

    with talk(app, handler) as session:
        session.receive()
    assert len(said) == 2


def test_tasks_may_race_for_the_handshake(app: Quaff) -> None:
    """Tasks that send and receive at once share one handshake, which comes before all they send."""

    async def handler() -> None:
        sending = [websocket.send(str(number)) for number in range(5)]
        received, *_ = await asyncio.gather(websocket.receive(), *sending)
        await websocket.send(received)

    with talk(app, handler) as session:
        session.send("last")
        assert {session.receive() for _ in range(5)} == {"0", "1", "2", "3", "4"}
        assert session.receive() == "last"


# Messages -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("message", ["", "hello", "häß 日本 🎉", "a\0b\n", b"", bytes(range(256))])
@each_echo
def test_messages_come_back_as_they_were(app: Quaff, handler: Callable[..., Any], message: str | bytes) -> None:
    """Text stays text and binary stays binary, empty ones and all characters included."""
    with talk(app, handler) as session:
        session.send(message)
        assert session.receive() == message


async def json_echo() -> None:
    """Wrap what arrives, in each way that there is."""
    value = await websocket.receive_json()
    await websocket.send_json(value)
    await websocket.send_json(value, 2)
    await websocket.send_json(value=value)


def json_echo_in_thread() -> None:
    """Do the same in a thread."""
    value = websocket.receive_json()
    websocket.send_json(value)
    websocket.send_json(value, 2)
    websocket.send_json(value=value)


@pytest.mark.parametrize("handler", [json_echo, json_echo_in_thread])
def test_json(app: Quaff, handler: Callable[..., Any]) -> None:
    """Arguments are those of `jsonify`."""
    with talk(app, handler) as session:
        session.send_json({"a": [1, None]})
        answers = [session.receive_json() for _ in range(3)]
    assert answers == [{"a": [1, None]}, [{"a": [1, None]}, 2], {"value": {"a": [1, None]}}]


def test_json_is_written_by_the_apps_provider(app: Quaff) -> None:
    """Types and settings of the provider count, and the message is text."""
    app.json.ensure_ascii = False  # type: ignore[attr-defined]  # the default provider has it

    async def handler() -> None:
        await websocket.send_json("ä", dt.date(2026, 1, 2))

    with talk(app, handler) as session:
        message = session.receive()
    assert isinstance(message, str)
    assert '"ä"' in message
    assert "02 Jan 2026" in message


@pytest.mark.parametrize("message", ["{", b"\xff", ""])
def test_what_is_no_json(app: Quaff, message: str | bytes) -> None:
    """It is a `ValueError`, and the connection goes on."""

    async def handler() -> None:
        with pytest.raises(ValueError, match=r"."):
            await websocket.receive_json()
        await websocket.send("go on")

    with talk(app, handler) as session:
        session.send(message)
        assert session.receive() == "go on"


@pytest.mark.parametrize("value", [1, None, {"a": 1}, bytearray(b"a"), ["a"]])
def test_what_is_no_message(app: Quaff, value: Any) -> None:
    """Only `str` and `bytes` are sent; the message names what there is for the others. Nothing has happened."""

    async def handler() -> None:
        with pytest.raises(TypeError, match=f"not {type(value).__name__}. For JSON there is send_json"):
            await websocket.send(value)
        assert websocket.state is State.CONNECTING
        await websocket.send("go on")

    with talk(app, handler) as session:
        assert session.receive() == "go on"


@pytest.mark.parametrize("is_async", [True, False])
def test_a_loop_ends_when_the_client_closes(app: Quaff, is_async: bool) -> None:
    """What follows the loop still runs, and knows the code."""
    seen: list[Any] = []

    async def handler() -> None:
        seen.extend([message async for message in websocket])
        seen.append(websocket.close_code)

    def handler_in_thread() -> None:
        seen.extend(websocket)
        seen.append(websocket.close_code)

    with talk(app, handler if is_async else handler_in_thread) as session:
        session.send("a")
        session.send(b"b")
        session.close(4001)
    assert seen == ["a", b"b", 4001]


def test_a_generator_sends_what_it_yields(app: Quaff) -> None:
    """A handler may be an async generator, COMPAT: as in Quart, or a plain one."""

    @app.websocket("/async/<int:count>")
    async def counting(count: int) -> Any:
        for number in range(count):
            yield f"{number} {await websocket.receive()!r}"

    @app.websocket("/sync/<int:count>")
    def counting_in_thread(count: int) -> Any:
        for number in range(count):
            yield f"{number} {websocket.receive()!r}"

    for kind in ("async", "sync"):
        with app.test_websocket(f"/{kind}/2") as session:
            session.send("a")
            session.send(b"b")
            assert [session.receive(), session.receive()] == ["0 'a'", "1 b'b'"]
            with pytest.raises(WebSocketDisconnect) as closed:
                session.receive()
        assert closed.value.close_code == 1000


@pytest.mark.parametrize("is_async", [True, False])
def test_a_generator_ends_with_its_connection(app: Quaff, is_async: bool) -> None:
    """When the client is gone the generator is closed at once, before the teardown, and not some time later."""
    events: list[str] = []

    async def forever() -> Any:
        try:
            while True:
                yield "."
                await asyncio.sleep(0)
        finally:
            events.append("closed")

    def forever_in_thread() -> Any:
        try:
            while True:
                yield "."
        finally:
            events.append("closed")

    app.teardown_websocket(lambda error: events.append(f"teardown {error}"))
    with talk(app, forever if is_async else forever_in_thread) as session:
        assert session.receive() == "."
    assert events == ["closed", "teardown None"]


# Closing --------------------------------------------------------------------------------------------------------------


def close_code_of(session: WebSocketSession) -> tuple[int, str]:
    """Return with what the app closes the connection."""
    with session, pytest.raises(WebSocketDisconnect) as closed:
        session.receive()
    return closed.value.close_code, closed.value.reason


@pytest.mark.parametrize("code", [1000, 1001, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 3000, 4999])
def test_codes_to_close_with(app: Quaff, code: int) -> None:
    """The client gets the code and the reason that the handler gives."""

    async def handler() -> None:
        await websocket.accept()
        await websocket.close(code, "because é")
        assert websocket.close_code == code

    assert close_code_of(talk(app, handler)) == (code, "because é")


def test_closing_without_a_code(app: Quaff) -> None:
    """It is 1000, as for a handler that just returns; from a thread as well."""

    def handler() -> None:
        websocket.accept()
        websocket.close()

    async def returning() -> None:
        await websocket.accept()

    app.websocket("/returning")(returning)
    assert close_code_of(talk(app, handler)) == (1000, "")
    assert close_code_of(app.test_websocket("/returning")) == (1000, "")


@pytest.mark.parametrize("code", [0, 999, 1002, 1004, 1005, 1006, 1014, 1015, 2999, 5000])
def test_codes_that_cannot_be_sent(app: Quaff, code: int) -> None:
    """RFC 6455 section 7.4 reserves them; the connection stays open."""

    async def handler() -> None:
        await websocket.accept()
        with pytest.raises(ValueError, match=f"{code} is not a code that a WebSocket may be closed with"):
            await websocket.close(code)
        await websocket.send("open")

    with talk(app, handler) as session:
        assert session.receive() == "open"


@pytest.mark.parametrize("reason, fits", [("a" * 123, True), ("a" * 124, False), ("é" * 61, True), ("é" * 62, False)])
def test_the_reason_fits_into_a_frame(app: Quaff, reason: str, fits: bool) -> None:
    """RFC 6455 section 5.5: it has at most 123 bytes, not characters."""

    async def handler() -> None:
        await websocket.accept()
        if fits:
            await websocket.close(1000, reason)
        else:
            with pytest.raises(ValueError, match="at most 123 bytes"):
                await websocket.close(1000, reason)

    assert close_code_of(talk(app, handler)) == (1000, reason if fits else "")


def test_closing_twice_does_nothing(app: Quaff) -> None:
    """The first code is the one that counts."""

    async def handler() -> None:
        await websocket.accept()
        await websocket.close(4000, "first")
        await websocket.close(4001, "second")
        assert websocket.close_code == 4000

    assert close_code_of(talk(app, handler)) == (4000, "first")


def test_closing_before_accepting_refuses(app: Quaff) -> None:
    """The handshake is then answered with a 403."""

    async def handler() -> None:
        await websocket.close(4000)
        await websocket.close()

    with talk(app, handler) as session, pytest.raises(HandshakeRefused) as refused:
        session.receive()
    assert (refused.value.status, refused.value.body) == (403, b"")


@pytest.mark.parametrize("is_async", [True, False])
def test_using_what_oneself_has_closed(app: Quaff, is_async: bool) -> None:
    """Receiving says that there will be nothing; sending is an error of the program."""
    codes: list[int | None] = []

    async def handler() -> None:
        await websocket.accept()
        await websocket.close(4000)
        with pytest.raises(WebSocketDisconnect) as closed:
            await websocket.receive()
        codes.append(closed.value.close_code)
        with pytest.raises(RuntimeError, match="send\\(\\) on a WebSocket that is closed \\(code 4000\\)"):
            await websocket.send("late")

    def handler_in_thread() -> None:
        websocket.accept()
        websocket.close(4000)
        with pytest.raises(WebSocketDisconnect) as closed:
            websocket.receive()
        codes.append(closed.value.close_code)
        with pytest.raises(RuntimeError, match="is closed \\(code 4000\\)"):
            websocket.send("late")

    assert close_code_of(talk(app, handler if is_async else handler_in_thread)) == (4000, "")
    assert codes == [4000]


def test_sending_to_a_client_that_has_left(app: Quaff) -> None:
    """That is no error of the program: one task hears that the client left, another still sends, and nothing is logged."""
    codes: list[int | None] = []

    async def handler() -> None:
        assert [message async for message in websocket] == []
        with pytest.raises(WebSocketDisconnect) as closed:
            await websocket.receive()
        codes.append(closed.value.close_code)
        with pytest.raises(WebSocketDisconnect) as closed:
            await websocket.send("late")
        codes.append(closed.value.close_code)
        # Closing is fine too.
        await websocket.close(4000)
        codes.append(websocket.close_code)

    with talk(app, handler) as session:
        session.wait_accepted()
        session.close(3001)
    assert codes == [3001, 3001, 3001]


def test_closing_while_another_task_receives(app: Quaff) -> None:
    """The code is the one of who closed first; what the other task hears afterwards changes nothing."""
    codes: list[int | None] = []

    async def handler() -> None:
        receiving = asyncio.ensure_future(websocket.receive())
        await asyncio.sleep(0.01)
        await websocket.close(4000)
        await websocket.close()
        with pytest.raises(WebSocketDisconnect):
            await receiving
        codes.append(websocket.close_code)

    assert close_code_of(talk(app, handler)) == (4000, "")
    assert codes == [4000]


def test_both_kinds_have_the_same_methods() -> None:
    """What can be awaited can be waited for."""
    waiting = {name for name in vars(BlockingWebSocket) if not name.startswith("_")}
    awaited = {
        name for name, value in vars(WebSocket).items() if not name.startswith("_") and iscoroutinefunction(value)
    }
    assert waiting == awaited - {"refuse"}
