"""The plan of a route: what can be decided before a request comes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import FrozenInstanceError
from typing import Any

import pytest

from quaff import Blueprint, Quaff, Request, Response, signals
from quaff.ctx import _AppCtxGlobals
from quaff.json.provider import DefaultJSONProvider
from quaff.pipeline.plan import Plan, make_plan
from quaff.routing.router import Route
from quaff.sessions import SecureCookieSessionInterface, SessionInterface


def named(name: str) -> Callable[..., Any]:
    """Return a function of that name that does nothing."""

    def function(*args: Any) -> None:
        return None

    function.__name__ = name
    return function


@pytest.fixture
def app() -> Quaff:
    """Give an app with a view, and one in a blueprint within a blueprint, and hooks on all three."""
    app, outer, inner = Quaff("plan", static_folder=None), Blueprint("outer", "plan"), Blueprint("inner", "plan")
    app.add_url_rule("/", "home", lambda: "home")
    inner.add_url_rule("/inner", "view", lambda: "inner")
    for scaffold in (app, outer, inner):
        for registry in ("url_value_preprocessors", "before_request_funcs", "after_request_funcs"):
            label = f"{scaffold.name} {registry.partition('_')[0]}"
            getattr(scaffold, registry)[None] += [named(f"{label} 1"), named(f"{label} 2")]
    outer.register_blueprint(inner)
    app.register_blueprint(outer)
    return app


def plan(app: Quaff, endpoint: str | None = "home", method: str = "GET") -> Plan:
    """Return the plan for an endpoint's first rule."""
    if endpoint is None:
        return make_plan(app, None, method)
    return make_plan(app, Route(app.url_map.rules_of(endpoint)[0]), method)


def names(functions: tuple[Callable[..., Any], ...]) -> list[str]:
    """Return the names of functions."""
    return [function.__name__ for function in functions]


def test_hooks_of_the_app(app: Quaff) -> None:
    """A view of the app gets the app's hooks, after hooks backwards."""
    made = plan(app)
    assert names(made.preprocessors) == ["plan url 1", "plan url 2"]
    assert names(made.before) == ["plan before 1", "plan before 2"]
    assert names(made.after) == ["plan after 2", "plan after 1"]


def test_hooks_of_blueprints(app: Quaff) -> None:
    """Before hooks run from the app inwards, after hooks from the innermost blueprint outwards."""
    made = plan(app, "outer.inner.view")
    assert names(made.preprocessors) == [f"{name} url {n}" for name in ("plan", "outer", "inner") for n in (1, 2)]
    assert names(made.before) == [f"{name} before {n}" for name in ("plan", "outer", "inner") for n in (1, 2)]
    assert names(made.after) == [f"{name} after {n}" for name in ("inner", "outer", "plan") for n in (2, 1)]


def test_hooks_of_routing_errors(app: Quaff) -> None:
    """A request that matched nothing belongs to no blueprint."""
    assert names(plan(app, None).before) == ["plan before 1", "plan before 2"]
    assert plan(app, None).view is None


def test_async_functions_are_made_sync(app: Quaff) -> None:
    """Async hooks and views are wrapped when the plan is made; preprocessors are called as they are, as in Flask."""

    async def view() -> str:
        await asyncio.sleep(0)
        return "async"

    app.view_functions["home"] = view
    app.before_request_funcs[None].append(view)
    app.url_value_preprocessors[None].append(view)  # type: ignore[arg-type]
    made = plan(app)
    assert made.view is not None
    assert (made.view(), made.before[-1]()) == ("async", "async")
    assert made.preprocessors[-1] is view


def test_automatic_options_have_no_view(app: Quaff) -> None:
    """OPTIONS is answered by the app unless the view takes it."""
    assert plan(app, method="OPTIONS").view is None
    assert plan(app, method="GET").view is app.view_functions["home"]
    app.add_url_rule("/own", "own", lambda: "own", methods=["GET", "OPTIONS"])
    assert plan(app, "own", "OPTIONS").view is app.view_functions["own"]


def test_a_missing_view_raises_when_it_is_called(app: Quaff) -> None:
    """A rule without a view function is an error of the request, which its error handlers see: not of the plan."""
    app.add_url_rule("/nobody", "nobody")
    made = plan(app, "nobody")
    assert made.view is not None
    with pytest.raises(KeyError, match="nobody"):
        made.view()


