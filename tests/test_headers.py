"""Headers that refuse, where they are set, what cannot be sent."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.datastructures import EnvironHeaders, MultiDict
from werkzeug.datastructures import Headers as WerkzeugHeaders

from quaff.errors import HeaderError
from quaff.headers import Headers, check_status

CONTROLS = [chr(code) for code in (*range(0x20), 0x7F) if chr(code) != "\t"]
BAD_NAMES = ["", " ", "X Y", "X:", "X\r", "X\n", "\x00", "X\x7f", "X\t", "Ü", "X(", "X,Y", 'X"', "X;", "X=", "X/Y", "@"]

Setter = Callable[[Headers, str, Any], object]


def _ior(headers: Headers, name: str, value: Any) -> None:
    headers |= {name: value}


WAYS_IN: dict[str, Setter] = {
    "setitem": lambda headers, name, value: headers.__setitem__(name, value),
    "setitem index": lambda headers, name, value: headers.__setitem__(0, (name, value)),
    "setitem slice": lambda headers, name, value: headers.__setitem__(slice(0, 1), [("X-Good", "1"), (name, value)]),
    "set": lambda headers, name, value: headers.set(name, value),
    "add": lambda headers, name, value: headers.add(name, value),
    "add_header": lambda headers, name, value: headers.add_header(name, value),
    "extend pairs": lambda headers, name, value: headers.extend([("X-Good", "1"), (name, value)]),
    "extend mapping": lambda headers, name, value: headers.extend({name: [value]}),
    "extend kwargs": lambda headers, name, value: headers.extend(**{name: value}),
    "extend headers": lambda headers, name, value: headers.extend(MultiDict([(name, value)])),
    "update mapping": lambda headers, name, value: headers.update({name: value}),
    "update list": lambda headers, name, value: headers.update({name: [value]}),
    "update pairs": lambda headers, name, value: headers.update([(name, value)]),
    "update kwargs": lambda headers, name, value: headers.update(**{name: value}),
    "setlist": lambda headers, name, value: headers.setlist(name, ["good", value]),
    "setdefault": lambda headers, name, value: headers.setdefault(name, value),
    "setlistdefault": lambda headers, name, value: headers.setlistdefault(name, [value]),
    "or": lambda headers, name, value: headers | {name: value},
    "ior": _ior,
    "init pairs": lambda headers, name, value: Headers([(name, value)]),
    "init mapping": lambda headers, name, value: Headers({name: value}),
    "adopt": lambda headers, name, value: Headers.adopt(_unchecked(name, value)),
}


def _unchecked(name: str, value: str) -> WerkzeugHeaders:
    headers = WerkzeugHeaders()
    headers._list.append((name, value))
    return headers


@pytest.fixture
def headers() -> Headers:
    """Give headers with one of a kind and two of another."""
    return Headers([("X-One", "1"), ("Vary", "Accept"), ("Vary", "Cookie")])


# --- what is refused ---


@pytest.mark.parametrize("way", WAYS_IN.values(), ids=WAYS_IN)
@pytest.mark.parametrize("value", ["a\r\nb", "a\x00", "\x7f", "\x1b[0m"], ids=repr)
def test_every_way_in_refuses_a_control_character(headers: Headers, way: Setter, value: str) -> None:
    """Whichever method is used, a control character in a value raises and the headers stay as they were."""
    before = list(headers)
    with pytest.raises(HeaderError, match="X-New"):
        way(headers, "X-New", value)
    assert list(headers) == before


@pytest.mark.parametrize("way", WAYS_IN.values(), ids=WAYS_IN)
def test_every_way_in_refuses_a_bad_name(headers: Headers, way: Setter) -> None:
    """Whichever method is used, a name with a colon raises and the headers stay as they were."""
    before = list(headers)
    with pytest.raises(HeaderError, match="header name 'X-New:'"):
        way(headers, "X-New:", "1")
    assert list(headers) == before


@pytest.mark.parametrize("way", WAYS_IN.values(), ids=WAYS_IN)
def test_every_way_in_accepts_a_good_header(headers: Headers, way: Setter) -> None:
    """The same ways work for a header that can be sent: the test above refuses for the right reason."""
    result = way(headers, "X-New", "a\tb é")
    assert any("X-New" in held for held in (headers, result) if isinstance(held, Headers))


@pytest.mark.parametrize("control", CONTROLS, ids=repr)
@pytest.mark.parametrize("form", ["{}", "a{}", "{}b", "a{}b"])
def test_each_control_character_is_refused_everywhere_in_a_value(control: str, form: str) -> None:
    """At the start, inside and at the end: nothing is stripped away first."""
    with pytest.raises(ValueError, match="X-Name"):
        Headers()["X-Name"] = form.format(control)


@pytest.mark.parametrize("name", BAD_NAMES, ids=repr)
def test_bad_names_are_refused(name: str) -> None:
    """A name is a token (RFC 9110 section 5.6.2)."""
    with pytest.raises(HeaderError, match="cannot be sent"):
        Headers()[name] = "1"


@pytest.mark.parametrize("control", [*CONTROLS, "\t"], ids=repr)
def test_each_control_character_is_refused_in_a_name(control: str) -> None:
    """Not even a tab may stand in a name."""
    with pytest.raises(HeaderError):
        Headers().add(f"X{control}", "1")


def test_a_name_that_is_no_text_is_refused() -> None:
    """Bytes as a name are a mistake that says so."""
    with pytest.raises(HeaderError, match="b'X'"):
        Headers().add(b"X", "1")  # type: ignore[arg-type]


def test_parameters_are_checked_too() -> None:
    """What keyword arguments add to a value cannot break it either."""
    with pytest.raises(HeaderError):
        Headers().add("Content-Disposition", "attachment", filename="a\nb")


def test_the_message_says_which_header_and_what_is_wrong() -> None:
    """The message names the header, the rule, the character, its place and the value."""
    with pytest.raises(HeaderError) as caught:
        Headers()["X-Name"] = "a\r\nb"
    assert str(caught.value) == (
        "Header 'X-Name': header values must not contain newline characters: found '\\r' at position 1 of 'a\\r\\nb'."
    )


def test_a_long_value_is_shown_shortened() -> None:
    """The message of a 10 kB value stays readable."""
    with pytest.raises(HeaderError) as caught:
        Headers()["X-Name"] = "a" * 10_000 + "\x00"
    assert len(str(caught.value)) < 250
    assert "position 10000" in str(caught.value)


@pytest.mark.parametrize("value", ["日本", "a ☃", "\u2028", "\ud800"], ids=ascii)
def test_what_is_beyond_latin1_is_refused(value: str) -> None:
    """PEP 3333 has no way to send it, and servers fail later and in different ways."""
    with pytest.raises(HeaderError, match="beyond latin-1; percent-encode"):
        Headers()["X-Name"] = value


@pytest.mark.parametrize("name", ["Location", "location", "Content-Location"])
def test_url_headers_take_any_text(name: str) -> None:
    """Werkzeug percent-encodes these two when it sends them; control characters are refused all the same."""
    headers = Headers({name: "/日本"})
    assert headers[name] == "/日本"
    with pytest.raises(HeaderError, match="control"):
        headers[name] = "/日本\x00"


def test_after_many_names_a_bad_one_is_still_refused() -> None:
    """The memory of good names is bounded; past the bound each name is looked at."""
    headers = Headers()
    for number in range(2000):
        headers.add(f"X-{number}", "1")
    headers.add("X-1999", "2")
    with pytest.raises(HeaderError):
        headers.add("X-1999:", "1")
    assert headers.getlist("X-1999") == ["1", "2"]


# --- what is kept of Werkzeug ---


def test_is_a_werkzeug_headers(headers: Headers) -> None:
    """Code that asks for Werkzeug's class is content."""
    assert isinstance(headers, WerkzeugHeaders)


