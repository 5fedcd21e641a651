"""What a limiter costs, in Python calls: exact on any machine, where microseconds are not."""

from __future__ import annotations

from typing import Any

import pytest

from quaff import Quaff
from quaff.ext.limiter import Limiter
from tests.contracts.test_calls import answer, calls_of, environ

BUDGETS = {
    "nothing is limited": ({}, "/", 0),
    "exempt": ({"default_limits": ["1000/minute"]}, "/exempt", 0),
    "default limit": ({"default_limits": ["1000/minute"]}, "/", 3),
    "own limit": ({"default_limits": ["1000/minute"]}, "/own", 3),
    "two limits": ({"default_limits": ["1000/minute;5000/hour"]}, "/", 4),
    "exempt, with headers": ({"default_limits": ["1000/minute"], "headers_enabled": True}, "/exempt", 3),
    "with headers": ({"default_limits": ["1000/minute"], "headers_enabled": True}, "/", 4),
    "moving window": ({"default_limits": ["1000/minute"], "strategy": "moving-window"}, "/", 31),
    "key function": ({"default_limits": ["1000/minute"], "key_func": lambda: "x"}, "/", 31),
}
"""What is done -> options, path, and Python calls that it adds, some more on Python 3.11. Lower one when it is beaten."""


def build(options: dict[str, Any] | None) -> Quaff:
    """Return an app on the compiled pipeline, with a limiter or without."""
    app = Quaff("calls", compiled=True)
    limiter = None if options is None else Limiter(options.get("key_func"), app=app, **_without_key(options))
    view = lambda: "Hello, World!"  # noqa: E731 - the same for all routes
    app.add_url_rule("/", "index", view)
    app.add_url_rule("/exempt", "exempt", (lambda: "x") if limiter is None else limiter.exempt(lambda: "x"))
    app.add_url_rule("/own", "own", (lambda: "x") if limiter is None else limiter.limit("1000/minute")(lambda: "x"))
    return app


def _without_key(options: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if name != "key_func"}


def count(app: Quaff, path: str) -> int:
    """Return the Python calls of one warm request."""
    for _ in range(3):
        assert answer(app, environ(path))
    return len(calls_of(answer, app, environ(path)))


@pytest.mark.parametrize("what", BUDGETS)
def test_calls(what: str) -> None:
    """A limiter adds no more than so many Python calls to a request: none where it does nothing."""
    options, path, budget = BUDGETS[what]
    added = count(build(options), path) - count(build(None), path)
    assert added <= budget


def test_one_limit_makes_no_request_object() -> None:
    """PERF: the usual limit needs neither a request nor a response object."""
    app = build({"default_limits": ["1000/minute"]})
    count(app, "/")
    names = calls_of(answer, app, environ("/"))
    assert not [name for name in names if "wrappers" in name or "globals" in name]
