"""The function between Granian and the app: what the app sees, and what is sent."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from wsgiref.validate import validator

import pytest

from quaff.servers.wsgi import BASE_ENVIRON, Environ, Protocol500, build_runner


class Answered:
    """Stands where Granian's protocol object stands, and keeps what it is given."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: list[tuple[str, str]] = []
        self.body = b""
        self.at_once = False

    def response_bytes(self, status: int, headers: list[tuple[str, str]], body: bytes, /) -> None:
        """Take a whole body, as Granian's method of that name."""
        assert type(body) is bytes
        self.status, self.headers, self.body, self.at_once = status, headers, body, True

    def response_iter(self, status: int, headers: list[tuple[str, str]], body: Any, /) -> None:
        """Take a body piece by piece, calling what Granian calls: `__next__` on the object, and `close` in the end."""
        self.status, self.headers = status, headers
        try:
            while True:
                self.body += body.__next__()
        except StopIteration:
            pass
        finally:
            body.close()


def request(**more: Any) -> Environ:
    """Return what Granian hands over for `GET /`."""
    return {
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "80",
        "REMOTE_ADDR": "127.0.0.1",
        "REQUEST_METHOD": "GET",
        "PATH_INFO": "/",
        "QUERY_STRING": "",
        "wsgi.url_scheme": "http",
        "wsgi.input": None,
    } | more


def call(app: Callable[..., Iterable[bytes]], **more: Any) -> Answered:
    """Run one request against *app*."""
    answered = Answered()
    status = build_runner(app)(answered, request(**more))
    assert status == answered.status
    return answered


class Body:
    """A body with pieces that counts how often it is closed."""

    def __init__(self, *pieces: bytes, error: Exception | None = None) -> None:
        self.pieces = pieces
        self.error = error
        self.closed = 0

    def __iter__(self) -> Iterator[bytes]:
        yield from self.pieces
        if self.error is not None:
            raise self.error

    def close(self) -> None:
        """Count."""
        self.closed += 1


@pytest.mark.parametrize(
    "body,sent",
    [([b"one"], b"one"), ([b"one", b"two"], b"onetwo"), ([], b""), ([b""], b"")],
)
def test_a_list_is_sent_at_once(body: list[bytes], sent: bytes) -> None:
    """A list is one answer, whatever its length."""

    def app(environ: Environ, start_response: Any) -> list[bytes]:
        start_response("201 CREATED", [("X-A", "1"), ("X-A", "2")])
        return body

    answered = call(app)
    assert (answered.status, answered.headers, answered.body) == (201, [("X-A", "1"), ("X-A", "2")], sent)
    assert answered.at_once


@pytest.mark.parametrize(
    "make", [tuple, iter, lambda pieces: (piece for piece in pieces), lambda pieces: Body(*pieces)]
)
def test_other_bodies_are_sent_in_pieces(make: Callable[[list[bytes]], Iterable[bytes]]) -> None:
    """Tuples, iterators, generators and objects are bodies too."""

    def app(environ: Environ, start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [])
        return make([b"one", b"two"])

    answered = call(app)
    assert (answered.status, answered.body, answered.at_once) == (200, b"onetwo", False)


def test_a_generator_may_start_the_response_late() -> None:
    """PEP 3333 lets an app call start_response when its first piece is asked for; nothing of it is lost."""

    def app(environ: Environ, start_response: Any) -> Iterator[bytes]:
        start_response("404 NOT FOUND", [("X-Late", "1")])
        yield b"one"
        yield b"two"

    answered = call(app)
    assert (answered.status, answered.headers, answered.body) == (404, [("X-Late", "1")], b"onetwo")


def test_a_generator_may_send_empty_pieces_before_it_starts() -> None:
    """Pieces before the start are kept in order."""

    def app(environ: Environ, start_response: Any) -> Iterator[bytes]:
        yield b""
        start_response("200 OK", [])
        yield b"body"

    assert call(app).body == b"body"


def test_the_last_start_counts() -> None:
    """An error handler inside the app may replace the status before anything is sent."""

    def app(environ: Environ, start_response: Any) -> list[bytes]:
        start_response("200 OK", [("X-Was", "fine")])
        try:
            raise ValueError
        except ValueError:
            start_response("500 INTERNAL SERVER ERROR", [("X-Is", "not")], sys.exc_info())
        return [b"sorry"]

    answered = call(app)
    assert (answered.status, answered.headers) == (500, [("X-Is", "not")])


def test_bodies_are_closed_once() -> None:
    """The body's close runs after the last piece."""
    body = Body(b"one")

    def app(environ: Environ, start_response: Any) -> Body:
        start_response("200 OK", [])
        return body

    call(app)
    assert body.closed == 1


def test_bodies_are_closed_after_an_error() -> None:
    """An error in the middle of a body still closes it, and is passed on."""
    body = Body(b"one", error=ValueError("broken"))

    def app(environ: Environ, start_response: Any) -> Body:
        start_response("200 OK", [])
        return body

    with pytest.raises(ValueError, match="broken"):
        call(app)
    assert body.closed == 1


@pytest.mark.parametrize("body", [Body(), Body(b"")], ids=["nothing", "an empty piece"])
def test_a_body_without_a_start_is_an_error(body: Body) -> None:
    """An app that never calls start_response gets a clear error instead of an invented status; its body is closed."""

    def app(environ: Environ, start_response: Any) -> Body:
        return body

    with pytest.raises(Protocol500, match=r"never called start_response\(\)"):
        call(app)
    assert body.closed == 1


