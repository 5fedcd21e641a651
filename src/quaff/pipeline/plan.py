"""What one route needs: everything that can be decided before a request comes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

from .. import signals
from .._internal.async_bridge import is_async
from ..helpers import _split_blueprint_path
from ..json.provider import DefaultJSONProvider
from ..routing.router import Route
from ..views import async_view
from ..wrappers import Request, Response
from .parts import AnswerFunction, PartsOfRoute, find_parts

_TEARDOWN_METHODS = ("do_teardown_request", "do_teardown_appcontext", "should_ignore_error")
_TEARDOWN_SIGNALS = (signals.request_tearing_down, signals.appcontext_tearing_down, signals.appcontext_popped)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The decisions for one route and method."""

    app: Any
    """The app."""

    revision: int
    """The app's revision for which this holds. A request during which it moves on is finished in the reference pipeline."""

    route: Route | None
    """The route, or None for the plan of requests that match no route."""

    method: str
    """The request method."""

    native: bool
    """Whether this is for a coroutine on the server's loop: functions are kept as they are, not made synchronous."""

    view: Callable[..., Any] | None
    """The view, made synchronous unless `native`; None to answer with a routing error."""

    answer: AnswerFunction | None
    """What is asked for an answer in the place of the view's, if there is such a thing."""

    preprocessors: tuple[Callable[..., Any], ...]
    """URL value preprocessors in their order."""

    before: tuple[Callable[..., Any], ...]
    """before_request functions in their order."""

    after: tuple[Callable[..., Any], ...]
    """after_request functions in their order."""

    parts: PartsOfRoute
    """What batteries do for this route."""

    first_request: bool
    """Whether functions for the first request are still to be run."""

    eager_globals: bool
    """Whether `g` is made at once: a class of the user's own may do something when it is made."""

    eager_request: bool
    """Whether the request object is made at once: a class of the user's own may do something when it is made or closed."""

    eager_session: bool
    """Whether the session interface is asked at the start and told at the end, whatever happens to the session."""

    refreshes_session: bool
    """Whether a permanent session gets a new cookie on each request."""

    plain_responses: bool
    """Whether nothing of how results become responses is overridden."""

    plain_json: bool
    """Whether dicts and lists are turned into JSON by Quaff's provider."""

    tears_down: bool
    """Whether anything has to be called when the request is over."""

    may_close: bool
    """Whether a request may have registered something with `call_on_close`."""

    signals_pushed: bool
    """Whether somebody listens to `appcontext_pushed`."""

    signals_started: bool
    """Whether somebody listens to `request_started`."""

    signals_finished: bool
    """Whether somebody listens to `request_finished`."""

    @property
    def has_async(self) -> bool:
        """Whether a `native` plan holds something that belongs on a loop. The rest runs in one thread as it is."""
        functions = (*self.before, *self.after, *(() if self.view is None else (self.view,)))
        return any(map(is_async, functions))

    @property
    def wants_response(self) -> bool:
        """Whether each request needs a response object."""
        return (
            bool(self.after)
            or self.signals_finished
            or self.eager_session
            or not self.plain_responses
            or self.parts.needs_response
        )

    @property
    def may_be_answered(self) -> bool:
        """Whether the result may be an `Answer`: of a guard, of what stands for the view, or for an error of routing."""
        return self.route is None or bool(self.parts.guards) or self.answer is not None

    @property
    def answers_first(self) -> bool:
        """Whether what answers in the place of the view is the first that is called, so that its answer is final."""
        return self.answer is not None and not self.may_see_arguments and not self.refreshes_session

    @property
    def may_see_arguments(self) -> bool:
        """Whether something runs before the view that could change its arguments."""
        return (
            bool(self.preprocessors or self.before or self.signals_started or self.first_request)
            or (self.eager_request or self.eager_session or self.signals_pushed)
            or bool(self.parts.guards)
        )


