"""Sends requests of every kind through one app and prints by how much the process grew: the program of test_leaks.py.

`python every_kind.py TOTAL {compiled,reference} [--leak]`; the result is one line of JSON. Values differ from request to
request, so a cache keyed by path, query or cookie that nobody bounds shows as growth. With `--leak` the app forgets
nothing of one kind, to prove that the measurement would notice.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import io
import json
import logging
import os
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import jinja2

from quaff import (
    Blueprint,
    Quaff,
    abort,
    after_this_request,
    flash,
    g,
    get_flashed_messages,
    redirect,
    render_template,
    render_template_string,
    request,
    send_from_directory,
    session,
    stream_with_context,
    url_for,
)

HERE = Path(__file__).parent
BOUNDARY = "a-line-that-is-nowhere-else"
TABLE = "<table>{% for n in range(12) %}<tr><td>{{ n }}</td><td>{{ who }}</td></tr>{% endfor %}</table>"


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of request: how to ask for it, what it must answer, and its share of the total in thousandths."""

    name: str
    share: int
    path: str
    """`{n}` in it, and in *query* and *body*, is the number of the request."""

    status: int = 200
    method: str = "GET"
    query: str = ""
    body: str = ""
    content_type: str = ""
    abandon: bool = False
    """Close the answer after its first piece, as when the client goes away."""


def multipart(size: int) -> str:
    """Build a form with one field and one file of *size* bytes."""
    field = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="user"\r\n\r\nada\r\n'
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="notes.txt"\r\n'
    return f"{field}{head}Content-Type: text/plain\r\n\r\n{'x' * size}\r\n--{BOUNDARY}--\r\n"


MULTIPART = f"multipart/form-data; boundary={BOUNDARY}"
FORM = "application/x-www-form-urlencoded"
KINDS = [
    Kind("hello", 175, "/"),
    Kind("dict", 170, "/users/{n}"),
    Kind("args", 100, "/search", query="q=word{n}&page={n}"),
    Kind("json", 100, "/echo", method="POST", body='{{"name": "ada{n}"}}', content_type="application/json"),
    Kind("form", 55, "/form", method="POST", body="user=ada{n}&password=secret", content_type=FORM),
    Kind("multipart", 20, "/form", method="POST", body=multipart(200), content_type=MULTIPART),
    # More than Werkzeug keeps in memory: goes through a temporary file, whose handle has to be closed.
    Kind("upload", 2, "/form", method="POST", body=multipart(600_000), content_type=MULTIPART),
    Kind("session", 50, "/visits/{n}"),
    Kind("error", 20, "/fails/{n}", status=500),
    Kind("handled", 20, "/teapot/{n}", status=418),
    Kind("404", 50, "/missing/{n}", status=404),
    Kind("405", 30, "/echo", status=405),
    Kind("bad json", 10, "/echo", method="POST", body="{n}{{", status=400, content_type="application/json"),
    Kind("streaming", 30, "/stream/{n}"),
    Kind("abandoned stream", 10, "/stream/{n}", abandon=True),
    Kind("redirect", 40, "/old/{n}", status=302),
    Kind("slash redirect", 10, "/folder", query="n={n}", status=308),
    Kind("template", 30, "/page/{n}"),
    Kind("template string", 8, "/text/{n}"),
    Kind("file", 10, "/file"),
    Kind("head", 10, "/users/{n}", method="HEAD"),
    Kind("options", 10, "/users/{n}", method="OPTIONS"),
    Kind("async view", 10, "/async/{n}"),
    Kind("after_this_request", 20, "/after/{n}"),
    Kind("hooks", 5, "/part/{n}0"),
    Kind("aborted", 5, "/part/{n}1", status=403),
]
"""Every kind of request; the shares add up to 1000."""

WARM_UP = 500
"""Requests of each kind before the first measurement, at least: caches with a bound are full by then."""


class TeapotError(Exception):
    """An error that the app handles itself."""


