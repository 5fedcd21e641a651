"""Tagged JSON: JSON that keeps tuples, bytes, `Markup`, UUIDs and datetimes apart from what they are written as.

The session cookie is written in it. A value that JSON has no type for becomes an object with one key, the tag, as in
`{" t":[1,2]}` for the tuple `(1, 2)`. The format is Flask's, byte for byte, so that either reads the cookies of the other.

To add a type, subclass `JSONTag` and register it; in front of a tag that would take the value too::

    class TagOrderedDict(JSONTag):
        __slots__ = ()
        key = " od"

        def check(self, value):
            return isinstance(value, OrderedDict)

        def to_json(self, value):
            return [[key, self.serializer.tag(item)] for key, item in value.items()]

        def to_python(self, value):
            return OrderedDict(value)


    app.session_interface.serializer.register(TagOrderedDict, index=0)
"""

from __future__ import annotations

import uuid
from base64 import b64decode, b64encode
from datetime import datetime
from typing import Any, ClassVar

from markupsafe import Markup
from werkzeug.http import http_date, parse_date

from . import dumps, loads

_UNTAGGED = frozenset({str, int, float, bool, type(None)})


class JSONTag:
    """A type that tagged JSON knows: how to recognise it, write it and read it."""

    __slots__ = ("serializer",)

    key: str = ""
    """The tag around the written value. Empty: the value is written without one, and never read back by this class."""

    def __init__(self, serializer: TaggedJSONSerializer) -> None:
        self.serializer = serializer

    def check(self, value: Any) -> bool:
        """Tell whether this tag is for *value*."""
        raise NotImplementedError

    def to_json(self, value: Any) -> Any:
        """Return *value* as a JSON type, without the tag."""
        raise NotImplementedError

    def to_python(self, value: Any) -> Any:
        """Return what `to_json` was given, from what it returned."""
        raise NotImplementedError

    def tag(self, value: Any) -> Any:
        """Return *value* as a JSON type with the tag around it."""
        return {self.key: self.to_json(value)}


class TagDict(JSONTag):
    """For a dict that would be mistaken for a tagged value: its only key is the key of a tag.

    The key is written with two underscores behind it.
    """

    __slots__ = ()
    key = " di"

    def check(self, value: Any) -> bool:
        """Tell whether *value* is a dict with the key of a tag as its only key."""
        return isinstance(value, dict) and len(value) == 1 and next(iter(value)) in self.serializer.tags

    def to_json(self, value: Any) -> Any:
        """Return the dict with its key changed."""
        [(key, item)] = value.items()
        return {f"{key}__": self.serializer.tag(item)}

    def to_python(self, value: Any) -> Any:
        """Return the dict with its key as it was."""
        [(key, item)] = value.items()
        return {key[:-2]: item}


class PassDict(JSONTag):
    """For all other dicts: no tag, but their values may need one. Keys are strings in JSON and get none."""

    __slots__ = ()

    def check(self, value: Any) -> bool:
        """Tell whether *value* is a dict."""
        return isinstance(value, dict)

    def to_json(self, value: Any) -> Any:
        """Return a dict with the values tagged."""
        return {key: self.serializer.tag(item) for key, item in value.items()}

    tag = to_json


class TagTuple(JSONTag):
    """For tuples, written as a list."""

    __slots__ = ()
    key = " t"

    def check(self, value: Any) -> bool:
        """Tell whether *value* is a tuple."""
        return isinstance(value, tuple)

    def to_json(self, value: Any) -> Any:
        """Return a list with the items tagged."""
        return [self.serializer.tag(item) for item in value]

    def to_python(self, value: Any) -> Any:
        """Return the tuple."""
        return tuple(value)


class PassList(JSONTag):
    """For lists: no tag, but their items may need one."""

    __slots__ = ()

    def check(self, value: Any) -> bool:
        """Tell whether *value* is a list."""
        return isinstance(value, list)

    def to_json(self, value: Any) -> Any:
        """Return a list with the items tagged."""
        return [self.serializer.tag(item) for item in value]

    tag = to_json


class TagBytes(JSONTag):
    """For bytes, written in Base64."""

    __slots__ = ()
    key = " b"

    def check(self, value: Any) -> bool:
        """Tell whether *value* is bytes."""
        return isinstance(value, bytes)

    def to_json(self, value: Any) -> Any:
        """Return the Base64 text."""
        return b64encode(value).decode("ascii")

    def to_python(self, value: Any) -> Any:
        """Return the bytes."""
        return b64decode(value)


class TagMarkup(JSONTag):
    """For anything with an `__html__` method, written as what that returns and read back as `markupsafe.Markup`."""

    __slots__ = ()
    key = " m"

    def check(self, value: Any) -> bool:
        """Tell whether *value* has an `__html__` method."""
        return callable(getattr(value, "__html__", None))

    def to_json(self, value: Any) -> Any:
        """Return the HTML as plain text."""
        return str(value.__html__())

    def to_python(self, value: Any) -> Any:
        """Return the HTML as `Markup`."""
        return Markup(value)  # noqa: S704 - only what was HTML before it was written comes back as HTML


