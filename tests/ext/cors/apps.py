"""One app with a view of every kind, in each way that a request may be served, for the tests of CORS."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

from quaff import Quaff, Response, abort, redirect, session

GOOD, OTHER, EVIL = "https://good.test", "https://other.test", "https://evil.test"
ACAO = "Access-Control-Allow-Origin"

PATHS = {
    "/text": 200,
    "/json": 200,
    "/made": 201,
    "/stream": 200,
    "/session": 200,
    "/async": 200,
    "/async-stream": 200,
    "/async-error": 500,
    "/redirect": 302,
    "/error": 500,
    "/handled": 418,
    "/abort": 403,
    "/user/7": 200,
    "/slash": 308,
    "/missing": 404,
    "/user/x": 404,
}
"""Path -> the status of a GET."""


def make_app(**options: Any) -> Quaff:
    """Return an app with views of every kind; errors become responses."""
    app = Quaff("cors", static_folder=None, **options)
    app.config.update(SECRET_KEY="a key for tests", PROPAGATE_EXCEPTIONS=False)
    app.logger.disabled = True
    app.add_url_rule("/text", view_func=lambda: "text", endpoint="text", methods=["GET", "POST"])
    app.add_url_rule("/json", view_func=lambda: {"a": 1}, endpoint="json")
    app.add_url_rule("/made", view_func=lambda: Response("made", 201, {"X-View": "1"}), endpoint="made")
    app.add_url_rule("/redirect", view_func=lambda: redirect("/text"), endpoint="away")
    app.add_url_rule("/user/<int:id>", view_func=lambda id: {"id": id}, endpoint="user")
    app.add_url_rule("/slash/", view_func=lambda: "slash", endpoint="slash")

    _add_errors(app)
    _add_async(app)

    @app.get("/stream")
    def stream() -> Iterator[str]:
        yield "a"
        yield "b"

    @app.get("/session")
    def write_session() -> str:
        session["a"] = 1
        return "session"

    return app


def _add_async(app: Quaff) -> None:
    @app.get("/async")
    async def asynchronous() -> str:
        return "async"

    @app.get("/async-stream")
    async def async_stream() -> Any:
        async def pieces() -> Any:
            yield "a"

        return pieces()

    @app.get("/async-error")
    async def async_error() -> str:
        raise ZeroDivisionError


def _add_errors(app: Quaff) -> None:
    @app.get("/error")
    def error() -> str:
        raise ZeroDivisionError

    @app.get("/handled")
    def handled() -> str:
        raise KeyError

    @app.errorhandler(KeyError)
    def handle(error: KeyError) -> tuple[str, int]:
        return "handled", 418

    @app.get("/abort")
    def forbidden() -> Any:
        abort(403)


def ask_wsgi(app: Quaff, path: str, **options: Any) -> Any:
    """Send a request over WSGI."""
    return app.test_client().open(path, **options)


def ask_asgi(app: Quaff, path: str, **options: Any) -> Any:
    """Send a request over ASGI, where async views run on the loop."""

    async def ask() -> Any:
        return await app.test_async_client().open(path, **options)

    return asyncio.run(ask())


Ask = Callable[..., Any]

WAYS: dict[str, tuple[dict[str, Any], Ask]] = {
    "compiled": ({"compiled": True}, ask_wsgi),
    "reference": ({"compiled": False}, ask_wsgi),
    "on a loop": ({"compiled": True}, ask_asgi),
}
"""Name -> the options of the app, and how to ask it."""


def from_origin(origin: str | None, **more: str) -> dict[str, str]:
    """Return request headers with an origin; underscores in other names stand for hyphens."""
    headers = {name.replace("_", "-"): value for name, value in more.items()}
    return headers if origin is None else headers | {"Origin": origin}


def preflight(origin: str | None, method: str = "GET", headers: str | None = None) -> dict[str, Any]:
    """Return the arguments of a preflight request."""
    asked = {"Access-Control-Request-Method": method}
    if headers is not None:
        asked["Access-Control-Request-Headers"] = headers
    return {"method": "OPTIONS", "headers": from_origin(origin) | asked}


def cors_headers(response: Any) -> dict[str, str]:
    """Return the headers of the CORS protocol in a response, in one case; each may be there only once."""
    found = [(name.title(), value) for name, value in response.headers if name.lower().startswith("access-control-")]
    assert len(found) == len(dict(found)), found
    return dict(found)
