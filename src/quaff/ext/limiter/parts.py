"""What a limiter does for one route, as parts of the pipeline."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cached_property
from typing import Any

from ...pipeline.parts import Part, Target
from ...pipeline.phases import Stage
from .checks import Check
from .fast import is_fast, make_guard
from .fast_headers import make_add_headers
from .messages import MessageLimit, watch_messages
from .plans import Plan
from .registry import Limited
from .site import Site


class Route:
    """A limiter at one route and method."""

    def __init__(self, site: Site, plan: Plan, target: Target, marks: list[Any]) -> None:
        self.site = site
        self.plan = plan
        self.is_websocket = target.is_websocket
        self.messages = [mark for mark in marks if isinstance(mark, MessageLimit)]
        # An automatic OPTIONS does not call the view.
        own = () if target.is_automatic_options else plan.limited
        self.own = own
        is_reached = all(is_called(target.view, one, target.method) for one in own)
        is_quiet = plan.is_whole and not site.filters
        self.looks_first = (is_quiet and plan.is_first_early) or not site.has_hook or self.is_websocket
        self.looks_at_view = bool(own) and ((is_quiet and plan.is_second_early) or not is_reached)
        self.skipped: tuple[Limited, ...] = own if self.looks_at_view else ()
        """Decorated functions that have to be told that they were counted."""
        if self.messages and not self.is_websocket:
            raise TypeError(
                f"limit_messages() is for WebSockets, and {target.endpoint!r} is none. To limit its requests use limit()."
            )

    @property
    def does_nothing(self) -> bool:
        """Whether no limit can ever be looked at when a request comes."""
        plan = self.plan
        if self.messages or plan.metas or plan.has_dynamic_metas:
            return False
        if plan.is_whole:
            return not (plan.first or (self.own and plan.second))
        return False

    @property
    def _is_quiet(self) -> bool:
        """Whether nothing of the user's own is called."""
        plan = self.plan
        is_early = plan.is_first_early and (plan.is_second_early or not self.own)
        return plan.is_whole and is_early and not self.site.filters

    @cached_property
    def _fast_checks(self) -> tuple[Check, ...]:
        """The limits of requests that may go the shortest way, none if they may not."""
        plan, backend = self.plan, self.site.backend
        checks = (*plan.first, *(plan.second if self.own else ()))
        if backend is None or not self._is_quiet or self.messages or not is_fast(plan, backend, checks):
            return ()
        return checks

    def _make_add_headers(self) -> Callable[[Any, int, Any], None]:
        site = self.site
        checks = self._fast_checks
        if not checks:
            return site.add_headers
        return make_add_headers(site.slot, checks, len(self.plan.first), site.settings, site.add_headers)

    def make_guard(self) -> Callable[[Any], None] | None:
        """Return the guard, or None where no limit can ever be looked at when a request comes."""
        if self.does_nothing:
            return None
        site, plan, backend = self.site, self.plan, self.site.backend
        checks = self._fast_checks
        if backend is None or not checks:
            return self.guard
        guard = self.guard
        fast = make_guard(site.slot, plan, backend, checks, lambda: self.skipped, site.refuse)

        def choose(context: Any) -> None:
            # What a request shows may change what applies to the next.
            return guard(context) if plan.hint.callables or not site.knows_server else fast(context)

        return choose

    def guard(self, context: Any) -> None:
        """Look at the limits."""
        site, plan = self.site, self.plan
        state = site.open(context, plan)
        if state.is_exempt:
            return
        if self.looks_first:
            site.look_first(context, state, plan)
        else:
            state.waits_for_hook = True
        if self.looks_at_view and not (plan.hint.callables and self.skipped):
            site.look_at_view(context, state, plan, self.own)
            state.skipped = self.skipped
        if self.messages:
            watch_messages(site, context, self.messages)

    def parts(self, *, headers: bool) -> Iterable[Part]:
        """Return the parts."""
        plan, site = self.plan, self.site
        finish = site.finish if plan.deducts else None
        is_remote = site.backend is not None and site.backend.is_remote
        yield Part(
            stage=Stage.LIMIT,
            guard=self.make_guard(),
            finish=finish,
            add_headers=self._make_add_headers() if headers else None,
            wrap_view=self.unwrap if self.looks_at_view else None,
            # Functions of the user's may wait for a database.
            blocking=is_remote or not self._is_quiet,
        )

    def unwrap(self, view: Callable[..., Any]) -> Callable[..., Any]:
        """Return what is decorated, because its limits are counted before; of a class, the view stays as it is."""
        for one in self.skipped:
            if view is one.wrapper and not hasattr(view, "view_class"):
                self.skipped = tuple(other for other in self.skipped if other is not one)
                return one.function
        return view


class Unmatched:
    """A limiter at requests that match no route."""

    def __init__(self, site: Site, plan: Plan) -> None:
        self.site = site
        self.plan = plan
        self.limits = plan.unmatched_limits()

    def guard(self, context: Any) -> None:
        """Look at the limits of the application, if they count such requests too, and at the meta limits."""
        site, plan = self.site, self.plan
        state = site.open(context, plan)
        if state.is_exempt:
            return
        endpoint = site.identify(context)
        method = context.environ["REQUEST_METHOD"]
        limits = self.limits if endpoint or site.settings.count_unmatched else []
        site.evaluator.run(
            context, state, endpoint, site.facts.make_checks(limits, endpoint or UNMATCHED, method), plan.metas
        )

    def parts(self, *, headers: bool) -> Iterable[Part]:
        """Return the parts."""
        if self.limits or self.site.settings.meta_limits:
            yield Part(
                stage=Stage.LIMIT,
                guard=self.guard,
                finish=self.site.finish if self.plan.deducts else None,
                add_headers=self.site.add_headers if headers else None,
                blocking=True,
            )


UNMATCHED = "(no route)"
"""What stands for the endpoint in keys of requests that match none."""


def parts_for(site: Site, target: Target, marks: list[Any]) -> Iterable[Part]:
    """Return what a limiter does for a route and method."""
    plan = site.plan_for(target.endpoint, target.method, target.view, marks)
    headers = site.settings.headers_enabled
    if target.rule is None:
        return Unmatched(site, plan).parts(headers=headers)
    route = Route(site, plan, target, marks)
    if route.does_nothing and not headers:
        return ()
    return route.parts(headers=headers)


def is_called(view: Callable[..., Any] | None, one: Limited, method: str) -> bool:
    """Tell whether calling a view calls the wrapper of a decorated function, which then counts by itself."""
    if one.wrapper is None:
        return False
    view_class = getattr(view, "view_class", None)
    if view_class is not None:
        names = (method.lower(), "get" if method == "HEAD" else "", "dispatch_request")
        functions = [getattr(view_class, name, None) for name in names if name]
        if any(_leads_to(function, one) for function in functions):
            return True
    return _leads_to(view, one)


def _leads_to(function: Any, one: Limited) -> bool:
    seen = 0
    while function is not None and seen < 100:
        if function is one.wrapper:
            return True
        function = getattr(function, "__wrapped__", None)
        seen += 1
    return False
