"""Timing in turns: every contestant gets a short batch, again and again, and the batches of a round are compared.

A machine that slows down for a while slows down the whole round, so the ratio within a round survives it; the median
over the rounds forgets the round in which something else ran. The figure in microseconds is the best batch: noise only
ever adds.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median, quantiles
from typing import TypeVar

Key = TypeVar("Key", bound=Hashable)
Timer = Callable[[int], float]
"""Runs a number of calls and returns the seconds that all of them took."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How long to measure."""

    rounds: int = 21
    seconds: float = 0.05
    """The length of one batch, about: the number of calls is fixed per contestant before the first round."""

    @classmethod
    def quick(cls) -> Plan:
        """Return a plan for a first look: right to about a fifth, in a tenth of the time."""
        return cls(rounds=5, seconds=0.02)


@dataclass(frozen=True, slots=True)
class Ratio:
    """How many times longer the one took than the other: the median over the rounds, and the middle half of them."""

    median: float
    low: float
    high: float


def calibrate(timer: Timer, seconds: float) -> int:
    """Return how many calls take about *seconds*; warms the callable up on the way."""
    number = 1
    while (took := timer(number)) < seconds / 4:
        number = number * 10 if took < seconds / 40 else number * 2
    return max(1, round(number * seconds / took))


def run_rounds(timers: Mapping[Key, Timer], plan: Plan) -> dict[Key, list[float]]:
    """Time every contestant once a round and return their microseconds a call, round by round.

    The order turns by one each round, so that nobody always runs after the same neighbour.
    """
    numbers = {key: calibrate(timer, plan.seconds) for key, timer in timers.items()}
    figures: dict[Key, list[float]] = {key: [] for key in timers}
    order = list(timers)
    for _ in range(plan.rounds):
        for key in order:
            figures[key].append(timers[key](numbers[key]) / numbers[key] * 1e6)
        order.append(order.pop(0))
    return figures


def compare(slow: Sequence[float], fast: Sequence[float]) -> Ratio:
    """Compare two contestants round by round: above 1 when *fast* is the faster one."""
    ratios = [one / other for one, other in zip(slow, fast, strict=True)]
    if len(ratios) < 2:
        return Ratio(ratios[0], ratios[0], ratios[0])
    low, _, high = quantiles(ratios, n=4, method="inclusive")
    return Ratio(median(ratios), low, high)