class TagUUID(JSONTag):
    """For `uuid.UUID`, written as 32 hexadecimal digits."""

    __slots__ = ()
    key = " u"

    def check(self, value: Any) -> bool:
        """Tell whether *value* is a UUID."""
        return isinstance(value, uuid.UUID)

    def to_json(self, value: Any) -> Any:
        """Return the digits."""
        return value.hex

    def to_python(self, value: Any) -> Any:
        """Return the UUID."""
        return uuid.UUID(value)


class TagDateTime(JSONTag):
    """For datetimes, written as an HTTP date: to the second, and in UTC."""

    __slots__ = ()
    key = " d"

    def check(self, value: Any) -> bool:
        """Tell whether *value* is a datetime."""
        return isinstance(value, datetime)

    def to_json(self, value: Any) -> Any:
        """Return the HTTP date."""
        return http_date(value)

    def to_python(self, value: Any) -> Any:
        """Return an aware datetime in UTC."""
        return parse_date(value)


class TaggedJSONSerializer:
    """Writes and reads tagged JSON: dicts, tuples, bytes, `Markup`, UUIDs, datetimes and what else is registered."""

    __slots__ = ("_stock_order", "order", "tags")

    default_tags: ClassVar[list[type[JSONTag]]] = [
        TagDict,
        PassDict,
        TagTuple,
        PassList,
        TagBytes,
        TagMarkup,
        TagUUID,
        TagDateTime,
    ]
    """What is registered from the start; the first whose `check` says yes takes the value."""

    def __init__(self) -> None:
        self.tags: dict[str, JSONTag] = {}
        self.order: list[JSONTag] = []
        for tag_class in self.default_tags:
            self.register(tag_class)
        self._stock_order = list(self.order) if self.default_tags == _STOCK_TAGS else None

    def register(self, tag_class: type[JSONTag], force: bool = False, index: int | None = None) -> None:
        """Add a tag.

        :param force: replace the tag that has the same key.
        :param index: where in the order to ask it; by default last.
        :raises KeyError: when there is a tag with this key and *force* is not set.
        """
        tag = tag_class(self)
        if tag.key:
            if not force and tag.key in self.tags:
                raise KeyError(f"Tag '{tag.key}' is already registered.")
            self.tags[tag.key] = tag
        self.order.insert(len(self.order) if index is None else index, tag)

    def _is_stock(self) -> bool:
        # PERF: compares at most nine references; whatever was registered or changed by hand since makes them differ.
        return self.order == self._stock_order and len(self.tags) == _STOCK_KEYS

    def tag(self, value: Any) -> Any:
        """Return *value* in a form that JSON can hold, tagged wherever necessary."""
        # PERF: most sessions are one dict of numbers and texts. No stock tag is for these types themselves, so they need
        # not be asked eight questions each (a string: 0.1 µs instead of 1 µs).
        kind = type(value)
        if kind in _UNTAGGED:
            if self._is_stock():
                return value
        elif kind is dict:
            looks_tagged = len(value) == 1 and next(iter(value)) in self.tags
            if not looks_tagged and self._is_stock() and _UNTAGGED.issuperset(map(type, value.values())):
                return value.copy()
        elif kind is list and self._is_stock() and _UNTAGGED.issuperset(map(type, value)):
            return value.copy()
        for tag in self.order:
            if tag.check(value):
                return tag.tag(value)
        return value

    def untag(self, value: dict[str, Any]) -> Any:
        """Return what a tagged value stands for, or *value* itself when it has no tag."""
        if len(value) != 1:
            return value
        [(key, item)] = value.items()
        tag = self.tags.get(key)
        return value if tag is None else tag.to_python(item)

    def _untag_scan(self, value: Any) -> Any:
        if isinstance(value, dict):
            return self.untag({key: self._untag_scan(item) for key, item in value.items()})
        if isinstance(value, list):
            return [self._untag_scan(item) for item in value]
        return value

    def dumps(self, value: Any) -> str:
        """Return *value* as compact tagged JSON."""
        return dumps(self.tag(value), separators=(",", ":"))

    def loads(self, value: str | bytes) -> Any:
        """Return the object that tagged JSON stands for.

        :raises ValueError: for what is not JSON, and from a tag whose value is damaged.
        """
        loaded = loads(value)
        # PERF: all stock tags begin with a blank. Where no string does, and none begins with an escape, there is no tag.
        if isinstance(value, str) and '" ' not in value and '"\\' not in value and self._is_stock():
            return loaded
        return self._untag_scan(loaded)


_STOCK_TAGS = list(TaggedJSONSerializer.default_tags)
_STOCK_KEYS = len({tag.key for tag in _STOCK_TAGS if tag.key})
