"""One request of a connection, and the way to answer it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from io import BytesIO
from typing import Final, Protocol
from urllib.parse import unquote, unquote_to_bytes

from werkzeug.exceptions import ClientDisconnected

from ..body import RequestBody, is_fetched_first
from ..environ import BASE_ENVIRON, put_headers
from ..exchange import Exchange
from ..wsgi import Environ, HeaderList
from .head import (
    CONTINUE,
    BadResponseError,
    Framing,
    choose_framing,
    declared_length,
    encode_fields,
    has_hop_by_hop,
    is_bodiless,
    without_hop_by_hop,
)
from .service import Service

BODY_HELD: Final = 64 * 1024
"""Bytes of a body that are held for the app; then the client has to wait."""

_COPIED: Final = 64 * 1024
"""Bodies of up to so many bytes are copied behind their head, which is cheaper than writing twice."""


class Carrier(Protocol):
    """What an exchange asks of its connection."""

    service: Service
    is_full: bool
    """Whether the client does not keep up with what is sent."""

    def write(self, data: bytes) -> None:
        """Send bytes; with the client gone, do nothing."""

    async def wait_for_room(self) -> None:
        """Return when the client has taken most of what was sent, or is gone."""

    def note_end(self, exchange: HTTP1Exchange) -> None:
        """Take note that all of the answer to *exchange* was sent."""

    def closes_after(self, exchange: HTTP1Exchange) -> bool:
        """Tell whether the answer to *exchange* is the last on this connection."""
        ...

    def go_on_reading(self) -> None:
        """Read again, unless there is a reason not to."""

    def rest(self) -> None:
        """Give up what only the next request needs: the answer may take long."""

    def local_address(self) -> tuple[str, str]:
        """Return the host and the port that the client has connected to."""
        ...

    def client_address(self) -> str:
        """Return the address of the client; empty over a unix socket."""
        ...


class HTTP1Exchange(Exchange):
    """A request that came over HTTP/1.

    :param target: what stands in the request line between method and version.
    :param fields: names in lower case, and values, of the headers.
    """

    watches_while_reading = True

    def __init__(
        self,
        connection: Carrier,
        method: str,
        target: bytes,
        fields: list[tuple[bytes, bytes]],
        http_version: str,
        keeps_alive: bool,
    ) -> None:
        self.app = connection.service.app
        self.method = method
        self.http_version = http_version
        self.keeps_alive = keeps_alive
        self._connection: Carrier = connection
        path, _, query = target.partition(b"?")
        self._raw_path, self._query = path, query
        text = path.decode("latin1")
        self.path = unquote(text) if "%" in text or not text.isascii() else text
        self._fields = fields
        self._has_arrived = False
        self._has_begun = self._has_ended = False
        self._framing = Framing.NONE
        self._left = 0

    status = 500
    """The status that was sent, for the log; 500 when nothing was."""

    is_event_stream = False
    """Whether the answer goes on until somebody ends it."""

    _chunks: list[bytes] | None = None
    _chunks_size = 0
    _chunk_waiter: asyncio.Future[None] | None = None
    _has_failed = False
    _leaving: asyncio.Future[None] | None = None

    # The request -------------------------------------------------------------------------------------------------------

    def header(self, name: str) -> str | None:
        """Return the first header called *name*, in lower case; None without one."""
        wanted = name.encode()
        for key, value in self._fields:
            if key == wanted:
                return value.decode("latin1")
        return None

    @property
    def host(self) -> str | None:
        """The `Host` header."""
        return self.header("host")

    def has_cookie(self) -> bool:
        """Tell whether the request has a `Cookie` header."""
        return self.header("cookie") is not None

    def _make_environ(self) -> Environ:
        connection = self._connection
        host, port = connection.local_address()
        raw = self._raw_path
        environ: Environ = BASE_ENVIRON | {
            "REQUEST_METHOD": self.method,
            "PATH_INFO": (unquote_to_bytes(raw) if b"%" in raw else raw).decode("latin1"),
            "QUERY_STRING": self._query.decode("latin1"),
            "SERVER_NAME": host,
            "SERVER_PORT": port,
            "SERVER_PROTOCOL": f"HTTP/{self.http_version}",
            "REMOTE_ADDR": connection.client_address(),
            "wsgi.url_scheme": connection.service.scheme,
            "wsgi.input": BytesIO(),
        }
        put_headers(environ, [(name.decode("latin1"), value.decode("latin1")) for name, value in self._fields])
        return environ

    def look_for_body(self) -> bool:
        """Give the exchange its body if the request may have one; tell whether to wait for that before the view."""
        if self._has_arrived and self._chunks is None:
            return False
        self.body = RequestBody(self._next_chunk)
        return is_fetched_first(self.header("content-length") or "", self.header("content-type") or "")

    # The body as it comes: the connection calls these ----------------------------------------------------------------------

    def feed(self, chunk: bytes) -> bool:
        """Take a piece of the body, and tell whether the client has to wait now."""
        if self._chunks is None:
            self._chunks = []
        self._chunks.append(chunk)
        self._chunks_size += len(chunk)
        self._wake_reader()
        return self._chunks_size >= BODY_HELD

    def note_arrival(self) -> None:
        """Take note that the whole request has arrived."""
        self._has_arrived = True
        self._wake_reader()

    def fail(self) -> None:
        """Take note that the rest of the body cannot be read."""
        self._has_failed = True
        self._wake_reader()

    def _wake_reader(self) -> None:
        waiter = self._chunk_waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    @property
    def waits_for_body(self) -> bool:
        """Whether the app waits for the client to send more of the body."""
        return self._chunk_waiter is not None

    @property
    def has_arrived(self) -> bool:
        """Whether the whole request has arrived."""
        return self._has_arrived

    def is_long(self, size: int) -> bool:
        """Tell whether the client has announced a body of more than *size* bytes."""
        length = self.header("content-length")
        return length is not None and int(length) > size

    @property
    def has_failed(self) -> bool:
        """Whether the rest of the body cannot be read."""
        return self._has_failed

    async def _next_chunk(self) -> bytes:
        while not self._chunks:
            if self.is_disconnected:
                raise ClientDisconnected("The client went away before it had sent the whole body.")
            if self._has_failed:
                raise ClientDisconnected("What the client sent as the body is not readable as HTTP/1.")
            if self._has_arrived:
                return b""
            if self._chunks is None and not self._has_begun and self._expects_continue():
                self._chunks = []
                self._connection.write(CONTINUE)
            self._chunk_waiter = self._connection.service.loop.create_future()
            try:
                await self._chunk_waiter
            finally:
                self._chunk_waiter = None
        chunk = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
        self._chunks = []
        self._chunks_size = 0
        self._connection.go_on_reading()
        return chunk

    def _expects_continue(self) -> bool:
        # RFC: 9110 section 10.1.1.
        return self.http_version == "1.1" and (self.header("expect") or "").lower() == "100-continue"

    # The client's leaving ------------------------------------------------------------------------------------------------

    def start_watching(self, whom: asyncio.Task[object] | None) -> None:
        """Cancel the task *whom* when the client goes away."""
        # PERF: the connection hears it anyway, so nobody has to wait for it.
        if not self._is_over and self._is_watched:
            self._whom = whom

    def stop_watching(self) -> None:
        """Forget about the client: the answer is ready."""
        self._whom = None

    def look_for_disconnect(self) -> bool:
        """Tell whether the client has gone away."""
        return self.is_disconnected

    def lose(self) -> None:
        """Take note that the client has gone away, or that there is no point any more in answering it."""
        self.is_disconnected = True
        self._wake_reader()
        whom, self._whom = self._whom, None
        if whom is not None:
            whom.cancel()
        if self._leaving is not None and not self._leaving.done():
            self._leaving.set_result(None)

    async def wait_for_disconnect(self) -> None:
        """Return when the client has gone away."""
        if self.is_disconnected:
            return
        if self._leaving is None or self._leaving.done():
            self._leaving = self._connection.service.loop.create_future()
        await asyncio.shield(self._leaving)

    # The answer ----------------------------------------------------------------------------------------------------------

    @property
    def has_begun(self) -> bool:
        """Whether anything of the answer was sent."""
        return self._has_begun

    @property
    def has_ended(self) -> bool:
        """Whether all of the answer was sent."""
        return self._has_ended

    def _head(self, status: str, fields: tuple[bytes, str], added: bytes, *, is_last: bool) -> bytes:
        encoded, lines = fields
        # SECURITY: as in `encode_fields`.
        if not status.isprintable():
            raise BadResponseError("The status of the response holds a line end or another control character.")
        if "\ndate:" not in lines:
            added += self._connection.service.date
        if is_last:
            added += b"Connection: close\r\n"
        elif self.http_version == "1.0":
            added += b"Connection: keep-alive\r\n"
        return b"HTTP/1.1 %s\r\n%s%s\r\n" % (status.encode("latin1"), encoded, added)

    def whole_response(self, status: str, headers: HeaderList, body: bytes, *, is_last: bool) -> tuple[bytes, bytes]:
        """Return the head and the body of a whole response as they are sent.

        :param is_last: whether the connection is closed after it.
        :raises BadResponseError: when the app answers what cannot be sent.
        """
        fields = _fields_of(headers)
        added = b""
        if is_bodiless(self.method, int(status[:3])):
            body = b""
        elif f"\ncontent-length: {len(body)}\r" not in fields[1] or fields[1].count("\ncontent-length:") > 1:
            if declared_length(fields[1]) is not None:
                raise BadResponseError(
                    f"The response declares another length than that of its body, {len(body)} bytes."
                )
            added = b"Content-Length: %d\r\n" % len(body)
        return self._head(status, fields, added, is_last=is_last), body

    def _send(self, status: str, headers: HeaderList, body: bytes) -> Awaitable[None] | None:
        connection = self._connection
        self.status = int(status[:3])
        head, body = self.whole_response(status, headers, body, is_last=connection.closes_after(self))
        self._has_begun = self._has_ended = True
        if len(body) <= _COPIED:
            connection.write(head + body)
        else:
            connection.write(head)
            connection.write(body)
        connection.note_end(self)
        return connection.wait_for_room() if connection.is_full else None

    async def begin(self, status: str, headers: HeaderList) -> Callable[[bytes], Awaitable[None]]:
        """Send status and headers, and return the function that sends a piece of the body."""
        connection = self._connection
        self.status = code = int(status[:3])
        fields = _fields_of(headers)
        length = declared_length(fields[1])
        self._framing = framing = choose_framing(self.method, code, self.http_version, length)
        self._left = length or 0
        if framing is Framing.CLOSE:
            self.keeps_alive = False
        self.is_event_stream = "\ncontent-type: text/event-stream" in fields[1]
        added = b"Transfer-Encoding: chunked\r\n" if framing is Framing.CHUNKED else b""
        head = self._head(status, fields, added, is_last=connection.closes_after(self))
        self._has_begun = True
        connection.write(head)
        if self._has_arrived:
            connection.rest()
        return self._push_chunk if framing is Framing.CHUNKED else partial(self._push_plain, framing)

    async def _push_chunk(self, piece: bytes) -> None:
        if self.is_disconnected:
            return
        connection = self._connection
        if not piece:
            self.end()
            return
        connection.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        if connection.is_full:
            await connection.wait_for_room()

    async def _push_plain(self, framing: Framing, piece: bytes) -> None:
        if self.is_disconnected:
            return
        connection = self._connection
        if not piece:
            self.end()
        elif framing is not Framing.NONE:
            if framing is Framing.LENGTH:
                if len(piece) > self._left:
                    raise BadResponseError("The body of the response is longer than its Content-Length.")
                self._left -= len(piece)
            connection.write(piece)
            if connection.is_full:
                await connection.wait_for_room()

    def end(self) -> None:
        """Send the end of a streamed body, unless it was sent."""
        if self._has_ended:
            return
        if self._framing is Framing.CHUNKED:
            self._connection.write(b"0\r\n\r\n")
        # Too short a body ends with the connection, so that the client knows.
        self._has_ended = self._framing is not Framing.LENGTH or self._left == 0
        if self._has_ended:
            self._connection.note_end(self)

    def release(self) -> None:
        """Take note that the request is over, and let go of what refers back."""
        super().release()
        self._whom = None


def _fields_of(headers: HeaderList) -> tuple[bytes, str]:
    """Return what `encode_fields` does, of the headers that an app may set."""
    fields = encode_fields(headers)
    return encode_fields(without_hop_by_hop(headers)) if has_hop_by_hop(fields[1]) else fields
