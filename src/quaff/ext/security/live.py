"""Policies that can be changed after they were given: `talisman.content_security_policy["img-src"] = "*"`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any


class LivePolicy(dict[str, Any]):
    """A mapping that says so when it changes, so that headers made of it are made anew.

    :param policy: the first content, which is copied.
    :param on_change: called with this object after each change.
    """

    def __init__(self, policy: Mapping[str, Any], on_change: Callable[[LivePolicy], Any]) -> None:
        super().__init__(policy)
        self._on_change = on_change

    def __setitem__(self, key: str, value: Any) -> None:
        super().__setitem__(key, value)
        self._on_change(self)

    def __delitem__(self, key: str) -> None:
        super().__delitem__(key)
        self._on_change(self)

    def __ior__(self, other: Any) -> LivePolicy:  # type: ignore[override, misc]  # typeshed ties it to __or__
        self.update(other)
        return self

    def clear(self) -> None:
        """Remove all directives."""
        super().clear()
        self._on_change(self)

    def pop(self, key: str, *default: Any) -> Any:
        """Remove a directive and return its value, or *default*."""
        value = super().pop(key, *default)
        self._on_change(self)
        return value

    def popitem(self) -> tuple[str, Any]:
        """Remove the last directive and return it with its value."""
        item = super().popitem()
        self._on_change(self)
        return item

    def setdefault(self, key: str, default: Any = None) -> Any:
        """Return the value of a directive, which is set to *default* if it is not there."""
        value = super().setdefault(key, default)
        self._on_change(self)
        return value

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Set all directives of a mapping or of pairs."""
        super().update(*args, **kwargs)
        self._on_change(self)
