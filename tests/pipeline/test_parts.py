"""Batteries in the pipeline: the same parts, with the same effect, in every way that a request may be served."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from typing import Any

import pytest
from werkzeug.exceptions import TooManyRequests
from werkzeug.wrappers import Response as WerkzeugResponse

from quaff import (
    Blueprint,
    Quaff,
    Response,
    after_this_request,
    g,
    redirect,
    request_started,
    session,
    websocket,
)
from quaff.pipeline.parts import (
    NO_PARTS,
    Battery,
    Part,
    PartsOfRoute,
    Target,
    find_parts,
    mark_view,
    marks_of,
    put_headers,
)
from quaff.pipeline.phases import Stage
from quaff.pipeline.results import HTML, Answer
from quaff.testing.websocket import HandshakeRefused
from quaff.views import MethodView, View


class Given(Battery):
    """A battery that gives the same parts everywhere, and notes what it was asked for."""

    def __init__(self, *parts: Part) -> None:
        self.parts = parts
        self.asked: list[Target] = []

    def parts_for(self, target: Target) -> Iterable[Part]:
        self.asked.append(target)
        return self.parts


def guard(answer: Callable[[Any], Any], stage: Stage = Stage.LIMIT, **options: Any) -> Part:
    """Return a part with a guard."""
    return Part(stage=stage, guard=answer, **options)


def write_session() -> str:
    """Answer, and change the session."""
    session["a"] = 1
    return "session"


async def asynchronous() -> str:
    """Answer on a loop."""
    return "async"


async def async_stream() -> Any:
    """Answer with a stream on a loop."""

    async def pieces() -> Any:
        yield "a"
        yield "b"

    return pieces()


VIEWS: dict[str, Callable[..., Any]] = {
    "/text": lambda: "text",
    "/json": lambda: {"a": 1},
    "/response": lambda: Response("response", headers={"X-Given": "view"}),
    "/stream": lambda: iter(["a", "b"]),
    "/session": write_session,
    "/async": asynchronous,
    "/async-stream": async_stream,
    "/redirect": lambda: redirect("/text"),
    "/error": lambda: 1 // 0,
    "/user/<int:id>": lambda id: {"id": id},
}


def make_app(**options: Any) -> Quaff:
    """Return an app with views of every kind."""
    app = Quaff("parts", static_folder=None, **options)
    app.config.update(SECRET_KEY="a key for tests", PROPAGATE_EXCEPTIONS=False)
    for rule, view in VIEWS.items():
        app.add_url_rule(rule, rule.split("/")[1], view)
    return app


PATHS = {
    "/text": 200,
    "/json": 200,
    "/response": 200,
    "/stream": 200,
    "/session": 200,
    "/async": 200,
    "/async-stream": 200,
    "/redirect": 302,
    "/error": 500,
    "/user/7": 200,
    "/missing": 404,
}


def ask_wsgi(app: Quaff, path: str, **options: Any) -> Any:
    """Send a request over WSGI."""
    return app.test_client().open(path, **options)


def ask_asgi(app: Quaff, path: str, **options: Any) -> Any:
    """Send a request over ASGI, where async views run on the loop."""
    return asyncio.run(_ask(app, path, options))


async def _ask(app: Quaff, path: str, options: dict[str, Any]) -> Any:
    return await app.test_async_client().open(path, **options)


WAYS: dict[str, tuple[dict[str, Any], Callable[..., Any]]] = {
    "compiled": ({"compiled": True}, ask_wsgi),
    "reference": ({"compiled": False}, ask_wsgi),
    "on a loop": ({"compiled": True}, ask_asgi),
}


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> tuple[Quaff, Callable[..., Any]]:
    """Give an app, and how to ask it."""
    options, ask = WAYS[request.param]
    return make_app(**options), ask


@pytest.mark.parametrize("path", PATHS)
def test_headers_come_with_every_response(way: tuple[Quaff, Callable[..., Any]], path: str) -> None:
    """Constant headers and those of the request are on every response, whatever its kind and status."""
    app, ask = way
    seen: list[int] = []

    def add(context: Any, code: int, headers: Any) -> None:
        seen.append(code)
        headers["X-Path"] = context.environ["PATH_INFO"]

    app.add_battery(Given(Part(stage=Stage.HEADERS, headers=(("X-Constant", "yes"),), add_headers=add)))
    response = ask(app, path)
    assert response.status_code == PATHS[path]
    assert response.headers.getlist("X-Constant") == ["yes"]
    assert response.headers.getlist("X-Path") == [path]
    assert seen == [PATHS[path]]


@pytest.mark.parametrize("path", PATHS)
def test_finishers_have_every_response(way: tuple[Quaff, Callable[..., Any]], path: str) -> None:
    """A finisher without `acts_on` is given a response object for every result, and what it returns is sent."""
    app, ask = way

    def finish(context: Any, response: Any) -> Any:
        response.headers["X-Code"] = str(response.status_code)
        return response

    app.add_battery(Given(Part(stage=Stage.COMPRESS, finish=finish)))
    response = ask(app, path)
    assert response.headers["X-Code"] == str(response.status_code) == str(PATHS[path])


@pytest.mark.parametrize("path", PATHS)
def test_a_guard_answers_first(way: tuple[Quaff, Callable[..., Any]], path: str) -> None:
    """What a guard returns is the result: neither hooks nor the view run; the response is finished as any other."""
    app, ask = way
    app.before_request(lambda: pytest.fail("a hook ran"))
    app.add_battery(
        Given(guard(lambda context: ("stop", 429, {"X-Stop": "1"})), Part(stage=Stage.HEADERS, headers=(("X-A", "1"),)))
    )
    response = ask(app, path)
    assert (response.status_code, response.headers["X-Stop"], response.headers["X-A"]) == (429, "1", "1")


@pytest.mark.parametrize("path", ["/text", "/json", "/async", "/missing", "/user/7"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_guard_may_have_a_finished_answer(way: tuple[Quaff, Callable[..., Any]], path: str, method: str) -> None:
    """A finished answer is sent with its status, headers and body, and with the headers of batteries."""
    app, ask = way
    answer = Answer.of("307 TEMPORARY REDIRECT", b"elsewhere", [("Content-Type", "text/plain"), ("Location", "/away")])
    codes: list[int] = []
    app.add_battery(
        Given(
            guard(lambda context: answer),
            Part(
                stage=Stage.HEADERS,
                headers=(("X-A", "1"),),
                add_headers=lambda context, code, headers: codes.append(code),
            ),
        )
    )
    for _ in range(2):
        response = ask(app, path, method=method)
        assert (response.status, response.data) == ("307 TEMPORARY REDIRECT", b"elsewhere" if method == "GET" else b"")
        assert (response.headers["Location"], response.headers["X-A"]) == ("/away", "1")
        assert response.headers["Content-Type"] == "text/plain"
        assert response.headers.getlist("Content-Length") == ["9"]
    assert codes == [307, 307]


class OwnResponse(Response):
    """A response class of the app's own."""

    default_status = 201


