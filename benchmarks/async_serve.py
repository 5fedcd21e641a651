"""One server for the protocol measurements: one worker, and uvloop for everybody where it is installed.

Started by `protocols.py` as `python -m benchmarks.async_serve APP PORT SERVER`: an app of `async_apps.py`, and one of
`SERVERS` to serve it. It stops when its standard input ends, as `serve.py` does.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

from benchmarks import async_apps
from benchmarks.idle import raise_file_limit
from benchmarks.serve import stop_with_input

HOST = "127.0.0.1"

CONNECTIONS = 32_768
"""How many connections Granian and Quaff take at once; by default 1,024 and 8,192."""

PATIENCE = 3
"""Seconds that a server and its worker have for stopping."""


def is_installed(package: str) -> bool:
    """Tell whether *package* can be imported, without doing it."""
    return find_spec(package) is not None


def loop_name() -> str:
    """Return the event loop for the servers that let one choose."""
    return "uvloop" if is_installed("uvloop") else "asyncio"


def stop_surely() -> None:
    """Stop the server as `stop_with_input` does, and a server that takes no notice all the same."""
    stop_with_input()
    time.sleep(PATIENCE)
    os._exit(1)


def make_app(name: str) -> Any:
    """Make the app of a contestant."""
    return getattr(async_apps, f"{name}_app")()


def serve_granian(name: str, port: int, interface: str) -> None:
    """Serve with Granian; what is not named here is as Granian has it by default."""
    from granian.constants import HTTPModes, Interfaces, Loops
    from granian.log import LogLevels
    from granian.server import Server

    Server(
        f"benchmarks.async_apps:{name}_app",
        address=HOST,
        port=port,
        interface=Interfaces(interface),
        workers=1,
        backpressure=CONNECTIONS,
        workers_kill_timeout=PATIENCE - 1,
        loop=Loops(loop_name()),
        http=HTTPModes.http1,
        log_level=LogLevels.error,
        factory=True,
    ).serve()


def serve_rsgi(name: str, port: int) -> None:
    """Serve over RSGI, with Granian."""
    serve_granian(name, port, "rsgi")


def serve_asgi(name: str, port: int) -> None:
    """Serve over ASGI, with Granian."""
    serve_granian(name, port, "asgi")


def serve_uvicorn(name: str, port: int) -> None:
    """Serve over ASGI, with uvicorn as its extra "standard" makes it: httptools and `websockets`."""
    import uvicorn

    http = "httptools" if is_installed("httptools") else "auto"
    uvicorn.run(make_app(name), host=HOST, port=port, loop=loop_name(), http=http, log_level="error", access_log=False)


def serve_http1(name: str, port: int) -> None:
    """Serve with Quaff's own server, as `quaff serve` does; what is not named here is as there by default."""
    from quaff.servers.http1.worker import start_http1_worker
    from quaff.servers.settings import Address, ServeSettings
    from quaff.servers.sockets import listen

    settings = ServeSettings(
        bind=Address(HOST, port), workers=1, backpressure=CONNECTIONS, graceful_timeout=PATIENCE - 1
    )
    worker = start_http1_worker(make_app(name), listen(settings.bind), settings)
    signal.signal(signal.SIGTERM, lambda *_: worker.stop(0))
    worker.wait()


def serve_own(name: str, port: int) -> None:
    """Serve with the framework's own server."""
    {"sanic": serve_sanic, "robyn": serve_robyn}[name](port)


def serve_sanic(port: int) -> None:
    """Serve with Sanic, which takes uvloop by itself."""
    make_app("sanic").run(HOST, port, single_process=True, access_log=False, motd=False)


def serve_robyn(port: int) -> None:
    """Serve with Robyn, which requires uvloop and reads its settings from the command line."""
    sys.argv[1:] = ["--processes", "1", "--workers", "1", "--log-level", "ERROR", "--disable-openapi"]
    make_app("robyn").start(HOST, port)


SERVERS: dict[str, Callable[[str, int], None]] = {
    "rsgi": serve_rsgi,
    "asgi": serve_asgi,
    "uvicorn": serve_uvicorn,
    "http1": serve_http1,
    "own": serve_own,
}


def main(name: str, port: str, server: str) -> None:
    """Serve until the standard input ends."""
    for package in (name, server):
        if package not in {"raw", "rsgi", "asgi", "own", "http1"} and not is_installed(package):
            sys.exit(f"{package} is not installed")
    raise_file_limit()
    threading.Thread(target=stop_surely, daemon=True).start()
    SERVERS[server](name, int(port))


if __name__ == "__main__":
    main(*sys.argv[1:])
