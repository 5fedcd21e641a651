"""Generated handlers: their frame, their errors, and how they can be read."""

from __future__ import annotations

import asyncio
import gc
import inspect
import linecache
import traceback
import weakref
from typing import Any

import pytest

from quaff import Quaff, Response, after_this_request, g, request
from quaff.globals import active_context
from quaff.pipeline.compile import compile_handler, source_of
from quaff.pipeline.plan import make_plan
from quaff.pipeline.scope import Scope
from quaff.routing.router import Route
from quaff.servers.exchange import serve_request
from tests.contracts.test_calls import environ, start_response
from tests.protocols.harness import until
from tests.servers.test_exchange import Recorded, serve


def handler(app: Quaff, endpoint: str = "view", method: str = "GET") -> Any:
    """Return the compiled handler of an endpoint."""
    return compile_handler(make_plan(app, Route(app.url_map.rules_of(endpoint)[0]), method), lambda *args: [b"asked"])


def make_app(view: Any = lambda: "answer", rule: str = "/") -> Quaff:
    """Return an app with one view."""
    app = Quaff("compile", static_folder=None, compiled=True)
    app.add_url_rule(rule, "view", view)
    return app


class Sent:
    """Stands for the server: notes what it is told to send."""

    def __call__(self, status: str, headers: list[tuple[str, str]], _error: Any = None) -> Any:
        self.status, self.headers = status, dict(headers)
        return lambda data: None


def test_serves() -> None:
    """A handler takes environ, start_response and the captured texts, and returns the body in a list."""
    sent = Sent()
    assert handler(make_app())(environ("/"), sent, ()) == [b"answer"]
    assert sent.status == "200 OK"
    assert sent.headers == {"Content-Type": "text/html; charset=utf-8", "Content-Length": "6"}


def test_converts_what_was_captured() -> None:
    """Captured texts become the view's arguments."""
    made = handler(make_app(lambda n, name: f"{n + 1} {name}", "/<int:n>/<name>"))
    assert made(environ("/1/a"), start_response, ("1", "a")) == [b"2 a"]


def test_a_refused_value_asks_the_map() -> None:
    """What a converter refuses is the map's to answer, before anything of the request has begun."""
    seen: list[str] = []
    app = make_app(lambda n: "answer", "/<int(max=5):n>")
    app.before_request(lambda: seen.append("before"))
    assert handler(app)(environ("/6"), start_response, ("6",)) == [b"asked"]
    assert seen == []
    assert handler(app)(environ("/5"), start_response, ("5",)) == [b"answer"]


def test_the_source_is_kept() -> None:
    """The text of a handler hangs on it and stands in `linecache`."""
    app = make_app()
    made = handler(app)
    text = source_of(make_plan(app, Route(app.url_map.rules_of("view")[0]), "GET"), Scope({}))
    assert made.__quaff_source__ == text
    assert "".join(linecache.getlines(made.__code__.co_filename)) == text


def test_a_traceback_shows_the_generated_line() -> None:
    """Whoever debugs an error in a view sees the line of the handler that called it, and the view below it."""

    def view() -> str:
        raise LookupError("in the view")

    app = make_app(view)
    app.testing = True
    with pytest.raises(LookupError) as raised:
        app.test_client().get("/")
    text = "".join(traceback.format_exception(raised.value))
    assert 'File "<quaff pipeline ' in text
    assert "rv = view()" in text
    assert text.index("rv = view()") < text.index('raise LookupError("in the view")')


def test_routes_of_one_shape_share_their_code() -> None:
    """A thousand alike routes are compiled once; each handler has its own view."""
    app = make_app()
    app.add_url_rule("/other", "other", lambda: "other")
    first, second = handler(app), handler(app, "other")
    assert first.__code__ is second.__code__
    assert second(environ("/other"), start_response, ()) == [b"other"]
    assert first(environ("/"), start_response, ()) == [b"answer"]


