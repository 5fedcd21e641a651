"""Mounted applications over real servers, each with all kinds of applications: Granian, uvicorn and Quaff's own."""

from __future__ import annotations

import asyncio
import hashlib
import http.client
import json
import logging
import os
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from quaff import Quaff
from quaff.mounting import Mount
from quaff.servers import mounted
from quaff.servers.mounted import OverWSGI, http_scope, scope_below
from quaff.servers.rsgi import build_rsgi
from quaff.servers.settings import Address, ServeSettings
from quaff.servers.worker import start_rsgi_worker
from tests.protocols.harness import INTERFACES, Served, read_all, until
from tests.servers.applications import BareWSGI, Events, build_django, build_fastapi, build_quaff
from tests.servers.process import PATIENCE

ASGIApp = Callable[[Any, Any, Any], Awaitable[None]]

LARGE = os.urandom(1024) * 2500
"""More than servers and sockets keep in between."""


@dataclass
class Host:
    """An app that is being served with everything mounted, and what the mounted applications have to say."""

    served: Served
    wsgi: Events
    fastapi: Events
    quaff: Events

    def events(self, path: str) -> Events:
        """Return the events of the application that has *path*; none seen, and nothing held up."""
        events = {"legacy": self.wsgi, "api": self.fastapi, "inner": self.quaff}[path.split("/")[1]]
        events.seen.clear()
        events.go_on.clear()
        return events


@pytest.fixture(scope="module", params=INTERFACES)
def host(request: pytest.FixtureRequest) -> Iterator[Host]:
    """Give a server with everything mounted; the tests of this file share it."""
    wsgi, fastapi, quaff = Events(), Events(), Events()
    app = Quaff("host", static_folder=None)
    app.add_url_rule("/", "index", lambda: "host")
    app.mount("/legacy", BareWSGI(wsgi))
    app.mount("/api", build_fastapi(fastapi))
    app.mount("/django/wsgi", build_django("wsgi"))
    app.mount("/django/asgi", build_django("asgi"))
    app.mount("/inner", build_quaff(quaff))
    app.mount("/café", BareWSGI(wsgi))
    if request.param == "wsgi":
        app.lifespan.start_sync()
    with INTERFACES[request.param](app) as port:
        served = Served(request.param, port)
        yield Host(served, wsgi, fastapi, quaff)
        served.client.close()
    if request.param == "wsgi":
        app.lifespan.stop_sync()
    # Each was started and stopped with the server, and once.
    assert [event for event in fastapi.seen if event == "shutdown"] == ["shutdown"]
    assert [event for event in quaff.seen if event == "shutdown"] == ["shutdown"]


@pytest.fixture
def served(host: Host) -> Served:
    """Give the client of `host`."""
    return host.served


@pytest.fixture(params=INTERFACES)
def serve(request: pytest.FixtureRequest) -> Iterator[Callable[[Quaff], Served]]:
    """Give what serves one app of the test's own."""
    with ExitStack() as stack:

        def start(app: Quaff) -> Served:
            found = Served(request.param, stack.enter_context(INTERFACES[request.param](app)))
            stack.callback(found.client.close)
            return found

        yield start


