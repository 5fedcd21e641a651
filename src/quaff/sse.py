"""Server-sent events: a response that stays open, and over which the app tells a browser what happens.

The format is that of the WHATWG's HTML standard, section 9.2 (https://html.spec.whatwg.org/multipage/server-sent-events.html);
browsers read it with `EventSource`. Between events the stream sends heartbeats: they keep proxies from closing it, and they
are how a server finds out that a client is gone. So nobody ever waits for the source itself: an async one is run by a task
of its own, a synchronous one by a thread of its own, and each is asked for an event when the last one was taken. Read first:
`tests/test_sse.py`.
"""

from __future__ import annotations

import asyncio
import logging
import re
import threading
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from contextvars import copy_context
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any, Final, TypeAlias

from . import json
from ._internal.async_bridge import loop_of_request
from .globals import active_context, current_context
from .streaming import AsyncBody
from .wrappers import Response

HEARTBEAT: Final = b":\n\n"
"""A comment, which clients skip."""

_HEADERS: Final = (
    # RFC: 9111 section 5.2.2.6: with "no-transform", whoever passes the stream on does not compress it, which would hold
    # events back until a block is full.
    ("Cache-Control", "no-cache, no-transform"),
    # nginx collects answers in a buffer otherwise.
    ("X-Accel-Buffering", "no"),
)

_LINE_END: Final = re.compile(r"\r\n|\r|\n")

Item: TypeAlias = "Event | str | dict[Any, Any] | list[Any]"
"""What a source gives: an event, or the data of one."""

logger: Final = logging.getLogger("quaff.sse")


def _check_field(name: str, value: object) -> None:
    # SECURITY: a line end would begin a field of the sender's choice, or an event. A browser ignores an id with a NUL.
    if value is not None and any(character in str(value) for character in "\r\n\0"):
        raise ValueError(
            f"The {name} of an event is one line, and {value!r} holds a line end or a NUL. Text belongs into the data."
        )


def _check_retry(retry: int | None) -> None:
    if retry is not None and (type(retry) is not int or retry < 0):
        raise ValueError(f"retry is a number of milliseconds, a whole one, and not {retry!r}.")


@dataclass(frozen=True, slots=True)
class Event:
    """One server-sent event.

    Only an event with data reaches the listeners of a page. Without data it may set the id or the time to reconnect, or
    carry a comment.

    :param data: text, of any number of lines, or what the app's JSON provider takes; None for no data.
    :param event: its type, for `addEventListener`; without one it is a `message`.
    :param id: where the stream is. A client that lost the connection sends the last one: `EventStream.last_event_id()`.
    :param retry: after how many milliseconds the client connects again when the connection is lost.
    :param comment: text that clients skip.
    :raises ValueError: for an event type or an id of more than one line or with a NUL, and for an event that would get lost.
    """

    data: Any
    event: str | None = None
    id: str | int | None = None
    retry: int | None = None
    comment: str | None = None

    def __post_init__(self) -> None:
        _check_field("type", self.event)
        _check_field("id", self.id)
        _check_retry(self.retry)
        if self.data is None and (self.event is not None or (self.id, self.retry, self.comment) == (None, None, None)):
            raise ValueError(
                'Clients drop an event that has no data. Use data="" for an event that says nothing else, and'
                ' data="null" for the null of JSON.'
            )

    def encode(self, dumps: Callable[[Any], str] = json.dumps) -> bytes:
        """Return the event as it is sent.

        :param dumps: makes text of data that is none.
        """
        lines = []
        if self.comment is not None:
            lines += [f": {line}" for line in _LINE_END.split(self.comment)]
        fields = (("event", self.event), ("id", self.id), ("retry", self.retry))
        lines += [f"{name}: {value}" for name, value in fields if value is not None]
        data = self.data
        if data is not None:
            text = data if isinstance(data, str) else dumps(data)
            lines += [f"data: {line}" for line in _LINE_END.split(text)]
        return "\n".join([*lines, "", ""]).encode()


