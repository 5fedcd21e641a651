"""`RouteLimit`: a decorator of functions and blueprints, and a block of code."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from quaff import Blueprint, Quaff
from quaff.ext.limiter import Limit, Limiter, RateLimitExceeded, RouteLimit
from quaff.ext.limiter.decorator import limited_of
from tests.ext.limiter.apps import Clock, both_pipelines, limited_app, make_app, statuses, statuses_on_loop


def test_it_is_a_limit() -> None:
    """What `limit` returns is a limit with all its options, which can be looked at and compared."""
    limiter = Limiter()
    limit = limiter.limit("1/minute", methods=["GET"], cost=2)
    assert isinstance(limit, RouteLimit)
    assert isinstance(limit, Limit)
    assert (limit.limit_provider, limit.methods, limit.cost, limit.override_defaults) == ("1/minute", ("get",), 2, True)
    assert not RouteLimit("1/minute", limiter=limiter).override_defaults
    assert hash(limit) == hash(limiter.limit("1/minute", methods=["GET"], cost=2))


@both_pipelines
def test_made_by_hand(compiled: bool) -> None:
    """A `RouteLimit` may be made by hand, and put around another."""
    app, limiter = limited_app(compiled, "1/hour")

    @app.get("/t")
    @RouteLimit("2/second", limiter=limiter, override_defaults=True)
    @RouteLimit("3/minute", limiter=limiter)
    def t() -> str:
        return "t"

    assert statuses(app, "/t", times=3) == [200, 200, 429]


def test_what_it_keeps() -> None:
    """The decorated function keeps its name, its docstring, its signature and its kind."""
    limiter = Limiter()

    @limiter.limit("1/minute")
    def view(name: str, number: int = 1) -> str:
        """Say it."""
        return name * number

    assert (view.__name__, view.__doc__) == ("view", "Say it.")
    assert list(inspect.signature(view).parameters) == ["name", "number"]
    assert view("a", number=2) == "aa"


@pytest.mark.parametrize("kind", ["sync", "async", "generator", "async generator"])
def test_kinds_of_functions(kind: str) -> None:
    """A coroutine function stays one, and a generator function too, so that a WebSocket's handler is known by it."""

    def sync() -> None: ...

    async def coroutine() -> None: ...

    def generator() -> Iterator[int]:
        yield 1

    async def async_generator() -> AsyncIterator[int]:
        yield 1

    functions: dict[str, Any] = {
        "sync": sync,
        "async": coroutine,
        "generator": generator,
        "async generator": async_generator,
    }
    function = functions[kind]
    limited = Limiter().limit("1/minute")(function)
    for predicate in (inspect.iscoroutinefunction, inspect.isgeneratorfunction, inspect.isasyncgenfunction):
        assert predicate(limited) == predicate(function)


def test_one_wrapper_for_several_limits() -> None:
    """A second limit of the same limiter adds no call; one of another limiter does."""
    one, two = Limiter(), Limiter()

    def view() -> None: ...

    first = one.limit("1/minute")(view)
    assert one.limit("1/hour")(first) is first
    noted = limited_of(first, one)
    assert noted is not None
    assert [limit.limit_provider for limit in noted.limits] == ["1/minute", "1/hour"]
    other = two.limit("1/day")(first)
    assert other is not first
    assert limited_of(other, one) is noted
    assert limited_of(other, two) is not noted
    assert limited_of(lambda: None, one) is None


def test_what_it_cannot_decorate() -> None:
    """Something that cannot be called is refused."""
    with pytest.raises(TypeError, match="functions and blueprints, not 'view'"):
        Limiter().limit("1/minute")("view")  # type: ignore[call-overload]  # that is what is tested


def test_methods_of_objects() -> None:
    """A bound method is decorated without a trace on its class."""
    app, limiter = limited_app()

    class Views:
        def __init__(self, name: str) -> None:
            self.name = name

        def show(self) -> str:
            return self.name

    one, two = Views("one"), Views("two")
    app.add_url_rule("/one", "one", limiter.limit("1/minute")(one.show))
    app.add_url_rule("/two", "two", two.show)
    assert statuses(app, "/one", times=2) == [200, 429]
    assert statuses(app, "/two", times=2) == [200, 200]


# Functions that are no views ---------------------------------------------------------------------------------------------


@both_pipelines
def test_functions(compiled: bool) -> None:
    """A function that views call is counted for each endpoint by itself; a shared limit for all of them together."""
    app, limiter = limited_app(compiled)
    alone = limiter.limit("1/minute")(lambda: "alone")
    together = limiter.shared_limit("1/minute", "together")(lambda: "together")
    for number in (1, 2):
        app.add_url_rule(f"/alone{number}", f"alone{number}", lambda: alone())
        app.add_url_rule(f"/together{number}", f"together{number}", lambda: together())
    assert [*statuses(app, "/alone1", times=2), *statuses(app, "/alone2", times=2)] == [200, 429, 200, 429]
    assert [*statuses(app, "/together1"), *statuses(app, "/together2")] == [200, 429]


