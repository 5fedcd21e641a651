"""Measures Quaff against the real Flask, its extensions, and other frameworks: `make bench`, or `benchmarks/run.py --help`.

Makes an environment per Python (3.13 and 3.11 where the machine has them, otherwise the running one), measures in them
what is asked for, prints the figures as they come and keeps them in `benchmarks/results`. Standard library only.
"""

from __future__ import annotations

import argparse
import datetime as dt
import sys
from pathlib import Path
from typing import Any

# Run as a script, the first entry is this folder, whose `profile.py` would hide the standard library's.
if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from benchmarks import batteries, database, environment, inprocess, over_http, protocols, report, scaling, startup
from benchmarks.battery_scenarios import BATTERIES
from benchmarks.contestants import FALCON, FLASK, QUAFF, REFERENCE, ROOT, Contestant
from benchmarks.database_scenarios import PAGES as DATABASE_PAGES
from benchmarks.rounds import Plan

SECTIONS = ("in_process", "http", "imports", "scaling", "protocols", "batteries", "database")


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="benchmarks/run.py", description="Measure Quaff against Flask and Falcon. Without a choice: everything."
    )
    add = parser.add_argument
    add("--in-process", action="store_true", help="one call of the WSGI callable")
    add("--http", action="store_true", help="requests a second on Granian, one core")
    add("--import", action="store_true", dest="imports", help="the time of `import quaff`")
    add("--scaling", action="store_true", help="the cost of a request with 10, 100 and 1000 rules")
    add("--protocols", action="store_true", help="async and sync views, WebSockets and idle connections on a loop")
    add("--batteries", action="store_true", help="what batteries add to a request, beside extensions of Flask")
    add("--database", action="store_true", help="pages on SQLite and PostgreSQL, beside Flask-SQLAlchemy")
    add("--quick", action="store_true", help="a first look: short rounds; kept apart from the results")
    add("--only", metavar="NAME,...", default="", help="with --in-process: these scenarios alone, nothing is kept")
    add(
        "--parts",
        metavar="NAME,...",
        default="",
        help=f"with --protocols: {', '.join(protocols.NAMES)}; nothing is kept",
    )
    add(
        "--battery",
        metavar="NAME,...",
        default="",
        help=f"with --batteries: {', '.join(BATTERIES)}; nothing is kept",
    )
    add(
        "--pages",
        metavar="NAME,...",
        default="",
        help=f"with --database: {', '.join(DATABASE_PAGES)}; nothing is kept",
    )
    add("--python", metavar="PATH,...", default="", help="interpreters to measure; default: 3.13 and 3.11 when found")
    add("--as-is", action="store_true", help="use the interpreters with what is installed in them, make nothing")
    add("--reference", action="store_true", help="also measure Quaff's reference pipeline")
    add("--output", metavar="DIR", type=Path, help="where the results go; default: benchmarks/results")
    add("--readme", metavar="FILE", type=Path, help="fill the table between the bench markers of this file")
    add("--check", action="store_true", help="fail when a bar is missed")
    return parser


def split(names: str) -> list[str]:
    """Return the names of a list with commas."""
    return [name for name in names.split(",") if name]


def stamped(figures: dict[str, Any], quick: bool) -> dict[str, Any]:
    """Add to a section when and how thoroughly it was measured."""
    return {**figures, "measured": dt.datetime.now(dt.UTC).date().isoformat(), "quick": quick}


