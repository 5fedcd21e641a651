"""Bodies that are not read past their end and do not end early unnoticed."""

from __future__ import annotations

import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.exceptions import ClientDisconnected, HTTPException, RequestEntityTooLarge

from quaff.streams import CHUNK, BoundedBody, ExactBody, body_stream, read_body


class Dribble(io.RawIOBase):
    """An input that gives at most *step* of the bytes that were asked for, as a socket does."""

    def __init__(self, data: bytes, step: int) -> None:
        self._data = io.BytesIO(data)
        self._step = step

    def read(self, size: int | None = -1, /) -> bytes:
        """Return a few of the bytes that were asked for, or all when all were."""
        return self._data.read(-1 if size is None or size < 0 else min(size, self._step))


class Broken(io.RawIOBase):
    """An input whose connection is gone."""

    def read(self, size: int | None = -1, /) -> bytes:
        """Fail as a socket does."""
        raise ConnectionResetError("gone")


def environ_of(body: Any, **values: Any) -> dict[str, Any]:
    """Give an environ with *body* as input."""
    return {"wsgi.input": io.BytesIO(body) if isinstance(body, bytes) else body, **values}


def read_stream(environ: dict[str, Any], limit: int | None) -> bytes:
    """Read the whole body through the stream."""
    return body_stream(environ, limit).read()


def read_pieces(environ: dict[str, Any], limit: int | None) -> bytes:
    """Read the whole body three bytes at a time."""
    stream = body_stream(environ, limit)
    return b"".join(iter(lambda: stream.read(3), b""))


def read_buffered(environ: dict[str, Any], limit: int | None) -> bytes:
    """Read the whole body through a buffer, which calls `readinto`."""
    return io.BufferedReader(body_stream(environ, limit), 4).read()  # type: ignore[arg-type]


WAYS = [read_stream, read_pieces, read_buffered, read_body]
each_way = pytest.mark.parametrize("read", WAYS, ids=lambda way: way.__name__)
terminated = pytest.mark.parametrize("end", [{}, {"wsgi.input_terminated": True}], ids=["open", "terminated"])


# --- a length is announced ---


@each_way
@terminated
def test_an_announced_body_is_read_to_its_end_and_not_further(read: Any, end: dict[str, Any]) -> None:
    """What follows on the connection is the next request."""
    environ = environ_of(b"hello, next request", CONTENT_LENGTH="5", **end)
    assert read(environ, 100) == b"hello"
    assert environ["wsgi.input"].read() == b", next request"


@each_way
@terminated
@pytest.mark.parametrize("sent", [b"", b"hello", b"x" * 99], ids=len)
def test_a_body_shorter_than_announced_is_a_400(read: Any, end: dict[str, Any], sent: bytes) -> None:
    """It never passes for a complete one, also when the server says that it ends the input itself."""
    with pytest.raises(ClientDisconnected) as caught:
        read(environ_of(sent, CONTENT_LENGTH="100", **end), None)
    assert caught.value.code == 400
    assert caught.value.description == f"The request announced a body of 100 bytes but only {len(sent)} arrived."


@each_way
def test_a_lost_connection_is_a_400(read: Any) -> None:
    """The error of the socket becomes the same answer."""
    with pytest.raises(ClientDisconnected):
        read(environ_of(Broken(), CONTENT_LENGTH="100"), None)


@each_way
@terminated
def test_an_announced_body_over_the_limit_is_a_413_before_it_is_read(read: Any, end: dict[str, Any]) -> None:
    """Nothing is read; one byte less is accepted."""
    environ = environ_of(b"x" * 11, CONTENT_LENGTH="11", **end)
    with pytest.raises(RequestEntityTooLarge, match="has 11 bytes; at most 10"):
        read(environ, 10)
    assert environ["wsgi.input"].tell() == 0
    assert read(environ_of(b"x" * 10, CONTENT_LENGTH="10", **end), 10) == b"x" * 10


@each_way
@pytest.mark.parametrize("step", [1, 4, 99, 100, 1000])
def test_a_slow_body_arrives_whole(read: Any, step: int) -> None:
    """Reads that give less than was asked for are no end."""
    body = bytes(range(100))
    assert read(environ_of(Dribble(body, step), CONTENT_LENGTH="100"), None) == body


