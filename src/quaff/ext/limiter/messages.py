"""Limits on the messages of WebSockets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

from ...websockets import POLICY_VIOLATION
from .checks import Check, caller_of
from .context import LimiterContext
from .errors import RateLimitExceeded, RateLimitUnavailable
from .rules import Limit

SCOPE: Final = "messages"
"""Told from the handshakes of the same endpoint by this."""

# RFC: 6455 section 7.4.1, and the registry of close codes that it opens.
TRY_AGAIN_LATER: Final = 1013


@dataclass(frozen=True)
class MessageLimit:
    """What `Limiter.limit_messages` noted on a handler."""

    limit: Limit
    cost: Callable[[str | bytes], int] | int
    """What a message costs."""


def watch_messages(site: Any, context: Any, limits: list[MessageLimit]) -> None:
    """Have the messages of a WebSocket counted; whom they count for is decided now.

    A message that is one too many closes the connection with 1008, as does a store that is down if the limit may not be
    passed over.
    """
    websocket = context.made_websocket
    if websocket is None:
        return
    endpoint = site.identify(context)
    place = site.facts.place(endpoint, "GET")
    for message_limit in limits:
        for limit in site.facts.resolve([message_limit.limit], f"the messages of {endpoint}"):
            if limit.is_exempt:
                continue
            check = Check(limit, site.settings, place)
            caller = caller_of(check, context)
            if caller:
                counter = _Counter(site, context, check, caller, message_limit.cost)
                websocket.check_messages(counter, blocking=site.backend.is_remote)


class _Counter:
    """Counts the messages of one connection against one limit."""

    def __init__(
        self, site: Any, context: Any, check: Check, caller: str, cost: Callable[[str | bytes], int] | int
    ) -> None:
        self._site = site
        self._context = context
        self._cost = cost
        self._amount = 1
        limit = replace(check.limit, key_func=lambda: caller, exempt_when=None, cost=lambda: self._amount)
        self._endpoint = site.identify(context)
        self._check = Check(limit, site.settings, site.facts.place(self._endpoint, "GET"))

    def __call__(self, message: str | bytes) -> tuple[int, str] | None:
        self._amount = self._cost(message) if callable(self._cost) else self._cost
        try:
            self._site.evaluator.run(self._context, LimiterContext(), self._endpoint, (self._check,), ())
        except RateLimitExceeded as error:
            return POLICY_VIOLATION, f"rate limit exceeded: {error.limit.limit}"
        except RateLimitUnavailable:
            return TRY_AGAIN_LATER, "rate limits cannot be counted"
        return None
