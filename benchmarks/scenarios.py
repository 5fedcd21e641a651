"""What is timed: one request each, the app that answers it, the answer it must give, and the bar.

Every scenario names the answer that it expects, and `inprocess.py` refuses to time an app that answers anything else.
The bar is the number of times that Quaff has to be faster than Flask; a scenario without one is there for information.
"""

from __future__ import annotations

from benchmarks import battery_scenarios, falcon_apps, flask_apps
from benchmarks.database_scenarios import PAGES as DATABASE_PAGES
from benchmarks.scenario import PAGE, Scenario


def rules_scenario(kind: str, count: int) -> Scenario:
    """Build the scaling scenario with *count* "static" or "dynamic" rules, asking for the last of them."""
    if kind == "static":
        rules, path, body = [f"/pages/{number}/about" for number in range(count)], f"/pages/{count - 1}/about", b"page"
    else:
        rules, path, body = [f"/items{number}/<int:item>" for number in range(count)], f"/items{count - 1}/7", b"7"
    return Scenario(
        name=f"{kind}:{count}",
        title=f"last of {count} {kind} rules",
        build=flask_apps.with_rules(*rules),
        path=path,
        body=body,
        falcon=falcon_apps.with_rules(*rules),
    )


DYNAMIC_LAST = (*flask_apps.mixed_rules(499), "/orders/<int:order>")
STATIC_LAST = (*flask_apps.mixed_rules(499), "/orders/latest")
JSON_BODY = b'{"name": "Ada", "tags": ["first", "second"]}'
FORM_BODY = b"user=ada&password=a+long+secret"

SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        Scenario(
            name="hello",
            title="hello `str`",
            build=flask_apps.hello,
            path="/",
            body=b"Hello, World!",
            bar=20,
            falcon=falcon_apps.hello,
        ),
        Scenario(
            name="user",
            title="`/users/<int:id>` returning a dict",
            build=flask_apps.user,
            path="/users/7",
            body=b'{"id":7,"name":"Ada"}\n',
            bar=15,
            falcon=falcon_apps.user,
            falcon_body="json",
        ),
        Scenario(
            name="args",
            title="`request.args.get` twice",
            build=flask_apps.arguments,
            path="/search",
            query="q=quaff&page=2",
            body=b"quaff 2",
            bar=10,
            falcon=falcon_apps.arguments,
        ),
        Scenario(
            name="json",
            title="JSON body in, JSON out",
            build=flask_apps.json_echo,
            method="POST",
            path="/echo",
            content=JSON_BODY,
            content_type="application/json",
            body=b'{"name":"Ada","tags":2}\n',
            bar=10,
            falcon=falcon_apps.json_echo,
            falcon_body="json",
        ),
        Scenario(
            name="form",
            title="form POST, two fields",
            build=flask_apps.form,
            method="POST",
            path="/login",
            content=FORM_BODY,
            content_type="application/x-www-form-urlencoded",
            body=b"ada 13",
            bar=5,
            falcon=falcon_apps.form,
        ),
        Scenario(
            name="session",
            title="session read and write",
            build=flask_apps.session,
            path="/count",
            cookie_from="/set",
            body=b"ada 2",
            bar=4,
        ),
        Scenario(
            name="session_read",
            title="session read only",
            build=flask_apps.session,
            path="/read",
            cookie_from="/set",
            body=b"ada 1",
        ),
        Scenario(
            name="hooks",
            title="three before and three after hooks",
            build=flask_apps.hooks,
            path="/",
            body=b"6",
            bar=10,
            falcon=falcon_apps.hooks,
        ),
        Scenario(
            name="hooks_idle",
            title="the same hooks with empty bodies",
            build=flask_apps.idle_hooks,
            path="/",
            body=b"Hello, World!",
            falcon=falcon_apps.idle_hooks,
        ),
        Scenario(
            name="404",
            title="404",
            build=flask_apps.hello,
            path="/missing",
            status=404,
            body=None,
            bar=10,
            falcon=falcon_apps.hello,
            falcon_body="any",
        ),
        Scenario(
            name="405",
            title="405",
            build=flask_apps.hello,
            method="POST",
            path="/",
            status=405,
            body=None,
            bar=10,
            falcon=falcon_apps.hello,
            falcon_body="any",
        ),
        Scenario(
            name="rules",
            title="last of 500 mixed rules (dynamic)",
            build=flask_apps.with_rules(*DYNAMIC_LAST),
            path="/orders/7",
            body=b"7",
            bar=10,
            falcon=falcon_apps.with_rules(*DYNAMIC_LAST),
        ),
        Scenario(
            name="rules_static",
            title="last of 500 mixed rules (static)",
            build=flask_apps.with_rules(*STATIC_LAST),
            path="/orders/latest",
            body=b"page",
            bar=10,
            falcon=falcon_apps.with_rules(*STATIC_LAST),
        ),
        Scenario(
            name="url_for",
            title="`url_for` with two values",
            build=flask_apps.links,
            path="/link",
            body=b"/users/7/posts/first-steps",
            bar=5,
            inner=True,
        ),
        Scenario(
            name="url_for_query",
            title="`url_for` with two values and a query argument",
            build=flask_apps.links,
            path="/mixed",
            body=b"/users/7/posts/a?page=2",
            inner=True,
        ),
        Scenario(
            name="page",
            title="Jinja page of 12 rows",
            build=flask_apps.page,
            path="/table",
            body=PAGE,
            bar=2,
        ),
    )
}
"""Every scenario of the report by name, in its order."""


def find(name: str) -> Scenario:
    """Return the scenario *name*; `static:N` and `dynamic:N` are made on demand. LookupError for another name.

    Those of the batteries (`battery_scenarios.py`) are found by their names, too, and pages as `database:NAME`.
    """
    kind, _, count = name.partition(":")
    if kind in {"static", "dynamic"} and count.isdigit():
        return rules_scenario(kind, int(count))
    if kind == "database" and count in DATABASE_PAGES:
        return DATABASE_PAGES[count].scenario
    if name in battery_scenarios.SCENARIOS:
        return battery_scenarios.SCENARIOS[name]
    if name not in SCENARIOS:
        raise LookupError(
            f"there is no scenario {name!r}; there are: {', '.join(SCENARIOS)}, static:N, dynamic:N, "
            f"{', '.join(battery_scenarios.SCENARIOS)}"
        )
    return SCENARIOS[name]
