"""Cookies that cannot smuggle an attribute, and reading one of them."""

from __future__ import annotations

import warnings
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from werkzeug.datastructures import ImmutableMultiDict, MultiDict
from werkzeug.http import dump_cookie as werkzeug_dump_cookie
from werkzeug.http import parse_cookie as werkzeug_parse_cookie

from quaff import cookies
from quaff.cookies import dump_cookie, find_cookie, parse_cookies
from quaff.errors import HeaderError
from tests.watchdog import limited_work

CONTROLS = [chr(code) for code in (*range(0x20), 0x7F)]


# --- writing: what is refused ---


@pytest.mark.parametrize("key", ["", "k;a", "k=a", "k a", "k\ta", 'k"a', " k", "k ", ";", "=", *CONTROLS], ids=repr)
def test_a_bad_name_is_refused(key: str) -> None:
    """A name that would end early, or that nobody could read back, raises."""
    with pytest.raises(HeaderError, match="cookie name"):
        dump_cookie(key, "v")


@pytest.mark.parametrize(
    "domain",
    [
        "a; Secure",
        "a;b",
        "a,b",
        "a b",
        "a=b",
        "a/b",
        "a\r\nX: 1",
        "a\x00",
        "[::1]",
        "a" * 64 + ".test",
        "a..test",
        "ü;",
    ],
)
def test_a_bad_domain_is_refused(domain: str) -> None:
    """A domain is a host name and adds no attribute of its own."""
    with pytest.raises(HeaderError, match="is not a host name"):
        dump_cookie("k", "v", domain=domain)


@pytest.mark.parametrize("control", CONTROLS, ids=repr)
def test_a_control_character_in_the_path_is_refused(control: str) -> None:
    """Werkzeug percent-encodes it, to a path that no request has."""
    with pytest.raises(HeaderError, match="path"):
        dump_cookie("k", "v", path=f"/{control}")


@pytest.mark.parametrize("samesite", ["lax; Secure", "", "off", "Lax\n"])
def test_a_bad_samesite_is_refused(samesite: str) -> None:
    """One of three words, in any case."""
    with pytest.raises(HeaderError, match="SameSite must be 'Strict', 'Lax', or 'None'"):
        dump_cookie("k", "v", samesite=samesite)


@pytest.mark.parametrize("expires", ["x; Secure", "x\r\nX: 1", "\x00"], ids=repr)
def test_a_bad_date_is_refused(expires: str) -> None:
    """A date that is given as text adds nothing either."""
    with pytest.raises(HeaderError, match="the date"):
        dump_cookie("k", "v", expires=expires)


def test_a_max_age_that_is_no_number_is_refused() -> None:
    """Text would be sent as it is."""
    with pytest.raises(HeaderError, match="max_age must be seconds"):
        dump_cookie("k", "v", max_age="1; Secure")  # type: ignore[arg-type]


@pytest.mark.parametrize("code", range(0x1A, 0x20))
def test_control_characters_that_werkzeug_forgets_are_refused(code: int) -> None:
    """They would be sent raw."""
    with pytest.raises(HeaderError, match="the value"):
        dump_cookie("k", f"a{chr(code)}")


def test_a_value_that_is_no_text_is_refused() -> None:
    """The message says which cookie and what it was given."""
    with pytest.raises(TypeError, match="Cookie 'k': the value must be a str, not int: 1"):
        dump_cookie("k", 1)  # type: ignore[arg-type]


# --- writing: what is written ---


@pytest.mark.parametrize(
    "value", ["a\r\nb", "a;b", 'a"b', "a\\b", "日本", "a b", "a,b", "\x00", "", "plain"], ids=ascii
)
def test_any_other_value_comes_back_as_it_was(value: str) -> None:
    """What may not stand in a cookie is quoted, and the header stays one line."""
    line = dump_cookie("k", value)
    assert line.isascii()
    assert line.isprintable()
    assert find_cookie(line, "k") == value


def test_an_empty_domain_is_written_as_werkzeug_writes_it() -> None:
    """`Domain=` means the same as none."""
    assert dump_cookie("k", "v", domain="") == werkzeug_dump_cookie("k", "v", domain="")


KEYS = st.text(st.characters(exclude_categories=["Cc", "Cs"], exclude_characters=' =;"'), min_size=1, max_size=6)
VALUES = st.one_of(
    st.from_regex(r"[A-Za-z0-9_.\-]{0,20}", fullmatch=True),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x1a\x1b\x1c\x1d\x1e\x1f"), max_size=8),
)
YEARS = datetime(1990, 1, 1), datetime(2090, 1, 1)  # noqa: DTZ001 - hypothesis wants them naive
ATTRIBUTES = st.fixed_dictionaries(
    {},
    optional={
        "max_age": st.none() | st.integers(0, 10**8) | st.timedeltas(timedelta(0), timedelta(days=999)),
        "expires": st.none()
        | st.integers(0, 2**31)
        | st.datetimes(min_value=YEARS[0], max_value=YEARS[1], timezones=st.just(UTC))
        | st.just("Thu, 01 Jan 1970 00:00:00 GMT"),
        "path": st.none() | st.sampled_from(["/", "/a/b", "/a b", "/ü", "/%41;c", ""]),
        "domain": st.none()
        | st.sampled_from(["a.test", ".a.test", "localhost", "a.test:5000", "bücher.test", "127.0.0.1"]),
        "secure": st.booleans(),
        "httponly": st.booleans(),
        "sync_expires": st.booleans(),
        "samesite": st.none() | st.sampled_from(["Lax", "lax", "STRICT", "none"]),
        "partitioned": st.booleans(),
    },
)


