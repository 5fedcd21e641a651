"""Whether a redirect may go where its location says, judged on what browsers make of the text.

A browser strips blanks and control characters from both ends of a URL, drops tabs and line ends anywhere in it and reads
a backslash as a slash (WHATWG URL, section 4.4). Werkzeug does some of the same when it writes the header. So a check of
the raw text, such as "it starts with one slash", can pass while the browser leaves the site. Here the text is judged as
it will be understood: a location that leaves the site must say so openly, as `https://host/...` or `//host/...`.

The verdict does not ask whether the host is trusted. That is for the app to decide, before it redirects.
"""

from __future__ import annotations

import re

from werkzeug.urls import iri_to_uri

_C0_AND_SPACE = "".join(map(chr, range(0x21)))
_DROPPED = str.maketrans({"\t": None, "\n": None, "\r": None, "\\": "/"})

# PERF: nearly all redirects are one of these two shapes, in which nothing can hide.
_PLAIN = re.compile(
    r"/(?![/\\])[!-\[\]-~]*"  # a path of this site
    r"|https?://[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::[0-9]{1,4})?(?:[/?#][!-~]*)?"  # another site, openly
)
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_AUTHORITY = re.compile(r"//([^/?#]*)")
# WHATWG URL, section 3.2, "forbidden domain code point", without those that end or divide the authority.
_FORBIDDEN_IN_HOST = re.compile(r"[\x00-\x20%<>^|\x7f]")


def judge_location(location: str) -> str | None:
    """Return the reason why *location* must not be redirected to, or None when it may be.

    >>> judge_location("/next?page=2"), judge_location("https://other.example/x")
    (None, None)
    >>> judge_location("javascript:alert(1)")
    "its scheme is 'javascript', not http or https"
    """
    if _PLAIN.fullmatch(location) is not None:
        return None
    reason, prefix = _judge_as_browser(location)
    if reason is not None:
        return reason
    try:
        written = iri_to_uri(location)
    except ValueError as error:
        return f"it is not a URL: {error}"
    reason, written_prefix = _judge_as_browser(written)
    if reason is None and bool(prefix) != bool(written_prefix):
        return "it leaves the site once it is written as a header"
    return reason


def _judge_as_browser(location: str) -> tuple[str | None, str]:
    """Return a reason to refuse, or None; and the part with which the location leaves the site, empty if it stays."""
    seen = location.strip(_C0_AND_SPACE).translate(_DROPPED)
    scheme_match = _SCHEME.match(seen)
    scheme = scheme_match[1] if scheme_match else ""
    if scheme and scheme.lower() not in ("http", "https"):
        return f"its scheme is {scheme!r}, not http or https", ""
    rest = seen[len(scheme) + 1 :] if scheme else seen
    authority_match = _AUTHORITY.match(rest)
    if authority_match is None:
        return (f"no host follows {scheme + ':'!r}" if scheme else None), ""
    authority = authority_match[1]
    if not authority.rpartition("@")[2].partition(":")[0]:
        return "there is no host between its slashes", ""
    if "@" in authority:
        return "it carries user information before the host", ""
    if _FORBIDDEN_IN_HOST.search(authority):
        return "its host holds characters that no host has", ""
    prefix = f"{scheme}:{authority_match[0]}" if scheme else authority_match[0]
    # SECURITY: a backslash after the host counts as hiding too: Python's urlsplit takes `good.example` to be part of the
    # host in `https://evil.example\\.good.example`, a browser does not.
    if not location.startswith(prefix) or location[len(prefix) : len(prefix) + 1] not in ("", "/", "?", "#"):
        return "blanks, control characters or backslashes hide where it leads", ""
    return None, prefix
