"""The apps of the protocol measurements: `NAME_app()` makes the one of a contestant, a few lines as its docs have them.

    /       "Hello, World!" from an `async def`         /ws     a WebSocket that sends back what it gets
    /sync   the same from a `def`                       /news   an event stream that says hello and then waits

Everybody has the first where it takes part in "async hello"; the other three are there for those who are measured by them.
Each framework is imported where its app is made, for the process of a server holds one of them.
"""
# No `from __future__ import annotations`: some frameworks read the annotations, and these name things imported in functions.

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Any

from benchmarks.environment import CACHE

HELLO = "Hello, World!"
HTML = "text/html; charset=utf-8"

RSGIHandler = Callable[[Any, Any], Awaitable[None]]


def raw_app() -> RSGIHandler:
    """Make the bare RSGI handler that Quaff is held against: the same bytes and headers, and nothing else."""
    hello, headers = HELLO.encode(), [("Content-Type", HTML), ("Content-Length", str(len(HELLO)))]
    event_stream = [("Content-Type", "text/event-stream; charset=utf-8")]

    async def handle(scope: Any, protocol: Any) -> None:
        path = scope.path
        if path == "/":
            protocol.response_bytes(200, headers, hello)
        elif path == "/ws" and scope.proto == "ws":
            transport = await protocol.accept()
            # Granian raises when a client goes away without a word.
            with suppress(RuntimeError):
                while (message := await transport.receive()).kind:
                    await transport.send_str(message.data)
        elif path == "/news":
            # Granian ends the stream when nobody holds this object any more.
            stream = protocol.response_stream(200, event_stream)
            await stream.send_str("data: hello\n\n")
            await protocol.client_disconnect()
        else:
            protocol.response_empty(404, [])

    return handle


def quaff_app() -> Any:
    """Make Quaff's app, which speaks WSGI, ASGI and RSGI."""
    from quaff import EventStream, Quaff, websocket

    app = Quaff(__name__)
    news = asyncio.Event()

    @app.get("/")
    async def hello() -> str:
        return HELLO

    @app.get("/sync")
    def sync_hello() -> str:
        return HELLO

    @app.websocket("/ws")
    async def echo() -> None:
        async for message in websocket:
            await websocket.send(message)

    @app.get("/news")
    async def stream() -> EventStream:
        async def events() -> AsyncIterator[str]:
            yield "hello"
            await news.wait()

        return EventStream(events())

    return app


def emmett55_app() -> Any:
    """Make Emmett55's app, for RSGI."""
    from emmett55 import App

    # It makes folders beside the module that it is told about, unless it is given a place for them.
    place = CACHE / "emmett55"
    place.mkdir(parents=True, exist_ok=True)
    app = App(__name__, root_path=str(place))

    @app.route("/", methods="get", output="str")
    async def hello() -> str:
        return HELLO

    return app


def blacksheep_app() -> Any:
    """Make BlackSheep's app, for ASGI."""
    from blacksheep import Application, Response, text

    app = Application()

    @app.router.get("/")
    async def hello() -> Response:
        return text(HELLO)

    return app


def litestar_app() -> Any:
    """Make Litestar's app, for ASGI."""
    from litestar import Litestar, MediaType, get

    @get("/", media_type=MediaType.TEXT)
    async def hello() -> str:
        return HELLO

    return Litestar([hello], openapi_config=None)


def fastapi_app() -> Any:
    """Make FastAPI's app, for ASGI."""
    from fastapi import FastAPI, WebSocket
    from fastapi.responses import PlainTextResponse

    app = FastAPI(openapi_url=None)

    @app.get("/")
    async def hello() -> PlainTextResponse:
        return PlainTextResponse(HELLO)

    @app.websocket("/ws")
    async def echo(websocket: WebSocket) -> None:
        await websocket.accept()
        async for message in websocket.iter_text():
            await websocket.send_text(message)

    return app


def starlette_app() -> Any:
    """Make Starlette's app, for ASGI; it runs a `def` in a thread of its pool."""
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route

    def sync_hello(request: Request) -> PlainTextResponse:
        return PlainTextResponse(HELLO)

    return Starlette(routes=[Route("/sync", sync_hello)])


def sanic_app() -> Any:
    """Make Sanic's app, for its own server."""
    from sanic import HTTPResponse, Request, Sanic, text

    app = Sanic("benchmark", configure_logging=False)

    @app.get("/")
    async def hello(request: Request) -> HTTPResponse:
        return text(HELLO)

    return app


def robyn_app() -> Any:
    """Make Robyn's app, for its own server."""
    from robyn import Request, Robyn

    app = Robyn(__file__)

    @app.get("/")
    async def hello(request: Request) -> str:
        return HELLO

    return app
