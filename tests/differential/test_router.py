"""The router finds what Werkzeug's map finds: the same rule with the same values, the same 404, the same 405."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound

from quaff.routing import Map
from quaff.routing.matcher import ASK_THE_MAP
from quaff.routing.router import Route, Router
from tests.differential.profiles import examples
from tests.differential.rules import METHODS, Written, make_map, paths, rule_lists

ASKED = "asks the map"


def oracle(url_map: Map, path: str, method: str) -> Any:
    """Return Werkzeug's answer: endpoint and values, None for 404, a set for 405, or the exception's class."""
    try:
        rule, values = url_map.bind("localhost", subdomain="").match(path, method, return_rule=True)
    except NotFound:
        return None
    except MethodNotAllowed as error:
        return set(error.valid_methods or ())
    except HTTPException as error:
        return type(error)
    return rule, dict(values)


def served(route: Route, captured: tuple[str, ...]) -> Any:
    """Return what the pipeline would call the view with. A text that is converted in place must never be refused."""
    expressions = [route.conversion(index) for index in range(len(route.names))]
    if None in expressions:
        try:
            return route.rule, route.convert(*captured)
        except ValueError:
            return ASKED
    values = {
        name: int(text) if expression == "int({text})" else text
        for name, expression, text in zip(route.names, expressions, captured, strict=True)
    }
    return route.rule, {**values, **route.defaults}


def answers(router: Router, path: str, method: str) -> list[Any]:
    """Return the router's answer, and that of its table of static paths if the path stands there."""
    found = router.find(path, method)
    wsgi_path = path.encode(errors="surrogatepass").decode("latin1")
    results = [handlers[method](()) for handlers in [router.static.get(wsgi_path, {})] if method in handlers]
    if found is ASK_THE_MAP:
        return [*results, ASKED]
    if isinstance(found, tuple):
        handler, captured = found
        return [*results, handler(captured)]
    methods: set[str] = set().union(*(leaf.methods() for leaf in found))
    return [*results, methods or None]


def make_router(url_map: Map) -> Router:
    """Return a router whose handlers tell what they would serve."""
    return Router(url_map, lambda route, method: lambda captured: served(route, captured))


def check(rules: list[Written], path: str, method: str, **settings: Any) -> bool:
    """Compare one answer; tell whether the router could answer itself."""
    url_map = make_map(rules, **settings)
    expected = oracle(url_map, path, method)
    given_answers = answers(make_router(url_map), path, method)
    for answer in given_answers:
        assert answer in (ASKED, expected), (path[:200], method)
    return bool(given_answers[-1] != ASKED)


@examples(600)
@given(data=st.data(), rules=rule_lists(), method=st.sampled_from([*METHODS, "HEAD", "DELETE"]))
def test_finds_what_the_map_finds(data: st.DataObject, rules: list[Written], method: str) -> None:
    """Whatever the rules and the path: the router gives the map's answer or leaves it to the map."""
    settings = data.draw(
        st.sampled_from([{}, {}, {}, {"strict_slashes": False}, {"merge_slashes": False}, {"redirect_defaults": False}])
    )
    url_map = make_map(rules, **settings)
    router = make_router(url_map)
    for path in data.draw(st.lists(paths(rules), min_size=1, max_size=6)):
        expected = oracle(url_map, path, method)
        for answer in answers(router, path, method):
            assert answer in (ASKED, expected), (path[:200], method)


@examples(300)
@given(data=st.data(), rules=rule_lists(usual=True), method=st.sampled_from([*METHODS, "HEAD"]))
def test_answers_usual_maps_itself(data: st.DataObject, rules: list[Written], method: str) -> None:
    """Rules without trailing slashes or odd options are matched without the map, also for a 404 and a 405.

    The exceptions: two converters of one weight at one place, a converter that refuses what its expression took, endless
    digits, empty segments.
    """
    url_map = make_map(rules)
    router = make_router(url_map)
    path = data.draw(st.sampled_from([rule.path for rule in rules]))
    expected = oracle(url_map, path, method)
    answer = answers(router, path, method)[-1]
    if answer == ASKED:
        excused = len(path) > 600 or "//" in path or any("<" in rule.text for rule in rules)
        assert excused, path
    else:
        assert answer == expected


