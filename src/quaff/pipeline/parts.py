"""What batteries give to the pipeline.

A battery (CORS, rate limits, compression, ...) is asked once for each route and method what it has to do there, and answers
with parts: a guard that may answer before the view, headers, a finisher of the response, or nothing. Everything that can
be decided then is decided then. The compiled pipeline writes the parts into the handler of the route (`part_steps.py`);
the reference pipeline runs them from here. Their order is that of `Stage`, whatever the order of registration.

```python
class Version(Battery):
    def parts_for(self, target):
        return [Part(stage=Stage.HEADERS, headers=(("X-Version", target.app.config["VERSION"]),))]


app.add_battery(Version())
```
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property, update_wrapper
from inspect import iscoroutinefunction
from typing import Any, Final, NamedTuple, TypeVar, cast

from werkzeug.routing import Rule

from ..headers import Headers, add_vary
from ..helpers import _split_blueprint_path
from .phases import Stage
from .results import Answer

F = TypeVar("F", bound=Callable[..., Any])

Pairs = tuple[tuple[str, str], ...]
AnswerFunction = Callable[[Any], Answer | None]
_MARKS: Final = "_quaff_marks"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The route and method that parts are asked for. All of it is known before a request comes."""

    app: Any
    """The app."""

    rule: Rule | None
    """The rule, or None for requests that match none: 404, 405, redirects."""

    method: str
    """The method; `*` for requests that match no rule, when they are all served alike."""

    view: Callable[..., Any] | None
    """The function that is registered for the endpoint, also for an automatic `OPTIONS`; None when there is none."""

    @property
    def endpoint(self) -> str:
        """The endpoint, or an empty string without a rule."""
        return "" if self.rule is None else self.rule.endpoint

    @property
    def blueprints(self) -> list[str]:
        """The names of the endpoint's blueprint and its parents, innermost first."""
        name = self.endpoint.rpartition(".")[0]
        return _split_blueprint_path(name) if name else []

    @property
    def is_websocket(self) -> bool:
        """Whether the route is a WebSocket."""
        return self.rule is not None and bool(self.rule.websocket)

    @property
    def is_automatic_options(self) -> bool:
        """Whether the app answers this `OPTIONS` itself, without calling the view."""
        return self.method == "OPTIONS" and bool(getattr(self.rule, "provide_automatic_options", False))

    def marks(self, battery: Battery) -> list[Any]:
        """Return the options with which *battery*'s decorators marked the view, the outermost decorator's last."""
        return [mark.options for mark in marks_of(self.view, self.method) if mark.battery is battery]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What a battery does for one route and method. Everything is optional but the stage.

    Guards are called after the URL value preprocessors and before the before_request functions; finishers and headers
    come after the after_request functions and the session. Errors that no handler of the app's answered, and those of
    routing, are finished as well.
    """

    stage: Stage
    """Where the part stands among the others."""

    guard: Callable[[Any], Any] | None = None
    """Called with the context; what it returns, unless None, is the result in place of the view's. It may raise.

    PERF: an `Answer` (`results.py`) is sent without a response object where nobody wants one.
    """

    headers: Pairs = ()
    """Headers of every response, put first, unless it has one of the name already; `Vary` is added to what is there."""

    add_headers: Callable[[Any, int, Any], None] | None = None
    """Called with the context, the status code and the response's `Headers`, which it may change."""

    finish: Callable[[Any, Any], Any] | None = None
    """Called with the context and the response; returns the response to send. For what changes the body or the status."""

    acts_on: Callable[[Any, bytes], bool] | None = None
    """Called with the context and a whole body when nothing but `finish` needs a response object.

    When it returns False, `finish` must have nothing to do (or nothing that `finish_body` does not do) and is not called.
    PERF: a response object costs more than the rest of a request. Without this and `finish_body`, `finish` is always called.
    """

    finish_body: Callable[[Any, int, bytes, Headers], bytes] | None = None
    """Does what `finish` does where `acts_on` is False or missing, without a response object.

    Called with the context, the status code, the whole body and the headers, which it may change, `Content-Length`
    included; returns the body to send.
    """

    min_size: int = 0
    """The bytes that a whole body must have for `finish` to change it or its headers. PERF: below, nothing is called."""

    noted: str | None = None
    """The note (`RequestContext.note`) without which nothing is to be finished and no header added. PERF: as `min_size`."""

    wrap_view: Callable[[Callable[..., Any]], Callable[..., Any]] | None = None
    """Called once with the view, while the route is compiled; returns what is called in its place.

    It is a shortcut only: the reference pipeline calls the view as it is registered, with the same result.
    """

    answer_view: Callable[[Callable[..., Any], bool], AnswerFunction | None] | None = None
    """Called once with the view, before `wrap_view`, where most results are sent without a response object; or None.

    The second argument tells whether nothing runs before the view. What is returned is called with the context right
    before the view and may return an `Answer`, which has all headers that this part gives it; the view is not called then.
    No part before this one has a finisher there. It is a shortcut only.
    """

    blocking: bool = False
    """Whether `guard` or `finish` may wait, for a store over the network: on an event loop they run in a worker thread."""

    @property
    def is_spared(self) -> bool:
        """Whether there are requests for which `finish` need not be called."""
        return bool(self.acts_on or self.finish_body or self.noted or self.min_size)


