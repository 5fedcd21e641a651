"""What a request pays for compression, in Python calls."""

from __future__ import annotations

from typing import Any

import pytest

from quaff import Quaff, Response
from quaff.ext.compress import Compress
from tests.contracts.test_calls import answer, calls_of, environ
from tests.ext.compress.apps import ALL, plain_app


def calls(app: Quaff, path: str = "/", **headers: str) -> list[str]:
    """Return the Python calls of a warm request."""
    for _ in range(4):
        answer(app, environ(path) | headers)
    return calls_of(answer, app, environ(path) | headers)


def small_app(**config: Any) -> tuple[Quaff, Quaff]:
    """Return an app without compression and one with it, both with a small page."""
    apps = []
    for compresses in (False, True):
        app = Quaff("calls", static_folder=None, compiled=True)
        app.config.update({f"COMPRESS_{name.upper()}": value for name, value in config.items()})
        app.add_url_rule("/", "hello", lambda: "Hello, World!")
        app.add_url_rule("/made", "made", lambda: Response("small", mimetype="text/plain"))
        if compresses:
            Compress(app)
        apps.append(app)
    return apps[0], apps[1]


BUDGETS = {"/": 1, "/made": 3, "/unknown": 1}
"""Path of a response that is too small -> calls that compression adds."""


@pytest.mark.parametrize("path", BUDGETS)
def test_what_a_small_response_pays(path: str) -> None:
    """A response that is too small to be compressed pays no more than this."""
    plain, compressing = small_app()
    headers = {"HTTP_ACCEPT_ENCODING": ALL}
    assert len(calls(compressing, path, **headers)) - len(calls(plain, path, **headers)) <= BUDGETS[path]


@pytest.mark.parametrize("config", [{"mimetypes": []}, {"register": False}, {"exempt_endpoints": ["hello"]}])
def test_what_is_switched_off_costs_nothing(config: dict[str, Any]) -> None:
    """A route that is not compressed pays nothing."""
    plain, compressing = small_app(**config)
    headers = {"HTTP_ACCEPT_ENCODING": ALL}
    assert len(calls(compressing, **headers)) == len(calls(plain, **headers))


def test_other_types_cost_one_call() -> None:
    """Where neither HTML nor JSON is compressed, text pays one call and no response object."""
    plain, compressing = small_app(mimetypes=["text/css"], min_size=0)
    assert len(calls(compressing)) - len(calls(plain)) <= 1


ACTING = 20
"""Calls that compressing a page that was sent before adds: with making the response object, and sending it."""


def test_what_a_compressed_response_pays() -> None:
    """A page that was sent before is compressed for so many calls; Flask-Compress 1.25 adds 124, and compresses it."""
    plain, compressing = plain_app(), plain_app()
    Compress(compressing)
    headers = {"HTTP_ACCEPT_ENCODING": ALL}
    added = len(calls(compressing, **headers)) - len(calls(plain, **headers))
    assert 0 < added <= ACTING
