"""The compiled pipeline and the reference pipeline are never told apart, whatever the app and whatever is asked of it.

Compared is all that anybody can observe: status, headers, body, what is raised to the server, the order of hooks, handlers
and signals with the contexts that each of them finds, `g`, flashes, log messages, cookies, and what is left behind.
"""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given

from tests.differential.actions import ACTIONS, RESULTS
from tests.differential.building import run
from tests.differential.profiles import examples
from tests.differential.programs import (
    CUSTOM,
    HANDLED,
    LATE,
    OVERRIDES,
    SETTINGS,
    SIGNALS,
    Handler,
    Hook,
    Program,
    Step,
    View,
    programs,
)


def compare(program: Program) -> list[Any]:
    """Run *program* both ways, demand the same story, and return it."""
    with warnings.catch_warnings():
        # What warns is not compared, and Werkzeug warns about a host that is not SERVER_NAME.
        warnings.simplefilter("ignore")
        reference = run(program, compiled=False)
        compiled = run(program, compiled=True)
    for expected, actual in zip(reference, compiled, strict=True):
        assert actual == expected
    return reference


@examples(150)
@given(program=programs())
def test_random_programs(program: Program) -> None:
    """Both pipelines tell the same story of a random app."""
    compare(program)


def _over_asgi(story: list[Any]) -> list[Any]:
    """Return a story as it is told over ASGI: without reason phrases, the case of header names, and what stays behind."""
    told = []
    for entry in story:
        if isinstance(entry, list) and len(entry) == 4:
            step, seen, events, _left_behind = entry
            if seen[0] != "raised":
                seen = [seen[0][:3], sorted((name.lower(), value) for name, value in seen[1]), seen[2]]
            told.append([step, seen, events])
        else:
            told.append(entry)
    return told


def compare_on_a_loop(program: Program) -> None:
    """Run *program* in the reference pipeline under WSGI and on an event loop, and demand the same story."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        reference = run(program, compiled=False)
        native = run(program, compiled=True, native=True)
    for expected, actual in zip(_over_asgi(reference), _over_asgi(native), strict=True):
        assert actual == expected


@examples(150)
@given(program=programs())
def test_random_programs_on_a_loop(program: Program) -> None:
    """A coroutine on a server's loop tells the story that the reference pipeline tells under WSGI."""
    compare_on_a_loop(replace(program, setting="plain"))


CHANGES_WHAT_RUNS = {("after", "late after"), ("after", "clear after")}
"""A hook that changes the very list of hooks being run. The compiled pipeline goes by the list as the phase began."""

LEAKS = "leak request context"
"""A pushed request that is left there has its hooks run by the reference pipeline, and is an AssertionError in both."""

REQUESTS = (
    Step("/"),
    Step("/n/7"),
    Step("/"),
    Step("/", "HEAD"),
    Step("/", "OPTIONS"),
    Step("/", "POST"),
    Step("/nowhere"),
    Step("/n/7"),
)
"""Something of everything: static and dynamic path, all methods, 404."""


def app(**parts: Any) -> Program:
    """Return a program with two views that use the session and a hook of each kind, and with what is given."""
    places = (None, "bp", "bp.inner")
    hooks = tuple(
        Hook(kind, place, ("where",)) for kind in ("preprocess", "before", "after", "teardown") for place in places
    )
    actions = parts.pop("actions", ("count",))
    result = parts.pop("result", "str")
    views = tuple(View(rule, place, ("GET",), actions, result) for rule in ("/", "/n/<int:n0>") for place in places)
    steps = parts.pop("steps", (*REQUESTS, Step("/bp/"), Step("/bp/inner/n/7"), Step("/bp/inner/n/x")))
    return Program(**{"views": views, "hooks": hooks, "steps": steps, **parts})


def mixed(program: Program, mix: str) -> Program:
    """Make views, hooks and handlers of *program* async as *mix* says."""
    return replace(
        program,
        views=tuple(replace(view, is_async="view" in mix) for view in program.views),
        hooks=tuple(
            replace(hook, is_async="all" in mix or ("odd" in mix and n % 2 == 1))
            for n, hook in enumerate(program.hooks)
        ),
        handlers=tuple(replace(handler, is_async="all" in mix) for handler in program.handlers),
    )


each_mix = pytest.mark.parametrize("mix", ["odd hooks", "view and all hooks"])


