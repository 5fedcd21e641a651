"""Response bodies that async iterators give: on a loop, and everywhere else through the bridge."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest

from quaff.streaming import AsyncBody


async def letters(closed: list[str] | None = None) -> AsyncIterator[str | bytes]:
    """Give two pieces; note in *closed* where it ended."""
    try:
        yield "a"
        await asyncio.sleep(0)
        yield b"b"
    finally:
        if closed is not None:
            closed.append(threading.current_thread().name)


def test_pieces_on_a_loop() -> None:
    """Text becomes bytes, and the iterator ends with the last piece."""
    closed: list[str] = []

    async def main() -> list[bytes]:
        return [piece async for piece in AsyncBody(letters(closed)).pieces()]

    assert asyncio.run(main()) == [b"a", b"b"]
    assert len(closed) == 1


def test_an_early_end_closes_the_iterator() -> None:
    """A client that leaves ends the iterator where it waits, on its loop, and what was to be called on closing is called."""
    closed: list[str] = []
    called: list[bool] = []

    async def main() -> None:
        body = AsyncBody(letters(closed))
        body.call_on_close(lambda: called.append(True))
        pieces: Any = body.pieces()
        assert await anext(pieces) == b"a"
        await pieces.aclose()
        await body.aclose()

    asyncio.run(main())
    assert closed == [threading.current_thread().name]
    assert called == [True]


def test_without_a_loop() -> None:
    """It is an iterable like any other, whose pieces come through the bridge."""
    closed: list[str] = []
    body = AsyncBody(letters(closed))
    assert list(body) == [b"a", b"b"]
    assert closed == ["quaff-async"]
    body.close()


def test_closing_without_a_loop() -> None:
    """A WSGI server closes a body that it has not read to its end; once is enough."""
    closed: list[str] = []
    body = AsyncBody(letters(closed))
    assert next(iter(body)) == b"a"
    body.close()
    body.close()
    assert closed == ["quaff-async"]


def test_a_body_that_nobody_asked_for() -> None:
    """It is closed once, and what was to be called on closing is called, though nothing of it ever ran."""
    called: list[str] = []

    class Source:
        def __aiter__(self) -> Source:
            return self

        async def __anext__(self) -> bytes:
            called.append("asked")
            return b""

        async def aclose(self) -> None:
            called.append("closed")

    async def main() -> None:
        body = AsyncBody(Source())
        body.call_on_close(lambda: called.append("called"))
        await asyncio.gather(body.aclose(), body.aclose())
        await body.aclose()

    asyncio.run(main())
    assert called == ["closed", "called"]


def test_a_source_that_fails_when_it_is_closed() -> None:
    """The error is raised, once, and what was to be called on closing is called all the same."""
    called: list[bool] = []

    async def brittle() -> AsyncIterator[str]:
        try:
            yield "a"
        finally:
            raise KeyError("broken")

    async def main() -> None:
        body = AsyncBody(brittle())
        body.call_on_close(lambda: called.append(True))
        pieces = body.pieces()
        assert await anext(pieces) == b"a"
        with pytest.raises(KeyError, match="broken"):
            await pieces.aclose()
        await body.aclose()

    asyncio.run(main())
    assert called == [True]


def test_what_is_no_async_iterable_is_refused() -> None:
    """The error names what was given."""
    with pytest.raises(TypeError, match="list"):
        AsyncBody([b"a"])  # type: ignore[arg-type]
