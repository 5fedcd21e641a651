"""Other servers, each really started from its command line, serve the same app object and stop cleanly."""

from __future__ import annotations

import importlib.util
import signal
import sys
from pathlib import Path

import pytest

from tests.servers.process import ServerProcess, write

PROGRAM = """
import asyncio

from quaff import Quaff, request

app = Quaff(__name__)

@app.before_request
async def before():
    await asyncio.sleep(0)

@app.get("/sync")
def sync():
    return f"sync {request.args['q']}"

@app.get("/async")
async def asynchronous():
    await asyncio.sleep(0.001)
    loop = asyncio.get_running_loop()
    loops.add(id(loop))
    return f"async {request.args['q']} {len(loops)}"

@app.post("/body")
async def body():
    return str(len(await request.load_body()))

@app.get("/stream")
async def stream():
    for piece in "abc":
        yield piece

@app.get("/how")
def how():
    return "loop" if "quaff.exchange" in request.environ else "wsgi"

loops = set()
"""

PORT = "PORT"

SERVERS: dict[str, tuple[str, list[str], str]] = {
    "uvicorn": ("uvicorn", ["--port", PORT, "program:app"], "loop"),
    "uvicorn --interface wsgi": ("uvicorn", ["--port", PORT, "--interface", "wsgi", "program:app"], "wsgi"),
    "uvicorn --interface asgi3": ("uvicorn", ["--port", PORT, "--interface", "asgi3", "program:app"], "loop"),
    "hypercorn": ("hypercorn", ["-b", f"127.0.0.1:{PORT}", "program:app"], "wsgi"),
    "hypercorn asgi:": ("hypercorn", ["-b", f"127.0.0.1:{PORT}", "asgi:program:app"], "loop"),
    "hypercorn wsgi:": ("hypercorn", ["-b", f"127.0.0.1:{PORT}", "wsgi:program:app"], "wsgi"),
    "gunicorn": ("gunicorn", ["-b", f"127.0.0.1:{PORT}", "program:app"], "wsgi"),
    "gunicorn gthread": (
        "gunicorn",
        ["-b", f"127.0.0.1:{PORT}", "-k", "gthread", "--threads", "4", "program:app"],
        "wsgi",
    ),
    "gunicorn uvicorn_worker": (
        "gunicorn",
        ["-b", f"127.0.0.1:{PORT}", "-k", "uvicorn_worker.UvicornWorker", "program:app"],
        "loop",
    ),
    "granian wsgi": ("granian", ["--port", PORT, "--interface", "wsgi", "program:app"], "wsgi"),
    "granian asgi": ("granian", ["--port", PORT, "--interface", "asgi", "program:app"], "loop"),
    "granian rsgi": ("granian", ["--port", PORT, "--interface", "rsgi", "program:app"], "loop"),
}
"""Name -> the module to run, its arguments, and whether requests come over a loop."""


@pytest.mark.slow
@pytest.mark.parametrize("name", SERVERS)
def test_serves_and_stops(name: str, tmp_path: Path, free_port: int) -> None:
    """It answers sync and async views, bodies and streams, all async code on one loop, and ends when it is told to."""
    module, arguments, how = SERVERS[name]
    for needed in [module, *(["uvicorn_worker"] if "uvicorn_worker" in name else [])]:
        if importlib.util.find_spec(needed) is None:
            pytest.skip(f"{needed} is not installed for Python {sys.version_info.major}.{sys.version_info.minor}")
    write(tmp_path, "program.py", PROGRAM)
    filled = [argument.replace(PORT, str(free_port)) for argument in arguments]
    with ServerProcess(["-m", module, *filled], tmp_path, port=free_port) as server:
        server.get_when(lambda answer: answer.status == 200, "/sync?q=1")
        assert server.get("/how").text == how
        for _ in range(3):
            assert server.get("/sync?q=%C3%BC").text == "sync ü"
            assert server.get("/async?q=2").text == "async 2 1"
        assert server.get("/body", method="POST", body=b"x" * 3_000_000).text == "3000000"
        assert server.get("/stream").text == "abc"
        if (module, how) != ("hypercorn", "wsgi"):
            # Hypercorn 0.18 answers a WSGI response without any body, as HEAD has, with a 500; Flask's too.
            assert server.get("/sync", method="HEAD").status == 400
        assert server.get("/nowhere").status == 404
        assert server.stop(signal.SIGTERM, group=False) in (0, -signal.SIGTERM)
    assert "Traceback" not in server.output
    assert "was never awaited" not in server.output


def test_uvicorn_says_nothing_about_the_lifespan(tmp_path: Path, free_port: int) -> None:
    """Startup and shutdown are understood: uvicorn neither complains that they are not supported nor fails."""
    if importlib.util.find_spec("uvicorn") is None:
        pytest.skip("uvicorn is not installed for this Python")
    program = PROGRAM + "\n\n@app.before_serving\nasync def ready():\n    print('made ready', flush=True)\n"
    write(tmp_path, "program.py", program)
    arguments = ["-m", "uvicorn", "--port", str(free_port), "--lifespan", "on", "program:app"]
    with ServerProcess(arguments, tmp_path, port=free_port) as server:
        # It listens only after the startup.
        server.wait_for("Uvicorn running on")
        assert server.get("/sync?q=1").text == "sync 1"
        server.stop(signal.SIGTERM, group=False)
    assert server.output.count("made ready") == 1
    assert "Application shutdown complete" in server.output
    assert "Traceback" not in server.output
