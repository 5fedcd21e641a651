"""Applications of other frameworks, for tests that mount them: a bare WSGI callable, FastAPI, Django, and Quaff."""

from __future__ import annotations

import asyncio
import hashlib
import json
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from functools import cache
from types import ModuleType
from typing import Any

from fastapi import BackgroundTasks, FastAPI, Request, WebSocket
from fastapi.responses import StreamingResponse

from quaff import Quaff, redirect, request, url_for, websocket
from quaff.wrappers import Response

Environ = dict[str, Any]


def digest(chunks: Iterable[bytes]) -> dict[str, Any]:
    """Return what tells two bodies apart."""
    whole = hashlib.sha256()
    size = 0
    for chunk in chunks:
        whole.update(chunk)
        size += len(chunk)
    return {"size": size, "sha256": whole.hexdigest()}


class Events:
    """What an application lets the test know, and what it waits for before it goes on."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.go_on = threading.Event()

    async def wait(self) -> None:
        """Wait for `go_on` without holding up the loop."""
        # Nothing of asyncio can be set from the thread of the test.
        while not self.go_on.is_set():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


# A bare WSGI callable --------------------------------------------------------------------------------------------------


class BareWSGI:
    """A WSGI application without any framework."""

    def __init__(self, events: Events) -> None:
        self._events = events

    def __call__(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        """Answer by the path; by default with what the application knows of its place."""
        answer = getattr(self, environ["PATH_INFO"].strip("/"), None)
        return self.where(environ, start_response) if answer is None else answer(environ, start_response)

    def where(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        """Answer with what says where the application is."""
        names = ("REQUEST_METHOD", "SCRIPT_NAME", "PATH_INFO", "QUERY_STRING", "HTTP_HOST")
        body = json.dumps({name: environ.get(name) for name in names}).encode()
        start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
        return [body] if environ["REQUEST_METHOD"] != "HEAD" else []

    def upload(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        """Answer with what tells the body from others."""
        stream = environ["wsgi.input"]
        start_response("200 OK", [("Content-Type", "application/json")])
        return [json.dumps(digest(iter(lambda: stream.read(64 * 1024), b""))).encode()]

    def boom(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        """Fail."""
        raise ZeroDivisionError("in the WSGI application")

    def old(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        """Redirect to another place of the application."""
        start_response("302 Found", [("Location", environ["SCRIPT_NAME"] + "/new")])
        return []

    def none(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        """Answer without a body."""
        start_response("204 No Content", [])
        return []

    def stream(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        """Answer in two pieces, with a wait in between."""
        start_response("200 OK", [("Content-Type", "text/plain")])
        return self._pieces()

    def _pieces(self) -> Iterator[bytes]:
        try:
            yield b"first"
            self._events.go_on.wait(20)
            yield b"second"
        finally:
            self._events.seen.append("closed")

    def endless(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        """Answer without an end."""
        start_response("200 OK", [("Content-Type", "text/plain")])
        return self._endless_pieces()

    def _endless_pieces(self) -> Iterator[bytes]:
        try:
            while True:
                self._events.seen.append("piece")
                yield b"x" * 65536
        finally:
            self._events.seen.append("closed")


# FastAPI ---------------------------------------------------------------------------------------------------------------


def build_fastapi(events: Events) -> FastAPI:
    """Return a FastAPI application; `where` says what it knows of the place that it is mounted at."""

    @asynccontextmanager
    async def lifespan(application: FastAPI) -> AsyncIterator[dict[str, Any]]:
        events.seen.append("startup")
        yield {"database": "connected"}
        events.seen.append("shutdown")

    api = FastAPI(lifespan=lifespan)
    _add_plain_views(api)
    _add_streams(api, events)
    _add_failures(api)

    @api.get("/background")
    async def background(tasks: BackgroundTasks) -> str:
        async def work() -> None:
            await events.wait()
            events.seen.append("background")

        tasks.add_task(work)
        return "accepted"

    @api.websocket("/ws")
    async def ws(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_text(f"{socket.scope['root_path']} said {await socket.receive_text()}")
        await socket.close()

    return api


def _add_plain_views(api: FastAPI) -> None:
    @api.get("/where")
    async def where(request: Request) -> dict[str, Any]:
        return {
            "url": str(request.url),
            "root_path": request.scope["root_path"],
            "path": request.scope["path"],
            "self": str(request.url_for("where")),
            "database": getattr(request.state, "database", None),
            "client": request.client is not None and request.client.host,
            "headers": {name: request.headers.getlist(name) for name in ("user-agent", "x-many", "content-length")},
            "cookies": request.cookies,
            "http_version": request.scope["http_version"],
        }

    @api.get("/sync/{name}")
    @api.head("/sync/{name}")
    def sync(name: str, limit: int = 3) -> dict[str, Any]:
        return {"name": name, "limit": limit}

    @api.post("/upload")
    async def upload(request: Request) -> dict[str, Any]:
        return digest([chunk async for chunk in request.stream()])

    @api.post("/unread")
    async def unread() -> str:
        return "unread"

    @api.get("/slash/")
    async def slash() -> str:
        return "with a slash"


def _add_streams(api: FastAPI, events: Events) -> None:
    def stream_of(pieces: Callable[[], AsyncIterator[bytes]]) -> Callable[[], Awaitable[StreamingResponse]]:
        async def view() -> StreamingResponse:
            return StreamingResponse(pieces(), media_type="text/plain")

        return view

    async def stream() -> AsyncIterator[bytes]:
        yield b"first"
        await events.wait()
        yield b"second"

    async def endless() -> AsyncIterator[bytes]:
        while True:
            events.seen.append("piece")
            yield b"x" * 65536
            # Servers take everything for a client that is gone, at once: without this, the loop would get no turn.
            await asyncio.sleep(0)

    async def silent() -> AsyncIterator[bytes]:
        yield b"first"
        try:
            await asyncio.sleep(3600)
        finally:
            events.seen.append("closed")

    for pieces in (stream, endless, silent):
        api.add_api_route(f"/{pieces.__name__}", stream_of(pieces), methods=["GET"])
    api.add_api_route("/endless", stream_of(endless), methods=["HEAD"])


def _add_failures(api: FastAPI) -> None:
    @api.get("/boom")
    async def boom() -> None:
        raise ZeroDivisionError("in the ASGI application")

    @api.get("/half")
    async def half() -> StreamingResponse:
        async def pieces() -> AsyncIterator[bytes]:
            yield b"first"
            raise ZeroDivisionError("in the middle of a body")

        return StreamingResponse(pieces(), media_type="text/plain")


# Django ----------------------------------------------------------------------------------------------------------------


@cache
def _set_django_up() -> None:
    from django.conf import settings
    from django.http import HttpRequest, HttpResponse, JsonResponse
    from django.urls import path, reverse

    def where(request: HttpRequest) -> HttpResponse:
        return JsonResponse(
            {
                "path": request.path,
                "path_info": request.path_info,
                "url": request.build_absolute_uri(),
                "self": reverse("where"),
                "script": request.META["SCRIPT_NAME"],
            }
        )

    def upload(request: HttpRequest) -> HttpResponse:
        return JsonResponse({"field": request.POST["field"], **digest(request.FILES["file"].chunks())})

    def boom(request: HttpRequest) -> HttpResponse:
        raise ZeroDivisionError("in Django")

    urls = ModuleType("django_urls")
    urls.urlpatterns = [  # type: ignore[attr-defined]
        path("where/", where, name="where"),
        path("upload/", upload),
        path("boom/", boom),
    ]
    settings.configure(
        SECRET_KEY="a key for tests",
        ALLOWED_HOSTS=["127.0.0.1", "localhost"],
        ROOT_URLCONF=urls,
        MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
        LOGGING_CONFIG=None,
    )


def build_django(kind: str) -> Any:
    """Return Django as a WSGI or an ASGI application; there is one Django in a process."""
    _set_django_up()
    from django.core.asgi import get_asgi_application
    from django.core.wsgi import get_wsgi_application

    return get_wsgi_application() if kind == "wsgi" else get_asgi_application()


# Quaff -----------------------------------------------------------------------------------------------------------------


def build_quaff(events: Events, *, compiled: bool | None = None) -> Quaff:
    """Return a Quaff app with hooks, sync and async views."""
    inner = Quaff("inner", static_folder=None, compiled=compiled)
    inner.config["SESSION_COOKIE_NAME"] = "inner"

    def where() -> dict[str, Any]:
        names = {"root_path": request.root_path, "path": request.path, "url": request.url, "self": url_for("item", n=1)}
        return names | {"thread": threading.current_thread().name}

    async def async_where() -> dict[str, Any]:
        await asyncio.sleep(0)
        return where()

    inner.add_url_rule("/where", view_func=where)
    inner.add_url_rule("/async", view_func=async_where)
    inner.add_url_rule("/items/<int:n>", "item", lambda n: {"n": n})
    inner.add_url_rule("/slash/", "slash", lambda: "with a slash")
    inner.add_url_rule("/old", "old", lambda: redirect(url_for("item", n=2)))
    inner.add_url_rule("/", "index", lambda: "index")

    @inner.post("/upload")
    def upload() -> dict[str, Any]:
        return digest(iter(lambda: request.stream.read(64 * 1024), b""))

    @inner.after_request
    def mark(response: Response) -> Response:
        response.headers["X-Inner"] = "yes"
        return response

    @inner.while_serving
    async def run() -> AsyncIterator[None]:
        events.seen.append("startup")
        yield
        events.seen.append("shutdown")

    @inner.websocket("/ws")
    async def ws() -> None:
        await websocket.send(f"{websocket.root_path} said {await websocket.receive()}")

    return inner
