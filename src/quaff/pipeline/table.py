"""The compiled routes of an app at one revision.

`Dispatch.__call__` looks a static path up here itself and leaves everything else to `serve_dynamic`. When the app's
revision has moved on, a new table is made; it takes the router along if the URL map did not change, so that a hook that is
registered late costs the compilation of the routes that are used, and not the router of all of them.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final

from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound

from ..errorhandlers import find_error_handler
from ..hosts import refuse_host
from ..mounting import Mount, find_mount_of_environ
from ..routing.matcher import ASK_THE_MAP, Matcher
from ..routing.patterns import Leaf
from ..routing.router import Route, Router
from . import reference
from .compile import Handler, compile_handler
from .plan import make_plan
from .results import Answer

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

    from ..proxies import Trust

_KNOWN_HOSTS: Final = 1_000
"""How many host names are remembered as fine. SECURITY: bounded, for clients choose them."""

_CHURN: Final = (20, 1.0)
"""So many tables in so many seconds mean that the app changes its hooks while it serves: it is not compiled then."""

_INLINED: Final = (
    "app_context",
    "async_to_sync",
    "create_url_adapter",
    "ensure_sync",
    "finalize_request",
    "full_dispatch_request",
    "preprocess_request",
    "process_response",
    "request_context",
)
"""Methods whose work the compiled pipeline does itself. An app that overrides one runs in the reference pipeline."""

_ERROR_METHODS: Final = (
    "_find_error_handler",
    "dispatch_request",
    "handle_http_exception",
    "handle_user_exception",
    "raise_routing_exception",
    "trap_http_exception",
)


class RoutingFailure:
    """Why no route serves a request, and the finished answer if no handler of the user's has a say.

    :param make_exception: makes the exception anew for each request that needs it; a raised exception keeps its traceback.
    """

    __slots__ = ("answer", "make_exception")

    def __init__(self, make_exception: Callable[[], HTTPException], *, plain: bool) -> None:
        self.make_exception = make_exception
        self.answer = Answer(make_exception()) if plain else None

    def outcome(self, context: Any) -> Answer:
        """Return the finished answer, or raise the error where Flask would."""
        if self.answer is None:
            context.app.raise_routing_exception(context.request)
        return self.answer  # type: ignore[return-value]


def _runs_users_converters(route: Route) -> bool:
    """Tell whether a converter of the user's own code takes part.

    COMPAT: in Flask such a converter may use the request, the session and `g`, and may abort; hooks see what it raised. The
    compiled pipeline converts before any of that is there.
    """
    methods = [type(converter).to_python for converter in route.converters]
    return not all(getattr(method, "__module__", "").startswith(("werkzeug.", "quaff.")) for method in methods)


def _run_in_thread(exchange: Any, captured: tuple[str, ...]) -> Any:
    """Serve a request in whose route nothing is async: the plain way, in a worker thread."""
    return exchange.run_in_thread()


class CompiledTable:
    """Serves the requests of *app* as it was when the table was made."""

    def __init__(self, app: Any, previous: CompiledTable | None = None) -> None:
        # The revisions first: what changes while the table is made makes it stale at once.
        self.revision: int = app._revision.value
        url_map = app.url_map
        map_revision = getattr(url_map, "revision", None)
        self._routing_revision: int = -1 if map_revision is None else map_revision.value
        self._app = app
        self._made_at: deque[float] = deque(maxlen=_CHURN[0]) if previous is None else previous._made_at
        self._churning = self._is_churning()
        self.has_middleware: bool = app.overrides("wsgi_app")
        """Whether middleware, or a subclass, stands in the place of `app.wsgi_app`."""

        self.trust: Trust | None = None
        """What the proxies in front of the app are believed (`TRUSTED_PROXIES`); None for nothing."""

        if app.config.get("TRUSTED_PROXIES"):
            from ..proxies import trust_from_config

            self.trust = trust_from_config(app.config)
        self.mounts: tuple[Mount, ...] = app.mounts
        self.is_wrapped = self.has_middleware or bool(self.mounts)
        """Whether somebody sees a request before the routes do: middleware, or mounted applications."""

        self.compiled = bool(
            app.compiled
            and map_revision is not None
            and not app.subdomain_matching
            and not app.overrides(*_INLINED)
            and not self._churning
        )
        self.hosts: set[str | None] = set()
        self._router: Router | None = None
        self.static: dict[str, dict[str, Handler]] = {}
        self._matchers: dict[int, Matcher] = {}
        if self.compiled:
            self._router = self._take_router(previous) or Router(url_map, self._make_handler)
            self.static = self._router.static
            self._matchers = self._router.matchers
        self._native_router: Router | None = None
        self._failures: dict[Any, RoutingFailure] = {}
        self._serve_failure: Handler | None = None

    def _take_router(self, previous: CompiledTable | None) -> Router | None:
        if previous is None or previous._router is None or previous._routing_revision != self._routing_revision:
            return None
        router = previous._router
        router._make_handler = self._make_handler
        router.forget_handlers()
        return router

    def _is_churning(self) -> bool:
        now = time.monotonic()
        self._made_at.append(now)
        return len(self._made_at) == _CHURN[0] and now - self._made_at[0] < _CHURN[1]

    def has_calmed_down(self) -> bool:
        """Tell whether this table was made while the app kept changing, and it has been left alone since."""
        return self._churning and time.monotonic() - self._made_at[-1] > _CHURN[1]

    def _make_handler(self, route: Route, method: str) -> Handler:
        if _runs_users_converters(route):
            return lambda environ, start_response, captured: self.ask_the_map(environ, start_response)
        return compile_handler(make_plan(self._app, route, method), self.ask_the_map)

    def find_native(self, method: str, path: str) -> tuple[Handler, tuple[str, ...]] | None:
        """Return the handler of a path for a request on an event loop, and what it captured; None to serve it in a thread.

        :param path: the decoded path.
        """
        router = self._native_router
        if router is None:
            router = self._native_router = self._make_native_router()
        if path.isascii():
            handler = router.static.get(path, {}).get(method)
            if handler is not None:
                return handler, ()
        found = router.find(path, method)
        return found if type(found) is tuple else None

    def _make_native_router(self) -> Router:
        return Router(self._app.url_map, self._make_native_handler)

    def _make_native_handler(self, route: Route, method: str) -> Handler:
        app = self._app
        if not _runs_users_converters(route) and not app.overrides("dispatch_request"):
            plan = make_plan(app, route, method, native=True)
            if plan.has_async:
                return compile_handler(plan, self.ask_the_map)
        return _run_in_thread

    def find_mount(self, environ: WSGIEnvironment) -> Mount | None:
        """Return the mount that serves a request; None when the app itself does, which also refuses bad hosts."""
        mount = find_mount_of_environ(environ, self.mounts)
        return mount if mount is not None and self.is_host_fine(environ) else None

    def is_host_fine(self, environ: WSGIEnvironment) -> bool:
        """Apply what trusted proxies say, check it and the host that comes of it; remember good hosts."""
        if self.trust is not None and not self.trust.correct(environ):
            return False
        if environ.get("HTTP_HOST") in self.hosts and "werkzeug.proxy_fix.orig" not in environ:
            return True
        if refuse_host(environ) is not None or not self._app.trusts_host(environ):
            return False
        if len(self.hosts) >= _KNOWN_HOSTS:
            self.hosts.clear()
        self.hosts.add(environ.get("HTTP_HOST"))
        return True

    def ask_the_map(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Serve a request in the reference pipeline."""
        return reference.serve(self._app, environ, start_response)

    def serve(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Serve a request in the pipeline of its route."""
        handler = self.static.get(environ.get("PATH_INFO", ""), {}).get(environ["REQUEST_METHOD"])
        if handler is not None:
            return handler(environ, start_response, ())  # type: ignore[no-any-return]
        return self.serve_dynamic(environ, start_response)

    def serve_dynamic(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Serve a request whose path is not a static one that takes its method."""
        path: str = environ.get("PATH_INFO", "")
        # PERF: the usual path that some rule takes, with the steps of `Router.find` written out; `_serve_any` serves all.
        if path.isascii():
            pieces = path.split("/")
            matcher = self._matchers.get(len(pieces))
            if matcher is not None:
                found = matcher(pieces, environ["REQUEST_METHOD"])
                if type(found) is tuple:
                    return found[0](environ, start_response, found[1])  # type: ignore[no-any-return]
        return self._serve_any(environ, start_response, path)

    def _serve_any(self, environ: WSGIEnvironment, start_response: StartResponse, path: str) -> Iterable[bytes]:
        """Serve a request for any path: by its route, with a 404 or 405, or in the reference pipeline."""
        router = self._router
        if router is None:
            return self.ask_the_map(environ, start_response)
        if not path.isascii():
            path = path.encode("latin1").decode(errors="replace")
        found = ASK_THE_MAP if "\0" in path else router.find(path, environ["REQUEST_METHOD"].upper())
        if type(found) is tuple:
            handler, captured = found
            return handler(environ, start_response, captured)  # type: ignore[no-any-return]
        if found is ASK_THE_MAP:
            return self.ask_the_map(environ, start_response)
        serve_failure = self._serve_failure
        if serve_failure is None:
            serve_failure = self._serve_failure = compile_handler(make_plan(self._app, None, "*"), self.ask_the_map)
        return serve_failure(environ, start_response, self._failure(found))  # type: ignore[no-any-return]

    def _failure(self, leaves: list[Leaf]) -> RoutingFailure:
        """Return the 404, or the 405 with the methods that the path does take."""
        methods = frozenset().union(*(leaf.methods() for leaf in leaves)) if leaves else frozenset()
        failure = self._failures.get(methods)
        if failure is None:
            failure = self._failures[methods] = self._make_failure(sorted(methods))
        return failure

    def _make_failure(self, methods: list[str]) -> RoutingFailure:
        def make_exception() -> HTTPException:
            return MethodNotAllowed(valid_methods=methods) if methods else NotFound()

        return RoutingFailure(make_exception, plain=self._answers_plainly(make_exception()))

    def _answers_plainly(self, error: HTTPException) -> bool:
        """Whether nothing of the user's can change how this routing error is answered."""
        app = self._app
        return (
            not app.overrides(*_ERROR_METHODS)
            and make_plan(app, None, "*").plain_responses
            and not app.trap_http_exception(error)
            and find_error_handler(app.error_handler_spec, type(error), error.code, ()) is None
        )
