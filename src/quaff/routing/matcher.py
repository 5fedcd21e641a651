"""Generates the function that matches a path.

Patterns of the same shape (which segments are fixed, which regular expression stands where) share one dictionary, keyed by
their fixed segments. So the work for a path grows with the number of shapes of its length, which is small, and not with
the number of rules. For each length one function is generated that tries the shapes in Werkzeug's order:

    def match_2(segments, method):          # /users/<int:id> and /<name>/<int:id>
        s0, s1 = segments
        if s1.isdecimal() and (leaf := fixed_0.get(s0)) is not None: ...
        if s0 and s1.isdecimal() ...: ...

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
"""Takes the segments and the method. Returns a `Match`; a list of leaves where only the method did not fit; an empty list
when nothing fits; or `ASK_THE_MAP`."""

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

    def __init__(self, patterns: list[Pattern]) -> None:
        self._shapes = _shapes(patterns)
        # Longer paths than any rule can only meet the rules that take a tail: one matcher serves them all.
        self._longest = max((len(shape.segments) for shape in self._shapes), default=0) + 1
        self.made: dict[int, Matcher] = {}
        """Number of segments -> matcher, as far as they were made; see `matcher`."""

    def matcher(self, length: int) -> Matcher:
        """Return the function for paths of *length* segments."""
        length = min(length, self._longest)
        made = self.made.get(length)
        if made is None:
            made = self.made[length] = self._build(length)
        return made

    def _build(self, length: int) -> Matcher:
        names: dict[str, Any] = {"ASK_THE_MAP": ASK_THE_MAP}
        lines = [f"def match_{length}(segments, method):"]
        exact = length < self._longest
        if length:
            names_of_segments = "".join(f"s{index}, " for index in range(length))
            lines.append(f"    {names_of_segments}= segments" + ("" if exact else f"[:{length}]"))
        lines.append("    missed = []")
        for number, shape in enumerate(self._shapes):
            if self._fits(shape, length, exact=exact):
                lines += _shape_lines(number, shape, length, names)
        lines.append("    return missed")
        function: Matcher = build_function("router", f"match_{length}", "\n".join(lines) + "\n", names)
        return function

    @staticmethod
    def _fits(shape: _Shape, length: int, *, exact: bool) -> bool:
        if shape.tail is not None or shape.unusual:
            return length > len(shape.segments)
        return exact and length == len(shape.segments)


def _shape_lines(number: int, shape: _Shape, length: int, names: dict[str, Any]) -> list[str]:
    """Return the lines that try one shape, and put the objects they refer to into *names*."""
    table = f"leaves_{number}"
    names[table] = shape.leaves
    fixed = [f"s{index}" for index in shape.fixed]
    key = fixed[0] if len(fixed) == 1 else f"({', '.join(fixed)})"
    dynamic = {f"s{index}": segment for index, segment in enumerate(shape.segments) if segment.text is None}
    setup: list[str] = []
    if shape.tail is not None:
        setup.append(f"    tail = '/'.join(segments[{len(shape.segments)}:])")
        dynamic["tail"] = shape.tail
    tests = [_segment_test(f"{number}_{variable}", variable, segment, names) for variable, segment in dynamic.items()]
    found = f"(leaf := {table}.get({key})) is not None"
    # The dictionary first: it refuses most paths, and a regular expression costs more.
    condition = " and ".join([found, *(test for test, _captured in tests)])
    if shape.unusual:
        return [*setup, f"    if {condition}:", "        return ASK_THE_MAP"]
    # Digits without end are a number to Werkzeug's expression, and then to nobody.
    too_long = [
        f"len({variable}) >= {_SAFE_DIGITS}" for variable, segment in dynamic.items() if _DIGITS in segment.regex
    ]
    captured = "".join(f"{expression}, " for _test, expression in tests)
    return [
        *setup,
        f"    if {condition}:",
        *([f"        if {' or '.join(too_long)}:", "            return ASK_THE_MAP"] if too_long else []),
        "        handler = leaf.handlers.get(method)",
        "        if handler is not None:",
        f"            return handler, ({captured.rstrip()})",
        "        if leaf.ask_the_map:",
        "            return ASK_THE_MAP",
        "        missed.append(leaf)",
    ]


def _segment_test(number: str, variable: str, segment: Segment, names: dict[str, Any]) -> tuple[str, str]:
    """Return the condition for one dynamic segment, and the expression for what it captures."""
    if segment.regex == _STRING:
        return variable, variable
    if segment.regex == _INTEGER:
        # `str.isdecimal` accepts the characters that `\d` does.
        return f"{variable}.isdecimal()", variable
    names[f"match_{number}"] = re.compile(segment.regex).match
    groups = [f"'__werkzeug_{group}'" for group in range(group_count(segment))]
    captured = f"found_{number}[{groups[0]}]" if len(groups) == 1 else f"*found_{number}.group({', '.join(groups)})"
    return f"(found_{number} := match_{number}({variable})) is not None", captured