RESPONSE_CLASSES = {
    "a subclass": {"response_class": OwnResponse},
    "Werkzeug's": {"response_class": WerkzeugResponse},
    "make_response": {"make_response": lambda rv: rv if isinstance(rv, Response) else Response(f"made of {rv}")},
}


@pytest.mark.parametrize("name", RESPONSE_CLASSES)
@pytest.mark.parametrize("path", ["/text", "/missing"])
def test_a_finished_answer_becomes_a_response_of_the_app(
    way: tuple[Quaff, Callable[..., Any]], name: str, path: str
) -> None:
    """Where the app makes its responses itself, a finished answer is one of its class, with its own status."""
    app, ask = way
    for attribute, value in RESPONSE_CLASSES[name].items():
        setattr(app, attribute, value)
    answer = Answer.of("403 FORBIDDEN", b"no", [("Content-Type", "text/plain")])
    kinds: list[type] = []
    app.add_battery(
        Given(
            guard(lambda context: answer),
            Part(stage=Stage.HEADERS, finish=lambda context, response: kinds.append(type(response)) or response),
        )
    )
    response = ask(app, path)
    assert (response.status, response.get_data()) == ("403 FORBIDDEN", b"no")
    assert response.headers.getlist("Content-Length") == ["2"]
    assert kinds == [app.response_class]


