"""A script that starts the development server by `app.run`, for tests."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.servers.process import ServerProcess, write

SCRIPT = """\
import json, sys, threading, time
from quaff import Quaff, request

print("the script runs", flush=True)
app = Quaff(__name__)
running = 0


@app.route("/")
def hello():
    return "Hello, World!"


@app.route("/who")
def who():
    return {"main": sys.modules["__main__"].app is app, "name": __name__}


@app.route("/slow")
def slow():
    print("slow began", flush=True)
    time.sleep(30)
    return "slow"


@app.route("/meet")
def meet():
    barrier.wait(20)
    return "met"


@app.route("/error")
def error():
    secret_in_frame = "s3cret"
    raise ValueError("a detail of the error")


@app.route("/environ")
def environ():
    return {name: repr(value) for name, value in request.environ.items()}


barrier = threading.Barrier(2)

if __name__ == "__main__":
    app.run(port=0, **json.loads(sys.argv[1]))
    print("after run", flush=True)
"""


def start(folder: Path, code: str = SCRIPT, environment: dict[str, str] | None = None, **options: Any) -> ServerProcess:
    """Return the script as a process that is about to start; *options* go to `app.run`."""
    write(folder, "app.py", code)
    return ServerProcess(["app.py", json.dumps(options)], folder, environment or {})


@contextmanager
def serving(*args: Any, **options: Any) -> Iterator[ServerProcess]:
    """Start the script, and give it once it serves; the arguments are those of `start`."""
    with start(*args, **options) as server:
        yield server.wait_until_serving()
