"""The way of a request through the app's methods, each of which a subclass may override."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest
from werkzeug.exceptions import BadRequestKeyError, HTTPException, NotFound
from werkzeug.routing import RequestRedirect
from werkzeug.test import EnvironBuilder, run_wsgi_app

from quaff import Blueprint, Quaff, Response, abort, g, got_request_exception, request, session
from quaff.debughelpers import FormDataRoutingRedirect
from quaff.sessions import SecureCookieSessionInterface


@pytest.fixture(params=[True, False], ids=["compiled", "reference"])
def app(request: pytest.FixtureRequest) -> Quaff:
    """Give an app of each pipeline."""
    return Quaff(__name__, compiled=request.param)


# Methods ---------------------------------------------------------------------------------------------------------------


def test_options_are_answered(app: Quaff) -> None:
    """OPTIONS tells the methods that a path takes, of all its rules; a view that takes OPTIONS answers itself."""
    app.add_url_rule("/", "get", lambda: "", methods=["GET"])
    app.add_url_rule("/", "put", lambda: "", methods=["PUT"])
    app.add_url_rule("/own", "own", lambda: "mine", methods=["GET", "OPTIONS"])
    app.add_url_rule("/off", "off", lambda: "", provide_automatic_options=False)
    client = app.test_client()
    response = client.options("/")
    assert (response.status_code, response.data) == (200, b"")
    assert set(response.allow) == {"GET", "HEAD", "OPTIONS", "PUT"}
    assert client.options("/own").text == "mine"
    assert client.options("/off").status_code == 405


def test_a_wrong_method_is_a_405(app: Quaff) -> None:
    """The answer tells the methods that are allowed."""
    app.add_url_rule("/", "index", lambda: "", methods=["POST"])
    response = app.test_client().get("/")
    assert response.status_code == 405
    assert set(response.allow) == {"OPTIONS", "POST"}


def test_options_of_a_subclass(app: Quaff) -> None:
    """`make_default_options_response` may be overridden."""

    class Own(Quaff):
        def make_default_options_response(self) -> Response:
            response = super().make_default_options_response()
            response.headers["X-Own"] = "yes"
            return response

    own = Own(__name__, compiled=app.compiled)
    own.add_url_rule("/", "index", lambda: "")
    assert own.test_client().options("/").headers["X-Own"] == "yes"


def test_a_slash_is_added_by_a_redirect(app: Quaff) -> None:
    """A rule with a slash at its end redirects from the path without it, keeping the query; not the other way round."""
    app.add_url_rule("/folder/", "folder", lambda: "")
    app.add_url_rule("/file", "file", lambda: "")
    client = app.test_client()
    response = client.get("/folder?a=b")
    assert (response.status_code, response.location) == (308, "http://localhost/folder/?a=b")
    assert client.get("/file/").status_code == 404


def test_a_redirect_that_loses_a_form(app: Quaff, monkeypatch: pytest.MonkeyPatch) -> None:
    """In debug mode a 301 or 302 of the routing, which browsers follow without the form, is explained; 308 is not one."""
    app.debug = app.testing = True
    app.add_url_rule("/folder/", "folder", lambda: "", methods=["GET", "POST"])
    client = app.test_client()
    assert client.post("/folder", data={"a": "b"}).status_code == 308
    for code in (301, 302):
        monkeypatch.setattr(RequestRedirect, "code", code)
        with pytest.raises(FormDataRoutingRedirect, match="A request was sent to 'http://localhost/folder'"):
            client.post("/folder", data={"a": "b"})
        assert client.get("/folder").status_code == code
    app.debug = False
    assert client.post("/folder", data={"a": "b"}).status_code == 302


def test_raise_routing_exception_needs_one(app: Quaff) -> None:
    """Calling it for a request that matched says so."""
    app.add_url_rule("/", "index", lambda: "")
    with app.test_request_context("/"), pytest.raises(RuntimeError, match="there is no routing error to raise"):
        app.raise_routing_exception(request)


# Errors ----------------------------------------------------------------------------------------------------------------


class Boom(Exception):
    """An error of a view."""


def failing(app: Quaff, error: type[BaseException] = Boom) -> Quaff:
    """Give *app* a view that raises."""

    def fail() -> None:
        raise error

    app.add_url_rule("/fail", "fail", fail)
    return app


@pytest.mark.parametrize(
    "config, propagates",
    [
        ({}, False),
        ({"TESTING": True}, True),
        ({"DEBUG": True}, True),
        ({"PROPAGATE_EXCEPTIONS": True}, True),
        ({"TESTING": True, "PROPAGATE_EXCEPTIONS": False}, False),
        ({"DEBUG": True, "PROPAGATE_EXCEPTIONS": False}, False),
    ],
)
def test_an_error_is_a_500_or_propagates(app: Quaff, config: dict[str, Any], propagates: bool) -> None:
    """In production an error is a 500 without details; in testing and debug mode it reaches the caller."""
    app.config.update(config)
    client = failing(app).test_client()
    if propagates:
        with pytest.raises(Boom):
            client.get("/fail")
    else:
        response = client.get("/fail")
        assert response.status_code == 500
        assert "Boom" not in response.text
        assert "Internal Server Error" in response.text


def test_an_error_is_logged_once(app: Quaff, caplog: pytest.LogCaptureFixture) -> None:
    """The log has method, path and traceback; control characters of the path cannot forge a line."""
    failing(app)
    app.add_url_rule("/<path:rest>", "rest", lambda rest: 1 / 0)
    with caplog.at_level(logging.ERROR):
        app.test_client().get("/fail")
        app.test_client().get("/a%1Bb")
    assert [record.getMessage() for record in caplog.records] == [
        "Exception on /fail [GET]",
        "Exception on /a\\x1bb [GET]",
    ]
    assert caplog.records[0].exc_info is not None
    assert caplog.records[0].exc_info[0] is Boom


def test_base_exceptions_pass(app: Quaff) -> None:
    """What is no `Exception`, such as Ctrl-C, passes everything; teardown functions see it, the context ends."""
    seen: list[Any] = []
    app.teardown_request(seen.append)
    with pytest.raises(KeyboardInterrupt):
        failing(app, KeyboardInterrupt).test_client().get("/fail")
    assert isinstance(seen[0], KeyboardInterrupt)


@pytest.mark.parametrize(
    "method", ["handle_exception", "handle_user_exception", "handle_http_exception", "log_exception"]
)
@pytest.mark.parametrize("how", ["subclass", "instance"])
def test_error_methods_may_be_replaced(app: Quaff, method: str, how: str) -> None:
    """Extensions replace these in a subclass or on the object, before or after the first request; it counts at once."""
    calls: list[str] = []

    def replacement(*arguments: Any) -> Any:
        calls.append(method)
        return None if method == "log_exception" else app.response_class("replaced", 599)

    made = app if how == "instance" else type("Own", (Quaff,), {method: replacement})(__name__, compiled=app.compiled)
    failing(made)
    made.add_url_rule("/gone", "gone", lambda: abort(410))
    client = made.test_client()
    if how == "instance":
        client.get("/fail")
        setattr(app, method, replacement)
    path = "/gone" if method == "handle_http_exception" else "/fail"
    status = client.get(path).status_code
    assert calls == [method]
    assert status == (500 if method == "log_exception" else 599)


@pytest.mark.parametrize("config", [{"TRAP_HTTP_EXCEPTIONS": True}, {"TRAP_BAD_REQUEST_ERRORS": True}])
def test_trapped_http_errors(app: Quaff, config: dict[str, Any]) -> None:
    """A trapped HTTP error propagates like any error; it still goes to a handler of its class."""
    app.config.update(TESTING=True, **config)
    app.add_url_rule("/key", "key", lambda: request.args["missing"])
    app.add_url_rule("/bad", "bad", lambda: abort(400))
    client = app.test_client()
    for path in ("/key", "/bad"):
        with pytest.raises(HTTPException):
            client.get(path)
    if "TRAP_HTTP_EXCEPTIONS" in config:
        with pytest.raises(NotFound):
            client.get("/none")
    else:
        assert client.get("/none").status_code == 404


def test_missing_keys_in_debug_mode(app: Quaff) -> None:
    """In debug mode a missing key propagates and says which; otherwise it is a 400 that does not."""
    app.add_url_rule("/", "index", lambda: request.args["missing"])
    response = app.test_client().get("/")
    assert response.status_code == 400
    assert "missing" not in response.text
    app.debug = True
    with pytest.raises(BadRequestKeyError, match="missing"):
        app.test_client().get("/")
    app.config["TRAP_BAD_REQUEST_ERRORS"] = False
    assert "missing" in app.test_client().get("/").text


def test_should_ignore_error(app: Quaff) -> None:
    """An app may hide errors from its teardown functions."""

    class Own(Quaff):
        def should_ignore_error(self, error: BaseException | None) -> bool:
            return isinstance(error, Boom)

    own, seen = failing(Own(__name__, compiled=app.compiled)), []
    own.teardown_request(seen.append)
    own.test_client().get("/fail")
    assert seen == [None]


def test_an_error_while_finishing_an_error(app: Quaff, caplog: pytest.LogCaptureFixture) -> None:
    """An after hook that fails while a 500 is being answered is logged, and the 500 is sent."""

    @failing(app).after_request
    def broken(response: Response) -> Response:
        raise Boom("again")

    with caplog.at_level(logging.ERROR):
        assert app.test_client().get("/fail").status_code == 500
    assert "Request finalizing failed with an error while handling an error" in caplog.text


def test_the_error_is_told_before_it_propagates(app: Quaff) -> None:
    """Error trackers hear of an error also where it propagates."""
    app.testing, heard = True, []

    def receive(sender: Any, exception: Exception, **values: Any) -> None:
        heard.append(exception)

    with got_request_exception.connected_to(receive, app), pytest.raises(Boom):
        failing(app).test_client().get("/fail")
    assert isinstance(heard[0], Boom)


# The first request -----------------------------------------------------------------------------------------------------


def first_request(app: Quaff, function: Any) -> None:
    """Register *function* and check that the warning names this very line."""
    with pytest.warns(DeprecationWarning, match=r"'app.before_first_request' was removed in Flask 2.3") as caught:
        assert app.before_first_request(function) is function
    assert caught[0].filename == __file__


def test_before_first_request_runs_once(app: Quaff) -> None:
    """Functions for the first request run in order, before all hooks, within that request, and never again."""
    calls: list[str] = []
    first_request(app, lambda: calls.append(f"one {request.path}"))

    async def two() -> None:
        calls.append("two")

    first_request(app, two)
    app.before_request(lambda: calls.append("before"))
    client = app.test_client()
    client.get("/none")
    client.get("/none")
    assert calls == ["one /none", "two", "before", "before"]


def test_before_first_request_with_racing_threads(app: Quaff) -> None:
    """When many threads race, one runs the functions and the others wait for it: no view runs before."""
    calls: list[str] = []
    gate, slow = threading.Barrier(12), threading.Event()

    def function() -> None:
        slow.wait(0.05)
        calls.append("first")

    first_request(app, function)
    app.add_url_rule("/", "index", lambda: calls.append("view") or "")

    def ask() -> None:
        gate.wait()
        app.test_client().get("/")

    threads = [threading.Thread(target=ask) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert calls == ["first", *["view"] * 12]


def test_before_first_request_that_fails(app: Quaff) -> None:
    """When it raises, that request gets the 500 and the next request tries again, until it succeeds once."""
    attempts: list[int] = []

    def function() -> None:
        attempts.append(1)
        if len(attempts) < 3:
            raise Boom

    first_request(app, function)
    app.add_url_rule("/", "index", lambda: "hello")
    client = app.test_client()
    assert [client.get("/").status_code for _ in range(5)] == [500, 500, 200, 200, 200]
    assert len(attempts) == 3


def test_set_up_ends(app: Quaff) -> None:
    """The app notes its first request, also one that matches nothing."""
    assert app._got_first_request is False
    app.test_client().get("/none")
    assert app._got_first_request is True
    with pytest.raises(AssertionError, match="'before_first_request' can no longer be called on the application"):
        app.before_first_request(lambda: None)


# Overriding and replacing ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "method",
    [
        "full_dispatch_request",
        "preprocess_request",
        "dispatch_request",
        "finalize_request",
        "make_response",
        "process_response",
        "ensure_sync",
        "do_teardown_request",
        "do_teardown_appcontext",
        "create_url_adapter",
        "request_context",
        "app_context",
        "wsgi_app",
    ],
)
@pytest.mark.parametrize("how", ["subclass", "instance", "late"])
def test_each_step_may_be_overridden(app: Quaff, method: str, how: str) -> None:
    """Each step of a request is called through the app, so that an override takes part; also one that comes late."""
    calls: list[str] = []
    original = getattr(Quaff, method)

    def override(self: Quaff, *args: Any, **kwargs: Any) -> Any:
        calls.append(method)
        return original(self, *args, **kwargs)

    own = type("Own", (Quaff,), {method: override})(__name__, compiled=app.compiled) if how == "subclass" else app
    own.add_url_rule("/", "index", lambda: "hello")
    client = own.test_client()
    if how == "late":
        assert client.get("/").text == "hello"
    if how != "subclass":
        setattr(app, method, lambda *args, **kwargs: override(app, *args, **kwargs))
    assert client.get("/").text == "hello"
    assert calls
    if how != "subclass":
        delattr(app, method)
        calls.clear()
        assert client.get("/").text == "hello"
        assert calls == []


def test_middleware(app: Quaff) -> None:
    """`app.wsgi_app` may be wrapped, before and after the first request; the app stays the app."""

    class Middleware:
        def __init__(self, inner: Any) -> None:
            self.inner = inner

        def __call__(self, environ: Any, start_response: Any) -> Any:
            environ["tests.seen"] = environ.get("tests.seen", 0) + 1
            return self.inner(environ, start_response)

    app.add_url_rule("/", "index", lambda: str(request.environ.get("tests.seen")))
    client = app.test_client()
    assert client.get("/").text == "None"
    app.wsgi_app = Middleware(app.wsgi_app)  # type: ignore[method-assign]
    app.wsgi_app = Middleware(app.wsgi_app)  # type: ignore[method-assign]
    assert client.get("/").text == "2"


def test_a_request_class_of_ones_own(app: Quaff) -> None:
    """The request is of the app's class."""

    class Own(app.request_class):  # type: ignore[name-defined, misc]
        @property
        def shouted(self) -> str:
            return str(self.path).upper()

    app.request_class = Own
    app.add_url_rule("/path", "path", lambda: request.shouted)  # type: ignore[attr-defined]
    assert app.test_client().get("/path").text == "/PATH"


