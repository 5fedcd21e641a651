"""What Quaff's batteries add to a request, beside what the extensions that they stand in for add to Flask.

Four processes answer each case of `battery_scenarios.py`: Flask alone, Flask with the extension, Quaff alone, Quaff with
the battery. They are timed in turns. What is added is the difference within a round; the median over the rounds counts.
Python calls are counted, not timed: they are the same on any machine.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from benchmarks.battery_scenarios import CACHED_PAGE, CALLS, CASES, TOGETHER, Case
from benchmarks.contestants import FLASK, QUAFF, ROOT, Contestant, Worker, clean_environment
from benchmarks.inprocess import UnequalAnswersError, judge_alike, judge_answer
from benchmarks.over_http import HttpPlan, ServerFailedError, ServerProcess, load_generator
from benchmarks.rounds import Plan, Ratio, compare, run_rounds
from benchmarks.scenario import PAGE, Scenario
from benchmarks.scenarios import find

TOGETHER_BAR = 0.2
"""What all batteries together may add to Quaff, as a share of a bare request to Flask."""

CACHED_BAR = 0.80
"""The rate of a cached page, as a share of Quaff's hello."""

CHUNK_BAR = 1
"""The chunks of a stream that a view may be asked for before the first one has arrived, compressed."""

SERVED = Contestant("quaff", "cached")
PAGES = {"hello": ("/", b"Hello, World!"), "cached": ("/page", PAGE)}

METHOD = (
    "Added to one call of the WSGI callable: with the extension or the battery, less without, each in a process of its own "
    "on the same core, in turns; the median over the rounds. Calls: Python calls added."
)

Key = tuple[str, bool]
"""A contestant and whether the battery is on."""

CODEC = "codec"
"""The name of a bare function that compresses, beside the contestants'."""


@dataclass(frozen=True, slots=True)
class Row:
    """What one case costs."""

    name: str
    battery: str
    title: str
    acts: bool
    bare: dict[str, float]
    """Microseconds of the request without the battery, by contestant: the best round."""

    added: dict[str, float]
    """Microseconds that the extension adds to Flask, and the battery to Quaff."""

    calls: dict[str, int]
    """Python calls that they add."""

    bar: float | None
    """For a case in which the battery acts: the share of the extension's time; otherwise calls."""

    codec: float | None = None
    """Microseconds that compressing the body takes by itself; they are in both figures of what is added."""

    kind: str = "case"

    @property
    def share(self) -> float | None:
        """What the battery adds as a share of what the extension adds; None when it does not act, or that is nothing."""
        return share_of(self.added) if self.acts else None

    @property
    def own_share(self) -> float | None:
        """The share without the codec, which nobody can save: what the bar is held against. Without a codec, the share."""
        if self.codec is None or not self.acts:
            return self.share
        return share_of({name: value - self.codec for name, value in self.added.items()})

    @property
    def passed(self) -> bool | None:
        """Whether the bar is reached; None without one."""
        if self.bar is None or (self.acts and self.own_share is None):
            return None
        return (self.own_share or 0) <= self.bar if self.acts else self.calls[QUAFF.name] <= self.bar

    def as_json(self) -> dict[str, Any]:
        """Return what the results file keeps."""
        shares = {"share": self.share, "own_share": self.own_share}
        return {**asdict(self), "title": f"{self.battery}: {self.title}", **shares, "passed": self.passed}


@dataclass(frozen=True, slots=True)
class Together:
    """What all batteries in one app add, beside a bare request to Flask."""

    title: str
    bare: dict[str, float]
    added: dict[str, float]
    calls: dict[str, int]
    bar: float = TOGETHER_BAR
    kind: str = "together"

    @property
    def share(self) -> float:
        """What is added to Quaff, as a share of Flask without any extension."""
        return self.added[QUAFF.name] / self.bare[FLASK.name]

    @property
    def passed(self) -> bool:
        """Whether the bar is reached."""
        return self.share <= self.bar

    def as_json(self) -> dict[str, Any]:
        """Return what the results file keeps."""
        return {**asdict(self), "share": self.share, "passed": self.passed}


@dataclass(frozen=True, slots=True)
class CachedPage:
    """A cached page beside Quaff's hello."""

    where: str
    share: Ratio
    bar: float = CACHED_BAR
    kind: str = "cached"

    @property
    def passed(self) -> bool:
        """Whether the bar is reached."""
        return self.share.median >= self.bar

    def as_json(self) -> dict[str, Any]:
        """Return what the results file keeps."""
        return {**asdict(self), "title": f"a cached page, {self.where}", "passed": self.passed}


