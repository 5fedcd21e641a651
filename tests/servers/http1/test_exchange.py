"""One request: what the app sees of it, how its body is read, and how the answer is sent."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from quaff import Quaff, Response, request
from tests.protocols.harness import over_rsgi
from tests.servers.http1.conftest import Serve
from tests.servers.http1.serving import Client, Line, crlf, run, serving
from tests.servers.process import PATIENCE

GET = "GET /{} HTTP/1.1\nHost: a\n\n"
NEXT = GET.format("next")

# The environ -----------------------------------------------------------------------------------------------------------

TARGETS = {
    "path": "/a/b",
    "query": "/a?b=c&d=%20e",
    "empty query": "/a?",
    "two question marks": "/a?b?c",
    "percent": "/a%20b%2Fc",
    "UTF-8": "/%C3%BC/%E2%82%AC?%C3%BC",
    "two slashes": "//a//b",
    "dots": "/a/../b/./c",
    "semicolon": "/a;b=c",
    "signs": "/~a!$&'()*+,:@",
    "a percent sign that is none": "/50%/%zz",
}
"""What is asked for -> the target of the request line."""

HEADERS = {
    "none": "",
    "several": "User-Agent: test\nAccept: */*\nX-Custom-Header: Some Value\n",
    "padded": "X-A: \t b \t \nX-B:\nX-C:  \nX-D:e\n",
    "repeated": "X-A: 1\nX-B: 2\nx-a: 3\n",
    "cookies": "Cookie: a=1; b=2\nCookie: c=3\n",
    "underscores": "X_Forwarded_For: evil\nX-Forwarded-For: good\nContent_Length: 7\n",
    "proxy": "Proxy: http://evil\nPROXY: http://evil\n",
    "type": "Content-Type: text/x; charset=utf-8\nContent-Length: 0\n",
}
"""What is sent -> the headers."""

IGNORED = {"SERVER_SOFTWARE", "SERVER_PORT", "HTTP_HOST"}
"""What differs between two servers, or two ports."""


def environ_app(seen: list[dict[str, Any]]) -> Quaff:
    """Return an app that keeps the environ of each request."""
    app = Quaff("environ", static_folder=None, compiled=True)

    @app.route("/", defaults={"path": ""}, methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
    @app.route("/<path:path>", methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
    async def index(path: str) -> str:
        seen.append({name: value for name, value in request.environ.items() if isinstance(value, str | bool | tuple)})
        return path

    app.url_map.merge_slashes = False
    return app


@contextmanager
def both(seen: list[dict[str, Any]]) -> Iterator[list[int]]:
    """Serve the app with Quaff's server and with Granian's, and give the ports."""
    app = environ_app(seen)
    with serving(app) as server, over_rsgi(app) as port:
        yield [server.port, port]


def ask_raw(port: int, raw: bytes) -> None:
    """Send *raw* and wait for the answer."""
    with Client(socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)) as client:
        client.socket.sendall(raw)
        assert client.answer().status == 200


@pytest.fixture(scope="module")
def compared() -> Iterator[tuple[list[int], list[dict[str, Any]]]]:
    """Give the ports of both servers, and where the environs go."""
    seen: list[dict[str, Any]] = []
    with both(seen) as ports:
        yield ports, seen


def environs(compared: tuple[list[int], list[dict[str, Any]]], raw: str) -> list[dict[str, Any]]:
    """Return the environs that both servers make of a request, Quaff's first, without what must differ."""
    ports, seen = compared
    seen.clear()
    for port in ports:
        ask_raw(port, crlf(raw))
    for environ, port in zip(seen, ports, strict=True):
        assert environ["SERVER_PORT"] == str(port)
    return [{name: value for name, value in environ.items() if name not in IGNORED} for environ in seen]


@pytest.mark.parametrize("kind", TARGETS)
def test_the_environ_of_a_target_is_that_under_granian(
    compared: tuple[list[int], list[dict[str, Any]]], kind: str
) -> None:
    """An app cannot tell the servers apart by the paths and queries that it sees."""
    ours, granians = environs(compared, f"GET {TARGETS[kind]} HTTP/1.1\nHost: a\n\n")
    assert ours == granians


