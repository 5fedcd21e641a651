"""Server-sent events: what is sent, what a client makes of it, and what becomes of the source.

Streams on an event loop are in `test_sse_on_a_loop.py`, those over real servers in `tests/protocols/test_event_streams.py`.
"""

from __future__ import annotations

import gc
import logging
import re
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import FrozenInstanceError
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import quaff
from quaff import Quaff, Response
from quaff.errors import ContextError
from quaff.json.provider import DefaultJSONProvider
from quaff.sse import Event, EventStream
from quaff.testing import FlaskClient
from tests.eventsource import Interpreter, Message
from tests.servers.process import PATIENCE


def interpreted(*items: Any) -> list[Message]:
    """Return what a client makes of these items."""
    return Interpreter().read(sent(*items)).messages


def sent(*items: Any, **options: Any) -> bytes:
    """Return what is sent for these items."""
    return read(EventStream(list(items), **options))


def read(stream: EventStream) -> bytes:
    """Return all that a stream sends, and close it."""
    try:
        return b"".join(stream.iter_encoded())
    finally:
        stream.close()


# Format ----------------------------------------------------------------------------------------------------------------


def test_the_fields_of_an_event() -> None:
    """Each field stands on a line of its own, a line of data on each, and an empty line ends the event."""
    event = Event("two\nlines", event="news", id="7", retry=250, comment="why")
    assert event.encode() == b": why\nevent: news\nid: 7\nretry: 250\ndata: two\ndata: lines\n\n"


@pytest.mark.parametrize(
    "item, data",
    [
        ("text", "text"),
        ("", ""),
        (" leading space", " leading space"),
        ("a\nb\r\nc\rd", "a\nb\nc\nd"),
        ("\n", "\n"),
        ("data: x", "data: x"),
        ("no line ends: \x0b \x0c \x85 \u2028 \0", "no line ends: \x0b \x0c \x85 \u2028 \0"),
        ("grüße", "grüße"),
        ({"a": [1, None]}, '{"a": [1, null]}'),
        ([1, "x\ny"], '[1, "x\\ny"]'),
        (Event({"a": 1}), '{"a": 1}'),
        (Event(5), "5"),
    ],
)
def test_data_arrives_as_it_was(item: Any, data: str) -> None:
    """Text arrives with its line ends as newlines, everything else as JSON, and nothing else is changed."""
    assert interpreted(item) == [Message(data)]


_one_line = st.text().filter(lambda text: not set(text) & set("\r\n\0"))


@given(
    st.lists(
        st.tuples(
            st.text(), st.none() | _one_line, st.none() | _one_line, st.none() | st.text(), st.none() | st.integers(0)
        )
    )
)
def test_whatever_is_sent_is_read_back(events: list[tuple[Any, ...]]) -> None:
    """Whatever the texts are, a client that follows the standard gets these events, in order, and no others."""
    client = Interpreter().read(
        sent(
            *(Event(data, event=kind, id=id, comment=comment, retry=retry) for data, kind, id, comment, retry in events)
        )
    )
    last = ""
    expected = []
    for data, kind, id, _, _ in events:
        last = last if id is None else id
        expected.append(Message(re.sub("\r\n|\r", "\n", data), kind or "message", last))
    assert client.messages == expected
    assert client.retry == next((retry for *_, retry in reversed(events) if retry is not None), None)


@pytest.mark.parametrize("field", ["event", "id"])
@pytest.mark.parametrize("end", ["\n", "\r", "\r\n", "\0"])
def test_a_field_cannot_forge_another(field: str, end: str) -> None:
    """An id or a type with a line end, which would begin a field of the sender's choice, is refused where it is given."""
    with pytest.raises(ValueError, match="is one line, and"):
        Event("x", **{field: f"1{end}data: forged"})  # type: ignore[arg-type]


@pytest.mark.parametrize("retry", [-1, 1.5, "3", True])
def test_retry_is_a_number_of_milliseconds(retry: Any) -> None:
    """What a client would ignore is refused."""
    with pytest.raises(ValueError, match="milliseconds"):
        Event("x", retry=retry)
    with pytest.raises(ValueError, match="milliseconds"):
        EventStream([], retry=retry)


