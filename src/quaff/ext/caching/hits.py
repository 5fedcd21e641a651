"""A shorter way to a hit of a memoized function.

The decorated function says what is right. Here is remembered, of calls with plain arguments, the hash that is part of their
keys, and found without a call of the store what our own memory holds for them. Nothing of what is stored is remembered, so
whoever forgets, replaces or lets expire a value or a version is heeded. Everything else takes the way of `engine.py`; the
table says what. `tests/ext/caching/test_hits.py` compares the two.

| takes the long way | because |
| --- | --- |
| a method, `*args`, `**kwargs`, a default that can be changed | the key is more than the arguments |
| `make_name`, `args_to_ignore`, a source check | they are asked each time |
| an argument that is a list, an object, 0.0 or -0.0, or long | it can change, is equal to another one, or takes room |
| `unless`, `forced_update`, `is_stale`, signals, debug mode | they are asked or told each time |
| tags, a stale value, variants | more is looked up |
| another store than our memory, a subclass's or patched method | it does what it does |
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from math import isnan
from typing import Any, Final, NamedTuple

from markupsafe import Markup

from ...globals import NO_CONTEXT, current_context
from .arguments import function_namespace, shape_of
from .bound import Bound, CacheBase
from .clock import simple as clock
from .keys import Hash
from .pages import Page, Variants
from .rules import Rules

REMEMBERED: Final = 1024
"""Of how many calls of one function the hashes are remembered; then they are forgotten together."""

LONGEST: Final = 256
"""How long the arguments of such a call may be together: characters, and eight more for each."""

_APPS: Final = 8
"""For how many apps a function knows its place in the store."""

NOT_FOUND: Final[Any] = object()
"""Stands for "take the long way"."""

Digests = dict[tuple[Any, ...] | None, str]
"""What `call_of` returns -> the hash in the key of that call."""

_PLAIN: Final = frozenset({str, bytes, bool, int, float, type(None)})
_AS_STORED: Final = frozenset({str, bytes, bool, int, float, Markup})
"""What the memory keeps as it is, and is a value for sure."""


def call_of(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...] | None:
    """Return what only this call and those with the same key are equal to, or None when an argument is not plain.

    >>> call_of((1,), {}) == call_of((1,), {}), call_of((1,), {}) == call_of((True,), {}), call_of(([],), {})
    (True, False, None)
    """
    values = (*args, *kwargs.values()) if kwargs else args
    # The types, because 1, 1.0 and True are equal; first, so that only values of one type are ever compared.
    kinds = tuple(map(type, values))
    if not _PLAIN.issuperset(kinds) or (float in kinds and 0.0 in values):
        return None
    return (kinds, values, *kwargs)


def remember(digests: Digests, call: tuple[Any, ...], digest: str) -> None:
    """Remember the hash of a call, unless its arguments are long."""
    _, values, *names = call
    if sum(map(_length, (*values, *names))) > LONGEST:
        return
    if len(digests) >= REMEMBERED:
        digests.clear()
    digests[call] = digest


def _length(value: Any) -> int:
    if isinstance(value, (str, bytes)) and type(value) in _PLAIN:
        return 8 + len(value)
    if isinstance(value, int):
        return 8 + value.bit_length() // 8
    if value is None or (isinstance(value, float) and not isnan(value)):
        return 8
    # Not a number is not equal to itself, so it would never be found again; a name that is no plain text may be anything.
    return LONGEST + 1


class State(NamedTuple):
    """What has to be as it was when a place was found out."""

    revision: int
    backend: Any
    settings: tuple[Any, Any, Any]
    """The cache's `hash_method`, `source_check` and `enable_signals`, which anybody may set."""

    attributes: int
    """How many the cache and the backend have of their own: a method that is put there is one more."""


class Place(NamedTuple):
    """Where the values of a function are in one app."""

    state: State
    version_key: str
    digests: Digests


