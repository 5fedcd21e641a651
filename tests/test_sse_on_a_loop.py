"""Streams of events on an event loop: one task goes through the source, and nothing is lost between it and its reader."""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
import threading
import weakref
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Iterator
from contextlib import aclosing, suppress
from itertools import pairwise
from typing import Any, cast

import pytest

from quaff.sse import HEARTBEAT, EventStream
from quaff.streaming import AsyncBody
from tests.servers.process import PATIENCE
from tests.test_sse import Watched, event_threads, eventually

A_TURN = 1e-9
"""A heartbeat that is due in the next turn of the loop."""


@pytest.fixture(autouse=True)
def no_thread_left_behind() -> Iterator[None]:
    """Fail a test that leaves the thread of a source behind."""
    yield
    eventually(lambda: event_threads() == 0)


def run(main: Callable[[], Coroutine[Any, Any, Any]], **options: Any) -> Any:
    """Return what *main* returns; at its end no task is left, and none has failed unheard."""
    unheard: list[Any] = []

    async def watched() -> Any:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: unheard.append(context))
        async with asyncio.timeout(PATIENCE):
            result = await main()
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return result

    with asyncio.Runner(**options) as runner:
        result = runner.run(watched())
        gc.collect()
    assert unheard == []
    return result


def pieces_of(source: Any, **options: Any) -> AsyncGenerator[bytes, None]:
    """Return what the server reads of a stream."""
    return cast(AsyncBody, EventStream(source, **options).response).pieces()


async def turns(count: int = 10) -> None:
    """Let everything else on the loop go on."""
    for _ in range(count):
        await asyncio.sleep(0)


class Source:
    """An async source that gives what it is handed, and notes how it ends."""

    def __init__(self) -> None:
        self.handed: asyncio.Queue[Any] = asyncio.Queue()
        self.notes: list[str] = []
        self.task: Any = None

    async def __call__(self) -> AsyncIterator[Any]:
        """Give each item; raise what is an error."""
        self.task = asyncio.current_task()
        try:
            while True:
                item = await self.handed.get()
                if isinstance(item, BaseException):
                    raise item
                self.notes.append(f"gives {item}")
                yield item
        except BaseException as error:
            self.notes.append(type(error).__name__)
            raise
        finally:
            await turns(3)
            self.notes.append("ended")


# What is there to read -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("waits", range(8))
@pytest.mark.parametrize("reader_waits", range(4))
def test_no_event_is_lost_to_a_heartbeat(waits: int, reader_waits: int) -> None:
    """Whatever comes first in a turn of the loop, each event is read once, in order, and heartbeats come in between."""

    async def source() -> AsyncIterator[str]:
        for number in range(10):
            await turns(waits)
            yield f"{number}"

    async def main() -> list[bytes]:
        got = []
        async for piece in pieces_of(source(), heartbeat=A_TURN):
            got.append(piece)
            await turns(reader_waits)
        return got

    got = run(main)
    assert [piece for piece in got if piece != HEARTBEAT] == [b"data: %d\n\n" % number for number in range(10)]


def test_an_event_that_comes_during_a_heartbeat() -> None:
    """What the source gives while a heartbeat is being sent is the next piece, and it is not asked for more before."""
    source = Source()

    async def main() -> None:
        pieces = pieces_of(source(), heartbeat=A_TURN)
        assert await anext(pieces) == HEARTBEAT
        source.handed.put_nowait("a")
        source.handed.put_nowait("b")
        await turns()
        assert source.notes == ["gives a"]
        assert await anext(pieces) == b"data: a\n\n"
        await turns()
        assert source.notes == ["gives a"]
        assert await anext(pieces) == b"data: b\n\n"
        assert await anext(pieces) == HEARTBEAT
        await pieces.aclose()

    run(main)
    assert source.notes == ["gives a", "gives b", "CancelledError", "ended"]


def test_without_heartbeats_nothing_else_is_read() -> None:
    """However long the source takes, what comes next is an event or the end."""

    async def source() -> AsyncIterator[str]:
        for item in "ab":
            await turns(500)
            yield item
        await turns(500)

    async def main() -> list[bytes]:
        return [piece async for piece in pieces_of(source(), heartbeat=None)]

    assert run(main) == [b"data: a\n\n", b"data: b\n\n"]


