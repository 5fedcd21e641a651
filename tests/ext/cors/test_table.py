"""Which policy a route has: decided by its rule where that says enough, else by the path of the request."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.routing import Rule

from quaff.ext.cors.policy import KNOWN_MAX, Policy
from quaff.ext.cors.problems import CorsOptionError
from quaff.ext.cors.resources import compile_resource
from quaff.ext.cors.table import NO_POLICY, ByPath, Entry, PolicyTable, snapshot

A, B, C = "https://a.test", "https://b.test", "https://c.test"


def table(*resources: Any, config: dict[str, Any] | None = None, scope: str | None = None) -> PolicyTable:
    """Return the table of an app with one `CORS` object for each of *resources*."""
    return PolicyTable([Entry(scope, ({"resources": each},)) for each in resources], config or {})


def name(policy: Policy | None) -> str | None:
    """Return the one origin of a policy, by which the tests tell them apart."""
    return None if policy is None else policy.settings.origins.literals[0]


def at(choice: ByPath, path: str) -> str | None:
    """Return the origin that is let in at a path."""
    return name(choice.policy_at({"PATH_INFO": path}))


def origin(value: str) -> dict[str, str]:
    """Return the options of a resource."""
    return {"origins": value}


@pytest.mark.parametrize(
    "rule, expected",
    [
        ("/api/users", A),
        ("/api/users/<int:id>", A),
        ("/api/<path:rest>", A),
        ("/api/", A),
        ("/api", A),
        ("/apiary", None),
        ("/", None),
        ("/other/<x>", None),
    ],
)
def test_a_rule_decides(rule: str, expected: str | None) -> None:
    """Where all paths of a rule have one policy it is known before any request, and no path is looked at."""
    choice = table({"/api/*": origin(A)}).choose(Rule(rule, endpoint="x"), [])
    assert choice.is_decided
    assert name(choice.everywhere) == expected
    assert choice.is_empty is (expected is None)


def test_a_path_decides_where_the_rule_does_not() -> None:
    """A rule that is partly within a resource has the policy of each path, compared decoded once and in its own case."""
    choice = table({"/api/*": origin(A), "/café": origin(B), "/a+b": origin(C)}).choose(
        Rule("/<path:rest>", endpoint="x"), []
    )
    assert not choice.is_decided
    assert not choice.is_empty
    paths = ["/api/x", "/API/x", "/caf\xc3\xa9", "/a+b", "/a b", "/caf%c3%a9", "/other"]
    assert [at(choice, path) for path in paths] == [A, None, B, C, None, None, None]
    assert at(choice, "/api/x") == A


@pytest.mark.parametrize("path", ["/api/../admin", "/api/./x", "/api//x", "/api/..", "/api/a\\..\\b", "/api/\0"])
def test_paths_that_may_be_normalised_have_no_policy(path: str) -> None:
    """CVE-2020-25032: a path that somebody may take for another one is within nothing."""
    choice = table({"/api/*": origin(A)}).choose(Rule("/<path:rest>", endpoint="x"), [])
    assert at(choice, "/api/x") == A
    assert at(choice, path) is None


def test_the_same_policy_on_all_paths_is_decided() -> None:
    """Resources that say the same need no look at the path, however their paths overlap."""
    choice = table({"/x/a": origin(A), "/x/*": origin(A)}).choose(Rule("/x/<y>", endpoint="x"), [])
    assert name(choice.everywhere) == A
    undecided = table({"/x/a": origin(A)}).choose(Rule("/x/<y>", endpoint="x"), [])
    assert undecided.everywhere is None
    assert (at(undecided, "/x/a"), at(undecided, "/x/b")) == (A, None)


def test_the_most_specific_resource_decides() -> None:
    """CVE-2024-6839: a path before an expression, more segments before fewer, whatever the order and the object."""
    made = table({"/*": origin(C)}, {"/api/v1/*": origin(B)}, {"/api/*": origin(C), "/api/v1/users": origin(A)})
    assert name(made.choose(Rule("/api/v1/users", endpoint="x"), []).everywhere) == A
    assert name(made.choose(Rule("/api/v1/other", endpoint="x"), []).everywhere) == B
    choice = made.choose(Rule("/api/v1/<x>", endpoint="x"), [])
    assert (at(choice, "/api/v1/users"), at(choice, "/api/v1/other")) == (A, B)


def test_a_longer_expression_is_not_more_specific() -> None:
    """CVE-2024-6839: the restrictive resource is not passed over because an expression is longer than it."""
    made = table({"/api/admin": origin(A), re.compile("/api/(?:.*)(?:.*)(?:.*)"): origin(B)})
    assert name(made.choose(Rule("/api/admin", endpoint="x"), []).everywhere) == A


def test_of_equals_the_last_one_counts() -> None:
    """Of two objects with the same resource, the one that was set up last decides."""
    made = table({"/api/*": origin(A)}, {"/api/*": origin(B)})
    assert name(made.choose(Rule("/api/x", endpoint="x"), []).everywhere) == B


def test_contradictions_are_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """Two resources that are equally specific and disagree on a rule get one warning with both names."""
    made = table({"/api/a*": origin(A)}, {"/api/a*": origin(B)})
    for _ in range(2):
        made.choose(Rule("/api/abc", endpoint="x"), [])
    made.choose(Rule("/api/b", endpoint="x"), [])
    (record,) = caplog.records
    assert "'/api/abc' is within the resources '/api/a*' and '/api/a*'" in record.getMessage()


def test_agreement_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    """The same said twice is no contradiction."""
    table("/api/*", "/api/*").choose(Rule("/api/abc", endpoint="x"), [])
    assert not caplog.records


def test_requests_without_a_rule() -> None:
    """A 404 or 405 has the policy of its path; with `/*` that is known beforehand."""
    assert table("/*").choose(None, []).is_decided
    choice = table({"/api/*": origin(A)}).choose(None, [])
    assert (at(choice, "/api/missing"), at(choice, "/missing")) == (A, None)


def test_blueprints_come_first() -> None:
    """The innermost blueprint decides where it has a resource for the path, then the outer one, then the app."""
    entries = [
        Entry(None, ({"resources": {"/*": origin(C)}},)),
        Entry("outer", ({"resources": {"/x/*": origin(B)}},)),
        Entry("outer.inner", ({"resources": {"/x/y/*": origin(A)}},)),
    ]
    made = PolicyTable(entries, {})
    names = ["outer.inner", "outer"]
    assert name(made.choose(Rule("/x/y/z", endpoint="outer.inner.v"), names).everywhere) == A
    assert name(made.choose(Rule("/x/z", endpoint="outer.inner.v"), names).everywhere) == B
    assert name(made.choose(Rule("/z", endpoint="outer.inner.v"), names).everywhere) == C
    assert name(made.choose(Rule("/x/y/z", endpoint="v"), []).everywhere) == C
    choice = made.choose(Rule("/x/<path:rest>", endpoint="outer.inner.v"), names)
    assert (at(choice, "/x/y/z"), at(choice, "/x/z")) == (A, B)


def test_options_come_from_everywhere() -> None:
    """The resource's own options win over the arguments, those over the configuration, and that over the defaults."""
    entry = Entry(None, ({"resources": {"/x": {"origins": A}, "/y": {}}, "origins": B, "max_age": 1}, {"max_age": 2}))
    made = PolicyTable([entry], {"CORS_EXPOSE_HEADERS": "X-A", "CORS_ORIGINS": C, "CORS_MAX_AGE": 3})
    for path, expected in (("/x", A), ("/y", B)):
        policy = made.choose(Rule(path, endpoint="x"), []).everywhere
        assert policy is not None
        assert (name(policy), policy.settings.max_age, policy.settings.expose_headers) == (expected, "2", "X-A")


