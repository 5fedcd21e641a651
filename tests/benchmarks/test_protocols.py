"""The protocol measurements: bars as they were promised, everybody in turns, and nobody silently left out."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from typing import Any, cast

import pytest

from benchmarks import protocols
from benchmarks.echo_load import EchoLoad
from benchmarks.idle import Memory
from benchmarks.load import Generator, LoadError
from benchmarks.over_http import ServerFailedError, ServerProcess
from benchmarks.protocols import (
    FASTAPI,
    PARTS,
    PEERS,
    QUAFF,
    QUAFF_HTTP1,
    RAW,
    STARLETTE,
    STARLETTE_UVICORN,
    Entry,
    Field,
    HttpLoad,
    Line,
    Part,
    ProtocolPlan,
    Rates,
    SocketLoad,
)
from benchmarks.rounds import Ratio

HELLO, SYNC, ECHO = PARTS
SHORT = ProtocolPlan(rounds=2, seconds=0.2, connections=20)
NOBODY = Entry("Nobody", "no_such_framework", "asgi")


class Written:
    """A load with written figures: each entry's rates, one after the other; a text instead of a rate is an error."""

    label = "written"

    def __init__(self, figures: dict[str, list[float | str]]) -> None:
        self.figures, self.visits = figures, cast("list[str]", [])

    def rate(self, server: Any, part: Part, seconds: float) -> float:
        self.visits.append(server)
        value = self.figures[server].pop(0)
        if isinstance(value, str):
            raise LoadError(value)
        return value


def race_of(*entries: Entry) -> Field:
    """Return a race whose servers are the names of their apps."""
    return Field(servers=cast("dict[Entry, ServerProcess]", {entry: entry.app for entry in entries}))


def test_the_bars_are_those_that_were_promised() -> None:
    """75 % of the raw handler and ahead of six frameworks; not slower than Starlette; 1.5 times FastAPI."""
    assert HELLO.bars[RAW] == 0.75
    assert {entry.name for entry in PEERS} == {"BlackSheep", "Emmett55", "FastAPI", "Litestar", "Robyn", "Sanic"}
    assert [HELLO.bars[entry] for entry in PEERS] == [1.0] * 6
    assert SYNC.bars == {STARLETTE: 1.0, STARLETTE_UVICORN: None, QUAFF_HTTP1: None}
    assert ECHO.bars == {RAW: None, FASTAPI: 1.5, QUAFF: None}
    assert (HELLO.ours, SYNC.ours, ECHO.ours) == (QUAFF, QUAFF, QUAFF_HTTP1), "the server that the bar or `quaff` names"
    assert protocols.NAMES == ("hello", "sync", "echo", "idle")


def test_everybody_takes_part_once() -> None:
    """The raw handler first where it takes part, then Quaff, then those with whom it is compared."""
    assert HELLO.entries == [RAW, QUAFF, *PEERS, QUAFF_HTTP1]
    assert SYNC.entries == [QUAFF, STARLETTE, STARLETTE_UVICORN, QUAFF_HTTP1]
    assert ECHO.entries == [RAW, QUAFF_HTTP1, FASTAPI, QUAFF]


def test_an_entry_is_called_by_name_and_server() -> None:
    """The same framework may take part on two servers."""
    assert (STARLETTE.label, STARLETTE_UVICORN.label) == ("Starlette (Granian, ASGI)", "Starlette (uvicorn)")
    assert [entry.is_peer for entry in (RAW, QUAFF, FASTAPI)] == [False, False, True]


def test_a_server_has_to_answer_the_page_of_the_part() -> None:
    """Before it is measured; of the WebSocket the client sees every answer."""
    assert HELLO.pages == {"hello": ("/", b"Hello, World!")}
    assert SYNC.pages == {"sync": ("/sync", b"Hello, World!")}
    assert ECHO.pages == {}