def test_an_interface_that_changes_nothing_is_lazy(app: Quaff) -> None:
    """Only what can be seen makes opening eager: a subclass that changes a cookie's name does not."""

    class Named(SecureCookieSessionInterface):
        def get_cookie_name(self, app: Any) -> str:
            return "named"

    app.session_interface = Named()
    assert app.opens_session_lazily()
    app.secret_key = "key"
    app.add_url_rule("/", "index", lambda: session.update(a=1) or "")
    assert app.test_client().get("/").headers["Set-Cookie"].startswith("named=")


# Async -----------------------------------------------------------------------------------------------------------------


def test_async_views_share_one_loop(app: Quaff) -> None:
    """All async functions of a process run on one loop, so that what one starts another may use."""
    loops: list[Any] = []

    @app.get("/")
    async def index() -> str:
        loops.append(asyncio.get_running_loop())
        await asyncio.sleep(0)
        g.view = request.path
        return str(g.view)

    client = app.test_client()
    assert [client.get("/").text for _ in range(3)] == ["/"] * 3
    assert len({id(loop) for loop in loops}) == 1


def test_ensure_sync(app: Quaff) -> None:
    """A plain function is itself; an async one becomes a sync one of the same name."""

    def plain() -> str:
        return "plain"

    async def other(name: str) -> str:
        return name

    assert app.ensure_sync(plain) is plain
    assert app.ensure_sync(other)("x") == "x"
    assert app.ensure_sync(other).__name__ == "other"
    assert app.async_to_sync(other)("y") == "y"


