"""Request bodies: of every kind and size, read at once or as they arrive, in sync and async views, over each protocol."""

from __future__ import annotations

import hashlib
import io
import json
import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from quaff import Quaff, request
from tests.protocols.conftest import Serve
from tests.protocols.harness import KINDS, Served, as_kind, read_all, until

each_kind = pytest.mark.parametrize("kind", KINDS)
MEGABYTE = 1024 * 1024
LARGE = os.urandom(1024) * 3 * 1024

FORM = "application/x-www-form-urlencoded"
BOUNDARY = "a-line-that-is-nowhere-else"


def chunks(data: bytes, size: int = 50_000) -> Iterator[bytes]:
    """Give *data* in pieces; a body of pieces is sent chunked, without its length."""
    for start in range(0, len(data), size):
        yield data[start : start + size]


def digest(data: bytes) -> str:
    """Return what tells two bodies apart."""
    return f"{len(data)} {hashlib.sha256(data).hexdigest()}"


def multipart(content: bytes, field: bytes = b"ada") -> bytes:
    """Return a form with one field and one file."""
    part = f"--{BOUNDARY}\r\nContent-Disposition: form-data; name="
    return b"".join(
        [
            f'{part}"user"\r\n\r\n'.encode() + field + b"\r\n",
            f'{part}"file"; filename="ü.bin"\r\nContent-Type: x/y\r\n\r\n'.encode() + content,
            f"\r\n--{BOUNDARY}--\r\n".encode(),
        ]
    )


MULTIPART = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}


@each_kind
@pytest.mark.parametrize("chunked", [False, True], ids=["announced", "chunked"])
def test_json(app: Quaff, serve: Serve, kind: str, chunked: bool) -> None:
    """`get_json` works in views of either kind; what is no JSON is a 400, and another type a 415."""
    app.add_url_rule("/", "view", as_kind(kind, lambda: {"got": request.get_json()}), methods=["POST"])
    served = serve(app)

    def post(body: bytes, content_type: str = "application/json") -> Any:
        return served.post("/", content=chunks(body, 7) if chunked else body, headers={"Content-Type": content_type})

    assert post(json.dumps({"a": "ü" * 100}).encode()).json() == {"got": {"a": "ü" * 100}}
    assert post(b"[1, 2]", "application/vnd.x+json; charset=utf-8").json() == {"got": [1, 2]}
    assert post(b"{").status_code == 400
    assert post(b"{}", "text/plain").status_code == 415


@each_kind
@pytest.mark.parametrize("chunked", [False, True], ids=["announced", "chunked"])
def test_forms(app: Quaff, serve: Serve, kind: str, chunked: bool) -> None:
    """Fields and files of a form are there in views of either kind; a missing field is a 400."""

    def view() -> list[Any]:
        files = [(name, file.filename, file.content_type, digest(file.read())) for name, file in request.files.items()]
        return [request.form["user"], request.form.getlist("many"), files]

    app.add_url_rule("/", "view", as_kind(kind, view), methods=["POST"])
    served = serve(app)

    def post(body: bytes, headers: dict[str, str]) -> Any:
        return served.post("/", content=chunks(body) if chunked else body, headers=headers)

    assert post(b"user=a%C3%BC+b&many=1&many=2", {"Content-Type": FORM}).json() == ["aü b", ["1", "2"], []]
    content = os.urandom(700_000)
    assert post(multipart(content), MULTIPART).json() == ["ada", [], [["file", "ü.bin", "x/y", digest(content)]]]
    assert post(b"other=1", {"Content-Type": FORM}).status_code == 400


