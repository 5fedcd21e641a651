"""Real server processes for tests: started, asked, signalled, and never left behind."""

from __future__ import annotations

import contextlib
import http.client
import os
import queue
import re
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

PATIENCE = 30.0
"""Seconds that anything may take before a test gives up. Machines under test are busy; this is no measure of speed."""

_NOT_INHERITED = ("FLASK_", "QUAFF_", "WERKZEUG_")


@dataclass
class Answer:
    """What a server answered."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode()


def clean_environment(**more: str) -> dict[str, str]:
    """Return this process's environment without what would change how an app is run."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_NOT_INHERITED)}
    return kept | {"PYTHONUNBUFFERED": "1", "PYTHONWARNINGS": "default", "NO_COLOR": "1"} | more


@dataclass
class ServerProcess:
    """A program in a process group of its own, and what it has printed. A context manager: it is killed at the end."""

    arguments: Sequence[str]
    """What follows `python` on the command line."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)
    port: int = 0
    """Where it listens; read from what it prints when 0."""

    def __enter__(self) -> ServerProcess:
        self._lines: list[str] = []
        self._arrived: queue.Queue[str | None] = queue.Queue()
        self._process = subprocess.Popen(
            [sys.executable, *self.arguments],
            cwd=self.folder,
            env=clean_environment(**self.environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # The group, so that workers and the children of reloaders end as well.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        if self._process.stdout is not None:
            self._process.stdout.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with contextlib.suppress(ValueError):
            for line in self._process.stdout:
                self._lines.append(line)
                self._arrived.put(line)
        self._arrived.put(None)

    @property
    def pid(self) -> int:
        """The id of the process that was started."""
        return self._process.pid

    @property
    def output(self) -> str:
        """Everything that it has printed so far."""
        return "".join(self._lines)

    def wait_for(self, pattern: str, *, times: int = 1) -> re.Match[str]:
        """Wait until *pattern* was printed *times* times, and return the last match."""
        end = time.monotonic() + PATIENCE
        while len(found := list(re.finditer(pattern, self.output, re.MULTILINE))) < times:
            try:
                line = self._arrived.get(timeout=max(0.01, end - time.monotonic()))
            except queue.Empty:
                line = None
            if line is None and len(re.findall(pattern, self.output, re.MULTILINE)) < times:
                raise AssertionError(f"{pattern!r} was not printed {times} time(s):\n{self.output}")
        return found[-1]

    def wait_until_serving(self, *, times: int = 1) -> ServerProcess:
        """Wait until it says where it serves; later requests go there."""
        match = self.wait_for(r"(?:Running on|Serving on) https?://(?:\[[^\]]*\]|[^:/]*):(\d+)", times=times)
        self.port = int(match[1])
        return self

    @classmethod
    @contextlib.contextmanager
    def serving(
        cls, arguments: Sequence[str], folder: Path, environment: dict[str, str] | None = None
    ) -> Iterator[ServerProcess]:
        """Start a program, and give it once it has said where it serves."""
        with cls(arguments, folder, environment or {}) as server:
            yield server.wait_until_serving()

    def get(
        self, path: str = "/", *, headers: dict[str, str] | None = None, method: str = "GET", body: bytes | None = None
    ) -> Answer:
        """Ask it once over a new connection to 127.0.0.1."""
        return ask(http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE), path, headers, method, body)

    def get_when(self, wanted: Callable[[Answer], bool], path: str = "/") -> Answer:
        """Ask until the answer is as *wanted*; connections that are refused meanwhile are tried again."""
        end = time.monotonic() + PATIENCE
        last: object = None
        while time.monotonic() < end:
            try:
                answer = self.get(path)
            except OSError as error:
                last = error
            else:
                if wanted(answer):
                    return answer
                last = answer
            time.sleep(0.05)
        raise AssertionError(f"no such answer at {path}; the last was {last!r}\n{self.output}")

    def send(self, number: signal.Signals, *, group: bool = False) -> None:
        """Send a signal to it; to the whole group as a terminal does with Ctrl-C."""
        if group:
            os.killpg(self._process.pid, number)
        else:
            os.kill(self._process.pid, number)

    def stop(self, number: signal.Signals = signal.SIGINT, *, group: bool = True) -> int:
        """Stop it with a signal, and return its exit code."""
        self.send(number, group=group)
        return self.wait()

    def wait(self) -> int:
        """Wait until it has ended and everything it printed was read, and return its exit code."""
        code = self._process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        return code


def ask(
    connection: http.client.HTTPConnection,
    path: str = "/",
    headers: dict[str, str] | None = None,
    method: str = "GET",
    body: bytes | None = None,
) -> Answer:
    """Send one request over *connection*, and close it."""
    with contextlib.closing(connection):
        connection.request(method, path, body=body, headers={"Connection": "close"} | (headers or {}))
        response = connection.getresponse()
        return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, response.read())


class UnixConnection(http.client.HTTPConnection):
    """An HTTP connection over a unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=PATIENCE)
        self._path = path

    def connect(self) -> None:
        """Connect to the socket file."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(PATIENCE)
        self.sock.connect(str(self._path))


def write(folder: Path, name: str, code: str) -> Path:
    """Write the program *name* into *folder*, atomically: a reloader must never see half of it."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(path.name + ".draft")
    draft.write_text(textwrap.dedent(code))
    draft.replace(path)
    return path


@contextlib.contextmanager
def in_background(work: Callable[[], Answer]) -> Iterator[queue.Queue[Answer | Exception]]:
    """Run *work* in a thread, and give the queue on which its answer or its error arrives."""
    result: queue.Queue[Answer | Exception] = queue.Queue()

    def run() -> None:
        try:
            result.put(work())
        except Exception as error:
            result.put(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    yield result
    thread.join(PATIENCE)


def alive(pid: int) -> bool:
    """Tell whether the process *pid* runs; one that has ended and is not yet waited for does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
