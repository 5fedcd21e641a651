"""The HTTP errors that end a request whose limit is used up, or cannot be counted."""

from __future__ import annotations

from typing import Any

from werkzeug.exceptions import ServiceUnavailable, TooManyRequests

from .rules import RuntimeLimit


class RateLimitExceeded(TooManyRequests):
    """A request that a limit does not allow: 429, for `@app.errorhandler(429)` or `@app.errorhandler(RateLimitExceeded)`.

    :param limit: the limit; its `error_message`, or itself in words, is the description.
    :param response: what an `on_breach` function answered, sent in place of the usual page.
    """

    def __init__(self, limit: RuntimeLimit, response: Any = None) -> None:
        self.limit = limit
        message = limit.error_message
        description = message() if callable(message) else message
        super().__init__(description=description or str(limit.limit), response=response)


class RateLimitUnavailable(ServiceUnavailable):
    """A request that is refused because its limit cannot be counted and its policy is `fail_closed`: 503.

    It is not a 429, because the client did nothing wrong; `Retry-After` says when the store is asked again.
    """

    description = "The limits of requests cannot be counted at the moment. Please try again soon."