@pytest.mark.parametrize("limit", [None, 100 * MEGABYTE], ids=["without limit", "limit"])
@pytest.mark.parametrize("size", [0, 1000, MEGABYTE, len(LARGE)])
@pytest.mark.parametrize("chunked", [False, True], ids=["announced", "chunked"])
def test_every_size_in_every_way(app: Quaff, serve: Serve, size: int, chunked: bool, limit: int | None) -> None:
    """Each way to read a body gives the very bytes that were sent, and nothing more is there afterwards."""
    app.config["MAX_CONTENT_LENGTH"] = limit
    app.add_url_rule("/sync/data", "data", lambda: digest(request.data) + str(request.stream.read()), methods=["POST"])

    @app.post("/sync/pieces")
    def pieces() -> str:
        found = b"".join(iter(lambda: request.stream.read(40_000), b""))
        return digest(found) + str(request.stream.read(5))

    @app.post("/sync/lines")
    def lines() -> str:
        return digest(request.stream.readline() + request.stream.read()) + str(request.stream.readline())

    @app.post("/async/stream")
    async def stream() -> str:
        found = b"".join([piece async for piece in request.stream])  # type: ignore[attr-defined]
        return digest(found) + str(b"".join([piece async for piece in request.stream]))  # type: ignore[attr-defined]

    @app.post("/async/load")
    async def load() -> str:
        found = await request.load_body()
        assert request.get_data() is await request.load_body()
        return digest(found) + str(request.stream.read())

    served = serve(app)
    body = LARGE[:size]
    for path in ("/sync/data", "/sync/pieces", "/sync/lines", "/async/stream", "/async/load"):
        answer = served.post(path, content=chunks(body) if chunked else body, headers={"Content-Type": "x/y"})
        assert (answer.status_code, answer.text) == (200, digest(body) + "b''"), path


@pytest.mark.parametrize("chunked", [False, True], ids=["announced", "chunked"])
@pytest.mark.parametrize("size", [1000, 2 * MEGABYTE])
def test_load_form(app: Quaff, serve: Serve, size: int, chunked: bool) -> None:
    """An async view waits for a form of any size; afterwards `form` and `files` are at hand."""

    @app.post("/")
    async def view() -> list[Any]:
        form = await request.load_form()
        assert form is request.form
        return [form["user"], [digest(file.read()) for file in request.files.values()]]

    served = serve(app)
    content = LARGE[:size]
    for body, files in ((multipart(content), [digest(content)]), (multipart(b"", b"x" * 400_000), [digest(b"")])):
        answer = served.post("/", content=chunks(body) if chunked else body, headers=MULTIPART)
        assert answer.json()[1] == files


def test_bodies_of_other_methods(app: Quaff, serve: Serve) -> None:
    """GET and DELETE may have a body, and POST may have none."""
    for kind in KINDS:
        view = as_kind(kind, lambda: request.get_data())
        app.add_url_rule(f"/{kind}", kind, view, methods=["GET", "POST", "DELETE"])
    served = serve(app)
    for kind in KINDS:
        assert served.request("GET", f"/{kind}", content=b"of GET").text == "of GET"
        assert served.request("DELETE", f"/{kind}", content=b"of DELETE").text == "of DELETE"
        assert served.request("POST", f"/{kind}").text == ""


READERS = {
    "data": (lambda: digest(request.data), "x/y"),
    "stream": (lambda: digest(request.stream.read()), "x/y"),
    "json": (lambda: digest(json.dumps(request.get_json()).encode()), "application/json"),
    "form": (lambda: repr(request.form), FORM),
    "multipart": (lambda: repr(request.form), MULTIPART["Content-Type"]),
}


@each_kind
@pytest.mark.parametrize("chunked", [False, True], ids=["announced", "chunked"])
@pytest.mark.parametrize("reader", READERS)
def test_too_large(app: Quaff, serve: Serve, kind: str, reader: str, chunked: bool) -> None:
    """A body over MAX_CONTENT_LENGTH is a 413 as soon as it is read, whether its length was announced or not."""
    if (kind, chunked) == ("async", True) and reader in ("data", "stream"):
        pytest.skip("an async view awaits such a body: test_too_large_for_async_readers")
    app.config["MAX_CONTENT_LENGTH"] = 1000
    read, content_type = READERS[reader]
    app.add_url_rule("/", "view", as_kind(kind, read), methods=["POST"])
    served = serve(app)
    body = multipart(b"x" * 2000) if reader == "multipart" else b"[" + b"1" * 2000 + b"]"
    for _ in range(2):
        # Over a new connection each time: a server may close one whose request it did not read to the end.
        head = f"POST / HTTP/1.1\nHost: a\nConnection: close\nContent-Type: {content_type}\n"
        if chunked:
            sent = served.send(f"{head}Transfer-Encoding: chunked\n\n", b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body))
        else:
            sent = served.send(f"{head}Content-Length: {len(body)}\n\n", body)
        assert read_all(sent).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize("chunked", [False, True], ids=["announced", "chunked"])
