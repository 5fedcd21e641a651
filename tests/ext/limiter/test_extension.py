"""`Limiter`: apps, factories, what it tells, and what it refuses."""

from __future__ import annotations

import gc
import logging
import weakref
from typing import Any

import pytest
from limits.errors import ConfigurationError
from limits.strategies import MovingWindowRateLimiter

import quaff.ext.limiter as package
from quaff import Blueprint, Quaff, request
from quaff.ext.limiter import Limiter, RateLimitExceeded
from quaff.ext.limiter.memory import MemoryStorage
from quaff.ext.limiter.util import get_remote_address
from tests.ext.limiter.apps import Clock, both_pipelines, limited_app, make_app, statuses, user_name


def test_names() -> None:
    """The package has the extension's names, and its version."""
    names = (
        "ApplicationLimit ExemptionScope HeaderNames Limit Limiter MetaLimit RateLimitExceeded RequestLimit RouteLimit"
    )
    assert set(names.split()) <= set(package.__all__)
    assert all(hasattr(package, name) for name in package.__all__)
    assert package.__version__ == "4.1.1"


def test_under_the_alias() -> None:
    """The extension's modules are those of this one."""
    from quaff.compat.aliases import real_name

    assert real_name("flask_limiter") == "quaff.ext.limiter"
    for module in ("util", "constants", "errors", "commands", "contrib.util"):
        assert real_name(f"flask_limiter.{module}") == f"quaff.ext.limiter.{module}"


# Apps --------------------------------------------------------------------------------------------------------------------


@both_pipelines
def test_by_a_factory(compiled: bool) -> None:
    """One limiter may serve several apps, which count apart, each with its own config."""
    limiter = Limiter(get_remote_address, default_limits=["2/minute"])
    apps = []
    for config in ({}, {"RATELIMIT_HEADERS_ENABLED": True}):
        app = make_app(compiled, **config)
        limiter.init_app(app)
        app.add_url_rule("/", "index", lambda: "index")
        apps.append(app)
    assert [statuses(app, times=3) for app in apps] == [[200, 200, 429]] * 2
    assert ["RateLimit" in app.test_client().get("/").headers for app in apps] == [False, True]


@both_pipelines
def test_config_after_init_app(compiled: bool) -> None:
    """Config may be set before `init_app`, after it, and while the app serves; counts go on."""
    app = make_app(compiled)
    limiter = Limiter(app=app)
    app.add_url_rule("/", "index", lambda: "index")
    assert statuses(app, times=3) == [200] * 3
    app.config["RATELIMIT_DEFAULT"] = "5/minute"
    assert statuses(app, times=3) == [200] * 3
    app.config["RATELIMIT_HEADERS_ENABLED"] = True
    assert app.test_client().get("/").headers["X-RateLimit-Remaining"] == "1"
    app.config["RATELIMIT_STRATEGY"] = "moving-window"
    assert app.test_client().get("/").headers["X-RateLimit-Remaining"] == "4"
    assert isinstance(limiter.limiter, MovingWindowRateLimiter)


def test_twice_on_one_app() -> None:
    """An app that is given twice is limited once."""
    app, limiter = limited_app(True, "2/minute")
    limiter.init_app(app)
    assert app.batteries.count(limiter) == 1
    assert app.extensions["limiter"] == {limiter}
    assert statuses(app, times=3) == [200, 200, 429]


def test_an_app_can_go() -> None:
    """An app is freed as soon as nobody refers to it, though its limiter lives on."""
    limiter = Limiter(default_limits=["1/minute"])

    def use() -> weakref.ref[Quaff]:
        app = make_app()
        limiter.init_app(app)
        app.add_url_rule("/", "index", lambda: "index")
        assert statuses(app, times=2) == [200, 429]
        return weakref.ref(app)

    reference = use()
    gc.collect()
    assert reference() is None
    assert not limiter.initialized
    assert limiter.app is None


@both_pipelines
def test_switched_off(compiled: bool) -> None:
    """A limiter is switched off by its argument, by the config, or at any time by its attribute."""
    app, limiter = limited_app(compiled, "1/minute", enabled=False)
    app.add_url_rule("/t", "t", limiter.limit("1/minute")(lambda: "t"))
    assert not limiter.enabled
    assert statuses(app, times=3) == statuses(app, "/t", times=3) == [200] * 3
    limiter.enabled = True
    assert statuses(app, times=2) == statuses(app, "/t", times=2) == [200, 429]
    limiter.enabled = False
    assert statuses(app, times=3) == statuses(app, "/t", times=3) == [200] * 3


