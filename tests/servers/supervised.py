"""A production server around a small app, for tests: started as a program that calls `run_production`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.servers.process import ServerProcess, write

SERVICE = """\
import os, time

VERSION = "one"


def app(environ, start_response):
    if environ["PATH_INFO"] == "/slow":
        print("slow began", flush=True)
        time.sleep(1.5)
    if environ["PATH_INFO"] == "/stuck":
        print("stuck began", flush=True)
        time.sleep(60)
    if environ["PATH_INFO"] == "/exit":
        os._exit(7)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{VERSION} {os.getpid()} {environ['wsgi.multiprocess']}".encode()]
"""

RUN = """\
import json, sys, traceback
from quaff.servers import ServeSettings, ServerError, run_production


def load():
    import service
    return service.app


try:
    sys.exit(run_production(load, ServeSettings.from_mapping(json.loads(sys.argv[1]))))
except ServerError as error:
    sys.exit(f"refused: {error}")
"""


def start(folder: Path, service: str = SERVICE, **values: Any) -> ServerProcess:
    """Return a server that is about to start; *values* are its settings."""
    write(folder, "service.py", service)
    write(folder, "run.py", RUN)
    return ServerProcess(["run.py", json.dumps({"bind": "127.0.0.1:0", "workers": 2} | values)], folder)


@contextmanager
def serving(folder: Path, service: str = SERVICE, **values: Any) -> Iterator[ServerProcess]:
    """Start a server, and give it once all of its workers serve."""
    with start(folder, service, **values) as server:
        server.wait_for(r"Started worker \d+", times=values.get("workers", 2))
        yield server if str(values.get("bind", "")).startswith("unix:") else server.wait_until_serving()


def workers(server: ServerProcess) -> dict[int, int]:
    """Return the process id of each worker by number, as last announced."""
    return {int(number): int(pid) for number, pid in re.findall(r"Started worker (\d+) \(pid (\d+)\)", server.output)}
