"""What a hostile client may send: refused before the app hears of it, and the connection closed."""

from __future__ import annotations

import logging

import pytest

from quaff import Quaff, request
from quaff.servers.http1.service import Service
from quaff.servers.settings import ServeSettings
from tests.servers.http1.conftest import Serve
from tests.servers.http1.serving import Line, Server, crlf, run, serving

HEAD = "POST / HTTP/1.1\nHost: a\n"
CHUNKED = HEAD + "Transfer-Encoding: chunked\n\n"

SMUGGLED = "GET /smuggled HTTP/1.1\nHost: a\n\n"
"""The request of somebody else's that an attacker would like to be served."""

LENGTHS = {
    "with chunks": HEAD + "Content-Length: 4\nTransfer-Encoding: chunked\n\n0\n\n",
    "after chunks": HEAD + "Transfer-Encoding: chunked\nContent-Length: 4\n\n0\n\n",
    "two": HEAD + "Content-Length: 0\nContent-Length: 5\n\nhello",
    "twice the same": HEAD + "Content-Length: 5\nContent-Length: 5\n\nhello",
    "a list": HEAD + "Content-Length: 5, 5\n\nhello",
    "signed": HEAD + "Content-Length: +5\n\nhello",
    "negative": HEAD + "Content-Length: -1\n\n",
    "hexadecimal": HEAD + "Content-Length: 0x5\n\nhello",
    "empty": HEAD + "Content-Length:\n\n",
    "beyond all numbers": HEAD + f"Content-Length: {2**64}\n\n",
    "name with a space behind": HEAD + "Content-Length : 5\n\nhello",
}

CODINGS = {
    "unknown": HEAD + "Transfer-Encoding: xchunked\n\n0\n\n",
    "not chunked": HEAD + "Transfer-Encoding: gzip\n\n0\n\n",
    "identity": HEAD + "Transfer-Encoding: identity\n\n",
    "not chunked last": HEAD + "Transfer-Encoding: chunked, gzip\n\n0\n\n",
    "twice": HEAD + "Transfer-Encoding: chunked\nTransfer-Encoding: chunked\n\n0\n\n",
    "another after": HEAD + "Transfer-Encoding: chunked\nTransfer-Encoding: identity\n\n0\n\n",
    "with a control character": HEAD + "Transfer-Encoding: \x0bchunked\n\n0\n\n",
    # A proxy that speaks 1.0 does not know about chunks, and sees the next request where this one's body is.
    "in HTTP/1.0": "POST / HTTP/1.0\nHost: a\nConnection: keep-alive\nTransfer-Encoding: chunked\n\n0\n\n",
}

CHUNKS = {
    "no number": CHUNKED + "zz\nhello\n0\n\n",
    "prefixed": CHUNKED + "0x5\nhello\n0\n\n",
    "negative": CHUNKED + "-5\nhello\n0\n\n",
    "empty": CHUNKED + "\nhello\n0\n\n",
    "beyond all numbers": CHUNKED + f"{2**64 + 5:x}\nhello\n0\n\n",
    "a space behind": CHUNKED + "5 \nhello\n0\n\n",
    "more data than said": CHUNKED + "3\nhello\n0\n\n",
    "less data than said": CHUNKED + "7\nhello\n0\n\n",
}

FIELDS = {
    "no host": "GET / HTTP/1.1\n\n",
    "two hosts": "GET / HTTP/1.1\nHost: a\nHost: b\n\n",
    "the same host twice": "GET / HTTP/1.1\nHost: a\nHost: a\n\n",
    "two hosts in HTTP/1.0": "GET / HTTP/1.0\nHost: a\nHost: b\n\n",
    "folded": "GET / HTTP/1.1\nHost: a\nX-A: b\n c\n\n",
    "folded with a tab": "GET / HTTP/1.1\nHost: a\nX-A: b\n\tc\n\n",
    "folded first": "GET / HTTP/1.1\n Host: a\n\n",
    "NUL in a value": "GET / HTTP/1.1\nHost: a\nX-A: b\0c\n\n",
    "control character in a value": "GET / HTTP/1.1\nHost: a\nX-A: b\x01c\n\n",
    "NUL in a name": "GET / HTTP/1.1\nHost: a\nX-A\0: b\n\n",
    "space in a name": "GET / HTTP/1.1\nHost: a\nX A: b\n\n",
    "no name": "GET / HTTP/1.1\nHost: a\n: b\n\n",
    "no colon": "GET / HTTP/1.1\nHost: a\nX-A\n\n",
}

