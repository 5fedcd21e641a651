"""References from lower layers to higher ones. That all of them resolve is held in `tests/contracts/test_layers.py`."""

from __future__ import annotations

import importlib

import pytest

from quaff._internal.lazy import REFERENCES, resolve


@pytest.mark.parametrize("key", sorted(REFERENCES))
def test_gives_the_object_itself(key: str) -> None:
    """A reference is the very object that its module holds, each time."""
    module, _, attribute = REFERENCES[key].partition(":")
    assert resolve(key) is getattr(importlib.import_module(module), attribute)
    assert resolve(key) is resolve(key)


def test_an_unknown_key_is_a_mistake() -> None:
    """A reference that is not in the list cannot be used: the list is what the layers test reads."""
    with pytest.raises(KeyError):
        resolve("nothing of that name")