def test_an_event_that_would_be_lost_is_refused() -> None:
    """Clients drop an event without data, so one with a type, or with nothing at all, is a mistake."""
    for lost in ({}, {"event": "news"}):
        with pytest.raises(ValueError, match="Clients drop an event that has no data"):
            Event(None, **lost)


def test_an_event_may_carry_no_data() -> None:
    """An id, a time to reconnect and a comment have their effect without data, and no listener is called."""
    client = Interpreter().read(
        sent(Event(None, id=3), Event(None, retry=10), Event(None, comment="a\nb"), Event(None, comment=""))
    )
    assert (client.messages, client.last_event_id, client.retry) == ([], "3", 10)


def test_events_are_values() -> None:
    """An event is compared by its fields, and checked once: it cannot be changed."""
    assert Event("x", id="1") == Event("x", id="1")
    with pytest.raises(FrozenInstanceError):
        Event("x").id = "1\nforged"  # type: ignore[misc]


def test_an_id_goes_on_until_another_comes() -> None:
    """A client keeps the id of an earlier event; an empty one takes it away."""
    messages = interpreted(Event("a", id=1), "b", Event("c", id=""))
    assert [message.last_event_id for message in messages] == ["1", "1", ""]


def test_retry_comes_first() -> None:
    """The time to reconnect is known before there is any event."""
    assert sent("x", retry=3000) == b"retry: 3000\n\ndata: x\n\n"


def test_json_is_the_apps(app: Quaff, client: FlaskClient) -> None:
    """Data that is no text goes through the JSON provider of the app, also after the view has returned."""

    class Provider(DefaultJSONProvider):
        def dumps(self, obj: Any, **kwargs: Any) -> str:
            return "by the app: " + super().dumps(obj, **kwargs)

    app.json = Provider(app)
    app.add_url_rule("/", "index", view_func=lambda: EventStream(iter([{"a": 1}])))
    assert client.get("/").data == b'data: by the app: {"a": 1}\n\n'


@pytest.mark.parametrize("item", [None, 5, b"bytes", ("data", "event"), object()])
def test_other_items_are_refused(item: Any) -> None:
    """What is neither an event nor its data raises, and the message says what may be given."""
    with pytest.raises(TypeError, match=f"gave a {type(item).__name__}. It gives Event objects"):
        sent(item)


def _generator_function() -> Iterator[str]:
    yield "x"


@pytest.mark.parametrize("source", ["text", b"bytes", {"a": 1}, None, 5, _generator_function])
def test_other_sources_are_refused(source: Any) -> None:
    """A single event, or a function that was not called, is not taken for a source."""
    with pytest.raises(TypeError, match=r"needs an iterable of events.*" + (r"events\(\)" if callable(source) else "")):
        EventStream(source)


@pytest.mark.parametrize("heartbeat", [0, -1, float("nan")])
def test_a_heartbeat_takes_time(heartbeat: float) -> None:
    """A heartbeat without end is refused."""
    with pytest.raises(ValueError, match="heartbeat is a number of seconds above 0"):
        EventStream([], heartbeat=heartbeat)


# The response ----------------------------------------------------------------------------------------------------------


def test_the_name_at_the_door() -> None:
    """`quaff.EventStream` is this class."""
    assert quaff.EventStream is EventStream


def test_the_headers_of_a_stream(app: Quaff, client: FlaskClient) -> None:
    """Nobody on the way keeps, collects or compresses a stream, and nobody knows its length."""
    app.add_url_rule("/", "index", view_func=lambda: EventStream(iter(["x"])))
    response = client.get("/")
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "text/event-stream; charset=utf-8"
    assert response.headers["Cache-Control"] == "no-cache, no-transform"
    assert response.headers["X-Accel-Buffering"] == "no"
    assert "Content-Length" not in response.headers


def test_headers_are_the_views(app: Quaff, client: FlaskClient) -> None:
    """Headers may be given, also in place of those of every stream, or be set by a hook, which sees a response."""

    @app.get("/")
    def index() -> Any:
        return EventStream(iter(["x"]), headers={"X-Mine": "1", "Cache-Control": "no-store"}), {"X-Tuple": "1"}

    @app.after_request
    def after(response: Response) -> Response:
        assert isinstance(response, Response)
        assert response.is_streamed
        response.set_cookie("seen", "1")
        return response

    headers = client.get("/").headers
    assert (headers["X-Mine"], headers["X-Tuple"], headers["Cache-Control"]) == ("1", "1", "no-store")
    assert headers["Set-Cookie"].startswith("seen=1")


