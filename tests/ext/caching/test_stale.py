"""Stale while revalidate."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from typing import Any

import pytest

from quaff import g, request, session
from quaff.after_response import drain_after_response
from quaff.ext.caching.stale import environ_for_refresh
from tests.ext.caching.apps import PIPELINES, WAYS, Counted, make_app
from tests.ext.caching.conftest import Turned


@pytest.mark.parametrize("compiled", PIPELINES)
@pytest.mark.parametrize("ask", WAYS)
@pytest.mark.parametrize("is_async", [False, True])
def test_views(is_async: bool, ask: Callable[..., Any], compiled: bool, clock: Turned) -> None:
    """After its time a page is given once more while it is made anew, and after that time too it is made for the request."""
    app, cache = make_app(compiled)
    count = Counted()

    def sync_view() -> str:
        return f"{count()}"

    async def async_view() -> str:
        await asyncio.sleep(0)
        return f"{count()}"

    app.add_url_rule("/", "view", cache.cached(10, stale_for=20)(async_view if is_async else sync_view))

    def get() -> str:
        text: str = ask(app, "/").text
        assert drain_after_response(60)
        return text

    assert [get(), get()] == ["1", "1"]
    clock.now += 11
    assert [get(), get(), get()] == ["1", "2", "2"]
    clock.now += 31
    assert [get(), get()] == ["3", "3"]


def test_by_setting(clock: Turned) -> None:
    """`CACHE_STALE_FOR` is what holds when the decorator says nothing."""
    app, cache = make_app(CACHE_STALE_FOR=20, CACHE_DEFAULT_TIMEOUT=10)
    count = Counted()
    app.add_url_rule("/", "view", cache.cached()(lambda: f"{count()}"))
    app.add_url_rule("/not", "not", cache.cached(stale_for=0)(lambda: f"{count()}"))
    client = app.test_client()
    assert [client.get("/").text, client.get("/not").text] == ["1", "2"]
    clock.now += 11
    assert [client.get("/").text, client.get("/not").text] == ["1", "3"]
    drain_after_response(60)
    assert client.get("/").text == "4"


def test_functions(clock: Turned) -> None:
    """A memoized function, in a request or outside of one, is called in the background."""
    app, cache = make_app()
    count = Counted()
    f = cache.memoize(10, stale_for=20)(lambda a: [a, count()])
    with app.app_context():
        assert f(1) == [1, 1]
        clock.now += 11
        assert f(1) == [1, 1]
        drain_after_response(60)
        assert f(1) == [1, 2]


def test_only_one_makes_it_anew(clock: Turned) -> None:
    """However many ask for a stale page meanwhile, it is made anew once."""
    app, cache = make_app()
    count = Counted()
    going, go = threading.Event(), threading.Event()

    def view() -> str:
        number = count()
        if number > 1:
            going.set()
            go.wait(60)
        return f"{number}"

    app.add_url_rule("/", "view", cache.cached(10, stale_for=20)(view))
    client = app.test_client()
    client.get("/")
    clock.now += 11
    assert client.get("/").text == "1"
    assert going.wait(60)
    assert [client.get("/").text for _ in range(5)] == ["1"] * 5
    go.set()
    drain_after_response(60)
    assert (count.calls, client.get("/").text) == (2, "2")


@pytest.mark.parametrize("compiled", PIPELINES)
def test_nobodys_values_get_in(compiled: bool, clock: Turned) -> None:
    """The page is made anew by nobody: without the cookies of who asked for it, after the hooks that come before a view."""
    app, cache = make_app(compiled)
    seen: list[Any] = []

    @app.before_request
    def load() -> None:
        g.user = request.cookies.get("user")

    def view() -> str:
        seen.append((g.user, request.headers.get("Authorization"), request.query_string))
        return f"for {g.user}"

    app.add_url_rule("/", "view", cache.cached(10, stale_for=20, query_string=True)(view))
    client = app.test_client()
    client.get("/?a=1")
    clock.now += 11
    client.set_cookie("user", "alice")
    assert client.get("/?a=1").text == "for None"
    drain_after_response(60)
    assert seen == [(None, None, b"a=1")] * 2
    assert app.test_client().get("/?a=1").text == "for None"


def test_a_hook_that_answers(clock: Turned) -> None:
    """When a hook answers in the place of the view, as a login does, nothing is made anew."""
    app, cache = make_app()
    count = Counted()
    closed = []

    @app.before_request
    def login() -> str | None:
        return "log in" if closed else None

    app.add_url_rule("/", "view", cache.cached(10, stale_for=20)(lambda: f"{count()}"))
    client = app.test_client()
    client.get("/")
    clock.now += 11
    bound = cache.bound_to(app)
    client.get("/")
    drain_after_response(60)
    closed.append(1)
    clock.now += 11
    client.get("/")
    drain_after_response(60)
    assert count.calls == 2
    assert bound.refreshing == set()


def test_a_view_that_fails(clock: Turned, caplog: pytest.LogCaptureFixture) -> None:
    """When it cannot be made anew the stale page stays until its time is over, and the log says why."""
    app, cache = make_app()
    broken = []

    def view() -> str:
        if broken:
            raise KeyError("broken")
        return "page"

    app.add_url_rule("/", "view", cache.cached(10, stale_for=20)(view))
    client = app.test_client()
    client.get("/")
    broken.append(1)
    clock.now += 11
    with caplog.at_level(logging.ERROR):
        for _ in range(2):
            assert client.get("/").text == "page"
            drain_after_response(60)
    assert "KeyError" in caplog.text
    assert cache.bound_to(app).refreshing == set()


def test_a_page_that_became_private(clock: Turned) -> None:
    """What is made anew is judged like everything else."""
    app, cache = make_app()
    reads = []
    app.add_url_rule("/", "view", cache.cached(10, stale_for=20)(lambda: str(reads and session.get("a"))))
    client = app.test_client()
    client.get("/")
    reads.append(1)
    clock.now += 11
    client.get("/")
    drain_after_response(60)
    with app.app_context():
        assert cache.get("view//") == "[]"


def test_the_request_of_nobody() -> None:
    """It is a GET of the same URL, and has nothing of the person."""
    app, _ = make_app()
    headers = {
        "Cookie": "a=b",
        "Authorization": "Bearer x",
        "Accept-Language": "de",
        "If-None-Match": "*",
        "Range": "bytes=0-1",
    }
    with app.test_request_context("/a?b=1", method="HEAD", headers=headers) as context:
        environ = environ_for_refresh(context.environ)
    assert environ["REQUEST_METHOD"] == "GET"
    assert (environ["PATH_INFO"], environ["QUERY_STRING"], environ["HTTP_ACCEPT_LANGUAGE"]) == ("/a", "b=1", "de")
    assert not {"HTTP_COOKIE", "HTTP_AUTHORIZATION", "HTTP_IF_NONE_MATCH", "HTTP_RANGE", "werkzeug.request"} & set(
        environ
    )
    assert environ["wsgi.input"].read() == b""
