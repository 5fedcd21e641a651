"""The growth of a request's cost with the number of rules."""

from __future__ import annotations

import sys
from dataclasses import replace

import pytest

from benchmarks import scaling
from benchmarks.contestants import QUAFF, Contestant
from benchmarks.rounds import Plan, Ratio

SHORT = Plan(rounds=3, seconds=0.002)


def test_both_kinds_are_measured() -> None:
    """Each contestant gets a row for static and one for dynamic rules, with a figure per number of rules."""
    rows, failures = scaling.measure(sys.executable, [QUAFF], SHORT, counts=(5, 20))
    assert failures == []
    assert [(row.kind, row.contestant, list(row.microseconds)) for row in rows] == [
        ("static", "quaff", [5, 20]),
        ("dynamic", "quaff", [5, 20]),
    ]
    assert all(value > 0 for row in rows for value in row.microseconds.values())


def test_a_failure_is_reported_with_its_kind(capsys: pytest.CaptureFixture[str]) -> None:
    """A framework that cannot start costs its own rows only, and is named."""
    rows, failures = scaling.measure(sys.executable, [Contestant("nobody", "no_such_framework")], SHORT, counts=(5,))
    assert rows == []
    assert [failure.partition(":")[0] for failure in failures] == ["static rules", "dynamic rules"]
    assert "FAILED" in capsys.readouterr().out


def test_only_quaff_is_held_to_the_bar() -> None:
    """Static rules may add a tenth, dynamic ones half; what Flask and Falcon pay is for information."""
    growth = scaling.Growth("quaff", "static", {10: 2.0, 1000: 2.1}, Ratio(1.05, 1.0, 1.1), scaling.BARS["static"])
    assert growth.passed is True
    assert replace(growth, growth=Ratio(1.2, 1.1, 1.3)).passed is False
    assert replace(growth, contestant="flask", bar=None).passed is None
    assert scaling.describe(growth) == "quaff     10: 2.00 us  1000: 2.10 us  growth 1.05  bar 1.1: pass"
    assert growth.as_json()["passed"] is True
