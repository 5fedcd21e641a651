"""Bodies and hosts as they come over a socket, through the real server: what only shows there."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers.process import PATIENCE, ServerProcess, write

APP = """
    from quaff import Quaff, Response, request
    from werkzeug.exceptions import ClientDisconnected

    app = Quaff(__name__)
    app.config["MAX_CONTENT_LENGTH"] = 1000

    @app.post("/body")
    def body():
        print("read", len(request.get_data()), flush=True)
        return "body"

    @app.post("/form")
    def form():
        print("read", request.form, flush=True)
        return "form"

    @app.post("/json")
    def json():
        print("read", request.get_json(), flush=True)
        return "json"

    @app.errorhandler(ClientDisconnected)
    def refused(error):
        print("refused", request.path, error.code, error.description, flush=True)
        return error

    @app.get("/header")
    def header():
        response = Response("body")
        response.headers["Content-Security-Policy"] = "default-src 'self'\\r\\n"
        return response
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """Give a production server with the app above."""
    folder: Path = tmp_path_factory.mktemp("wire")
    write(folder, "app.py", APP)
    arguments = ["-m", "quaff", "serve", "--bind", "127.0.0.1:0", "--workers", "1", "--threads", "2"]
    with ServerProcess(arguments, folder) as server:
        yield server.wait_until_serving()


def send(server: ServerProcess, request: bytes, *, hang_up: bool = False) -> tuple[int, bytes]:
    """Send the bytes and give status and body of the answer; 0 when the server hung up without one.

    :param hang_up: say that no more bytes come. Granian then hangs up too.
    """
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as connection:
        connection.sendall(request)
        if hang_up:
            connection.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    status = re.match(rb"HTTP/1\.1 (\d{3}) ", answer)
    return int(status[1]) if status else 0, answer.partition(b"\r\n\r\n")[2]


def post(path: str, body: bytes, *headers: str) -> bytes:
    """Give the bytes of a POST request."""
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", "Connection: close", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@pytest.mark.parametrize(
    "path, content_type, body",
    [
        ("/body", "application/octet-stream", b"12345"),
        ("/form", "application/x-www-form-urlencoded", b"a=1"),
        ("/json", "application/json", b"[1]"),
        (
            "/form",
            "multipart/form-data; boundary=B",
            b'--B\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--B--',
        ),
    ],
)
def test_a_body_that_breaks_off_is_refused(server: ServerProcess, path: str, content_type: str, body: bytes) -> None:
    """The whole body reaches the view; the same bytes with one more announced do not, however complete they look."""
    whole = post(path, body, f"Content-Type: {content_type}", f"Content-Length: {len(body)}")
    cut = post(path, body, f"Content-Type: {content_type}", f"Content-Length: {len(body) + 1}")
    read = server.output.count("read ") + 1
    assert send(server, whole)[0] == 200
    server.wait_for(r"^read ", times=read)
    assert send(server, cut, hang_up=True)[0] in {0, 400}
    server.wait_for(rf"^refused {path} 400 The request announced a body of {len(body) + 1} bytes")
    assert server.output.count("read ") == read


def test_a_chunked_body_is_read_to_the_limit(server: ServerProcess) -> None:
    """1,000 bytes in chunks are accepted, 1,001 are a 413."""
    for size, status in ((1000, 200), (1001, 413)):
        chunks = (
            b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (b"x" * 600, b"x" * (size - 600))) + b"0\r\n\r\n"
        )
        assert send(server, post("/body", chunks, "Transfer-Encoding: chunked"))[0] == status


def test_an_announced_body_over_the_limit_is_a_413(server: ServerProcess) -> None:
    """Before it is sent."""
    status, page = send(server, post("/body", b"", "Content-Length: 1001"))
    assert status == 413
    assert b"has 1001 bytes; at most 1000" in page


@pytest.mark.parametrize("host", ["a,b", "a@b", "a b", "a/b", "a:0", ""])
def test_a_malformed_host_is_a_400(server: ServerProcess, host: str) -> None:
    """Granian passes these on."""
    assert send(server, f"GET /header HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())[0] == 400


def test_two_hosts_are_a_400(server: ServerProcess) -> None:
    """Granian joins them with a comma (RFC 9112 section 3.2)."""
    request = b"GET /header HTTP/1.1\r\nHost: a.test\r\nHost: b.test\r\nConnection: close\r\n\r\n"
    assert send(server, request)[0] == 400


def test_a_header_that_cannot_be_sent_is_a_500_and_not_dropped(server: ServerProcess) -> None:
    """Granian sends the page without its policy, and nobody learns of it."""
    status, page = send(server, b"GET /header HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    assert status == 500
    assert b"Traceback" not in page
    server.wait_for("HeaderError: Header 'Content-Security-Policy': header values must not contain newline")
