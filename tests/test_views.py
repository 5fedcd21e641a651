"""Views as classes."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any, ClassVar

import pytest

from quaff import Blueprint, Quaff, request
from quaff.testing import FlaskClient
from quaff.views import MethodView, View, async_view, http_method_funcs


def _add(app: Quaff, view: type[View], rule: str = "/", **options: Any) -> None:
    app.add_url_rule(rule, view_func=view.as_view("view"), **options)


class Verbs(MethodView):
    def get(self) -> str:
        return "GET"

    def post(self) -> str:
        return "POST"


def test_a_view_answers_with_its_method(app: Quaff, client: FlaskClient) -> None:
    """`dispatch_request` gets the parts of the URL and may answer several methods."""

    class Hello(View):
        methods = ["GET", "POST"]

        def dispatch_request(self, name: str) -> str:  # type: ignore[override]
            return f"{request.method} {name}"

    _add(app, Hello, "/<name>")
    assert client.get("/you").text == "GET you"
    assert client.post("/you").text == "POST you"
    assert client.put("/you").status_code == 405
    assert app.url_map._rules[-1].methods == {"GET", "HEAD", "OPTIONS", "POST"}


def test_the_view_must_be_written(app: Quaff) -> None:
    """A class without `dispatch_request` answers nothing."""
    with pytest.raises(NotImplementedError):
        View().dispatch_request()


def test_method_view_answers_what_it_defines(app: Quaff, client: FlaskClient) -> None:
    """Each method of the class answers its HTTP method; others are 405 with the right Allow."""
    _add(app, Verbs)
    assert client.get("/").text == "GET"
    assert client.post("/").text == "POST"
    refused = client.put("/")
    assert refused.status_code == 405
    assert set(refused.headers["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS", "POST"}
    assert Verbs.methods == {"GET", "POST"}


def test_all_http_methods(app: Quaff, client: FlaskClient) -> None:
    """Every method that HTTP has a function name for is dispatched."""
    assert http_method_funcs == {"get", "post", "head", "options", "delete", "put", "trace", "patch"}
    every = {name: (lambda self, name=name: name) for name in http_method_funcs}
    _add(app, type("Every", (MethodView,), every))
    for name in http_method_funcs - {"head"}:
        assert client.open("/", method=name.upper()).text == name


def test_head_falls_back_to_get(app: Quaff, client: FlaskClient) -> None:
    """HEAD is GET without the body, unless the class answers it."""

    class Page(MethodView):
        def get(self) -> Any:
            return "body", {"X-Method": request.method}

    class Own(Page):
        def head(self) -> Any:
            return "", {"X-Method": "own"}

    _add(app, Page, "/page")
    app.add_url_rule("/own", view_func=Own.as_view("own"))
    response = client.head("/page")
    assert (response.data, response.headers["X-Method"]) == (b"", "HEAD")
    assert client.head("/own").headers["X-Method"] == "own"


def test_methods_are_inherited(app: Quaff) -> None:
    """Subclasses answer what their bases answer, and from several bases the union; an own list stays."""

    class Deleting(MethodView):
        def delete(self) -> str:
            return "DELETE"

    class Both(Verbs, Deleting):
        pass

    class Limited(Verbs):
        methods = ["GET"]

    class Plain(View):
        methods = ["PATCH"]

    class Mixed(Plain, MethodView):
        def get(self) -> str:
            return ""

    class Nothing(MethodView):
        pass

    assert Both.methods == {"GET", "POST", "DELETE"}
    assert Limited.methods == ["GET"]
    assert Mixed.methods == {"GET", "PATCH"}
    assert Nothing.methods is None


def test_a_method_that_is_missing(app: Quaff, client: FlaskClient) -> None:
    """When `methods` promises what the class lacks, the error names it."""

    class Empty(MethodView):
        methods = ["GET", "PROPFIND"]

    _add(app, Empty)
    with pytest.raises(AssertionError, match="Unimplemented method 'PROPFIND'"):
        client.open("/", method="PROPFIND")


def test_the_function_carries_the_class(app: Quaff) -> None:
    """Name, documentation, module and class hang on the view function."""

    class Documented(MethodView):
        """What it does."""

        provide_automatic_options = False

    view: Any = Documented.as_view("name")
    assert (view.__name__, view.__doc__, view.__module__) == ("name", "What it does.", __name__)
    assert view.view_class is Documented
    assert view.methods is None
    assert view.provide_automatic_options is False


def test_the_class_can_be_replaced(app: Quaff, client: FlaskClient) -> None:
    """The class on the view function is asked for each request, so a test may put another in its place."""

    class Other(View):
        def dispatch_request(self) -> str:
            return "other"

    _add(app, Verbs)
    view: Any = app.view_functions["view"]
    view.view_class = Other
    assert client.get("/").text == "other"


def test_decorators_are_applied_in_order(app: Quaff, client: FlaskClient) -> None:
    """The last of the list is outermost, and each sees the view's name."""
    seen: list[str] = []

    def mark(text: str) -> Callable[[Callable[..., str]], Callable[..., str]]:
        def decorate(view: Callable[..., str]) -> Callable[..., str]:
            seen.append(view.__name__)

            @wraps(view)
            def call(**kwargs: Any) -> str:
                return view(**kwargs) + text

            return call

        return decorate

    class Decorated(View):
        decorators: ClassVar = [mark("1"), mark("2")]

        def dispatch_request(self) -> str:
            return "0"

    _add(app, Decorated)
    assert client.get("/").text == "012"
    assert seen == ["view", "view"]


