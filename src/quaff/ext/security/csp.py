"""Content Security Policies (CSP level 3) as data: reading, checking and writing them, with or without a nonce.

A policy is a tuple of directives, a directive its name and a tuple of values. What breaks the header apart is an error;
what browsers would ignore is a problem, told in words with a guess at what was meant.
"""

from __future__ import annotations

import base64
import hashlib
import re
from binascii import b2a_base64
from collections.abc import Callable, Collection, Iterable, Mapping
from os import urandom
from typing import Any, Final

from .problems import SecurityOptionError, guess

Directive = tuple[str, tuple[str, ...]]
Policy = tuple[Directive, ...]

NONCE_LENGTH: Final = 32
"""Characters of a nonce: 192 random bits."""

STRICT_CSP_POLICY: Final[Mapping[str, str]] = {
    "script-src": "'strict-dynamic' https: 'unsafe-inline'",
    "object-src": "'none'",
    "base-uri": "'none'",
}
"""A policy that trusts scripts with the nonce and what they load, and nothing by its address; for `nonce_in=["script-src"]`.

Browsers that know nonces and `'strict-dynamic'` ignore the other two sources, which are for those that do not.
"""

_SOURCES: Final = frozenset(
    """child-src connect-src default-src fenced-frame-src font-src frame-src img-src manifest-src media-src object-src
    prefetch-src script-src script-src-attr script-src-elem style-src style-src-attr style-src-elem worker-src
    base-uri form-action frame-ancestors navigate-to""".split()
)
_FLAGS: Final = frozenset({"upgrade-insecure-requests", "block-all-mixed-content"})
_OTHERS: Final = frozenset(
    {
        "plugin-types",
        "report-to",
        "report-uri",
        "require-sri-for",
        "require-trusted-types-for",
        "sandbox",
        "trusted-types",
    }
)
DIRECTIVES: Final = _SOURCES | _FLAGS | _OTHERS
"""Every directive that a browser knows or knew."""

NONCE_DIRECTIVES: Final = frozenset({"default-src", "script-src", "script-src-elem", "style-src", "style-src-elem"})
"""The directives in which a nonce has a meaning."""

_KEYWORDS: Final = frozenset(
    """none self unsafe-inline unsafe-eval unsafe-hashes strict-dynamic report-sample wasm-unsafe-eval
    inline-speculation-rules report-sha256 report-sha384 report-sha512 trusted-types-eval
    unsafe-allow-redirects""".split()
)
_SECRET: Final = re.compile(r"'(?:nonce-[A-Za-z0-9+/_-]+={0,2}|sha(?:256|384|512)-[A-Za-z0-9+/_-]+={0,2})'")

# RFC: CSP3 section 2.2.1: what separates directives and policies is not part of a value.
_VALUE: Final = re.compile(r"[\x21-\x2b\x2d-\x3a\x3c-\x7e]+")
_NAME: Final = re.compile(r"[A-Za-z0-9_-]+")
_URLSAFE: Final = bytes.maketrans(b"+/", b"-_")


