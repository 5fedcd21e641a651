"""One TCP connection that speaks HTTP/1.1 (RFC 9112): requests in, in their order, and responses out.

`httptools` calls the methods `on_...` while it parses. Requests that a client sends before it has got its answers wait in
`_queue`; while one waits, nothing is read, so that there are never more of them than fit into one read.
"""

from __future__ import annotations

import asyncio
import logging
from time import perf_counter
from typing import Final, cast

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser, parse_url

from ..exchange import serve_request
from .exchange import HTTP1Exchange
from .head import plain_response
from .service import Service
from .websocket import WebSocketConnection, refusal_of_handshake

BODY_SECONDS: Final = 60
"""Seconds that the app waits for the next piece of a body."""

SEND_SECONDS: Final = 60
"""Seconds that a client may leave what is sent to it unread."""

LINGER_SECONDS: Final = 5
"""Seconds that a client that was answered may go on sending before the connection is cut."""

logger: Final = logging.getLogger("quaff.serve")

_DISCARDED: Final = 256 * 1024
"""Bytes of a body that nobody has read which are read after the answer, so that the connection can be used again."""


class HTTPConnection(asyncio.Protocol):
    """A connection of a client's."""

    __slots__ = (
        "_discarded",
        "_exchange",
        "_fields",
        "_full_since",
        "_handshake",
        "_head_size",
        "_heard",
        "_hosts",
        "_idle_since",
        "_incoming",
        "_is_closing",
        "_is_in_head",
        "_is_reading",
        "_is_starting",
        "_parser",
        "_queue",
        "_refusal",
        "_room",
        "_target",
        "_transport",
        "is_full",
        "service",
    )

    _transport: asyncio.Transport

    def __init__(self, service: Service) -> None:
        self.service = service
        self._parser: HttpRequestParser | None = None
        self._exchange: HTTP1Exchange | None = None
        """The request that is being answered."""

        self._incoming: HTTP1Exchange | None = None
        """The request whose body is arriving."""

        self._handshake: HTTP1Exchange | None = None
        self._queue: list[HTTP1Exchange] | None = None
        self._refusal: tuple[str, str] | None = None
        self._head_size = self._discarded = 0
        self._idle_since = self._heard = service.now
        self._full_since: tuple[int, int] | None = None
        self._room: asyncio.Future[None] | None = None
        self.is_full = False
        self._is_reading = True
        self._is_closing = self._is_starting = self._is_in_head = False

    # What asyncio tells ---------------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport (asyncio)."""
        # Those of uvloop are no subclass.
        self._transport = cast(asyncio.Transport, transport)
        self.service.remember(self)

    def data_received(self, data: bytes) -> None:
        """Take what the client has sent (asyncio)."""
        if self._is_closing:
            return
        parser = self._parser
        if parser is None:
            parser = self._parser = HttpRequestParser(self)
        self._heard = self.service.now
        self._head_size += len(data)
        try:
            parser.feed_data(data)
        except HttpParserUpgrade as upgrade:
            self._upgrade(data[upgrade.args[0] :])
            return
        except HttpParserError as error:
            self._refuse(*(self._refusal or ("400 Bad Request", f"This is not HTTP/1.1: {error}.")))
            return
        if self._head_size > self.service.header_limit:
            self._refuse("431 Request Header Fields Too Large", "The head of the request is too large.")
            return
        if self._queue is not None:
            self._serve_queue()

    def eof_received(self) -> None:
        """Take note that the client sends nothing more; the transport closes itself then (asyncio)."""

    def connection_lost(self, error: Exception | None) -> None:
        """Take note that the connection has ended (asyncio)."""
        self.service.forget(self)
        self._is_closing = True
        self._queue = self._parser = self._incoming = None
        self.resume_writing()
        if self._exchange is not None:
            self._exchange.lose()

    def pause_writing(self) -> None:
        """Take note that the client does not keep up (asyncio)."""
        self.is_full = True
        self._full_since = (self.service.now, self._transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        """Take note that there is room again (asyncio)."""
        self.is_full = False
        self._full_since = None
        room, self._room = self._room, None
        if room is not None and not room.done():
            room.set_result(None)

    # What the parser tells ------------------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """Begin a request."""
        self._is_in_head = True
        self._target = b""
        self._hosts = 0
        self._fields: list[tuple[bytes, bytes]] = []

    def on_url(self, target: bytes) -> None:
        """Take the target, or a part of it."""
        self._target += target

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header. Those after a chunked body are left out: who has decided by the others must not be led on."""
        if self._is_in_head:
            name = name.lower()
            if name == b"host":
                self._hosts += 1
            # RFC: 9112 section 5.1. The parser takes away spaces before the value only.
            self._fields.append((name, value.rstrip()))

    def on_headers_complete(self) -> None:
        """Make a request of what has arrived."""
        parser = self._parser
        self._is_in_head = False
        if self._is_closing or parser is None:
            return
        size = len(self._target) + sum([len(name) + len(value) + 4 for name, value in self._fields])
        if size > self.service.header_limit:
            self._reject("431 Request Header Fields Too Large", "The head of the request is too large.")
        version = parser.get_http_version()
        # RFC: 9112 section 3.2: one Host header, or a 400.
        if self._hosts != 1 and (self._hosts or version == "1.1"):
            self._reject("400 Bad Request", "A request has one Host header.")
        if version != "1.1":
            self._check_old_version(version)
        target, fields = self._target, self._fields
        if b"#" in target:
            # RFC: 9110 section 4.2.5: the fragment is not sent. Who checks paths before this server leaves it out, too.
            target = target.partition(b"#")[0]
        if target[:1] != b"/" and b"://" in target[:16]:
            target, host = _origin_form(target)
            # RFC: 9112 section 3.2.2: the host of the target is the one that counts.
            fields = [(name, host if name == b"host" else value) for name, value in fields]
        exchange = HTTP1Exchange(
            self, parser.get_method().decode(), target, fields, version, parser.should_keep_alive()
        )
        if parser.should_upgrade():
            # Whatever comes after this request, it is not the next one.
            exchange.keeps_alive = False
            if _wants_websocket(exchange) or _announces_body(exchange):
                self._handshake = exchange
                return
        self._head_size = 0
        self._incoming = exchange
        if self._queue is None:
            self._queue = []
        self._queue.append(exchange)

    def _check_old_version(self, version: str) -> None:
        if version != "1.0":
            self._reject("505 HTTP Version Not Supported", "This server speaks HTTP/1.1 and HTTP/1.0.")
        # RFC: 9112 section 6.1. SECURITY: a proxy that speaks 1.0 sees the end of such a request elsewhere.
        if any(name == b"transfer-encoding" for name, _ in self._fields):
            self._reject("400 Bad Request", "A request of HTTP/1.0 has no Transfer-Encoding.")

    def _reject(self, status: str, words: str) -> None:
        self._refusal = (status, words)
        raise ValueError(words)

    def on_body(self, chunk: bytes) -> None:
        """Take a piece of a body."""
        self._head_size = 0
        incoming = self._incoming
        if incoming is None:
            return
        if incoming is self._exchange or self._queue is not None:
            if incoming.feed(chunk):
                self._pause_reading()
            return
        # Its answer is sent already.
        self._discarded += len(chunk)
        if self._discarded > _DISCARDED and not self._is_closing:
            self._hang_up(linger=True)

    def on_message_complete(self) -> None:
        """End a request."""
        self._head_size = 0
        incoming, self._incoming = self._incoming, None
        if incoming is not None:
            incoming.note_arrival()
            if self._exchange is None and self._queue is None:
                self._become_idle()

    # What was asked for ---------------------------------------------------------------------------------------------------

    def _upgrade(self, rest: bytes) -> None:
        """Go on as a WebSocket, or answer as if no upgrade had been asked for (RFC 9110 section 7.8)."""
        handshake, self._handshake = self._handshake, None
        if handshake is None:
            self._serve_queue()
            return
        if not _wants_websocket(handshake):
            self._read_without_upgrade(handshake, rest)
            return
        if self._exchange is not None or self._queue is not None:
            # Nobody asks for a WebSocket before the last answer has come.
            self._refuse("400 Bad Request", "A WebSocket cannot be asked for while other requests are open.")
            return
        refusal = refusal_of_handshake(handshake)
        if refusal is not None:
            status, words = refusal
            version = b"Sec-WebSocket-Version: 13\r\n" if status == 426 else b""
            self._refuse(f"{status.value} {status.phrase}", words, version)
            return
        websocket = WebSocketConnection(self.service, self._transport, handshake, rest)
        self.service.forget(self)
        self.service.remember(websocket)
        self._transport.set_protocol(websocket)
        self._is_closing = True
        self._parser = None
        websocket.start()

    def _read_without_upgrade(self, exchange: HTTP1Exchange, rest: bytes) -> None:
        """Read a request once more, with its body: the parser takes that for the protocol which the client would like."""
        fields = [b"%b: %b\r\n" % field for field in self._fields if field[0] not in {b"connection", b"upgrade"}]
        line = b"%b %b HTTP/%b\r\n" % (exchange.method.encode(), self._target, exchange.http_version.encode())
        self._parser = HttpRequestParser(self)
        self.data_received(b"%b%bConnection: close\r\n\r\n%b" % (line, b"".join(fields), rest))

    def _refuse(self, status: str, words: str, headers: bytes = b"") -> None:
        """Answer a request that cannot be served, and close the connection."""
        self._parser = None
        incoming, self._incoming = self._incoming, None
        if incoming is not None:
            incoming.fail()
            if self._queue is not None:
                # The app has not heard of it yet.
                self._queue = self._queue[:-1] or None
            elif self._exchange is None:
                # It is answered: another answer would be taken for that to the next request.
                self._hang_up(linger=True)
                return
        if self._exchange is None and self._queue is None:
            logger.warning("%s from %s: %s", status, self.client_address() or "a client", words)
            self.write(plain_response(status, self.service.date, f"{words}\n", headers))
            self._hang_up(linger=True)
        else:
            # The answers to the requests before it come first, and then the end.
            self._is_closing = True
            self._serve_queue()

    def _serve_queue(self) -> None:
        """Serve what waits, one request after the other."""
        if self._is_starting:
            return
        self._is_starting = True
        try:
            while self._exchange is None and self._queue:
                exchange = self._exchange = self._queue.pop(0)
                if not self._queue:
                    self._queue = None
                # PERF: most requests are answered before this returns.
                self.service.run(self._answer(exchange))
        finally:
            self._is_starting = False
        if self._queue is not None:
            self._pause_reading()
        else:
            self.go_on_reading()

    async def _answer(self, exchange: HTTP1Exchange) -> None:
        service = self.service
        began = 0.0
        if service.log is not None:
            began = perf_counter()
            exchange.is_logged = True
        try:
            await serve_request(exchange)
        except asyncio.CancelledError:
            # Nobody waits for this task. Who did not stop the server has awaited something of the app's that was cancelled.
            if not service.is_stopping:
                logger.exception("A request was cancelled by the app")
        except Exception:
            logger.exception("A request was not answered")
        finally:
            if not exchange.has_begun and not exchange.is_disconnected:
                self._excuse(exchange)
            try:
                # Before the next request, which may be answered inside of `_finish`.
                if service.log is not None:
                    service.log(exchange.logged_environ(), exchange.status, perf_counter() - began)
            finally:
                if self._exchange is exchange:
                    self._finish(exchange)

    def _excuse(self, exchange: HTTP1Exchange) -> None:
        """Answer for an app that has not."""
        if exchange.has_failed:
            status = "400 Bad Request"
        else:
            status = "503 Service Unavailable" if self.service.is_stopping else "500 Internal Server Error"
        exchange.status = int(status[:3])
        self.write(plain_response(status, self.service.date, "The request could not be answered.\n"))

    def _finish(self, exchange: HTTP1Exchange) -> None:
        """Take note that *exchange* is answered; go on with the next request, or close the connection."""
        self._exchange = None
        if self._transport.is_closing():
            return
        if not exchange.has_ended or self.closes_after(exchange):
            self._hang_up(linger=exchange.has_ended and not exchange.has_arrived)
        elif not exchange.has_arrived:
            self._discarded = 0
            self._idle_since = self.service.now
            self.go_on_reading()
        elif self._queue is not None:
            self._serve_queue()
        else:
            self._become_idle()
            self.go_on_reading()

    def _become_idle(self) -> None:
        self._idle_since = self.service.now
        if self.service.is_stopping:
            self._hang_up()

    def _hang_up(self, *, linger: bool = False) -> None:
        """Close the connection, once everything is sent.

        :param linger: whether the client is still sending. RFC 9112 section 9.6: what it sends is read for a while, for the
            system would answer it with a reset, and the client might lose what it has not read yet.
        """
        self._is_closing = True
        self._queue = None
        self._idle_since = self.service.now
        if linger and self._transport.can_write_eof():
            self._transport.write_eof()
            if not self._is_reading:
                self._resume()
        else:
            self._transport.close()

    # What an exchange asks for --------------------------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        """Send bytes; with the client gone, do nothing."""
        if not self._transport.is_closing():
            self._transport.write(data)

    async def wait_for_room(self) -> None:
        """Return when the client has taken most of what was sent, or is gone."""
        if self._room is None:
            self._room = self.service.loop.create_future()
        await asyncio.shield(self._room)

    def note_end(self, exchange: HTTP1Exchange) -> None:
        """Take note that all of the answer to *exchange* was sent; the app may have more to do, which holds up nobody."""
        if self._queue is None:
            self._finish(exchange)
        else:
            # Nearly always the app has nothing to do any more, and then its log line comes before that of the next request.
            self.service.loop.call_soon(self._finish_if_open, exchange)

    def _finish_if_open(self, exchange: HTTP1Exchange) -> None:
        if self._exchange is exchange:
            self._finish(exchange)

    def closes_after(self, exchange: HTTP1Exchange) -> bool:
        """Tell whether the answer to *exchange* is the last on this connection."""
        if not exchange.keeps_alive or self.service.is_stopping or (self._is_closing and self._queue is None):
            return True
        # A client that is told so does not send its next request into a connection that ends with this body.
        return not exchange.has_arrived and exchange.is_long(_DISCARDED)

    def rest(self) -> None:
        """Give up what only the next request needs: the answer may take long."""
        if self._queue is None and not self._is_in_head:
            self._parser = None
            self._fields = []

    def _pause_reading(self) -> None:
        if self._is_reading:
            self._is_reading = False
            self._transport.pause_reading()

    def _resume(self) -> None:
        self._is_reading = True
        self._transport.resume_reading()

    def go_on_reading(self) -> None:
        """Read again, unless there is a reason not to."""
        if not self._is_reading and self._queue is None and not self._transport.is_closing():
            self._resume()

    def local_address(self) -> tuple[str, str]:
        """Return the host and the port that the client has connected to."""
        address = self._transport.get_extra_info("sockname")
        return (address[0], str(address[1])) if isinstance(address, tuple) else ("localhost", "80")

    def client_address(self) -> str:
        """Return the address of the client; empty over a unix socket."""
        address = self._transport.get_extra_info("peername")
        return str(address[0]) if isinstance(address, tuple) else ""

    # What the service tells -----------------------------------------------------------------------------------------------

    def look_after(self, now: int) -> None:
        """End the connection when the client has kept it waiting for too long."""
        exchange = self._exchange
        if self._full_since is not None:
            since, size = self._full_since
            left = self._transport.get_write_buffer_size()
            if left < size:
                self._full_since = (now, left)
            elif now - since >= SEND_SECONDS:
                self._transport.abort()
        elif exchange is None:
            # The first second may have been over at once.
            is_lingering = self._is_closing and not self._transport.get_write_buffer_size()
            patience = LINGER_SECONDS if is_lingering else self.service.header_seconds
            if now - self._idle_since >= patience + 1:
                self._time_out()
        elif exchange.waits_for_body and now - self._heard >= BODY_SECONDS:
            self._transport.abort()

    def _time_out(self) -> None:
        if self._is_closing:
            self._transport.abort()
        elif self._head_size:
            self._refuse("408 Request Timeout", "The request did not arrive in time.")
        else:
            self._hang_up()

    def abort(self) -> None:
        """End the connection at once."""
        self._transport.abort()

    def stop(self) -> None:
        """Take note that the server stops: what is under way is finished, what would never end is ended."""
        exchange = self._exchange
        if exchange is None and self._queue is None:
            self._hang_up()
        elif exchange is not None and exchange.is_event_stream:
            exchange.end()
            exchange.lose()


def _wants_websocket(exchange: HTTP1Exchange) -> bool:
    return (exchange.header("upgrade") or "").strip().lower() == "websocket"


def _announces_body(exchange: HTTP1Exchange) -> bool:
    if exchange.method == "CONNECT":
        return False
    return exchange.header("transfer-encoding") is not None or exchange.header("content-length") not in {None, "0"}


def _origin_form(target: bytes) -> tuple[bytes, bytes]:
    """Return path and query, and the host, of a target that is a whole URL, as proxies get it (RFC 9112 section 3.2.2)."""
    url = parse_url(target)
    path: bytes = url.path or b"/"
    query: bytes | None = url.query
    host: bytes = b"[%b]" % url.host if b":" in url.host else url.host
    if url.port:
        host += b":%d" % url.port
    return path if query is None else path + b"?" + query, host
