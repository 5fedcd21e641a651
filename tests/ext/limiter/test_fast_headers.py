"""The headers that are written beforehand, which must be those of the long way."""

from __future__ import annotations

from typing import Any

import pytest
from werkzeug.datastructures import Headers as WerkzeugHeaders

from quaff import Quaff, Response
from quaff.errors import HeaderError
from quaff.ext.limiter import HeaderNames, Limiter
from quaff.ext.limiter.site import Site
from quaff.ext.limiter.util import get_remote_address
from tests.ext.limiter.apps import Clock, from_address


def build(limits: list[str], **options: Any) -> tuple[Quaff, Limiter]:
    """Return an app in the compiled pipeline, with headers, whose views are short."""
    app = Quaff("fast_headers", static_folder=None, compiled=True)
    limiter = Limiter(get_remote_address, app=app, default_limits=limits, headers_enabled=True, **options)
    app.add_url_rule("/", "index", lambda: "index")
    # The very first request looks at the server as well, and goes the long way.
    limiter.site.knows_server = True
    return app, limiter


def headers_of(app: Quaff, path: str = "/") -> list[tuple[str, str]]:
    """Return the headers of a request that are about limits, in their order."""
    response = app.test_client().get(path, **from_address("192.0.2.1"))
    return [(name, value) for name, value in response.headers if name not in {"Content-Type", "Content-Length"}]


@pytest.fixture
def slow_calls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Give a list that grows whenever headers are added the long way."""
    calls: list[int] = []
    original = Site.add_headers

    def add_headers(self: Site, context: Any, code: int, headers: Any) -> None:
        calls.append(code)
        original(self, context, code, headers)

    monkeypatch.setattr(Site, "add_headers", add_headers)
    return calls


WAYS: dict[str, dict[str, Any]] = {
    "one": {"limits": ["5/minute"]},
    "several": {"limits": ["5/minute", "9/hour"]},
    "application": {"limits": ["5/minute"], "application_limits": ["3/minute"]},
    "application alone": {"limits": [], "application_limits": ["3/minute"]},
    "other names": {
        "limits": ["5/minute"],
        "header_name_mapping": {HeaderNames.LIMIT: "X-Limit", HeaderNames.RETRY_AFTER: "X-Again"},
    },
}


@pytest.mark.parametrize("name", WAYS)
def test_they_are_those_of_the_long_way(name: str, monkeypatch: pytest.MonkeyPatch, slow_calls: list[int]) -> None:
    """Both ways write the same headers in the same order; only what breaks a limit goes the long way."""
    Clock(monkeypatch)
    app, _ = build(**WAYS[name])
    short = [headers_of(app) for _ in range(3)]
    assert slow_calls == []
    monkeypatch.setattr("quaff.ext.limiter.parts.is_fast", lambda *_: False)
    app, _ = build(**WAYS[name])
    assert [headers_of(app) for _ in range(3)] == short
    assert len(slow_calls) == 3


def test_a_response_that_says_something_already(slow_calls: list[int]) -> None:
    """A `Retry-After` of the view's is looked at, and one header of a name is sent."""
    app, _ = build(["5/minute"])
    app.add_url_rule("/later", "later", lambda: Response("later", headers={"Retry-After": "5000"}))
    app.add_url_rule("/own", "own", lambda: Response("own", headers={"x-ratelimit-limit": "7"}))
    assert dict(headers_of(app, "/later"))["Retry-After"] in {"5000", "4999"}
    own = WerkzeugHeaders(headers_of(app, "/own"))
    assert own.getlist("X-RateLimit-Limit") == ["5"]
    assert slow_calls == [200, 200]


def test_a_breach_goes_the_long_way(slow_calls: list[int]) -> None:
    """A 429 has the headers of the limit that was broken."""
    app, _ = build(["1/minute"])
    headers_of(app)
    assert dict(headers_of(app))["X-RateLimit-Remaining"] == "0"
    assert slow_calls == [429]


def test_a_window_that_ends_meanwhile(monkeypatch: pytest.MonkeyPatch, slow_calls: list[int]) -> None:
    """When the window ends while the view runs, all of the limit is free again."""
    clock = Clock(monkeypatch)
    app, _ = build(["5/minute"])
    app.add_url_rule("/slow", "slow", lambda: clock.forward(61) or "slow")
    found = dict(headers_of(app, "/slow"))
    assert (found["X-RateLimit-Remaining"], found["Retry-After"]) == ("5", "1")
    assert found["RateLimit"] == '"5-per-60";r=5;t=0'
    assert slow_calls == []


def test_dates_go_the_long_way(slow_calls: list[int]) -> None:
    """A date in `Retry-After` is written by what writes dates."""
    app, _ = build(["5/minute"], retry_after="http-date")
    assert dict(headers_of(app))["Retry-After"].endswith("GMT")
    assert slow_calls == [200]


def test_without_the_new_headers() -> None:
    """`RATELIMIT_HEADERS_IETF = False` leaves the two new ones out."""
    app, _ = build(["5/minute"])
    app.config["RATELIMIT_HEADERS_IETF"] = False
    assert not {name for name, _ in headers_of(app)} & {"RateLimit", "RateLimit-Policy"}


def test_a_name_that_cannot_be_sent_is_an_error_at_once() -> None:
    """A header name with a space in it is refused when the route is compiled."""
    app, _ = build(["5/minute"], header_name_mapping={HeaderNames.LIMIT: "X Limit"})
    with pytest.raises(HeaderError, match="X Limit"):
        app.check_batteries()


def test_somebody_who_asked_is_told_the_same(slow_calls: list[int]) -> None:
    """Once a view has asked for its limits, the long way has them at hand."""
    app, limiter = build(["5/minute"])
    app.add_url_rule("/asks", "asks", lambda: str(limiter.current_limit.remaining))  # type: ignore[union-attr]  # there is one
    assert dict(headers_of(app, "/asks"))["X-RateLimit-Remaining"] == "4"
    assert slow_calls == [200]