class Hits:
    """The shorter way for one function."""

    def __init__(self, cache: CacheBase, function: Callable[..., Any], rules: Rules) -> None:
        self._cache = cache
        self._function = function
        self._rules = rules
        self._is_plain: bool | None = None
        self._is_asked_each_time = (rules.unless or rules.forced_update or rules.is_stale) is not None
        self._known: tuple[Hash, Digests] | None = None
        # By revision, not by app: an app must be freed as soon as nobody refers to it.
        self._places: dict[Any, Place] = {}

    def find(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Return what is stored for a call, or `NOT_FOUND` when the long way has to be asked."""
        cache: Any = self._cache
        context: Any = current_context.get()
        # PERF: what is not as usual, an entry that is missing included, is an exception, which costs nothing otherwise.
        try:
            app = cache.app if context is NO_CONTEXT else context.app
            place = self._places.get(app._revision)
            if place is None:
                return NOT_FOUND
            state, version_key, digests = place
            revision, backend, (method, source_check, signals), attributes = state
            if (
                app._revision.value != revision
                or app.extensions["cache"][cache] is not backend
                or cache.hash_method is not method
                or cache.source_check is not source_check
                or cache.enable_signals is not signals
                or len(cache.__dict__) + len(backend.__dict__) != attributes
            ):
                return NOT_FOUND
            digest = digests[call_of(args, kwargs)]
            entries, now = backend._cache, clock.time()
            expires, version = entries[version_key]
            if 0 != expires <= now:
                return NOT_FOUND
            expires, value = entries[digest + version]
            if 0 != expires <= now:
                return NOT_FOUND
            return value if type(value) in _AS_STORED else self._read(backend, value, now)
        except Exception:
            return NOT_FOUND

    def _read(self, backend: Any, stored: Any, now: float) -> Any:
        value = backend.serializer.loads(stored)
        if type(value) is Variants:
            return NOT_FOUND
        if type(value) is Page:
            if value.tags or 0 < value.fresh_until <= now:
                return NOT_FOUND
            value = value.value
        return NOT_FOUND if value is None and not self._rules.cache_none else value

    def digests(self, bound: Bound) -> tuple[Hash, Digests] | None:
        """Return the hash constructor and where its hashes are remembered; None when they may not be.

        In passing, the function's place in the store is found out, for `find`.
        """
        cache = self._cache
        settings = (cache.hash_method, cache.source_check, cache.enable_signals)
        if self._is_plain is None:
            self._is_plain = is_plain(self._function, self._rules)
        if not self._is_plain or cache._get_source_check(self._rules.source_check):
            return None
        method = cache._get_hash_method(self._rules.hash_method)
        known = self._known
        if known is None or known[0] is not method:
            known = self._known = (method, {})
        memory = bound.store.memory
        if memory is not None and not bound.app.debug and not self._is_asked_each_time:
            state = State(bound.revision, memory, settings, len(vars(cache)) + len(vars(memory)))
            place = self._places.get(bound.app._revision)
            if place is None or place.state != state or place.digests is not known[1]:
                self._note(bound.app._revision, state, known[1])
        return known

    def _note(self, revision: Any, state: State, digests: Digests) -> None:
        cache = self._cache
        if cache.enable_signals or not cache.is_unpatched or any(map(callable, vars(state.backend).values())):
            return
        if len(self._places) >= _APPS:
            self._places.clear()
        version_key = cache._memvname(function_namespace(self._function)[0])
        self._places[revision] = Place(state, version_key, digests)


def is_plain(function: Callable[..., Any], rules: Rules) -> bool:
    """Tell whether the hash in a key follows from the arguments of a call and nothing else."""
    if not inspect.isfunction(function) or rules.make_name is not None or rules.args_to_ignore:
        return False
    shape = shape_of(function)
    return shape.owner is None and not shape.is_open and all(map(_is_constant, shape.defaults.values()))


def _is_constant(value: Any) -> bool:
    return all(map(_is_constant, value)) if type(value) is tuple else type(value) in _PLAIN
