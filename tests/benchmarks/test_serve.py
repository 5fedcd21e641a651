"""The pages of the HTTP measurement are the same for everyone."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from benchmarks import batteries, serve
from benchmarks.flask_apps import WSGIApp
from benchmarks.over_http import PAGES
from benchmarks.worker import Reply, call_once


def ask(app: WSGIApp, path: str) -> Reply:
    """Ask *app* for *path*."""
    environ = {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": "",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8000",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.url_scheme": "http",
        "wsgi.errors": sys.stderr,
    }
    return call_once(app, environ)


@pytest.mark.parametrize("page", PAGES)
def test_the_raw_function_answers_what_quaff_answers(page: str) -> None:
    """Status, type, length and body are equal: the bare function leaves out the framework, not the work."""
    path, body = PAGES[page]
    raw, ours = ask(serve.raw_app(), path), ask(serve.quaff_app(), path)
    assert raw.status == ours.status == "200 OK"
    assert raw.body == ours.body == body
    assert sorted(raw.headers) == sorted(ours.headers)


def test_the_raw_function_knows_two_pages() -> None:
    """Anything else is a 404 of no length."""
    reply = ask(serve.raw_app(), "/missing")
    assert (reply.status, reply.body) == ("404 Not Found", b"")


@pytest.mark.parametrize("page", PAGES)
def test_falcon_answers_the_same_pages(page: str, real_falcon: str) -> None:
    """Falcon's app has both pages."""
    assert ask(serve.falcon_app(), PAGES[page][0]).status == "200 OK"


def test_the_cached_app_answers_its_page_from_the_cache() -> None:
    """Both pages of the measurement are there, and a second request does not render the template."""
    app: Any = serve.cached_app()
    for path, body in batteries.PAGES.values():
        for _ in range(2):
            assert ask(app, path).body == body
    app.jinja_env.loader = None
    assert ask(app, "/page").status == "200 OK"
