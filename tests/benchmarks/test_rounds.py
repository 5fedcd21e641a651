"""Timing in turns: fixed numbers of calls, an order that turns, ratios within a round."""

from __future__ import annotations

import pytest

from benchmarks.rounds import Plan, compare, run_rounds
from benchmarks.rounds import calibrate as calibrate_calls


class Clock:
    """A contestant whose calls take a known time."""

    def __init__(self, seconds: float, log: list[str] | None = None, name: str = "") -> None:
        self.seconds, self.log, self.name = seconds, log, name
        self.numbers: list[int] = []

    def __call__(self, number: int) -> float:
        self.numbers.append(number)
        if self.log is not None:
            self.log.append(self.name)
        return self.seconds * number


@pytest.mark.parametrize("seconds, expected", [(1e-6, 50_000), (1e-4, 500), (1e-3, 50), (0.5, 1), (10.0, 1)])
def test_calibrate_finds_the_number_for_a_batch(seconds: float, expected: int) -> None:
    """A batch takes about the wanted time, and at least one call whatever that takes."""
    assert calibrate_calls(Clock(seconds), 0.05) == expected


def test_every_round_times_everyone_and_turns_the_order() -> None:
    """Each contestant runs once a round, first in turn, always with the same number of calls."""
    log: list[str] = []
    timers = {name: Clock(1e-3 * (place + 1), log, name) for place, name in enumerate("abc")}
    plan = Plan(rounds=3, seconds=0.01)
    figures = run_rounds(timers, plan)
    assert log[-9:] == ["a", "b", "c", "b", "c", "a", "c", "a", "b"]
    assert {name: len(values) for name, values in figures.items()} == {"a": 3, "b": 3, "c": 3}
    assert figures["b"] == pytest.approx([2000.0] * 3)
    assert [len(set(timer.numbers[-3:])) for timer in timers.values()] == [1, 1, 1]


def test_compare_takes_the_median_of_the_rounds() -> None:
    """One disturbed round changes nothing; a machine that was slow for a round neither."""
    ratio = compare([100, 100, 300, 100, 5000], [10, 10, 30, 10, 10])
    assert ratio.median == 10
    assert ratio.low == 10
    assert compare([100, 120, 140], [10, 10, 10]).low == pytest.approx(11)
    assert compare([100, 120, 140], [10, 10, 10]).high == pytest.approx(13)


def test_compare_needs_the_same_rounds() -> None:
    """Rounds that do not match are refused rather than paired wrongly."""
    with pytest.raises(ValueError, match="argument 2 is shorter"):
        compare([1, 2], [1])


def test_a_single_round_is_its_own_spread() -> None:
    """One round has a ratio and no spread."""
    ratio = compare([30], [10])
    assert (ratio.low, ratio.median, ratio.high) == (3, 3, 3)


def test_the_quick_plan_is_shorter() -> None:
    """A first look takes at most a fifth of the time of a measurement."""
    quick, full = Plan.quick(), Plan()
    assert quick.rounds * quick.seconds * 5 <= full.rounds * full.seconds
