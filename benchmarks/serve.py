"""One server for the HTTP measurements: Granian in WSGI mode, one worker, the same settings for every contestant.

Started by `over_http.py` as `python -m benchmarks.serve NAME PORT [THREADS]`. It stops when its standard input ends, so a
measurement that dies takes its servers along.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from importlib import import_module
from typing import Any, cast

from benchmarks import battery_apps, database_apps
from benchmarks.flask_apps import Framework, WSGIApp

HTML = "text/html; charset=utf-8"
GREETING = {"message": "Hello, World!"}


def raw_app() -> WSGIApp:
    """Make the bare function that the others are held against: nothing but the work of the two pages."""
    hello, hello_headers = b"Hello, World!", [("Content-Type", HTML), ("Content-Length", "13")]
    # The JSON page encodes on every request, as a program has to, with an encoder that is made once.
    encode = json.JSONEncoder(separators=(",", ":"), sort_keys=True).encode

    def raw(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        path = environ["PATH_INFO"]
        if path == "/":
            start_response("200 OK", hello_headers)
            return [hello]
        if path == "/json":
            body = f"{encode(GREETING)}\n".encode()
            start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
            return [body]
        start_response("404 Not Found", [("Content-Type", HTML), ("Content-Length", "0")])
        return [b""]

    return raw


def build_flask_app(framework: str) -> WSGIApp:
    """Make the two pages against Flask's API, on the module named *framework*."""
    app = cast(Framework, import_module(framework)).Flask(__name__)
    app.add_url_rule("/", "hello", lambda: "Hello, World!")
    app.add_url_rule("/json", "json", lambda: GREETING)
    return app


def flask_app() -> WSGIApp:
    """Make Flask's app."""
    return build_flask_app("flask")


def quaff_app() -> WSGIApp:
    """Make Quaff's app; the reference pipeline with QUAFF_COMPILED=0."""
    return build_flask_app("quaff")


def cached_app() -> WSGIApp:
    """Make Quaff's app with a cached page, and a hello that is not cached."""
    return battery_apps.caching(cast(Framework, import_module("quaff")), True)


def database_flask_app() -> WSGIApp:
    """Make Flask's app with pages on a database."""
    return database_apps.build(cast(Framework, import_module("flask")))


def database_quaff_app() -> WSGIApp:
    """Make Quaff's app with pages on a database."""
    return database_apps.build(cast(Framework, import_module("quaff")))


def falcon_app() -> WSGIApp:
    """Make Falcon's app."""

    # Falcon is imported where it is served only, so its types are not at hand: `Any`.
    class Hello:
        def on_get(self, req: Any, resp: Any) -> None:
            resp.content_type = HTML
            resp.text = "Hello, World!"

    class Json:
        def on_get(self, req: Any, resp: Any) -> None:
            resp.media = GREETING

    app: Any = import_module("falcon").App()
    app.add_route("/", Hello())
    app.add_route("/json", Json())
    return cast(WSGIApp, app)


def stop_with_input() -> None:
    """Wait for the end of the standard input, then stop the server as Ctrl-C would."""
    # `os.read`, for `sys.stdin` would hold its lock while Granian forks the worker, which then waits for it for ever.
    while os.read(0, 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def main(module: str, port: str, threads: str = "") -> None:
    """Serve until the standard input ends; without *threads* Granian chooses the number of blocking threads."""
    from granian.constants import HTTPModes, Interfaces
    from granian.server import Server

    threading.Thread(target=stop_with_input, daemon=True).start()
    Server(
        f"benchmarks.serve:{module}_app",
        address="127.0.0.1",
        port=int(port),
        interface=Interfaces.WSGI,
        workers=1,
        blocking_threads=int(threads) if threads else None,
        http=HTTPModes.http1,
        websockets=False,
        log_enabled=False,
        factory=True,
    ).serve()


if __name__ == "__main__":
    main(*sys.argv[1:])
