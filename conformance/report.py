"""Judging a run against the baseline and the known differences, and saying so."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from execute import Outcome
from suites import Difference, Suite

_SHOWN = 25
"""How many ids of a kind are printed; all of them are in the file of failures."""


@dataclass
class Verdict:
    """What a run says about Quaff."""

    suite: str
    pipeline: str
    baseline: int
    passed: int
    counts: Counter[str] = field(default_factory=Counter)
    unexpected: list[str] = field(default_factory=list)
    """Tests of the baseline that fail and that no row of `differences.toml` explains."""

    known: list[str] = field(default_factory=list)
    """Tests of the baseline that fail as `differences.toml` says."""

    stale: list[str] = field(default_factory=list)
    """Tests that pass although `differences.toml` says that they fail."""

    problems: list[str] = field(default_factory=list)
    """What went wrong with the run itself."""

    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def good(self) -> bool:
        """Whether all is as the data says."""
        return not (self.unexpected or self.stale or self.problems)

    @property
    def percent(self) -> float:
        """How much of the baseline passes."""
        return 100 * self.passed / self.baseline if self.baseline else 0.0

    def reaches(self, percent: float) -> bool:
        """Tell whether that much of the baseline passes; of a suite of fewer than twenty tests, one may fail."""
        failing = 0 if percent >= 100 else max(1, int(self.baseline * (100 - percent) / 100))
        return self.passed >= self.baseline - failing

    def line(self) -> str:
        """Return the verdict in one line."""
        parts = [
            f"{self.suite:27} {self.pipeline:9} {self.passed:4}/{self.baseline:<4} {self.percent:6.2f}%",
            f"{len(self.known):3} known, {len(self.unexpected):3} unexpected {self.seconds:6.1f} s",
            *(text for text in (*self.problems, *self.notes)),
        ]
        return "  ".join(parts)


def judge(suite: Suite, pipeline: str, outcome: Outcome, differences: list[Difference], *, services: bool) -> Verdict:
    """Compare the outcome of a run with the baseline.

    :param services: the suite had its servers, so the ids that need them count.
    """
    baseline = suite.baseline(services=services)
    passing = outcome.passing
    rows = {row.id: row for row in differences if row.concerns(suite.name, pipeline)}
    strangers = rows.keys() - suite.baseline(services=True)
    lost = baseline - passing
    return Verdict(
        suite=suite.name,
        pipeline=pipeline,
        baseline=len(baseline),
        passed=len(baseline & passing),
        counts=Counter(outcome.results.values()),
        unexpected=sorted(lost - rows.keys()),
        known=sorted(lost & rows.keys()),
        stale=sorted(node for node, row in rows.items() if node in passing and not row.unsteady),
        problems=[
            *_problems(outcome),
            *(_impostors(suite, outcome) if pipeline != "real" else []),
            *(f"differences.toml names {node}, which is not in the baseline" for node in sorted(strangers)),
        ],
        notes=[] if services or not suite.services else [f"without {', '.join(suite.services)}"],
        seconds=outcome.seconds,
    )


def judge_old_ways(verdict: Verdict, outcome: Outcome, rows: list[Difference]) -> None:
    """Count the known differences that are none with a name in `COMPAT` as passed, if that is true.

    :param outcome: of a run with these names.
    """
    known = {row.id: row.compat for row in rows if row.compat and row.id in verdict.known}
    restored = known.keys() & outcome.passing
    verdict.passed += len(restored)
    if restored:
        verdict.notes.append(f"{len(restored)} with COMPAT")
    verdict.problems += [
        f"differences.toml says that COMPAT = {known[node]!r} helps {node}, and it does not ({outcome.reason(node)})"
        for node in sorted(known.keys() - restored)
    ]


def _problems(outcome: Outcome) -> list[str]:
    if outcome.timed_out:
        return ["TIMED OUT"]
    return [] if outcome.results else [f"no tests ran (pytest ended with {outcome.exit_code})"]


def _impostors(suite: Suite, outcome: Outcome) -> list[str]:
    """Return which modules were not those that the run is about. What nothing imported is no impostor."""
    problems = []
    if _is_installed("flask", outcome.flask):
        problems.append("the real Flask was imported")
    if suite.battery and outcome.extension not in ("", "None"):
        is_real = _is_installed(suite.battery, outcome.extension)
        if is_real and suite.replaces_extension:
            problems.append(f"the real {suite.battery} was imported")
        if not (is_real or suite.replaces_extension):
            problems.append(f"a battery was imported in the place of {suite.battery}")
    return problems


def _is_installed(module: str, file: str) -> bool:
    return f"site-packages/{module.replace('.', '/')}" in file.replace("\\", "/")


def write_failures(path: Path, verdict: Verdict, outcome: Outcome) -> None:
    """Write each test of the baseline that failed, with its reason, to *path*."""
    lost = sorted([*verdict.unexpected, *verdict.known])
    path.write_text("".join(f"{node}\t{outcome.reason(node)}\n" for node in lost), encoding="utf-8")


def explain(verdict: Verdict, outcome: Outcome) -> str:
    """Return what is not as the data says, test by test; empty when all is."""
    lines = [f"  fails  {node}\n         {outcome.reason(node)}" for node in verdict.unexpected[:_SHOWN]]
    if len(verdict.unexpected) > _SHOWN:
        lines.append(f"  ... and {len(verdict.unexpected) - _SHOWN} more")
    lines += [f"  passes {node}\n         take it out of differences.toml" for node in verdict.stale[:_SHOWN]]
    return "\n".join(lines)
