"""Streams that are compressed on their way."""

from __future__ import annotations

import asyncio
import threading
import zlib
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from quaff.ext.compress.encoders import Encoder, decompress, make_coder
from quaff.ext.compress.settings import CODINGS, read_settings
from quaff.ext.compress.streaming import CodedIterable, CodedLater, coded_async, slices
from quaff.streaming import AsyncBody
from tests.ext.compress.test_encoders import Reader

every_coding = pytest.mark.parametrize("name", CODINGS)


def begin(name: str) -> Encoder:
    """Begin a stream with the default parameters."""
    return make_coder(name, read_settings({})).begin()


class Source:
    """An iterable body that notes how far it was asked, and that it was closed."""

    def __init__(self, *pieces: Any) -> None:
        self.pieces, self.given, self.closed = pieces, 0, 0

    def __iter__(self) -> Iterator[Any]:
        for piece in self.pieces:
            self.given += 1
            if isinstance(piece, Exception):
                raise piece
            yield piece

    def close(self) -> None:
        self.closed += 1


class AsyncSource:
    """The same, on a loop."""

    def __init__(self, *pieces: Any) -> None:
        self.pieces, self.given, self.closed = list(pieces), 0, 0
        self.threads: set[str] = set()

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        self.threads.add(threading.current_thread().name)
        if self.given == len(self.pieces):
            raise StopAsyncIteration
        piece = self.pieces[self.given]
        self.given += 1
        if isinstance(piece, Exception):
            raise piece
        return piece

    async def aclose(self) -> None:
        self.closed += 1


@every_coding
def test_each_piece_arrives_at_once(name: str) -> None:
    """A client can read each piece before the next one is asked for; text is sent as UTF-8, and nothing gets lost."""
    source = Source("first", b"second", "thïrd" * 1000)
    coded, reader = CodedIterable(source, begin(name)), Reader(name)
    for number, piece in enumerate(source.pieces, 1):
        expected = piece.encode() if isinstance(piece, str) else piece
        assert reader.read(next(coded)) == expected
        assert source.given == number
    assert reader.read(b"".join(coded)) == b""
    assert next(coded, None) is None


def test_empty_pieces_are_passed_over() -> None:
    """An empty piece ends nothing and sends nothing."""
    pieces = list(CodedIterable(Source("", b"a", "", b""), begin("gzip")))
    assert all(pieces)
    assert decompress(b"".join(pieces), "gzip") == b"a"
    assert decompress(b"".join(CodedIterable(Source(), begin("gzip"))), "gzip") == b""


@every_coding
def test_files_are_not_flushed(name: str) -> None:
    """Without flushing, pieces that are too small to send are collected, and the stream is smaller."""
    pieces = [f"line {number}\n".encode() for number in range(500)]
    quick = b"".join(CodedIterable(Source(*pieces), begin(name)))
    small = list(CodedIterable(Source(*pieces), begin(name), flush=False))
    assert decompress(b"".join(small), name) == decompress(quick, name) == b"".join(pieces)
    assert len(b"".join(small)) < len(quick) / 2
    assert len(small) < 10


def test_closing_passes_through() -> None:
    """Closing closes the source: before the first piece, in the middle, and at the end."""
    for asked in (0, 1, 9):
        source = Source(b"a", b"b")
        coded = CodedIterable(source, begin("zstd"))
        for _ in range(asked):
            next(coded, None)
        coded.close()
        assert source.closed == 1
        assert next(coded, None) is None
    CodedIterable(iter([b"a"]), begin("zstd")).close()


@every_coding
def test_an_error_leaves_the_stream_unfinished(name: str) -> None:
    """When the source fails the client must not take what it got for the whole: the stream has no end."""
    coded, reader = CodedIterable(Source(b"a", OSError("gone")), begin(name)), Reader(name)
    assert reader.read(next(coded)) == b"a"
    with pytest.raises(OSError, match="gone"):
        next(coded)
    assert list(coded) == []


