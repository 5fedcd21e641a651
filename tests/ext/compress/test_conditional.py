"""Validators of compressed responses."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.http import parse_etags, quote_etag

from quaff import Response
from quaff.ext.compress.conditional import answer_condition, coded_etag, judge_conditions
from quaff.ext.compress.settings import CODINGS
from quaff.streaming import AsyncBody

MONDAY, TUESDAY = "Mon, 03 Nov 2025 10:00:00 GMT", "Tue, 04 Nov 2025 10:00:00 GMT"

ETAGS = {
    '"abc"': '"abc:gzip"',
    ' "abc" ': '"abc:gzip"',
    '""': '":gzip"',
    'W/"abc"': 'W/"abc"',
    'w/"abc"': 'w/"abc"',
    "abc": '"abc:gzip"',
    '"': '"":gzip"',
}


@pytest.mark.parametrize("etag", ETAGS)
def test_etag_of_a_form(etag: str) -> None:
    """A strong ETag names the coding, a weak one stays, and one that was not quoted is."""
    assert coded_etag(etag, "gzip") == ETAGS[etag]


@given(st.text(st.characters(min_codepoint=0x23, max_codepoint=0x7E), min_size=1, max_size=20))
def test_each_coding_has_its_own(tag: str) -> None:
    """No two forms of a body share a strong ETag, and each is one that clients can send back."""
    made = [coded_etag(quote_etag(tag), coding) for coding in CODINGS]
    assert len({*made, quote_etag(tag)}) == 5
    for etag in made:
        assert parse_etags(etag).contains_raw(etag)


def environ(method: str = "GET", **conditions: str) -> dict[str, Any]:
    """Return the environ of a request with these headers."""
    return {"REQUEST_METHOD": method} | {f"HTTP_{name.upper()}": value for name, value in conditions.items()}


JUDGED: dict[str, tuple[dict[str, Any], int | None]] = {
    "no condition": (environ(), None),
    "has it": (environ(if_none_match='"abc:gzip"'), 304),
    "has it, among others": (environ(if_none_match='"x", "abc:gzip"'), 304),
    "has it, weakly": (environ(if_none_match='W/"abc:gzip"'), 304),
    "has any": (environ(if_none_match="*"), 304),
    "has the plain form": (environ(if_none_match='"abc"'), None),
    "has another form": (environ(if_none_match='"abc:br"'), None),
    "HEAD": (environ("HEAD", if_none_match='"abc:gzip"'), 304),
    "POST": (environ("POST", if_none_match='"abc:gzip"'), None),
    "not since": (environ(if_modified_since=MONDAY), 304),
    "since": (environ(if_modified_since="Sun, 02 Nov 2025 10:00:00 GMT"), None),
    "another form, not since": (environ(if_none_match='"abc"', if_modified_since=TUESDAY), None),
    "wants this one": (environ(if_match='"abc:gzip"'), None),
    "wants another one": (environ(if_match='"abc"'), 412),
    "nonsense": (environ(if_modified_since="yesterday"), None),
}


@pytest.mark.parametrize("what", JUDGED)
def test_conditions(what: str) -> None:
    """Conditions are about the form that would be sent; RFC 9110 section 13 says which counts."""
    asked, status = JUDGED[what]
    assert judge_conditions(asked, '"abc:gzip"', MONDAY) == status


def test_without_validators() -> None:
    """A response without ETag and date is always sent."""
    assert judge_conditions(environ(if_none_match='"abc"', if_modified_since=MONDAY), None, None) is None


class Body:
    """A body that notes that it was closed."""

    closed = 0

    def __iter__(self) -> Any:
        yield b"body"

    def close(self) -> None:
        self.closed += 1


def send(response: Response) -> tuple[str, dict[str, str], bytes]:
    """Return what a server gets from a response."""
    started: list[Any] = []
    result = response({"REQUEST_METHOD": "GET"}, lambda status, headers: started.extend([status, headers]))  # type: ignore[arg-type, return-value]
    content = b"".join(result)
    getattr(result, "close", lambda: None)()
    return started[0], {name.lower(): value for name, value in started[1]}, content


def test_not_modified() -> None:
    """A 304 has no body and keeps the headers that are not about it; the body is closed when it is sent."""
    body = Body()
    response = Response(body, headers={"ETag": '"a:br"', "Cache-Control": "max-age=1", "X-Frame-Options": "DENY"})
    response.headers["Content-Length"] = "4"
    answer_condition(response, 304)
    assert body.closed == 0
    status, headers, content = send(response)
    assert (status, content, body.closed) == ("304 NOT MODIFIED", b"", 1)
    assert headers == {"etag": '"a:br"', "cache-control": "max-age=1", "x-frame-options": "DENY"}


def test_precondition_failed() -> None:
    """A 412 has no body; the one that it would have had is closed."""
    body = Body()
    response = Response(body, headers={"Content-Length": "4"})
    answer_condition(response, 412)
    status, headers, content = send(response)
    assert (status, headers["content-length"], content, body.closed) == ("412 PRECONDITION FAILED", "0", b"", 1)


def test_async_bodies_are_not_closed_here() -> None:
    """An async body can be closed on its loop only, so it stays in the response, which closes it when it is sent."""

    async def pieces() -> Any:
        yield b"body"

    body = AsyncBody(pieces())
    response = Response(body)  # type: ignore[arg-type]
    answer_condition(response, 412)
    assert response.response is body
    body.close()
