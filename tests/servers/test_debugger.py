"""The debugger's page, seen from another origin."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from werkzeug.test import Client

from quaff import Quaff
from quaff.pipeline.parts import Battery, Part, Target
from quaff.pipeline.phases import Stage
from quaff.servers.debugger import Debugger


class Headers(Battery):
    """A battery with a header for CORS and one for security."""

    def parts_for(self, target: Target) -> Iterable[Part]:
        yield Part(stage=Stage.CORS, headers=(("Access-Control-Allow-Origin", "*"), ("Content-Type", "text/plain")))
        yield Part(stage=Stage.HEADERS, headers=(("Content-Security-Policy", "default-src 'self'"),))


@pytest.fixture(params=[True, False])
def client(request: pytest.FixtureRequest) -> Client:
    """Give a client of an app in debug mode, inside of the debugger."""
    app = Quaff("debugged", compiled=request.param)
    app.debug = True
    app.add_battery(Headers())
    app.add_url_rule("/", "fine", lambda: "fine")
    app.add_url_rule("/error", "error", lambda: 1 // 0)
    return Client(Debugger(app, evalex=False))


def test_the_page_has_the_headers_of_cors(client: Client) -> None:
    """A script of an allowed origin sees the 500; the page keeps its own type and has no policy that stops its scripts."""
    response = client.get("/error")
    assert response.status_code == 500
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert response.headers.getlist("Content-Type") == ["text/html; charset=utf-8"]
    assert "Content-Security-Policy" not in response.headers
    assert b"ZeroDivisionError" in response.data


def test_other_responses_are_left_alone(client: Client) -> None:
    """Where nothing fails, nothing is added."""
    response = client.get("/")
    assert response.headers.getlist("Access-Control-Allow-Origin") == ["*"]
    assert "Content-Security-Policy" in response.headers


def test_an_app_without_batteries() -> None:
    """Without batteries the page is Werkzeug's."""
    app = Quaff("debugged")
    app.debug = True

    @app.get("/error")
    def error() -> Any:
        raise LookupError

    response = Client(Debugger(app, evalex=False)).get("/error")
    assert response.status_code == 500
    assert "Access-Control-Allow-Origin" not in response.headers