@pytest.mark.parametrize("every, counts", [(True, ["1", "1"]), (False, ["1", "2"])])
def test_an_instance_for_each_request_or_for_all(
    app: Quaff, client: FlaskClient, every: bool, counts: list[str]
) -> None:
    """By default no state is carried over; `init_every_request = False` shares one instance."""

    class Counter(View):
        init_every_request = every

        def __init__(self, start: int, *, step: int) -> None:
            self.count, self.step = start, step

        def dispatch_request(self) -> str:
            self.count += self.step
            return str(self.count)

    app.add_url_rule("/", view_func=Counter.as_view("view", 0, step=1))
    assert [client.get("/").text, client.get("/").text] == counts


@pytest.mark.parametrize("provide, status", [(None, 200), (False, 405)])
def test_automatic_options_can_be_switched_off(
    app: Quaff, client: FlaskClient, provide: bool | None, status: int
) -> None:
    """`provide_automatic_options` of the class counts as it does for a function."""

    class Page(View):
        provide_automatic_options = provide

        def dispatch_request(self) -> str:
            return ""

    _add(app, Page)
    assert client.options("/").status_code == status


def test_async_methods(app: Quaff, client: FlaskClient) -> None:
    """`dispatch_request` and the methods of a MethodView may be coroutines."""

    class Later(View):
        async def dispatch_request(self) -> str:  # type: ignore[override]
            return request.path

    class Verb(MethodView):
        async def get(self) -> str:
            return request.method

        def post(self) -> str:
            return request.method

    app.add_url_rule("/later", view_func=Later.as_view("later"))
    app.add_url_rule("/verb", view_func=Verb.as_view("verb"))
    assert client.get("/later").text == "/later"
    assert client.get("/verb").text == "GET"
    assert client.post("/verb").text == "POST"


def test_in_a_blueprint(app: Quaff, client: FlaskClient) -> None:
    """Blueprints take them like any view."""
    blueprint = Blueprint("part", __name__, url_prefix="/part")
    blueprint.add_url_rule("/", view_func=Verbs.as_view("verbs"))
    app.register_blueprint(blueprint)
    assert client.get("/part/").text == "GET"


def test_a_view_needs_an_app() -> None:
    """Called outside of a request, the function says what is missing."""
    with pytest.raises(RuntimeError, match=r"Working outside of application context\."):
        Verbs.as_view("verbs")()


# On an event loop -------------------------------------------------------------------------------------------------------


class Answers(MethodView):
    """One method of each kind."""

    async def get(self) -> str:
        return "async"

    def post(self) -> str:
        return "sync"


class AsyncDispatch(View):
    """A single async answer."""

    async def dispatch_request(self) -> str:  # type: ignore[override]  # a coroutine function is fine
        return "async"


@pytest.mark.parametrize(
    "cls, method, expected",
    [
        (Answers, "GET", True),
        (Answers, "HEAD", True),
        (Answers, "POST", False),
        (Answers, "PUT", False),
        (AsyncDispatch, "GET", True),
        (AsyncDispatch, "POST", True),
    ],
)
def test_the_coroutine_behind_a_class(cls: type[View], method: str, expected: bool) -> None:
    """A method that is async is found by the HTTP method; the others stay behind the synchronous function."""
    view = cls.as_view("view")
    found = async_view(view, method)
    assert inspect.iscoroutinefunction(found) is expected
    assert (found is view) is not expected


def test_decorators_are_not_gone_around() -> None:
    """What wraps the view, inside the class or outside of it, is called; so the view stays a synchronous function."""

    def decorate(view: Any) -> Any:
        return functools.wraps(view)(lambda **values: view(**values) + "!")

    class Decorated(AsyncDispatch):
        decorators = (decorate,)

    inside, outside = Decorated.as_view("view"), decorate(AsyncDispatch.as_view("view"))
    assert async_view(inside, "GET") is inside
    assert async_view(outside, "GET") is outside


def test_functions_are_left_alone() -> None:
    """A view that is no class's is returned as it is."""
    assert async_view(len, "GET") is len