def test_nobody_waits_for_the_whole() -> None:
    """Asking for the body of a stream, as a hook may do for its length, is an error and no wait without end."""

    def forever() -> Iterator[str]:
        while True:
            yield "x"

    stream = EventStream(forever())
    with pytest.raises(RuntimeError, match="implicit conversion was disabled"):
        stream.get_data()
    assert stream.calculate_content_length() is None


def test_an_app_with_a_response_class_of_its_own(app: Quaff, client: FlaskClient) -> None:
    """A stream becomes a response of the app's class, and streams all the same."""

    class Mine(Response):
        pass

    kinds = []
    app.response_class = Mine
    app.add_url_rule("/", "index", view_func=lambda: EventStream(iter(["x"])))

    @app.after_request
    def after(response: Response) -> Response:
        kinds.append(type(response))
        return response

    response = client.get("/")
    assert (response.data, response.mimetype, kinds) == (b"data: x\n\n", "text/event-stream", [Mine])


def test_head_asks_for_no_event(app: Quaff, client: FlaskClient) -> None:
    """A HEAD request has the headers of the stream; its source is not asked, and is closed."""
    source = Watched()
    app.add_url_rule("/sync", "sync", view_func=lambda: EventStream(source))
    app.add_url_rule("/async", "async", view_func=lambda: EventStream(AsyncWatched(source)))
    for path in ("/sync", "/async"):
        with client.head(path) as response:
            assert (response.mimetype, response.data) == ("text/event-stream", b"")
    assert source.events == ["closed", "closed"]


def test_the_last_event_id(app: Quaff, client: FlaskClient) -> None:
    """A view sees where a client that lost its connection wants to go on, in whatever script; None when it is new."""
    seen = []

    @app.get("/")
    def index() -> str:
        seen.append(EventStream.last_event_id())
        return ""

    client.get("/")
    client.get("/", headers={"Last-Event-ID": ""})
    client.get("/", headers={"Last-Event-ID": "42"})
    # RFC: HTML section 9.2.3: a client sends it in UTF-8.
    client.get("/", environ_overrides={"HTTP_LAST_EVENT_ID": "größe".encode().decode("latin1")})
    client.get("/", environ_overrides={"HTTP_LAST_EVENT_ID": "\xff"})
    assert seen == [None, None, "42", "größe", "\ufffd"]


def test_the_last_event_id_needs_a_request() -> None:
    """Outside of a request there is none."""
    with pytest.raises(ContextError):
        EventStream.last_event_id()


# Sources ---------------------------------------------------------------------------------------------------------------


class Watched:
    """A synchronous source of three events that notes what happens to it."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.threads: set[str] = set()
        self.left = ["a", "b", "c"]

    def __iter__(self) -> Watched:
        return self

    def __next__(self) -> str:
        self.threads.add(threading.current_thread().name)
        self.events.append("asked")
        if not self.left:
            raise StopIteration
        return self.left.pop(0)

    def close(self) -> None:
        """Note it."""
        self.threads.add(threading.current_thread().name)
        self.events.append("closed")


class AsyncWatched:
    """The same as an async source."""

    def __init__(self, source: Watched) -> None:
        self._source = source

    def __aiter__(self) -> AsyncWatched:
        return self

    async def __anext__(self) -> str:
        try:
            return next(self._source)
        except StopIteration:
            raise StopAsyncIteration from None

    async def aclose(self) -> None:
        """Note it."""
        self._source.close()


def eventually(condition: Callable[[], Any]) -> None:
    """Wait until *condition* holds; something else makes it so."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.005)


def event_threads() -> int:
    """Return how many threads of synchronous sources there are."""
    return sum(thread.name == "quaff-events" for thread in threading.enumerate())


@pytest.fixture(autouse=True)
def no_thread_left_behind() -> Iterator[None]:
    """Fail a test that leaves the thread of a source behind."""
    yield
    eventually(lambda: event_threads() == 0)


