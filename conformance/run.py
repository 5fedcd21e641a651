#!/usr/bin/env python3
"""Run the test-suites of Flask and of its extensions against Quaff, through the Flask alias.

    run.py                    Flask's suite and its tutorial's, in both pipelines
    run.py --quick            Flask's suite, and those that batteries stand in for, in both pipelines
    run.py --batteries        the suites of extensions that Quaff's batteries stand in for, with the batteries
    run.py --all              these, and the suites of unmodified extensions on top of Quaff
    run.py --only flask-login --pipeline compiled -- -x -k cookie
    run.py --real --only flask          the same against the real Flask: checks the baseline
    run.py --record --only flask        record the baseline anew

A test that passes with the real Flask and not with Quaff has to be in differences.toml with the reason, and a test that
is there has to fail: anything else ends the run with status 1. Needs pip or uv and the package index; keeps everything
it makes in conformance/.cache (or CONFORMANCE_CACHE).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import asdict
from pathlib import Path

from execute import Again, Outcome, run, services_of
from fetch import unpack
from report import Verdict, explain, judge, judge_old_ways, write_failures
from suites import HERE, Difference, Suite, Unavailable, load_differences, load_suites, write_ids
from venvs import Environment

PIPELINES = ("compiled", "reference")
AGAIN = 10
"""So many unexpected failures are run once more: suites that sleep and count fail on a machine with much else to do."""

BATTERY_BAR = 95.0
"""The share of an extension's baseline, in percent, that its battery has to pass."""


def parse(argv: list[str]) -> argparse.Namespace:
    """Read the command line; what follows `--` is for pytest."""
    own, _, rest = (argv[: argv.index("--")], None, argv[argv.index("--") + 1 :]) if "--" in argv else (argv, None, [])
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="Flask's suite and the batteries'")
    parser.add_argument("--all", action="store_true", help="everything: batteries and extensions, too")
    parser.add_argument("--batteries", action="store_true", help="batteries in the place of their extensions")
    parser.add_argument("--only", default="", metavar="NAME,...", help="these suites")
    parser.add_argument("--pipeline", choices=[*PIPELINES, "both"], default="both")
    parser.add_argument("--python", default=sys.executable, metavar="PATH", help="the Python to run them with")
    parser.add_argument("--real", action="store_true", help="run with the real Flask")
    parser.add_argument("--record", action="store_true", help="write the baseline; implies --real")
    parser.add_argument("--require", type=float, default=99.0, metavar="PERCENT", help="at least, of a core suite")
    parser.add_argument("--json", metavar="FILE", help="write the verdicts there as well")
    parser.add_argument("--list", action="store_true", help="list the suites")
    args = parser.parse_args(own)
    args.pytest = rest
    args.cache = Path(os.environ.get("CONFORMANCE_CACHE", HERE / ".cache")).resolve()
    return args


def choose(suites: list[Suite], args: argparse.Namespace) -> list[Suite]:
    """Return the suites that the command line asks for."""
    if args.batteries:
        suites = [suite for suite in suites if suite.role == "battery"]
    names = {name for name in args.only.split(",") if name}
    unknown = names - {name for suite in suites for name in _names(suite, args)}
    if unknown:
        sys.exit(f"no suite {', '.join(sorted(unknown))}; there are {', '.join(suite.name for suite in suites)}")
    if names:
        return [suite for suite in suites if names & _names(suite, args)]
    if args.quick and not args.batteries:
        return [suite for suite in suites if suite.name == "flask" or suite.role == "battery"]
    return [suite for suite in suites if args.all or args.batteries or suite.role == "core"]


def _names(suite: Suite, args: argparse.Namespace) -> set[str]:
    """Return what `--only` may call a suite; after `--batteries`, "flask-cors" is the one with the battery."""
    return {suite.name, suite.tests} if args.batteries else {suite.name}