def test_the_servers_take_turns() -> None:
    """After a warm-up that does not count, each is visited once a round, and the order turns."""
    load = Written({"raw": [1, 100, 110], "quaff": [1, 90, 99]})
    race = race_of(RAW, QUAFF)
    protocols.run_part(race, HELLO, load, SHORT)
    assert load.visits == ["raw", "quaff", "raw", "quaff", "quaff", "raw"]
    assert race.figures == {RAW: [100, 110], QUAFF: [90, 99]}
    assert race.absent == []


@pytest.mark.parametrize(
    "rates", [["too slow"], [5, "too slow"], [5, 6, "too slow"]], ids=["at once", "first", "second"]
)
def test_a_peer_that_fails_is_left_out_with_its_reason(rates: list[float | str]) -> None:
    """Whenever it fails, nothing is left of its rates, and the others go on."""
    load = Written({"quaff": [1, 90, 99], "fastapi": rates})
    race = race_of(QUAFF, FASTAPI)
    protocols.run_part(race, HELLO, load, SHORT)
    assert race.figures == {QUAFF: [90, 99]}
    assert race.absent == ["FastAPI (uvicorn): too slow"]


def test_nothing_is_measured_without_quaff() -> None:
    """When Quaff or the raw handler fails, there is nothing to compare with."""
    with pytest.raises(LoadError, match="broken"):
        protocols.run_part(race_of(QUAFF, FASTAPI), HELLO, Written({"quaff": ["broken"]}), SHORT)


def test_a_peer_that_does_not_start_is_left_out_with_its_reason() -> None:
    """The reason is what its server said."""
    with ExitStack() as stack:
        race = protocols.start_all(sys.executable, HELLO, [NOBODY], stack)
    assert race.servers == {}
    assert race.absent == ["Nobody (Granian, ASGI): no_such_framework is not installed"]


def test_the_reason_is_the_last_line() -> None:
    """What a program said ends with its error; an error without a word has its type."""
    assert protocols.reason(ServerFailedError("it said:\nTraceback\n  line\nValueError: no\n")) == "ValueError: no"
    assert protocols.reason(LoadError()) == "LoadError"


def test_the_ratio_is_the_median_of_the_rounds() -> None:
    """Quaff over the other in each round, not the medians over each other."""
    figures = {RAW: [100.0, 200.0, 400.0], QUAFF: [90.0, 100.0, 360.0], FASTAPI: [10.0, 10.0, 10.0]}
    raw, quaff, fastapi = protocols.lines_of(HELLO, figures)
    assert (raw.name, raw.server, raw.rate) == ("Raw handler", "Granian, RSGI", 200)
    assert raw.ratio is not None
    assert raw.ratio.median == 0.9
    assert (raw.bar, raw.passed) == (0.75, True)
    assert (quaff.rate, quaff.ratio, quaff.bar, quaff.passed) == (100, None, None, None)
    assert (fastapi.bar, fastapi.passed) == (1.0, True)


@pytest.mark.parametrize("median, passed", [(1.5, True), (1.49, False)])
def test_a_bar_is_reached_or_missed(median: float, passed: bool) -> None:
    """One missed bar is a missed part; who has no bar decides nothing."""
    missed = Line("FastAPI", "uvicorn", 1000, Ratio(median, 1.0, 2.0), 1.5)
    for_comparison = Line("Raw handler", "Granian, RSGI", 9000, Ratio(0.1, 0.1, 0.1), None)
    assert (missed.passed, for_comparison.passed) == (passed, None)
    assert Rates(ECHO, "written", [for_comparison, missed]).passed is passed
    words = protocols.describe(missed, ECHO)
    assert words.startswith("WebSocket echo       FastAPI      uvicorn             1,000 messages/s")
    assert words.endswith(f"bar 1.5: {'pass' if passed else 'MISSED'}")


