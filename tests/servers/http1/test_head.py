"""Heads of responses: what may stand in them, and how the end of a body is told."""

from __future__ import annotations

import pytest

from quaff.servers.http1.head import (
    BadResponseError,
    Framing,
    choose_framing,
    declared_length,
    encode_fields,
    has_hop_by_hop,
    is_bodiless,
    plain_response,
    without_hop_by_hop,
)


def test_headers_are_sent_as_they_are() -> None:
    """Order, case and repetitions stay; the second form is for looking things up, and in lower case."""
    encoded, lines = encode_fields([("X-B", "Ü"), ("x-a", "1"), ("X-B", "2")])
    assert encoded == "X-B: Ü\r\nx-a: 1\r\nX-B: 2\r\n".encode("latin1")
    assert lines == "\nx-b: ü\r\nx-a: 1\r\nx-b: 2\r\n"
    assert encode_fields([]) == (b"", "\n")


@pytest.mark.parametrize("end", ["\r\n", "\n", "\r", "\n\r"])
def test_a_line_end_in_a_header_is_refused(end: str) -> None:
    """Neither a value nor a name can begin a header, or a response, of its own."""
    with pytest.raises(BadResponseError, match="line end"):
        encode_fields([("Location", f"/{end}Set-Cookie: a=b")])
    with pytest.raises(BadResponseError, match="line end"):
        encode_fields([("X-A", "1"), (f"X-B{end}X-C", "2")])


def test_what_latin_1_lacks_is_refused() -> None:
    """There is no way to send it in a header; the message says what it was."""
    with pytest.raises(BadResponseError, match="u20ac"):
        encode_fields([("X-Price", "5 €")])


def test_only_the_server_speaks_about_the_connection() -> None:
    """Headers that are about the connection are found in any case, and left out; others only look alike."""
    headers = [("Connection", "close"), ("TRANSFER-ENCODING", "chunked"), ("Keep-Alive", "1"), ("upgrade", "h2c")]
    fine = [("X-Connection", "upgrade: x"), ("Connection-Id", "7"), ("Upgrade-Insecure-Requests", "1")]
    for header in headers:
        assert has_hop_by_hop(encode_fields([*fine, header])[1])
    assert not has_hop_by_hop(encode_fields(fine)[1])
    assert without_hop_by_hop([*headers, *fine]) == fine


@pytest.mark.parametrize(
    "headers,length",
    [
        ([], None),
        ([("X-Content-Length", "7")], None),
        ([("X", "content-length: 7")], None),
        ([("Content-Length", "0")], 0),
        ([("X", "1"), ("content-length", " 12 "), ("Y", "2")], 12),
    ],
)
def test_the_declared_length_is_found(headers: list[tuple[str, str]], length: int | None) -> None:
    """It is the value of `Content-Length`, and of nothing that looks like it."""
    assert declared_length(encode_fields(headers)[1]) == length


@pytest.mark.parametrize("value", ["", "-1", "+1", "1.0", "0x10", "1, 1", "²", "many"])
def test_a_length_that_is_no_number_is_refused(value: str) -> None:
    """Whoever stands between would read something into it."""
    with pytest.raises(BadResponseError, match="not one number"):
        declared_length(encode_fields([("Content-Length", value)])[1])


def test_two_lengths_are_refused() -> None:
    """Also when they agree."""
    with pytest.raises(BadResponseError, match="not one number"):
        declared_length(encode_fields([("Content-Length", "1"), ("Content-Length", "1")])[1])


@pytest.mark.parametrize(
    "method,status,bodiless",
    [
        ("GET", 200, False),
        ("HEAD", 200, True),
        ("HEAD", 404, True),
        ("GET", 204, True),
        ("GET", 304, True),
        ("POST", 205, False),
        ("GET", 103, True),
        ("GET", 500, False),
    ],
)
def test_some_responses_never_have_a_body(method: str, status: int, bodiless: bool) -> None:
    """Answers to HEAD, and those of RFC 9110 section 6.4.1."""
    assert is_bodiless(method, status) is bodiless


@pytest.mark.parametrize(
    "method,status,version,length,framing",
    [
        ("GET", 200, "1.1", None, Framing.CHUNKED),
        ("GET", 200, "1.0", None, Framing.CLOSE),
        ("GET", 200, "1.1", 5, Framing.LENGTH),
        ("GET", 200, "1.0", 0, Framing.LENGTH),
        ("HEAD", 200, "1.1", None, Framing.NONE),
        ("HEAD", 200, "1.0", 5, Framing.NONE),
        ("GET", 304, "1.1", 5, Framing.NONE),
    ],
)
def test_the_end_of_a_stream_is_told(
    method: str, status: int, version: str, length: int | None, framing: Framing
) -> None:
    """By the length where the app says it, else as the client's version of HTTP allows."""
    assert choose_framing(method, status, version, length) is framing


def test_a_plain_response_is_whole() -> None:
    """It has a length in bytes, says that it is the last, and carries what is added."""
    response = plain_response("426 Upgrade Required", b"Date: now\r\n", "Überholt\n", b"X-A: 1\r\n")
    head, _, body = response.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert lines[0] == b"HTTP/1.1 426 Upgrade Required"
    assert {b"Content-Length: 10", b"Connection: close", b"X-A: 1", b"Date: now"} <= set(lines)
    assert body.decode() == "Überholt\n"