def test_too_large_for_async_readers(app: Quaff, serve: Serve, chunked: bool) -> None:
    """The limit holds for what an async view reads as it arrives; exactly the limit is fine."""
    app.config["MAX_CONTENT_LENGTH"] = 10

    @app.post("/stream")
    async def stream() -> str:
        return str(sum([len(piece) async for piece in request.stream]))  # type: ignore[attr-defined]

    @app.post("/load")
    async def load() -> str:
        return str(len(await request.load_body()))

    @app.post("/form")
    async def form() -> str:
        return str(len((await request.load_form())["a"]) + 2)

    served = serve(app)
    for path in ("/stream", "/load", "/form"):
        for size, expected in ((10, b"HTTP/1.1 200"), (11, b"HTTP/1.1 413")):
            body = b"a=" + b"x" * (size - 2)
            head = f"POST {path} HTTP/1.1\nHost: a\nConnection: close\nContent-Type: {FORM}\n"
            if chunked:
                sent = served.send(f"{head}Transfer-Encoding: chunked\n\n", b"%x\r\n%s\r\n0\r\n\r\n" % (size, body))
            else:
                sent = served.send(f"{head}Content-Length: {size}\n\n", body)
            assert read_all(sent).startswith(expected), (path, size)


@each_kind
def test_a_body_that_nobody_reads(app: Quaff, serve: Serve, kind: str) -> None:
    """A view need not read the body; the next request is answered as ever.

    Over connections of their own: a server may hang up on a body that nobody wants, and says so to nobody (RFC 9112, 9.6).
    """
    app.add_url_rule("/", "view", as_kind(kind, lambda: "ignored"), methods=["GET", "POST"])
    served = serve(app)
    for body in (b"small", LARGE):
        assert served.post("/", content=body, headers={"Connection": "close"}).text == "ignored"
        assert served.text("/") == "ignored"


@each_kind
def test_expect_continue(app: Quaff, serve: Serve, kind: str) -> None:
    """A client that waits for permission to send its body gets it."""
    app.add_url_rule("/", "view", as_kind(kind, lambda: request.get_data()), methods=["POST"])
    head = "POST / HTTP/1.1\nHost: a\nConnection: close\nExpect: 100-continue\nContent-Length: 4\n\n"
    connection = serve(app).send(head)
    assert connection.recv(100).startswith(b"HTTP/1.1 100 ")
    connection.sendall(b"body")
    assert read_all(connection).endswith(b"\r\n\r\nbody")