def test_hello_is_measured_in_a_short_round() -> None:
    """From the servers to the figures: the raw handler, Quaff, and one who is not installed."""
    load = HttpLoad(Generator(None, None, connections=2))
    rates, absent = protocols.measure_part(sys.executable, HELLO, SHORT, load, [RAW, QUAFF, NOBODY])
    assert [line.name for line in rates.lines] == ["Raw handler", "Quaff"]
    assert all(line.rate > 10 for line in rates.lines)
    assert absent == ["Nobody (Granian, ASGI): no_such_framework is not installed"]
    kept = rates.as_json()
    assert (kept["name"], kept["unit"]) == ("hello", "requests")
    assert kept["load"] == "the built-in client, 2 connections"
    assert kept["lines"][0]["ratio"]["median"] > 0


def test_the_echo_is_measured_in_a_short_round() -> None:
    """The same over WebSockets; the report says how busy the client was."""
    load = SocketLoad(EchoLoad(None, connections=2))
    rates, absent = protocols.measure_part(sys.executable, ECHO, SHORT, load, [RAW, QUAFF_HTTP1])
    assert [line.name for line in rates.lines] == ["Raw handler", "Quaff"]
    assert all(line.rate > 10 for line in rates.lines)
    assert absent == []
    assert "2 connections, busy for at most" in rates.load


def test_each_part_has_its_load() -> None:
    """WebSockets have a client of their own; everything else is loaded as over HTTP."""
    assert isinstance(protocols.load_for(ECHO), SocketLoad)
    assert isinstance(protocols.load_for(HELLO), HttpLoad)


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let nothing be measured really; give the list of what would have been."""
    asked: list[str] = []

    def measure_part(python: str, part: Part, plan: ProtocolPlan, load: Any) -> tuple[Rates, list[str]]:
        asked.append(part.name)
        if part is SYNC:
            raise ServerFailedError("it said:\nno sync")
        return Rates(part, "written", []), ["Sanic (its own): no"]

    def measure_idle(python: str, kind: str, entry: Entry, count: int) -> Memory:
        asked.append(f"{kind} {entry.app}")
        if entry == RAW:
            raise LoadError("no memory")
        return Memory(entry.name, kind, count, 5.0, 12.0)

    monkeypatch.setattr(protocols, "measure_part", measure_part)
    monkeypatch.setattr(protocols, "measure_idle", measure_idle)
    return asked


def test_everything_is_measured_and_what_fails_is_noted(written: list[str]) -> None:
    """A part that fails does not take the others along; the loop that was used is told."""
    result = protocols.measure(sys.executable, SHORT)
    assert written == ["hello", "sync", "echo", "websockets quaff", "websockets raw", "events quaff", "events raw"]
    assert result.failures == [
        "async hello: Sanic (its own): no",
        "sync view on a loop: no sync",
        "WebSocket echo: Sanic (its own): no",
        "idle WebSockets, Raw handler: no memory",
        "idle event streams, Raw handler: no memory",
    ]
    kept = result.as_json()
    assert [row["title"] for row in kept["rows"]] == ["async hello", "WebSocket echo"]
    assert [row["title"] for row in kept["memory"]] == ["idle WebSockets, Quaff", "idle event streams, Quaff"]
    assert kept["loop"].startswith(("uvloop", "asyncio"))


@pytest.mark.parametrize("names, asked", [(["echo"], ["echo"]), (["idle"], 4), (["hello", "echo"], ["hello", "echo"])])
def test_parts_are_measured_alone(written: list[str], names: list[str], asked: list[str] | int) -> None:
    """What was not asked for is not measured."""
    protocols.measure(sys.executable, SHORT, names)
    assert written == asked or len(written) == asked


def test_a_quick_plan_is_short() -> None:
    """A first look takes less of everything."""
    quick, plan = ProtocolPlan.quick(), ProtocolPlan()
    assert (plan.rounds, plan.seconds, plan.connections) == (5, 3, 5000)
    assert quick.rounds * quick.seconds < plan.rounds * plan.seconds / 5
    assert quick.connections < plan.connections
