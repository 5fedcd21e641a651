"""The current context, and the proxies to what it holds.

One context variable holds one *bound context*: an object with the attributes `app`, `g`, `request`, `session`,
`app_context` and `request_context`. Most often it is the `RequestContext` of the request being served, or an `AppContext`
outside of one. An app context pushed inside a request becomes an `AppInsideRequest`, which takes `app` and `g` from the
one and `request` and `session` from the other. Without any context the value is `NO_CONTEXT`, whose attributes raise:
that is how a read costs no test for "is there a context".

Quaff itself never goes through the proxies; they are for the user's code. What the proxies add to werkzeug's `LocalProxy`
is a property for each name that is commonly read: `request.args` through `LocalProxy.__getattr__` costs about 1 µs,
through the property about 0.15 µs (CPython 3.13).

Read first: `tests/test_globals.py`, `tests/test_ctx.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextvars import ContextVar, Token
from typing import Any, Final, Generic, NoReturn, Protocol, TypeVar, cast

from ._internal.imports import defer_module
from .errors import ContextError

# PERF: `werkzeug/__init__.py` imports the development server and the test client, and with them http.server, socketserver
# and some forty more modules that a production worker never uses.
defer_module("werkzeug")

# PERF: Werkzeug needs these to read and write dates, to guess at names and to convert one kind of value; they bring sockets,
# calendars and locales: an eighth of the import.
for _name in ("email.utils", "difflib", "uuid"):
    defer_module(_name)
del _name

from werkzeug.local import LocalProxy  # noqa: E402 - only after these were deferred

T = TypeVar("T")

NO_APP_MESSAGE: Final = """\
Working outside of application context.

This typically means that you attempted to use functionality that needed
the current application. To solve this, set up an application context
with app.app_context(). See the documentation for more information."""

NO_REQUEST_MESSAGE: Final = """\
Working outside of request context.

This typically means that you attempted to use functionality that needed
an active HTTP request. Consult the documentation on testing for
information about how to avoid this problem."""


class BoundContext(Protocol):
    """What the context variable holds. The types are those of `ctx.py`, `wrappers.py` and `sessions.py` above."""

    @property
    def app(self) -> Any:
        """The app."""

    @property
    def g(self) -> Any:
        """The namespace for the user's data."""

    @property
    def request(self) -> Any:
        """The request."""

    @property
    def session(self) -> Any:
        """The session, marked as accessed."""

    @property
    def app_context(self) -> Any:
        """The innermost `AppContext`, or None."""

    @property
    def request_context(self) -> Any:
        """The innermost `RequestContext`, or None."""


NO_WEBSOCKET_MESSAGE: Final = """\
Working outside of websocket context.

This typically means that you used `websocket` in a view of HTTP, or where
there is no connection at all. In a view of HTTP, use `request`."""


def raise_no_websocket() -> NoReturn:
    """Raise the error for using `websocket` where there is no WebSocket."""
    raise ContextError(NO_WEBSOCKET_MESSAGE)


def raise_no_app() -> NoReturn:
    """Raise the error for using app-bound names outside an app context."""
    raise ContextError(NO_APP_MESSAGE)


def raise_no_request() -> NoReturn:
    """Raise the error for using request-bound names outside a request."""
    raise ContextError(NO_REQUEST_MESSAGE)


class _NoContext:
    """Stands for "no context": each read explains what is missing."""

    __slots__ = ()

    app_context: Final = None
    request_context: Final = None

    @property
    def app(self) -> NoReturn:
        raise_no_app()

    @property
    def g(self) -> NoReturn:
        raise_no_app()

    @property
    def request(self) -> NoReturn:
        raise_no_request()

    @property
    def session(self) -> NoReturn:
        raise_no_request()

    def __repr__(self) -> str:
        return "NO_CONTEXT"


NO_CONTEXT: Final = _NoContext()

