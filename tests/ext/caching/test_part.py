"""The shorter way to a hit, and entity tags: the compiled pipeline against the decorated function."""

from __future__ import annotations

from typing import Any

import pytest

from quaff import Quaff, Response, request
from quaff.ext.caching import Cache
from tests.contracts.test_calls import answer, calls_of, environ
from tests.ext.caching.apps import PIPELINES, Counted, make_app


def build(compiled: bool, **config: Any) -> tuple[Quaff, Cache]:
    """Return an app with cached views of several kinds."""
    app, cache = make_app(compiled, TESTING=False, **config)
    count = Counted()
    app.add_url_rule("/", "hello", cache.cached()(lambda: f"Hello, {count()}!"))
    app.add_url_rule("/bytes", "bytes", cache.cached()(lambda: b"bytes %d" % count()))
    app.add_url_rule("/json", "json", cache.cached()(lambda: {"n": count()}))
    app.add_url_rule("/made", "made", cache.cached()(lambda: Response(f"{count()}", 201)))
    app.add_url_rule("/user/<name>", "user", cache.cached()(lambda name: f"{name} {count()}"))
    app.add_url_rule(
        "/prefix/<name>", "prefix", cache.cached(key_prefix="my-%s-page")(lambda name: f"{name} {count()}")
    )
    app.add_url_rule("/echo", "echo", cache.cached()(lambda: f"{request.headers.get('X-A')} {count()}"))
    app.add_url_rule("/plain", "plain", lambda: "Hello, World!")
    app.add_url_rule("/slash/", "slash", cache.cached()(lambda: f"{count()}"), strict_slashes=False)
    return app, cache


def snapshot(answer: Any) -> tuple[Any, ...]:
    """Return what a client sees."""
    return answer.status, answer.data, sorted((name, value) for name, value in answer.headers if name != "Date")


REQUESTS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("/", {}),
    ("/", {}),
    ("/", {"method": "HEAD"}),
    ("/", {"headers": {"Authorization": "Bearer x"}}),
    ("/", {"query_string": "a=1"}),
    ("/bytes", {}),
    ("/bytes", {}),
    ("/json", {}),
    ("/json", {}),
    ("/made", {}),
    ("/made", {}),
    ("/user/a", {}),
    ("/user/a", {}),
    ("/user/b", {}),
    ("/user/" + "0123456789abcdef" * 4, {}),
    ("/user/" + "0123456789abcdef" * 4, {}),
    ("/user/" + "x" * 300, {}),
    ("/user/" + "x" * 300, {}),
    ("/user/é", {}),
    ("/user/é", {}),
    ("/user/%2e%2e", {}),
    ("/prefix/a", {}),
    ("/prefix/a", {}),
    ("/prefix/%25s", {}),
    ("/prefix/%25s", {}),
    ("/echo", {"headers": {"X-A": "1"}}),
    ("/echo", {"headers": {"X-A": "2"}}),
    ("/echo", {"headers": {"X-A": "1"}}),
    ("/slash/", {}),
    ("/slash", {}),
    ("/slash/", {}),
    ("/missing", {}),
)


def test_both_pipelines_answer_alike() -> None:
    """A series of requests gets the same answers, header by header, and leaves the same keys in the store."""
    seen = []
    for compiled in PIPELINES:
        app, cache = build(compiled)
        client = app.test_client()
        answers = [snapshot(client.open(path, **options)) for path, options in REQUESTS]
        keys = [key for key in app.extensions["cache"][cache]._cache if not key.startswith("variant:")]
        seen.append((answers, keys))
    assert seen[0] == seen[1]


BUDGETS = {"/": 0, "/user/a": 0, "/bytes": 0}
"""Path -> how many more Python calls a hit makes than the same view without a cache."""


@pytest.mark.parametrize("path", BUDGETS)
def test_calls_of_a_hit(path: str) -> None:
    """A hit takes a single call, in the place of that of the view; its entity tag takes none."""
    app, _ = build(True)
    bare = Quaff("bare", compiled=True)
    bare.add_url_rule("/", "hello", lambda: "Hello")
    bare.add_url_rule("/bytes", "bytes", lambda: b"Hello")
    bare.add_url_rule("/user/<name>", "user", lambda name: "Hello")
    counts = []
    for served in (bare, app):
        for _ in range(4):
            assert answer(served, environ(path))
        counts.append(calls_of(answer, served, environ(path)))
    assert len(counts[1]) - len(counts[0]) <= BUDGETS[path], counts[1]
    assert not [name for name in counts[1] if "engine.py" in name]


