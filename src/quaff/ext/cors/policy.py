"""What CORS answers to a request. All of it is pure: settings and request headers in, response headers out.

RFC: the CORS protocol is section 3.3 of the Fetch standard (https://fetch.spec.whatwg.org/#http-cors-protocol).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from ...headers import add_vary
from .origins import is_origin
from .problems import LOG, shown
from .settings import CorsSettings

Pairs = tuple[tuple[str, str], ...]

ACL_ORIGIN: Final = "Access-Control-Allow-Origin"
ACL_METHODS: Final = "Access-Control-Allow-Methods"
ACL_ALLOW_HEADERS: Final = "Access-Control-Allow-Headers"
ACL_EXPOSE_HEADERS: Final = "Access-Control-Expose-Headers"
ACL_CREDENTIALS: Final = "Access-Control-Allow-Credentials"
ACL_MAX_AGE: Final = "Access-Control-Max-Age"
ACL_RESPONSE_PRIVATE_NETWORK: Final = "Access-Control-Allow-Private-Network"

ORIGIN_KEY: Final = "HTTP_ORIGIN"
METHOD_KEY: Final = "HTTP_ACCESS_CONTROL_REQUEST_METHOD"
HEADERS_KEY: Final = "HTTP_ACCESS_CONTROL_REQUEST_HEADERS"
PRIVATE_NETWORK_KEY: Final = "HTTP_ACCESS_CONTROL_REQUEST_PRIVATE_NETWORK"

KNOWN_MAX: Final = 1_000
"""How many verdicts are remembered. SECURITY: bounded, for clients choose what there is a verdict on."""

LONGEST_KNOWN: Final = 256
"""Characters of the longest origin or path whose verdict is remembered."""

_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_HOST: Final = re.compile(r"[A-Za-z0-9.-]+")
_NAME: Final = ACL_ORIGIN.lower()
_LENGTH: Final = len(ACL_ORIGIN)


def allowed_origin(settings: CorsSettings, origin: str | None) -> str | None:
    """Return the value of `Access-Control-Allow-Origin` for a request, or None to leave it out.

    SECURITY: with `*`, only what is an origin by its form is repeated; anything else, `null` too, gets the `*`, which is as
    good for a request without credentials and is no use with them.

    :param origin: the request's `Origin`; None or an empty string without one.
    """
    rules = settings.origins
    if not origin:
        if not settings.always_send:
            return None
        if rules.any:
            return None if settings.supports_credentials else "*"
        return next((literal for literal in rules.literals if literal.isascii()), None)
    if not rules.any:
        return origin if rules.allows(origin) else None
    if not settings.send_wildcard and is_origin(origin):
        return origin
    if not settings.supports_credentials:
        return "*"
    # COMPAT: Flask-CORS repeats anything; its users test with a bare host. `null` stays out.
    return origin if _HOST.fullmatch(origin) is not None and origin != "null" else None


def allowed_headers(settings: CorsSettings, asked: str | None) -> str | None:
    """Return those of the request headers that a preflight asks for which are allowed, as `Access-Control-Allow-Headers`.

    :param asked: the preflight's `Access-Control-Request-Headers`.
    :return: None when it asks for none, an empty string when none is allowed.
    """
    if not asked:
        return None
    # SECURITY: only what is the name of a header is repeated.
    names = [name for name in (word.strip() for word in asked.split(",")) if _TOKEN.fullmatch(name)]
    return ", ".join(sorted(name for name in names if _allows_header(settings, name)))


def _allows_header(settings: CorsSettings, name: str) -> bool:
    rules = settings.allow_headers
    if rules.any or name.lower() in rules.exact:
        return True
    if rules.by_prefix:
        return any(pattern.match(name) for pattern in rules.patterns)
    return any(pattern.fullmatch(name) for pattern in rules.patterns)


class Policy:
    """Settings with what can be worked out before a request comes, and the verdicts on origins that were met.

    :param settings: what is allowed.
    """

    __slots__ = ("constant", "is_single", "known", "methods", "settings", "varies", "without_origin")

    def __init__(self, settings: CorsSettings) -> None:
        self.settings = settings
        self.methods = ", ".join(sorted(settings.methods))
        self.without_origin: Pairs = self._pairs(allowed_origin(settings, None))
        """The headers for a request that names no origin."""

        self.constant: Pairs | None = self.without_origin if settings.is_constant else None
        """The headers of every answer that is not to a preflight, where they are the same for everybody."""

        rules = settings.origins
        depends = self.constant is None and bool(rules.any or rules.literals or rules.patterns)
        self.varies = settings.vary_header and depends
        """Whether answers are to say that they depend on the origin."""

        self.is_single = settings.always_send and not rules.any and not rules.patterns and len(rules.literals) == 1
        """Whether only one origin is let in. The answer to it is good for everybody: a browser shows it to no other one.

        COMPAT: only a refusal needs `Vary` then; it must not be stored for the one origin.
        """

        self.known: dict[str, Pairs] = {}
        """Origin -> the headers for it; empty when it is not let in."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Policy) and other.settings == self.settings

    __hash__ = None  # type: ignore[assignment]  # it holds a memory

    def _pairs(self, origin: str | None) -> Pairs:
        if origin is None:
            return ()
        settings = self.settings
        pairs = [(ACL_ORIGIN, origin)]
        if settings.expose_headers:
            pairs.append((ACL_EXPOSE_HEADERS, settings.expose_headers))
        if settings.supports_credentials:
            pairs.append((ACL_CREDENTIALS, "true"))
        return tuple(pairs)

    def learn(self, origin: str) -> Pairs:
        """Return the headers for an origin that was not met before, and remember them."""
        allowed = allowed_origin(self.settings, origin)
        pairs = self._pairs(allowed)
        LOG.debug("CORS: the origin %s is %s", shown(origin), "not let in" if allowed is None else "let in")
        if len(origin) <= LONGEST_KNOWN:
            if len(self.known) >= KNOWN_MAX:
                self.known.clear()
            self.known[origin] = pairs
        return pairs

    def answer(self, environ: Mapping[str, Any]) -> Pairs:
        """Return the headers for a request that is no OPTIONS; none when its origin is not let in."""
        origin = environ.get(ORIGIN_KEY)
        if not origin:
            pairs = self.without_origin
        else:
            known = self.known.get(origin)
            pairs = self.learn(origin) if known is None else known
        private = self.settings.allow_private_network
        if private is not None and pairs and environ.get(PRIVATE_NETWORK_KEY) == "true":
            return (*pairs, (ACL_RESPONSE_PRIVATE_NETWORK, "true" if private else "false"))
        return pairs

    def answer_options(self, environ: Mapping[str, Any]) -> Pairs:
        """Return the headers for an OPTIONS request, a preflight or another."""
        pairs = self.answer(environ)
        asked = environ.get(METHOD_KEY)
        if not pairs or not asked:
            return pairs
        method = asked.upper()
        if method not in self.settings.methods:
            LOG.info("CORS: a preflight asks for the method %s, which is none of %s", shown(method), self.methods)
            return pairs
        more = [
            (ACL_ALLOW_HEADERS, allowed_headers(self.settings, environ.get(HEADERS_KEY))),
            (ACL_MAX_AGE, self.settings.max_age),
            (ACL_METHODS, self.methods),
        ]
        return (*pairs, *((name, value) for name, value in more if value))


def put_answer(headers: Any, policy: Policy, pairs: Pairs) -> None:
    """Add the headers of an answer, and `Vary` if it needs that."""
    put_pairs(headers, pairs)
    if policy.varies and not (policy.is_single and pairs):
        add_vary(headers, "Origin")


def put_pairs(headers: Any, pairs: Pairs) -> None:
    """Add the headers of an answer, unless the response says already which origin may read it.

    :param headers: the response's; Any: a program may have put any mapping in the place of Werkzeug's `Headers`.
    """
    present = getattr(headers, "_list", None)
    if present is None:
        for name, value in pairs:
            headers.setdefault(name, value)
        return
    # PERF: a view that sets the header itself is rare; this finds out without a call of Python's.
    for name, _ in present:
        if len(name) == _LENGTH and name.lower() == _NAME:
            return
    # The values were checked when they were worked out.
    present.extend(pairs)