def make_nonce() -> str:
    """Return a new nonce of `NONCE_LENGTH` characters."""
    # PERF: what `secrets.token_urlsafe` does, without the five calls in between.
    return b2a_base64(urandom(NONCE_LENGTH * 3 // 4), newline=False).translate(_URLSAFE).decode()


def source_hash(content: str | bytes, algorithm: str = "sha256") -> str:
    """Return the source that allows one inline script or style with exactly this content.

    >>> source_hash("alert(1)")
    "'sha256-bhHHL3z2vDgxUt0W3dWQOrprscmda2Y5pLsLg4GF+pI='"

    :param content: what stands between the tags, white space included.
    :param algorithm: `sha256`, `sha384` or `sha512`.
    """
    if algorithm not in {"sha256", "sha384", "sha512"}:
        raise SecurityOptionError(f"CSP has no hashes of the kind {algorithm!r}: use sha256, sha384 or sha512.")
    digest = hashlib.new(algorithm, content.encode() if isinstance(content, str) else content).digest()
    return f"'{algorithm}-{base64.b64encode(digest).decode()}'"


def parse_policy(policy: str | Mapping[str, Any], where: str = "content_security_policy") -> Policy:
    """Return a policy as data.

    >>> parse_policy("default-src 'self'; img-src * data:;")
    (('default-src', ("'self'",)), ('img-src', ('*', 'data:')))

    :param policy: the header as a string; or a mapping of directives, whose values are strings of sources or lists of
        them. An empty value or True is for directives that have none; with None or False a directive is left out.
    :raises SecurityOptionError: for what would end a directive or the header.
    """
    if isinstance(policy, str):
        parts = (part.split() for part in policy.split(";"))
        found: list[tuple[Any, Any]] = [(words[0], words[1:]) for words in parts if words]
    else:
        found = list(policy.items())
    return tuple(
        (_check_name(name, where), _check_values(values, f"{where}[{name!r}]"))
        for name, values in found
        if values is not None and values is not False
    )


def _check_name(name: Any, where: str) -> str:
    if not isinstance(name, str) or _NAME.fullmatch(name) is None:
        raise SecurityOptionError(
            f"{where} has the directive {name!r}: names are letters and hyphens, such as 'img-src';"
            " sources go into the value."
        )
    return name


def _check_values(values: Any, where: str) -> tuple[str, ...]:
    if values is True:
        return ()
    if isinstance(values, str):
        values = (values,)
    if not isinstance(values, Iterable):
        raise SecurityOptionError(f"{where} is {values!r}: give a string of sources, or a list of them.")
    checked: list[str] = []
    for value in values:
        if not isinstance(value, str):
            raise SecurityOptionError(
                f"{where} holds {value!r}: a source is a string, such as \"'self'\" or 'cdn.example'."
            )
        words = value.split(" ")
        wrong = next((word for word in words if word and _VALUE.fullmatch(word) is None), None)
        if wrong is not None:
            raise SecurityOptionError(_why_not_a_value(wrong, where))
        checked += filter(None, words)
    return tuple(checked)


def _why_not_a_value(word: str, where: str) -> str:
    if ";" in word:
        return f"{where} holds {word!r}: the semicolon ends the directive. Give each directive its own entry, or write %3B."
    if "," in word:
        return f"{where} holds {word!r}: the comma begins another policy. Separate sources by spaces, or write %2C."
    return f"{where} holds {word!r}, with characters that a header cannot hold. Percent-encode them; hosts as xn--."


def write_policy(policy: Policy) -> str:
    """Return a policy as the header has it: the inverse of `parse_policy`."""
    return "; ".join(" ".join((name, *values)) for name, values in policy)


def split_at_nonces(policy: Policy, nonce_in: Collection[str]) -> tuple[str, ...]:
    """Return the header in pieces, between which the nonce goes: `nonce.join(pieces)`; one piece if it has none.

    >>> split_at_nonces((("script-src", ("'self'",)),), ["script-src"])
    ("script-src 'self' 'nonce-", "'")
    """
    # A character that no value holds marks the places.
    marked = (
        (
            name,
            (*(value for value in values if value.lower() != "'none'"), "'nonce-\0'") if name in nonce_in else values,
        )
        for name, values in policy
    )
    return tuple(write_policy(tuple(marked)).split("\0"))


def find_problems(policy: Policy) -> list[str]:
    """Return a sentence for everything in a policy that browsers ignore or that means something else than it says."""
    problems: list[str] = []
    seen: set[str] = set()
    for name, values in policy:
        lowered = name.lower()
        if lowered in seen:
            problems.append(f"the directive {name!r} is there twice, and browsers ignore the second one; join them")
        seen.add(lowered)
        if lowered not in DIRECTIVES:
            problems.append(f"no browser knows the directive {name!r}{guess(lowered, DIRECTIVES)}")
        elif lowered in _FLAGS and values:
            problems.append(f"{name!r} has no values, and {' '.join(values)!r} is ignored")
        elif lowered in _SOURCES:
            problems += _source_problems(name, values)
    return problems


def _source_problems(name: str, values: tuple[str, ...]) -> Iterable[str]:
    lowered = [value.lower() for value in values]
    for value in lowered:
        for problem in _CHECKS:
            sentence = problem(value)
            if sentence:
                yield f"{name} {value}: {sentence}"
                break
    if "'none'" in lowered and len(values) > 1:
        yield f"{name}: 'none' is ignored beside other sources; leave one or the other out"


def _quotes(value: str) -> str:
    if (value.startswith("'") or value.endswith("'")) and not (len(value) > 2 and value[0] == value[-1] == "'"):
        return "the quotes do not match; a source holds no spaces"
    return ""


def _bare_keyword(value: str) -> str:
    bare = value.strip('"')
    if bare in _KEYWORDS or _SECRET.fullmatch(f"'{bare}'"):
        return f"without single quotes this is the name of a host; write \"'{bare}'\""
    return ""


def _unknown_keyword(value: str) -> str:
    if value[0] != "'" or value[1:-1] in _KEYWORDS or _SECRET.fullmatch(value):
        return ""
    return f"no browser knows this keyword{guess(value[1:-1], _KEYWORDS)}"


_CHECKS: Final[tuple[Callable[[str], str], ...]] = (_quotes, _bare_keyword, _unknown_keyword)
