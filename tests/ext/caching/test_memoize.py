"""`memoize`: functions by their arguments."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import cachelib.simple
import pytest

from quaff import Response, request, session
from quaff.ext.caching import Cache, function_namespace
from quaff.ext.caching.memoize import new_version, with_owner
from tests.ext.caching.apps import Counted, make_app


@pytest.fixture
def cache() -> Cache:
    """Give a cache in memory, bound to an app."""
    return make_app()[1]


def test_arguments(cache: Cache) -> None:
    """Each set of arguments has its value, however it is given."""
    count = Counted()

    @cache.memoize()
    def add(a: int, b: int = 0, **more: int) -> list[int]:
        return [a + b, count()]

    assert add(1, 2) == add(1, b=2) == add(b=2, a=1) == [3, 1]
    assert add(1) == add(1, 0) == [1, 2]
    assert add(1, x=1) == [1, 3]
    assert add(True) == [1, 4]


def test_falsy_arguments_do_not_collide(cache: Cache) -> None:
    """0, None, False and "" are four calls (flask-caching#656)."""
    show = cache.memoize()(lambda a=0: repr(a))
    assert [show(value) for value in (0, None, False, "", 0.0, [])] == ["0", "None", "False", "''", "0.0", "[]"]
    assert [show(value) for value in (0, None, False, "", 0.0, [])] == ["0", "None", "False", "''", "0.0", "[]"]


def test_arguments_by_position_only(cache: Cache) -> None:
    """The first one of `f(1, b=2)` counts."""

    @cache.memoize()
    def f(a: int, /, b: int) -> str:
        return f"{a} {b}"

    assert (f(1, b=2), f(5, b=2)) == ("1 2", "5 2")


def test_text_and_object(cache: Cache) -> None:
    """A text is never taken for an object that looks like it."""

    class Looks:
        def __repr__(self) -> str:
            return "'text'"

    kind = cache.memoize()(lambda value: type(value).__name__)
    assert (kind("text"), kind(Looks())) == ("str", "Looks")


def test_lambdas(cache: Cache) -> None:
    """They have one name, and keys of their own nevertheless."""
    functions = [cache.memoize()(f) for f in (lambda a: a, lambda a: -a, lambda a: a + 1)]
    assert [f(5) for f in functions] == [f(5) for f in functions] == [5, -5, 6]


def test_ignored_arguments(cache: Cache) -> None:
    """They make no difference."""
    count = Counted()
    f = cache.memoize(args_to_ignore=["b"])(lambda a, b=None: count())
    assert (f(1, 2), f(1, b=3), f(1), f(2)) == (1, 1, 1, 2)


def make_class(cache: Cache, count: Counted, **options: Any) -> Any:
    """Return a class with memoized methods."""

    class Adder:
        def __init__(self, start: int) -> None:
            self.start = start

        @cache.memoize(**options)
        def add(self, number: int) -> tuple[int, int]:
            return self.start + number, count()

        @classmethod
        @cache.memoize()
        def of_class(cls, number: int) -> tuple[int, int]:
            return number, count()

    return Adder


def test_methods(cache: Cache) -> None:
    """Objects have values of their own, and are forgotten one by one or together."""
    count = Counted()
    adder = make_class(cache, count)
    one, two = adder(1), adder(2)
    assert (one.add(3), two.add(3), one.add(3)) == ((4, 1), (5, 2), (4, 1))
    cache.delete_memoized(one.add)
    assert (one.add(3), two.add(3)) == ((4, 3), (5, 2))
    cache.delete_memoized(adder.add)
    assert (one.add(3), two.add(3)) == ((4, 4), (5, 5))
    one.add(4)
    cache.delete_memoized(one.add, 3)
    assert (one.add(3), one.add(4)) == ((4, 7), (5, 6))
    cache.delete_memoized(adder.add, one, 4)
    assert one.add(4) == (5, 8)


def test_methods_that_ignore_their_object(cache: Cache) -> None:
    """With `self` among the ignored arguments all objects share."""
    count = Counted()
    adder = make_class(cache, count, args_to_ignore=["self"])
    assert adder(1).add(3) == adder(2).add(3) == (4, 1)


def test_classmethods(cache: Cache) -> None:
    """With arguments they need their class to be forgotten."""
    count = Counted()
    adder = make_class(cache, count)
    assert adder.of_class(1) == adder.of_class(1) == (1, 1)
    with pytest.raises(ValueError, match="must provide the class"):
        cache.delete_memoized(adder.of_class, 1)
    cache.delete_memoized(adder.of_class, adder, 1)
    assert adder.of_class(1) == (1, 2)
    cache.delete_memoized(adder.of_class)
    assert adder.of_class(1) == (1, 3)


def test_forgetting(cache: Cache) -> None:
    """One call, all calls, or through the attribute of the function; a name is no function."""
    count = Counted()
    f = cache.memoize()(lambda a, b=0: count())
    assert (f(1), f(2)) == (1, 2)
    cache.delete_memoized(f, 1, b=0)
    assert (f(1), f(2)) == (3, 2)
    f.delete_memoized()
    assert (f(1), f(2)) == (4, 5)
    cache.delete_memoized_verhash(f)
    assert cache.get(cache._memvname(function_namespace(f)[0])) is None
    assert f(1) == 6
    for forget in (cache.delete_memoized, cache.delete_memoized_verhash):
        with pytest.raises(TypeError, match="function reference"):
            forget("f")


def test_versions() -> None:
    """They are short, and none comes twice."""
    versions = {new_version() for _ in range(1000)}
    assert len(versions) == 1000
    assert {len(version) for version in versions} == {6}


def test_versions_live_as_long_as_values(monkeypatch: pytest.MonkeyPatch) -> None:
    """A value that is stored late is still found when the first one has expired."""
    now = [1_700_000_000.0]
    monkeypatch.setattr(cachelib.simple, "time", lambda: now[0])
    cache = make_app()[1]
    count = Counted()
    f = cache.memoize(60)(lambda a: count())
    assert f(1) == 1
    now[0] += 59
    assert f(2) == 2
    now[0] += 2
    assert (f(2), f(1)) == (2, 3)


def test_keys(cache: Cache) -> None:
    """They are what `cache.get` takes, differ by hash method and name, and are those that are used."""
    f = cache.memoize(make_name=lambda name: f"{name}!")(lambda a: a)
    f("x")
    assert cache.get(f.make_cache_key(f.uncached, "x")) == "x"
    plain = cache.memoize()(f.uncached)
    assert plain.make_cache_key(f.uncached, "x") != f.make_cache_key(f.uncached, "x")
    assert len(plain.make_cache_key(f.uncached, "x")) == 38


def test_options(cache: Cache) -> None:
    """`unless`, `forced_update`, `is_stale`, `response_filter` and `cache_none` do what they do for `cached`."""
    count = Counted()
    unless = cache.memoize(unless=lambda f, a: a == 0)(lambda a: count())
    assert (unless(0), unless(0), unless(1), unless(1)) == (1, 2, 3, 3)
    forced = cache.memoize(forced_update=lambda a: a == 0)(lambda a: count())
    assert (forced(0), forced(0), forced(1), forced(1)) == (4, 5, 6, 6)
    stale = cache.memoize(is_stale=lambda value, a: a == 0)(lambda a: count())
    assert (stale(0), stale(0), stale(1), stale(1)) == (7, 8, 9, 9)
    kept = cache.memoize(response_filter=lambda value: False)(lambda a: count())
    assert (kept(1), kept(1)) == (10, 11)
    nothing = cache.memoize(cache_none=True)(lambda: [count(), None][1])
    assert (nothing(), nothing(), count.calls) == (None, None, 12)


def test_async_functions(cache: Cache) -> None:
    """The result is cached, and the function stays async."""
    count = Counted()

    @cache.memoize()
    async def f(a: int) -> list[int]:
        await asyncio.sleep(0)
        return [a, count()]

    async def use() -> list[Any]:
        return [await f(1), await f(1), await f(2)]

    assert asyncio.run(use()) == [[1, 1], [1, 1], [2, 2]]


@pytest.mark.parametrize(
    "read", [lambda: session.get("user"), lambda: request.cookies.get("user"), lambda: request.headers.get("Cookie")]
)
def test_what_is_one_persons(read: Callable[[], Any]) -> None:
    """A function that reads it itself is called each time; one that is given it is not."""
    app, cache = make_app()
    count = Counted()
    reads = cache.memoize()(lambda: [read(), count()])
    given = cache.memoize()(lambda user: [user, count()])
    app.add_url_rule("/", "view", lambda: {"reads": reads(), "given": given(read())})
    alice, bob = app.test_client(), app.test_client()
    for client, name in ((alice, "alice"), (bob, "bob")):
        with client.session_transaction() as opened:
            opened["user"] = name
        client.set_cookie("user", name)
    alice.get("/")
    assert bob.get("/").json["reads"][0] != alice.get("/").json["reads"][0]
    before = count.calls
    alice.get("/")
    assert count.calls == before + 1


def test_a_hook_that_read_the_session_does_no_harm() -> None:
    """What hooks read before does not keep a function's result out of the cache."""
    app, cache = make_app()
    count = Counted()
    f = cache.memoize()(lambda a: count())
    app.before_request(lambda: session.get("user") and None)
    app.add_url_rule("/", "view", lambda: str(f(1)))
    client = app.test_client()
    assert [client.get("/").text for _ in range(3)] == ["1", "1", "1"]


def test_responses() -> None:
    """A memoized function may return a response; one with a cookie is not kept."""
    app, cache = make_app()
    count = Counted()
    f = cache.memoize()(lambda cookie: Response(f"{count()}", headers={"Set-Cookie": "a=b"} if cookie else {}))
    with app.test_request_context("/"):
        assert [f(False).get_data(), f(False).get_data()] == [b"1", b"1"]
        assert [f(True).get_data(), f(True).get_data()] == [b"2", b"3"]


def test_owner() -> None:
    """A bound method brings its object, unless that is given."""
    cache = make_app()[1]
    adder = make_class(cache, Counted())
    one = adder(1)
    assert with_owner(one.add, (3,)) == (one, 3)
    assert with_owner(one.add, (one, 3)) == (one, 3)
    assert with_owner(adder.add, (one, 3)) == (one, 3)
    assert with_owner(adder.of_class, (3,)) == (3,)