def measure(python: str, options: argparse.Namespace, contestants: list[Contestant]) -> dict[str, Any]:
    """Measure the chosen sections with the interpreter *python*."""
    plan = Plan.quick() if options.quick else Plan()
    measured: dict[str, Any] = {}
    if options.in_process:
        print("one call of the WSGI callable", flush=True)
        rows, failed = inprocess.measure(python, contestants, plan, split(options.only))
        figures = {"method": inprocess.METHOD, "rows": [row.as_json() for row in rows], "failures": failed}
        measured["in_process"] = stamped(figures, options.quick)
    if options.scaling:
        print("more rules", flush=True)
        growths, failed = scaling.measure(python, contestants, plan)
        rows_ = [row.as_json() for row in growths]
        measured["scaling"] = stamped({"rows": rows_, "failures": failed}, options.quick)
    if options.imports:
        print("import", flush=True)
        result = startup.measure(python, 5 if options.quick else 25)
        measured["import"] = stamped(result.as_json(), options.quick)
    if options.http:
        print("over HTTP", flush=True)
        http_plan = over_http.HttpPlan.quick() if options.quick else over_http.HttpPlan()
        # The order of the report: ours beside the raw function, then the others.
        everyone = sorted(contestants, key=[QUAFF, FALCON, FLASK, REFERENCE].index)
        measured["http"] = stamped(over_http.measure(python, everyone, http_plan).as_json(), options.quick)
    if options.protocols:
        print("protocols", flush=True)
        plan_ = protocols.ProtocolPlan.quick() if options.quick else protocols.ProtocolPlan()
        parts = split(options.parts)
        measured["protocols"] = stamped(protocols.measure(python, plan_, parts).as_json(), options.quick)
    if options.batteries:
        print("batteries", flush=True)
        http_plan = over_http.HttpPlan.quick() if options.quick else over_http.HttpPlan()
        lines, failed = batteries.measure(python, plan, http_plan, split(options.battery))
        figures = {"method": batteries.METHOD, "rows": [line.as_json() for line in lines], "failures": failed}
        measured["batteries"] = stamped(figures, options.quick)
    if options.database:
        print("pages on a database", flush=True)
        http_plan = over_http.HttpPlan.quick() if options.quick else over_http.HttpPlan()
        pages, failed = database.measure(python, plan, http_plan, split(options.pages))
        figures = {"method": database.METHOD, "rows": [page.as_json() for page in pages], "failures": failed}
        measured["database"] = stamped(figures, options.quick)
    return measured


def missed_bars(measured: dict[str, Any]) -> list[str]:
    """Return what was missed or could not be measured, one line each."""
    missed = []
    for name, section in measured.items():
        for line in section.get("rows", section.get("pages", [section])) + section.get("memory", []):
            if line["passed"] is False:
                label = line.get("title") or line.get("page") or f"{line.get('kind', '')} {line.get('contestant', '')}"
                missed.append(f"{name}: {label.strip()}".rstrip(": "))
        missed += [f"{name}: {failure}" for failure in section.get("failures", [])]
    return missed


def run_python(python: str, options: argparse.Namespace, folder: Path) -> list[str]:
    """Measure with one interpreter and keep the results; return what was missed."""
    inside = python if options.as_is else environment.prepare(python)
    facts = {**environment.ask(inside), "machine": environment.machine_line()}
    print(f"\n{facts['implementation']} {facts['python']} on {facts['machine']}", flush=True)
    # Falcon is in every environment that is made here; one that is used as it is may be without.
    falcon = [FALCON] if facts["packages"]["falcon"] else []
    contestants = [FLASK, QUAFF, *falcon, *([REFERENCE] if options.reference else [])]
    measured = measure(inside, options, contestants)
    if not (options.only or options.parts or options.battery or options.pages):
        kept = report.save(folder, facts, measured)
        print(f"kept in {kept.relative_to(ROOT) if kept.is_relative_to(ROOT) else kept}", flush=True)
    return [f"{facts['python']}: {line}" for line in missed_bars(measured)]


def choose_sections(options: argparse.Namespace) -> None:
    """Switch on what a choice within a section implies, and every section where nothing was chosen."""
    if options.only or options.parts or options.battery or options.pages:
        options.in_process |= bool(options.only)
        options.protocols |= bool(options.parts)
        options.batteries |= bool(options.battery)
        options.database |= bool(options.pages)
    elif not any(getattr(options, name) for name in SECTIONS):
        for name in SECTIONS:
            setattr(options, name, True)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return 0, or 1 when a measurement failed (with --check: when a bar was missed)."""
    parser = build_parser()
    options = parser.parse_args(arguments)
    for flag, known in {"parts": protocols.NAMES, "battery": BATTERIES, "pages": DATABASE_PAGES}.items():
        if unknown := set(split(getattr(options, flag))) - set(known):
            parser.error(f"--{flag}: no {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    choose_sections(options)
    default = environment.CACHE / "quick" if options.quick else ROOT / "benchmarks" / "results"
    folder = options.output or default
    missed = []
    for python in split(options.python) or environment.find_pythons():
        try:
            missed += run_python(python, options, folder)
        except RuntimeError as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
    if options.readme and not report.fill_readme(options.readme, report.load_all(folder)):
        print(f"error: {options.readme} has no {report.START} ... {report.END}", file=sys.stderr)
        return 1
    if missed:
        print("\nnot reached:\n" + "\n".join(f"  {line.splitlines()[0]}" for line in missed), flush=True)
    return 1 if missed and options.check else 0


if __name__ == "__main__":
    sys.exit(main())