def test_an_async_view_cannot_wait_in_sync_code(app: Quaff, serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    """Reading a large body synchronously on the loop is an error that says what to do instead; nothing hangs."""

    @app.post("/")
    async def view() -> str:
        return digest(request.get_data())

    served = serve(app)
    answer = served.post("/", content=LARGE)
    if served.interface == "wsgi":
        # There the shared loop may wait: the server's stream is no part of it.
        assert answer.text == digest(LARGE)
    else:
        assert answer.status_code == 500
        assert "await request.load_body()" in caplog.text


VANISHING = ["/sync/data", "/sync/form", "/async/stream", "/async/load", "/async/form"]


def add_readers(app: Quaff, events: list[str]) -> None:
    """Register a view for each way to read a body, and note what becomes of it."""

    @app.post("/sync/<how>")
    def sync(how: str) -> str:
        events.append("view")
        return str(len(request.data if how == "data" else request.form))

    @app.post("/async/<how>")
    async def asynchronous(how: str) -> str:
        events.append("view")
        if how == "stream":
            return str([len(piece) async for piece in request.stream])  # type: ignore[attr-defined]
        return str(len(await (request.load_body() if how == "load" else request.load_form())))

    app.teardown_request(lambda error: events.append("teardown"))
    app.add_url_rule("/", "home", lambda: "home")


@pytest.mark.parametrize("path", VANISHING)
@pytest.mark.parametrize("announced", [100, 5 * MEGABYTE, None])
def test_a_client_that_vanishes_in_an_upload(
    app: Quaff, serve: Serve, path: str, announced: int | None, caplog: pytest.LogCaptureFixture
) -> None:
    """What has begun is torn down, nothing is logged as an error, and the worker serves the next client."""
    events: list[str] = []
    add_readers(app, events)
    served = serve(app)
    length = "Transfer-Encoding: chunked" if announced is None else f"Content-Length: {announced}"
    content_type = FORM if path.endswith("form") else "x/y"
    head = f"POST {path} HTTP/1.1\nHost: a\nContent-Type: {content_type}\n{length}\n\n"
    sent = served.send(head, b"a=1" if announced else b"3\r\na=1\r\n")
    # A body that is waited for before the view is called may end without it.
    if served.interface == "wsgi" or (announced or 0) > 100:
        until(lambda: "view" in events)
    sent.close()
    until(lambda: events.count("teardown") == events.count("view"))
    assert served.text("/") == "home"
    until(lambda: events.count("teardown") == events.count("view") + 1)
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []


def test_a_short_body_is_a_400(app: Quaff, serve: Serve) -> None:
    """A client that ends its side too early, and listens still, hears at most of a 400; no view takes part for whole."""
    complete: list[str] = []

    def view() -> str:
        complete.append(request.get_data(as_text=True))
        return "complete"

    for kind in KINDS:
        app.add_url_rule(f"/{kind}", kind, as_kind(kind, view), methods=["POST"])
    app.add_url_rule("/", "home", lambda: "home")
    served = serve(app)
    for kind in KINDS:
        sent = served.send(f"POST /{kind} HTTP/1.1\nHost: a\nContent-Length: 100\n\n", b"short")
        sent.shutdown(1)
        assert read_all(sent)[:12] in (b"", b"HTTP/1.1 400")
        assert served.text("/") == "home"
    assert complete == []


def resident() -> int:
    """Return the resident memory of this process in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def upload(served: Served, path: str, blocks: int) -> bytes:
    """Send a form with a file of that many megabytes, and return the answer."""
    block = bytes(MEGABYTE)
    whole = multipart(b"?")
    before, _, after = whole.partition(b"?")
    length = len(whole) - 1 + blocks * MEGABYTE
    content_type = MULTIPART["Content-Type"]
    head = (
        f"POST {path} HTTP/1.1\nHost: a\nConnection: close\nContent-Type: {content_type}\nContent-Length: {length}\n\n"
    )
    connection = served.send(head, before)
    for _ in range(blocks):
        connection.sendall(block)
    connection.sendall(after)
    return read_all(connection)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells the resident memory like this")
@pytest.mark.parametrize("app", [True], indirect=True, ids=["compiled"])
@pytest.mark.parametrize("path", ["/sync", "/async", "/stream"])
def test_a_large_upload_holds_the_memory_flat(app: Quaff, serve: Serve, path: str) -> None:
    """100 MB go through a form or a stream in far less memory than that."""
    app.config["MAX_CONTENT_LENGTH"] = None
    sizes: list[int] = []

    def measure() -> int:
        sizes.append(resident())
        return sum(file.seek(0, io.SEEK_END) or file.tell() for file in request.files.values())

    app.add_url_rule("/sync", "sync", lambda: str(measure()), methods=["POST"])

    @app.post("/async")
    async def asynchronous() -> str:
        await request.load_form()
        return str(measure())

    @app.post("/stream")
    async def stream() -> str:
        size = 0
        async for piece in request.stream:  # type: ignore[attr-defined]
            size += len(piece)
            sizes.append(resident())
        return str(size - len(multipart(b"")))

    served = serve(app)
    assert upload(served, path, 2).endswith(str(2 * MEGABYTE).encode())
    before = resident()
    sizes.clear()
    assert upload(served, path, 100).endswith(str(100 * MEGABYTE).encode())
    assert max(sizes) - before < 50 * MEGABYTE
