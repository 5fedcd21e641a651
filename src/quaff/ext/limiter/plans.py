"""Plans: which limits apply to a route and method, decided when the route is compiled.

A request is looked at twice, as with the extension: when it comes, for the limits of the application and, unless the view
has limits of its own, for the blueprint's and the default ones; and where the view is called, for the view's. Limits that
call no function of the user's are looked at in one go when the request comes.
"""

from __future__ import annotations

import logging
import weakref
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ...wrappers import Request
from .checks import Check, Place, is_early
from .constants import ExemptionScope
from .registry import Blueprints, Exempted, Hint, Limited, are_static
from .rules import Limit, RuntimeLimit
from .settings import Settings


class Facts:
    """What an app and its limiter have to say about limits; the same for all routes."""

    def __init__(
        self, app: Any, settings: Settings, blueprints: Blueprints, logger: logging.Logger, *, strict: bool
    ) -> None:
        self._app = weakref.ref(app)
        self.settings = settings
        self.blueprints = blueprints
        self.logger = logger
        self.strict = strict
        self.has_plain_address = app.request_class.remote_addr is Request.remote_addr
        compat = app.config.get("COMPAT", ())
        self.takes_old_texts = "limiter-invalid-limits" in compat
        """Whether a text that names no limit is only logged, and the default limits apply."""
        self.is_late = "limiter-late" in compat
        """Whether limits of views are counted when the view is called, after the before_request functions."""

    @property
    def app(self) -> Any:
        """The app."""
        return self._app()

    def resolve(self, groups: Iterable[Limit], where: str) -> list[RuntimeLimit]:
        """Return the limits that texts and functions name, for the current request.

        :param where: what the limits are of, for messages: `function app.view`.
        :raises ValueError: for a text that names none. What a function returns for one request is logged instead.
        """
        limits: list[RuntimeLimit] = []
        for group in groups:
            try:
                limits.extend(group)
            except ValueError as error:
                if group.is_static and not self.takes_old_texts:
                    raise ValueError(f"The limit of {where}: {error}") from None
                self.logger.error("failed to load ratelimit for %s: %s", where, error)
        return limits

    def place(self, endpoint: str | None, method: str) -> Place:
        """Return where limits are looked at; see `Place`."""
        return Place(endpoint, method, self.strict, self.has_plain_address)

    def make_checks(self, limits: Iterable[RuntimeLimit], endpoint: str | None, method: str) -> tuple[Check, ...]:
        """Make limits ready that apply to *method*, the smallest window first."""
        place = self.place(endpoint, method)
        wanted = [limit for limit in limits if limit.applies_to(method)]
        wanted.sort(key=lambda limit: limit.limit.GRANULARITY.seconds)
        return tuple(Check(limit, self.settings, place) for limit in wanted)


