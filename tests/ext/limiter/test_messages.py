"""Limits on the messages of WebSockets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from quaff import Quaff, websocket
from quaff.errors import WebSocketDisconnect
from quaff.ext.limiter import Limiter
from tests.ext.limiter.apps import Clock, both_pipelines, from_address, limited_app, make_app, user_name
from tests.ext.servers import Server


def echo_app(compiled: bool, text: str = "2/minute", **options: Any) -> tuple[Quaff, Limiter]:
    """Return an app whose WebSocket `/ws` sends back what it receives, so much of it."""
    app, limiter = limited_app(compiled, **options.pop("limiter", {}))

    @app.websocket("/ws")
    @limiter.limit_messages(text, **options)
    async def echo() -> None:
        async for message in websocket:
            await websocket.send(message)

    return app, limiter


def send_until_closed(app: Quaff, messages: list[str], **options: Any) -> tuple[list[Any], int | None]:
    """Send messages one after the other; return what came back, and the code with which the connection was closed."""
    received = []
    with app.test_websocket("/ws", **options) as session:
        try:
            for message in messages:
                session.send(message)
                received.append(session.receive())
        except WebSocketDisconnect as error:
            return received, error.close_code
    return received, None


@both_pipelines
def test_messages_are_counted(compiled: bool) -> None:
    """The message that is one too many is not received, and closes the connection with 1008."""
    app, _ = echo_app(compiled)
    assert send_until_closed(app, ["a", "b", "c", "d"]) == (["a", "b"], 1008)


@both_pipelines
def test_over_all_connections(compiled: bool, clock: Clock) -> None:
    """A client's messages are counted over all its connections, and another's apart."""
    app, _ = echo_app(compiled)
    assert send_until_closed(app, ["a"]) == (["a"], None)
    assert send_until_closed(app, ["b", "c"]) == (["b"], 1008)
    assert send_until_closed(app, ["a", "b"], **from_address("192.0.2.9")) == (["a", "b"], None)
    clock.forward(60)
    assert send_until_closed(app, ["a", "b"]) == (["a", "b"], None)


@both_pipelines
def test_handshakes_are_apart(compiled: bool) -> None:
    """A limit on messages does not count the handshake, nor the other way round."""
    app, limiter = limited_app(compiled)

    @app.websocket("/ws")
    @limiter.limit("1/minute")
    @limiter.limit_messages("2/minute")
    async def echo() -> None:
        async for message in websocket:
            await websocket.send(message)

    assert send_until_closed(app, ["a", "b", "c"]) == (["a", "b"], 1008)
    with pytest.raises(Exception, match="429"):
        send_until_closed(app, ["a"])


@both_pipelines
def test_several_limits(compiled: bool, clock: Clock) -> None:
    """Several limits may be in one text, or in several decorators."""
    app, limiter = limited_app(compiled)

    @app.websocket("/ws")
    @limiter.limit_messages("3/second;5/minute")
    @limiter.limit_messages("5/hour", scope="long")
    async def echo() -> None:
        async for message in websocket:
            await websocket.send(message)

    assert send_until_closed(app, list("abcd")) == (list("abc"), 1008)
    clock.forward(1)
    assert send_until_closed(app, list("ab")) == (["a"], 1008)


@both_pipelines
def test_cost_of_a_message(compiled: bool) -> None:
    """A message may cost by what it is: by its size, for example."""
    app, _ = echo_app(compiled, "10/minute", cost=len)
    assert send_until_closed(app, ["1234", "123456", "", "1"]) == (["1234", "123456", ""], 1008)


@both_pipelines
def test_key_of_a_connection(compiled: bool) -> None:
    """Whom messages count for is asked once, when the connection is opened."""
    asked: list[str] = []

    def user() -> str:
        asked.append(user_name())
        return asked[-1]

    app, _ = echo_app(compiled, key_func=user)
    assert send_until_closed(app, ["a", "b", "c"], headers={"User": "one"}) == (["a", "b"], 1008)
    assert send_until_closed(app, ["a"], headers={"User": "two"}) == (["a"], None)
    assert asked == ["one", "two"]


@both_pipelines
def test_exempt_connections(compiled: bool) -> None:
    """A connection may be exempt, by the limit, by its key, or by a request filter."""
    app, limiter = echo_app(compiled, exempt_when=lambda: user_name() == "admin")
    assert send_until_closed(app, list("abcd"), headers={"User": "admin"})[1] is None
    nobody, _ = echo_app(compiled, key_func=user_name)
    assert send_until_closed(nobody, list("abcd"))[1] is None
    limiter.request_filter(lambda: user_name() == "internal")
    assert send_until_closed(app, list("abcd"), headers={"User": "internal"})[1] is None
    assert send_until_closed(app, list("abcd"))[1] == 1008


@both_pipelines
def test_a_callback_hears_of_it(compiled: bool) -> None:
    """A callback hears of what is broken; its answer has nowhere to go."""
    seen: list[Any] = []
    app, _ = echo_app(compiled, on_breach=lambda shown: seen.append(shown.key))
    send_until_closed(app, list("abc"))
    assert seen == ["LIMITER/127.0.0.1/echo:messages/2/1/minute"]


@both_pipelines
@pytest.mark.parametrize("kind", ["sync", "generator"])
def test_kinds_of_handlers(compiled: bool, kind: str) -> None:
    """Synchronous handlers and generators receive no more either."""
    app, limiter = limited_app(compiled)
    limit = limiter.limit_messages("2/minute")
    if kind == "sync":

        @app.websocket("/ws")
        @limit
        def sync() -> None:
            for message in websocket:
                websocket.send(message)
    else:

        @app.websocket("/ws")
        @limit
        def generator() -> Iterator[Any]:
            yield from websocket

    assert send_until_closed(app, list("abc")) == (["a", "b"], 1008)


@both_pipelines
@pytest.mark.parametrize(
    "policy, expected", [("fail_open", (list("abc"), None)), ("fail_closed", ([], 1013)), ("local", (list("ab"), 1008))]
)
def test_a_store_that_is_down(compiled: bool, policy: str, expected: Any) -> None:
    """While the store is down, messages pass, close the connection with 1013, or are counted in memory."""
    app, _ = echo_app(compiled, on_store_failure=policy, limiter={"storage_uri": "redis://127.0.0.1:1"})
    assert send_until_closed(app, list("abc")) == expected


@both_pipelines
def test_redis(compiled: bool, redis_server: Server) -> None:
    """Messages are counted in a real store as well, without stopping the loop."""
    app, _ = echo_app(compiled, limiter={"storage_uri": redis_server.uri})
    app.config["RATELIMIT_STORAGE_TIMEOUT"] = 30
    assert send_until_closed(app, list("abc")) == (["a", "b"], 1008)
    assert send_until_closed(app, list("a")) == ([], 1008)


def test_what_is_refused() -> None:
    """A negative cost, a text that names no limit, and a view that is no WebSocket are refused."""
    limiter = Limiter()
    with pytest.raises(ValueError, match="0 or more, not -1"):
        limiter.limit_messages("1/second", cost=-1)
    app = make_app()
    limiter.init_app(app)
    app.add_url_rule("/t", "t", limiter.limit_messages("1/second")(lambda: "t"))
    with pytest.raises(TypeError, match=r"limit_messages\(\) is for WebSockets, and 't' is none"):
        app.test_client().get("/t")


@both_pipelines
def test_a_message_that_would_give_credit(compiled: bool) -> None:
    """SECURITY: a cost function that returns a negative number ends the connection with an error."""
    app, _ = echo_app(compiled, cost=lambda message: -1)
    app.config["PROPAGATE_EXCEPTIONS"] = False
    assert send_until_closed(app, list("abc")) == ([], 1011)
