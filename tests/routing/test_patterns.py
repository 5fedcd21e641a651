"""The map's state machine as patterns in Werkzeug's search order."""

from __future__ import annotations

from typing import Any

import pytest
from werkzeug.routing import BaseConverter

from quaff.routing import Map, Rule
from quaff.routing.patterns import Pattern, Segment, group_count, is_unusual, patterns_of


def patterns(*texts: str, **options: Any) -> list[Pattern]:
    """Return the patterns of a map of GET rules."""
    found = patterns_of(Map([Rule(text, endpoint=text, methods=["GET"], **options) for text in texts]))
    assert found is not None
    return found


def shown(pattern: Pattern) -> str:
    """Write a pattern as a path, with `<>` for what is dynamic, `...` for a tail and `?` for what only the map knows."""
    parts = ["<>" if segment.text is None else segment.text for segment in pattern.segments]
    parts += ["..."] if pattern.tail is not None else []
    parts += ["?"] if pattern.unusual else []
    return "/" + "/".join(parts)


def test_each_rule_is_a_pattern() -> None:
    """A rule is one way through the tree, with the rule at its end."""
    found = patterns("/a/b", "/a/<x>", "/<path:p>")
    assert [shown(pattern) for pattern in found] == ["/a/b", "/a/<>", "/..."]
    assert [pattern.leaf.rules[0].rule for pattern in found] == ["/a/b", "/a/<x>", "/<path:p>"]


def test_search_order() -> None:
    """Static segments come before dynamic ones, numbers before strings, and all of them before paths, at each segment."""
    found = patterns("/<path:p>", "/<x>/z", "/<int:x>/<y>", "/a/<x>", "/a/b")
    assert [pattern.leaf.rules[0].rule for pattern in found] == [
        "/a/b",
        "/a/<x>",
        "/<int:x>/<y>",
        "/<x>/z",
        "/<path:p>",
    ]


def test_rules_of_one_path_share_a_leaf() -> None:
    """Rules that differ in their methods only end at the same leaf, in the order in which they were added."""
    url_map = Map([Rule("/x", endpoint="get", methods=["GET"]), Rule("/x", endpoint="put", methods=["PUT"])])
    found = patterns_of(url_map)
    assert found is not None
    assert [[rule.endpoint for rule in pattern.leaf.rules] for pattern in found] == [["get", "put"]]
    assert found[0].leaf.methods() == {"GET", "HEAD", "PUT"}


def test_a_trailing_slash_asks_the_map_without_it() -> None:
    """`/x/` is a pattern, and so is `/x`, where the map redirects."""
    found = {shown(pattern): pattern.leaf for pattern in patterns("/x/")}
    assert set(found) == {"/x/", "/x"}
    assert found["/x"].ask_the_map
    assert not found["/x/"].ask_the_map


def test_an_optional_slash_asks_the_map_with_it() -> None:
    """With `strict_slashes=False` the rule `/x` takes `/x/` too: that is the map's to say."""
    found = {shown(pattern): pattern.leaf for pattern in patterns("/x", strict_slashes=False)}
    assert set(found) == {"/x", "/x/"}
    assert found["/x/"].ask_the_map


def test_an_optional_slash_before_a_rule_with_one() -> None:
    """When both stand there, a method that the rule with the slash does not take may be taken by the other."""
    url_map = Map(
        [
            Rule("/x", endpoint="get", methods=["GET"], strict_slashes=False),
            Rule("/x/", endpoint="put", methods=["PUT"]),
        ]
    )
    found = {shown(pattern): pattern.leaf for pattern in patterns_of(url_map) or ()}
    assert found["/x/"].ask_the_map
    assert [rule.endpoint for rule in found["/x/"].rules] == ["put"]


def test_equal_weights_ask_the_map() -> None:
    """Two different parts of one weight at one place are tried in an order that only the map knows."""

    class Colour(BaseConverter):
        regex = "red|blue"

    url_map = Map(converters={"colour": Colour})
    url_map.add(Rule("/<colour:c>/x", endpoint="colour"))
    url_map.add(Rule("/<name>/y", endpoint="name"))
    assert [shown(pattern) for pattern in patterns_of(url_map) or ()] == ["/?", "/?"]


def test_a_path_before_a_slash_asks_the_map() -> None:
    """Behind `/<path:p>/` the map may have to redirect: only it knows where the path ends."""
    assert [shown(pattern) for pattern in patterns("/<path:p>/")] == ["/?"]
    assert [shown(pattern) for pattern in patterns("/<path:p>/edit")] == ["/..."]


@pytest.mark.parametrize("settings", [{"host_matching": True}, {"default_subdomain": "www"}])
def test_hosts_are_the_maps(settings: dict[str, Any]) -> None:
    """A map that matches hosts has no patterns: every path is its own to answer."""
    assert patterns_of(Map(**settings)) is None


def test_rules_of_subdomains_are_left_out() -> None:
    """Without subdomain matching the rules of a subdomain are never found."""
    url_map = Map([Rule("/", endpoint="sub", subdomain="sub"), Rule("/x", endpoint="x")])
    assert [shown(pattern) for pattern in patterns_of(url_map) or ()] == ["/x"]
    assert patterns_of(Map([Rule("/", endpoint="sub", subdomain="sub")])) == []


def test_an_empty_map_has_none() -> None:
    """An app without rules answers 404 to everything, and needs no map for that."""
    assert patterns_of(Map()) == []


@pytest.mark.parametrize(
    "options", [{"alias": True}, {"redirect_to": "/"}, {"methods": None}, {"websocket": True, "methods": ["GET"]}]
)
def test_unusual_rules(options: dict[str, Any]) -> None:
    """Rules that do more than lead to a view are the map's."""
    url_map = Map([Rule("/x", **{"endpoint": "x", "methods": ["GET"], **options})])
    assert is_unusual(next(url_map.iter_rules()))
    assert [pattern.leaf.ask_the_map for pattern in patterns_of(url_map) or ()] == [True]


def test_default_twins_are_unusual() -> None:
    """Of two rules of one endpoint, the one with the variable may redirect to the one with the default."""
    rules = [Rule("/all/", endpoint="all", defaults={"page": 1}), Rule("/all/<int:page>", endpoint="all")]
    url_map = Map(rules)
    assert [is_unusual(rule) for rule in rules] == [True, True]  # also for want of methods
    rules = [rule.empty() for rule in rules]
    for rule in rules:
        rule.methods = {"GET"}
    url_map = Map(rules)
    url_map.update()
    assert [is_unusual(rule) for rule in rules] == [False, True]
    url_map.redirect_defaults = False
    assert [is_unusual(rule) for rule in rules] == [False, False]


def test_static_patterns() -> None:
    """A pattern is static when exactly one path fits it."""
    assert [pattern.is_static for pattern in patterns("/a/b", "/a/<x>", "/<path:p>")] == [True, False, False]


def test_group_count() -> None:
    """Only Werkzeug's own groups count as values; a converter's expression may have groups too."""
    assert group_count(Segment(None, r"(?P<__werkzeug_0>(?P<x>a)(b))-(?P<__werkzeug_1>\d+)\Z")) == 2


def test_slots() -> None:
    """Segments cannot be changed: shapes are told apart by them."""
    with pytest.raises(AttributeError):
        Segment("a").text = "b"  # type: ignore[misc]
