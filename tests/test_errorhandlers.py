"""Which error handler gets an error."""

from __future__ import annotations

from typing import Any

import pytest
from werkzeug.exceptions import (
    BadRequest,
    BadRequestKeyError,
    Conflict,
    Forbidden,
    HTTPException,
    InternalServerError,
    NotFound,
)

from quaff import Blueprint, Quaff, Response, abort, request
from quaff.errorhandlers import find_error_handler


@pytest.fixture(params=[True, False], ids=["compiled", "reference"])
def app(request: pytest.FixtureRequest) -> Quaff:
    """Give an app of each pipeline."""
    return Quaff(__name__, compiled=request.param)


class Teapot(HTTPException):
    """An HTTP error with a code that Werkzeug knows under another class."""

    code = 418
    description = "short and stout"


class Base(Exception):
    """An error of the user's own."""


class Derived(Base):
    """A more precise one."""


def raising(app: Quaff, error: Exception | type[Exception], rule: str = "/") -> None:
    """Give the app a view that raises *error*."""

    def view() -> None:
        raise error

    app.add_url_rule(rule, f"raise {rule}", view)


# Registering -----------------------------------------------------------------------------------------------------------


def test_registering_by_code_and_by_class(app: Quaff) -> None:
    """The registry is keyed by blueprint, code and class; a code stands for Werkzeug's class of it."""

    @app.errorhandler(404)
    def by_code(error: Exception) -> str:
        return "code"

    @app.errorhandler(Base)
    def by_class(error: Exception) -> str:
        return "class"

    app.register_error_handler(Teapot, by_class)
    assert app.error_handler_spec[None] == {
        404: {NotFound: by_code},
        None: {Base: by_class},
        418: {Teapot: by_class},
    }


@pytest.mark.parametrize(
    "given, error, message",
    [
        (
            999,
            ValueError,
            "'999' is not a recognized HTTP error code. Use a subclass of HTTPException with that code instead.",
        ),
        (ValueError(), TypeError, r"ValueError\(\) is an instance, not a class. Handlers can only be registered for"),
        (
            int,
            ValueError,
            "'int' is not a subclass of Exception. Handlers can only be registered for Exception classes or",
        ),
        ("404", TypeError, r"issubclass\(\) arg 1 must be a class"),
    ],
)
def test_what_cannot_be_registered(app: Quaff, given: Any, error: type[Exception], message: str) -> None:
    """Unknown codes, instances and classes that are no exceptions are refused with Flask's messages."""
    with pytest.raises(error, match=message):
        app.register_error_handler(given, lambda error: "")
    with pytest.raises(error, match=message):
        app.errorhandler(given)(lambda error: "")


def test_late_registration_is_refused(app: Quaff) -> None:
    """Handlers belong to the set-up."""
    app.test_client().get("/")
    with pytest.raises(AssertionError, match="'register_error_handler' can no longer be called"):
        app.register_error_handler(404, lambda error: "")
    with pytest.raises(AssertionError, match="'errorhandler' can no longer be called"):
        app.errorhandler(404)


@pytest.mark.parametrize(
    "given, expected",
    [
        (404, (NotFound, 404)),
        (Forbidden, (Forbidden, 403)),
        (Base, (Base, None)),
        (HTTPException, (HTTPException, None)),
    ],
)
def test_class_and_code(given: Any, expected: Any) -> None:
    """COMPAT: extensions call `_get_exc_class_and_code`, which every scaffold has."""
    assert Quaff._get_exc_class_and_code(given) == Blueprint._get_exc_class_and_code(given) == expected


# Finding ---------------------------------------------------------------------------------------------------------------


def handler(name: str) -> Any:
    """Return a handler that can be told from others."""
    return lambda error: name


def test_find_by_code_before_class_and_blueprint_before_app() -> None:
    """A handler of the code comes first, wherever it is; within that the innermost blueprint; then bases."""
    code_app, code_blueprint, class_blueprint, base_app = map(handler, "abcd")
    spec: Any = {
        None: {403: {Forbidden: code_app}, None: {Exception: base_app}},
        "p": {403: {Forbidden: code_blueprint}},
        "p.q": {None: {Forbidden: class_blueprint, HTTPException: class_blueprint}},
    }
    assert find_error_handler(spec, Forbidden, 403, ["p.q", "p"]) is code_blueprint
    assert find_error_handler(spec, Forbidden, 403, []) is code_app
    assert find_error_handler(spec, NotFound, 404, ["p.q", "p"]) is class_blueprint
    assert find_error_handler(spec, NotFound, 404, ["p"]) is base_app
    assert find_error_handler(spec, Derived, None, ["p.q", "p"]) is base_app


