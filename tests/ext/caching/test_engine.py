"""Looking, calling, judging, keeping: with many callers, and where something goes wrong."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from quaff import Quaff, Response, session
from quaff.ext.caching.engine import Engine, decorate
from quaff.ext.caching.rules import Rules
from tests.ext.caching.apps import PIPELINES, Counted, make_app


def at_once(number: int, function: Any) -> list[Any]:
    """Call *function* in so many threads that start together; return what they returned."""
    barrier = threading.Barrier(number)
    results: list[Any] = [None] * number

    def run(index: int) -> None:
        barrier.wait(60)
        results[index] = function()

    threads = [threading.Thread(target=run, args=(index,)) for index in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return results


class Slow:
    """A view that ends when it is told, and counts its calls."""

    def __init__(self) -> None:
        self.count = Counted()
        self.started = threading.Event()
        self.go = threading.Event()

    def __call__(self) -> str:
        number = self.count()
        self.started.set()
        assert self.go.wait(60)
        return f"{number}"


def eventually(condition: Any) -> None:
    """Wait until *condition* holds."""
    pause = threading.Event()
    for _ in range(6000):
        if condition():
            return
        pause.wait(0.01)
    raise AssertionError("it did not happen")


@pytest.mark.parametrize("compiled", PIPELINES)
def test_a_stampede(compiled: bool) -> None:
    """Of many requests that miss one page at once, one makes it (flask-caching#61)."""
    app, cache = make_app(compiled)
    count = Counted()

    def view() -> str:
        number = count()
        threading.Event().wait(0.05)
        return f"{number}"

    app.add_url_rule("/", "view", cache.cached()(view))
    assert at_once(16, lambda: app.test_client().get("/").text) == ["1"] * 16
    assert count.calls == 1


def test_stampedes_of_functions() -> None:
    """The same for memoized functions, for each set of arguments."""
    app, cache = make_app()
    calls: list[int] = []

    @cache.memoize()
    def f(a: int) -> int:
        calls.append(a)
        threading.Event().wait(0.02)
        return a

    for round_ in range(10):
        assert set(at_once(8, lambda number=round_: f(number))) == {round_}
    assert calls == list(range(10))
    assert app


def test_a_stampede_on_a_loop() -> None:
    """Tasks on one loop wait without stopping it."""
    app, cache = make_app()
    count = Counted()

    @app.get("/")
    @cache.cached()
    async def view() -> str:
        number = count()
        await asyncio.sleep(0.02)
        return f"{number}"

    async def main() -> list[str]:
        client = app.test_async_client()
        answers = await asyncio.gather(*(client.get("/") for _ in range(16)))
        return [answer.text for answer in answers]

    assert asyncio.run(main()) == ["1"] * 16


def test_without_single_flight() -> None:
    """It can be switched off."""
    app, cache = make_app(CACHE_SINGLE_FLIGHT=False)
    slow = Slow()
    app.add_url_rule("/", "view", cache.cached()(slow.__call__))
    threads = [threading.Thread(target=lambda: app.test_client().get("/")) for _ in range(3)]
    for thread in threads:
        thread.start()
    eventually(lambda: slow.count.calls == 3)
    slow.go.set()
    for thread in threads:
        thread.join()


def test_pages_that_are_not_shared_wait_for_nobody() -> None:
    """Once a view has turned out to be private, its requests do not wait for each other."""
    app, cache = make_app()
    slow = Slow()

    def view() -> str:
        session.get("user")
        return slow()

    app.add_url_rule("/", "view", cache.cached()(view))
    slow.go.set()
    app.test_client().get("/")
    slow.go.clear()
    threads = [threading.Thread(target=lambda: app.test_client().get("/")) for _ in range(3)]
    for thread in threads:
        thread.start()
    eventually(lambda: slow.count.calls == 4)
    slow.go.set()
    for thread in threads:
        thread.join()


def test_a_leader_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """When who makes the value fails, another one tries; nobody waits for ever."""
    app, cache = make_app(PROPAGATE_EXCEPTIONS=False)
    monkeypatch.setattr(app.logger, "disabled", True)
    count = Counted()
    started, go = threading.Event(), threading.Event()

    @app.get("/")
    @cache.cached()
    def view() -> str:
        if count() == 1:
            started.set()
            go.wait(60)
            raise KeyError("first")
        return "fine"

    codes: list[int] = []
    leader = threading.Thread(target=lambda: codes.append(app.test_client().get("/").status_code))
    leader.start()
    started.wait(60)
    follower = threading.Thread(target=lambda: codes.append(app.test_client().get("/").status_code))
    follower.start()
    go.set()
    leader.join()
    follower.join()
    assert sorted(codes) == [200, 500]
    assert cache.bound_to(app).flights._open == {}


def test_a_cancelled_leader() -> None:
    """A task that is cancelled while it makes the value leaves nothing open."""
    app, cache = make_app()
    count = Counted()

    started = asyncio.Event()

    @cache.cached(key_prefix="key")
    async def f() -> str:
        started.set()
        if count() == 1:
            await asyncio.sleep(3600)
        return "fine"

    async def main() -> str:
        task = asyncio.create_task(f())
        await started.wait()
        follower = asyncio.create_task(f())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        result: str = await follower
        return result

    with app.app_context():
        assert asyncio.run(main()) == "fine"
    assert cache.bound_to(app).flights._open == {}


def test_functions_that_call_each_other() -> None:
    """A function under the cache may call another one, and itself with other arguments."""
    _, cache = make_app()

    @cache.memoize()
    def fibonacci(n: int) -> int:
        return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)

    assert fibonacci(25) == 75025


