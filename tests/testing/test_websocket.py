"""The client's end of a WebSocket in tests."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest

import quaff.testing.websocket as module
from quaff import Quaff, abort, request, session, websocket
from quaff.errors import WebSocketDisconnect
from quaff.testing.websocket import HandshakeRefused

Impatient = Callable[[], AbstractContextManager[None]]


@pytest.fixture
def app(app: Quaff) -> Quaff:
    """Give an app with an echo."""

    @app.websocket("/echo")
    async def echo() -> None:
        async for message in websocket:
            await websocket.send(message)

    return app


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> Impatient:
    """Give a with block in which every wait ends soon."""

    @contextmanager
    def block() -> Iterator[None]:
        with monkeypatch.context() as patch:
            patch.setattr(module, "PATIENCE", 0.1)
            yield

    return block


def test_a_conversation(app: Quaff) -> None:
    """Text, bytes and JSON go to the app and come back, in their order."""
    with app.test_websocket("/echo") as connection:
        connection.send("text")
        connection.send(b"bytes")
        connection.send_json({"a": 1})
        assert [connection.receive(), connection.receive(), connection.receive_json()] == ["text", b"bytes", {"a": 1}]
        assert (connection.is_accepted, connection.close_code) == (True, None)


def test_a_conversation_on_the_loop_of_the_test(app: Quaff) -> None:
    """The async session has the same methods, and the app runs on the test's own loop."""
    loops: list[asyncio.AbstractEventLoop] = []

    @app.websocket("/loop")
    async def handler() -> None:
        loops.append(asyncio.get_running_loop())
        await websocket.accept()

    async def main() -> Any:
        client = app.test_async_client()
        async with client.websocket("/loop") as connection:
            await connection.wait_accepted()
        assert loops == [asyncio.get_running_loop()]
        async with client.websocket("/echo") as connection:
            await connection.send("text")
            await connection.send_json([1])
            return [await connection.receive(), await connection.receive_json()]

    assert asyncio.run(main()) == ["text", [1]]


@pytest.mark.parametrize("use", ["receive", "wait_accepted", "close", "is_accepted", "close_code"])
def test_a_session_needs_its_block(app: Quaff, use: str) -> None:
    """Outside of a with block there is no connection; the message shows how to make one."""
    connection = app.test_websocket("/echo")
    with pytest.raises(RuntimeError, match="Use the session in a with block: with app"):
        getattr(connection, use)()

    async def main() -> None:
        with pytest.raises(RuntimeError, match="with block"):
            await app.test_async_client().websocket("/echo").receive()

    asyncio.run(main())


def test_how_the_app_closes(app: Quaff) -> None:
    """Its code and reason are in the error, and stay on the session; asking again says the same."""

    @app.websocket("/")
    async def handler() -> None:
        await websocket.send("last")
        await websocket.close(4000, "enough")

    with app.test_websocket("/") as connection:
        assert connection.receive() == "last"
        for _ in range(2):
            with pytest.raises(WebSocketDisconnect) as closed:
                connection.receive()
            assert (closed.value.close_code, closed.value.reason) == (4000, "enough")
        assert (connection.close_code, connection.close_reason) == (4000, "enough")


def test_a_refused_handshake(app: Quaff) -> None:
    """Status, headers and body of the response are in the error, whichever method hears of it."""

    @app.websocket("/")
    async def handler() -> Any:
        return "no", 429, {"Retry-After": "5"}

    for method in ("receive", "wait_accepted", "receive_json"):
        with app.test_websocket("/") as connection:
            with pytest.raises(HandshakeRefused, match="the WebSocket was refused with 429") as refused:
                getattr(connection, method)()
            assert not connection.is_accepted
        assert (refused.value.status, refused.value.body) == (429, b"no")
        assert ("retry-after", "5") in refused.value.headers


def test_leaving_closes(app: Quaff) -> None:
    """The end of the block closes with 1000 and waits until the handler has ended; `close` gives another code, once."""
    codes: list[int | None] = []

    @app.websocket("/")
    async def handler() -> None:
        await websocket.accept()
        async for _ in websocket:
            pass
        await asyncio.sleep(0.05)
        codes.append(websocket.close_code)

    with app.test_websocket("/"):
        pass
    with app.test_websocket("/") as connection:
        connection.wait_accepted()
        connection.close(3000)
        connection.close(3001)
    assert codes == [1000, 3000]


def test_leaving_during_the_handshake(app: Quaff) -> None:
    """Who closes before the app has accepted is gone: the app can neither accept nor send."""
    gone: list[int] = []

    @app.websocket("/")
    async def handler() -> None:
        await asyncio.sleep(0.1)
        with pytest.raises(WebSocketDisconnect) as disconnected:
            await websocket.send("a")
        gone.append(disconnected.value.close_code)

    with app.test_websocket("/") as connection:
        connection.close()
    assert gone == [1006]


@pytest.mark.parametrize("has_accepted", [False, True])
def test_errors_of_the_handler_are_raised(app: Quaff, has_accepted: bool) -> None:
    """In testing mode the test gets them: at the end of the block if it has not met them before."""

    @app.websocket("/")
    async def handler() -> None:
        if has_accepted:
            await websocket.send("first")
        raise LookupError("of the handler")

    with pytest.raises(LookupError, match="of the handler"), app.test_websocket("/"):
        pass


