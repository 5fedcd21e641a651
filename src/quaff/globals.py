"""The current context, and the proxies to what it holds.

One context variable holds one *bound context*: an object with the attributes `app`, `g`, `request`, `session`,
`app_context` and `request_context`. Most often it is the `RequestContext` of the request being served, or an `AppContext`
outside of one. An app context pushed inside a request becomes an `AppInsideRequest`, which takes `app` and `g` from the
one and `request` and `session` from the other. Without any context the value is `NO_CONTEXT`, whose attributes raise:
that is how a read costs no test for "is there a context".

Quaff itself never goes through the proxies; they are for the user's code. What the proxies add to werkzeug's `LocalProxy`
is a generated property for each name that is commonly read: `request.args` through `LocalProxy.__getattr__` costs about
1 µs, through the property about 0.15 µs (CPython 3.13).

Read first: `tests/test_globals.py`, `tests/test_ctx.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar, Token
from typing import Any, Final, Generic, NoReturn, Protocol, TypeVar

from ._internal.codegen import build_function
from ._internal.imports import defer_package
from .errors import ContextError

defer_package("werkzeug")

from werkzeug.local import LocalProxy  # noqa: E402 - only after the package was deferred

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

current_context: ContextVar[BoundContext] = ContextVar("quaff.context", default=NO_CONTEXT)


class AppInsideRequest:
    """An app context that was pushed while a request of another context was being served."""

    __slots__ = ("app_context", "request_context")

    def __init__(self, app_context: Any, request_context: Any) -> None:
        self.app_context = app_context
        self.request_context = request_context

    @property
    def app(self) -> Any:
        """The app of the app context."""
        return self.app_context.app

    @property
    def g(self) -> Any:
        """The namespace of the app context."""
        return self.app_context.g

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
        return NO_CONTEXT if app_context is None else app_context
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

_REQUEST_NAMES = (
    "accept_charsets accept_encodings accept_languages accept_mimetypes access_route args authorization base_url "
    "blueprint blueprints cache_control content_encoding content_length content_type cookies data date endpoint environ "
    "files form full_path get_data get_json headers host host_url if_match if_modified_since if_none_match "
    "if_unmodified_since is_json is_secure json max_content_length max_forwards method mimetype mimetype_params path "
    "query_string range referrer remote_addr remote_user root_path root_url routing_exception scheme script_root server "
    "stream url url_root url_rule user_agent values view_args"
).split()
_SESSION_NAMES = "accessed clear get items keys modified new permanent pop popitem setdefault update values".split()
_APP_NAMES = (
    "aborter blueprints config debug ensure_sync extensions import_name instance_path jinja_env json logger name "
    "response_class request_class root_path secret_key session_interface static_folder testing url_for url_map "
    "view_functions"
).split()


def _reader(half: str, name: str) -> property:
    source = f"def {name}(proxy):\n    return _bound().{half}.{name}\n"
    return property(build_function("proxy", name, source, {"_bound": current_context.get}))


def _readers(half: str, names: list[str]) -> dict[str, property]:
    return {name: _reader(half, name) for name in names}


def _mapping_methods(half: str) -> dict[str, Callable[..., Any]]:
    bodies = {
        "__getitem__": "(proxy, key):\n    return _bound().{half}[key]\n",
        "__setitem__": "(proxy, key, value):\n    _bound().{half}[key] = value\n",
        "__delitem__": "(proxy, key):\n    del _bound().{half}[key]\n",
        "__contains__": "(proxy, key):\n    return key in _bound().{half}\n",
        "__iter__": "(proxy):\n    return iter(_bound().{half})\n",
        "__len__": "(proxy):\n    return len(_bound().{half})\n",
    }
    names = {"_bound": current_context.get}
    return {
        method: build_function("proxy", method, f"def {method}{body.format(half=half)}", names)
        for method, body in bodies.items()
    }


def _attribute_methods(half: str) -> dict[str, Callable[..., Any]]:
    bodies = {
        "__getattr__": "(proxy, name):\n    return getattr(_bound().{half}, name)\n",
        "__setattr__": "(proxy, name, value):\n    setattr(_bound().{half}, name, value)\n",
    }
    names = {"_bound": current_context.get}
    return {
        method: build_function("proxy", method, f"def {method}{body.format(half=half)}", names)
        for method, body in bodies.items()
    }


def _proxy_class(half: str, names: list[str], *, mapping: bool = False) -> type[LocalProxy[Any]]:
    members: dict[str, Any] = {"__slots__": (), "__module__": __name__}
    members.update(_attribute_methods(half))
    members.update(_readers(half, names))
    if mapping:
        members.update(_mapping_methods(half))
    # COMPAT: the name shows in the representation of an unbound proxy.
    return type("LocalProxy", (LocalProxy,), members)


# `Any` in what follows: the real types live in higher layers. `quaff/__init__.py` gives the public names their types.
current_app: Any = _proxy_class("app", _APP_NAMES)(lambda: current_context.get().app)
g: Any = _proxy_class("g", [])(lambda: current_context.get().g)
request: Any = _proxy_class("request", _REQUEST_NAMES)(lambda: current_context.get().request)
session: Any = _proxy_class("session", _SESSION_NAMES, mapping=True)(lambda: current_context.get().session)


def _app_context_or_raise() -> Any:
    return current_context.get().app_context or raise_no_app()


def _request_context_or_raise() -> Any:
    return current_context.get().request_context or raise_no_request()


app_ctx: Any = LocalProxy(_app_context_or_raise)
request_ctx: Any = LocalProxy(_request_context_or_raise)
