"""`lazy`: attributes that are computed when they are first read."""

from __future__ import annotations

import pytest

from quaff._internal.attributes import lazy


class Shop:
    """Counts how often its name is worked out."""

    def __init__(self) -> None:
        self.calls = 0

    @lazy
    def name(self) -> str:
        """What is written over the door."""
        self.calls += 1
        return f"shop {self.calls}"


def test_runs_once() -> None:
    """The method runs when the attribute is first read, and not again."""
    shop = Shop()
    assert shop.calls == 0
    assert (shop.name, shop.name, shop.calls) == ("shop 1", "shop 1", 1)


def test_each_instance_has_its_own() -> None:
    """The value stands in the instance, not in the class."""
    first, second = Shop(), Shop()
    assert first.name
    assert "name" in first.__dict__
    assert "name" not in second.__dict__


def test_can_be_set_and_deleted() -> None:
    """The value is a plain attribute: setting it spares the method, deleting it brings the method back."""
    shop = Shop()
    shop.name = "other"
    assert (shop.name, shop.calls) == ("other", 0)
    del shop.name
    assert (shop.name, shop.calls) == ("shop 1", 1)


def test_is_seen_on_the_class() -> None:
    """On the class it is itself, with the method's docstring: that is how Sphinx and `overrides` find it."""
    assert isinstance(Shop.name, lazy)
    assert Shop.name.__doc__ == "What is written over the door."


def test_an_error_is_not_kept() -> None:
    """A method that raises is tried again on the next read."""

    class Broken:
        tries = 0

        @lazy
        def value(self) -> int:
            self.tries += 1
            if self.tries == 1:
                raise LookupError
            return self.tries

    broken = Broken()
    with pytest.raises(LookupError):
        _ = broken.value
    assert broken.value == 2


def test_goes_through_setattr() -> None:
    """A class that watches its attributes sees the value arrive: the app tells quiet ones from others by name."""
    seen = []

    class Watching(Shop):
        def __setattr__(self, name: str, value: object) -> None:
            seen.append(name)
            super().__setattr__(name, value)

    assert Watching().name
    assert seen == ["calls", "calls", "name"]
