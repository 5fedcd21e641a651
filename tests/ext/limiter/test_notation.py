"""Limits as text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quaff.ext.limiter.notation import parse_limits

UNITS = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400, "month": 2_592_000, "year": 31_104_000}


@pytest.mark.parametrize(
    "text, sizes",
    [
        ("1/second", [(1, 1)]),
        ("100 per minute", [(100, 60)]),
        ("10 per 2 hours", [(10, 7200)]),
        ("1/day;2/hour", [(1, 86_400), (2, 3600)]),
        ("1/second, 3/minute", [(1, 1), (3, 60)]),
        ("5/MINUTE | 6/year", [(5, 60), (6, 31_104_000)]),
    ],
)
def test_notation(text: str, sizes: list[tuple[int, int]]) -> None:
    """Limits are written in each of the extension's ways, several of them with a separator between."""
    assert [(item.amount, item.get_expiry()) for item in parse_limits(text)] == sizes


@pytest.mark.parametrize("text", ["", None])
def test_nothing(text: str | None) -> None:
    """An empty text names no limit, as a function may return for a user who has none."""
    assert parse_limits(text) == ()


@pytest.mark.parametrize(
    "text, guess",
    [
        ("2/sec", "'2/second'"),
        ("10 per min", "'10 per minute'"),
        ("10 per minut", "'10 per minute'"),
        ("5/hrs", "'5/hour'"),
        ("3 per dya", "'3 per day'"),
        ("7/m", "'7/minute'"),
    ],
)
def test_misspelt_units_are_guessed(text: str, guess: str) -> None:
    """The message for a misspelt unit says what was probably meant."""
    with pytest.raises(ValueError, match="is not a rate limit") as caught:
        parse_limits(text)
    assert str(caught.value).endswith(f"Did you mean {guess}?")


@pytest.mark.parametrize(
    "text", ["ten per minute", "5", "/minute", "-1/minute", "1.5/minute", 5, ["1/minute"], b"1/minute"]
)
def test_what_is_no_limit(text: object) -> None:
    """Anything else is refused, with an example of how it is written."""
    with pytest.raises(ValueError, match="'100/minute'") as caught:
        parse_limits(text)
    assert repr(text) in str(caught.value)


@pytest.mark.parametrize("text", ["0/minute", "1/second; 0/hour"])
def test_a_limit_of_nothing(text: str) -> None:
    """A limit that allows nothing is refused: it is a setting that was not filled in, or abort() is meant."""
    with pytest.raises(ValueError, match="allows nothing"):
        parse_limits(text)


@given(
    st.lists(
        st.tuples(st.integers(1, 10**9), st.integers(1, 1000), st.sampled_from(sorted(UNITS))), min_size=1, max_size=4
    )
)
def test_what_is_written_is_read(rows: list[tuple[int, int, str]]) -> None:
    """Any amount, multiple and unit comes back as the seconds and the amount that it says."""
    text = "; ".join(f"{amount} per {multiple} {unit}" for amount, multiple, unit in rows)
    read = [(item.amount, item.get_expiry()) for item in parse_limits(text)]
    assert read == [(amount, multiple * UNITS[unit]) for amount, multiple, unit in rows]


@given(st.text(max_size=30))
def test_any_text_is_read_or_refused(text: str) -> None:
    """No text raises anything but the error that explains it."""
    try:
        items = parse_limits(text)
    except ValueError:
        items = ()
    assert all(item.amount > 0 and item.get_expiry() > 0 for item in items)