class Battery:
    """Base class of what takes part in the pipeline; `app.add_battery` takes an instance."""

    def parts_for(self, target: Target) -> Iterable[Part]:
        """Return the parts for one route and method.

        It is called before the first request of a route, and again after the app changed in any way, configuration
        included; it has to be quick and without side effects. What it raises, the request gets: raise for settings that
        cannot be right.
        """
        return ()


class Mark(NamedTuple):
    """What a decorator left on a view: the battery that it belongs to, and its options."""

    battery: Battery
    options: Any


def mark_view(view: F, battery: Battery, options: Any = None) -> F:
    """Note on *view* that *battery* has *options* for it, and return it; other decorators around it keep the note.

    A battery that marks a view takes part in its routes also when it was not added to the app.
    """
    if not hasattr(view, "__dict__") or hasattr(view, "__func__"):
        # A bound method takes no attributes of its own, and what is put on its function is all objects'.
        view = _wrap(view)
    # A new tuple each time: `functools.wraps` makes wrapper and view share what is in their `__dict__`.
    view.__dict__[_MARKS] = (*view.__dict__.get(_MARKS, ()), Mark(battery, options))
    return view


def _wrap(bound: F) -> F:
    def view(*args: Any, **kwargs: Any) -> Any:
        return bound(*args, **kwargs)

    async def async_view(*args: Any, **kwargs: Any) -> Any:
        return await bound(*args, **kwargs)

    return cast(F, update_wrapper(async_view if iscoroutinefunction(bound) else view, bound))


def marks_of(view: Callable[..., Any] | None, method: str) -> tuple[Mark, ...]:
    """Return the marks of a view, the innermost decorator's first; for a `MethodView`, those of its method before."""
    marks: tuple[Mark, ...] = getattr(view, _MARKS, ())
    view_class = getattr(view, "view_class", None)
    if view_class is None:
        return marks
    name = method.lower()
    function = getattr(view_class, name, None) or (getattr(view_class, "get", None) if name == "head" else None)
    function = function or getattr(view_class, "dispatch_request", None)
    return (*getattr(function, _MARKS, ()), *marks)


def _all_marks(view: Callable[..., Any]) -> Iterator[Mark]:
    """Yield the marks of a view and, for a `MethodView`, of each of its methods."""
    yield from getattr(view, _MARKS, ())
    for name in getattr(getattr(view, "view_class", None), "methods", None) or ():
        yield from getattr(getattr(view.view_class, name.lower(), None), _MARKS, ())  # type: ignore[attr-defined]


