"""`UrlBuilder`: paths for endpoints that have one rule. Held against the map in `tests/differential/test_url_for.py`."""

from __future__ import annotations

from typing import Any

import pytest
from werkzeug.routing import ValidationError

from quaff import Quaff, url_for
from quaff.routing import Map, Rule
from quaff.routing.builder import UrlBuilder


def builder(text: str, **options: Any) -> UrlBuilder:
    """Return a builder for a map of one rule, whose endpoint is `x`."""
    return UrlBuilder(Map([Rule(text, endpoint="x", **options)]))


def test_path_and_query() -> None:
    """Values fill the variables; the others become a query in the order in which they were given."""
    made = builder("/users/<int:id>/<name>")
    assert made.build("x", {"id": 7, "name": "a b"}) == "/users/7/a%20b"
    assert made.build("x", {"q": "ü", "id": "7", "name": "n", "p": [1, 2]}) == "/users/7/n?q=%C3%BC&p=1&p=2"


def test_an_unused_value_that_is_empty_leaves_no_question_mark() -> None:
    """An empty list is no parameter."""
    assert builder("/").build("x", {"q": []}) == "/"


@pytest.mark.parametrize("values", [{}, {"other": 1}, {"id": None}], ids=["nothing", "something else", "None"])
def test_what_is_missing_is_left_to_the_map(values: dict[str, Any]) -> None:
    """The map raises the error with the suggestion, or tries another rule."""
    assert builder("/users/<int:id>").build("x", values) is None


def test_a_validation_error_is_left_to_the_map() -> None:
    """A converter that refuses to write a value makes the rule unsuitable, not the call an error of its own."""
    from werkzeug.routing import BaseConverter

    class Never(BaseConverter):
        def to_url(self, value: Any) -> str:
            raise ValidationError

    url_map = Map(converters={"never": Never})
    url_map.add(Rule("/<never:v>", endpoint="x"))
    assert UrlBuilder(url_map).build("x", {"v": 1}) is None


@pytest.mark.parametrize(
    "value, written",
    [("plain", "plain"), ("a b", "a%20b"), ("a/b", "a/b"), ("ü", "%C3%BC"), ("50%", "50%25"), ("", ""), (7, "7")],
)
def test_strings_are_quoted(value: object, written: str) -> None:
    """What is no plain letter or digit is quoted as Werkzeug quotes it."""
    assert builder("/<v>").build("x", {"v": value}) == f"/{written}"


@pytest.mark.parametrize("value", [7, "7", 7.9, True])
def test_integers_go_through_int(value: object) -> None:
    """A value for an `int` variable is whatever `int` makes of it."""
    assert builder("/<int:v>").build("x", {"v": value}) == f"/{int(value)}"  # type: ignore[call-overload]


def test_functions_are_kept() -> None:
    """The function for an endpoint is made once, and can be read."""
    made = builder("/users/<int:id>")
    made.build("x", {"id": 1})
    function = made.functions["x"]
    made.build("x", {"id": 2})
    assert function is not None
    assert made.functions["x"] is function
    assert function.__quaff_source__.startswith("def build(values):")  # type: ignore[attr-defined]


def test_unknown_endpoints_do_not_pile_up_in_an_app() -> None:
    """The map answers for an endpoint that does not exist, with its error."""
    app = Quaff("builder", static_folder=None)
    with app.test_request_context(), pytest.raises(LookupError):
        url_for("nobody")


def test_a_map_of_hosts_is_left_alone() -> None:
    """Where the host matters, the map builds."""
    url_map = Map([Rule("/", endpoint="x", host="a.example")], host_matching=True)
    assert UrlBuilder(url_map).build("x", {}) is None


def test_a_late_rule_is_seen() -> None:
    """An app's builder is made anew when the map changes."""
    app = Quaff("builder", static_folder=None)
    app.add_url_rule("/<int:n>", "x", lambda n: "")
    with app.test_request_context():
        assert url_for("x", n=1) == "/1"
        app.url_map.add(Rule("/late/<int:n>/<m>", endpoint="x"))
        assert url_for("x", n=1, m="a") == "/late/1/a"
        assert url_for("x", n=1) == "/1"


def test_a_variable_named_like_an_option_is_left_to_the_map() -> None:
    """`url_for` keeps `_anchor` for itself, so such a rule never gets a value."""
    assert builder("/x/<_anchor>").build("x", {"_anchor": "a"}) is None
