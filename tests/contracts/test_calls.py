"""How many Python functions a request calls: exact on any machine, where microseconds are not."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterable
from types import FrameType
from typing import Any

import pytest

from quaff import Quaff, jsonify, request

BUDGETS = {
    "hello": 6,
    "user": 14,
    "made": 28,
    "args": 20,
}
"""Endpoint -> Python calls of one request. Lower a number when it is beaten; raise it only with a note in changes/."""

PATHS = {"hello": "/", "user": "/users/7", "made": "/made", "args": "/args?a=1&b=2"}


def build() -> Quaff:
    """Return the app under measure, on the compiled pipeline whatever the environment says."""
    app = Quaff("calls", compiled=True)
    app.add_url_rule("/", "hello", lambda: "Hello, World!")
    app.add_url_rule("/users/<int:id>", "user", lambda id: {"id": id})
    app.add_url_rule("/made", "made", lambda: jsonify(a=1))
    app.add_url_rule("/args", "args", lambda: str(request.args.get("a")))
    return app


def environ(path: str) -> dict[str, Any]:
    """Return what a server would hand over for a GET of *path*."""
    path, _, query = path.partition("?")
    return {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "localhost",
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": sys.stderr,
    }


def start_response(_status: str, _headers: list[tuple[str, str]], _error: Any = None) -> Callable[[bytes], object]:
    """Stand for the server's function of that name."""
    return lambda data: None


def answer(app: Quaff, environ: dict[str, Any]) -> bytes:
    """Run one request to its end as a server would."""
    result: Iterable[bytes] = app(environ, start_response)
    body = b"".join(result)
    close = getattr(result, "close", None)
    if close is not None:
        close()
    return body


def calls_of(function: Callable[..., object], *args: object) -> list[str]:
    """Return the names of the Python functions that a call of *function* enters, itself included."""
    names: list[str] = []

    def note(frame: FrameType, event: str, _arg: object) -> None:
        if event == "call":
            names.append(f"{frame.f_code.co_filename.rpartition('/')[2]}:{frame.f_code.co_name}")

    sys.setprofile(note)
    try:
        function(*args)
    finally:
        sys.setprofile(None)
    return names


@pytest.mark.parametrize("endpoint", BUDGETS)
def test_calls_of_a_request(endpoint: str) -> None:
    """A warm request of this kind stays within its number of Python calls."""
    app = build()
    path = PATHS[endpoint]
    for _ in range(3):
        assert answer(app, environ(path))
    names = calls_of(answer, app, environ(path))[1:]
    assert len(names) <= BUDGETS[endpoint], names


def test_calls_are_counted() -> None:
    """The counter sees each Python call once and none after it was switched off."""

    def inner() -> None:
        len("built-ins do not count")

    def outer() -> None:
        inner()
        inner()

    assert [name.partition(":")[2] for name in calls_of(outer)] == ["outer", "inner", "inner"]
    assert sys.getprofile() is None
