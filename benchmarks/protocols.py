"""Measures the app on an event loop: async and sync views, WebSockets, and what idle connections cost.

The server has one core and the load another, as in `over_http.py`. All servers of a part stay up, idle, while the load
visits them in turns, and what counts is the median of the rounds' ratios. The apps are in `async_apps.py`, how they are
served in `async_serve.py`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any, Protocol

from benchmarks import environment, idle
from benchmarks.contestants import Contestant, cores, measuring_core
from benchmarks.echo_load import EchoLoad
from benchmarks.idle import KINDS, Memory, measure_memory
from benchmarks.load import Generator, LoadError
from benchmarks.over_http import ServerFailedError, ServerProcess, load_generator
from benchmarks.rounds import Ratio, compare

SERVERS = {"rsgi": "Granian, RSGI", "asgi": "Granian, ASGI", "uvicorn": "uvicorn", "own": "its own", "http1": "its own"}
HELLO = b"Hello, World!"


@dataclass(frozen=True, slots=True)
class Entry:
    """Who takes part, under the name that it has in the report, and what serves it."""

    name: str
    app: str
    """Its app is `async_apps.APP_app`."""

    server: str
    """One of `SERVERS`."""

    @property
    def is_peer(self) -> bool:
        """Whether there is still something to tell without it."""
        return self.app not in {"raw", "quaff"}

    @property
    def label(self) -> str:
        """Its name and its server."""
        return f"{self.name} ({SERVERS[self.server]})"


RAW = Entry("Raw handler", "raw", "rsgi")
QUAFF = Entry("Quaff", "quaff", "rsgi")
QUAFF_HTTP1 = Entry("Quaff", "quaff", "http1")
EMMETT = Entry("Emmett55", "emmett55", "rsgi")
BLACKSHEEP = Entry("BlackSheep", "blacksheep", "asgi")
LITESTAR = Entry("Litestar", "litestar", "asgi")
FASTAPI = Entry("FastAPI", "fastapi", "uvicorn")
SANIC = Entry("Sanic", "sanic", "own")
ROBYN = Entry("Robyn", "robyn", "own")
STARLETTE = Entry("Starlette", "starlette", "asgi")
STARLETTE_UVICORN = Entry("Starlette", "starlette", "uvicorn")


@dataclass(frozen=True, slots=True)
class Part:
    """One thing that is measured as a rate."""

    name: str
    title: str
    path: str
    unit: str
    bars: Mapping[Entry, float | None]
    """How many times as fast as each contestant Quaff has to be; None for those who are there for comparison."""

    ours: Entry = QUAFF
    """Quaff on the server that the others are held against: where the bar names none, the one that it chooses itself."""

    @property
    def entries(self) -> list[Entry]:
        """Everybody, in the order of the report."""
        others = [entry for entry in self.bars if entry != RAW]
        return [RAW, self.ours, *others] if RAW in self.bars else [self.ours, *others]

    @property
    def pages(self) -> dict[str, tuple[str, bytes]]:
        """What a server must answer before it is measured; the client for WebSockets looks at every answer itself."""
        return {} if self.name == "echo" else {self.name: (self.path, HELLO)}


PEERS = (EMMETT, BLACKSHEEP, LITESTAR, FASTAPI, SANIC, ROBYN)
PARTS = (
    Part("hello", "async hello", "/", "requests", {RAW: 0.75, **dict.fromkeys(PEERS, 1.0), QUAFF_HTTP1: None}),
    Part(
        "sync", "sync view on a loop", "/sync", "requests", {STARLETTE: 1.0, STARLETTE_UVICORN: None, QUAFF_HTTP1: None}
    ),
    Part("echo", "WebSocket echo", "/ws", "messages", {RAW: None, FASTAPI: 1.5, QUAFF: None}, QUAFF_HTTP1),
)
NAMES = (*(part.name for part in PARTS), "idle")
"""What can be measured alone."""


@dataclass(frozen=True, slots=True)
class ProtocolPlan:
    """How long to load, and how many connections to leave idle."""

    rounds: int = 5
    seconds: float = 3
    connections: int = 5000

    @classmethod
    def quick(cls) -> ProtocolPlan:
        """Return a plan for a first look."""
        return cls(rounds=2, seconds=1, connections=500)


@dataclass(frozen=True, slots=True)
class Line:
    """One contestant's figures."""

    name: str
    server: str
    rate: float
    """The median of the rounds, a second."""

    ratio: Ratio | None
    """How many times as fast Quaff is; None for Quaff itself."""

    bar: float | None

    @property
    def passed(self) -> bool | None:
        """Whether Quaff reaches the bar; None without one."""
        return None if self.bar is None or self.ratio is None else self.ratio.median >= self.bar

    def as_json(self) -> dict[str, Any]:
        """Return what the results file keeps."""
        return {**asdict(self), "passed": self.passed}


