"""The heads of HTTP/1.1 responses, and how their bodies are delimited (RFC 9112 section 6)."""

from __future__ import annotations

from enum import Enum, auto
from typing import Final

from ..wsgi import HeaderList

CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"

_HOP_BY_HOP: Final = frozenset({"transfer-encoding", "connection", "keep-alive", "upgrade"})
"""RFC 9110 section 7.6.1: these are between this server and the client, and no business of the app's."""


class BadResponseError(RuntimeError):
    """What the app answers cannot be sent."""


class Framing(Enum):
    """How a client sees where the body ends."""

    NONE = auto()
    """There is no body."""

    LENGTH = auto()
    """By `Content-Length`."""

    CHUNKED = auto()
    """By the last chunk."""

    CLOSE = auto()
    """By the end of the connection: for clients of HTTP/1.0."""


def encode_fields(headers: HeaderList) -> tuple[bytes, str]:
    """Return header lines as they are sent, and the same in lower case with a line end before each, to look things up.

    :raises BadResponseError: for what is no header: a name or value with a line end in it, or outside of latin-1.
    """
    text = "".join([f"{name}: {value}\r\n" for name, value in headers])
    # SECURITY: a line end in a value would begin a header, or a response, of somebody else's choice.
    if text.count("\n") != len(headers) or text.count("\r") != len(headers):
        raise BadResponseError("A header of the response holds a line end.")
    try:
        encoded = text.encode("latin1")
    except UnicodeEncodeError as error:
        raise BadResponseError(f"A header of the response is not latin-1: {error}.") from None
    return encoded, f"\n{text.lower()}"


def without_hop_by_hop(headers: HeaderList) -> HeaderList:
    """Return the headers that an app may set."""
    return [(name, value) for name, value in headers if name.lower() not in _HOP_BY_HOP]


def has_hop_by_hop(lines: str) -> bool:
    """Tell whether there is a header that the server decides about in *lines*, as `encode_fields` returns them."""
    return any(f"\n{name}:" in lines for name in _HOP_BY_HOP)


def declared_length(lines: str) -> int | None:
    """Return the `Content-Length` in *lines*, as `encode_fields` returns them; None without one.

    :raises BadResponseError: when it is no length, or there are two.
    """
    _, found, rest = lines.partition("\ncontent-length:")
    if not found:
        return None
    value = rest.partition("\r")[0].strip()
    if "\ncontent-length:" in rest or not (value.isascii() and value.isdecimal()):
        raise BadResponseError("The Content-Length of the response is not one number.")
    return int(value)


def is_bodiless(method: str, status: int) -> bool:
    """Tell whether a response never has a body (RFC 9110 section 6.4.1)."""
    return method == "HEAD" or status in {204, 304} or status < 200


def choose_framing(method: str, status: int, http_version: str, length: int | None) -> Framing:
    """Return how the end of a streamed body is told."""
    if is_bodiless(method, status):
        return Framing.NONE
    if length is not None:
        return Framing.LENGTH
    return Framing.CHUNKED if http_version == "1.1" else Framing.CLOSE


def plain_response(status: str, date: bytes, words: str, headers: bytes = b"") -> bytes:
    """Return a whole response in plain text, after which the connection is closed."""
    body = words.encode()
    return (
        b"HTTP/1.1 %s\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\n%sConnection: close\r\n%s\r\n%s"
        % (status.encode("latin1"), len(body), headers, date, body)
    )
