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
