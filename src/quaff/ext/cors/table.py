"""Which policy a route has: decided once for each route where its rule says enough, else by the path of the request.

A policy comes from the view's own decorator; without one from the resources of the innermost blueprint that has some for the
path, and then from those of the app. In each scope the most specific resource decides alone, whichever `CORS` object it came
from. SECURITY: what a narrower scope refuses, a wider one does not let in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import deepcopy
from typing import Any, Final, NamedTuple

from werkzeug.routing import Rule

from .origins import Pattern
from .policy import KNOWN_MAX, LONGEST_KNOWN, Policy
from .problems import LOG
from .resources import Covers, Options, Resource, compile_resource, is_plain, read_resources
from .settings import BY_PREFIX, CONFIG_KEYS, make_settings, merge_options, warn_about


class Entry(NamedTuple):
    """What one call of `init_app` asked for."""

    scope: str | None
    """The name of a registered blueprint; None for the app."""

    given: tuple[Options, ...]
    """The keyword arguments, those that win last."""


class Row(NamedTuple):
    """A resource and its policy."""

    resource: Resource
    policy: Policy


class ByPath:
    """The policy of each path, for rules some of whose paths have another one than the rest.

    :param rows: the candidates, the one that decides first.
    """

    __slots__ = ("_known", "_rows", "everywhere")

    def __init__(self, rows: list[Row]) -> None:
        self._rows = rows
        self._known: dict[str, Policy | None] = {}
        self.everywhere: Policy | None = None
        """The policy of all paths, if they have one and the same."""

    @classmethod
    def always(cls, policy: Policy | None) -> ByPath:
        """Return what gives all paths the same policy."""
        self = cls([])
        self.everywhere = policy
        return self

    @property
    def is_empty(self) -> bool:
        """Whether no path has a policy."""
        return self.everywhere is None and not self._rows

    @property
    def is_decided(self) -> bool:
        """Whether the path does not matter."""
        return not self._rows

    def policy_at(self, environ: Mapping[str, Any]) -> Policy | None:
        """Return the policy of the path of a request."""
        if not self._rows:
            return self.everywhere
        path: str = environ.get("PATH_INFO", "")
        if path in self._known:
            return self._known[path]
        policy = self._find(path)
        if len(path) <= LONGEST_KNOWN:
            if len(self._known) >= KNOWN_MAX:
                self._known.clear()
            self._known[path] = policy
        return policy

    def _find(self, path: str) -> Policy | None:
        # RFC: PEP 3333: the server passes the path's bytes as latin-1.
        path = path if path.isascii() else path.encode("latin1").decode(errors="replace")
        # SECURITY: CVE-2020-25032: who serves `/api/../admin` may take it for `/admin`, so it is not within `/api/*`.
        if not is_plain(path):
            return None
        return next((row.policy for row in self._rows if row.resource.matches(path)), None)


NO_POLICY: Final = ByPath.always(None)


class PolicyTable:
    """The rows of all scopes of an app.

    :param entries: what `init_app` was called with, in that order.
    :param config: the app's configuration.
    :raises CorsOptionError: for options that cannot be right.
    """

    def __init__(self, entries: Iterable[Entry], config: Mapping[str, Any]) -> None:
        self._rows: dict[str | None, list[Row]] = {}
        self._warned: set[tuple[Pattern, Pattern]] = set()
        compat = config.get("COMPAT", ())
        # The entry that came last goes before others of the same rank; sorting is stable.
        for entry in reversed(list(entries)):
            rows = self._rows.setdefault(entry.scope, [])
            rows += _rows_of(entry, config, compat)
        for rows in self._rows.values():
            rows.sort(key=lambda row: row.resource.rank)

    def choose(self, rule: Rule | None, blueprints: list[str]) -> ByPath:
        """Return the policy for a rule, or for the paths that no rule has.

        :param blueprints: those of the endpoint, innermost first.
        """
        is_whole = rule is not None and "<" not in rule.rule
        begin = "/" if rule is None else rule.rule.partition("<")[0]
        candidates: list[Row] = []
        decided = False
        for scope in (*blueprints, None):
            rows = self._rows.get(scope, [])
            for index, row in enumerate(rows):
                covers = row.resource.covers(begin, is_whole=is_whole)
                if covers is not Covers.NONE:
                    candidates.append(row)
                if covers is Covers.ALL:
                    self._note_contradiction(row, rows[index + 1 :], begin, is_whole=is_whole)
                    decided = True
                    break
            if decided:
                break
        if not candidates:
            return NO_POLICY
        policy = candidates[-1].policy
        if decided and all(row.policy == policy for row in candidates):
            return ByPath.always(policy)
        return ByPath(candidates)

    def _note_contradiction(self, row: Row, others: list[Row], begin: str, *, is_whole: bool) -> None:
        for other in others:
            names = (row.resource.pattern, other.resource.pattern)
            if (
                other.resource.rank == row.resource.rank
                and other.policy != row.policy
                and names not in self._warned
                and other.resource.covers(begin, is_whole=is_whole) is Covers.ALL
            ):
                self._warned.add(names)
                LOG.warning(
                    "CORS: %r is within the resources %r and %r, which are equally specific and say different things; the"
                    " first one counts.",
                    begin,
                    *names,
                )


def _rows_of(entry: Entry, config: Mapping[str, Any], compat: Iterable[str]) -> list[Row]:
    merged = merge_options(config, *entry.given)
    rows: list[Row] = []
    for pattern, own in read_resources(merged.pop("resources")):
        settings = make_settings({**merged, **own}, compat, where=f"CORS for {_named(pattern)}")
        warn_about(settings)
        rows.append(Row(compile_resource(pattern, by_prefix=BY_PREFIX in compat), Policy(settings)))
    return rows


def _named(pattern: Pattern) -> str:
    return repr(pattern if isinstance(pattern, str) else pattern.pattern)


def snapshot(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of what of the configuration matters here, to see later whether it has changed."""
    return deepcopy({key: config.get(key) for key in (*CONFIG_KEYS, "COMPAT")})
