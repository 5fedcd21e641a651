"""The requests of every_kind.py and their async likes, on one event loop: the other program of test_leaks.py.

`python on_a_loop.py TOTAL [--leak]`; the result is one line of JSON, with the tasks that are left on the loop. Some clients
of it go away in the middle: of a stream, of an upload, or while a view waits.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

# This file is run as a program: the one beside it is found by its bare name.
from every_kind import FORM, KINDS, MULTIPART, Client, Kind, build_app, build_environ, multipart, run

from quaff import Blueprint, Quaff, Response, abort, g, request, session
from quaff.testing.scope import scope_of

SHARE = 40
ASYNC_KINDS = [
    Kind("native hello", SHARE, "/loop/hello"),
    Kind("native value", SHARE, "/loop/users/{n}"),
    Kind("native hooks", SHARE, "/loop/hooks/{n}"),
    Kind("native session", SHARE, "/loop/session/{n}"),
    Kind("native error", SHARE, "/loop/fails/{n}", status=500),
    Kind("native abort", SHARE, "/loop/abort/{n}", status=403),
    Kind("native stream", SHARE, "/loop/stream/{n}"),
    Kind("native abandoned stream", SHARE, "/loop/stream/{n}", abandon=True),
    Kind("native body", SHARE, "/loop/body", method="POST", body="{n}" * 20, content_type="x/y"),
    Kind("native form", SHARE, "/loop/form", method="POST", body="user=ada{n}", content_type=FORM),
    Kind("native multipart", SHARE, "/loop/form", method="POST", body=multipart(200), content_type=MULTIPART),
    Kind("native cancelled", SHARE, "/loop/wait/{n}", abandon=True, status=0),
    Kind("native head", SHARE, "/loop/users/{n}", method="HEAD"),
]
"""Requests to async views; a status of 0 is no answer at all."""


def add_async_views(app: Quaff) -> None:
    """Register the async views that answer at once."""
    part = Blueprint("loop", __name__, url_prefix="/loop")

    @part.get("/hello")
    async def hello() -> str:
        return "hello"

    @part.get("/users/<int:n>")
    async def user(n: int) -> dict[str, int]:
        await asyncio.sleep(0)
        return {"id": n}

    @part.get("/session/<int:n>")
    async def visits(n: int) -> str:
        session["n"] = n
        return str(request.args.get("n"))

    @part.get("/fails/<int:n>")
    async def fails(n: int) -> str:
        here = [n] * 10
        await asyncio.sleep(0)
        raise RuntimeError(f"request {n} fails, with {here}")

    @part.get("/abort/<int:n>")
    async def refuse(n: int) -> str:
        abort(403)

    app.register_blueprint(part)


def add_async_bodies(app: Quaff) -> None:
    """Register the views that wait for something: for bodies, between pieces, for too long."""
    part = Blueprint("bodies", __name__, url_prefix="/loop")

    @part.get("/stream/<int:n>")
    async def stream(n: int) -> Response:
        async def pieces() -> AsyncIterator[str]:
            for piece in range(3):
                await asyncio.sleep(0)
                yield str(n + piece)

        response = Response(pieces())
        response.call_on_close(lambda: None)
        return response

    @part.post("/body")
    async def body() -> str:
        return str(sum([len(piece) async for piece in request.stream]))  # type: ignore[attr-defined]

    @part.post("/form")
    async def form() -> str:
        return (await request.load_form())["user"]

    @part.get("/wait/<int:n>")
    async def wait(n: int) -> str:
        await asyncio.sleep(60)
        return "too late"

    app.register_blueprint(part)


def add_hooked_view(app: Quaff) -> None:
    """Register a view with sync and async hooks around it."""
    part = Blueprint("hooked", __name__, url_prefix="/loop/hooks")

    @part.before_request
    async def before() -> None:
        g.seen = request.path

    @part.before_request
    def before_in_thread() -> None:
        g.seen += "!"

    @part.after_request
    async def after(response: Response) -> Response:
        response.headers["X-Seen"] = g.seen
        return response

    @part.teardown_request
    async def teardown(error: BaseException | None) -> None:
        g.pop("seen")

    @part.get("/<int:n>")
    def show(n: int) -> str:
        return f"{g.seen} {n}"

    app.register_blueprint(part)


class LoopClient(Client):
    """Calls the app as an ASGI server does, each request in a task of its own."""

    def __init__(self, app: Any, runner: asyncio.Runner) -> None:
        super().__init__(app)
        self._runner = runner

    def send(self, kind: Kind, number: int) -> None:
        """Send request *number* of *kind*; RuntimeError when the answer is not the expected one."""
        environ = build_environ(kind, number, self._cookie if "session" in kind.name else "")
        body = environ.pop("wsgi.input").read()
        status = self._runner.run(self._ask(kind, scope_of(environ), body))
        if status != kind.status:
            raise RuntimeError(f"{kind.name} answered {status}, not {kind.status}")

    async def _ask(self, kind: Kind, scope: dict[str, Any], body: bytes) -> int:
        status = 0
        left = asyncio.Event()
        messages: list[dict[str, Any]] = [{"type": "http.request", "body": body}]
        if kind.abandon and kind.status == 0:
            left.set()

        async def receive() -> dict[str, Any]:
            if messages:
                return messages.pop()
            await left.wait()
            return {"type": "http.disconnect"}

        async def send(message: dict[str, Any]) -> None:
            nonlocal status
            status = message.get("status", status)
            for name, value in message.get("headers", ()):
                if name == b"set-cookie":
                    self._cookie = value.decode().partition(";")[0]
            if kind.abandon and message.get("more_body"):
                left.set()

        await asyncio.create_task(self._app(scope, receive, send))
        return status


def main() -> None:
    """Run the command line and print the result as JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("total", type=int)
    parser.add_argument("--leak", action="store_true")
    options = parser.parse_args()
    app = build_app(True, [] if options.leak else None)
    for add in (add_async_views, add_async_bodies, add_hooked_view):
        add(app)
    with asyncio.Runner() as runner:
        result = run(options.total, LoopClient(app, runner), [*KINDS, *ASYNC_KINDS])
        print(json.dumps({**result, "tasks": len(asyncio.all_tasks(runner.get_loop()))}))


if __name__ == "__main__":
    main()
