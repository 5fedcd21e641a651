"""The body of a request that arrives over an event loop, for synchronous and for async readers.

The server gives chunks to whoever awaits them. An async view reads them as they come: `async for chunk in request.stream`.
Synchronous code reads from `wsgi.input` as ever; in a worker thread each read that has to wait goes to the loop and back. On
the loop itself nothing can wait, so bodies that are small or read whole anyway (`is_fetched_first`) have arrived before the
view is called: `request.get_json()` works in an async view too.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Final

from .._internal.async_bridge import run_coroutine

FETCHED_FIRST: Final = 1024 * 1024
"""Bodies of up to so many bytes have arrived before the view is called."""

_READ_WHOLE: Final = ("application/json", "application/x-www-form-urlencoded", "multipart/form-data")

NOT_THERE_YET: Final = (
    "The body of this request has not arrived yet, and an async view cannot wait for it in synchronous code. Read it with"
    " 'async for chunk in request.stream', or 'await request.load_body()' or 'await request.load_form()' first."
)


def is_fetched_first(content_length: str, content_type: str) -> bool:
    """Tell whether a body is waited for before the view is called: small ones, and JSON and forms of unknown length."""
    if content_length.isascii() and content_length.isdecimal():
        return len(content_length) < 10 and int(content_length) <= FETCHED_FIRST
    kind = content_type.partition(";")[0].strip().lower()
    return kind in _READ_WHOLE or kind.endswith("+json")


class RequestBody:
    """What a client sends after the headers. Is the `wsgi.input` of its request.

    :param receive: gives the next chunk, and empty bytes at the end; raises when the client is gone before that.
    """

    def __init__(self, receive: Callable[[], Awaitable[bytes]]) -> None:
        self._receive = receive
        self._buffer = b""
        # PERF: where in the buffer the reader is: to cut off what was read would copy the rest for each byte and line.
        self._at = 0
        self.is_complete = False
        """Whether the server has given all that there is."""

    async def fetch(self, limit: int = FETCHED_FIRST) -> None:
        """Wait until the body has arrived, or more than *limit* bytes of it."""
        chunks = [self._buffer]
        size = len(self._buffer)
        while not self.is_complete and size <= limit:
            chunk = await self._next_chunk()
            size += len(chunk)
            chunks.append(chunk)
        self._buffer = b"".join(chunks)

    async def _next_chunk(self) -> bytes:
        chunk = await self._receive()
        if not chunk:
            self.is_complete = True
        return chunk

    async def receive(self, size: int) -> bytes:
        """Return the next bytes, at most *size* of them; none at the end."""
        if self._at >= len(self._buffer) and not self.is_complete:
            self._buffer, self._at = await self._next_chunk(), 0
        return self._take(size)

    def _take(self, size: int) -> bytes:
        taken = self._buffer[self._at : self._at + size]
        self._at += len(taken)
        return taken

    def _wait_for_chunk(self) -> bytes:
        """Return the next chunk, for synchronous code.

        :raises RuntimeError: on an event loop, which must not wait.
        """
        if self.is_complete:
            return b""
        if asyncio._get_running_loop() is not None:
            raise RuntimeError(NOT_THERE_YET)
        return run_coroutine(self._next_chunk_once)

    async def _next_chunk_once(self) -> bytes:
        return await self._next_chunk()

    def _gather(self, size: int | None, *, line: bool) -> bytes:
        """Return *size* bytes, all when *size* is negative or None; with *line* at most up to the next line end."""
        wanted = sys.maxsize if size is None or size < 0 else size
        pieces: list[bytes] = []
        while wanted > 0:
            if self._at >= len(self._buffer):
                try:
                    self._buffer, self._at = self._wait_for_chunk(), 0
                except RuntimeError:
                    # Nothing is lost: whoever hears that it cannot be waited for here reads it in another way.
                    self._buffer, self._at = b"".join(pieces), 0
                    raise
                if not self._buffer:
                    break
            end = self._buffer.find(b"\n", self._at) + 1 if line else 0
            piece = self._take(min(wanted, end - self._at) if end else wanted)
            pieces.append(piece)
            if end and self._at == end:
                break
            wanted -= len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def read(self, size: int | None = -1, /) -> bytes:
        """Return *size* bytes, fewer at the end; all that is left when *size* is negative or None."""
        return self._gather(size, line=False)

    def readline(self, size: int | None = -1, /) -> bytes:
        """Return bytes up to and with the next line end, at most *size*."""
        return self._gather(size, line=True)

    def readlines(self, hint: int | None = None, /) -> list[bytes]:
        """Return all lines that are left, or lines of about *hint* bytes."""
        lines: list[bytes] = []
        size = 0
        for line in self:
            lines.append(line)
            size += len(line)
            if hint is not None and 0 < hint <= size:
                break
        return lines

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.readline, b"")

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"The body of a request has no {name!r}: it can be read once, from its start to its end.")