@each_mix
@pytest.mark.parametrize("result", sorted(RESULTS))
def test_each_result_on_a_loop(result: str, mix: str) -> None:
    """Whatever a view or a hook returns becomes the same answer when it comes out of a coroutine."""
    for parts in ({}, {"hooks": (Hook("before", None, ("count",), result), Hook("after", None, (), result))}):
        program = mixed(app(result=result, **parts), mix)
        compare(program)
        compare_on_a_loop(program)


@each_mix
@pytest.mark.parametrize("action", sorted(ACTIONS))
def test_each_action_on_a_loop(action: str, mix: str) -> None:
    """Whatever views, hooks and handlers do has the same effect in a coroutine."""
    if action == LEAKS:
        pytest.skip("it is an error, and which hooks run until it is raised may differ")
    handlers = tuple(Handler(key, None, ("look",), "tuple with status") for key in ("403", "404", "ValueError"))
    for parts in (
        {"handlers": handlers},
        {"settings": {"TESTING": True}},
        {"hooks": (Hook("teardown", None, (action,)),)},
    ):
        program = mixed(app(actions=(action, "where"), **parts), mix)
        compare(program)
        compare_on_a_loop(program)


@pytest.mark.parametrize("hooks", ["with hooks", "without"])
@pytest.mark.parametrize("setting", ["plain", "app context", "with client"])
@pytest.mark.parametrize("result", sorted(RESULTS))
def test_each_result(result: str, setting: str, hooks: str) -> None:
    """Whatever a view returns becomes the same answer."""
    story = compare(app(result=result, setting=setting, **({"hooks": ()} if hooks == "without" else {})))
    assert story[0][1][0]


@pytest.mark.parametrize("hooks", ["with hooks", "without"])
@pytest.mark.parametrize("action", sorted(ACTIONS))
def test_each_action_in_the_view(action: str, hooks: str) -> None:
    """Whatever a view does has the same effect."""
    if action == LEAKS and hooks == "with hooks":
        pytest.skip("it is an error, and which hooks run until it is raised may differ")
    compare(app(actions=(action, "where"), **({"hooks": ()} if hooks == "without" else {})))


@pytest.mark.parametrize("kind", ["preprocess", "before", "after", "teardown", "teardown appcontext", "first request"])
@pytest.mark.parametrize("action", sorted(ACTIONS))
def test_each_action_in_each_hook(action: str, kind: str) -> None:
    """Whatever a hook does has the same effect, alone or with others before and behind it."""
    if action == LEAKS or (kind, action) in CHANGES_WHAT_RUNS:
        pytest.skip("the one known difference, explained above")
    places = [None, "bp"] if kind in ("preprocess", "before", "after", "teardown") else [None]
    hooks = tuple(
        Hook(kind, place, actions) for place in places for actions in (("look",), (action, "where"), ("count",))
    )
    compare(app(hooks=hooks, actions=("look", "read session")))


@pytest.mark.parametrize("place", [None, "bp"])
@pytest.mark.parametrize("kind", ["before", "after"])
@pytest.mark.parametrize("result", sorted(RESULTS))
def test_each_result_of_a_hook(result: str, kind: str, place: str | None) -> None:
    """A before hook that answers and an after hook that replaces the response do so alike."""
    compare(
        app(hooks=(Hook("before", None, ("count",)), Hook(kind, place, ("where",), result), Hook("after", None, ())))
    )


@pytest.mark.parametrize("key", HANDLED)
@pytest.mark.parametrize(
    "action",
    ["abort 403", "abort 404", "abort 500", "missing key", "raise KeyError", "raise Teapot", "raise ValueError"],
)
def test_each_error_handler(key: str, action: str) -> None:
    """An error finds the same handler: by code or class, on the app or a blueprint."""
    handlers = tuple(Handler(key, place, ("look",), "tuple with status") for place in (None, "bp.inner"))
    compare(app(handlers=handlers, actions=(action,)))
    compare(app(handlers=handlers[1:], actions=(action,), settings={"TESTING": True}))