@both_pipelines
def test_switched_off_by_the_config(compiled: bool) -> None:
    """A config that switches it off goes before the argument, and what else is in it may be wrong."""
    app, limiter = limited_app(
        compiled, "1/minute", enabled=True, config={"RATELIMIT_ENABLED": False, "RATELIMIT_STORAGE_URI": "fubar://"}
    )
    assert statuses(app, times=3) == [200] * 3
    assert limiter.storage is None
    assert limiter.limiter is None
    app.config.update(RATELIMIT_ENABLED=True, RATELIMIT_STORAGE_URI="memory://")
    assert statuses(app, times=2) == [200, 429]


def test_the_key_function_of_the_config() -> None:
    """Without a key function the config's is used, and without that the address."""
    app = make_app(RATELIMIT_KEY_FUNC=user_name)
    limiter = Limiter(app=app, default_limits=["1/minute"])
    app.add_url_rule("/", "index", lambda: "index")
    assert limiter.key_func is user_name
    for user in ("one", "two"):
        assert statuses(app, times=2, headers={"User": user}) == [200, 429]
    assert Limiter().key_func is get_remote_address
    assert Limiter(user_name).key_func is user_name


# What is refused ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: Limiter("key"), "key_func is a function"),  # type: ignore[arg-type]  # that is what is tested
        (lambda: Limiter(make_app()), r"Limiter\(key_func, app=app\)"),
        (lambda: Limiter(default_limit=["1/minute"]), "Did you mean 'default_limits'"),  # type: ignore[call-arg]  # so is this
        (lambda: Limiter().init_app(Blueprint("bp", __name__)), r"limiter\.limit\('\.\.\.'\)\(bp\)"),
        (lambda: Limiter().limit("1/minute", methds=["GET"]), "methds"),  # type: ignore[call-arg]  # and this
    ],
)
def test_what_is_refused(make: Any, message: str) -> None:
    """Arguments that cannot be right are refused, with what to write instead."""
    with pytest.raises(TypeError, match=message):
        make()


@pytest.mark.parametrize(
    "config, error",
    [
        ({"RATELIMIT_STRATEGY": "fubar"}, ConfigurationError),
        ({"RATELIMIT_STORAGE_URI": "fubar://localhost"}, ConfigurationError),
        ({"RATELIMIT_DEFAULT": "fubar"}, ValueError),
        ({"RATELIMIT_META": "1/sec"}, ValueError),
    ],
)
def test_config_that_cannot_be_right(config: dict[str, str], error: type[Exception]) -> None:
    """Config that cannot be right is an error in `init_app`."""
    with pytest.raises(error):
        Limiter(app=make_app(**config))


def test_config_that_turns_wrong() -> None:
    """Config that is set later and cannot be right is an error of the next request, not a limit that is gone."""
    app, _ = limited_app(True, "1/minute")
    app.config["RATELIMIT_STRATEGY"] = "fubar"
    with pytest.raises(ConfigurationError, match="RATELIMIT_STRATEGY"):
        statuses(app)


def test_misspelt_keys(caplog: pytest.LogCaptureFixture) -> None:
    """Config keys that are nearly the limiter's are logged once, with what was probably meant."""
    Limiter(app=make_app(RATELIMIT_DEFAULTS="1/minute", RATELIMIT_X_OF_MY_OWN="1"))
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("WARNING", "The config key RATELIMIT_DEFAULTS is unknown to the limiter. Did you mean RATELIMIT_DEFAULT?")
    ]


def test_without_an_app() -> None:
    """What needs an app says that there is none."""
    limiter = Limiter()
    with pytest.raises(RuntimeError, match="init_app"):
        _ = limiter.storage
    with pytest.raises(RuntimeError, match="outside of request context"):
        _ = limiter.current_limit
    for method in (limiter.check, limiter.identify_request):
        with pytest.raises(RuntimeError, match="outside of request context"):
            method()
    assert limiter.enabled
    assert not limiter.initialized


# What it tells -----------------------------------------------------------------------------------------------------------


def test_storage_and_strategy() -> None:
    """The storage and the strategy are those of the current app, or of the one that was given last."""
    limiter = Limiter()
    one, two = make_app(RATELIMIT_STRATEGY="moving-window"), make_app()
    limiter.init_app(one)
    limiter.init_app(two)
    last = limiter.storage
    assert isinstance(last, MemoryStorage)
    with one.app_context():
        assert limiter.storage is not last
        assert isinstance(limiter.limiter, MovingWindowRateLimiter)
    with two.app_context():
        assert limiter.storage is last
    assert limiter.app is two
    assert limiter._storage is limiter.storage
    assert limiter._limiter is limiter.limiter
    assert limiter._key_func is limiter.key_func
    assert (limiter._in_memory_fallback, limiter._in_memory_fallback_enabled) == ((), True)


