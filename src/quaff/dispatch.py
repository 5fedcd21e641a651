"""The request half of the app: the methods that a request runs through, each of which a subclass may override.

The reference pipeline calls them in turn; the compiled one does their work itself where nobody overrode them
(`pipeline/plan.py`). So a change here is a change in `pipeline/steps.py` too: `tests/differential/` holds both together.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import AsyncIterable, Callable, Iterable, Iterator
from contextlib import suppress
from inspect import iscoroutinefunction
from itertools import chain
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn

from werkzeug.datastructures import Headers
from werkzeug.exceptions import BadRequestKeyError, HTTPException, InternalServerError
from werkzeug.routing import RequestRedirect, RoutingException
from werkzeug.wrappers import Response as ResponseBase
from werkzeug.wsgi import get_host

from . import typing as ft
from ._internal.async_bridge import as_sync, is_async
from ._internal.attributes import lazy
from ._internal.deprecations import warn_old
from ._internal.lazy import resolve
from ._internal.sentinels import UNSET, Unset
from .ctx import AppContext, RequestContext
from .errorhandlers import find_error_handler
from .globals import current_context, raise_no_request
from .hooks import setupmethod
from .sessions import SecureCookieSessionInterface
from .signals import (
    appcontext_tearing_down,
    got_request_exception,
    request_finished,
    request_started,
    request_tearing_down,
)
from .streaming import AsyncBody
from .urls import URLs
from .views import async_view
from .wrappers import Request, Response

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

    from .mounting import Mount
    from .pipeline.table import CompiledTable

_NOT_A_RESPONSE = "The view function did not return a valid response."
_RETURN_TYPES = (
    "The return type must be a string, dict, list, tuple with headers or status,"
    " Response instance, or WSGI callable, but it was a"
)

_SEEN_OF_SESSIONS = (
    "is_null_session",
    "make_null_session",
    "null_session_class",
    "open_session",
    "save_session",
    "session_class",
    "should_set_cookie",
)
"""What tells of a session interface when it opens a session, and for which requests."""


def _active_request_context() -> RequestContext:
    context: RequestContext | None = current_context.get().request_context
    return raise_no_request() if context is None else context


class Dispatch(URLs):
    """The request half of `Quaff`."""

    _table: CompiledTable | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._first_request_lock = threading.RLock()
        self._first_request_done = False

    # Any: WSGI calls with an environ and `start_response`; ASGI 3 with a scope, `receive` and `send`; ASGI 2 with a scope.
    def __call__(self, environ: Any, start_response: Any = None, send: Any = None) -> Any:
        """Serve a request: over WSGI through `wsgi_app`, which may be wrapped in middleware, or over ASGI.

        For ASGI it returns a coroutine. RSGI servers call `__rsgi__`.
        """
        # PERF: what `wsgi_app` would do for the usual request, without the calls in between; it does it for all others.
        table = self._table
        if send is not None or start_response is None:
            return self._call_asgi(environ, start_response, send)
        if (
            table is None
            or table.revision != self._revision.value
            or table.is_wrapped
            or "HTTP_UPGRADE" in environ
            or "werkzeug.proxy_fix.orig" in environ
            or ((trust := table.trust) is not None and not trust.correct(environ))
            or environ.get("HTTP_HOST") not in table.hosts
        ):
            if self.config.get("TRUSTED_PROXIES"):
                # Middleware around `wsgi_app` sees the client, too.
                self._believe_proxies(environ)
            return self.wsgi_app(environ, start_response)
        try:
            handlers = table.static.get(environ["PATH_INFO"])
        except KeyError:
            # RFC: PEP 3333: a server may leave out an empty path.
            handlers = None
        if handlers is not None:
            handler = handlers.get(environ["REQUEST_METHOD"])
            if handler is not None:
                return handler(environ, start_response, ())
        return table.serve_dynamic(environ, start_response)

    def _believe_proxies(self, environ: WSGIEnvironment) -> None:
        trust = self.current_table().trust
        if trust is not None:
            trust.correct(environ)

    def _call_asgi(self, scope: Any, receive: Any, send: Any) -> Any:
        serve = resolve("serve_asgi")
        if send is not None:
            return serve(self, scope, receive, send)
        # ASGI 2: the first of two calls.
        return lambda receive, send: serve(self, scope, receive, send)

    @lazy
    def _rsgi(self) -> Any:
        return resolve("build_rsgi")(self)

    def __rsgi__(self, scope: Any, protocol: Any) -> Any:
        """Serve an RSGI connection: return the coroutine that does."""
        return self._rsgi.__rsgi__(scope, protocol)

    def __rsgi_init__(self, loop: Any) -> None:
        """Run what is to be done before the first request; for RSGI servers, which call it before the loop runs."""
        loop.run_until_complete(self._rsgi.startup())

    def __rsgi_del__(self, loop: Any) -> None:
        """Run what is to be done after the last request; for RSGI servers, which call it when the loop has stopped."""
        loop.run_until_complete(self._rsgi.shutdown())

    def first_websocket(self) -> str | None:
        """Return in words which WebSocket there is, of the app or of one that is mounted: `'/chat' is a WebSocket`."""
        for rule in self.url_map.iter_rules():
            if rule.websocket:
                return f"{rule.rule!r} is a WebSocket"
        return next(filter(None, (mount.first_websocket() for mount in self.mounts)), None)

    def needs_loop(self) -> str | None:
        """Return why the app is best served on an event loop: its first WebSocket or async function; None without any."""
        websocket = self.first_websocket()
        if websocket is not None:
            return websocket
        for rule in self.url_map.iter_rules():
            view = self.view_functions.get(rule.endpoint)
            if any(is_async(async_view(view, method)) for method in rule.methods or ()):
                return f"the view {rule.endpoint!r} is async"
        for registry in (self.before_request_funcs, self.after_request_funcs):
            for function in chain.from_iterable(registry.values()):
                if is_async(function):
                    return f"the hook {getattr(function, '__name__', function)!r} is async"
        return next(filter(None, (mount.needs_loop() for mount in self.mounts)), None) or self._mistrusts_wsgi()

    def _mistrusts_wsgi(self) -> str | None:
        """Return why a client could pretend to be a proxy over WSGI, or None."""
        if not self.config.get("TRUSTED_PROXIES"):
            return None
        from .proxies import trust_from_config

        trust = trust_from_config(self.config)
        if trust is None or "HTTP_FORWARDED" in trust.hops:
            return None
        # SECURITY: in a WSGI environ the two headers have one name, and the last one wins (Granian 2.8).
        return (
            "TRUSTED_PROXIES is set, and over WSGI a client's X_Forwarded_For passes for the proxy's X-Forwarded-For"
            " (where the proxy drops such names, as nginx does, --interface wsgi is faster)"
        )

    def holds_connections(self) -> bool:
        """Tell whether clients may stay connected with nothing to say: for WebSockets, event streams, a mounted ASGI app."""
        # Who makes event streams has imported them.
        if "quaff.sse" in sys.modules or self.first_websocket() is not None:
            return True
        return any(mount.holds_connections() for mount in self.mounts)

    def wsgi_app(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Serve a WSGI request: the app itself, inside all middleware.

        Wrap it to add middleware, so that the app object stays what it is: `app.wsgi_app = Middleware(app.wsgi_app)`.
        """
        table = self.current_table()
        if table.trust is not None:
            # For those who call this and not the app.
            table.trust.correct(environ)
        if table.mounts and (mount := table.find_mount(environ)) is not None:
            return self._call_mounted(mount, environ, start_response)
        if not table.compiled or "HTTP_UPGRADE" in environ or not table.is_host_fine(environ):
            return table.ask_the_map(environ, start_response)
        return table.serve(environ, start_response)

    def _call_mounted(self, mount: Mount, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if mount.kind == "asgi":
            return resolve("serve_mounted_over_wsgi")(self, mount, environ, start_response)  # type: ignore[no-any-return]
        return mount.application(mount.environ_of(environ), start_response)  # type: ignore[no-any-return]

    def current_table(self) -> CompiledTable:
        """Return the compiled routes, made anew if the app changed since they were made."""
        self.__dict__["_got_first_request"] = True
        table = self._table
        if table is None or table.revision != self._revision.value or table.has_calmed_down():
            # PERF: what compiles is imported by the first request, not by `import quaff`.
            from .pipeline.table import CompiledTable

            table = self.__dict__["_table"] = CompiledTable(self, table)
        return table

    def trusts_host(self, environ: WSGIEnvironment) -> bool:
        """Tell whether the request's host is in `TRUSTED_HOSTS`, if that is set."""
        trusted = self.config["TRUSTED_HOSTS"]
        if trusted is None:
            return True
        try:
            get_host(environ, trusted)
        except HTTPException:
            return False
        return True

    def opens_session_lazily(self) -> bool:
        """Tell whether nobody can see when the session is opened: it may then wait until it is needed."""
        interface = self.session_interface
        cls = type(interface)
        own = SecureCookieSessionInterface
        return (
            issubclass(cls, own)
            and all(getattr(cls, name) is getattr(own, name) for name in _SEEN_OF_SESSIONS)
            and not any(name in interface.__dict__ for name in _SEEN_OF_SESSIONS)
        )

    def app_context(self) -> AppContext:
        """Return an app context, to use `current_app` and `g` outside of a request: `with app.app_context(): ...`."""
        return AppContext(self)

    def request_context(self, environ: WSGIEnvironment) -> RequestContext:
        """Return a request context for a WSGI environ."""
        return RequestContext(self, environ)

    def test_request_context(self, *args: Any, **kwargs: Any) -> RequestContext:
        """Return a request context for a made-up request; arguments as for `werkzeug.test.EnvironBuilder`."""
        builder = resolve("TestEnvironBuilder")(self, *args, **kwargs)
        try:
            return self.request_context(builder.get_environ())
        finally:
            builder.close()

    # First request ---------------------------------------------------------------------------------------------------

    @setupmethod
    def before_first_request(self, f: ft.BeforeFirstRequestCallable) -> ft.BeforeFirstRequestCallable:
        """Call *f* once per process, before the first request is dispatched.

        When it raises, that request gets the error and the next request tries again. Removed in Flask 2.3; works here with a
        deprecation warning.
        """
        warn_old("app.before_first_request", depth=1)
        self.before_first_request_funcs.append(f)
        return f

    def has_first_request_functions(self) -> bool:
        """Tell whether functions for the first request are still to be run."""
        return bool(self.before_first_request_funcs) and not self._first_request_done

    def run_first_request_functions(self) -> None:
        """Run the functions for the first request, once however many threads ask; the others wait."""
        with self._first_request_lock:
            if self._first_request_done:
                return
            for function in self.before_first_request_funcs:
                self.ensure_sync(function)()
            self._first_request_done = True

    # The way of a request --------------------------------------------------------------------------------------------

    def full_dispatch_request(self) -> Response:
        """Run the hooks and the view, handle HTTP errors, and return the response."""
        self.__dict__["_got_first_request"] = True
        try:
            if self.has_first_request_functions():
                self.run_first_request_functions()
            request_started.send(self, _async_wrapper=self.ensure_sync)
            result = self.preprocess_request()
            if result is None:
                result = self.dispatch_request()
        except Exception as error:
            result = self.handle_user_exception(error)
        return self.finalize_request(result)

    def preprocess_request(self) -> ft.ResponseReturnValue | None:
        """Run URL value preprocessors, batteries' guards and before_request functions; return the first answer, if any."""
        context = _active_request_context()
        request = context.request
        names = (None, *reversed(request.blueprints))
        for name in names:
            for preprocess in self.url_value_preprocessors.get(name, ()):
                preprocess(request.endpoint, request.view_args)
        result: ft.ResponseReturnValue | None = self.parts_of_app.of_request(self, request).guard(context)
        if result is not None:
            return result
        for name in names:
            for before in self.before_request_funcs.get(name, ()):
                result = self.ensure_sync(before)()
                if result is not None:
                    return result
        return None

    def dispatch_request(self) -> ft.ResponseReturnValue:
        """Call the view that matches the request and return what it returns."""
        request = _active_request_context().request
        if request.routing_exception is not None:
            self.raise_routing_exception(request)
        rule = request.url_rule
        if request.method == "OPTIONS" and getattr(rule, "provide_automatic_options", False):
            return self.make_default_options_response()
        return self.ensure_sync(self.view_functions[rule.endpoint])(**request.view_args)  # type: ignore[no-any-return]

    def raise_routing_exception(self, request: Request) -> NoReturn:
        """Raise why no route matched. In debug mode, a redirect that would lose a form's data is explained instead."""
        error = request.routing_exception
        if error is None:
            raise RuntimeError("The request matched a route; there is no routing error to raise.")
        if (
            self.debug
            and isinstance(error, RequestRedirect)
            and error.code not in {307, 308}
            and request.method not in {"GET", "HEAD", "OPTIONS"}
        ):
            raise resolve("FormDataRoutingRedirect")(request)
        raise error

    def finalize_request(
        self, rv: ft.ResponseReturnValue | HTTPException, from_error_handler: bool = False
    ) -> Response:
        """Turn a result into a response and run everything that wants to see it.

        :param from_error_handler: log an error of that instead of raising it: there is no handler left to ask.
        """
        response = self.make_response(rv)
        is_processed = False
        try:
            response = self.process_response(response)
            is_processed = True
            request_finished.send(self, _async_wrapper=self.ensure_sync, response=response)
        except Exception:
            if not from_error_handler:
                raise
            self.logger.exception("Request finalizing failed with an error while handling an error")
            if not is_processed:
                # A 500 that an after_request function kept from the batteries would look like a fault of CORS.
                with suppress(Exception):
                    response = self._finish_response(response)
        return response

    def process_response(self, response: Response) -> Response:
        """Run the after_request functions, innermost blueprint first, save the session, and let batteries finish."""
        context = _active_request_context()
        if context.made_websocket is not None:
            # What refuses a WebSocket goes through the after_websocket functions; those here expect HTTP.
            return response
        for function in context._after_request_functions:
            response = self.ensure_sync(function)(response)
        for name in (*context.request.blueprints, None):
            for function in reversed(self.after_request_funcs.get(name, ())):
                response = self.ensure_sync(function)(response)
        session = context._session
        if session is not None and not self.session_interface.is_null_session(session):
            self.session_interface.save_session(self, session, response)
        return self._finish_response(response)

    def _finish_response(self, response: Response) -> Response:
        context = _active_request_context()
        finished: Response = self.parts_of_app.of_request(self, context.request).finish(context, response)
        return finished

    def check_batteries(self) -> None:
        """Ask all batteries about all routes, so that settings that cannot be right are an error at the start. Quaff 0.1.

        Servers of Quaff's own call it before they accept; without, the first request of a route gets the error.
        """
        for rule in self.url_map.iter_rules():
            for method in sorted(rule.methods or {"GET"}):
                self.parts_of_app.of_rule(self, rule, method)
        self.parts_of_app.of_rule(self, None, "*")

    def make_default_options_response(self) -> Response:
        """Return the answer to OPTIONS: the methods that the path takes."""
        adapter = _active_request_context().url_adapter
        response = self.response_class()
        response.allow.update(adapter.allowed_methods())
        return response

    def make_response(self, rv: Any) -> Response:
        """Turn what a view returned into a response.

        A `str` or `bytes` is a body, a `dict` or `list` is JSON, an iterator of `str` or `bytes` is streamed, a response is
        itself, and any other WSGI callable is called. A tuple adds `(body, status)`, `(body, headers)` or
        `(body, status, headers)`.

        :raises TypeError: for anything else, None above all.
        """
        status: Any = None
        headers: Any = None
        if isinstance(rv, tuple):
            rv, status, headers = self._unpack_result(rv)
        if rv is None:
            endpoint = _active_request_context().request.endpoint
            raise TypeError(
                f"The view function for {endpoint!r} did not"
                " return a valid response. The function either returned"
                " None or ended without a return statement."
            )
        if not isinstance(rv, self.response_class):
            if isinstance(rv, AsyncIterable):
                rv = AsyncBody(rv)
            if isinstance(rv, (str, bytes, bytearray, Iterator, AsyncBody)):
                # COMPAT: made in one go, so that a content type among the headers replaces the default one.
                rv = self.response_class(rv, status=status, headers=headers)  # type: ignore[arg-type]
                status = headers = None
            else:
                rv = self._convert_result(rv)
        response: Response = rv
        if status is not None:
            if isinstance(status, (str, bytes, bytearray)):
                response.status = status  # type: ignore[assignment]
            else:
                response.status_code = status
        if headers:
            response.headers.update(headers)
        return response

    @staticmethod
    def _unpack_result(rv: tuple[Any, ...]) -> tuple[Any, Any, Any]:
        if len(rv) == 3:
            return rv
        if len(rv) == 2:
            body, second = rv
            is_headers = isinstance(second, (Headers, dict, tuple, list))
            return (body, None, second) if is_headers else (body, second, None)
        raise TypeError(
            f"{_NOT_A_RESPONSE[:-9]}response tuple."
            " The tuple must have the form (body, status, headers), (body, status), or (body, headers)."
        )

    def _convert_result(self, rv: Any) -> Response:
        """Turn a result that is neither text nor a response of the app's class into one."""
        if isinstance(rv, (dict, list)):
            response: Response = self.json.response(rv)
            return response
        if not isinstance(rv, ResponseBase) and not callable(rv):
            raise TypeError(f"{_NOT_A_RESPONSE} {_RETURN_TYPES} {type(rv).__name__}.")
        try:
            return self.response_class.force_type(rv, _active_request_context().environ)
        except TypeError as error:
            raise TypeError(f"{error}\n{_NOT_A_RESPONSE} {_RETURN_TYPES} {type(rv).__name__}.").with_traceback(
                sys.exc_info()[2]
            ) from None

    # Errors ----------------------------------------------------------------------------------------------------------

    def _find_error_handler(self, e: Exception, blueprints: list[str]) -> ft.ErrorHandlerCallable | None:
        exc_class, code = self._get_exc_class_and_code(type(e))
        return find_error_handler(self.error_handler_spec, exc_class, code, blueprints)

    def handle_http_exception(self, e: HTTPException) -> HTTPException | ft.ResponseReturnValue:
        """Return what the error handler for an HTTP error returns; without one the error itself, which is a response."""
        # COMPAT: an error without a code is a response that was raised; routing exceptions are redirects.
        if e.code is None or isinstance(e, RoutingException):
            return e
        handler = self._find_error_handler(e, _active_request_context().request.blueprints)
        return e if handler is None else self.ensure_sync(handler)(e)

    def handle_user_exception(self, e: Exception) -> HTTPException | ft.ResponseReturnValue:
        """Return what the error handler for an error of a hook or a view returns; without one raise it again."""
        if isinstance(e, BadRequestKeyError) and (self.debug or self.config["TRAP_BAD_REQUEST_ERRORS"]):
            e.show_exception = True
        if isinstance(e, HTTPException) and not self.trap_http_exception(e):
            return self.handle_http_exception(e)
        handler = self._find_error_handler(e, _active_request_context().request.blueprints)
        if handler is None:
            try:
                raise e
            finally:
                # An error holds this frame through its traceback; a frame that holds the error would make a cycle.
                del e
        return self.ensure_sync(handler)(e)  # type: ignore[no-any-return]

    def handle_exception(self, e: Exception) -> Response:
        """Answer an error that nobody handled: log it, and return a 500.

        In debug and testing mode, or with `PROPAGATE_EXCEPTIONS`, the error is raised again for the debugger or the test.
        """
        exc_info = sys.exc_info()
        got_request_exception.send(self, _async_wrapper=self.ensure_sync, exception=e)
        propagate = self.config["PROPAGATE_EXCEPTIONS"]
        if propagate is None:
            propagate = self.testing or self.debug
        if propagate:
            try:
                self._leave_error_headers()
                raise e
            finally:
                # An error holds this frame through its traceback; a frame that holds the error would make a cycle.
                del e, exc_info
        self.log_exception(exc_info)
        result: Any = InternalServerError(original_exception=e)
        handler = self._find_error_handler(result, _active_request_context().request.blueprints)
        if handler is not None:
            result = self.ensure_sync(handler)(result)
        return self.finalize_request(result, from_error_handler=True)

    def _leave_error_headers(self) -> None:
        """Leave for the debugger's page what a cross-origin script needs to see that it is a 500."""
        context = _active_request_context()
        parts = self.parts_of_app.of_request(self, context.request)
        if parts.parts:
            context.environ["quaff.error_headers"] = parts.error_headers(context, self.response_class(status=500))

    def log_exception(
        self, exc_info: tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]
    ) -> None:
        """Log an error that became a 500."""
        request = _active_request_context().request
        # SECURITY: the path is the client's; control characters in it could forge log lines.
        path = request.path if request.path.isprintable() else ascii(request.path)[1:-1]
        self.logger.error("Exception on %s [%s]", path, request.method, exc_info=exc_info)

    # The end ---------------------------------------------------------------------------------------------------------

    def do_teardown_request(self, exc: BaseException | Unset | None = UNSET) -> None:
        """Run the teardown_request functions, last registered first, and send the signal."""
        if isinstance(exc, Unset):
            exc = sys.exc_info()[1]
        context = _active_request_context()
        registry = self.teardown_request_funcs if context.made_websocket is None else self.teardown_websocket_funcs
        for name in (*context.request.blueprints, None):
            for function in reversed(registry.get(name, ())):
                self.ensure_sync(function)(exc)
        request_tearing_down.send(self, _async_wrapper=self.ensure_sync, exc=exc)

    def do_teardown_appcontext(self, exc: BaseException | Unset | None = UNSET) -> None:
        """Run the teardown_appcontext functions, last registered first, and send the signal."""
        if isinstance(exc, Unset):
            exc = sys.exc_info()[1]
        for function in reversed(self.teardown_appcontext_funcs):
            self.ensure_sync(function)(exc)
        appcontext_tearing_down.send(self, _async_wrapper=self.ensure_sync, exc=exc)

    # For views -------------------------------------------------------------------------------------------------------

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Return *func* itself, or for an async function a sync one that runs it on the process's long-lived loop."""
        return self.async_to_sync(func) if iscoroutinefunction(func) else func

    def async_to_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Return a sync function that runs async *func* and waits for its result."""
        return as_sync(func)

    def update_template_context(self, context: dict[str, Any]) -> None:
        """Add what the context processors return to *context*; what is there already wins."""
        request_context = current_context.get().request_context
        names: tuple[str | None, ...] = (None,)
        if request_context is not None:
            names = (None, *reversed(request_context.request.blueprints))
        given = context.copy()
        for name in names:
            for function in self.template_context_processors.get(name, ()):
                context.update(self.ensure_sync(function)())
        context.update(given)