def add_plain_views(app: Quaff) -> None:
    """Register the views that answer from the request."""

    @app.get("/")
    def hello() -> str:
        return "Hello, World!"

    @app.get("/users/<int:user_id>")
    def user(user_id: int) -> dict[str, int]:
        return {"id": user_id}

    @app.get("/search")
    def search() -> str:
        return f"{request.args.get('q')} {request.args.get('page', type=int)}"

    @app.post("/echo")
    def echo() -> dict[str, Any]:
        return {"name": request.get_json()["name"]}

    @app.post("/form")
    def form() -> str:
        return request.form["user"] + "".join(f"{name} {file.filename}" for name, file in request.files.items())

    @app.get("/old/<int:n>")
    def old(n: int) -> Any:
        return redirect(url_for("user", user_id=n, back="yes"))

    @app.get("/folder/")
    def folder() -> str:
        return "folder"

    @app.get("/file")
    def file() -> Any:
        return send_from_directory(HERE, "every_kind.py")


def add_stateful_views(app: Quaff) -> None:
    """Register the views with something to clean up: sessions, errors, streams."""

    @app.get("/visits/<int:n>")
    def visits(n: int) -> str:
        session["visits"] = session.get("visits", 0) + n
        flash(f"visit {n}")
        return f"{len(get_flashed_messages())} messages"

    @app.get("/fails/<int:n>")
    def fails(n: int) -> str:
        here = [n] * 10
        raise RuntimeError(f"request {n} fails, with {here}")

    @app.get("/teapot/<int:n>")
    def teapot(n: int) -> str:
        raise TeapotError(n)

    @app.errorhandler(TeapotError)
    def short_and_stout(error: TeapotError) -> Any:
        return f"request {error.args[0]}", 418

    @app.get("/stream/<int:n>")
    def stream(n: int) -> Any:
        def pieces() -> Iterator[str]:
            for piece in range(3):
                yield f"{request.path} {n + piece}"

        return stream_with_context(pieces()), {"X-Kind": "stream"}


def add_late_views(app: Quaff) -> None:
    """Register the views that call something after themselves or elsewhere: templates, callbacks, the event loop."""

    @app.get("/page/<int:n>")
    def page(n: int) -> str:
        return render_template("table.html", who=f"<{n}>")

    @app.get("/text/<int:n>")
    def text(n: int) -> str:
        return render_template_string("Hello {{ who }}", who=n)

    @app.get("/async/<int:n>")
    async def slow(n: int) -> str:
        async def values() -> AsyncIterator[int]:
            yield n

        return f"{request.path} {[value async for value in values()]}"

    @app.get("/after/<int:n>")
    def after(n: int) -> str:
        @after_this_request
        def mark(response: Any) -> Any:
            response.headers["X-Number"] = str(n)
            return response

        return "after"


def add_hooks(app: Quaff) -> None:
    """Register hooks around one blueprint's view, so that the plain views keep their short pipeline."""
    part = Blueprint("part", __name__, url_prefix="/part")

    @part.before_request
    def before() -> None:
        g.seen = request.path

    @part.after_request
    def after(response: Any) -> Any:
        response.headers["X-Seen"] = g.seen
        return response

    @part.teardown_request
    def teardown(error: BaseException | None) -> None:
        g.pop("seen")

    @part.get("/<int:n>")
    def show(n: int) -> str:
        if n % 2:
            abort(403)
        return g.seen  # type: ignore[no-any-return]

    app.register_blueprint(part)


def build_app(compiled: bool, leaked: list[Any] | None) -> Quaff:
    """Build the app; with *leaked* the view of the kind "args" keeps every request in it."""
    app = Quaff(__name__, compiled=compiled)
    app.secret_key = "only for this test"
    app.jinja_loader = jinja2.DictLoader({"table.html": TABLE})
    add_plain_views(app)
    add_stateful_views(app)
    add_late_views(app)
    add_hooks(app)
    if leaked is not None:
        search = app.view_functions["search"]

        def keep() -> Any:
            leaked.append(request.environ)
            return search()

        app.view_functions["search"] = keep
    # Errors are logged as in production, traceback and all, to nowhere.
    app.logger.handlers[:] = [logging.FileHandler(os.devnull)]
    app.logger.propagate = False
    return app


