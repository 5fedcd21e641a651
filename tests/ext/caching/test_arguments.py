"""Calls as data."""

from __future__ import annotations

import gc
import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quaff.ext.caching.arguments import (
    describe,
    function_namespace,
    get_arg_default,
    get_arg_names,
    get_id,
    join_generator,
    normalize_call,
    null_control,
    shape_of,
    wants_args,
    wants_extra_args,
)

simple = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5) | st.binary(max_size=5)
)
values = st.recursive(
    simple,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)


def exactly(value: Any) -> Any:
    """Return *value* with its types, so that 1, 1.0 and True are three things."""
    if isinstance(value, (list, tuple)):
        return type(value).__name__, [exactly(item) for item in value]
    if isinstance(value, dict):
        return "dict", [(exactly(key), exactly(item)) for key, item in value.items()]
    return type(value).__name__, repr(value)


@given(values, values)
def test_descriptions_are_injective(first: Any, second: Any) -> None:
    """Two arguments are described alike only if they are the same, types included."""
    assert (describe(first) == describe(second)) == (exactly(first) == exactly(second))


def test_falsy_arguments_are_several() -> None:
    """0, "", False, None and empty containers are not one argument (flask-caching#656)."""
    falsy: list[Any] = [0, 0.0, -0.0, "", b"", False, None, [], (), {}, set(), frozenset()]
    assert len({describe(value) for value in falsy}) == len(falsy)
    assert describe("\u00e9") != describe(unicodedata.normalize("NFD", "\u00e9"))
    assert describe({3, 1, 2}) == describe({1, 2, 3})


class Thing:
    """An object without a `repr` of its own."""


class Named:
    """An object that says who it is."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __caching_id__(self) -> str:
        return self.name


class Printed:
    """An object with a `repr`."""

    def __repr__(self) -> str:
        return "42"


def test_objects() -> None:
    """An object is what it says it is; one that says nothing is itself, and no other one that has its address later."""
    thing = Thing()
    first = get_id(thing)
    assert get_id(thing) == first
    seen = {first}
    for _ in range(50):
        del thing
        gc.collect()
        thing = Thing()
        seen.add(get_id(thing))
    assert len(seen) == 51
    assert describe(Named("a")) == describe(Named("a")) != describe(Named("b"))
    assert get_id(Printed()) == "42"
    assert describe(Printed()) != describe(Named("42"))
    assert get_id(Thing) == repr(Thing)


class Slotted:
    """An object that cannot be referred to weakly."""

    __slots__ = ()


def test_objects_without_weak_references() -> None:
    """They are what they look like."""
    thing = Slotted()
    assert get_id(thing) == repr(thing)


class Array:
    """Something like an array of NumPy, whose `repr` leaves things out."""

    shape = (3,)
    dtype = "int8"

    def __init__(self, content: bytes) -> None:
        self.content = content

    def tobytes(self) -> bytes:
        return self.content

    def __repr__(self) -> str:
        return "array([1, ..., 9])"


def test_arrays() -> None:
    """Their content counts."""
    assert describe(Array(b"129")) != describe(Array(b"139"))


def f(a: Any, b: Any = 0, *rest: Any, c: Any = None, **more: Any) -> None:
    """A function with everything."""


def g(a: Any, /, b: Any, *, c: Any = 3) -> None:
    """A function with arguments by position only."""


def m(self: Any, a: Any) -> None:
    """A method."""


@pytest.mark.parametrize(
    "first, second",
    [
        (((1,), {}), ((), {"a": 1})),
        (((1,), {}), ((1, 0), {})),
        (((1, 2), {}), ((1,), {"b": 2})),
        (((1,), {"x": 1, "y": 2}), ((1,), {"y": 2, "x": 1})),
        (((1,), {}), ((1,), {"c": None})),
    ],
)
def test_one_call_in_several_forms(first: Any, second: Any) -> None:
    """By position or by name, with defaults or without them: it is one call."""
    assert normalize_call(f, *first) == normalize_call(f, *second)


def test_other_calls() -> None:
    """Other arguments are another call, in whatever place they stand."""
    calls = [((1,), {}), ((2,), {}), ((1, 2), {}), ((1, 0, 2), {}), ((1,), {"c": 2}), ((1,), {"x": 2}), ((None,), {})]
    found = [repr(normalize_call(f, args, kwargs)) for args, kwargs in calls]
    assert len(set(found)) == len(calls)


def test_arguments_by_position_only() -> None:
    """They count too, beside arguments by name; in Flask-Caching 2.5.1 the first one of `g(1, b=2)` was lost."""
    assert normalize_call(g, (1,), {"b": 2}) == normalize_call(g, (1, 2), {})
    assert normalize_call(g, (5,), {"b": 2}) != normalize_call(g, (1,), {"b": 2})


def test_ignored_arguments() -> None:
    """They are None, however they are given."""
    assert normalize_call(f, (1, 2), {}, ["b"]) == normalize_call(f, (1,), {"b": 3}, ["b"])
    assert normalize_call(f, (1, 2), {"x": 1}, ["x"]) == normalize_call(f, (1, 2), {"x": 2}, ["x"])


def test_self() -> None:
    """The object is its name; without it there is an error that says so."""
    assert normalize_call(m, (Named("a"), 1), {}) == (("a", 1), {})
    with pytest.raises(ValueError, match="you must provide the `self` argument"):
        normalize_call(m, (), {"a": 1})


def test_a_call_with_an_argument_twice() -> None:
    """What Python would refuse is read as Flask-Caching reads it: the named one counts."""
    assert normalize_call(f, (2,), {"a": 1})[0][:2] == (1, 2)


def test_namespaces() -> None:
    """A function has its module and name; a method of one object one more."""
    assert function_namespace(f) == (f"{__name__}.f", None)
    whole, one = function_namespace(m, (Named("x y"), 1))
    assert (whole, one) == (f"{__name__}.m", f"{__name__}.m.xy")

    class Owner:
        def method(self) -> None: ...

        @classmethod
        def of_class(cls) -> None: ...

    owner = Owner()
    assert function_namespace(owner.method)[1] is not None
    assert function_namespace(owner.method)[1] != function_namespace(Owner().method)[1]
    with pytest.raises(ValueError, match="you must provide the class"):
        function_namespace(Owner.__dict__["of_class"].__func__)


class Callable_:
    """A callable object, which has no name of its own."""

    __module__ = "somewhere"
    __name__ = "called"

    def __call__(self, a: Any) -> None: ...


def test_names_of_callable_objects() -> None:
    """They have the name that they say."""
    assert function_namespace(Callable_()) == ("somewhere.called", None)
    assert shape_of(Callable_()).names == ("a",)


def test_signatures() -> None:
    """The helpers tell names, defaults, and how much a function wants."""
    assert get_arg_names(f) == ["a", "b"]
    assert get_arg_default(f, 1) == 0
    assert get_arg_default(f, 0) is None
    assert (wants_args(f), wants_args(lambda: 0), wants_args(lambda *, a: 0)) == (True, False, False)
    assert (wants_extra_args(lambda value: 0), wants_extra_args(lambda value, a: 0)) == (False, True)
    assert "a b\n*c_.".translate(null_control) == "abc_."


def test_generators() -> None:
    """Texts become one, bytes too, and other things a list."""
    assert join_generator(iter(["a", "b"])) == "ab"
    assert join_generator(iter([b"a", b"b"])) == b"ab"
    assert join_generator(iter([1, "b"])) == [1, "b"]
    assert join_generator(iter([])) == ""
