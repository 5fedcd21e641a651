"""The headers that tell clients what is left: `X-RateLimit-*`, `Retry-After`, `RateLimit` and `RateLimit-Policy`.

RFC: the last two are those of draft-ietf-httpapi-ratelimit-headers-10: lists of strings with parameters, in the notation of
RFC 9651. `RateLimit-Policy: "10-per-60";q=10;w=60` says that there are 10 requests in 60 seconds, and
`RateLimit: "10-per-60";r=9;t=42` that 9 are left and that the window ends in 42.
"""

from __future__ import annotations

import time
from functools import lru_cache
from typing import Any

from limits import RateLimitItem
from werkzeug.http import http_date, parse_date

from .context import RequestLimit
from .settings import Settings
from .verdict import delay, reset_second, seconds_left

Pairs = list[tuple[str, str]]


Size = tuple[int, int]
"""How much in how many seconds."""


def size_of(item: RateLimitItem) -> Size:
    """Return the size of a limit."""
    return item.amount, item.get_expiry()


@lru_cache(maxsize=1024)
def policy_name(size: Size) -> str:
    """Return what a limit is called in the two IETF headers, as a quoted string."""
    return f'"{size[0]}-per-{size[1]}"'


@lru_cache(maxsize=1024)
def ietf_policy(sizes: tuple[Size, ...]) -> str:
    """Return the value of `RateLimit-Policy`; limits of the same size are one policy."""
    return ", ".join(f"{policy_name(size)};q={size[0]};w={size[1]}" for size in dict.fromkeys(sizes))


def ietf_limit(size: Size, remaining: int, reset_at: float, now: float) -> str:
    """Return the value of `RateLimit`."""
    return f"{policy_name(size)};r={remaining};t={seconds_left(reset_at, now)}"


def later_of(existing: str | None, reset: int, now: float) -> int:
    """Return when to come again: at *reset*, or when a `Retry-After` that is there already says, if that is later."""
    if existing is None:
        return reset
    date = parse_date(existing)
    if date is not None:
        return max(int(date.timestamp()), reset)
    return max(int(now + int(existing)), reset) if existing.strip().isdecimal() else reset


def limit_headers(shown: RequestLimit, limits: list[RequestLimit], settings: Settings, existing: str | None) -> Pairs:
    """Return the headers of one response.

    :param shown: the limit that the client should hear about.
    :param limits: all that were looked at.
    :param existing: a `Retry-After` that the response has.
    """
    for_limit, for_remaining, for_reset, for_retry_after = settings.header_names
    reset_at, remaining = shown.window
    now = time.time()
    reset = reset_second(reset_at)
    again = later_of(existing, reset, now)
    retry_after = http_date(again) if settings.retry_after == "http-date" else str(delay(again, now))
    pairs = [
        (for_limit, str(shown.limit.amount)),
        (for_remaining, str(remaining)),
        (for_reset, str(reset)),
        (for_retry_after, retry_after),
    ]
    if settings.headers_ietf:
        sizes = tuple([size_of(limit.limit) for limit in limits or [shown]])
        pairs.append(("RateLimit-Policy", ietf_policy(sizes)))
        pairs.append(("RateLimit", ietf_limit(size_of(shown.limit), remaining, reset_at, now)))
    return pairs


def put_headers(headers: Any, shown: RequestLimit, limits: list[RequestLimit], settings: Settings) -> None:
    """Put them into the headers of a response."""
    existing = headers.get(settings.header_names[3])
    for name, value in limit_headers(shown, limits, settings, existing):
        headers[name] = value
