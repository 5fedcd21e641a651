"""The limit itself: it ends what runs away, and nothing else."""

from __future__ import annotations

import itertools
import re
import signal

import pytest

from tests.watchdog import TooMuchWorkError, limited_work


def test_work_without_end_is_interrupted() -> None:
    """A loop in Python is ended inside the block."""
    with pytest.raises(TooMuchWorkError, match=r"not done after 0\.05 seconds"), limited_work(0.05):
        for _ in itertools.count():
            pass


def test_a_regular_expression_is_interrupted() -> None:
    """So is one that backtracks in C, which is where hostile headers hide."""
    with pytest.raises(TooMuchWorkError), limited_work(0.05):
        re.fullmatch(r"(a+)+b", "a" * 60)


def test_what_ends_in_time_is_left_alone() -> None:
    """Nothing ticks on after the block, and the handler that was there before is back."""
    before = signal.getsignal(signal.SIGPROF)
    with limited_work():
        sum(range(1000))
    assert signal.getitimer(signal.ITIMER_PROF)[0] == 0
    assert signal.getsignal(signal.SIGPROF) is before
