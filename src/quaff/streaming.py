"""Response bodies that async iterators give, piece by piece."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterator
from typing import Any

from ._internal.async_bridge import run_coroutine


class AsyncBody:
    """A response body that an async iterator gives.

    On an event loop it is iterated there, and the next piece is asked for when the last one is on its way. Everywhere else
    it is an iterable like any other, whose pieces come through the bridge.

    :param iterable: gives `bytes` or `str`.
    """

    def __init__(self, iterable: AsyncIterable[bytes | str]) -> None:
        self._iterator = aiter(iterable)
        self._on_close: Callable[[], Any] | None = None
        self._is_closed = False

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """Give the pieces on the loop; the iterator is ended with the last one, and when the caller stops early."""
        try:
            async for piece in self._iterator:
                yield _as_bytes(piece)
        finally:
            await self.aclose()

    def __iter__(self) -> Iterator[bytes]:
        while (piece := run_coroutine(self._next)) is not None:
            yield _as_bytes(piece)

    async def _next(self) -> bytes | str | None:
        return await anext(self._iterator, None)

    def call_on_close(self, function: Callable[[], Any]) -> None:
        """Call *function*, in a thread, once the body was ended on the loop."""
        self._on_close = function

    async def aclose(self) -> None:
        """End the iterator, on its loop, unless that was done."""
        if self._is_closed:
            return
        self._is_closed = True
        try:
            close = getattr(self._iterator, "aclose", None)
            if close is not None:
                await close()
        finally:
            function, self._on_close = self._on_close, None
            if function is not None:
                # PERF: here, because `asyncio` is not loaded for programs that never come here.
                from ._internal.threads import run_in_thread

                await run_in_thread(function)

    def close(self) -> None:
        """End the iterator from synchronous code, as a WSGI server does."""
        run_coroutine(self.aclose)


def _as_bytes(piece: bytes | str) -> bytes:
    return piece.encode() if isinstance(piece, str) else piece
