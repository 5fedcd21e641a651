"""`RouteLimit`: a limit as a decorator of functions and blueprints, and around a piece of code."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import wraps
from inspect import isasyncgenfunction, iscoroutinefunction, isgeneratorfunction
from types import TracebackType
from typing import Any, TypeVar, overload

from ...blueprints import Blueprint
from ...pipeline.parts import mark_view, marks_of
from .registry import Limited
from .rules import Limit
from .util import qualified_name

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(unsafe_hash=True, kw_only=True)
class RouteLimit(Limit):
    """A limit for a view, for any function that a view calls, for a blueprint, or for the code in a `with` block.

    ::

        @app.get("/")
        @RouteLimit("2/second", limiter=limiter)
        def index(): ...

    `Limiter.limit` and `Limiter.shared_limit` return one.
    """

    override_defaults: bool | None = False
    limiter: Any = field(hash=False, compare=False, repr=False)  # Any: of a module above

    def __post_init__(self) -> None:
        super().__post_init__()
        self.bind(self.limiter)

    def __enter__(self) -> None:
        caller = sys._getframe(1)
        place = f"{caller.f_code.co_filename}:{caller.f_code.co_name}:{caller.f_lineno}"
        self.limiter.look_at_code(place, [self])

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        return None

    @overload
    def __call__(self, obj: Blueprint) -> None: ...

    @overload
    def __call__(self, obj: F) -> F: ...

    def __call__(self, obj: Any) -> Any:
        """Limit a function, and return what to use in its place; or a blueprint, and return None."""
        limiter = self.limiter
        if isinstance(obj, Blueprint):
            limiter.add_blueprint_limit(obj, self)
            return None
        if not callable(obj):
            raise TypeError(f"A limit decorates functions and blueprints, not {obj!r}.")
        limited = limited_of(obj, limiter)
        if limited is not None:
            # A second limit of a function is counted with the first.
            limited.limits.append(self)
            limiter.note_change()
            return obj
        limited = Limited(obj, qualified_name(obj))
        limited.limits.append(self)
        if isgeneratorfunction(obj) or isasyncgenfunction(obj):
            # A wrapper that looks at limits first is no generator function, and as such a WebSocket's handler is known.
            marked = mark_view(obj, limiter, limited)
        else:
            marked = mark_view(wrap(obj, limiter, limited), limiter, limited)
            limited.wrapper = marked
        # A function may be registered already, and what is returned here be thrown away.
        mark_original(obj, marked, limiter, limited)
        limiter.note_change()
        return marked


def mark_original(obj: Any, marked: Any, limiter: Any, limited: Limited) -> None:
    """Note a limit on the function itself as well, for when it is the function that is registered as a view."""
    if marked is not obj and hasattr(obj, "__dict__") and not hasattr(obj, "__func__"):
        mark_view(obj, limiter, limited)


def limited_of(function: Callable[..., Any], limiter: Any) -> Limited | None:
    """Return what a decorator of *limiter* has noted on a function already, or None."""
    for mark in marks_of(function, ""):
        if mark.battery is limiter and isinstance(mark.options, Limited):
            return mark.options
    return None


def wrap(function: Callable[..., Any], limiter: Any, limited: Limited) -> Callable[..., Any]:
    """Return a function that looks at limits before it calls *function*; an async one if that is."""
    if iscoroutinefunction(function):

        @wraps(function)
        async def async_wrapper(*args: Any, **kwargs: Any) -> Any:
            await limiter.enter_async(limited)
            return await function(*args, **kwargs)

        return async_wrapper

    @wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        limiter.enter(limited)
        return function(*args, **kwargs)

    return wrapper