def test_resources_may_come_from_the_configuration() -> None:
    """`CORS_RESOURCES` is the option of that name."""
    made = PolicyTable([Entry(None, ({},))], {"CORS_RESOURCES": {"/api/*": origin(A)}})
    assert name(made.choose(Rule("/api/x", endpoint="x"), []).everywhere) == A
    assert made.choose(Rule("/x", endpoint="x"), []).is_empty


def test_errors_say_where() -> None:
    """What cannot be right names the resource that it belongs to."""
    with pytest.raises(CorsOptionError, match=r"^CORS for '/api/\*': supports_credentials with origins"):
        table({"/api/*": {"supports_credentials": True}})
    with pytest.raises(CorsOptionError, match=r"^CORS for '/x': supports_credentials"):
        table({re.compile("/x"): {"supports_credentials": True}})


def test_compat_is_read() -> None:
    """Names in `COMPAT` reach the settings and the resources."""
    made = table({"/api/*": origin(A)}, config={"COMPAT": ("cors-prefix-match",)})
    assert name(made.choose(Rule("/apiary", endpoint="x"), []).everywhere) == A


def test_suspicious_origins_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    """An origin that can never match is told of when the table is made."""
    table({"/x": origin("https://a.test/")})
    assert "has a path" in caplog.text