class Plan:
    """The limits of one route and method.

    :param view: the view, for its name in messages.
    :param limited: what decorators of this limiter noted on it.
    """

    def __init__(
        self,
        facts: Facts,
        endpoint: str,
        method: str,
        view: Callable[..., Any] | None,
        marks: Sequence[Any],
        hint: Hint,
    ) -> None:
        self.facts = facts
        self.endpoint = endpoint
        self.method = method
        self.hint = hint
        self.blueprint = endpoint.rpartition(".")[0]
        # As they are called: the limits of a class go before those of its method.
        self.limited: tuple[Limited, ...] = tuple(mark for mark in reversed(marks) if isinstance(mark, Limited))
        self.view_scope, self.scope = scopes_of(facts, marks, self.blueprint)
        self.is_static_file = endpoint.rpartition(".")[2] == "static"
        settings = facts.settings
        self.identity = None if settings.request_identifier is not None else endpoint
        self.metas: tuple[Check, ...] = ()
        self.has_dynamic_metas = not are_static(settings.meta_limits)
        self.is_whole = self._is_static()
        """Whether nothing has to be found out with each request."""
        self.first: tuple[Check, ...] = ()
        self.second: tuple[Check, ...] = ()
        self.is_first_early = self.is_second_early = False
        if not self.has_dynamic_metas:
            self.metas = self._make_metas()
        if self.is_whole:
            first = self.first_limits()
            second = self.second_limits(self.limited, first)
            self.first = facts.make_checks(first, self.identity, method)
            self.second = facts.make_checks(second, self.identity, method)
            self.is_first_early = is_early(first) and self._is_quiet()
            self.is_second_early = is_early(second) and self._is_quiet() and not facts.is_late

    # What is known ---------------------------------------------------------------------------------------------------

    def groups(self) -> list[Limit]:
        """Return all limits that may apply, as users wrote them."""
        settings = self.facts.settings
        own = [limit for limited in self.limited for limit in limited.limits]
        of_blueprint = self.facts.blueprints.limits_for(self.facts.app, self.blueprint)
        return [*settings.application_limits, *settings.default_limits, *own, *of_blueprint]

    @property
    def deducts(self) -> bool:
        """Whether there is a limit that wants to see the response."""
        return any(group.deduct_when is not None for group in self.groups())

    def _is_static(self) -> bool:
        return self.identity is not None and are_static(self.groups())

    def _is_quiet(self) -> bool:
        """Tell whether nothing else of the user's is called for a limit that is broken."""
        settings = self.facts.settings
        return settings.on_breach is None and settings.on_meta_breach is None and is_early(c.limit for c in self.metas)

    def _make_metas(self) -> tuple[Check, ...]:
        if self.scope & ExemptionScope.META:
            return ()
        limits = self.facts.resolve(self.facts.settings.meta_limits, "the application's meta limits")
        return self.facts.make_checks(limits, self.identity, self.method)

    # What applies ----------------------------------------------------------------------------------------------------

    def first_limits(self) -> list[RuntimeLimit]:
        """Return the limits that are looked at when a request comes."""
        if self.is_static_file:
            return []
        settings = self.facts.settings
        is_decided_later = bool(self.limited or self.hint.callables)
        own = [] if is_decided_later else self._blueprint_limits()
        found = []
        if not self.scope & ExemptionScope.APPLICATION:
            found += self.facts.resolve(settings.application_limits, "the application")
        applies = not is_decided_later and not self.scope & ExemptionScope.DEFAULT and self._leave_defaults(own)
        if applies or (self.hint.wants_defaults and not self.scope & ExemptionScope.DEFAULT):
            found += self.facts.resolve(settings.default_limits, "the application's defaults")
        return [*found, *own]

    def second_limits(
        self, limited: Sequence[Limited], seen: Iterable[RuntimeLimit], *, is_view: bool = True
    ) -> list[RuntimeLimit]:
        """Return the limits that are looked at where decorated functions are called.

        :param seen: what was looked at before, and is not again.
        :param is_view: whether they are the view, rather than something that the view calls.
        """
        if not limited or self.is_static_file:
            return []
        own = []
        if not (is_view and self.view_scope):
            for one in limited:
                own += self.facts.resolve(one.limits, f"function {one.name}")
        return self.with_defaults(own, seen)

    def with_defaults(self, own: list[RuntimeLimit], seen: Iterable[RuntimeLimit]) -> list[RuntimeLimit]:
        """Return limits of functions together with those of the blueprint and the default ones, where these apply."""
        seen = list(seen)
        if not any(limit.override_defaults for limit in own):
            own = own + [limit for limit in self._blueprint_limits() if limit not in seen]
        defaults: list[RuntimeLimit] = []
        applies = not self.scope & ExemptionScope.DEFAULT and self._leave_defaults(own)
        if applies or self.hint.wants_defaults:
            found = self.facts.resolve(self.facts.settings.default_limits, "the application's defaults")
            defaults = [limit for limit in found if limit not in seen]
        return [*defaults, *own]

    def _blueprint_limits(self) -> list[RuntimeLimit]:
        groups = self.facts.blueprints.limits_for(self.facts.app, self.blueprint)
        return self.facts.resolve(groups, f"blueprint {self.blueprint}")

    def _leave_defaults(self, own: list[RuntimeLimit]) -> bool:
        """Tell whether limits leave the default ones in force: all of them do, or none is for this method."""
        return not any(limit.override_defaults for limit in own) or not any(
            limit.applies_to(self.method) for limit in own
        )

    def unmatched_limits(self) -> list[RuntimeLimit]:
        """Return the limits of requests that match no route."""
        settings = self.facts.settings
        counts = settings.count_unmatched or settings.request_identifier is not None
        return self.facts.resolve(settings.application_limits, "the application") if counts else []

    def fallback_limits(self) -> list[RuntimeLimit] | None:
        """Return what is looked at in place of all other limits while the store is down, or None for the same."""
        groups = self.facts.settings.fallback_limits
        return self.facts.resolve(groups, "the fallback in memory") if groups else None


def scopes_of(facts: Facts, marks: Sequence[Any], blueprint: str) -> tuple[ExemptionScope, ExemptionScope]:
    """Return what a view is exempt from by its own marks, and all in all."""
    own = ExemptionScope.NONE
    for mark in marks:
        if isinstance(mark, Exempted):
            own |= mark.scope
    return own, own | facts.blueprints.exemption_for(facts.app, blueprint)
