"""`UrlBuilder`, and `url_for` on top of it, write what Werkzeug's `MapAdapter.build` writes, and refuse what it refuses."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.routing import BuildError

from quaff import Quaff, url_for
from quaff.routing import Map, Rule
from quaff.routing.builder import UrlBuilder
from tests.differential.profiles import examples
from tests.differential.rules import CONVERTERS, SAMPLE_VALUES, SOME_UUID, Written, make_map, rule_lists

NAMES = ["n0", "n1", "q", "class", "page", "ü"]


def attempt(function: Any, *args: Any, **kwargs: Any) -> Any:
    """Return the result of a call, or the class of the exception that it raised."""
    try:
        return function(*args, **kwargs)
    except Exception as error:
        return type(error)


def values_for(rule: Written) -> st.SearchStrategy[dict[str, Any]]:
    """Draw values for a rule: more, fewer or others than it has variables."""
    wanted = [name for name in ("n0", "n1", "n2", "n3", "page") if f":{name}>" in rule.text or f"<{name}>" in rule.text]
    fitting = st.fixed_dictionaries({name: st.sampled_from(SAMPLE_VALUES) for name in wanted})
    extra = st.dictionaries(st.sampled_from(NAMES), st.sampled_from(SAMPLE_VALUES), max_size=2)
    return st.one_of(fitting, st.builds(lambda some, more: {**more, **some}, fitting, extra), extra)


@examples(300)
@given(data=st.data(), rules=rule_lists(), script_name=st.sampled_from(["", "/", "/mounted", "/a/b/", "/ü"]))
def test_builder_writes_what_the_map_writes(data: st.DataObject, rules: list[Written], script_name: str) -> None:
    """Whatever the rules and the values: the builder gives the map's path, raises its error, or leaves it to the map."""
    url_map = make_map(rules)
    builder = UrlBuilder(url_map)
    adapter = url_map.bind("localhost", script_name or "/", subdomain="")
    for number, rule in enumerate(rules):
        endpoint = rule.options.get("endpoint", str(number))
        values = data.draw(values_for(rule))
        expected = attempt(adapter.build, endpoint, values)
        built = attempt(builder.build, endpoint, dict(values))
        if built is None:
            continue
        if isinstance(built, str):
            built = f"{script_name.rstrip('/')}/{built.lstrip('/')}"
        assert built == expected, (rule, values)


@examples(120)
@given(data=st.data(), rules=rule_lists(), mount=st.sampled_from(["", "/mounted", "/a b/ü"]), compiled=st.booleans())
def test_url_for_writes_what_the_map_writes(
    data: st.DataObject, rules: list[Written], mount: str, compiled: bool
) -> None:
    """Within a request `url_for` gives the path below the mount point; with `_external`, and outside, the whole URL."""
    app = Quaff("url_for", static_folder=None, compiled=compiled)
    app.url_map.converters.update(CONVERTERS)
    app.config["SERVER_NAME"] = "shop.example"
    for number, rule in enumerate(rules):
        app.url_map.add(Rule(rule.text, **{"endpoint": str(number), **rule.options}))
    rule = data.draw(st.sampled_from(rules))
    endpoint = rule.options.get("endpoint", str(rules.index(rule)))
    values = data.draw(values_for(rule))
    with app.test_request_context("/", base_url=f"http://shop.example{mount}"):
        adapter = app.url_map.bind("shop.example", mount or "/", subdomain="", url_scheme="http")
        assert attempt(url_for, endpoint, **values) == attempt(adapter.build, endpoint, values)
        external = attempt(url_for, endpoint, _external=True, _scheme="https", **values)
        assert external == attempt(adapter.build, endpoint, values, force_external=True, url_scheme="https")
        put = attempt(url_for, endpoint, _method="PUT", **values)
        assert put == attempt(adapter.build, endpoint, values, method="PUT")
    with app.app_context():
        outside = attempt(url_for, endpoint, **values)
        adapter = app.url_map.bind("shop.example", "/", url_scheme="http")
        assert outside == attempt(adapter.build, endpoint, values, force_external=True)


