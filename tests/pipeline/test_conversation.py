"""The life of a WebSocket: the order of hooks, and how it ends, whatever goes wrong."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from itertools import product
from typing import Any

import pytest

from quaff import Quaff, abort, g, request, signals, websocket
from quaff.errors import SetupError, WebSocketDisconnect
from quaff.servers.asgi import serve_asgi
from quaff.servers.messages import Message
from quaff.sessions import SecureCookieSessionInterface
from quaff.testing.async_client import websocket_scope
from quaff.testing.websocket import HandshakeRefused

KINDS = ("sync", "async")
PATIENCE = 20.0

each_kind = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture
def live(app: Quaff) -> Quaff:
    """Give an app as in production: it answers errors instead of raising them."""
    app.config["TESTING"] = False
    return app


def as_kind(kind: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return *function*, or for `async` a coroutine function that gives way once and then does the same."""
    if kind == "sync":
        return function

    async def asynchronous(*args: Any, **kwargs: Any) -> Any:
        await asyncio.sleep(0)
        return function(*args, **kwargs)

    return asynchronous


def handler_of(kind: str, *, accepts: bool = True, then: Callable[[], Any] = lambda: None) -> Callable[..., Any]:
    """Return a handler that accepts if it shall, and then returns what *then* does."""

    async def handler(**_values: Any) -> Any:
        if accepts:
            await websocket.accept()
        return then()

    def handler_in_thread(**_values: Any) -> Any:
        if accepts:
            websocket.blocking.accept()
        return then()

    return handler if kind == "async" else handler_in_thread


def fail() -> None:
    """Raise an error that nobody handles."""
    raise LookupError("a secret")


class Ended:
    """Collects what teardown functions are given."""

    def __init__(self, app: Quaff) -> None:
        self.errors: list[BaseException | None] = []
        self.happened = threading.Event()
        app.teardown_websocket(self.note)

    def note(self, error: BaseException | None) -> None:
        """Take note of the error of a connection that has ended."""
        self.errors.append(error)
        self.happened.set()


def end_of(app: Quaff, path: str = "/", **options: Any) -> tuple[str, int, str]:
    """Return how a connection ends: refused with a status and a body, or closed with a code and a reason."""
    with app.test_websocket(path, **options) as session:
        try:
            while True:
                session.receive()
        except HandshakeRefused as refused:
            return "refused", refused.status, refused.body.decode()
        except WebSocketDisconnect as closed:
            return "closed", closed.close_code, closed.reason


# The order ------------------------------------------------------------------------------------------------------------


def add_hooks(app: Quaff, kinds: tuple[str, ...], trail: list[str]) -> None:
    """Register two functions of each phase, of these kinds, that note when they are called."""

    def noting(name: str, kind: str) -> Callable[..., Any]:
        def note(*given: Any) -> Any:
            g.setdefault("trail", trail).append(f"{name} {request.endpoint} {websocket.path} {given}")
            return given[0] if given else None

        return as_kind(kind, note)

    def preprocess(endpoint: str | None, values: dict[str, Any] | None) -> None:
        assert values is not None
        trail.append(f"preprocess {endpoint} {values.pop('n')}")

    app.url_value_preprocessor(preprocess)
    for number in (1, 2):
        app.before_websocket(noting(f"before {number}", kinds[0]))
        app.after_websocket(noting(f"after {number}", kinds[1]))
        app.teardown_websocket(noting(f"teardown {number}", kinds[2]))
        app.teardown_appcontext(as_kind(kinds[2], lambda error: trail.append(f"app teardown {error}")))


@pytest.mark.parametrize("kinds", list(product(KINDS, repeat=4)), ids=" ".join)
def test_the_order_of_hooks(app: Quaff, kinds: tuple[str, ...]) -> None:
    """It is that of a request, whichever of them are async; all of them see one connection and one `g`."""
    trail: list[str] = []
    add_hooks(app, kinds[:3], trail)
    app.websocket("/room/<int:n>", endpoint="room")(handler_of(kinds[3], then=lambda: trail.append(f"view {'n' in g}")))
    assert end_of(app, "/room/7") == ("closed", 1000, "")
    room = "room /room/7"
    assert trail == [
        "preprocess room 7",
        f"before 1 {room} ()",
        f"before 2 {room} ()",
        "view False",
        f"after 2 {room} (None,)",
        f"after 1 {room} (None,)",
        f"teardown 2 {room} (None,)",
        f"teardown 1 {room} (None,)",
        "app teardown None",
        "app teardown None",
    ]


