"""JSON that means one thing only: what `JSON_STRICT` accepts.

RFC 8259 leaves to the reader what a key that occurs twice means, and readers differ, which is how one service comes to
check what another does not see. NaN and infinities are not JSON at all. Half a surrogate pair is no character and fails
later, when the text is written. All three are refused here with `ValueError`.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from typing import Any, NoReturn

Pairs = list[tuple[str, Any]]

_ESCAPE = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|.)", re.DOTALL)


def parse_strict(
    text: str,
    *,
    object_hook: Callable[[dict[str, Any]], Any] | None = None,
    object_pairs_hook: Callable[[Pairs], Any] | None = None,
    parse_float: Callable[[str], Any] = float,
    **kwargs: Any,
) -> Any:
    """Return what `json.loads(text)` returns, refusing all that readers of JSON disagree about.

    :param kwargs: further options of `json.loads`; `parse_constant` is ignored, because no constant is accepted.
    :raises ValueError: for NaN, infinities, numbers too large for a float, keys that occur twice and lone surrogates.
    """
    _refuse_lone_surrogates(text)

    def make_object(pairs: Pairs) -> Any:
        made = dict(pairs)
        if len(made) != len(pairs):
            raise ValueError(f"The key {_first_repeated(pairs)!r} occurs twice in one object.")
        if object_pairs_hook is not None:
            return object_pairs_hook(pairs)
        return made if object_hook is None else object_hook(made)

    def make_float(digits: str) -> Any:
        made = parse_float(digits)
        if isinstance(made, float) and math.isinf(made):
            raise ValueError(f"The number {digits[:30]} is too large.")
        return made

    kwargs.update(object_pairs_hook=make_object, parse_float=make_float, parse_constant=_refuse_constant)
    return json.loads(text, **kwargs)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON.")


def _first_repeated(pairs: Pairs) -> str:
    seen: set[str] = set()
    for key, _ in pairs:
        if key in seen:
            return key
        seen.add(key)
    return ""


def _refuse_lone_surrogates(text: str) -> None:
    """Refuse `\\ud800` and its like without their other half.

    Backslashes stand only inside strings in JSON, so the escapes can be found without parsing the rest.
    """
    if "\\u" not in text:
        return
    half_ends_at = -1
    for match in _ESCAPE.finditer(text):
        code = int(match[1] or "0", 16)
        if half_ends_at >= 0 or 0xDC00 <= code <= 0xDFFF:
            if half_ends_at != match.start() or not 0xDC00 <= code <= 0xDFFF:
                break
            half_ends_at = -1
        elif 0xD800 <= code <= 0xDBFF:
            half_ends_at = match.end()
    else:
        if half_ends_at < 0:
            return
    raise ValueError("A string holds half of a surrogate pair.")