def test_errors_of_the_handler_are_raised_where_they_are_met(app: Quaff) -> None:
    """Who waits for a message of a handler that has failed gets its error, once: the end of the block is silent then."""
    app.config["PROPAGATE_EXCEPTIONS"] = True

    @app.websocket("/")
    async def handler() -> None:
        await websocket.send("first")
        await websocket.close()
        raise LookupError("of the handler")

    with app.test_websocket("/") as connection:
        assert connection.receive() == "first"
        with pytest.raises(WebSocketDisconnect):
            connection.receive()
        with pytest.raises(LookupError, match="of the handler"):
            connection.receive()


def test_a_test_that_fails_stays_the_error(app: Quaff, caplog: pytest.LogCaptureFixture) -> None:
    """An assertion that fails inside the block is what is reported, not what the handler did because of it."""

    @app.websocket("/")
    async def handler() -> None:
        await websocket.accept()
        async for _ in websocket:
            pass
        raise LookupError("of the handler")

    with pytest.raises(AssertionError, match="of the test"), app.test_websocket("/"):
        raise AssertionError("of the test")
    assert caplog.records == []


def test_waiting_ends(app: Quaff, impatient: Impatient) -> None:
    """A wait for a silent app is an error that says so. The message may still come."""
    with app.test_websocket("/echo") as connection:
        for method in ("receive", "receive_json"):
            with impatient(), pytest.raises(TimeoutError, match=r"The app has sent nothing for 0\.1 seconds"):
                getattr(connection, method)()
        connection.send("a")
        assert connection.receive() == "a"


def test_a_handler_that_goes_on(app: Quaff, impatient: Impatient) -> None:
    """A handler that does not notice that its client has left is an error, and is cancelled."""
    ended: list[BaseException | None] = []
    app.teardown_websocket(ended.append)

    @app.websocket("/")
    async def handler() -> None:
        await websocket.accept()
        await asyncio.sleep(3600)

    connection = app.test_websocket("/")
    connection.__enter__()
    connection.wait_accepted()
    with impatient(), pytest.raises(TimeoutError, match=r"still runs 0\.1 seconds after its client has left"):
        connection.__exit__(None, None, None)
    end = time.monotonic() + 10
    while not ended and time.monotonic() < end:
        time.sleep(0.01)
    assert [type(error) for error in ended] == [asyncio.CancelledError]


def test_a_handler_that_goes_on_in_a_test_that_fails(app: Quaff, impatient: Impatient) -> None:
    """The failure of the test comes first."""

    @app.websocket("/")
    async def handler() -> None:
        await websocket.accept()
        await asyncio.sleep(3600)

    with impatient(), pytest.raises(AssertionError, match="of the test"), app.test_websocket("/"):
        raise AssertionError("of the test")


def test_the_request_is_described_as_for_the_test_client(app: Quaff) -> None:
    """Path, query, headers, base URL and the address of the client are given alike."""

    @app.websocket("/where/<name>")
    async def handler(name: str) -> None:
        headers = request.headers
        await websocket.send_json(
            name, request.args, headers["X-A"], request.host, request.remote_addr, request.root_path
        )

    where = app.test_websocket(
        "/where/gr\xfcn",
        query_string={"q": "\xe4"},
        headers={"X-A": "1"},
        base_url="https://a.example:8443/root",
        environ_base={"REMOTE_ADDR": "10.0.0.1"},
    )
    with where as connection:
        assert connection.receive_json() == ["gr\xfcn", {"q": "\xe4"}, "1", "a.example:8443", "10.0.0.1", "/root"]


def test_cookies_of_a_client(app: Quaff) -> None:
    """The session of a test client that is passed along is that of the WebSocket; without one there is none."""

    @app.websocket("/me")
    async def handler() -> Any:
        return abort(401) if "user" not in session else await websocket.send(session["user"])

    app.add_url_rule("/login", "login", lambda: session.update(user="ada") or "in")  # type: ignore[func-returns-value]
    client = app.test_client()
    client.get("/login")
    with app.test_websocket("/me", client=client) as connection:
        assert connection.receive() == "ada"
    with app.test_websocket("/me") as connection, pytest.raises(HandshakeRefused, match="401"):
        connection.receive()


def test_many_sessions_at_once(app: Quaff) -> None:
    """Sessions do not disturb each other."""
    with app.test_websocket("/echo") as one, app.test_websocket("/echo") as two:
        one.send("1")
        two.send("2")
        assert (two.receive(), one.receive()) == ("2", "1")


def test_inside_of_contexts(app: Quaff) -> None:
    """A test may hold an app context or a request context of its own meanwhile."""
    with app.app_context(), app.test_websocket("/echo") as connection:
        connection.send("1")
        assert connection.receive() == "1"
    with app.test_request_context("/other"), app.test_websocket("/echo") as connection:
        connection.send("2")
        assert connection.receive() == "2"
        assert request.path == "/other"