LINES = {
    "unknown method": "SMUGGLE / HTTP/1.1\nHost: a\n\n",
    "method in lower case": "get / HTTP/1.1\nHost: a\n\n",
    "no path": "GET  HTTP/1.1\nHost: a\n\n",
    "path without a slash": "GET x HTTP/1.1\nHost: a\n\n",
    "space in the path": "GET /a b HTTP/1.1\nHost: a\n\n",
    "control character in the path": "GET /\x01 HTTP/1.1\nHost: a\n\n",
    "NUL in the path": "GET /\0 HTTP/1.1\nHost: a\n\n",
    "bytes beyond ASCII in the path": "GET /\xc3\xbc HTTP/1.1\nHost: a\n\n",
    "a URL without a host": "GET http:///x HTTP/1.1\nHost: a\n\n",
    "HTTP/2 with prior knowledge": "PRI * HTTP/2.0\n\nSM\n\n\0\0\0\4\0\0\0\0\0",
    "TLS": "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
}

BARE = {
    "LF after the request line": b"POST / HTTP/1.1\nHost: a\r\n\r\n",
    "LF after a header": b"POST / HTTP/1.1\r\nHost: a\nX-A: b\r\n\r\n",
    "LF at the end of the head": b"POST / HTTP/1.1\r\nHost: a\r\n\n",
    "CR after a header": b"POST / HTTP/1.1\r\nHost: a\rX-A: b\r\n\r\n",
    "CR in a value": b"POST / HTTP/1.1\r\nHost: a\r\nX-A: b\rc\r\n\r\n",
    "LF after the size of a chunk": crlf(CHUNKED) + b"5\nhello\r\n0\r\n\r\n",
    "LF after an extension": crlf(CHUNKED) + b"5;a\nhello\r\n0\r\n\r\n",
    "LF after a chunk": crlf(CHUNKED) + b"5\r\nhello\n0\r\n\r\n",
}

ATTEMPTS = {
    f"{kind}: {name}": crlf(raw)
    for kind, attempts in {
        "length": LENGTHS,
        "coding": CODINGS,
        "chunks": CHUNKS,
        "fields": FIELDS,
        "line": LINES,
    }.items()
    for name, raw in attempts.items()
} | {f"bare {name}": raw for name, raw in BARE.items()}
"""What is refused -> its bytes."""


def add_views(app: Quaff) -> list[str]:
    """Give *app* a view that notes what reaches it, and reads nothing."""
    seen: list[str] = []

    @app.route("/", methods=["GET", "POST", "OPTIONS"])
    async def index() -> str:
        seen.append(request.method)
        return "served"

    @app.get("/smuggled")
    async def smuggled() -> str:
        seen.append("smuggled")
        return "smuggled"

    return seen


@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_what_others_could_read_differently_is_refused(
    app: Quaff, attempt: str, caplog: pytest.LogCaptureFixture
) -> None:
    """SECURITY: a 400 in one piece, a log line, and the end of the connection; neither it nor what follows is served."""
    seen = add_views(app)
    raw = ATTEMPTS[attempt] + crlf(SMUGGLED)
    with serving(app) as server, server.connect() as client:
        client.socket.sendall(raw)
        answer = client.answer()
        assert answer.status == 400
        assert answer.headers["connection"] == "close"
        assert client.rest() == b""
    assert seen == []
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("quaff.serve", logging.WARNING)
    assert record.getMessage().startswith("400 Bad Request from 127.0.0.1: ")