def test_processes(tmp_path: Path) -> None:
    """Of several processes with one store, one makes the value; the others find it (files as the store)."""
    program = """
import sys, time, pathlib
from quaff import Quaff
from quaff.ext.caching import Cache
folder = pathlib.Path(sys.argv[1])
app = Quaff("worker", static_folder=None)
cache = Cache(app, config={"CACHE_TYPE": "filesystem", "CACHE_DIR": str(folder / "cache")})
def view():
    with (folder / "calls").open("a") as calls:
        calls.write("x")
    time.sleep(0.3)
    return "page"
app.add_url_rule("/", "view", cache.cached()(view))
print("ready", flush=True)
sys.stdin.readline()
print(app.test_client().get("/").text)
"""
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", program, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(3)
    ]
    try:
        for worker in workers:
            assert worker.stdout is not None
            assert worker.stdout.readline() == "ready\n"
        for worker in workers:
            assert worker.stdin is not None
            worker.stdin.write("go\n")
            worker.stdin.flush()
        assert [worker.communicate(timeout=60)[0] for worker in workers] == ["page\n"] * 3
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()
    assert (tmp_path / "calls").read_text() == "x"


def test_a_lock_whose_owner_is_gone(tmp_path: Path) -> None:
    """When another process holds the lock and makes nothing, the wait ends with the timeout and the value is made here."""
    app, cache = make_app(CACHE_TYPE="FileSystemCache", CACHE_DIR=str(tmp_path), CACHE_LOCK_TIMEOUT=1)
    app.add_url_rule("/", "view", cache.cached()(lambda: "page"))
    with app.app_context():
        cache.set("lock:view//", "another process", 60)
    assert app.test_client().get("/").text == "page"


def broken_store(app: Quaff, cache: Any, monkeypatch: pytest.MonkeyPatch, *methods: str) -> None:
    """Have methods of the store raise what no store should."""

    def broken(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("broken")

    for method in methods:
        monkeypatch.setattr(app.extensions["cache"][cache], method, broken)


@pytest.mark.parametrize("methods", [("get",), ("set",), ("get", "set", "get_many", "set_many")])
def test_a_broken_store(
    methods: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """An error of the store's code is logged and the function is called; in debug mode it is raised."""
    app, cache = make_app()
    app.add_url_rule("/", "view", cache.cached(query_string=True)(lambda: "page"))
    f = cache.memoize()(lambda: "value")
    broken_store(app, cache, monkeypatch, *methods)
    with caplog.at_level(logging.ERROR, "quaff.caching"):
        assert app.test_client().get("/").text == "page"
        assert f() == "value"
    assert "RuntimeError: broken" in caplog.text
    app.debug = True
    with pytest.raises(RuntimeError, match="broken"):
        app.test_client().get("/")


def test_a_key_that_fails(caplog: pytest.LogCaptureFixture) -> None:
    """An error of a key function is logged and the view is called; in debug mode it is raised."""
    app, cache = make_app()
    app.add_url_rule("/", "view", cache.cached(make_cache_key=lambda: {}["missing"])(lambda: "page"))
    with caplog.at_level(logging.ERROR, "quaff.caching"):
        assert app.test_client().get("/").text == "page"
    assert "KeyError" in caplog.text
    app.debug = True
    with pytest.raises(KeyError):
        app.test_client().get("/")


def test_debug_mode_says_what_is_a_hit(caplog: pytest.LogCaptureFixture) -> None:
    """In debug mode the log names the key."""
    app, cache = make_app(DEBUG=True)
    app.add_url_rule("/", "view", cache.cached()(lambda: "page"))
    with caplog.at_level(logging.INFO, "quaff.caching"):
        for _ in range(2):
            app.test_client().get("/")
    assert [record.getMessage() for record in caplog.records] == ["Cache used for key: view//"]


def test_results_are_not_shared_between_requests() -> None:
    """A response, or a dict, that one request changes is whole for the next one, among those that waited too."""
    app, cache = make_app()

    @app.after_request
    def change(response: Response) -> Response:
        response.headers["X-Seen"] = str(int(response.headers.get("X-Seen", 0)) + 1)
        return response

    app.add_url_rule("/", "view", cache.cached()(lambda: Response("page")))
    assert {app.test_client().get("/").headers["X-Seen"] for _ in range(4)} == {"1"}
    assert set(at_once(8, lambda: app.test_client().get("/").headers["X-Seen"])) == {"1"}


def test_the_base_has_no_keys() -> None:
    """An engine is `cached`'s or `memoize`'s."""
    _, cache = make_app()
    engine = Engine(cache, lambda: 1, Rules())
    decorated = decorate(engine)
    assert decorated.uncached is engine.function
    with pytest.raises(NotImplementedError):
        engine.key_for(None)  # type: ignore[arg-type]
    with pytest.raises(NotImplementedError):
        engine.judge(None, None, None)  # type: ignore[arg-type]
