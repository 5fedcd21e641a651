"""What a random app replaces of Quaff's own: methods, classes, sessions; and what it changes while it serves."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from werkzeug.exceptions import NotFound
from werkzeug.routing import Rule

from quaff import Quaff, Request, Response, has_app_context, has_request_context
from quaff.ctx import _AppCtxGlobals
from quaff.json.provider import DefaultJSONProvider
from quaff.sessions import SecureCookieSession, SecureCookieSessionInterface, SessionInterface, SessionMixin

if TYPE_CHECKING:
    from tests.differential.building import Built


def _replacement(built: Built, name: str, original: Callable[..., Any]) -> Callable[..., Any]:
    """Return a method that notes its call and does what the original does."""

    def method(*args: Any, **kwargs: Any) -> Any:
        built.note("override", name)
        return original(*args, **kwargs)

    return method


def make_app(built: Built, name: str, *, compiled: bool) -> Quaff:
    """Return the program's app with nothing registered."""
    members: dict[str, Any] = {}
    for method, where in built.program.overrides:
        if where == "class":
            members[method] = _replacement(built, method, getattr(Quaff, method))
    for what in built.program.custom:
        attribute, value = _custom(built, what)
        members[attribute] = value
    cls: type[Quaff] = type("App", (Quaff,), members) if members else Quaff
    app = cls(name, static_folder=None, compiled=compiled)
    for method, where in built.program.overrides:
        if where == "object":
            setattr(app, method, _replacement(built, method, getattr(app, method)))
    return app


def _custom(built: Built, what: str) -> tuple[str, Any]:
    """Return the class attribute that a customization sets, and its value."""
    name, _, variant = what.partition(" ")
    if name == "app_ctx_globals_class":
        return name, _globals_class(built)
    if name == "json":
        return "json_provider_class", type("Provider", (DefaultJSONProvider,), {"compact": False, "sort_keys": False})
    if name == "request_class":
        return name, _request_class(built, variant)
    if name == "response_class":
        return name, _response_class(built, variant)
    return "session_interface", _session_interface(built, what)


def _globals_class(built: Built) -> type[_AppCtxGlobals]:
    class Globals(_AppCtxGlobals):
        def __init__(self) -> None:
            built.note("new g", has_app_context(), has_request_context())
            self.made = 1

    return Globals


def _request_class(built: Built, variant: str) -> type[Request]:
    class OwnRequest(Request):
        pass

    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        built.note("new request", has_app_context(), has_request_context())
        Request.__init__(self, *args, **kwargs)

    def close(self: Any) -> None:
        built.note("request closed")
        Request.close(self)

    if variant == "with __init__":
        OwnRequest.__init__ = init  # type: ignore[method-assign]
    if variant == "with close":
        OwnRequest.close = close  # type: ignore[method-assign]
    return OwnRequest


def _response_class(built: Built, variant: str) -> type[Response]:
    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        Response.__init__(self, *args, **kwargs)
        self.headers["X-Init"] = "1"

    def get_wsgi_headers(self: Any, environ: Any) -> Any:
        headers = Response.get_wsgi_headers(self, environ)
        headers["X-WSGI-Headers"] = "1"
        return headers

    members: dict[str, dict[str, Any]] = {
        "other mimetype": {"default_mimetype": "application/x-own"},
        "plain": {},
        "with __init__": {"__init__": init},
        "with get_wsgi_headers": {"get_wsgi_headers": get_wsgi_headers},
        "with status": {"default_status": 203},
    }
    return type("OwnResponse", (Response,), members[variant])


class StoredSession(dict[str, Any], SessionMixin):
    """A session that some store keeps."""


def _own_interface(built: Built) -> type[SessionInterface]:
    class Interface(SessionInterface):
        stored: dict[str, Any] = {}

        def open_session(self, app: Any, request: Any) -> Any:
            built.note("open session", request.path, request.endpoint, request.view_args)
            return StoredSession(self.stored)

        def save_session(self, app: Any, session: Any, response: Any) -> None:
            built.note("save session", dict(session), response.status)
            type(self).stored = dict(session)
            response.headers["X-Session"] = str(len(session))

    return Interface


