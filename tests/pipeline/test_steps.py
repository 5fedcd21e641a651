"""The lines of each phase: what is not used is not there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from quaff import Quaff, Response, request
from quaff.pipeline.compile import source_of
from quaff.pipeline.plan import make_plan
from quaff.pipeline.scope import Scope
from quaff.routing.router import Route
from quaff.signals import request_finished


def source(app: Quaff, endpoint: str | None = "view", method: str = "GET") -> str:
    """Return the source that is generated for an endpoint."""
    route = None if endpoint is None else Route(app.url_map.rules_of(endpoint)[0])
    return source_of(make_plan(app, route, method), Scope({}))


def make_app(rule: str = "/", **options: Any) -> Quaff:
    """Return an app with one view."""
    app = Quaff("steps", static_folder=None)
    app.add_url_rule(rule, "view", lambda **values: f"{sorted(values.items())}", **options)
    return app


def test_a_bare_route_has_no_hooks_in_it() -> None:
    """A route that uses nothing has no line for hooks, signals, teardown functions or the request."""
    text = source(make_app())
    for word in (
        "before_0",
        "after_0",
        "preprocess",
        "send(",
        "request_started",
        "open_session_first",
        "context.request",
    ):
        assert word not in text, word


USES: dict[str, tuple[Callable[[Quaff], Any], str]] = {
    "after hook": (lambda app: app.after_request(lambda response: response), "response = after_0(response)"),
    "before hook": (lambda app: app.before_request(lambda: None), "rv = before_0()"),
    "own session": (lambda app: setattr(app.session_interface, "open_session", None), "open_session_first(context"),
    "preprocessor": (
        lambda app: app.url_value_preprocessor(lambda endpoint, values: None),
        "preprocess_0(request.endpoint",
    ),
    "response class": (
        lambda app: setattr(app, "response_class", type("R", (Response,), {"default_status": 201})),
        "app.make_response(rv)",
    ),
}


@pytest.mark.parametrize("use", USES)
def test_what_is_used_has_its_line(use: str) -> None:
    """Each thing that an app uses brings its own lines, and only then."""
    app = make_app()
    app.session_interface = type(app.session_interface)()
    change, line = USES[use]
    assert line not in source(app)
    change(app)
    assert line in source(app)


def test_teardown_always_runs_where_there_is_any() -> None:
    """Without teardown functions a request ends by unbinding its context, unless it left something behind."""
    app = make_app()
    assert "reset_bound(token)" in source(app)
    app.teardown_request(lambda error: None)
    text = source(app)
    assert "reset_bound" not in text
    assert "    finally:\n        end_request(context, token, error)\n" in text


def test_hooks_stand_in_their_order() -> None:
    """Hooks are called by name one after the other; a before hook runs only if none before it answered."""
    app = make_app()
    for _ in range(3):
        app.before_request(lambda: None)
        app.after_request(lambda response: response)
    text = source(app)
    assert (
        text.index("rv = before_0()")
        < text.index("rv = before_1()")
        < text.index("rv = before_2()")
        < text.index("rv = view(")
    )
    assert text.index("after_0(response)") < text.index("after_1(response)") < text.index("after_2(response)")
    assert text.count("if rv is None:") == 3


@pytest.mark.parametrize(
    "rule, call",
    [
        ("/", "view()"),
        ("/<name>", "view(name=captured[0])"),
        ("/<int:a>/<path:b>", "view(a=int(captured[0]), b=captured[1])"),
        ("/<float:a>", "view(**values)"),
        ("/<int:class>", "view(**values)"),
    ],
)
def test_arguments(rule: str, call: str) -> None:
    """Simple values are converted in the call; the rest by their converters, up front."""
    assert f"rv = {call}\n" in source(make_app(rule))


@pytest.mark.parametrize("name", ["class", "None", "a-b", "ﬁ", "1", ""])
def test_defaults_with_odd_names(name: str) -> None:
    """A default value may have any string for a name; only names that Python takes as such are written into the call."""
    app = make_app(defaults={name: 1})
    assert "rv = view(**values)" in source(app)
    assert app.test_client().get("/").text == f"[({name!r}, 1)]"


def test_defaults_are_bound_not_written() -> None:
    """A default that has a plain name is passed as the very object that was registered."""
    given = [1, 2]
    app = Quaff("steps", static_folder=None)
    seen: list[Any] = []
    app.add_url_rule("/", "view", lambda a: (seen.append(a), "ok")[1], defaults={"a": given})  # type: ignore[func-returns-value]
    assert "view(a=default_0)" in source(app)
    app.test_client().get("/")
    assert seen[0] is given


def test_hooks_may_change_the_arguments() -> None:
    """Where something runs before the view, the view gets what the request holds by then."""
    app = make_app("/<int:n>")

    @app.before_request
    def change() -> None:
        assert request.view_args is not None
        request.view_args["n"] += 1

    assert "view(**request.view_args)" in source(app)
    assert app.test_client().get("/1").text == "[('n', 2)]"


def test_head_sends_no_body() -> None:
    """The handler for HEAD sends the headers of GET and an empty list."""
    app = make_app()
    assert "return []" in source(app, method="HEAD")
    assert "return [body]" in source(app, method="GET")
    with_hook = make_app()
    with_hook.after_request(lambda response: response)
    for each in (app, with_hook):
        head, get = each.test_client().head("/"), each.test_client().get("/")
        assert head.data == b""
        assert dict(head.headers) == dict(get.headers)


def test_options_ask_the_app() -> None:
    """Automatic OPTIONS is the app's method, which a subclass may override."""
    assert "rv = app.make_default_options_response()" in source(make_app(), method="OPTIONS")


