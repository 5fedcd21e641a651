"""Stores that are down at the start, die under load, are slow, and come back: real servers, killed by the test."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from quaff import Quaff
from quaff.ext.caching import Cache
from tests.ext.caching.apps import Counted, get_over_asgi, make_app
from tests.ext.servers import MariaDB, Memcached, Redis, Server, running

KINDS: dict[str, tuple[type[Server], Callable[[Any], dict[str, Any]]]] = {
    "redis": (Redis, lambda server: {"CACHE_TYPE": "redis", "CACHE_REDIS_URL": f"redis://:@localhost:{server.port}/0"}),
    "memcached": (
        Memcached,
        lambda server: {"CACHE_TYPE": "memcached", "CACHE_MEMCACHED_SERVERS": [f"127.0.0.1:{server.port}"]},
    ),
    "mariadb": (MariaDB, lambda server: {"CACHE_TYPE": "sql", "CACHE_SQL_URL": server.uri}),
}

every_kind = pytest.mark.parametrize(
    "kind", [pytest.param(name, marks=pytest.mark.service(f"{name}-server")) for name in KINDS]
)


@pytest.fixture
def server(kind: str, tmp_path: Path) -> Iterator[Server]:
    """Give a server that is not started, and is stopped after the test."""
    made = KINDS[kind][0](tmp_path)
    try:
        yield made
    finally:
        made.kill()


@pytest.fixture
def served(kind: str, server: Server) -> Iterator[tuple[Quaff, Cache, Counted]]:
    """Give an app whose cache is in the server, with views that count their calls."""
    app, cache = make_app(TESTING=False, **KINDS[kind][1](server))
    count = Counted()
    app.add_url_rule("/", "view", cache.cached(60)(lambda: f"{count()}"))
    app.add_url_rule("/<name>", "named", cache.cached(60, tags=["t"], stale_for=5)(lambda name: f"{name} {count()}"))

    @app.get("/async")
    @cache.cached(60)
    async def view_async() -> str:
        return f"{count()}"

    yield app, cache, count
    cache.bound_to(app).store.backend.close()


def breaker_of(app: Quaff, cache: Cache) -> Any:
    """Return the breaker in front of the store."""
    return cache.bound_to(app).store.breaker


@every_kind
def test_down_at_the_start(served: Any, server: Server, caplog: pytest.LogCaptureFixture) -> None:
    """The app starts and answers; every request is a miss; the log has one line, without a password; then it comes up."""
    app, cache, _ = served
    client = app.test_client()
    with caplog.at_level(logging.WARNING):
        assert [client.get("/").text for _ in range(20)] == [str(number) for number in range(1, 21)]
        assert get_over_asgi(app, "/async").text == "21"
        assert len(caplog.records) == 1, caplog.text
        assert "is unavailable" in caplog.records[0].getMessage()
        assert "\n" not in caplog.records[0].getMessage()
        server.start()
        breaker_of(app, cache)._next_try = 0.0
        assert client.get("/").text == client.get("/").text == "22"
        assert len(caplog.records) == 2, caplog.text


@every_kind
def test_killed_and_started_again(served: Any, server: Server) -> None:
    """What is cached is there until the server dies; without it views are called; with an empty one all begins anew."""
    app, cache, _ = served
    server.start()
    client = app.test_client()
    assert [client.get("/").text, client.get("/").text, client.get("/a").text, client.get("/a").text] == [
        "1",
        "1",
        "a 2",
        "a 2",
    ]
    server.kill()
    assert [client.get("/").status_code for _ in range(5)] == [200] * 5
    assert client.get("/a").text.startswith("a ")
    with app.app_context():
        assert cache.get("x") is None
        assert cache.get_many("x", "y") == [None, None]
        assert cache.set("x", 1) is False
        assert not cache.has("x")
        assert not cache.delete("x")
        assert cache.delete_many("x") == []
        assert cache.clear() is False
        cache.delete_tagged("t")
        assert cache.memoize()(lambda a: a)(5) == 5
    server.start()
    breaker_of(app, cache)._next_try = 0.0
    first = client.get("/b").text
    assert client.get("/b").text == first
    with app.app_context():
        assert cache.set("x", 1)
        assert cache.get("x") == 1


@every_kind
def test_killed_under_load(served: Any, server: Server, caplog: pytest.LogCaptureFixture) -> None:
    """While many threads ask, the server dies: no request fails, and the log does not fill up."""
    app, _, _ = served
    server.start()
    statuses: list[int] = []
    stop = threading.Event()

    def ask(number: int) -> None:
        client = app.test_client()
        turn = 0
        while not stop.is_set() and turn < 2000:
            turn += 1
            statuses.append(client.get(f"/{number}-{turn % 7}").status_code)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(6)]
    with caplog.at_level(logging.WARNING):
        for thread in threads:
            thread.start()
        while len(statuses) < 60:
            stop.wait(0.01)
        server.kill()
        seen = len(statuses)
        while len(statuses) < seen + 200:
            stop.wait(0.01)
        stop.set()
        for thread in threads:
            thread.join(60)
    assert set(statuses) == {200}
    assert len([record for record in caplog.records if record.name.startswith("quaff")]) <= 2


@every_kind
def test_a_server_that_does_not_answer(served: Any, server: Server) -> None:
    """A server that hangs costs its deadline a few times, then nothing until it is tried again."""
    app, cache, _ = served
    server.start()
    client = app.test_client()
    assert [client.get("/").text, client.get("/").text] == ["1", "1"]
    server.freeze()
    assert [client.get("/").text for _ in range(10)] == [str(number) for number in range(2, 12)]
    assert breaker_of(app, cache).is_open
    server.thaw()
    breaker_of(app, cache)._next_try = 0.0
    assert client.get("/new").text == client.get("/new").text
    assert not breaker_of(app, cache).is_open


@pytest.mark.service("redis-server")
@pytest.mark.parametrize("trouble", ["full", "read-only", "wrong type"])
def test_a_redis_that_refuses(trouble: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A full server, a read-only one, and a key of another kind are misses, no errors."""
    import redis

    with running(Redis(tmp_path)) as server, redis.Redis(port=server.port) as client:
        app, cache = make_app(TESTING=False, CACHE_TYPE="redis", CACHE_REDIS_PORT=server.port)
        app.add_url_rule("/", "view", cache.cached()(lambda: "page"))
        if trouble == "full":
            client.config_set("maxmemory-policy", "noeviction")
            client.config_set("maxmemory", "1")
        elif trouble == "read-only":
            client.replicaof("127.0.0.1", 1)
        else:
            client.lpush("flask_cache_view//", "x")
        browser = app.test_client()
        assert [browser.get("/").text for _ in range(6)] == ["page"] * 6
        cache.bound_to(app).store.backend.close()
    assert len(caplog.records) <= 2, caplog.text


