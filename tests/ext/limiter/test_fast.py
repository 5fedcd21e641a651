"""The shortest way through a limiter, which must be told from the long one by nobody."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quaff import Quaff, Request
from quaff.ext.limiter import Limiter, MetaLimit
from quaff.ext.limiter.fast import is_fast
from tests.ext.limiter.apps import Clock, both_pipelines, from_address, limited_app, make_app
from tests.ext.limiter.test_plans import plan_of


def goes_fast(app: Quaff, limiter: Limiter, endpoint: str = "index") -> bool:
    """Tell whether requests to an endpoint go the short way."""
    plan = plan_of(app, limiter, endpoint)
    backend = limiter.site.backend
    assert backend is not None
    return is_fast(plan, backend, (*plan.first, *plan.second))


def test_the_usual_limits_go_fast() -> None:
    """Fixed windows in memory, by address, with nothing special, go the short way; headers do not matter."""
    assert goes_fast(*limited_app(True, "1/minute;2/hour", application_limits=["5/minute"], headers_enabled=True))


@pytest.mark.parametrize(
    "options",
    [
        {"strategy": "moving-window"},
        {"strategy": "sliding-window-counter"},
        {"storage_uri": "redis://127.0.0.1:1"},
        {"fail_on_first_breach": False},
        {"swallow_errors": True},
        {"meta_limits": ["1/day"]},
        {"meta_limits": [lambda: "1/day"]},
        {"in_memory_fallback": ["1/day"]},
        {"default_limits_cost": lambda: 1},
        {"default_limits_deduct_when": lambda response: True},
        {"request_identifier": lambda: "x"},
    ],
)
def test_what_does_not(options: dict[str, Any]) -> None:
    """All else goes the long way."""
    assert not goes_fast(*limited_app(True, "1/minute", **options))


def test_what_does_not_by_its_limits() -> None:
    """So do limits with meta limits or a scope function, requests of a class of the app's own, and no limits."""
    app, limiter = limited_app(True, "1/minute")
    app.add_url_rule("/meta", "meta", limiter.limit("1/minute", meta_limits=[MetaLimit("1/day")])(lambda: "t"))
    app.add_url_rule("/scope", "scope", limiter.limit("1/minute", scope=lambda endpoint: "x")(lambda: "t"))
    app.add_url_rule("/free", "free", limiter.exempt(lambda: "t"))
    assert not any(goes_fast(app, limiter, endpoint) for endpoint in ("meta", "scope", "free"))

    class Own(Request):
        remote_addr = "203.0.113.1"  # type: ignore[assignment]  # a constant will do

    app.request_class = Own
    assert not goes_fast(app, limiter)


def _pair() -> list[tuple[Quaff, Limiter]]:
    """Return two apps alike, one of which goes the short way and one the long way."""
    pairs = []
    for is_long in (False, True):
        app = make_app(RATELIMIT_IPV6_PREFIX=64)
        # A meta limit that nobody reaches is all that keeps a request from the short way.
        limiter = Limiter(
            app=app,
            default_limits=["3/minute;5/hour"],
            application_limits=["7/minute"],
            headers_enabled=True,
            meta_limits=["1000000/day"] if is_long else [],
        )
        app.add_url_rule("/default", "default", lambda: "default")
        app.add_url_rule("/own", "own", limiter.limit("2/minute;4/hour", cost=1)(lambda: "own"))
        beside = limiter.limit("4/minute", override_defaults=False, scope="s")(lambda: "beside")
        app.add_url_rule("/beside", "beside", beside)
        app.add_url_rule("/shared", "shared", limiter.shared_limit("3/minute", "all", cost=2)(lambda: "shared"))
        app.add_url_rule("/view", "view", view_of(limiter))
        pairs.append((app, limiter))
    return pairs


def view_of(limiter: Limiter) -> Any:
    """Return a view that tells what it knows of its limits."""

    def view() -> dict[str, Any]:
        return {
            "limits": [
                (str(limit.limit), limit.remaining, limit.reset_at, limit.key) for limit in limiter.current_limits
            ],
            "shown": str(limiter.current_limit),
        }

    return view


REQUESTS = st.lists(
    st.tuples(
        st.sampled_from(["/default", "/own", "/beside", "/shared", "/view"]),
        st.sampled_from(["192.0.2.1", "2001:db8::1", "2001:db8::2", "2001:db8:1::1", ""]),
        st.sampled_from([0.0, 0.5, 20.0, 61.0]),
    ),
    max_size=40,
)


@settings(max_examples=40, deadline=None)
@given(REQUESTS)
def test_nobody_can_tell(requests: list[tuple[str, str, float]]) -> None:
    """Whatever is asked for, by whom and when, both ways answer alike: status, body and headers."""
    with pytest.MonkeyPatch.context() as patch:
        clock = Clock(patch)
        clients = [app.test_client() for app, _ in _pair()]
        for path, address, pause in requests:
            clock.forward(pause)
            fast, slow = [client.get(path, **from_address(address)) for client in clients]
            assert (fast.status_code, fast.data) == (slow.status_code, slow.data)
            assert list(fast.headers) == list(slow.headers)


@both_pipelines
def test_a_breach(compiled: bool, caplog: pytest.LogCaptureFixture) -> None:
    """A breach on the short way is logged as on the long one."""
    caplog.set_level(logging.INFO)
    app, limiter = limited_app(compiled, "1/minute")
    assert goes_fast(app, limiter)
    client = app.test_client()
    assert [client.get("/", **from_address("2001:db8::1")).status_code for _ in range(2)] == [200, 429]
    assert caplog.messages == ["ratelimit 1 per 1 minute (2001:db8::1) exceeded at endpoint: index"]


@both_pipelines
def test_state_is_made_when_asked_for(compiled: bool) -> None:
    """What a request left behind becomes a state when somebody asks, once."""
    app, limiter = limited_app(compiled, "5/minute")
    with app.test_client() as client:
        client.get("/")
        state = limiter.context
        assert state is limiter.context
        assert [str(limit.limit) for limit in state.limits] == ["5 per 1 minute"]
        assert state.limits[0].remaining == 4


@both_pipelines
def test_a_strange_address(compiled: bool) -> None:
    """SECURITY: an address that is none is counted like any other, and takes little room."""
    app, limiter = limited_app(compiled, "2/minute")
    client = app.test_client()
    for address in ("x" * 10_000, "\xff", "::1%eth0"):
        assert [client.get("/", **from_address(address)).status_code for _ in range(3)] == [200, 200, 429]
    assert all(len(key) < 300 for key in limiter.storage._windows)