def test_an_error_of_the_view_is_handled() -> None:
    """An error goes to its handler, whose result is an answer like any other, after hooks included."""

    def view() -> str:
        raise LookupError

    app = make_app(view)
    app.register_error_handler(LookupError, lambda error: ("handled", 418))
    app.after_request(lambda response: (response.headers.__setitem__("X-After", "1"), response)[1])
    sent = Sent()
    assert handler(app)(environ("/"), sent, ()) == [b"handled"]
    assert sent.status.startswith("418")
    assert sent.headers["X-After"] == "1"


def test_an_error_behind_the_view_is_a_500(caplog: pytest.LogCaptureFixture) -> None:
    """An error of an after hook has no handler left to ask but the one for 500."""

    def fail(response: Response) -> Response:
        raise LookupError("after")

    app = make_app()
    app.after_request(fail)
    sent = Sent()
    handler(app)(environ("/"), sent, ())
    assert sent.status == "500 INTERNAL SERVER ERROR"
    assert "Exception on / [GET]" in caplog.text


class Stop(BaseException):
    pass


def test_what_is_no_error_reaches_the_server() -> None:
    """`SystemExit` and the like are nobody's to handle; teardown functions see them, and the context is gone afterwards."""
    seen: list[str] = []

    def view() -> str:
        raise Stop

    app = make_app(view)
    app.teardown_request(lambda error: seen.append(repr(error)))
    with pytest.raises(Stop):
        handler(app)(environ("/"), start_response, ())
    assert seen == ["Stop()"]
    assert active_context() is None


def test_a_change_during_the_request_holds_for_it() -> None:
    """An after hook and a teardown function that a view registers run for this very request, as in Flask."""
    seen: list[str] = []

    def view() -> str:
        app.after_request_funcs[None].append(lambda response: (seen.append("after"), response)[1])  # type: ignore[func-returns-value]
        app.teardown_request_funcs[None].append(lambda error: seen.append("teardown"))
        return "answer"

    app = make_app(view)
    assert handler(app)(environ("/"), start_response, ()) == [b"answer"]
    assert seen == ["after", "teardown"]


def test_a_route_that_does_not_exist_can_change_the_app_too() -> None:
    """A 404 whose before hook registers something is finished with it."""
    seen: list[str] = []
    app = Quaff("compile", static_folder=None, compiled=True)

    @app.before_request
    def late() -> None:
        app.after_request_funcs[None].append(lambda response: (seen.append(response.status), response)[1])  # type: ignore[func-returns-value]

    assert app.test_client().get("/nowhere").status_code == 404
    assert seen == ["404 NOT FOUND"]


def test_after_this_request_needs_a_response() -> None:
    """A view that returns a str gets a response object once somebody wants to see it."""

    def view() -> str:
        @after_this_request
        def add(response: Response) -> Response:
            response.headers["X-After"] = "1"
            return response

        return "answer"

    sent = Sent()
    assert handler(make_app(view))(environ("/"), sent, ()) == [b"answer"]
    assert sent.headers["X-After"] == "1"


def test_g_and_request_are_the_requests_own() -> None:
    """Each request has its own `g` and its own request object."""

    def view() -> str:
        before = g.get("seen")
        g.seen = request.path
        return f"{before} {request.path}"

    made = handler(make_app(view))
    for path in ("/a", "/b"):
        assert made(environ(path), start_response, ()) == [f"None {path}".encode()]


@pytest.mark.parametrize("fails", [False, True])
def test_nothing_of_a_request_is_kept(fails: bool) -> None:
    """The environ is free as soon as the response is sent, without the garbage collector; also after an error."""

    class Environ(dict[str, Any]):
        pass

    def view() -> str:
        g.me = request.path
        if fails:
            raise LookupError
        return "answer"

    app = make_app(view)
    app.register_error_handler(LookupError, lambda error: "handled")
    app.teardown_request(lambda error: None)
    made = handler(app)
    given = Environ(environ("/"))
    reference = weakref.ref(given)
    gc.collect()
    gc.disable()
    try:
        made(given, start_response, ())
        del given
        assert reference() is None
    finally:
        gc.enable()