@pytest.mark.parametrize("kind", HEADERS)
def test_the_environ_of_headers_is_that_under_granian(
    compared: tuple[list[int], list[dict[str, Any]]], kind: str
) -> None:
    """Names, joined repetitions, and what is left out: the same."""
    ours, granians = environs(compared, f"POST / HTTP/1.1\nHost: a\n{HEADERS[kind]}\n")
    assert ours == granians


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_the_environ_of_methods_and_versions_is_that_under_granian(
    compared: tuple[list[int], list[dict[str, Any]]], method: str, version: str
) -> None:
    """The request line says it, and the environ has it."""
    ours, granians = environs(compared, f"{method} /x HTTP/{version}\nHost: a\n\n")
    # Granian calls the old version `HTTP/1`.
    assert ours == granians | {"SERVER_PROTOCOL": f"HTTP/{version}"}
    assert (ours["REQUEST_METHOD"], ours["SERVER_PROTOCOL"]) == (method, f"HTTP/{version}")


def environ_of(raw: str) -> dict[str, Any]:
    """Return the environ that Quaff's server makes of a request, over a connection from 10.0.0.2 to 10.0.0.1, port 80."""
    seen: list[dict[str, Any]] = []

    async def test() -> None:
        line = Line(environ_app(seen))
        line.feed(raw)
        assert (await line.settle()).startswith(b"HTTP/1.1 200 ")

    run(test)
    return seen[0]


def test_the_environ_says_who_talks_to_whom() -> None:
    """Addresses, port and scheme are those of the connection; the rest is what PEP 3333 wants."""
    environ = environ_of("GET /%C3%BC?q=%20 HTTP/1.1\nHost: example.com:81\nContent-Type: text/x\n\n")
    assert environ["SERVER_NAME"] == "10.0.0.1"
    assert environ["SERVER_PORT"] == "80"
    assert environ["REMOTE_ADDR"] == "10.0.0.2"
    assert environ["wsgi.url_scheme"] == "http"
    assert environ["SCRIPT_NAME"] == ""
    assert environ["PATH_INFO"] == "/\xc3\xbc"
    assert environ["QUERY_STRING"] == "q=%20"
    assert environ["HTTP_HOST"] == "example.com:81"
    assert environ["CONTENT_TYPE"] == "text/x"
    assert environ["wsgi.version"] == (1, 0)


@pytest.mark.parametrize(
    "target,path,query,host",
    [
        ("http://b/x%20y?q", "/x y", "q", "b"),
        ("http://b:81/x", "/x", "", "b:81"),
        ("http://b", "/", "", "b"),
        ("http://b?q", "/", "q", "b"),
        ("https://b/", "/", "", "b"),
        ("http://[::1]:8000/x", "/x", "", "[::1]:8000"),
        ("http://[::1]/x", "/x", "", "[::1]"),
        ("http://user:secret@b/x", "/x", "", "b"),
        ("/x#fragment", "/x", "", "a"),
        ("/x?q#fragment", "/x", "q", "a"),
        ("http://b/x#fragment", "/x", "", "b"),
        ("/http://b/x", "/http://b/x", "", "a"),
    ],
)
def test_a_target_may_be_a_whole_url(target: str, path: str, query: str, host: str) -> None:
    """RFC 9112 section 3.2.2: path, query and host are the URL's; the `Host` header counts only without one."""
    environ = environ_of(f"GET {target} HTTP/1.1\nHost: a\n\n")
    assert (environ["PATH_INFO"], environ["QUERY_STRING"], environ["HTTP_HOST"]) == (path, query, host)


def test_a_path_that_is_no_utf_8_reaches_the_app_in_bytes() -> None:
    """PEP 3333: `PATH_INFO` has the bytes, whatever they are."""
    assert environ_of("GET /%FF%FE HTTP/1.1\nHost: a\n\n")["PATH_INFO"] == "/\xff\xfe"


def test_a_header_may_hold_latin_1() -> None:
    """PEP 3333: bytes beyond ASCII reach the app as they are, one character each."""
    assert environ_of("GET / HTTP/1.1\nHost: a\nX-A: gr\xfcn\n\n")["HTTP_X_A"] == "gr\xfcn"


def test_headers_that_could_deceive_are_left_out() -> None:
    """SECURITY: an underscore would stand for a hyphen, and `Proxy` for an environment variable."""
    environ = environ_of("GET / HTTP/1.1\nHost: a\nX_Real_IP: evil\nProxy: evil\nX-Real-IP: good\n\n")
    assert environ["HTTP_X_REAL_IP"] == "good"
    assert "HTTP_PROXY" not in environ


