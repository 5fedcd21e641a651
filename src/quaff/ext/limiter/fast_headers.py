"""The headers of a request that came the shortest way: all that can be written beforehand is.

Such a request has broken no limit, so which limit its client hears about is known when the route is compiled. It does what
`headers.py` does, and leaves it to that where the response says something about limits already;
`tests/ext/limiter/test_fast_headers.py` compares the two.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

from ...headers import Headers
from .checks import Check
from .headers import ietf_policy, policy_name, size_of
from .settings import Settings
from .verdict import choose

AddHeaders = Callable[[Any, int, Any], None]


@dataclass(slots=True)
class _Unbroken:
    """A limit as `choose` looks at it."""

    shared: bool
    breached: bool = False


def make_add_headers(
    slot: str, checks: Sequence[Check], looked_first: int, settings: Settings, slow: AddHeaders
) -> AddHeaders:
    """Return what adds the headers of a route that may go the shortest way (`fast.is_fast`).

    :param slot: where `fast.make_guard` leaves what it counted.
    :param looked_first: how many of *checks* are looked at first; others after them take their place.
    :param slow: adds them in every other case.
    """
    for_limit, for_remaining, for_reset, for_retry_after = names = settings.header_names
    if settings.retry_after == "http-date" or len({name.lower() for name in names}) < len(names):
        return slow
    first = looked_first if len(checks) > looked_first else 0
    last = checks[first:]
    place = first + choose([_Unbroken(check.limit.shared) for check in last])
    item = checks[place].item
    amount, name = item.amount, policy_name(size_of(item))
    policy = [("RateLimit-Policy", ietf_policy(tuple([size_of(check.item) for check in last])))]
    # Names that cannot be sent are an error here, not one in each request.
    begin = list(Headers([(for_limit, str(amount)), *((other, "") for other in names[1:])]))[:1]
    with_ietf = settings.headers_ietf
    ours = frozenset(header.lower() for header in (*names, "RateLimit", "RateLimit-Policy"))
    lengths = frozenset(map(len, ours))

    def add_headers(context: Any, code: int, headers: Any) -> None:
        found: Any = context.__dict__.get(slot)
        pairs: list[tuple[str, str]] = headers._list
        if type(found) is not tuple:
            slow(context, code, headers)
            return
        for header, _ in pairs:
            # PERF: most headers can be told from ours by their length.
            if len(header) in lengths and header.lower() in ours:
                slow(context, code, headers)
                return
        _, _, count, ends = found[1][place]
        now = time.time()
        remaining = amount - count
        if now >= ends:
            # The window is over already: everything is free again.
            remaining, ends = amount, now
        reset = int(ends + 1)
        pairs += begin
        pairs.append((for_remaining, str(remaining)))
        pairs.append((for_reset, str(reset)))
        pairs.append((for_retry_after, str(max(0, int(reset - now)))))
        if with_ietf:
            pairs += policy
            pairs.append(("RateLimit", f"{name};r={remaining};t={max(0, ceil(ends - now))}"))

    return add_headers
