"""The function that Granian calls for each request, around any WSGI callable.

Granian brings one of its own (`granian.wsgi`). This one stands in its place, not around it, so it costs nothing more;
it differs in three things:

- the environ does not contain the process's environment variables, which hold passwords and keys;
- a `Proxy` header does not become `HTTP_PROXY`, which libraries take for the address of a proxy (httpoxy);
- an app that calls `start_response` only when its body is iterated is answered correctly, as PEP 3333 section "The
  start_response() Callable" wants it. Werkzeug's debugger is one.

Under Granian's own command line (`granian --interface wsgi module:app`) an app does without all three.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, Protocol, TypeAlias

WSGIApp: TypeAlias = Callable[..., Iterable[bytes]]
"""Any WSGI callable. Apps annotate the types of their two arguments in many ways."""

Environ: TypeAlias = dict[str, Any]
"""A WSGI environ: strings, streams and flags."""

HeaderList: TypeAlias = list[tuple[str, str]]
"""Names and values of headers, in order."""


class Protocol500(RuntimeError):
    """The app broke the WSGI protocol; the client gets a 500."""


class GranianResponse(Protocol):
    """What Granian hands over to answer one request."""

    def response_bytes(self, status: int, headers: HeaderList, body: bytes, /) -> None:
        """Answer with the whole body at once."""

    def response_iter(self, status: int, headers: HeaderList, body: Any, /) -> None:
        """Answer piece by piece, from an object with the methods `__next__` and `close`."""


Runner: TypeAlias = Callable[[GranianResponse, Environ], int]
"""Answers one request and returns the status."""


class StartResponse:
    """The `start_response` of one request: keeps what the app gives it. The last call counts."""

    __slots__ = ("headers", "status")

    def __init__(self) -> None:
        self.status = ""
        self.headers: HeaderList = []

    # The type of exc_info is that of sys.exc_info(). Nothing is sent before the body is there, so it is never needed.
    def __call__(self, status: str, headers: HeaderList, exc_info: Any = None) -> Callable[[bytes], None]:
        """Take *status* and *headers*."""
        self.status = status
        self.headers = headers
        return refuse_write


def refuse_write(data: bytes) -> None:
    """Stand in for the `write` callable of WSGI, which this server does not have.

    :raises Protocol500: always.
    """
    raise Protocol500(
        f"The app called write() with {len(data)} bytes. This server does not have that old part of WSGI: return the"
        " body from the app instead."
    )


class Pieces:
    """A body that is sent piece by piece: its iterator, with what was taken from it already put back in front."""

    __slots__ = ("__next__", "_body")

    def __init__(self, body: Iterable[bytes], iterator: Iterator[bytes], first: list[bytes]) -> None:
        self._body = body
        # PERF: an instance attribute in a slot: Granian looks `__next__` up on the object and calls the iterator's own.
        self.__next__ = _put_back(first, iterator).__next__ if first else iterator.__next__

    def close(self) -> None:
        """Close the body, if it can be closed; Granian calls this once, whatever happened."""
        close = getattr(self._body, "close", None)
        if close is not None:
            close()


def _put_back(first: list[bytes], iterator: Iterator[bytes]) -> Iterator[bytes]:
    yield from first
    yield from iterator


BASE_ENVIRON: Final[Environ] = {
    "SCRIPT_NAME": "",
    "SERVER_SOFTWARE": "Granian",
    "wsgi.errors": sys.stderr,
    # COMPAT: not in PEP 3333. It tells Werkzeug that reading to the end is safe, also without a Content-Length.
    "wsgi.input_terminated": True,
    "wsgi.multiprocess": False,
    "wsgi.multithread": True,
    "wsgi.run_once": False,
    "wsgi.version": (1, 0),
}
"""What each environ starts from. Granian adds the request; a name in both is the request's."""


def build_runner(
    app: WSGIApp, *, multiprocess: bool = False, log: Callable[[Environ, int, float], None] | None = None
) -> Runner:
    """Return the function that Granian calls for each request to *app*.

    :param multiprocess: whether other processes run the app as well (`wsgi.multiprocess`).
    :param log: called after each request with the environ, the status and the seconds that it took. Without it, no
        clock is read.
    """
    base = BASE_ENVIRON | {"wsgi.errors": sys.stderr, "wsgi.multiprocess": multiprocess}

    def run(protocol: GranianResponse, request: Environ) -> int:
        # SECURITY: httpoxy (CVE-2016-1000110 and its siblings).
        request.pop("HTTP_PROXY", None)
        start = StartResponse()
        body = app(base | request if log is None else request, start)
        if type(body) is list and start.status:
            status = int(start.status[:3])
            # PERF: one list of one piece is what compiled routes return; joining would copy it.
            protocol.response_bytes(status, start.headers, body[0] if len(body) == 1 else b"".join(body))
            return status
        return send_pieces(protocol, start, body)

    return run if log is None else with_log(run, base, log)


def send_pieces(protocol: GranianResponse, start: StartResponse, body: Iterable[bytes]) -> int:
    """Send a *body* that is not a list, and return the status.

    :raises Protocol500: when the app never calls `start_response`.
    """
    pieces = begin_pieces(start, body)
    status = int(start.status[:3])
    protocol.response_iter(status, start.headers, pieces)
    return status


def begin_pieces(start: StartResponse, body: Iterable[bytes]) -> Pieces:
    """Return a *body* that is not a list as pieces, once the app has called `start_response`.

    :raises Protocol500: when the app never calls it.
    """
    first: list[bytes] = []
    try:
        iterator = iter(body)
        while not start.status:
            piece = next(iterator, None)
            if piece is None:
                raise Protocol500("The app returned a body and never called start_response().")
            first.append(piece)
        int(start.status[:3])
    except BaseException:
        Pieces(body, iter(()), []).close()
        raise
    return Pieces(body, iterator, first)


def with_log(run: Runner, base: Environ, log: Callable[[Environ, int, float], None]) -> Runner:
    """Return *run* with *log* called after each request; a request that raises is logged as a 500.

    :param base: what each environ starts from. *run* gets the whole environ, and what the app finds out about the client,
        behind a proxy, is logged.
    """
    from time import perf_counter

    def run_and_log(protocol: GranianResponse, request: Environ) -> int:
        began = perf_counter()
        environ = base | request
        status = 500
        try:
            status = run(protocol, environ)
        finally:
            log(environ, status, perf_counter() - began)
        return status

    return run_and_log