USUAL = [
    Written("/", "/"),
    Written("/hello", "/hello"),
    Written("/users/", "/users/"),
    Written("/users/<int:id>", "/users/7"),
    Written("/users/<int:id>/posts/<slug>", "/users/7/posts/a-b"),
    Written("/static/<path:filename>", "/static/css/site.css"),
    Written("/<name>", "/somebody"),
    Written("/v<int:major>.<int:minor>/x", "/v1.2/x"),
    Written("/things/<uuid:id>", "/things/12345678-1234-5678-1234-56781234567a"),
    Written("/price/<float:value>", "/price/9.99"),
    Written("/kind/<any(a, b):kind>", "/kind/a"),
]


def _usual_map() -> list[Written]:
    return [Written(rule.text, rule.path, {"methods": ["GET"]}) for rule in USUAL]


@pytest.mark.parametrize("path", [rule.path for rule in USUAL])
def test_usual_rules_need_no_map(path: str) -> None:
    """The rules that most apps are made of are answered by the router, for the right method and for a wrong one."""
    assert check(_usual_map(), path, "GET")
    assert check(_usual_map(), path, "POST")


@pytest.mark.parametrize(
    "path", ["/nobody/at/home", "/users/x", "/users/7/", "/users/7/posts", "/v1/x", "/price/9", "/kind/c", "/things/1"]
)
def test_usual_misses_need_no_map(path: str) -> None:
    """A path that nothing matches is a 404 without the map: scanners send many."""
    assert check(_usual_map(), path, "GET")


@pytest.mark.parametrize("path", ["/users", "//hello", "/users//7", "", "hello"])
def test_redirects_are_left_to_the_map(path: str) -> None:
    """A missing slash, a slash too many and a path without one are answered by the map, which redirects."""
    assert not check(_usual_map(), path, "GET")


BRANCHES = {
    "static before dynamic, with a way back": (["/a/b", "/<x>/c"], "/a/c"),
    "int before string": (["/<x>", "/<int:x>"], "/12"),
    "digits without end are nobody's number": (["/<x>", "/<int:x>"], "/" + "1" * 5000),
    "digits just below Python's limit": (["/<x>", "/<int:x>"], "/" + "1" * 4200),
    "signed digits without end": (["/<int(signed=True):x>"], "/-" + "1" * 5000),
    "mixed digits without end": (["/v<int:x>"], "/v" + "1" * 5000),
    "a path after a longer static rule": (["/a/b/c", "/a/<path:x>"], "/a/b/d"),
    "two parts of one weight": (["/<any(a, b):x>/1", "/<pair:x>/2", "/<picky:x>/3"], "/q/3"),
    "newline in a string": (["/<x>"], "/a\nb"),
    "newline in a path": (["/<path:x>"], "/a\nb"),
    "other digits than ASCII": (["/<int:x>"], "/٣"),
    "superscripts are no digits": (["/<int:x>", "/<x>"], "/²"),
}


@pytest.mark.parametrize("case", BRANCHES)
def test_known_branches(case: str) -> None:
    """The cases that once went wrong, or that one would get wrong first."""
    texts, path = BRANCHES[case]
    rules = [Written(text, "", {"methods": ["GET"]}) for text in texts]
    check(rules, path, "GET")
    check(rules, path, "POST")


SLASHES: dict[str, tuple[list[tuple[str, dict[str, Any]]], str, str]] = {
    "strict off, and another rule with the slash": (
        [("/x", {"strict_slashes": False, "methods": ["GET"]}), ("/x/", {"methods": ["POST"]})],
        "/x/",
        "GET",
    ),
    "strict off, and something behind the slash": (
        [
            ("/x", {"strict_slashes": False, "methods": ["GET"]}),
            ("/x//y", {"merge_slashes": False, "methods": ["GET"]}),
        ],
        "/x/",
        "GET",
    ),
    "strict off, on the rule with the slash": ([("/x/", {"strict_slashes": False, "methods": ["GET"]})], "/x", "GET"),
    "two slashes in front": ([("//x", {"merge_slashes": False, "methods": ["GET"]})], "//x", "GET"),
    "one slash for two": ([("//x", {"merge_slashes": False, "methods": ["GET"]})], "/x", "GET"),
}


@pytest.mark.parametrize("case", SLASHES)
def test_slashes(case: str) -> None:
    """Rules about slashes that contradict each other have the map's answer, also when the router gives it."""
    written, path, method = SLASHES[case]
    check([Written(text, "", options) for text, options in written], path, method)
