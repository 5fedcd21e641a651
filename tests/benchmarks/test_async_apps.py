"""The apps of the protocol measurements answer alike."""

from __future__ import annotations

import http.client
import socket
import sys
from collections.abc import Iterator
from importlib.util import find_spec

import pytest

from benchmarks import environment, protocols
from benchmarks.echo_load import TEXT, handshake_request, masked_frame, plain_frame, read_head
from benchmarks.idle import OPENERS
from benchmarks.over_http import ServerProcess
from benchmarks.protocols import PEERS, QUAFF, QUAFF_HTTP1, RAW, STARLETTE, Entry

HELLO = protocols.PARTS[0].pages
OURS = pytest.mark.parametrize("server", [RAW, QUAFF, QUAFF_HTTP1], ids=lambda entry: entry.label, indirect=True)


@pytest.fixture
def server(request: pytest.FixtureRequest) -> Iterator[ServerProcess]:
    """Start the server of an entry, and stop it at the end."""
    with protocols.start(sys.executable, request.param, HELLO) as running:
        yield running


def ask(server: ServerProcess, path: str) -> tuple[int, dict[str, str], bytes]:
    """Ask for *path*; return the status, the headers without the time and the server's name, and the body."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        headers = {name.lower(): value for name, value in answer.getheaders()}
        for name in ("date", "server"):
            headers.pop(name, None)
        return answer.status, headers, answer.read()
    finally:
        connection.close()


def test_the_raw_handler_answers_what_quaff_answers() -> None:
    """Status, headers and body are equal on the wire: the bare handler leaves out the framework, not the work."""
    answers = []
    for entry in (RAW, QUAFF, QUAFF_HTTP1):
        with protocols.start(sys.executable, entry, HELLO) as running:
            answers.append(ask(running, "/"))
            assert ask(running, "/missing")[0] == 404
    assert answers[0] == answers[1] == answers[2]
    assert answers[0][0] == 200
    assert answers[0][2] == b"Hello, World!"


@OURS
def test_a_websocket_echoes(server: ServerProcess) -> None:
    """What is sent to /ws comes back as a text message."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(handshake_request(server.port, "/ws"))
        assert read_head(connection, b"101") == b""
        connection.sendall(masked_frame(TEXT))
        assert connection.recv(4096) == plain_frame(TEXT)


@OURS
def test_a_client_that_goes_away_is_no_error(server: ServerProcess) -> None:
    """Clients drop their connections when a measurement is over: a server that logged that would measure its log."""
    for open_one in OPENERS.values():
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
            open_one(connection, server.port)
    assert ask(server, "/")[0] == 200
    server._said.seek(0)
    assert server._said.read() == b""


@OURS
def test_an_event_stream_says_hello_and_waits(server: ServerProcess) -> None:
    """The first event of /news is there at once, in the format of event streams, and nothing follows it."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(b"GET /news HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        seen = b""
        while not seen.endswith(b"data: hello\n\n\r\n"):
            seen += connection.recv(4096)
        assert seen.startswith(b"HTTP/1.1 200 OK\r\n")
        assert b"content-type: text/event-stream; charset=utf-8\r\n" in seen.lower()
        connection.settimeout(0.2)
        with pytest.raises(TimeoutError):
            connection.recv(1)


@pytest.mark.parametrize("server", [QUAFF, QUAFF_HTTP1], ids=lambda entry: entry.label, indirect=True)
def test_the_sync_view_says_the_same(server: ServerProcess) -> None:
    """The `def` is another view with the same answer."""
    assert ask(server, "/sync") == ask(server, "/")


@pytest.mark.parametrize("entry", [*PEERS, STARLETTE], ids=lambda entry: entry.app)
def test_a_peer_serves_its_page(entry: Entry) -> None:
    """Each framework that is installed comes up on its usual server, with the page that it is measured by."""
    missing = [name for name in (entry.app, entry.server) if name in environment.PEERS and not find_spec(name)]
    if missing:
        pytest.skip(f"not installed in this environment: {', '.join(missing)}")
    (part,) = [part for part in protocols.PARTS if entry in part.bars and part.pages]
    with protocols.start(sys.executable, entry, part.pages) as running:
        assert ask(running, part.path)[2] == b"Hello, World!"
