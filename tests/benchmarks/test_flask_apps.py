"""The apps that are timed hold what the report says about them."""

from __future__ import annotations

from typing import Any, cast

import quaff
from benchmarks import falcon_apps, flask_apps, worker
from benchmarks.flask_apps import LOOP_KEY, Framework
from benchmarks.scenarios import DYNAMIC_LAST, STATIC_LAST, find

FRAMEWORK = cast(Framework, quaff)


def rules_of(app: Any) -> list[str]:
    """Return the rules of an app without the static files' rule."""
    return [rule.rule for rule in app.url_map.iter_rules() if rule.endpoint != "static"]


def test_mixed_rules_are_500_of_which_half_are_static() -> None:
    """Both apps have 500 different rules, about half of them with variables, and the asked one comes last."""
    for rules in (DYNAMIC_LAST, STATIC_LAST):
        assert len(set(rules)) == 500
        assert 240 <= sum("<" in rule for rule in rules) <= 260
    assert "<" in DYNAMIC_LAST[-1]
    assert "<" not in STATIC_LAST[-1]


def test_with_rules_registers_every_rule_in_order() -> None:
    """The builder registers what it is given, the last one last."""
    app: Any = flask_apps.with_rules("/a", "/b/<int:item>", "/c")(FRAMEWORK)
    assert sorted(rules_of(app)) == ["/a", "/b/<int:item>", "/c"]
    assert app.test_client().get("/b/12").text == "12"
    assert app.test_client().get("/c").text == "page"


def test_three_hooks_run_before_and_after() -> None:
    """All six hooks of the hooks scenario leave their mark."""
    app: Any = flask_apps.hooks(FRAMEWORK)
    answer = app.test_client().get("/")
    assert answer.text == "6"
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["X-Version"] == "1"


def test_idle_hooks_are_three_and_three() -> None:
    """The scenario for the machinery alone has the same number of hooks."""
    app: Any = flask_apps.idle_hooks(FRAMEWORK)
    assert (len(app.before_request_funcs[None]), len(app.after_request_funcs[None])) == (3, 3)


def test_the_page_has_twelve_escaped_rows() -> None:
    """The table has twelve rows of three columns, and the markup in the values is escaped."""
    app: Any = flask_apps.page(FRAMEWORK)
    text = app.test_client().get("/table").text
    assert text.count("<td>") == 36
    assert text.count("Ada &lt;") == 12
    assert "Ada <" not in text


def test_the_link_view_repeats_its_call_on_demand() -> None:
    """With a number in the environ the view answers the seconds of so many calls, otherwise the link."""
    scenario = find("url_for")
    app = worker.build_app("quaff", scenario)
    environ = worker.build_environ(scenario)
    assert worker.call_once(app, environ).body == b"/users/7/posts/first-steps"
    seconds = float(worker.call_once(app, {**environ, LOOP_KEY: 50}).body)
    assert 0 < seconds < 5


def test_rules_are_translated_for_falcon() -> None:
    """A Flask rule becomes the URI template with the same meaning."""
    assert falcon_apps.template_of("/pages/1/about") == "/pages/1/about"
    assert falcon_apps.template_of("/items/<int:item>") == "/items/{item:int}"
    assert falcon_apps.template_of("/shops/<shop>/edit") == "/shops/{shop}/edit"
