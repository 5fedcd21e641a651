"""The shorter way to a hit of a memoized function, against the long one."""

from __future__ import annotations

import asyncio
import gc
import hashlib
import logging
import weakref
from collections.abc import Callable
from contextlib import nullcontext
from itertools import count
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from quaff import Quaff, Response, request, session
from quaff.ext.caching import Cache, cache_memoize_hit, hits, memoize
from quaff.ext.caching.backends import SimpleCache
from quaff.ext.caching.engine import Engine
from quaff.ext.caching.hits import LONGEST, call_of, remember
from tests.contracts.test_calls import answer, calls_of, environ
from tests.ext.caching.apps import PIPELINES, Counted, make_app
from tests.ext.caching.conftest import Turned

CALLS = 6
"""How many Python functions a hit may enter, the decorated one included."""


def make(**config: Any) -> tuple[Quaff, Cache]:
    """Return an app with a cache in memory, not in debug mode."""
    return make_app(TESTING=False, **config)


def long_ways(function: Callable[..., Any], *args: object, **kwargs: object) -> tuple[Any, int]:
    """Return what a memoized function returns, and how often the engine looked into the store for it."""
    found: list[Any] = []
    names = calls_of(lambda: found.append(function(*args, **kwargs)))
    return found[0], names.count(f"engine.py:{Engine._try_look.__name__}")


def is_short(function: Callable[..., Any], *args: object, **kwargs: object) -> bool:
    """Tell whether the third of three calls is a hit that was found the shorter way."""
    first = function(*args, **kwargs)
    assert function(*args, **kwargs) == first
    third, looks = long_ways(function, *args, **kwargs)
    assert third == first
    return looks == 0


# What is found ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("compiled", PIPELINES)
def test_calls_of_a_hit(compiled: bool) -> None:
    """In a request a hit costs a handful of calls, however it is written."""
    app, cache = make_app(compiled, TESTING=False)
    greet = cache.memoize()(lambda name, times=1: f"Hello, {name}!" * times)
    seen: list[list[str]] = []

    def view() -> str:
        seen[:] = [calls_of(greet, "World"), calls_of(lambda: greet("World", times=1))[1:]]
        return str(greet("World"))

    app.add_url_rule("/", "view", view)
    for _ in range(3):
        assert answer(app, environ("/")) == b"Hello, World!"
    assert all(len(names) <= CALLS for names in seen), seen


plain = st.none() | st.booleans() | st.integers(-2, 2) | st.floats(-1, 1, width=16) | st.just(float("nan"))
plain |= st.text("a1", max_size=2) | st.text("a1", max_size=2).map(str.encode)
arguments = plain | st.lists(st.integers(0, 1), max_size=1) | st.tuples(plain) | st.just(Markup("a"))
calls = st.tuples(
    st.integers(0, 4), st.lists(arguments, max_size=3), st.dictionaries(st.sampled_from("abc"), arguments, max_size=3)
)
acts = calls | st.sampled_from(["forget", "verhash", "clear", "later"])


def functions_of(cache: Cache, made: Counted) -> list[Any]:
    """Return memoized functions of several shapes, under the same names each time."""

    def two(a: Any, b: Any = 0) -> Any:
        return [made(), repr((a, b))]

    def position_only(a: Any, /, b: Any = None) -> Any:
        return made()

    def name_only(a: Any, *, b: Any = ("x", 1.5), c: Any = True) -> Any:
        return str(made())

    def nothing(a: Any = 0.0) -> Any:
        made()

    def many(*a: Any, **b: Any) -> Any:
        return made()

    return [cache.memoize(20)(f) for f in (two, position_only, name_only, nothing, many)]


def run(series: list[Any]) -> tuple[list[Any], Any]:
    """Do a series of acts with a cache, a clock and versions of its own; return what came of it, and what is stored."""
    clock, versions = Turned(), count()
    with patch("cachelib.simple.time", clock), patch.object(memoize, "new_version", lambda: f"v{next(versions):05}"):
        return act_on(make()[1], clock, series)


def act_on(cache: Cache, clock: Turned, series: list[Any]) -> tuple[list[Any], Any]:
    """Do a series of acts with a cache."""
    functions, seen = functions_of(cache, Counted()), list[Any]()
    for act in series:
        if act == "forget":
            cache.delete_memoized(functions[0])
        elif act == "verhash":
            cache.delete_memoized_verhash(functions[0])
        elif act == "clear":
            cache.clear()
        elif act == "later":
            clock.now += 11
        else:
            number, args, kwargs = act
            function = functions[number]
            try:
                seen.append(function(*args, **kwargs))
            except TypeError as error:
                seen.append(str(error))
            else:
                seen.append(function.make_cache_key(function.uncached, *args, **kwargs) in cache.cache._cache)
    return seen, cache.cache._cache


