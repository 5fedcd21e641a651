"""The frames of WebSockets (RFC 6455 section 5) that make up nearly all traffic: whole messages, pings and pongs.

Everything else, such as fragments, the closing handshake and whatever breaks the rules, is left to the `websockets` library,
which is also the oracle of the tests.
"""

from __future__ import annotations

from struct import pack, unpack_from
from typing import Final

try:
    from websockets.speedups import apply_mask
except ImportError:  # its wheels have it; where there is none, the package installs without
    from websockets.utils import apply_mask

TEXT: Final = 0x1
BINARY: Final = 0x2
PING: Final = 0x9
PONG: Final = 0xA

_FINAL: Final = 0x80
_MASKED: Final = 0x80
_USUAL: Final = frozenset(_FINAL | opcode for opcode in (TEXT, BINARY, PING, PONG))
"""First bytes of frames that are whole, without extensions."""

_CONTROL: Final = 0x8
_LONGEST_CONTROL: Final = 125


_SHORT: Final = {
    opcode: [bytes((_FINAL | opcode, size)) for size in range(126)] for opcode in (TEXT, BINARY, PING, PONG)
}
"""PERF: the heads of short frames, by opcode and size."""


def encode_frame(opcode: int, payload: bytes) -> bytes:
    """Return a whole frame of a server's, which is not masked."""
    size = len(payload)
    if size < 126:
        return _SHORT[opcode][size] + payload
    if size < 65536:
        return pack("!BBH", _FINAL | opcode, 126, size) + payload
    return pack("!BBQ", _FINAL | opcode, 127, size) + payload


def short_message(data: bytes) -> bytes | None:
    """Return the payload when *data* is exactly one short text frame; None for everything else.

    PERF: that is what most reads give. `FrameReader` knows the rest, and would say the same.
    """
    size = len(data) - 6
    if 0 <= size < 126 and data[0] == _FINAL | TEXT and data[1] == _MASKED | size:
        return apply_mask(data[6:], data[2:6])
    return None


class FrameReader:
    """Cuts what a client sends into frames, until something comes that is unusual.

    :param max_size: the largest payload, in bytes; a longer one is unusual. None for any.
    """

    __slots__ = ("_buffer", "_wanted", "max_size")

    def __init__(self, max_size: int | None) -> None:
        self.max_size = max_size
        self._buffer = bytearray()
        self._wanted = 0
        """Bytes that the buffer must hold before it is worth looking at."""

    @property
    def is_between_frames(self) -> bool:
        """Whether no frame has arrived in part."""
        return not self._buffer

    def feed(self, data: bytes) -> tuple[list[tuple[int, bytes]], bytes | None]:
        """Return the frames that are whole now, and the rest that is for somebody else; None when there is no such rest.

        After that rest there is nothing more to feed.
        """
        buffer: bytes | bytearray = data
        if self._buffer:
            buffer = self._buffer
            buffer += data
            if len(buffer) < self._wanted:
                return [], None
        frames: list[tuple[int, bytes]] = []
        at, size, self._wanted = 0, len(buffer), 0
        while size - at >= 2:
            payload_at, length = self._measure(buffer, at)
            if length < 0:
                self._buffer = bytearray()
                return frames, bytes(buffer[at:])
            end = payload_at + length
            if not payload_at or end > size:
                self._wanted = end - at
                break
            # Python's own buffers take no part of a bytearray without a copy, and apply_mask wants bytes.
            mask, payload = bytes(buffer[payload_at - 4 : payload_at]), bytes(buffer[payload_at:end])
            frames.append((buffer[at] & 0x0F, apply_mask(payload, mask)))
            at = end
        self._buffer = bytearray(buffer[at:])
        return frames, None

    def take_rest(self) -> bytes:
        """Return what has arrived of a frame that is not whole, for somebody else."""
        rest = bytes(self._buffer)
        self._buffer = bytearray()
        return rest

    def _measure(self, buffer: bytes | bytearray, at: int) -> tuple[int, int]:
        """Return where the payload of the frame at *at* begins and its length.

        Where it begins is 0 as long as that is not known, and the length -1 for a frame that is unusual.
        """
        first, second = buffer[at], buffer[at + 1]
        length = second & 0x7F
        if first not in _USUAL or second < _MASKED or (first & _CONTROL and length > _LONGEST_CONTROL):
            return 0, -1
        begin = at + 6
        if length > _LONGEST_CONTROL:
            extended = 2 if length == 126 else 8
            begin += extended
            if len(buffer) < begin:
                return 0, 0
            (length,) = unpack_from("!H" if extended == 2 else "!Q", buffer, at + 2)
            if length < (126 if extended == 2 else 65536):
                return 0, -1
        if self.max_size is not None and length > self.max_size and not first & _CONTROL:
            return 0, -1
        return begin, length
