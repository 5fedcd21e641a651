"""One WebSocket on the loop: from the request that asks for it to the end of its TCP connection.

Frames that are whole messages are read and written here; the moment something else arrives, `ServerProtocol` of the library
`websockets` takes over the reading, for good. It knows the rules about fragments, closing and codes (RFC 6455 sections 5-7).
"""

from __future__ import annotations

import asyncio
import logging
from base64 import b64decode
from collections import deque
from http import HTTPStatus
from typing import Any, Final

from websockets.frames import Opcode
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.utils import accept_key

from ...errors import WebSocketDisconnect
from ...pipeline.conversation import converse
from ...websockets import ABNORMAL, TOO_BIG, Connection, HeaderList
from ..mounted_websocket import mounted_connection
from ..wsgi import Environ
from .exchange import HTTP1Exchange
from .frames import BINARY, PING, PONG, TEXT, FrameReader, encode_frame, short_message
from .head import encode_fields, plain_response, without_hop_by_hop
from .service import Service

_QUEUED: Final = 64
"""Messages that may wait for the handler; then the client has to wait."""

_BURST: Final = 256
"""Messages that a handler may send before others get their turn: to a client that reads fast there is always room."""

_EARLY: Final = 64 * 1024
"""Bytes that a client may send before the handshake is complete."""

_GOODBYE: Final = 10
"""Seconds that a client has to answer the closing frame."""

_MISMATCH: Final = 1007
"""RFC 6455 section 7.4.1: text that is no UTF-8."""


logger: Final = logging.getLogger("quaff.serve")


