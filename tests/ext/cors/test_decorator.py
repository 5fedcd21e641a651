"""`cross_origin`: one view's own options, on functions of every kind, wherever they end up."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from inspect import iscoroutinefunction, isgeneratorfunction
from typing import Any

import pytest

from quaff import Blueprint, Quaff, make_response, request
from quaff.ext.cors import CORS, CorsOptionError, cross_origin
from quaff.ext.cors.decorator import view_behind
from quaff.pipeline.parts import marks_of
from quaff.views import MethodView, View
from tests.ext.cors.apps import ACAO, EVIL, GOOD, OTHER, WAYS, Ask, cors_headers, from_origin, make_app, preflight

Way = tuple[Quaff, Ask]


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> Way:
    """Give an app, and how to ask it."""
    options, ask = WAYS[request.param]
    return make_app(**options), ask


def functions() -> dict[str, Callable[..., Any]]:
    """Return views of every kind, not decorated yet."""

    def plain(id: int = 0) -> str:
        return f"plain {id}"

    async def asynchronous(id: int = 0) -> str:
        return f"async {id}"

    def generator(*, id: int = 0) -> Iterator[str]:
        yield f"generator {id}"

    class Callable_:
        __name__ = "callable"

        def __call__(self, id: int = 0) -> str:
            return f"callable {id}"

    class Bound:
        def method(self, id: int = 0) -> str:
            return f"bound {id}"

    return {
        "plain": plain,
        "async": asynchronous,
        "generator": generator,
        "callable": Callable_(),
        "bound": Bound().method,
        "partial": functools.partial(plain, id=3),
    }


@pytest.mark.parametrize("kind", functions())
def test_views_of_every_kind(way: Way, kind: str) -> None:
    """Functions, coroutine functions, generators and other callables: called as before, with the headers."""
    app, ask = way
    view = functions()[kind]
    app.add_url_rule("/d/<int:id>", view_func=cross_origin(origins=GOOD, max_age=5)(view), endpoint="d")
    response = ask(app, "/d/7", headers=from_origin(GOOD))
    assert response.get_data(as_text=True) == ("plain 7" if kind == "partial" else f"{kind} 7")
    assert cors_headers(response) == {ACAO: GOOD}
    assert not cors_headers(ask(app, "/d/7", headers=from_origin(EVIL)))
    assert cors_headers(ask(app, "/d/7", **preflight(GOOD)))["Access-Control-Max-Age"] == "5"
    plain_options = ask(app, "/d/7", method="OPTIONS", headers=from_origin(GOOD))
    assert (plain_options.data, cors_headers(plain_options)) == (b"", {ACAO: GOOD})


def test_the_kind_of_a_function_is_kept() -> None:
    """What asks whether a function is a coroutine function or a generator gets the same answer; name and doc stay."""
    made = functions()
    assert iscoroutinefunction(cross_origin()(made["async"]))
    assert isgeneratorfunction(cross_origin()(made["generator"]))
    assert not iscoroutinefunction(cross_origin()(made["plain"]))
    assert cross_origin()(made["plain"]).__name__ == "plain"


def test_the_function_itself_is_not_marked(way: Way) -> None:
    """The function that was decorated may be registered elsewhere, where it stays shut."""
    app, ask = way
    made = functions()
    for kind in ("plain", "async", "generator"):
        view = made[kind]
        app.add_url_rule(f"/open/{kind}", view_func=cross_origin()(view), endpoint=f"open {kind}")
        app.add_url_rule(f"/shut/{kind}", view_func=view, endpoint=f"shut {kind}")
    for kind in ("plain", "async", "generator"):
        view = made[kind]
        assert cors_headers(ask(app, f"/open/{kind}")) == {ACAO: "*"}
        assert not cors_headers(ask(app, f"/shut/{kind}"))
        assert not marks_of(view, "GET")
        assert not hasattr(view, "provide_automatic_options")


def test_above_the_route_it_does_nothing(way: Way) -> None:
    """Put above the route decorator it comes too late, as in Flask-CORS; nothing is opened by accident."""
    app, ask = way
    cross_origin()(app.get("/late")(lambda: "late"))
    assert not cors_headers(ask(app, "/late", headers=from_origin(GOOD)))


def test_the_decorator_decides_alone(way: Way) -> None:
    """What `CORS(app)` says does not count for a decorated view: neither its origins nor its other options."""
    app, ask = way
    app.add_url_rule("/d", view_func=cross_origin(origins=GOOD)(lambda: "d"), endpoint="d")
    CORS(app, origins=[OTHER], expose_headers="X-A", supports_credentials=True)
    assert cors_headers(ask(app, "/d", headers=from_origin(GOOD))) == {ACAO: GOOD}
    assert not cors_headers(ask(app, "/d", headers=from_origin(OTHER)))
    assert not cors_headers(ask(app, "/d", **preflight(OTHER)))
    assert cors_headers(ask(app, "/d", **preflight(GOOD)))[ACAO] == GOOD
    assert ACAO in cors_headers(ask(app, "/text", headers=from_origin(OTHER)))


def test_the_innermost_of_two_counts(way: Way) -> None:
    """Of two decorators, the one next to the function decides."""
    app, ask = way
    view = cross_origin(origins=EVIL)(cross_origin(origins=GOOD)(lambda: "d"))
    app.add_url_rule("/d", view_func=view, endpoint="d")
    assert cors_headers(ask(app, "/d", headers=from_origin(GOOD))) == {ACAO: GOOD}
    assert not cors_headers(ask(app, "/d", headers=from_origin(EVIL)))


def test_the_configuration_fills_in(way: Way) -> None:
    """`CORS_*` holds for what the decorator leaves open, also when it changes later; the decorator wins over it."""
    app, ask = way
    app.add_url_rule("/d", view_func=cross_origin(expose_headers="X-A")(lambda: "d"), endpoint="d")
    app.config.update(CORS_ORIGINS=GOOD, CORS_EXPOSE_HEADERS="X-B")
    expected = {ACAO: GOOD, "Access-Control-Expose-Headers": "X-A"}
    assert cors_headers(ask(app, "/d", headers=from_origin(GOOD))) == expected
    app.config["CORS_ORIGINS"] = OTHER
    assert not cors_headers(ask(app, "/d", headers=from_origin(GOOD)))
    assert cors_headers(ask(app, "/d", headers=from_origin(OTHER)))[ACAO] == OTHER


@pytest.mark.parametrize("by", ["argument", "configuration"])
def test_automatic_options_off(way: Way, by: str) -> None:
    """The view answers OPTIONS itself, with the headers; without that the app answers, and CORS has no part in it."""
    app, ask = way
    argument: dict[str, Any] = {"automatic_options": False} if by == "argument" else {}
    if by == "configuration":
        app.config["CORS_AUTOMATIC_OPTIONS"] = False
    decorate = cross_origin(origins=GOOD, **argument)
    app.add_url_rule(
        "/own", view_func=decorate(lambda: f"own {request.method}"), endpoint="own", methods=["GET", "OPTIONS"]
    )
    app.add_url_rule("/app", view_func=decorate(lambda: "app"), endpoint="app")
    response = ask(app, "/own", **preflight(GOOD))
    assert (response.data, cors_headers(response)[ACAO]) == (b"own OPTIONS", GOOD)
    if by == "argument":
        assert not cors_headers(ask(app, "/app", **preflight(GOOD)))
    assert cors_headers(ask(app, "/app", headers=from_origin(GOOD))) == {ACAO: GOOD}


def test_options_are_answered_without_the_view(way: Way) -> None:
    """A view that lists OPTIONS among its methods is not called for it, hooks are, and the answer has `Allow`."""
    app, ask = way
    calls: list[str] = []

    def view() -> str:
        calls.append(request.method)
        return "view"

    app.add_url_rule("/d", view_func=cross_origin()(view), endpoint="d", methods=["GET", "OPTIONS"])
    response = ask(app, "/d", method="OPTIONS", headers=from_origin(GOOD))
    assert set(response.headers["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS"}
    assert cors_headers(response) == {ACAO: GOOD}
    assert ask(app, "/d", **preflight(GOOD)).status_code == 200
    assert calls == []


def test_class_based_views(way: Way) -> None:
    """The decorator goes into `decorators`, for the whole class; async methods stay native."""
    app, ask = way

    class Both(MethodView):
        decorators = [cross_origin(origins=GOOD)]

        def get(self) -> str:
            return "get"

        async def post(self) -> str:
            return "post"

    class One(View):
        decorators = [cross_origin(origins=GOOD)]

        def dispatch_request(self) -> str:
            return "one"

    class Untouched(MethodView):
        def get(self) -> str:
            return "untouched"

    for each in (Both, One, Untouched):
        app.add_url_rule(f"/{each.__name__}", view_func=each.as_view(each.__name__))
    for path, method in (("/Both", "GET"), ("/Both", "POST"), ("/One", "GET")):
        assert cors_headers(ask(app, path, method=method, headers=from_origin(GOOD))) == {ACAO: GOOD}
        assert not cors_headers(ask(app, path, method=method, headers=from_origin(EVIL)))
        assert cors_headers(ask(app, path, **preflight(GOOD, method)))["Access-Control-Allow-Methods"]
    assert not cors_headers(ask(app, "/Untouched", headers=from_origin(GOOD)))


def test_methods_of_a_class(way: Way) -> None:
    """On one method, the decorator is for that alone; it may be async."""
    app, ask = way

    class Item(MethodView):
        @cross_origin(origins=GOOD)
        async def get(self) -> str:
            return "get"

        def post(self) -> str:
            return "post"

    app.add_url_rule("/item", view_func=Item.as_view("item"))
    response = ask(app, "/item", headers=from_origin(GOOD))
    assert (response.data, cors_headers(response)) == (b"get", {ACAO: GOOD})
    assert not cors_headers(ask(app, "/item", method="POST", headers=from_origin(GOOD)))


def test_under_other_decorators(way: Way) -> None:
    """Decorators around it keep it, those that use `functools.wraps` and those that do not."""
    app, ask = way

    def with_wraps(view: Any) -> Any:
        @functools.wraps(view)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            return view(*args, **kwargs)

        return wrapper

    def without_wraps(view: Any) -> Any:
        return lambda *args, **kwargs: view(*args, **kwargs)

    for name, other in (("with", with_wraps), ("without", without_wraps)):
        app.add_url_rule(f"/{name}", view_func=other(cross_origin(origins=GOOD)(lambda: "d")), endpoint=name)
    for name in ("with", "without"):
        assert cors_headers(ask(app, f"/{name}", headers=from_origin(GOOD))) == {ACAO: GOOD}
        assert not cors_headers(ask(app, f"/{name}", headers=from_origin(EVIL)))
        assert ask(app, f"/{name}", headers=from_origin(EVIL)).headers["Vary"] == "Origin"


def test_error_handlers(way: Way) -> None:
    """A decorated error handler gives its headers to the error page, and those of `CORS(app)` do not come on top."""
    app, ask = way

    @app.errorhandler(404)
    @cross_origin(origins=[GOOD, OTHER])
    def missing(error: Exception) -> tuple[str, int]:
        return "gone", 404

    @app.errorhandler(ZeroDivisionError)
    @cross_origin(origins=GOOD)
    async def broken(error: Exception) -> tuple[str, int]:
        return "broken", 500

    CORS(app, origins=[EVIL, OTHER], expose_headers="X-A")
    for path, status in (("/missing", 404), ("/error", 500), ("/async-error", 500)):
        response = ask(app, path, headers=from_origin(GOOD))
        assert (response.status_code, cors_headers(response)) == (status, {ACAO: GOOD})
        assert not cors_headers(ask(app, path, headers=from_origin(EVIL)))


def test_called_by_a_view(way: Way) -> None:
    """A function that a view calls gives its headers to the view's response, and answers OPTIONS there."""
    app, ask = way

    @cross_origin(origins=GOOD)
    def inner() -> Any:
        return make_response("inner", 202)

    app.add_url_rule("/outer", view_func=lambda: inner(), endpoint="outer", methods=["GET", "OPTIONS"])
    response = ask(app, "/outer", headers=from_origin(GOOD))
    assert (response.status_code, cors_headers(response)) == (202, {ACAO: GOOD})
    assert cors_headers(ask(app, "/outer", **preflight(GOOD)))["Access-Control-Allow-Methods"]