def test_equality_holds_across_the_classes(headers: Headers) -> None:
    """Equal content is equal, whichever side and whatever the case of the names."""
    same = WerkzeugHeaders([("vary", "Cookie"), ("x-one", "1"), ("VARY", "Accept")])
    assert headers == same
    assert same == headers
    assert headers != WerkzeugHeaders([("X-One", "1")])
    assert headers != [("X-One", "1")]
    assert headers != EnvironHeaders({"HTTP_X_ONE": "1"})


def test_is_not_hashable(headers: Headers) -> None:
    """As every mutable container."""
    with pytest.raises(TypeError):
        hash(headers)


def test_values_become_text() -> None:
    """Numbers and None are sent as their `str`, as in Werkzeug."""
    headers = Headers({"X-Number": 3})
    headers["X-None"] = None
    assert list(headers) == [("X-Number", "3"), ("X-None", "None")]


def test_tab_and_latin1_are_accepted() -> None:
    """A tab and the characters 0x80 to 0xff fit in a value."""
    everything = "\t" + "".join(map(chr, [*range(0x20, 0x7F), *range(0x80, 0x100)]))
    assert Headers({"X-All": everything})["x-all"] == everything


@pytest.mark.parametrize("key", ["X-Number", "x-number", "X-Text", "X-Missing"])
@pytest.mark.parametrize("type", [None, int])
def test_get_is_werkzeugs(key: str, type: Any) -> None:
    """The first of a name in any case; the default where there is none, and where *type* refuses the value."""
    pairs = [("X-Number", "1"), ("x-number", "2"), ("X-Text", "a")]
    for default in (None, "d"):
        assert Headers(pairs).get(key, default, type) == WerkzeugHeaders(pairs).get(key, default, type)


