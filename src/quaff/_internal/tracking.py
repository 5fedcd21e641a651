"""Containers that tell a revision counter when they change.

Flask's registries (`app.before_request_funcs`, `app.view_functions`, ...) are public and people change them directly, even
while a request runs. The compiled routes are built from them, so each change makes a new revision, and a request compares
one number to know whether what was compiled still holds.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable
from itertools import count
from typing import Any, SupportsIndex, TypeVar

K = TypeVar("K")
V = TypeVar("V")

_next_revision = count(1).__next__


class Revision:
    """A number that is never the same again after `bump`.

    An object of its own, not an attribute of the app, so that containers can hold it without holding the app: an app must
    be freed as soon as nobody refers to it (COMPAT: Flask promises the same).

    :param parent: another revision that changes whenever this one does.
    """

    __slots__ = ("__weakref__", "_parent", "value")

    def __init__(self, parent: Revision | None = None) -> None:
        self.value = _next_revision()
        self._parent = parent
        if parent is None:
            _all_revisions.add(self)

    def bump(self) -> None:
        """Make everything that was compiled from the old revision stale."""
        self.value = _next_revision()
        if self._parent is not None:
            self._parent.bump()


_all_revisions: weakref.WeakSet[Revision] = weakref.WeakSet()


def bump_all() -> None:
    """Make a new revision everywhere: a change that any app may have compiled in, such as a signal's receiver."""
    for revision in list(_all_revisions):
        revision.bump()


def _noting(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a mutating method of a built-in container so that it bumps the container's revision."""

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return original(self, *args, **kwargs)
        finally:
            self._revision.bump()

    method.__name__ = original.__name__
    method.__doc__ = original.__doc__
    return method


class TrackedList(list[V]):
    """A list whose changes bump a revision."""

    __slots__ = ("_revision",)

    def __init__(self, revision: Revision, items: Iterable[V] = ()) -> None:
        super().__init__(items)
        self._revision = revision

    def __reduce_ex__(self, protocol: SupportsIndex) -> tuple[Any, ...]:
        return list, (list(self),)

    append = _noting(list.append)
    extend = _noting(list.extend)
    insert = _noting(list.insert)
    remove = _noting(list.remove)
    pop = _noting(list.pop)
    clear = _noting(list.clear)
    sort = _noting(list.sort)
    reverse = _noting(list.reverse)
    __setitem__ = _noting(list.__setitem__)
    __delitem__ = _noting(list.__delitem__)
    __iadd__ = _noting(list.__iadd__)
    __imul__ = _noting(list.__imul__)


class TrackedDict(dict[K, V]):
    """A dict whose changes bump a revision; values that are lists or dicts are tracked in turn.

    :param make: called for a key that is missing, as `collections.defaultdict` does; `None` raises `KeyError`.
    """

    __slots__ = ("_make", "_revision")

    def __init__(
        self, revision: Revision, items: Iterable[tuple[K, V]] = (), make: Callable[[], Any] | None = None
    ) -> None:
        super().__init__((key, track(value, revision)) for key, value in items)
        self._revision = revision
        self._make = make

    def __missing__(self, key: K) -> V:
        if self._make is None:
            raise KeyError(key)
        self[key] = value = track(self._make(), self._revision)
        return value  # type: ignore[no-any-return]

    def __setitem__(self, key: K, value: V) -> None:
        super().__setitem__(key, track(value, self._revision))
        self._revision.bump()

    def setdefault(self, key: K, default: Any = None) -> Any:
        """Return the value of *key*, storing *default* (tracked) when there is none."""
        if key not in self:
            self[key] = default
        return self[key]

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Store all items of a mapping or of pairs, as `dict.update` does."""
        given: dict[Any, Any] = dict(*args, **kwargs)
        for key, value in given.items():
            self[key] = value

    def __ior__(self, other: Any) -> Any:  # type: ignore[misc]  # typeshed ties it to __or__
        self.update(other)
        return self

    def __copy__(self) -> dict[K, V]:
        return dict(self)

    def __reduce_ex__(self, protocol: SupportsIndex) -> tuple[Any, ...]:
        return dict, (dict(self),)

    pop = _noting(dict.pop)
    popitem = _noting(dict.popitem)
    clear = _noting(dict.clear)
    __delitem__ = _noting(dict.__delitem__)


def track(value: Any, revision: Revision) -> Any:
    """Return *value* in tracked form when it is a plain list or dict, else as it is."""
    if isinstance(value, (TrackedDict, TrackedList)) and value._revision is revision:
        return value
    if isinstance(value, list):
        return TrackedList(revision, value)
    if isinstance(value, dict):
        make = getattr(value, "default_factory", None) or getattr(value, "_make", None)
        return TrackedDict(revision, value.items(), make)
    return value