class EventStream(Response):
    """A response of server-sent events: what a view returns to keep telling its client what happens. Quaff 0.1.

    The source gives an `Event`, or the data of one: a `str`, or a `dict` or `list` as JSON. It is asked for the next when
    the last was taken, and it is closed when the client has left: an async one is cancelled where it waits, a synchronous
    one, which runs in a thread of its own, is closed after its next event. Use `stream_with_context` when it needs the
    request.

    :param iterable: an async or a synchronous iterable, usually a generator.
    :param heartbeat: after how many seconds without an event a comment is sent, to see whether the client is still there and
        to keep the connection open; None for never.
    :param retry: after how many milliseconds the client connects again when the connection is lost; sent first.
    :param headers: more headers.
    """

    # Who asks for the whole body of a stream without end would never get it.
    implicit_sequence_conversion = False

    def __init__(
        self,
        iterable: AsyncIterable[Item] | Iterable[Item],
        *,
        heartbeat: float | None = 15.0,
        retry: int | None = None,
        headers: Mapping[str, str | Iterable[str]] | Iterable[tuple[str, str]] | None = None,
    ) -> None:
        if heartbeat is not None and not heartbeat > 0:
            raise ValueError(
                f"heartbeat is a number of seconds above 0, or None for no heartbeats, and not {heartbeat!r}."
            )
        _check_retry(retry)
        body = _body_of(iterable, _Format(retry), heartbeat)
        super().__init__(body, headers=headers, content_type="text/event-stream; charset=utf-8")
        for name, value in _HEADERS:
            self.headers.setdefault(name, value)

    @staticmethod
    def last_event_id() -> str | None:
        """Return the id of the last event that the client of the current request got, as it says; None at the start.

        :raises RuntimeError: outside of a request.
        """
        value: str = current_context.get().request.environ.get("HTTP_LAST_EVENT_ID", "")
        # RFC: HTML section 9.2.3 sends UTF-8, and PEP 3333 passes bytes as latin-1.
        return value.encode("latin1").decode(errors="replace") or None


class _Format:
    """Makes bytes of what a source gives, by the JSON provider of the app that made the stream."""

    def __init__(self, retry: int | None) -> None:
        context = active_context()
        self._dumps: Callable[[Any], str] = json.dumps if context is None else context.app.json.dumps
        self.opening = b"" if retry is None else Event(None, retry=retry).encode()

    def encode(self, item: object) -> bytes:
        """Return the event that *item* stands for as it is sent."""
        if isinstance(item, Event):
            return item.encode(self._dumps)
        if isinstance(item, (str, dict, list)):
            return Event(item).encode(self._dumps)
        raise TypeError(
            f"The source of an EventStream gave a {type(item).__name__}. It gives Event objects, or the data of an event:"
            " a str, or a dict or list as JSON."
        )


def _body_of(source: Any, form: _Format, heartbeat: float | None) -> Iterable[bytes]:
    """Return the body of a stream, for the loop that serves the request, or for a thread where there is none."""
    if isinstance(source, AsyncIterable):
        return AsyncBody(_OnLoop(aiter(source), form, heartbeat))
    if isinstance(source, (str, bytes, Mapping)) or not isinstance(source, Iterable):
        hint = " Call it first: EventStream(events())." if callable(source) else ""
        raise TypeError(
            f"An EventStream needs an iterable of events, as a generator is, and got a {type(source).__name__}.{hint}"
        )
    if loop_of_request.get() is None and asyncio._get_running_loop() is None:
        return _InThread(iter(source), form, heartbeat)
    return AsyncBody(_OnLoop(_ThreadSource(iter(source)), form, heartbeat))


# On an event loop ------------------------------------------------------------------------------------------------------