@both_pipelines
def test_two_functions_of_one_view(compiled: bool) -> None:
    """Two functions that one view calls are counted one after the other."""
    app, limiter = limited_app(compiled)
    one = limiter.limit("5/minute")(lambda: "one")
    two = limiter.limit("1/minute", scope="two")(lambda: "two")
    app.add_url_rule("/t", "t", lambda: one() + two())
    assert statuses(app, "/t", times=2) == [200, 429]


@both_pipelines
def test_functions_made_for_each_request(compiled: bool) -> None:
    """A function that a view makes and decorates each time counts as one, and leaves nothing behind."""
    app, limiter = limited_app(compiled)

    @app.get("/t")
    def t() -> str:
        @limiter.limit("3/minute", key_func=lambda: "all")
        def inner() -> str:
            return "inner"

        return inner()

    assert statuses(app, "/t", times=4) == [200, 200, 200, 429]
    site = limiter.site
    assert len(site.hints["t"].callables) == 1


@both_pipelines
def test_coroutines_that_are_no_views(compiled: bool) -> None:
    """A coroutine function that an async view awaits is counted too, on a loop and off it."""
    app, limiter = limited_app(compiled)

    @limiter.limit("2/minute")
    async def inner() -> str:
        await asyncio.sleep(0)
        return "inner"

    @app.get("/t")
    async def t() -> str:
        return await inner()

    assert statuses(app, "/t", times=3) == [200, 200, 429]
    limiter.reset()
    assert statuses_on_loop(app, "/t", times=3) == [200, 200, 429]


def test_outside_of_a_request() -> None:
    """A limited function needs a request, unless the limiter has no app or is switched off."""
    limiter = Limiter()
    function = limiter.limit("1/minute")(lambda: "called")
    assert [function(), function()] == ["called", "called"]
    app = make_app()
    limiter.init_app(app)
    with pytest.raises(RuntimeError, match="outside of request context"):
        function()
    with app.test_request_context("/"):
        assert function() == "called"


def test_in_a_test_s_context() -> None:
    """In a context that a test pushes, a function of a route is counted for it, and one without a route is not."""
    app, limiter = limited_app(True)
    function = limiter.limit("1/minute")(lambda: "called")
    with app.test_request_context("/"):
        function()
    with app.test_request_context("/"), pytest.raises(RateLimitExceeded):
        function()
    with app.test_request_context("/missing"):
        assert [function(), function()] == ["called", "called"]


def test_in_another_app() -> None:
    """In a request of an app that the limiter does not know, a limited function is just called."""
    app, limiter = limited_app(True)
    function = limiter.limit("1/minute")(lambda: "called")
    other = make_app()
    other.add_url_rule("/t", "t", lambda: function())
    assert statuses(other, "/t", times=3) == [200] * 3
    assert app is not other


# Blocks of code ----------------------------------------------------------------------------------------------------------


def _blocks(app: Quaff, limiter: Limiter) -> None:
    @app.get("/block/<name>")
    def block(name: str) -> str:
        said = "a"
        with limiter.limit("2/second", scope=name):
            said += "b"
        try:
            with limiter.limit("1/day"):
                said += "c"
        except RateLimitExceeded:
            said += "-"
        return said


@both_pipelines
def test_blocks(compiled: bool, clock: Clock) -> None:
    """A block of code is counted when it is entered; the error may be caught."""
    app, limiter = limited_app(compiled)
    _blocks(app, limiter)
    client = app.test_client()
    assert [client.get("/block/one").text for _ in range(2)] == ["abc", "ab-"]
    assert client.get("/block/one").status_code == 429
    assert client.get("/block/two").text == "ab-"
    clock.forward(1)
    assert client.get("/block/one").text == "ab-"


@both_pipelines
def test_blocks_and_defaults(compiled: bool, clock: Clock) -> None:
    """COMPAT: a block whose limit overrides the default ones does so once it was seen, unless it is told not to."""
    app, limiter = limited_app(compiled, "1/second")

    @app.get("/over")
    def over() -> str:
        with limiter.limit("3/second"):
            return "over"

    @app.get("/beside")
    def beside() -> str:
        with limiter.limit("3/second", override_defaults=False):
            return "beside"

    assert statuses(app, "/over", times=4) == [200, 200, 200, 429]
    assert statuses(app, "/beside", times=2) == [200, 429]


def test_errors_pass_through_a_block() -> None:
    """What is raised inside of a block is not swallowed."""
    app, limiter = limited_app(True)
    with app.test_request_context("/"), pytest.raises(KeyError), limiter.limit("1/minute"):
        raise KeyError("mine")


# Blueprints --------------------------------------------------------------------------------------------------------------


@both_pipelines
def test_a_shared_limit_of_a_blueprint_and_a_view(compiled: bool) -> None:
    """One shared limit may be given to views and blueprints, which are counted together."""
    app, limiter = limited_app(compiled)
    bp = Blueprint("bp", __name__)
    bp.add_url_rule("/bp", "view", lambda: "bp")
    shared = limiter.shared_limit("3/minute", "all of them")
    app.add_url_rule("/t", "t", shared(lambda: "t"))
    shared(bp)
    app.register_blueprint(bp)
    assert [*statuses(app, "/bp", times=2), *statuses(app, "/t", times=2), *statuses(app, "/bp")] == [200] * 3 + [
        429
    ] * 2
