"""Which paths a key of `resources` is for, and what a rule says about all its paths."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from quaff.ext.cors.problems import CorsOptionError
from quaff.ext.cors.resources import Covers, compile_resource, is_plain, rank_of, read_resources

MATCHES = [
    ("/api/users", {"/api/users"}, {"/api/users/", "/api/users/7", "/API/users", "/api"}),
    ("/api/*", {"/api", "/api/", "/api/users", "/api/a/b"}, {"/apiary", "/ap", "/", "/x/api/", "/API/users"}),
    ("/api*", {"/api", "/apiary", "/api/users"}, {"/ap", "/apple", "/"}),
    ("/v1.0/*", {"/v1.0/x"}, {"/v1x0/x"}),
    ("/*", {"/", "/api", "*", ""}, set()),
    ("*", {"/", "/api"}, set()),
    (".*", {"/", "/api"}, set()),
    (r"/api/v\d+/", {"/api/v1/", "/api/v22/users"}, {"/api/vx/", "/api/v1"}),
    (r"/service\+path", {"/service+path", "/service+path/x"}, {"/service path", "/servicee path"}),
    (r"^/(a|b)$", {"/a", "/b"}, {"/a/", "/ab"}),
    (re.compile("/Fo*", re.IGNORECASE), {"/foo", "/FOO/x"}, {"/x"}),
    ("}", {"}"}, {"/", "/}"}),
]


@pytest.mark.parametrize("pattern, within, without", MATCHES)
def test_paths(pattern: Any, within: set[str], without: set[str]) -> None:
    """Paths are compared in their own case; a star at the end is for whole segments; expressions match the beginning."""
    resource = compile_resource(pattern)
    assert {path for path in within | without if resource.matches(path)} == within


def test_by_prefix_is_what_the_extension_does() -> None:
    """With `COMPAT`, a star is that of an expression: `/api/*` is for `/apiary` too, and `/api*` for `/apple`."""
    assert compile_resource("/api/*", by_prefix=True).matches("/apiary")
    assert compile_resource("/api*", by_prefix=True).matches("/apple")
    assert compile_resource("/*", by_prefix=True).matches("/anything")


ALL, SOME, NONE = Covers.ALL, Covers.SOME, Covers.NONE

COVERS = [
    ("/api/*", "/api/", ALL),
    ("/api/*", "/api/users/", ALL),
    ("/api/*", "/", SOME),
    ("/api/*", "/api", SOME),
    ("/api/*", "/apiary/", NONE),
    ("/api/*", "/x/", NONE),
    ("/api*", "/api/", ALL),
    ("/api*", "/a", SOME),
    ("/*", "/", ALL),
    ("*", "/x/", ALL),
    ("/api/users", "/api/", SOME),
    ("/api/users", "/x/", NONE),
    ("/api/users", "/api/users/", NONE),
    (r"/api/v\d/", "/api/v1/", ALL),
    (r"/api/v\d/", "/api/", SOME),
    (r"/api/v\d/", "/other/", NONE),
    (r"/api?/x[0-9]", "/ap/", SOME),
    (r"/api/.*", "/api/", ALL),
    (r"/api/.*$", "/api/", SOME),
    (r"^/api/(?!admin)", "/api/", SOME),
    (r"/(a|b)", "/b/", SOME),
    (r"/api\b", "/api", SOME),
    (re.compile("/API/", re.IGNORECASE), "/x/", SOME),
]


@pytest.mark.parametrize("pattern, begin, covers", COVERS)
def test_rules_with_variables(pattern: Any, begin: str, covers: Covers) -> None:
    """A rule is wholly within a resource, or wholly outside, or its paths have to be looked at one by one."""
    assert compile_resource(pattern).covers(begin, is_whole=False) is covers


@pytest.mark.parametrize("pattern, within, without", MATCHES)
def test_rules_without_variables(pattern: Any, within: set[str], without: set[str]) -> None:
    """A rule with one path is decided by that."""
    resource = compile_resource(pattern)
    assert all(resource.covers(path, is_whole=True) is ALL for path in within)
    assert all(resource.covers(path, is_whole=True) is NONE for path in without)


PATHS = st.text("/ab.1+ -", max_size=6).map("/".__add__)
PATTERNS = st.one_of(
    st.text("/ab.1*", max_size=6).map("/".__add__),
    st.text("/ab.1*$?[]()|\\+^{}dZ!", max_size=8).map("/".__add__),
    st.text("/ab.*$", max_size=6).map(lambda text: re.compile(f"/{re.escape(text)}.*")),
)


# What Python says of an odd expression, such as "[[", is about the expression.
@pytest.mark.filterwarnings("ignore::FutureWarning")
@given(PATTERNS, PATHS, PATHS)
def test_what_covers_says_is_true_of_every_path(pattern: Any, begin: str, rest: str) -> None:
    """ALL and NONE hold for whatever the variable part turns out to be: no path is decided against its own match."""
    try:
        resource = compile_resource(pattern)
    except CorsOptionError:
        assume(False)
    verdict = resource.covers(begin, is_whole=False)
    for path in (begin, begin + rest, begin + rest.lstrip("/")):
        if verdict is not SOME:
            assert resource.matches(path) is (verdict is ALL), (pattern, path)


@pytest.mark.parametrize(
    "value, patterns",
    [
        ("/api/*", ["/api/*"]),
        (["/b", "/a"], ["/b", "/a"]),
        ({"/b"}, ["/b"]),
        (re.compile("/x"), [re.compile("/x")]),
        ({}, []),
    ],
)
def test_what_resources_may_be(value: Any, patterns: list[Any]) -> None:
    """One pattern or several, without options of their own."""
    assert read_resources(value) == [(pattern, {}) for pattern in patterns]


def test_the_more_specific_one_comes_first() -> None:
    """CVE-2024-6839: paths before expressions, and the one with more segments before a longer one with fewer."""
    longer = re.compile("/.*(?:with|a|very|long|expression).*")
    given_options = {
        "/*": {"max_age": 1},
        longer: {"max_age": 2},
        "/api/*": {"max_age": 3},
        re.compile("/api/v1/.*"): {"max_age": 4},
        "/api/v1/users/*": {"max_age": 5},
        "/api": {"max_age": 6},
        "/api/v1": {"max_age": 7},
    }
    assert [own["max_age"] for _, own in read_resources(given_options)] == [7, 6, 4, 2, 5, 3, 1]


def test_ranks() -> None:
    """Paths are before compiled expressions, and those before others."""
    assert rank_of("/a") < rank_of(re.compile("/a/b/c")) < rank_of("/a/b/c/d/*")
    assert rank_of("/a/b") < rank_of("/aaaaaaaaaaaa")


@pytest.mark.parametrize(
    "value, said",
    [
        (5, "resources is 5, which is a int. It is a path such as '/api/*'"),
        (None, "resources is None"),
        ([5], "resources holds 5; it takes paths"),
        (re.compile(b"/x"), "takes paths such as '/api/*' and regular expressions for str"),
        ({"/x": "https://good.test"}, "resources['/x'] is 'https://good.test'; it is a dict of options"),
        ({5: {}}, "resources holds 5"),
    ],
)
def test_what_resources_may_not_be(value: Any, said: str) -> None:
    """Anything else is refused, with what to write."""
    with pytest.raises(CorsOptionError, match=re.escape(said)):
        read_resources(value)


def test_a_pattern_that_is_no_expression() -> None:
    """A string that looks like an expression and is none is refused, with the reason."""
    with pytest.raises(CorsOptionError, match=r"resources holds '/\(', which is no regular expression: missing \)"):
        compile_resource("/(")


@pytest.mark.parametrize(
    "path, plain",
    [
        ("/", True),
        ("/api/users/", True),
        ("/a+b/c d/é", True),
        ("/a..b/.c", True),
        ("", True),
        ("/api/../x", False),
        ("/api/..", False),
        ("/./x", False),
        ("/a//b", False),
        ("//a", False),
        ("/a\\..\\b", False),
        ("/a\0", False),
    ],
)
def test_plain_paths(path: str, plain: bool) -> None:
    """A path that somebody may normalise into another one is not plain."""
    assert is_plain(path) is plain