def errors_in(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the errors that were logged so far, a moment after the last request."""
    time.sleep(0.1)
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]


# The place -----------------------------------------------------------------------------------------------------------


def test_the_rest_of_the_app_is_as_before(served: Served) -> None:
    """Routes beside the mounts are served, and what only looks like a prefix is none."""
    assert served.text("/") == "host"
    for path in ("/legacyx", "/apis/where", "/x/api/where", "/django/where/"):
        assert served.get(path).status_code == 404


@pytest.mark.parametrize(
    "sent,script,path",
    [
        ("/legacy", "/legacy", ""),
        ("/legacy/", "/legacy", "/"),
        ("/legacy/a/b", "/legacy", "/a/b"),
        ("/legacy/a%20b%2Fc/%C3%A9", "/legacy", "/a b/c/\xc3\xa9"),
        ("/legacy//a/./b", "/legacy", "//a/./b"),
        ("/caf%C3%A9/%C3%A9", "/caf\xc3\xa9", "/\xc3\xa9"),
    ],
)
def test_what_a_wsgi_application_sees(served: Served, sent: str, script: str, path: str) -> None:
    """The prefix is its SCRIPT_NAME and the rest its PATH_INFO, decoded as PEP 3333 has it; the query is untouched."""
    with served.send(f"GET {sent}?q=%20%C3%A9 HTTP/1.1\nHost: localhost\nConnection: close\n\n") as connection:
        seen = json.loads(read_all(connection).partition(b"\r\n\r\n")[2])
    assert (seen["SCRIPT_NAME"], seen["PATH_INFO"]) == (script, path)
    assert (seen["QUERY_STRING"], seen["HTTP_HOST"], seen["REQUEST_METHOD"]) == ("q=%20%C3%A9", "localhost", "GET")


def test_what_an_asgi_application_sees(served: Served) -> None:
    """Path, root path, headers, cookies, client and the state of its lifespan are there, and its URLs have the prefix."""
    headers = [("Cookie", "a=1; b=2"), ("User-Agent", "a test"), ("X-Many", "1"), ("X-Many", "2")]
    seen = served.get("/api/where?a=%20b", headers=headers).json()
    assert (seen["root_path"], seen["path"]) == ("/api", "/api/where")
    assert seen["url"] == f"{served.url}/api/where?a=%20b"
    assert seen["self"] == f"{served.url}/api/where"
    assert seen["database"] == "connected"
    assert seen["client"] == "127.0.0.1"
    assert seen["cookies"] == {"a": "1", "b": "2"}
    assert seen["http_version"] == "1.1"
    assert seen["headers"]["user-agent"] == ["a test"]
    assert ",".join(seen["headers"]["x-many"]) == "1,2"
    assert seen["headers"]["content-length"] == []


def test_paths_of_an_asgi_application_are_text(served: Served) -> None:
    """Parameters in the path arrive decoded, also beyond ASCII, and those of the query converted."""
    assert served.get("/api/sync/caf%C3%A9%20x?limit=7").json() == {"name": "café x", "limit": 7}


@pytest.mark.parametrize("kind", ["wsgi", "asgi"])
def test_what_django_sees(served: Served, kind: str) -> None:
    """Django has the prefix in `request.path` and in the URLs that it reverses, and the rest in `path_info`."""
    root = f"/django/{kind}"
    assert served.get(f"{root}/where/?a=b").json() == {
        "path": f"{root}/where/",
        "path_info": "/where/",
        "url": f"{served.url}{root}/where/?a=b",
        "self": f"{root}/where/",
        "script": root,
    }


@pytest.mark.parametrize("view", ["where", "async"])
def test_what_a_quaff_app_sees(served: Served, view: str) -> None:
    """A mounted Quaff app has its views of both kinds, its hooks, and URLs with the prefix."""
    answer = served.get(f"/inner/{view}")
    seen = answer.json()
    assert (seen["root_path"], seen["path"], seen["self"]) == ("/inner", f"/{view}", "/inner/items/1")
    assert seen["url"] == f"{served.url}/inner/{view}"
    assert answer.headers["X-Inner"] == "yes"
    if view == "async":
        # On the loop of the server where there is one.
        threads = {"wsgi": "quaff-async", "asgi": "uvicorn", "rsgi": "quaff-loop", "http1": "quaff-loop"}
        assert seen["thread"] == threads[served.interface]


@pytest.mark.parametrize(
    "path,location",
    [
        ("/legacy/old", "/legacy/new"),
        ("/api/slash", "{url}/api/slash/"),
        ("/django/wsgi/where", "/django/wsgi/where/"),
        ("/django/asgi/where", "/django/asgi/where/"),
        ("/inner", "{url}/inner/"),
        ("/inner/slash", "{url}/inner/slash/"),
        ("/inner/old", "/inner/items/2"),
    ],
)
def test_redirects_keep_the_prefix(served: Served, path: str, location: str) -> None:
    """Where an application sends a client is below its own prefix."""
    answer = served.get(path)
    assert answer.is_redirect
    assert answer.headers["Location"] == location.format(url=served.url)


# Bodies --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/legacy/upload", "/api/upload", "/inner/upload"])
@pytest.mark.parametrize("chunked", [False, True], ids=["announced", "chunked"])
@pytest.mark.parametrize("size", [0, 1, len(LARGE)])
def test_uploads(served: Served, path: str, chunked: bool, size: int) -> None:
    """The very bytes that were sent arrive, announced or chunked."""
    body = LARGE[:size]
    pieces = (body[start : start + 50_000] for start in range(0, size, 50_000))
    answer = served.post(path, content=pieces if chunked else body)
    assert answer.json() == {"size": size, "sha256": hashlib.sha256(body).hexdigest()}


@pytest.mark.parametrize("kind", ["wsgi", "asgi"])
def test_a_form_with_a_file(served: Served, kind: str) -> None:
    """Django gets the fields and files of a multipart form."""
    answer = served.post(f"/django/{kind}/upload/", data={"field": "ü"}, files={"file": LARGE})
    assert answer.json() == {"field": "ü", "size": len(LARGE), "sha256": hashlib.sha256(LARGE).hexdigest()}


def test_a_body_that_nobody_reads(served: Served) -> None:
    """An application may answer without having read what was sent, and the server goes on."""
    assert served.post("/api/unread", content=LARGE).json() == "unread"
    assert served.text("/") == "host"


@pytest.mark.parametrize("path", ["/legacy/stream", "/api/stream"])
def test_a_stream_arrives_piece_by_piece(host: Host, path: str) -> None:
    """A piece is sent when it is made, while the application still works at the next."""
    events = host.events(path)
    with host.served.client.stream("GET", path) as answer:
        pieces = answer.iter_raw()
        assert next(pieces) == b"first"
        events.go_on.set()
        assert b"".join(pieces) == b"second"


@pytest.mark.parametrize("path", ["/legacy/endless", "/api/endless"])
def test_a_client_that_does_not_read_stops_the_application(host: Host, path: str) -> None:
    """Pieces are made as they are taken, not faster; the server answers others meanwhile."""
    if host.served.interface == "rsgi":
        pytest.skip("Granian 2.8 takes all that it is given over RSGI")
    events = host.events(path)
    with host.served.send(f"GET {path} HTTP/1.1\nHost: localhost\n\n"):
        until(lambda: events.seen)
        made = -1
        while made != len(events.seen):
            made = len(events.seen)
            assert made < 2000, "that is more than any socket holds"
            time.sleep(0.3)
        assert host.served.text("/") == "host"
    until_quiet(events)


def until_quiet(events: Events) -> None:
    """Wait until an application makes no more pieces."""

    def is_quiet() -> bool:
        before = len(events.seen)
        time.sleep(0.2)
        return before == len(events.seen)

    until(is_quiet)


@pytest.mark.parametrize("path", ["/legacy/endless", "/api/endless", "/api/silent"])
def test_a_client_that_leaves_ends_the_stream(host: Host, path: str, caplog: pytest.LogCaptureFixture) -> None:
    """The application notices and stops, nothing is logged, and the server goes on.

    A WSGI server notices when it cannot send, so a silent stream lives on there.
    """
    if (host.served.interface, path) == ("wsgi", "/api/silent"):
        pytest.skip("a WSGI server cannot know")
    events = host.events(path)
    with host.served.send(f"GET {path} HTTP/1.1\nHost: localhost\n\n") as connection:
        assert connection.recv(1000).startswith(b"HTTP/1.1 200 ")
    if path == "/api/endless":
        until_quiet(events)
    else:
        until(lambda: "closed" in events.seen)
    assert errors_in(caplog) == []
    assert host.served.text("/") == "host"


@pytest.mark.parametrize("path", ["/legacy/upload", "/api/upload"])
def test_a_client_that_leaves_during_an_upload(host: Host, path: str, caplog: pytest.LogCaptureFixture) -> None:
    """The application is told, nothing is logged, and the server goes on."""
    if (host.served.interface, path) == ("asgi", "/api/upload"):
        pytest.skip("between uvicorn and the application, and uvicorn logs it")
    head = f"POST {path} HTTP/1.1\nHost: localhost\nContent-Length: 3000000\n\n"
    with host.served.send(head, b"x" * 100_000):
        time.sleep(0.05)
    assert errors_in(caplog) == []
    assert host.served.text("/") == "host"


@pytest.mark.parametrize(
    "path", ["/legacy/", "/api/sync/x", "/inner/where", "/django/wsgi/where/", "/django/asgi/where/"]
)
def test_head(served: Served, path: str) -> None:
    """HEAD has the headers of GET and no body."""
    head = served.request("HEAD", path)
    assert (head.status_code, head.content) == (200, b"")
    assert int(head.headers["Content-Length"]) > 0


def test_head_of_an_endless_stream(host: Host, caplog: pytest.LogCaptureFixture) -> None:
    """The adapters answer HEAD at once, and stop the application."""
    if host.served.interface == "asgi":
        pytest.skip("between uvicorn and the application")
    events = host.events("/api/endless")
    assert host.served.request("HEAD", "/api/endless").status_code == 200
    until_quiet(events)
    assert errors_in(caplog) == []


def test_an_answer_without_a_body(served: Served) -> None:
    """A 204 goes through as it is."""
    answer = served.get("/legacy/none")
    assert (answer.status_code, answer.content) == (204, b"")


def test_work_after_the_response(host: Host) -> None:
    """What an ASGI application does after its response holds up neither the client nor the next request."""
    events = host.events("/api/background")
    assert host.served.get("/api/background").json() == "accepted"
    assert host.served.text("/") == "host"
    assert "background" not in events.seen
    events.go_on.set()
    until(lambda: "background" in events.seen)


# Failures ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["/legacy/boom", "/api/boom", "/inner/upload", "/django/wsgi/boom/", "/django/asgi/boom/"]
)
def test_an_error_is_a_500_and_one_line_in_the_log(
    served: Served, path: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client gets a 500 without details, the log the error once, and the app lives on."""
    if path == "/inner/upload":
        monkeypatch.setattr("tests.servers.applications.digest", lambda chunks: 1 / 0)
    answer = served.request("POST" if path == "/inner/upload" else "GET", path)
    assert answer.status_code == 500
    assert "ZeroDivisionError" not in answer.text
    assert len(errors_in(caplog)) == 1
    assert "ZeroDivisionError" in caplog.text
    assert served.text("/") == "host"


def test_an_error_in_the_middle_of_a_body(served: Served, caplog: pytest.LogCaptureFixture) -> None:
    """What was sent already stands, the response ends there, and the log has the error once."""
    received = []
    try:
        with served.client.stream("GET", "/api/half") as answer:
            for piece in answer.iter_raw():
                received.append(piece)  # noqa: PERF402 - what came before the error counts
    except httpx.RemoteProtocolError:
        # The client is told that it is not the end; Granian cannot do that.
        assert served.interface in {"asgi", "http1"}
    else:
        assert served.interface in {"wsgi", "rsgi"}
    assert received == [b"first"]
    assert len(errors_in(caplog)) == 1
    assert served.text("/") == "host"


async def _silent(scope: Any, receive: Any, send: Any) -> None:
    """Return without a response."""


async def _body_first(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.body", "body": b"x"})


async def _no_end(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200})


async def _raising(scope: Any, receive: Any, send: Any) -> None:
    raise ZeroDivisionError("before anything")


@pytest.mark.parametrize("serve", ["wsgi", "rsgi"], indirect=True)
@pytest.mark.parametrize("application", [_silent, _body_first, _no_end, _raising])
def test_applications_that_break_the_protocol(
    serve: Callable[[Quaff], Served], application: ASGIApp, caplog: pytest.LogCaptureFixture
) -> None:
    """An application that gives no response, or a part of one in the wrong place, is a 500 and one line in the log."""
    app = Quaff("host")
    app.mount("/a", application)
    served = serve(app)
    assert served.get("/a/x").status_code == 500
    assert len(errors_in(caplog)) == 1
    assert served.get("/x").status_code == 404


def _http_only(application: ASGIApp) -> ASGIApp:
    async def serve(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            raise ValueError(scope["type"])
        await application(scope, receive, send)

    return serve


@_http_only
async def _twice(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"X-A", b"1"), (b"connection", b"close")]})
    await send({"type": "http.response.body", "body": b"all"})
    with pytest.raises(RuntimeError):
        await send({"type": "http.response.body", "body": b"more"})
    assert (await receive())["type"] == "http.disconnect"
    scope["state"]["over"].set()


