"""What a WebSocket knows of its handshake, and where it stands in the app: rules, blueprints, contexts, error handlers."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from quaff import (
    Blueprint,
    Quaff,
    abort,
    copy_current_request_context,
    current_app,
    g,
    has_request_context,
    redirect,
    request,
    send_file,
    session,
    url_for,
    websocket,
)
from quaff.errors import ContextError
from quaff.testing.websocket import HandshakeRefused
from quaff.websockets import BlockingWebSocket, WebSocket


def ask(app: Quaff, path: str = "/", **options: Any) -> Any:
    """Return the first message of the app, read as JSON."""
    with app.test_websocket(path, **options) as connection:
        return connection.receive_json()


def refusal(app: Quaff, path: str = "/", **options: Any) -> tuple[int, str]:
    """Return status and body with which the app refuses."""
    with app.test_websocket(path, **options) as connection, pytest.raises(HandshakeRefused) as refused:
        connection.receive()
    return refused.value.status, refused.value.body.decode()


def answering(make: Callable[[], Any], is_async: bool) -> Callable[..., Any]:
    """Return a handler that sends what *make* returns, as JSON."""

    async def handler(**_values: Any) -> None:
        await websocket.send_json(make())

    def handler_in_thread(**_values: Any) -> None:
        websocket.send_json(make())

    return handler if is_async else handler_in_thread


each_kind = pytest.mark.parametrize("is_async", [True, False], ids=["async", "sync"])

# The handshake --------------------------------------------------------------------------------------------------------


@each_kind
def test_attributes_of_the_handshake(app: Quaff, is_async: bool) -> None:
    """All that `request` knows of the handshake can be read on `websocket` too."""

    def look() -> Any:
        for one in (websocket, request):
            yield [
                one.headers["X-Token"],
                one.args.getlist("a"),
                one.cookies["c"],
                one.path,
                one.query_string.decode(),
                one.host,
                one.remote_addr,
                one.endpoint,
                one.view_args,
                one.url_rule.rule,
                one.blueprints,
                one.user_agent.string,
                one.method,
            ]

    app.add_url_rule("/a/<name>", "room", answering(lambda: list(look()), is_async), websocket=True)
    client = app.test_client()
    client.set_cookie("c", "crumb")
    one, two = ask(app, "/a/\N{TEACUP WITHOUT HANDLE}?a=1&a=2", headers={"X-Token": "t"}, client=client)
    agent = one[11]
    assert one == two
    assert one == [
        "t",
        ["1", "2"],
        "crumb",
        "/a/\N{TEACUP WITHOUT HANDLE}",
        "a=1&a=2",
        "localhost",
        "127.0.0.1",
        "room",
        {"name": "\N{TEACUP WITHOUT HANDLE}"},
        "/a/<name>",
        [],
        agent,
        "GET",
    ]


@each_kind
def test_attributes_that_do_not_exist(app: Quaff, is_async: bool) -> None:
    """They are an `AttributeError`, as everywhere."""
    names = ("nonsense", "_nonsense")
    app.websocket("/")(answering(lambda: [hasattr(websocket, name) for name in names], is_async))
    assert ask(app) == [False, False]


@each_kind
def test_what_the_proxy_stands_for(app: Quaff, is_async: bool) -> None:
    """On the loop it is the WebSocket whose methods are awaited, in a thread the one whose methods wait."""
    app.websocket("/")(answering(lambda: type(websocket._get_current_object()).__name__, is_async))
    assert ask(app) == (WebSocket if is_async else BlockingWebSocket).__name__


def test_the_proxy_outside_of_a_connection(app: Quaff) -> None:
    """Its use raises the `RuntimeError` that says what to use instead; looking at it raises nothing."""
    app.add_url_rule("/", "view", lambda: websocket.path)
    for use in (lambda: websocket.path, lambda: setattr(websocket, "a", 1), lambda: iter(websocket)):
        with pytest.raises(ContextError, match="Working outside of websocket context") as raised:
            use()
        assert isinstance(raised.value, RuntimeError)
    with app.app_context(), pytest.raises(RuntimeError, match="outside of websocket context"):
        websocket.send("a")
    with pytest.raises(RuntimeError, match="In a view of HTTP, use `request`"):
        app.test_client().get("/")
    assert repr(websocket) == "<LocalProxy unbound>"
    assert not websocket


# Rules ----------------------------------------------------------------------------------------------------------------


@each_kind
def test_converters(app: Quaff, is_async: bool) -> None:
    """Variable parts of the rule are converted and passed by name; defaults too. What does not match is a 404."""
    given: list[dict[str, Any]] = []

    async def handler(**values: Any) -> None:
        given.append(values)
        await websocket.accept()

    def handler_in_thread(**values: Any) -> None:
        given.append(values)
        websocket.accept()

    rule = "/<int:room>/<path:rest>"
    app.websocket(rule, endpoint="r", defaults={"more": 1})(handler if is_async else handler_in_thread)
    with app.test_websocket("/7/a/b") as connection:
        connection.wait_accepted()
    assert given == [{"room": 7, "rest": "a/b", "more": 1}]
    assert refusal(app, "/x/a/b")[0] == 404


def test_urls_of_websockets(app: Quaff) -> None:
    """`url_for` gives full URLs for WebSockets, `wss` where the page is secure, and paths for pages, from either."""
    app.websocket("/chat/<room>", endpoint="chat")(
        answering(lambda: [url_for("page"), url_for(".chat", room="x")], True)
    )
    app.add_url_rule("/page", "page", lambda: url_for("chat", room="tea & cake"))
    client = app.test_client()
    assert client.get("/page").text == "ws://localhost/chat/tea%20&%20cake"
    assert client.get("/page", base_url="https://a.example").text == "wss://a.example/chat/tea%20&%20cake"
    assert ask(app, "/chat/tea") == ["/page", "ws://localhost/chat/x"]
    assert ask(app, "/chat/tea", base_url="https://a.example") == ["/page", "wss://a.example/chat/x"]


def test_one_url_for_a_page_and_a_websocket(app: Quaff) -> None:
    """A rule of each kind may have the same path: the handshake decides."""
    app.websocket("/", endpoint="socket")(answering(lambda: request.endpoint, True))
    app.add_url_rule("/", "page", lambda: request.endpoint)
    assert app.test_client().get("/").text == "page"
    assert ask(app) == "socket"


def test_a_missing_slash(app: Quaff) -> None:
    """It is answered with a redirect to the WebSocket's own URL."""
    app.websocket("/room/", endpoint="room")(answering(lambda: "in", True))
    with app.test_websocket("/room?a=1") as connection, pytest.raises(HandshakeRefused) as refused:
        connection.receive()
    assert refused.value.status == 308
    assert dict(refused.value.headers)["location"] == "ws://localhost/room/?a=1"