@given(st.lists(acts, max_size=8).flatmap(lambda series: st.lists(st.sampled_from(series or ["clear"]), max_size=20)))
def test_both_ways_do_the_same(series: list[Any]) -> None:
    """Whatever is called, forgotten and expires: the same values, and the same entries under the same keys."""
    short = run(series)
    with patch.object(hits, "is_plain", lambda function, rules: False):
        assert run(series) == short


@given(calls)
def test_calls_are_equal_if_their_keys_are(call: Any) -> None:
    """What a hash is remembered for stands for no call with another key."""
    _, cache = make()
    function = functions_of(cache, Counted())[4]
    _, args, kwargs = call
    for other in ([], [0], [0.0], [-0.0], [False], [None], [""], [b""], ["a"], [b"a"], [Markup("a")]):
        told, told_other = call_of(tuple(args), kwargs), call_of(tuple(other), {})
        if told is not None and told == told_other:
            make_key = function.make_cache_key
            assert make_key(function.uncached, *args, **kwargs) == make_key(function.uncached, *other)


def test_what_is_told_apart() -> None:
    """Equal arguments of several types are several calls, and what can change or is equal to its opposite is none."""
    told = [call_of((value,), {}) for value in (1, True, 1.0, "a", b"a", None)]
    assert len(set(told)) == 6
    assert call_of((1,), {"b": 2}) != call_of((1, 2), {})
    assert [call_of((value,), {}) for value in (0.0, -0.0, [], (), {}, Markup("a"), 1j, object())] == [None] * 8


@pytest.mark.parametrize("value", ["text", b"bytes", 0, 1.5, False, Markup("<b>"), [1, [2]], {"a": 1}, (1, 2)])
def test_values(value: Any) -> None:
    """They come with their types, and what can be changed is the caller's own."""
    _, cache = make()
    f = cache.memoize()(lambda a: value)
    assert is_short(f, 1)
    assert f(1) == value
    assert type(f(1)) is type(value)
    if isinstance(value, list):
        f(1)[1].append(3)
        assert f(1) == [1, [2]]


def test_responses() -> None:
    """Each caller gets one of its own."""
    app, cache = make()
    f = cache.memoize()(lambda a: Response("body", 201))
    with app.test_request_context():
        answers = [f(1) for _ in range(4)]
    assert {(one.status, one.get_data()) for one in answers} == {("201 CREATED", b"body")}
    assert len(set(map(id, answers))) == 4


def test_none() -> None:
    """It is a value if that is said, and counts as missing otherwise."""
    _, cache = make()
    made = Counted()
    kept = cache.memoize(cache_none=True)(lambda a: [made(), None][1])
    assert is_short(kept, 1)
    assert made.calls == 1
    lost = cache.memoize()(lambda a: [made(), None][1])
    assert not is_short(lost, 1)
    assert made.calls == 4


def test_anywhere() -> None:
    """In a request, in an app's context, and in none, where the cache was bound last counts."""
    app, cache = make()
    f = cache.memoize()(lambda a: a)
    for context in (app.test_request_context(), app.app_context(), nullcontext()):
        with context:
            assert is_short(f, 1)


def test_async_functions() -> None:
    """A hit of an async function is found the same way."""
    _, cache = make()
    made = Counted()

    @cache.memoize()
    async def f(a: int) -> list[int]:
        await asyncio.sleep(0)
        return [a, made()]

    async def ask() -> Any:
        return await f(1)

    assert [asyncio.run(ask()) for _ in range(3)] == [[1, 1]] * 3
    assert f"engine.py:{Engine._try_look.__name__}" not in calls_of(lambda: asyncio.run(ask()))


def test_several_apps() -> None:
    """Each has values of its own."""
    (first, cache), second = make(), Quaff("second", static_folder=None)
    second.config.update(CACHE_TYPE="SimpleCache")
    cache.init_app(second)
    made = Counted()
    f = cache.memoize()(lambda a: made())
    for app, value in ((first, 1), (second, 2), (first, 1), (second, 2)):
        with app.app_context():
            assert f(1) == value
            assert is_short(f, 1)


def test_many_apps(monkeypatch: pytest.MonkeyPatch) -> None:
    """A function knows its place in some of them only."""
    monkeypatch.setattr(hits, "_APPS", 2)
    cache = Cache()
    engines: list[Any] = []
    monkeypatch.setattr(memoize.Hits, "__init__", noting(memoize.Hits.__init__, engines))
    f = cache.memoize()(lambda a: a)
    for number in range(5):
        app = Quaff(f"app{number}", static_folder=None)
        app.config.update(CACHE_TYPE="SimpleCache")
        cache.init_app(app)
        with app.app_context():
            assert is_short(f, 1)
    assert len(engines[0]._places) <= 2