def test_an_async_error(app: Quaff) -> None:
    """An error of an async view is handled as any other."""

    @app.get("/")
    async def index() -> None:
        await asyncio.sleep(0)
        raise Boom

    assert app.test_client().get("/").status_code == 500
    app.testing = True
    with pytest.raises(Boom):
        app.test_client().get("/")


# WSGI ------------------------------------------------------------------------------------------------------------------


def test_the_app_is_a_wsgi_app(app: Quaff) -> None:
    """Called as a server does, it gives status, headers and an iterable of bytes."""
    app.add_url_rule("/ü", "index", lambda: "hello")
    body, status, headers = run_wsgi_app(app, EnvironBuilder("/ü").get_environ())
    assert (b"".join(body), status, headers["Content-Length"]) == (b"hello", "200 OK", "5")


def test_an_environ_without_a_path(app: Quaff) -> None:
    """PEP 3333 lets a server leave out empty values: no path is the root, on the first request and later."""
    app.add_url_rule("/", "index", lambda: request.path)
    for _ in range(3):
        environ = EnvironBuilder("/").get_environ()
        del environ["PATH_INFO"], environ["QUERY_STRING"], environ["SCRIPT_NAME"]
        body, status, _headers = run_wsgi_app(app, environ)
        assert (b"".join(body), status) == (b"/", "200 OK")