def test_methods_of_a_rule_for_websockets(app: Quaff) -> None:
    """COMPAT: Werkzeug lets such a rule have GET and HEAD only."""
    with pytest.raises(ValueError, match="WebSocket rules can only use 'GET', 'HEAD', and 'OPTIONS' methods"):
        app.websocket("/", methods=["POST"])(answering(lambda: 1, True))


# Blueprints -----------------------------------------------------------------------------------------------------------


@each_kind
def test_nested_blueprints(app: Quaff, is_async: bool) -> None:
    """Rules get the prefixes and names of all blueprints around them."""
    inner, outer = Blueprint("inner", __name__), Blueprint("outer", __name__)
    names = ["endpoint", "blueprint", "blueprints", "path"]
    handler = answering(lambda: [getattr(websocket, name) for name in names] + [url_for(".room", n=2)], is_async)
    inner.websocket("/room/<int:n>", endpoint="room")(handler)
    outer.register_blueprint(inner, url_prefix="/in")
    app.register_blueprint(outer, url_prefix="/out")
    assert ask(app, "/out/in/room/1") == [
        "outer.inner.room",
        "outer.inner",
        ["outer.inner", "outer"],
        "/out/in/room/1",
        "ws://localhost/out/in/room/2",
    ]


@each_kind
def test_hooks_of_blueprints(app: Quaff, is_async: bool) -> None:
    """Those of a blueprint run for its own WebSockets, those `for the app` for all; outer ones come first and last."""
    trail: list[str] = []
    inner, outer = Blueprint("inner", __name__), Blueprint("outer", __name__)

    def noting(name: str) -> Any:
        async def note(*given: Any) -> Any:
            trail.append(name)
            return given[0] if given else None

        def note_in_thread(*given: Any) -> Any:
            trail.append(name)
            return given[0] if given else None

        return note if is_async else note_in_thread

    for name, part in (("app", app), ("outer", outer), ("inner", inner)):
        part.before_websocket(noting(f"{name} before"))
        part.after_websocket(noting(f"{name} after"))
        part.teardown_websocket(noting(f"{name} teardown"))
    outer.before_app_websocket(noting("for all before"))
    outer.after_app_websocket(noting("for all after"))
    outer.teardown_app_websocket(noting("for all teardown"))
    inner.websocket("/inner", endpoint="one")(answering(lambda: 1, is_async))
    app.websocket("/other", endpoint="other")(answering(lambda: 1, is_async))
    outer.register_blueprint(inner)
    app.register_blueprint(outer)
    ask(app, "/inner")
    assert trail[:4] == ["app before", "for all before", "outer before", "inner before"]
    assert trail[4:8] == ["inner after", "outer after", "for all after", "app after"]
    assert trail[8:] == ["inner teardown", "outer teardown", "for all teardown", "app teardown"]
    trail.clear()
    ask(app, "/other")
    phases = ("before", "after", "teardown")
    assert trail == [name for p in phases for name in sorted([f"app {p}", f"for all {p}"], reverse=p != "before")]


