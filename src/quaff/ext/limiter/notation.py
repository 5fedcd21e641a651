"""Limits as text: `100/minute`, `1 per second; 1000 per 2 hours`."""

from __future__ import annotations

import difflib
import re

from ..._internal.imports import need

try:
    from limits import RateLimitItem, parse_many
    from limits.limits import GRANULARITIES
except ModuleNotFoundError:
    need("limits", "limiter", "The rate limiter")
    raise

_WORDS = re.compile(r"[A-Za-z]+")
_SHORT = {"s": "second", "sec": "second", "m": "minute", "min": "minute", "h": "hour", "hr": "hour", "d": "day"}


def parse_limits(text: object) -> tuple[RateLimitItem, ...]:
    """Return the limits that *text* names, separated by `;`, `,` or `|`; none for an empty text or None.

    >>> parse_limits("1/second; 100 per 2 hours")
    (1 per 1 second, 100 per 2 hour)

    :raises ValueError: when it names no limit; the message says what was expected, and guesses.
    """
    if not text:
        return ()
    if isinstance(text, str):
        try:
            items = tuple(parse_many(text))
        except ValueError:
            items = ()
        if items and all(item.amount > 0 for item in items):
            return items
        if items:
            # A limit of nothing refuses every request, and is more likely a setting that was not filled in.
            raise ValueError(f"The rate limit {text!r} allows nothing. To refuse all requests, use abort(403).")
    raise ValueError(
        f"{text!r} is not a rate limit. Write it as '100/minute', '1 per 2 hours', or several with ';' between"
        f" them; units are {', '.join(GRANULARITIES)}.{_guess(text)}"
    )


def _guess(text: object) -> str:
    for word in _WORDS.findall(str(text)):
        lower = word.lower()
        if lower == "per" or lower.rstrip("s") in GRANULARITIES:
            continue
        unit = _SHORT.get(lower) or _SHORT.get(lower.rstrip("s"))
        close = [unit] if unit else difflib.get_close_matches(lower, GRANULARITIES, n=1)
        if close:
            return f" Did you mean {str(text).replace(word, close[0])!r}?"
    return ""
