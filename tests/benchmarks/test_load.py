"""The load: what wrk prints is read rightly, and the built-in client counts whole answers only."""

from __future__ import annotations

import shutil
import socket
import threading
from collections.abc import Iterator

import pytest

from benchmarks import load
from benchmarks.load import Generator, LoadError

WRK = """Running 5s test @ http://127.0.0.1:8000/
  1 threads and 64 connections
  225480 requests in 5.00s, 33.11MB read
Requests/sec:  45096.12
Transfer/sec:      6.62MB
"""


class Answerer:
    """A server that answers every request on every connection with the same bytes, in pieces."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/"
        self.requests: list[bytes] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._answer_all, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _answer_all(self, connection: socket.socket) -> None:
        with connection:
            try:
                while data := connection.recv(4096):
                    self.requests.append(data)
                    half = len(self._answer) // 2
                    connection.sendall(self._answer[:half])
                    connection.sendall(self._answer[half:])
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
        def __init__(self, answer: bytes) -> None:
            super().__init__(answer)
            made.append(self)

    yield Noted
    for server in made:
        server.close()


def test_the_rate_is_read_from_the_report() -> None:
    """The requests a second are taken from wrk's closing lines."""
    assert load.read_report(WRK) == 45096.12


@pytest.mark.parametrize(
    "line, message",
    [
        ("  Non-2xx or 3xx responses: 12", "did not answer every request"),
        ("  Socket errors: connect 0, read 3, write 0, timeout 0", "did not answer every request"),
    ],
)
def test_errors_spoil_the_rate(line: str, message: str) -> None:
    """A rate of failed requests is not a rate."""
    with pytest.raises(LoadError, match=message):
        load.read_report(f"{WRK}{line}\n")


def test_a_report_without_a_rate_is_an_error() -> None:
    """Whatever the program printed is shown."""
    with pytest.raises(LoadError, match="printed no rate:\nunable to connect"):
        load.read_report("unable to connect\n")


def test_the_built_in_client_counts_answers(answering: type[Answerer]) -> None:
    """Answers that arrive in pieces count once; the server sees as many requests, but for those under way."""
    server = answering(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
    rate = load.run(server.url, connections=3, seconds=0.3)
    assert rate > 10
    # Every connection asked once before the clock ran, and had one request under way when it stopped.
    assert rate * 0.3 - 10 <= len(server.requests) - 6 <= rate * 0.4 + 10
    assert server.requests[0].startswith(b"GET / HTTP/1.1\r\nHost: 127.0.0.1:")


@pytest.mark.parametrize(
    "answer, message",
    [
        (b"HTTP/1.1 404 NOT FOUND\r\nContent-Length: 0\r\n\r\n", "expected 200, got: b'HTTP/1.1 404 NOT FOUND'"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "needs a Content-Length"),
    ],
)
def test_the_built_in_client_refuses_other_answers(answering: type[Answerer], answer: bytes, message: str) -> None:
    """An error page or an answer of unknown length cannot be counted by its length."""
    server = answering(answer)
    with pytest.raises(LoadError, match=message):
        load.Connection("127.0.0.1", int(server.url.rpartition(":")[2].strip("/")), b"GET / HTTP/1.1\r\n\r\n")


def test_the_client_runs_as_a_program(answering: type[Answerer]) -> None:
    """Without wrk the load comes from a process of its own, and the report says so."""
    server = answering(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    generator = Generator(None, None, connections=2)
    assert generator.label == "the built-in client, 2 connections"
    assert generator.requests_per_second(server.url, 0.2) > 10


def test_a_load_that_fails_shows_why() -> None:
    """Nobody listens there: the error holds what the client said."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}/"
        with pytest.raises(LoadError, match="refused"):
            Generator(None, None, connections=1).requests_per_second(url, 0.1)


def test_wrk_is_preferred(monkeypatch: pytest.MonkeyPatch) -> None:
    """With wrk on the machine it makes the load; the label says which one it was."""
    monkeypatch.setattr(shutil, "which", lambda name: f"/somewhere/{name}")
    assert Generator.find(1) == Generator("/somewhere/wrk", 1, 64)
    assert Generator.find(1).label == "wrk, 64 connections"
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert Generator.find(None).wrk is None
