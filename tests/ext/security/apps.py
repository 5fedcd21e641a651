"""Apps with views of every kind, and the three ways to ask them: both pipelines, and a coroutine on a loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from quaff import Quaff, Response, redirect, render_template_string, request, session
from quaff.ext.security.extension import csp_nonce

HTTP = "http://localhost"
HTTPS = "https://localhost"

Ask = Callable[..., Any]


async def asynchronous() -> str:
    """Answer on a loop."""
    return "async"


async def async_page() -> str:
    """Answer on a loop with a template that needs the nonce."""
    return render_template_string("<script nonce={{ csp_nonce() }}>")


def stream() -> Response:
    """Answer piece by piece, with the nonce in the last piece."""
    nonce = csp_nonce()
    return Response(iter(["<p>", f"<script nonce={nonce}>"]))


def use_session() -> str:
    """Answer with what is in the session."""
    return str(session.get("user"))


VIEWS: dict[str, Callable[..., Any]] = {
    "/text": lambda: "text",
    "/json": lambda: {"a": 1},
    "/response": lambda: Response("response"),
    "/stream": stream,
    "/page": lambda: render_template_string("<script nonce={{ csp_nonce() }}>"),
    "/nonce": lambda: request.csp_nonce,
    "/session": use_session,
    "/async": asynchronous,
    "/async-page": async_page,
    "/redirect": lambda: redirect("/text"),
    "/empty": lambda: ("", 204),
    "/unchanged": lambda: Response(status=304),
    "/error": lambda: 1 // 0,
    "/user/<int:id>": lambda id: {"id": id},
}

STATUSES = {
    "/text": 200,
    "/json": 200,
    "/response": 200,
    "/stream": 200,
    "/page": 200,
    "/session": 200,
    "/async": 200,
    "/async-page": 200,
    "/redirect": 302,
    "/empty": 204,
    "/unchanged": 304,
    "/error": 500,
    "/user/7": 200,
    "/user/x": 404,
    "/missing": 404,
    "/static/site.css": 200,
    "/static/missing.css": 404,
}
"""Path -> the status of its answer over HTTPS."""


def make_app(folder: Path | None = None, **options: Any) -> Quaff:
    """Return an app with these views, and a static file in *folder* if there is one."""
    app = Quaff("security", static_folder=None if folder is None else str(folder), static_url_path="/static", **options)
    app.config.update(SECRET_KEY="a key for tests", PROPAGATE_EXCEPTIONS=False)
    for rule, view in VIEWS.items():
        app.add_url_rule(rule, rule.split("/")[1], view)
    if folder is not None:
        (folder / "site.css").write_text("p { color: green }")
    return app


def ask_wsgi(app: Quaff, path: str, base_url: str = HTTPS, **options: Any) -> Any:
    """Send a request over WSGI."""
    return app.test_client().open(path, base_url=base_url, buffered=True, **options)


def ask_asgi(app: Quaff, path: str, base_url: str = HTTPS, **options: Any) -> Any:
    """Send a request over ASGI, where async views run on the loop."""

    async def ask() -> Any:
        return await app.test_async_client().open(path, base_url=base_url, **options)

    return asyncio.run(ask())


WAYS: dict[str, tuple[dict[str, Any], Ask]] = {
    "compiled": ({"compiled": True}, ask_wsgi),
    "reference": ({"compiled": False}, ask_wsgi),
    "on a loop": ({"compiled": True}, ask_asgi),
}
"""Name -> options for the app, and how to ask it."""