def test_a_list_without_a_start_is_an_error() -> None:
    """The same holds for a list."""

    def app(environ: Environ, start_response: Any) -> list[bytes]:
        return [b"body"]

    with pytest.raises(Protocol500, match=r"never called start_response\(\)"):
        call(app)


def test_an_error_before_the_first_piece_closes_the_body() -> None:
    """A generator that fails before it starts the response is closed, and its error reaches the server."""
    closed = []

    def app(environ: Environ, start_response: Any) -> Iterator[bytes]:
        try:
            raise ValueError("early")
            yield b""
        finally:
            closed.append(True)

    with pytest.raises(ValueError, match="early"):
        call(app)
    assert closed == [True]


def test_the_write_callable_is_refused() -> None:
    """The old write() of WSGI says what to do instead of losing data."""

    def app(environ: Environ, start_response: Any) -> list[bytes]:
        write = start_response("200 OK", [])
        write(b"data")
        return []

    with pytest.raises(Protocol500, match=r"called write\(\) with 4 bytes"):
        call(app)


def test_the_environ_has_no_secrets_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """W1.1: environment variables of the process stay out of the environ, also those set before the runner was built."""
    monkeypatch.setenv("DATABASE_PASSWORD", "hunter2")
    seen: Environ = {}

    def app(environ: Environ, start_response: Any) -> list[bytes]:
        seen.update(environ)
        start_response("200 OK", [])
        return []

    call(app)
    assert "DATABASE_PASSWORD" not in seen
    assert set(seen) == set(request()) | set(BASE_ENVIRON)


def test_a_proxy_header_does_not_choose_a_proxy() -> None:
    """W1.1: httpoxy: the client's `Proxy` header does not arrive as HTTP_PROXY."""
    seen: Environ = {}

    def app(environ: Environ, start_response: Any) -> list[bytes]:
        seen.update(environ)
        start_response("200 OK", [])
        return []

    call(app, HTTP_PROXY="http://evil.test/", HTTP_PROXY_AUTHORIZATION="kept")
    assert "HTTP_PROXY" not in seen
    assert seen["HTTP_PROXY_AUTHORIZATION"] == "kept"


def test_the_request_wins_over_the_base() -> None:
    """A name in both is the request's."""
    seen: Environ = {}

    def app(environ: Environ, start_response: Any) -> list[bytes]:
        seen.update(environ)
        start_response("200 OK", [])
        return []

    call(app, SCRIPT_NAME="/prefix")
    assert seen["SCRIPT_NAME"] == "/prefix"


def test_requests_do_not_share_an_environ() -> None:
    """What one request puts into its environ is not there in the next."""
    found = []

    def app(environ: Environ, start_response: Any) -> list[bytes]:
        found.append("mark" in environ)
        environ["mark"] = True
        start_response("200 OK", [])
        return []

    run = build_runner(app)
    for _ in range(2):
        run(Answered(), request())
    assert found == [False, False]
    assert "mark" not in BASE_ENVIRON


@pytest.mark.parametrize("multiprocess", [True, False])
def test_the_app_knows_about_other_processes(multiprocess: bool) -> None:
    """`wsgi.multiprocess` tells whether others run the app; Werkzeug's debugger refuses its console then."""
    seen: Environ = {}

    def app(environ: Environ, start_response: Any) -> list[bytes]:
        seen.update(environ)
        start_response("200 OK", [])
        return []

    build_runner(app, multiprocess=multiprocess)(Answered(), request())
    assert seen["wsgi.multiprocess"] is multiprocess
    assert seen["wsgi.multithread"] is True
    assert seen["wsgi.errors"] is sys.stderr


def test_it_keeps_to_the_standard() -> None:
    """The validator of the standard library has nothing to object, to environ or calls."""
    import io

    def app(environ: Environ, start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"fine"]

    answered = Answered()
    build_runner(validator(app))(answered, request(**{"wsgi.input": io.BytesIO()}))
    assert answered.body == b"fine"


def test_the_log_gets_request_status_and_time() -> None:
    """After each request the log is told what was asked, what was answered, and how long it took."""
    lines: list[tuple[str, int, float]] = []

    def app(environ: Environ, start_response: Any) -> list[bytes]:
        start_response("204 NO CONTENT", [])
        return []

    def log(environ: Environ, status: int, seconds: float) -> None:
        lines.append((environ["PATH_INFO"], status, seconds))

    assert build_runner(app, log=log)(Answered(), request(PATH_INFO="/a")) == 204
    ((path, status, seconds),) = lines
    assert (path, status) == ("/a", 204)
    assert 0 <= seconds < 10


def test_the_log_gets_a_500_for_an_error() -> None:
    """A request that raised is logged as the 500 that the client gets, and the error goes on to the server."""
    lines: list[int] = []

    def app(environ: Environ, start_response: Any) -> list[bytes]:
        raise ValueError("boom")

    with pytest.raises(ValueError, match="boom"):
        build_runner(app, log=lambda environ, status, seconds: lines.append(status))(Answered(), request())
    assert lines == [500]


def test_without_a_log_no_clock_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """A runner without a log is the bare function: nothing of logging is in its way."""
    assert build_runner(lambda environ, start: []).__name__ == "run"
