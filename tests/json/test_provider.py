"""The JSON provider: byte for byte what the standard library writes, and careful with what comes from outside."""

from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
import gc
import io
import json
import threading
import uuid
import weakref
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup
from werkzeug.wrappers import Response

from quaff.json.provider import DefaultJSONProvider, JSONProvider


class Host:
    """Stands in for the app: what a provider knows of it."""

    response_class = Response

    def __init__(self, **config: Any) -> None:
        self.config = config
        self.debug = False


@dataclasses.dataclass
class Point:
    x: int
    y: int


class Html:
    def __html__(self) -> str:
        return "<b>"


@pytest.fixture
def host() -> Host:
    """A stand-in for an app."""
    return Host()


@pytest.fixture
def provider(host: Host) -> DefaultJSONProvider:
    """A provider with its default settings."""
    return DefaultJSONProvider(host)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.lists(inner).map(tuple),
    max_leaves=12,
)


# Writing ---------------------------------------------------------------------------------------------------------------


@given(value=JSON_VALUES, ensure_ascii=st.booleans(), sort_keys=st.booleans())
def test_writes_what_the_standard_library_writes(value: Any, ensure_ascii: bool, sort_keys: bool) -> None:
    """Whatever the settings, the text is that of json.dumps, compact or not."""
    host = Host()
    provider = DefaultJSONProvider(host)
    provider.ensure_ascii, provider.sort_keys = ensure_ascii, sort_keys
    options: dict[str, Any] = {"ensure_ascii": ensure_ascii, "sort_keys": sort_keys}
    assert provider.dumps(value) == json.dumps(value, **options)
    compact = json.dumps(value, separators=(",", ":"), **options)
    assert provider.dumps(value, separators=(",", ":")) == compact
    assert provider.dumps(value, indent=2) == json.dumps(value, indent=2, **options)
    assert provider.response_body([]) == b"[]\n"


@pytest.mark.parametrize(
    "value, text",
    [
        (dt.datetime(1973, 3, 11, 6, 30, 45), '"Sun, 11 Mar 1973 06:30:45 GMT"'),  # noqa: DTZ001 - naive on purpose
        (dt.date(1975, 1, 5), '"Sun, 05 Jan 1975 00:00:00 GMT"'),
        (uuid.UUID(int=255), '"00000000-0000-0000-0000-0000000000ff"'),
        (decimal.Decimal("0.003"), '"0.003"'),
        (Point(1, 2), '{"x": 1, "y": 2}'),
        (Html(), '"<b>"'),
        (Markup("<i>"), '"<i>"'),
        ({"nested": [Point(1, 2)]}, '{"nested": [{"x": 1, "y": 2}]}'),
    ],
)
def test_further_types(provider: DefaultJSONProvider, value: Any, text: str) -> None:
    """Dates, UUIDs, decimals, dataclasses and HTML have a form in JSON."""
    assert provider.dumps(value) == text


def test_aware_datetimes_are_written_in_utc(provider: DefaultJSONProvider) -> None:
    """The offset is applied."""
    zone = dt.timezone(dt.timedelta(hours=3))
    assert provider.dumps(dt.datetime(2017, 1, 1, 12, 0, 0, tzinfo=zone)) == '"Sun, 01 Jan 2017 09:00:00 GMT"'


@pytest.mark.parametrize("value", [object(), {1, 2}, b"bytes", 1j])
def test_other_types_are_refused(provider: DefaultJSONProvider, value: Any) -> None:
    """The message names the type, as the standard library's does."""
    with pytest.raises(TypeError, match=f"Object of type {type(value).__name__} is not JSON serializable"):
        provider.dumps(value)


def test_keys_are_sorted_by_default(provider: DefaultJSONProvider) -> None:
    """Equal dicts give equal text; keys that cannot be compared are a TypeError."""
    assert provider.dumps({"b": 1, "a": 2}) == '{"a": 2, "b": 1}'
    with pytest.raises(TypeError):
        provider.dumps({"a": 1, 2: 1})


def test_an_object_that_contains_itself(provider: DefaultJSONProvider) -> None:
    """A circle is the standard library's ValueError, not a RecursionError."""
    circle: list[Any] = []
    circle.append({"again": circle})
    with pytest.raises(ValueError, match="Circular reference detected"):
        provider.dumps(circle)
    with pytest.raises(ValueError, match="Circular reference detected"):
        provider.response_body(circle)


