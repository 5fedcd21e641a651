"""The body of a request over an event loop, for synchronous and async readers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from quaff._internal.threads import run_in_thread
from quaff.servers.body import FETCHED_FIRST, RequestBody, is_fetched_first
from tests.watchdog import limited_work


def body_of(*chunks: bytes) -> RequestBody:
    """Return a body of these chunks, each of which is waited for."""
    left = list(chunks)

    async def receive() -> bytes:
        await asyncio.sleep(0)
        return left.pop(0) if left else b""

    return RequestBody(receive)


def in_thread(function: Callable[[RequestBody], Any], *chunks: bytes) -> Any:
    """Return what *function* makes of a body in a worker thread."""

    async def main() -> Any:
        return await run_in_thread(function, body_of(*chunks))

    return asyncio.run(asyncio.wait_for(main(), 20))


def on_loop(function: Callable[[RequestBody], Awaitable[Any]], *chunks: bytes) -> Any:
    """Return what an async *function* makes of a body on the loop."""

    async def main() -> Any:
        return await function(body_of(*chunks))

    return asyncio.run(asyncio.wait_for(main(), 20))


@pytest.mark.parametrize(
    "length, kind, expected",
    [
        ("10", "", True),
        (str(FETCHED_FIRST), "", True),
        (str(FETCHED_FIRST + 1), "application/json", False),
        ("9" * 30, "", False),
        ("", "application/json; charset=utf-8", True),
        ("", "application/problem+json", True),
        ("", "multipart/form-data; boundary=B", True),
        ("", "application/octet-stream", False),
        ("-1", "", False),
    ],
)
def test_what_is_waited_for(length: str, kind: str, expected: bool) -> None:
    """Small bodies, and those of unknown length that are read whole anyway."""
    assert is_fetched_first(length, kind) is expected


def test_reading_in_a_thread() -> None:
    """Sizes are kept across chunks; the end is empty, again and again."""

    def read(body: RequestBody) -> list[bytes]:
        return [body.read(3), body.read(0), body.read(), body.read(), body.read(5)]

    assert in_thread(read, b"ab", b"cd", b"ef") == [b"abc", b"", b"def", b"", b""]


def test_lines_in_a_thread() -> None:
    """A line may come in pieces, be cut by a size, and end with the body."""

    def read(body: RequestBody) -> list[bytes]:
        return [body.readline(), body.readline(2), *body]

    assert in_thread(read, b"on", b"e\ntw", b"o\nthree\nfo", b"ur") == [b"one\n", b"tw", b"o\n", b"three\n", b"four"]


def test_readlines_stops_at_the_hint() -> None:
    """As a file's does."""
    assert in_thread(lambda body: body.readlines(4), b"a\nb\nc\n") == [b"a\n", b"b\n"]
    assert in_thread(lambda body: body.readlines(), b"a\nb") == [b"a\n", b"b"]


def test_receiving_on_the_loop() -> None:
    """At most as many bytes as are asked for; none at the end."""

    async def receive(body: RequestBody) -> list[bytes]:
        return [await body.receive(2) for _ in range(4)]

    assert on_loop(receive, b"abc", b"d") == [b"ab", b"c", b"d", b""]


def test_what_was_fetched_is_there_at_once() -> None:
    """Synchronous code on the loop reads it without waiting."""

    async def read(body: RequestBody) -> bytes:
        await body.fetch()
        assert body.is_complete
        return body.read()

    assert on_loop(read, b"ab", b"c") == b"abc"


def test_fetching_stops_at_the_limit() -> None:
    """A client that sends without end fills no memory."""

    async def fetch(body: RequestBody) -> tuple[bool, bytes]:
        await body.fetch(3)
        return body.is_complete, await body.receive(100)

    assert on_loop(fetch, b"ab", b"cd", b"ef") == (False, b"abcd")


def test_waiting_on_the_loop_is_refused() -> None:
    """The message says how to read the body instead."""

    async def read(body: RequestBody) -> None:
        body.read()

    with pytest.raises(RuntimeError, match=r"async for chunk in request\.stream"):
        on_loop(read, b"late")


def test_it_is_no_file() -> None:
    """What cannot be had says so."""
    with pytest.raises(AttributeError, match="no 'seek'"):
        body_of().seek  # noqa: B018 - reading it is the test


def test_refusing_to_wait_loses_nothing() -> None:
    """Whoever is told that synchronous code cannot wait gets the whole body when it waits in another way."""

    async def read(body: RequestBody) -> list[bytes]:
        await body.fetch(1)
        assert body.read(1) == b"a"
        for attempt in (body.read, body.readline, lambda: body.read(9)):
            with pytest.raises(RuntimeError):
                attempt()
        return [await body.receive(9), await body.receive(9), await body.receive(9)]

    assert on_loop(read, b"abc", b"def") == [b"bc", b"def", b""]


@pytest.mark.parametrize("read", [lambda body: body.read(1), lambda body: body.readline(1)], ids=["read", "readline"])
def test_small_reads_take_linear_time(read: Callable[[RequestBody], bytes]) -> None:
    """A reader that asks for single bytes of a large piece does not copy the rest of it each time."""
    size = 500_000

    def count(body: RequestBody) -> int:
        return sum(1 for _ in iter(lambda: read(body), b""))

    with limited_work():
        assert in_thread(count, b"x" * size) == size
