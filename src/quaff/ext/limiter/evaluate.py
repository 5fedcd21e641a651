"""Looking at the limits of a request: in the store, or in memory while the store is down.

Read first: `verdict.py` for what counts mean, `backend.py` for stores that fail.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from math import ceil
from typing import Any

from ...stores.breaker import StoreUnavailable
from ...wrappers import Response
from .backend import RETRY_AFTER, Backend, Guarded
from .checks import Check, caller_of, compact
from .constants import FAIL_CLOSED, FAIL_OPEN
from .context import Deduction, LimiterContext, RequestLimit
from .errors import RateLimitExceeded, RateLimitUnavailable
from .settings import Settings
from .verdict import Outcome, choose


class Look:
    """One look at the limits of a request: where, and for which endpoint."""

    __slots__ = ("context", "counting", "endpoint", "state")

    def __init__(self, context: Any, state: LimiterContext, endpoint: str, counting: Any) -> None:
        self.context = context
        self.state = state
        self.endpoint = endpoint
        self.counting = counting


class Evaluator:
    """Looks at limits for one app.

    :param limiter: what `RequestLimit.extension` is. Any: its class is in a module above.
    """

    def __init__(self, limiter: Any, settings: Settings, backend: Backend, logger: logging.Logger) -> None:
        self._limiter = limiter
        self._settings = settings
        self._backend = backend
        self._logger = logger

    def run(
        self,
        context: Any,
        state: LimiterContext,
        endpoint: str,
        checks: Sequence[Check],
        metas: Sequence[Check],
        fallback: Sequence[Check] | None = None,
    ) -> None:
        """Count a request against limits.

        :param metas: the meta limits of the app; limits bring their own.
        :param fallback: what is checked instead while the store is down; None for the same.
        :raises RateLimitExceeded: when one of them, or of the meta limits, is broken.
        :raises RateLimitUnavailable: when the store is down, and one of them may not be passed over then.
        """
        try:
            self._run(context, state, endpoint, checks, metas, fallback)
        except (RateLimitExceeded, RateLimitUnavailable):
            raise
        except Exception:
            if not self._settings.swallow_errors:
                raise
            self._logger.exception("Failed to rate limit. Swallowing error")

    def _run(
        self,
        context: Any,
        state: LimiterContext,
        endpoint: str,
        checks: Sequence[Check],
        metas: Sequence[Check],
        fallback: Sequence[Check] | None,
    ) -> None:
        backend = self._backend
        if not state.is_local:
            try:
                self._look(Look(context, state, endpoint, self._counting_for(state)), checks, metas)
                return
            except StoreUnavailable:
                state.is_local = True
                state.deductions.clear()
        checks = self._allowed_without_store(checks if fallback is None else fallback)
        self._look(Look(context, state, endpoint, backend.local), checks, metas)

    def _allowed_without_store(self, checks: Sequence[Check]) -> list[Check]:
        """Return the limits that are counted in memory.

        :raises RateLimitUnavailable: when one must not be counted there.
        """
        local = []
        for check in checks:
            policy = check.limit.on_store_failure or self._settings.on_store_failure
            if policy == FAIL_CLOSED:
                raise RateLimitUnavailable(retry_after=ceil(RETRY_AFTER))
            if policy != FAIL_OPEN:
                local.append(check)
        return local

    def _look(self, look: Look, checks: Sequence[Check], metas: Sequence[Check]) -> None:
        self._test_metas(look, checks, metas)
        state, counting = look.state, look.counting
        limits: list[RequestLimit] = []
        broken: list[tuple[Check, RequestLimit]] = []
        for check in checks:
            limit = check.limit
            if limit.exempt_when is not None and limit.exempt_when():
                continue
            shown, outcome = self._count(look, check)
            if shown is None:
                continue
            limits.append(shown)
            if not outcome.allowed:
                shown.breached = True
                broken.append((check, shown))
                if self._settings.fail_on_first_breach:
                    break
        if limits:
            state.limits = limits
            state.shown = shown = limits[choose(limits)]
            if self._settings.headers_enabled and not shown.is_known:
                shown.know(counting.look(shown.limit, shown.request_args), counting.windows)
        if broken:
            self._refuse(look, broken, metas)

    def _count(self, look: Look, check: Check) -> tuple[RequestLimit | None, Outcome]:
        """Count one limit, or only look whether it would allow the request if it counts by the response."""
        limit, counting = check.limit, look.counting
        key = caller_of(check, look.context)
        scope = check.scope if check.scope is not None else self._scope_of(look, check)
        if not key or not scope:
            self._logger.error("Skipping limit: %s. Empty value found in parameters.", limit.limit)
            return None, _PASSED
        args, full_key = check.args_of(key, scope), check.full_key(key, scope)
        cost = check.cost if check.cost is not None else limit.deduction_amount
        shown = RequestLimit(self._limiter, limit.limit, args, False, limit.shared)
        if limit.deduct_when is None:
            outcome: Outcome = counting.hit(limit.limit, full_key, args, cost)
            if outcome.remaining >= 0:
                shown.know(outcome, counting.windows)
        else:
            outcome = counting.test(limit.limit, args, cost)
            look.state.deductions.append(Deduction(limit, args, full_key, shown))
        if not outcome.allowed:
            self._log(check, key, scope)
        return shown, outcome

    @staticmethod
    def _scope_of(look: Look, check: Check) -> str:
        request = look.context.request
        scope = check.limit.scope_for(look.endpoint, request.method, request.endpoint or "")
        return compact(scope, strict=check.strict)

    # Meta limits -----------------------------------------------------------------------------------------------------

    def _test_metas(self, look: Look, checks: Sequence[Check], metas: Sequence[Check]) -> None:
        for meta in metas:
            self._test_meta(look, meta)
        for check in checks:
            for meta in check.metas:
                self._test_meta(look, meta)

    def _test_meta(self, look: Look, check: Check) -> None:
        limit, counting = check.limit, look.counting
        if limit.is_exempt:
            return
        scope = check.scope if check.scope is not None else self._scope_of(look, check)
        args = check.args_of(caller_of(check, look.context), scope)
        if counting.test(limit.limit, args, limit.deduction_amount).allowed:
            return
        shown = RequestLimit(self._limiter, limit.limit, args, True, limit.shared)
        look.state.shown, look.state.limits = shown, [shown]
        if self._settings.headers_enabled:
            shown.know(counting.look(limit.limit, args), counting.windows)
        callback = limit.on_breach or self._settings.on_meta_breach
        raise RateLimitExceeded(limit, response=self._call_all([callback], shown, "on_meta_breach"))

    def _count_breach(self, look: Look, check: Check) -> None:
        """Count a breach against a meta limit."""
        if not check.limit.is_exempt:
            scope = check.scope if check.scope is not None else self._scope_of(look, check)
            key = caller_of(check, look.context)
            look.counting.hit(check.item, check.full_key(key, scope), check.args_of(key, scope), 1)

    def refuse(self, context: Any, state: LimiterContext, endpoint: str, check: Check) -> None:
        """Refuse a request because of the last limit that was looked at.

        :raises RateLimitExceeded: always.
        """
        shown = state.limits[-1]
        key, scope = shown.request_args[-2:]
        self._log(check, key, scope)
        self._refuse(Look(context, state, endpoint, self._backend.counting), [(check, shown)], ())

    def _log(self, check: Check, key: str, scope: str) -> None:
        self._logger.info("ratelimit %s (%s) exceeded at endpoint: %s", check.item, printable(key), scope)

    # The end of a request that is refused ----------------------------------------------------------------------------

    def _refuse(self, look: Look, broken: list[tuple[Check, RequestLimit]], metas: Sequence[Check]) -> None:
        response = None
        for check, shown in broken:
            callbacks = dict.fromkeys((self._settings.on_breach, check.limit.on_breach))
            response = self._call_all(callbacks, shown, "on_breach") or response
        for meta in (*metas, *(meta for check, _ in broken for meta in check.metas)):
            self._count_breach(look, meta)
        # The one with the smallest window is named: it is over first.
        first = min(broken, key=lambda pair: pair[0].item.GRANULARITY.seconds)[0]
        raise RateLimitExceeded(first.limit, response=response)

    def _call_all(self, callbacks: Iterable[Any], shown: RequestLimit, what: str) -> Any:
        """Call what wants to know of a breach; return the last response that one answered with."""
        response = None
        for callback in callbacks:
            if callback is None:
                continue
            try:
                answer = callback(shown)
            except Exception as error:
                if not self._settings.swallow_errors:
                    raise
                self._logger.exception("%s callback failed with error %s", what, error)
            else:
                response = answer if isinstance(answer, Response) else response
        return response

    # What counts by the response -------------------------------------------------------------------------------------

    def deduct(self, state: LimiterContext, response: Any) -> None:
        """Count the limits that wanted to see the response first."""
        counting: Any = self._counting_for(state)
        for deduction in state.deductions:
            limit = deduction.limit
            if limit.deduct_when is None or not limit.deduct_when(response):
                continue
            try:
                outcome = counting.hit(limit.limit, deduction.key, deduction.args, limit.deduction_amount)
            except StoreUnavailable:
                # The response is made; what the client does next is counted again.
                continue
            except Exception:
                if not self._settings.swallow_errors:
                    raise
                self._logger.exception("Failed to deduct rate limit. Swallowing error")
                continue
            if outcome.remaining >= 0:
                deduction.shown.know(outcome, counting.windows)
            elif self._settings.headers_enabled:
                deduction.shown.know(counting.look(limit.limit, deduction.args), counting.windows)
        state.deductions.clear()

    def _counting_for(self, state: LimiterContext) -> Any:
        backend = self._backend
        if not backend.is_remote:
            return backend.counting
        return backend.local if state.is_local else Guarded(backend)


_PASSED = Outcome(True, -1, 0.0)


def printable(key: str) -> str:
    """Return a key for the log. SECURITY: control characters in it, which may be the client's, could forge lines."""
    return key if key.isprintable() else ascii(key)[1:-1]