@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_refused_byte_by_byte_as_well(app: Quaff, attempt: str) -> None:
    """SECURITY: however it arrives, nothing behind it is served, and the connection ends with one answer at most.

    Byte by byte, a head may be whole before its body turns out to be broken: then the app has its say about that request.
    """
    seen = add_views(app)

    async def test() -> None:
        line = Line(app)
        raw = ATTEMPTS[attempt] + crlf(SMUGGLED)
        for at in range(len(raw)):
            line.connection.data_received(raw[at : at + 1])
        sent = await line.settle()
        assert line.wire.ended == "close"
        assert sent.count(b"HTTP/1.1 ") == 1
        assert "smuggled" not in seen
        if not attempt.startswith(("chunks", "bare LF after")):
            assert sent.startswith(b"HTTP/1.1 400 ")

    run(test)


@pytest.mark.parametrize("version", ["0.9", "2.0"])
def test_other_versions_are_refused(app: Quaff, version: str) -> None:
    """RFC 9110 section 15.6.6: a 505. The rules about `Host` would not hold for them either."""
    seen = add_views(app)
    with serving(app) as server, server.send(f"GET / HTTP/{version}\n\n") as client:
        assert client.answer().status == 505
        assert client.rest() == b""
    assert seen == []


def test_a_client_of_http_1_0_needs_no_host(app: Quaff, serve: Serve) -> None:
    """The header came with 1.1; the app then sees the address of the server."""

    @app.get("/")
    def index() -> str:
        return request.host

    server = serve(app)
    with server.send("GET / HTTP/1.0\n\n") as client:
        assert client.answer().text == f"127.0.0.1:{server.port}"


# Size -----------------------------------------------------------------------------------------------------------------


def refused_head(server: Server, raw: bytes, piece: int) -> int:
    """Send *raw* in pieces, and return the status that comes back."""
    with server.connect() as client:
        for start in range(0, len(raw), piece):
            client.socket.sendall(raw[start : start + piece])
        return client.answer().status


LONG = {
    "value": b"GET / HTTP/1.1\r\nHost: a\r\nX-A: " + b"b" * 9000 + b"\r\n\r\n",
    "name": b"GET / HTTP/1.1\r\nHost: a\r\nX-" + b"b" * 9000 + b": 1\r\n\r\n",
    "many": b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X-A: b\r\n" * 1100 + b"\r\n",
    "target": b"GET /?" + b"b" * 9000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
    "unfinished": b"GET / HTTP/1.1\r\nHost: a\r\nX-A: " + b"b" * 9000,
    "unfinished target": b"GET /?" + b"b" * 9000,
}


@pytest.mark.parametrize("kind", LONG)
@pytest.mark.parametrize("piece", [100_000, 1000])
def test_too_large_a_head_is_refused(app: Quaff, serve: Serve, kind: str, piece: int) -> None:
    """SECURITY: beyond `header_limit` a head is answered with 431, in one piece or in many, also while it has no end."""
    seen = add_views(app)
    assert refused_head(serve(app, header_limit=8192), LONG[kind], piece) == 431
    assert seen == []


def test_a_head_below_the_limit_is_served(app: Quaff, serve: Serve) -> None:
    """Also many such, one behind the other: each head counts by itself."""
    add_views(app)
    head = "GET / HTTP/1.1\nHost: a\nX-A: " + "b" * 8000 + "\n\n"
    with serve(app, header_limit=8192).send(head * 5) as client:
        assert [client.answer().text for _ in range(5)] == ["served"] * 5


def test_a_dripping_head_is_refused_at_the_limit(app: Quaff) -> None:
    """SECURITY: no more is kept of it than the limit allows."""
    seen = add_views(app)

    async def test() -> None:
        line = Line(app, header_limit=8192)
        line.feed("GET / HTTP/1.1\nHost: a\nX-A: ")
        taken = 0
        while line.wire.ended is None:
            line.connection.data_received(b"b")
            taken += 1
            assert taken <= 8192
        assert (await line.settle()).startswith(b"HTTP/1.1 431 ")

    run(test)
    assert seen == []


ENDLESS = {
    "extension": (b"5;", b"a" * 500),
    "trailers": (b"0\r\n", b"X-Trailer: b\r\n" * 40),
    "trailer": (b"0\r\nX-Trailer: ", b"b" * 500),
}