class _OnLoop:
    """The pieces of a stream on an event loop: the events of an async source, and heartbeats in between.

    One task goes through the whole source, so that it may hold timeouts and groups of tasks open from event to event, and
    so that nothing is started and ended with each.
    """

    def __init__(self, source: AsyncIterator[Any], form: _Format, heartbeat: float | None) -> None:
        self._source = source
        self._form = form
        self._heartbeat = heartbeat
        self._task: asyncio.Task[None] | None = None
        # PERF: thousands of streams may be idle: two futures each, where an event or a queue would take a KB.
        self._piece = form.opening
        self._arrival: asyncio.Future[None] | None = None
        self._demand: asyncio.Future[None] | None = None
        self._ended = False

    def __aiter__(self) -> _OnLoop:
        return self

    async def __anext__(self) -> bytes:
        if not self._piece:
            if self._ended:
                raise StopAsyncIteration
            task = self._ask()
            if not task.done() and not await self._wait():
                return HEARTBEAT
            if not self._piece:
                try:
                    self._finish(task)
                finally:
                    # An error holds this frame through its traceback; a frame that holds the error would make a cycle.
                    del task
                raise StopAsyncIteration
        piece, self._piece = self._piece, b""
        return piece

    def _ask(self) -> asyncio.Task[None]:
        """Ask the source for an event, unless it was asked already, and return its task."""
        task, demand = self._task, self._demand
        if task is None:
            task = self._task = asyncio.get_running_loop().create_task(self._run())
            task.add_done_callback(self._announce)
        elif demand is not None:
            self._demand = None
            if not demand.done():
                demand.set_result(None)
        return task

    async def _wait(self) -> bool:
        """Wait for an event or the end, at most until a heartbeat is due; tell whether there was one."""
        if self._piece:
            # A loop whose tasks are eager has run the source to its first event already.
            return True
        loop = asyncio.get_running_loop()
        arrival = self._arrival = loop.create_future()
        timer = None if self._heartbeat is None else loop.call_later(self._heartbeat, self._announce)
        try:
            await arrival
        finally:
            self._arrival = None
            if timer is not None:
                timer.cancel()
        return bool(self._piece) or self._task is None or self._task.done()

    def _finish(self, task: asyncio.Task[None]) -> None:
        """Take note that the source has ended, and raise what it has raised."""
        if self._ended:
            # Who closes a stream hears of its error.
            return
        self._ended = True
        self._task = None
        try:
            # A source that the app has cancelled has ended.
            if not task.cancelled():
                task.result()
        finally:
            # As in `__anext__`.
            del task

    def _announce(self, _task: object = None) -> None:
        arrival = self._arrival
        if arrival is not None and not arrival.done():
            arrival.set_result(None)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            async for item in self._source:
                if self._ended:
                    # It did not let itself be cancelled.
                    return
                self._piece = self._form.encode(item)
                self._demand = loop.create_future()
                self._announce()
                await self._demand
        finally:
            await self._close_source()

    async def _close_source(self) -> None:
        close = getattr(self._source, "aclose", None)
        if close is not None:
            await close()

    async def aclose(self) -> None:
        """End the source, and wait for it to have ended."""
        if self._ended:
            return
        self._ended = True
        self._piece = b""
        task, self._task = self._task, None
        if task is None:
            await self._close_source()
            return
        task.cancel()
        await asyncio.wait((task,))
        try:
            if not task.cancelled():
                task.result()
        finally:
            # As in `__anext__`.
            del task


# In threads ------------------------------------------------------------------------------------------------------------

_TOO_LATE: Final = "The source of an event stream failed when nobody waited for it any more."

_END: Final = object()

_Outcome: TypeAlias = tuple[Any, BaseException | None]
"""An item, or `_END` with the error that was the end, or with None."""


