"""Does a request cost more when the app has more rules? Asks for the last of 10, 100 and 1000 of them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.contestants import Contestant, Worker
from benchmarks.inprocess import judge_answer, judge_falcon
from benchmarks.rounds import Plan, Ratio, compare, run_rounds
from benchmarks.scenarios import find

COUNTS = (10, 100, 1000)
BARS = {"static": 1.1, "dynamic": 1.5}
"""How much more the last of 1000 rules may cost Quaff than the last of 10. A tenth is what noise adds."""


@dataclass(frozen=True, slots=True)
class Growth:
    """What one contestant pays for more rules of one kind."""

    contestant: str
    kind: str
    microseconds: dict[int, float]
    """Best round by number of rules."""

    growth: Ratio
    """The cost with the most rules over the cost with the fewest."""

    bar: float | None

    @property
    def passed(self) -> bool | None:
        """Whether the growth stays under the bar; None for the frameworks that we only compare with."""
        return None if self.bar is None else self.growth.median <= self.bar

    def as_json(self) -> dict[str, Any]:
        """Return what the results file keeps."""
        return {**asdict(self), "passed": self.passed}


def measure_kind(python: str, kind: str, contestant: Contestant, plan: Plan, counts: Sequence[int]) -> Growth:
    """Time the last of each number of rules, in turns."""
    with ExitStack() as stack:
        timers = {}
        for count in counts:
            scenario = find(f"{kind}:{count}")
            worker = stack.enter_context(Worker(python, contestant, scenario.name))
            wrong = (
                judge_falcon(scenario, worker.answer)
                if contestant.module == "falcon"
                else judge_answer(scenario, worker.answer, contestant.name)
            )
            if wrong:
                raise RuntimeError(f"{scenario.name}: {wrong}")
            timers[count] = worker.time
        figures = run_rounds(timers, plan)
    return Growth(
        contestant.name,
        kind,
        {count: min(values) for count, values in figures.items()},
        compare(figures[counts[-1]], figures[counts[0]]),
        BARS[kind] if contestant.name == "quaff" else None,
    )


def measure(
    python: str, contestants: Sequence[Contestant], plan: Plan, counts: Sequence[int] = COUNTS
) -> tuple[list[Growth], list[str]]:
    """Measure every contestant with static and with dynamic rules; return the rows and what failed."""
    rows, failures = [], []
    for kind in BARS:
        for contestant in contestants:
            try:
                row = measure_kind(python, kind, contestant, plan, counts)
            except RuntimeError as error:
                failures.append(f"{kind} rules: {error}")
                print(f"  {kind:8} {contestant.name:9} FAILED: {str(error).splitlines()[0]}", flush=True)
                continue
            rows.append(row)
            print(f"  {kind:8} {describe(row)}", flush=True)
    return rows, failures


def describe(row: Growth) -> str:
    """Return the row as one line for the terminal."""
    times = "  ".join(f"{count}: {value:.2f} us" for count, value in row.microseconds.items())
    bar = "" if row.bar is None else f"  bar {row.bar:g}: {'pass' if row.passed else 'MISSED'}"
    return f"{row.contestant:9} {times}  growth {row.growth.median:.2f}{bar}"