def test_each_source_is_python() -> None:
    """Whatever the combination, the lines are well-formed."""
    for rule in ("/", "/<int:a>", "/<float:a>"):
        for use, (change, _line) in USES.items():
            app = make_app(rule)
            app.session_interface = type(app.session_interface)()
            change(app)
            for endpoint, method in (("view", "GET"), ("view", "OPTIONS"), (None, "*")):
                compile(source(app, endpoint, method), f"{use} {rule}", "exec")


def test_scope_gives_names() -> None:
    """Values get names from a prefix and their place."""
    scope = Scope({"given": 1})
    assert scope.add_all("hook", ("a", "b")) == ["hook_0", "hook_1"]
    assert scope.names == {"given": 1, "hook_0": "a", "hook_1": "b"}


def native_source(app: Quaff, endpoint: str | None = "view", method: str = "GET") -> str:
    """Return the source that is generated for an endpoint on an event loop."""
    route = None if endpoint is None else Route(app.url_map.rules_of(endpoint)[0])
    return source_of(make_plan(app, route, method, native=True), Scope({}, native=True))


async def async_hook(*given: Any) -> Any:
    """Do nothing, on a loop."""
    return given[0] if given else None


def test_a_bare_async_route_needs_no_thread() -> None:
    """On the way of a request that uses nothing stands no hand-over: those that there are wait behind conditions."""
    app = Quaff("steps", static_folder=None)
    app.add_url_rule("/", "view", async_hook)
    lines = [line for line in native_source(app).splitlines() if "run_in_thread" in line]
    named = ("handle_user_exception", "handle_exception", "finish_anew", "run_after_functions", "end_request")
    assert len(lines) == len(named)
    for name in named:
        assert sum(name in line for line in lines) == 1, name


def test_neighbours_go_to_a_thread_in_one_hand_over() -> None:
    """Sync hooks that follow each other are one call; an async one in between splits them."""
    app = make_app()
    for hook in (*[lambda: None] * 3, async_hook, *[lambda: None] * 2, async_hook):
        app.before_request(hook)
    for hook in (lambda response: response, async_hook, *[lambda response: response] * 4):
        app.after_request(hook)
    text = native_source(app)
    assert text.count("await run_in_thread(first_answer, before_") == 2
    assert text.count("rv = await before_") == 2
    assert text.count("await run_in_thread(pass_on, after_0, response)") == 1
    assert text.count("response = await after_1_0(response)") == 1
    assert text.count("response = await run_in_thread(after_2_0, response)") == 1
    order = [
        "before_0)",
        "await before_1_0()",
        "before_2)",
        "await before_3_0()",
        "view",
        "after_0",
        "after_1",
        "after_2",
    ]
    places = [text.index(part) for part in order]
    assert places == sorted(places)


def test_a_sync_view_behind_an_async_hook_is_handed_over() -> None:
    """The view does not run on the loop only because a hook does."""
    app = make_app("/<int:n>")
    app.before_request(async_hook)
    assert "rv = await run_in_thread(view, **request.view_args)" in native_source(app)


def test_an_async_generator_is_made_on_the_loop() -> None:
    """Making one runs nothing of it, so nothing is awaited and nothing handed over."""

    async def view() -> Any:
        yield "piece"

    app = Quaff("steps", static_folder=None)
    app.add_url_rule("/", "view", view)
    assert "rv = view()\n" in native_source(app)


def test_signals_and_own_sessions_are_handed_over() -> None:
    """Receivers and session interfaces of the user's own may do anything, so they run in a thread."""
    app = make_app()
    app.session_interface = type(app.session_interface)()
    app.session_interface.open_session = None  # type: ignore[assignment, method-assign]
    text = native_source(app)
    assert "await run_in_thread(open_session_first, context" in text
    assert "await run_in_thread(save_session, context, response)" in text

    def receive(sender: Any, **details: Any) -> None:
        pass

    with request_finished.connected_to(receive, app):
        assert "await run_in_thread(request_finished.send, app" in native_source(app)


def test_each_native_source_is_python() -> None:
    """Whatever the combination, the lines of a coroutine are well-formed."""
    for rule in ("/", "/<int:a>", "/<float:a>"):
        for use, (change, _line) in USES.items():
            app = make_app(rule)
            app.before_request(async_hook)
            app.session_interface = type(app.session_interface)()
            change(app)
            for endpoint, method in (("view", "GET"), ("view", "HEAD"), ("view", "OPTIONS"), (None, "*")):
                compile(native_source(app, endpoint, method), f"{use} {rule}", "exec")