def test_find_nothing() -> None:
    """Without a handler for the class or its bases there is None, also for blueprints nobody knows."""
    spec: Any = {None: {None: {Derived: handler("a")}}, "p": {}}
    assert find_error_handler(spec, Base, None, ["p", "unknown"]) is None
    assert find_error_handler({}, NotFound, 404, []) is None


def test_find_the_nearest_base() -> None:
    """Of several classes that fit, the one nearest in the inheritance wins."""
    near, far = handler("near"), handler("far")
    spec: Any = {None: {None: {Base: near, Exception: far}}}
    assert find_error_handler(spec, Derived, None, []) is near
    assert find_error_handler(spec, OSError, None, []) is far


# Answering -------------------------------------------------------------------------------------------------------------


def test_a_handler_answers(app: Quaff) -> None:
    """A handler gets the exception and returns what a view may return; the request is current."""

    @app.errorhandler(Base)
    def handle(error: Base) -> Any:
        return {"error": str(error), "path": request.path}, 409

    raising(app, Derived("why"), "/here")
    response = app.test_client().get("/here")
    assert (response.status_code, response.json) == (409, {"error": "why", "path": "/here"})


def test_a_handler_by_code_keeps_no_status(app: Quaff) -> None:
    """As in Flask a handler that returns only text answers with 200."""
    app.register_error_handler(404, lambda error: "nothing here")
    response = app.test_client().get("/none")
    assert (response.status_code, response.text) == (200, "nothing here")


def test_a_handler_may_return_the_error(app: Quaff) -> None:
    """An HTTP exception is a response; a handler may pass it on, changed."""

    @app.errorhandler(HTTPException)
    def handle(error: HTTPException) -> Any:
        response = error.get_response()
        response.headers["X-Handled"] = str(error.code)
        return response

    client = app.test_client()
    raising(app, Teapot)
    assert client.get("/").headers["X-Handled"] == "418"
    assert client.get("/none").headers["X-Handled"] == "404"
    assert client.post("/").headers["X-Handled"] == "405"


def test_blueprint_handlers(app: Quaff) -> None:
    """A blueprint's handler takes the errors of its views; a nested one falls back to its parent, then the app."""
    outer, inner = Blueprint("outer", __name__, url_prefix="/outer"), Blueprint("inner", __name__, url_prefix="/inner")
    app.register_error_handler(403, lambda error: "app")
    app.register_error_handler(409, lambda error: "app")
    app.register_error_handler(400, lambda error: "app")
    outer.register_error_handler(403, lambda error: "outer")
    outer.register_error_handler(409, lambda error: "outer")
    inner.register_error_handler(403, lambda error: "inner")
    for owner in (app, outer, inner):
        owner.add_url_rule("/<int:code>", "fail", lambda code: abort(code))
    outer.register_blueprint(inner)
    app.register_blueprint(outer)
    client = app.test_client()
    found = {
        path: [client.get(f"{path}/{code}").text for code in (403, 409, 400)] for path in ("", "/outer", "/outer/inner")
    }
    assert found == {
        "": ["app", "app", "app"],
        "/outer": ["outer", "outer", "app"],
        "/outer/inner": ["inner", "outer", "app"],
    }


def test_a_routing_error_has_no_blueprint(app: Quaff) -> None:
    """A 404 below a blueprint's prefix goes to the app's handler: nothing says whose it would be."""
    blueprint = Blueprint("b", __name__, url_prefix="/b")
    blueprint.register_error_handler(404, lambda error: "blueprint")
    blueprint.app_errorhandler(405)(lambda error: "for all")
    blueprint.add_url_rule("/", "index", lambda: abort(404))
    app.register_blueprint(blueprint)
    client = app.test_client()
    assert client.get("/b/").text == "blueprint"
    assert client.get("/b/none").status_code == 404
    assert client.post("/b/").text == "for all"


def test_an_error_of_a_hook(app: Quaff) -> None:
    """Errors of before and after hooks: the first goes to the handlers, the second is a 500."""
    app.register_error_handler(Base, lambda error: "handled")
    app.add_url_rule("/", "index", lambda: "view")

    @app.before_request
    def before() -> None:
        if "before" in request.args:
            raise Base

    @app.after_request
    def after(response: Response) -> Response:
        if "after" in request.args:
            raise Base
        return response

    client = app.test_client()
    assert client.get("/?before").text == "handled"
    assert client.get("/?after").status_code == 500


