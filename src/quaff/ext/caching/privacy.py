"""May this be stored and given to others? Pure functions; what they are told is found out by `watch.py`.

A shared page must be the same for everybody who gets it. So it is not stored when it was made from something that is one
person's: the session, the user, a cookie, `Authorization`. What it was made from and is not one person's (another header,
the query, the address of the client) is added to its key. An answer that says itself that it is not for all is not stored
either.

| what | then |
| --- | --- |
| the view read the session, the user, `request.cookies`, `Authorization` | not stored; in debug mode an error |
| the request has `Authorization` | neither looked up nor stored |
| the request has a session cookie that nobody read | looked up, not stored |
| another method than GET or HEAD, a WebSocket | neither looked up nor stored |
| HEAD | looked up, not stored |
| the view read other headers, the host, the query, the client's address | stored once for each value |
| the view read the body of the request | not stored |
| the view called `after_this_request`, which would not be called again | not stored |
| `Set-Cookie` in the answer | not stored |
| `Cache-Control: private`, `no-store` or `no-cache` in the answer | not stored |
| `Vary: *`, or `Vary` with `Cookie` or `Authorization` | not stored |
| `Vary` with other names | stored once for each value |
| a status other than 200, 203, 204, 300, 301, 302, 307, 308, 404, 405, 410, 414, 501 | not stored |
| a streamed answer, a file | not stored |

"Not stored" of what one person's values went into holds unless the key varies on them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Final

from ...errors import QuaffError

SENSITIVE: Final = frozenset({"authorization", "cookie", "session", "user"})
"""What is one person's."""

STATUSES: Final = frozenset({200, 203, 204, 300, 301, 302, 307, 308, 404, 405, 410, 414, 501})
"""RFC 9110 section 15.1, with the redirects that a view means, and without 206, which is part of an answer."""

_SENSITIVE_HEADERS: Final = frozenset({"authorization", "cookie", "proxy-authorization"})

_WHAT: Final = {
    "authorization": "the Authorization header",
    "cookie": "the request's cookies",
    "session": "the session",
    "user": "the current user",
}


class PrivateResult(QuaffError, RuntimeError):
    """What a cached function returned is for one person, and its key does not say for whom. Raised in debug mode only."""

    code = "Q752"


@dataclass(frozen=True, slots=True)
class Reads:
    """What of a request was read."""

    now: frozenset[str] = frozenset()
    """Sensitive things that were read while the function ran: names of `SENSITIVE`, and `g`."""

    before: frozenset[str] = frozenset()
    """Sensitive things that had been read before it ran, by a hook for example, which may have left them in `g`."""

    names: frozenset[str] = frozenset()
    """Other headers in lower case, `?` for the query, `remote_addr`."""

    body: bool = False
    """Whether the body of the request was read."""

    leaves_hooks: bool = False
    """Whether `after_this_request` was called."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be known of a request."""

    method: str = "GET"
    is_websocket: bool = False
    has_authorization: bool = False
    has_session_cookie: bool = False


@dataclass(frozen=True, slots=True)
class Answered:
    """What is to be known of an answer."""

    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    is_whole: bool = True


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a result may be stored."""

    reason: str | None = None
    """Why not; None when it may be."""

    is_private: bool = False
    """Whether the reason is that one person's values went into it: a mistake that a developer should see."""

    names: frozenset[str] = frozenset()
    """What the result depends on beyond its key."""


def may_look_up(asked: Asked, keyed: Collection[str]) -> bool:
    """Tell whether a view's request may be answered from the cache at all.

    :param keyed: what the key varies on; `*` for everything that is not sensitive.
    """
    if asked.is_websocket or asked.method not in {"GET", "HEAD"}:
        return False
    return not asked.has_authorization or "authorization" in keyed


def judge_view(asked: Asked, reads: Reads, answered: Answered, keyed: Collection[str]) -> Verdict:
    """Tell whether what a view returned may be stored and given to others.

    :param keyed: what the key varies on; `*` for everything that is not sensitive.
    """
    private = (reads.now | reads.before) & SENSITIVE - frozenset(keyed)
    if private:
        return _private(private)
    if not may_look_up(asked, keyed):
        return Verdict("the request has an Authorization header" if asked.has_authorization else "of the method")
    if asked.method == "HEAD":
        return Verdict("a HEAD request may be answered without a body")
    if asked.has_session_cookie and not {"session", "cookie"} & frozenset(keyed):
        return Verdict("the request has a session cookie")
    if answered.status not in STATUSES:
        return Verdict(f"the status is {answered.status}")
    return _judge_result(reads, answered, keyed)


def judge_function(reads: Reads, answered: Answered | None, keyed: Collection[str]) -> Verdict:
    """Tell whether what a function returned, which is no view, may be stored and given to others.

    :param answered: what it returned, if that is a response.
    """
    private = reads.now & SENSITIVE - frozenset(keyed)
    return _private(private) if private else _judge_result(reads, answered or Answered(), keyed)


def _private(private: Iterable[str]) -> Verdict:
    what = " and ".join(_WHAT[name] for name in sorted(private))
    return Verdict(f"it was made from {what}", is_private=True)


def _judge_result(reads: Reads, answered: Answered, keyed: Collection[str]) -> Verdict:
    if not answered.is_whole:
        return Verdict("it is streamed, a file, or needs to be closed")
    if reads.leaves_hooks:
        return Verdict("after_this_request was called")
    everything = "*" in keyed
    if reads.body and not everything:
        return Verdict("it was made from the body of the request")
    reason, varies = read_headers(answered.headers)
    if reason is None and (hidden := varies & _SENSITIVE_HEADERS - frozenset(keyed)):
        reason = f"it has 'Vary: {', '.join(sorted(hidden))}'"
    if reason is not None:
        return Verdict(reason)
    return Verdict(names=frozenset() if everything else (reads.names | varies) - frozenset(keyed) - _IGNORED)


_IGNORED: Final = frozenset({"cookie", "authorization"})


def read_headers(headers: Iterable[tuple[str, str]]) -> tuple[str | None, frozenset[str]]:
    """Return why an answer with these headers is not for others, or None, and the names in its `Vary`, in lower case.

    >>> read_headers([("vary", " Accept-Language ,COOKIE")])[1] == {"accept-language", "cookie"}
    True
    >>> read_headers([("Cache-Control", 'max-age=1, NO-CACHE="x"')])[0]
    "it has 'Cache-Control: no-cache'"
    """
    varies: set[str] = set()
    for name, value in headers:
        lowered = name.lower()
        words = [word.strip().lower() for word in value.split(",")]
        if lowered == "set-cookie":
            return "it sets a cookie", frozenset()
        if lowered == "cache-control":
            for word in words:
                directive = word.partition("=")[0].strip()
                if directive in {"private", "no-store", "no-cache"}:
                    return f"it has 'Cache-Control: {directive}'", frozenset()
        elif lowered == "vary":
            if "*" in words:
                return "it has 'Vary: *'", frozenset()
            varies.update(filter(None, words))
    return None, frozenset(varies)
