"""The headers that tell what is left."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from limits import parse, parse_many

from quaff.ext.limiter.context import RequestLimit
from quaff.ext.limiter.headers import (
    ietf_limit,
    ietf_policy,
    later_of,
    limit_headers,
    policy_name,
    put_headers,
    size_of,
)
from quaff.ext.limiter.verdict import Outcome
from quaff.headers import Headers
from tests.ext.limiter.apps import Clock, both_pipelines, limited_app
from tests.ext.limiter.test_settings import read

ITEM = parse("5/minute")


def shown_of(clock: Clock, remaining: int = 3, left: float = 42.0, text: str = "5/minute") -> RequestLimit:
    """Return a limit of which so much is left for so many seconds."""
    shown = RequestLimit(None, parse(text), ("someone", "index"), False, False)
    shown.know(Outcome(True, remaining, clock.wall + left), 0)
    return shown


def headers_of(clock: Clock, existing: str | None = None, **config: Any) -> dict[str, str]:
    """Return the headers for a limit of which three are left for 42 seconds."""
    shown = shown_of(clock)
    return dict(limit_headers(shown, [shown], read(**config), existing))


def test_all_of_them(clock: Clock) -> None:
    """A response tells the limit, what is left of it, when it is reset, and both IETF headers."""
    assert headers_of(clock) == {
        "X-RateLimit-Limit": "5",
        "X-RateLimit-Remaining": "3",
        "X-RateLimit-Reset": str(int(clock.wall + 43)),
        "Retry-After": "43",
        "RateLimit-Policy": '"5-per-60";q=5;w=60',
        "RateLimit": '"5-per-60";r=3;t=42',
    }


def test_without_ietf(clock: Clock) -> None:
    """The IETF headers can be switched off."""
    assert set(headers_of(clock, HEADERS_IETF=False)) == {
        "X-RateLimit-Limit",
        "X-RateLimit-Remaining",
        "X-RateLimit-Reset",
        "Retry-After",
    }


def test_other_names(clock: Clock) -> None:
    """The extension's headers can have other names."""
    found = headers_of(clock, HEADER_LIMIT="A", HEADER_REMAINING="B", HEADER_RESET="C", HEADER_RETRY_AFTER="D")
    assert {"A", "B", "C", "D", "RateLimit", "RateLimit-Policy"} == set(found)


def test_a_date(clock: Clock) -> None:
    """`Retry-After` may be a date."""
    date = datetime.fromtimestamp(int(clock.wall + 43), UTC)
    assert headers_of(clock, HEADER_RETRY_AFTER_VALUE="http-date")["Retry-After"] == date.strftime(
        "%a, %d %b %Y %X GMT"
    )


@pytest.mark.parametrize(
    "existing, seconds",
    [
        (None, 43),
        ("10", 43),
        ("1000", 1000),
        ("Wed, 15 Nov 2023 00:00:00 GMT", 1_700_006_400 - 1_700_000_000),
        ("Wed, 15 Nov 2000 00:00:00 GMT", 43),
        ("soon", 43),
        ("-5", 43),
        ("1.5", 43),
        ("", 43),
    ],
)
def test_a_retry_after_of_the_view(existing: str | None, seconds: int, clock: Clock) -> None:
    """A `Retry-After` that is there already stays if it is later, as seconds or as a date; what is neither is ignored."""
    assert headers_of(clock, existing)["Retry-After"] == str(seconds)


@given(st.text(max_size=40))
def test_no_retry_after_breaks_anything(existing: str) -> None:
    """Whatever a view has put there, there is an answer, and it is not before the reset."""
    assert later_of(existing, 1_700_000_043, 1_700_000_000.0) >= 1_700_000_043


def test_several_policies(clock: Clock) -> None:
    """All limits that were looked at are policies, each size once; what is left is told of the one that matters."""
    items = parse_many("1/second; 5/minute; 60 per 60 second; 5 per 1 minute")
    limits = [RequestLimit(None, item, (), False, False) for item in items]
    found = dict(limit_headers(shown_of(clock), limits, read(), None))
    assert found["RateLimit-Policy"] == '"1-per-1";q=1;w=1, "5-per-60";q=5;w=60, "60-per-60";q=60;w=60'
    assert found["RateLimit"].startswith('"5-per-60"')


