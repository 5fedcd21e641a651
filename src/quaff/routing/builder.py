"""Builds URLs for endpoints that have one rule, which is most of them; the map builds the others.

`UrlBuilder.build` returns a path or None; None means that `MapAdapter.build` has to be asked, which also raises
`BuildError` with its suggestion. Held against it in `tests/differential/test_url_for.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final
from urllib.parse import quote

from werkzeug.datastructures import MultiDict
from werkzeug.routing import IntegerConverter, Rule, UnicodeConverter, ValidationError
from werkzeug.routing.converters import PathConverter

from .._internal.codegen import build_function
from .map import Map

_SAFE: Final = "!$&'()*+,/:;=@"
"""What Werkzeug leaves unquoted in a path."""

Build = Callable[[dict[str, Any]], str]


def _quoted(value: Any) -> str:
    text = value if type(value) is str else str(value)
    # PERF: letters and digits need no quoting, and most values are made of them.
    return text if text.isascii() and text.isalnum() else quote(text, safe=_SAFE)


def _integer(value: Any) -> str:
    return str(value) if type(value) is int else str(int(value))


class _Plan:
    """How to build the path of one rule."""

    __slots__ = ("arguments", "build")

    def __init__(self, rule: Rule) -> None:
        self.arguments = frozenset(rule.arguments)
        self.build = _compile(rule)


def _compile(rule: Rule) -> Build:
    names: dict[str, Any] = {}
    parts: list[str] = []
    # The trace starts with the domain, which is empty here, and the leading slash is the caller's.
    trace: list[tuple[bool, str]] = rule._trace[rule._trace.index((False, "|")) + 2 :]
    for index, (is_dynamic, data) in enumerate(trace):
        if not is_dynamic:
            parts.append(repr(quote(data, safe=_SAFE)))
            continue
        converter = rule._converters[data]
        if type(converter) in (UnicodeConverter, PathConverter):
            names[f"convert_{index}"] = _quoted
        elif type(converter) is IntegerConverter and not converter.fixed_digits:
            names[f"convert_{index}"] = _integer
        else:
            names[f"convert_{index}"] = converter.to_url
        parts.append(f"convert_{index}(values[{data!r}])")
    body = " + ".join(parts) or "''"
    source = f"def build(values):\n    return {body}\n"
    return build_function("url", "build", source, names)


class UrlBuilder:
    """Plans for the endpoints of a map at one revision, made when they are first used."""

    def __init__(self, url_map: Map) -> None:
        self._map = url_map
        self._usable = url_map.matchable()
        self._plans: dict[str, _Plan | None] = {}

    def build(self, endpoint: str, values: dict[str, Any]) -> str | None:
        """Return the path for *endpoint* without a leading slash, with a query for the values that are no variables.

        None when the map has to be asked.
        """
        try:
            plan = self._plans[endpoint]
        except KeyError:
            plan = self._plans[endpoint] = self._plan(endpoint)
        if plan is None or None in values.values() or isinstance(values, MultiDict):
            return None
        arguments = plan.arguments
        try:
            if values.keys() == arguments:
                return plan.build(values)
            if not arguments <= values.keys():
                return None
            path = plan.build(values)
        except ValidationError:
            return None
        rule = self._map.rules_of(endpoint)[0]
        query = rule._encode_query_vars({name: value for name, value in values.items() if name not in arguments})
        return f"{path}?{query}" if query else path

    def _plan(self, endpoint: str) -> _Plan | None:
        rules = self._map.rules_of(endpoint) if self._usable else []
        if len(rules) != 1:
            return None
        rule = rules[0]
        # A rule may be of a subclass that builds in its own way.
        usual = type(rule).build is Rule.build and type(rule).suitable_for is Rule.suitable_for
        if not usual or rule.defaults or rule.subdomain or rule.host or rule.websocket:
            return None
        return _Plan(rule)
