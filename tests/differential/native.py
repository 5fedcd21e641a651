"""Requests to an app as a server with an event loop makes them, without one: hand-made `receive` and `send`."""

from __future__ import annotations

import asyncio
from contextvars import copy_context
from http.client import responses
from typing import Any
from urllib.parse import urlsplit

from werkzeug.datastructures import Headers
from werkzeug.wsgi import get_current_url

from quaff.testing import FlaskClient
from quaff.testing.scope import scope_of


async def ask(app: Any, scope: dict[str, Any], body: bytes = b"") -> tuple[int, Headers, bytes]:
    """Make one request over ASGI; return status, headers and body of the answer, which must be complete."""
    sent: list[dict[str, Any]] = []
    given = False

    async def receive() -> dict[str, Any]:
        nonlocal given
        if given:
            # A client that stays.
            await asyncio.Event().wait()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await app(scope, receive, send)
    start, *pieces = sent
    assert start["type"] == "http.response.start"
    assert {piece["type"] for piece in pieces} == {"http.response.body"}
    assert [bool(piece.get("more_body")) for piece in pieces] == [True] * (len(pieces) - 1) + [False]
    headers = Headers([(str(name, "latin1"), str(value, "latin1")) for name, value in start["headers"]])
    return start["status"], headers, b"".join(piece.get("body", b"") for piece in pieces)


class NativeClient(FlaskClient):
    """A test client whose requests are served on an event loop."""

    runner: asyncio.Runner

    def run_wsgi_app(self, environ: Any, buffered: bool = False) -> Any:
        """Ask over ASGI what the test client would ask over WSGI."""
        self._add_cookies_to_wsgi(environ)
        asking = ask(self.application, scope_of(environ))
        status, headers, body = self.runner.run(asking, context=copy_context())
        url = urlsplit(get_current_url(environ))
        self._update_cookies_from_response(url.hostname or "localhost", url.path, headers.getlist("Set-Cookie"))
        return [body], f"{status} {responses.get(status, 'UNKNOWN')}", headers