def test_repetitions_are_joined() -> None:
    """Headers by commas, cookies by semicolons, in their order."""
    environ = environ_of("GET / HTTP/1.1\nHost: a\nX-A: 1\nCookie: a=1\nx-a: 2\nCookie: b=2\n\n")
    assert environ["HTTP_X_A"] == "1,2"
    assert environ["HTTP_COOKIE"] == "a=1; b=2"


def test_trailers_are_ignored(app: Quaff, serve: Serve) -> None:
    """SECURITY: what comes after a body can change nothing that was decided by the headers before it."""

    @app.post("/")
    async def index() -> str:
        body = await request.load_body()
        return f"{body!r} {request.headers.get('X-User')} {request.headers['Host']}"

    head = "POST / HTTP/1.1\nHost: a\nX-User: me\nTransfer-Encoding: chunked\nTrailer: X-User\n\n"
    with serve(app).send(head + "5\nhello\n0\nX-User: admin\nHost: evil\n\n" + NEXT) as client:
        assert client.answer().text == "b'hello' me a"
        assert client.answer().status == 404


# The answer ------------------------------------------------------------------------------------------------------------


def test_a_streamed_body_is_chunked(app: Quaff, serve: Serve) -> None:
    """For clients of HTTP/1.1, who then know its end; for those of 1.0 the end of the connection is the end of the body."""

    @app.get("/")
    async def index() -> AsyncIterator[str]:
        yield "first"
        yield ""
        yield "second"

    server = serve(app)
    with server.send("GET / HTTP/1.1\nHost: a\n\n" + NEXT) as client:
        response = client.begin()
        assert response.headers["transfer-encoding"] == "chunked"
        assert response.headers["content-length"] is None
        assert response.read() == b"firstsecond"
        assert client.answer().status == 404
    for asked in ("", "Connection: keep-alive\n"):
        with server.send(f"GET / HTTP/1.0\nHost: a\n{asked}\n" + NEXT) as client:
            head, _, body = client.rest().partition(b"\r\n\r\n")
            assert body == b"firstsecond"
            assert b"\r\nConnection: close" in head
            assert b"ransfer-" not in head


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_a_streamed_body_with_a_length_has_no_chunks(app: Quaff, serve: Serve, version: str) -> None:
    """The app says how long it is, and the connection can be used again."""

    @app.get("/")
    async def index() -> Response:
        async def pieces() -> AsyncIterator[bytes]:
            yield b"first"
            yield b"second"

        return Response(pieces(), headers={"Content-Length": "11"})

    with serve(app).send(f"GET / HTTP/{version}\nHost: a\nConnection: keep-alive\n\n" + NEXT) as client:
        answer = client.answer()
        assert (answer.body, answer.headers["content-length"]) == (b"firstsecond", "11")
        assert "transfer-encoding" not in answer.headers
        assert client.answer().status == 404