def test_concurrent_requests_do_not_mix(app: Quaff) -> None:
    """Each thread has its own request, `g` and session."""
    app.secret_key = "key"
    gate, wrong = threading.Barrier(6), []

    @app.get("/<int:number>")
    def show(number: int) -> str:
        g.number = session["number"] = number
        gate.wait(5)
        return f"{number} {g.number} {session['number']} {request.path}"

    def ask(number: int) -> None:
        text = app.test_client().get(f"/{number}").text
        if text != f"{number} {number} {number} /{number}":
            wrong.append(text)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


async def on_a_loop(*given: Any) -> Any:
    """Do nothing, on a loop."""
    return given[0] if given else None


NEEDS: dict[str, tuple[Callable[[Quaff], Any], str | None]] = {
    "nothing": (lambda app: app.add_url_rule("/", "view", lambda: "sync"), None),
    "async view": (lambda app: app.add_url_rule("/", "view", on_a_loop), "the view 'view' is async"),
    "before hook": (lambda app: app.before_request(on_a_loop), "the hook 'on_a_loop' is async"),
    "after hook": (lambda app: app.after_request(on_a_loop), "the hook 'on_a_loop' is async"),
    "teardown": (lambda app: app.teardown_request(on_a_loop), None),
    "error handler": (lambda app: app.register_error_handler(404, on_a_loop), None),
    "websocket": (lambda app: app.websocket("/ws")(lambda: None), "'/ws' is a WebSocket"),
}