def test_a_route_without_a_cache_pays_nothing() -> None:
    """Its requests make the calls that they make in an app without the battery."""
    app, _ = build(True)
    bare = Quaff("bare", compiled=True)
    bare.add_url_rule("/plain", "plain", lambda: "Hello, World!")
    counts = []
    for served in (bare, app):
        for _ in range(4):
            answer(served, environ("/plain"))
        counts.append(len(calls_of(answer, served, environ("/plain"))))
    assert counts[0] == counts[1]


@pytest.mark.parametrize("compiled", PIPELINES)
@pytest.mark.parametrize("path", ["/", "/bytes", "/json", "/user/a"])
def test_conditional_requests(path: str, compiled: bool) -> None:
    """A client that has the page gets 304 without a body; with another tag it gets the page."""
    app, _ = build(compiled)
    client = app.test_client()
    etag = client.get(path).headers["ETag"]
    for sent in (etag, f'"other", {etag}', f"W/{etag}", "*"):
        answer = client.get(path, headers={"If-None-Match": sent})
        assert (answer.status_code, answer.data, answer.headers["ETag"]) == (304, b"", etag)
        assert "Content-Length" not in answer.headers
    for sent in ('"other"', "nonsense"):
        answer = client.get(path, headers={"If-None-Match": sent})
        assert (answer.status_code, answer.headers["ETag"]) == (200, etag)


@pytest.mark.parametrize("compiled", PIPELINES)
def test_a_hook_changes_the_body(compiled: bool) -> None:
    """The entity tag is that of what is sent, after hooks have changed it."""
    app, _ = build(compiled)

    @app.after_request
    def add(response: Response) -> Response:
        response.set_data(response.get_data() + request.args.get("add", "").encode())
        return response

    client = app.test_client()
    first, second = client.get("/?add=a"), client.get("/?add=b")
    assert first.headers["ETag"] != second.headers["ETag"]
    assert client.get("/?add=b", headers={"If-None-Match": first.headers["ETag"]}).status_code == 200
    assert client.get("/?add=b", headers={"If-None-Match": second.headers["ETag"]}).status_code == 304


@pytest.mark.parametrize("compiled", PIPELINES)
def test_entity_tags_of_ones_own(compiled: bool) -> None:
    """A tag that the view sets stays, and serves conditional requests from the cache; other statuses get none."""
    app, cache = make_app(compiled)
    count = Counted()

    @app.get("/")
    @cache.cached()
    def view() -> Response:
        count()
        response = Response("page")
        response.set_etag("own", weak=True)
        return response

    app.add_url_rule("/gone", "gone", cache.cached()(lambda: ("gone", 410)))
    client = app.test_client()
    assert [client.get("/").headers["ETag"] for _ in range(2)] == ['W/"own"'] * 2
    assert client.get("/", headers={"If-None-Match": 'W/"own"'}).status_code == 304
    assert count.calls == 1
    assert "ETag" not in client.get("/gone").headers


@pytest.mark.parametrize("compiled", PIPELINES)
@pytest.mark.parametrize("where", ["setting", "decorator"])
def test_without_entity_tags(where: str, compiled: bool) -> None:
    """They can be switched off, for the app or one view."""
    app, cache = make_app(compiled, **({"CACHE_ETAG": False} if where == "setting" else {}))
    app.add_url_rule("/", "view", cache.cached(**({"etag": False} if where == "decorator" else {}))(lambda: "page"))
    client = app.test_client()
    assert all("ETag" not in client.get("/").headers for _ in range(2))
    answer = client.get("/", headers={"If-None-Match": "*"})
    assert (answer.status_code, answer.text) == (200, "page")


@pytest.mark.parametrize("compiled", PIPELINES)
def test_pages_that_are_not_cached_get_no_tag(compiled: bool) -> None:
    """A page with a cookie, or a private one, is sent as the view made it."""
    app, cache = make_app(compiled)
    app.add_url_rule("/", "view", cache.cached()(lambda: ("page", {"Set-Cookie": "a=b"})))
    inner = cache.cached()(lambda: "inner")
    app.add_url_rule("/nested", "nested", lambda: inner() + "!")
    client = app.test_client()
    for path in ("/", "/nested", "/nested"):
        assert "ETag" not in client.get(path).headers