class _OwnThread:
    """Goes through a synchronous source in a thread of its own, one item at a time, and closes it there.

    :param deliver: called in that thread with what came of asking for an item.
    """

    def __init__(self, source: Iterator[Any], deliver: Callable[[_Outcome], object]) -> None:
        self._source = source
        self._deliver = deliver
        self._orders: SimpleQueue[bool] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._ended = False

    def ask(self) -> None:
        """Have the next item delivered."""
        if self._thread is None:
            # Of its own, but with the context variables that the source would see without it.
            run = copy_context().run
            self._thread = threading.Thread(target=run, args=(self._run,), name="quaff-events", daemon=True)
            self._thread.start()
        self._orders.put(True)

    def end(self) -> None:
        """Have the source closed, as soon as it is not in the middle of making an item; without waiting for it."""
        if self._ended:
            return
        self._ended = True
        if self._thread is None:
            self._close()
        else:
            self._orders.put(False)

    def _run(self) -> None:
        try:
            while self._orders.get() and self._step():
                pass
        finally:
            self._close()

    def _step(self) -> bool:
        """Deliver an item; tell whether there may be more."""
        try:
            item = next(self._source)
        except StopIteration:
            self._deliver((_END, None))
        except BaseException as error:
            if self._ended:
                logger.exception(_TOO_LATE)
            else:
                self._deliver((_END, error))
        else:
            self._deliver((item, None))
            return True
        return False

    def _close(self) -> None:
        close = getattr(self._source, "close", None)
        if close is None:
            return
        try:
            close()
        except Exception:
            logger.exception(_TOO_LATE)


class _InThread:
    """The pieces of a stream where there is no event loop: the events of a synchronous source, and heartbeats in between."""

    def __init__(self, source: Iterator[Any], form: _Format, heartbeat: float | None) -> None:
        self._arrived: SimpleQueue[_Outcome] = SimpleQueue()
        self._thread = _OwnThread(source, self._arrived.put)
        self._form = form
        self._heartbeat = heartbeat
        self._opening = form.opening
        self._is_asked = False
        self._ended = False

    def __iter__(self) -> _InThread:
        return self

    def __next__(self) -> bytes:
        if self._ended:
            raise StopIteration
        if self._opening:
            piece, self._opening = self._opening, b""
            return piece
        if not self._is_asked:
            self._is_asked = True
            self._thread.ask()
        try:
            item, error = self._arrived.get(timeout=self._heartbeat)
        except Empty:
            return HEARTBEAT
        self._is_asked = False
        if item is not _END:
            return self._form.encode(item)
        self._ended = True
        try:
            raise StopIteration if error is None else error
        finally:
            # An error holds this frame through its traceback; a frame that holds the error would make a cycle.
            del error

    def close(self) -> None:
        """End the source."""
        self._ended = True
        self._thread.end()

    # A generator that is dropped is closed; the thread would keep this one.
    __del__ = close


class _ThreadSource:
    """A synchronous source as an async iterator, for the task of `_OnLoop`."""

    def __init__(self, source: Iterator[Any]) -> None:
        self._thread = _OwnThread(source, self._deliver)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiter: asyncio.Future[Any] | None = None

    def __aiter__(self) -> _ThreadSource:
        return self

    async def __anext__(self) -> Any:
        self._loop = asyncio.get_running_loop()
        self._waiter = self._loop.create_future()
        self._thread.ask()
        try:
            item = await self._waiter
        finally:
            # It may hold an error, and that this frame.
            self._waiter = None
        if item is _END:
            raise StopAsyncIteration
        return item

    def _deliver(self, outcome: _Outcome) -> None:
        # A loop that was closed meanwhile has nobody who waits.
        with suppress(RuntimeError):
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._arrive, *outcome)

    def _arrive(self, item: Any, error: BaseException | None) -> None:
        waiter = self._waiter
        if waiter is None or waiter.done():
            return
        if error is None:
            waiter.set_result(item)
        else:
            waiter.set_exception(error)

    async def aclose(self) -> None:
        """End the source."""
        self._thread.end()
