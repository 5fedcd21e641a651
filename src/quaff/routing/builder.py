"""Builds URLs for endpoints that have one rule, which is most of them; the map builds the others.

For each such endpoint a function is generated that turns the values into the path, with what usual values need written
into it. It returns None for whatever it does not know; then `MapAdapter.build` is asked, which also raises `BuildError`
with its suggestion. Held against it in `tests/differential/test_url_for.py`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import quote

from werkzeug.routing import IntegerConverter, Rule, UnicodeConverter, ValidationError
from werkzeug.routing.converters import PathConverter

from .._internal.codegen import build_function
from .map import Map

_SAFE: Final = "!$&'()*+,/:;=@"
"""What Werkzeug leaves unquoted in a path."""

_OPTIONS: Final = ("_anchor", "_method", "_scheme", "_external")

_is_plain = re.compile(r"[A-Za-z0-9_.~!$&'()*+,/:;=@-]*").fullmatch

Build = Callable[[dict[str, Any]], str | None]
"""Takes the values; returns the path with its leading slash, or None."""


def _quoted(value: Any) -> str:
    return quote(str(value), safe=_SAFE)


def _integer(value: Any) -> str:
    return str(int(value))


def _converter(rule: Rule, name: str) -> tuple[str | None, Callable[[Any], str]]:
    """Return the test for values that need no conversion but formatting, and the function for all others."""
    converter = rule._converters[name]
    if type(converter) in (UnicodeConverter, PathConverter):
        # PERF: most values need no quoting; that is seen faster than `quote` sees it.
        return "type({value}) is str and is_plain({value}) is not None", _quoted
    if type(converter) is IntegerConverter and not converter.fixed_digits:
        return "type({value}) is int", _integer
    return None, converter.to_url


def _pieces(rule: Rule) -> list[tuple[bool, str]]:
    """Return the path's parts, neighbouring fixed ones joined and quoted, without the leading slash."""
    # The trace starts with the domain, which is empty here.
    trace: list[tuple[bool, str]] = rule._trace[rule._trace.index((False, "|")) + 1 :]
    pieces: list[tuple[bool, str]] = []
    for is_variable, text in trace:
        if is_variable:
            pieces.append((True, text))
        elif pieces and not pieces[-1][0]:
            pieces[-1] = (False, pieces[-1][1] + quote(text, safe=_SAFE))
        else:
            pieces.append((False, quote(text, safe=_SAFE)))
    return [(False, pieces[0][1].lstrip("/")), *pieces[1:]]


def _compile(rule: Rule) -> Build:
    """Generate the function for one rule, such as `/users/<int:id>`.

    ::

        def build(values):
            if len(values) != 1:
                return None
            try:
                v0 = values["id"]
            except KeyError:
                return None
            if not (type(v0) is int):
                if None in values.values():
                    return None
                try:
                    v0 = convert_0(v0)
                except ValidationError:
                    return None
            return f"/users/{v0}"
    """
    pieces = _pieces(rule)
    variables = [text for is_variable, text in pieces if is_variable]
    names: dict[str, Any] = {
        "KeyError": KeyError,
        "is_plain": _is_plain,
        "ValidationError": ValidationError,
        "len": len,
        "type": type,
        "str": str,
        "int": int,
    }
    lines = ["def build(values):", f"    if len(values) != {len(variables)}:", "        return None"]
    if variables:
        lines += ["    try:"]
        lines += [f"        v{index} = values[{name!r}]" for index, name in enumerate(variables)]
        lines += ["    except KeyError:", "        return None"]
    for index, name in enumerate(variables):
        usual, names[f"convert_{index}"] = _converter(rule, name)
        depth = "    "
        if usual is not None:
            lines.append(f"    if not ({usual.format(value=f'v{index}')}):")
            depth = "        "
        lines += [
            # Werkzeug drops values that are None, whichever it is; then one is missing.
            f"{depth}if None in values.values():",
            f"{depth}    return None",
            f"{depth}try:",
            f"{depth}    v{index} = convert_{index}(v{index})",
            f"{depth}except ValidationError:",
            f"{depth}    return None",
        ]
    counter = iter(range(len(variables)))
    # A literal part may hold braces or quotes: `repr` and a join of literals instead of one f-string.
    parts = [f"f'{{v{next(counter)}}}'" if is_variable else repr(text) for is_variable, text in pieces]
    body = " ".join(part for part in parts if part != "''") or "''"
    # A value may begin with a slash itself, where Werkzeug leaves one.
    begins_with_value = bool(variables) and not pieces[0][1]
    lines.append(f"    return '/' + ({body}).lstrip('/')" if begins_with_value else f"    return '/' {body}")
    return build_function("url", "build", "\n".join(lines) + "\n", names)


class UrlBuilder:
    """The functions for the endpoints of a map at one revision, made when they are first used.

    :param revision: the revision of the app that they are good for.
    :param usable: False when paths depend on more than the map and the values.
    :param serves_helper: whether `quaff.url_for` may call the functions itself, without `app.url_for`.
    """

    def __init__(self, url_map: Map, revision: int = 0, *, usable: bool = True, serves_helper: bool = True) -> None:
        self._map = url_map
        self._usable = usable and url_map.matchable()
        self.revision = revision
        self.functions: dict[str, Build | None] = {}
        """Endpoint -> function; None for endpoints that only the map can build."""
        self.helper_functions = self.functions if serves_helper else {}
        """The same for those who skip `app.url_for`; empty when that is somebody else's."""

    def build(self, endpoint: str, values: dict[str, Any]) -> str | None:
        """Return the path for *endpoint*, with a query for the values that are no variables.

        None when the map has to be asked.
        """
        try:
            function = self.functions[endpoint]
        except KeyError:
            rules = self._map.rules_of(endpoint) if self._usable else []
            if not rules:
                # Not kept: the name may come from anywhere.
                return None
            function = self.functions[endpoint] = self._make(rules)
        if function is None:
            return None
        path = function(values)
        return self._with_query(endpoint, function, values) if path is None and values else path

    def _with_query(self, endpoint: str, function: Build, values: dict[str, Any]) -> str | None:
        """Return the path with more values than the rule has variables."""
        rule = self._map.rules_of(endpoint)[0]
        own = {name: value for name, value in values.items() if name in rule.arguments}
        others = {name: value for name, value in values.items() if name not in rule.arguments and value is not None}
        path = function(own) if others else None
        if path is None:
            return None
        query = rule._encode_query_vars(others)
        return f"{path}?{query}" if query else path

    @staticmethod
    def _make(rules: list[Rule]) -> Build | None:
        if len(rules) != 1:
            return None
        rule = rules[0]
        # A rule may be of a subclass that builds in its own way.
        usual = type(rule).build is Rule.build and type(rule).suitable_for is Rule.suitable_for
        if not usual or rule.defaults or rule.subdomain or rule.host or rule.websocket:
            return None
        # A variable that has the name of an option of `url_for` never gets a value from there.
        if not rule.arguments.isdisjoint(_OPTIONS):
            return None
        return _compile(rule)