def test_a_guard_lets_pass(way: tuple[Quaff, Callable[..., Any]]) -> None:
    """A guard that returns None changes nothing, and the view has the values of the path."""
    app, ask = way
    app.add_battery(Given(guard(lambda context: None), guard(lambda context: None, blocking=True)))
    assert ask(app, "/user/7").get_json() == {"id": 7}
    assert ask(app, "/async").get_data(as_text=True) == "async"


@pytest.mark.parametrize("path", ["/text", "/async", "/missing"])
def test_what_a_guard_raises_is_handled(way: tuple[Quaff, Callable[..., Any]], path: str) -> None:
    """An HTTP error of a guard goes to the app's error handlers."""
    app, ask = way

    def refuse(context: Any) -> None:
        raise TooManyRequests

    app.register_error_handler(429, lambda error: ("handled", 429))
    app.add_battery(Given(guard(refuse)))
    response = ask(app, path)
    assert (response.status_code, response.get_data(as_text=True)) == (429, "handled")


@pytest.mark.parametrize("path", ["/text", "/async"])
def test_the_order_is_that_of_the_stages(way: tuple[Quaff, Callable[..., Any]], path: str) -> None:
    """Whatever was added first: guards run by stage, before the hooks, and finishers by stage, after them."""
    app, ask = way
    story: list[str] = []

    def part(stage: Stage) -> Part:
        def finish(context: Any, response: Any) -> Any:
            story.append(f"finish {stage.name}")
            return response

        return Part(stage=stage, guard=lambda context: story.append(f"guard {stage.name}"), finish=finish)

    for stage in (Stage.COMPRESS, Stage.CORS, Stage.LIMIT, Stage.HTTPS):
        app.add_battery(Given(part(stage)))

    app.url_value_preprocessor(lambda endpoint, values: story.append("preprocess"))
    app.before_request(lambda: story.append("before"))

    @app.after_request
    def after(response: Response) -> Response:
        story.append("after")
        return response

    ask(app, path)
    order = ["HTTPS", "CORS", "LIMIT", "COMPRESS"]
    assert story == [
        "preprocess",
        *(f"guard {name}" for name in order),
        "before",
        "after",
        *(f"finish {name}" for name in order),
    ]


def test_a_finisher_sees_the_cookie_of_the_session(way: tuple[Quaff, Callable[..., Any]]) -> None:
    """Finishers come after the session was saved: what they see is what is sent."""
    app, ask = way
    cookies: list[Any] = []
    app.add_battery(
        Given(Part(stage=Stage.CACHE, finish=lambda context, response: cookies.append(response.headers) or response))
    )
    ask(app, "/session")
    assert "Set-Cookie" in cookies[0]


@pytest.mark.parametrize("path", ["/text", "/json", "/async"])
def test_a_finisher_is_spared_bodies_that_it_does_not_act_on(path: str) -> None:
    """With `acts_on`, a response object is made for bodies that the finisher wants, and for no others."""
    app = make_app(compiled=True)
    finished: list[bytes] = []

    def finish(context: Any, response: Any) -> Any:
        finished.append(response.get_data())
        return response

    app.add_battery(Given(Part(stage=Stage.COMPRESS, finish=finish, acts_on=lambda context, body: len(body) > 5)))
    response = ask_asgi(app, path)
    assert response.status_code == 200
    assert bool(finished) is (path == "/json")


@pytest.mark.parametrize("path", ["/text", "/response", "/missing", "/session"])
def test_vary_is_one_header(way: tuple[Quaff, Callable[..., Any]], path: str) -> None:
    """Several batteries and the session that the response varies on are named in one `Vary`, each once."""
    app, ask = way
    app.add_battery(Given(Part(stage=Stage.CORS, headers=(("Vary", "Origin"),))))
    app.add_battery(Given(Part(stage=Stage.COMPRESS, headers=(("Vary", "Accept-Encoding, Origin"),))))
    (vary,) = ask(app, path).headers.getlist("Vary")
    named = vary.split(", ")
    assert sorted(named) == sorted({"Origin", "Accept-Encoding", *(["Cookie"] if path == "/session" else [])})