def test_hooks_of_requests_are_not_run(app: Quaff) -> None:
    """WebSockets have hooks of their own: those of requests are for HTTP, and theirs are not run for a request."""
    trail: list[str] = []
    app.before_request(lambda: trail.append("request"))
    app.after_request(lambda response: trail.append("after request") or response)  # type: ignore[func-returns-value]
    app.teardown_request(lambda error: trail.append("teardown request"))
    app.before_websocket(lambda: trail.append("websocket"))
    app.after_websocket(lambda response: trail.append("after websocket"))
    app.teardown_websocket(lambda error: trail.append("teardown websocket"))
    app.websocket("/ws", endpoint="ws")(answering(lambda: 1, True))
    app.add_url_rule("/", "page", lambda: "page")
    ask(app, "/ws")
    assert trail == ["websocket", "after websocket", "teardown websocket"]
    trail.clear()
    app.test_client().get("/")
    assert trail == ["request", "after request", "teardown request"]


# Refusing -------------------------------------------------------------------------------------------------------------


class Unfriendly(Exception):
    """An error of the app's own."""


def refusing_app(app: Quaff, is_async: bool) -> Quaff:
    """Return *app* with handlers that refuse, and error handlers on it and on a blueprint."""
    part = Blueprint("part", __name__, url_prefix="/part")

    def as_kind(function: Callable[..., Any]) -> Callable[..., Any]:
        async def asynchronous(*args: Any) -> Any:
            await asyncio.sleep(0)
            return function(*args)

        return asynchronous if is_async else function

    def fail() -> None:
        raise Unfriendly("go away")

    for scaffold in (app, part):
        scaffold.websocket("/forbidden", endpoint="forbidden")(as_kind(lambda: abort(403)))
        scaffold.websocket("/unfriendly", endpoint="unfriendly")(as_kind(fail))
        scaffold.websocket("/elsewhere", endpoint="elsewhere")(as_kind(lambda: redirect("/other")))
        scaffold.websocket("/json", endpoint="json")(as_kind(lambda: ({"error": "full"}, 503, {"Retry-After": "9"})))
    app.register_error_handler(404, as_kind(lambda error: (f"no {websocket.path}", 404)))
    app.register_error_handler(Unfriendly, as_kind(lambda error: (f"app {error}", 409)))
    part.register_error_handler(403, as_kind(lambda error: ("part says no", 403)))
    app.register_blueprint(part)
    return app


@each_kind
def test_error_handlers_refuse(app: Quaff, is_async: bool) -> None:
    """An error before the connection is accepted is answered as for a page: by code, by class, of the blueprint first."""
    refusing_app(app, is_async)
    assert refusal(app, "/nowhere") == (404, "no /nowhere")
    assert refusal(app, "/unfriendly") == (409, "app go away")
    assert refusal(app, "/part/unfriendly") == (409, "app go away")
    assert refusal(app, "/part/forbidden") == (403, "part says no")
    status, body = refusal(app, "/forbidden")
    assert status == 403
    assert "<h1>Forbidden</h1>" in body