@dataclass(frozen=True, slots=True)
class Rates:
    """What came of a part."""

    part: Part
    load: str
    lines: list[Line]

    @property
    def passed(self) -> bool:
        """Whether Quaff reaches every bar."""
        return all(line.passed is not False for line in self.lines)

    def as_json(self) -> dict[str, Any]:
        """Return what the results file keeps."""
        return {
            "name": self.part.name,
            "title": self.part.title,
            "unit": self.part.unit,
            "load": self.load,
            "lines": [line.as_json() for line in self.lines],
            "passed": self.passed,
        }


@dataclass(slots=True)
class Result:
    """The protocol part of the report."""

    loop: str
    pinned: bool
    rates: list[Rates] = field(default_factory=list)
    memory: list[Memory] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    """Who or what could not be measured, and why."""

    def note_failure(self, what: str, error: Exception) -> None:
        """Go on without a whole part."""
        self.failures.append(f"{what}: {reason(error)}")
        print(f"  {what:20} FAILED: {reason(error)}", flush=True)

    def as_json(self) -> dict[str, Any]:
        """Return what the results file keeps."""
        return {
            "loop": self.loop,
            "pinned": self.pinned,
            "rows": [row.as_json() for row in self.rates],
            "memory": [row.as_json() for row in self.memory],
            "failures": self.failures,
        }


# The load -----------------------------------------------------------------------------------------------------------


class Load(Protocol):
    """What makes the load of a part."""

    @property
    def label(self) -> str:
        """What the report says about it."""

    def rate(self, server: ServerProcess, part: Part, seconds: float) -> float:
        """Return how many requests or messages *server* answers a second."""


@dataclass(frozen=True, slots=True)
class HttpLoad:
    """`wrk`, or the client that stands in for it."""

    generator: Generator

    @property
    def label(self) -> str:
        """What the report says about it."""
        return self.generator.label

    def rate(self, server: ServerProcess, part: Part, seconds: float) -> float:
        """Return the requests a second."""
        return self.generator.requests_per_second(server.url(part.name), seconds)


@dataclass(frozen=True, slots=True)
class SocketLoad:
    """The client for WebSockets."""

    client: EchoLoad

    @property
    def label(self) -> str:
        """What the report says about it."""
        return self.client.label

    def rate(self, server: ServerProcess, part: Part, seconds: float) -> float:
        """Return the messages a second."""
        return self.client.messages_per_second(server.port, part.path, seconds)


def load_core() -> int | None:
    """Return a core that the servers do not use; None where there is only theirs."""
    others = [core for core in cores() if core != measuring_core()]
    return others[0] if others and measuring_core() is not None else None


def load_for(part: Part) -> Load:
    """Return what loads *part*."""
    return SocketLoad(EchoLoad(load_core())) if part.name == "echo" else HttpLoad(load_generator())


# Rates --------------------------------------------------------------------------------------------------------------


def reason(error: Exception) -> str:
    """Return the line of an error that says what was wrong: the last, for a program's output comes before it."""
    return (str(error).strip().splitlines() or [type(error).__name__])[-1].strip()


def start(python: str, entry: Entry, pages: Mapping[str, tuple[str, bytes]]) -> ServerProcess:
    """Start the server of *entry*; `ServerFailedError` unless it comes up and answers *pages* rightly."""
    contestant = Contestant(entry.label, entry.app)
    return ServerProcess(python, contestant, entry.server, program="benchmarks.async_serve", pages=pages)


@dataclass(slots=True)
class Field:
    """Who is still in the race, with the rates of the rounds so far, and who had to be left out."""

    servers: dict[Entry, ServerProcess] = field(default_factory=dict)
    figures: dict[Entry, list[float]] = field(default_factory=dict)
    absent: list[str] = field(default_factory=list)

    def leave_out(self, entry: Entry, error: Exception) -> None:
        """Go on without a peer; without one of ours there is nothing to compare, so its *error* is raised."""
        if not entry.is_peer:
            raise error
        self.servers.pop(entry, None)
        self.figures.pop(entry, None)
        self.absent.append(f"{entry.label}: {reason(error)}")
        print(f"  {entry.label:28} NOT MEASURED: {reason(error)}", flush=True)

    def visit(self, entry: Entry, part: Part, load: Load, seconds: float) -> float | None:
        """Load one server; None when it fails under the load and is left out for it."""
        try:
            return load.rate(self.servers[entry], part, seconds)
        except LoadError as error:
            self.leave_out(entry, error)
            return None