_UNBOUND = cast("BoundContext", NO_CONTEXT)

current_context: ContextVar[BoundContext] = ContextVar("quaff.context", default=_UNBOUND)


class AppInsideRequest:
    """An app context that was pushed while a request of another context was being served."""

    __slots__ = ("app_context", "request_context")

    def __init__(self, app_context: Any, request_context: Any) -> None:
        self.app_context = app_context
        self.request_context = request_context

    @property
    def app(self) -> Any:
        """The app of the app context."""
        return raise_no_app() if self.app_context is None else self.app_context.app

    @property
    def g(self) -> Any:
        """The namespace of the app context."""
        return raise_no_app() if self.app_context is None else self.app_context.g

    @property
    def request(self) -> Any:
        """The request of the outer request context."""
        return self.request_context.request

    @property
    def session(self) -> Any:
        """The session of the outer request context."""
        return self.request_context.session


def bind(app_context: Any, request_context: Any) -> BoundContext:
    """Return the bound context that consists of these two halves, either of which may be None."""
    if request_context is None:
        return _UNBOUND if app_context is None else app_context
    if request_context.has_app_context(app_context):
        return request_context  # type: ignore[no-any-return]
    return AppInsideRequest(app_context, request_context)


def active_context() -> BoundContext | None:
    """Return the bound context, or None when there is none."""
    bound = current_context.get()
    return None if bound is NO_CONTEXT else bound


def active_request_context() -> Any:
    """Return the innermost `RequestContext`, or None."""
    return current_context.get().request_context


def active_app_context() -> Any:
    """Return the innermost `AppContext`, or None."""
    return current_context.get().app_context


class ContextHalf(Generic[T]):
    """One half of the bound context with the methods of a `ContextVar`.

    COMPAT: Flask 3.1 keeps two context variables, `_cv_app` and `_cv_request`, and extensions read them.
    """

    def __init__(self, name: str, attribute: str) -> None:
        self.name = name
        self._attribute = attribute

    def get(self, *default: Any) -> Any:
        """Return the context, or the default; without one raise `LookupError`, as `ContextVar.get` does."""
        found = getattr(current_context.get(), self._attribute)
        if found is not None:
            return found
        if default:
            return default[0]
        raise LookupError(self)

    def set(self, value: Any) -> Token[BoundContext]:
        """Replace this half and return a token for `reset`."""
        bound = current_context.get()
        halves = {"app_context": bound.app_context, "request_context": bound.request_context}
        halves[self._attribute] = value
        return current_context.set(bind(**halves))

    def reset(self, token: Token[BoundContext]) -> None:
        """Go back to the state before the `set` that returned *token*."""
        current_context.reset(token)

    def __repr__(self) -> str:
        return f"<ContextHalf {self.name!r}>"


_cv_app: ContextHalf[Any] = ContextHalf("flask.app_ctx", "app_context")
_cv_request: ContextHalf[Any] = ContextHalf("flask.request_ctx", "request_context")


# The proxies -----------------------------------------------------------------------------------------------------------

# PERF: bound once; the properties below are read several times in each request.
_bound = current_context.get

# `Any` in what follows: the real types live in higher layers. `quaff/__init__.py` gives the public names their types.


