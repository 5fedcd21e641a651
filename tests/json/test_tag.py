"""Tagged JSON: Flask's format in both directions, with tags of one's own."""

from __future__ import annotations

import datetime as dt
import json
from collections import OrderedDict
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from quaff.json.tag import (
    JSONTag,
    PassDict,
    PassList,
    TagBytes,
    TagDateTime,
    TagDict,
    TaggedJSONSerializer,
    TagMarkup,
    TagTuple,
    TagUUID,
)

UTC = dt.UTC


@pytest.fixture
def serializer() -> TaggedJSONSerializer:
    """A serializer with its stock of tags."""
    return TaggedJSONSerializer()


FORMAT: list[tuple[Any, str]] = [
    (None, "null"),
    (True, "true"),
    (1.5, "1.5"),
    ("text", '"text"'),
    ({}, "{}"),
    ({"a": 1, "b": "x"}, '{"a":1,"b":"x"}'),
    ([1, "a", None], '[1,"a",null]'),
    ((), '{" t":[]}'),
    ((1, (2,)), '{" t":[1,{" t":[2]}]}'),
    ([("message", "hi")], '[{" t":["message","hi"]}]'),
    (b"\xff\x00", '{" b":"/wA="}'),
    (Markup("<b>"), '{" m":"<b>"}'),
    (UUID(int=1), '{" u":"00000000000000000000000000000001"}'),
    (dt.datetime(2020, 2, 3, 4, 5, 6, tzinfo=UTC), '{" d":"Mon, 03 Feb 2020 04:05:06 GMT"}'),
    ({" t": 1}, '{" di":{" t__":1}}'),
    ({" di": " t"}, '{" di":{" di__":" t"}}'),
    ({" t": (1,)}, '{" di":{" t__":{" t":[1]}}}'),
    ({" x": 1}, '{" x":1}'),
    ({" t": 1, "b": 2}, '{" t":1,"b":2}'),
    ({"nested": {" b": [b"x"]}}, '{"nested":{" di":{" b__":[{" b":"eA=="}]}}}'),
]


@pytest.mark.parametrize("value, text", FORMAT)
def test_the_format_is_flasks(serializer: TaggedJSONSerializer, value: Any, text: str) -> None:
    """Each type is written as Flask writes it, and read back as what it was."""
    assert serializer.dumps(value) == text
    loaded = serializer.loads(text)
    assert loaded == value
    assert type(loaded) is type(value)
    assert serializer.loads(text.encode()) == value


@pytest.mark.parametrize(
    "text, value",
    [
        ('{ " t" : [1, 2] }', (1, 2)),
        ('{"\\u0020t":[1]}', (1,)),
        ('{"\\u0020t": ["\\u00e9"]}', ("é",)),
        ('[" leading blank"]', [" leading blank"]),
        ('{" unknown": 1}', {" unknown": 1}),
        ('{"a": {" b": "eA=="}}', {"a": b"x"}),
    ],
)
def test_other_spellings_are_read_too(serializer: TaggedJSONSerializer, text: str, value: Any) -> None:
    """Blanks and escapes in the text do not hide a tag."""
    assert serializer.loads(text) == value


KEYS = st.sampled_from([" t", " di", " b", " x", "a", "b", ""])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3) | st.binary(max_size=3) | st.uuids(),
    lambda inner: st.lists(inner) | st.lists(inner).map(tuple) | st.dictionaries(KEYS, inner),
    max_leaves=12,
)


@given(value=VALUES)
def test_short_cuts_change_nothing(value: Any) -> None:
    """The serializer writes and reads what one without any short cut does, and loses nothing."""
    fast, slow = TaggedJSONSerializer(), TaggedJSONSerializer()
    slow._stock_order = None
    text = fast.dumps(value)
    assert text == slow.dumps(value)
    assert fast.loads(text) == slow.loads(text) == value
    assert repr(fast.tag(value)) == repr(slow.tag(value))


@pytest.mark.parametrize("value", [{"a": 1}, [1, 2], {"a": [1]}, [[1]]])
def test_tag_returns_a_container_of_its_own(serializer: TaggedJSONSerializer, value: Any) -> None:
    """Changing what `tag` returned does not change what it was given."""
    tagged = serializer.tag(value)
    assert tagged == value
    assert tagged is not value


def test_subclasses_count_as_what_they_are(serializer: TaggedJSONSerializer) -> None:
    """A subclass of a JSON type is written as that type, a string with HTML as HTML."""

    class Text(str):  # noqa: SLOT000
        def __html__(self) -> str:
            return "<html>"

    assert serializer.dumps(OrderedDict(a=1)) == '{"a":1}'
    assert serializer.dumps({"a": Text("x")}) == '{"a":{" m":"<html>"}}'


def test_what_has_no_tag_is_left_to_json(serializer: TaggedJSONSerializer) -> None:
    """Types without a tag come out of `tag` unchanged."""
    other = object()
    assert serializer.tag(other) is other


def test_single_key_objects_without_a_tag_stay(serializer: TaggedJSONSerializer) -> None:
    """`untag` returns what has no tag as it is."""
    for value in ({"a": 1}, {" t": 1, "b": 2}, {}):
        assert serializer.untag(value) is value


# Tags of one's own -----------------------------------------------------------------------------------------------------


class Foo:
    def __init__(self, data: Any) -> None:
        self.data = data


