"""A limiter on one app: its settings, where it counts, and what it does at each step of a request."""

from __future__ import annotations

import logging
import threading
import weakref
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from ...pipeline.parts import marks_of
from .backend import Backend
from .checks import Check
from .constants import ExemptionScope
from .context import LimiterContext
from .evaluate import Evaluator
from .fast import Counted
from .headers import put_headers
from .plans import Facts, Plan
from .registry import Blueprints, Hint, Limited
from .rules import Limit, RuntimeLimit
from .settings import Settings, read_settings, unknown_keys
from .storage import family_of

_numbers: Counter[str] = Counter()


def _number_of(import_name: str) -> int:
    """Return how many limiters there have been in this process for apps of that name."""
    _numbers[import_name] += 1
    return _numbers[import_name]


class Site:
    """What a limiter keeps for one app.

    :param limiter: the limiter. Any: its class is in a module above.
    :raises ConfigurationError: for settings that cannot be right, also later when the config was changed.
    """

    def __init__(self, limiter: Any, app: Any, options: dict[str, Any], blueprints: Blueprints) -> None:
        self.limiter = limiter
        # An app is freed as soon as nobody refers to it, though its limiter may live as long as the program.
        self._app = weakref.ref(app)
        self.logger: logging.Logger = limiter.logger
        self.slot = f"_limiter_{id(limiter)}"
        # The workers of a server run the same code, and so make their limiters in the same order.
        self._name = f"{app.import_name}\n{_number_of(app.import_name)}"
        self.filters: list[Callable[[], bool]] = limiter.request_filters
        self.has_hook = False
        """Whether a before_request function looks at limits that call functions of the user's."""
        self.hints: dict[str, Hint] = {}
        self._options = options
        self._blueprints = blueprints
        self._revision = -1
        self._lock = threading.Lock()
        self.knows_server = False
        self._plans: dict[tuple[str, str], Plan] = {}
        self.settings: Settings = read_settings(limiter, options, app.config)
        self.backend: Backend | None = None
        self.facts: Facts
        self.evaluator: Evaluator
        self.refresh()

    @property
    def app(self) -> Any:
        """The app; it exists, because only its requests and its config come here."""
        return self._app()

    def refresh(self) -> None:
        """Read the settings again if anything of the app has changed; counts go on unless the store is another one."""
        revision = self.app._revision.value
        if revision != self._revision:
            with self._lock:
                self._read_settings()
                # Last: other threads go by what is there until then.
                self._revision = revision

    def _read_settings(self) -> None:
        before, self.settings = self.settings, read_settings(self.limiter, self._options, self.app.config)
        self._plans = {}
        if not self.is_enabled:
            return
        if self.backend is None or before.storage_key != self.settings.storage_key:
            self.backend = Backend(self.settings, self.logger, self._name)
            self.knows_server = False
        self.backend.refresh()
        strict = family_of(self.settings.storage_uri or "memory://") == "memcached"
        self.facts = Facts(self.app, self.settings, self._blueprints, self.logger, strict=strict)
        self.evaluator = Evaluator(self.limiter, self.settings, self.backend, self.logger)

    def warn_about_config(self) -> None:
        """Log config keys that are probably misspelt."""
        for key, meant in unknown_keys(self.app.config):
            self.logger.warning("The config key %s is unknown to the limiter. Did you mean %s?", key, meant)

    @property
    def is_enabled(self) -> bool:
        """Whether anything is limited."""
        override: bool | None = self.limiter.enabled_override
        return self.settings.enabled if override is None else override

    def plan_for(self, endpoint: str, method: str, view: Callable[..., Any] | None, marks: Sequence[Any]) -> Plan:
        """Decide which limits apply to a route and method."""
        return Plan(self.facts, endpoint, method, view, marks, self.hints.setdefault(endpoint, Hint()))

    def find_state(self, context: Any) -> LimiterContext | None:
        """Return the state of a request, if it was looked at."""
        found: Any = context.__dict__.get(self.slot)
        if type(found) is tuple:
            plan, results, skipped = found
            found = context.__dict__[self.slot] = Counted(plan, results, skipped()).make_state(self.limiter)
        state: LimiterContext | None = found
        return state

    def state_of(self, context: Any) -> LimiterContext:
        """Return the state of a request, made if need be: where the route has no limits, or it is a test's."""
        state = self.find_state(context)
        return self.open(context, self._find_plan(context)) if state is None else state

    def refuse(self, context: Any, counted: Counted) -> None:
        """Refuse a request because of the last limit that was counted."""
        state = context.__dict__[self.slot] = counted.make_state(self.limiter)
        self.evaluator.refuse(context, state, counted.plan.endpoint, counted.results[-1][0])

    # The steps of a request ------------------------------------------------------------------------------------------

    def open(self, context: Any, plan: Plan) -> LimiterContext:
        """Begin a request to a route; its state says whether a request filter exempts it."""
        state = context.__dict__[self.slot] = LimiterContext(plan)
        if not self.knows_server:
            self._look_at_server(context.environ)
        for is_exempt in self.filters:
            if is_exempt():
                state.is_exempt = True
                break
        return state

    def _look_at_server(self, environ: dict[str, Any]) -> None:
        self.knows_server = True
        warning = None if self.backend is None else self.backend.multiprocess_warning(environ)
        if warning is not None:
            self.logger.warning("%s", warning)

    def look_first(self, context: Any, state: LimiterContext, plan: Plan) -> None:
        """Look at the limits of the application, and at the others if the view has none of its own."""
        if plan.is_whole and not plan.hint.callables:
            checks = plan.first
        else:
            checks = self._checks_now(plan.first_limits(), context, plan)
        state.seen = [check.limit for check in checks]
        self._run(context, state, plan, checks, is_view=not plan.limited)

    def look_at_view(self, context: Any, state: LimiterContext, plan: Plan, limited: Sequence[Limited]) -> None:
        """Look at the limits of the view."""
        if plan.is_whole and not plan.hint.callables and len(limited) == len(plan.limited):
            checks = plan.second
        else:
            checks = self._checks_now(plan.second_limits(limited, state.seen), context, plan)
        # With a second decorated function in the same view, what is of the blueprint and the defaults is not seen twice.
        state.seen += [check.limit for check in checks]
        self._run(context, state, plan, checks, is_view=True)

    def look_in_hook(self, context: Any) -> None:
        """Look at what was left for a before_request function."""
        state = self.find_state(context)
        if state is not None and state.waits_for_hook and not state.is_exempt:
            state.waits_for_hook = False
            self.look_first(context, state, state.plan)

    def look_at_all(self, context: Any) -> None:
        """Look at everything that applies to a request."""
        state = self.state_of(context)
        plan = state.plan
        if not state.is_exempt and self.identify(context):
            self.look_first(context, state, plan)
            self.look_at_view(context, state, plan, plan.limited)

    def is_entered(self, context: Any, limited: Limited) -> bool:
        """Tell whether the limits of a decorated function were counted before it is called; only once for each request."""
        state = self.find_state(context)
        if state is None:
            return False
        if limited in state.skipped:
            state.skipped = tuple(other for other in state.skipped if other is not limited)
            return True
        return state.is_exempt

    def enter(self, context: Any, limited: Limited) -> None:
        """Look at the limits of a decorated function that is being called, unless that was done."""
        if self.is_entered(context, limited):
            return
        state = self.state_of(context)
        plan = state.plan
        if limited not in plan.limited:
            self.look_at_call(context, limited.name, limited.limits, limited)
        elif self.identify(context):
            self.look_at_view(context, state, plan, (limited,))

    def look_at_call(self, context: Any, name: str, limits: Sequence[Limit], one: Limited | None) -> None:
        """Look at the limits of something that a view calls: a decorated function, or the code inside of a `with`.

        :param name: what tells it from others: the name of the function, or the place in the code.
        """
        state = self.state_of(context)
        plan = state.plan
        if state.is_exempt or not self.identify(context) or plan.is_static_file:
            return
        plan.hint.callables[name] = any(limit.override_defaults for limit in limits)
        if one is not None:
            found = plan.second_limits((one,), state.seen, is_view=False)
        else:
            found = plan.with_defaults(self.facts.resolve(limits, name), state.seen)
        checks = self._checks_now(found, context, plan)
        state.seen += [check.limit for check in checks if not check.limit.override_defaults]
        had = len(state.deductions)
        self._run(context, state, plan, checks, is_view=True)
        if len(state.deductions) > had and not plan.deducts:
            # The route has no part that would count them when the response is there.
            context._after_request_functions.append(lambda response: self.finish(context, response))

    def _find_plan(self, context: Any) -> Plan:
        """Return the plan of a request that did not come through a part."""
        request = context.request
        endpoint, method = request.endpoint or "", request.method
        key = endpoint, method if endpoint else "GET"
        plan = self._plans.get(key)
        if plan is None:
            view = self.app.view_functions.get(endpoint)
            marks = [mark.options for mark in marks_of(view, method) if mark.battery is self.limiter]
            plan = self._plans[key] = self.plan_for(endpoint, key[1], view, marks)
        return plan

    def _run(self, context: Any, state: LimiterContext, plan: Plan, checks: Sequence[Check], *, is_view: bool) -> None:
        endpoint = plan.identity if plan.identity is not None else self.identify(context)
        metas = plan.metas
        fallback: Sequence[Check] | None = None
        if plan.has_dynamic_metas and not plan.scope & ExemptionScope.META:
            found = self.facts.resolve(self.settings.meta_limits, "the application's meta limits")
            metas = self.facts.make_checks(found, plan.identity, plan.method)
        if self.settings.fallback_limits and plan.endpoint:
            found = (plan.fallback_limits() or []) if is_view and not plan.is_static_file else []
            fallback = self.facts.make_checks(found, plan.identity, plan.method)
        if checks or metas or fallback:
            self.evaluator.run(context, state, endpoint, checks, metas, fallback)

    def _checks_now(self, limits: list[RuntimeLimit], context: Any, plan: Plan) -> tuple[Check, ...]:
        return self.facts.make_checks(limits, plan.identity, context.environ["REQUEST_METHOD"])

    def identify(self, context: Any) -> str:
        """Return what stands for the route in keys: the endpoint, or what the user's function says."""
        identifier = self.settings.request_identifier
        if identifier is None:
            endpoint: str = context.request.endpoint or ""
            return endpoint
        return identifier()

    def finish(self, context: Any, response: Any) -> Any:
        """Count the limits that wanted to see the response first, and return it."""
        state = self.find_state(context)
        if state is not None and state.deductions:
            self.evaluator.deduct(state, response)
        return response

    def add_headers(self, context: Any, code: int, headers: Any) -> None:
        """Add what the client should hear about its limits."""
        state = self.find_state(context)
        if state is not None and state.shown is not None:
            try:
                put_headers(headers, state.shown, state.limits, self.settings)
            except Exception:
                if not self.settings.swallow_errors:
                    raise
                self.logger.exception("Failed to update rate limit headers. Swallowing error")