@pytest.mark.parametrize("kind", ["async", "sync"])
@pytest.mark.parametrize("length", [5, 9, 12, 100])
def test_a_stream_of_another_length_ends_the_connection(
    app: Quaff, serve: Serve, kind: str, length: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Too long or too short, the client never takes a part of it for the next answer, or the next answer for a part."""

    @app.get("/")
    def index() -> Response:
        async def pieces() -> AsyncIterator[bytes]:
            for piece in (b"first", b"second"):
                yield piece

        body: Any = pieces() if kind == "async" else iter([b"first", b"second"])
        return Response(body, headers={"Content-Length": str(length)})

    with serve(app).send("GET / HTTP/1.1\nHost: a\n\n" + NEXT) as client:
        head, _, body = client.rest().partition(b"\r\n\r\n")
    assert f"Content-Length: {length}".encode() in head
    assert b"firstsecond".startswith(body)
    assert len(body) <= length
    if length < 11:
        assert "longer than its Content-Length" in caplog.text


def test_a_length_that_is_not_that_of_the_body_is_an_error(
    app: Quaff, serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing of it is sent but a 500, and the log says why; also for two lengths of which one is right."""

    @app.get("/<kind>")
    def index(kind: str) -> Response:
        response = Response("hello")
        if kind == "two":
            response.headers.add("Content-Length", "7")
        else:
            response.headers["Content-Length"] = kind
        return response

    server = serve(app)
    for count, kind in enumerate(("4", "6", "none", "two"), 1):
        with server.send(f"GET /{kind} HTTP/1.1\nHost: a\n\n" + NEXT) as client:
            assert client.answer().status == 500
            assert client.rest() == b""
        assert len([record for record in caplog.records if record.exc_info]) == count
    assert "hello" not in caplog.text


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    "name,value", [("X-A", "1\r\nSet-Cookie: evil=1"), ("X-A", "1\n\n<p>"), ("X\r\nX-Evil", "1"), ("X-A", "€ evil")]
)
def test_a_header_cannot_bring_others(
    serve: Serve, name: str, value: str, stream: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """SECURITY: a line end, or what is not latin-1, is a 500 and one log line; nothing of it is sent."""
    app = Quaff("outer", static_folder=None)

    def wsgi(environ: Any, start_response: Any) -> Any:
        # Werkzeug would refuse the first three by itself.
        start_response("200 OK", [("Content-Type", "text/plain"), (name, value)])
        return iter([b"hello"]) if stream else [b"hello"]

    app.mount("/app", wsgi)
    with serve(app).send("GET /app HTTP/1.1\nHost: a\n\n" + NEXT) as client:
        answer = client.rest()
    assert answer.startswith(b"HTTP/1.1 500 ")
    assert answer.count(b"HTTP/1.1 ") == 1
    assert b"vil" not in answer
    assert b"hello" not in answer
    assert len(caplog.records) == 1


def test_a_status_cannot_bring_headers(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    """SECURITY: the words of a status are as good a place for a line end as a header."""
    app = Quaff("outer", static_folder=None)

    def wsgi(environ: Any, start_response: Any) -> Any:
        start_response("200 OK\r\nX-Evil: 1", [])
        return [b"hello"]

    app.mount("/app", wsgi)
    with serve(app).send("GET /app HTTP/1.1\nHost: a\n\n") as client:
        answer = client.rest()
    assert answer.startswith(b"HTTP/1.1 500 ")
    assert b"Evil" not in answer
    assert len(caplog.records) == 1


@pytest.mark.parametrize("stream", [False, True])
def test_what_the_app_says_about_the_connection_is_dropped(serve: Serve, stream: bool) -> None:
    """Connection and framing are the server's business; the connection stays in step."""
    app = Quaff("outer", static_folder=None)

    def wsgi(environ: Any, start_response: Any) -> Any:
        headers = [("Connection", "upgrade"), ("Upgrade", "x"), ("Keep-Alive", "5"), ("Transfer-Encoding", "gzip")]
        start_response("200 OK", [*headers, ("X-Kept", "1")])
        return iter([b"hello"]) if stream else [b"hello"]

    app.mount("/app", wsgi)
    with serve(app).send("GET /app HTTP/1.1\nHost: a\n\n" + NEXT) as client:
        answer = client.answer()
        assert (answer.body, answer.headers["x-kept"]) == (b"hello", "1")
        assert not {"connection", "upgrade", "keep-alive"} & answer.headers.keys()
        assert answer.headers.get("transfer-encoding") == ("chunked" if stream else None)
        assert client.answer().status == 404


@pytest.mark.parametrize("path", ["whole", "stream"])
def test_every_answer_has_one_date(app: Quaff, serve: Serve, path: str) -> None:
    """The server's, in the form of RFC 9110 section 5.6.7, unless the app has one of its own."""
    from email.utils import parsedate_to_datetime

    @app.get("/whole")
    async def whole() -> Response:
        return Response("whole", headers=request.args.to_dict())

    @app.get("/stream")
    async def stream() -> Response:
        async def pieces() -> AsyncIterator[str]:
            yield "piece"

        return Response(pieces(), headers=request.args.to_dict())

    server = serve(app)
    with server.send(GET.format(path)) as client:
        response = client.begin()
        (date,) = response.headers.get_all("Date") or []
        assert date.endswith(" GMT")
        assert parsedate_to_datetime(date).tzinfo is not None
        response.read()
        client.send(GET.format(f"{path}?Date=Thu,%2001%20Jan%201970%2000:00:00%20GMT"))
        response = client.begin()
        assert response.headers.get_all("Date") == ["Thu, 01 Jan 1970 00:00:00 GMT"]


def test_a_large_answer_arrives_whole(app: Quaff, serve: Serve) -> None:
    """Whatever the sizes of the buffers between."""
    body = bytes(range(256)) * 40_000

    @app.get("/")
    async def index() -> bytes:
        return body

    with serve(app).send("GET / HTTP/1.1\nHost: a\n\n" * 3) as client:
        assert all(client.answer().body == body for _ in range(3))