def test_a_header_of_the_view_wins(way: tuple[Quaff, Callable[..., Any]]) -> None:
    """A constant header does not replace one that the view has set, in whatever case it was written."""
    app, ask = way
    app.add_battery(Given(Part(stage=Stage.HEADERS, headers=(("x-given", "battery"),))))
    assert ask(app, "/response").headers.getlist("X-Given") == ["view"]


def test_the_first_of_two_constant_headers_wins() -> None:
    """Of two batteries with the same header, that of the earlier stage is sent."""
    parts = PartsOfRoute(
        (Part(stage=Stage.CORS, headers=(("X-A", "1"),)), Part(stage=Stage.HEADERS, headers=(("x-a", "2"),)))
    )
    assert parts.headers == (("X-A", "1"),)


def test_a_battery_is_asked_once_for_each_route_and_method(way: tuple[Quaff, Callable[..., Any]]) -> None:
    """Requests of the same route ask nothing again; a change of the configuration asks anew."""
    app, ask = way
    battery = Given()
    app.add_battery(battery)
    for _ in range(3):
        ask(app, "/text")
    before = len(battery.asked)
    ask(app, "/text")
    assert len(battery.asked) == before
    assert {(target.endpoint, target.method) for target in battery.asked} == {("text", "GET")}
    app.config["X"] = 1
    ask(app, "/text")
    assert len(battery.asked) > before


def test_a_target_knows_its_route() -> None:
    """A battery is told the endpoint, the blueprints, the view, and whether the app answers OPTIONS itself."""
    app = make_app()
    inner, outer = Blueprint("inner", "x", url_prefix="/i"), Blueprint("outer", "x", url_prefix="/o")

    @inner.route("/view")
    def view() -> str:
        return ""

    outer.register_blueprint(inner)
    app.register_blueprint(outer)
    battery = Given()
    app.add_battery(battery)
    client = app.test_client()
    client.get("/o/i/view")
    client.options("/o/i/view")
    client.get("/missing")
    # Whichever pipeline asks how often: one target for each route and method.
    found = {(target.endpoint, target.method): target for target in battery.asked}
    get, options, missing = found["outer.inner.view", "GET"], found["outer.inner.view", "OPTIONS"], battery.asked[-1]
    assert (get.endpoint, get.blueprints, get.method) == ("outer.inner.view", ["outer.inner", "outer"], "GET")
    assert get.view is app.view_functions["outer.inner.view"] is options.view
    assert (get.is_automatic_options, options.is_automatic_options) == (False, True)
    assert (missing.rule, missing.endpoint, missing.blueprints, missing.view) == (None, "", [], None)


def test_one_battery_is_added_once() -> None:
    """Adding the same battery twice changes nothing; two of a kind are two."""
    app = make_app()
    first, second = Given(), Given()
    for battery in (first, first, second):
        app.add_battery(battery)
    assert list(app.batteries) == [first, second]


def test_no_batteries_no_parts() -> None:
    """An app without batteries shares one empty answer."""
    app = make_app()
    assert find_parts(app, None, "*") is NO_PARTS


def test_methods_of_clients_are_not_remembered() -> None:
    """Requests that match no rule share one entry, however many methods clients make up."""
    app = make_app(compiled=False)
    battery = Given()
    app.add_battery(battery)
    client = app.test_client()
    for number in range(20):
        client.open("/missing", method=f"M{number}")
    assert len(battery.asked) <= 2


# Marks ---------------------------------------------------------------------------------------------------------------


class Marking(Battery):
    """A battery with a decorator."""

    def __call__(self, *options: Any) -> Callable[[Any], Any]:
        return lambda view: mark_view(view, self, options)

    def parts_for(self, target: Target) -> Iterable[Part]:
        for options in target.marks(self):
            yield Part(stage=Stage.HEADERS, headers=((f"X-{options[0]}", "1"),))


def test_a_mark_needs_no_registration(way: tuple[Quaff, Callable[..., Any]]) -> None:
    """A battery that marked a view takes part there although it was not added to the app, and nowhere else."""
    app, ask = way
    mark = Marking()
    app.view_functions["text"] = mark("Marked")(app.view_functions["text"])
    assert "X-Marked" in ask(app, "/text").headers
    assert "X-Marked" not in ask(app, "/json").headers


def test_marking_returns_the_view_itself() -> None:
    """A marked function is the same function: coroutine functions stay coroutine functions."""

    async def view() -> str:
        return ""

    assert Marking()("A")(view) is view