@both_pipelines
def test_reset(compiled: bool, caplog: pytest.LogCaptureFixture) -> None:
    """All counts can be forgotten."""
    caplog.set_level(logging.INFO)
    app, limiter = limited_app(compiled, "1/minute")
    assert statuses(app, times=2) == [200, 429]
    limiter.reset()
    assert statuses(app, times=2) == [200, 429]
    assert "all limits cleared" in caplog.text


def test_reset_where_it_cannot_be(caplog: pytest.LogCaptureFixture) -> None:
    """Where a store cannot forget everything, a warning says so."""
    _, limiter = limited_app(True, "1/minute", storage_uri="memcached://127.0.0.1:1")
    limiter.reset()
    assert "does not support being reset" in caplog.text


@both_pipelines
def test_check(compiled: bool, clock: Clock) -> None:
    """Limits can be looked at by hand, where a request does not come through the pipeline."""
    app, limiter = limited_app(compiled, "2/minute")
    for _ in range(2):
        with app.test_request_context("/"):
            limiter.check()
    with app.test_request_context("/"), pytest.raises(RateLimitExceeded):
        limiter.check()
    with app.test_request_context("/missing"):
        limiter.check()
    assert limiter.limit("1/minute")(lambda: "t")
    with make_app().test_request_context("/"):
        limiter.check()


def test_identity() -> None:
    """What stands for a route is its endpoint, and nothing where there is none or nothing is limited."""
    app, limiter = limited_app(True, "2/minute")
    for path, identity in (("/", "index"), ("/missing", "")):
        with app.test_request_context(path):
            assert limiter.identify_request() == identity
    limiter.enabled = False
    with app.test_request_context("/"):
        assert limiter.identify_request() == ""


def test_context_of_another_app() -> None:
    """In a request of an app that it does not know, a limiter knows nothing."""
    _, limiter = limited_app(True, "2/minute")
    with make_app().test_request_context("/"):
        assert limiter.current_limit is None
        assert limiter.current_limits == []


@both_pipelines
def test_request_filters(compiled: bool) -> None:
    """A filter exempts requests from all limits, also of functions that the view calls."""
    app, limiter = limited_app(compiled, "1/minute", meta_limits=["1/day"])

    @limiter.request_filter
    def internal() -> bool:
        return request.headers.get("X-Internal") == "yes"

    inner = limiter.limit("1/minute")(lambda: "inner")
    app.add_url_rule("/t", "t", lambda: inner())
    app.add_url_rule("/own", "own", limiter.limit("1/minute", key_func=lambda: "x")(lambda: "own"))
    for path in ("/", "/t", "/own", "/missing"):
        assert set(statuses(app, path, times=3, headers={"X-Internal": "yes"})) <= {200, 404}
    assert statuses(app, times=2) == [200, 429]
    assert internal.__name__ == "internal"


@both_pipelines
def test_filters_where_nothing_else_is(compiled: bool) -> None:
    """A filter counts for a limited function also where the route itself has no limits."""
    app, limiter = limited_app(compiled)
    inner = limiter.limit("1/minute")(lambda: "inner")
    app.add_url_rule("/t", "t", lambda: inner())
    limiter.request_filter(lambda: "X" in request.headers)
    assert statuses(app, "/t", times=3, headers={"X": "1"}) == [200] * 3
    assert statuses(app, "/t", times=2) == [200, 429]


def test_exempt_is_a_decorator_with_or_without_flags() -> None:
    """`exempt` returns what it exempts, decorated or called."""
    limiter = Limiter()

    def view() -> None: ...

    bp = Blueprint("bp", __name__)
    assert limiter.exempt(view) is view
    assert limiter.exempt(flags=package.ExemptionScope.DEFAULT)(view) is view
    assert limiter.exempt(bp, flags=package.ExemptionScope.DEFAULT) is bp


@pytest.mark.parametrize("environ, warned", [({"wsgi.multiprocess": True}, 1), ({"wsgi.multiprocess": False}, 0)])
def test_several_processes(environ: dict[str, Any], warned: int, caplog: pytest.LogCaptureFixture) -> None:
    """Where each of several processes counts for itself, the first request logs one warning that names the setting."""
    app, _ = limited_app(True, "100/minute")
    assert statuses(app, times=3, environ_overrides=environ) == [200] * 3
    assert [record.levelname for record in caplog.records] == ["WARNING"] * warned
    assert ("RATELIMIT_STORAGE_URI" in caplog.text) == bool(warned)