@pytest.mark.skipif(sys.version_info < (3, 12), reason="tasks are eager from Python 3.12 on")
@pytest.mark.parametrize("waits", range(3))
@pytest.mark.parametrize("heartbeat", [None, A_TURN])
def test_a_loop_whose_tasks_are_eager(waits: int, heartbeat: float | None) -> None:
    """The source has given its first event, or has ended, before the reader waits for it: it need not wait then."""

    async def source(items: str) -> AsyncIterator[str]:
        for item in items:
            await turns(waits)
            yield item

    async def main() -> list[bytes]:
        asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
        return [piece for items in ("ab", "") async for piece in pieces_of(source(items), heartbeat=heartbeat)]

    assert [piece for piece in run(main) if piece != HEARTBEAT] == [b"data: a\n\n", b"data: b\n\n"]


# Readers that leave ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("heartbeat", [None, A_TURN, PATIENCE])
@pytest.mark.parametrize("during", ["waiting", "pushing"])
@pytest.mark.parametrize("is_ready", [False, True], ids=["no event", "an event lies ready"])
def test_a_reader_that_is_cancelled(heartbeat: float | None, during: str, is_ready: bool) -> None:
    """Wherever the server is cancelled, the source has ended when it hears of it, once; it gives nothing more."""
    source = Source()
    at: list[str] = []

    async def read() -> None:
        async with aclosing(pieces_of(source(), heartbeat=heartbeat)) as pieces:
            async for piece in pieces:
                at.append("pushing")
                if piece != HEARTBEAT and during == "pushing":
                    await asyncio.get_running_loop().create_future()
                at.append("waiting")

    async def main() -> None:
        source.handed.put_nowait("a")
        reader = asyncio.create_task(read())
        await turns(20)
        assert during in at
        if is_ready:
            source.handed.put_nowait("b")
        reader.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reader
        assert source.notes[-1] == "ended"

    run(main)
    given = ["gives a", "gives b"] if is_ready and during == "waiting" else ["gives a"]
    # In the middle of an event it is cancelled; where it has given one it is closed.
    assert source.notes == [
        *given,
        "CancelledError" if given == ["gives a"] and during == "waiting" else "GeneratorExit",
        "ended",
    ]


def test_a_reader_that_gives_up_waiting_may_come_back() -> None:
    """Who stops waiting for a piece, as a timeout does, has not lost the event that comes then."""
    source = Source()

    async def main() -> list[bytes]:
        body = cast(AsyncBody, EventStream(source(), heartbeat=None).response)
        waiting: Any = asyncio.ensure_future(anext(body._iterator))
        await turns()
        waiting.cancel()
        await turns()
        source.handed.put_nowait("a")
        source.handed.put_nowait("b")
        await turns()
        got: Any = [await anext(body._iterator), await anext(body._iterator)]
        await body.aclose()
        return list(got)

    assert run(main) == [b"data: a\n\n", b"data: b\n\n"]


@pytest.mark.parametrize("retry", [None, 5])
def test_closing_before_the_first_piece(retry: int | None) -> None:
    """A stream that nobody has read runs nothing of its source, and has no pieces any more."""
    source = Source()

    async def main() -> list[bytes]:
        body = cast(AsyncBody, EventStream(source(), retry=retry).response)
        await body.aclose()
        return [piece async for piece in body.pieces()]

    assert run(main) == []
    assert source.notes == []


def test_closing_while_an_event_lies_ready() -> None:
    """The event is dropped with the stream, and the source is closed where it gave it."""
    source = Source()

    async def main() -> None:
        body = cast(AsyncBody, EventStream(source(), heartbeat=A_TURN).response)
        assert await anext(body._iterator) == HEARTBEAT
        source.handed.put_nowait("a")
        await turns()
        await body.aclose()
        assert [piece async for piece in body.pieces()] == []

    run(main)
    assert source.notes == ["gives a", "GeneratorExit", "ended"]


def test_closing_while_somebody_waits() -> None:
    """Who still waits for a piece of a stream that another task closes finds that it has ended."""
    source = Source()

    async def main() -> None:
        body = cast(AsyncBody, EventStream(source(), heartbeat=None).response)
        waiting: Any = asyncio.ensure_future(anext(body._iterator, b"the end"))
        await turns()
        await body.aclose()
        assert source.notes == ["CancelledError", "ended"]
        assert await waiting == b"the end"

    run(main)


def test_closing_may_be_interrupted() -> None:
    """A source that takes its time to end does so even when nobody waits for that any more."""
    go_on = asyncio.Event()
    notes: list[str] = []

    async def slow() -> AsyncIterator[str]:
        try:
            yield "a"
            await asyncio.sleep(PATIENCE)
        finally:
            await go_on.wait()
            notes.append("ended")

    async def main() -> None:
        pieces = pieces_of(slow(), heartbeat=A_TURN)
        while await anext(pieces) != HEARTBEAT:
            pass
        closing = asyncio.create_task(pieces.aclose())
        await turns()
        closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing
        assert notes == []
        go_on.set()
        await turns()
        assert notes == ["ended"]

    run(main)