def _session_interface(built: Built, what: str) -> SessionInterface:
    class Always(SecureCookieSessionInterface):
        def should_set_cookie(self, app: Any, session: Any) -> bool:
            return bool(session)

    class Never(SecureCookieSessionInterface):
        def save_session(self, app: Any, session: Any, response: Any) -> None:
            built.note("not saved", dict(session), session.accessed)

    class Stamped(SecureCookieSession):
        def __init__(self, initial: Any = None) -> None:
            super().__init__(initial)
            self.setdefault("stamp", 1)

    class WithClass(SecureCookieSessionInterface):
        session_class = Stamped

    class OtherSerializer(SecureCookieSessionInterface):
        digest_method = staticmethod(__import__("hashlib").sha256)

    interfaces: dict[str, type[SessionInterface]] = {
        "session_interface always saves": Always,
        "session_interface never saves": Never,
        "session_interface of its own": _own_interface(built),
        "session_interface other serializer": OtherSerializer,
        "session_class of its own": WithClass,
    }
    return interfaces[what]()


def _free_signal(built: Built) -> str:
    """Return a signal that has no receiver yet: blinker keeps them in a set, so that two are called in any order."""
    taken = {name for name, _actions in built.program.receivers} | built.late_receivers
    signals = (
        "request_finished", "request_started", "request_tearing_down", "appcontext_tearing_down", "appcontext_popped",
        "message_flashed", "got_request_exception",
    )  # fmt: skip
    name = next(name for name in signals if name not in taken)
    built.late_receivers.add(name)
    return name


def change(built: Built, stack: ExitStack, what: str) -> None:
    """Change the app between two requests, in ways that Flask does not refuse."""
    from tests.differential.building import connect

    app = built.app

    def before() -> None:
        built.note("late before")

    def after(response: Any) -> Any:
        built.note("late after", response.status)
        return response

    def set_(name: str, value: Any) -> Callable[[], None]:
        return lambda: setattr(app, name, value)

    def configure(**values: Any) -> Callable[[], None]:
        return lambda: app.config.update(values)

    def add_rule() -> None:
        app.url_map.add(Rule("/nowhere", endpoint="late"))
        app.view_functions["late"] = lambda: "here now"

    def other_view() -> None:
        for endpoint in list(app.view_functions):
            if endpoint.rpartition(".")[2] == "view0":
                app.view_functions[endpoint] = lambda **values: f"other {sorted(values.items())}"

    def on_404(error: Any) -> Any:
        built.note("late 404", repr(error))
        return "late 404", 404

    changes: dict[str, Callable[[], Any]] = {
        "after hook": lambda: app.after_request_funcs[None].append(after),
        "all hooks replaced": set_("before_request_funcs", {None: [before]}),
        "before hook": lambda: app.before_request_funcs.setdefault(None, []).insert(0, before),
        "debug on": set_("debug", True),
        "error handler": lambda: app.error_handler_spec[None][404].__setitem__(NotFound, on_404),
        "handle_exception replaced": set_("handle_exception", lambda error: Response(f"own {error!r}", 500)),
        "hooks cleared": lambda: app.after_request_funcs.clear(),
        "new rule": add_rule,
        "other view": other_view,
        "receiver": lambda: connect(built, stack, _free_signal(built), ("where",), "late receiver"),
        "secret key changed": set_("secret_key", "another key"),
        "session interface replaced": set_("session_interface", _own_interface(built)()),
        "teardown hook": lambda: app.teardown_request_funcs[None].append(lambda error: built.note("late", repr(error))),
        "testing on": set_("testing", True),
        "trap http exceptions": configure(TRAP_HTTP_EXCEPTIONS=True),
    }
    changes[what]()
