"""The `_compat` modules."""

from __future__ import annotations

import os

import pytest

from quaff.compat import old_python


def test_names_of_types() -> None:
    """Python 3's types stand under Python 2's names."""
    assert not old_python.PY2
    assert isinstance("", old_python.string_types)
    assert old_python.text_type is str
    assert isinstance(1, old_python.integer_types)
    assert old_python.unichr(65) == "A"
    assert list(old_python.izip([1], [2])) == [(1, 2)]
    assert list(old_python.imap(str, old_python.range_type(2))) == ["0", "1"]
    assert old_python.fspath is os.fspath


def test_iterating_over_a_mapping() -> None:
    """The three functions give iterators."""
    mapping = {"a": 1}
    assert next(old_python.iteritems(mapping)) == ("a", 1)
    assert next(old_python.iterkeys(mapping)) == "a"
    assert next(old_python.itervalues(mapping)) == 1


def test_reraise() -> None:
    """The error is raised with the traceback it is given."""
    try:
        raise KeyError("first")
    except KeyError as error:
        traceback = error.__traceback__
        with pytest.raises(KeyError) as caught:
            old_python.reraise(KeyError, error, traceback)
    assert caught.value.__traceback__ is not None


def test_class_decorators() -> None:
    """They leave the class as it is."""

    class Thing:
        pass

    assert old_python.implements_to_string(Thing) is Thing
    assert old_python.implements_iterator(Thing) is Thing
    assert old_python.implements_bool(Thing) is Thing


def test_with_metaclass() -> None:
    """The class has the metaclass and the bases, and nothing in between."""

    class Meta(type):
        pass

    class Base:
        pass

    class Thing(old_python.with_metaclass(Meta, Base)):  # type: ignore[misc]
        value = 1

    assert type(Thing) is Meta
    assert Thing.__mro__ == (Thing, Base, object)
    assert Thing.value == 1


@pytest.mark.parametrize(
    "given, encoded, decoded", [("ü", "ü".encode(), "ü"), (b"\xc3\xbc", b"\xc3\xbc", "ü"), (None, None, None)]
)
def test_text_and_bytes(given: str | bytes | None, encoded: bytes | None, decoded: str | None) -> None:
    """Whatever is given, the right one comes out; None stays None."""
    assert old_python.to_bytes(given) == encoded
    assert old_python.to_unicode(given) == decoded
    assert old_python.to_native(given) == decoded