def noting(function: Callable[..., Any], objects: list[Any]) -> Callable[..., Any]:
    """Return a method that notes its object and does what *function* does."""

    def method(self: Any, *args: Any) -> None:
        objects.append(self)
        function(self, *args)

    return method


def test_apps_are_freed() -> None:
    """What a function knows of an app does not keep that alive."""
    app, cache = make()
    shorter = hits.Hits(cache, lambda a: a, memoize.Rules())
    assert shorter.digests(cache.bound()) is not None
    assert len(shorter._places) == 1
    gone = weakref.ref(app)
    del app, cache, shorter._cache
    gc.collect()
    assert gone() is None


# What is remembered ---------------------------------------------------------------------------------------------------


def test_remembering_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some calls are remembered, with short arguments; what comes when there are enough makes all be forgotten."""
    monkeypatch.setattr(hits, "REMEMBERED", 3)
    digests: hits.Digests = {}
    for number, sizes in ((1, 1), (2, 2), (3, 3), (4, 1)):
        remember(digests, call_of((number,), {}) or (), "hash")
        assert len(digests) == sizes


class Name(str):
    """A text that may be anything."""

    __slots__ = ()


@pytest.mark.parametrize(
    "args, kwargs",
    [
        (("x" * LONGEST,), {}),
        ((b"x" * LONGEST,), {}),
        ((1 << 8 * LONGEST,), {}),
        ((-(1 << 8 * LONGEST),), {}),
        (("x" * (LONGEST // 2), "x" * (LONGEST // 2)), {}),
        (("",) * LONGEST, {}),
        ((), {"x" * LONGEST: 1}),
        ((), {Name("x"): 1}),
        ((float("nan"),), {}),
    ],
)
def test_what_is_not_remembered(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Long arguments, many, and what would not be found again."""
    digests: hits.Digests = {}
    call = call_of(args, kwargs)
    assert call is not None
    remember(digests, call, "hash")
    assert not digests


def test_other_stores_profit() -> None:
    """The hash is remembered for every store, and the store is asked."""
    _, cache = make(CACHE_TYPE="cachelib.SimpleCache")
    f = cache.memoize()(lambda a: [a])
    assert not is_short(f, "x")
    assert "memoize.py:digest_of" not in calls_of(f, "x")
    assert cache.get(f.make_cache_key(f.uncached, "x")) == ["x"]


# What takes the long way ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [0.0, -0.0, float("nan"), [], (), {}, 1j, Markup("a"), "x" * LONGEST])
def test_arguments_that_are_not_plain(value: Any) -> None:
    """They can change, are equal to others or long; short floats, numbers and texts are plain."""
    _, cache = make()
    f = cache.memoize()(lambda a: 5)
    assert not is_short(f, value)
    assert not is_short(f, a=value)
    assert all(is_short(f, other) for other in ("", b"", 0, 0.5, True, None))


def test_objects() -> None:
    """What stands for an object is asked each time, and its hash and comparisons are not."""

    class Thing:
        name = "a"

        def __caching_id__(self) -> str:
            return self.name

        __hash__ = None  # type: ignore[assignment]

    _, cache = make()
    made = Counted()
    f = cache.memoize()(lambda thing: made())
    thing = Thing()
    assert not is_short(f, thing)
    thing.name = "b"
    assert f(thing) == 2


@pytest.mark.parametrize(
    "options",
    [
        {"unless": lambda: False},
        {"forced_update": lambda: False},
        {"is_stale": lambda value: False},
        {"make_name": str},
        {"args_to_ignore": ["b"]},
        {"source_check": True},
        {"tags": ["tag"]},
    ],
)
def test_options_that_are_asked_each_time(options: dict[str, Any]) -> None:
    """A hit of a function with such an option is found by the engine."""
    _, cache = make()
    f = cache.memoize(**options)(lambda a, b=0: a)
    assert not is_short(f, 1)


def test_options_that_are_not() -> None:
    """The others make no difference for a hit."""
    _, cache = make()
    options = {"timeout": 5, "response_filter": bool, "hash_method": hashlib.md5, "public": True, "source_check": False}
    assert is_short(cache.memoize(**options)(lambda a: a), 1)