# Sources of their own mind ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["returns", "yields", "fails"])
def test_a_source_that_refuses_to_be_cancelled(end: str) -> None:
    """Closing waits until the source has ended as it likes, drops what it gives, and raises what it raises."""
    notes: list[str] = []

    async def stubborn() -> AsyncIterator[str]:
        try:
            yield "a"
            try:
                await asyncio.sleep(PATIENCE)
            except asyncio.CancelledError:
                await turns(20)
            if end == "fails":
                raise KeyError("broken")
            if end == "yields":
                yield "late"
                notes.append("was asked again")
        finally:
            await turns(20)
            notes.append("ended")

    async def main() -> None:
        pieces = pieces_of(stubborn(), heartbeat=A_TURN)
        while await anext(pieces) != b"data: a\n\n":
            pass
        assert await anext(pieces) == HEARTBEAT
        if end == "fails":
            with pytest.raises(KeyError, match="broken"):
                await pieces.aclose()
        else:
            await pieces.aclose()
        assert notes == ["ended"]
        assert [piece async for piece in pieces] == []

    run(main)


@pytest.mark.parametrize("when", ["before", "between", "ready", "heartbeat"])
def test_a_source_that_the_app_cancels(when: str) -> None:
    """An app that stops may cancel the tasks of its sources: the stream ends then, after the event that was ready."""
    source = Source()

    async def main() -> list[bytes]:
        heartbeat = A_TURN if when in {"heartbeat", "ready"} else None
        pieces = pieces_of(source(), heartbeat=heartbeat)
        if when == "before":
            reading = asyncio.ensure_future(anext(pieces, b"the end"))  # type: ignore[arg-type]  # an awaitable
            await turns()
            source.task.cancel()
            return [await reading]
        assert await anext(pieces) == HEARTBEAT if heartbeat else source.handed.put_nowait("a") is None
        if when == "ready":
            source.handed.put_nowait("a")
            await turns()
        elif when == "between":
            assert await anext(pieces) == b"data: a\n\n"
        source.task.cancel()
        got = [piece async for piece in pieces]
        return [piece for piece in got if piece != HEARTBEAT]

    assert run(main) == {"before": [b"the end"], "ready": [b"data: a\n\n"]}.get(when, [])
    assert source.notes[-1] == "ended"


@pytest.mark.parametrize("is_read", [True, False], ids=["read on", "closed"])
@pytest.mark.parametrize("has_given", [True, False])
def test_an_error_while_nobody_waits(is_read: bool, has_given: bool) -> None:
    """What a source raises while a heartbeat is being sent is heard by who reads on, or else by who closes the stream."""
    source = Source()

    async def main() -> None:
        pieces = pieces_of(source(), heartbeat=A_TURN)
        if has_given:
            source.handed.put_nowait("a")
            while await anext(pieces) == HEARTBEAT:
                pass
        assert await anext(pieces) == HEARTBEAT
        source.handed.put_nowait(KeyError("broken"))
        await turns(20)
        assert source.notes[-1] == "ended"
        with pytest.raises(KeyError, match="broken"):
            await (anext(pieces) if is_read else pieces.aclose())
        await pieces.aclose()

    run(main)


def test_an_item_that_cannot_be_sent_is_an_error_of_the_reader() -> None:
    """It is raised where the stream is read, once the source was closed; the events before it were read."""
    source = Source()

    async def main() -> None:
        for item in ("a", object()):
            source.handed.put_nowait(item)
        pieces = pieces_of(source(), heartbeat=None)
        assert await anext(pieces) == b"data: a\n\n"
        with pytest.raises(TypeError, match="gave a object"):
            await anext(pieces)
        assert source.notes[-2:] == ["GeneratorExit", "ended"]

    run(main)


@pytest.mark.parametrize("end", ["reads on", "closes", "breaks"])
def test_a_stream_leaves_no_cycle(end: str) -> None:
    """A stream that was read to its end, closed or broken is freed at once, without the garbage collector."""

    async def source() -> AsyncIterator[str]:
        yield "a"
        if end == "breaks":
            raise KeyError("broken")
        if end == "closes":
            await asyncio.sleep(PATIENCE)

    async def read() -> weakref.ref[Any]:
        body = cast(AsyncBody, EventStream(source(), heartbeat=A_TURN).response)
        with suppress(KeyError, StopAsyncIteration):
            while await anext(body._iterator) != HEARTBEAT or end != "closes":
                pass
        await body.aclose()
        return weakref.ref(body._iterator)

    async def main() -> Any:
        gc.disable()
        try:
            left = await read()
            await turns()
            return left()
        finally:
            gc.enable()

    assert run(main) is None