def test_other_decorators_keep_the_mark() -> None:
    """`functools.wraps` carries marks outwards; marks set outside do not reach the wrapped function."""
    mark = Marking()

    @mark("Inner")
    def view() -> str:
        return ""

    @mark("Outer")
    @functools.wraps(view)
    def wrapper() -> str:
        return view()

    assert [options for _, options in marks_of(view, "GET")] == [("Inner",)]
    assert [options for _, options in marks_of(wrapper, "GET")] == [("Inner",), ("Outer",)]


def test_bound_methods_can_be_marked() -> None:
    """A mark on a bound method stays with that object."""

    class Controller:
        def view(self) -> str:
            return "of a method"

        async def asynchronous(self) -> str:
            return "of an async method"

    mark, first, second = Marking(), Controller(), Controller()
    app = Quaff("marks", static_folder=None)
    app.add_url_rule("/a", "a", mark("First")(first.view))
    app.add_url_rule("/b", "b", second.view)
    app.add_url_rule("/c", "c", mark("Third")(first.asynchronous))
    client = app.test_client()
    assert (client.get("/a").text, client.get("/a").headers["X-First"]) == ("of a method", "1")
    assert "X-First" not in client.get("/b").headers
    assert (client.get("/c").text, client.get("/c").headers["X-Third"]) == ("of an async method", "1")


def test_marks_on_methods_of_a_method_view() -> None:
    """A method of a `MethodView` may be marked; HEAD has the marks of GET."""
    mark = Marking()

    class Item(MethodView):
        decorators = [mark("All")]

        @mark("Get")
        def get(self) -> str:
            return ""

        def post(self) -> str:
            return ""

    class Old(View):
        @mark("Dispatch")
        def dispatch_request(self) -> str:
            return ""

    app = Quaff("marks", static_folder=None)
    app.add_url_rule("/item", view_func=Item.as_view("item"))
    app.add_url_rule("/old", view_func=Old.as_view("old"))
    client = app.test_client()
    assert {"X-All", "X-Get"} <= set(client.get("/item").headers.keys())
    assert {"X-All", "X-Get"} <= set(client.head("/item").headers.keys())
    post = client.post("/item").headers
    assert "X-All" in post
    assert "X-Get" not in post
    assert "X-Dispatch" in client.get("/old").headers


def test_a_wrapped_view_is_called_in_the_compiled_pipeline_only() -> None:
    """`wrap_view` is a shortcut: the compiled pipeline calls what it returns, the reference one the view."""

    def wrap(view: Callable[..., Any]) -> Callable[..., Any]:
        return lambda **values: f"shortcut to {view(**values)}"

    for compiled, expected in ((True, "shortcut to text"), (False, "text")):
        app = make_app(compiled=compiled)
        app.add_battery(Given(Part(stage=Stage.CACHE, wrap_view=wrap)))
        assert app.test_client().get("/text").text == expected


def answering(view: Callable[..., Any], first: bool) -> Callable[[Any], Answer | None]:
    """Answer in the place of a view, except for two paths."""
    answer = Answer.of("200 OK", b"an answer", [HTML, ("X-Answered", "1")])
    return lambda context: None if context.environ["PATH_INFO"] in {"/json", "/login"} else answer


def test_a_view_may_be_answered_in_its_place() -> None:
    """What stands before the view may have a finished answer, with its headers and those of other parts, or none."""
    app = make_app(compiled=True)
    adds = Part(stage=Stage.LIMIT, add_headers=lambda context, code, headers: headers.add("X-Code", str(code)))
    app.add_battery(Given(adds, Part(stage=Stage.CACHE, answer_view=answering, headers=(("X-Constant", "1"),))))
    client = app.test_client()
    for path in ("/text", "/user/7", "/error", "/session"):
        answer = client.get(path)
        assert answer.text == "an answer"
        assert [answer.headers[name] for name in ("X-Answered", "X-Constant", "X-Code")] == ["1", "1", "200"]
        assert answer.headers["Content-Length"] == str(len(answer.data))
    assert client.get("/json").json == {"a": 1}
    assert client.get("/missing").status_code == 404


