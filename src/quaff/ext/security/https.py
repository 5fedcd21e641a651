"""Whether a request has to come over HTTPS, and where it is sent otherwise: verdicts on plain values, without an app."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

SECURE_SCHEMES: Final = frozenset({"https", "wss"})
"""What `wsgi.url_scheme` holds for a request that nobody could read on its way."""

CODES: Final = (301, 302, 307, 308)
"""The status codes that a redirect to HTTPS may have."""

# RFC: 3986 sections 3.3 and 3.4: what a path and a query may hold as it is. A percent sign of the decoded path is data.
_PATH_SAFE: Final = "/!$&'()*+,;=:@-._~"
_QUERY_SAFE: Final = f"{_PATH_SAFE}?%"


class Verdict(enum.Enum):
    """What is done with a request."""

    SERVE = "it is served"
    REDIRECT = "the client is sent to the same place over HTTPS"
    REFUSE = "403: a browser follows no redirect of a WebSocket handshake"


def judge(*, is_secure: bool, is_exempt: bool = False, is_websocket: bool = False) -> Verdict:
    """Return what is done with a request where HTTPS is forced."""
    if is_secure or is_exempt:
        return Verdict.SERVE
    return Verdict.REFUSE if is_websocket else Verdict.REDIRECT


def redirect_code(method: str, *, permanent: bool, keep_method: bool, code: int | None = None) -> int:
    """Return the status code of the redirect of a request with *method*.

    >>> (
    ...     redirect_code("GET", permanent=False, keep_method=True),
    ...     redirect_code("POST", permanent=False, keep_method=True),
    ... )
    (302, 307)

    :param permanent: whether clients may remember it; browsers do so for good.
    :param keep_method: whether a `POST` stays one. RFC 9110 section 15.4: after a 301 or 302 it becomes a `GET`.
    :param code: this one in any case.
    """
    if code is not None:
        return code
    if permanent:
        return 308 if keep_method else 301
    return 307 if keep_method and method not in {"GET", "HEAD"} else 302


def secure_url(host: str, path: str, query: str = "") -> str:
    """Return the URL of a place over HTTPS, in ASCII.

    >>> secure_url("shop.example", "/caf\\xc3\\xa9", "a=1")
    'https://shop.example/caf%C3%A9?a=1'

    :param host: checked by the caller; with a port if it is not 443.
    :param path: `SCRIPT_NAME` and `PATH_INFO` of the WSGI environ: decoded bytes as latin-1.
    :param query: `QUERY_STRING`, as the client sent it.
    """
    # SECURITY: there is always one slash between host and path, so a path cannot lengthen the name of the host.
    place = quote(path if path.startswith("/") else f"/{path}", safe=_PATH_SAFE, encoding="latin-1")
    return f"https://{host}{place}{'?' if query else ''}{quote(query, safe=_QUERY_SAFE, encoding='latin-1')}"


@dataclass(frozen=True, slots=True)
class Exemptions:
    """Paths that may be asked for without HTTPS, such as that of a health check."""

    exact: frozenset[str] = frozenset()
    """Whole paths."""

    prefixes: tuple[str, ...] = ()
    """Beginnings of paths."""

    @classmethod
    def of(cls, patterns: Iterable[str]) -> Exemptions:
        """Make them from paths; one that ends in `/*` stands for itself and everything below it."""
        exact, prefixes = set(), []
        for pattern in patterns:
            if pattern.endswith("/*"):
                prefixes.append(pattern[:-1])
                exact.add(pattern[:-2] or "/")
            else:
                exact.add(pattern)
        return cls(frozenset(exact), tuple(prefixes))

    def cover(self, path: str) -> bool:
        """Tell whether *path* is exempt.

        >>> Exemptions.of(["/healthz", "/probe/*"]).cover("/probe/live")
        True
        """
        return path in self.exact or path.startswith(self.prefixes)

    def __bool__(self) -> bool:
        return bool(self.exact or self.prefixes)


NOTHING_EXEMPT: Final = Exemptions()
"""No paths at all."""