@given(KEYS, VALUES, ATTRIBUTES)
def test_the_header_is_werkzeugs_byte_for_byte(key: str, value: str, attributes: dict[str, Any]) -> None:
    """Whatever is not refused is written exactly as Werkzeug writes it."""
    ours = dump_cookie(key, value, max_size=0, **attributes)
    theirs = werkzeug_dump_cookie(key, value, max_size=0, **attributes)
    if ours != theirs and attributes.get("max_age") is not None:
        # The second may have passed between the two.
        ours = dump_cookie(key, value, max_size=0, **attributes)
    assert ours == theirs


def test_max_age_gives_expires(monkeypatch: pytest.MonkeyPatch) -> None:
    """Old browsers know only `Expires`; both are written, from the same moment."""
    monkeypatch.setattr(cookies, "time", lambda: 1_000_000_000.9)
    assert dump_cookie("k", "v", max_age=60) == "k=v; Expires=Sun, 09 Sep 2001 01:47:40 GMT; Max-Age=60; Path=/"
    assert dump_cookie("k", "v", max_age=60, sync_expires=False) == "k=v; Max-Age=60; Path=/"


def test_a_large_cookie_warns() -> None:
    """Browsers drop it without a word, so the warning names it, its size and the setting."""
    with pytest.warns(UserWarning, match="'k' cookie is too large: its header has 5010 bytes, the limit is 4093"):
        dump_cookie("k", "v" * 5000)
    with pytest.warns(UserWarning, match="MAX_COOKIE_SIZE"):
        dump_cookie("k", "ü" * 40, max_size=100)


def test_the_size_can_be_unlimited() -> None:
    """With 0 nothing warns."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(dump_cookie("k", "v" * 5000, max_size=0)) == 5010


# --- reading ---

HEADERS = st.one_of(
    st.text(st.sampled_from('ab=; \t"\\,ü\x00'), max_size=25),
    st.lists(
        st.tuples(
            st.sampled_from(["a", "b", "ab", "", " a", "a "]), st.sampled_from(["", "1", " 1", "x y", '"q"', "=", "a"])
        ),
        max_size=5,
    ).map(lambda pairs: "; ".join(f"{key}={value}" for key, value in pairs)),
).map(lambda text: text.encode().decode("latin1"))


@given(HEADERS, st.sampled_from(["a", "b", "ab", "", "a b", " a", "ü", "a=", "a;"]))
@example("=a=1; a=2", "a")
@example("a", "a")
@example("a=1; a=2", "a")
@example('b="a=1; a=2"; a=3', "a")
def test_one_cookie_is_found_as_werkzeug_finds_it(header: str, name: str) -> None:
    """For any header, the answer is the first value that Werkzeug's parser has for the name."""
    assert find_cookie(header, name) == werkzeug_parse_cookie(header).get(name)
    assert parse_cookies(header, MultiDict) == werkzeug_parse_cookie(header)


@pytest.mark.parametrize(
    "header, value",
    [
        ("session=good", "good"),
        ("session=good; session=bad", "good"),
        ("=session=bad; session=good", "good"),
        ("=__Host-session=bad; session=good", "good"),
        ("xsession=bad; session=good", "good"),
        ("sessionx=bad; session=good", "good"),
        ("other=session=bad; session=good", "good"),
        ("session =good", "good"),
        ("session= good ;x=1", "good"),
        ("session=", ""),
        ("session", ""),
        ("session=a=b==", "a=b=="),
        ('session="a b"', "a b"),
        ("Session=bad", None),
        ("x=session", None),
        ("session=bad value", None),
        ("", None),
    ],
)
def test_which_cookie_is_found(header: str, value: str | None) -> None:
    """Nameless, doubled and look-alike cookies do not stand in for the real one (CVE-2023-23934)."""
    assert find_cookie(header, "session") == value


@pytest.mark.parametrize("header", ["a=\xff; b=2", "a=\xc3; b=2", "\xe9=1; b=2", "a=\u2603; b=2"], ids=ascii)
def test_bytes_that_are_not_utf8_harm_no_other_cookie(header: str) -> None:
    """Werkzeug raises for the whole header, on each request of that browser."""
    assert find_cookie(header, "b") == "2"
    assert parse_cookies(header, MultiDict)["b"] == "2"


def test_bytes_that_are_not_utf8_show_as_replacement() -> None:
    """So a signature over such a value cannot match."""
    assert find_cookie("a=x\xff", "a") == "x\ufffd"


def test_the_kind_of_dict_is_the_callers() -> None:
    """A request gets the immutable kind."""
    assert type(parse_cookies("a=1", ImmutableMultiDict)) is ImmutableMultiDict
    assert parse_cookies("", ImmutableMultiDict) == ImmutableMultiDict()


def test_a_long_header_takes_linear_time() -> None:
    """400 kB of what has no end are read through once."""
    for piece in ("a;", "a=", "= ;", ' " ', '\\"', "a=b; "):
        with limited_work():
            find_cookie(piece * (400_000 // len(piece)), "session")
            find_cookie('x="' + piece * (400_000 // len(piece)), "session")