@each_kind
def test_where_functions_run(app: Quaff, kind: str) -> None:
    """Async functions run on the loop; sync ones do not hold it up, and a sync handler has a thread of its own."""
    names: list[str] = []

    def note() -> None:
        names.append(threading.current_thread().name)

    app.before_websocket(as_kind(kind, note))
    app.websocket("/", endpoint="named")(handler_of(kind, then=note))
    end_of(app)
    if kind == "async":
        assert names == ["quaff-async", "quaff-async"]
    else:
        assert names[0].startswith("quaff-worker-")
        assert names[1] == "quaff-handler_in_thread"


def test_sync_handlers_do_not_take_the_threads_of_requests(app: Quaff) -> None:
    """However many WebSockets wait in sync handlers, more than there are worker threads: others are still served."""

    @app.websocket("/")
    def handler() -> None:
        websocket.blocking.send(websocket.blocking.receive())

    app.add_url_rule("/page", "page", lambda: "page")

    async def main() -> None:
        client = app.test_async_client()
        async with AsyncExitStack() as stack:
            sessions = [await stack.enter_async_context(client.websocket("/")) for _ in range(60)]
            for session in sessions:
                await session.wait_accepted()
            assert (await client.get("/page")).text == "page"
            for session in sessions:
                await session.send("a")
                assert await session.receive() == "a"

    asyncio.run(main())


@each_kind
def test_functions_for_the_first_request(app: Quaff, kind: str) -> None:
    """A WebSocket may be the first that comes: the functions run once, before its hooks, and the set-up is over."""
    trail: list[str] = []
    with pytest.warns(DeprecationWarning, match="before_first_request"):
        app.before_first_request(as_kind(kind, lambda: trail.append("first")))
    app.before_websocket(lambda: trail.append("before"))
    app.websocket("/")(handler_of("async"))
    end_of(app)
    end_of(app)
    assert trail == ["first", "before", "before"]
    with pytest.raises(SetupError, match="has already handled its first"):
        app.before_websocket(lambda: None)


@each_kind
def test_a_before_hook_that_refuses(app: Quaff, kind: str) -> None:
    """What it returns is the response; later ones and the handler are not called, after functions may change it."""
    trail: list[Any] = []

    def sign(response: Any) -> Any:
        response.headers["X-After"] = "1"
        return response

    app.before_websocket(as_kind(kind, lambda: ({"error": "who?"}, 401)))
    app.before_websocket(as_kind(kind, lambda: trail.append("too late")))
    app.after_websocket(as_kind(kind, sign))
    app.teardown_websocket(as_kind(kind, trail.append))
    app.websocket("/")(handler_of(kind, then=lambda: trail.append("view")))
    with app.test_websocket("/") as session, pytest.raises(HandshakeRefused) as refused:
        session.receive()
    assert (refused.value.status, refused.value.body) == (401, b'{"error":"who?"}\n')
    assert ("x-after", "1") in refused.value.headers
    assert trail == [None]


def test_a_before_hook_may_accept_and_talk(app: Quaff) -> None:
    """A hook has the connection already; what it returns then refuses nothing, but the handler is not called."""
    app.before_websocket(handler_of("async", then=lambda: "done"))
    app.websocket("/")(handler_of("async", then=fail))
    assert end_of(app) == ("closed", 1000, "")


@each_kind
def test_after_functions_see_handled_errors(app: Quaff, kind: str) -> None:
    """As for a page, the response of an error handler passes through them; they may replace it."""
    seen: list[Any] = []
    app.after_websocket(as_kind(kind, lambda response: (seen.append(response.status_code), app.make_response("b"))[1]))
    app.websocket("/")(handler_of(kind, accepts=False, then=lambda: abort(409)))
    assert end_of(app) == ("refused", 200, "b")
    assert end_of(app, "/nowhere") == ("refused", 200, "b")
    assert seen == [409, 404]


