"""The words of ASGI."""

from __future__ import annotations

import pytest

from quaff.servers.messages import decode_headers, encode_headers


def test_headers_are_bytes_with_names_in_lower_case() -> None:
    """The specification wants them so; the order and repetitions stay."""
    headers = [("Content-Type", "text/html"), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=é")]
    assert encode_headers(headers) == [
        (b"content-type", b"text/html"),
        (b"set-cookie", b"a=1"),
        (b"set-cookie", b"b=\xe9"),
    ]


def test_headers_of_an_application_are_text() -> None:
    """Bytes become text one by one, as WSGI has it; the order and repetitions stay."""
    assert decode_headers(((b"X-A", b"1"), (b"x-a", b"\xe9"))) == [("X-A", "1"), ("x-a", "é")]


def test_what_does_not_fit_into_a_byte_is_refused() -> None:
    """A response refuses such a value where it is set; what got around that must not be sent as something else."""
    with pytest.raises(UnicodeEncodeError):
        encode_headers([("X-Name", "☃")])
