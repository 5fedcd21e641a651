"""What the headers of a response say about compressing it: pure functions, without an app or a request."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

_FIXED: Final = frozenset(
    {
        "content-encoding",
        # RFC: 9110 section 14.4: a part of a body as it is stored.
        "content-range",
        # They say what the bytes are: RFC 9530, and its predecessors.
        "content-digest",
        "content-md5",
        "digest",
        "repr-digest",
        # The body comes from the server in front.
        "x-accel-redirect",
        "x-lighttpd-send-file",
        "x-sendfile",
    }
)
"""Headers with which a body has to stay as it is."""

_WATCHED: Final = _FIXED | {
    "accept-ranges",
    "cache-control",
    "content-length",
    "content-type",
    "etag",
    "last-modified",
    "set-cookie",
    "vary",
}

# RFC: 9110 section 15: 204 and 205 have no content, 206 is part of one.
_NO_WHOLE_CONTENT: Final = frozenset({204, 205, 206})


class Traits(NamedTuple):
    """What matters of a response's headers."""

    mimetype: str
    """The type, in lower case and without parameters; empty when there is none."""

    length: int | None
    """`Content-Length`, or None."""

    is_fixed: bool
    """Whether the body has to stay as it is."""

    is_personal: bool
    """Whether the response is for one user: it sets a cookie, depends on one, or is private."""

    headers: Mapping[str, str]
    """The headers that were looked for and found, by their names in lower case."""


def read_headers(pairs: Iterable[tuple[str, str]]) -> Traits:
    """Go through the headers of a response once."""
    found: dict[str, str] = {}
    for name, value in pairs:
        key = name.lower()
        if key in _WATCHED:
            found[key] = f"{found[key]}, {value}" if key in found else value
    length = found.get("content-length")
    control = found.get("cache-control", "").lower()
    varies = found.get("vary", "").lower()
    return Traits(
        found.get("content-type", "").partition(";")[0].strip().lower(),
        int(length) if length is not None and length.isascii() and length.isdigit() and len(length) < 20 else None,
        # RFC: 9111 section 5.2.2.6 is about those who pass a response on; an app that says so means us as well.
        not _FIXED.isdisjoint(found) or "no-transform" in control,
        "set-cookie" in found
        or "private" in control
        or "no-store" in control
        or "cookie" in varies
        or "authorization" in varies
        or "*" in varies,
        found,
    )


def may_be_coded(status: int) -> bool:
    """Tell whether a response of this status has a whole body that can be compressed: 200, 201, 202, 203, ..."""
    return 200 <= status < 300 and status not in _NO_WHOLE_CONTENT


def is_withheld(environ: Mapping[str, Any], traits: Traits) -> bool:
    """Tell whether a response has to stay uncompressed because another site caused the request.

    SECURITY: BREACH (CVE-2013-3587) guesses a secret of a page from the size of its compressed form. For each guess it
    needs a request with the victim's cookies, and has the victim's browser send it from a page of the attacker's. Browsers
    say so (https://www.w3.org/TR/fetch-metadata/), over HTTPS, which is where the size is all that an attacker sees.
    """
    return traits.is_personal and environ.get("HTTP_SEC_FETCH_SITE") == "cross-site" and "HTTP_COOKIE" in environ


def is_shared(environ: Mapping[str, Any], traits: Traits) -> bool:
    """Tell whether a response may be remembered for others, by the rules of a shared cache (RFC 9111 section 3)."""
    return not traits.is_personal and "HTTP_AUTHORIZATION" not in environ