def test_a_bare_app_needs_next_to_nothing() -> None:
    """Without hooks, receivers and classes of one's own, no phase but the view has anything to do."""
    app = Quaff("plan", static_folder=None)
    app.add_url_rule("/", "home", lambda: "home")
    made = plan(app)
    assert not made.wants_response
    assert not made.may_see_arguments
    assert not made.tears_down
    assert not made.refreshes_session
    assert made.plain_json
    assert made.plain_responses


class OwnInit(Request):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)


class OwnClose(Request):
    def close(self) -> None:
        super().close()


class OwnGlobals(_AppCtxGlobals):
    def __init__(self) -> None:
        self.made = True


class OwnHeaders(Response):
    def get_wsgi_headers(self, environ: Any) -> Any:
        return super().get_wsgi_headers(environ)


class OwnProvider(DefaultJSONProvider):
    def response(self, *args: Any, **kwargs: Any) -> Any:
        return super().response(*args, **kwargs)


class OwnMethod(Quaff):
    def make_response(self, rv: Any) -> Response:
        return super().make_response(rv)


def _set(name: str, value: Any) -> Callable[[Quaff], None]:
    return lambda app: setattr(app, name, value)


LOOKS: list[tuple[str, Callable[[Quaff], Any], bool]] = [
    ("eager_request", _set("request_class", OwnInit), True),
    ("eager_request", _set("request_class", OwnClose), True),
    ("eager_request", _set("request_class", type("Plain", (Request,), {})), False),
    ("eager_request", _set("request_class", lambda environ: Request(environ)), True),
    ("eager_globals", _set("app_ctx_globals_class", OwnGlobals), True),
    ("eager_globals", _set("app_ctx_globals_class", type("Plain", (_AppCtxGlobals,), {})), False),
    ("plain_responses", _set("response_class", OwnHeaders), False),
    ("plain_responses", _set("response_class", type("Plain", (Response,), {})), True),
    ("plain_responses", _set("response_class", type("Xml", (Response,), {"default_mimetype": "text/xml"})), False),
    (
        "plain_responses",
        _set("response_class", type("No", (Response,), {"automatically_set_content_length": False})),
        False,
    ),
    ("plain_responses", _set("make_response", lambda rv: rv), False),
    ("plain_json", lambda app: setattr(app, "json", OwnProvider(app)), False),
    ("plain_json", lambda app: setattr(app.json, "response", lambda value: value), False),
    ("eager_session", _set("session_interface", SessionInterface()), True),
    (
        "eager_session",
        _set("session_interface", type("Own", (SecureCookieSessionInterface,), {"salt": "own"})()),
        False,
    ),
    (
        "eager_session",
        _set(
            "session_interface", type("Own", (SecureCookieSessionInterface,), {"should_set_cookie": lambda *a: True})()
        ),
        True,
    ),
    ("refreshes_session", _set("secret_key", "key"), True),
    ("refreshes_session", lambda app: app.config.update(SECRET_KEY="key", SESSION_REFRESH_EACH_REQUEST=False), False),
    ("tears_down", lambda app: app.teardown_request(lambda error: None), True),
    ("tears_down", lambda app: app.teardown_appcontext(lambda error: None), True),
    ("tears_down", _set("do_teardown_request", lambda error: None), True),
    ("tears_down", lambda app: app.teardown_request_funcs["other"].append(lambda error: None), False),
]


@pytest.mark.parametrize(
    "field, change, expected", LOOKS, ids=[f"{row[0]}-{number}" for number, row in enumerate(LOOKS)]
)
def test_decisions(field: str, change: Callable[[Quaff], Any], expected: bool) -> None:
    """Each decision follows from what the app uses, and a subclass that changes nothing costs nothing."""
    app = Quaff("plan", static_folder=None)
    app.add_url_rule("/", "home", lambda: "home")
    change(app)
    assert getattr(plan(app), field) is expected