@dataclass(frozen=True, slots=True)
class FirstChunk:
    """How many chunks a view is asked for until the first one has arrived, compressed."""

    contestant: str
    encoding: str
    chunks: int
    bar: int | None
    kind: str = "stream"

    @property
    def passed(self) -> bool | None:
        """Whether it arrives at once; None for Flask, which is there for information."""
        return None if self.bar is None else self.chunks <= self.bar

    def as_json(self) -> dict[str, Any]:
        """Return what the results file keeps."""
        title = f"first chunk of a stream, {self.encoding}, {self.contestant}"
        return {**asdict(self), "title": title, "passed": self.passed}


def share_of(added: Mapping[str, float]) -> float | None:
    """Return Quaff's part over Flask's; None when Flask's is nothing, so that there is nothing to have a share of."""
    theirs = added[FLASK.name]
    return max(added[QUAFF.name], 0.0) / theirs if theirs > 0 else None


def check_answers(case: Case, workers: Mapping[Key, Worker]) -> None:
    """Raise `UnequalAnswersError` unless everybody does the work, and the same, with and without the battery."""
    problems = []
    for on in (True, False):
        scenario = case.scenario(on)
        answers = {who: workers[who, on].answer for who in (FLASK.name, QUAFF.name)}
        problems += [judge_answer(scenario, answer, who) for who, answer in answers.items()]
        difference = judge_alike(
            answers[FLASK.name], answers[QUAFF.name], scenario.compared, same_body=scenario.same_body
        )
        problems.append(difference and f"{'with' if on else 'without'} it, flask and quaff differ: {difference}")
    found = [problem for problem in problems if problem]
    if found:
        raise UnequalAnswersError(f"{case.name}: {'; '.join(found)[:600]}")


def count_calls(python: str, contestant: Contestant, scenario: Scenario) -> int:
    """Return the Python calls of one warm request, counted in a process of its own."""
    said = ask(python, contestant, "benchmarks.profile", scenario.name, "--framework", contestant.module)
    return int(said.splitlines()[-1].split()[0])


def ask(python: str, contestant: Contestant, *command: str) -> str:
    """Run a module for a contestant and return what it prints.

    :raises RuntimeError: when it fails, with its last words.
    """
    done = subprocess.run(
        [python, "-m", *command],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env=clean_environment(contestant.environment),
    )
    if done.returncode:
        said = done.stderr.strip()[-1500:]
        raise RuntimeError(f"{' '.join(command)}: {said.splitlines()[-1] if said else 'it failed'}\n{said}")
    return done.stdout


@dataclass(frozen=True, slots=True)
class Cost:
    """What a case costs, by contestant."""

    bare: dict[str, float]
    added: dict[str, float]
    calls: dict[str, int]
    codec: float | None


def measure_cost(python: str, case: Case, plan: Plan) -> Cost:
    """Check, time and count one case."""
    with ExitStack() as stack:
        workers = {
            (contestant.name, on): stack.enter_context(Worker(python, contestant, case.scenario(on).name))
            for contestant in (FLASK, QUAFF)
            for on in (False, True)
        }
        check_answers(case, workers)
        if case.codec:
            for on in (False, True):
                workers[CODEC, on] = stack.enter_context(Worker(python, QUAFF, case.codec_scenario(on).name))
        figures = run_rounds({key: worker.time for key, worker in workers.items()}, plan)
    added = {name: median_difference(figures[name, True], figures[name, False]) for name, on in workers if on}
    calls = {
        contestant.name: count_calls(python, contestant, case.scenario(True))
        - count_calls(python, contestant, case.scenario(False))
        for contestant in (FLASK, QUAFF)
    }
    bare = {name: min(figures[name, False]) for name in calls}
    return Cost(bare, {name: added[name] for name in calls}, calls, added.get(CODEC))


def median_difference(with_it: Sequence[float], without: Sequence[float]) -> float:
    """Return how much more the one took than the other: the median over the rounds."""
    return median(one - other for one, other in zip(with_it, without, strict=True))


def measure_case(python: str, case: Case, plan: Plan) -> Row:
    """Measure one case."""
    cost = measure_cost(python, case, plan)
    bar = case.bar if case.acts else CALLS
    return Row(case.name, case.battery, case.title, case.acts, cost.bare, cost.added, cost.calls, bar, cost.codec)


