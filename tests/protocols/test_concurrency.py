"""Many requests at once: nobody holds up the loop, and nobody sees the context of another."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from quaff import Quaff, Response, g, request, session
from tests.protocols.conftest import Serve
from tests.protocols.harness import KINDS, Served, as_kind
from tests.servers.process import PATIENCE

REQUESTS = 100

on_a_loop = pytest.mark.parametrize("interface", ["asgi", "rsgi", "http1"], indirect=True)


def ask_all(served: Served, paths: list[str]) -> list[str]:
    """Ask for all paths at the same moment, each as a client of its own, and return the answers."""

    async def ask() -> list[str]:
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(
            base_url=served.url, timeout=PATIENCE, trust_env=False, verify=False, limits=limits
        ) as client:
            answers = await asyncio.gather(
                *(client.get(path, headers={"X-Number": path, "Cookie": f"number={path}"}) for path in paths)
            )
        return [answer.text for answer in answers]

    return asyncio.run(ask())


def test_contexts_are_kept_apart(app: Quaff, serve: Serve) -> None:
    """Of a hundred requests at once, with hooks in threads and on the loop, each sees its own `g`, request and session."""

    @app.before_request
    def before() -> None:
        g.number = request.headers["X-Number"]

    @app.before_request
    async def before_async() -> None:
        await asyncio.sleep(0.001)
        session["number"] = g.number

    @app.get("/async/<int:number>")
    async def asynchronous(number: int) -> str:
        found = []
        for pause in (0, 0.002, 0.001 * (number % 7)):
            await asyncio.sleep(pause)
            found.append(f"{g.number} {request.path} {session['number']} {request.cookies['number']}")
        assert len(set(found)) == 1, found
        return found[0]

    @app.get("/sync/<int:number>")
    def sync(number: int) -> str:
        return f"{g.number} {request.path} {session['number']} {request.cookies['number']}"

    served = serve(app)
    paths = [f"/{'async' if number % 2 else 'sync'}/{number}" for number in range(REQUESTS)]
    assert ask_all(served, paths) == [f"{path} {path} {path} {path}" for path in paths]


@on_a_loop
def test_a_sync_view_does_not_hold_up_the_loop(app: Quaff, serve: Serve) -> None:
    """A sync view, or a sync hook of an async view, waits for what another request on the same loop does."""
    event = threading.Event()

    @app.before_request
    def before() -> None:
        if request.path == "/hook":
            assert event.wait(PATIENCE)

    @app.get("/view")
    def view() -> str:
        assert event.wait(PATIENCE)
        return "view"

    @app.get("/hook")
    async def hook() -> str:
        return "hook"

    @app.get("/set")
    async def set_event() -> str:
        event.set()
        return "set"

    served = serve(app)
    for path in ("/view", "/hook"):
        event.clear()
        with ThreadPoolExecutor() as pool:
            waiting = pool.submit(httpx.get, served.url + path, timeout=PATIENCE, trust_env=False, verify=False)
            assert served.text("/set") == "set"
            assert waiting.result(PATIENCE).text == path[1:]


@on_a_loop
def test_all_async_code_runs_on_the_loop_of_the_server(app: Quaff, serve: Serve) -> None:
    """Async views, hooks, handlers and receivers of whatever route share one loop, and sync ones never run on it."""
    loops: set[int] = set()
    threads: set[int] = set()

    async def note_loop(*given: Any) -> Any:
        loops.add(id(asyncio.get_running_loop()))
        threads.add(threading.get_ident())
        return given[0] if given else None

    def note_thread(*given: Any) -> Any:
        assert asyncio._get_running_loop() is None
        assert threading.get_ident() not in threads
        return given[0] if given else None

    async def view() -> str:
        await note_loop()
        return "answer"

    async def handle(error: Exception) -> str:
        await note_loop()
        return "handled"

    app.before_request(note_loop)
    app.before_request(note_thread)
    app.after_request(note_loop)
    app.after_request(note_thread)
    app.teardown_request(note_loop)
    app.teardown_request(note_thread)
    app.register_error_handler(404, handle)
    app.add_url_rule("/async", "async", view)
    app.add_url_rule("/sync", "sync", lambda: note_thread() or "answer")
    app.add_url_rule("/ensured", "ensured", lambda: app.ensure_sync(view)())
    served = serve(app)
    for path in ("/async", "/sync", "/ensured", "/async"):
        assert served.text(path) == "answer"
    assert served.get("/nowhere").text == "handled"
    assert len(loops) == len(threads) == 1


def test_under_wsgi_all_async_code_shares_one_loop(app: Quaff, serve: Serve, interface: str) -> None:
    """Clients that belong to a loop can be kept from request to request."""
    loops: set[int] = set()

    @app.get("/")
    async def view() -> str:
        loops.add(id(asyncio.get_running_loop()))
        await asyncio.sleep(0.001)
        return "answer"

    served = serve(app)
    assert set(ask_all(served, ["/"] * 20)) == {"answer"}
    assert len(loops) == 1


def test_async_views_wait_together(app: Quaff, serve: Serve) -> None:
    """A hundred async views that wait for each other on a loop need no threads; under WSGI as many wait as threads."""
    arrived: list[int] = []

    @app.get("/")
    async def view() -> str:
        arrived.append(1)
        while len(arrived) < wanted:  # noqa: ASYNC110 - what it waits for is the others
            await asyncio.sleep(0.002)
        return "met"

    served = serve(app)
    wanted = REQUESTS if served.interface != "wsgi" and app.compiled else 4
    assert set(ask_all(served, ["/"] * wanted)) == {"met"}


def test_a_task_of_its_own(app: Quaff, serve: Serve) -> None:
    """What a view starts with `gather` sees the request in each branch, and sets context for itself only."""

    async def branch(number: int) -> str:
        before = g.get("number")
        await asyncio.sleep(0.001)
        return f"{request.path} {before} {number}"

    async def view() -> str:
        return " ".join(await asyncio.gather(*(branch(number) for number in range(3))))

    app.add_url_rule("/", "view", view)
    app.add_url_rule("/sync", "sync", as_kind("sync", lambda: app.ensure_sync(view)()))
    served = serve(app)
    assert served.text("/") == "/ None 0 / None 1 / None 2"
    assert served.text("/sync") == "/sync None 0 /sync None 1 /sync None 2"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("answer_kind", ["whole", *KINDS])
def test_a_thread_that_outlives_its_request(app: Quaff, serve: Serve, kind: str, answer_kind: str) -> None:
    """A thread that outlives its request may ask whether the client is there: it neither waits nor fails."""
    requests: list[Any] = []

    def work() -> Response:
        requests.append(request._get_current_object())  # type: ignore[attr-defined]

        async def generate() -> AsyncIterator[str]:
            yield "a"

        made: dict[str, Any] = {"whole": b"a", "sync": iter(["a"]), "async": generate()}
        return Response(made[answer_kind])

    app.add_url_rule("/work", "work", as_kind(kind, work))
    served = serve(app)
    assert served.text("/work") == "a"
    served.client.close()
    seen: list[bool] = []
    asking = threading.Thread(target=lambda: seen.extend(requests[0].is_disconnected for _ in range(20)))
    asking.start()
    asking.join(PATIENCE)
    assert len(seen) == 20
    assert requests[0].is_disconnected is seen[-1]
