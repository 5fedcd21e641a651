"""The generated matchers: one function for each length of path."""

from __future__ import annotations

import linecache
import sys
from typing import Any

import pytest
from werkzeug.routing import BaseConverter

from quaff.routing import Map, Rule
from quaff.routing.matcher import ASK_THE_MAP, MatcherFactory
from quaff.routing.patterns import Leaf, patterns_of


def factory(*texts: str, **options: Any) -> MatcherFactory:
    """Return a factory for GET rules; each leaf's handler is the text of its rule."""
    found = patterns_of(Map([Rule(text, endpoint=text, methods=["GET"], **options) for text in texts])) or []
    for pattern in found:
        pattern.leaf.handlers = dict.fromkeys(
            ["GET"] if pattern.leaf.rules else [], pattern.leaf.rules and pattern.leaf.rules[0].rule
        )
    return MatcherFactory(found)


def match(made: MatcherFactory, path: str, method: str = "GET") -> Any:
    """Match a path as the router does."""
    pieces = path.split("/")
    return made.matcher(len(pieces))(pieces, method)


def test_static_and_dynamic() -> None:
    """A match is the handler and the captured texts, unconverted."""
    made = factory("/", "/a/b", "/users/<int:id>", "/<name>/<int:id>", "/files/<path:rest>")
    assert match(made, "/") == ("/", ())
    assert match(made, "/a/b") == ("/a/b", ())
    assert match(made, "/users/007") == ("/users/<int:id>", ("007",))
    assert match(made, "/x/7") == ("/<name>/<int:id>", ("x", "7"))
    assert match(made, "/files/a/b/c") == ("/files/<path:rest>", ("a/b/c",))


def test_goes_back() -> None:
    """A branch that leads nowhere is left again: `/a/c` is no `/a/b`, but a `/<x>/c`."""
    made = factory("/a/b", "/<x>/c")
    assert match(made, "/a/c") == ("/<x>/c", ("a",))


def test_nothing_fits() -> None:
    """No path at all is an empty list, for each length of path."""
    made = factory("/a/<int:x>", "/b")
    for path in ("/", "/a", "/a/x", "/a/1/2", "/a/1/2/3/4/5/6/7/8/9"):
        assert match(made, path) == []
    assert match(factory(), "/") == []


def test_wrong_method() -> None:
    """Where only the method does not fit, the leaves that would do are returned, all of them."""
    made = factory("/a/<x>", "/<y>/b")
    missed = match(made, "/a/b", "PUT")
    assert [type(leaf) for leaf in missed] == [Leaf, Leaf]


def test_asks_the_map() -> None:
    """A leaf that may be a redirect asks the map when no handler takes the method."""
    made = factory("/x/")
    assert match(made, "/x/") == ("/x/", ())
    assert match(made, "/x") is ASK_THE_MAP


def test_several_values_in_a_segment() -> None:
    """A segment with more than one variable captures all of them, in order, among others."""
    made = factory("/<a>/v<int:b>.<c>/<d>")
    assert match(made, "/x/v1.y/z") == ("/<a>/v<int:b>.<c>/<d>", ("x", "1", "y", "z"))


def test_digits_without_end() -> None:
    """A number so long that Python may refuse to read it is the map's to judge; the limit itself still matches."""
    limit = sys.int_info.str_digits_check_threshold
    for text, prefix in (("/<int:x>", ""), ("/<int(signed=True):x>", "-"), ("/v<int:x>", "v")):
        made = factory(text)
        short = prefix + "1" * (limit - 1 - len(prefix))
        assert match(made, f"/{short}")[0] == text
        assert match(made, f"/{prefix}{'1' * limit}") is ASK_THE_MAP


@pytest.mark.parametrize("digits", ["٣", "\uff11\uff12", "߁"])
def test_digits_of_other_scripts(digits: str) -> None:
    """What Werkzeug's expression takes for a digit is one here too, and Python reads it."""
    assert match(factory("/<int:x>"), f"/{digits}") == ("/<int:x>", (digits,))
    assert int(digits) > 0


@pytest.mark.parametrize("text", ["²", "½", "", "1 ", " 1", "1\n", "+1", "1_000"])
def test_no_digits(text: str) -> None:
    """What `int` or `str.isdigit` might take, but Werkzeug's expression does not, is no number."""
    assert match(factory("/<int:x>"), f"/{text}") == []


@pytest.mark.parametrize(
    "path", ["users/7", "x", "*", "x/y/z", "//7", "/a//b", "/files//b", "/files/a//b", "/v1//w", "//"]
)
def test_paths_for_the_map(path: str) -> None:
    """A path without its first slash, or with an empty segment inside, never matches, whatever the rules would take."""

    class Anything(BaseConverter):
        regex = "[^/]*"

    url_map = Map(converters={"any": Anything}, merge_slashes=False)
    for text in ("/users/<int:id>", "/<x>", "/<x>/<y>", "/<any:x>/<any:y>", "/<any:x>/b", "/files/<path:x>", "/a//b"):
        url_map.add(Rule(text, endpoint=text, methods=["GET"]))
    found = patterns_of(url_map) or []
    for pattern in found:
        pattern.leaf.handlers = {"GET": "handler"}
    assert type(match(MatcherFactory(found), path)) is not tuple


@pytest.mark.parametrize("rule", ["/<x>", "/<path:x>", "/a<x>", "/<x>/b"])
def test_values_with_nul(rule: str) -> None:
    """A NUL is in no value: what is not a match goes to the map, which refuses it."""
    assert match(factory(rule), "/a\0" + ("/b" if rule.endswith("b") else "")) == []


def test_rules_of_one_shape_share_one_test() -> None:
    """A thousand rules that differ in their fixed texts make one look-up, not a thousand tests."""
    made = factory(*(f"/area{number}/<int:id>" for number in range(1000)))
    source = made.matcher(3).__quaff_source__  # type: ignore[attr-defined]
    assert source.count("isdecimal") == 1
    assert match(made, "/area999/5") == ("/area999/<int:id>", ("5",))


def test_tails_of_one_expression_but_other_weight() -> None:
    """Two converters may share their expression and differ in weight: the lighter comes first, the other is kept."""
    from werkzeug.routing import PathConverter

    class Heavy(PathConverter):
        weight = 500

    url_map = Map(converters={"path": PathConverter, "heavy": Heavy})
    url_map.add(Rule("/<heavy:x>", endpoint="heavy", methods=["GET", "PUT"]))
    url_map.add(Rule("/<path:x>", endpoint="path", methods=["GET"]))
    found = patterns_of(url_map) or []
    for pattern in found:
        pattern.leaf.handlers = {method: rule.endpoint for rule in pattern.leaf.rules for method in rule.methods or ()}
    made = MatcherFactory(found)
    assert match(made, "/a/b") == ("path", ("a/b",))
    assert match(made, "/a/b", "PUT") == ("heavy", ("a/b",))


def test_matchers_are_made_when_needed() -> None:
    """A length gets its function when a path of that length comes; all longer paths share one: clients choose the length."""
    made = factory("/a", "/a/<x>", "/p/<path:rest>")
    assert made.made == {}
    assert made.matcher(2) is made.matcher(2)
    assert made.matcher(50) is made.matcher(5000)
    assert len(made.made) == 2


def test_source_is_kept() -> None:
    """The function's text can be read, on it and in tracebacks."""
    function: Any = factory("/users/<int:id>").matcher(3)
    assert function.__quaff_source__.startswith("def match_2(pieces, method):\n")
    assert linecache.getline(function.__code__.co_filename, 1) == "def match_2(pieces, method):\n"
