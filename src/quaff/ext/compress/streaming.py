"""Streams that are compressed on their way: what a view gives reaches the client at once, and closing passes through."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Iterator
from typing import Any, Final

from ...streaming import AsyncBody
from .encoders import Encoder

_SLICE: Final = 64 * 1024


def slices(data: bytes, size: int = _SLICE) -> Iterator[bytes]:
    """Give a body piece by piece."""
    for start in range(0, len(data), size):
        yield data[start : start + size]


class CodedIterable:
    """The compressed form of an iterable body. A server iterates it in a worker thread if it has an event loop.

    :param source: gives `bytes` or `str`; closed with this.
    :param flush: whether each piece goes out at once. Without it the stream is smaller, and its pieces come when they are
        full: right for files, whose next piece is not long in coming.
    """

    def __init__(self, source: Iterable[bytes | str], encoder: Encoder, *, flush: bool = True) -> None:
        self._source = source
        self._pieces: Iterator[bytes | str] | None = None
        self._encoder = encoder
        self._code: Callable[[bytes], bytes] = encoder.flush if flush else encoder.feed
        self._is_over = False

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if self._is_over:
            raise StopIteration
        # Whoever asks again after an error must not get the end of a stream: the client would take it for whole.
        self._is_over = True
        if self._pieces is None:
            self._pieces = iter(self._source)
        for piece in self._pieces:
            coded = self._code(piece.encode() if isinstance(piece, str) else piece) if piece else b""
            if coded:
                self._is_over = False
                return coded
        return self._encoder.finish()

    def close(self) -> None:
        """Close the source."""
        self._is_over = True
        close = getattr(self._source, "close", None)
        if close is not None:
            close()


class CodedLater:
    """A body that is made when the server asks for it, in a worker thread if it has an event loop.

    :param make: returns the body.
    :param close: called at the end, also if nobody asked.
    """

    def __init__(self, make: Callable[[], bytes], close: Callable[[], Any] | None = None) -> None:
        self._make: Callable[[], bytes] | None = make
        self._close = close

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        make, self._make = self._make, None
        if make is None:
            raise StopIteration
        return make()

    def close(self) -> None:
        """Close what it would have been made of."""
        self._make = None
        if self._close is not None:
            self._close()


class _CodedPieces:
    """The compressed pieces of an async body: an object and not a generator, which could not be closed before it began."""

    def __init__(self, source: AsyncBody, encoder: Encoder, thread_size: int) -> None:
        self._source = source
        self._thread_size = thread_size
        self._pieces: AsyncGenerator[bytes, None] | None = None
        self._encoder = encoder
        self._is_over = False

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if self._is_over:
            raise StopAsyncIteration
        self._is_over = True
        if self._pieces is None:
            self._pieces = self._source.pieces()
        async for piece in self._pieces:
            coded = await self._flush(piece) if piece else b""
            if coded:
                self._is_over = False
                return coded
        return self._encoder.finish()

    async def _flush(self, piece: bytes) -> bytes:
        if len(piece) <= self._thread_size:
            return self._encoder.flush(piece)
        # PERF: here, because `asyncio` is not loaded for programs that never come here.
        from ..._internal.threads import run_in_thread

        return await run_in_thread(self._encoder.flush, piece)

    async def aclose(self) -> None:
        """Close the source."""
        self._is_over = True
        if self._pieces is not None:
            await self._pieces.aclose()
        await self._source.aclose()


def coded_async(source: AsyncBody, encoder: Encoder, *, thread_size: int) -> AsyncBody:
    """Return the compressed form of an async body; each piece goes out at once.

    :param thread_size: pieces of more bytes are compressed in a worker thread.
    """
    return AsyncBody(_CodedPieces(source, encoder, thread_size))
