"""The frames of WebSockets; what the library `websockets` makes of the same bytes is right."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from itertools import pairwise
from types import ModuleType
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode
from websockets.protocol import Protocol, Side, State
from websockets.server import ServerProtocol
from websockets.utils import apply_mask

from quaff.servers.http1 import frames
from quaff.servers.http1.frames import BINARY, PING, PONG, TEXT, FrameReader, encode_frame, short_message

CONTINUATION, CLOSE = 0x0, 0x8

ROOMY = 20_000
"""A limit between the sizes that the tests send."""

Seen = tuple[list[tuple[int, bool, bytes]], Any, Any]
"""The frames that arrived, with whether each is final; and the closing frames of both sides."""


def masked(first: int, payload: bytes, mask: bytes = b"\x12\x34\x56\x78", *, extended: int | None = None) -> bytes:
    """Return a frame as clients send it (RFC 6455 section 5.2).

    :param extended: how many bytes more the length takes: 0, 2 or 8. Default: as few as possible.
    """
    size = len(payload)
    if extended is None:
        extended = 0 if size < 126 else 2 if size < 65536 else 8
    short = {0: size, 2: 126, 8: 127}[extended]
    length = size.to_bytes(extended, "big") if extended else b""
    return bytes([first, 0x80 | short]) + length + mask + apply_mask(payload, mask)


def with_engine(engine: ServerProtocol, data: bytes) -> None:
    """Let the library read *data*."""
    if data:
        engine.receive_data(data)


def seen_by(engine: ServerProtocol) -> Seen:
    """Return what the library has read."""
    found = [(int(event.opcode), event.fin, bytes(event.data)) for event in engine.events_received()]  # type: ignore[union-attr]
    return found, engine.close_rcvd, engine.close_sent


def read_by_us(pieces: list[bytes], max_size: int | None) -> Seen:
    """Return what `FrameReader` makes of *pieces*, and the library of what is unusual to it."""
    reader = FrameReader(max_size)
    engine = ServerProtocol(state=State.OPEN, max_size=max_size)
    is_ours = True
    found: list[tuple[int, bool, bytes]] = []
    for piece in pieces:
        if is_ours:
            whole, rest = reader.feed(piece)
            found += [(opcode, True, payload) for opcode, payload in whole]
            is_ours = rest is None
            with_engine(engine, rest or b"")
        else:
            with_engine(engine, piece)
    more, received, sent = seen_by(engine)
    return found + more, received, sent


def read_by_library(pieces: list[bytes], max_size: int | None) -> Seen:
    """Return what the library makes of *pieces*."""
    engine = ServerProtocol(state=State.OPEN, max_size=max_size)
    for piece in pieces:
        with_engine(engine, piece)
    return seen_by(engine)


SIZES = st.one_of(
    st.integers(0, 12),
    st.sampled_from([123, 124, 125, 126, 127, 128, 1000, ROOMY - 1, ROOMY, ROOMY + 1, 65_534, 65_535, 65_536, 70_000]),
)
MASKS = st.sampled_from([b"\0\0\0\0", b"\x12\x34\x56\x78", b"\xff\0\x80\x01"])


@st.composite
def usual(draw: st.DrawFn) -> bytes:
    """Draw a frame that is a whole message, a ping or a pong."""
    opcode = draw(st.sampled_from([TEXT, BINARY, TEXT, PING, PONG]))
    size = draw(st.integers(0, 125) if opcode in {PING, PONG} else SIZES)
    payload = draw(st.binary(min_size=1, max_size=3)) * size
    return masked(0x80 | opcode, payload[:size], draw(MASKS))


@st.composite
def unusual(draw: st.DrawFn) -> bytes:
    """Draw a frame that is part of something, closes the connection, or breaks a rule, or two frames that do."""
    short = draw(st.binary(max_size=20))
    return draw(
        st.sampled_from(
            [
                masked(TEXT, short),
                masked(BINARY, short),
                masked(0x80 | CONTINUATION, short),
                masked(TEXT, short) + masked(0x80 | PING, b"between") + masked(0x80 | CONTINUATION, short),
                masked(0x80 | CLOSE, b""),
                masked(0x80 | CLOSE, b"\x03\xe8" + b"bye"),
                masked(0x80 | CLOSE, b"\x03"),
                masked(0x80 | CLOSE, b"\x03\xed"),
                masked(PING, short),
                masked(0x80 | PING, b"x" * 126),
                masked(0x80 | PONG, b"", extended=2),
                masked(0xC0 | TEXT, short),
                masked(0x90 | BINARY, short),
                masked(0x83, short),
                masked(0x8B, short),
                masked(0x80 | TEXT, short, extended=2),
                masked(0x80 | BINARY, short, extended=8),
                masked(0x80 | TEXT, b"y" * 300, extended=8),
                bytes([0x80 | TEXT, len(short)]) + short,
                b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            ]
        )
    )


@st.composite
def conversations(draw: st.DrawFn) -> list[bytes]:
    """Draw what a client sends, cut anywhere."""
    parts = draw(st.lists(st.one_of(usual(), usual(), usual(), usual(), unusual()), min_size=1, max_size=12))
    data = b"".join(parts)
    cuts = sorted(draw(st.lists(st.integers(0, len(data)), max_size=10)))
    # Heads are where it matters, and few of the cuts above would hit one.
    at = 0
    for part in parts:
        at += len(part)
        cuts += [at + draw(st.integers(-3, 12))] * draw(st.booleans())
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    return [data[begin:end] for begin, end in pairwise(edges) if begin != end]


@given(conversations(), st.sampled_from([None, ROOMY, 300, 125]))
@example([masked(0x80 | TEXT, b"x" * 100) + b"\x81", masked(0x80 | TEXT, b"short")[1:]], None)
@settings(deadline=None, max_examples=300)
def test_it_reads_what_the_library_reads(pieces: list[bytes], max_size: int | None) -> None:
    """Frames, in whatever pieces they arrive, are the same to both, and so is the end of the connection."""
    assert read_by_us(pieces, max_size) == read_by_library(pieces, max_size)


@given(st.lists(usual(), min_size=1, max_size=6), st.lists(st.integers(0, 200), min_size=6, max_size=6))
@settings(deadline=None)
def test_no_frame_waits_for_the_next(whole: list[bytes], ahead: list[int]) -> None:
    """A frame is given as soon as its last byte has come, however much of the next comes with it."""
    reader = FrameReader(None)
    data = b"".join(whole)
    begin = end = 0
    for number, one in enumerate(whole):
        end += len(one)
        following = len(whole[number + 1]) if number + 1 < len(whole) else 1
        cut = end + min(ahead[number], following - 1)
        given_now, rest = reader.feed(data[begin:cut])
        assert rest is None
        assert len(given_now) == 1
        assert reader.is_between_frames == (cut == end)
        begin = cut


def test_byte_by_byte() -> None:
    """A client that sends single bytes is understood; between two frames nothing is held."""
    reader = FrameReader(None)
    sent = [(TEXT, b"one"), (PING, b""), (BINARY, b"x" * 300), (PONG, b"p"), (TEXT, b"")]
    found = []
    for opcode, payload in sent:
        assert reader.is_between_frames
        for byte in masked(0x80 | opcode, payload):
            frames_now, rest = reader.feed(bytes([byte]))
            assert rest is None
            found += frames_now
    assert reader.is_between_frames
    assert found == sent


@pytest.mark.parametrize("size", [ROOMY + 1, 65_536])
def test_a_frame_that_is_too_large_is_not_awaited(size: int) -> None:
    """It is for somebody else as soon as its head has told the size; nothing of the payload has to arrive."""
    head = masked(0x80 | TEXT, b"x" * size)[: 8 if size < 65_536 else 14]
    assert FrameReader(ROOMY).feed(head) == ([], head)
    assert FrameReader(None).feed(head) == ([], None)


def test_the_limit_may_change_between_frames() -> None:
    """It holds from the next frame on; pings are never too large."""
    reader = FrameReader(4)
    assert reader.feed(masked(0x80 | TEXT, b"1234")) == ([(TEXT, b"1234")], None)
    assert reader.feed(masked(0x80 | PING, b"12345")) == ([(PING, b"12345")], None)
    reader.max_size = 5
    assert reader.feed(masked(0x80 | TEXT, b"12345")) == ([(TEXT, b"12345")], None)
    reader.max_size = 3
    long = masked(0x80 | TEXT, b"1234")
    assert reader.feed(long) == ([], long)


@given(st.sampled_from([TEXT, BINARY, PING, PONG]), SIZES)
@settings(deadline=None)
def test_frames_of_the_server(opcode: int, size: int) -> None:
    """They are what the library would send, byte for byte, and it reads them."""
    payload = b"\xe4bc" * (size // 3) + b"x" * (size % 3)
    if opcode in {PING, PONG}:
        payload = payload[:125]
    data = encode_frame(opcode, payload)
    assert data == Frame(Opcode(opcode), payload).serialize(mask=False)
    client = Protocol(Side.CLIENT, state=State.OPEN, max_size=None)
    client.receive_data(data)
    assert client.events_received() == [Frame(Opcode(opcode), payload)]
    assert client.close_sent is None


@given(st.one_of(usual(), unusual(), st.binary(max_size=140)), st.sampled_from([b"", b"\x81", masked(0x81, b"2")]))
@settings(deadline=None)
def test_short_messages(frame: bytes, more: bytes) -> None:
    """Exactly one whole text frame of up to 125 bytes is one; everything else is left to `FrameReader`."""
    data = frame + more
    whole, rest = FrameReader(None).feed(data)
    is_one = len(whole) == 1 and rest is None and len(data) <= 131 and data == masked(0x81, whole[0][1], data[2:6])
    expected = whole[0][1] if is_one else None
    assert short_message(data) == expected


@pytest.mark.parametrize("size", [0, 1, 124, 125, 126, 200])
def test_the_longest_short_message(size: int) -> None:
    """It has 125 bytes; what is cut off or has something behind it is none."""
    data = masked(0x81, b"x" * size)
    assert short_message(data) == (b"x" * size if size <= 125 else None)
    assert short_message(data[:-1]) is None
    assert short_message(data + b"\x81") is None
    assert short_message(masked(0x82, b"x" * size)) is None


@pytest.fixture(params=["speedups", "fallback"])
def module(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """Give the module with either of the functions that the library has to unmask."""
    if request.param == "speedups":
        pytest.importorskip("websockets.speedups")
        yield frames
        return
    monkeypatch.setitem(sys.modules, "websockets.speedups", None)
    monkeypatch.delitem(sys.modules, frames.__name__)
    fresh = importlib.import_module(frames.__name__)
    assert fresh.apply_mask is sys.modules["websockets.utils"].apply_mask
    yield fresh
    sys.modules["quaff.servers.http1"].frames = frames  # type: ignore[attr-defined]  # importing has replaced it


@pytest.mark.parametrize("size", [0, 1, 2, 3, 4, 5, 7, 125, 126, 65_537])
def test_either_way_to_unmask(module: ModuleType, size: int) -> None:
    """The library comes with and without its C code; messages are the same, as bytes, short or in pieces."""
    payload = (b"\0\xffab" * (size // 4 + 1))[:size]
    data = masked(0x81, payload)
    read: Callable[[bytes], bytes | None] = module.short_message
    assert read(data) == (payload if size < 126 else None)
    for pieces in ([data], [data[:3], data[3:]], [data[:-1], data[-1:]]):
        reader = module.FrameReader(None)
        found = [frame for piece in pieces for frame in reader.feed(piece)[0]]
        assert found == [(TEXT, payload)]
        assert type(found[0][1]) is bytes