@pytest.mark.parametrize("serve", ["wsgi", "rsgi"], indirect=True)
def test_after_the_response(serve: Callable[[Quaff], Served]) -> None:
    """Nothing can be sent after the end of a response, and all there is to receive is that it is over."""
    app, over = Quaff("host"), threading.Event()
    app.mount("/a", _twice)
    app.mounts[0].state["over"] = over
    served = serve(app)
    answer = served.get("/a/x")
    assert (answer.text, answer.headers["X-A"], answer.headers.get("Connection")) == ("all", "1", None)
    assert over.wait(PATIENCE)


@_http_only
async def _patient(scope: Any, receive: Any, send: Any) -> None:
    """Look for the client again and again before reading the body, as `request.is_disconnected()` of Starlette does."""
    for _ in range(3):
        try:
            await asyncio.wait_for(receive(), 0.02)
        except TimeoutError:
            continue
    scope["state"]["looked"].set()
    body, message = b"", {"more_body": True}
    while message.get("more_body"):
        message = await receive()
        body += message.get("body", b"")
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": body})


@pytest.mark.parametrize("serve", ["wsgi", "rsgi"], indirect=True)
def test_giving_up_to_receive_loses_nothing(serve: Callable[[Quaff], Served]) -> None:
    """A chunk that comes when the application has given up waiting is there when it waits again."""
    app, looked = Quaff("host"), threading.Event()
    app.mount("/a", _patient)
    app.mounts[0].state["looked"] = looked
    served = serve(app)
    head = "POST /a/x HTTP/1.1\nHost: localhost\nConnection: close\nContent-Length: 2000000\n\n"
    with served.send(head) as connection:
        assert looked.wait(PATIENCE)
        connection.sendall(b"x" * 2_000_000)
        answer = read_all(connection)
    assert answer.partition(b"\r\n\r\n")[2] == b"x" * 2_000_000