def build_environ(kind: Kind, number: int, cookie: str) -> dict[str, Any]:
    """Build the environ of request *number*."""
    body = kind.body if kind.body.startswith("--") else kind.body.format(n=number)
    environ: dict[str, Any] = {
        "REQUEST_METHOD": kind.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": kind.path.format(n=number),
        "QUERY_STRING": kind.query.format(n=number),
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8000",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": "127.0.0.1:8000",
        "HTTP_USER_AGENT": f"client/{number}",
        "HTTP_COOKIE": cookie,
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.errors": sys.stderr,
        "wsgi.input": io.BytesIO(body.encode()),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    if body:
        environ["CONTENT_TYPE"] = kind.content_type
        environ["CONTENT_LENGTH"] = str(len(body))
    return environ


class Client:
    """Calls the app as a server does; keeps the session cookie as a browser does."""

    def __init__(self, app: Callable[..., Any]) -> None:
        self._app, self._cookie, self._status = app, "", ""

    def _start(self, status: str, headers: list[tuple[str, str]], exc_info: object = None) -> Callable[[bytes], object]:
        self._status = status
        for name, value in headers:
            if name == "Set-Cookie":
                self._cookie = value.partition(";")[0]
        return len

    def send(self, kind: Kind, number: int) -> None:
        """Send request *number* of *kind*; RuntimeError when the answer is not the expected one."""
        environ = build_environ(kind, number, self._cookie if kind.name == "session" else "")
        answer = self._app(environ, self._start)
        for _ in answer:
            if kind.abandon:
                break
        if hasattr(answer, "close"):
            answer.close()
        if int(self._status[:3]) != kind.status:
            raise RuntimeError(f"{kind.name} answered {self._status}, not {kind.status}")


@dataclass(frozen=True, slots=True)
class Size:
    """How large the process is."""

    objects: int
    """Objects that the garbage collector knows."""

    blocks: int
    """Blocks of memory that Python has allocated: strings and numbers too."""

    handles: int
    """Open files; 0 where the system does not tell."""

    kilobytes: int
    """Resident memory; 0 where the system does not tell."""

    threads: int
    """Threads that run."""

    @classmethod
    def now(cls) -> Size:
        """Measure this process, after a full collection."""
        for _ in range(3):
            gc.collect()
        handles, kilobytes = 0, 0
        with contextlib.suppress(OSError):
            handles = len(os.listdir("/proc/self/fd"))
            kilobytes = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024
        return cls(len(gc.get_objects()), sys.getallocatedblocks(), handles, kilobytes, threading.active_count())

    def growth_since(self, earlier: Size) -> dict[str, int]:
        """Return by how much each measure has grown."""
        before = asdict(earlier)
        return {name: value - before[name] for name, value in asdict(self).items()}


def run(total: int, client: Any, kinds: list[Kind]) -> dict[str, Any]:
    """Send *total* requests of *kinds* after a warm-up; return the growth of the whole and of each kind.

    :param client: has a method `send` as `Client` has.
    """
    counts = {kind.name: total * kind.share // 1000 for kind in kinds}
    number = 0
    for kind in kinds:
        for _ in range(max(WARM_UP, counts[kind.name] // 10)):
            number += 1
            client.send(kind, number)
    by_kind: dict[str, dict[str, Any]] = {}
    started = before = Size.now()
    for kind in kinds:
        for _ in range(counts[kind.name]):
            number += 1
            client.send(kind, number)
        after = Size.now()
        by_kind[kind.name] = {"requests": counts[kind.name], "growth": after.growth_since(before)}
        before = after
    return {"requests": sum(counts.values()), "growth": before.growth_since(started), "kinds": by_kind}


def main() -> None:
    """Run the command line and print the result as JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("total", type=int)
    parser.add_argument("pipeline", choices=["compiled", "reference"])
    parser.add_argument("--leak", action="store_true")
    options = parser.parse_args()
    app = build_app(options.pipeline == "compiled", [] if options.leak else None)
    print(json.dumps(run(options.total, Client(app), KINDS)))


if __name__ == "__main__":
    main()