def test_the_same_object_twice_is_no_circle(provider: DefaultJSONProvider) -> None:
    """Only containing itself is wrong."""
    shared = [1]
    assert provider.dumps([shared, shared]) == "[[1], [1]]"


def test_threads_share_a_provider(provider: DefaultJSONProvider) -> None:
    """The shared encoder keeps no state: no thread sees a circle because another writes the same object."""
    shared = {"list": [Point(n, n) for n in range(50)]}
    expected = provider.dumps(shared)
    wrong: list[Any] = []

    def write() -> None:
        for _ in range(200):
            try:
                if provider.dumps(shared) != expected:
                    wrong.append("text")
            except ValueError as error:
                wrong.append(error)

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_settings_may_change_at_any_time(provider: DefaultJSONProvider) -> None:
    """Every setting counts from the moment it is set, on the instance or on the class."""

    class Custom(DefaultJSONProvider):
        pass

    host = Host()
    custom = Custom(host)
    for target in (provider, custom):
        assert target.dumps({"b": "é", "a": 1}) == '{"a": 1, "b": "\\u00e9"}'
    provider.ensure_ascii = False
    assert provider.dumps({"b": "é", "a": 1}) == '{"a": 1, "b": "é"}'
    provider.sort_keys = False
    assert provider.dumps({"b": "é", "a": 1}) == '{"b": "é", "a": 1}'
    provider.default = lambda it: f"<{type(it).__name__}>"
    assert provider.dumps([object()]) == '["<object>"]'
    assert provider.response_body([object()]) == b'["<object>"]\n'
    Custom.sort_keys = False
    assert custom.dumps({"b": 1, "a": 1}) == '{"b": 1, "a": 1}'


def test_default_may_be_a_method() -> None:
    """A subclass may define `default` as a method."""

    class Custom(DefaultJSONProvider):
        def default(self, o: Any) -> Any:  # type: ignore[override]
            return self.mark + str(len(o))

        mark = "#"

    host = Host()
    custom = Custom(host)
    assert custom.dumps({1, 2}) == '"#2"'
    custom.mark = "%"
    assert custom.dumps({1, 2}) == '"%2"'


def test_options_win_over_settings(provider: DefaultJSONProvider) -> None:
    """Options of json.dumps can be given for one call."""
    assert provider.dumps({"b": 1, "a": "é"}, sort_keys=False, ensure_ascii=False) == '{"b": 1, "a": "é"}'
    assert provider.dumps({1}, default=list) == "[1]"
    assert provider.dumps([1, 2], separators=(";", "=")) == "[1;2]"
    assert provider.dumps({(1,): 2}, skipkeys=True) == "{}"


