"""What a limiter does for a route, as parts of the pipeline."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import pytest

from quaff import Blueprint, Quaff, Response, stream_with_context, websocket
from quaff.ext.limiter import Limiter
from quaff.ext.limiter.parts import is_called
from quaff.ext.limiter.registry import Limited
from quaff.pipeline.parts import Part, Target, find_parts, marks_of
from quaff.pipeline.phases import Stage
from quaff.views import MethodView
from tests.ext.limiter.apps import both_pipelines, limited_app, make_app, statuses, statuses_on_loop


def parts_of(app: Quaff, endpoint: str, method: str = "GET") -> tuple[Part, ...]:
    """Return the parts of a route."""
    rule = next(app.url_map.iter_rules(endpoint))
    return find_parts(app, rule, method).parts


def test_nothing_where_nothing_is_limited() -> None:
    """A route without limits has no part at all: it pays nothing."""
    app, limiter = limited_app()
    app.add_url_rule("/t", "t", limiter.limit("1/minute")(lambda: "t"))
    assert parts_of(app, "index") == ()
    assert [part.stage for part in parts_of(app, "t")] == [Stage.LIMIT]
    assert find_parts(app, None, "*").parts == ()


def test_nothing_where_all_is_exempt() -> None:
    """So has a route that is exempt from all there is, and static files."""
    app, limiter = limited_app(True, "1/minute", application_limits=["2/minute"])
    app.add_url_rule("/t", "t", limiter.exempt(lambda: "t"))
    assert parts_of(app, "t") == ()
    assert parts_of(app, "static") == ()
    assert len(parts_of(app, "index")) == 1


def test_what_waits_is_called_in_a_thread() -> None:
    """On a loop, a store over the network and functions of the user's are waited for in a thread; memory is not."""
    app, limiter = limited_app(True, "1/minute")
    app.add_url_rule("/key", "key", limiter.limit("1/minute", key_func=lambda: "x")(lambda: "t"))
    assert not parts_of(app, "index")[0].blocking
    assert parts_of(app, "key")[0].blocking
    remote, _ = limited_app(True, "1/minute", storage_uri="redis://127.0.0.1:1")
    assert parts_of(remote, "index")[0].blocking
    filtered, limiter = limited_app(True, "1/minute")
    limiter.request_filter(lambda: False)
    assert parts_of(filtered, "index")[0].blocking


def test_finishers_only_where_they_are_needed() -> None:
    """A response object is made only where a limit wants to see it; headers need none."""
    app, limiter = limited_app(True, "1/minute", headers_enabled=True)
    app.add_url_rule("/t", "t", limiter.limit("1/minute", deduct_when=lambda response: True)(lambda: "t"))
    part = parts_of(app, "index")[0]
    assert part.finish is None
    assert part.add_headers is not None
    assert parts_of(app, "t")[0].finish is not None


def test_the_wrapper_is_left_out() -> None:
    """Where limits are counted when the request comes, the compiled pipeline calls the decorated function itself."""
    app, limiter = limited_app()

    def view() -> str:
        return "t"

    decorated = limiter.limit("1/minute")(view)
    app.add_url_rule("/t", "t", decorated)
    wrap_view = parts_of(app, "t")[0].wrap_view
    assert wrap_view is not None
    assert wrap_view(decorated) is view
    # With another decorator around it, it is not the view; then it stays, and knows that it was counted.
    around = functools.wraps(decorated)(lambda: decorated())
    assert wrap_view(around) is around


@both_pipelines
@pytest.mark.parametrize("order", ["limit inside", "limit outside"])
def test_other_decorators(compiled: bool, order: str) -> None:
    """With another decorator inside or outside a request counts once."""
    app, limiter = limited_app(compiled)
    limit = limiter.limit("2/minute")

    def shout(function: Any) -> Any:
        return functools.wraps(function)(lambda: function().upper())

    view = shout(limit(lambda: "t")) if order == "limit inside" else limit(shout(lambda: "t"))
    app.add_url_rule("/t", "t", view)
    client = app.test_client()
    assert client.get("/t").text == "T"
    assert statuses(app, "/t", times=2) == [200, 429]


@both_pipelines
def test_a_decorator_that_hides_it(compiled: bool) -> None:
    """A decorator that does not tell what it wraps hides the limit from the route, and it is counted when it is called."""
    app, limiter = limited_app(compiled)
    inner = limiter.limit("2/minute")(lambda: "t")
    app.add_url_rule("/t", "t", lambda: inner())
    assert statuses(app, "/t", times=3) == [200, 200, 429]


