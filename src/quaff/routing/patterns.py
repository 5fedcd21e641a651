"""The map's state machine as a flat list of patterns.

Werkzeug's matcher is a tree of states, one level for each segment of the path; at each state it tries the static segment
first, then the dynamic ones by weight, and goes back when a branch fails. A pattern is one way through that tree. Sorted
by `Pattern.order`, the first pattern that fits a path is the one that Werkzeug would find.

COMPAT: this reads `Map._matcher`, `Rule._parts` and `Rule._converters`, which Werkzeug does not promise; they are the same
in all 3.1 releases, and the dependency is pinned below 3.2. What is not understood becomes an `unusual` pattern, which
sends the path to the map itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from .map import Map, Rule


@dataclass(frozen=True, slots=True)
class Segment:
    """One position of a pattern: a fixed text, or a regular expression with its place in Werkzeug's order."""

    text: str | None
    """The fixed text, or None when the segment is dynamic."""

    regex: str = ""
    """What a dynamic segment has to match, with Werkzeug's numbered groups for the values."""

    weight: tuple[Any, ...] = ()
    """Werkzeug's weight of the part; lower is tried first."""

    @property
    def order(self) -> tuple[Any, ...]:
        """The place of this segment among those that could stand at its position."""
        return (0,) if self.text is not None else (1, self.weight)


@dataclass(slots=True)
class Leaf:
    """Where a pattern ends: the rules there, in the order in which they were added."""

    rules: list[Rule] = field(default_factory=list)

    ask_the_map: bool = False
    """Whether a request that none of the rules takes may still get a redirect or another answer from the map."""

    handlers: dict[str, Any] = field(default_factory=dict)
    """Method -> what runs for it; filled by the router."""

    def methods(self) -> set[str]:
        """Return the methods that some rule here takes."""
        return {method for rule in self.rules for method in rule.methods or ()}


@dataclass(slots=True)
class Pattern:
    """One way through the state machine.

    *tail* is a regular expression for all that follows the segments, as a `path` converter at the end makes it. An
    *unusual* pattern stands for anything below its segments that only the map can answer.
    """

    segments: tuple[Segment, ...]
    leaf: Leaf
    tail: Segment | None = None
    unusual: bool = False

    @property
    def order(self) -> tuple[tuple[Any, ...], ...]:
        """The place of this pattern in Werkzeug's search order."""
        steps = [segment.order for segment in self.segments]
        if self.unusual:
            steps.append((0.5,))
        elif self.tail is not None:
            steps.append(self.tail.order)
        return tuple(steps)

    @property
    def is_static(self) -> bool:
        """Whether exactly one path fits."""
        return self.tail is None and not self.unusual and all(segment.text is not None for segment in self.segments)


def patterns_of(url_map: Map) -> list[Pattern] | None:
    """Return all patterns of *url_map* in search order, or None when only the map itself can match."""
    if not url_map.matchable():
        return None
    url_map.update()
    root = getattr(getattr(url_map, "_matcher", None), "_root", None)
    if root is None or root.dynamic:
        return None
    domain = root.static.get("")
    if domain is None:
        return []
    if domain.dynamic or set(domain.static) - {""}:
        return None
    start = domain.static.get("")
    return [] if start is None else sorted(_walk(start, ()), key=lambda pattern: pattern.order)


def _walk(state: Any, segments: tuple[Segment, ...], *, answers_for_parent: bool = False) -> Iterator[Pattern]:
    leaf = _leaf(state)
    # Where no rule here takes the method, a rule without the slash may.
    leaf.ask_the_map = leaf.ask_the_map or answers_for_parent
    if leaf.rules or leaf.ask_the_map:
        yield Pattern(segments, leaf)
    # A rule "/x" answers "/x/" too when strict_slashes is off.
    slash_is_optional = any(not rule.strict_slashes for rule in state.rules)
    if slash_is_optional and "" not in state.static:
        yield Pattern((*segments, Segment("")), Leaf(ask_the_map=True))
    for text, child in state.static.items():
        yield from _walk(child, (*segments, Segment(text)), answers_for_parent=slash_is_optional and text == "")
    weights = [tuple(part.weight) for part, _ in state.dynamic]
    for part, child in state.dynamic:
        weight = tuple(part.weight)
        # Two different parts of one weight are tried in the order in which they were added at this very state.
        if weights.count(weight) > 1 or part.suffixed:
            yield Pattern(segments, Leaf(ask_the_map=True), unusual=True)
        elif part.final:
            yield Pattern(segments, _leaf(child), tail=Segment(None, part.content, weight))
        else:
            yield from _walk(child, (*segments, Segment(None, part.content, weight)))


def _leaf(state: Any) -> Leaf:
    rules: list[Rule] = list(state.rules)
    branch = state.static.get("")
    # RFC: none; a rule "/x/" answers "/x" with a redirect, or directly when strict_slashes is off.
    ask = branch is not None and bool(branch.rules)
    return Leaf(rules, ask_the_map=ask or any(is_unusual(rule) for rule in rules))


def is_unusual(rule: Rule) -> bool:
    """Tell whether matching this rule does more than finding it."""
    return bool(
        rule.websocket
        or rule.alias
        or rule.redirect_to is not None
        or rule.methods is None
        or (rule.map.redirect_defaults and _has_default_twin(rule))
    )


def _has_default_twin(rule: Rule) -> bool:
    siblings: list[Rule] = rule.map._rules_by_endpoint[rule.endpoint]
    return any(other is not rule and other.provides_defaults_for(rule) for other in siblings)


def group_count(segment: Segment) -> int:
    """Return how many values a dynamic segment captures."""
    return sum(name.startswith("__werkzeug_") for name in re.compile(segment.regex).groupindex)
