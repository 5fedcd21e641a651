"""Measures whole requests: Granian with one worker on one core, the load on the other, over the loopback.

Every contestant's server is started once and stays up, idle, while the others are asked; the load visits them in turns.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, field
from statistics import median
from types import TracebackType
from typing import Any, Self

from benchmarks.contestants import ROOT, Contestant, clean_environment, cores, measuring_core, pin_to
from benchmarks.load import Generator

RAW = Contestant("raw", "raw")
PAGES = {"hello": ("/", b"Hello, World!"), "json": ("/json", b'{"message":"Hello, World!"}\n')}
BAR = 0.85
"""The share of the raw function's requests a second that Quaff has to reach."""

SWEEP = ("", "1", "2", "4")
"""Numbers of blocking threads that are tried for the note; the empty one leaves the choice to Granian."""


@dataclass(frozen=True, slots=True)
class HttpPlan:
    """How long to load."""

    rounds: int = 3
    seconds: float = 5
    sweep_seconds: float = 2

    @classmethod
    def quick(cls) -> HttpPlan:
        """Return a plan for a first look."""
        return cls(rounds=2, seconds=1, sweep_seconds=0)


@dataclass(frozen=True, slots=True)
class PageRates:
    """Requests a second of one page by contestant: the median of the rounds."""

    page: str
    rates: dict[str, float]
    share: float
    """Quaff's rate over the raw function's: the median of the rounds' shares."""

    bar: float = BAR

    @property
    def passed(self) -> bool:
        """Whether Quaff reaches the bar and is ahead of Falcon."""
        return self.share >= self.bar and self.rates["quaff"] > self.rates.get("falcon", 0)

    def as_json(self) -> dict[str, Any]:
        """Return what the results file keeps."""
        return {**asdict(self), "passed": self.passed}


@dataclass(slots=True)
class Result:
    """The HTTP part of the report."""

    load: str
    pinned: bool
    pages: list[PageRates] = field(default_factory=list)
    sweep: dict[str, dict[str, float]] = field(default_factory=dict)
    """Rates of the hello page by number of blocking threads, for the raw function and Quaff."""

    def as_json(self) -> dict[str, Any]:
        """Return what the results file keeps."""
        pages = [page.as_json() for page in self.pages]
        return {"load": self.load, "pinned": self.pinned, "pages": pages, "sweep": self.sweep}


class ServerFailedError(RuntimeError):
    """A server did not come up, or answered something else than its page."""


def free_port() -> int:
    """Return a port of the loopback that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class ServerProcess:
    """A running server on its core. Stops, with its worker, at the end of the `with` block.

    *program* is the module that starts it; it gets the contestant's module, the port and *option*. The server is up when
    all *pages* have been answered rightly.
    """

    def __init__(
        self,
        python: str,
        contestant: Contestant,
        option: str = "",
        *,
        program: str = "benchmarks.serve",
        pages: Mapping[str, tuple[str, bytes]] = PAGES,
    ) -> None:
        self.name, self.port, self._pages = contestant.name, free_port(), pages
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - closed by stop()
        self._process = subprocess.Popen(
            [python, "-m", program, contestant.module, str(self.port), option],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=self._said,
            cwd=ROOT,
            env=clean_environment(contestant.environment),
            start_new_session=True,
            preexec_fn=pin_to(measuring_core()),  # noqa: PLW1509 - no threads in the caller
        )
        try:
            self._wait_until_up()
            self._check_pages()
        except BaseException:
            self.stop()
            raise

    def url(self, page: str) -> str:
        """Return the address of one of its pages."""
        return f"http://127.0.0.1:{self.port}{self._pages[page][0]}"

    @property
    def group(self) -> int:
        """The number of the process group that holds the server and its workers, and nobody else."""
        return self._process.pid

    def _wait_until_up(self, patience: float = 20) -> None:
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                time.sleep(0.05)
            else:
                return
        self._said.seek(0)
        said = self._said.read().decode(errors="replace").strip()[-2000:]
        raise ServerFailedError(f"the server of {self.name!r} did not come up; it said:\n{said}")

    def ask(self, page: str) -> tuple[int, bytes]:
        """Return the status and the body of one of its pages."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.request("GET", self._pages[page][0])
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        return answer.status, body

    def _check_pages(self) -> None:
        for page, (path, expected) in self._pages.items():
            status, body = self.ask(page)
            # Falcon writes its JSON with blanks; the meaning has to be the same.
            same = body == expected or (path == "/json" and json.loads(body) == json.loads(expected))
            if status != 200 or not same:
                raise ServerFailedError(f"{self.name!r} answered {status} {body!r} for {path}, not {expected!r}")

    def stop(self) -> None:
        """Stop the server and its worker, gently first, and wait for the end of both."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.terminate()
        # The session of the server holds only the server and its worker.
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._said.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()


def load_generator() -> Generator:
    """Return the load generator, bound to a core that the servers do not use."""
    others = [core for core in cores() if core != measuring_core()]
    return Generator.find(others[0] if others and measuring_core() is not None else None)


def measure_page(servers: Sequence[ServerProcess], page: str, generator: Generator, plan: HttpPlan) -> PageRates:
    """Load one page of every server in turns."""
    rates: dict[str, list[float]] = {server.name: [] for server in servers}
    for server in servers:
        generator.requests_per_second(server.url(page), min(1, plan.seconds))
    for _ in range(plan.rounds):
        for server in servers:
            rates[server.name].append(generator.requests_per_second(server.url(page), plan.seconds))
    shares = [ours / raw for ours, raw in zip(rates["quaff"], rates["raw"], strict=True)]
    row = PageRates(page, {name: median(values) for name, values in rates.items()}, median(shares))
    print(f"  {describe(row)}", flush=True)
    return row


def measure_sweep(python: str, contestants: Sequence[Contestant], generator: Generator, seconds: float) -> Any:
    """Load the hello page with different numbers of blocking threads."""
    sweep: dict[str, dict[str, float]] = {}
    for threads in SWEEP:
        rates = {}
        for contestant in contestants:
            with ServerProcess(python, contestant, threads) as server:
                generator.requests_per_second(server.url("hello"), 1)
                rates[contestant.name] = generator.requests_per_second(server.url("hello"), seconds)
        label = threads or "default"
        sweep[label] = rates
        figures = "  ".join(f"{name} {rate:9,.0f}/s" for name, rate in rates.items())
        print(f"  threads {label:8} {figures}", flush=True)
    return sweep


def measure(python: str, contestants: Sequence[Contestant], plan: HttpPlan) -> Result:
    """Measure both pages, then the blocking threads. Needs a contestant `quaff`; the raw function is added."""
    generator = load_generator()
    result = Result(generator.label, measuring_core() is not None)
    everyone = [RAW, *contestants]
    with ExitStack() as stack:
        servers = [stack.enter_context(ServerProcess(python, contestant)) for contestant in everyone]
        result.pages = [measure_page(servers, page, generator, plan) for page in PAGES]
    if plan.sweep_seconds:
        ours = [contestant for contestant in everyone if contestant.name in {"raw", "quaff"}]
        result.sweep = measure_sweep(python, ours, generator, plan.sweep_seconds)
    return result


def describe(row: PageRates) -> str:
    """Return the row as one line for the terminal."""
    rates = "  ".join(f"{name} {rate:9,.0f}/s" for name, rate in row.rates.items())
    return f"{row.page:6} {rates}  share {row.share:.2f}  bar {row.bar:g}: {'pass' if row.passed else 'MISSED'}"
