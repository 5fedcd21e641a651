"""Policies that say when they change."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from quaff.ext.security.live import LivePolicy


def add_in_place(policy: LivePolicy) -> None:
    """Add a directive with an operator."""
    policy |= {"b": "2"}


CHANGES: dict[str, tuple[Callable[[LivePolicy], Any], dict[str, str]]] = {
    "setitem": (lambda p: p.__setitem__("b", "2"), {"a": "1", "b": "2"}),
    "delitem": (lambda p: p.__delitem__("a"), {}),
    "update": (lambda p: p.update({"b": "2"}, c="3"), {"a": "1", "b": "2", "c": "3"}),
    "setdefault": (lambda p: p.setdefault("b", "2"), {"a": "1", "b": "2"}),
    "pop": (lambda p: p.pop("a"), {}),
    "pop with a default": (lambda p: p.pop("z", None), {"a": "1"}),
    "popitem": (lambda p: p.popitem(), {}),
    "clear": (lambda p: p.clear(), {}),
    "ior": (add_in_place, {"a": "1", "b": "2"}),
}


@pytest.mark.parametrize("name", CHANGES)
def test_each_change_is_told(name: str) -> None:
    """Each method that changes a dict does so, and tells afterwards."""
    change, content = CHANGES[name]
    told: list[dict[str, Any]] = []
    policy = LivePolicy({"a": "1"}, lambda changed: told.append(dict(changed)))
    change(policy)
    assert dict(policy) == content
    assert told == [content]


def test_results_are_those_of_a_dict() -> None:
    """What the methods return is what a dict returns."""
    policy = LivePolicy({"a": "1", "b": "2"}, lambda changed: None)
    assert policy.setdefault("a", "9") == "1"
    assert policy.pop("a") == "1"
    assert policy.pop("a", "none") == "none"
    assert policy.popitem() == ("b", "2")
    with pytest.raises(KeyError):
        policy.pop("a")


def test_it_is_a_copy() -> None:
    """The mapping that it was made of is not changed, as Flask-Talisman's defaults once were."""
    original = {"a": "1"}
    LivePolicy(original, lambda changed: None)["b"] = "2"
    assert original == {"a": "1"}
