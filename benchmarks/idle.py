"""What a connection costs in memory on which nothing happens: a WebSocket, or an event stream.

Run as a program it is the client: `python -m benchmarks.idle PORT KIND COUNT` opens the connections, says `open` and keeps
them; to each line of input it answers with the number of those that are still open. It ends with its input.
"""

from __future__ import annotations

import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from benchmarks.contestants import ROOT, clean_environment, pin_to
from benchmarks.echo_load import handshake_request, read_head
from benchmarks.load import LoadError

KINDS = {"websockets": "WebSockets", "events": "event streams"}

BAR = 12.0
"""KB of the server's resident memory that an idle connection may take, of 1,024 bytes each."""

LAST_CHUNK, CLOSE_FRAME = b"0\r\n\r\n", b"\x88"

PER_ADDRESS = 10_000
"""Connections from one source address: the system has a little under thirty thousand ports for each."""


def raise_file_limit() -> int:
    """Let this process open as many files as the system allows it, and return how many those are."""
    try:
        import resource
    except ImportError:  # a system without such a limit
        return sys.maxsize
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with suppress(ValueError, OSError):  # macOS calls "unlimited" what it then refuses
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


# The client ---------------------------------------------------------------------------------------------------------


def open_websocket(connection: socket.socket, port: int) -> None:
    """Turn *connection* into a WebSocket."""
    connection.sendall(handshake_request(port, "/ws"))
    read_head(connection, b"101")


def open_events(connection: socket.socket, port: int) -> None:
    """Ask for the event stream and wait for its first event: the view has got to where it waits, then."""
    connection.sendall(f"GET /news HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
    seen = read_head(connection, b"200")
    while b"hello" not in seen:
        piece = connection.recv(65536)
        if not piece:
            break
        seen += piece
    if not seen.endswith(b"hello\n\n\r\n"):
        raise LoadError(f"the event stream did not say hello and wait: {seen!r}")


OPENERS = {"websockets": open_websocket, "events": open_events}


def open_all(port: int, kind: str, count: int) -> list[socket.socket]:
    """Open *count* connections, one after the other."""
    opened = []
    for number in range(count):
        source = f"127.0.0.{1 + number // PER_ADDRESS}"
        connection = socket.create_connection(("127.0.0.1", port), timeout=20, source_address=(source, 0))
        opened.append(connection)
        OPENERS[kind](connection, port)
    return opened


def is_open(connection: socket.socket) -> bool:
    """Tell whether the server has kept the WebSocket or the stream open; a heartbeat that it has sent meanwhile is taken."""
    # `select.select` does not take the numbers above 1023.
    poller = select.poll()
    poller.register(connection, select.POLLIN)
    while poller.poll(0):
        try:
            data = connection.recv(65536)
        except OSError:
            return False
        # After the end of a stream or a WebSocket the connection itself may stay.
        if not data or data.endswith(LAST_CHUNK) or data.startswith(CLOSE_FRAME):
            return False
    return True


def keep_open(port: int, kind: str, count: int) -> None:
    """Be the client."""
    raise_file_limit()
    connections = open_all(port, kind, count)
    print("open", flush=True)
    for _line in sys.stdin:
        print(sum(is_open(connection) for connection in connections), flush=True)


class Idlers:
    """A process that keeps *count* connections open until the end of the `with` block."""

    def __init__(self, port: int, kind: str, count: int, core: int | None = None) -> None:
        self.count = count
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.idle", str(port), kind, str(count)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=clean_environment(),
            preexec_fn=pin_to(core),  # noqa: PLW1509 - no threads in the caller
        )
        try:
            self._read()
        except BaseException:
            self.close()
            raise

    def _read(self) -> str:
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        line = self._process.stdout.readline()
        if not line:
            said = self._process.stderr.read().strip()[-1000:]
            raise LoadError(f"{self.count} connections could not be kept open:\n{said}")
        return line

    def still_open(self) -> int:
        """Return how many of the connections the server has kept."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return int(self._read())

    def close(self) -> None:
        """End the process, and with it the connections."""
        self._process.kill()
        self._process.communicate()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


# The server's memory ------------------------------------------------------------------------------------------------


def resident_bytes(group: int, proc: Path = Path("/proc")) -> int:
    """Return the resident memory of all processes of a group; `LoadError` where the system does not tell it."""
    pages = 0
    for folder in proc.glob("[0-9]*"):
        # A process may end while it is looked at.
        with suppress(OSError):
            # The name of the program, in parentheses, may hold blanks; after it come the state, the parent, the group.
            if int((folder / "stat").read_text().rpartition(")")[2].split()[2]) == group:
                pages += int((folder / "statm").read_text().split()[1])
    if not pages:
        raise LoadError(f"the memory of the server cannot be read from {proc}")
    return pages * os.sysconf("SC_PAGE_SIZE")


def settled(read: Callable[[], int], pause: float = 0.5, patience: int = 40) -> int:
    """Return what *read* gives when it has changed by less than 0.2 % within *pause*; after *patience* tries, as it is."""
    value = read()
    for _ in range(patience):
        time.sleep(pause)
        before, value = value, read()
        if abs(value - before) <= before * 0.002:
            break
    return value


@dataclass(frozen=True, slots=True)
class Memory:
    """What one idle connection of a kind costs one contestant."""

    contestant: str
    kind: str
    connections: int
    kilobytes: float
    """Of the server's resident memory, for each connection; the rest is the system's."""

    bar: float | None

    @property
    def title(self) -> str:
        """What the report calls it."""
        return f"idle {KINDS[self.kind]}, {self.contestant}"

    @property
    def passed(self) -> bool | None:
        """Whether the bar is kept; None for the handler without a framework, which is there for comparison."""
        return None if self.bar is None else self.kilobytes <= self.bar

    def as_json(self) -> dict[str, Any]:
        """Return what the results file keeps."""
        return {**asdict(self), "title": self.title, "passed": self.passed}


def growth_per_connection(before: int, after: int, count: int, warmed: int) -> float:
    """Return the KB that each connection took.

    The server may have kept the memory of the *warmed* connections that it had before, so as many of the new ones may
    have cost nothing: they do not count.
    """
    return (after - before) / (count - warmed) / 1024


def measure_memory(port: int, group: int, kind: str, count: int, core: int | None = None) -> float:
    """Return the KB that each of *count* connections takes of the memory of the server of process group *group*."""
    warmed = max(1, count // 50)
    with Idlers(port, kind, warmed, core):
        pass
    before = settled(lambda: resident_bytes(group))
    with Idlers(port, kind, count, core) as idlers:
        after = settled(lambda: resident_bytes(group))
        if (kept := idlers.still_open()) != count:
            raise LoadError(f"the server closed {count - kept} of {count} idle connections")
    return growth_per_connection(before, after, count, warmed)


if __name__ == "__main__":
    keep_open(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
