"""The app as an RSGI application, called by Granian. What is the same over every protocol is in `tests/protocols/`."""

from __future__ import annotations

import http.client
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from quaff import Quaff, request
from quaff.servers.life import AppLife
from quaff.servers.rsgi import build_rsgi
from quaff.servers.settings import Address, ServeSettings
from quaff.servers.sockets import listen
from quaff.servers.worker import start_rsgi_worker
from tests.servers.process import PATIENCE


@contextmanager
def serving(application: Any) -> Iterator[int]:
    """Serve *application* on a free port."""
    settings = ServeSettings(bind=Address("127.0.0.1", 0), workers=1)
    with listen(settings.bind) as listener:
        worker = start_rsgi_worker(application, listener, settings)
        try:
            yield listener.getsockname()[1]
        finally:
            worker.stop(PATIENCE)


def ask(port: int, path: str = "/", method: str = "GET", **options: Any) -> tuple[int, bytes]:
    """Ask once; return status and body."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        connection.request(method, path, **options)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


@pytest.fixture
def app() -> Quaff:
    """Give an app with an async and a sync view."""
    app = Quaff("rsgi", static_folder=None)

    @app.route("/")
    async def hello() -> str:
        return "Hello, World!"

    @app.route("/body", methods=["POST"])
    def body() -> str:
        return f"{len(request.get_data())} {request.headers.get('X-Name')}"

    @app.route("/fail")
    async def fail() -> str:
        raise LookupError("in the view")

    return app


def test_requests_are_answered(app: Quaff) -> None:
    """On the loop and in threads, with and without bodies, with errors."""
    with serving(build_rsgi(app)) as port:
        assert ask(port) == (200, b"Hello, World!")
        assert ask(port, "/body", "POST", body=b"x" * 100_000, headers={"X-Name": "a"}) == (200, b"100000 a")
        assert ask(port, "/body", "POST", body=iter([b"x" * 70_000] * 20), headers={}) == (200, b"1400000 None")
        assert ask(port, "/missing")[0] == 404
        assert ask(port, "/fail")[0] == 500
        assert ask(port) == (200, b"Hello, World!")


def test_the_app_itself_is_an_rsgi_application(app: Quaff) -> None:
    """For Granian's own command line: `granian --interface rsgi module:app`, which finds `__rsgi__` and what goes around."""

    class Itself(AppLife):
        __rsgi__ = staticmethod(app.__rsgi__)

    with serving(Itself(app)) as port:
        assert ask(port) == (200, b"Hello, World!")


def test_every_request_is_logged(app: Quaff) -> None:
    """With its environ, the status and the time that it took; one that fails as well."""
    lines: list[tuple[str, int, bool]] = []

    def log(environ: dict[str, Any], status: int, seconds: float) -> None:
        lines.append((environ["PATH_INFO"], status, seconds >= 0))

    with serving(build_rsgi(app, log)) as port:
        for path in ("/", "/missing", "/fail"):
            ask(port, path)
    assert lines == [("/", 200, True), ("/missing", 404, True), ("/fail", 500, True)]


def test_startup_and_shutdown_are_the_apps(app: Quaff, caplog: pytest.LogCaptureFixture) -> None:
    """Once each, around the requests; what was left to do after a response is done before the shutdown."""
    seen: list[str] = []

    @app.while_serving
    async def around() -> Any:
        seen.append("start")
        yield
        seen.append("end")

    @app.route("/later")
    async def later() -> str:
        app.after_response(seen.append, "after the response")
        return "now"

    caplog.set_level(logging.WARNING)
    with serving(build_rsgi(app)) as port:
        assert ask(port, "/later") == (200, b"now")
    assert seen == ["start", "after the response", "end"]
    assert caplog.records == []
