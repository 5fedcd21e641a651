"""Random apps as data: which hooks, views, handlers and settings they have, and what is asked of them.

A `Program` is built twice, once for each pipeline (`building.py`), so everything in it is plain data. What hooks and views
do is chosen from `actions.py` by name.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from tests.differential.actions import ACTIONS, RESULTS, TAME_ACTIONS, TAME_RESULTS
from tests.differential.batteries import PARTS

PLACES = [None, None, "bp", "bp.inner"]
"""The app, a blueprint, a blueprint in the blueprint."""

PREFIXES = {None: "", "bp": "/bp", "bp.inner": "/bp/inner"}

HOOKS = ["preprocess", "before", "after", "teardown"]
APP_HOOKS = ["teardown appcontext", "first request", "context processor"]

SIGNALS = [
    "appcontext_popped",
    "appcontext_pushed",
    "appcontext_tearing_down",
    "got_request_exception",
    "message_flashed",
    "request_finished",
    "request_started",
    "request_tearing_down",
]

HANDLED = [
    "403",
    "404",
    "405",
    "500",
    "ValueError",
    "LookupError",
    "Exception",
    "HTTPException",
    "NotFound",
    "BadRequest",
]

OVERRIDES = [
    "app_context",
    "create_url_adapter",
    "dispatch_request",
    "do_teardown_appcontext",
    "do_teardown_request",
    "ensure_sync",
    "finalize_request",
    "full_dispatch_request",
    "handle_exception",
    "handle_http_exception",
    "handle_user_exception",
    "log_exception",
    "make_default_options_response",
    "make_response",
    "preprocess_request",
    "process_response",
    "raise_routing_exception",
    "request_context",
    "should_ignore_error",
    "trap_http_exception",
]
"""Methods that a subclass, or the app object itself, may replace."""

CUSTOM = [
    "app_ctx_globals_class with __init__",
    "json provider",
    "request_class plain",
    "request_class with __init__",
    "request_class with close",
    "response_class other mimetype",
    "response_class plain",
    "response_class with __init__",
    "response_class with get_wsgi_headers",
    "response_class with status",
    "session_interface always saves",
    "session_interface never saves",
    "session_interface of its own",
    "session_interface other serializer",
    "session_class of its own",
]

LATE = [
    "after hook",
    "all hooks replaced",
    "before hook",
    "debug on",
    "error handler",
    "handle_exception replaced",
    "hooks cleared",
    "new rule",
    "other view",
    "receiver",
    "secret key changed",
    "session interface replaced",
    "teardown hook",
    "testing on",
    "trap http exceptions",
]
"""What changes between two requests, through what Flask keeps public."""

SETTINGS: dict[str, list[Any]] = {
    "DEBUG": [True],
    "PROPAGATE_EXCEPTIONS": [True, False],
    "SECRET_KEY": [None],
    "SERVER_NAME": ["localhost", "shop.example"],
    "SESSION_COOKIE_NAME": ["other"],
    "SESSION_REFRESH_EACH_REQUEST": [False],
    "TESTING": [True],
    "TRAP_BAD_REQUEST_ERRORS": [True, False],
    "TRAP_HTTP_EXCEPTIONS": [True],
    "TRUSTED_HOSTS": [["localhost"], ["elsewhere.example"]],
}

RULES: dict[str, list[str]] = {
    "/": ["/"],
    "/static-path": ["/static-path", "/static-path/"],
    "/n/<int:n0>": ["/n/7", "/n/x", "/n/07"],
    "/s/<n0>/x": ["/s/a/x", "/s/ü/x", "/s//x"],
    "/p/<path:n0>": ["/p/a/b", "/p/a"],
    "/f/<float:n0>": ["/f/1.5", "/f/1"],
    "/m/<int(max=9):n0>": ["/m/3", "/m/12"],
    "/k/<int:class>": ["/k/1"],
    "/mixed/v<int:n0>.<n1>": ["/mixed/v1.a", "/mixed/v1"],
    "/own/<own:n0>": ["/own/abc", "/own/refused", "/own/gone", "/own/broken"],
    "/branch/": ["/branch/", "/branch"],
    "/branch/<n0>/": ["/branch/a/", "/branch/a"],
}
"""Rules -> paths that they were written for."""


@dataclass(frozen=True)
class Hook:
    """A function around requests."""

    kind: str
    place: str | None
    actions: tuple[str, ...]
    result: str | None = None
    is_async: bool = False


@dataclass(frozen=True)
class View:
    """A rule with its view."""

    rule: str
    place: str | None
    methods: tuple[str, ...]
    actions: tuple[str, ...]
    result: str
    options: tuple[tuple[str, Any], ...] = ()
    is_async: bool = False


@dataclass(frozen=True)
class Handler:
    """An error handler."""

    key: str
    place: str | None
    actions: tuple[str, ...]
    result: str
    is_async: bool = False


@dataclass(frozen=True)
class Step:
    """One request, or something that changes before the next one."""

    path: str = "/"
    method: str = "GET"
    late: str | None = None


@dataclass(frozen=True)
class Program:
    """An app and what is asked of it."""

    views: tuple[View, ...] = ()
    hooks: tuple[Hook, ...] = ()
    handlers: tuple[Handler, ...] = ()
    receivers: tuple[tuple[str, tuple[str, ...]], ...] = ()
    overrides: tuple[tuple[str, str], ...] = ()
    custom: tuple[str, ...] = ()
    batteries: tuple[str, ...] = ()
    settings: dict[str, object] = field(default_factory=dict)
    setting: str = "plain"
    """How the requests are made: plain, within an app context, within `with client:`."""
    steps: tuple[Step, ...] = (Step(),)


NOT_AT_RANDOM = {"clear after", "late after", "leak request context"}
"""Actions that `test_pipelines.py` tries where they are allowed: in a hook they change which hooks run."""


def _actions(at_most: int = 2) -> SearchStrategy[tuple[str, ...]]:
    names = sorted(ACTIONS.keys() - NOT_AT_RANDOM)
    # Most hooks of a real app do one harmless thing; a program in which everything raises says little about order.
    tame_names = st.sampled_from(sorted(TAME_ACTIONS))
    return st.lists(st.one_of(tame_names, tame_names, st.sampled_from(names)), max_size=at_most).map(tuple)


def _results() -> SearchStrategy[str]:
    return st.one_of(st.sampled_from(sorted(TAME_RESULTS)), st.sampled_from(sorted(RESULTS)))


def _hooks() -> SearchStrategy[Hook]:
    usual = st.builds(
        Hook, st.sampled_from(HOOKS), st.sampled_from(PLACES), _actions(), _maybe(_results()), _sometimes()
    )
    of_app = st.builds(Hook, st.sampled_from(APP_HOOKS), st.none(), _actions(), st.none(), _sometimes()).filter(
        _unbinds_what_it_binds
    )
    return st.one_of(usual, usual, of_app)


def _unbinds_what_it_binds(hook: Hook) -> bool:
    """Tell whether *hook* is none that leaves an app context pushed while the app context is torn down.

    That is an error in both pipelines; which teardown functions still run before it is raised may differ.
    """
    return hook.kind != "teardown appcontext" or "leak app context" not in hook.actions


def _sometimes() -> SearchStrategy[bool]:
    return st.sampled_from([False, False, True])


def _maybe(strategy: SearchStrategy[str]) -> SearchStrategy[str | None]:
    return st.one_of(st.none(), st.none(), st.none(), strategy)


@st.composite
def _views(draw: DrawFn) -> View:
    rule = draw(st.sampled_from(sorted(RULES)))
    methods = draw(st.sampled_from([("GET",), ("GET",), ("GET", "POST"), ("POST",), ("GET", "OPTIONS")]))
    options: list[tuple[str, Any]] = []
    if "<" not in rule and draw(st.integers(0, 3)) == 0:
        options.append(("defaults", draw(st.sampled_from([(("n0", 5),), (("class", 1),), (("a-b", 2),)]))))
    if draw(st.integers(0, 9)) == 0:
        options.append(
            draw(st.sampled_from([("strict_slashes", False), ("provide_automatic_options", False), ("no view", True)]))
        )
    place, actions, result = draw(st.sampled_from(PLACES)), draw(_actions(3)), draw(_results())
    return View(rule, place, methods, actions, result, tuple(options), draw(_sometimes()))


def _handlers() -> SearchStrategy[Handler]:
    return st.builds(Handler, st.sampled_from(HANDLED), st.sampled_from(PLACES), _actions(1), _results(), _sometimes())


@st.composite
def _steps(draw: DrawFn, views: tuple[View, ...]) -> Step:
    if draw(st.integers(0, 6)) == 0:
        return Step(late=draw(st.sampled_from(LATE)))
    view = draw(st.sampled_from(views))
    path = draw(st.sampled_from(RULES[view.rule]))
    if draw(st.integers(0, 9)) == 0:
        return Step(
            draw(st.sampled_from(["/nowhere", "/bp/nowhere", "", "/a\0b", "//"])),
            draw(st.sampled_from(["GET", "POST"])),
        )
    method = draw(
        st.sampled_from([view.methods[0], view.methods[0], view.methods[0], "GET", "HEAD", "OPTIONS", "POST", "DELETE"])
    )
    return Step(PREFIXES[view.place] + path, method)


@st.composite
def programs(draw: DrawFn) -> Program:
    """Draw an app with a few parts, and a few requests to it."""
    views = tuple(draw(st.lists(_views(), min_size=1, max_size=3, unique_by=lambda view: (view.rule, view.place))))
    settings = {
        name: draw(st.sampled_from(SETTINGS[name]))
        for name in draw(st.lists(st.sampled_from(sorted(SETTINGS)), max_size=2, unique=True))
    }
    few_overrides = st.lists(
        st.tuples(st.sampled_from(OVERRIDES), st.sampled_from(["class", "object"])),
        max_size=2,
        unique_by=lambda pair: pair[0],
    )
    custom = st.lists(st.sampled_from(CUSTOM), max_size=2, unique_by=lambda name: name.partition(" ")[0])
    # Whatever raises while the app context is pushed breaks the push itself, as in Flask.
    while_pushing = st.tuples(st.just("appcontext_pushed"), st.sampled_from([("where",), ("count",)]))
    later_signals = st.sampled_from([signal for signal in SIGNALS if signal != "appcontext_pushed"])
    receivers = st.lists(
        st.one_of(while_pushing, st.tuples(later_signals, _actions(1))), max_size=2, unique_by=lambda pair: pair[0]
    )
    plain = draw(st.booleans())
    return Program(
        views=views,
        hooks=tuple(draw(st.lists(_hooks(), max_size=4))),
        handlers=tuple(draw(st.lists(_handlers(), max_size=2))),
        receivers=() if plain else tuple(draw(receivers)),
        overrides=() if plain else tuple(draw(few_overrides)),
        custom=() if plain else tuple(draw(custom)),
        batteries=tuple(draw(st.lists(st.sampled_from(sorted(PARTS)), max_size=3))),
        settings=settings,
        setting=draw(st.sampled_from(["plain", "plain", "app context", "with client"])),
        steps=tuple(draw(st.lists(_steps(views), min_size=1, max_size=5))),
    )
