"""The phases of a request and their order."""

from __future__ import annotations

from quaff.pipeline.phases import Phase
from quaff.pipeline.steps import STEPS


def test_the_order() -> None:
    """The phases follow each other as Flask's do; with the batteries' two between them."""
    assert [phase.name for phase in Phase] == [
        "BIND", "OPEN", "START", "GUARD", "BEFORE", "VIEW", "RESULT", "AFTER", "SESSION", "FINISH", "FINISHED",
        "SEND", "END",
    ]  # fmt: skip


def test_each_phase_says_what_runs_in_it() -> None:
    """The value of a phase is a phrase for people, and no two are the same."""
    assert all(phase.value.strip() for phase in Phase)
    assert len({phase.value for phase in Phase}) == len(Phase)


def test_each_phase_has_its_lines() -> None:
    """There is a writer of lines for each phase and for nothing else."""
    assert set(STEPS) == set(Phase)
