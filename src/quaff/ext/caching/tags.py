"""Tags: names under which values are forgotten together.

A tag has a version in the store, and a value remembers the versions of its tags. Another version, or none, and the value
counts as missing. So forgetting a tag is one write, whatever it was on, and works in every store.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from secrets import token_hex
from typing import Any

from .store import Store

Tags = Iterable[str] | Callable[..., Iterable[str]] | None
"""What decorators take: the tags, or a function that gives them for the arguments of a call."""


def tag_key(tag: str) -> str:
    """Return the key of a tag's version."""
    return f"tag:{tag}"


def tags_for(tags: Tags, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the tags of one call.

    :raises TypeError: for one text instead of several: its letters would be the tags.
    """
    if callable(tags):
        tags = tags(*args, **kwargs)
    if isinstance(tags, str):
        raise TypeError(f"tags must be a list of texts, not the text {tags!r}. Write tags=[{tags!r}].")
    return tuple(dict.fromkeys(str(tag) for tag in tags or ()))


def current_versions(store: Store, tags: Iterable[str]) -> dict[str, str]:
    """Return the versions of tags; those that have none get one."""
    names = list(tags)
    if not names:
        return {}
    found = dict(zip(names, store.get_many(*map(tag_key, names)), strict=True))
    for tag, version in found.items():
        if not isinstance(version, str):
            # Of two that do this at once, one wins; what the other one stores is made once more.
            found[tag] = token_hex(8)
            store.set(tag_key(tag), found[tag], 0)
    return found


def are_current(store: Store, versions: Mapping[str, str]) -> bool:
    """Tell whether tags still have these versions."""
    if not versions:
        return True
    found = store.get_many(*map(tag_key, versions))
    return all(version == now for version, now in zip(versions.values(), found, strict=True))


def forget(store: Store, tags: Iterable[str]) -> None:
    """Forget everything that has one of *tags*."""
    store.set_many({tag_key(tag): token_hex(8) for tag in tags}, 0)
