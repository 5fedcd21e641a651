"""Registering and finding error handlers. Apps and blueprints share this half of `Scaffold`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from werkzeug.exceptions import HTTPException, default_exceptions

from . import typing as ft
from ._internal.tracking import Revision, TrackedDict
from .hooks import setupmethod

ErrorHandler = TypeVar("ErrorHandler", bound=ft.ErrorHandlerCallable)

HandlerMap = Mapping[Any, Mapping[Any, Mapping[type[Exception], ft.ErrorHandlerCallable]]]


class ErrorHandlers:
    """The registry of error handlers: blueprint name or None -> status code or None -> exception class -> handler."""

    _revision: Revision

    def _init_error_handlers(self) -> None:
        def by_code() -> dict[Any, Any]:
            return defaultdict(dict)

        self.error_handler_spec: dict[str | None, dict[int | None, dict[type[Exception], ft.ErrorHandlerCallable]]] = (
            TrackedDict(self._revision, make=by_code)
        )

    @setupmethod
    def errorhandler(self, code_or_exception: type[Exception] | int) -> Callable[[ErrorHandler], ErrorHandler]:
        """Register the decorated function for an exception class or an HTTP status code.

        It is called with the exception and returns a response, as a view does. On a blueprint it sees errors of that
        blueprint's views only; a 404 or 405 of the routing belongs to no blueprint.
        """

        def decorator(f: ErrorHandler) -> ErrorHandler:
            self.register_error_handler(code_or_exception, f)
            return f

        return decorator

    @setupmethod
    def register_error_handler(self, code_or_exception: type[Exception] | int, f: ft.ErrorHandlerCallable) -> None:
        """Register *f* for an exception class or an HTTP status code, without a decorator."""
        exc_class, code = self._get_exc_class_and_code(code_or_exception)
        self.error_handler_spec[None][code][exc_class] = f

    @staticmethod
    def _get_exc_class_and_code(exc_class_or_code: type[Exception] | int) -> tuple[type[Exception], int | None]:
        """Return the exception class, and its status code if it is an HTTP error.

        :raises ValueError: for a code that Werkzeug does not know, or a class that is no exception.
        :raises TypeError: for an exception instance.
        """
        exc_class: Any = exc_class_or_code
        if isinstance(exc_class_or_code, int):
            try:
                exc_class = default_exceptions[exc_class_or_code]
            except KeyError:
                raise ValueError(
                    f"'{exc_class_or_code}' is not a recognized HTTP error code."
                    " Use a subclass of HTTPException with that code instead."
                ) from None
        what_is_allowed = "Handlers can only be registered for Exception classes or HTTP error codes."
        if isinstance(exc_class, Exception):
            raise TypeError(f"{exc_class!r} is an instance, not a class. {what_is_allowed}")
        if not issubclass(exc_class, Exception):
            raise ValueError(f"'{exc_class.__name__}' is not a subclass of Exception. {what_is_allowed}")
        if issubclass(exc_class, HTTPException):
            return exc_class, exc_class.code
        return exc_class, None


def find_error_handler(
    spec: HandlerMap, error: type[Exception], code: int | None, blueprints: Sequence[str]
) -> ft.ErrorHandlerCallable | None:
    """Return the handler for an error class, or None.

    A handler for the code comes before one for the class, a blueprint's (innermost first) before the app's, and a class
    before its bases: Flask's order.
    """
    for wanted in (None,) if code is None else (code, None):
        for name in (*blueprints, None):
            handlers = spec.get(name, {}).get(wanted)
            if not handlers:
                continue
            for cls in error.__mro__:
                handler = handlers.get(cls)
                if handler is not None:
                    return handler
    return None