def test_paths_are_remembered_within_bounds() -> None:
    """However many paths a client makes up, and however long, only so many are kept."""
    choice = table({"/api/*": origin(A)}).choose(None, [])
    for number in range(KNOWN_MAX + 5):
        assert at(choice, f"/api/{number}") == A
    assert at(choice, "/api/" + "x" * 10_000) == A
    assert len(choice._known) == 5


def test_nothing_for_nobody() -> None:
    """Without resources no path has a policy."""
    assert NO_POLICY.is_empty
    assert NO_POLICY.policy_at({"PATH_INFO": "/"}) is None
    assert PolicyTable([], {}).choose(Rule("/", endpoint="x"), []) is NO_POLICY


def test_a_snapshot_notices_changes_inside() -> None:
    """A list in the configuration that is changed in place is a change, and so is `COMPAT`; other keys are none."""
    config: dict[str, Any] = {"CORS_ORIGINS": [A], "X": 1, "COMPAT": (), "CORS_RESOURCES": {re.compile("/x"): {}}}
    before = snapshot(config)
    config["X"] = 2
    assert snapshot(config) == before
    config["CORS_ORIGINS"].append(B)
    assert snapshot(config) != before


SEGMENTS = st.sampled_from(["a", "b", "api", "v1", "<x>", "<int:n>", "<path:p>"])
PATTERNS = st.sampled_from(["/*", "/a/*", "/a*", "/api/v1", "/api/*", r"/a/\w+", r"/.*/v1$", "/b/a", r"/(a|b)/api"])


@given(
    st.lists(SEGMENTS, min_size=1, max_size=4, unique=True),
    st.lists(PATTERNS, min_size=1, max_size=5, unique=True),
    st.lists(st.sampled_from(["a", "b", "api", "v1", "1", "zz"]), min_size=4, max_size=4),
)
def test_what_a_rule_decides_is_what_its_paths_say(segments: list[str], patterns: list[str], values: list[str]) -> None:
    """Whatever the rule, the resources and the path: deciding early gives what comparing the path would have given."""
    origins = {pattern: f"https://o{index}.test" for index, pattern in enumerate(patterns)}
    choice = table({pattern: origin(origins[pattern]) for pattern in patterns}).choose(
        Rule("/" + "/".join(segments), endpoint="x"), []
    )
    path = "/" + "/".join(
        value if segment.startswith("<") else segment for segment, value in zip(segments, values, strict=False)
    )
    resources = sorted((compile_resource(pattern) for pattern in patterns), key=lambda resource: resource.rank)
    expected = next((origins[str(resource.pattern)] for resource in resources if resource.matches(path)), None)
    assert at(choice, path) == expected
