"""Which coding a client gets: RFC 9110 section 12.5.3, as pure functions over the `Accept-Encoding` header."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

MAX_HEADER: Final = 512
"""Characters of `Accept-Encoding` that are looked at. All registered codings with weights take less than 200."""

# RFC: 9110 sections 12.4.2 and 12.5.3. More than three digits are let pass; a weight above 1 or below 0 is not.
_ELEMENT: Final = re.compile(
    r"[ \t]*([!#$%&'*+\-.^_`|~0-9A-Za-z]+)[ \t]*(?:;[ \t]*[qQ]=((?:0(?:\.[0-9]*)?)|(?:1(?:\.0*)?))[ \t]*)?"
)

# RFC: 9110 section 8.4.1.3: one is an old name of the other.
_OLD_NAMES: Final = {"x-gzip": "gzip"}


def parse_accept_encoding(header: str) -> dict[str, float]:
    """Return the weight of each coding that the header names, in lower case; 0 is "not acceptable".

    An element that is malformed is left out, and of a coding that is named twice the higher weight counts.

    >>> parse_accept_encoding("gzip, BR;q=0.5, *;q=0, what;q=2")
    {'gzip': 1.0, 'br': 0.5, '*': 0.0}
    """
    weights: dict[str, float] = {}
    for element in header.split(","):
        found = _ELEMENT.fullmatch(element)
        if found is None:
            continue
        name = found[1].lower()
        name = _OLD_NAMES.get(name, name)
        weight = 1.0 if found[2] is None else float(found[2])
        weights[name] = max(weight, weights.get(name, 0.0))
    return weights


# PERF: there are as many headers as there are kinds of browser. SECURITY: the key comes from the client; callers look at its
# length first, so all of them together stay below 200 kB.
@lru_cache(maxsize=256)
def best_codings(offered: tuple[str, ...], header: str) -> tuple[str, ...]:
    """Return those of the offered codings that the client wants most, in the order of the offer.

    Nothing is returned when no coding is acceptable, or when the client would rather have the body as it is; that it does
    not mind, it need not say. `*` stands for all codings that are not named.

    >>> best_codings(("zstd", "br", "gzip"), "gzip, br, deflate")
    ('br', 'gzip')
    >>> best_codings(("zstd", "br", "gzip"), "identity, gzip;q=0.5")
    ()
    """
    weights = parse_accept_encoding(header)
    others = weights.get("*", 0.0)
    ranked = [(weights.get(coding, others), coding) for coding in offered]
    best = max((weight for weight, _ in ranked), default=0.0)
    if best <= 0 or weights.get("identity", 0.0) > best:
        return ()
    return tuple(coding for weight, coding in ranked if weight == best)


def choose_coding(offered: tuple[str, ...], header: str) -> str | None:
    """Return the coding for a client, or None to send the body as it is.

    SECURITY: a header longer than `MAX_HEADER` is not looked at; the body as it is suits every client.

    >>> choose_coding(("zstd", "br", "gzip"), "gzip;q=0.8, br;q=0.9")
    'br'
    """
    if not header or len(header) > MAX_HEADER:
        return None
    best = best_codings(offered, header)
    return best[0] if best else None