# Together with the rest ----------------------------------------------------------------------------------------------


def test_middleware_sees_mounted_requests(serve: Callable[[Quaff], Served]) -> None:
    """What is around `app.wsgi_app` is around the mounts, over each protocol; streams and uploads go through it."""
    app, wsgi, fastapi, quaff = Quaff("host"), Events(), Events(), Events()
    app.mount("/legacy", BareWSGI(wsgi))
    app.mount("/api", build_fastapi(fastapi))
    app.mount("/inner", build_quaff(quaff))
    wrapped = app.wsgi_app
    seen: list[str] = []

    def middleware(environ: Any, start_response: Any) -> Iterable[bytes]:
        seen.append(environ["PATH_INFO"])
        return wrapped(environ, start_response)

    app.wsgi_app = middleware  # type: ignore[method-assign]
    served = serve(app)
    paths = ["/legacy/x", "/api/where", "/inner/where", "/inner/async"]
    assert [served.get(path).status_code for path in paths] == [200] * 4
    fastapi.go_on.set()
    assert served.text("/api/stream") == "firstsecond"
    assert served.post("/api/upload", content=LARGE).json()["size"] == len(LARGE)
    assert seen == [*paths, "/api/stream", "/api/upload"]


def test_nested_mounts(serve: Callable[[Quaff], Served]) -> None:
    """An application below an app below an app has both prefixes."""
    app, middle = Quaff("host"), Quaff("middle")
    middle.mount("/api", build_fastapi(Events()))
    middle.mount("/legacy", BareWSGI(Events()))
    middle.mount("/inner", build_quaff(Events()))
    app.mount("/middle", middle)
    served = serve(app)
    assert served.get("/middle/api/where").json()["root_path"] == "/middle/api"
    assert served.get("/middle/legacy/x").json()["SCRIPT_NAME"] == "/middle/legacy"
    for view in ("where", "async"):
        assert served.get(f"/middle/inner/{view}").json()["self"] == "/middle/inner/items/1"