class Runner:
    """Runs suites and collects the verdicts."""

    def __init__(self, args: argparse.Namespace, differences: list[Difference]) -> None:
        self.args = args
        self.differences = differences
        self.verdicts: list[Verdict] = []
        self.unavailable: list[str] = []

    def suite(self, suite: Suite) -> None:
        """Run one suite in each pipeline that is asked for."""
        args = self.args
        log = args.cache / f"{suite.slug}.log"
        args.cache.mkdir(parents=True, exist_ok=True)
        log.write_text("", encoding="utf-8")
        try:
            real = args.real or args.record
            environment = Environment(suite, args.python, args.cache, log, real=real, fresh=args.record)
            environment.make()
            if args.record:
                self._record(suite, environment)
            for pipeline in ("",) if real else PIPELINES:
                if args.pipeline in (pipeline, "both") or real:
                    self._run(suite, environment, pipeline)
        except Unavailable as error:
            self.unavailable.append(suite.name)
            print(f"{suite.name:27} not run: {error}", flush=True)

    def _once(
        self,
        suite: Suite,
        environment: Environment,
        pipeline: str,
        services: list[str] | None,
        *,
        again: Again | None = None,
    ) -> Outcome:
        source = self.args.cache / "src" / suite.slug
        unpack(suite, self.args.cache, source)
        return run(
            suite,
            environment,
            source,
            self.args.cache,
            pipeline=pipeline,
            services=services,
            arguments=self.args.pytest,
            again=again,
        )

    def _run(self, suite: Suite, environment: Environment, pipeline: str) -> None:
        services = services_of(suite)
        outcome = self._once(suite, environment, pipeline, services)
        differences = self.differences if pipeline else []
        verdict = judge(suite, pipeline or "real", outcome, differences, services=services is not None)
        if pipeline and verdict.unexpected and not verdict.problems and len(verdict.unexpected) <= AGAIN:
            second = self._once(suite, environment, pipeline, services, again=Again())
            lucky = outcome.take_over(second)
            verdict = judge(suite, pipeline, outcome, differences, services=services is not None)
            verdict.notes += [f"{lucky} passed when run again"] * bool(lucky)
        rows = [row for row in differences if row.concerns(suite.name, pipeline)]
        names = sorted({row.compat for row in rows if row.compat and row.id in verdict.known})
        if names:
            old = self._once(suite, environment, pipeline, services, again=Again(",".join(names)))
            judge_old_ways(verdict, old, rows)
        write_failures(self.args.cache / f"{suite.slug}.{verdict.pipeline}.failed", verdict, outcome)
        self.verdicts.append(verdict)
        print(verdict.line(), explain(verdict, outcome), sep="\n" if not verdict.good else "", flush=True)

    def _record(self, suite: Suite, environment: Environment) -> None:
        """Keep what passes in two runs out of two, and what passes beyond that with services."""
        first, second = (self._once(suite, environment, "", []).passing for _ in range(2))
        heading = f"# {suite.tests}: test ids that pass with the real Flask\n# source {suite.source}\n"
        write_ids(suite.ids_file(), heading, first & second)
        services = services_of(suite)
        if services:
            more = self._once(suite, environment, "", services).passing - first - second
            names = ", ".join(service.partition(":")[0] for service in suite.services)
            write_ids(suite.ids_file("services"), f"{heading}# only with {names}\n", more)
        suite.lock.write_text(environment.freeze(), encoding="utf-8")

    def good(self, suites: list[Suite]) -> bool:
        """Tell whether everything ran and is as the data says."""
        bars = {"core": self.args.require, "battery": BATTERY_BAR}
        required = {suite.name: bars[suite.role] for suite in suites if suite.role in bars}
        low = [v for v in self.verdicts if v.suite in required and not v.reaches(required[v.suite])]
        for verdict in low:
            print(f"{verdict.suite} ({verdict.pipeline}) is below {required[verdict.suite]:g} %")
        return not (low or self.unavailable) and all(verdict.good for verdict in self.verdicts)


def main() -> int:
    """Run what the command line asks for; return the exit status."""
    args = parse(sys.argv[1:])
    suites = load_suites()
    if args.list:
        for suite in suites:
            print(f"{suite.name:27} {suite.role:10} {len(suite.baseline(services=False)):4} tests  {suite.source}")
        return 0
    chosen = choose(suites, args)
    runner = Runner(args, load_differences())
    for suite in chosen:
        runner.suite(suite)
    if args.json:
        rows = [asdict(verdict) for verdict in runner.verdicts]
        Path(args.json).write_text(json.dumps(rows, indent=1), encoding="utf-8")
    return 0 if runner.good(chosen) else 1


if __name__ == "__main__":
    sys.exit(main())
