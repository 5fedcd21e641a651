"""Values as bytes."""

from __future__ import annotations

import ast
import io
import math
import pickle
from contextlib import suppress
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup
from werkzeug.exceptions import BadRequest, Forbidden, MethodNotAllowed, NotFound

from quaff import Response
from quaff.ext.caching import serializers
from quaff.ext.caching.pages import Page, Variants
from quaff.ext.caching.serializers import (
    MAGIC,
    MemorySerializer,
    NotStorable,
    SafeRedisSerializer,
    SafeSerializer,
    Unreadable,
    decode,
    encode,
)
from tests.contracts.source import modules

keys = st.text(max_size=3) | st.integers() | st.booleans() | st.none()
leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=5)
    | st.binary(max_size=5)
    | st.datetimes()
    | st.datetimes(timezones=st.just(UTC))
    | st.dates()
    | st.times()
    | st.timedeltas()
    | st.decimals(allow_nan=False)
    | st.uuids()
    | st.text(max_size=5).map(Markup)
    | st.complex_numbers(allow_nan=False)
)
plain = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(keys, inner, max_size=3)
        | st.sets(st.integers(), max_size=3)
        | st.frozensets(st.text(max_size=3), max_size=3)
    ),
    max_leaves=10,
)


def types_of(value: Any) -> Any:
    """Return the types that *value* is made of."""
    if isinstance(value, (list, tuple)):
        return type(value), [types_of(item) for item in value]
    if isinstance(value, dict):
        return type(value), [(types_of(key), types_of(item)) for key, item in value.items()]
    return type(value)


@given(plain)
def test_plain_data(value: Any) -> None:
    """What is plain data comes back equal, with the same types all the way down."""
    found = decode(encode(value))
    assert found == value
    assert types_of(found) == types_of(value)


@pytest.mark.parametrize(
    "value",
    [
        {"tuple": [1]},
        {"bytes": "x", "b": 1},
        {"dict": []},
        {"s": {"set": [1]}},
        "\ud800 lone",
        datetime(1, 1, 1, 0, 0, 0, 1, tzinfo=UTC),
        date(9999, 12, 31),
        time(1, 2, 3, 4),
        timedelta(days=-1, microseconds=1),
        Decimal("1.10"),
        UUID(int=5),
        bytearray(b"\xff"),
        10**400,
        math.inf,
    ],
)
def test_special_values(value: Any) -> None:
    """Dicts that look like our tags, lone surrogates, and the edges of types come back as they are."""
    found = decode(encode(value))
    assert found == value
    assert type(found) is type(value)


def test_pages_and_variants() -> None:
    """They come back with all that they know."""
    page = Page({"a": (1,)}, '"tag"', 12.5, {"t": "v"})
    assert decode(encode(page)) == page
    variants = Variants(("accept", "?"), "token")
    assert decode(encode(variants)) == variants


def test_responses() -> None:
    """A response comes back with status, headers in their order, and body."""
    response = Response(b"\x00body\n", 201, [("X-A", "1"), ("X-A", "2")], content_type="image/png")
    found = decode(encode(response))
    assert (found.status, found.get_data()) == ("201 CREATED", b"\x00body\n")
    assert list(found.headers) == list(response.headers)


def test_errors() -> None:
    """An HTTP error comes back as one; an error with more to it than code and text is refused."""
    found = decode(encode(NotFound("no such thing")))
    assert isinstance(found, NotFound)
    assert found.description == "no such thing"
    assert isinstance(decode(encode(Forbidden())), Forbidden)
    for error in (MethodNotAllowed(["GET"]), BadRequest(response=Response("x"))):
        with pytest.raises(NotStorable):
            encode(error)


class Own:
    """A class of the user's."""


class Derived(dict[str, Any]):
    """A subclass, whose type would be lost."""


@pytest.mark.parametrize(
    "value", [Own(), Derived(), [Own()], {"a": {1: Own()}}, lambda: 0, object(), Response(iter(["a"]))]
)
def test_what_is_not_plain(value: Any) -> None:
    """It is refused, with what to do."""
    with pytest.raises(NotStorable, match="cannot be cached"):
        encode(value)