def test_setlist_of_nothing_removes(headers: Headers) -> None:
    """As in Werkzeug."""
    headers.setlist("Vary", [])
    assert "Vary" not in headers
    headers.setlist("X-One", None)  # type: ignore[arg-type]
    assert not headers


def test_underscores_in_parameter_names_become_hyphens() -> None:
    """As in Werkzeug; a None parameter is left out."""
    headers = Headers()
    headers.add("X", "a", one_two="3", none=None)
    headers.set("Y", "b", filename="c d")
    assert list(headers) == [("X", "a; one-two=3"), ("Y", 'b; filename="c d"')]


def test_copies_change_on_their_own(headers: Headers) -> None:
    """`copy()`, `copy.copy` and pickling give equal headers that share nothing."""
    for twin in (headers.copy(), copy.copy(headers), copy.deepcopy(headers), pickle.loads(pickle.dumps(headers))):
        assert type(twin) is Headers
        assert twin == headers
        twin["X-Two"] = "2"
        assert "X-Two" not in headers


def test_slices_are_headers_again(headers: Headers) -> None:
    """A slice keeps the class."""
    assert headers[1:] == Headers([("Vary", "Accept"), ("Vary", "Cookie")])


NAMES = st.sampled_from(["A", "a", "Bb", "bB", "C-c"])
TEXTS = st.text(st.characters(codec="latin1", exclude_categories=["Cc"]), max_size=4)
OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["set", "add", "add_header", "__setitem__", "setdefault"]), NAMES, TEXTS),
        st.tuples(st.sampled_from(["setlist", "setlistdefault"]), NAMES, st.lists(TEXTS, max_size=3)),
        st.tuples(st.sampled_from(["extend", "update"]), st.lists(st.tuples(NAMES, TEXTS), max_size=3)),
        st.tuples(st.sampled_from(["extend", "update"]), st.dictionaries(NAMES, st.lists(TEXTS, max_size=3))),
        st.tuples(st.sampled_from(["__delitem__", "remove"]), NAMES),
        st.tuples(st.just("__setitem__"), st.just(slice(0, 1)), st.lists(st.tuples(NAMES, TEXTS), max_size=2)),
    ),
    max_size=12,
)


@given(OPERATIONS)
def test_good_headers_are_kept_exactly_as_werkzeug_keeps_them(operations: list[tuple[Any, ...]]) -> None:
    """After any sequence of changes, both classes hold the same pairs in the same order."""
    ours, theirs = Headers(), WerkzeugHeaders()
    for method, *arguments in operations:
        assert getattr(ours, method)(*arguments) == getattr(theirs, method)(*arguments)
        assert list(ours) == list(theirs)


# --- wrap and adopt ---


def test_wrap_uses_the_list_itself() -> None:
    """No copy is made and nothing is checked: it is for pairs that were checked when they were made."""
    pairs = [("X-One", "1")]
    headers = Headers.wrap(pairs)
    headers["X-Two"] = "2"
    assert pairs == [("X-One", "1"), ("X-Two", "2")]


def test_adopt_shares_the_content() -> None:
    """A change to either shows in the other."""
    theirs = WerkzeugHeaders([("X-One", "1")])
    ours = Headers.adopt(theirs)
    ours["X-Two"] = "2"
    theirs["X-Three"] = "3"
    assert list(ours) == list(theirs) == [("X-One", "1"), ("X-Two", "2"), ("X-Three", "3")]


def test_adopt_returns_its_own_kind(headers: Headers) -> None:
    """What is checked already is returned as it is."""
    assert Headers.adopt(headers) is headers


def test_adopt_copies_request_headers() -> None:
    """Request headers are a view of the environ and cannot be shared."""
    assert list(Headers.adopt(EnvironHeaders({"HTTP_X_ONE": "1"}))) == [("X-One", "1")]


# --- status ---


@pytest.mark.parametrize("control", CONTROLS, ids=repr)
def test_a_status_with_a_control_character_is_refused(control: str) -> None:
    """The reason phrase ends the status line; nothing may end it early."""
    with pytest.raises(HeaderError, match="The status must not contain"):
        check_status(f"200 OK{control}X-Evil: 1")


@pytest.mark.parametrize("status", [200, "200 OK", "200", "404 Nicht gefundén", "200 A\tB"])
def test_a_good_status_passes(status: str | int) -> None:
    """Numbers, latin-1 text and tabs are what a status line may hold."""
    check_status(status)


def test_a_status_beyond_latin1_is_refused() -> None:
    """It could not be sent."""
    with pytest.raises(HeaderError, match="beyond latin-1"):
        check_status("200 日本")