USUAL: dict[str, list[tuple[dict[str, Any], str]]] = {
    "/": [({}, ""), ({"q": "a b"}, "?q=a+b"), ({"q": ["a", "b"]}, "?q=a&q=b"), ({"q": []}, "")],
    "/a b/ü": [({}, "a%20b/%C3%BC")],
    "/users/<int:id>": [
        ({"id": 7}, "users/7"),
        ({"id": "7"}, "users/7"),
        ({"id": -7}, "users/-7"),
        ({"id": True}, "users/1"),
    ],
    "/<name>": [
        ({"name": "a/b ü?"}, "a/b%20%C3%BC%3F"),
        ({"name": 1.5}, "1.5"),
        ({"name": "$&'()*+,:;=@!"}, "$&'()*+,:;=@!"),
    ],
    "/files/<path:file>": [({"file": "a/b c"}, "files/a/b%20c")],
    "/n/<int(fixed_digits=3):n>": [({"n": 7}, "n/007")],
    "/f/<float:n>": [({"n": 2}, "f/2.0")],
    "/u/<uuid:n>": [({"n": SOME_UUID}, f"u/{SOME_UUID}")],
    "/p/<pair:n>": [({"n": ("a", "b")}, "p/a-b")],
    "/v<int:a>.<b>/": [({"a": 1, "b": "x", "c": 1}, "v1.x/?c=1")],
}
"""Rule -> values, and the path without its slash."""


@pytest.mark.parametrize("text", USUAL)
def test_usual_rules_are_built_without_the_map(text: str) -> None:
    """What nearly all links of an app are: one rule for the endpoint, its values, perhaps a query."""
    url_map = make_map([Written(text, "")])
    adapter = url_map.bind("localhost", subdomain="")
    builder = UrlBuilder(url_map)
    for values, path in USUAL[text]:
        built = builder.build("0", values)
        assert built is not None
        assert built.lstrip("/") == path
        assert adapter.build("0", values) == f"/{path}"


def test_wrong_values_are_the_maps_to_explain() -> None:
    """A missing value, an unknown endpoint and a None are left to the map, whose error suggests what was meant."""
    builder = UrlBuilder(make_map([Written("/<int:a>/<b>", "")]))
    assert builder.build("0", {"a": 1}) is None
    assert builder.build("1", {"a": 1, "b": 2}) is None
    assert builder.build("0", {"a": 1, "b": None}) is None
    app = Quaff("url_for", static_folder=None)
    app.add_url_rule("/users/<int:id>", "users", lambda id: "")
    with app.test_request_context(), pytest.raises(BuildError, match="Did you mean 'users'"):
        url_for("user", id=1)


def test_a_converter_that_raises_is_heard() -> None:
    """`any` refuses a value that is none of its own with Werkzeug's `ValueError`, and `int` what is no number."""
    url_map = make_map([Written("/<any(a, b):x>", ""), Written("/<int:x>", "")])
    builder = UrlBuilder(url_map)
    adapter = url_map.bind("localhost", subdomain="")
    for endpoint, value, message in [("0", "c", "is not one of"), ("1", "seven", "invalid literal")]:
        with pytest.raises(ValueError, match=message) as expected:
            adapter.build(endpoint, {"x": value})
        with pytest.raises(ValueError, match=message) as raised:
            builder.build(endpoint, {"x": value})
        assert str(raised.value) == str(expected.value)


def test_odd_rules_are_left_to_the_map() -> None:
    """The map builds defaults, a subdomain, a WebSocket, a rule class of one's own, several rules for one endpoint."""

    class OwnRule(Rule):
        def build(self, values: Any, append_unknown: bool = True) -> Any:
            return "", "/own"

    url_map = Map(
        [
            Rule("/d/<int:n>", endpoint="defaults", defaults={"x": 1}),
            Rule("/s", endpoint="subdomain", subdomain="sub"),
            Rule("/w", endpoint="websocket", websocket=True),
            Rule("/two", endpoint="two"),
            Rule("/two/<n>", endpoint="two"),
            OwnRule("/o", endpoint="own"),
        ]
    )
    builder = UrlBuilder(url_map)
    for endpoint in ("defaults", "subdomain", "websocket", "two", "own"):
        assert builder.build(endpoint, {}) is None, endpoint
    assert UrlBuilder(Map([Rule("/", endpoint="home", host="h")], host_matching=True)).build("home", {}) is None