def test_a_value_that_holds_itself() -> None:
    """It is refused as well."""
    value: list[Any] = []
    value.append(value)
    with pytest.raises(NotStorable, match="nested too deeply"):
        encode(value)


@given(st.binary(max_size=60))
def test_any_bytes(data: bytes) -> None:
    """Whatever is in a store, it is read as a value or is `Unreadable`; nothing else happens."""
    for content in (data, MAGIC + data):
        with suppress(Unreadable):
            decode(content)


@pytest.mark.parametrize("kind", [b"s", b"b", b"j", b"p", b"v", b"r", b"x", b"?", b""])
@given(data=st.binary(max_size=40) | st.text(max_size=40).map(str.encode))
def test_any_bytes_of_a_kind(kind: bytes, data: bytes) -> None:
    """The same for what begins like each kind."""
    with suppress(Unreadable):
        decode(MAGIC + kind + data)


def test_every_damage() -> None:
    """Whatever bit of a stored value is turned, it is a value or `Unreadable`."""
    whole = encode(Page({"a": [1, (2, b"x"), datetime(2026, 1, 1, tzinfo=UTC)], "b": "t"}, '"e"', 1.0, {"t": "v"}))
    for position in range(len(whole)):
        for bit in range(8):
            damaged = whole[:position] + bytes([whole[position] ^ (1 << bit)]) + whole[position + 1 :]
            with suppress(Unreadable):
                decode(damaged)


def test_a_planted_response_cannot_split_headers() -> None:
    """A header with a line end in a stored response makes it unreadable."""
    content = MAGIC + b'r["200 OK",[["X","a\\r\\nSet-Cookie: b"]]]\nbody'
    with pytest.raises(Unreadable):
        decode(content)
    with pytest.raises(Unreadable):
        decode(MAGIC + b'r["200 OK\\r\\nX: y",[]]\nbody')


def test_safe_serializer(caplog: pytest.LogCaptureFixture) -> None:
    """It writes bytes and files; what it cannot read is None and a line in the log that does not repeat the content."""
    serializer = SafeSerializer()
    file = io.BytesIO()
    serializer.dump((1, 2), file)
    file.seek(0)
    assert serializer.load(file) == (1, 2)
    assert serializer.loads(None) is None
    assert serializer.loads(pickle.dumps("secret")) is None
    assert serializer.loads(b"secret") is None
    assert serializer.loads(MAGIC + b"j{secret") is None
    assert "secret" not in caplog.text
    assert len(caplog.records) == 3


def test_redis_serializer() -> None:
    """Integers are Redis's own; texts of other programs are bytes."""
    serializer = SafeRedisSerializer()
    assert serializer.dumps(5) == b"5"
    assert serializer.loads(b"-5") == -5
    assert serializer.loads(serializer.dumps(True)) is True
    assert serializer.loads(b"other") == b"other"
    assert serializer.loads(None) is None
    assert serializer.loads(b"!whatever") is None
    assert serializer.loads(b"9" * 5000) == b"9" * 5000


def test_memory_serializer() -> None:
    """Immutable values are kept, others copied; what cannot be copied is refused."""
    serializer = MemorySerializer()
    text = "x" * 100
    assert serializer.loads(serializer.dumps(text)) is text
    value = [Own]
    assert serializer.loads(serializer.dumps(value)) == value
    assert serializer.loads(serializer.dumps(value)) is not value
    page = Page({"a": 1}, '"e"')
    assert serializer.loads(serializer.dumps(page)) == page
    found = serializer.loads(serializer.dumps(Page(NotFound("x"))))
    assert isinstance(found.value, NotFound)
    for bad in (lambda: 0, io.StringIO):
        if callable(bad) and bad is io.StringIO:
            continue
        with pytest.raises(NotStorable):
            serializer.dumps(bad)


def test_nothing_imports_pickle() -> None:
    """No module of Quaff imports what runs code when it reads data; asking for it means cachelib's serializers."""
    forbidden = {"pickle", "marshal", "shelve", "dill", "cloudpickle", "jsonpickle"}
    for module in modules().values():
        for node in ast.walk(module.tree):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
            origin = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not {name.partition(".")[0] for name in [*names, *origin]} & forbidden, module.name
    assert not hasattr(serializers, "pickle")