@pytest.mark.parametrize("need", NEEDS)
def test_needs_loop(need: str) -> None:
    """An app with an async view or hook says which; what is reached through the bridge is no reason."""
    app = Quaff("dispatch", static_folder=None)
    register, reason = NEEDS[need]
    register(app)
    assert app.needs_loop() == reason


def test_needs_loop_for_what_a_blueprint_has() -> None:
    """Views and hooks of blueprints count as those of the app."""
    app, part = Quaff("dispatch", static_folder=None), Blueprint("part", __name__)
    part.before_request(on_a_loop)
    app.register_blueprint(part)
    assert app.needs_loop() == "the hook 'on_a_loop' is async"


def test_a_websocket_is_the_first_reason() -> None:
    """It needs a loop, while async views only like one better; so it is the one that is named."""
    app, part = Quaff("dispatch", static_folder=None), Blueprint("part", __name__)
    app.add_url_rule("/", "view", on_a_loop)
    assert (app.first_websocket(), app.needs_loop()) == (None, "the view 'view' is async")
    part.websocket("/ws")(lambda: None)
    app.register_blueprint(part, url_prefix="/part")
    assert app.first_websocket() == app.needs_loop() == "'/part/ws' is a WebSocket"


def test_who_holds_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    """An app with WebSockets does, and any in a process that makes event streams; async views alone do not."""
    monkeypatch.delitem(sys.modules, "quaff.sse", raising=False)
    app = Quaff("dispatch", static_folder=None)
    app.add_url_rule("/", "view", on_a_loop)
    assert not app.holds_connections()
    monkeypatch.setitem(sys.modules, "quaff.sse", sys)
    assert app.holds_connections()
    monkeypatch.delitem(sys.modules, "quaff.sse")
    app.websocket("/ws")(on_a_loop)
    assert app.holds_connections()