@pytest.mark.parametrize("reason", ["an after_request function", "a finisher before it", "a response class"])
def test_no_answers_where_the_response_is_not_final(reason: str) -> None:
    """Where something else may change the response, the view is called."""
    app = make_app(compiled=True)
    if reason == "an after_request function":
        app.after_request(lambda response: response)
    elif reason == "a response class":
        app.response_class = type("Own", (Response,), {"default_status": 202})
    else:
        app.add_battery(Given(Part(stage=Stage.CORS, finish=lambda c, r: r, acts_on=lambda c, b: False)))
    app.add_battery(Given(Part(stage=Stage.CACHE, answer_view=answering)))
    assert app.test_client().get("/text").text == "text"


def test_no_answers_in_the_reference_pipeline() -> None:
    """`answer_view` is a shortcut: the reference pipeline calls the view."""
    app = make_app(compiled=False)
    app.add_battery(Given(Part(stage=Stage.CACHE, answer_view=answering)))
    assert app.test_client().get("/text").text == "text"


@pytest.mark.parametrize("before", ["a session", "a function for the response", "a guard", "a cookie to refresh"])
def test_an_answer_where_the_response_is_wanted(before: str) -> None:
    """What happened before the view counts also for an answer in its place: the session is saved, functions are called."""
    app = make_app(compiled=True)
    if before == "a guard":
        app.add_battery(Given(guard(lambda context: context.session.update(b=2))))
    elif before == "a session":
        app.before_request(lambda: session.update(b=2))
    elif before == "a function for the response":

        @app.before_request
        def change() -> None:
            after_this_request(lambda response: Response("changed", headers={"Set-Cookie": "changed"}))

    else:
        app.add_url_rule("/login", "login", lambda: session.update(b=2, _permanent=True) or "in")
    app.add_battery(Given(Part(stage=Stage.CACHE, answer_view=lambda view, first: looking(answering(view, first)))))
    client = app.test_client()
    client.get("/login")
    answer = client.get("/text")
    assert answer.text == {"a function for the response": "changed", "a cookie to refresh": "an answer"}.get(
        before, "text"
    )
    assert "Set-Cookie" in answer.headers


@pytest.mark.parametrize("way", ["nothing", "a guard", "a before_request function", "a preprocessor", "a signal"])
def test_what_answers_knows_whether_it_is_first(way: str) -> None:
    """It is told whether anything runs before the view that could want a response object."""
    app = make_app(compiled=True)
    told: set[bool] = set()
    if way == "a guard":
        app.add_battery(Given(guard(lambda context: None)))
    elif way == "a before_request function":
        app.before_request(lambda: None)
    elif way == "a preprocessor":
        app.url_value_preprocessor(lambda endpoint, values: None)
    app.add_battery(Given(Part(stage=Stage.CACHE, answer_view=lambda view, first: told.add(first))))
    with request_started.connected_to(nobody) if way == "a signal" else nullcontext():
        assert app.test_client().get("/text").text == "text"
    assert told == {way == "nothing"}


def nobody(sender: Any) -> None:
    """Receive a signal."""


def looking(answer: Callable[[Any], Answer | None]) -> Callable[[Any], Answer | None]:
    """Answer only requests whose response nobody wants by then."""
    return lambda context: answer(context) if context.after_functions is context.opened_session is None else None


@pytest.mark.parametrize("path", ["/text", "/json", "/response", "/stream", "/session", "/missing"])
def test_what_is_not_noted_is_not_finished(way: tuple[Quaff, Callable[..., Any]], path: str) -> None:
    """A part that waits for a note does nothing in requests without it, and everything in those with it."""
    app, ask = way
    wanted: list[bool] = []

    def note(context: Any) -> None:
        if wanted:
            context.note("wanted", True)

    def finish(context: Any, response: Any) -> Any:
        response.headers["X-Finished"] = "1"
        return response

    def add(context: Any, code: int, headers: Any) -> None:
        headers["X-Added"] = str(context.noted("wanted"))

    app.add_battery(Given(Part(stage=Stage.LIMIT, guard=note, finish=finish, add_headers=add, noted="wanted")))
    assert {"X-Finished", "X-Added"}.isdisjoint(dict(ask(app, path).headers))
    wanted.append(True)
    headers = ask(app, path).headers
    assert (headers["X-Finished"], headers["X-Added"]) == ("1", "True")


