"""The WebSocket client: right frames, whole messages only, and nothing but the echo is counted."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Sequence

import pytest

from benchmarks import echo_load
from benchmarks.echo_load import EchoLoad, handshake_request, masked_frame, plain_frame
from benchmarks.load import LoadError
from benchmarks.over_http import free_port

ACCEPT = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"
ECHO = plain_frame(echo_load.TEXT)


class Answerer:
    """A server that sends the same pieces for every message, whatever it says; with none it closes the connection."""

    def __init__(self, accept: bytes, pieces: Sequence[bytes]) -> None:
        self._accept, self._pieces = accept, pieces
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._listen, daemon=True)]
        self._threads[0].start()

    def _listen(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._answer, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _answer(self, connection: socket.socket) -> None:
        with connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                connection.recv(4096)
                connection.sendall(self._accept)
                while connection.recv(4096) and self._pieces:
                    for piece in self._pieces:
                        connection.sendall(piece)
            except OSError:
                return

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(5)


@pytest.fixture
def answering() -> Iterator[type[Answerer]]:
    """Give the class of servers; those that were made are closed at the end."""
    made: list[Answerer] = []

    class Noted(Answerer):
        def __init__(self, accept: bytes, pieces: Sequence[bytes]) -> None:
            super().__init__(accept, pieces)
            made.append(self)

    yield Noted
    for server in made:
        server.close()


def test_frames_are_those_of_the_rfc() -> None:
    """RFC 6455 section 5.7 gives "Hello" without and with a mask."""
    assert plain_frame(b"Hello") == bytes.fromhex("810548656c6c6f")
    assert masked_frame(b"Hello", bytes.fromhex("37fa213d")) == bytes.fromhex("818537fa213d7f9f4d5158")
    assert len(echo_load.TEXT) == 64


def test_a_longer_text_needs_another_frame() -> None:
    """Above 125 bytes the length takes more than one byte, and this client does not make such frames."""
    with pytest.raises(ValueError, match="at most 125 bytes, not 126"):
        masked_frame(b"x" * 126)


def test_the_handshake_offers_no_extension() -> None:
    """Nobody compresses what is measured."""
    text = handshake_request(8000, "/ws").decode()
    assert text.startswith("GET /ws HTTP/1.1\r\nHost: 127.0.0.1:8000\r\n")
    assert "Sec-WebSocket-Version: 13\r\n" in text
    assert "Extensions" not in text


@pytest.mark.parametrize("pieces", [[ECHO], [ECHO[:1], ECHO[1:30], ECHO[30:]]], ids=["whole", "pieces"])
def test_messages_are_counted(answering: type[Answerer], pieces: list[bytes]) -> None:
    """A message counts once, also when it arrives in pieces; the client tells how busy it was."""
    server = answering(ACCEPT, pieces)
    rate, busy = echo_load.run(server.port, "/ws", connections=2, seconds=0.2)
    assert rate > 10
    assert 0 <= busy <= 1.5


@pytest.mark.parametrize(
    "accept, pieces, message",
    [
        (b"HTTP/1.1 404 NOT FOUND\r\n\r\n", [], "expected 101, got: b'HTTP/1.1 404 NOT FOUND'"),
        (None, [], "refused"),
        (ACCEPT, [], "the server closed the WebSocket"),
        (ACCEPT, [plain_frame(b"something else")], "did not send back what it got, but b'.*something else'"),
        (ACCEPT, [ECHO + ECHO], "did not send back what it got"),
    ],
    ids=["refused", "nobody", "closed", "other text", "twice"],
)
def test_anything_but_the_echo_is_an_error(
    answering: type[Answerer], accept: bytes | None, pieces: list[bytes], message: str
) -> None:
    """A server that answers something else is not measured."""
    port = free_port() if accept is None else answering(accept, pieces).port
    with pytest.raises((LoadError, OSError), match=message):
        echo_load.run(port, "/ws", connections=1, seconds=5)


def test_the_client_runs_as_a_program(answering: type[Answerer]) -> None:
    """The load comes from a process of its own; the report says how many connections it has and how busy it was."""
    server = answering(ACCEPT, [ECHO])
    client = EchoLoad(None, connections=2)
    assert client.messages_per_second(server.port, "/ws", 0.2) > 10
    assert 0 < client.busiest <= 1.5
    assert client.label == f"our own client, 2 connections, busy for at most {client.busiest:.0%} of the time"


def test_a_load_that_fails_shows_why(answering: type[Answerer]) -> None:
    """The error holds what the client said."""
    server = answering(ACCEPT, [])
    with pytest.raises(LoadError, match=r"the WebSocket client failed:(.|\n)*the server closed the WebSocket"):
        EchoLoad(None, connections=1).messages_per_second(server.port, "/ws", 0.2)