# Synchronous sources ---------------------------------------------------------------------------------------------------


def test_a_synchronous_source_is_not_waited_for(caplog: pytest.LogCaptureFixture) -> None:
    """A source that is in the middle of making an event does not keep the stream from closing; its error is logged then."""
    go_on = threading.Event()
    notes: list[str] = []

    def slow() -> Iterator[str]:
        try:
            yield "a"
            assert go_on.wait(PATIENCE)
            raise KeyError("too late")
        finally:
            notes.append("closed")

    async def main() -> None:
        pieces = pieces_of(slow(), heartbeat=A_TURN)
        while await anext(pieces) != b"data: a\n\n":
            pass
        assert await anext(pieces) == HEARTBEAT
        await pieces.aclose()
        assert notes == []

    with caplog.at_level(logging.ERROR, "quaff.sse"):
        run(main)
        go_on.set()
        eventually(lambda: event_threads() == 0)
    assert notes == ["closed"]
    (record,) = caplog.records
    assert "too late" in str(record.exc_info)


def test_every_event_of_a_synchronous_source_arrives() -> None:
    """Between its thread and the loop nothing is lost, whatever heartbeats come in between."""

    async def main() -> list[bytes]:
        source = iter([f"{number}" for number in range(300)])
        return [piece async for piece in pieces_of(source, heartbeat=A_TURN) if piece != HEARTBEAT]

    got = run(main)
    numbers = [int(piece.removeprefix(b"data: ")) for piece in got]
    assert len(numbers) == 300
    assert all(second == first + 1 for first, second in pairwise(numbers))


def test_a_synchronous_source_may_be_read_on_a_loop() -> None:
    """On an event loop a synchronous source has its thread too, and the loop goes on while it works."""
    source = Watched()

    async def go_through() -> list[bytes]:
        body: Any = EventStream(source, retry=1).response
        assert isinstance(body, AsyncBody)
        return [piece async for piece in body.pieces()]

    assert asyncio.run(go_through()) == [b"retry: 1\n\n", b"data: a\n\n", b"data: b\n\n", b"data: c\n\n"]
    eventually(lambda: source.events == ["asked"] * 4 + ["closed"])
    assert source.threads == {"quaff-events"}


def test_an_error_of_a_synchronous_source_on_a_loop() -> None:
    """It is raised where the stream is read."""

    def failing() -> Iterator[str]:
        yield "a"
        raise KeyError("broken")

    async def go_through() -> None:
        body: Any = EventStream(failing()).response
        assert [await anext(body._iterator)] == [b"data: a\n\n"]
        with pytest.raises(KeyError, match="broken"):
            await anext(body._iterator)
        with pytest.raises(StopAsyncIteration):
            await anext(body._iterator)
        await body.aclose()

    asyncio.run(go_through())


def test_one_task_runs_an_async_source() -> None:
    """A source may hold a timeout open from event to event: one task runs it from its start to its end."""
    tasks = set()

    async def source() -> AsyncIterator[str]:
        async with asyncio.timeout(PATIENCE):
            for item in "abc":
                tasks.add(asyncio.current_task())
                yield item
                await asyncio.sleep(0)

    assert b"".join(list(EventStream(source()).iter_encoded())) == b"data: a\n\ndata: b\n\ndata: c\n\n"
    assert len(tasks) == 1


def test_an_async_source_may_refuse_to_be_cancelled() -> None:
    """A source that goes on when it is cancelled is ended at its next event."""
    ended = []

    async def source() -> AsyncIterator[str]:
        try:
            yield "a"
            while True:
                try:
                    await asyncio.sleep(PATIENCE)
                except asyncio.CancelledError:
                    yield "still here"
        finally:
            ended.append(1)

    async def go_through() -> int:
        body: Any = EventStream(source(), heartbeat=0.01).response
        pieces = body.pieces()
        while await anext(pieces) == b":\n\n":
            pass
        assert await anext(pieces) == b":\n\n"
        await pieces.aclose()
        return len(asyncio.all_tasks())

    assert asyncio.run(go_through()) == 1
    assert ended == [1]


def test_an_error_of_an_async_source_while_closing_is_raised() -> None:
    """Whoever closes the stream hears of it."""

    async def source() -> AsyncIterator[str]:
        try:
            yield "a"
        finally:
            raise KeyError("broken")

    async def go_through() -> None:
        pieces = EventStream(source()).response.pieces()  # type: ignore[union-attr]
        await anext(pieces)
        with pytest.raises(KeyError, match="broken"):
            await pieces.aclose()

    asyncio.run(go_through())
