"""Builds the app of a `Program` for one pipeline, and runs its requests while it writes down all that can be observed."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

from werkzeug.datastructures import Headers
from werkzeug.exceptions import BadRequest, HTTPException, NotFound, abort
from werkzeug.routing import BaseConverter, ValidationError

from quaff import Blueprint, Quaff, g, request, signals
from quaff.globals import NO_CONTEXT, current_context
from tests.differential import customizing
from tests.differential.actions import ACTIONS, RESULTS
from tests.differential.batteries import Random
from tests.differential.native import NativeClient
from tests.differential.programs import Handler, Hook, Program, Step, View

NOW = 1_700_000_000.0
"""The time at which all requests come: what signs sessions uses it."""

CODES_AND_CLASSES: dict[str, Any] = {
    "403": 403,
    "404": 404,
    "405": 405,
    "500": 500,
    "BadRequest": BadRequest,
    "Exception": Exception,
    "HTTPException": HTTPException,
    "LookupError": LookupError,
    "NotFound": NotFound,
    "ValueError": ValueError,
}


class OwnConverter(BaseConverter):
    """A converter that refuses, aborts or fails for some texts."""

    def to_python(self, value: str) -> str:
        if value == "refused":
            raise ValidationError
        if value == "gone":
            abort(410)
        if value == "broken":
            raise KeyError(value)
        return value * 2


class Built:
    """A program's app in one pipeline, and what was noted while it ran."""

    def __init__(self, program: Program, *, compiled: bool) -> None:
        self.program = program
        self.events: list[Any] = []
        self.under_way: set[str] = set()
        self.late_receivers: set[str] = set()
        name = f"diff.{'compiled' if compiled else 'reference'}"
        self.app = customizing.make_app(self, name, compiled=compiled)
        self.other = Quaff("other", static_folder=None, compiled=compiled)
        self.other.add_url_rule("/", "home", lambda: f"{request.path} {sorted(g)}")
        self._note_log_records()
        self._blueprints = {name: Blueprint(name, __name__) for name in ("bp", "inner")}
        for number, hook in enumerate(program.hooks):
            self._add_hook(hook, f"hook {number}")
        for number, handler in enumerate(program.handlers):
            self._add_handler(handler, f"handler {number}")
        if program.batteries:
            self.app.add_battery(Random(self, program.batteries))
        self.app.url_map.converters["own"] = OwnConverter
        self.app.add_url_rule("/nested", "nested", lambda: f"nested {sorted(g)}")
        for number, view in enumerate(program.views):
            self._add_view(view, f"view{number}")
        self._blueprints["bp"].register_blueprint(self._blueprints["inner"], url_prefix="/inner")
        self.app.register_blueprint(self._blueprints["bp"], url_prefix="/bp")

    def note(self, *details: object) -> None:
        """Write down that something happened."""
        self.events.append(details)

    def _note_log_records(self) -> None:
        handler = logging.Handler()
        handler.emit = lambda record: self.note("log", record.getMessage())  # type: ignore[method-assign]
        self.app.logger.handlers[:] = [handler]
        self.app.logger.propagate = False
        self.app.logger.setLevel(logging.ERROR)

    def act(self, label: str, actions: tuple[str, ...], *details: object) -> None:
        """Do what a hook, view or handler does."""
        bound = current_context.get()
        self.note(label, bound.app_context is not None, bound.request_context is not None, *details)
        for action in actions:
            # What ends a context, renders or signals may come back here through a teardown function or a receiver.
            if action not in self.under_way:
                self.under_way.add(action)
                try:
                    ACTIONS[action](self)
                finally:
                    self.under_way.remove(action)

    def _scaffold(self, place: str | None) -> Any:
        return self.app if place is None else self._blueprints[place.rpartition(".")[2]]

    def _add_hook(self, hook: Hook, label: str) -> None:
        scaffold = self._scaffold(hook.place)
        function = getattr(self, f"_{hook.kind.replace(' ', '_')}_function")(hook, f"{label} {hook.kind} {hook.place}")
        registries: dict[str, Callable[[], Any]] = {
            "preprocess": lambda: scaffold.url_value_preprocessors[None],
            "before": lambda: scaffold.before_request_funcs[None],
            "after": lambda: scaffold.after_request_funcs[None],
            "teardown": lambda: scaffold.teardown_request_funcs[None],
            "teardown appcontext": lambda: scaffold.teardown_appcontext_funcs,
            "first request": lambda: scaffold.before_first_request_funcs,
            "context processor": lambda: scaffold.template_context_processors[None],
        }
        registries[hook.kind]().append(_of_kind(hook, function))

    def _preprocess_function(self, hook: Hook, label: str) -> Callable[..., Any]:
        return lambda endpoint, values: self.act(label, hook.actions, endpoint, dict(values or {}))

    def _before_function(self, hook: Hook, label: str) -> Callable[..., Any]:
        def before() -> Any:
            self.act(label, hook.actions)
            return None if hook.result is None else RESULTS[hook.result](self)

        return before

    def _after_function(self, hook: Hook, label: str) -> Callable[..., Any]:
        def after(response: Any) -> Any:
            self.act(label, hook.actions, type(response).__name__, response.status)
            response.headers["X-After"] = label
            if hook.result is None:
                return response
            return self.app.make_response(RESULTS[hook.result](self))

        return after

    def _teardown_function(self, hook: Hook, label: str) -> Callable[..., Any]:
        return lambda error: self.act(label, hook.actions, repr(error))

    _teardown_appcontext_function = _teardown_function

    def _first_request_function(self, hook: Hook, label: str) -> Callable[..., Any]:
        return lambda: self.act(label, hook.actions)

    def _context_processor_function(self, hook: Hook, label: str) -> Callable[..., Any]:
        def processor() -> dict[str, Any]:
            self.act(label, hook.actions)
            return {"added": "by processor"}

        return processor

    def _add_handler(self, handler: Handler, label: str) -> None:
        def handle(error: Exception) -> Any:
            self.act(f"{label} {handler.key} {handler.place}", handler.actions, repr(error))
            return RESULTS[handler.result](self)

        function = _of_kind(handler, handle)
        self._scaffold(handler.place).register_error_handler(CODES_AND_CLASSES[handler.key], function)

    def _add_view(self, view: View, label: str) -> None:
        def serve(**values: Any) -> Any:
            self.act(label, view.actions, sorted(values.items()))
            return RESULTS[view.result](self)

        options = dict(view.options)
        if "defaults" in options:
            options["defaults"] = dict(options["defaults"])
        function = None if options.pop("no view", False) else _of_kind(view, serve)
        self._scaffold(view.place).add_url_rule(view.rule, label, function, methods=view.methods, **options)