@pytest.mark.parametrize("path", ["/text", "/json", "/response", "/session", "/user/7"])
def test_a_body_is_finished_without_a_response(way: tuple[Quaff, Callable[..., Any]], path: str) -> None:
    """`finish_body` and `finish` do the same; the one of both that is cheaper is called."""
    app, ask = way

    def finish_body(context: Any, code: int, body: bytes, headers: Any) -> bytes:
        headers["X-Size"] = f"{code} {len(body)}"
        headers["Content-Length"] = str(2 * len(body))
        return body * 2

    def finish(context: Any, response: Any) -> Any:
        response.set_data(finish_body(context, response.status_code, response.get_data(), response.headers))
        return response

    before = ask(app, path).data
    app.add_battery(Given(Part(stage=Stage.COMPRESS, finish=finish, finish_body=finish_body)))
    answer = ask(app, path)
    assert answer.data == before * 2
    assert answer.headers["X-Size"] == f"200 {len(before)}"
    assert answer.headers["Content-Length"] == str(2 * len(before))


def test_short_bodies_are_not_looked_at() -> None:
    """Below its `min_size` neither `acts_on` nor `finish_body` is called."""
    app = make_app(compiled=True)
    asked: list[int] = []

    def acts_on(context: Any, body: bytes) -> bool:
        asked.append(len(body))
        return False

    def finish_body(context: Any, code: int, body: bytes, headers: Any) -> bytes:
        asked.append(-len(body))
        return body

    part = Part(stage=Stage.COMPRESS, finish=lambda c, r: r, acts_on=acts_on, finish_body=finish_body, min_size=5)
    app.add_battery(Given(part))
    client = app.test_client()
    assert (client.get("/text").text, asked) == ("text", [])
    assert (client.get("/json").data, asked) == (b'{"a":1}\n', [8, -8])


@pytest.mark.parametrize("path", PATHS)
def test_constant_headers_come_before_the_finishers(way: tuple[Quaff, Callable[..., Any]], path: str) -> None:
    """Finishers see the constant headers; a response of their own gets them all the same."""
    app, ask = way
    seen: list[str | None] = []

    def finish(context: Any, response: Any) -> Any:
        seen.append(response.headers.get("X-Constant"))
        return app.response_class("another", response.status_code)

    app.add_battery(Given(Part(stage=Stage.HEADERS, headers=(("X-Constant", "1"),), finish=finish)))
    answer = ask(app, path)
    assert (answer.headers["X-Constant"], set(seen)) == ("1", {"1"})


def test_what_a_battery_raises_the_request_gets(way: tuple[Quaff, Callable[..., Any]]) -> None:
    """Settings that cannot be right are an error at the first request of the route, not a battery without effect."""
    app, ask = way

    class Wrong(Battery):
        def parts_for(self, target: Target) -> Iterable[Part]:
            raise ValueError("these settings cannot be right")

    app.add_battery(Wrong())
    app.config["PROPAGATE_EXCEPTIONS"] = True
    with pytest.raises(ValueError, match="cannot be right"):
        ask(app, "/text")


def test_settings_are_checked_at_the_start() -> None:
    """A server asks all batteries about all routes before it accepts, and gets what they raise."""
    app = make_app()
    battery = Given()
    app.add_battery(battery)
    app.check_batteries()
    asked = {(target.endpoint, target.method) for target in battery.asked}
    assert {("text", "GET"), ("text", "HEAD"), ("text", "OPTIONS"), ("user", "GET"), ("", "*")} <= asked

    class Wrong(Battery):
        def parts_for(self, target: Target) -> Iterable[Part]:
            raise ValueError("these settings cannot be right")

    app.add_battery(Wrong())
    with pytest.raises(ValueError, match="cannot be right"):
        app.check_batteries()


