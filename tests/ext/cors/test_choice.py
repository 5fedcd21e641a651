"""How the app's battery and the decorator share the routes, and when the battery works anew."""

from __future__ import annotations

from typing import Any

from quaff import Quaff
from quaff.ext.cors import CORS, cross_origin
from quaff.ext.cors.choice import AppCors, chooser, decoration_for, decoration_of
from quaff.ext.cors.table import Entry
from quaff.pipeline.parts import Target
from tests.ext.cors.apps import GOOD, OTHER, make_app


def target(app: Quaff, endpoint: str, method: str = "GET") -> Target:
    """Return what a battery is asked for a route."""
    rule = next(app.url_map.iter_rules(endpoint))
    return Target(app=app, rule=rule, method=method, view=app.view_functions[endpoint])


def decorated_app(**options: Any) -> Quaff:
    """Return an app with one view that is decorated, and one that is not."""
    app = make_app()
    app.add_url_rule("/d", view_func=cross_origin(origins=OTHER, **options)(lambda: "d"), endpoint="d")
    return app


def test_one_battery_for_an_app() -> None:
    """However many objects there are, an app has one battery, so that their resources have one order."""
    app = make_app()
    CORS(app)
    CORS(app, resources="/x")
    assert sum(isinstance(battery, AppCors) for battery in app.batteries) == 1
    assert AppCors.of(app) is AppCors.of(app)


def test_the_same_entry_counts_once() -> None:
    """Setting up the same twice changes nothing."""
    battery = AppCors()
    for _ in range(2):
        battery.add(Entry(None, ({"origins": GOOD}, {})))
    battery.add(Entry("b", ({"origins": GOOD}, {})))
    assert len(battery._entries) == 2


def test_a_decorated_view_is_not_the_apps() -> None:
    """The app's battery has no part in a decorated view, and the decorator none in others."""
    app = decorated_app()
    CORS(app, origins=GOOD)
    battery = AppCors.of(app)
    assert not list(battery.parts_for(target(app, "d")))
    assert list(battery.parts_for(target(app, "text")))
    assert decoration_for(target(app, "d")) is not None
    assert decoration_for(target(app, "text")) is None
    assert decoration_of(None, "GET") is None


def test_options_that_nobody_serves_are_the_apps() -> None:
    """With `automatic_options=False` and no view for it, OPTIONS is the app's."""
    app = decorated_app(automatic_options=False)
    assert decoration_for(target(app, "d", "OPTIONS")) is None
    assert decoration_for(target(app, "d")) is not None
    assert decoration_for(target(decorated_app(), "d", "OPTIONS")) is not None


def test_any_rule_has_a_policy() -> None:
    """For a preflight the policy of any other rule is found, the decorator's or the app's, or none."""
    app = decorated_app()
    choose = chooser(app)
    rules = {rule.endpoint: rule for rule in app.url_map.iter_rules()}
    assert choose(rules["text"], "GET").is_empty
    CORS(app, resources="/text", origins=GOOD)
    found = {name: choose(rules[name], "GET").everywhere for name in ("d", "text", "json")}
    assert {name: policy and policy.settings.origins.literals for name, policy in found.items()} == {
        "d": (OTHER,),
        "text": (GOOD,),
        "json": None,
    }


def test_the_table_is_made_when_something_changed() -> None:
    """Asking for each route costs no new table; a change of the configuration, in place too, or a new entry makes one."""
    app = make_app()
    app.config["CORS_ORIGINS"] = [GOOD]
    CORS(app)
    battery = AppCors.of(app)
    policies = []
    for change in (
        lambda: None,
        lambda: None,
        lambda: app.config["CORS_ORIGINS"].append(OTHER),
        lambda: app.config.update(COMPAT=("cors-prefix-match",)),
        lambda: battery.add(Entry(None, ({"resources": "/x"}, {}))),
        lambda: None,
    ):
        change()
        policies.append(battery.choose(target(app, "text")).everywhere)
    first, second, third, fourth, fifth, sixth = policies
    assert first is second
    assert second is not third
    assert third is not fourth
    assert fourth is not fifth
    assert fifth is sixth


def test_the_app_is_not_kept_alive() -> None:
    """The battery holds nothing of the app, so that an app is freed as soon as nobody refers to it."""
    app = decorated_app()
    CORS(app)
    app.test_client().get("/text")
    battery = AppCors.of(app)
    assert app not in vars(battery).values()