def test_functions_that_are_not_plain() -> None:
    """Methods, functions with any number of arguments, and with defaults that can change."""
    _, cache = make()
    made = Counted()

    class Thing:
        @cache.memoize()
        def method(self, a: int) -> int:
            return a

        @classmethod
        @cache.memoize()
        def of_class(cls, a: int) -> list[int]:
            return [a, made()]

        @staticmethod
        @cache.memoize()
        def plain(a: int) -> int:
            return a

    class Called:
        __name__ = __qualname__ = "called"

        def __call__(self, a: int) -> int:
            return a

    default: list[int] = []
    functions = [Thing().method, Thing.of_class, cache.memoize()(Called())]
    functions += [cache.memoize()(f) for f in (lambda *a: 1, lambda a, **b: 1, lambda a, b=default: len(b))]
    assert not any(is_short(f, 1) for f in functions)
    default.append(1)
    assert functions[-1](1) == 1
    owned = cache.memoize()(lambda self, a: a)
    assert not is_short(owned, 1, 2)
    cache.delete_memoized(owned, 1)
    assert is_short(Thing.plain, 1)
    assert is_short(cache.memoize()(lambda a, b=(1, ("x", None)): 1), 1)


def test_values_that_vary() -> None:
    """What was made from a header is found for that header."""
    app, cache = make()
    f = cache.memoize()(lambda a: request.headers.get("X-A"))
    app.add_url_rule("/", "view", lambda: f(1))
    client = app.test_client()
    texts = [client.get("/", headers={"X-A": name}).text for name in ("a", "b", "a", "a", "b", "b")]
    assert texts == ["a", "b", "a", "a", "b", "b"]


def test_what_is_one_persons() -> None:
    """It is not stored, so it is not found either."""
    app, cache = make()
    f = cache.memoize()(lambda a: session.get("user"))
    app.add_url_rule("/<name>", "view", lambda name: [session.update(user=name), f(1)][1])
    client = app.test_client()
    assert [client.get(f"/{name}").text for name in "aabba"] == list("aabba")


def test_tags() -> None:
    """A value whose tag was forgotten is forgotten."""
    _, cache = make()
    made = Counted()
    f = cache.memoize(tags=["tag"])(lambda a: made())
    assert [f(1) for _ in range(3)] == [1, 1, 1]
    cache.delete_tagged("tag")
    assert f(1) == 2


def test_stale_values(clock: Turned) -> None:
    """Until it is stale a value is found the shorter way; then the engine is asked, which has it made anew."""
    _, cache = make()
    made = Counted()
    f = cache.memoize(10, stale_for=20)(lambda a: made())
    assert is_short(f, 1)
    clock.now += 11
    value, looks = long_ways(f, 1)
    assert (value, looks) == (1, 1)


@pytest.mark.parametrize("setting, value", [("CACHE_TYPE", "NullCache"), ("CACHE_SOURCE_CHECK", True), ("DEBUG", True)])
@pytest.mark.filterwarnings("ignore:Flask-Caching. CACHE_TYPE is set to NullCache")
def test_settings(setting: str, value: Any) -> None:
    """Another store, keys with the source, and debug mode, which tells of hits."""
    app, cache = make()
    made = Counted()
    f = cache.memoize()(lambda a: made() and 1)
    assert is_short(f, 1)
    app.config[setting] = value
    assert not is_short(f, 1)
    assert made.calls > 1 or setting == "DEBUG"


def test_debug_mode_tells_of_hits(caplog: pytest.LogCaptureFixture) -> None:
    """As soon as it is switched on."""
    app, cache = make()
    f = cache.memoize()(lambda a: a)
    assert is_short(f, 1)
    app.debug = True
    with caplog.at_level(logging.INFO, "quaff.caching"):
        f(1)
    assert "Cache used for key" in caplog.text


def test_signals() -> None:
    """They are sent as soon as they are switched on."""
    _, cache = make()
    f = cache.memoize()(lambda a: a)
    assert is_short(f, 1)
    heard: list[Any] = []
    cache.enable_signals = True
    with cache_memoize_hit.connected_to(lambda sender, **more: heard.append(more["args"])):
        assert not is_short(f, 1)
    assert heard == [(1,)] * 3
    cache.enable_signals = False
    assert is_short(f, 1)


@pytest.mark.parametrize("attribute, value", [("hash_method", hashlib.sha512), ("source_check", True)])
def test_attributes(attribute: str, value: Any) -> None:
    """What is set on the cache holds from then on."""
    _, cache = make()
    made = Counted()
    f = cache.memoize()(lambda a: made())
    assert is_short(f, 1)
    before = f.make_cache_key(f.uncached, 1)
    setattr(cache, attribute, value)
    assert f.make_cache_key(f.uncached, 1) != before
    assert f(1) == 2
    cache.delete(f.make_cache_key(f.uncached, 1))
    assert f(1) == 3


