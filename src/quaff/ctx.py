"""The contexts: what belongs to one request, and what belongs to the app while something runs for it.

`AppContext` and `RequestContext` have Flask 3.1's names and methods. Inside, they differ: a request context makes its
request, its session, its `g` and its URL adapter when they are first read, because most requests read few of them. Only
what is observable from outside happens eagerly: a session interface of the user's own is asked on `push`, as in Flask.

The compiled pipeline makes request contexts without `__init__` and binds them itself (`pipeline/compile.py`); everybody
else pushes and pops. Read first: `tests/test_ctx.py`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import update_wrapper
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeVar

from werkzeug.exceptions import BadRequest, HTTPException
from werkzeug.routing.exceptions import WebsocketMismatch

from ._internal.attributes import lazy
from ._internal.sentinels import UNSET, Unset
from .errors import ContextError
from .globals import active_request_context, bind, current_context, raise_no_app, raise_no_request, raise_no_websocket
from .signals import appcontext_popped, appcontext_pushed

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

F = TypeVar("F", bound=Callable[..., Any])

Closer = Callable[[BaseException | None], Any]

_BY_PIPELINE: Any = UNSET
"""Stands at the bottom of a context's stack of pushes when the compiled pipeline bound it."""


_NO_WEBSOCKETS: Final = (
    "A WebSocket was asked for at %s, and refused: the server that runs the app speaks WSGI, which has none. Run it with"
    " 'quaff serve' or 'quaff run' without --interface wsgi, or with an ASGI server such as uvicorn."
)


def _note_pipeline(tokens: list[Any], is_bound: bool) -> None:
    """Bring the stack of a context that is about to be pushed in line with what the compiled pipeline did.

    The pipeline binds a context without pushing it, so an inner push must not look like the outermost one, whose pop runs
    the teardown functions. A push after the pipeline is done with it, for a streamed body, is the outermost one.
    """
    if is_bound and not tokens:
        tokens.append(_BY_PIPELINE)
    elif not is_bound and tokens == [_BY_PIPELINE]:
        tokens.clear()


class _AppCtxGlobals:
    """A plain namespace for the user's data during an app context: the object behind `g`."""

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(name)

    # Declared for type checkers: anything may be stored.
    if TYPE_CHECKING:

        def __setattr__(self, name: str, value: Any) -> None: ...

    def get(self, name: str, default: Any = None) -> Any:
        """Return the attribute *name*, or *default*."""
        return self.__dict__.get(name, default)

    def pop(self, name: str, default: Any = UNSET) -> Any:
        """Remove the attribute *name* and return it, or *default*; without one raise `KeyError`."""
        if default is UNSET:
            return self.__dict__.pop(name)
        return self.__dict__.pop(name, default)

    def setdefault(self, name: str, default: Any = None) -> Any:
        """Return the attribute *name*, storing *default* when there is none."""
        return self.__dict__.setdefault(name, default)

    def __contains__(self, item: str) -> bool:
        return item in self.__dict__

    def __iter__(self) -> Iterator[str]:
        return iter(self.__dict__)

    def __repr__(self) -> str:
        app_context = current_context.get().app_context
        if app_context is not None:
            return f"<flask.g of '{app_context.app.name}'>"
        return object.__repr__(self)