@pytest.mark.parametrize("kind", [Watched, AsyncWatched])
def test_the_source_is_asked_when_the_last_event_was_taken(kind: type) -> None:
    """Nothing is made before somebody wants it, and the source is closed once, at its end or when nobody wants more."""
    for taken in (4, 2):
        source = Watched()
        stream = EventStream(source if kind is Watched else AsyncWatched(source))
        pieces = stream.iter_encoded()
        assert source.events == []
        for number in range(1, taken + 1):
            next(pieces, None)
            time.sleep(0.01)
            assert source.events.count("asked") == number
        stream.close()
        stream.close()
        eventually(lambda source=source: "closed" in source.events)
        assert source.events == ["asked"] * taken + ["closed"]
        assert source.threads == {"quaff-events" if kind is Watched else "quaff-async"}


def test_an_unread_stream_is_closed() -> None:
    """A source that was never asked is closed as well, and no thread is started for that."""
    source = Watched()
    EventStream(source).close()
    EventStream(AsyncWatched(source)).close()
    assert source.events == ["closed"] * 2
    assert event_threads() == 0


def test_a_dropped_stream_is_closed() -> None:
    """Who forgets to close a stream gets what a generator gives: it is closed when it is forgotten."""
    source = Watched()
    stream = EventStream(source)
    pieces = stream.iter_encoded()
    next(pieces)
    del stream, pieces
    gc.collect()
    eventually(lambda: source.events[-1] == "closed")


def test_a_closed_stream_has_ended() -> None:
    """After the end, and after closing, there are no more pieces."""
    stream = EventStream(iter("ab"))
    pieces: Any = stream.response
    assert next(pieces) == b"data: a\n\n"
    stream.close()
    assert list(pieces) == []
    ended: Any = EventStream(iter("a")).response
    assert [list(ended), list(ended)] == [[b"data: a\n\n"], []]


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_an_error_of_the_source_is_raised(kind: str) -> None:
    """An error comes out where the stream is read, after the events before it, and the source was closed."""
    closed = []

    def failing() -> Iterator[str]:
        try:
            yield "a"
            raise KeyError("broken")
        finally:
            closed.append(1)

    async def failing_async() -> AsyncIterator[str]:
        for item in failing():
            yield item

    stream = EventStream(failing() if kind == "sync" else failing_async())
    pieces = stream.iter_encoded()
    assert next(pieces) == b"data: a\n\n"
    with pytest.raises(KeyError, match="broken"):
        next(pieces)
    stream.close()
    assert closed == [1]


@pytest.mark.parametrize("kind", [Watched, AsyncWatched])
def test_an_item_that_cannot_be_sent_ends_the_source(kind: type) -> None:
    """A source that gives something else than events is closed, once."""
    source = Watched()
    source.left = [object()]  # type: ignore[list-item]
    stream = EventStream(source if kind is Watched else AsyncWatched(source))
    with pytest.raises(TypeError, match="gave a object"):
        list(stream.iter_encoded())
    stream.close()
    eventually(lambda: source.events == ["asked", "closed"])


def test_an_error_while_closing_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """When nobody waits any more, what a synchronous source raises is one line of the log with its traceback."""
    go_on = threading.Event()

    def stubborn() -> Iterator[str]:
        try:
            yield "a"
            go_on.wait(PATIENCE)
            raise KeyError("too late")
        finally:
            go_on.set()

    def brittle() -> Iterator[str]:
        try:
            yield "a"
        finally:
            raise KeyError("broken")

    with caplog.at_level(logging.ERROR, "quaff.sse"):
        for source in (brittle(), stubborn()):
            stream = EventStream(source, heartbeat=0.01)
            pieces = stream.iter_encoded()
            assert next(piece for piece in pieces if piece != b":\n\n") == b"data: a\n\n"
            if source.__name__ == "stubborn":
                assert next(pieces) == b":\n\n"
            stream.close()
            go_on.set()
            eventually(lambda: event_threads() == 0)
            go_on.clear()
    assert [str(record.exc_info and record.exc_info[1]) for record in caplog.records] == ["'broken'", "'too late'"]
    assert {record.name for record in caplog.records} == {"quaff.sse"}
