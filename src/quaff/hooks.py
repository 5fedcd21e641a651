"""Registering functions that run around requests. Apps and blueprints share this half of `Scaffold`."""

from __future__ import annotations

from collections.abc import Callable
from functools import update_wrapper
from typing import Any, TypeVar, cast

from . import typing as ft
from ._internal.tracking import Revision, TrackedDict
from .ctx import _default_template_ctx_processor

F = TypeVar("F", bound=Callable[..., Any])
AfterRequest = TypeVar("AfterRequest", bound=ft.AfterRequestCallable[Any])
BeforeRequest = TypeVar("BeforeRequest", bound=ft.BeforeRequestCallable)
Teardown = TypeVar("Teardown", bound=ft.TeardownCallable)
ContextProcessor = TypeVar("ContextProcessor", bound=ft.TemplateContextProcessorCallable)
URLDefaults = TypeVar("URLDefaults", bound=ft.URLDefaultCallable)
URLPreprocessor = TypeVar("URLPreprocessor", bound=ft.URLValuePreprocessorCallable)


def setupmethod(f: F) -> F:
    """Make a method refuse to be called once set-up has ended, with Flask's message."""
    name = f.__name__

    def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
        self._check_setup_finished(name)
        return f(self, *args, **kwargs)

    return cast(F, update_wrapper(wrapper, f))


class Hooks:
    """The registries of functions around requests.

    Each maps a blueprint's name, or None for the whole app, to functions in the order of registration. They are public and
    may be changed directly; the app notices (`_internal/tracking.py`).
    """

    def __init__(self) -> None:
        self._revision = Revision()
        self.before_request_funcs: dict[str | None, list[ft.BeforeRequestCallable]] = self._registry()
        self.after_request_funcs: dict[str | None, list[ft.AfterRequestCallable[Any]]] = self._registry()
        self.teardown_request_funcs: dict[str | None, list[ft.TeardownCallable]] = self._registry()
        self.before_websocket_funcs: dict[str | None, list[Callable[..., Any]]] = self._registry()
        self.after_websocket_funcs: dict[str | None, list[Callable[..., Any]]] = self._registry()
        self.teardown_websocket_funcs: dict[str | None, list[ft.TeardownCallable]] = self._registry()
        self.template_context_processors: dict[str | None, list[ft.TemplateContextProcessorCallable]] = self._registry()
        self.template_context_processors[None].append(_default_template_ctx_processor)
        self.url_value_preprocessors: dict[str | None, list[ft.URLValuePreprocessorCallable]] = self._registry()
        self.url_default_functions: dict[str | None, list[ft.URLDefaultCallable]] = self._registry()

    def _registry(self) -> dict[str | None, list[Any]]:
        return TrackedDict(self._revision, make=list)

    def _check_setup_finished(self, f_name: str) -> None:
        raise NotImplementedError

    @setupmethod
    def before_request(self, f: BeforeRequest) -> BeforeRequest:
        """Call *f* before each request; what it returns, unless None, is the response and the view is not called.

        On an app this means each request, on a blueprint each request that one of its views serves.
        """
        self.before_request_funcs[None].append(f)
        return f

    @setupmethod
    def after_request(self, f: AfterRequest) -> AfterRequest:
        """Call *f* with the response of each request; it returns the response to send. Last registered runs first."""
        self.after_request_funcs[None].append(f)
        return f

    @setupmethod
    def teardown_request(self, f: Teardown) -> Teardown:
        """Call *f* with the unhandled error, or None, when a request is over. Last registered runs first."""
        self.teardown_request_funcs[None].append(f)
        return f

    @setupmethod
    def before_websocket(self, f: F) -> F:
        """Call *f* before the handler of each WebSocket; what it returns, unless None, refuses the connection. Quaff 0.1."""
        self.before_websocket_funcs[None].append(f)
        return f

    @setupmethod
    def after_websocket(self, f: F) -> F:
        """Call *f* when the handler of a WebSocket has returned. Quaff 0.1.

        It is given the response that refuses the connection, or None when that was accepted, and returns it. Last registered
        runs first.
        """
        self.after_websocket_funcs[None].append(f)
        return f

    @setupmethod
    def teardown_websocket(self, f: Teardown) -> Teardown:
        """Call *f* with the unhandled error, or None, when a WebSocket is over. Last registered runs first. Quaff 0.1."""
        self.teardown_websocket_funcs[None].append(f)
        return f

    @setupmethod
    def context_processor(self, f: ContextProcessor) -> ContextProcessor:
        """Add what *f* returns, a dict, to the context of each template."""
        self.template_context_processors[None].append(f)
        return f

    @setupmethod
    def url_value_preprocessor(self, f: URLPreprocessor) -> URLPreprocessor:
        """Call *f* with the endpoint and the URL's values before any other hook; it may change the values in place."""
        self.url_value_preprocessors[None].append(f)
        return f

    @setupmethod
    def url_defaults(self, f: URLDefaults) -> URLDefaults:
        """Call *f* with the endpoint and the values whenever a URL is built; it may add values in place."""
        self.url_default_functions[None].append(f)
        return f
