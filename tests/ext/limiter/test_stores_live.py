"""Real stores, which are killed, frozen and started again by the tests themselves."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from quaff import Quaff
from quaff.ext.limiter import Limiter
from tests.ext.limiter.apps import (
    STRATEGIES,
    Clock,
    both_pipelines,
    limited_app,
    make_app,
    statuses,
    statuses_on_loop,
    user_name,
)
from tests.ext.servers import Server

PATIENT = {"RATELIMIT_STORAGE_TIMEOUT": 30}
"""For tests of what a store counts, on a machine that is busy."""

SOON = 30.0
"""Seconds in which requests are answered while a store hangs, on a busy machine: without a deadline they never are."""


@pytest.fixture
def close() -> Iterator[list[Any]]:
    """Give a list for what is to be closed afterwards."""
    things: list[Any] = []
    yield things
    for thing in things:
        thing.close()


def app_on(server: Server, compiled: bool, *limits: str, **options: Any) -> tuple[Quaff, Limiter]:
    """Return an app that counts in a store."""
    return limited_app(compiled, *limits, storage_uri=server.uri, **options)


# Counting ------------------------------------------------------------------------------------------------------------------


@both_pipelines
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_redis(compiled: bool, strategy: str, redis_server: Server) -> None:
    """Redis counts with each strategy, and headers tell what is left."""
    app, limiter = app_on(redis_server, compiled, "3/hour", strategy=strategy, headers_enabled=True, config=PATIENT)
    client = app.test_client()
    responses = [client.get("/") for _ in range(4)]
    assert [response.status_code for response in responses] == [200, 200, 200, 429]
    assert [response.headers["X-RateLimit-Remaining"] for response in responses] == ["2", "1", "0", "0"]
    assert responses[0].headers["RateLimit"].startswith('"3-per-3600";r=2;t=')
    limiter.reset()
    assert statuses(app) == [200]
    assert statuses_on_loop(app, times=3) == [200, 200, 429]


@both_pipelines
@pytest.mark.parametrize("strategy", ["fixed-window", "sliding-window-counter"])
def test_memcached(compiled: bool, strategy: str, memcached_server: Server, close: list[Any]) -> None:
    """So does Memcached, with the strategies that it has."""
    app, limiter = app_on(memcached_server, compiled, "3/hour", strategy=strategy, headers_enabled=True, config=PATIENT)
    client = app.test_client()
    assert [client.get("/").headers["X-RateLimit-Remaining"] for _ in range(3)] == ["2", "1", "0"]
    assert statuses(app) == [429]
    close.append(limiter.storage.storage)


def test_memcached_and_keys_of_the_client_s(memcached_server: Server, close: list[Any]) -> None:
    """SECURITY: a key that Memcached refuses is counted nevertheless, and does not look like an outage."""
    app, limiter = app_on(memcached_server, True, "2/hour", key_func=user_name, config=PATIENT)
    for user in ("with spaces", "x" * 5000, "caf\xe9", "tab\there"):
        assert statuses(app, times=3, headers={"User": user}) == [200, 200, 429]
    assert limiter.site.backend is not None
    assert not limiter.site.backend.breaker.is_open
    close.append(limiter.storage.storage)


@both_pipelines
def test_apps_share_a_store(compiled: bool, redis_server: Server) -> None:
    """Processes that use one store count together, and prefixes keep apps apart."""
    apps = [app_on(redis_server, compiled, "3/hour", config=PATIENT)[0] for _ in range(2)]
    assert [statuses(app)[0] for app in apps * 2] == [200, 200, 200, 429]
    other, _ = app_on(redis_server, compiled, "3/hour", key_prefix="other", config=PATIENT)
    assert statuses(other) == [200]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_exact_in_redis(strategy: str, redis_server: Server) -> None:
    """Of 400 requests by eight threads at 100 an hour exactly 100 pass."""
    app, _ = app_on(redis_server, True, "100/hour", strategy=strategy, config=PATIENT)
    client = app.test_client(use_cookies=False)
    barrier = threading.Barrier(8)
    found: list[int] = []

    def ask() -> None:
        barrier.wait()
        found.extend([client.get("/").status_code for _ in range(50)])

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (found.count(200), found.count(429)) == (100, 300)


WORKER = """
import sys
from quaff import Quaff
from quaff.ext.limiter import Limiter