def test_called_without_a_request() -> None:
    """Outside of a request, in a test of the function alone, it is the function."""
    assert cross_origin()(lambda number: number + 1)(1) == 2


def test_in_a_blueprint(way: Way) -> None:
    """It works on the views of a blueprint, which is registered twice."""
    app, ask = way
    blueprint = Blueprint("b", "b")
    blueprint.add_url_rule("/d", view_func=cross_origin(origins=GOOD)(lambda: "d"), endpoint="d")
    app.register_blueprint(blueprint, url_prefix="/one")
    app.register_blueprint(blueprint, url_prefix="/two", name="two")
    for path in ("/one/d", "/two/d"):
        assert cors_headers(ask(app, path, headers=from_origin(GOOD))) == {ACAO: GOOD}
        assert cors_headers(ask(app, path, **preflight(GOOD)))[ACAO] == GOOD


def test_wrong_options_are_errors_at_once() -> None:
    """A value that cannot be right fails where the decorator stands."""
    with pytest.raises(CorsOptionError, match="max_age is 'soon'"):
        cross_origin(max_age="soon")


@pytest.mark.parametrize("compiled", [True, False])
def test_open_origins_with_credentials(compiled: bool) -> None:
    """W18: a view with credentials for everybody is refused, unless the configuration names the origins, or `COMPAT` it."""
    app = make_app(compiled=compiled)
    app.config["PROPAGATE_EXCEPTIONS"] = True
    app.add_url_rule("/d", view_func=cross_origin(supports_credentials=True)(lambda: "d"), endpoint="d")
    client = app.test_client()
    with pytest.raises(CorsOptionError, match="cross_origin: supports_credentials with origins that anybody may have"):
        client.get("/d")
    app.config["COMPAT"] = ("cors-any-with-credentials",)
    answer = {ACAO: EVIL, "Access-Control-Allow-Credentials": "true"}
    assert cors_headers(client.get("/d", headers=from_origin(EVIL))) == answer
    app.config.update(COMPAT=(), CORS_ORIGINS=GOOD)
    assert not cors_headers(client.get("/d", headers=from_origin(EVIL)))


def test_the_view_behind() -> None:
    """The pipeline finds the function through any number of decorators, and is not fooled by a copy of their attributes."""

    def view() -> str:
        return "view"

    decorated = cross_origin()(cross_origin()(view))
    assert view_behind(decorated) is view
    assert view_behind(view) is view

    @functools.wraps(decorated)
    def around() -> str:
        return "around"

    assert view_behind(around) is around