def test_bad_hosts_are_refused(serve: Callable[[Quaff], Served]) -> None:
    """A host that the app does not trust gets to no mounted application."""
    app = Quaff("host")
    app.config["TRUSTED_HOSTS"] = ["good.example"]
    app.mount("/legacy", BareWSGI(Events()))
    app.mount("/api", build_fastapi(Events()))
    app.mount("/inner", build_quaff(Events()))
    served = serve(app)
    for path in ("/legacy/x", "/api/where", "/inner/where"):
        assert served.get(path, headers={"Host": "good.example"}).status_code == 200
        assert served.get(path, headers={"Host": "bad.example"}).status_code == 400


def test_the_log_has_the_whole_path() -> None:
    """What logs requests sees the path as the client sent it, and the status that the mounted application gave."""
    app = Quaff("host")
    app.mount("/api", build_fastapi(Events()))
    app.mount("/inner", build_quaff(Events()))
    lines: list[tuple[str, int]] = []

    def log(environ: dict[str, Any], status: int, seconds: float) -> None:
        lines.append((environ["SCRIPT_NAME"] + environ["PATH_INFO"], status))

    settings = ServeSettings(bind=Address("127.0.0.1", 0), workers=1)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        worker = start_rsgi_worker(build_rsgi(app, log), listener, settings)
        for path in ("/api/where", "/inner/where", "/inner/nothing"):
            connection = http.client.HTTPConnection("127.0.0.1", listener.getsockname()[1], timeout=PATIENCE)
            connection.request("GET", path)
            connection.getresponse().read()
            connection.close()
        assert worker.stop(PATIENCE)
    assert lines == [("/api/where", 200), ("/inner/where", 200), ("/inner/nothing", 404)]