@dataclass(frozen=True)
class PartsOfRoute:
    """All parts for one route and method, in their order. What follows from them is worked out once."""

    parts: tuple[Part, ...]

    @cached_property
    def guards(self) -> tuple[Part, ...]:
        """The parts with a guard."""
        return tuple(part for part in self.parts if part.guard is not None)

    @cached_property
    def finishers(self) -> tuple[Part, ...]:
        """The parts with something to call when there is a response."""
        return tuple(part for part in self.parts if part.finish is not None or part.add_headers is not None)

    @cached_property
    def headers(self) -> Pairs:
        """The constant headers of all parts: the first of a name, and one `Vary` with all that the parts name."""
        found: dict[str, tuple[str, str]] = {}
        for name, value in (pair for part in self.parts for pair in part.headers):
            key = name.lower()
            if key == "vary" and key in found:
                words = [word.strip() for word in f"{found[key][1]},{value}".split(",")]
                found[key] = (name, ", ".join(dict.fromkeys(words)))
            else:
                found.setdefault(key, (name, value))
        return tuple(found.values())

    @cached_property
    def needs_response(self) -> bool:
        """Whether each request needs a response object."""
        return any(part.finish is not None and not part.is_spared for part in self.parts)

    def wrap_view(
        self, view: Callable[..., Any], *, direct: bool, first: bool
    ) -> tuple[Callable[..., Any], AnswerFunction | None]:
        """Return what the compiled pipeline calls in the place of *view*, and what it asks for an answer before.

        :param direct: whether most results are sent without a response object.
        :param first: whether nothing runs before the view.
        """
        answer = None
        for part in self.parts:
            if direct and answer is None and part.answer_view is not None:
                answer = part.answer_view(view, first)
            if part.wrap_view is not None:
                view = part.wrap_view(view)
            # What is finished before changes what this one would have put into its answer.
            direct = direct and part.finish is None
        return view, answer

    def guard(self, context: Any) -> Any:
        """Call the guards until one answers; return the answer, or None."""
        for part in self.guards:
            answer = part.guard(context)  # type: ignore[misc]  # a guard has one
            if answer is not None:
                return answer.response(context.app.response_class) if type(answer) is Answer else answer
        return None

    def finish(self, context: Any, response: Any) -> Any:
        """Let the parts finish a response; return the response to send."""
        put_headers(response, self.headers)
        given = response
        for part in self.finishers:
            if part.noted is not None and context.noted(part.noted) is None:
                continue
            if part.finish is not None:
                response = part.finish(context, response)
            if part.add_headers is not None:
                part.add_headers(context, response.status_code, response.headers)
        if response is not given:
            put_headers(response, self.headers)
        return response

    def error_headers(self, context: Any, response: Any) -> list[tuple[str, str]]:
        """Return what a page that tells a browser of an error has to have: without CORS headers no script may read it.

        COMPAT: nothing else is on the debugger's page in Flask, and a content security policy would keep it from working.

        :param response: an empty one, with the status of the error.
        """
        cors = PartsOfRoute(tuple(part for part in self.parts if part.stage is Stage.CORS))
        before = set(response.headers)
        return [pair for pair in cors.finish(context, response).headers if pair not in before]


NO_PARTS: Final = PartsOfRoute(())


def put_headers(response: Any, pairs: Pairs) -> None:
    """Add constant headers to a response, unless it has them; `Vary` is added to what is there."""
    if not pairs:
        return
    headers = response.headers
    present = {name.lower() for name, _ in headers}
    for name, value in pairs:
        key = name.lower()
        if key == "vary" and key in present:
            add_vary(headers, value)
        elif key not in present:
            headers.add(name, value)


def find_parts(app: Any, rule: Rule | None, method: str) -> PartsOfRoute:
    """Ask the batteries of the app and of the view what they do for a route and method."""
    view = None if rule is None else app.view_functions.get(rule.endpoint)
    marked = [mark.battery for mark in marks_of(view, method)]
    if method in {"OPTIONS", "*"}:
        # Such a request may be about another view: a preflight about the one that serves the method it asks for.
        marked += [mark.battery for other in app.view_functions.values() for mark in _all_marks(other)]
    if not app.batteries and not marked:
        return NO_PARTS
    target = Target(app=app, rule=rule, method=method, view=view)
    batteries = _without_repeats([*app.batteries, *marked])
    parts = [part for battery in batteries for part in battery.parts_for(target)]
    # Sorting is stable: among parts of one stage, the battery that was added first comes first.
    return PartsOfRoute(tuple(sorted(parts, key=lambda part: part.stage)))


def _without_repeats(batteries: Iterable[Battery]) -> Iterator[Battery]:
    seen: set[int] = set()
    for battery in batteries:
        if id(battery) not in seen:
            seen.add(id(battery))
            yield battery


class PartsOfApp:
    """Remembers the parts of an app's routes, for the reference pipeline and WebSockets."""

    def __init__(self) -> None:
        self._revision = -1
        self._found: dict[tuple[int, str], tuple[Rule | None, PartsOfRoute]] = {}

    def of_request(self, app: Any, request: Any) -> PartsOfRoute:
        """Return the parts for the route that a request matched."""
        rule = request.url_rule
        # SECURITY: clients choose the method, so what is remembered for those that match no rule is one entry.
        return self.of_rule(app, rule, request.method if rule is not None else "*")

    def of_rule(self, app: Any, rule: Rule | None, method: str) -> PartsOfRoute:
        """Return the parts for a rule and method."""
        if self._revision != app._revision.value:
            self._revision, self._found = app._revision.value, {}
        # Rules cannot be hashed. The rule is remembered too, so that no other one gets its identity.
        found = self._found.get((id(rule), method))
        if found is None:
            found = self._found[id(rule), method] = rule, find_parts(app, rule, method)
        return found[1]