class TagFoo(JSONTag):
    __slots__ = ()
    key = " foo"

    def check(self, value: Any) -> bool:
        return isinstance(value, Foo)

    def to_json(self, value: Any) -> Any:
        return self.serializer.tag(value.data)

    def to_python(self, value: Any) -> Any:
        return Foo(value)


def test_a_new_tag(serializer: TaggedJSONSerializer) -> None:
    """A registered tag takes its values, at any depth, and dicts with its key are kept apart."""
    serializer.register(TagFoo)
    assert serializer.loads(serializer.dumps({"a": Foo("bar")}))["a"].data == "bar"
    assert serializer.loads(serializer.dumps([Foo((1, b"x"))]))[0].data == (1, b"x")
    assert serializer.dumps({" foo": 1}) == '{" di":{" foo__":1}}'
    assert serializer.loads(serializer.dumps({" foo": 1})) == {" foo": 1}


def test_a_tag_without_a_blank(serializer: TaggedJSONSerializer) -> None:
    """The key of a tag may be any text."""

    class TagWord(TagFoo):
        __slots__ = ()
        key = "foo"

    serializer.register(TagWord)
    assert serializer.loads('{"foo":1}').data == 1


def test_a_tag_for_a_plain_type(serializer: TaggedJSONSerializer) -> None:
    """A tag may even take strings, alone and inside containers."""

    class Shout(JSONTag):
        __slots__ = ()
        key = " s"

        def check(self, value: Any) -> bool:
            return type(value) is str

        def to_json(self, value: Any) -> Any:
            return value.upper()

        def to_python(self, value: Any) -> Any:
            return value.lower()

    serializer.register(Shout, index=0)
    assert serializer.dumps({"a": "b"}) == '{"a":{" s":"B"}}'
    assert serializer.loads('{"a":{" s":"B"}}') == {"a": "b"}


def test_order_can_be_chosen(serializer: TaggedJSONSerializer) -> None:
    """A tag in front of the one for dicts takes ordered dicts."""

    class TagOrderedDict(JSONTag):
        __slots__ = ()
        key = " od"

        def check(self, value: Any) -> bool:
            return isinstance(value, OrderedDict)

        def to_json(self, value: Any) -> Any:
            return [[key, self.serializer.tag(item)] for key, item in value.items()]

        def to_python(self, value: Any) -> Any:
            return OrderedDict(value)

    serializer.register(TagOrderedDict, index=0)
    loaded = serializer.loads(serializer.dumps({"a": OrderedDict([("z", (1,)), ("a", 2)])}))
    assert type(loaded["a"]) is OrderedDict
    assert list(loaded["a"].items()) == [("z", (1,)), ("a", 2)]


def test_a_key_is_registered_once(serializer: TaggedJSONSerializer) -> None:
    """The same key twice is an error unless it is forced."""

    class TagDict2(TagDict):
        __slots__ = ()

    with pytest.raises(KeyError, match="Tag ' di' is already registered"):
        serializer.register(TagDict2)
    serializer.register(TagDict2, force=True, index=0)
    assert isinstance(serializer.tags[" di"], TagDict2)
    assert isinstance(serializer.order[0], TagDict2)


def test_own_defaults_in_a_subclass() -> None:
    """A subclass may start from other tags; short cuts of the stock do not apply to it."""

    class Bytes(TaggedJSONSerializer):
        default_tags = [TagBytes]

    serializer = Bytes()
    assert serializer.dumps(b"x") == '{" b":"eA=="}'
    assert serializer.tag({"a": (1,)}) == {"a": (1,)}
    assert serializer.loads('{" t":[1]}') == {" t": [1]}


def test_the_order_may_be_changed_by_hand(serializer: TaggedJSONSerializer) -> None:
    """Whoever edits `order` and `tags` gets what they say."""
    serializer.order = [tag for tag in serializer.order if not isinstance(tag, PassList | TagTuple)]
    assert serializer.tag([b"x"]) == [b"x"]
    serializer.tags["plain"] = TagFoo(serializer)
    assert serializer.loads('{"plain":1}').data == 1


def test_abstract_methods(serializer: TaggedJSONSerializer) -> None:
    """A tag has to say how it checks, writes and reads."""
    tag = JSONTag(serializer)
    for method in (tag.check, tag.to_json, tag.to_python):
        with pytest.raises(NotImplementedError):
            method(None)


@pytest.mark.parametrize(
    "tag_class, mine, other",
    [
        (TagDict, {" t": 1}, {"a": 1}),
        (PassDict, {"a": 1}, [1]),
        (TagTuple, (1,), [1]),
        (PassList, [1], (1,)),
        (TagBytes, b"x", "x"),
        (TagMarkup, Markup("x"), "x"),
        (TagUUID, UUID(int=1), "1"),
        (TagDateTime, dt.datetime(2020, 1, 1, tzinfo=UTC), dt.date(2020, 1, 1)),
    ],
)
def test_each_tag_takes_its_own(
    serializer: TaggedJSONSerializer, tag_class: type[JSONTag], mine: Any, other: Any
) -> None:
    """Every stock tag knows its values from others."""
    tag = tag_class(serializer)
    assert tag.check(mine)
    assert not tag.check(other)


def test_broken_text_is_a_value_error(serializer: TaggedJSONSerializer) -> None:
    """Text that is not JSON is json's error; a damaged value is a ValueError, too."""
    with pytest.raises(json.JSONDecodeError):
        serializer.loads("{")
    with pytest.raises(ValueError, match="badly formed hexadecimal UUID"):
        serializer.loads('{" u":"zz"}')