@each_way
def test_a_body_of_several_chunks_arrives_whole(read: Any) -> None:
    """A large body is read in pieces, so that memory follows what arrives."""
    body = b"0123456789abcdef" * (CHUNK // 8) + b"end"
    assert read(environ_of(body, CONTENT_LENGTH=str(len(body))), None) == body


@each_way
def test_an_empty_body_is_not_waited_for(read: Any) -> None:
    """With a length of 0 the input is not touched."""
    assert read(environ_of(Broken(), CONTENT_LENGTH="0"), 10) == b""


def test_reading_on_at_the_end_gives_nothing() -> None:
    """At the end of an announced body each further read is empty."""
    stream = body_stream(environ_of(b"hello", CONTENT_LENGTH="5"), None)
    assert isinstance(stream, ExactBody)
    assert (stream.read(0), stream.read(), stream.read(), stream.read(1)) == (b"", b"hello", b"", b"")


def test_lines_can_be_read() -> None:
    """The stream is a file: iterating it gives lines."""
    assert list(body_stream(environ_of(b"a\nb\nc", CONTENT_LENGTH="5"), None)) == [b"a\n", b"b\n", b"c"]


# --- no length, or none that can be used ---

UNUSABLE = [
    {},
    {"CONTENT_LENGTH": ""},
    {"CONTENT_LENGTH": "five"},
    {"CONTENT_LENGTH": "-5"},
    {"CONTENT_LENGTH": "+5"},
    {"CONTENT_LENGTH": "5_0"},
    {"CONTENT_LENGTH": "\u0665"},
    {"CONTENT_LENGTH": "9" * 5000},
    {"CONTENT_LENGTH": "5", "HTTP_TRANSFER_ENCODING": "chunked"},
]


@each_way
@pytest.mark.parametrize("values", UNUSABLE, ids=str)
def test_without_a_usable_length_the_body_is_empty(read: Any, values: dict[str, str]) -> None:
    """An input that nobody ends could be read for ever, so it is not read at all, as in Werkzeug."""
    assert read(environ_of(Broken(), **values), 100) == b""


@each_way
@pytest.mark.parametrize("values", UNUSABLE, ids=str)
@pytest.mark.parametrize("limit", [10, None])
def test_a_body_that_the_server_ends_is_read_whole(read: Any, values: dict[str, str], limit: int | None) -> None:
    """Chunked bodies of up to exactly the limit arrive."""
    assert read(environ_of(b"x" * 10, **values, **{"wsgi.input_terminated": True}), limit) == b"x" * 10


@each_way
@pytest.mark.parametrize("size", [11, 12, 10_000])
@pytest.mark.parametrize("step", [1, 3, 1000])
def test_a_chunked_body_over_the_limit_is_a_413(read: Any, size: int, step: int) -> None:
    """It is not cut at the limit and handed out as complete."""
    environ = environ_of(Dribble(b"x" * size, step), **{"wsgi.input_terminated": True})
    with pytest.raises(RequestEntityTooLarge, match="larger than the 10 bytes"):
        read(environ, 10)


def test_once_too_large_always_too_large() -> None:
    """A second read after the 413 does not see an end: what followed the limit is not forgotten."""
    stream = body_stream(environ_of(b"x" * 11, **{"wsgi.input_terminated": True}), 10)
    assert isinstance(stream, BoundedBody)
    assert stream.read(10) == b"x" * 10
    for _ in range(3):
        with pytest.raises(RequestEntityTooLarge):
            stream.read(1)


@pytest.mark.parametrize("read", [read_stream, read_pieces, read_body], ids=lambda way: way.__name__)
def test_a_chunked_body_whose_connection_is_lost_is_a_400(read: Any) -> None:
    """An error of the input is not the end of the body."""
    with pytest.raises(ClientDisconnected):
        read(environ_of(Broken(), **{"wsgi.input_terminated": True}), 10)


def test_without_a_limit_a_chunked_body_is_read_to_its_end() -> None:
    """The server ends it and the app accepts any size; a lost connection is a 400 there too."""
    ends_itself = {"wsgi.input_terminated": True}
    assert body_stream(environ_of(b"x" * 3_000_000, **ends_itself), None).read() == b"x" * 3_000_000
    with pytest.raises(ClientDisconnected):
        body_stream(environ_of(Broken(), **ends_itself), None).read()


@given(
    body=st.binary(max_size=40),
    length=st.none() | st.integers(0, 45),
    limit=st.none() | st.integers(0, 45),
    ends=st.booleans(),
    step=st.integers(1, 50),
)
def test_all_ways_to_read_agree(body: bytes, length: int | None, limit: int | None, ends: bool, step: int) -> None:
    """For any body, length, limit and server, `read_body` and the stream give the same bytes or the same error."""
    answers = set()
    for read in (read_stream, read_pieces, read_body):
        environ = environ_of(Dribble(body, step))
        if length is not None:
            environ["CONTENT_LENGTH"] = str(length)
        if ends:
            environ["wsgi.input_terminated"] = True
        try:
            answers.add(read(environ, limit))
        except HTTPException as error:
            answers.add(error.code)
    assert len(answers) == 1
    (answer,) = answers
    if length is not None:
        assert answer == (
            413 if limit is not None and length > limit else body[:length] if length <= len(body) else 400
        )
    else:
        assert answer == (b"" if not ends else 413 if limit is not None and len(body) > limit else body)