def _is_plain_response(app: Any) -> bool:
    cls = app.response_class
    return (
        not app.overrides("make_response")
        and isinstance(cls, type)
        and issubclass(cls, Response)
        and cls.__init__ is Response.__init__
        and cls.__new__ is Response.__new__
        and cls.set_data is Response.set_data
        and cls.default_mimetype == "text/html"
        and cls.default_status == 200
        and cls.automatically_set_content_length
        and cls._sends_itself
    )


def _is_plain_request(cls: Any) -> bool:
    return isinstance(cls, type) and all(
        getattr(cls, name) is getattr(Request, name) for name in ("__init__", "__new__", "_load_form_data", "close")
    )


def _is_plain_json(app: Any) -> bool:
    provider = app.json
    return (
        isinstance(provider, DefaultJSONProvider)
        and provider.mimetype == "application/json"
        and type(provider).response is DefaultJSONProvider.response
        and "response" not in provider.__dict__
    )


def _view_that_is_missing(endpoint: str) -> Callable[..., Any]:
    def view(**values: Any) -> Any:
        # COMPAT: what looking the view up raises in Flask, where the request's error handlers see it.
        raise KeyError(endpoint)

    return view


def make_plan(app: Any, route: Route | None, method: str, *, native: bool = False) -> Plan:
    """Look everything up that a request of *route* would look up in Flask.

    :param native: keep async functions as they are, for a coroutine on the server's loop.
    """
    # First: what changes while the plan is made makes it stale.
    revision: int = app._revision.value
    endpoint = "" if route is None else route.endpoint
    blueprints = _split_blueprint_path(endpoint.rpartition(".")[0]) if "." in endpoint else []
    outer_first = (None, *reversed(blueprints))
    inner_first = (*blueprints, None)
    sync = (lambda function: function) if native else app.ensure_sync

    def functions(registry: Any, names: Any) -> list[list[Callable[..., Any]]]:
        return [list(registry[name]) for name in names if name in registry]

    def synced(groups: list[list[Callable[..., Any]]]) -> tuple[Callable[..., Any], ...]:
        return tuple(sync(function) for function in chain.from_iterable(groups))

    tears_down = (
        any(app.teardown_request_funcs.get(name) for name in inner_first)
        or bool(app.teardown_appcontext_funcs)
        or any(signal.receivers for signal in _TEARDOWN_SIGNALS)
        or app.overrides(*_TEARDOWN_METHODS)
    )
    lazy_session = app.opens_session_lazily()
    plan = Plan(
        app=app,
        revision=revision,
        route=route,
        method=method,
        native=native,
        view=None,
        answer=None,
        # COMPAT: Flask calls these as they are: an async one never runs.
        preprocessors=tuple(chain.from_iterable(functions(app.url_value_preprocessors, outer_first))),
        before=synced(functions(app.before_request_funcs, outer_first)),
        after=synced([group[::-1] for group in functions(app.after_request_funcs, inner_first)]),
        parts=find_parts(app, None if route is None else route.rule, method),
        first_request=app.has_first_request_functions(),
        eager_globals=app.app_ctx_globals_class.__init__ is not object.__init__,
        eager_request=not _is_plain_request(app.request_class),
        eager_session=not lazy_session,
        refreshes_session=lazy_session and bool(app.secret_key) and app.config["SESSION_REFRESH_EACH_REQUEST"],
        plain_responses=_is_plain_response(app),
        plain_json=_is_plain_json(app),
        tears_down=tears_down,
        may_close=app.closes_contexts,
        signals_pushed=bool(signals.appcontext_pushed.receivers),
        signals_started=bool(signals.request_started.receivers),
        signals_finished=bool(signals.request_finished.receivers),
    )
    if route is None or (method == "OPTIONS" and getattr(route.rule, "provide_automatic_options", False)):
        return plan
    view = app.view_functions.get(endpoint) or _view_that_is_missing(endpoint)
    view, answer = plan.parts.wrap_view(view, direct=not plan.wants_response, first=not plan.may_see_arguments)
    return replace(plan, view=async_view(view, method) if native else sync(view), answer=answer)
