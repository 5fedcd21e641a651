"""`cached`: what it does for views and functions, in both pipelines and on an event loop."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from werkzeug.exceptions import NotFound

from quaff import Blueprint, Quaff, Response, abort, jsonify, make_response, request, session
from quaff.ext.caching import Cache, CachedResponse
from quaff.ext.caching.cached import answered_by
from quaff.views import MethodView, View
from tests.ext.caching.apps import PIPELINES, WAYS, Counted, make_app
from tests.ext.caching.conftest import Turned


@pytest.fixture(params=PIPELINES, ids=["compiled", "reference"])
def compiled(request: pytest.FixtureRequest) -> bool:
    """Give both pipelines."""
    return bool(request.param)


RESULTS: dict[str, Callable[[int], Any]] = {
    "text": lambda n: f"text {n}",
    "bytes": lambda n: b"bytes %d" % n,
    "dict": lambda n: {"n": n},
    "list": lambda n: [n],
    "status": lambda n: (f"gone {n}", 410),
    "headers": lambda n: (f"{n}", {"X-N": str(n), "Content-Type": "text/plain"}),
    "all three": lambda n: ({"n": n}, 404, [("X-N", str(n))]),
    "response": lambda n: Response(f"{n}", headers={"X-N": str(n)}),
    "jsonify": lambda n: jsonify(n=n),
    "generator": lambda n: (str(part) for part in (n, n)),
    "bytes generator": lambda n: (part for part in (b"a", b"%d" % n)),
}


@pytest.mark.parametrize("ask", WAYS)
@pytest.mark.parametrize("kind", RESULTS)
def test_results(kind: str, ask: Callable[..., Any], compiled: bool) -> None:
    """Whatever a view may return is cached, and each answer is the first one again: status, headers, body."""
    app, cache = make_app(compiled)
    count = Counted()
    app.add_url_rule("/", "view", cache.cached()(lambda: RESULTS[kind](count())))
    answers = [ask(app, "/") for _ in range(3)]
    assert count.calls == 1
    first = answers[0]
    for answer in answers:
        assert answer.status == first.status
        assert answer.data == first.data
        assert sorted(answer.headers) == sorted(first.headers)


@pytest.mark.parametrize("ask", WAYS)
def test_async_views(ask: Callable[..., Any], compiled: bool) -> None:
    """The result of an async view is cached, not the coroutine (flask-caching#262); the view stays async."""
    app, cache = make_app(compiled)
    count = Counted()

    @app.get("/<name>")
    @cache.cached()
    async def view(name: str) -> dict[str, Any]:
        await asyncio.sleep(0)
        return {"name": name, "n": count()}

    assert asyncio.iscoroutinefunction(view)
    assert [ask(app, "/a").json["n"] for _ in range(3)] == [1, 1, 1]
    assert ask(app, "/b").json == {"name": "b", "n": 2}


def test_async_functions() -> None:
    """An async function that is no view is awaited, once."""
    app, cache = make_app()
    count = Counted()

    @cache.cached(key_prefix="numbers")
    async def numbers() -> list[int]:
        return [count()]

    async def twice() -> list[Any]:
        return [await numbers(), await numbers()]

    with app.app_context():
        assert asyncio.run(twice()) == [[1], [1]]


def test_classes(compiled: bool) -> None:
    """Methods of class-based views are views too."""
    app, cache = make_app(compiled)
    count = Counted()

    class Whole(View):
        @cache.cached()
        def dispatch_request(self) -> str:
            return f"{count()}"

    class Parts(MethodView):
        @cache.cached()
        def get(self, name: str) -> str:
            return f"{name} {count()}"

        def post(self, name: str) -> str:
            return "posted"

    class Decorated(View):
        decorators = [cache.cached()]

        def dispatch_request(self) -> str:
            return f"{count()}"

    app.add_url_rule("/whole", view_func=Whole.as_view("whole"))
    app.add_url_rule("/parts/<name>", view_func=Parts.as_view("parts"))
    app.add_url_rule("/decorated", view_func=Decorated.as_view("decorated"))
    client = app.test_client()
    for path in ("/whole", "/parts/a", "/parts/b", "/decorated"):
        answers = [client.get(path) for _ in range(3)]
        assert len({answer.text for answer in answers}) == 1
        assert all("ETag" in answer.headers for answer in answers)
    assert count.calls == 4
    assert client.post("/parts/a").text == "posted"


def test_expiry(clock: Turned, compiled: bool) -> None:
    """A page is made anew when its time is over: the decorator's, the response's own, or the default."""
    app, cache = make_app(compiled, CACHE_DEFAULT_TIMEOUT=30)
    count = Counted()
    app.add_url_rule("/own", "own", cache.cached(timedelta(seconds=5))(lambda: f"{count()}"))
    app.add_url_rule("/default", "default", cache.cached()(lambda: f"{count()}"))
    app.add_url_rule("/ever", "ever", cache.cached(0)(lambda: f"{count()}"))
    dynamic = cache.cached(timeout=1)(lambda: CachedResponse(make_response(f"{count()}"), 10))
    app.add_url_rule("/dynamic", "dynamic", dynamic)
    client = app.test_client()

    def ask() -> list[str]:
        return [client.get(f"/{name}").text for name in ("own", "default", "ever", "dynamic")]

    assert ask() == ["1", "2", "3", "4"]
    clock.now += 7
    assert ask() == ["5", "2", "3", "4"]
    clock.now += 25
    assert ask() == ["6", "7", "3", "8"]


def test_attributes(compiled: bool) -> None:
    """The function itself, its timeout and its key can be had, and the last two replaced, also after the first request."""
    app, cache = make_app(compiled)
    count = Counted()

    def plain() -> str:
        """Say something."""
        return f"{count()}"

    view = cache.cached(5)(plain)
    app.add_url_rule("/", "plain", view)
    assert (view.uncached, view.cache_timeout, view.__name__, view.__doc__) == (plain, 5, "plain", "Say something.")
    client = app.test_client()
    assert client.get("/").text == "1"
    with app.test_request_context("/"):
        assert view.make_cache_key() == "view//"
        assert cache.get(view.make_cache_key()) == "1"
    assert client.get("/").text == "1"
    view.make_cache_key = lambda *args, **kwargs: request.args["key"]
    assert [client.get(f"/?key={key}").text for key in "aab"] == ["2", "2", "3"]
    view.cache_timeout = 60
    assert view.cache_timeout == 60


def test_query_strings(compiled: bool) -> None:
    """With `query_string` each set of parameters is a page, in whatever order they come."""
    app, cache = make_app(compiled)
    count = Counted()
    view = cache.cached(query_string=True)(lambda: f"{request.args.get('a')} {count()}")
    app.add_url_rule("/", "view", view)
    client = app.test_client()
    for query in ("?a=1&b=2", "?b=2&a=1", "?a=1&b=3", "", "?a=1&a=2&b=2", "?a=2&b=2&a=1"):
        client.get(f"/{query}")
    assert count.calls == 4
    with app.test_request_context("/?a=1&b=2"):
        expected = hashlib.sha256(str((("a", "1"), ("b", "2"))).encode()).hexdigest()
        assert view.make_cache_key() == f"view//{expected}"
    assert view.make_cache_key(path="/", query_args={"a": 1, "b": 2}) == f"view//{expected}"


def test_keys_of_functions(compiled: bool) -> None:
    """A function that is no view has the key that it is given, in a request or outside of one."""
    app, cache = make_app(compiled)
    count = Counted()
    numbers = cache.cached(key_prefix="numbers")(lambda: [count()])
    app.add_url_rule("/", "view", lambda: {"n": numbers()}, methods=["GET", "POST"])
    client = app.test_client()
    with app.app_context():
        assert numbers() == [1]
    assert client.get("/").json == {"n": [1]}
    assert client.post("/").json == {"n": [1]}
    found = numbers()
    found.append(2)
    assert numbers() == [1]


def test_a_function_that_reads_the_session(compiled: bool) -> None:
    """Its result is not shared, and the page of a view around it is not either."""
    app, cache = make_app(compiled)
    name = cache.cached(key_prefix="name")(lambda: session.get("user"))
    app.add_url_rule("/login/<name>", "login", lambda name: session.update(user=name) or "in")
    app.add_url_rule("/plain", "plain", lambda: str(name()))
    app.add_url_rule("/cached", "cached", cache.cached()(lambda: str(name())))
    for user in ("alice", "bob"):
        client = app.test_client()
        client.get(f"/login/{user}")
        assert client.get("/plain").text == user
        assert client.get("/cached").text == user


def test_what_an_inner_hit_depends_on(compiled: bool) -> None:
    """A view around a function that read a header is cached for each of its values, when the function was a hit too."""
    app, cache = make_app(compiled)
    language = cache.cached(key_prefix="language")(lambda: request.headers.get("Accept-Language"))
    app.add_url_rule("/inner", "inner", lambda: str(language()))
    app.add_url_rule("/outer", "outer", cache.cached()(lambda: str(language())))
    client = app.test_client()
    for value in ("de", "en"):
        client.get("/inner", headers={"Accept-Language": value})
    for value in ("de", "en", "de"):
        assert client.get("/outer", headers={"Accept-Language": value}).text == value


def test_unless(compiled: bool) -> None:
    """When it says True the cache is left alone; it gets function and arguments if it wants any."""
    app, cache = make_app(compiled)
    count, asked = Counted(), []

    def skip(f: Any, name: str) -> bool:
        asked.append((f.__name__, name))
        return name == "skip"

    app.add_url_rule("/<name>", "view", cache.cached(unless=skip)(lambda name: f"{count()}"))
    app.add_url_rule("/always", "always", cache.cached(unless=lambda: True)(lambda: f"{count()}"))
    client = app.test_client()
    assert [client.get(path).text for path in ("/a", "/a", "/skip", "/skip", "/always", "/always")] == [*"112345"]
    assert asked[0] == ("<lambda>", "a")


def test_forced_and_stale(compiled: bool) -> None:
    """`forced_update` has a page made anew, and so does `is_stale`, which gets what was found."""
    app, cache = make_app(compiled)
    count, found, flags = Counted(), [], {"force": False, "stale": False}

    def stale(value: str) -> bool:
        found.append(value)
        return flags["stale"]

    app.add_url_rule("/f", "f", cache.cached(forced_update=lambda: flags["force"])(lambda: f"{count()}"))
    app.add_url_rule("/s", "s", cache.cached(is_stale=stale)(lambda: f"{count()}"))
    client = app.test_client()
    assert [client.get(path).text for path in ("/f", "/f", "/s", "/s")] == [*"1122"]
    flags.update(force=True, stale=True)
    assert [client.get(path).text for path in ("/f", "/s")] == ["3", "4"]
    flags.update(force=False, stale=False)
    assert [client.get(path).text for path in ("/f", "/s")] == ["3", "4"]
    assert found == ["2", "2", "4"]


def test_filter(compiled: bool) -> None:
    """`response_filter` gets what the view returned, or the response of an HTTP error."""
    app, cache = make_app(compiled)
    count, seen = Counted(), []

    def keep(result: Any) -> bool:
        seen.append(result)
        return False

    app.add_url_rule("/", "view", cache.cached(response_filter=keep)(lambda: f"{count()}"))
    app.add_url_rule("/e", "error", cache.cached(response_filter=keep)(lambda: abort(404)))
    client = app.test_client()
    assert [client.get("/").text, client.get("/").text, client.get("/e").status_code] == ["1", "2", 404]
    assert (seen[0], seen[2].status_code) == ("1", 404)


def test_http_errors(compiled: bool) -> None:
    """`abort(404)` is a page like any other, and goes through the error handlers each time; a 503 is not kept."""
    app, cache = make_app(compiled)
    count = Counted()

    @app.errorhandler(404)
    def handle(error: NotFound) -> tuple[str, int]:
        return f"handled: {error.description}", 404

    @app.get("/<int:code>")
    @cache.cached()
    def fail(code: int) -> str:
        count()
        abort(code, "no such thing")

    client = app.test_client()
    assert [client.get("/404").text for _ in range(3)] == ["handled: no such thing"] * 3
    assert count.calls == 1
    assert [client.get("/503").status_code for _ in range(2)] == [503, 503]
    assert count.calls == 3


def test_none(compiled: bool) -> None:
    """None is no value, unless `cache_none` says so."""
    app, cache = make_app(compiled)
    count = Counted()
    maybe = cache.cached(key_prefix="maybe", cache_none=True)(lambda: [count(), None][1])
    never = cache.cached(key_prefix="never")(lambda: [count(), None][1])
    with app.app_context():
        assert [maybe(), maybe(), never(), never()] == [None] * 4
    assert count.calls == 3


def test_errors_are_not_cached(compiled: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error of the view goes its way, and the next request tries again."""
    app, cache = make_app(compiled, PROPAGATE_EXCEPTIONS=False)
    count = Counted()

    @app.get("/")
    @cache.cached()
    def view() -> str:
        if count() == 1:
            raise KeyError("first")
        return "fine"

    monkeypatch.setattr(app.logger, "disabled", True)
    client = app.test_client()
    assert [client.get("/").status_code for _ in range(3)] == [500, 200, 200]
    assert count.calls == 2


def test_hit_indication(compiled: bool) -> None:
    """Hits have a header, if that is wanted."""
    app, cache = make_app(compiled)
    app.add_url_rule("/", "view", cache.cached(response_hit_indication=True)(lambda: {"a": 1}))
    app.add_url_rule("/no", "no", cache.cached()(lambda: {"a": 1}))
    client = app.test_client()
    assert [client.get("/").headers.get("hit_cache") for _ in range(3)] == [None, "True", "True"]
    assert [client.get("/no").headers.get("hit_cache") for _ in range(2)] == [None, None]


def test_source_check(compiled: bool) -> None:
    """A view whose source changed has another key."""
    app, cache = make_app(compiled, CACHE_SOURCE_CHECK=True)
    first = cache.cached(key_prefix="f")(lambda: "one")
    second = cache.cached(key_prefix="f")(lambda: "another")
    unchecked = cache.cached(key_prefix="f", source_check=False)(lambda: "third")
    with app.app_context():
        assert (first(), second(), unchecked()) == ("one", "another", "third")
        assert unchecked.make_cache_key() == "f"
        assert first.make_cache_key() != second.make_cache_key()


def test_delete_cached(compiled: bool) -> None:
    """A page is forgotten by its path, its query or the view's arguments; its variants with it."""
    app, cache = make_app(compiled)
    count = Counted()

    @app.get("/user/<name>")
    @cache.cached(query_string=False)
    def user(name: str) -> str:
        return f"{name} {request.headers.get('Accept-Language')} {count()}"

    client = app.test_client()
    de = {"Accept-Language": "de"}
    first = client.get("/user/bob", headers=de).text
    assert client.get("/user/bob", headers=de).text == first
    with app.app_context():
        assert cache.delete_cached(user, "/user/bob")
    assert client.get("/user/bob", headers=de).text != first
    with app.test_request_context("/"):
        assert cache.delete_cached(user, name="bob")
        assert not cache.delete_cached(user, name="bob")
    assert client.get("/user/bob", headers=de).text == "bob de 3"


def test_blueprints(compiled: bool) -> None:
    """Views of blueprints are views."""
    app, cache = make_app(compiled)
    count = Counted()
    blueprint = Blueprint("shop", __name__, url_prefix="/shop")
    blueprint.add_url_rule("/<item>", "item", cache.cached()(lambda item: f"{item} {count()}"))
    app.register_blueprint(blueprint)
    client = app.test_client()
    assert [client.get(f"/shop/{item}").text for item in "aab"] == ["a 1", "a 1", "b 2"]


def test_streams_pass_through(compiled: bool) -> None:
    """An async generator, and a streamed response, reach the client and are not cached."""
    app, cache = make_app(compiled)
    count = Counted()

    @app.get("/async")
    @cache.cached()
    def stream_async() -> Any:
        async def pieces() -> Any:
            yield f"{count()}"
            yield "!"

        return pieces()

    app.add_url_rule("/sync", "sync", cache.cached()(lambda: Response(iter([f"{count()}", "!"]))))
    client = app.test_client()
    assert [client.get(path).text for path in ("/async", "/async", "/sync", "/sync")] == ["1!", "2!", "3!", "4!"]


def test_websockets(compiled: bool) -> None:
    """A WebSocket's handler under `cached` is called for each connection."""
    app, cache = make_app(compiled)
    count = Counted()

    @app.websocket("/chat")
    @cache.cached()
    def chat() -> None:
        from quaff import websocket

        websocket.send(f"{count()}")

    for expected in ("1", "2"):
        with app.test_websocket("/chat") as connection:
            assert connection.receive() == expected


def test_two_caches_in_one_app(compiled: bool) -> None:
    """Each has its own store."""
    app, first = make_app(compiled)
    second = Cache(app, config={"CACHE_DEFAULT_TIMEOUT": 5})
    count = Counted()
    app.add_url_rule("/a", "a", first.cached(key_prefix="key")(lambda: f"{count()}"))
    app.add_url_rule("/b", "b", second.cached(key_prefix="key")(lambda: f"{count()}"))
    client = app.test_client()
    assert [client.get(path).text for path in ("/a", "/b", "/a", "/b")] == [*"1212"]
    assert set(app.extensions["cache"]) == {first, second}


def test_one_cache_for_two_apps(compiled: bool) -> None:
    """Each app has its own store, and views know which."""
    cache = Cache()
    count = Counted()
    view = cache.cached()(lambda: f"{count()}")
    apps = []
    for name in ("one", "two"):
        app = Quaff(name, static_folder=None, compiled=compiled)
        app.config["CACHE_TYPE"] = "SimpleCache"
        cache.init_app(app)
        app.add_url_rule("/", "view", view)
        apps.append(app.test_client())
    assert [client.get("/").text for client in (*apps, *apps)] == [*"1212"]


def test_what_a_result_says() -> None:
    """Status and headers are found in whatever a view may return."""
    assert answered_by("text") is None
    assert answered_by(("a", 404)).status == 404  # type: ignore[union-attr]
    assert answered_by(("a", "404 NOT FOUND")).status == 404  # type: ignore[union-attr]
    assert answered_by((Response("a", 201), {"A": ["b", "c"]})).headers[-2:] == (("A", "b"), ("A", "c"))  # type: ignore[union-attr]
    assert not answered_by(iter("a")).is_whole  # type: ignore[union-attr]
    assert answered_by(NotFound()).status == 404  # type: ignore[union-attr]