class AppContext:
    """What `current_app` and `g` refer to while it is pushed. Made by `app.app_context()`."""

    request_context = None

    closers: list[Closer] | None = None
    """What `call_on_close` registered, or None."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self.g: Any = app.app_ctx_globals_class()
        self._cv_tokens: list[AppContext | None] = []

    @lazy
    def url_adapter(self) -> Any:
        """The adapter that builds URLs without a request, or None when SERVER_NAME is not set."""
        return self.app.create_url_adapter(None)

    @property
    def app_context(self) -> AppContext:
        """This context itself: it is the app half of what is bound."""
        return self

    @property
    def request(self) -> NoReturn:
        """Raises `RuntimeError`: there is no request in an app context."""
        raise_no_request()

    @property
    def session(self) -> NoReturn:
        """Raises `RuntimeError`: there is no session in an app context."""
        raise_no_request()

    def push(self) -> None:
        """Make this the current app context."""
        bound = current_context.get()
        _note_pipeline(self._cv_tokens, bound.app_context is self)
        self._cv_tokens.append(bound.app_context)
        current_context.set(bind(self, bound.request_context))
        appcontext_pushed.send(self.app, _async_wrapper=self.app.ensure_sync)

    def pop(self, exc: BaseException | Unset | None = UNSET) -> None:
        """Run the teardown functions and go back to the context that was current before.

        :raises AssertionError: when another app context was pushed on top and is still there.
        """
        try:
            if len(self._cv_tokens) == 1:
                self._end(sys.exc_info()[1] if isinstance(exc, Unset) else exc)
        finally:
            bound = current_context.get()
            popped = bound.app_context
            current_context.set(bind(self._cv_tokens.pop(), bound.request_context))
        if popped is not self:
            raise AssertionError(f"Popped wrong app context. ({popped!r} instead of {self!r})")
        appcontext_popped.send(self.app, _async_wrapper=self.app.ensure_sync)

    def _end(self, exc: BaseException | None) -> None:
        try:
            self.app.do_teardown_appcontext(exc)
        finally:
            # What a teardown function uses once more is closed as well, and what it raises keeps nothing open.
            if self.closers is not None:
                self.close(exc)

    def close(self, exc: BaseException | None) -> None:
        """Call what `call_on_close` registered, the last first; each is called whatever the others raise."""
        closers = self.closers or []
        done = 0
        error: BaseException | None = None
        # A closer may register another. They stay, for a context that is pushed again, as a streamed body does it.
        while len(closers) > done:
            batch, done = closers[done:], len(closers)
            for function in reversed(batch):
                try:
                    function(exc)
                except BaseException as raised:
                    error = error or raised
        if error is not None:
            try:
                raise error
            finally:
                # An error holds this frame through its traceback; a frame that holds the error would make a cycle.
                error = None

    def __enter__(self) -> AppContext:
        self.push()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc_value: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.pop(exc_value)


class RequestContext:
    """What `request` and `session` refer to while it is pushed. Made by `app.request_context(environ)`.

    Pushing it pushes an app context too, unless one of the same app is current.
    """

    flashes: list[tuple[str, str]] | None = None
    """The messages that `get_flashed_messages` took out of the session in this request."""

    made_request: Any = None
    """The request object if anybody asked for it so far, else None."""

    made_websocket: Any = None
    """The WebSocket (`websockets.py`) if this is one, else None."""

    opened_session: Any = None
    """The session if it was opened so far, else None."""

    after_functions: list[Callable[[Any], Any]] | None = None
    """What `after_this_request` registered, or None."""

    notes: dict[str, Any] | None = None
    """What the batteries know of the request by now, by names of their own, or None.

    PERF: in a dict of its own, because looking into `__dict__` makes CPython build one.
    """

    after_response_calls: list[Callable[[], Any]] | None = None
    """What `app.after_response` was given, or None."""

    exchange: Any = None
    """The request as a server with an event loop gave it; None where there is an environ from the start."""

    has_closers: bool = False
    """Whether `call_on_close` registered something on the app context of this request."""

    owns_app_context: bool = True
    """Whether the app context ends together with this request."""

    route: Any = None
    """The compiled route that matched (`routing/router.py`), or None when Werkzeug's map matched."""

    captured: tuple[str, ...] = ()
    """The variable parts of the path as the matcher found them, for `route.convert`."""

    values: dict[str, Any] | None = None
    """The converted values of the variable parts, if the pipeline had to convert them itself."""

    routing_failure: Any = None
    """Why no route matched (`pipeline/table.py`), or None."""

    _app_context: AppContext | None = None

    def __init__(self, app: Any, environ: WSGIEnvironment, request: Any = None, session: Any = None) -> None:
        self.app = app
        self.environ = environ
        if request is None:
            request = app.request_class(environ)
            request.json_module = app.json
        self.made_request = request
        self.url_adapter = None
        try:
            self.url_adapter = app.create_url_adapter(request)
        except HTTPException as error:
            request.routing_exception = error
        if session is not None:
            self.opened_session = session

    # PERF: a property that keeps what it makes, not `lazy`: views read it once or twice, and a property is called by the
    # interpreter itself (CPython 3.12), a descriptor in Python through three C calls.
    @property
    def request(self) -> Any:  # Any: app.request_class, of a layer above
        """The request object."""
        made = self.made_request
        if made is not None:
            return made
        app = self.app
        self.made_request = request = app.request_class(self.environ)
        request.json_module = app.json
        trusted_hosts = app.config["TRUSTED_HOSTS"]
        if trusted_hosts is not None:
            request.trusted_hosts = trusted_hosts
        route = self.route
        if route is not None:
            request.url_rule = route.rule
            values = self.values
            if values is None:
                captured = self.captured
                values = route.convert(*captured) if captured or route.defaults else {}
            request.view_args = values
        if self.routing_failure is not None:
            request.routing_exception = self.routing_failure.make_exception()
        return request

    @request.setter
    def request(self, value: Any) -> None:
        self.made_request = value

    @lazy
    def environ(self) -> WSGIEnvironment:
        """The WSGI environ; made from the `exchange` when somebody looks, for requests that came over an event loop."""
        environ: WSGIEnvironment = self.exchange.environ()
        return environ

    @property
    def websocket(self) -> Any:
        """The WebSocket: for a coroutine the one whose methods are awaited, elsewhere the one whose methods wait."""
        made = self.made_websocket
        if made is None:
            raise_no_websocket()
        return made.for_caller()

    @lazy
    def url_adapter(self) -> Any:
        """The werkzeug `MapAdapter` of this request, or None when the host was refused."""
        return self.app.create_url_adapter(self.request)

    @lazy
    def g(self) -> Any:
        """The user's data of the app context."""
        if self._app_context is not None:
            return self._app_context.g
        return self.app.app_ctx_globals_class()

    @lazy
    def _cv_tokens(self) -> list[tuple[RequestContext | None, AppContext | None]]:
        return []

    @property
    def request_context(self) -> RequestContext:
        """This context itself: it is the request half of what is bound."""
        return self

    @property
    def app_context(self) -> AppContext:
        """The app context that this request runs in."""
        made = self._app_context
        if made is None:
            made = AppContext.__new__(AppContext)
            made.app = self.app
            made.g = self.g
            made._cv_tokens = []
            self._app_context = made
        return made

    def has_app_context(self, app_context: AppContext | None) -> bool:
        """Tell whether *app_context* is the one that this request runs in."""
        return app_context is self._app_context

    def inherit(self, outer: Any) -> None:
        """Run in the app context of the bound context *outer* if that is of the same app."""
        app_context = outer.app_context
        if app_context is not None and app_context.app is self.app:
            self._app_context = app_context
            self.owns_app_context = False

    @property
    def session(self) -> Any:
        """The session, marked as accessed: the answer then varies on the cookie."""
        opened = self.opened_session
        if opened is None:
            opened = self.open_session()
        opened.accessed = True
        return opened

    @property
    def _session(self) -> Any:
        # COMPAT: extensions and test-suites read the session here when it must not count as accessed.
        if self.opened_session is None and self.app.opens_session_lazily():
            self.open_session()
        return self.opened_session

    @_session.setter
    def _session(self, value: Any) -> None:
        self.opened_session = value

    @property
    def _after_request_functions(self) -> list[Callable[[Any], Any]]:
        if self.after_functions is None:
            self.after_functions = []
        return self.after_functions

    def note(self, name: str, value: Any) -> None:
        """Remember *value* for the rest of the request."""
        if self.notes is None:
            self.notes = {}
        self.notes[name] = value

    def noted(self, name: str) -> Any:
        """Return what was noted under *name*, or None."""
        return None if self.notes is None else self.notes.get(name)

    def open_session(self) -> Any:
        """Ask the app's session interface for the session and keep it."""
        interface = self.app.session_interface
        opened = interface.open_session(self.app, self.request)
        if opened is None:
            opened = interface.make_null_session(self.app)
        self.opened_session = opened
        return opened

    def copy(self) -> RequestContext:
        """Return a context with the same request and session, for use in another thread or greenlet."""
        copied = self.__class__(self.app, environ=self.environ, request=self.request, session=self._session)
        copied.made_websocket = self.made_websocket
        return copied

    def match_request(self) -> None:
        """Match the URL with the app's map and keep the rule and its values, or the routing error, on the request."""
        try:
            if "\0" in self.request.path:
                # SECURITY: a NUL ends file names in C; no URL needs one.
                raise BadRequest("The URL holds a NUL character.")
            rule, values = self.url_adapter.match(return_rule=True)
            if rule.websocket and self.made_websocket is None:
                self.app.logger.warning(_NO_WEBSOCKETS, ascii(self.request.path)[1:-1])
                raise WebsocketMismatch
        except HTTPException as error:
            self.request.routing_exception = error
        else:
            self.request.url_rule, self.request.view_args = rule, values

    def push(self) -> None:
        """Make this the current request context, open the session and match the URL."""
        bound = current_context.get()
        _note_pipeline(self._cv_tokens, bound.request_context is self)
        app_context, own = bound.app_context, None
        if app_context is None or app_context.app is not self.app:
            app_context = own = self.app.app_context()
            app_context.push()
        self._cv_tokens.append((bound.request_context, own))
        self._app_context = app_context
        self.g = app_context.g
        current_context.set(self)
        if self.opened_session is None and not self.app.opens_session_lazily():
            self.open_session()
        if self.url_adapter is not None:
            self.match_request()

    def pop(self, exc: BaseException | Unset | None = UNSET) -> None:
        """Run the teardown functions and go back to the context that was current before.

        :raises AssertionError: when another request context was pushed on top and is still there.
        """
        last = len(self._cv_tokens) == 1
        try:
            if last:
                if isinstance(exc, Unset):
                    exc = sys.exc_info()[1]
                self.app.do_teardown_request(exc)
                close = getattr(self.request, "close", None)
                if close is not None:
                    close()
        finally:
            bound = current_context.get()
            popped = bound.request_context
            outer, own = self._cv_tokens.pop()
            current_context.set(bind(bound.app_context, outer))
            if last:
                # A request refers to its environ; this breaks the cycle.
                self.environ["werkzeug.request"] = None
            if own is not None:
                own.pop(exc)
            if popped is not self:
                raise AssertionError(f"Popped wrong request context. ({popped!r} instead of {self!r})")

    def __enter__(self) -> RequestContext:
        self.push()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc_value: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.pop(exc_value)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.request.url!r} [{self.request.method}] of {self.app.name}>"


