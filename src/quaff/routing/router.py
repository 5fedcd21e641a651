"""The router of an app at one revision: static paths in a dictionary, the rest by the generated matchers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

from werkzeug.routing import IntegerConverter, UnicodeConverter
from werkzeug.routing.converters import PathConverter

from .map import Map, Rule
from .matcher import ASK_THE_MAP, MatcherFactory
from .patterns import Leaf, is_unusual, patterns_of

Handler = Callable[..., Any]
"""What serves a matched request."""


class Route:
    """A rule as the pipeline needs it: the names of its variables and how their values are converted."""

    __slots__ = ("converters", "defaults", "endpoint", "names", "rule")

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.endpoint: str = rule.endpoint
        converters: Mapping[str, Any] = rule._converters
        self.names: tuple[str, ...] = tuple(converters)
        self.converters: tuple[Any, ...] = tuple(converters.values())
        self.defaults: dict[str, Any] = dict(rule.defaults or {})

    def convert(self, *captured: str) -> dict[str, Any]:
        """Return the view's arguments for the captured texts.

        :raises werkzeug.routing.ValidationError: when a converter refuses its text.
        """
        values: dict[str, Any] = {
            name: converter.to_python(text)
            for name, converter, text in zip(self.names, self.converters, captured, strict=True)
        }
        values.update(self.defaults)
        return values

    def conversion(self, index: int) -> str | None:
        """Return the expression for the value of variable *index* out of `text`; None to ask the converter."""
        converter = self.converters[index]
        kind = type(converter)
        if kind in (UnicodeConverter, PathConverter):
            return "{text}"
        if kind is IntegerConverter and not converter.fixed_digits and converter.min is None and converter.max is None:
            return "int({text})"
        return None


class Router:
    """Finds the handler for a path and a method.

    :param make_handler: called with a `Route` and a method when a request first needs it; the result is kept until
        `forget_handlers`.
    """

    def __init__(self, url_map: Map, make_handler: Callable[[Route, str], Handler]) -> None:
        self._make_handler = make_handler
        self._lock = threading.Lock()
        self._generation = 0
        self._made: list[tuple[Leaf, Route, str]] = []
        self.static: dict[str, dict[str, Handler]] = {}
        """WSGI path -> method -> handler."""
        patterns = patterns_of(url_map)
        self.usable = patterns is not None
        """Whether this router can answer at all; else every path goes to the map."""
        for pattern in patterns or ():
            self._fill(pattern.leaf)
            if pattern.is_static and pattern.leaf.handlers:
                path = "/" + "/".join(str(segment.text) for segment in pattern.segments)
                # Leading slashes are one to the map: a rule that starts with two fits no path.
                if path[1:2] != "/":
                    # RFC: PEP 3333: the server passes the path's bytes as latin-1.
                    self.static[path.encode().decode("latin1")] = pattern.leaf.handlers
        self._factory = MatcherFactory(patterns or [])
        self.matchers = self._factory.made
        """Number of pieces of a path -> matcher, for those that were asked for; see `matcher.py`."""

    def _fill(self, leaf: Leaf) -> None:
        answered_by_map: set[str] = set()
        for rule in leaf.rules:
            if rule.methods is None:
                return
            if is_unusual(rule):
                answered_by_map |= rule.methods
                continue
            route = Route(rule)
            for method in rule.methods - answered_by_map:
                if method not in leaf.handlers:
                    leaf.handlers[method] = self._stub(leaf, route, method)

    def _stub(self, leaf: Leaf, route: Route, method: str) -> Handler:
        """Return a handler that makes the real one on its first call and takes itself out of the way."""

        def make_and_call(*args: Any) -> Any:
            generation = self._generation
            handler = self._make_handler(route, method)
            with self._lock:
                # Made from registries that changed meanwhile: good for this request, not for the next.
                if generation == self._generation:
                    leaf.handlers[method] = handler
                    self._made.append((leaf, route, method))
            return handler(*args)

        return make_and_call

    def forget_handlers(self) -> None:
        """Make all handlers anew when they are next needed."""
        with self._lock:
            self._generation += 1
            for leaf, route, method in self._made:
                leaf.handlers[method] = self._stub(leaf, route, method)
            self._made.clear()

    def find(self, path: str, method: str) -> Any:
        """Match a decoded path.

        Returns `(handler, captured)`; a list of leaves that take other methods, empty when there is no such path; or
        `ASK_THE_MAP`.
        """
        if not self.usable or path[:1] != "/" or "//" in path:
            return ASK_THE_MAP
        pieces = path.split("/")
        factory = self._factory
        matcher = factory.made.get(len(pieces)) or factory.matcher(len(pieces))
        return matcher(pieces, method)
