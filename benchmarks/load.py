"""Makes the load of the HTTP measurements: `wrk` where it is installed, and otherwise a small client of our own.

Run as a program it is that client: `python -m benchmarks.load URL CONNECTIONS SECONDS` prints the requests a second.
It knows only what the measurement needs: keep-alive connections, one request at a time on each, answers of one length.
"""

from __future__ import annotations

import re
import select
import shutil
import socket
import subprocess
import sys
from dataclasses import dataclass
from time import perf_counter
from urllib.parse import urlsplit

from benchmarks.contestants import ROOT, clean_environment, pin_to


class LoadError(RuntimeError):
    """The load could not be made, or the server did not answer it properly."""


@dataclass(frozen=True, slots=True)
class Generator:
    """Which program makes the load, from where, and how much."""

    wrk: str | None
    """Path of `wrk`; None for the built-in client."""

    core: int | None
    connections: int = 64

    @classmethod
    def find(cls, core: int | None) -> Generator:
        """Return `wrk` when the machine has it, and the built-in client otherwise."""
        return cls(shutil.which("wrk"), core)

    @property
    def label(self) -> str:
        """What the report says about it."""
        name = "wrk" if self.wrk else "the built-in client"
        return f"{name}, {self.connections} connections"

    def requests_per_second(self, url: str, seconds: float) -> float:
        """Ask for *url* as fast as the server answers; `LoadError` when an answer is not a success."""
        if self.wrk:
            # An answer after more than two seconds is an error to `wrk` unless it is told otherwise.
            command = [
                self.wrk,
                "-t1",
                f"-c{self.connections}",
                f"-d{max(1, round(seconds))}s",
                "--timeout",
                "10s",
                url,
            ]
        else:
            command = [sys.executable, "-m", "benchmarks.load", url, str(self.connections), str(seconds)]
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=clean_environment(),
            capture_output=True,
            text=True,
            timeout=seconds + 30,
            check=False,
            preexec_fn=pin_to(self.core),
        )
        if done.returncode:
            raise LoadError(f"the load on {url} failed:\n{(done.stdout + done.stderr).strip()[-1000:]}")
        return read_report(done.stdout)


def read_report(text: str) -> float:
    """Take the requests a second out of what `wrk` (or our client) printed; `LoadError` if there were errors."""
    if "Non-2xx" in text or "Socket errors" in text:
        raise LoadError(f"the server did not answer every request:\n{text.strip()}")
    found = re.search(r"Requests/sec:\s+([\d.]+)", text)
    if found is None:
        raise LoadError(f"the load generator printed no rate:\n{text.strip()}")
    return float(found[1])


class Connection:
    """One keep-alive connection that always has one request under way."""

    def __init__(self, host: str, port: int, request: bytes) -> None:
        self._request, self._missing = request, 0
        self.socket = socket.create_connection((host, port), timeout=10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            self.answer_length = self._first_answer()
        except BaseException:
            self.socket.close()
            raise

    def _first_answer(self) -> int:
        """Ask once and return the length of the answer; the timed answers are only counted by that length."""
        self.socket.sendall(self._request)
        data = b""
        while b"\r\n\r\n" not in data:
            data += self._receive()
        head, _, body = data.partition(b"\r\n\r\n")
        if head.split(maxsplit=2)[1:2] != [b"200"]:
            raise LoadError(f"expected 200, got: {head.splitlines()[0]!r}")
        found = re.search(rb"(?im)^content-length:\s*(\d+)", head)
        if found is None:
            raise LoadError("the built-in client needs a Content-Length in the answer")
        while len(body) < int(found[1]):
            body += self._receive()
        return len(head) + 4 + len(body)

    def _receive(self) -> bytes:
        data = self.socket.recv(65536)
        if not data:
            raise LoadError("the server closed the connection")
        return data

    def ask(self) -> None:
        """Send the request."""
        self._missing = self.answer_length
        self.socket.send(self._request)

    def take(self) -> bool:
        """Take what has arrived and tell whether the answer is complete."""
        self._missing -= len(self._receive())
        return self._missing <= 0


def run(url: str, connections: int, seconds: float) -> float:
    """Keep *connections* busy for *seconds*; return the answers a second."""
    parts = urlsplit(url)
    host, port = parts.hostname or "127.0.0.1", parts.port or 80
    request = f"GET {parts.path or '/'} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode()
    lines = [Connection(host, port, request) for _ in range(connections)]
    by_number = {line.socket.fileno(): line for line in lines}
    # PERF: `selectors` builds an object for each event; this client has to outrun the server.
    waiting = select.epoll() if hasattr(select, "epoll") else select.poll()
    for line in lines:
        waiting.register(line.socket.fileno(), select.POLLIN)
        line.ask()
    answers, started = 0, perf_counter()
    while (took := perf_counter() - started) < seconds:
        for number, _event in waiting.poll(1):
            line = by_number[number]
            if line.take():
                answers += 1
                line.ask()
    for line in lines:
        line.socket.close()
    return answers / took


if __name__ == "__main__":
    print(f"Requests/sec: {run(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])):.2f}")