def test_later() -> None:
    """A body that is made later is made once, when it is asked for, and closing works at any time."""
    calls: list[str] = []

    def make() -> bytes:
        calls.append("make")
        return b"body"

    body = CodedLater(make, lambda: calls.append("close"))
    assert calls == []
    assert list(body) == [b"body"]
    assert list(body) == []
    body.close()
    assert calls == ["make", "close"]
    unasked = CodedLater(make, lambda: calls.append("closed"))
    unasked.close()
    CodedLater(make).close()
    assert list(unasked) == []
    assert calls == ["make", "close", "closed"]


@pytest.mark.parametrize("size", [0, 1, 99, 100, 101, 300])
def test_slices(size: int) -> None:
    """A body is cut into pieces of one size, the last one excepted."""
    data = bytes(size)
    pieces = list(slices(data, 100))
    assert b"".join(pieces) == data
    assert all(len(piece) == 100 for piece in pieces[:-1])
    assert all(pieces)


@every_coding
def test_async_pieces_arrive_at_once(name: str) -> None:
    """On a loop, too, a client can read each piece before the next one is asked for."""
    source = AsyncSource("first", b"", b"second" * 20_000, "third")

    async def main() -> None:
        reader, body = Reader(name), coded_async(AsyncBody(source), begin(name), thread_size=1000)
        pieces = body.pieces()
        assert reader.read(await anext(pieces)) == b"first"
        assert source.given == 1
        assert reader.read(await anext(pieces)) == b"second" * 20_000
        assert source.given == 3
        assert reader.read(await anext(pieces)) == b"third"
        assert reader.read(b"".join([piece async for piece in pieces])) == b""
        assert source.closed == 1

    asyncio.run(main())


def test_async_closing_passes_through() -> None:
    """Closing closes the source on its loop: before the first piece, in the middle, and at the end."""

    async def main(asked: int) -> int:
        source = AsyncSource(b"a", b"b")
        body = coded_async(AsyncBody(source), begin("br"), thread_size=1000)
        if asked:
            pieces = body.pieces()
            for _ in range(asked):
                await anext(pieces, None)
            await pieces.aclose()
        await body.aclose()
        return source.closed

    assert [asyncio.run(main(asked)) for asked in (0, 1, 9)] == [1, 1, 1]


def test_an_async_error_leaves_the_stream_unfinished() -> None:
    """When the source fails, the error goes through, the source is closed, and the stream has no end."""
    source = AsyncSource(b"a", OSError("gone"))

    async def main() -> bytes:
        read = b""
        with pytest.raises(OSError, match="gone"):
            async for piece in coded_async(AsyncBody(source), begin("gzip"), thread_size=1000).pieces():
                read += piece
        return read

    read = asyncio.run(main())
    assert Reader("gzip").read(read) == b"a"
    with pytest.raises(zlib.error, match="incomplete"):
        decompress(read, "gzip")
    assert source.closed == 1


def test_large_pieces_do_not_hold_the_loop_up() -> None:
    """A large piece is compressed in a worker thread, a small one where it is; the source stays on the loop."""
    where: dict[int, str] = {}

    class Noting:
        def feed(self, data: bytes) -> bytes:
            return data

        def flush(self, data: bytes) -> bytes:
            where[len(data)] = threading.current_thread().name
            return data

        def finish(self) -> bytes:
            return b""

    source = AsyncSource(b"a" * 1000, b"b" * 1001)

    async def main() -> None:
        async for _ in coded_async(AsyncBody(source), Noting(), thread_size=1000).pieces():
            pass

    asyncio.run(main())
    loop = threading.current_thread().name
    assert where[1000] == loop
    assert where[1001].startswith("quaff-worker")
    assert source.threads == {loop}


def test_async_bodies_under_a_synchronous_server() -> None:
    """Without a loop of the server's, an async body is read through the bridge, piece by piece, and closed."""
    source = AsyncSource(b"a", b"b")
    body = coded_async(AsyncBody(source), begin("deflate"), thread_size=1000)
    reader, pieces = Reader("deflate"), iter(body)
    assert [reader.read(next(pieces)), source.given] == [b"a", 1]
    assert reader.read(b"".join(pieces)) == b"b"
    body.close()
    assert source.closed == 1