# RFC: 9651 sections 3.1 and 4.1: a list of strings with integer parameters.
_ITEM = re.compile(r'"(?P<name>[0-9]+-per-[0-9]+)"(?:;[a-z]+=[0-9]{1,15})+')


@given(
    st.lists(st.tuples(st.integers(1, 10**9), st.integers(1, 10**8)), min_size=1, max_size=5),
    st.integers(0, 10**9),
    st.floats(0, 1e9),
)
def test_structured_fields(sizes: list[tuple[int, int]], remaining: int, left: float) -> None:
    """RFC: 9651: both IETF headers are lists of strings with parameters, and the limit is one of the policies."""
    policies = ietf_policy(tuple(sizes)).split(", ")
    names = [match["name"] for match in map(_ITEM.fullmatch, policies) if match]
    assert len(names) == len(policies) == len(set(sizes))
    limit = _ITEM.fullmatch(ietf_limit(sizes[0], remaining, left, 0.0))
    assert limit
    assert limit["name"] in names
    assert policy_name(sizes[0]) == f'"{limit["name"]}"'


def test_size() -> None:
    """The size of a limit is how much in how many seconds."""
    assert size_of(parse("10 per 2 hours")) == (10, 7200)


def test_they_are_set_not_added(clock: Clock) -> None:
    """A header that is there, of a view or of an upstream that is passed on, is replaced: two would contradict."""
    headers = Headers([("X-RateLimit-Limit", "1"), ("X-Other", "1"), ("retry-after", "500")])
    shown = shown_of(clock)
    put_headers(headers, shown, [shown], read())
    assert headers.getlist("X-RateLimit-Limit") == ["5"]
    assert headers.getlist("Retry-After") == ["500"]
    assert headers["X-Other"] == "1"


# On an app ---------------------------------------------------------------------------------------------------------------


@both_pipelines
def test_on_each_response(compiled: bool, clock: Clock) -> None:
    """With headers enabled, each response of a limited route has them, refused or not; others have none."""
    app, limiter = limited_app(compiled, "2/minute", headers_enabled=True)
    app.add_url_rule("/free", "free", limiter.exempt(lambda: "free"))
    client = app.test_client()
    found = [client.get("/").headers for _ in range(3)]
    assert [headers["X-RateLimit-Remaining"] for headers in found] == ["1", "0", "0"]
    assert [headers["RateLimit"] for headers in found] == ['"2-per-60";r=1;t=60', *['"2-per-60";r=0;t=60'] * 2]
    for path in ("/free", "/missing"):
        assert not [name for name, _ in client.get(path).headers if "ratelimit" in name.lower()]


@both_pipelines
def test_off_by_default(compiled: bool) -> None:
    """Without the setting no response says anything."""
    app, _ = limited_app(compiled, "1/minute")
    client = app.test_client()
    for _ in range(2):
        assert not [name for name, _ in client.get("/").headers if "rate" in name.lower() or name == "Retry-After"]


@both_pipelines
def test_error_pages_have_them(compiled: bool) -> None:
    """A response of an error handler, and of a view that fails, has them as well."""
    app, _ = limited_app(compiled, "2/minute", headers_enabled=True)
    app.config["PROPAGATE_EXCEPTIONS"] = False
    app.errorhandler(429)(lambda error: ("slow down", 429))
    app.add_url_rule("/fail", "fail", lambda: 1 / 0)
    client = app.test_client()
    assert [client.get("/fail").headers["X-RateLimit-Remaining"] for _ in range(3)] == ["1", "0", "0"]


@both_pipelines
def test_the_narrowest_limit_is_told(compiled: bool, clock: Clock) -> None:
    """Of several limits the one with the smallest window is told, the application's only where there is no other."""
    app, limiter = limited_app(compiled, application_limits=["60/second"], headers_enabled=True)
    app.add_url_rule("/t", "t", limiter.limit("10/hour;2/second;5/minute")(lambda: "t"))
    client = app.test_client()
    assert client.get("/").headers["X-RateLimit-Limit"] == "60"
    assert client.get("/t").headers["X-RateLimit-Limit"] == "2"
    assert (
        client.get("/t").headers["RateLimit-Policy"]
        == '"2-per-1";q=2;w=1, "5-per-60";q=5;w=60, "10-per-3600";q=10;w=3600'
    )
