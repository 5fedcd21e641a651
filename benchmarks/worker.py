"""One framework, one scenario, one process: answers once, then times itself as often as it is told to.

Started by `inprocess.py` as `python -m benchmarks.worker FRAMEWORK SCENARIO`. The first line that it writes is its
answer to the scenario's request. After that each line of input is a number of calls, and each line of output the
seconds that they took. It ends with its input, so that it never outlives the process that started it.

Each framework has a process of its own, as it has in production. In one process the frameworks would share Werkzeug's
functions, whose inline caches CPython specialises for the types that it sees, and one garbage collector, whose full
collections would walk through the other framework's objects.
"""

from __future__ import annotations

import gc
import importlib
import io
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, cast

from benchmarks import battery_apps, scenarios
from benchmarks.flask_apps import LOOP_KEY, Framework, WSGIApp
from benchmarks.scenario import Scenario

Headers = list[tuple[str, str]]


@dataclass(slots=True)
class Reply:
    """What an app said to `start_response`, and the body that it returned."""

    status: str = ""
    headers: Headers = field(default_factory=list)
    body: bytes = b""

    def start(self, status: str, headers: Headers, exc_info: object = None) -> Callable[[bytes], object]:
        """Be the `start_response` of one call."""
        self.status, self.headers = status, headers
        return self._write

    def _write(self, data: bytes) -> None:
        self.body += data


def build_environ(scenario: Scenario, path: str = "", cookie: str = "") -> dict[str, Any]:
    """Build the environ that Granian would give for the scenario's request, without a body stream."""
    environ: dict[str, Any] = {
        "REQUEST_METHOD": scenario.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": path or scenario.path,
        "QUERY_STRING": scenario.query,
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8000",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_SOFTWARE": "Granian",
        "GATEWAY_INTERFACE": "CGI/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": "127.0.0.1:8000",
        "HTTP_ACCEPT": "*/*",
        "HTTP_USER_AGENT": "benchmark/1.0",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.errors": sys.stderr,
        "wsgi.input_terminated": True,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    if scenario.content_type:
        environ["CONTENT_TYPE"] = scenario.content_type
        environ["CONTENT_LENGTH"] = str(len(scenario.content))
    if cookie:
        environ["HTTP_COOKIE"] = cookie
    return {**environ, **scenario.headers}


def call_once(app: WSGIApp, environ: dict[str, Any], content: bytes = b"") -> Reply:
    """Call *app* as a server would and keep everything that it answers."""
    reply = Reply()
    result = app({**environ, "wsgi.input": io.BytesIO(content)}, reply.start)
    try:
        reply.body += b"".join(result)
    finally:
        close = getattr(result, "close", None)
        if close is not None:
            close()
    return reply


def cookie_of(app: WSGIApp, scenario: Scenario) -> str:
    """Ask the scenario's `cookie_from` path and return the `Cookie` header that a browser would send back."""
    if not scenario.cookie_from:
        return ""
    reply = call_once(app, build_environ(scenario, scenario.cookie_from))
    return "; ".join(value.partition(";")[0] for name, value in reply.headers if name.lower() == "set-cookie")


def time_calls(app: WSGIApp, environ: dict[str, Any], content: bytes, number: int) -> tuple[float, str]:
    """Call *app* *number* times; return the seconds of all and the status of the last.

    Every call gets a copy of the environ and a fresh input stream, and the result is iterated and closed, as a server
    must. Nothing is subtracted for that: it is the same for everyone and costs about a quarter of a microsecond.
    """
    status = ""

    def start_response(new_status: str, headers: Headers, exc_info: object = None) -> Callable[[bytes], object]:
        nonlocal status
        status = new_status
        return len

    stream = io.BytesIO
    # The collector starts from the same place in each batch. It stays on: a server runs with it.
    gc.collect()
    started = perf_counter()
    for _ in range(number):
        call = environ.copy()
        call["wsgi.input"] = stream(content)
        result = app(call, start_response)
        for _chunk in result:
            pass
        if hasattr(result, "close"):
            result.close()
    return perf_counter() - started, status


def time_inner(app: WSGIApp, environ: dict[str, Any], number: int) -> tuple[float, str]:
    """Let the view repeat its call *number* times within one request; return its seconds and the status."""
    gc.collect()
    reply = call_once(app, {**environ, LOOP_KEY: number})
    return float(reply.body), reply.status


def build_app(framework: str, scenario: Scenario) -> WSGIApp:
    """Build the scenario's app on the module named *framework*; `falcon` has apps of its own."""
    if framework != "falcon":
        return scenario.build(cast(Framework, importlib.import_module(framework)))
    if scenario.falcon is None:
        raise LookupError(f"the scenario {scenario.name!r} has no version for Falcon")
    return scenario.falcon()


def readable(scenario: Scenario, reply: Reply) -> bytes:
    """Return the body, without its content encoding where the scenario compares it so."""
    if not scenario.decoded:
        return reply.body
    encodings = [value for name, value in reply.headers if name.lower() == "content-encoding"]
    return battery_apps.decode(reply.body, "".join(encodings))


def main(framework: str, name: str) -> None:
    """Answer once, then time as many calls as each line of input says."""
    scenario = scenarios.find(name)
    app = build_app(framework, scenario)
    environ = build_environ(scenario, cookie=cookie_of(app, scenario))
    reply = call_once(app, environ, scenario.content)
    print(json.dumps([reply.status, reply.headers, readable(scenario, reply).decode("latin-1")]), flush=True)
    for line in sys.stdin:
        if scenario.inner:
            seconds, status = time_inner(app, environ, int(line))
        else:
            seconds, status = time_calls(app, environ, scenario.content, int(line))
        if status != reply.status:
            raise RuntimeError(f"{framework} answered {status!r} while {name!r} was timed, and {reply.status!r} before")
        print(seconds, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
