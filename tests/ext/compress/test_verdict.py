"""What the headers of a response say."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quaff.ext.compress.verdict import is_shared, is_withheld, may_be_coded, read_headers

HTML = ("Content-Type", "text/html; charset=utf-8")


@pytest.mark.parametrize("status", range(100, 600))
def test_statuses(status: int) -> None:
    """Only success with a whole body is compressed: never 204, 205, 206, a redirect or an error."""
    assert may_be_coded(status) is (200 <= status < 300 and status not in {204, 205, 206})


TYPES = {
    "text/html": "text/html",
    "Text/HTML; charset=utf-8": "text/html",
    " application/json ": "application/json",
    "": "",
    "nonsense": "nonsense",
}


@pytest.mark.parametrize("value", TYPES)
def test_type(value: str) -> None:
    """The type is in lower case and has no parameters."""
    assert read_headers([("Content-Type", value)]).mimetype == TYPES[value]
    assert read_headers([]).mimetype == ""


@pytest.mark.parametrize(
    "value, length",
    [
        ("0", 0),
        ("500", 500),
        ("-1", None),
        ("x", None),
        ("", None),
        ("\u0661", None),
        ("9" * 19, int("9" * 19)),
        ("9" * 99, None),
    ],
)
def test_length(value: str, length: int | None) -> None:
    """A length is a number in ASCII; anything else is no length."""
    assert read_headers([("content-length", value)]).length == length


FIXED = {
    "coded": ("Content-Encoding", "br"),
    "identity": ("content-encoding", "identity"),
    "a part": ("Content-Range", "bytes 0-9/100"),
    "an old digest": ("Content-MD5", "abc"),
    "a digest of the bytes": ("Content-Digest", "sha-256=:abc=:"),
    "a digest of the representation": ("Repr-Digest", "sha-256=:abc=:"),
    "no-transform": ("Cache-Control", "no-cache, No-Transform"),
    "the server sends it": ("X-Sendfile", "a.css"),
    "nginx sends it": ("X-Accel-Redirect", "/a.css"),
}


@pytest.mark.parametrize("what", FIXED)
def test_bodies_that_have_to_stay(what: str) -> None:
    """A body that was coded, digested, cut, or comes from elsewhere stays as it is."""
    assert read_headers([HTML, FIXED[what]]).is_fixed
    assert not read_headers([HTML]).is_fixed


PERSONAL = {
    "a cookie is set": ("Set-Cookie", "a=b"),
    "private": ("Cache-Control", "Private"),
    "no-store": ("Cache-Control", "max-age=0, NO-STORE"),
    "by cookie": ("Vary", " cookie "),
    "by cookie among others": ("Vary", "Origin, Cookie"),
    "by authorization": ("Vary", "Authorization"),
    "by everything": ("Vary", "*"),
}
PUBLIC = {
    "nothing": HTML,
    "public": ("Cache-Control", "public, max-age=60"),
    "no-cache": ("Cache-Control", "no-cache"),
    "by origin": ("Vary", "Origin, Accept"),
}


@pytest.mark.parametrize("what", [*PERSONAL, *PUBLIC])
def test_personal(what: str) -> None:
    """A response that sets a cookie, depends on one or says so is for one user."""
    pair = PERSONAL.get(what) or PUBLIC[what]
    assert read_headers([HTML, pair]).is_personal is (what in PERSONAL)


def test_headers_of_one_name_count_together() -> None:
    """A header that is there twice is read as one with a comma."""
    traits = read_headers([("Vary", "Origin"), ("VARY", "Cookie"), ("X-Other", "1")])
    assert traits.headers == {"vary": "Origin, Cookie"}
    assert traits.is_personal


@given(st.lists(st.tuples(st.text(max_size=20), st.text(max_size=40)), max_size=8))
def test_any_headers_are_read(pairs: list[tuple[str, str]]) -> None:
    """No header raises."""
    read_headers(pairs)


REQUESTS: dict[str, tuple[dict[str, Any], bool]] = {
    "of another site, with cookies": ({"HTTP_SEC_FETCH_SITE": "cross-site", "HTTP_COOKIE": "a=b"}, True),
    "of another site, without": ({"HTTP_SEC_FETCH_SITE": "cross-site"}, False),
    "of a sister": ({"HTTP_SEC_FETCH_SITE": "same-site", "HTTP_COOKIE": "a=b"}, False),
    "of the site": ({"HTTP_SEC_FETCH_SITE": "same-origin", "HTTP_COOKIE": "a=b"}, False),
    "of the user": ({"HTTP_SEC_FETCH_SITE": "none", "HTTP_COOKIE": "a=b"}, False),
    "of an old browser": ({"HTTP_COOKIE": "a=b"}, False),
}


@pytest.mark.parametrize("what", REQUESTS)
def test_withheld(what: str) -> None:
    """A personal response is withheld from compression when another site caused the request; a public one never is."""
    environ, expected = REQUESTS[what]
    assert is_withheld(environ, read_headers([HTML, PERSONAL["by cookie"]])) is expected
    assert not is_withheld(environ, read_headers([HTML]))


def test_shared() -> None:
    """What is personal, or answers somebody who authorised himself, is not remembered for others."""
    public, personal = read_headers([HTML]), read_headers([PERSONAL["private"]])
    assert is_shared({}, public)
    assert is_shared({"HTTP_COOKIE": "a=b"}, public)
    assert not is_shared({}, personal)
    assert not is_shared({"HTTP_AUTHORIZATION": "Basic abc"}, public)
