"""A limiter on one app, step by step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from quaff import Quaff, current_app
from quaff.ext.limiter import Limiter
from quaff.ext.limiter.context import LimiterContext
from quaff.ext.limiter.site import Site
from tests.ext.limiter.apps import both_pipelines, limited_app, make_app, statuses


def site_of(app: Quaff, limiter: Limiter) -> Site:
    """Return the part of a limiter for an app."""
    site = limiter.find_site(app)
    assert site is not None
    return site


def test_settings_are_read_when_something_changed() -> None:
    """Settings are read anew after a change of the app, not with each request."""
    app, limiter = limited_app(True, "1/minute")
    site = site_of(app, limiter)
    before = site.settings
    site.refresh()
    assert site.settings is before
    app.config["RATELIMIT_HEADERS_ENABLED"] = True
    site.refresh()
    assert site.settings is not before
    assert site.settings.headers_enabled


@pytest.mark.parametrize(
    "change, keeps",
    [
        ({"RATELIMIT_DEFAULT": "5/minute"}, True),
        ({"RATELIMIT_ON_STORE_FAILURE": "fail_open"}, True),
        ({"RATELIMIT_STRATEGY": "moving-window"}, False),
        ({"RATELIMIT_STORAGE_OPTIONS": {"max_keys": 5}}, False),
        ({"RATELIMIT_STORAGE_URI": "redis://127.0.0.1:1"}, False),
    ],
)
def test_when_the_store_is_another(change: dict[str, Any], keeps: bool) -> None:
    """Counts are kept unless it is the store or the way of counting that changed."""
    app, limiter = limited_app(True, "1/minute")
    before = site_of(app, limiter).backend
    app.config.update(change)
    assert (site_of(app, limiter).backend is before) is keeps


def test_the_app_is_held_weakly() -> None:
    """A site knows its app, and does not keep it."""
    app, limiter = limited_app(True, "1/minute")
    assert site_of(app, limiter).app is app
    assert site_of(app, limiter).facts.app is app


def test_names_are_the_same_in_each_worker() -> None:
    """Each limiter of a process has a name of its own, made of the app's and of how many there were before."""
    apps = [limited_app(True, "1/minute") for _ in range(2)]
    names = [site_of(*pair)._name for pair in apps]
    one, two = (name.split("\n") for name in names)
    assert one[0] == two[0] == apps[0][0].import_name
    assert int(two[1]) == int(one[1]) + 1


@both_pipelines
def test_a_state_for_each_request(compiled: bool) -> None:
    """Each request has its own state, and each limiter its own in it."""
    app = make_app(compiled)
    one = Limiter(app=app, default_limits=["5/minute"])
    two = Limiter(app=app, default_limits=["7/minute"])
    app.add_url_rule("/", "index", lambda: f"{one.current_limit} {two.current_limit}")
    client = app.test_client()
    assert client.get("/").text == "<RequestLimit 5 per 1 minute> <RequestLimit 7 per 1 minute>"
    with client:
        client.get("/")
        first = one.context
        client.get("/")
        assert one.context is not first
        assert one.context is not two.context


def test_a_request_that_did_not_come_through_the_pipeline() -> None:
    """A request that a test pushes gets a state when somebody asks, with the limits of its route."""
    app, limiter = limited_app(True, "5/minute")
    with app.test_request_context("/other", method="HEAD"):
        state = limiter.context
        assert isinstance(state, LimiterContext)
        assert (state.plan.endpoint, state.plan.method, state.shown) == ("other", "HEAD", None)
    with app.test_request_context("/missing"):
        assert limiter.context.plan.endpoint == ""


def test_plans_of_such_requests_are_few() -> None:
    """SECURITY: methods that clients think of leave one plan for what matches no route."""
    app, limiter = limited_app(True, "5/minute")
    for number in range(50):
        with app.test_request_context("/missing", method=f"X{number}"):
            _ = limiter.context
    assert len(site_of(app, limiter)._plans) == 1


@pytest.mark.parametrize("registered_first", [True, False])
@both_pipelines
def test_the_hook(compiled: bool, registered_first: bool) -> None:
    """A before_request function is registered only where the app had some before."""
    app = make_app(compiled)
    seen: list[str] = []
    hook: Callable[[], None] = lambda: seen.append(current_app.name)  # noqa: E731 - registered before or after
    if registered_first:
        app.before_request(hook)
    limiter = Limiter(lambda: "key" if seen else "", app=app, default_limits=["1/minute"])
    if not registered_first:
        app.before_request(hook)
    app.add_url_rule("/", "index", lambda: "index")
    assert site_of(app, limiter).has_hook is registered_first
    # Where the hook came later, the first request counts for nobody.
    assert statuses(app, times=3) == ([200, 429, 429] if registered_first else [200, 200, 429])


@both_pipelines
def test_headers_that_cannot_be_made(compiled: bool, monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    """An error while headers are made is a 500, or with `swallow_errors` a line in the log."""
    for swallow, status in ((True, 200), (False, 500)):
        app, _ = limited_app(compiled, "5/minute", headers_enabled=True, swallow_errors=swallow)
        app.config["PROPAGATE_EXCEPTIONS"] = False
        with monkeypatch.context() as patch:
            patch.setattr("quaff.ext.limiter.site.put_headers", lambda *args: 1 / 0)
            assert statuses(app) == [status]
    assert "Failed to update rate limit headers. Swallowing error" in caplog.text
