r"""Which origins are let in. All of it is pure: no request, no app.

An entry of `origins` is one of these:

- `*`: every origin;
- an origin as browsers send it, `https://app.example.com` or `http://localhost:3000`, compared as a string;
- an origin with a place left open: `https://*.example.com` for all hosts below one, `http://localhost:*` for all ports,
  `https://*` for all hosts;
- a regular expression, compiled or as a string with one of ``* \ ] ? $ ^ [ ( )`` in it. It must match the whole origin.

SECURITY: expressions see only what is an origin by its form, so that no user name, path, space or odd character can take
part in a trick; `null`, which every sandboxed frame sends, is let in only by an entry `null`. Read first:
`tests/ext/cors/test_origins.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from .problems import CorsOptionError

Pattern = str | re.Pattern[str]

ANY: Final = ".*"
"""What `*` is as a regular expression; both are written."""

_ORIGIN_MAX: Final = 300
"""Characters of the longest origin that is compared: a host name has 253 at most. SECURITY: bounds what expressions cost."""

_ORIGIN: Final = re.compile(
    r"[a-z][a-z0-9+.-]*://(?:[a-z0-9_.-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?", re.IGNORECASE | re.ASCII
)
_AUTHORITY: Final = re.compile(r"([a-z][a-z0-9+.-]*)://(.*)", re.IGNORECASE | re.ASCII | re.DOTALL)
_WITH_OPEN_PLACES: Final = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]*)://(?P<host>\*|(?P<below>\*\.)?(?P<name>[a-z0-9_.-]+))(?::(?P<port>[0-9]{1,5}|\*))?",
    re.IGNORECASE | re.ASCII,
)
_IPV6: Final = re.compile(r"[a-z][a-z0-9+.-]*://\[[0-9a-f.]*:[0-9a-f:.]*:[0-9a-f:.]*\](?::[0-9]{1,5})?", re.IGNORECASE)
_REGEX_CHARACTERS: Final = frozenset("*\\]?$^[]()")
_DOTS: Final = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|(?P<dot>\.)(?![*+?{])", re.DOTALL)
_DEFAULT_PORTS: Final = {"http": ":80", "https": ":443", "ws": ":80", "wss": ":443"}
_STRANGERS: Final = ("https://a1b2.unlikely-neighbour.invalid", "http://unlikely-neighbour.invalid:8443")


def is_origin(text: str) -> bool:
    """Tell whether *text* has the form of an origin: scheme, host and perhaps a port (RFC 6454 section 6.2).

    >>> is_origin("https://example.com:8443"), is_origin("https://example.com/"), is_origin("null")
    (True, False, False)
    """
    return len(text) <= _ORIGIN_MAX and _ORIGIN.fullmatch(text) is not None


def is_regex(pattern: Pattern) -> bool:
    """Tell whether a pattern is, or as a string looks like, a regular expression. Flask-CORS 6 decides it so, too."""
    return not isinstance(pattern, str) or not _REGEX_CHARACTERS.isdisjoint(pattern)


@dataclass(frozen=True, slots=True)
class OriginRules:
    """The origins that are let in, ready to be asked; `compile_origins` makes them."""

    any: bool = False
    """Whether every origin is."""

    literals: tuple[str, ...] = ()
    """The origins that are written out, sorted."""

    exact: frozenset[str] = frozenset()
    """The same in lower case."""

    patterns: tuple[re.Pattern[str], ...] = ()
    """The rest, which must match a whole origin."""

    by_prefix: bool = False
    """Whether matching the beginning is enough, and what is no origin may match. COMPAT: Flask-CORS 6."""

    def allows(self, origin: str) -> bool:
        """Tell whether *origin*, the value of the header, is let in.

        Letters of scheme and host have no case (RFC 6454 section 4). Browsers send them in lower case.
        """
        if self.any or origin.lower() in self.exact:
            return True
        if self.by_prefix:
            return any(pattern.match(origin) for pattern in self.patterns)
        return is_origin(origin) and any(pattern.fullmatch(origin) for pattern in self.patterns)

    @property
    def lets_strangers_in(self) -> bool:
        """Whether an origin is let in that nobody can have thought of: through `*`, or an expression that means the same."""
        return any(self.allows(origin) for origin in _STRANGERS)


def compile_origins(entries: Iterable[Pattern], *, by_prefix: bool = False) -> OriginRules:
    """Return the rules for the entries of `origins`.

    :param by_prefix: match as Flask-CORS 6 does; see `COMPAT` in the documentation.
    :raises CorsOptionError: for an entry that is neither a string nor an expression, and for one that is none.
    """
    literals: set[str] = set()
    patterns: list[re.Pattern[str]] = []
    every = False
    for entry in entries:
        if isinstance(entry, str) and entry.strip() in {"*", ANY}:
            every = True
        elif isinstance(entry, str) and (not is_regex(entry) or _IPV6.fullmatch(entry)):
            literals.update(_split(entry))
        else:
            patterns.append(_compile(entry, by_prefix=by_prefix))
    return OriginRules(
        any=every,
        literals=tuple(sorted(literals)),
        exact=frozenset(literal.lower() for literal in literals),
        patterns=tuple(patterns),
        by_prefix=by_prefix,
    )


def _split(entry: str) -> list[str]:
    """Return the origins of a string: several with commas or spaces between them may come from an environment variable."""
    if not entry.replace("\n", " ").isprintable():
        # SECURITY: an origin that is written out becomes a response header.
        raise CorsOptionError(f"origins holds {entry!r}, with a control character in it. Remove it.")
    return entry.replace(",", " ").split()


def _compile(entry: Any, *, by_prefix: bool) -> re.Pattern[str]:
    if isinstance(entry, re.Pattern):
        if isinstance(entry.pattern, str):
            return entry
        raise CorsOptionError(f"origins holds an expression for bytes, {entry.pattern!r}; write it as a str.")
    if not isinstance(entry, str):
        raise CorsOptionError(
            f"origins holds {entry!r}, which is a {type(entry).__name__}. Each entry is a string, such as"
            " 'https://app.example.com', or a compiled regular expression."
        )
    expression = entry if by_prefix else _with_open_places(entry.strip()) or with_plain_dots(entry)
    try:
        return re.compile(expression, re.IGNORECASE)
    except re.error as error:
        raise CorsOptionError(
            f"origins holds {entry!r}, which is read as a regular expression because of the special characters in it, and"
            f" is none: {error}. For all hosts below one write 'https://*.example.com'."
        ) from error


def _with_open_places(entry: str) -> str | None:
    """Return the expression for an origin with `*` in the place of hosts or the port, or None when it is not one."""
    found = _WITH_OPEN_PLACES.fullmatch(entry)
    if found is None:
        return None
    scheme, below, name, port = found.group("scheme", "below", "name", "port")
    host = r"(?:[a-z0-9_.-]+|\[[0-9a-f:.]+\])" if name is None else re.escape(name)
    if below is not None:
        host = rf"(?:[a-z0-9_-]+\.)+{host}"
    ports = {None: "", "*": "(?::[0-9]{1,5})?"}
    return f"{re.escape(scheme)}://{host}{ports.get(port, f':{port}')}"


def with_plain_dots(expression: str) -> str:
    r"""Return an expression in which a lone dot is a dot.

    SECURITY: in `https?://example.com` the dot would match any character, and the names that it lets in are for sale: the
    class of CVE-2026-25478. A dot with a quantifier, as in `.*`, stays what it is, and so does a compiled expression.

    >>> with_plain_dots("https?://.*.example.com")
    'https?://.*\\.example\\.com'
    """
    if "(?!" in expression or "(?<!" in expression:
        # In what must not match, a dot that matches less would let more in.
        return expression
    return _DOTS.sub(lambda found: r"\." if found["dot"] else found.group(), expression)


def complaint_about(literal: str) -> str | None:
    """Return why an origin that is written out can never be what a browser sends, or None.

    >>> complaint_about("https://example.com/")
    "has a path; write 'https://example.com'"
    """
    if literal == "null" or literal.startswith("file:"):
        return None
    found = _AUTHORITY.fullmatch(literal)
    if found is None:
        return f"has no scheme; write 'https://{literal}' or 'http://{literal}'"
    scheme, authority = found[1].lower(), found[2]
    host = authority.partition("/")[0]
    if host != authority:
        return f"has a path; write '{scheme}://{host}'"
    port = _DEFAULT_PORTS.get(scheme, "")
    if port and host.endswith(port):
        return f"names the port that browsers leave out; write '{scheme}://{host.removesuffix(port)}'"
    if not host.isascii():
        return "has characters beyond ASCII; write the host in its xn-- form"
    return None if is_origin(literal) else "is not of the form scheme://host or scheme://host:port"


def judge_handshake(rules: OriginRules, origin: str | None, scheme: str, host: str) -> bool:
    """Tell whether a WebSocket handshake with *origin* may go on: from the app's own pages, and from those in *rules*.

    SECURITY: browsers send cookies with the handshake of any site and let its script read what comes; the server has to look
    at `Origin` (RFC 6455 section 10.2). Programs other than browsers send none, and are let in. A page over HTTPS may be the
    app's own also when the handshake seems to have come in the clear, which is how it looks behind a proxy that is not
    trusted; a page in the clear is not when the handshake came encrypted.

    :param scheme: of the handshake: `ws`, `wss`, `http` or `https`.
    :param host: the `Host` header.
    """
    if not origin or rules.allows(origin):
        return True
    of_page, _, authority = origin.lower().partition("://")
    if of_page not in {"http", "https"} or (of_page == "http" and scheme.lower() in {"https", "wss"}):
        return False
    return authority.removesuffix(_DEFAULT_PORTS[of_page]) == host.lower().removesuffix(_DEFAULT_PORTS[of_page])
