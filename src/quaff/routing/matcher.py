"""Generates the function that matches a path.

Patterns of the same shape (which segments are fixed, which regular expression stands where) share one dictionary, keyed by
their fixed segments. So the work for a path grows with the number of shapes of its length, which is small, and not with
the number of rules. For each length one function is generated that tries the shapes in Werkzeug's order:

    def match_2(pieces, method):            # /users/<int:id> and /<name>/<int:id>
        root, s0, s1 = pieces
        if root: return ASK_THE_MAP
        if (leaf := leaves_0.get(s0)) is not None and s1.isdecimal(): ...
        if s0 and s1.isdecimal() ...: ...

A match stands by itself: the function takes any path, also one that does not begin with a slash, and never matches one that
has an empty segment inside or a NUL in a value. Those are for the map, and `Router.find` sends them there.

Read first: `tests/routing/test_matcher.py` and `tests/differential/test_router.py`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from typing import Any, Final

from .._internal.codegen import build_function
from .._internal.sentinels import Unset
from .patterns import Leaf, Pattern, Segment, group_count

ASK_THE_MAP: Final = Unset.UNSET
"""The answer of a matcher that cannot tell."""

Match = tuple[Any, tuple[str, ...]]
"""A handler and the captured values."""

Matcher = Callable[[list[str], str], Any]
"""Takes the path split at its slashes, and the method. Returns a `Match`; a list of leaves where only the method did not
fit; an empty list when nothing fits; or `ASK_THE_MAP`."""

_STRING = r"(?P<__werkzeug_0>[^/]{1,})\Z"
_INTEGER = r"(?P<__werkzeug_0>\d+)\Z"
_DIGITS = r"\d"
_SAFE_DIGITS = sys.int_info.str_digits_check_threshold
"""Python turns fewer digits than this into an int whatever `sys.set_int_max_str_digits` says."""


class _Shape:
    """All patterns that differ in their fixed segments only."""

    def __init__(self, pattern: Pattern) -> None:
        self.segments = pattern.segments
        self.tail = pattern.tail
        self.unusual = pattern.unusual
        self.order = pattern.order
        self.leaves: dict[Any, Leaf] = {}

    @property
    def fixed(self) -> list[int]:
        return [index for index, segment in enumerate(self.segments) if segment.text is not None]

    def add(self, pattern: Pattern) -> None:
        texts = tuple(pattern.segments[index].text for index in self.fixed)
        self.leaves[texts[0] if len(texts) == 1 else texts] = pattern.leaf


def _shapes(patterns: list[Pattern]) -> list[_Shape]:
    found: dict[Any, _Shape] = {}
    for pattern in patterns:
        signature = tuple("static" if s.text is not None else (s.regex, repr(s.weight)) for s in pattern.segments)
        tail = pattern.tail and (pattern.tail.regex, repr(pattern.tail.weight))
        key = (signature, tail, pattern.unusual)
        found.setdefault(key, _Shape(pattern)).add(pattern)
    return sorted(found.values(), key=lambda shape: shape.order)


class MatcherFactory:
    """Makes the matcher for each number of segments when a path of that length is first seen."""

    # "Length" is the number of segments here; a path that is split at its slashes has one piece more, the empty first one.

    def __init__(self, patterns: list[Pattern]) -> None:
        self._shapes = _shapes(patterns)
        # Longer paths than any rule can only meet the rules that take a tail: one matcher serves them all.
        self._longest = max((len(shape.segments) for shape in self._shapes), default=0) + 1
        self.made: dict[int, Matcher] = {}
        """Number of pieces -> matcher, as far as they were made; see `matcher`."""

    def matcher(self, pieces: int) -> Matcher:
        """Return the function for paths that have so many *pieces* when they are split at their slashes."""
        pieces = min(pieces, self._longest + 1)
        made = self.made.get(pieces)
        if made is None:
            made = self.made[pieces] = self._build(pieces - 1)
        return made

    def _build(self, length: int) -> Matcher:
        names: dict[str, Any] = {"ASK_THE_MAP": ASK_THE_MAP}
        exact = length < self._longest
        segments = "".join(f"s{index}, " for index in range(length))
        lines = [
            f"def match_{length}(pieces, method):",
            f"    root, {segments}= pieces" + ("" if exact else f"[:{length + 1}]"),
            "    if root:",
            "        return ASK_THE_MAP",
            "    missed = ()",
        ]
        for number, shape in enumerate(self._shapes):
            if self._fits(shape, length, exact=exact):
                lines += _shape_lines(number, shape, names)
        lines.append("    return [*missed]")
        function: Matcher = build_function("router", f"match_{length}", "\n".join(lines) + "\n", names)
        return function

    @staticmethod
    def _fits(shape: _Shape, length: int, *, exact: bool) -> bool:
        if shape.tail is not None or shape.unusual:
            return length > len(shape.segments)
        return exact and length == len(shape.segments)


def _shape_lines(number: int, shape: _Shape, names: dict[str, Any]) -> list[str]:
    """Return the lines that try one shape, and put the objects they refer to into *names*."""
    table = f"leaves_{number}"
    names[table] = shape.leaves
    fixed = [f"s{index}" for index in shape.fixed]
    key = fixed[0] if len(fixed) == 1 else f"({', '.join(fixed)})"
    # The dictionary first: it refuses most paths, and a regular expression costs more.
    tests = [f"(leaf := {table}.get({key})) is not None", *_tests_against_empty_segments(shape)]
    captured, too_long = [], []
    dynamic = {f"s{index}": segment for index, segment in enumerate(shape.segments) if segment.text is None}
    if shape.tail is not None:
        tests.append(f"'//' not in (tail := '/'.join(pieces[{len(shape.segments) + 1}:])) and tail[:1] != '/'")
        dynamic["tail"] = shape.tail
    for variable, segment in dynamic.items():
        test, expression = _segment_test(f"{number}_{variable}", variable, segment, names)
        tests.append(test)
        captured.append(expression)
        # Digits without end are a number to Werkzeug's expression, and then to nobody.
        if _DIGITS in segment.regex:
            too_long.append(f"len({variable}) >= {_SAFE_DIGITS}")
    condition = " and ".join(tests)
    if shape.unusual:
        return [f"    if {condition}:", "        return ASK_THE_MAP"]
    return [
        f"    if {condition}:",
        *([f"        if {' or '.join(too_long)}:", "            return ASK_THE_MAP"] if too_long else []),
        "        handler = leaf.handlers.get(method)",
        "        if handler is not None:",
        f"            return handler, ({''.join(f'{expression}, ' for expression in captured).rstrip()})",
        "        if leaf.ask_the_map:",
        "            return ASK_THE_MAP",
        "        missed = (*missed, leaf)",
    ]


def _tests_against_empty_segments(shape: _Shape) -> list[str]:
    """Return the conditions that keep out paths with two slashes in a row, where the shape itself would take them."""
    inner = shape.segments if shape.tail is not None else shape.segments[:-1]
    return [f"s{index}" for index, segment in enumerate(inner) if segment.text == "" or not _is_simple(segment)]


def _is_simple(segment: Segment) -> bool:
    """Tell whether a segment is fixed, or captures a text or a number that is not empty."""
    return segment.text is not None or segment.regex in {_STRING, _INTEGER}


def _segment_test(number: str, variable: str, segment: Segment, names: dict[str, Any]) -> tuple[str, str]:
    """Return the condition for one dynamic segment, and the expression for what it captures."""
    if segment.regex == _INTEGER:
        # `str.isdecimal` accepts the characters that `\d` does.
        return f"{variable}.isdecimal()", variable
    no_nul = rf"'\0' not in {variable}"
    if segment.regex == _STRING:
        return f"{variable} and {no_nul}", variable
    names[f"match_{number}"] = re.compile(segment.regex).match
    groups = [f"'__werkzeug_{group}'" for group in range(group_count(segment))]
    captured = f"found_{number}[{groups[0]}]" if len(groups) == 1 else f"*found_{number}.group({', '.join(groups)})"
    return f"{no_nul} and (found_{number} := match_{number}({variable})) is not None", captured