@pytest.mark.service("redis-server")
def test_two_processes_share_redis(tmp_path: Path) -> None:
    """Two apps with one Redis see each other's pages, memoized values, tags and variants."""
    with running(Redis(tmp_path)) as server:
        count = Counted()
        apps = []
        for _ in range(2):
            app, cache = make_app(CACHE_TYPE="redis", CACHE_REDIS_PORT=server.port)
            app.add_url_rule("/<name>", "named", cache.cached(tags=["t"])(lambda name: {"n": count(), "name": name}))
            apps.append((app.test_client(), cache, cache.memoize()(double(count)), app))
        (one, cache, f, app), (two, other, g, other_app) = apps
        assert one.get("/a").json == two.get("/a").json == {"n": 1, "name": "a"}
        with app.app_context():
            assert f(3) == [6, 2]
        with other_app.app_context():
            assert g(3) == [6, 2]
            other.delete_tagged("t")
            other.delete_memoized(g)
        assert one.get("/a").json["n"] == 3
        with app.app_context():
            assert f(3) == [6, 4]
        for made, owner in ((cache, app), (other, other_app)):
            made.bound_to(owner).store.backend.close()


def double(count: Counted) -> Any:
    """Return a function with one name for both apps."""

    def twice(number: int) -> list[int]:
        return [2 * number, count()]

    return twice
