"""What is put into a store beside plain values: pages with their ETag and tags, lists of variants, responses, HTTP errors.

All are plain data, so that the safe serializer can write them and nothing in a store can bring code along.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Final

from werkzeug.exceptions import HTTPException, default_exceptions
from werkzeug.wrappers import Response as BaseResponse

from ...headers import Headers
from ...wrappers import Response

_PLAIN_STATE: Final = frozenset(
    {"headers", "_status", "_status_code", "direct_passthrough", "_on_close", "response", "timeout"}
)
"""The attributes of a response that nobody has added anything to."""


@dataclass(frozen=True, slots=True)
class Page:
    """A value with what has to be known about it when it is found again."""

    value: Any
    """What the function returned."""

    etag: str | None = None
    """The entity tag with its quotes (RFC 9110 section 8.8.3), or None."""

    fresh_until: float = 0
    """The time from which the value is stale, in seconds since the epoch; 0 for never."""

    tags: Mapping[str, str] = field(default_factory=dict)
    """Tag -> its version when the value was made."""


@dataclass(frozen=True, slots=True)
class Variants:
    """Stands at a key whose values depend on more of the request than the key does."""

    names: tuple[str, ...]
    """What they depend on: names of headers in lower case, `?` for the query, `remote_addr`."""

    token: str
    """Part of the variants' keys, so that those of an index that was deleted are not found again."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A whole response as data."""

    status: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def thaw(self) -> Response:
        """Return a response of its own for one request."""
        response = Response.of_body(self.body, "")
        response.headers = Headers.wrap(list(self.headers))
        if self.status != "200 OK":
            response._status, response._status_code = self.status, int(self.status[:3])
        return response


@dataclass(frozen=True, slots=True)
class Raised:
    """An HTTP error that a view raised."""

    code: int
    description: str | None

    def thaw(self) -> HTTPException:
        """Return an exception of its own, to be raised."""
        return default_exceptions[self.code](self.description)


def freeze_response(response: BaseResponse) -> Snapshot | None:
    """Return a response as data, or None for one that is streamed, is to be closed, or is more than a response."""
    body: Any = response.response
    if type(body) is not list or response.direct_passthrough or not vars(response).keys() <= _PLAIN_STATE:
        return None
    if response._on_close or not all(type(chunk) is bytes for chunk in body):
        return None
    return Snapshot(response.status, tuple(response.headers), b"".join(body))


def freeze_error(error: HTTPException) -> Raised | None:
    """Return an HTTP error as data, or None for one that is more than its code and description."""
    plain = default_exceptions.get(error.code or 0) is type(error) and error.response is None
    state = {name for name, value in vars(error).items() if value is not None} - {"description", "response"}
    text = error.description
    if not plain or state or not (text is None or type(text) is str):
        return None
    return Raised(error.code or 0, text)


def etag_of(body: bytes) -> str:
    """Return a strong entity tag for *body*."""
    return f'"{blake2b(body, digest_size=16).hexdigest()}"'