class AppProxy(LocalProxy[Any]):
    """The class of `current_app`."""

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        return getattr(_bound().app, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(_bound().app, name, value)

    aborter = property(lambda _: _bound().app.aborter)
    blueprints = property(lambda _: _bound().app.blueprints)
    config = property(lambda _: _bound().app.config)
    debug = property(lambda _: _bound().app.debug)
    ensure_sync = property(lambda _: _bound().app.ensure_sync)
    extensions = property(lambda _: _bound().app.extensions)
    import_name = property(lambda _: _bound().app.import_name)
    instance_path = property(lambda _: _bound().app.instance_path)
    jinja_env = property(lambda _: _bound().app.jinja_env)
    json = property(lambda _: _bound().app.json)
    logger = property(lambda _: _bound().app.logger)
    name = property(lambda _: _bound().app.name)
    request_class = property(lambda _: _bound().app.request_class)
    response_class = property(lambda _: _bound().app.response_class)
    root_path = property(lambda _: _bound().app.root_path)
    secret_key = property(lambda _: _bound().app.secret_key)
    session_interface = property(lambda _: _bound().app.session_interface)
    static_folder = property(lambda _: _bound().app.static_folder)
    testing = property(lambda _: _bound().app.testing)
    url_for = property(lambda _: _bound().app.url_for)
    url_map = property(lambda _: _bound().app.url_map)
    view_functions = property(lambda _: _bound().app.view_functions)


class GlobalsProxy(LocalProxy[Any]):
    """The class of `g`."""

    __slots__ = ()

    # PERF: the names on `g` are the user's, so none can have a property; a look-up on the proxy would only fail, and that
    # costs three times as much as the read. The proxy's own names all begin with an underscore.
    def __getattribute__(self, name: str) -> Any:
        if name[:1] == "_":
            return super().__getattribute__(name)
        return getattr(_bound().g, name)

    def __getattr__(self, name: str) -> Any:
        return getattr(_bound().g, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(_bound().g, name, value)


class RequestProxy(LocalProxy[Any]):
    """The class of `request`."""

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        return getattr(_bound().request, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(_bound().request, name, value)

    accept_charsets = property(lambda _: _bound().request.accept_charsets)
    accept_encodings = property(lambda _: _bound().request.accept_encodings)
    accept_languages = property(lambda _: _bound().request.accept_languages)
    accept_mimetypes = property(lambda _: _bound().request.accept_mimetypes)
    access_route = property(lambda _: _bound().request.access_route)
    args = property(lambda _: _bound().request.args)
    authorization = property(lambda _: _bound().request.authorization)
    base_url = property(lambda _: _bound().request.base_url)
    blueprint = property(lambda _: _bound().request.blueprint)
    blueprints = property(lambda _: _bound().request.blueprints)
    cache_control = property(lambda _: _bound().request.cache_control)
    content_encoding = property(lambda _: _bound().request.content_encoding)
    content_length = property(lambda _: _bound().request.content_length)
    content_type = property(lambda _: _bound().request.content_type)
    cookies = property(lambda _: _bound().request.cookies)
    data = property(lambda _: _bound().request.data)
    date = property(lambda _: _bound().request.date)
    endpoint = property(lambda _: _bound().request.endpoint)
    environ = property(lambda _: _bound().request.environ)
    files = property(lambda _: _bound().request.files)
    form = property(lambda _: _bound().request.form)
    full_path = property(lambda _: _bound().request.full_path)
    get_data = property(lambda _: _bound().request.get_data)
    get_json = property(lambda _: _bound().request.get_json)
    headers = property(lambda _: _bound().request.headers)
    host = property(lambda _: _bound().request.host)
    host_url = property(lambda _: _bound().request.host_url)
    if_match = property(lambda _: _bound().request.if_match)
    if_modified_since = property(lambda _: _bound().request.if_modified_since)
    if_none_match = property(lambda _: _bound().request.if_none_match)
    if_unmodified_since = property(lambda _: _bound().request.if_unmodified_since)
    is_json = property(lambda _: _bound().request.is_json)
    is_secure = property(lambda _: _bound().request.is_secure)
    json = property(lambda _: _bound().request.json)
    max_content_length = property(lambda _: _bound().request.max_content_length)
    max_forwards = property(lambda _: _bound().request.max_forwards)
    method = property(lambda _: _bound().request.method)
    mimetype = property(lambda _: _bound().request.mimetype)
    mimetype_params = property(lambda _: _bound().request.mimetype_params)
    path = property(lambda _: _bound().request.path)
    query_string = property(lambda _: _bound().request.query_string)
    range = property(lambda _: _bound().request.range)
    referrer = property(lambda _: _bound().request.referrer)
    remote_addr = property(lambda _: _bound().request.remote_addr)
    remote_user = property(lambda _: _bound().request.remote_user)
    root_path = property(lambda _: _bound().request.root_path)
    root_url = property(lambda _: _bound().request.root_url)
    routing_exception = property(lambda _: _bound().request.routing_exception)
    scheme = property(lambda _: _bound().request.scheme)
    script_root = property(lambda _: _bound().request.script_root)
    server = property(lambda _: _bound().request.server)
    stream = property(lambda _: _bound().request.stream)
    url = property(lambda _: _bound().request.url)
    url_root = property(lambda _: _bound().request.url_root)
    url_rule = property(lambda _: _bound().request.url_rule)
    user_agent = property(lambda _: _bound().request.user_agent)
    values = property(lambda _: _bound().request.values)
    view_args = property(lambda _: _bound().request.view_args)


class SessionProxy(LocalProxy[Any]):
    """The class of `session`."""

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        return getattr(_bound().session, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(_bound().session, name, value)

    def __getitem__(self, key: Any) -> Any:
        return _bound().session[key]

    def __setitem__(self, key: Any, value: Any) -> None:
        _bound().session[key] = value

    def __delitem__(self, key: Any) -> None:
        del _bound().session[key]

    def __contains__(self, key: Any) -> bool:
        return key in _bound().session

    def __iter__(self) -> Iterator[Any]:
        return iter(_bound().session)

    def __len__(self) -> int:
        return len(_bound().session)

    accessed = property(lambda _: _bound().session.accessed)
    clear = property(lambda _: _bound().session.clear)
    get = property(lambda _: _bound().session.get)
    items = property(lambda _: _bound().session.items)
    keys = property(lambda _: _bound().session.keys)
    modified = property(lambda _: _bound().session.modified)
    new = property(lambda _: _bound().session.new)
    permanent = property(lambda _: _bound().session.permanent)
    pop = property(lambda _: _bound().session.pop)
    popitem = property(lambda _: _bound().session.popitem)
    setdefault = property(lambda _: _bound().session.setdefault)
    update = property(lambda _: _bound().session.update)
    values = property(lambda _: _bound().session.values)


class WebSocketProxy(LocalProxy[Any]):
    """The class of `websocket`."""

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        return getattr(_websocket_or_raise(), name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(_websocket_or_raise(), name, value)

    # PERF: as above.
    receive = property(lambda _: _websocket_or_raise().receive)
    send = property(lambda _: _websocket_or_raise().send)

    # Both kinds of loop find their method: `async for` on the loop, `for` in a thread.
    def __aiter__(self) -> Any:
        return _websocket_or_raise().__aiter__()

    def __iter__(self) -> Iterator[Any]:
        return iter(_websocket_or_raise())


def _websocket_or_raise() -> Any:
    context = _bound().request_context
    return raise_no_websocket() if context is None else context.websocket


for _class in (AppProxy, GlobalsProxy, RequestProxy, SessionProxy, WebSocketProxy):
    # COMPAT: an unbound proxy shows as `<LocalProxy unbound>`.
    _class.__name__ = "LocalProxy"
del _class


def _app_context_or_raise() -> Any:
    return _bound().app_context or raise_no_app()


def _request_context_or_raise() -> Any:
    return _bound().request_context or raise_no_request()


current_app: Any = AppProxy(lambda: _bound().app)
g: Any = GlobalsProxy(lambda: _bound().g)
request: Any = RequestProxy(lambda: _bound().request)
session: Any = SessionProxy(lambda: _bound().session)
websocket: Any = WebSocketProxy(_websocket_or_raise)
app_ctx: Any = LocalProxy(_app_context_or_raise)
request_ctx: Any = LocalProxy(_request_context_or_raise)
