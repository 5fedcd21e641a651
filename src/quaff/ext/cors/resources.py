r"""Which paths an option of `resources` is for. All of it is pure: no request, no app.

A key of `resources` is one of these:

- a path, `/api/users`: that path;
- a path with a star at the end: `/api/*` is `/api` and everything below it, `/api*` is everything that begins so;
- a regular expression, compiled or as a string with one of ``* \ ] ? $ ^ [ ( )`` in it, for paths that begin so.

A rule of the app decides once and for all whether it is meant, if all its paths agree (`Resource.covers`). SECURITY:
otherwise the path of the request is compared, decoded once and in its own case; a path with dot segments, empty segments
or backslashes belongs to no resource (CVE-2020-25032, CVE-2024-6844, CVE-2024-6866).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any, Final

from .origins import ANY, Pattern, is_regex
from .problems import CorsOptionError

Options = Mapping[str, Any]
Rank = tuple[int, int, int, int]

_WITH_STAR: Final = re.compile(r"(?P<begin>[^*\\\]?$^\[()+|{}]*)(?<!\.)\*")
_LOOKS_AHEAD: Final = re.compile(r"\$|\\[AZzbB]|\(\?|[*+?}]\+")
"""What makes it matter for an expression what follows: anchors, assertions, groups of a kind, possessive quantifiers."""

_HEAD: Final = re.compile(r"\^?([A-Za-z0-9/_-]*)([*?{]?)")


class Covers(Enum):
    """How many paths of a rule belong to a resource."""

    ALL = auto()
    SOME = auto()
    NONE = auto()


@dataclass(frozen=True, slots=True)
class Resource:
    """A key of `resources`, ready to be asked; `compile_resource` makes it."""

    pattern: Pattern
    """As it was written."""

    begin: str | None = None
    """What the paths begin with; for whole segments it ends with a slash."""

    regex: re.Pattern[str] | None = None
    """The expression; with neither this nor `begin`, the pattern is the path."""

    rank: Rank = field(default=(0, 0, 0, 0), compare=False)
    """The lowest is asked first: paths, compiled expressions, others; and in each the more slashes and characters first."""

    def matches(self, path: str) -> bool:
        """Tell whether a path belongs to this resource."""
        if self.regex is not None:
            return self.regex.match(path) is not None
        if self.begin is None:
            return path == self.pattern
        return path.startswith(self.begin) or (self.begin[-1:] == "/" and path == self.begin[:-1])

    def covers(self, begin: str, *, is_whole: bool) -> Covers:
        """Tell how many of the paths that begin with *begin* belong to this resource.

        :param is_whole: *begin* is the only one of those paths.
        """
        if is_whole:
            return Covers.ALL if self.matches(begin) else Covers.NONE
        if self.regex is not None:
            return _covered_by_regex(self.regex, begin)
        if self.begin is None:
            return Covers.SOME if str(self.pattern).startswith(begin) else Covers.NONE
        if begin.startswith(self.begin):
            return Covers.ALL
        return Covers.SOME if self.begin.startswith(begin) else Covers.NONE


def _covered_by_regex(regex: re.Pattern[str], begin: str) -> Covers:
    text = regex.pattern
    if regex.flags & (re.IGNORECASE | re.VERBOSE) or "|" in text:
        return Covers.SOME
    if _LOOKS_AHEAD.search(text) is None and regex.match(begin) is not None:
        # Such an expression matches a longer path in the same way.
        return Covers.ALL
    head, quantifier = _HEAD.match(text).groups()  # type: ignore[union-attr]  # it matches everything
    if quantifier:
        head = head[:-1]
    return Covers.SOME if head.startswith(begin) or begin.startswith(head) else Covers.NONE


def compile_resource(pattern: Pattern, *, by_prefix: bool = False) -> Resource:
    """Return the resource for one key.

    :param by_prefix: read a star at the end as a regular expression, as Flask-CORS 6 does: `/api/*` is for `/apiary`, too.
    :raises CorsOptionError: when the pattern is no string and no expression, or an expression that cannot be.
    """
    rank = rank_of(pattern)
    if isinstance(pattern, re.Pattern):
        return Resource(pattern, regex=pattern, rank=rank)
    if pattern in {"*", ANY}:
        return Resource(pattern, begin="", rank=rank)
    with_star = None if by_prefix else _WITH_STAR.fullmatch(pattern)
    if with_star is not None:
        begin = with_star["begin"]
        return Resource(pattern, begin="" if begin == "/" else begin, rank=rank)
    if not is_regex(pattern):
        return Resource(pattern, rank=rank)
    try:
        return Resource(pattern, regex=re.compile(pattern), rank=rank)
    except re.error as error:
        raise CorsOptionError(f"resources holds {pattern!r}, which is no regular expression: {error}.") from error


def rank_of(pattern: Pattern) -> Rank:
    """Return the place of a pattern among others, as Flask-CORS 6 orders them.

    SECURITY: CVE-2024-6839: the more specific one is asked first, not the longer expression.
    """
    if isinstance(pattern, re.Pattern):
        return (1, 0, -pattern.pattern.count("/"), -len(pattern.pattern))
    slashes, length = -pattern.count("/"), -len(pattern)
    return (1, 1, slashes, length) if is_regex(pattern) else (0, 0, slashes, length)


def read_resources(value: Any) -> list[tuple[Pattern, Options]]:
    """Return the patterns of the option `resources` with the options that each has of its own, most specific first.

    :param value: one pattern, several, or a dict of patterns and options.
    :raises CorsOptionError: for anything else.
    """
    if isinstance(value, Mapping):
        pairs = [(_checked(pattern), _checked_options(pattern, own)) for pattern, own in value.items()]
        return sorted(pairs, key=lambda pair: rank_of(pair[0]))
    if isinstance(value, (str, re.Pattern)):
        return [(_checked(value), {})]
    if isinstance(value, Iterable):
        return [(_checked(pattern), {}) for pattern in value]
    raise CorsOptionError(
        f"resources is {value!r}, which is a {type(value).__name__}. It is a path such as '/api/*', a list of paths, or"
        " a dict of paths and options: resources={'/api/*': {'origins': 'https://app.example.com'}}."
    )


def _checked(pattern: Any) -> Pattern:
    if isinstance(pattern, str) or (isinstance(pattern, re.Pattern) and isinstance(pattern.pattern, str)):
        return pattern
    raise CorsOptionError(
        f"resources holds {pattern!r}; it takes paths such as '/api/*' and regular expressions for str."
    )


def _checked_options(pattern: Any, own: Any) -> Options:
    if isinstance(own, Mapping):
        return own
    raise CorsOptionError(
        f"resources[{pattern!r}] is {own!r}; it is a dict of options, such as {{'origins': 'https://app.example.com'}}."
    )


def is_plain(path: str) -> bool:
    """Tell whether a path means the same to everybody: it has no dot segments, empty segments, backslashes or NUL.

    >>> is_plain("/api/users/"), is_plain("/api/../admin"), is_plain("/api//users")
    (True, False, False)
    """
    segments = path.split("/")
    return not ({".", ".."} & set(segments) or "" in segments[1:-1] or "\\" in path or "\0" in path)