def test_nothing_is_left_on_the_loop() -> None:
    """Requests to an ASGI application under WSGI leave no task behind, however they end."""
    app = Quaff("host")
    app.mount("/api", build_fastapi(Events()))
    client = app.test_client()
    client.get("/api/where")
    with client.get("/api/endless", buffered=False):
        pass
    until(lambda: not mounted._running)


# The parts -----------------------------------------------------------------------------------------------------------


def test_the_loop_that_would_be_held_up(app: Quaff) -> None:
    """A synchronous call on the very loop that the application has to run on is an error, not a deadlock."""
    loop_runs: list[BaseException] = []

    async def call() -> None:
        from quaff._internal.async_bridge import loop_of_request

        loop_of_request.set(asyncio.get_running_loop())
        mount = Mount("/a", _raising, "asgi")
        environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/a", "wsgi.input": None, "CONTENT_LENGTH": "0"}
        with pytest.raises(RuntimeError, match="holds up") as caught:
            OverWSGI(mount, environ, loop_runs.append).start(None)
        loop_runs.append(caught.value)

    asyncio.run(call())
    assert len(loop_runs) == 1


def test_the_scope_of_an_environ() -> None:
    """Everything that a server says in an environ is in the scope, in the words of ASGI."""
    environ = {
        "REQUEST_METHOD": "post",
        "SCRIPT_NAME": "/site",
        "PATH_INFO": "/a/\xc3\xa9",
        "QUERY_STRING": "q=1",
        "SERVER_NAME": "example.org",
        "SERVER_PORT": "443",
        "SERVER_PROTOCOL": "HTTP/2.0",
        "REMOTE_ADDR": "192.0.2.1",
        "REMOTE_PORT": "5000",
        "CONTENT_TYPE": "text/plain",
        "CONTENT_LENGTH": "",
        "HTTP_X_WORD": "w\xe9",
        "wsgi.url_scheme": "https",
    }
    mount = Mount("/a", _silent, "asgi")
    mount.state["key"] = 1
    scope = http_scope(environ, mount)
    assert scope == {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "2",
        "method": "POST",
        "scheme": "https",
        "path": "/site/a/é",
        "raw_path": None,
        "query_string": b"q=1",
        "root_path": "/site/a",
        "headers": [(b"content-type", b"text/plain"), (b"x-word", b"w\xe9")],
        "client": ("192.0.2.1", 5000),
        "server": ("example.org", 443),
        "state": {"key": 1},
        "extensions": {},
    }
    scope["state"]["key"] = 2
    assert mount.state == {"key": 1}
    bare = http_scope({"REQUEST_METHOD": "GET"}, mount)
    assert (bare["path"], bare["client"], bare["server"], bare["http_version"]) == (
        "",
        None,
        ("localhost", None),
        "1.1",
    )


@pytest.mark.parametrize("path", ["/site/a/x", "/a/x"])
def test_the_scope_below_a_mount(path: str) -> None:
    """The root path grows and the path includes it, also when the server has left it out; the server's scope stays."""
    scope = {"type": "http", "root_path": "/site/", "path": path, "state": {"of": "the server"}, "other": 1}
    below = scope_below(scope, Mount("/a", _silent, "asgi"))
    assert below == {"type": "http", "root_path": "/site/a", "path": "/site/a/x", "state": {}, "other": 1}
    assert scope["path"] == path