@pytest.mark.parametrize("kind", ENDLESS)
def test_endless_extras_of_chunks_end_the_connection(app: Quaff, kind: str) -> None:
    """SECURITY: what belongs to no body counts like a head: neither extensions nor trailers may go on for ever."""
    add_views(app)

    @app.post("/read")
    async def read() -> bytes:
        return await request.load_body()

    async def test() -> None:
        for path in ("/", "/read"):
            line = Line(app, header_limit=8192)
            first, more = ENDLESS[kind]
            line.connection.data_received(crlf(CHUNKED.replace("/", path, 1)) + first)
            sent = await line.settle()
            for _ in range(30):
                line.connection.data_received(more)
                sent += await line.settle()
            assert line.wire.ended == "close", path
            assert sent.count(b"HTTP/1.1 ") == 1, path
            assert sent.startswith(b"HTTP/1.1 200 " if path == "/" else b"HTTP/1.1 400 ")

    run(test)


# Other protocols ------------------------------------------------------------------------------------------------------

H2C = "Connection: Upgrade, HTTP2-Settings\nUpgrade: h2c\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\n"


def test_an_upgrade_to_something_else_is_ignored(app: Quaff, serve: Serve) -> None:
    """RFC 9110 section 7.8: the request is answered in HTTP/1.1, and nothing after it is taken for a request."""
    seen = add_views(app)
    with serve(app).send(f"GET / HTTP/1.1\nHost: a\n{H2C}\n{SMUGGLED}") as client:
        answer = client.answer()
        assert (answer.status, answer.text, answer.headers["connection"]) == (200, "served", "close")
        assert client.rest() == b""
    assert seen == ["GET"]


UPGRADE_WITH_BODY = {
    "length": f"POST / HTTP/1.1\nHost: a\n{H2C}Content-Length: 5\nX-A: b\n\nhello",
    "chunks": f"POST / HTTP/1.1\nHost: a\n{H2C}Transfer-Encoding: chunked\nX-A: b\n\n2\nhe\n3\nllo\n0\n\n",
}


@pytest.mark.parametrize("kind", UPGRADE_WITH_BODY)
@pytest.mark.parametrize("size", [1, 20, 1000])
def test_the_body_of_a_request_for_an_upgrade_is_a_body(app: Quaff, kind: str, size: int) -> None:
    """`curl --http2` asks with each request, also with a POST. However it arrives, the app gets headers and body."""

    @app.post("/")
    async def index() -> str:
        return f"{request.headers['X-A']} {await request.load_body()!r}"

    async def test() -> None:
        line = Line(app)
        raw = crlf(UPGRADE_WITH_BODY[kind] + SMUGGLED)
        sent = b""
        for start in range(0, len(raw), size):
            line.connection.data_received(raw[start : start + size])
            sent += await line.settle()
        assert sent.endswith(b"\r\n\r\nb b'hello'")
        assert b"\r\nConnection: close\r\n" in sent
        assert line.wire.ended == "close"

    run(test)


def test_no_tunnel_is_opened(app: Quaff, serve: Serve) -> None:
    """CONNECT is a request without a route like others, and the last one on its connection."""
    seen = add_views(app)
    with serve(app).send("CONNECT example.com:443 HTTP/1.1\nHost: example.com:443\n\n" + SMUGGLED) as client:
        answer = client.answer()
        assert answer.status in {404, 405}
        assert client.rest() == b""
    assert seen == []


def test_options_of_the_server_are_answered(app: Quaff, serve: Serve) -> None:
    """`OPTIONS *` (RFC 9110 section 9.3.7) is about no route; the connection goes on."""
    add_views(app)
    with serve(app).send("OPTIONS * HTTP/1.1\nHost: a\n\nGET / HTTP/1.1\nHost: a\n\n") as client:
        assert client.answer().status in {200, 404}
        assert client.answer().text == "served"


def test_a_refusal_says_who_was_refused_when_nobody_knows(app: Quaff, caplog: pytest.LogCaptureFixture) -> None:
    """Over a unix socket a client has no address."""

    async def test() -> None:
        line = Line(app, Service(app, ServeSettings(workers=1)))
        line.wire._extra["peername"] = ""  # type: ignore[attr-defined]
        line.feed("NONSENSE\n\n")
        assert (await line.settle()).startswith(b"HTTP/1.1 400 ")

    run(test)
    assert "400 Bad Request from a client: " in caplog.text