@both_pipelines
def test_a_view_that_calls_itself(compiled: bool) -> None:
    """A view that calls its decorated self counts again, in both pipelines alike."""
    app, limiter = limited_app(compiled)
    calls: list[int] = []

    @app.get("/t")
    @limiter.limit("3/minute")
    def again() -> str:
        calls.append(1)
        return again() if len(calls) % 2 else "done"

    assert statuses(app, "/t", times=2) == [200, 429]


@both_pipelines
def test_two_limiters(compiled: bool) -> None:
    """Two limiters on one app, and on one view, know nothing of each other."""
    app = make_app(compiled)
    one, two = Limiter(app=app), Limiter(app=app)
    app.add_url_rule("/both", "both", one.limit("4/minute")(two.limit("2/minute")(lambda: "both")))
    app.add_url_rule("/one", "one", one.limit("1/minute")(lambda: "one"))
    assert app.extensions["limiter"] == {one, two}
    assert statuses(app, "/both", times=3) == [200, 200, 429]
    two.reset()
    assert statuses(app, "/both", times=2) == [200, 429]
    assert statuses(app, "/one", times=2) == [200, 429]


@both_pipelines
def test_automatic_options(compiled: bool) -> None:
    """An automatic OPTIONS does not call the view: of its own limits none counts, the default ones do."""
    app, limiter = limited_app(compiled, "2/minute")
    app.add_url_rule("/t", "t", limiter.limit("1/minute")(lambda: "t"))
    assert statuses(app, "/t", method="OPTIONS", times=3) == [200] * 3
    assert statuses(app, "/", method="OPTIONS", times=3) == [200, 200, 429]


@both_pipelines
@pytest.mark.parametrize("counts", [False, True])
def test_what_matches_no_route(compiled: bool, counts: bool) -> None:
    """COMPAT: requests for what there is not count against nothing, or if it is so set against the application's limits."""
    app, _ = limited_app(compiled, application_limits=["2/minute"], config={"RATELIMIT_COUNT_UNMATCHED": counts})
    assert statuses(app, "/missing", times=3) == ([404, 404, 429] if counts else [404] * 3)
    assert statuses(app, "/", method="DELETE") == ([429] if counts else [405])
    assert statuses(app) == ([429] if counts else [200])


@both_pipelines
def test_an_identity_of_the_user_s(compiled: bool) -> None:
    """What stands for the route may be said by a function, for requests that match none too."""
    app = make_app(compiled)
    limiter = Limiter(
        app=app, default_limits=["2/minute"], application_limits=["3/minute"], request_identifier=lambda: "all alike"
    )
    app.add_url_rule("/a", "a", lambda: limiter.identify_request())
    app.add_url_rule("/b", "b", lambda: "b")
    assert app.test_client().get("/a").text == "all alike"
    assert statuses(app, "/b", times=2) == [200, 429]
    assert statuses(app, "/missing") == [429]


# Each kind of view -------------------------------------------------------------------------------------------------------


def _every_kind(compiled: bool) -> tuple[Quaff, Limiter]:
    app, limiter = limited_app(compiled, headers_enabled=True)

    @app.get("/sync")
    @limiter.limit("2/minute")
    def sync() -> str:
        return "sync"

    @app.get("/async")
    @limiter.limit("2/minute")
    async def coroutine() -> str:
        return "async"

    @app.get("/late")
    @limiter.limit("2/minute", key_func=lambda: "all")
    async def late() -> str:
        return "late"

    @app.get("/stream")
    @limiter.limit("2/minute")
    def stream() -> Response:
        @stream_with_context
        def rows() -> Iterator[str]:
            yield "str"
            yield "eam"

        return Response(rows())

    @app.get("/generator")
    @limiter.limit("2/minute")
    def generator() -> Iterator[str]:
        yield "gener"
        yield "ator"

    class Class(MethodView):
        decorators = [limiter.limit("2/minute")]

        async def get(self) -> str:
            return "class"

    app.add_url_rule("/class", view_func=Class.as_view("class"))
    return app, limiter