def native_handler(app: Quaff, endpoint: str = "view", method: str = "GET") -> Any:
    """Return the coroutine handler of an endpoint."""
    plan = make_plan(app, Route(app.url_map.rules_of(endpoint)[0]), method, native=True)
    return compile_handler(plan, lambda *args: [b"asked"])


async def async_answer(**values: Any) -> str:
    """Answer with the arguments, or without any, after the loop has turned."""
    await asyncio.sleep(0)
    return f"answer {sorted(values.items())}" if values else "answer"


def test_a_native_handler_is_a_coroutine_function() -> None:
    """It is made of the same lines as the plain one; what is async is awaited, and its source is kept likewise."""
    app = make_app(async_answer)
    plain, native = handler(app), native_handler(app)
    assert inspect.iscoroutinefunction(native)
    assert not inspect.iscoroutinefunction(plain)
    assert "rv = await view()\n" in native.__quaff_source__
    assert "rv = view()\n" in plain.__quaff_source__
    assert "".join(linecache.getlines(native.__code__.co_filename)) == native.__quaff_source__


def test_native_routes_of_one_shape_share_their_code() -> None:
    """Async routes that are alike are compiled once, apart from those that are not async."""
    app = make_app(async_answer)
    app.add_url_rule("/other", "other", async_answer)
    assert native_handler(app).__code__ is native_handler(app, "other").__code__
    assert native_handler(app).__code__ is not handler(app).__code__


def test_a_traceback_shows_the_generated_line_of_a_coroutine() -> None:
    """An error in an async view is seen below the line of the handler that awaited it."""

    async def view() -> str:
        raise LookupError("in the view")

    app = make_app(view)
    app.testing = True
    with pytest.raises(LookupError) as raised:
        serve(app)
    text = "".join(traceback.format_exception(raised.value))
    assert text.index("rv = await view()") < text.index('raise LookupError("in the view")')


def test_a_value_that_is_refused_natively_is_left_to_a_thread() -> None:
    """What a converter refuses is answered by the reference pipeline, in a worker thread."""
    app = make_app(async_answer, "/<int(max=5):n>")
    assert serve(app, "/5") == ["200 OK", b"answer [('n', 5)]"]
    assert serve(app, "/6")[0] == "404 NOT FOUND"


def test_a_change_during_a_native_request_holds_for_it() -> None:
    """Hooks that an async view registers run for this very request."""
    seen: list[str] = []

    async def view() -> str:
        app.after_request_funcs[None].append(lambda response: (seen.append("after"), response)[1])  # type: ignore[func-returns-value]
        app.teardown_request_funcs[None].append(lambda error: seen.append("teardown"))
        return "answer"

    app = make_app(view)
    assert serve(app) == ["200 OK", b"answer"]
    assert seen == ["after", "teardown"]


@pytest.mark.parametrize("fails", [False, True])
def test_nothing_of_a_native_request_is_kept(fails: bool) -> None:
    """The exchange is free as soon as the task is over, without the garbage collector; also after an error."""

    async def view() -> str:
        g.me = request.path
        await asyncio.sleep(0)
        if fails:
            raise LookupError
        return "answer"

    app = make_app(view)
    app.register_error_handler(LookupError, async_answer_to_error)

    async def main() -> weakref.ref[Recorded]:
        exchange = Recorded(app)
        await asyncio.create_task(serve_request(exchange))
        return weakref.ref(exchange)

    gc.collect()
    gc.disable()
    try:
        reference = asyncio.run(main())
        # A worker thread lets go of its frame a moment after it woke the loop.
        until(lambda: reference() is None)
    finally:
        gc.enable()


async def async_answer_to_error(error: Exception) -> str:
    """Answer an error."""
    return "handled"