def _of_kind(part: Hook | View | Handler, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return *function*, or a coroutine function that does the same, as the program says."""
    # Preprocessors are called as they are, in Flask too.
    if not part.is_async or (isinstance(part, Hook) and part.kind == "preprocess"):
        return function

    async def asynchronous(*args: Any, **kwargs: Any) -> Any:
        await asyncio.sleep(0)
        return function(*args, **kwargs)

    return asynchronous


@contextmanager
def receivers(built: Built) -> Iterator[None]:
    """Connect the program's receivers for as long as the block runs."""
    with ExitStack() as stack:
        for number, (name, actions) in enumerate(built.program.receivers):
            connect(built, stack, name, actions, f"receiver {number} {name}")
        yield


def connect(built: Built, stack: ExitStack, name: str, actions: tuple[str, ...], label: str) -> None:
    """Connect one receiver until *stack* is closed."""
    signal = getattr(signals, name)

    def receive(sender: Any, **details: Any) -> None:
        built.act(label, actions, sorted((key, type(value).__name__) for key, value in details.items()))

    signal.connect(receive, sender=built.app, weak=False)
    stack.callback(signal.disconnect, receive)


def _headers(headers: Headers) -> list[tuple[str, str]]:
    def normal(name: str, value: str) -> str:
        if name.lower() == "allow":
            # Werkzeug takes the methods out of a set.
            return ", ".join(sorted(value.split(", ")))
        return re.sub(r"Expires=[^;]*", "Expires=...", value) if name.lower() == "set-cookie" else value

    return sorted((name, normal(name, value)) for name, value in headers)


def _request(built: Built, client: Any, step: Step) -> list[Any]:
    """Make one request; return what the caller saw."""
    try:
        environ = {"PATH_INFO": step.path.encode().decode("latin1")}
        response = client.open("/", method=step.method, environ_overrides=environ)
        seen = [response.status, _headers(response.headers), response.get_data()]
        response.close()
    except BaseException as error:
        seen = ["raised", type(error).__name__, _anonymous(str(error))]
    return seen


def _anonymous(text: str) -> str:
    """Leave out what tells two apps apart."""
    return re.sub(r"0x[0-9a-f]+|diff\.\w+", "...", text)


def run(program: Program, *, compiled: bool, native: bool = False) -> list[Any]:
    """Run a program in one pipeline; return for each step what the caller saw and what happened in between.

    :param native: serve the requests on an event loop.
    """
    built = Built(program, compiled=compiled)
    built.app.config.update({"SECRET_KEY": "key", **program.settings})
    story: list[Any] = []
    try:
        with ExitStack() as stack, mock.patch.object(time, "time", return_value=NOW):
            stack.enter_context(receivers(built))
            client = built.app.test_client()
            if native:
                client = NativeClient(built.app, built.app.response_class, use_cookies=True)
                client.runner = stack.enter_context(asyncio.Runner())
            _run_steps(built, client, stack, story)
            _close(story, stack, built)
    finally:
        current_context.set(NO_CONTEXT)
    return story


def _run_steps(built: Built, client: Any, stack: ExitStack, story: list[Any]) -> None:
    program = built.program
    if program.setting == "app context":
        stack.enter_context(built.app.app_context())
        g.outer = True
    if program.setting == "with client":
        stack.enter_context(client)
    before = current_context.get()
    for step in program.steps:
        if step.late is not None:
            customizing.change(built, stack, step.late)
            continue
        seen = _request(built, client, step)
        story.append([step, seen, list(built.events), _left_behind()])
        built.events.clear()
        if program.setting != "with client":
            current_context.set(before)


def _left_behind() -> tuple[str, list[str]]:
    bound = current_context.get()
    app_context = bound.app_context
    return type(bound).__name__, [] if app_context is None else sorted(app_context.g)


def _close(story: list[Any], stack: ExitStack, built: Built) -> None:
    """End what is still open; a teardown function may raise there."""
    try:
        stack.close()
    except BaseException as error:
        story.append(["at the end", type(error).__name__, _anonymous(str(error))])
    story.append(list(built.events))