def test_an_error_of_a_handler(app: Quaff) -> None:
    """A handler that raises makes a 500; the handler of the 500 sees the new error with the old as its context."""
    seen: list[Any] = []

    @app.errorhandler(Base)
    def handle(error: Base) -> None:
        raise Derived("while handling") from error

    @app.errorhandler(500)
    def last(error: InternalServerError) -> tuple[str, int]:
        seen.append(error.original_exception)
        return "sorry", 500

    raising(app, Base("first"))
    response = app.test_client().get("/")
    assert (response.status_code, response.text) == (500, "sorry")
    assert isinstance(seen[0], Derived)
    assert str(seen[0].__cause__) == "first"


def test_the_500_handler_gets_the_original(app: Quaff) -> None:
    """For an unhandled error the 500 handler gets an InternalServerError that carries it; for abort(500) there is none."""
    seen: list[Any] = []

    @app.errorhandler(500)
    def last(error: InternalServerError) -> tuple[str, int]:
        seen.append(error.original_exception)
        return "sorry", 500

    problem = ZeroDivisionError("no")
    raising(app, problem, "/bug")
    app.add_url_rule("/abort", "abort", lambda: abort(500))
    client = app.test_client()
    assert client.get("/bug").text == client.get("/abort").text == "sorry"
    assert seen == [problem, None]


def test_a_handler_of_exception_takes_http_errors_too(app: Quaff) -> None:
    """`errorhandler(Exception)` is asked for everything, HTTP errors and routing errors included."""
    app.register_error_handler(Exception, lambda error: type(error).__name__)
    raising(app, ValueError())
    client = app.test_client()
    assert client.get("/").text == "ValueError"
    assert client.get("/none").text == "NotFound"
    assert client.post("/").text == "MethodNotAllowed"


def test_redirects_and_raised_responses_are_no_errors(app: Quaff) -> None:
    """A routing redirect and an abort with a response go past all handlers."""
    app.register_error_handler(HTTPException, lambda error: "handled")
    app.add_url_rule("/folder/", "folder", lambda: "folder")
    app.add_url_rule("/ready", "ready", lambda: abort(Response("made", 299)))
    client = app.test_client()
    assert client.get("/folder").status_code == 308
    assert client.get("/folder").location == "http://localhost/folder/"
    assert (client.get("/ready").status_code, client.get("/ready").text) == (299, "made")


def test_an_http_error_with_a_response_is_handled_by_its_code(app: Quaff) -> None:
    """An HTTP exception that was given a response still goes to the handler of its code."""
    app.register_error_handler(409, lambda error: "handler")
    raising(app, Conflict(response=Response("own", 409)))
    assert app.test_client().get("/").text == "handler"


def test_missing_form_keys(app: Quaff) -> None:
    """A missing key is a 400 whose handler may be registered for 400, BadRequest or KeyError's HTTP form."""
    app.add_url_rule("/", "index", lambda: request.args["page"])
    app.register_error_handler(BadRequestKeyError, lambda error: (f"no {error.args[0]}", 400))
    response = app.test_client().get("/")
    assert (response.status_code, response.text) == (400, "no page")


def test_handlers_of_bad_request_take_missing_keys(app: Quaff) -> None:
    """A handler of the base class takes them when there is no nearer one."""
    app.add_url_rule("/", "index", lambda: request.args["page"])
    app.register_error_handler(BadRequest, lambda error: "bad")
    assert app.test_client().get("/").text == "bad"


def test_an_async_handler(app: Quaff) -> None:
    """A handler may be a coroutine function, also one for routing errors."""

    @app.errorhandler(404)
    async def handle(error: NotFound) -> tuple[str, int]:
        return "async", 404

    assert app.test_client().get("/none").text == "async"


def test_handlers_may_be_changed_directly(app: Quaff) -> None:
    """The registry is public: a handler that is put in or taken out by hand counts from the next request on."""
    client = app.test_client()
    plain = client.get("/none").text
    app.error_handler_spec[None][404][NotFound] = lambda error: "mine"
    assert client.get("/none").text == "mine"
    del app.error_handler_spec[None][404][NotFound]
    assert client.get("/none").text == plain
