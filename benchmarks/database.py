"""Pages on a database: Quaff with its SQLAlchemy battery against Flask with Flask-SQLAlchemy, and SQLAlchemy alone.

Each contestant has a process and a database of its own, made by the same program, and the settings that its library gives
it by default; SQLAlchemy and the driver are the same. Every page is measured in turns, once over HTTP, which is what the
bars are stated for, and once as a call of the WSGI callable. There a bare function does the same work with SQLAlchemy alone:
what Quaff takes beyond that is Quaff's.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from typing import Any

from benchmarks import batteries, database_apps
from benchmarks.contestants import FLASK, QUAFF, Contestant, Worker
from benchmarks.database_scenarios import PAGES, Page
from benchmarks.database_servers import databases
from benchmarks.inprocess import UnequalAnswersError, judge_alike
from benchmarks.load import Generator
from benchmarks.over_http import HttpPlan, ServerFailedError, ServerProcess, load_generator
from benchmarks.rounds import Plan, Ratio, compare, run_rounds

BARE = Contestant("bare", "bare")
METHOD = (
    "Every contestant has its own process and its own database with the same rows. Requests a second on Granian, one "
    "worker; microseconds of one call of the WSGI callable: the best round. Ratios: the median of the rounds. SQLAlchemy "
    "alone: a bare function with the same queries, JSON and template; Quaff's own: what a call takes beyond it, as a share."
)


@dataclass(frozen=True, slots=True)
class Row:
    """One page on one database."""

    title: str
    page: str
    database: str
    microseconds: dict[str, float]
    ratio: Ratio
    """Flask's time over Quaff's, of one call."""

    beyond: Ratio
    """SQLAlchemy's time alone over Quaff's, of one call."""

    rates: dict[str, float]
    http: Ratio
    """Quaff's requests a second over Flask's."""

    bar: float
    own_bar: float | None

    @property
    def own(self) -> float:
        """What Quaff takes beyond SQLAlchemy alone, as a share of its request; below nothing where it takes less."""
        return 1 - self.beyond.median

    @property
    def passed(self) -> bool:
        """Whether Quaff is fast enough, and little of the request is its own."""
        return self.http.median >= self.bar and (self.own_bar is None or self.own <= self.own_bar)

    def as_json(self) -> dict[str, Any]:
        """Return what the results file keeps."""
        return {**asdict(self), "title": f"{self.database}: {self.title}", "own": self.own, "passed": self.passed}


class DatabaseServer(ServerProcess):
    """A server whose pages hold numbers drawn at random: it is up when they are answered."""

    def _check_pages(self) -> None:
        for page in self._pages:
            status, body = self.ask(page)
            if status != 200 or not body:
                raise ServerFailedError(f"{self.name!r} answered {status} {body[:200]!r} for {page}")


def on(contestant: Contestant, url: str) -> Contestant:
    """Return a contestant that uses the database at *url*."""
    return replace(contestant, environment={**contestant.environment, database_apps.DATABASE: url})


def make_databases(python: str, start: str) -> dict[str, Contestant]:
    """Make a database for each contestant; return the contestants by name."""
    suffix = ".db" if start.startswith("sqlite") else ""
    made = {}
    for contestant in (FLASK, QUAFF, BARE):
        url = f"{start}{contestant.name}{suffix}"
        batteries.ask(python, contestant, "benchmarks.database_apps", url)
        made[contestant.name] = on(contestant, url)
    return made


def time_calls(python: str, page: Page, contestants: Mapping[str, Contestant], plan: Plan) -> dict[str, list[float]]:
    """Check that all answer alike, and time them in turns."""
    with ExitStack() as stack:
        # `worker.py` builds the bare function where it is told `falcon`.
        taking_part = {
            name: replace(who, module="falcon") if name == "bare" else who for name, who in contestants.items()
        }
        workers = {
            name: stack.enter_context(Worker(python, who, page.scenario.name)) for name, who in taking_part.items()
        }
        flask = workers["flask"].answer
        wrong = [judge_alike(flask, workers[name].answer, ("content-type",)) for name in ("quaff", "bare")]
        if flask.status != 200 or any(wrong):
            raise UnequalAnswersError(f"{page.name}: status {flask.status}; {'; '.join(filter(None, wrong))[:500]}")
        return run_rounds({name: worker.time for name, worker in workers.items()}, plan)


def load_page(
    servers: Mapping[str, DatabaseServer], page: Page, generator: Generator, plan: HttpPlan
) -> dict[str, Any]:
    """Load one page of every server in turns; return the rates, round by round."""
    rates: dict[str, list[float]] = {name: [] for name in servers}
    for server in servers.values():
        generator.requests_per_second(server.url(page.name), min(1, plan.seconds))
    for _ in range(plan.rounds):
        for name, server in servers.items():
            rates[name].append(generator.requests_per_second(server.url(page.name), plan.seconds))
    return rates


def measure_database(
    python: str, kind: str, start: str, plan: Plan, http_plan: HttpPlan, pages: Collection[Page]
) -> tuple[list[Row], list[str]]:
    """Measure the pages on one database; one that fails costs only its own row."""
    contestants = make_databases(python, start)
    paths = {page.name: (page.path, b"") for page in pages}
    generator = load_generator()
    rows, failures = [], []
    with ExitStack() as stack:
        servers = {
            name: stack.enter_context(
                DatabaseServer(python, replace(contestants[name], module=f"database_{name}"), pages=paths)
            )
            for name in ("flask", "quaff")
        }
        for page in pages:
            try:
                figures = time_calls(python, page, contestants, plan)
                rates = load_page(servers, page, generator, http_plan)
            except RuntimeError as error:
                failures.append(f"{kind} {page.name}: {error}")
                print(f"  {kind} {page.name}: FAILED: {str(error).splitlines()[0]}", flush=True)
                continue
            row = make_row(page, kind, figures, rates)
            rows.append(row)
            print(f"  {kind:10} {page.name:9} {describe(row)}", flush=True)
    return rows, failures


def make_row(page: Page, kind: str, figures: Mapping[str, list[float]], rates: Mapping[str, list[float]]) -> Row:
    """Return the row of a page."""
    return Row(
        title=page.title,
        page=page.name,
        database=kind,
        microseconds={name: min(values) for name, values in figures.items()},
        ratio=compare(figures["flask"], figures["quaff"]),
        beyond=compare(figures["bare"], figures["quaff"]),
        rates={name: sorted(values)[len(values) // 2] for name, values in rates.items()},
        http=compare(rates["quaff"], rates["flask"]),
        bar=page.bar,
        own_bar=page.own_bar,
    )


def measure(python: str, plan: Plan, http_plan: HttpPlan, only: Collection[str] = ()) -> tuple[list[Row], list[str]]:
    """Measure all pages, or *only* those, on all databases; return the rows and what could not be measured."""
    pages = [page for page in PAGES.values() if not only or page.name in only]
    rows: list[Row] = []
    with databases() as (found, missing):
        failures = list(missing)
        for kind, start in found.items():
            try:
                new, failed = measure_database(python, kind, start, plan, http_plan, pages)
            except RuntimeError as error:
                failures.append(f"{kind}: {error}")
                print(f"  {kind}: FAILED: {str(error).splitlines()[0]}", flush=True)
                continue
            rows += new
            failures += failed
    return rows, failures


def describe(row: Row) -> str:
    """Return a row as one line for the terminal."""
    times = "  ".join(f"{name} {value:8.1f} us" for name, value in row.microseconds.items())
    rates = "  ".join(f"{name} {rate:7,.0f}/s" for name, rate in row.rates.items())
    verdict = "pass" if row.passed else "MISSED"
    return (
        f"{times}  ratio {row.ratio.median:.2f}  own {row.own:+.1%}  |  {rates}  ratio {row.http.median:.2f}  "
        f"bar {row.bar:g}: {verdict}"
    )