# Errors ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("accepts", [False, True], ids=["connecting", "open"])
@each_kind
def test_an_error_that_nobody_handles(live: Quaff, kind: str, accepts: bool, caplog: pytest.LogCaptureFixture) -> None:
    """A 500, or 1011 if it was accepted; without details, one line with the traceback, one signal, and the teardown."""
    ended = Ended(live)
    sent: list[BaseException] = []
    after: list[Any] = []
    live.after_websocket(after.append)
    live.after_request(after.append)
    live.websocket("/")(handler_of(kind, accepts=accepts, then=fail))
    with signals.got_request_exception.connected_to(lambda _app, exception: sent.append(exception), live):
        end = end_of(live)
    assert end[:2] == (("closed", 1011) if accepts else ("refused", 500))
    assert "secret" not in end[2]
    assert [repr(error) for error in sent] == ["LookupError('a secret')"]
    assert ended.errors == sent
    assert [record.getMessage() for record in caplog.records] == ["Exception on / [GET]"]
    assert caplog.records[0].exc_info
    assert caplog.records[0].exc_info[1] is sent[0]
    assert after == []


@pytest.mark.parametrize("accepts", [False, True], ids=["connecting", "open"])
@pytest.mark.parametrize("setting", ["TESTING", "PROPAGATE_EXCEPTIONS", "DEBUG"])
@each_kind
def test_errors_are_raised_again(
    live: Quaff, kind: str, setting: str, accepts: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """In testing and debug mode the test, or the server, gets the error; the client is answered all the same."""
    live.config[setting] = True
    ended = Ended(live)
    live.websocket("/")(handler_of(kind, accepts=accepts, then=fail))
    with pytest.raises(LookupError, match="a secret"), live.test_websocket("/") as session:
        with pytest.raises(WebSocketDisconnect if accepts else HandshakeRefused):
            session.receive()
    assert [repr(error) for error in ended.errors] == ["LookupError('a secret')"]
    assert caplog.records == []


@pytest.mark.parametrize("where", ["preprocess", "before", "after"])
@each_kind
def test_errors_of_hooks(live: Quaff, kind: str, where: str, caplog: pytest.LogCaptureFixture) -> None:
    """They are errors like those of the handler."""
    ended = Ended(live)
    if where == "preprocess":
        live.url_value_preprocessor(lambda endpoint, values: fail())
    elif where == "before":
        live.before_websocket(as_kind(kind, fail))
    else:
        live.after_websocket(as_kind(kind, lambda response: fail()))
    live.websocket("/")(handler_of(kind))
    assert end_of(live)[:2] == (("closed", 1011) if where == "after" else ("refused", 500))
    assert [repr(error) for error in ended.errors] == ["LookupError('a secret')"]
    assert [record.getMessage() for record in caplog.records] == ["Exception on / [GET]"]


@pytest.mark.parametrize("accepts", [False, True], ids=["connecting", "open"])
@each_kind
def test_a_handler_for_500(live: Quaff, kind: str, accepts: bool) -> None:
    """It gets the original error; what it returns refuses a connection that is not open yet."""
    seen: list[str] = []

    def handle(error: Any) -> Any:
        seen.append(repr(error.original_exception))
        return "sorry", 500

    live.register_error_handler(500, as_kind(kind, handle))
    live.websocket("/")(handler_of(kind, accepts=accepts, then=fail))
    assert end_of(live) == (("closed", 1011, "") if accepts else ("refused", 500, "sorry"))
    assert seen == ["LookupError('a secret')"]


def test_an_http_error_after_the_handshake(live: Quaff, caplog: pytest.LogCaptureFixture) -> None:
    """There is nobody left to give a status to: it is an error like any other, and error handlers are not asked."""
    live.register_error_handler(403, lambda error: ("never", 200))
    live.websocket("/")(handler_of("async", then=lambda: abort(403)))
    assert end_of(live)[:2] == ("closed", 1011)
    assert [record.getMessage() for record in caplog.records] == ["Exception on / [GET]"]


def test_a_session_that_cannot_be_opened(live: Quaff, caplog: pytest.LogCaptureFixture) -> None:
    """As for a page, that is a 500 and one line, and the teardown is run."""

    class Broken(SecureCookieSessionInterface):
        def open_session(self, app: Any, request: Any) -> Any:
            return fail()

    live.session_interface = Broken()
    ended = Ended(live)
    live.websocket("/")(handler_of("async"))
    assert end_of(live)[:2] == ("refused", 500)
    assert [repr(error) for error in ended.errors] == ["LookupError('a secret')"]
    assert [record.getMessage() for record in caplog.records] == ["Exception on / [GET]"]


@each_kind
def test_a_handler_that_never_accepts(live: Quaff, kind: str, caplog: pytest.LogCaptureFixture) -> None:
    """The handshake is refused with a 403, and one line says why; control characters of the path are not in it."""
    live.websocket("/<path:any>", endpoint="any")(handler_of(kind, accepts=False))
    assert end_of(live, "/a%1Bb") == ("refused", 403, "")
    messages = [record.getMessage() for record in caplog.records]
    assert messages == ["WebSocket /a\\x1bb refused: its handler never accepted it"]
    assert caplog.records[0].levelno == logging.WARNING


@each_kind
def test_what_is_returned_after_the_handshake(app: Quaff, kind: str) -> None:
    """It means nothing: the connection is closed with 1000."""
    app.websocket("/")(handler_of(kind, then=lambda: ("late", 418)))
    assert end_of(app) == ("closed", 1000, "")


# Whom rules serve -----------------------------------------------------------------------------------------------------


def test_a_path_that_nobody_serves(live: Quaff, caplog: pytest.LogCaptureFixture) -> None:
    """It is a 404; hooks run, as for a page, and nothing is logged."""
    trail: list[str] = []
    live.before_websocket(lambda: trail.append("before"))
    live.teardown_websocket(lambda error: trail.append(f"teardown {error}"))
    assert end_of(live, "/nowhere")[:2] == ("refused", 404)
    assert trail == ["before", "teardown None"]
    assert caplog.records == []


@pytest.mark.parametrize("compiled", [True, False])
def test_the_wrong_kind_of_rule(compiled: bool) -> None:
    """A page asked for over a WebSocket, and a WebSocket asked for as a page, are a 400, as in Werkzeug."""
    app = Quaff("wrong", static_folder=None, compiled=compiled)
    app.websocket("/ws", endpoint="ws")(handler_of("async"))
    app.websocket("/ws/<int:n>", endpoint="ws_n")(handler_of("async"))
    app.add_url_rule("/page", "page", lambda: "page")
    app.add_url_rule("/page/<int:n>", "page_n", lambda n: "page")
    for n in ("", "/1"):
        assert end_of(app, f"/page{n}")[:2] == ("refused", 400)
        assert app.test_client().get(f"/ws{n}").status_code == 400
        assert app.test_client().get(f"/page{n}").text == "page"
        assert end_of(app, f"/ws{n}") == ("closed", 1000, "")


@pytest.mark.parametrize("host, status", [("trusted.example", 0), ("evil.example", 400), ("a b", 400)])
def test_hosts_that_are_not_trusted(app: Quaff, host: str, status: int) -> None:
    """SECURITY: a host that is not in TRUSTED_HOSTS, or is malformed, is a 400, as for a page."""
    app.config["TRUSTED_HOSTS"] = ["trusted.example"]
    app.websocket("/")(handler_of("async"))
    end = end_of(app, headers={"Host": host})
    assert end[:2] == (("refused", status) if status else ("closed", 1000))


# The other side -------------------------------------------------------------------------------------------------------


@each_kind
def test_a_client_that_leaves(live: Quaff, kind: str, caplog: pytest.LogCaptureFixture) -> None:
    """The handler ends where it waits; the teardown hears of no error, after functions are not run, nothing is logged."""
    ended = Ended(live)
    trail: list[str] = []
    live.after_websocket(lambda response: trail.append("after"))

    async def handler() -> None:
        try:
            await websocket.receive()
        finally:
            trail.append("ended")

    def handler_in_thread() -> None:
        try:
            websocket.blocking.receive()
        finally:
            trail.append("ended")

    live.websocket("/")(handler if kind == "async" else handler_in_thread)
    with live.test_websocket("/") as session:
        session.wait_accepted()
    assert trail == ["ended"]
    assert ended.errors == [None]
    assert caplog.records == []


@each_kind
def test_a_client_that_leaves_before_the_answer(live: Quaff, kind: str, caplog: pytest.LogCaptureFixture) -> None:
    """Refusing, accepting and closing a connection that is gone are no errors."""
    ended = Ended(live)
    live.websocket("/refuse", endpoint="refuse")(handler_of(kind, accepts=False, then=lambda: ("no", 403)))
    live.websocket("/accept", endpoint="accept")(handler_of(kind))

    async def main(path: str) -> None:
        arriving = [{"type": "websocket.disconnect", "code": 1006}] * 3

        async def receive() -> Message:
            return dict(arriving.pop())

        async def send(message: Message) -> None:
            raise OSError("gone")

        await serve_asgi(live, websocket_scope(live.test_client(), (path,), {}, ()), receive, send)

    for path in ("/refuse", "/accept"):
        asyncio.run(main(path))
    assert ended.errors == [None, None]
    assert caplog.records == []


class Conversation:
    """A connection on the test's own loop that can be cancelled, as a server does when it stops."""

    def __init__(self, app: Quaff) -> None:
        self.sent: list[Message] = []
        self.begun = asyncio.Event()
        self._arriving: asyncio.Queue[Message] = asyncio.Queue()
        self._arriving.put_nowait({"type": "websocket.connect"})
        scope = websocket_scope(app.test_client(), ("/",), {}, ())
        self.task = asyncio.ensure_future(serve_asgi(app, scope, self._arriving.get, self._send))

    async def _send(self, message: Message) -> None:
        self.sent.append(message)
        self.begun.set()

    async def stop(self) -> None:
        """Let the handler begin to wait, and stop it."""
        await self.begun.wait()
        await asyncio.sleep(0.05)
        self.task.cancel()
        async with asyncio.timeout(PATIENCE):
            with pytest.raises(asyncio.CancelledError):
                await self.task


@each_kind
def test_a_server_that_stops(live: Quaff, kind: str, caplog: pytest.LogCaptureFixture) -> None:
    """The client is told that the server goes away, the handler ends, and the teardown hears why. Nothing is logged."""
    ended = Ended(live)
    trail: list[str] = []

    async def handler() -> None:
        try:
            await websocket.receive()
        finally:
            trail.append("ended")

    def handler_in_thread() -> None:
        with pytest.raises(WebSocketDisconnect, match="1001"):
            websocket.blocking.receive()
        with pytest.raises(WebSocketDisconnect, match="1001"):
            websocket.blocking.receive()
        trail.append("ended")

    live.websocket("/")(handler if kind == "async" else handler_in_thread)

    async def main() -> list[Message]:
        conversation = Conversation(live)
        await conversation.stop()
        return conversation.sent

    accepted, closed = asyncio.run(main())
    assert accepted["type"] == "websocket.accept"
    assert closed == {"type": "websocket.close", "code": 1001, "reason": ""}
    assert trail == ["ended"]
    assert [type(error) for error in ended.errors] == [asyncio.CancelledError]
    assert caplog.records == []


def test_a_server_that_stops_waits_for_a_thread(live: Quaff) -> None:
    """Code in a thread cannot be interrupted: the connection ends, with its teardown, only when that code has ended."""
    trail: list[str] = []
    live.teardown_websocket(lambda error: trail.append("teardown"))

    @live.websocket("/")
    def handler() -> None:
        websocket.blocking.accept()
        time.sleep(0.4)
        trail.append("ended")

    async def main() -> None:
        await Conversation(live).stop()

    asyncio.run(main())
    assert trail == ["ended", "teardown"]


def test_an_error_while_the_server_stops(live: Quaff, caplog: pytest.LogCaptureFixture) -> None:
    """What a sync handler raises when it is woken is logged as ever."""
    ended = Ended(live)

    @live.websocket("/")
    def handler() -> None:
        try:
            websocket.blocking.receive()
        finally:
            fail()

    async def main() -> None:
        conversation = Conversation(live)
        await conversation.begun.wait()
        conversation.task.cancel()
        await conversation.task

    asyncio.run(main())
    assert [type(error) for error in ended.errors] == [LookupError]
    assert [record.getMessage() for record in caplog.records] == ["Exception on / [GET]"]


def test_a_server_that_stops_during_the_handshake(live: Quaff) -> None:
    """A connection that was not accepted is refused."""
    entered = asyncio.Event()

    @live.websocket("/")
    async def handler() -> None:
        entered.set()
        await asyncio.sleep(3600)

    async def main() -> list[Message]:
        conversation = Conversation(live)
        await entered.wait()
        conversation.task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await conversation.task
        return conversation.sent

    sent = asyncio.run(main())
    assert [message["type"] for message in sent] == ["websocket.http.response.start", "websocket.http.response.body"]
    assert sent[0]["status"] == 403


def test_contexts_do_not_leak(app: Quaff) -> None:
    """On one loop, connections that run at once have contexts of their own, and the caller's stays as it was."""

    @app.websocket("/<name>")
    async def handler(name: str) -> None:
        g.name = name
        await websocket.receive()
        await websocket.send(f"{g.name} {websocket.path}")

    async def main() -> list[str | bytes]:
        client = app.test_async_client()
        async with client.websocket("/a") as one, client.websocket("/b") as two:
            await two.send("")
            await one.send("")
            return [await one.receive(), await two.receive()]

    assert asyncio.run(main()) == ["a /a", "b /b"]
