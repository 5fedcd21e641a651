"""The load of the WebSocket measurement: connections that send a text of 64 bytes and wait for it to come back.

Run as a program: `python -m benchmarks.echo_load PORT PATH CONNECTIONS SECONDS` prints the messages a second, and which
share of its core that took: far from 1, the client waits for the server and not the other way round. It is written by hand,
as `load.py` is: every message has the same bytes, so that a frame is made once and an answer compared as it comes.
"""

from __future__ import annotations

import base64
import re
import select
import socket
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from time import perf_counter, process_time

from benchmarks.contestants import ROOT, clean_environment, pin_to
from benchmarks.load import LoadError

TEXT = b"0123456789abcdef" * 4
MASK = b"quaf"
KEY = base64.b64encode(b"benchmark-client").decode()


def masked_frame(text: bytes, mask: bytes = MASK) -> bytes:
    """Return the frame in which a client sends a short text message (RFC 6455 section 5.2)."""
    if len(text) > 125:
        raise ValueError(f"a frame with a length of one byte holds at most 125 bytes, not {len(text)}")
    hidden = bytes(byte ^ mask[number % 4] for number, byte in enumerate(text))
    return bytes([0x81, 0x80 | len(text)]) + mask + hidden


def plain_frame(text: bytes) -> bytes:
    """Return the frame in which a server sends a short text message."""
    return bytes([0x81, len(text)]) + text


def handshake_request(port: int, path: str) -> bytes:
    """Return the request that opens a WebSocket, without extensions."""
    return (
        f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n\r\n"
    ).encode()


def read_head(connection: socket.socket, status: bytes) -> bytes:
    """Read the head of an answer and return what came after it; `LoadError` unless it has *status*."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65536)
        if not piece:
            raise LoadError(f"the server closed the connection after {data!r}")
        data += piece
    head, _, rest = data.partition(b"\r\n\r\n")
    if head.split(maxsplit=2)[1:2] != [status]:
        raise LoadError(f"expected {status.decode()}, got: {head.splitlines()[0]!r}")
    return rest


class EchoConnection:
    """One WebSocket that always has one message under way."""

    request, answer = masked_frame(TEXT), plain_frame(TEXT)

    def __init__(self, port: int, path: str) -> None:
        self._arrived = b""
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            self.socket.sendall(handshake_request(port, path))
            self._arrived = read_head(self.socket, b"101")
        except BaseException:
            self.socket.close()
            raise

    def send(self) -> None:
        """Send the message."""
        self.socket.send(self.request)

    def take(self) -> bool:
        """Take what has arrived and tell whether the whole message has come back."""
        data = self.socket.recv(4096)
        # PERF: a message usually arrives at once.
        if data == self.answer and not self._arrived:
            return True
        if not data:
            raise LoadError("the server closed the WebSocket")
        self._arrived += data
        if not self.answer.startswith(self._arrived):
            raise LoadError(f"the server did not send back what it got, but {self._arrived[:200]!r}")
        if self._arrived == self.answer:
            self._arrived = b""
            return True
        return False


def run(port: int, path: str, connections: int, seconds: float) -> tuple[float, float]:
    """Keep *connections* busy for *seconds*; return the messages that came back a second, and the client's load."""
    with ExitStack() as stack:
        lines = [EchoConnection(port, path) for _ in range(connections)]
        for line in lines:
            stack.enter_context(line.socket)
        return exchange(lines, seconds)


def exchange(lines: Sequence[EchoConnection], seconds: float) -> tuple[float, float]:
    """Send on every connection again and again; return what `run` does."""
    by_number = {line.socket.fileno(): line for line in lines}
    # PERF: as in `load.py`.
    waiting = select.epoll() if hasattr(select, "epoll") else select.poll()
    for line in lines:
        waiting.register(line.socket.fileno(), select.POLLIN)
        line.send()
    messages, busy, started = 0, process_time(), perf_counter()
    while (took := perf_counter() - started) < seconds:
        for number, _event in waiting.poll(1):
            line = by_number[number]
            if line.take():
                messages += 1
                line.send()
    busy = process_time() - busy
    if not messages:
        raise LoadError(f"no message came back within {seconds:g} seconds")
    return messages / took, busy / took


@dataclass(slots=True)
class EchoLoad:
    """Starts the client on its core, and keeps in mind how busy it was."""

    core: int | None
    connections: int = 16
    busiest: float = 0
    """The largest share of its core that the client took."""

    @property
    def label(self) -> str:
        """What the report says about it."""
        return f"our own client, {self.connections} connections, busy for at most {self.busiest:.0%} of the time"

    def messages_per_second(self, port: int, path: str, seconds: float) -> float:
        """Exchange messages as fast as the server answers; `LoadError` when one does not come back."""
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.echo_load", str(port), path, str(self.connections), str(seconds)],
            cwd=ROOT,
            env=clean_environment(),
            capture_output=True,
            text=True,
            timeout=seconds + 30,
            check=False,
            preexec_fn=pin_to(self.core),
        )
        found = re.fullmatch(r"Messages/sec: ([\d.]+)\nBusy: ([\d.]+)\n", done.stdout)
        if done.returncode or found is None:
            raise LoadError(f"the WebSocket client failed:\n{(done.stdout + done.stderr).strip()[-1000:]}")
        self.busiest = max(self.busiest, float(found[2]))
        return float(found[1])


if __name__ == "__main__":
    rate, load = run(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), float(sys.argv[4]))
    print(f"Messages/sec: {rate:.2f}\nBusy: {load:.3f}")