def start_all(python: str, part: Part, entries: Sequence[Entry], stack: ExitStack) -> Field:
    """Start the servers of *part*; they stop with *stack*."""
    race = Field()
    for entry in entries:
        try:
            race.servers[entry] = stack.enter_context(start(python, entry, part.pages))
        except ServerFailedError as error:
            race.leave_out(entry, error)
    return race


def run_part(race: Field, part: Part, load: Load, plan: ProtocolPlan) -> None:
    """Load the servers in turns, after a warm-up; the order turns by one each round, as in `rounds.py`."""
    for entry in list(race.servers):
        race.visit(entry, part, load, min(1, plan.seconds))
    race.figures = {entry: [] for entry in race.servers}
    order = list(race.servers)
    for _ in range(plan.rounds):
        for entry in order:
            rate = race.visit(entry, part, load, plan.seconds) if entry in race.servers else None
            if rate is not None:
                race.figures[entry].append(rate)
        order.append(order.pop(0))


def lines_of(part: Part, figures: Mapping[Entry, Sequence[float]]) -> list[Line]:
    """Hold Quaff's rates against everybody else's, round by round."""
    ours = figures[part.ours]
    return [
        Line(
            entry.name,
            SERVERS[entry.server],
            median(rates),
            None if entry == part.ours else compare(ours, rates),
            part.bars.get(entry),
        )
        for entry, rates in figures.items()
    ]


def measure_part(
    python: str, part: Part, plan: ProtocolPlan, load: Load, entries: Sequence[Entry] = ()
) -> tuple[Rates, list[str]]:
    """Measure one part; return its rates, and who had to be left out and why. *entries* default to all of the part's."""
    with ExitStack() as stack:
        race = start_all(python, part, entries or part.entries, stack)
        run_part(race, part, load, plan)
    rates = Rates(part, load.label, lines_of(part, race.figures))
    for line in rates.lines:
        print(f"  {describe(line, part)}", flush=True)
    return rates, race.absent


def describe(line: Line, part: Part) -> str:
    """Return a line for the terminal."""
    text = f"{part.title:20} {line.name:12} {line.server:14} {line.rate:10,.0f} {part.unit}/s"
    if line.ratio is not None:
        text += f"  Quaff {line.ratio.median:.2f} times"
    if line.bar is not None:
        text += f"  bar {line.bar:g}: {'pass' if line.passed else 'MISSED'}"
    return text


# Memory -------------------------------------------------------------------------------------------------------------


def measure_idle(python: str, kind: str, entry: Entry, count: int) -> Memory:
    """Measure what each of *count* idle connections costs a server that was started for them."""
    with start(python, entry, {}) as server:
        kilobytes = measure_memory(server.port, server.group, kind, count, load_core())
    row = Memory(entry.name, kind, count, kilobytes, idle.BAR if entry == QUAFF_HTTP1 else None)
    verdict = "" if row.bar is None else f"  bar {row.bar:g}: {'pass' if row.passed else 'MISSED'}"
    print(f"  {row.title:34} {count:6,} connections  {kilobytes:6.1f} KB each{verdict}", flush=True)
    return row


def measure_all_idle(python: str, count: int, result: Result) -> None:
    """Measure both kinds of idle connections, of Quaff and of the server alone, and add them to *result*."""
    for kind in KINDS:
        for entry in (QUAFF_HTTP1, RAW):
            try:
                result.memory.append(measure_idle(python, kind, entry, count))
            except (ServerFailedError, LoadError) as error:
                result.note_failure(f"idle {KINDS[kind]}, {entry.name}", error)


def measure(python: str, plan: ProtocolPlan, names: Collection[str] = ()) -> Result:
    """Measure the parts called *names*, all of them without any. What fails is noted, and the others go on."""
    uvloop = environment.ask(python)["packages"]["uvloop"]
    result = Result(f"uvloop {uvloop}" if uvloop else "asyncio's own loop", measuring_core() is not None)
    for part in [part for part in PARTS if not names or part.name in names]:
        try:
            rates, absent = measure_part(python, part, plan, load_for(part))
        except (ServerFailedError, LoadError) as error:
            result.note_failure(part.title, error)
            continue
        result.rates.append(rates)
        result.failures += [f"{part.title}: {line}" for line in absent]
    if not names or "idle" in names:
        measure_all_idle(python, plan.connections, result)
    return result