@pytest.mark.parametrize("action", ["where", "look", "count", "write session", "raise ValueError", "after this"])
@pytest.mark.parametrize("signal", SIGNALS)
def test_each_signal(signal: str, action: str) -> None:
    """A signal is sent at the same moment, with the same contexts bound; what its receiver does has the same effect."""
    if signal == "appcontext_pushed" and action not in ("where", "count"):
        pytest.skip("an error or a request use while the app context is pushed breaks the push itself, as in Flask")
    compare(app(receivers=((signal, ("where", action)),), actions=("flash", "raise KeyError")))
    compare(app(receivers=((signal, (action,)),), hooks=(), setting="app context"))


@pytest.mark.parametrize("where", ["class", "object"])
@pytest.mark.parametrize("method", OVERRIDES)
def test_each_override(method: str, where: str) -> None:
    """A method of the app's that is replaced is called as often and at the same moments."""
    compare(app(overrides=((method, where),)))
    compare(app(overrides=((method, where),), hooks=()))
    compare(app(overrides=((method, where),), hooks=(), actions=("raise ValueError",)))


@pytest.mark.parametrize("custom", CUSTOM)
def test_each_custom_class(custom: str) -> None:
    """Classes of the user's own are made, asked and closed at the same moments."""
    for actions in ((), ("look",), ("write session",), ("read session", "count"), ("permanent session",)):
        compare(app(custom=(custom,), actions=actions))
        compare(app(custom=(custom,), actions=actions, hooks=(), result="dict"))


@pytest.mark.parametrize("late", LATE)
def test_each_late_change(late: str) -> None:
    """What changes between two requests holds from the second one on."""
    compare(app(steps=(*REQUESTS, Step(late=late), *REQUESTS), actions=("write session",)))
    compare(app(steps=(*REQUESTS, Step(late=late), *REQUESTS), hooks=(), actions=()))


@pytest.mark.parametrize("name, value", [(name, value) for name, values in SETTINGS.items() for value in values])
def test_each_setting(name: str, value: object) -> None:
    """A configuration value has the same effect."""
    for actions in (
        (),
        ("write session", "permanent session"),
        ("missing key",),
        ("abort 404",),
        ("raise ValueError",),
    ):
        compare(app(settings={name: value}, actions=actions))


RULES: dict[str, tuple[View, tuple[str, ...]]] = {
    "own converter": (
        View("/own/<own:n0>", "bp", ("GET",), ("look",), "str"),
        ("/own/a", "/own/refused", "/own/gone", "/own/broken"),
    ),
    "keyword": (View("/k/<int:class>", "bp", ("GET",), ("look",), "str"), ("/k/1", "/k/x")),
    "keyword default": (View("/k", "bp", ("GET",), (), "str", (("defaults", (("class", 1),)),)), ("/k",)),
    "default that is no name": (View("/k", "bp", ("GET",), (), "str", (("defaults", (("a-b", 1),)),)), ("/k",)),
    "default": (View("/k", "bp", ("GET",), ("look",), "str", (("defaults", (("n0", 1),)),)), ("/k",)),
    "branch": (View("/branch/", "bp", ("GET",), (), "str"), ("/branch", "/branch/", "//branch/")),
    "no view": (View("/x", "bp", ("GET",), (), "str", (("no view", True),)), ("/x",)),
    "own OPTIONS": (View("/x", "bp", ("GET", "OPTIONS"), ("look",), "str"), ("/x",)),
    "no OPTIONS": (View("/x", "bp", ("GET",), (), "str", (("provide_automatic_options", False),)), ("/x",)),
    "endless digits": (View("/d/<int:n0>", "bp", ("GET",), (), "str"), ("/d/" + "1" * 5000, "/d/" + "1" * 1000)),
    "signed endless digits": (
        View("/d/<int(signed=True):n0>", "bp", ("GET",), (), "str"),
        ("/d/-" + "1" * 5000, "/d/-1"),
    ),
    "narrow": (View("/m/<int(max=9):n0>", "bp", ("GET",), ("look",), "str"), ("/m/3", "/m/12")),
}


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "POST"])
@pytest.mark.parametrize("hooks", ["with hooks", "without"])
@pytest.mark.parametrize("name", RULES)
def test_each_rule(name: str, hooks: str, method: str) -> None:
    """A rule, however odd, leads to the same view with the same arguments, or to the same error."""
    view, paths = RULES[name]
    steps = tuple(Step("/bp" + path, method) for path in paths)
    compare(app(views=(view,), steps=steps, **({"hooks": ()} if hooks == "without" else {})))