@pytest.mark.parametrize(
    "signal, field",
    [
        ("appcontext_pushed", "signals_pushed"),
        ("request_started", "signals_started"),
        ("request_finished", "signals_finished"),
        ("request_tearing_down", "tears_down"),
        ("appcontext_tearing_down", "tears_down"),
        ("appcontext_popped", "tears_down"),
    ],
)
def test_receivers(signal: str, field: str) -> None:
    """A signal is sent only where somebody listens."""
    app = Quaff("plan", static_folder=None)
    app.add_url_rule("/", "home", lambda: "home")
    assert not getattr(plan(app), field)
    with getattr(signals, signal).connected_to(lambda sender, **details: None):
        assert getattr(plan(app), field)
    assert not getattr(plan(app), field)


def test_a_patched_class_counts_as_overridden(monkeypatch: pytest.MonkeyPatch) -> None:
    """Monitoring tools replace methods on the class itself; the plan of every app then says so."""
    app = Quaff("plan", static_folder=None)
    app.add_url_rule("/", "home", lambda: "home")
    original = Quaff.make_response
    monkeypatch.setattr(Quaff, "make_response", lambda self, rv: original(self, rv))
    assert not plan(app).plain_responses
    monkeypatch.undo()
    assert plan(app).plain_responses


def test_overridden_in_a_subclass() -> None:
    """A subclass's method counts, one that it leaves alone does not."""
    app = OwnMethod("plan", static_folder=None)
    assert app.overrides("make_response")
    assert not app.overrides("process_response", "handle_exception")


def test_knows_its_revision(app: Quaff) -> None:
    """A plan carries the revision that it was made for, and cannot be changed afterwards."""
    made = plan(app)
    assert made.revision == app._revision.value
    app.before_request_funcs[None].clear()
    assert made.revision != app._revision.value
    with pytest.raises(FrozenInstanceError):
        made.method = "PUT"  # type: ignore[misc]


async def on_a_loop(*given: Any) -> Any:
    """Do nothing, on a loop."""
    return given[0] if given else None


async def generating() -> Any:
    """Give one piece, on a loop."""
    yield "piece"


def native_plan(app: Quaff, endpoint: str = "home", method: str = "GET") -> Plan:
    """Return the plan for an endpoint's first rule on an event loop."""
    return make_plan(app, Route(app.url_map.rules_of(endpoint)[0]), method, native=True)


def test_a_native_plan_keeps_async_functions(app: Quaff) -> None:
    """For a coroutine, views and hooks are kept as they were registered."""
    app.view_functions["home"] = on_a_loop
    app.before_request(on_a_loop)
    app.after_request(on_a_loop)
    made = native_plan(app)
    assert made.view is on_a_loop
    assert made.before[-1] is on_a_loop
    assert made.after[0] is on_a_loop
    assert plan(app).view is not on_a_loop


@pytest.mark.parametrize("part", ["view", "generator", "before", "after", "blueprint hook"])
def test_what_belongs_on_a_loop(app: Quaff, part: str) -> None:
    """One async view or hook makes a route native; those of another route do not."""
    assert not native_plan(app).has_async
    parts: dict[str, Callable[[], Any]] = {
        "view": lambda: app.view_functions.update(home=on_a_loop),
        "generator": lambda: app.view_functions.update(home=generating),
        "before": lambda: app.before_request(on_a_loop),
        "after": lambda: app.after_request(on_a_loop),
        "blueprint hook": lambda: app.before_request_funcs["outer"].append(on_a_loop),
    }
    parts[part]()
    assert native_plan(app).has_async is (part != "blueprint hook")
    assert native_plan(app, "outer.inner.view").has_async is (part not in ("view", "generator"))


def test_what_does_not_need_a_loop(app: Quaff) -> None:
    """Handlers, teardown functions and context processors are reached through the bridge: the route stays in one thread."""
    app.register_error_handler(404, on_a_loop)
    app.teardown_request(on_a_loop)
    app.teardown_appcontext(on_a_loop)
    app.context_processor(on_a_loop)
    assert not native_plan(app).has_async


def test_automatic_options_need_no_loop(app: Quaff) -> None:
    """OPTIONS of an async view is answered without it."""
    app.view_functions["home"] = on_a_loop
    assert native_plan(app).has_async
    assert not native_plan(app, method="OPTIONS").has_async
