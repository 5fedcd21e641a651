"""JSON that means one thing only."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from quaff.json.strict import parse_strict

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(value=VALUES, ensure_ascii=st.booleans())
def test_clean_json_is_read_as_ever(value: Any, ensure_ascii: bool) -> None:
    """What no reader disputes gives what json.loads gives."""
    assert parse_strict(json.dumps(value, ensure_ascii=ensure_ascii)) == value


@pytest.mark.parametrize("text", ["NaN", "[Infinity]", '{"a": -Infinity}'])
def test_constants_are_refused(text: str) -> None:
    """NaN and the infinities are Python's, not JSON's."""
    with pytest.raises(ValueError, match=r"(NaN|Infinity) is not JSON\."):
        parse_strict(text)


@pytest.mark.parametrize("text", ["1e400", "[-1e999]", "1" + "0" * 400 + ".0"])
def test_numbers_too_large_are_refused(text: str) -> None:
    """A number that would silently become an infinity is refused, with its beginning in the message."""
    with pytest.raises(ValueError, match=r"The number [-0-9e.]{1,30} is too large\."):
        parse_strict(text)


def test_large_numbers_may_be_read_otherwise() -> None:
    """With a type that can hold it, the number is fine."""
    assert parse_strict("1e400", parse_float=Decimal) == Decimal("1e400")


@pytest.mark.parametrize("text", ['{"a":1,"b":2,"a":1}', '[{"x":{"a":1,"a":2}}]', '{"a":1,"\\u0061":2}'])
def test_repeated_keys_are_refused(text: str) -> None:
    """A key that occurs twice is refused at any depth, also when it is spelt in two ways."""
    with pytest.raises(ValueError, match=r"The key 'a' occurs twice in one object\."):
        parse_strict(text)


def test_the_same_key_in_two_objects_is_fine() -> None:
    """Only one object counts."""
    assert parse_strict('[{"a":1},{"a":{"a":2}}]') == [{"a": 1}, {"a": {"a": 2}}]


@pytest.mark.parametrize(
    "text",
    [
        r'"\ud800"',
        r'"\udc00"',
        r'"\uDFFF\uD83D"',
        r'"\ud83d \ude00"',
        r'"\ud83d\n\ude00"',
        r'"\ud83d\ud83d\ude00"',
        r'["\ud83d","\ude00"]',
        r'{"\ud800":1}',
        r'"\\\ud800"',
        r'"\ud83d\u0041"',
    ],
)
def test_half_a_surrogate_pair_is_refused(text: str) -> None:
    """A surrogate without its other half right behind it is no character."""
    with pytest.raises(ValueError, match=r"A string holds half of a surrogate pair\."):
        parse_strict(text)


@pytest.mark.parametrize(
    "text, value",
    [
        (r'"\ud83d\ude00"', "😀"),
        (r'"\uD83D\uDE00\uD83D\uDE00"', "😀😀"),
        (r'"\\ud800"', "\\ud800"),
        (r'"\\\\ud800\u00e9"', "\\\\ud800é"),
        (r'"\"\u0041"', '"A'),
    ],
)
def test_what_only_looks_like_half_a_pair(text: str, value: str) -> None:
    """Whole pairs and escaped backslashes are fine."""
    assert parse_strict(text) == value


@given(st.text(alphabet='\\ud8c0f"nA', max_size=24))
@example("\\ud8c0\\udc00")
@example("\\\\ud8c0")
def test_surrogates_are_judged_as_the_parser_sees_them(inside: str) -> None:
    """A string is refused exactly when what json.loads makes of it cannot be encoded."""
    text = f'"{inside}"'
    try:
        value = json.loads(text)
    except ValueError:
        with pytest.raises(ValueError):  # noqa: PT011 - which of two reasons comes first is open
            parse_strict(text)
        return
    try:
        value.encode()
    except UnicodeEncodeError:
        with pytest.raises(ValueError, match="surrogate"):
            parse_strict(text)
    else:
        assert parse_strict(text) == value


def test_hooks_still_run() -> None:
    """`object_hook` and `object_pairs_hook` see every object, the latter first, as in the standard library."""
    text = '{"a":{"b":1}}'
    assert parse_strict(text, object_hook=lambda it: sorted(it)) == ["a"]
    assert parse_strict(text, object_pairs_hook=lambda it: it) == [("a", [("b", 1)])]
    assert parse_strict(text, object_hook=len, object_pairs_hook=list) == [("a", [("b", 1)])]


def test_broken_json_is_still_broken() -> None:
    """Syntax errors are the standard library's."""
    with pytest.raises(json.JSONDecodeError):
        parse_strict('{"a":}')