def after_this_request(f: F) -> F:
    """Call *f* with the response of the current request; it returns the response to send.

    :raises RuntimeError: outside of a request.
    """
    context = active_request_context()
    if context is None:
        raise ContextError(
            "'after_this_request' can only be used when a request context is active, such as in a view function."
        )
    context._after_request_functions.append(f)
    return f


def call_on_close(function: Closer) -> None:
    """Call *function* when the current app context ends, after the teardown functions, with the error or None. Quaff 0.1.

    For what a context holds once it was used, such as a connection: unlike a teardown function, it costs the requests that
    do not use it nothing. A context that is pushed again, for a streamed body, ends again: it is called each time.

    :raises RuntimeError: outside of an app context.
    """
    bound = current_context.get()
    app_context = bound.app_context
    if app_context is None:
        raise_no_app()
    if not app_context.app.closes_contexts:
        # The compiled routes have to look from now on; this request, made stale, ends as the reference pipeline does.
        app_context.app.closes_contexts = True
    if app_context.closers is None:
        app_context.closers = []
    app_context.closers.append(function)
    request_context = bound.request_context
    if request_context is not None and request_context.has_app_context(app_context):
        request_context.has_closers = True


def copy_current_request_context(f: F) -> F:
    """Wrap *f* so that it runs with a copy of the current request context, for example in another thread.

    The copy shares the request and the session; writing to either from two threads is up to the caller to order.

    :raises RuntimeError: outside of a request.
    """
    context = active_request_context()
    if context is None:
        raise ContextError(
            "'copy_current_request_context' can only be used when a"
            " request context is active, such as in a view function."
        )
    copied = context.copy()

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        with copied:
            return copied.app.ensure_sync(f)(*args, **kwargs)

    return update_wrapper(wrapper, f)  # type: ignore[return-value]


def has_request_context() -> bool:
    """Tell whether a request is being served, so that `request` and `session` can be used."""
    return current_context.get().request_context is not None


def has_app_context() -> bool:
    """Tell whether an app is current, so that `current_app` and `g` can be used."""
    return current_context.get().app_context is not None


def _default_template_ctx_processor() -> dict[str, Any]:
    """Give templates `request`, `session` and `g`. COMPAT: extensions look this function up in `flask.templating`."""
    bound = current_context.get()
    values: dict[str, Any] = {}
    if bound.app_context is not None:
        values["g"] = bound.g
    if bound.request_context is not None:
        values["request"] = bound.request
    return values