@both_pipelines
@pytest.mark.parametrize("path", ["/sync", "/async", "/late", "/stream", "/generator", "/class"])
def test_each_kind_of_view(compiled: bool, path: str) -> None:
    """Each kind of view is limited, over WSGI and on an event loop, and the answer is the same."""
    app, limiter = _every_kind(compiled)
    response = app.test_client().get(path)
    assert response.text == path[1:]
    assert response.headers["X-RateLimit-Remaining"] == "1"
    assert statuses(app, path, times=2) == [200, 429]
    limiter.reset()
    assert statuses_on_loop(app, path, times=3) == [200, 200, 429]


@both_pipelines
def test_a_handshake(compiled: bool) -> None:
    """The handshake of a WebSocket counts as a request, and is refused with 429."""
    app, limiter = limited_app(compiled)

    @app.websocket("/ws")
    @limiter.limit("1/minute")
    async def handler() -> None:
        await websocket.send("hello")

    with app.test_websocket("/ws") as session:
        assert session.receive() == "hello"
    with pytest.raises(Exception, match="429"), app.test_websocket("/ws") as session:
        session.receive()


@both_pipelines
@pytest.mark.parametrize("kind", ["sync", "late", "generator", "default"])
def test_handshakes_of_each_kind(compiled: bool, kind: str) -> None:
    """So it is with each kind of handler, and with the default limits."""
    app, limiter = limited_app(compiled, *(["1/minute"] if kind == "default" else []))
    options: dict[str, Any] = {"key_func": lambda: "all"} if kind == "late" else {}
    limit = (lambda handler: handler) if kind == "default" else limiter.limit("1/minute", **options)

    if kind == "generator":

        @app.websocket("/ws")
        @limit
        def handler() -> Iterator[str]:
            yield "hello"
    else:

        @app.websocket("/ws")
        @limit
        def sync_handler() -> None:
            websocket.send("hello")

    with app.test_websocket("/ws") as session:
        assert session.receive() == "hello"
    with pytest.raises(Exception, match="429"), app.test_websocket("/ws") as session:
        session.receive()


# Whether a wrapper is called ---------------------------------------------------------------------------------------------


def _limited_of(function: Any) -> Limited:
    return next(mark.options for mark in marks_of(function, "GET") if isinstance(mark.options, Limited))


def test_which_wrappers_are_called() -> None:
    """Whether a view calls a wrapper is seen through decorators that tell what they wrap, and in classes."""
    _app, limiter = limited_app()

    class Class(MethodView):
        @limiter.limit("1/minute")
        def get(self) -> str:
            return "get"

    plain = limiter.limit("1/minute")(lambda: "t")
    one = _limited_of(plain)
    assert is_called(plain, one, "GET")
    assert is_called(functools.wraps(plain)(lambda: plain()), one, "GET")
    assert not is_called(one.function, one, "GET")
    assert not is_called(None, one, "GET")
    view = Class.as_view("class")
    assert is_called(view, _limited_of(view), "GET")
    assert is_called(view, _limited_of(view), "HEAD")
    assert not is_called(view, _limited_of(view), "POST")


@both_pipelines
def test_the_undecorated_function_is_the_view(compiled: bool) -> None:
    """A limit whose result nobody took is counted nevertheless, because the function knows of it."""
    app, limiter = limited_app(compiled)

    def view() -> str:
        return "t"

    app.add_url_rule("/t", "t", view)
    limiter.limit("2/minute")(view)
    assert statuses(app, "/t", times=3) == [200, 200, 429]


@both_pipelines
def test_a_limit_that_comes_later(compiled: bool) -> None:
    """A limit that is added when the app serves already is counted from the next request on."""
    app, limiter = limited_app(compiled)
    view = limiter.limit("100/minute")(lambda: "t")
    app.add_url_rule("/t", "t", view)
    assert statuses(app, "/t", times=5) == [200] * 5
    assert limiter.limit("1/second")(view) is view
    assert statuses(app, "/t", times=2) == [200, 429]
    bp = Blueprint("late", __name__)
    limiter.limit("1/minute")(bp)


def test_target_of_a_marked_view() -> None:
    """A limiter that was not given to the app does nothing there, though its decorators are on a view."""
    app = make_app()
    limiter = Limiter(default_limits=["1/minute"])
    view = limiter.limit("1/minute")(lambda: "t")
    app.add_url_rule("/t", "t", view)
    rule = next(app.url_map.iter_rules("t"))
    assert limiter.parts_for(Target(app=app, rule=rule, method="GET", view=view)) == ()
    assert statuses(app, "/t", times=3) == [200] * 3