app = Quaff("of the workers")
Limiter(app=app, default_limits=["100/hour"], strategy=sys.argv[1])
app.add_url_rule("/", "index", lambda: "index")
client = app.test_client()
client.get("/missing")
print("ready", flush=True)
sys.stdin.readline()
print(sum(client.get("/").status_code == 200 for _ in range(60)))
"""


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_exact_in_four_processes(strategy: str, tmp_path: Path) -> None:
    """Of 240 requests to four workers of one server at 100 an hour exactly 100 pass, though nothing but memory is set up."""
    tmp_path.chmod(0o700)
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, strategy],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "QUAFF_SHARED_DIR": str(tmp_path)},
        )
        for _ in range(4)
    ]
    try:
        for worker in workers:
            assert worker.stdout is not None
            assert worker.stdout.readline() == "ready\n"
        for worker in workers:
            assert worker.stdin is not None
            worker.stdin.write("go\n")
            worker.stdin.flush()
        passed = [int(worker.communicate(timeout=60)[0]) for worker in workers]
    finally:
        for worker in workers:
            worker.kill()
            worker.communicate()
    assert sum(passed) == 100


def test_keys_are_the_extension_s(redis_server: Server) -> None:
    """COMPAT: what is in the store is what the extension would have put there."""
    app, _ = app_on(redis_server, True, "3/hour", config=PATIENT)
    statuses(app)
    keys = redis_server.run("KEYS", "*")  # type: ignore[attr-defined]  # it is a Redis
    assert keys == [b"LIMITS:LIMITER/127.0.0.1/index/3/1/hour"]


# Outages -------------------------------------------------------------------------------------------------------------------


@both_pipelines
@pytest.mark.parametrize(
    "policy, found", [("fail_open", [200] * 5), ("fail_closed", [503] * 5), ("local", [200] * 2 + [429] * 3)]
)
def test_down_at_the_start(compiled: bool, policy: str, found: list[int], caplog: pytest.LogCaptureFixture) -> None:
    """An app starts without its store, and does what the policy says; the outage is one line in the log."""
    app, _ = limited_app(compiled, "2/hour", storage_uri="redis://127.0.0.1:1", on_store_failure=policy)
    assert statuses(app, times=5) == found
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert caplog.messages[0].startswith("The store of the rate limits, redis://127.0.0.1:1, is unavailable: ")


@both_pipelines
@pytest.mark.parametrize("policy, during", [("fail_open", 200), ("fail_closed", 503), ("local", 200)])
def test_killed_and_back(
    compiled: bool, policy: str, during: int, redis_server: Server, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """A store that dies under load and comes back: the policy while it is gone, the limits when it is back, two lines."""
    app, _ = app_on(redis_server, compiled, "100/hour", on_store_failure=policy, config=PATIENT)
    assert statuses(app, times=3) == [200] * 3
    redis_server.kill()
    assert statuses(app, times=20) == [during] * 20
    redis_server.start()
    assert statuses(app) == [during]
    clock.forward(1)
    assert statuses(app, times=3) == [200] * 3
    levels = [record.levelname for record in caplog.records if record.name == "flask-limiter"]
    assert levels == ["ERROR", "WARNING"]


@both_pipelines
@pytest.mark.parametrize("policy, status", [("fail_open", 200), ("fail_closed", 503), ("local", 200)])
def test_frozen(compiled: bool, policy: str, status: int, redis_server: Server) -> None:
    """SECURITY: a store that takes connections and never answers costs a deadline, then nothing, and no request hangs."""
    app, limiter = app_on(redis_server, compiled, "100/hour", on_store_failure=policy)
    statuses(app)
    redis_server.freeze()
    start = time.perf_counter()
    assert statuses(app, times=10) == [status] * 10
    assert time.perf_counter() - start < SOON
    assert limiter.site.backend is not None
    assert limiter.site.backend.breaker.is_open
    redis_server.thaw()


@both_pipelines
def test_frozen_memcached(compiled: bool, memcached_server: Server, close: list[Any]) -> None:
    """So it is with Memcached."""
    app, limiter = app_on(memcached_server, compiled, "2/hour")
    memcached_server.freeze()
    start = time.perf_counter()
    assert statuses(app, times=5) == [200, 200, 429, 429, 429]
    assert time.perf_counter() - start < SOON
    memcached_server.thaw()
    close.append(limiter.storage.storage)


@both_pipelines
def test_killed_memcached(compiled: bool, memcached_server: Server, clock: Clock, close: list[Any]) -> None:
    """Memcached that is killed and started again is empty, and counts on."""
    app, limiter = app_on(memcached_server, compiled, "2/hour", config=PATIENT)
    close.append(limiter.storage.storage)
    assert statuses(app, times=3) == [200, 200, 429]
    memcached_server.kill()
    assert statuses(app, times=3) == [200, 200, 429]
    memcached_server.start()
    clock.forward(1)
    assert statuses(app, times=3) == [200, 200, 429]


@pytest.mark.parametrize(
    "words, name",
    [
        (("CONFIG", "SET", "requirepass", "other"), "AuthenticationError"),
        (("CONFIG", "SET", "maxmemory", "1"), "OutOfMemoryError"),
        (("REPLICAOF", "127.0.0.1", "1"), "ReadOnlyError"),
    ],
)
def test_a_store_that_refuses(words: tuple[str, ...], name: str, redis_server: Server, caplog: Any) -> None:
    """A store that answers with errors is down as well: wrong password, no memory, a replica that may not be written to."""
    app, limiter = app_on(redis_server, True, "2/hour", config=PATIENT)
    redis_server.run(*words)  # type: ignore[attr-defined]  # it is a Redis
    assert statuses(app, times=4) == [200, 200, 429, 429]
    assert limiter.site.backend is not None
    assert limiter.site.backend.breaker.is_open, name
    assert len([record for record in caplog.records if record.levelno >= logging.WARNING]) == 1


def test_fail_closed_says_when_to_come_again() -> None:
    """A request that is refused for want of a store is a 503 with `Retry-After`, which an error handler may answer."""
    app, _ = limited_app(True, "2/hour", storage_uri="redis://127.0.0.1:1", on_store_failure="fail_closed")
    refused = app.test_client().get("/")
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1")
    assert "cannot be counted" in refused.text
    app, _ = limited_app(True, "2/hour", storage_uri="redis://127.0.0.1:1", on_store_failure="fail_closed")
    app.errorhandler(503)(lambda error: ("handled", 503))
    assert app.test_client().get("/").text == "handled"


@both_pipelines
def test_a_policy_of_one_limit(compiled: bool) -> None:
    """A limit may have a policy of its own: a login stays closed, while the rest goes on."""
    app, limiter = limited_app(compiled, "2/hour", storage_uri="redis://127.0.0.1:1")
    for policy in ("fail_open", "fail_closed", "local"):
        limit = limiter.limit("1/hour", on_store_failure=policy)
        app.add_url_rule(f"/{policy}", policy, limit(lambda: "in"))
    assert statuses(app, "/fail_open", times=3) == [200] * 3
    assert statuses(app, "/fail_closed", times=3) == [503] * 3
    assert statuses(app, "/local", times=3) == [200, 429, 429]
    assert statuses(app, times=3) == [200, 200, 429]


@both_pipelines
def test_other_limits_while_the_store_is_down(compiled: bool, redis_server: Server, clock: Clock) -> None:
    """COMPAT: limits may be named for while the store is down; they take the place of all others then."""
    app, limiter = app_on(redis_server, compiled, "5/hour", in_memory_fallback=["1/hour"], config=PATIENT)
    app.add_url_rule("/own", "own", limiter.limit("3/hour")(lambda: "own"))
    assert statuses(app, times=6) == [200] * 5 + [429]
    assert statuses(app, "/own", times=4) == [200] * 3 + [429]
    redis_server.kill()
    assert statuses(app, times=2) == statuses(app, "/own", times=2) == [200, 429]
    redis_server.start()
    clock.forward(1)
    assert statuses(app, times=6) == [200] * 5 + [429]


@both_pipelines
def test_on_a_loop_while_the_store_hangs(compiled: bool, redis_server: Server) -> None:
    """On an event loop the store is waited for in a thread; an outage is bridged there as well."""
    app, _ = app_on(redis_server, compiled, "2/hour")
    redis_server.freeze()
    assert statuses_on_loop(app, times=3) == [200, 200, 429]
    redis_server.thaw()


@both_pipelines
def test_what_counts_by_the_response_while_the_store_is_down(compiled: bool, redis_server: Server) -> None:
    """A store that dies between the look and the response costs neither the response nor an error."""
    app = make_app(compiled, **PATIENT)
    limiter = Limiter(app=app, storage_uri=redis_server.uri, headers_enabled=True)

    @app.get("/t")
    @limiter.limit("2/hour", deduct_when=lambda response: True)
    def view() -> str:
        redis_server.kill()
        return "t"

    assert statuses(app, "/t", times=4) == [200, 200, 200, 429]


@both_pipelines
def test_a_slow_view_is_no_slow_store(compiled: bool, redis_server: Server, clock: Clock) -> None:
    """The time that a view takes is not taken for the store's when the response is counted."""
    app, limiter = app_on(redis_server, compiled, headers_enabled=True, config=PATIENT)

    @app.get("/t")
    @limiter.limit("2/hour", deduct_when=lambda response: True)
    def view() -> str:
        clock.forward(1000)
        return "t"

    assert app.test_client().get("/t").headers["X-RateLimit-Remaining"] == "1"
    assert statuses(app, "/t", times=2) == [200, 429]