class WebSocketConnection(asyncio.Protocol, Connection):
    """The server's side of one WebSocket.

    :param handshake: the request that asked for it.
    :param rest: what the client has sent after that.
    """

    __slots__ = (
        "_burst",
        "_closed_at",
        "_early",
        "_end",
        "_engine",
        "_fragments",
        "_handshake",
        "_heard",
        "_is_answered",
        "_is_open",
        "_is_pinged",
        "_is_reading",
        "_messages",
        "_ping_interval",
        "_reader",
        "_room",
        "_service",
        "_transport",
        "_waiter",
        "subprotocols",
        "task",
    )

    def __init__(self, service: Service, transport: asyncio.Transport, handshake: HTTP1Exchange, rest: bytes) -> None:
        self._service = service
        self._transport = transport
        self._handshake: HTTP1Exchange | None = handshake
        # RFC: 6455 section 11.3.4: that header may come more than once. In the environ they are joined.
        offered = handshake.environ().get("HTTP_SEC_WEBSOCKET_PROTOCOL", "")
        self.subprotocols = [name.strip() for name in offered.split(",") if name.strip()]
        self.task: asyncio.Task[None] | None = None
        self._early = rest
        self._reader = FrameReader(None)
        self._engine: ServerProtocol | None = None
        self._fragments: tuple[bool, bytearray] | None = None
        """Whether the message that is arriving in fragments is text, and what has come of it."""

        self._messages: deque[str | bytes] | None = None
        self._waiter: asyncio.Future[str | bytes] | None = None
        self._room: asyncio.Future[None] | None = None
        self._closed_at: int | None = None
        self._burst = 0
        self._end: tuple[int, str] | None = None
        """The code and the reason with which it ended."""

        self._is_answered = self._is_open = self._is_pinged = False
        self._is_reading = True
        self._heard = service.now
        self._ping_interval: float | None = service.ping_interval

    # The handshake -----------------------------------------------------------------------------------------------------

    def environ(self) -> Environ:
        """Return the WSGI environ of the handshake."""
        if self._handshake is None:
            raise RuntimeError("The handshake is over, and its environ is the request's.")
        return self._handshake.environ()

    async def accept(self, subprotocol: str | None, headers: HeaderList) -> None:
        """Complete the handshake."""
        handshake = self._handshake
        if self._end is not None or handshake is None:
            raise WebSocketDisconnect(ABNORMAL)
        key = accept_key(handshake.header("sec-websocket-key") or "")
        fields = [("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Accept", key)]
        if subprotocol is not None:
            fields.append(("Sec-WebSocket-Protocol", subprotocol))
        encoded, _ = encode_fields([*fields, *without_hop_by_hop(headers)])
        self._write(b"HTTP/1.1 101 Switching Protocols\r\n%s%s\r\n" % (encoded, self._service.date))
        self._is_answered = self._is_open = True
        handshake.status = 101
        # It is not needed any more, and the connection may live for long.
        self._handshake = None
        early, self._early = self._early, b""
        if early:
            self._read(early)

    async def refuse(self, status: str, headers: HeaderList, body: bytes) -> None:
        """Answer the handshake with an HTTP response instead."""
        handshake = self._handshake
        if self._end is not None or handshake is None:
            raise WebSocketDisconnect(ABNORMAL)
        answer = handshake.whole_response(status, headers, body, is_last=True)
        self._is_answered = True
        handshake.status = int(status[:3])
        self._write(b"".join(answer))
        self._hang_up()

    # Messages ----------------------------------------------------------------------------------------------------------

    def limit(self, size: int | None) -> None:
        """Refuse messages of more than *size* bytes, and close the connection for one."""
        self._reader.max_size = size
        if self._engine is not None:
            self._engine.max_message_size = size
            # COMPAT: its name before websockets 16.
            self._engine.max_size = size  # type: ignore[attr-defined]

    async def receive(self) -> str | bytes:
        """Return the next message; raise `WebSocketDisconnect` when there will be none."""
        while self._waiter is not None:
            # Another task is before this one.
            await asyncio.wait((self._waiter,))
        messages = self._messages
        if messages:
            message = messages.popleft()
            if not messages:
                self._messages = None
                self._go_on_reading()
            return message
        if self._end is not None:
            raise WebSocketDisconnect(*self._end)
        waiter: asyncio.Future[str | bytes] = self._service.loop.create_future()
        self._waiter = waiter
        try:
            message = await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                # It came in the very moment in which nobody wanted it any more.
                self._keep(waiter.result(), first=True)
            raise
        finally:
            self._waiter = None
            # An error holds this frame through its traceback; a frame that holds the error would make a cycle.
            del waiter
        return message

    def _keep(self, message: str | bytes, *, first: bool = False) -> None:
        if self._messages is None:
            self._messages = deque()
        if first:
            self._messages.appendleft(message)
            return
        self._messages.append(message)
        if len(self._messages) >= _QUEUED and self._is_reading:
            self._is_reading = False
            self._transport.pause_reading()

    def _go_on_reading(self) -> None:
        if not self._is_reading and self._end is None:
            self._is_reading = True
            # What the client has said meanwhile, in answer to a ping perhaps, is yet to be heard.
            self._heard = self._service.now
            self._transport.resume_reading()

    def send_now(self, data: str | bytes) -> bool:
        """Send a message if there is room for it, and tell whether that was done."""
        self._burst += 1
        # A loop that only sends may not come to hear that the connection has ended.
        if self._room is not None or self._burst > _BURST or not self._is_open or self._transport.is_closing():
            return False
        if isinstance(data, str):
            self._transport.write(encode_frame(TEXT, data.encode()))
        else:
            self._transport.write(encode_frame(BINARY, data))
        return True

    async def send(self, data: str | bytes) -> None:
        """Send a message; return when the client's side has room for the next."""
        if self._burst >= _BURST:
            self._burst = 0
            await asyncio.sleep(0)
        await self._wait_for_room()
        if not self.send_now(data):
            raise WebSocketDisconnect(*(self._end or (ABNORMAL, "")))
        await self._wait_for_room()

    async def _wait_for_room(self) -> None:
        while self._room is not None:
            await asyncio.shield(self._room)

    async def close(self, code: int, reason: str) -> None:
        """Send the closing frame. The connection ends with the client's answer, or some seconds later without one."""
        if not self._is_open:
            return
        engine = self._take_over()
        engine.send_close(code, reason)
        self._flush(engine)
        self._is_open = False
        self._closed_at = self._service.now
        self._go_on_reading()
        # Of a frame that has arrived in part, the rest is for the engine.
        self._read_unusual(engine, self._reader.take_rest())

    def _write(self, data: bytes) -> None:
        # What is closed may not be written to.
        if not self._transport.is_closing():
            self._transport.write(data)

    def _hang_up(self) -> None:
        """Close the TCP connection, once everything is sent."""
        self._closed_at = self._service.now
        self._transport.close()

    # The handler -------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Run the handler."""
        # Without a log nobody needs the handshake once it is accepted, and the connection may live for long.
        handshake = None if self._service.log is None else self._handshake
        self.task = self._service.run(self._serve(handshake))

    async def _serve(self, handshake: HTTP1Exchange | None) -> None:
        service = self._service
        app = service.app
        try:
            if not (app.mounts and await mounted_connection(app, self)):
                await converse(app, self)
        except asyncio.CancelledError:
            if not service.is_stopping:
                logger.exception("A WebSocket was cancelled by the app")
        except Exception:
            logger.exception("A WebSocket ended with an error")
        finally:
            self._finish()
            self.task = None
            if service.log is not None and handshake is not None:
                service.log(handshake.environ(), handshake.status, 0.0)

    def _finish(self) -> None:
        """End the connection if it has not been ended: its handler has."""
        if not self._is_answered:
            self._write(plain_response("500 Internal Server Error", self._service.date, "There was no answer.\n"))
        if not self._is_answered or self._is_open:
            self._hang_up()

    # What arrives ------------------------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Take what the client has sent (asyncio)."""
        self._heard = self._service.now
        if self._is_open and self._engine is None and self._reader.is_between_frames:
            text = short_message(data)
            if text is not None:
                self._take_text(text)
                return
        if self._is_answered:
            self._read(data)
            return
        self._early += data
        if len(self._early) > _EARLY:
            self._transport.abort()

    def _read(self, data: bytes) -> None:
        if self._engine is not None:
            self._read_unusual(self._engine, data)
            return
        frames, rest = self._reader.feed(data)
        for opcode, payload in frames:
            if opcode == TEXT:
                self._take_text(payload)
            elif opcode == BINARY:
                self._deliver(payload)
            elif opcode == PING:
                if self._is_open:
                    self._write(encode_frame(PONG, payload))
            else:
                self._is_pinged = False
        if rest is not None:
            self._read_unusual(self._take_over(), rest)

    def _take_text(self, payload: bytes) -> None:
        try:
            self._deliver(payload.decode())
        except UnicodeDecodeError:
            self._fail(_MISMATCH, "a text message is not UTF-8")

    def _deliver(self, message: str | bytes) -> None:
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(message)
        elif self._is_open:
            self._keep(message)

    def _take_over(self) -> ServerProtocol:
        """Return what reads everything from now on."""
        if self._engine is None:
            self._engine = ServerProtocol(state=State.OPEN, max_size=self._reader.max_size)
        return self._engine

    def _read_unusual(self, engine: ServerProtocol, data: bytes) -> None:
        engine.receive_data(data)
        for event in engine.events_received():
            opcode = getattr(event, "opcode", None)
            if opcode in {Opcode.TEXT, Opcode.BINARY, Opcode.CONT}:
                self._gather(event)
            elif opcode is Opcode.PONG:
                self._is_pinged = False
        self._flush(engine)
        if engine.eof_sent and self._end is None:
            self._note_end(engine)

    def _gather(self, frame: Any) -> None:  # Any: the library calls all of its events Event
        if self._fragments is None:
            self._fragments = (frame.opcode is Opcode.TEXT, bytearray())
        is_text, gathered = self._fragments
        # SECURITY: no list, in which fragments of no or one byte would take far more room than the limit allows.
        gathered += frame.data
        if frame.fin:
            self._fragments = None
            (self._take_text if is_text else self._deliver)(bytes(gathered))

    def _note_end(self, engine: ServerProtocol) -> None:
        """Take note that the client has closed the connection, or broken the rules."""
        self._is_open = False
        if engine.close_rcvd is not None:
            self._finish_receiving(engine.close_rcvd.code, "")
        elif engine.close_sent is not None:
            code = engine.close_sent.code
            words = engine.close_sent.reason or f"the client broke the protocol ({code})"
            if code == TOO_BIG:
                words = f"{words}; at most {self._reader.max_size} are accepted"
            self._finish_receiving(code, words)

    def _fail(self, code: int, reason: str) -> None:
        """Close the connection because of what the client has sent."""
        engine = self._take_over()
        if engine.state is State.OPEN:
            engine.fail(code, reason)
            self._flush(engine)
        self._is_open = False
        self._finish_receiving(code, reason)

    def _flush(self, engine: ServerProtocol) -> None:
        for data in engine.data_to_send():
            if data:
                self._write(data)
            else:
                # Both sides have said that they close.
                self._hang_up()

    def _finish_receiving(self, code: int, reason: str) -> None:
        if self._end is not None:
            return
        self._end = (code, reason)
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_exception(WebSocketDisconnect(code, reason))

    # What asyncio and the service tell ------------------------------------------------------------------------------------

    def eof_received(self) -> None:
        """Take note that the client sends nothing more; the transport closes itself then (asyncio)."""

    def connection_lost(self, error: Exception | None) -> None:
        """Take note that the TCP connection has ended (asyncio)."""
        self._is_open = False
        self._service.forget(self)
        self._finish_receiving(ABNORMAL, "")
        self.resume_writing()
        self._engine = None

    def pause_writing(self) -> None:
        """Take note that the client does not keep up (asyncio)."""
        self._room = self._service.loop.create_future()

    def resume_writing(self) -> None:
        """Take note that there is room again (asyncio)."""
        room, self._room = self._room, None
        if room is not None and not room.done():
            room.set_result(None)

    def look_after(self, now: int) -> None:
        """Ping a client that has said nothing for long, and end the connection of one that does not answer."""
        if self._closed_at is not None:
            if now - self._closed_at >= _GOODBYE:
                self._transport.abort()
            return
        interval = self._ping_interval
        if interval is None or not self._is_open or now - self._heard < interval:
            return
        if not self._is_pinged:
            self._is_pinged = True
            self._heard = now
            self._write(encode_frame(PING, b""))
        elif self._is_reading:
            self._transport.abort()

    def abort(self) -> None:
        """End the connection at once."""
        self._transport.abort()

    def stop(self) -> None:
        """End the handler, which says goodbye, because the server stops."""
        if self.task is not None:
            self.task.cancel()


def refusal_of_handshake(handshake: HTTP1Exchange) -> tuple[HTTPStatus, str] | None:
    """Return why a request for a WebSocket cannot be granted, as a status and words; None when it can (RFC 6455 4.2.1)."""
    if handshake.header("sec-websocket-version") != "13":
        return HTTPStatus.UPGRADE_REQUIRED, "This server speaks version 13 of the WebSocket protocol (RFC 6455)."
    if handshake.method != "GET" or handshake.http_version != "1.1":
        return HTTPStatus.BAD_REQUEST, "A WebSocket is asked for by GET over HTTP/1.1."
    if not _is_key(handshake.header("sec-websocket-key") or ""):
        return HTTPStatus.BAD_REQUEST, "Sec-WebSocket-Key has to be 16 bytes in base64."
    return None


def _is_key(text: str) -> bool:
    try:
        return len(b64decode(text, validate=True)) == 16
    except ValueError:
        return False
