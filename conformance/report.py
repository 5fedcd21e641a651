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

    def line(self) -> str:
        """Return the verdict in one line."""
        parts = [
            f"{self.suite:17} {self.pipeline:9} {self.passed:4}/{self.baseline:<4} {self.percent:6.2f}%",
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
        problems=_problems(outcome, [node for node in rows if node not in baseline]),
        notes=[] if services or not suite.services else [f"without {', '.join(suite.services)}"],
        seconds=outcome.seconds,
    )


def _problems(outcome: Outcome, strangers: list[str]) -> list[str]:
    problems = []
    if outcome.timed_out:
        problems.append("TIMED OUT")
    elif not outcome.results:
        problems.append(f"no tests ran (pytest ended with {outcome.exit_code})")
    if "site-packages/flask/" in outcome.flask.replace("\\", "/"):
        problems.append("the real Flask was imported")
    problems += [f"differences.toml names {node}, which is not in the baseline" for node in strangers]
    return problems


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