def test_another_backend() -> None:
    """A store that is put in the place of the first one is asked."""
    app, cache = make()
    made = Counted()
    f = cache.memoize()(lambda a: made())
    assert is_short(f, 1)
    app.extensions["cache"][cache] = SimpleCache()
    assert f(1) == 2
    assert is_short(f, 1)


@pytest.mark.parametrize("name", ["bound", "fetch", "get", "get_many", "_memvname", "_get_hash_method"])
def test_patched_methods(name: str) -> None:
    """A method that is put in the place of the cache's is called, by each call."""
    _, cache = make()
    f = cache.memoize()(lambda a: a)
    assert is_short(f, 1)
    called: list[str] = []
    own = getattr(cache, name)
    with patch.object(cache, name, lambda *args, **kwargs: called.append(name) or own(*args, **kwargs)):
        for number in (1, 2, 3):
            f(1)
            assert len(called) >= number
    assert is_short(f, 1)


@pytest.mark.parametrize("name", ["get", "get_many"])
def test_patched_backends(name: str) -> None:
    """So is one that is put in the place of the store's, as tests of outages do."""
    _, cache = make()
    made = Counted()
    f = cache.memoize()(lambda a: made())
    assert is_short(f, 1)

    def fail(*args: Any) -> Any:
        raise OSError("down")

    with patch.object(cache.cache, name, fail):
        assert [f(1), f(1)] == [2, 3]
    assert is_short(f, 1)


def test_subclasses() -> None:
    """A cache with a method of its own is asked through it; one without any is as ours."""

    class Prefixed(Cache):
        def _memvname(self, funcname: str) -> str:
            return f"my:{funcname}"

    class Named(Cache):
        pass

    for kind, expected in ((Prefixed, False), (Named, True)):
        app = Quaff("kinds", static_folder=None)
        app.config.update(CACHE_TYPE="SimpleCache")
        assert is_short(kind(app).memoize()(lambda a: a), 1) is expected


def test_what_is_stored_counts(clock: Turned) -> None:
    """Values and versions that are replaced, deleted or expired are heeded at once."""
    _, cache = make()
    made = Counted()
    f = cache.memoize(60)(lambda a: made())
    key = f.make_cache_key
    forgets: list[Callable[[], object]] = [
        lambda: cache.delete(key(f.uncached, 1)),
        lambda: cache.delete_memoized(f, 1),
        lambda: cache.delete_memoized(f),
        lambda: cache.delete_memoized_verhash(f),
        lambda: f.delete_memoized(),
        lambda: cache.clear(),
        lambda: setattr(clock, "now", clock.now + 61),
    ]
    for number, forget in enumerate(forgets, 1):
        assert is_short(f, 1)
        assert f(1) == number
        forget()
        assert f(1) == number + 1
    assert is_short(f, 1)
    cache.set(key(f.uncached, 1), "replaced")
    assert f(1) == "replaced"


def test_expiry(clock: Turned) -> None:
    """A value is found until its second comes, whatever its version does; and a version, whatever the value does."""
    _, cache = make()
    made = Counted()
    f = cache.memoize(60)(lambda a: made())
    assert is_short(f, 1)
    clock.now += 30
    assert f(2) == 2
    clock.now += 29
    assert long_ways(f, 1) == (1, 0)
    clock.now += 1
    assert f(1) == 3
    name = cache._memvname(hits.function_namespace(f)[0])
    cache.set(name, cache.get(name), timeout=5)
    clock.now += 4
    assert long_ways(f, 1) == (3, 0)
    clock.now += 1
    assert f(1) == 4


def test_for_ever(clock: Turned) -> None:
    """What has no time to end is found at any time."""
    _, cache = make()
    f = cache.memoize(0)(lambda a: a)
    assert is_short(f, 1)
    clock.now += 1e9
    assert long_ways(f, 1) == (1, 0)


def test_two_threads_that_begin_at_once() -> None:
    """Whichever of them made what the hashes are remembered in, it is the same for both sides."""
    _, cache = make()
    shorter = hits.Hits(cache, lambda a: a, memoize.Rules())
    bound = cache.bound()
    shorter.digests(bound)
    shorter._known = (hashlib.sha256, {})
    shorter.digests(bound)
    assert [place.digests is shorter._known[1] for place in shorter._places.values()] == [True]


def test_without_an_app() -> None:
    """A call says that the cache is not bound, before and after it was."""
    f = Cache().memoize()(lambda a: a)
    with pytest.raises(RuntimeError, match="not bound"):
        f(1)