def test_a_mark_elsewhere_counts_for_options_and_errors() -> None:
    """A preflight may be about another view, so batteries that marked any are asked about OPTIONS and unknown paths."""

    class Everywhere(Marking):
        def parts_for(self, target: Target) -> Iterable[Part]:
            yield Part(stage=Stage.CORS, headers=(("X-Asked", target.method),))

    battery = Everywhere()

    class Item(MethodView):
        @battery("One")
        def put(self) -> str:
            return ""

        def get(self) -> str:
            return ""

    app = make_app()
    app.add_url_rule("/item", view_func=Item.as_view("item"))
    client = app.test_client()
    assert client.options("/text").headers["X-Asked"] == "OPTIONS"
    assert client.get("/missing").headers["X-Asked"] == "*"
    assert "X-Asked" not in client.get("/text").headers
    assert "X-Asked" not in client.get("/item").headers
    assert client.put("/item").headers["X-Asked"] == "PUT"


def test_an_error_after_the_error_is_finished_too(way: tuple[Quaff, Callable[..., Any]]) -> None:
    """When an after_request function fails, the 500 is sent with the batteries' headers all the same."""
    app, ask = way

    @app.after_request
    def fail(response: Response) -> Response:
        raise LookupError("an after_request function failed")

    app.add_battery(Given(Part(stage=Stage.CORS, headers=(("X-A", "1"),))))
    response = ask(app, "/text")
    assert (response.status_code, response.headers.getlist("X-A")) == (500, ["1"])


def test_a_finisher_that_fails_does_not_keep_the_error(way: tuple[Quaff, Callable[..., Any]]) -> None:
    """When a finisher itself fails, the client gets the 500 that it made."""
    app, ask = way

    def fail(context: Any, response: Any) -> Any:
        raise LookupError("a finisher failed")

    app.add_battery(Given(Part(stage=Stage.CACHE, finish=fail)))
    assert ask(app, "/text").status_code == 500


@pytest.mark.parametrize("path", ["/json", "/text", "/missing"])
def test_a_body_that_is_acted_on_is_made_once(path: str) -> None:
    """What a finisher acts on is the body that was made for the direct way: JSON is not encoded a second time."""
    app = make_app(compiled=True)
    bodies: list[bytes] = []

    def finish(context: Any, response: Any) -> Any:
        bodies.append(response.get_data())
        return response

    def acts_on(context: Any, body: bytes) -> bool:
        bodies.append(body)
        return True

    app.add_battery(Given(Part(stage=Stage.COMPRESS, finish=finish, acts_on=acts_on)))
    response = app.test_client().get(path)
    assert bodies[0] is bodies[1]
    assert (response.status_code, response.data) == (PATHS[path], bodies[0])
    assert response.mimetype == ("application/json" if path == "/json" else "text/html")


# WebSockets ----------------------------------------------------------------------------------------------------------


def make_websocket_app(**options: Any) -> Quaff:
    """Return an app with an echo."""
    app = Quaff("parts", static_folder=None, **options)

    @app.websocket("/echo")
    async def echo() -> None:
        async for message in websocket:
            await websocket.send(message)

    return app


def test_a_guard_refuses_a_websocket() -> None:
    """A guard's answer refuses the handshake, with the headers of all parts."""
    app = make_websocket_app()
    battery = Given(guard(lambda context: ("no", 403)), Part(stage=Stage.HEADERS, headers=(("X-A", "1"),)))
    app.add_battery(battery)
    with pytest.raises(HandshakeRefused) as refused, app.test_websocket("/echo") as connection:
        connection.receive()
    assert refused.value.status == 403
    assert ("x-a", "1") in [(name.lower(), value) for name, value in refused.value.headers]
    assert battery.asked[-1].is_websocket


def test_a_guard_lets_a_websocket_pass() -> None:
    """A guard that returns None runs within the request's context."""
    app = make_websocket_app()

    def note(context: Any) -> None:
        g.seen = True

    app.add_battery(Given(guard(note)))
    with app.test_websocket("/echo") as connection:
        connection.send("a")
        assert connection.receive() == "a"


# Alone ---------------------------------------------------------------------------------------------------------------


def test_put_headers() -> None:
    """Constant headers are added where they are missing."""
    response = Response("", headers={"A": "1", "Vary": "Cookie"})
    put_headers(response, (("a", "2"), ("B", "2"), ("Vary", "Origin, cookie")))
    assert response.headers.getlist("A") == ["1"]
    assert response.headers["B"] == "2"
    assert response.headers["Vary"] == "Cookie, Origin"
    put_headers(response, ())
    assert response.headers["Vary"] == "Cookie, Origin"
