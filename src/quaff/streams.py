"""The body of a request as a stream that cannot be read past its end, and that does not end early unnoticed.

Werkzeug stops checking the announced length as soon as the server says that it ends the stream itself
(`wsgi.input_terminated`, which Granian sets): a body of 5 bytes that announced 100 then looks complete. Here it is a
`ClientDisconnected` (400) under every server. A body of unknown length ends at `max_content_length` with a
`RequestEntityTooLarge` (413), where Werkzeug hands out the first bytes as if they were all.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from io import BytesIO
from typing import IO, TYPE_CHECKING, cast

from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge
from werkzeug.wsgi import LimitedStream, get_content_length

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

CHUNK = 1024 * 1024
"""The most bytes that are asked of the server at once, so that memory grows with what arrives, not with a promise."""


class _Body(LimitedStream):
    """What both kinds of body share: reads go straight to the server's stream, without a buffer in between."""

    def read(self, size: int | None = -1, /) -> bytes:
        """Return up to *size* bytes, or all that is left when *size* is negative or None."""
        if size is None or size < 0:
            return self.readall()
        wanted = min(size, self.limit - self._pos)
        if wanted <= 0:
            if size:
                self.on_exhausted()
            return b""
        # PERF: io.RawIOBase.read would fill and copy a bytearray of the wanted size first.
        try:
            data = self._stream.read(wanted)
        except (OSError, ValueError) as error:
            self.on_disconnect(error)
            return b""
        if not data:
            self.on_disconnect()
            return b""
        self._pos += len(data)
        return data

    def readall(self) -> bytes:
        """Return all that is left."""
        chunks: list[bytes] = []
        while data := self.read(CHUNK):
            chunks.append(data)
        return b"".join(chunks)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Give the body as it arrives, within the same limits and with the same errors as `read`."""
        receive = getattr(self._stream, "receive", None)
        if receive is None:
            # PERF: here, because `asyncio` is not loaded for programs that never come here.
            from ._internal.threads import run_in_thread

            # A WSGI server's stream: reading it waits, so a thread does.
            while data := await run_in_thread(self.read, CHUNK):
                yield data
            return
        while self._pos < self.limit:
            data = await receive(min(CHUNK, self.limit - self._pos))
            if not data:
                self.on_disconnect()
                return
            self._pos += len(data)
            yield data
        if self._looks_further and await receive(1):
            self._refuse()

    _looks_further = False

    def _refuse(self) -> None:
        """Refuse more bytes than there may be."""


class ExactBody(_Body):
    """A body of announced length: gives exactly that many bytes, or raises `ClientDisconnected` (400)."""

    def readall(self) -> bytes:
        """Return all that is left.

        :raises werkzeug.exceptions.ClientDisconnected: when the input ends before the announced length.
        """
        data = self.read(CHUNK)
        # PERF: nearly every body is one chunk; then nothing is joined and nothing asked twice.
        if self._pos >= self.limit:
            return data
        return data + super().readall()

    def on_disconnect(self, error: Exception | None = None) -> None:
        """Refuse a body that ended early: it must not pass for a complete one."""
        raise ClientDisconnected(
            f"The request announced a body of {self.limit} bytes but only {self._pos} arrived."
        ) from error


class BoundedBody(_Body):
    """A body of unknown length (chunked): the server says where it ends, the limit how much of it is accepted."""

    def __init__(self, stream: IO[bytes], limit: int) -> None:
        super().__init__(stream, limit, is_max=True)
        self._too_large = False

    def on_exhausted(self) -> None:
        """Accept a body of exactly the limit, refuse a longer one.

        :raises werkzeug.exceptions.RequestEntityTooLarge: when there is more to read; on each further read too.
        """
        # A server that ends the stream itself answers this read at once, so looking one byte ahead cannot hang.
        if self._too_large or self._stream.read(1):
            self._refuse()

    _looks_further = True

    def _refuse(self) -> None:
        self._too_large = True
        raise RequestEntityTooLarge(f"The request body is larger than the {self.limit} bytes that are accepted.")


def _announced_length(environ: WSGIEnvironment) -> int | None:
    """Return the announced length, or None when there is none that can be used (absent, chunked, not a number)."""
    text: str | None = environ.get("CONTENT_LENGTH")
    if not text:
        return None
    if "HTTP_TRANSFER_ENCODING" in environ:
        # RFC: 9112 section 6.3: a chunked coding overrides the announced length.
        return get_content_length(environ)
    return int(text) if text.isdecimal() and text.isascii() and len(text) <= 20 else None


def _refuse_announced(announced: int, limit: int) -> RequestEntityTooLarge:
    return RequestEntityTooLarge(f"The request body has {announced} bytes; at most {limit} are accepted.")


def _no_body() -> IO[bytes]:
    return cast("IO[bytes]", ExactBody(BytesIO(), 0))


def body_stream(environ: WSGIEnvironment, max_content_length: int | None) -> IO[bytes]:
    """Return the body as a stream that is safe to read to its end.

    Without a usable `Content-Length` the stream is empty, unless the server ends it itself (`wsgi.input_terminated`):
    then it is read up to *max_content_length*.

    :param max_content_length: the most bytes that are accepted; None for no limit.
    :raises werkzeug.exceptions.RequestEntityTooLarge: when more than *max_content_length* bytes are announced. The
        stream raises it too, when more arrive, and `ClientDisconnected` when fewer arrive than were announced.
    """
    announced = _announced_length(environ)
    if announced is not None:
        if max_content_length is not None and announced > max_content_length:
            raise _refuse_announced(announced, max_content_length)
        if announced == 0:
            return _no_body()
        return cast("IO[bytes]", ExactBody(environ["wsgi.input"], announced))
    if "wsgi.input_terminated" not in environ:
        return _no_body()
    # Without a limit too: the server's own object can't be iterated on a loop, and its errors are not HTTP's.
    limit = sys.maxsize if max_content_length is None else max_content_length
    return cast("IO[bytes]", BoundedBody(environ["wsgi.input"], limit))


def read_body(environ: WSGIEnvironment, max_content_length: int | None) -> bytes:
    """Return the whole body; what `body_stream(...).read()` returns and raises, in fewer steps for a small body."""
    text = environ.get("CONTENT_LENGTH", "")
    # PERF: a small body of announced length, as nearly every one is; `body_stream` knows all the others.
    if not (text.isascii() and text.isdecimal() and len(text) < 7) or "HTTP_TRANSFER_ENCODING" in environ:
        return body_stream(environ, max_content_length).read()
    announced = int(text)
    if announced == 0:
        return b""
    if max_content_length is not None and announced > max_content_length:
        raise _refuse_announced(announced, max_content_length)
    try:
        data: bytes = environ["wsgi.input"].read(announced)
    except (OSError, ValueError) as error:
        raise ClientDisconnected(
            f"The request announced a body of {announced} bytes that could not be read."
        ) from error
    if len(data) == announced:
        return data
    rest = ExactBody(environ["wsgi.input"], announced)
    rest._pos = len(data)
    if not data:
        rest.on_disconnect()
    return data + rest.readall()