@each_kind
def test_returning_a_response_refuses(app: Quaff, is_async: bool) -> None:
    """What the handler returns before it accepts is the response, made as for a page, with its headers."""
    refusing_app(app, is_async)
    with (
        app.test_websocket("/json") as connection,
        pytest.raises(HandshakeRefused, match="refused with 503") as refused,
    ):
        connection.wait_accepted()
    headers = dict(refused.value.headers)
    assert (refused.value.status, refused.value.body) == (503, b'{"error":"full"}\n')
    assert (headers["retry-after"], headers["content-type"], headers["content-length"]) == (
        "9",
        "application/json",
        "17",
    )
    assert refusal(app, "/elsewhere")[0] == 302


def test_refusing_with_a_file(app: Quaff) -> None:
    """The body is read whole, and closed."""
    app.websocket("/")(lambda: send_file(__file__, mimetype="text/plain"))
    status, body = refusal(app)
    assert status == 200
    assert body.startswith('"""What a WebSocket knows')


def test_refusing_with_a_stream(app: Quaff) -> None:
    """Sync and async iterators are read to their end, and closed."""
    events: list[str] = []

    async def pieces() -> Any:
        yield "async "
        yield b"stream"
        events.append("ended")

    @app.websocket("/async")
    async def asynchronous() -> Any:
        return pieces(), 429

    @app.websocket("/sync")
    def synchronous() -> Any:
        response = current_app.make_response((iter(["plain ", "stream"]), 429))
        response.call_on_close(lambda: events.append("closed"))
        return response

    assert refusal(app, "/async") == (429, "async stream")
    assert refusal(app, "/sync") == (429, "plain stream")
    assert events == ["ended", "closed"]


# Contexts -------------------------------------------------------------------------------------------------------------


@each_kind
def test_contexts(app: Quaff, is_async: bool) -> None:
    """`g`, `session` and `current_app` are there in hooks and handler, and are those of this connection."""

    @app.before_websocket
    def note() -> None:
        g.user = session.get("user")

    @app.teardown_websocket
    def look(_error: BaseException | None) -> None:
        seen.append([g.user, current_app.name, websocket.path])

    seen: list[Any] = []
    app.websocket("/")(answering(lambda: [g.user, current_app.name, "other" in g, has_request_context()], is_async))
    client = app.test_client()
    with client.session_transaction() as stored:
        stored["user"] = "ada"
    assert ask(app, client=client) == ["ada", "tests.conftest", False, True]
    assert ask(app) == [None, "tests.conftest", False, True]
    assert seen == [["ada", "tests.conftest", "/"], [None, "tests.conftest", "/"]]


def test_tasks_of_a_handler(app: Quaff) -> None:
    """Tasks that the handler starts share its connection and its context."""

    @app.websocket("/")
    async def handler() -> None:
        g.name = "shared"

        async def sender(number: int) -> None:
            await websocket.send(f"{g.name} {number} {websocket.path}")

        async with asyncio.TaskGroup() as group:
            for number in range(3):
                group.create_task(sender(number))

    with app.test_websocket("/") as connection:
        assert [connection.receive() for _ in range(3)] == [f"shared {number} /" for number in range(3)]


def test_threads_of_a_handler(app: Quaff) -> None:
    """A thread with a copy of the context has the connection too; it talks over the loop that serves that."""

    def work(name: str) -> None:
        websocket.send(f"{name} {request.path}")

    @app.websocket("/")
    def handler() -> None:
        threads = [threading.Thread(target=copy_current_request_context(work), args=(f"{n}",)) for n in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    async def main() -> set[str | bytes]:
        async with app.test_async_client().websocket("/") as connection:
            return {await connection.receive() for _ in range(3)}

    # The loop of this test is not the one that sync code uses where there is no other.
    assert asyncio.run(main()) == {"0 /", "1 /", "2 /"}


def test_a_thread_needs_no_context(app: Quaff) -> None:
    """The WebSocket itself may be handed to a thread that knows nothing of the app."""

    @app.websocket("/")
    def handler() -> None:
        own = websocket._get_current_object()
        thread = threading.Thread(target=lambda: own.send(own.receive()))
        thread.start()
        thread.join()

    async def main() -> str | bytes:
        async with app.test_async_client().websocket("/") as connection:
            await connection.send("a")
            return await connection.receive()

    assert asyncio.run(main()) == "a"