def measure_together(python: str, plan: Plan) -> Together:
    """Measure all batteries in one app."""
    cost = measure_cost(python, TOGETHER, plan)
    return Together(TOGETHER.title, cost.bare, cost.added, cost.calls)


def measure_cached(python: str, plan: Plan) -> CachedPage:
    """Time a cached page and Quaff's hello in turns, in process."""
    scenarios = {"hello": find("hello"), "cached": CACHED_PAGE}
    with ExitStack() as stack:
        workers = {name: stack.enter_context(Worker(python, QUAFF, row.name)) for name, row in scenarios.items()}
        wrong = [judge_answer(scenarios[name], worker.answer, name) for name, worker in workers.items()]
        if any(wrong):
            raise UnequalAnswersError("".join(wrong)[:400])
        figures = run_rounds({name: worker.time for name, worker in workers.items()}, plan)
    return CachedPage("in process", compare(figures["hello"], figures["cached"]))


def measure_served(python: str, plan: HttpPlan) -> CachedPage:
    """Load a cached page and the hello page of one server in turns."""
    generator = load_generator()
    rates: dict[str, list[float]] = {page: [] for page in PAGES}
    with ServerProcess(python, SERVED, pages=PAGES) as server:
        for page in PAGES:
            generator.requests_per_second(server.url(page), min(1, plan.seconds))
        for _ in range(plan.rounds):
            for page in PAGES:
                rates[page].append(generator.requests_per_second(server.url(page), plan.seconds))
    return CachedPage("over HTTP", compare(rates["cached"], rates["hello"]))


def measure_streams(python: str) -> list[FirstChunk]:
    """Let each framework send a stream in every encoding and see when the first chunk arrives."""
    rows = []
    for contestant, bar in ((FLASK, None), (QUAFF, CHUNK_BAR)):
        found: dict[str, int] = json.loads(ask(python, contestant, "benchmarks.battery_stream", contestant.module))
        rows += [FirstChunk(contestant.name, encoding, chunks, bar) for encoding, chunks in found.items()]
    return rows


Line = Row | Together | CachedPage | FirstChunk


def measure(python: str, plan: Plan, http_plan: HttpPlan, only: Collection[str] = ()) -> tuple[list[Line], list[str]]:
    """Measure all cases, or those of the batteries called *only*; return the rows and what could not be measured."""
    steps: dict[str, Any] = {
        case.name: lambda case=case: [measure_case(python, case, plan)]
        for case in CASES.values()
        if not only or case.battery.lower() in only
    }
    if not only:
        steps[TOGETHER.name] = lambda: [measure_together(python, plan)]
    if not only or "cache" in only:
        steps["cached page in process"] = lambda: [measure_cached(python, plan)]
        steps["cached page over HTTP"] = lambda: [measure_served(python, http_plan)]
    if not only or "compress" in only:
        steps["first chunk of a stream"] = lambda: measure_streams(python)
    return take_steps(steps)


def take_steps(steps: Mapping[str, Any]) -> tuple[list[Line], list[str]]:
    """Take one step after the other. One that fails costs only its own rows."""
    rows: list[Line] = []
    failures = []
    for name, step in steps.items():
        try:
            found = step()
        except (RuntimeError, ServerFailedError) as error:
            failures.append(f"{name}: {error}")
            print(f"  {name:20} FAILED: {str(error).splitlines()[0]}", flush=True)
            continue
        rows += found
        for row in found:
            print(f"  {name:20} {describe(row)}", flush=True)
    return rows, failures


def describe(row: Line) -> str:
    """Return a row as one line for the terminal."""
    if isinstance(row, FirstChunk):
        text = f"{row.contestant:6} {row.encoding:8} after {row.chunks} chunks"
    elif isinstance(row, CachedPage):
        text = f"{row.where}: share of hello {row.share.median:.2f}"
    else:
        added = "  ".join(f"{name} {value:+8.2f} us {row.calls[name]:+4} calls" for name, value in row.added.items())
        share = "" if row.share is None else f"  share {row.share:.3f}"
        text = f"{added}{share}"
        if isinstance(row, Row) and row.codec is not None and row.own_share is not None:
            text += f"  codec {row.codec:.2f} us, without it {row.own_share:.3f}"
    bar = "" if row.bar is None else f"  bar {row.bar:g}: {'pass' if row.passed else 'MISSED'}"
    return text + bar
