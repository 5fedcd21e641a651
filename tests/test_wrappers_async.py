"""What a request has for async views: its body and its form waited for, and whether the client is still there."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest
from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge
from werkzeug.test import EnvironBuilder

from quaff import Quaff, Request, Response
from quaff.servers.body import RequestBody
from quaff.streaming import AsyncBody


def request_of(body: bytes, *, announced: int | None = None, limit: int | None = None, chunks: int = 0) -> Request:
    """Return a request with a body.

    :param announced: its `Content-Length`; that of the body when None, none at all for -1.
    :param chunks: into how many bytes a server with an event loop cuts it; 0 for a WSGI server.
    """
    environ = EnvironBuilder(method="POST", data=body, content_type="application/x-www-form-urlencoded").get_environ()
    if announced == -1:
        del environ["CONTENT_LENGTH"]
        environ["wsgi.input_terminated"] = True
    elif announced is not None:
        environ["CONTENT_LENGTH"] = str(announced)
    if chunks:
        pieces = [body[start : start + chunks] for start in range(0, len(body), chunks)]

        async def receive() -> bytes:
            await asyncio.sleep(0)
            return pieces.pop(0) if pieces else b""

        environ["wsgi.input"] = RequestBody(receive)
    request = Request(environ)
    request.max_content_length = limit
    return request


each_server = pytest.mark.parametrize("chunks", [0, 1, 3], ids=["WSGI", "loop, single bytes", "loop"])
each_length = pytest.mark.parametrize("announced", [None, -1], ids=["announced", "chunked"])


@each_server
@each_length
def test_load_body(chunks: int, announced: int | None) -> None:
    """The whole body, and from then on it is at hand for everything that is synchronous."""
    request = request_of(b"a=1&b=2", announced=announced, chunks=chunks)

    async def load() -> list[Any]:
        first = await request.load_body()
        return [
            first,
            await request.load_body() is first,
            request.data,
            request.get_data(as_text=True),
            request.form["b"],
        ]

    assert asyncio.run(load()) == [b"a=1&b=2", True, b"a=1&b=2", "a=1&b=2", "2"]


@each_server
def test_load_form(chunks: int) -> None:
    """The fields of the form, which `form` then has as well."""
    request = request_of(b"a=1&b=2", chunks=chunks)

    async def load() -> bool:
        return await request.load_form() is request.form

    assert asyncio.run(load())
    assert request.form.to_dict() == {"a": "1", "b": "2"}


@each_server
@each_length
@pytest.mark.parametrize("how", ["load_body", "load_form"])
def test_the_limit_holds(how: str, chunks: int, announced: int | None) -> None:
    """A body that is larger than allowed is a 413 for async readers too; exactly the limit is fine."""
    asyncio.run(getattr(request_of(b"a=345", announced=announced, chunks=chunks, limit=5), how)())
    with pytest.raises(RequestEntityTooLarge):
        asyncio.run(getattr(request_of(b"a=3456", announced=announced, chunks=chunks, limit=5), how)())


@each_server
@pytest.mark.parametrize("how", ["load_body", "load_form"])
def test_a_short_body_is_refused(how: str, chunks: int) -> None:
    """A body that ends before its announced length does not pass for a whole one."""
    with pytest.raises(ClientDisconnected):
        asyncio.run(getattr(request_of(b"a=1", announced=100, chunks=chunks), how)())


@each_server
@each_length
def test_the_stream_can_be_iterated(chunks: int, announced: int | None) -> None:
    """`async for` gives the body in pieces, once."""
    request = request_of(b"a=1&b=2", announced=announced, chunks=chunks)

    async def read() -> bytes:
        return b"".join([piece async for piece in request.stream])  # type: ignore[attr-defined]

    assert asyncio.run(read()) == b"a=1&b=2"
    assert asyncio.run(read()) == b""


def test_an_empty_body() -> None:
    """A request without a body has nothing to wait for."""
    request = Request(EnvironBuilder().get_environ())

    async def load() -> tuple[bytes, int]:
        return await request.load_body(), len(await request.load_form())

    assert asyncio.run(load()) == (b"", 0)


def test_is_disconnected() -> None:
    """The server is asked where it can tell; under WSGI nobody knows, and the client counts as there."""
    environ = EnvironBuilder().get_environ()
    assert Request(environ).is_disconnected is False
    environ["quaff.exchange"] = SimpleNamespace(look_for_disconnect=lambda: True)
    assert Request(environ).is_disconnected is True


async def pieces() -> AsyncIterator[Any]:
    """Give two pieces on a loop."""
    yield "a"
    yield b"b"


def test_a_response_takes_an_async_iterable() -> None:
    """It becomes a body that can be sent on a loop and without one."""
    made = Response(pieces(), 201)
    assert isinstance(made.response, AsyncBody)
    assert made.get_data() == b"ab"
    assert made.status_code == 201
    assert isinstance(Response(io.BytesIO(b"x")).response, io.BytesIO)


def test_a_view_may_return_one_in_a_response(app: Quaff) -> None:
    """The test client reads it to its end."""
    app.add_url_rule("/", "view", lambda: Response(pieces()))
    assert app.test_client().get("/").text == "ab"