def test_without_the_c_encoder(provider: DefaultJSONProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where Python has no C encoder, the text is the same."""
    monkeypatch.setattr("json.encoder.c_make_encoder", None)
    assert provider.dumps({"b": Point(1, 2), "a": "é"}) == '{"a": "\\u00e9", "b": {"x": 1, "y": 2}}'
    assert provider.response_body([1, 2]) == b"[1,2]\n"


def test_files(provider: DefaultJSONProvider) -> None:
    """`dump` and `load` work on files, of text and of bytes."""
    file = io.StringIO()
    provider.dump({"a": 1}, file)
    assert file.getvalue() == '{"a": 1}'
    file.seek(0)
    assert provider.load(file) == {"a": 1}
    assert provider.load(io.BytesIO(b'{"a":1}')) == {"a": 1}


# Reading ---------------------------------------------------------------------------------------------------------------


@given(value=JSON_VALUES, blanks=st.sampled_from(["", " ", "\n", "\t \r"]))
def test_reads_what_the_standard_library_reads(value: Any, blanks: str) -> None:
    """Text and bytes give the same as json.loads, with blanks around or not."""
    host = Host()
    provider = DefaultJSONProvider(host)
    text = blanks + json.dumps(value) + blanks
    assert repr(provider.loads(text)) == repr(json.loads(text))
    assert repr(provider.loads(text.encode())) == repr(json.loads(text))
    assert repr(provider.loads(bytearray(text.encode()))) == repr(json.loads(text))


@pytest.mark.parametrize("text", ["", " ", "{", "[1,]", "1 2", "nul", '"a', "{'a': 1}", "\ufeff1", '{"a":1}x'])
def test_broken_json_gives_the_same_error(provider: DefaultJSONProvider, text: str) -> None:
    """The error for broken text says what json.loads says."""
    with pytest.raises(json.JSONDecodeError) as expected:
        json.loads(text)
    with pytest.raises(json.JSONDecodeError) as info:
        provider.loads(text)
    assert str(info.value) == str(expected.value)


def test_other_types_are_a_type_error(provider: DefaultJSONProvider) -> None:
    """Only text and bytes can be read."""
    with pytest.raises(TypeError, match="must be str, bytes or bytearray, not int"):
        provider.loads(5)  # type: ignore[arg-type]


@pytest.mark.parametrize("depth", [10_000, 1_000_000])
@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
def test_bytes_of_any_depth_are_a_value_error(provider: DefaultJSONProvider, opening: bytes, depth: int) -> None:
    """Deep nesting from outside is a bad request, not a failure of the server."""
    with pytest.raises(ValueError, match=r"The JSON is nested too deeply\."):
        provider.loads(opening * depth)
    with pytest.raises(ValueError, match=r"The JSON is nested too deeply\."):
        provider.loads(opening * depth, parse_float=str)


ENCODINGS = ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"]


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("text", ['{"a": "ü"}', "12", '"丱"'])
def test_only_utf_8_is_read(provider: DefaultJSONProvider, text: str, encoding: str) -> None:
    """RFC 8259 section 8.1: JSON between systems is UTF-8. The message names the encoding that it looks like."""
    with pytest.raises(ValueError, match="The JSON is not plain UTF-8; it looks like utf-"):
        provider.loads(text.encode(encoding))


def test_a_byte_order_mark_is_ignored(provider: DefaultJSONProvider) -> None:
    """RFC 8259 section 8.1 allows a reader that, and Windows tools write one."""
    assert provider.loads('{"a": "ü"}'.encode("utf-8-sig")) == {"a": "ü"}


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("text", ['{"a": "ü"}', "12", '"丱"'])
def test_other_encodings_can_be_allowed(text: str, encoding: str) -> None:
    """`json-encodings` in COMPAT brings back what the standard library detects."""
    host = Host(COMPAT=("json-encodings",))
    assert DefaultJSONProvider(host).loads(text.encode(encoding)) == json.loads(text)


@pytest.mark.parametrize("body", [b'"\xff"', b'"\xed\xa0\x80"', b"\xc0\xaf"])
def test_invalid_utf_8_is_a_value_error(provider: DefaultJSONProvider, body: bytes) -> None:
    """Bytes that no text encodes to are refused."""
    with pytest.raises(ValueError, match="utf-8"):
        provider.loads(body)


def test_text_may_be_as_lenient_as_python(provider: DefaultJSONProvider) -> None:
    """Text, which did not come from outside, is read as json.loads reads it even in strict mode."""
    strict_host = Host(JSON_STRICT=True)
    for each in (provider, DefaultJSONProvider(strict_host)):
        assert each.loads('{"a": 1, "a": 2}') == {"a": 2}
        assert each.loads("[Infinity]") == [float("inf")]


LAX = [b"[NaN]", b"[1e400]", b"-Infinity", b'{"a":1,"a":2}', b'"\\ud800"']


@pytest.mark.parametrize("body", LAX)
def test_strict_mode_is_a_setting(provider: DefaultJSONProvider, body: bytes) -> None:
    """Flask accepts these, and so does Quaff until JSON_STRICT is set; COMPAT does not weaken it."""
    provider.loads(body)
    for compat in ((), ("json-encodings",)):
        host = Host(JSON_STRICT=True, COMPAT=compat)
        with pytest.raises(ValueError, match=r"is not JSON|too large|occurs twice|surrogate"):
            DefaultJSONProvider(host).loads(body)


def test_strict_mode_reads_the_rest(provider: DefaultJSONProvider) -> None:
    """What is fine is read the same in strict mode, with options, too."""
    host = Host(JSON_STRICT=True)
    strict = DefaultJSONProvider(host)
    body = b'{"a":[1.5,null,"\\ud83d\\ude00"]}'
    assert strict.loads(body) == provider.loads(body)
    assert strict.loads(body, parse_float=decimal.Decimal) == {"a": [decimal.Decimal("1.5"), None, "😀"]}


def test_options_for_reading(provider: DefaultJSONProvider) -> None:
    """Options of json.loads work for text and bytes."""
    for body in ('{"a":1.5}', b'{"a":1.5}'):
        assert provider.loads(body, object_hook=lambda it: list(it.items())) == [("a", 1.5)]


def test_an_error_in_a_hook_comes_through(provider: DefaultJSONProvider) -> None:
    """What a hook of the app raises is not mistaken for broken JSON."""

    def hook(value: dict[str, Any]) -> Any:
        raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        provider.loads(b'{"a":1}', object_hook=hook)


# Responses -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "args, kwargs, body",
    [
        ((), {}, b"null\n"),
        ((None,), {}, b"null\n"),
        (({"b": 1, "a": [1, 2]},), {}, b'{"a":[1,2],"b":1}\n'),
        ((1, "two"), {}, b'[1,"two"]\n'),
        ((), {"x": 1, "y": 2}, b'{"x":1,"y":2}\n'),
    ],
)
def test_response(provider: DefaultJSONProvider, args: Any, kwargs: Any, body: bytes) -> None:
    """Arguments become the body as documented, and `response_body` says the same bytes."""
    response = provider.response(*args, **kwargs)
    assert response.data == body
    assert response.mimetype == "application/json"
    if len(args) == 1:
        assert provider.response_body(args[0]) == body


def test_response_takes_either_kind_of_argument(provider: DefaultJSONProvider) -> None:
    """Positional and keyword arguments together are a TypeError."""
    with pytest.raises(TypeError, match="takes either args or kwargs, not both"):
        provider.response(1, a=2)


@pytest.mark.parametrize(
    "compact, debug, indented",
    [(None, False, False), (None, True, True), (True, True, False), (False, False, True)],
)
def test_response_is_indented_for_debugging(
    provider: DefaultJSONProvider, host: Host, compact: bool | None, debug: bool, indented: bool
) -> None:
    """Debug mode indents unless `compact` says otherwise."""
    provider.compact, host.debug = compact, debug
    body = b'{\n  "a": 1\n}\n' if indented else b'{"a":1}\n'
    assert provider.response({"a": 1}).data == body
    assert provider.response_body({"a": 1}) == body


def test_response_mimetype_is_a_setting(provider: DefaultJSONProvider) -> None:
    """An API with a media type of its own says so once."""
    provider.mimetype = "application/vnd.api+json"
    assert provider.response([]).mimetype == "application/vnd.api+json"


def test_response_goes_through_an_overridden_dumps(provider: DefaultJSONProvider) -> None:
    """A `dumps` of one's own is used, from a subclass and from the instance."""

    class Custom(DefaultJSONProvider):
        def dumps(self, obj: Any, **kwargs: Any) -> str:
            assert kwargs == {"separators": (",", ":")}
            return "custom"

    host = Host()
    custom = Custom(host)
    assert custom.response([1]).data == b"custom\n"
    assert custom.response_body([1]) == b"custom\n"
    provider.dumps = lambda obj, **kwargs: "patched"  # type: ignore[method-assign]
    assert provider.response([1]).data == b"patched\n"
    assert provider.response_body([1]) == b"patched\n"


# The base class --------------------------------------------------------------------------------------------------------


def test_a_provider_of_ones_own(host: Host) -> None:
    """A provider needs `dumps` and `loads` only; bytes from `dumps` are sent as they are."""

    class Reversing(JSONProvider):
        def dumps(self, obj: Any, **kwargs: Any) -> str:
            return json.dumps(obj)[::-1]

        def loads(self, s: str | bytes, **kwargs: Any) -> Any:
            return json.loads(s[::-1])

    provider = Reversing(host)
    file = io.StringIO()
    provider.dump([1, 2], file)
    assert file.getvalue() == "]2 ,1["
    file.seek(0)
    assert provider.load(file) == [1, 2]
    assert provider.response(1, 2).data == b"]2 ,1["
    assert provider.response([1, 2]).mimetype == "application/json"
    assert provider.response_body([1, 2]) == b"]2 ,1["
    provider.dumps = lambda obj, **kwargs: b"raw"  # type: ignore[method-assign,assignment,return-value]
    assert provider.response_body([1]) == b"raw"


def test_the_base_class_reads_and_writes_nothing(host: Host) -> None:
    """The abstract methods say so."""
    provider = JSONProvider(host)
    with pytest.raises(NotImplementedError):
        provider.dumps(1)
    with pytest.raises(NotImplementedError):
        provider.loads("1")


def test_a_provider_does_not_keep_its_app_alive() -> None:
    """The app is referred to weakly and freed without the garbage collector; what needs no app still works."""
    host = Host()
    alive = weakref.ref(host)
    provider = DefaultJSONProvider(host)
    provider.dumps([1])
    gc.disable()
    try:
        del host
        assert alive() is None
    finally:
        gc.enable()
    assert provider.loads(b"[1]") == [1]
    assert provider.dumps([1]) == "[1]"
